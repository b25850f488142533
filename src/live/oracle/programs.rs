//! What programs do to calls: a thread a stack of programs.

use std::sync::atomic::Ordering;

use nix::errno::Errno;

pub use super::keeper::{MOST_CALLS, MOST_PROGRAMS};

use super::Trouble;
use super::keeper::{Area, KEEPER, NOBODY, guard, keep};
use super::place::Place;
use super::task::{self, Block};
use super::watcher::{ANSWER, supervise, trace};
use crate::abi::traced_return_addresses;
use crate::abi::{AUDIT_ARCH_I386, AUDIT_ARCH_X86_64, SeccompData, SockFilter};
use crate::bpf::Program;
use crate::filter::evaluate_stack;

/// Calls of one stack that may be the end of a task: one by each action that
/// kills.
const MOST_KILLED: usize = 2;

/// What came of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It came back with this in the register.
    Returned(i64),
    /// The call was made.
    Made,
    /// SIGSYS, with the data, number and architecture that it told.
    Trapped(u32, i32, u32),
    /// A supervisor was notified.
    Notified,
    /// A tracer was told this.
    Traced(u32),
    /// It was the end of the thread.
    ThreadKilled,
    /// It was the end of the whole process.
    ProcessKilled,
}

/// Who looks on, and so tells apart what else looks the same: USER_NOTIF
/// without a listener and TRACE without a tracer both are ENOSYS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watch {
    /// Nobody.
    Nobody,
    /// A supervisor: the program of this index has a listener.
    Supervisor(usize),
    /// A tracer.
    Tracer,
}

/// What came of a stack of programs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// The results of seccomp(2), as far as it came; 0 for a listener.
    pub installed: Vec<Outcome>,
    /// What came of each call, as far as it came.
    pub calls: Vec<Outcome>,
}

/// Installs programs and makes calls in threads that are thrown away.
///
/// They belong to a process that has a guard on it, so that calls under test
/// are not made, and shares memory with this one. It is there as long as no
/// program kills it.
pub struct Programs {
    block: Block<Area>,
    guard: Program,
    keeper: Option<i32>,
    _place: Place,
}

impl Programs {
    /// Prepares for them. From now on this process leaves no core (before Linux
    /// 5.16 a task's core takes all along that share its memory), and the
    /// calling thread stays on its processor.
    ///
    /// # Errors
    ///
    /// What cannot be had here.
    pub fn new() -> Result<Self, Trouble> {
        // SAFETY: sets an attribute of this process.
        let dumpable = unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) };
        Errno::result(dumpable).map_err(Trouble::of("PR_SET_DUMPABLE"))?;
        // SAFETY: asks about a descriptor.
        let input = unsafe { libc::fcntl(0, libc::F_GETFD) };
        // Its number could be a listener's, or a filter's word for success.
        Errno::result(input).map_err(Trouble::of("standard input, which must be open"))?;
        let place = Place::here()?;
        Ok(Self { block: Block::new(), guard: guard(), keeper: None, _place: place })
    }

    /// Installs programs, oldest first, above the guard, and makes the calls:
    /// nr, arch and args of each count.
    ///
    /// # Errors
    ///
    /// What kept the kernel from being asked.
    ///
    /// # Panics
    ///
    /// When there are more than [`MOST_PROGRAMS`] or [`MOST_CALLS`], or a
    /// program that is longer than seccomp(2) can be told.
    pub fn run<P: AsRef<[SockFilter]>>(
        &mut self,
        programs: &[P],
        calls: &[SeccompData],
        watch: Watch,
    ) -> Result<Observed, Trouble> {
        assert!(programs.len() <= MOST_PROGRAMS && calls.len() <= MOST_CALLS);
        assert!(programs.iter().all(|one| one.as_ref().len() <= usize::from(u16::MAX)));
        self.keeper()?;
        {
            // SAFETY: the keeper sleeps and has no thread; it holds no reference
            // to what is not atomic.
            let case = unsafe { &mut (*self.block.pointer()).case };
            for (index, (to, from)) in case.program.iter_mut().zip(programs).enumerate() {
                *to = (task::fprog(from.as_ref()), watch.flags(index));
            }
            case.call[..calls.len()].copy_from_slice(calls);
            (case.programs, case.calls) = (programs.len(), calls.len());
            case.traced = watch == Watch::Tracer;
        }
        let mut observed = Observed::default();
        for _ in 0..MOST_KILLED {
            let first = programs.len() + observed.calls.len();
            let there = self.turn(observed.calls.len(), watch)?;
            let area = self.area();
            let at = area.at.load(Ordering::Acquire) as usize;
            let outcome = |index| area.outcome(index, watch);
            let killed = if there { Outcome::ThreadKilled } else { Outcome::ProcessKilled };
            observed.installed = (0..at.min(programs.len())).map(outcome).collect();
            if at < programs.len() {
                observed.installed.push(killed);
                break;
            }
            observed.calls.extend((first..at).map(outcome));
            if observed.calls.len() < calls.len() {
                observed.calls.push(killed);
            }
            if observed.calls.len() == calls.len() {
                break;
            }
        }
        Ok(observed)
    }

    fn area(&self) -> &Area {
        // SAFETY: what tasks write are atomics, and the rest is written in
        // `run` alone, which lends nothing out then.
        unsafe { &*self.block.pointer() }
    }

    /// Has a thread go through the case from that call on; whether the process
    /// is still there.
    fn turn(&mut self, first: usize, watch: Watch) -> Result<bool, Trouble> {
        let keeper = self.keeper()?;
        // SAFETY: the keeper sleeps and has no thread.
        unsafe { (*self.block.pointer()).case.first = first };
        let area = self.area();
        area.at.store(0, Ordering::Relaxed);
        area.tid.store(0, Ordering::Relaxed);
        area.slot.iter().for_each(|slot| slot.watched.store(0, Ordering::Relaxed));
        task::set_and_wake(&area.turn, KEEPER);
        let watched = match watch {
            Watch::Nobody => Ok(()),
            Watch::Supervisor(index) => supervise(area, index),
            Watch::Tracer => trace(area),
        };
        if let Err(trouble) = watched {
            self.end();
            return Err(trouble);
        }
        task::sleep_while(&area.turn, KEEPER);
        if area.turn.load(Ordering::Acquire) == NOBODY {
            self.keeper = None;
            let status = task::wait(keeper).map_err(Trouble::of("wait4(2)"))?;
            let killed = libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGSYS;
            return if killed { Ok(false) } else { Err(Trouble::Ended(status)) };
        }
        let started = task::get(&area.started);
        Errno::result(started as i32)
            .map_err(|_| Trouble::Call("clone(2)", Errno::from_raw(-started as i32)))?;
        Ok(true)
    }

    /// The process for threads, which is started where there is none.
    fn keeper(&mut self) -> Result<i32, Trouble> {
        if let Some(keeper) = self.keeper {
            return Ok(keeper);
        }
        // SAFETY: no task runs that could look at it.
        unsafe { (*self.block.pointer()).case.guard = task::fprog(&self.guard) };
        self.area().turn.store(KEEPER, Ordering::Release);
        let keeper = self.block.start(keep).map_err(Trouble::of("clone(2)"))?;
        self.keeper = Some(keeper);
        task::sleep_while(&self.area().turn, KEEPER);
        if self.area().turn.load(Ordering::Acquire) == NOBODY {
            self.keeper = None;
            let status = task::wait(keeper).map_err(Trouble::of("wait4(2)"))?;
            return Err(Trouble::Ended(status));
        }
        match task::get(&self.area().guarded) {
            0 => Ok(keeper),
            error => {
                self.end();
                Err(Trouble::Call("seccomp(2)", Errno::from_raw(-error as i32)))
            }
        }
    }

    /// Ends the process, whatever its threads are doing.
    fn end(&mut self) {
        let Some(keeper) = self.keeper.take() else { return };
        // SAFETY: the process is this one's child and was not waited for.
        unsafe { libc::kill(keeper, libc::SIGKILL) };
        // A thread that is traced is waited for, too, and first.
        let tid = self.area().tid.load(Ordering::Acquire);
        if tid != 0 {
            let _ = task::wait(tid as i32);
        }
        let _ = task::wait(keeper);
    }

    /// What should come of it, by evaluation; `installs` says what seccomp(2)
    /// makes of a program above others, where it is made. Calls that should be
    /// the end of a task are put last, and of each kind only one is kept: the
    /// others go on in one task, and all that a case costs is bounded.
    pub fn foresee<P: AsRef<[SockFilter]>>(
        &self,
        programs: &[P],
        calls: &mut Vec<SeccompData>,
        watch: Watch,
        mut installs: impl FnMut(&[&[SockFilter]], &[SockFilter]) -> i64,
    ) -> Observed {
        let mut foreseen = Observed::default();
        let mut stack = Stack { programs: vec![&self.guard], watch, listener: None };
        for (index, program) in programs.iter().enumerate() {
            let program = program.as_ref();
            // SAFETY: only the address is taken.
            let at = unsafe { &raw const (*self.block.pointer()).case.program[index].0 };
            let data = SeccompData {
                nr: libc::SYS_seccomp as i32,
                arch: AUDIT_ARCH_X86_64,
                instruction_pointer: task::install_address(),
                args: task::installing(at, watch.flags(index)),
            };
            let mut outcome = stack.outcome(&data);
            if outcome == Outcome::Made {
                let raw = installs(&stack.programs, program);
                outcome = Outcome::Returned(raw);
                if raw == 0 {
                    if watch == Watch::Supervisor(index) {
                        stack.listener = Some(stack.programs.len());
                    }
                    stack.programs.push(program);
                }
            }
            foreseen.installed.push(outcome);
            if outcome.kills() {
                calls.clear();
                return foreseen;
            }
        }
        let mut last = [None; MOST_KILLED];
        calls.retain(|data| {
            let instruction_pointer = instruction_pointer(data.arch);
            let outcome = stack.outcome(&SeccompData { instruction_pointer, ..*data });
            match outcome {
                Outcome::ThreadKilled => last[0] = Some((*data, outcome)),
                Outcome::ProcessKilled => last[1] = Some((*data, outcome)),
                _ => foreseen.calls.push(outcome),
            }
            !outcome.kills()
        });
        for (data, outcome) in last.into_iter().flatten() {
            calls.push(data);
            foreseen.calls.push(outcome);
        }
        foreseen
    }
}

impl Drop for Programs {
    fn drop(&mut self) {
        self.end();
    }
}

impl Watch {
    /// The flags with which the program of that index is installed.
    fn flags(self, index: usize) -> u64 {
        if self == Watch::Supervisor(index) { libc::SECCOMP_FILTER_FLAG_NEW_LISTENER } else { 0 }
    }
}

impl Outcome {
    /// Whether a task ends with it.
    #[must_use]
    pub fn kills(self) -> bool {
        matches!(self, Outcome::ThreadKilled | Outcome::ProcessKilled)
    }
}

impl Area {
    fn outcome(&self, index: usize, watch: Watch) -> Outcome {
        let slot = &self.slot[index];
        let raw = task::get(&slot.raw);
        match (slot.watched.load(Ordering::Acquire), watch) {
            (1.., Watch::Supervisor(_)) if raw == ANSWER => return Outcome::Notified,
            (told @ 1.., Watch::Tracer) if raw == ANSWER => return Outcome::Traced(told - 1),
            _ => {}
        }
        if slot.trapped.load(Ordering::Relaxed) > 0 {
            let [data, nr, arch] =
                [&slot.errno, &slot.nr, &slot.arch].map(|word| word.load(Ordering::Relaxed));
            return Outcome::Trapped(data, nr.cast_signed(), arch);
        }
        match raw {
            // The number of a listener is of no interest.
            1.. if watch == Watch::Supervisor(index) => Outcome::Returned(0),
            raw if raw == task::get(&self.pid) => Outcome::Made,
            raw => Outcome::Returned(raw),
        }
    }
}

/// Where calls of an architecture seem to be made.
#[must_use]
pub fn instruction_pointer(arch: u32) -> u64 {
    traced_return_addresses()[usize::from(arch == AUDIT_ARCH_I386)]
}

/// Programs as they are installed, oldest first, the guard among them.
struct Stack<'p> {
    programs: Vec<&'p [SockFilter]>,
    watch: Watch,
    /// Which of them has a listener.
    listener: Option<usize>,
}

impl Stack<'_> {
    /// What should come of a call.
    fn outcome(&self, data: &SeccompData) -> Outcome {
        let no_such_call = Outcome::Returned(-i64::from(libc::ENOSYS));
        let Some((index, word)) = evaluate_stack(&self.programs, data) else {
            return Outcome::Made;
        };
        let low = word & libc::SECCOMP_RET_DATA;
        match word & libc::SECCOMP_RET_ACTION_FULL {
            libc::SECCOMP_RET_ALLOW | libc::SECCOMP_RET_LOG => Outcome::Made,
            libc::SECCOMP_RET_TRACE if self.watch == Watch::Tracer => Outcome::Traced(low),
            libc::SECCOMP_RET_USER_NOTIF if self.listener == Some(index) => Outcome::Notified,
            libc::SECCOMP_RET_TRACE | libc::SECCOMP_RET_USER_NOTIF => no_such_call,
            libc::SECCOMP_RET_ERRNO => Outcome::Returned(-i64::from(low.min(4095))),
            libc::SECCOMP_RET_TRAP => Outcome::Trapped(low, data.nr, data.arch),
            libc::SECCOMP_RET_KILL_THREAD => Outcome::ThreadKilled,
            _ => Outcome::ProcessKilled,
        }
    }
}
