//! One task that is notified again and again, beside its supervisor: what is
//! sent wrongly leaves its notification for the next case.

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicI32, AtomicI64, AtomicU32, Ordering};

use nix::errno::Errno;

use super::Trouble;
use super::place::Place;
use super::task::{self, Block, Entry, Trap};
use crate::abi::{
    Listener, SeccompNotifAddfd, SeccompNotifResp, SockFprog, notif_addfd, raw_syscall,
    traced_return_addresses,
};
use crate::bpf::{Program, assemble};

/// Descriptors that the task has between its calls: 0 to 2.
pub const DESCRIPTORS: u32 = 3;
/// How many descriptors it may have.
pub const DESCRIPTOR_LIMIT: u32 = 1024;
/// The largest size that an ioctl's number can say.
const LARGEST: usize = 0x3fff;

#[repr(C)]
struct Area {
    trap: Trap,
    /// The listener's number here, or a negative errno.
    listener: AtomicI64,
    ready: AtomicU32,
    /// What the last call returned.
    raw: AtomicI64,
    /// A descriptor to look at before all are closed, plus 1.
    watch: AtomicI32,
    /// What `F_GETFD` says of it.
    watched: AtomicI64,
    filter: SockFprog,
}

/// The task and its supervisor, which is the caller.
pub struct Notified {
    block: Block<Area>,
    pid: i32,
    listener: Listener,
    /// Ids of notifications, the pending one last.
    ids: Vec<u64>,
    buffer: Box<[u64]>,
    _filter: Program,
    _place: Place,
}

impl Notified {
    /// Starts the task, on the processor on which the caller is, and stays as
    /// long as this lives.
    ///
    /// # Errors
    ///
    /// What cannot be had here.
    pub fn new() -> Result<Self, Trouble> {
        let place = Place::here()?;
        let address = traced_return_addresses()[0];
        let filter = assemble(&format!(
            "ld [instruction_pointer]\njeq #{}, a, no\na: ld [instruction_pointer.hi]\n\
             jeq #{}, b, no\nb: ret USER_NOTIF\nno: ret ALLOW\n",
            address as u32,
            address >> 32
        ))
        .unwrap_or_else(|error| panic!("the filter: {error}"));
        let block: Block<Area> = Block::new();
        // SAFETY: the block is this one's alone, as no task runs yet.
        unsafe { (*block.pointer()).filter = task::fprog(&filter) };
        let pid = block.start(run).map_err(Trouble::of("clone(2)"))?;
        // SAFETY: all that is written while the task runs are atomics.
        let area = unsafe { &*block.pointer() };
        while area.ready.load(Ordering::Acquire) == 0 {
            std::thread::yield_now();
        }
        let number = task::get(&area.listener);
        if number < 0 {
            task::wait(pid).map_err(Trouble::of("wait4(2)"))?;
            return Err(Trouble::Call("seccomp(2)", Errno::from_raw(-number as i32)));
        }
        // SAFETY: the kernel has made it for both; the task has closed its own.
        let listener = Listener::new(unsafe { OwnedFd::from_raw_fd(number as i32) })
            .map_err(Trouble::of("SECCOMP_GET_NOTIF_SIZES"))?;
        let buffer = vec![0; LARGEST / 8 + 1].into();
        let ids = Vec::new();
        let mut made = Self { block, pid, listener, ids, buffer, _filter: filter, _place: place };
        made.receive()?;
        Ok(made)
    }

    fn area(&self) -> &Area {
        // SAFETY: all that is written while the task runs are atomics.
        unsafe { &*self.block.pointer() }
    }

    /// Ids of notifications, the pending one first.
    pub fn ids(&self) -> impl ExactSizeIterator<Item = u64> {
        self.ids.iter().rev().copied()
    }

    /// The listener.
    pub fn listener(&self) -> &Listener {
        &self.listener
    }

    /// Waits for the task's next call.
    fn receive(&mut self) -> Result<(), Trouble> {
        let id = loop {
            match self.listener.recv() {
                Err(Errno::EINTR) => {}
                received => {
                    break received.map_err(Trouble::of("SECCOMP_IOCTL_NOTIF_RECV"))?.id;
                }
            }
        };
        if self.ids.len() == 8 {
            self.ids.remove(0);
        }
        self.ids.push(id);
        Ok(())
    }

    /// What the target saw, once its next call is there: the register, or
    /// `None` where the call was made.
    ///
    /// # Errors
    ///
    /// That of RECV.
    pub fn returned(&mut self) -> Result<Option<i64>, Trouble> {
        self.receive()?;
        let raw = task::get(&self.area().raw);
        Ok((raw != self.own_result()).then_some(raw))
    }

    /// What the call returns where it is made.
    pub fn own_result(&self) -> i64 {
        self.pid.into()
    }

    /// SEND. Where it succeeds, [`returned`](Self::returned) comes next.
    ///
    /// # Errors
    ///
    /// That of SEND.
    pub fn send(&self, response: &SeccompNotifResp) -> Result<(), Errno> {
        self.listener.send(response)
    }

    /// ADDFD, with a size and a first byte after the fields. Returns the
    /// number.
    ///
    /// # Errors
    ///
    /// That of ADDFD.
    pub fn addfd(
        &mut self,
        request: &SeccompNotifAddfd,
        size: u16,
        tail: u8,
    ) -> Result<u32, Errno> {
        let size = usize::from(size).min(LARGEST);
        // SAFETY: the buffer is larger and aligned.
        unsafe { self.buffer.as_mut_ptr().cast::<SeccompNotifAddfd>().write(*request) };
        self.buffer[3] = tail.into();
        let listener = self.listener.as_fd().as_raw_fd() as u64;
        let args = [listener, notif_addfd(size).into(), self.buffer.as_ptr() as u64, 0, 0, 0];
        // SAFETY: the buffer is larger than the size in the ioctl's number.
        let raw = unsafe { raw_syscall(libc::SYS_ioctl, args) };
        if raw < 0 { Err(Errno::from_raw(-raw as i32)) } else { Ok(raw as u32) }
    }

    /// Lets the target go, and asks what `F_GETFD` there says of a descriptor;
    /// all but 0 to 2 are closed then.
    ///
    /// # Errors
    ///
    /// As [`returned`](Self::returned), and SEND's.
    pub fn flags_of(&mut self, descriptor: u32) -> Result<i64, Trouble> {
        self.area().watch.store(descriptor as i32 + 1, Ordering::Release);
        let id = self.ids().next().unwrap_or(0);
        self.send(&SeccompNotifResp { id, ..SeccompNotifResp::default() })
            .map_err(Trouble::of("SECCOMP_IOCTL_NOTIF_SEND"))?;
        self.returned()?;
        Ok(task::get(&self.area().watched))
    }
}

impl Drop for Notified {
    fn drop(&mut self) {
        // SAFETY: the task is this one's child and was not waited for.
        unsafe { libc::kill(self.pid, libc::SIGKILL) };
        let _ = task::wait(self.pid);
    }
}

/// The task.
extern "C" fn run(area: u64) {
    // SAFETY: the parent keeps the block until this task has ended.
    let area = unsafe { &*(area as *const Area) };
    area.trap.reset();
    task::prepare();
    let limit = [u64::from(DESCRIPTOR_LIMIT); 2];
    task::own(libc::SYS_setrlimit, [libc::RLIMIT_NOFILE.into(), limit.as_ptr() as u64, 0, 0, 0, 0]);
    let listener = task::install(&area.trap, &area.filter, libc::SECCOMP_FILTER_FLAG_NEW_LISTENER);
    area.listener.store(listener, Ordering::Release);
    // A table of its own, without what the parent has.
    task::own(libc::SYS_unshare, [libc::CLONE_FILES as u64, 0, 0, 0, 0, 0]);
    let close = || task::own(libc::SYS_close_range, [3, u32::MAX.into(), 0, 0, 0, 0]);
    close();
    area.ready.store(1, Ordering::Release);
    if listener < 0 {
        task::end();
    }
    loop {
        let raw = task::call(&area.trap, libc::SYS_getpid as u64, &[0; 6], Entry::Syscall);
        area.raw.store(raw, Ordering::Release);
        let watch = area.watch.load(Ordering::Acquire);
        if watch != 0 {
            let args = [(watch - 1) as u64, libc::F_GETFD as u64, 0, 0, 0, 0];
            area.watched.store(task::own(libc::SYS_fcntl, args), Ordering::Release);
            area.watch.store(0, Ordering::Release);
            close();
        }
    }
}
