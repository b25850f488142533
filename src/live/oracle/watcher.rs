//! Who watches the task under test: a supervisor, which answers its
//! notifications, or a tracer.

use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::sync::atomic::Ordering;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::Trouble;
use super::keeper::{Area, KEEPER};
use super::task;
use crate::abi::{Listener, SeccompNotifResp};

/// What a call returns that a supervisor or a tracer answers.
pub(super) const ANSWER: i64 = 0x5eed_0001;
/// Offsets in `struct user`, of `orig_rax` and `rax`.
const ORIG_RAX: usize = 15 * 8;
const RAX: usize = 10 * 8;

impl Area {
    fn runs(&self) -> bool {
        self.turn.load(Ordering::Acquire) == KEEPER
    }

    /// Notes that the call under way was seen.
    fn watched(&self, what: u32) {
        let at = self.at.load(Ordering::Acquire) as usize;
        if let Some(slot) = self.slot.get(at) {
            slot.watched.store(what + 1, Ordering::Release);
        }
    }
}

/// Answers notifications of the program of that index until nobody is left who
/// could make one.
pub(super) fn supervise(area: &Area, index: usize) -> Result<(), Trouble> {
    // The task cannot tell when the listener is there, as its filters may keep
    // it from every call; it is soon.
    while area.runs() && area.at.load(Ordering::Acquire) as usize <= index {
        std::thread::yield_now();
    }
    if area.at.load(Ordering::Acquire) as usize <= index {
        return Ok(());
    }
    let number = task::get(&area.slot[index].raw);
    // 0 is standard input: a filter has answered in seccomp(2)'s stead.
    if number <= 0 {
        return Ok(());
    }
    // SAFETY: seccomp(2) has made it for all who share this table of files.
    let fd = unsafe { OwnedFd::from_raw_fd(number as i32) };
    let listener = Listener::new(fd).map_err(Trouble::of("SECCOMP_GET_NOTIF_SIZES"))?;
    loop {
        let mut fds = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) => {}
            Err(Errno::EINTR) => continue,
            Err(error) => return Err(Trouble::Call("poll(2)", error)),
        }
        let ready = fds[0].revents().unwrap_or(PollFlags::empty());
        if ready.contains(PollFlags::POLLIN) {
            match listener.recv() {
                Ok(notification) => {
                    area.watched(0);
                    let id = notification.id;
                    let response = SeccompNotifResp { id, val: ANSWER, ..Default::default() };
                    listener.send(&response).map_err(Trouble::of("SECCOMP_IOCTL_NOTIF_SEND"))?;
                }
                Err(Errno::EINTR | Errno::ENOENT) => {}
                Err(error) => return Err(Trouble::Call("SECCOMP_IOCTL_NOTIF_RECV", error)),
            }
        } else if ready.contains(PollFlags::POLLHUP) {
            return Ok(());
        }
    }
}

/// Traces the thread until its end: what a program says of TRACE is noted, and
/// the call is not made.
pub(super) fn trace(area: &Area) -> Result<(), Trouble> {
    while area.runs() && area.tid.load(Ordering::Acquire) == 0 {
        std::thread::yield_now();
    }
    let tid = area.tid.load(Ordering::Acquire) as i32;
    if tid == 0 {
        return Ok(());
    }
    let options = libc::PTRACE_O_TRACESECCOMP | libc::PTRACE_O_EXITKILL;
    let mut begun = false;
    loop {
        let status = task::wait(tid).map_err(Trouble::of("wait4(2)"))?;
        if !libc::WIFSTOPPED(status) {
            return Ok(());
        }
        let mut signal = libc::WSTOPSIG(status);
        if status >> 16 == libc::PTRACE_EVENT_SECCOMP {
            let mut message: libc::c_ulong = 0;
            ptrace(libc::PTRACE_GETEVENTMSG, tid, 0, (&raw mut message) as usize)?;
            area.watched(message as u32);
            ptrace(libc::PTRACE_POKEUSER, tid, ORIG_RAX, usize::MAX)?;
            ptrace(libc::PTRACE_POKEUSER, tid, RAX, ANSWER as usize)?;
            signal = 0;
        } else if !begun && signal == libc::SIGSTOP {
            ptrace(libc::PTRACE_SETOPTIONS, tid, 0, options as usize)?;
            begun = true;
            signal = 0;
        }
        ptrace(libc::PTRACE_CONT, tid, 0, signal as usize)?;
    }
}

fn ptrace(request: libc::c_uint, tid: i32, address: usize, data: usize) -> Result<(), Trouble> {
    // SAFETY: the requests above read or write nothing of this process but the
    // event's message, which lives through the call.
    let raw = unsafe { libc::ptrace(request, tid, address, data) };
    match Errno::result(raw) {
        // Killed meanwhile: the wait that follows tells.
        Ok(_) | Err(Errno::ESRCH) => Ok(()),
        Err(error) => Err(Trouble::Call("ptrace(2)", error)),
    }
}
