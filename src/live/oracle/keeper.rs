//! A process that has the guard on it and starts a thread for each stack of
//! programs: what a program may do, it does to that thread, or else to the
//! whole process, and not to its parent.
//!
//! Nothing here may use libc or thread-local storage: memory is the parent's.

use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

use super::task::{self, BLOCK, Entry, Trap};
use crate::abi::{AUDIT_ARCH_I386, SeccompData, SockFprog, traced_return_addresses};
use crate::bpf::{Program, assemble};

/// Most programs that a task installs.
pub const MOST_PROGRAMS: usize = 7;
/// Most calls that a task makes.
pub const MOST_CALLS: usize = 64;

/// Nobody's turn: the keeper has ended. The kernel writes it
/// (`CLONE_CHILD_CLEARTID`).
pub(super) const NOBODY: u32 = 0;
/// The parent's turn.
pub(super) const PARENT: u32 = 1;
/// The keeper's turn.
pub(super) const KEEPER: u32 = 2;

/// What the keeper, its threads and their parent tell each other.
#[repr(C)]
pub(super) struct Area {
    trap: Trap,
    /// Whose turn it is.
    pub turn: AtomicU32,
    /// The slot that is under way.
    pub at: AtomicU32,
    /// The id of a thread that is to be traced, once it is ready.
    pub tid: AtomicU32,
    /// What came of starting the thread.
    pub started: AtomicI64,
    /// What came of installing the guard.
    pub guarded: AtomicI64,
    /// The keeper's id.
    pub pid: AtomicI64,
    pub slot: [Slot; MOST_PROGRAMS + MOST_CALLS],
    /// Written in the parent's turn.
    pub case: Case,
}

/// What a thread is to do.
#[repr(C)]
pub(super) struct Case {
    pub guard: SockFprog,
    pub traced: bool,
    /// The programs, and the flags with which each is installed.
    pub programs: usize,
    pub program: [(SockFprog, u64); MOST_PROGRAMS],
    /// The first call to make, and the one after the last.
    pub first: usize,
    pub calls: usize,
    pub call: [SeccompData; MOST_CALLS],
}

/// What came of one call: of those that install programs, and then the others.
#[repr(C)]
pub(super) struct Slot {
    pub raw: AtomicI64,
    /// Whether there was a SIGSYS, and what it told.
    pub trapped: AtomicU32,
    pub errno: AtomicU32,
    pub nr: AtomicU32,
    pub arch: AtomicU32,
    /// What a tracer or a supervisor saw, plus 1.
    pub watched: AtomicU32,
}

impl Slot {
    fn note(&self, trap: &Trap, raw: i64) {
        let trapped = trap.count.swap(0, Ordering::Relaxed);
        self.raw.store(raw, Ordering::Relaxed);
        self.trapped.store(trapped, Ordering::Relaxed);
        for (to, from) in
            [(&self.errno, &trap.errno), (&self.nr, &trap.nr), (&self.arch, &trap.arch)]
        {
            to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }
}

/// Keeps calls under test from being made: they are TRACE without a tracer,
/// unless a program says something stronger; getpid(2) alone may be made. A
/// thread that exit(2) does not end makes a call that is the end of it.
pub(super) fn guard() -> Program {
    let [syscall, int80] = traced_return_addresses();
    let own = |nr: u32| format!("ld [nr]\njeq #{nr}, own, other\n");
    let calls = [
        ("end", task::end_address(), "ret KILL_THREAD\n".to_owned()),
        ("a", syscall, own(39)),
        ("b", int80, own(20)),
    ];
    let mut text = String::new();
    for (name, address, then) in calls {
        text += &format!(
            "ld [instruction_pointer]\njeq #{}, {name}1, {name}9\n\
             {name}1: ld [instruction_pointer.hi]\njeq #{}, {name}2, {name}9\n\
             {name}2: {then}{name}9: ",
            address as u32,
            address >> 32,
        );
    }
    text += "ja own\nother: ret TRACE(1)\nown: ret ALLOW\n";
    assemble(&text).unwrap_or_else(|error| panic!("the guard: {error}"))
}

/// The keeper.
pub(super) extern "C" fn keep(block: u64) {
    let area = block as *const Area;
    // SAFETY: the parent keeps the block as long as this process lives. Only
    // atomics of it are looked at here.
    let trap = unsafe { &(*area).trap };
    // SAFETY: as above.
    let turn = unsafe { &(*area).turn };
    // SAFETY: as above.
    let started = unsafe { &(*area).started };
    // SAFETY: as above.
    let pid = unsafe { &(*area).pid };
    trap.reset();
    task::own(libc::SYS_set_tid_address, [turn.as_ptr() as u64, 0, 0, 0, 0, 0]);
    task::prepare();
    pid.store(task::own(libc::SYS_getpid, [0; 6]), Ordering::Relaxed);
    // SAFETY: the guard is written before this process begins.
    let raw = task::install(trap, unsafe { &raw const (*area).case.guard }, 0);
    // SAFETY: as above.
    unsafe { (*area).guarded.store(raw, Ordering::Relaxed) };
    loop {
        task::set_and_wake(turn, PARENT);
        task::sleep_while(turn, PARENT);
        // This goes on when the thread has ended (CLONE_VFORK).
        let flags = libc::CLONE_SIGHAND | libc::CLONE_THREAD | libc::CLONE_VFORK;
        started.store(task::start(block, flags, BLOCK, run), Ordering::Relaxed);
    }
}

/// The thread that installs programs and makes calls.
extern "C" fn run(block: u64) {
    // SAFETY: the parent keeps the block until this thread has ended, and
    // leaves all but atomics alone.
    let area = unsafe { &*(block as *const Area) };
    let (trap, case) = (&area.trap, &area.case);
    trap.reset();
    if case.traced {
        be_traced(area);
    }
    for (index, (program, flags)) in case.program.iter().take(case.programs).enumerate() {
        let Some(slot) = area.slot.get(index) else { break };
        let raw = task::install(trap, program, *flags);
        slot.note(trap, raw);
        area.at.store(index as u32 + 1, Ordering::Release);
    }
    for index in case.first..case.calls {
        let at = case.programs + index;
        let (Some(data), Some(slot)) = (case.call.get(index), area.slot.get(at)) else { break };
        area.at.store(at as u32, Ordering::Release);
        let int80 = data.arch == AUDIT_ARCH_I386;
        let entry = if int80 { Entry::Int80 } else { Entry::Syscall };
        let raw = task::call(trap, data.nr.cast_unsigned().into(), &data.args, entry);
        slot.note(trap, raw);
        area.at.store(at as u32 + 1, Ordering::Release);
    }
    task::end()
}

/// Has the parent trace this thread, and stops, so that it can say what it
/// wants to be told.
fn be_traced(area: &Area) {
    task::own(libc::SYS_ptrace, [libc::PTRACE_TRACEME.into(), 0, 0, 0, 0, 0]);
    let tid = task::own(libc::SYS_gettid, [0; 6]);
    area.tid.store(tid as u32, Ordering::Release);
    let pid = area.pid.load(Ordering::Relaxed);
    let stop = libc::SIGSTOP as u64;
    task::own(libc::SYS_tgkill, [pid as u64, tid as u64, stop, 0, 0, 0]);
}
