//! Where and how urgently the thread runs that asks, and its tasks with it.

use nix::errno::Errno;
use nix::sched::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};
use nix::unistd::Pid;

use super::Trouble;

/// The calling thread stays on the processor on which it is, and tasks that it
/// starts do: between two processors each turn would cost a wake-up of the
/// other one. Dropped, it lets the thread go again.
pub(super) struct Place {
    before: CpuSet,
}

impl Place {
    /// Takes the processor on which the caller is.
    pub fn here() -> Result<Self, Trouble> {
        give_up_real_time().map_err(Trouble::of("sched_setscheduler(2)"))?;
        let own = Pid::from_raw(0);
        let before = sched_getaffinity(own).map_err(Trouble::of("sched_getaffinity(2)"))?;
        let mut here = CpuSet::new();
        let cpu = sched_getcpu().map_err(Trouble::of("getcpu(2)"))?;
        here.set(cpu).map_err(Trouble::of("CPU_SET"))?;
        sched_setaffinity(own, &here).map_err(Trouble::of("sched_setaffinity(2)"))?;
        Ok(Self { before })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // A processor that went away meanwhile is the only reason to fail.
        let _ = sched_setaffinity(Pid::from_raw(0), &self.before);
    }
}

/// Gives up a real-time policy of the calling thread, before anything that it
/// starts installs filters.
///
/// The memory of programs is given back by kernel threads, which a real-time
/// task keeps from running while it waits for a lock that one of them holds
/// (`bpf_prog_pack_free`): such a loop stops a machine for good.
///
/// # Errors
///
/// That of sched_setscheduler(2), which an ordinary policy always gets.
pub fn give_up_real_time() -> Result<(), Errno> {
    // SAFETY: asks about the calling thread.
    let policy = unsafe { libc::sched_getscheduler(0) };
    let policy = policy & !libc::SCHED_RESET_ON_FORK;
    if ![libc::SCHED_FIFO, libc::SCHED_RR, libc::SCHED_DEADLINE].contains(&policy) {
        return Ok(());
    }
    let plain = libc::sched_param { sched_priority: 0 };
    // SAFETY: the parameters live through the call.
    Errno::result(unsafe { libc::sched_setscheduler(0, libc::SCHED_OTHER, &raw const plain) })
        .map(drop)
}
