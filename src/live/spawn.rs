//! Sets the stage: memory, descriptors and processes of a scenario's actors.

use std::fs::File;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::sync::atomic::Ordering;

use nix::fcntl::OFlag;
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::unistd::pipe2;

use super::actor::{
    self, ACTOR_NAME, BEYOND, CONTROL, DONE, MEMORY, PASS_END, Stage, TAKE_END, TEXT,
};
use super::shared::Mapping;
use super::{Trouble, hold};
use crate::abi;
use crate::scenario::arena::{ARENA, ARENA_END, READONLY, UNMAPPED, desk, held};
use crate::scenario::{ActorId, Namespace, Origin, Participant, Policy, Schedule};

/// The worker's side of a stage that is set.
pub(super) struct Set {
    pub stage: Box<Stage>,
    /// The pipes over which actors get their turns.
    pub control: Vec<OwnedFd>,
    /// The pipe over which they say that they are done.
    pub done: OwnedFd,
    /// Descriptors that actors inherit, kept open for those that come later.
    _inherited: Vec<OwnedFd>,
    /// The files behind held pages.
    pub held: Vec<File>,
    /// Process ids of those that this process forked.
    pub children: Vec<(ActorId, i32)>,
}

impl Set {
    /// Forks the actors that are there from the start. `text` is the scenario
    /// for an actor that executes the tool anew, `scratch` the directory in
    /// which actors begin.
    pub fn new(schedule: Schedule, text: &[u8], scratch: &Path) -> Result<Set, Trouble> {
        map_arena(&schedule)?;
        let (shared, memory) = Mapping::new()?;
        let mut inherited = vec![at_number(memory.as_raw_fd(), MEMORY)?];
        let text_file = File::from(nix::sys::memfd::memfd_create(
            c"scenario",
            nix::sys::memfd::MFdFlags::MFD_CLOEXEC,
        )?);
        (&text_file).write_all(text)?;
        inherited.push(at_number(text_file.as_raw_fd(), TEXT)?);
        let (pass, take) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
        inherited.push(at_number(pass.as_raw_fd(), PASS_END)?);
        inherited.push(at_number(take.as_raw_fd(), TAKE_END)?);
        let (done, done_end) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        inherited.push(at_number(done_end.as_raw_fd(), DONE)?);
        let mut control = Vec::new();
        for index in 0..schedule.actors.len() {
            let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
            inherited.push(at_number(read.as_raw_fd(), CONTROL + index as i32)?);
            control.push(above(write.as_raw_fd())?);
        }
        let done = above(done.as_raw_fd())?;
        // An actor is a copy of this process, and so has a box of its own.
        let stage = Box::new(Stage { schedule, shared });
        actor::set_stage(&stage);
        let held = hold::files(stage.schedule.held.len())?;
        let mut set =
            Set { stage, control, done, _inherited: inherited, held, children: Vec::new() };
        for index in 0..set.stage.schedule.actors.len() {
            if set.stage.schedule.actors[index].origin == Origin::Start {
                let pid = fork(&set.stage, ActorId(index), &set.held, scratch)?;
                // As this process sees it: the actor may see another number.
                set.stage.shared.actors[index].tid.store(pid, Ordering::Release);
                set.children.push((ActorId(index), pid));
            }
        }
        Ok(set)
    }
}

/// Duplicates a descriptor to a number of the actors' own, not closed on
/// exec.
fn at_number(fd: RawFd, number: RawFd) -> Result<OwnedFd, Trouble> {
    // SAFETY: dup2 touches no memory, and the number is the stage's own.
    let got = unsafe { libc::dup2(fd, number) };
    if got < 0 {
        return Err(io::Error::last_os_error().into());
    }
    // SAFETY: the descriptor was made just now and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(got) })
}

/// Duplicates a descriptor to a number above those of the actors.
fn above(fd: RawFd) -> Result<OwnedFd, Trouble> {
    // SAFETY: the caller holds the descriptor open.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    let got = nix::fcntl::fcntl(fd, nix::fcntl::FcntlArg::F_DUPFD_CLOEXEC(BEYOND))?;
    // SAFETY: as in at_number.
    Ok(unsafe { OwnedFd::from_raw_fd(got) })
}

/// Maps the arena anew and fills it; what an earlier scenario left is gone.
pub(super) fn map_arena(schedule: &Schedule) -> Result<(), Trouble> {
    let read_write = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: the range belongs to the arena: nothing of Rust's lies there,
    // as the kernel maps a position-independent executable far above.
    let cleared = unsafe { libc::munmap(UNMAPPED as *mut _, (ARENA_END - UNMAPPED) as usize) };
    if cleared != 0 {
        return Err(io::Error::last_os_error().into());
    }
    map(ARENA, READONLY - ARENA, read_write)?;
    map(READONLY, 0x1000, ProtFlags::PROT_READ)?;
    for index in 0..schedule.actors.len() {
        map(desk(index), 0x1000, read_write)?;
    }
    let stacks = held(crate::scenario::arena::MOST_HELD);
    map(stacks, ARENA_END - stacks, read_write)?;
    let bytes = schedule.arena.bytes();
    // SAFETY: the mapping is larger than the arena's data can be.
    let data = unsafe { std::slice::from_raw_parts_mut(ARENA as *mut u8, bytes.len()) };
    data.copy_from_slice(bytes);
    Ok(())
}

fn map(address: u64, len: u64, protection: ProtFlags) -> Result<(), Trouble> {
    let at = NonZeroUsize::new(address as usize);
    let len = NonZeroUsize::new(len as usize).expect("no mapping is empty");
    let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_FIXED_NOREPLACE;
    // SAFETY: MAP_FIXED_NOREPLACE replaces nothing.
    unsafe { mmap_anonymous(at, len, protection, flags) }
        .map_err(|error| Trouble::Harness(format!("mapping the arena at {address:#x}: {error}")))?;
    Ok(())
}

fn fork(stage: &Stage, me: ActorId, held: &[File], scratch: &Path) -> Result<i32, Trouble> {
    let participant = &stage.schedule.actors[me.0];
    let worker = Credentials {
        process: std::process::id() as i32,
        user: nix::unistd::geteuid().as_raw(),
        group: nix::unistd::getegid().as_raw(),
    };
    let namespaces = participant.namespaces.iter().fold(0, |flags, namespace| {
        flags
            | match namespace {
                Namespace::User => libc::CLONE_NEWUSER,
                Namespace::Pid => libc::CLONE_NEWPID,
                Namespace::Mount => libc::CLONE_NEWNS,
            }
    });
    let flags = (libc::SIGCHLD | namespaces) as u64;
    // SAFETY: the worker has one thread, so the child finds no lock held; it
    // goes on to code that needs none.
    let pid = unsafe { abi::raw_syscall(libc::SYS_clone, [flags, 0, 0, 0, 0, 0]) };
    match pid {
        0 => {
            let prepared = prepare(participant, held, scratch, worker);
            if let Err(error) = prepared {
                let number = error.raw_os_error().unwrap_or(libc::EIO);
                stage.shared.actors[me.0].fault.store(number, Ordering::Release);
                // SAFETY: ends this process at once.
                unsafe { libc::_exit(111) };
            }
            actor::run(me)
        }
        pid if pid > 0 => Ok(pid as i32),
        error => {
            let error = io::Error::from_raw_os_error(-error as i32);
            Err(Trouble::Harness(format!("forking {}: {error}", participant.name)))
        }
    }
}

/// Who the worker is, as seen before a namespace hides it.
#[derive(Clone, Copy)]
struct Credentials {
    process: i32,
    user: u32,
    group: u32,
}

/// What an actor does first: it is a copy of the worker and sheds what the
/// worker has.
fn prepare(
    participant: &Participant,
    held: &[File],
    scratch: &Path,
    worker: Credentials,
) -> io::Result<()> {
    die_with_parent()?;
    let in_pid_namespace = participant.namespaces.contains(&Namespace::Pid);
    if !in_pid_namespace && nix::unistd::getppid().as_raw() != worker.process {
        return Err(io::Error::from_raw_os_error(libc::ESRCH));
    }
    actor::reset_signals();
    if participant.namespaces.contains(&Namespace::User) {
        become_root_of_namespace(worker)?;
    }
    std::env::set_current_dir(scratch)?;
    hold::map(held)?;
    // Nothing but the stage's descriptors, and /dev/null in place of the
    // worker's standard ones.
    close_range(3, CONTROL as u32 - 1)?;
    close_range(BEYOND as u32, u32::MAX)?;
    // SAFETY: dup2 touches no memory; 0 is /dev/null in a worker.
    if unsafe { libc::dup2(0, 2) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // A core pattern that is a pipe takes cores whatever the limit, unless
    // the limit is 1 (core(5)).
    nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_CORE, 1, 1)?;
    let name = format!("{ACTOR_NAME}{}\0", participant.name);
    prctl(libc::PR_SET_NAME, name.as_ptr() as u64)?;
    // Supervisors and tracers are siblings, which Yama does not let trace.
    // Without Yama the call is not known, and not needed.
    let _ = prctl(libc::PR_SET_PTRACER, u64::MAX);
    if let Some(cpu) = participant.cpu {
        bind_to(cpu as usize)?;
    }
    if let Some(policy) = participant.policy {
        set_policy(policy)?;
    }
    if let Some(user) = participant.user {
        become_user(user)?;
    }
    if participant.no_capabilities || participant.user.is_some() {
        drop_capabilities()?;
    }
    // A change of credentials takes both away.
    die_with_parent()?;
    prctl(libc::PR_SET_DUMPABLE, 1)?;
    Ok(())
}

fn prctl(option: i32, value: u64) -> io::Result<()> {
    // SAFETY: the options that are used set an attribute of this process; an
    // address among them is that of a live string.
    match unsafe { libc::prctl(option, value, 0, 0, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// No actor outlives its worker.
fn die_with_parent() -> io::Result<()> {
    prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as u64)
}

fn close_range(first: u32, last: u32) -> io::Result<()> {
    // SAFETY: the descriptors are closed by number; those that Rust still
    // owns in this copy of the worker are never used again.
    if unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) } == 0 {
        return Ok(());
    }
    // Before Linux 5.9 one by one.
    for fd in first..=last.min(1023) {
        // SAFETY: as above.
        unsafe { libc::close(fd as i32) };
    }
    Ok(())
}

/// Maps root of the new user namespace to the user that the worker is.
fn become_root_of_namespace(worker: Credentials) -> io::Result<()> {
    std::fs::write("/proc/self/setgroups", "deny")?;
    std::fs::write("/proc/self/uid_map", format!("0 {} 1", worker.user))?;
    std::fs::write("/proc/self/gid_map", format!("0 {} 1", worker.group))
}

/// Runs on one processor only, of those that this process may use.
fn bind_to(index: usize) -> io::Result<()> {
    use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
    let own = nix::unistd::Pid::from_raw(0);
    let allowed = sched_getaffinity(own)?;
    let may = |cpu: &usize| allowed.is_set(*cpu).unwrap_or(false);
    let cpu = (0..CpuSet::count()).filter(may).nth(index);
    let mut set = CpuSet::new();
    set.set(cpu.ok_or(io::ErrorKind::InvalidInput)?)?;
    Ok(sched_setaffinity(own, &set)?)
}

fn set_policy(policy: Policy) -> io::Result<()> {
    let (policy, priority) = match policy {
        Policy::Fifo => (libc::SCHED_FIFO, 10),
        Policy::Idle => (libc::SCHED_IDLE, 0),
    };
    let parameter = libc::sched_param { sched_priority: priority };
    // SAFETY: the parameter lives through the call.
    match unsafe { libc::sched_setscheduler(0, policy, &raw const parameter) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn become_user(user: u32) -> io::Result<()> {
    nix::unistd::setgroups(&[])?;
    let group = nix::unistd::Gid::from_raw(user);
    nix::unistd::setresgid(group, group, group)?;
    let user = nix::unistd::Uid::from_raw(user);
    nix::unistd::setresuid(user, user, user)?;
    Ok(())
}

fn drop_capabilities() -> io::Result<()> {
    // struct __user_cap_header_struct of version 3, and two empty sets.
    let header: [u32; 2] = [0x2008_0522, 0];
    let none = [0u32; 6];
    // SAFETY: both live through the call.
    match unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
