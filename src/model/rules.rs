//! What the ioctls of a listener make of their arguments, before they look at
//! any notification: rules that need no world.

use crate::profile::Profile;

const CONTINUE: u32 = libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32;
pub(super) const SETFD: u32 = libc::SECCOMP_ADDFD_FLAG_SETFD as u32;
pub(super) const SEND: u32 = libc::SECCOMP_ADDFD_FLAG_SEND as u32;
const ADDFD_SIZE: usize = 24;
const PAGE: usize = 4096;

/// The errno with which SEND refuses a response whatever it is for
/// (`seccomp_notify_send`).
#[must_use]
pub fn response_refused(profile: &Profile, val: i64, error: i32, flags: u32) -> Option<i32> {
    let known = if profile.holds("send-continue") == Some(true) { CONTINUE } else { 0 };
    let empty = val == 0 && error == 0;
    (flags & !known != 0 || flags & CONTINUE != 0 && !empty).then_some(libc::EINVAL)
}

/// What the target's call returns for a response that was taken; `None` where
/// it is made after all.
#[must_use]
pub fn response_returns(val: i64, error: i32, flags: u32) -> Option<i64> {
    // syscall_set_return_value: `error ?: val`.
    let result = if error == 0 { val } else { i64::from(error) };
    (flags & CONTINUE == 0).then_some(result)
}

/// The errno with which ADDFD refuses a request whatever it is for
/// (`seccomp_notify_ioctl`, `seccomp_notify_addfd`). `size` is the one in the
/// ioctl's number, `tail` whether a byte after the fields is set.
#[must_use]
pub fn addfd_refused(
    profile: &Profile,
    (size, tail): (usize, bool),
    (flags, newfd, newfd_flags): (u32, u32, u32),
) -> Option<i32> {
    let has = |fact| profile.holds(fact) == Some(true);
    if !has("addfd") || !(ADDFD_SIZE..PAGE).contains(&size) {
        return Some(libc::EINVAL);
    }
    if tail && size > ADDFD_SIZE {
        return Some(libc::E2BIG);
    }
    let send = if has("addfd-send") { SEND } else { 0 };
    let wrong = newfd_flags & !(libc::O_CLOEXEC as u32) != 0
        || flags & !(SETFD | send) != 0
        || newfd != 0 && flags & SETFD == 0;
    wrong.then_some(libc::EINVAL)
}

/// Where ADDFD puts a descriptor in a target that may have `most`: `None` for
/// the lowest number that is free (`receive_fd`, `receive_fd_replace`).
///
/// # Errors
///
/// The errno for a number that cannot be had.
pub fn addfd_place(profile: &Profile, number: Option<u32>, most: u64) -> Result<Option<u32>, i32> {
    match number {
        // A negative number was taken for none.
        Some(huge) if huge >> 31 == 1 && profile.holds("addfd-rejects-huge-fd") != Some(true) => {
            Ok(None)
        }
        Some(number) if u64::from(number) >= most => Err(libc::EBADF),
        place => Ok(place),
    }
}
