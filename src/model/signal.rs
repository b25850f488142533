//! Signals: who is told of one, and who is woken for it (`kernel/signal.c`).

use std::collections::VecDeque;

use super::ptrace::Stop;
use super::task::{Ending, Info, State, Todo, Wait};
use super::world::{TaskId, World};
use crate::abi::{AUDIT_ARCH_I386, SeccompData};
use crate::filter::{Arch, Syscall};
use crate::scenario::Disposition;
use crate::trace::TrappedCall;

pub(super) const STOPS: [i32; 4] = [libc::SIGSTOP, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];
pub(super) const IGNORED: [i32; 4] = [libc::SIGCHLD, libc::SIGURG, libc::SIGWINCH, libc::SIGCONT];
/// Signals that end a process with a core dump, and so not its threads at
/// once (`SIG_KERNEL_COREDUMP_MASK`).
const DUMPS: [i32; 10] = [
    libc::SIGQUIT,
    libc::SIGILL,
    libc::SIGTRAP,
    libc::SIGABRT,
    libc::SIGFPE,
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGSYS,
    libc::SIGXCPU,
    libc::SIGXFSZ,
];

/// Why a signal comes, as `si_code` tells it.
#[derive(Clone, Copy)]
pub(super) enum Code {
    User,
    Tkill,
    /// `SEND_SIG_PRIV`.
    Kernel,
    /// What a child went through (`CLD_EXITED` and the like).
    Child(i32),
    Seccomp(u16),
}

/// A signal that was sent, and those who may see to it, as far as they have not
/// been asked (`complete_signal`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Choice {
    candidates: VecDeque<TaskId>,
    /// Whom it was sent to.
    target: TaskId,
    signal: i32,
}

/// What a handler can learn of a signal.
pub(super) fn info(code: Code, call: Option<&SeccompData>, register: u64) -> Info {
    let (code, errno) = match code {
        Code::User => (0, 0),
        Code::Tkill => (-6, 0),
        Code::Kernel => (0x80, 0),
        Code::Child(code) => (code, 0),
        Code::Seccomp(reason) => (1, i32::from(reason)),
    };
    let call = call.map(|data| {
        let arch = if data.arch == AUDIT_ARCH_I386 { Arch::I386 } else { Arch::X86_64 };
        Box::new(TrappedCall {
            call: Syscall::from_number(data.nr, arch).to_string(),
            arch: data.arch,
            at_call: true,
            resumes_at_call: true,
            register: register as i64,
        })
    });
    Info { code, errno, call, forced: false }
}

/// The bit of a signal in a set.
pub(super) fn bit(signal: i32) -> u64 {
    1u64.checked_shl(signal as u32 - 1).unwrap_or(0)
}

impl World<'_> {
    /// Whether an interruptible sleep of the task ends.
    pub fn disturbed(&self, task: TaskId) -> bool {
        self.tasks[task].signalled || self.tasks[task].killed
    }

    pub fn disposition(&self, task: TaskId, signal: i32) -> Disposition {
        let set = self.process_ref(task).dispositions.get(&signal).copied();
        set.unwrap_or(Disposition::Default)
    }

    /// Process 1 of a PID namespace gets no signal that it has not asked for.
    pub fn spared(&self, task: TaskId, signal: i32) -> bool {
        let process = self.tasks[task].process;
        let first = self.processes[process].namespaces.last() == Some(&process);
        first && signal != libc::SIGKILL && signal != libc::SIGSTOP
    }

    fn ignored(&self, task: TaskId, signal: i32) -> bool {
        if self.tasks[task].blocked & bit(signal) != 0
            || self.tasks[task].traced.is_some() && signal != libc::SIGKILL
        {
            return false;
        }
        match self.disposition(task, signal) {
            Disposition::Ignore => true,
            Disposition::Default => IGNORED.contains(&signal) || self.spared(task, signal),
            Disposition::Handler { .. } => false,
        }
    }

    /// Sends a signal to a task, or to its whole process; whether there is
    /// somebody to send it to.
    pub fn send_signal(&mut self, task: TaskId, signal: i32, whole: bool, info: Info) -> bool {
        let process = self.tasks[task].process;
        let unborn = self.tasks[task].state == State::Unborn;
        if unborn || !self.is_there(if whole { process } else { task }) {
            return false;
        }
        if signal == 0 {
            return true;
        }
        let threads: Vec<TaskId> = self.live_threads(process).collect();
        if threads.is_empty() || self.processes[process].ending.is_some() {
            return true;
        }
        if signal == libc::SIGKILL {
            // One that ends sees to nothing, not even to that (wants_signal).
            if whole || self.tasks[task].lives() {
                self.end_process(process, Ending::Signal(signal));
            }
            return true;
        }
        if STOPS.contains(&signal) {
            self.forget(process, &[libc::SIGCONT]);
        } else if signal == libc::SIGCONT {
            self.forget(process, &STOPS);
            self.end_stop(process);
            for &thread in &threads {
                let at_signal =
                    matches!(self.tasks[thread].state, State::Traced(Stop::Signal(..), _));
                self.tasks[thread].delivery.continued |= at_signal;
                self.notify_of_continuing(thread);
            }
        }
        let target = if whole { process } else { task };
        if self.ignored(target, signal) {
            return true;
        }
        let pending = match whole {
            true => &mut self.processes[process].pending,
            false => &mut self.tasks[task].pending,
        };
        // Of a standard signal one is kept, and a second wakes nobody.
        if pending.contains_key(&signal) {
            return true;
        }
        pending.insert(signal, info);
        let candidates = if whole { threads } else { vec![task] };
        self.choose(Choice { candidates: candidates.into(), target, signal });
        true
    }

    /// Chooses who is to see to a signal, as far as that is certain.
    fn choose(&mut self, mut choice: Choice) {
        while let Some(&one) = choice.candidates.front() {
            match self.wants(one, choice.signal) {
                Some(false) => choice.candidates.pop_front(),
                Some(true) => return self.signal_wakes(one, choice.target, choice.signal),
                None => return self.undecided.push(choice),
            };
        }
    }

    /// Makes the last open choice one way; the world in which it is made the
    /// other way.
    pub fn decide(&mut self) -> Option<Self> {
        let mut choice = self.undecided.pop()?;
        let mut other = self.clone();
        if let Some(one) = choice.candidates.pop_front() {
            other.signal_wakes(one, choice.target, choice.signal);
        }
        self.choose(choice);
        Some(other)
    }

    /// A task is chosen to see to a signal that was sent to `target`
    /// (`complete_signal`).
    fn signal_wakes(&mut self, chosen: TaskId, target: TaskId, signal: i32) {
        // One that ends the process without a core dump does so at once, unless
        // the tracer of whom it was sent to is to be asked.
        let fatal = self.disposition(chosen, signal) == Disposition::Default
            && !IGNORED.contains(&signal)
            && !STOPS.contains(&signal)
            && !DUMPS.contains(&signal)
            && !self.spared(chosen, signal);
        if fatal && self.tasks[target].traced.is_none() {
            let process = self.tasks[chosen].process;
            self.end_process(process, Ending::Signal(signal));
        } else {
            self.disturb(chosen);
        }
    }

    /// wants_signal: one that has a signal to deliver already is not woken for
    /// another, unless it runs on a processor; nobody knows (`None`) whether one
    /// that could run does.
    fn wants(&self, task: TaskId, signal: i32) -> Option<bool> {
        let this = &self.tasks[task];
        let halted = matches!(this.state, State::Stopped(_) | State::Traced(..)) || !this.lives();
        if this.blocked & bit(signal) != 0 || halted {
            return Some(false);
        }
        match this.state {
            _ if !this.signalled => Some(true),
            State::Running => Some(true),
            State::Ready(_) | State::Spinning => None,
            _ => Some(false),
        }
    }

    fn forget(&mut self, process: TaskId, signals: &[i32]) {
        self.processes[process].pending.retain(|signal, _| !signals.contains(signal));
        let threads: Vec<TaskId> = self.live_threads(process).collect();
        for thread in threads {
            self.tasks[thread].pending.retain(|signal, _| !signals.contains(signal));
        }
    }

    /// Has a task look for signals.
    pub fn disturb(&mut self, task: TaskId) {
        self.tasks[task].signalled = true;
        let woken = match &self.tasks[task].state {
            State::Asleep(Wait::Reply { killable: true, .. } | Wait::Threads) => return,
            // The access fails again and again (handle_userfault).
            State::Asleep(Wait::Page(_)) => {
                return self.leave_off("a signal comes to one who waits for a page");
            }
            State::Asleep(wait) => Todo::Wake(*wait),
            State::Spinning => Todo::Deliver(Some(0)),
            _ => return,
        };
        self.ready(task, woken);
    }

    /// A signal that its own call brings upon a task (`force_sig_info_to_task`).
    pub fn force_signal(&mut self, task: TaskId, signal: i32, mut info: Info) {
        let blocked = self.tasks[task].blocked & bit(signal) != 0;
        let caught = matches!(self.disposition(task, signal), Disposition::Handler { .. });
        if blocked || !caught {
            self.process(task).dispositions.insert(signal, Disposition::Default);
            self.tasks[task].blocked &= !bit(signal);
            info.forced = self.tasks[task].traced.is_none();
        }
        self.tasks[task].pending.insert(signal, info);
        self.tasks[task].signalled = true;
    }

    /// Whether a task has a signal that it does not block.
    pub fn has_signal(&self, task: TaskId) -> bool {
        let blocked = self.tasks[task].blocked;
        let pending = &self.tasks[task].pending;
        let shared = &self.process_ref(task).pending;
        pending.keys().chain(shared.keys()).any(|signal| blocked & bit(*signal) == 0)
    }

    /// Blocks or unblocks a signal (`__set_current_blocked`). Where that changes
    /// nothing, signals that wait for the whole process are not looked at.
    pub fn mask(&mut self, task: TaskId, signal: i32, block: bool) {
        let before = self.tasks[task].blocked;
        let after = if block { before | bit(signal) } else { before & !bit(signal) };
        if signal == libc::SIGKILL || signal == libc::SIGSTOP || before == after {
            return;
        }
        if self.tasks[task].signalled {
            self.retarget(task, after & !before);
        }
        self.tasks[task].blocked = after;
        self.tasks[task].signalled |= self.has_signal(task);
    }

    /// A thread ends, and its process goes on: others see to its process's
    /// signals (`exit_signals`).
    pub fn leave_signals(&mut self, task: TaskId) {
        if self.tasks[task].signalled {
            self.retarget(task, !self.tasks[task].blocked);
        }
    }

    /// Others see to signals of the whole process that a task will not
    /// (`retarget_shared_pending`).
    fn retarget(&mut self, task: TaskId, signals: u64) {
        let process = self.tasks[task].process;
        let shared = self.processes[process].pending.keys();
        let mut left = shared.map(|signal| bit(*signal)).fold(0, |all, bit| all | bit) & signals;
        let threads: Vec<TaskId> = self.live_threads(process).collect();
        for other in threads.into_iter().filter(|other| *other != task) {
            let wanted = left & !self.tasks[other].blocked;
            if wanted != 0 {
                left &= !wanted;
                if !self.tasks[other].signalled {
                    self.disturb(other);
                }
            }
        }
    }

    /// Whether a stop has come to all threads of a process.
    pub fn all_stopped(&self, process: TaskId) -> bool {
        let stopped = |thread: TaskId| matches!(self.tasks[thread].state, State::Stopped(_));
        self.processes[process].stopped && self.live_threads(process).all(stopped)
    }

    /// Ends a job-control stop of a process.
    fn end_stop(&mut self, process: TaskId) {
        let threads: Vec<TaskId> = self.live_threads(process).collect();
        if self.processes[process].stopped {
            let complete = self.all_stopped(process);
            let code = if complete { libc::CLD_CONTINUED } else { libc::CLD_STOPPED };
            self.processes[process].stopped = false;
            self.tell_parent_of_stop(process, code);
        }
        for thread in threads {
            if let State::Stopped(then) = &self.tasks[thread].state {
                let then = *then;
                self.ready(thread, then);
            }
        }
    }
}
