//! What this machine lacks that a scenario needs.

use std::io::Error;

use crate::scenario::Need;

/// Why a need is not met here; `None` when it is. Each is tried, not guessed.
#[allow(unsafe_code)]
pub fn missing(need: Need) -> Option<String> {
    let lacking = |why: String| Some(format!("needs {}: {why}", need.meaning()));
    let root = nix::unistd::geteuid().is_root();
    match need {
        Need::Root => (!root).then(|| format!("needs {}", need.meaning())),
        Need::Unprivileged => None,
        Need::Realtime => {
            let try_fifo = in_child(|| {
                let parameter = libc::sched_param { sched_priority: 10 };
                // SAFETY: the parameter lives through the call.
                let set =
                    unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const parameter) };
                if set == 0 { 0 } else { last_errno() }
            });
            (try_fifo != 0).then(|| lacking(Error::from_raw_os_error(try_fifo).to_string()))?
        }
        Need::UserNamespace => {
            let made = in_child(|| {
                let flags = nix::sched::CloneFlags::CLONE_NEWUSER;
                nix::sched::unshare(flags).err().map_or(0, |error| error as i32)
            });
            (made != 0).then(|| lacking(Error::from_raw_os_error(made).to_string()))?
        }
        Need::Ia32 => {
            // i386 getpid; without emulation the instruction is a fault.
            let done = in_child(|| {
                // SAFETY: getpid touches no memory.
                let pid = unsafe { crate::abi::traced_int80(20, &[0; 6]) };
                i32::from(pid <= 0)
            });
            (done != 0).then(|| lacking("int $0x80 does not work".to_owned()))?
        }
        Need::Userfaultfd => {
            // SAFETY: userfaultfd touches no memory.
            let fd = unsafe { libc::syscall(libc::SYS_userfaultfd, libc::O_CLOEXEC) };
            if fd < 0 {
                return lacking(Error::last_os_error().to_string());
            }
            // SAFETY: the descriptor was made just now.
            unsafe { libc::close(fd as i32) };
            None
        }
        Need::Freezer => super::freezer::missing().and_then(lacking),
        Need::TwoCpus => {
            let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
            (cpus < 2).then(|| lacking("there is one".to_owned()))?
        }
    }
}

fn last_errno() -> i32 {
    Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)
}

/// The exit status of a child that runs `try_it`; a signal counts as failure.
#[allow(unsafe_code)]
fn in_child(try_it: impl FnOnce() -> i32) -> i32 {
    // SAFETY: only workers call this, and they have one thread.
    match unsafe { nix::unistd::fork() } {
        Ok(nix::unistd::ForkResult::Child) => {
            let status = try_it();
            // SAFETY: ends the child at once, without what exit(3) would run.
            unsafe { libc::_exit(status) }
        }
        Ok(nix::unistd::ForkResult::Parent { child }) => {
            match nix::sys::wait::waitpid(child, None) {
                Ok(nix::sys::wait::WaitStatus::Exited(_, status)) => status,
                _ => libc::EFAULT,
            }
        }
        Err(error) => error as i32,
    }
}
