//! Calls about processes and their signals that neither std nor nix has as
//! safe functions.

use std::ffi::CStr;
use std::os::fd::{FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use nix::errno::Errno;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::unistd::Pid;

/// A descriptor that becomes readable when the process ends, pidfd_open(2).
/// It is close-on-exec.
///
/// # Errors
///
/// `ESRCH` where there is no such process, `ENOSYS` before Linux 5.3.
pub fn pidfd_open(pid: Pid) -> Result<OwnedFd, Errno> {
    // SAFETY: the call takes two numbers and touches no memory.
    let returned = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) };
    let number = Errno::result(returned)? as i32;
    // SAFETY: the kernel has just made this descriptor for the caller.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Makes mkdir(2) and returns the raw register: a supervisor may have put
/// there what no mkdir(2) returns.
pub fn mkdir(path: &CStr, mode: u32) -> i64 {
    let number = libc::SYS_mkdir.cast_unsigned();
    // SAFETY: the kernel reads the path, which lives through the call.
    unsafe { super::traced_syscall(number, &[path.as_ptr() as u64, mode.into(), 0, 0, 0, 0]) }
}

/// Gives a signal its default action.
///
/// # Errors
///
/// `EINVAL` for the two that have no other.
pub fn default_action(signal: Signal) -> Result<(), Errno> {
    let action = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    // SAFETY: no handler is set.
    unsafe { sigaction(signal, &action) }.map(drop)
}

static MESSAGE: AtomicPtr<u8> = AtomicPtr::new(std::ptr::null_mut());
static MESSAGE_LEN: AtomicUsize = AtomicUsize::new(0);

/// Sets a handler that writes `message` to standard output, and does nothing
/// else. A call that it interrupts is not restarted. There is one message for
/// all signals.
///
/// # Errors
///
/// `EINVAL` for signals that cannot be handled.
pub fn write_on_signal(signal: Signal, message: &'static str) -> Result<(), Errno> {
    // No length is right for two messages.
    MESSAGE_LEN.store(0, Ordering::SeqCst);
    MESSAGE.store(message.as_ptr().cast_mut(), Ordering::SeqCst);
    MESSAGE_LEN.store(message.len(), Ordering::SeqCst);
    let handler = SigHandler::Handler(write_message);
    let action = SigAction::new(handler, SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler makes one call, which is async-signal-safe, and
    // leaves errno as it was.
    unsafe { sigaction(signal, &action) }.map(drop)
}

extern "C" fn write_message(_: i32) {
    let address = MESSAGE.load(Ordering::SeqCst) as u64;
    let len = MESSAGE_LEN.load(Ordering::SeqCst) as u64;
    // SAFETY: the kernel reads a message that lives for ever. The bare
    // instruction leaves errno alone.
    unsafe { super::raw_syscall(libc::SYS_write, [1, address, len, 0, 0, 0]) };
}
