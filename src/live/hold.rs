//! Pages on which the kernel's own accesses wait for the director.
//!
//! A held page is a shared file mapping that is registered with
//! userfaultfd(2) and has no page yet. Whoever touches it, the kernel in
//! `copy_from_user` included, sleeps until the page is filled (`release`) or
//! the file is cut off under it (`fail`, which ends as EFAULT).

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use super::actor::HOLD;
use crate::scenario::arena::{desk, held};

const PAGE: u64 = 0x1000;
/// `UFFD_API`, and the ioctl numbers of `include/uapi/linux/userfaultfd.h`.
const UFFD_API: u64 = 0xaa;
const UFFDIO_API: u64 = 0xc018_aa3f;
const UFFDIO_REGISTER: u64 = 0xc020_aa00;
const UFFDIO_WAKE: u64 = 0x8010_aa02;
const UFFDIO_COPY: u64 = 0xc028_aa03;
const UFFDIO_REGISTER_MODE_MISSING: u64 = 1;

/// The files behind a scenario's held pages.
pub(super) fn files(count: usize) -> io::Result<Vec<File>> {
    (0..count)
        .map(|_| {
            let flags = nix::sys::memfd::MFdFlags::MFD_CLOEXEC;
            let file = File::from(nix::sys::memfd::memfd_create(c"held", flags)?);
            file.set_len(PAGE)?;
            Ok(file)
        })
        .collect()
}

/// In an actor: maps the held pages and keeps a userfaultfd for them at a
/// number that the worker knows.
pub(super) fn map(files: &[File]) -> io::Result<()> {
    if files.is_empty() {
        return Ok(());
    }
    // SAFETY: userfaultfd touches no memory.
    let fd = unsafe { libc::syscall(libc::SYS_userfaultfd, libc::O_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: dup2 touches no memory; the number is the stage's own.
    let fd = unsafe { libc::dup2(fd as RawFd, HOLD) };
    let mut api = [UFFD_API, 0, 0];
    ioctl(fd, UFFDIO_API, &mut api)?;
    for (index, file) in files.iter().enumerate() {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_SHARED | libc::MAP_FIXED_NOREPLACE;
        let address = held(index) as *mut libc::c_void;
        // SAFETY: MAP_FIXED_NOREPLACE replaces nothing, and the range is the
        // arena's.
        let mapped =
            unsafe { libc::mmap(address, PAGE as usize, protection, flags, file.as_raw_fd(), 0) };
        if mapped == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let mut register = [held(index), PAGE, UFFDIO_REGISTER_MODE_MISSING, 0];
        ioctl(fd, UFFDIO_REGISTER, &mut register)?;
    }
    Ok(())
}

/// In the worker: the userfaultfd of an actor's process.
pub(super) fn take(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: neither call touches memory of this process.
    let pidfd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if pidfd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was made just now and nobody else owns it.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd as RawFd) };
    // SAFETY: as above.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_getfd, pidfd.as_raw_fd(), HOLD, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: as for the pidfd.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// What an actor has built on its desk.
pub(super) fn desk_of(actor: usize, pid: i32) -> io::Result<Vec<u8>> {
    let mut page = vec![0u8; PAGE as usize];
    let mut local = [io::IoSliceMut::new(&mut page)];
    let remote = [nix::sys::uio::RemoteIoVec { base: desk(actor) as usize, len: PAGE as usize }];
    nix::sys::uio::process_vm_readv(nix::unistd::Pid::from_raw(pid), &mut local, &remote)?;
    Ok(page)
}

/// Fills a held page, with zeros after these bytes, and wakes who waits for it.
pub(super) fn release(uffd: &OwnedFd, index: usize, bytes: &[u8]) -> io::Result<()> {
    let mut page = vec![0u8; PAGE as usize];
    page[..bytes.len()].copy_from_slice(bytes);
    let mut copy = [held(index), page.as_ptr() as u64, PAGE, 0, 0];
    ioctl(uffd.as_raw_fd(), UFFDIO_COPY, &mut copy)
}

/// Takes the page away for good and wakes who waits for it.
pub(super) fn fail(uffd: &OwnedFd, index: usize, file: &File) -> io::Result<()> {
    file.set_len(0)?;
    wake(uffd, index)
}

/// Has who waits for a page look again: another process has it by now, or nobody
/// ever will.
pub(super) fn wake(uffd: &OwnedFd, index: usize) -> io::Result<()> {
    let mut range = [held(index), PAGE];
    ioctl(uffd.as_raw_fd(), UFFDIO_WAKE, &mut range)
}

fn ioctl(fd: RawFd, request: u64, argument: &mut [u64]) -> io::Result<()> {
    // SAFETY: each request is passed a structure of the size that its number
    // says, and UFFDIO_COPY a source page that lives through the call.
    match unsafe { libc::ioctl(fd, request, argument.as_mut_ptr()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
