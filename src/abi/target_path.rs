//! Reading what a target's pointer points to, as seccomp_unotify(2) wants it
//! done.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use nix::errno::Errno;

use super::{Listener, SeccompNotif};

/// What was found where a target's path should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetPath {
    /// A path, read while the target waited. Another thread of the target may
    /// have changed it since: act on this copy, or not at all.
    Path(CString),
    /// The target no longer waits in that call, so nothing is known about
    /// what its memory holds.
    IdGone,
    /// The memory cannot be opened or read.
    Unreadable(Errno),
    /// There is no null byte in the first `PATH_MAX` bytes, or before the end
    /// of the memory.
    Unterminated,
}

/// Reads the path at `address` in the target's memory.
///
/// The id is checked twice. A check after `/proc/PID/mem` is open says that
/// PID was not another process by then, for the kernel gives numbers of ended
/// processes to new ones. A check after reading says that the target had not
/// gone on, and made some other use of that memory.
#[must_use]
pub fn read_target_path(
    listener: &Listener,
    notification: &SeccompNotif,
    address: u64,
) -> TargetPath {
    let memory = File::open(format!("/proc/{}/mem", notification.pid));
    if listener.id_valid(notification.id).is_err() {
        return TargetPath::IdGone;
    }
    let mut bytes = vec![0; libc::PATH_MAX as usize];
    let read = memory.and_then(|memory| memory.read_at(&mut bytes, address));
    if listener.id_valid(notification.id).is_err() {
        return TargetPath::IdGone;
    }
    match read {
        Ok(0) => TargetPath::Unreadable(Errno::EIO),
        Ok(count) => match CStr::from_bytes_until_nul(&bytes[..count]) {
            Ok(path) => TargetPath::Path(path.to_owned()),
            Err(_) => TargetPath::Unterminated,
        },
        Err(error) => TargetPath::Unreadable(errno(&error)),
    }
}

fn errno(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}
