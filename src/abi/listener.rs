//! Filters and listeners for an ordinary program: seccomp(2) and the ioctls
//! of seccomp_unotify(2), each with types for what it takes and gives.
//!
//! Actors of scenarios do not use these: they have neither libc nor a heap,
//! and they must be able to make every call wrongly.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::unistd::Pid;

use super::{
    NOTIF_ID_VALID, NOTIF_ID_VALID_WRONG_DIR, NOTIF_RECV, NOTIF_SEND, NOTIF_SET_FLAGS,
    SeccompNotif, SeccompNotifAddfd, SeccompNotifResp, SeccompNotifSizes, SockFilter, SockFprog,
    notif_addfd,
};

/// What came of a filter that the kernel took.
#[derive(Debug)]
pub enum Installed {
    /// The filter holds.
    Filter,
    /// The filter holds, and this is its listener
    /// (`SECCOMP_FILTER_FLAG_NEW_LISTENER`). It is close-on-exec.
    Listener(OwnedFd),
    /// Nothing was changed, for this thread could not be given the same
    /// filters (`SECCOMP_FILTER_FLAG_TSYNC` without `TSYNC_ESRCH`).
    Unsynchronised(Pid),
}

/// Installs a filter on this thread, `SECCOMP_SET_MODE_FILTER` with `flags`
/// out of `SECCOMP_FILTER_FLAG_*`.
///
/// Whatever the filter lies about, this process believes from now on: one
/// that returns `ERRNO(0)` for mmap(2), say, is the end of it.
///
/// # Errors
///
/// The kernel's errno. `EACCES` without no_new_privs or `CAP_SYS_ADMIN`;
/// `EBUSY` where a filter of this thread already has a listener.
pub fn install_filter(program: &[SockFilter], flags: u64) -> Result<Installed, Errno> {
    let len = program.len().try_into().or(Err(Errno::EINVAL))?;
    let program = SockFprog { len, filter: program.as_ptr() as u64 };
    let mode = libc::SECCOMP_SET_MODE_FILTER;
    // SAFETY: the kernel reads the program, which lives through the call.
    let returned = unsafe { libc::syscall(libc::SYS_seccomp, mode, flags, &raw const program) };
    let returned = Errno::result(returned)? as i32;
    // A listener may be descriptor 0, and a positive number is a descriptor
    // or a thread: only the flags tell.
    if flags & libc::SECCOMP_FILTER_FLAG_NEW_LISTENER != 0 {
        // SAFETY: the kernel has just made this descriptor for the caller.
        return Ok(Installed::Listener(unsafe { OwnedFd::from_raw_fd(returned) }));
    }
    Ok(match returned {
        0 => Installed::Filter,
        thread => Installed::Unsynchronised(Pid::from_raw(thread)),
    })
}

/// Whether the kernel knows these `SECCOMP_FILTER_FLAG_*` and lets them go
/// together. Asked without a program, so that nothing is ever installed: flags
/// are looked at first.
///
/// # Errors
///
/// What else forbids seccomp(2), as `ENOSYS` or a sandbox's `EPERM`.
pub fn knows_filter_flags(flags: u64) -> Result<bool, Errno> {
    let mode = libc::SECCOMP_SET_MODE_FILTER;
    // SAFETY: the kernel finds no program at that address, and says so.
    let returned = unsafe { libc::syscall(libc::SYS_seccomp, mode, flags, 0usize) };
    match Errno::result(returned) {
        Err(Errno::EFAULT) => Ok(true),
        Err(Errno::EINVAL) => Ok(false),
        Err(error) => Err(error),
        Ok(_) => Err(Errno::EFAULT),
    }
}

/// How large the kernel's structures are, `SECCOMP_GET_NOTIF_SIZES`.
///
/// # Errors
///
/// `EINVAL` before Linux 5.0.
pub fn notif_sizes() -> Result<SeccompNotifSizes, Errno> {
    let mut sizes = SeccompNotifSizes::default();
    let operation = libc::SECCOMP_GET_NOTIF_SIZES;
    // SAFETY: the kernel fills in the structure, which lives through the call.
    let returned = unsafe { libc::syscall(libc::SYS_seccomp, operation, 0, &raw mut sizes) };
    Errno::result(returned).map(|_| sizes)
}

/// The supervisor's end: notifications come from it, responses go to it. When
/// its last descriptor is closed, calls that wait for a response, and all
/// later ones, fail with `ENOSYS`.
#[derive(Debug)]
pub struct Listener {
    fd: OwnedFd,
    sizes: SeccompNotifSizes,
}

impl Listener {
    /// Takes a descriptor that [`install_filter`] made, here or in another
    /// process.
    ///
    /// # Errors
    ///
    /// As [`notif_sizes`].
    pub fn new(fd: OwnedFd) -> Result<Self, Errno> {
        Ok(Self { fd, sizes: notif_sizes()? })
    }

    /// Waits for a notification and takes it (`SECCOMP_IOCTL_NOTIF_RECV`).
    ///
    /// # Errors
    ///
    /// `ENOENT` where the notification went away meanwhile, and, since Linux
    /// 6.11, where nobody is left whom the filter holds. `EINTR` for a signal.
    pub fn recv(&self) -> Result<SeccompNotif, Errno> {
        // As large as either side may want it, and zero, which the kernel
        // insists on since Linux 5.5.
        let mut buffer = words(usize::from(self.sizes.notif).max(size_of::<SeccompNotif>()));
        self.ioctl(NOTIF_RECV, buffer.as_mut_ptr())?;
        // SAFETY: the buffer is aligned and at least as large; the kernel has
        // filled it in, and every bit pattern is a notification.
        Ok(unsafe { buffer.as_ptr().cast::<SeccompNotif>().read() })
    }

    /// Responds to a notification (`SECCOMP_IOCTL_NOTIF_SEND`).
    ///
    /// # Errors
    ///
    /// `ENOENT` where the target no longer waits in that call, `EINPROGRESS`
    /// where it has its response already, `EINVAL` for what makes no response.
    pub fn send(&self, response: &SeccompNotifResp) -> Result<(), Errno> {
        let mut buffer = words(usize::from(self.sizes.resp).max(size_of::<SeccompNotifResp>()));
        // SAFETY: the buffer is aligned and at least as large.
        unsafe { buffer.as_mut_ptr().cast::<SeccompNotifResp>().write(*response) };
        self.ioctl(NOTIF_SEND, buffer.as_mut_ptr()).map(drop)
    }

    /// Asks whether the target still waits in the call that `id` names
    /// (`SECCOMP_IOCTL_NOTIF_ID_VALID`).
    ///
    /// # Errors
    ///
    /// `ENOENT` where it does not: a signal took it out, or it has ended.
    pub fn id_valid(&self, mut id: u64) -> Result<(), Errno> {
        match self.ioctl(NOTIF_ID_VALID, &raw mut id) {
            // Kernels before Linux 5.9 know only the number with the wrong
            // direction.
            Err(Errno::EINVAL) => self.ioctl(NOTIF_ID_VALID_WRONG_DIR, &raw mut id).map(drop),
            answered => answered.map(drop),
        }
    }

    /// Puts a descriptor into the target (`SECCOMP_IOCTL_NOTIF_ADDFD`, Linux
    /// 5.9); returns its number there.
    ///
    /// # Errors
    ///
    /// `EBADF` for `srcfd`, `EMFILE` where the target may have no more,
    /// `ENOENT` and `EINPROGRESS` as for [`send`](Self::send), `EINVAL` for
    /// unknown flags and on kernels that do not have it.
    pub fn addfd(&self, request: &SeccompNotifAddfd) -> Result<u32, Errno> {
        let mut request = *request;
        let number = self.ioctl(notif_addfd(size_of::<SeccompNotifAddfd>()), &raw mut request)?;
        Ok(number.cast_unsigned())
    }

    /// Sets the listener's flags, [`SYNC_WAKE_UP`](super::SYNC_WAKE_UP)
    /// (`SECCOMP_IOCTL_NOTIF_SET_FLAGS`, Linux 6.6).
    ///
    /// # Errors
    ///
    /// `EINVAL` for other flags and on kernels that do not have it.
    pub fn set_flags(&self, flags: u64) -> Result<(), Errno> {
        // SAFETY: this request takes a number and touches no memory.
        let returned = unsafe { libc::ioctl(self.fd.as_raw_fd(), NOTIF_SET_FLAGS.into(), flags) };
        Errno::result(returned).map(drop)
    }

    /// Makes a request whose argument is memory. Only for what is at least as
    /// large as the request's number says.
    fn ioctl<T>(&self, request: u32, argument: *mut T) -> Result<i32, Errno> {
        // SAFETY: callers pass memory of their own, which is large enough.
        Errno::result(unsafe { libc::ioctl(self.fd.as_raw_fd(), request.into(), argument) })
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Zeroed memory of at least `size` bytes, aligned for the structures.
fn words(size: usize) -> Vec<u64> {
    vec![0; size.div_ceil(size_of::<u64>())]
}

const _: () = assert!(align_of::<SeccompNotif>() <= align_of::<u64>());
const _: () = assert!(align_of::<SeccompNotifResp>() <= align_of::<u64>());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_the_headers_or_larger() {
        let sizes = notif_sizes().expect("the kernel has user notification");
        assert!(usize::from(sizes.notif) >= size_of::<SeccompNotif>());
        assert!(usize::from(sizes.resp) >= size_of::<SeccompNotifResp>());
    }

    #[test]
    fn errors_are_the_kernels() {
        let file = std::fs::File::open("/dev/null").expect("it is everywhere");
        let other = Listener::new(file.into()).expect("the sizes are known");
        assert_eq!(other.recv(), Err(Errno::ENOTTY));
        assert_eq!(other.send(&SeccompNotifResp::default()), Err(Errno::ENOTTY));
        assert_eq!(other.id_valid(0), Err(Errno::ENOTTY));
        assert_eq!(other.addfd(&SeccompNotifAddfd::default()), Err(Errno::ENOTTY));
        assert_eq!(other.set_flags(0), Err(Errno::ENOTTY));
        // A program has at least one instruction.
        assert_eq!(install_filter(&[], 0).unwrap_err(), Errno::EINVAL);
    }
}
