//! What programs do to calls: a task a stack of programs.

use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

use nix::errno::Errno;

use super::task::{self, Block, Trap};
use crate::abi::traced_return_addresses;
use crate::abi::{AUDIT_ARCH_I386, AUDIT_ARCH_X86_64, SeccompData, SockFilter, SockFprog};
use crate::bpf::Program;
use crate::filter::{Action, evaluate_stack};

/// Most programs that a task installs, the guard among them.
pub const MOST_PROGRAMS: usize = 8;
/// Most calls that a task makes.
pub const MOST_CALLS: usize = 64;
/// Tasks that may be lost to one stack by actions that kill.
const MOST_TASKS: usize = 4;

/// What came of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It came back with this in the register.
    Returned(i64),
    /// The call was made.
    Made,
    /// SIGSYS, with the data, number and architecture that it told.
    Trapped(u32, i32, u32),
    /// It was the end of the task.
    Killed,
}

/// What came of a stack of programs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// The results of seccomp(2), as far as it came.
    pub installed: Vec<Outcome>,
    /// What came of each call, as far as it came.
    pub calls: Vec<Outcome>,
}

#[repr(C)]
struct Area {
    trap: Trap,
    /// The programs that were installed, or are being.
    installing: AtomicU32,
    /// The calls that were made, or are being.
    calling: AtomicU32,
    pid: AtomicI64,
    first: u32,
    programs: u32,
    calls: u32,
    program: [SockFprog; MOST_PROGRAMS],
    call: [SeccompData; MOST_CALLS],
    result: [AtomicI64; MOST_PROGRAMS + MOST_CALLS],
    /// 0 for a result, else the SIGSYS's data, and more.
    trapped: [AtomicI64; MOST_PROGRAMS + MOST_CALLS],
    trap_nr: [AtomicU32; MOST_PROGRAMS + MOST_CALLS],
    trap_arch: [AtomicU32; MOST_PROGRAMS + MOST_CALLS],
}

/// Installs programs and makes calls in tasks that are thrown away.
pub struct Programs {
    block: Block<Area>,
    guard: Program,
}

impl Programs {
    /// Prepares for them. From now on this process leaves no core: before
    /// Linux 5.16 a task's core takes all along that share its memory.
    ///
    /// # Errors
    ///
    /// That of prctl(2).
    pub fn new() -> Result<Self, Errno> {
        // SAFETY: sets an attribute of this process.
        Errno::result(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) })?;
        Ok(Self { block: Block::new(), guard: guard() })
    }

    /// Installs programs, oldest first, above the guard, and makes the calls:
    /// nr, arch and args of each count.
    ///
    /// # Errors
    ///
    /// That of clone(2).
    ///
    /// # Panics
    ///
    /// When there are more than [`MOST_PROGRAMS`] - 1 or [`MOST_CALLS`], or a
    /// program that is longer than seccomp(2) can be told.
    pub fn run<P: AsRef<[SockFilter]>>(
        &mut self,
        programs: &[P],
        calls: &[SeccompData],
    ) -> Result<Observed, Errno> {
        assert!(programs.len() < MOST_PROGRAMS && calls.len() <= MOST_CALLS);
        assert!(programs.iter().all(|one| one.as_ref().len() <= usize::from(u16::MAX)));
        let mut observed = Observed::default();
        let pointer = self.block.pointer();
        for _ in 0..MOST_TASKS {
            let first = observed.calls.len();
            {
                // SAFETY: no task runs that could look at it.
                let area = unsafe { &mut *pointer };
                area.program[0] = task::fprog(&self.guard);
                for (to, from) in area.program[1..].iter_mut().zip(programs) {
                    *to = task::fprog(from.as_ref());
                }
                area.call[..calls.len()].copy_from_slice(calls);
                (area.programs, area.calls) = (programs.len() as u32 + 1, calls.len() as u32);
                area.first = first as u32;
                (area.installing, area.calling) = (0.into(), area.first.into());
            }
            let pid = self.block.start(libc::CLONE_VFORK, run).map_err(Errno::from_raw)?;
            task::wait(pid);
            // SAFETY: the task has ended; nobody else writes.
            let area = unsafe { &*pointer };
            let installing = area.installing.load(Ordering::Acquire) as usize;
            let at = |index| area.outcome(index);
            // The guard's own result is no part of it.
            let whole = installing > programs.len();
            let installed = if whole { programs.len() } else { installing.saturating_sub(1) };
            observed.installed = (1..=installed).map(at).collect();
            if !whole {
                observed.installed.push(Outcome::Killed);
                break;
            }
            let calling = area.calling.load(Ordering::Acquire) as usize;
            observed.calls.extend((first..calling).map(|index| at(MOST_PROGRAMS + index)));
            if calling == calls.len() {
                break;
            }
            observed.calls.push(Outcome::Killed);
        }
        Ok(observed)
    }

    /// What should come of it, by evaluation; `installs` says what seccomp(2)
    /// makes of a program above others, where it is made.
    pub fn expected<P: AsRef<[SockFilter]>>(
        &self,
        programs: &[P],
        calls: &[SeccompData],
        mut installs: impl FnMut(&[&[SockFilter]], &[SockFilter]) -> i64,
    ) -> Observed {
        let mut expected = Observed::default();
        let mut stack: Vec<&[SockFilter]> = vec![&self.guard];
        for (index, program) in programs.iter().enumerate() {
            let program = program.as_ref();
            // SAFETY: only the address is taken.
            let at = unsafe { &raw const (*self.block.pointer()).program[index + 1] };
            let data = SeccompData {
                nr: libc::SYS_seccomp as i32,
                arch: AUDIT_ARCH_X86_64,
                instruction_pointer: task::install_address(),
                args: [libc::SECCOMP_SET_MODE_FILTER.into(), 0, at as u64, 0, 0, 0],
            };
            let outcome = outcome_of(&stack, &data);
            let outcome = match outcome {
                Outcome::Made => Outcome::Returned(installs(&stack, program)),
                // In seccomp(2) a task has no way out but to end.
                Outcome::Trapped(..) => Outcome::Killed,
                other => other,
            };
            expected.installed.push(outcome);
            match outcome {
                Outcome::Returned(0) if outcome_of(&stack, &data) == Outcome::Made => {
                    stack.push(program);
                }
                Outcome::Killed => return expected,
                _ => {}
            }
        }
        let mut killed = 0;
        for data in calls {
            let instruction_pointer = instruction_pointer(data.arch);
            let outcome = outcome_of(&stack, &SeccompData { instruction_pointer, ..*data });
            expected.calls.push(outcome);
            killed += usize::from(outcome == Outcome::Killed);
            if killed == MOST_TASKS {
                break;
            }
        }
        expected
    }
}

impl Area {
    fn outcome(&self, index: usize) -> Outcome {
        match task::get(&self.trapped[index]) {
            0 => match task::get(&self.result[index]) {
                own if own == task::get(&self.pid) => Outcome::Made,
                raw => Outcome::Returned(raw),
            },
            data => {
                let nr = self.trap_nr[index].load(Ordering::Relaxed).cast_signed();
                let arch = self.trap_arch[index].load(Ordering::Relaxed);
                Outcome::Trapped((data - 1) as u32, nr, arch)
            }
        }
    }
}

/// Where calls of an architecture seem to be made.
#[must_use]
pub fn instruction_pointer(arch: u32) -> u64 {
    traced_return_addresses()[usize::from(arch == AUDIT_ARCH_I386)]
}

/// Keeps calls under test from being made: they are TRACE without a tracer,
/// unless a program says something stronger. getpid(2) alone may be made.
fn guard() -> Program {
    let [syscall, int80] = traced_return_addresses();
    let mut text = String::new();
    for (name, address, nr) in [("a", syscall, 39), ("b", int80, 20)] {
        text += &format!(
            "ld [instruction_pointer]\njeq #{}, {name}1, {name}9\n\
             {name}1: ld [instruction_pointer.hi]\njeq #{}, {name}2, {name}9\n\
             {name}2: ld [nr]\njeq #{nr}, {name}3, {name}4\n\
             {name}3: ret ALLOW\n{name}4: ret TRACE(1)\n{name}9: ",
            address as u32,
            address >> 32,
        );
    }
    text += "ret ALLOW\n";
    crate::bpf::assemble(&text).unwrap_or_else(|error| panic!("the guard: {error}"))
}

/// What should come of a call under a stack of programs.
fn outcome_of(stack: &[&[SockFilter]], data: &SeccompData) -> Outcome {
    let word = evaluate_stack(stack, data).map_or(Action::Allow.to_u32(), |(_, word)| word);
    let low = word & libc::SECCOMP_RET_DATA;
    match word & libc::SECCOMP_RET_ACTION_FULL {
        libc::SECCOMP_RET_ALLOW | libc::SECCOMP_RET_LOG => Outcome::Made,
        libc::SECCOMP_RET_TRACE | libc::SECCOMP_RET_USER_NOTIF => {
            Outcome::Returned(-i64::from(libc::ENOSYS))
        }
        libc::SECCOMP_RET_ERRNO => Outcome::Returned(-i64::from(low.min(4095))),
        libc::SECCOMP_RET_TRAP => Outcome::Trapped(low, data.nr, data.arch),
        _ => Outcome::Killed,
    }
}

/// The task.
extern "C" fn run(area: u64) {
    // SAFETY: the parent keeps the block until this task has ended, and waits.
    let area = unsafe { &*(area as *const Area) };
    area.trap.reset();
    task::prepare();
    area.pid.store(task::own(libc::SYS_getpid, [0; 6]), Ordering::Relaxed);
    for index in 0..area.programs as usize {
        let Some(program) = area.program.get(index) else { break };
        let raw = task::install(program, 0);
        area.note(index, raw);
        area.installing.store(index as u32 + 1, Ordering::Release);
    }
    for index in area.first as usize..area.calls as usize {
        let Some(data) = area.call.get(index) else { break };
        area.trap.count.store(0, Ordering::Relaxed);
        let number = data.nr.cast_unsigned().into();
        let raw = task::call(&area.trap, number, &data.args, data.arch == AUDIT_ARCH_I386);
        area.note(MOST_PROGRAMS + index, raw);
        area.calling.store(index as u32 + 1, Ordering::Release);
    }
    task::end()
}

impl Area {
    fn note(&self, index: usize, raw: i64) {
        let Some(result) = self.result.get(index) else { return };
        let trapped = self.trap.count.swap(0, Ordering::Relaxed) > 0;
        let data = i64::from(self.trap.errno.load(Ordering::Relaxed)) + 1;
        result.store(raw, Ordering::Relaxed);
        self.trapped[index].store(if trapped { data } else { 0 }, Ordering::Relaxed);
        self.trap_nr[index].store(self.trap.nr.load(Ordering::Relaxed), Ordering::Relaxed);
        self.trap_arch[index].store(self.trap.arch.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}
