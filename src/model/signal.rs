//! Signals: sending, waking, delivering, restarting (`kernel/signal.c`,
//! `arch/x86/kernel/signal.c`).

use std::collections::BTreeMap;

use super::ptrace::Stop;
use super::step::{ERESTART_RESTARTBLOCK, ERESTARTNOHAND, ERESTARTNOINTR, ERESTARTSYS, error};
use super::world::{Delivery, Ending, Frame, Info, State, TaskId, Todo, Wait, World};
use crate::abi::{AUDIT_ARCH_I386, SeccompData};
use crate::filter::{Arch, Syscall};
use crate::scenario::Disposition;
use crate::trace::{HandlerRun, Outcome, SignalInfo, TrappedCall};

const STOPS: [i32; 4] = [libc::SIGSTOP, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];
const IGNORED: [i32; 4] = [libc::SIGCHLD, libc::SIGURG, libc::SIGWINCH, libc::SIGCONT];
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
/// Signals that are delivered before others (`SYNCHRONOUS_MASK`).
const FIRST: [i32; 6] =
    [libc::SIGILL, libc::SIGTRAP, libc::SIGBUS, libc::SIGFPE, libc::SIGSEGV, libc::SIGSYS];

/// Why a signal comes, as `si_code` tells it.
#[derive(Clone, Copy)]
pub(super) enum Code {
    User,
    Tkill,
    /// What a child went through (`CLD_EXITED` and the like).
    Child(i32),
    Seccomp(u16),
}

/// What a handler can learn of a signal.
pub(super) fn info(code: Code, call: Option<&SeccompData>, register: u64) -> Info {
    let (code, errno) = match code {
        Code::User => (0, 0),
        Code::Tkill => (-6, 0),
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

    fn disposition(&self, task: TaskId, signal: i32) -> Disposition {
        let set = self.process_ref(task).dispositions.get(&signal).copied();
        set.unwrap_or(Disposition::Default)
    }

    /// Process 1 of a PID namespace gets no signal that it has not asked for.
    fn spared(&self, task: TaskId, signal: i32) -> bool {
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
        if self.processes[process].reaped
            || matches!(self.tasks[task].state, State::Unborn)
            || matches!(self.tasks[task].state, State::Gone) && task != process && !whole
        {
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
            self.end_process(process, Ending::Signal(signal));
            return true;
        }
        if STOPS.contains(&signal) {
            self.forget(process, &[libc::SIGCONT]);
        } else if signal == libc::SIGCONT {
            self.forget(process, &STOPS);
            self.end_stop(process);
            for thread in threads.clone() {
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
        let candidates = if whole { threads.clone() } else { vec![task] };
        let Some(chosen) = candidates.into_iter().find(|one| self.wants(*one, signal)) else {
            return true;
        };
        // A signal that ends the process without a core dump does so at once
        // (complete_signal).
        let fatal = self.disposition(chosen, signal) == Disposition::Default
            && !IGNORED.contains(&signal)
            && !STOPS.contains(&signal)
            && !DUMPS.contains(&signal)
            && !self.spared(chosen, signal);
        if fatal && self.tasks[chosen].traced.is_none() {
            self.end_process(process, Ending::Signal(signal));
        } else {
            self.disturb(chosen);
        }
        true
    }

    /// wants_signal: one that has a signal to deliver already is not woken for
    /// another.
    fn wants(&self, task: TaskId, signal: i32) -> bool {
        let this = &self.tasks[task];
        let halted = matches!(
            this.state,
            State::Stopped(_) | State::Traced(..) | State::Gone | State::Unborn
        );
        let runs = matches!(this.state, State::Ready(_) | State::Running | State::Spinning);
        this.blocked & bit(signal) == 0 && !halted && (runs || !this.signalled)
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
            State::Asleep(Wait::Reply { killable: true, .. }) => return,
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

    fn dequeue(&mut self, task: TaskId) -> Option<(i32, Info)> {
        let blocked = self.tasks[task].blocked;
        let open = |signal: &&i32| blocked & bit(**signal) == 0;
        let next = |pending: &BTreeMap<i32, Info>| {
            let first = pending.keys().filter(open).find(|signal| FIRST.contains(signal));
            first.or(pending.keys().find(open)).copied()
        };
        if let Some(signal) = next(&self.tasks[task].pending) {
            return self.tasks[task].pending.remove_entry(&signal);
        }
        if self.tasks[task].too_late {
            return None;
        }
        let shared = next(&self.process_ref(task).pending)?;
        self.process(task).pending.remove_entry(&shared)
    }

    /// While a task makes the frame of one handler, another thread that is awake
    /// may take the next signal of their process.
    fn others_may_take_the_rest(&mut self, task: TaskId, delivery: &Delivery, result: Option<i64>) {
        let process = self.tasks[task].process;
        let awake =
            |thread: TaskId| thread != task && matches!(self.tasks[thread].state, State::Ready(_));
        let rivals = self.live_threads(process).any(awake);
        if self.tasks[task].too_late || !rivals || self.process_ref(task).pending.is_empty() {
            return;
        }
        let mut other = self.clone();
        other.tasks[task].delivery = delivery.clone();
        other.tasks[task].too_late = true;
        other.ready(task, Todo::Deliver(result));
        self.others.push(other);
    }

    /// On the way to user mode with a result (`exit_to_user_mode_loop`).
    /// Whether something happened that others can notice.
    pub fn deliver(&mut self, task: TaskId, mut result: Option<i64>) -> bool {
        if !self.disturbed(task) {
            self.finish(task, result);
            return false;
        }
        // syscall_get_error: of an i386 call the lower half tells.
        if let Some(whole) = result
            && self.tasks[task].call.data.arch == AUDIT_ARCH_I386
            && is_restart(i64::from(whole as i32))
        {
            result = Some(i64::from(whole as i32));
        }
        let mut delivery = std::mem::take(&mut self.tasks[task].delivery);
        // syscall_get_nr: a tracer can say that no call was made.
        let called = self.tasks[task].call.register as i32 != -1;
        let mut noticed = false;
        loop {
            let process = self.tasks[task].process;
            if self.tasks[task].killed {
                let ending =
                    self.processes[process].ending.unwrap_or(Ending::Signal(libc::SIGKILL));
                self.thread_ends(task, ending);
                return true;
            }
            // What a tracer has passed on comes before anything else
            // (ptrace_signal).
            let passed = self.tasks[task].passed.take();
            if let Some((signal, info)) = passed.clone()
                && self.tasks[task].blocked & bit(signal) != 0
            {
                self.tasks[task].pending.entry(signal).or_insert(info);
                continue;
            }
            if passed.is_none() && self.halt(task, result) {
                self.tasks[task].delivery = delivery;
                return true;
            }
            let taken_now = passed.is_some();
            if !taken_now && !delivery.frames.is_empty() {
                self.others_may_take_the_rest(task, &delivery, result);
            }
            let Some((signal, info)) = passed.or_else(|| self.dequeue(task)) else {
                // The newest frame runs first; what it held back comes before
                // the next older one goes on.
                let Some(Frame { signal, info, blocked }) = delivery.frames.pop() else { break };
                let chosen = self.run_handler(task, signal, info);
                noticed = true;
                if let (Some(chosen), true) = (chosen, delivery.frames.is_empty()) {
                    if delivery.again {
                        self.leave_off("a handler changes the number of a restarted call");
                    }
                    result = Some(chosen);
                }
                self.tasks[task].blocked = blocked;
                // restore_sigcontext
                self.tasks[task].restart_block = false;
                continue;
            };
            if self.tasks[task].traced.is_some() && !info.forced && !taken_now {
                let stop = Stop::Signal(signal, info);
                self.stop_for_tracer(task, stop, Todo::Deliver(result));
                self.tasks[task].delivery = delivery;
                return true;
            }
            match self.disposition(task, signal) {
                _ if info.forced => {
                    self.end_process(process, Ending::Signal(signal));
                }
                Disposition::Ignore => {}
                Disposition::Handler { flags, .. } => {
                    if delivery.frames.is_empty() && !delivery.again && called {
                        (delivery.again, result) = after_handler(result, flags);
                    }
                    let blocked = self.tasks[task].blocked;
                    delivery.frames.push(Frame { signal, info, blocked });
                    let flags = flags as i32;
                    if flags & libc::SA_NODEFER == 0 {
                        self.tasks[task].blocked |= bit(signal);
                    }
                    if flags & libc::SA_RESETHAND != 0 {
                        self.process(task).dispositions.insert(signal, Disposition::Default);
                    }
                }
                Disposition::Default if IGNORED.contains(&signal) => {}
                Disposition::Default if self.spared(task, signal) => {}
                // A worker leads a session of its own, so its process group is
                // an orphaned one (is_current_pgrp_orphaned).
                Disposition::Default if STOPS.contains(&signal) && signal != libc::SIGSTOP => {}
                Disposition::Default if STOPS.contains(&signal) => {
                    self.processes[process].stopped = true;
                    let others: Vec<TaskId> =
                        self.live_threads(process).filter(|other| *other != task).collect();
                    for other in others {
                        self.disturb(other);
                    }
                }
                Disposition::Default => self.end_process(process, Ending::Signal(signal)),
            }
        }
        self.tasks[task].signalled = false;
        self.tasks[task].too_late = false;
        if delivery.again {
            self.restart(task, result.unwrap_or(ERESTARTSYS));
        } else if let Some(code) = result
            && is_restart(code)
            && called
        {
            self.restart(task, code);
        } else {
            self.finish(task, result);
        }
        noticed
    }

    /// Whether something else than a signal keeps a task from going on: its
    /// tracer, a stop of its process, a freezer.
    fn halt(&mut self, task: TaskId, result: Option<i64>) -> bool {
        let then = Todo::Deliver(result);
        if self.take_trap(task) {
            self.stop_for_tracer(task, Stop::Event, then);
        } else if self.process_ref(task).stopped && self.tasks[task].traced.is_some() {
            self.leave_off("a traced task takes part in the stop of its process");
        } else if self.process_ref(task).stopped {
            self.tasks[task].signalled = true;
            self.tasks[task].state = State::Stopped(then);
            let process = self.tasks[task].process;
            let halted = |thread: TaskId| matches!(self.tasks[thread].state, State::Stopped(_));
            if self.live_threads(process).all(halted) {
                self.tell_parent_of_stop(process, libc::CLD_STOPPED);
            }
        } else if self.tasks[task].frozen {
            // do_freezer_trap
            self.tasks[task].signalled = false;
            self.sleep(task, Wait::Thaw(result));
        } else {
            return false;
        }
        true
    }

    /// Runs a handler; what it makes of the interrupted call's result.
    fn run_handler(&mut self, task: TaskId, signal: i32, info: Info) -> Option<i64> {
        let set = self.process_ref(task).dispositions.get(&signal).copied();
        if self.tasks[task].traced.as_ref().is_some_and(|traced| traced.calls) {
            self.leave_off("a tracer sees a handler return");
        }
        let (flags, chosen) = match set {
            Some(Disposition::Handler { flags, result }) => (flags, result),
            _ => (0, None),
        };
        let told = flags & libc::SA_SIGINFO as u64 != 0;
        let act = (told && info.call.is_some()).then_some(self.tasks[task].at);
        let act = act.filter(|_| self.tasks[task].control.is_none());
        let info = told.then(|| SignalInfo {
            code: info.code,
            errno: info.errno,
            call: info.call.map(|call| *call),
        });
        let run = HandlerRun { signal, info };
        self.note(task, act, Outcome::Handler(run));
        self.return_from_handler(task);
        chosen.map(|result| result as i64)
    }

    /// rt_sigreturn(2) is filtered as any other call.
    fn return_from_handler(&mut self, task: TaskId) {
        let mut call = self.tasks[task].call.clone();
        call.data.nr = libc::SYS_rt_sigreturn as i32;
        call.data.arch = crate::abi::AUDIT_ARCH_X86_64;
        let before = std::mem::replace(&mut self.tasks[task].call, call);
        let word = if self.tasks[task].strict { None } else { self.verdict(task) };
        self.tasks[task].call = before;
        match word.map(|(_, word)| word & libc::SECCOMP_RET_ACTION_FULL) {
            None | Some(libc::SECCOMP_RET_ALLOW | libc::SECCOMP_RET_LOG) => {}
            Some(libc::SECCOMP_RET_KILL_PROCESS) => {
                let process = self.tasks[task].process;
                self.end_process(process, Ending::Signal(libc::SIGSYS));
            }
            Some(_) => self.leave_off("a handler cannot return"),
        }
    }

    /// Ends a job-control stop of a process.
    fn end_stop(&mut self, process: TaskId) {
        let threads: Vec<TaskId> = self.live_threads(process).collect();
        if std::mem::take(&mut self.processes[process].stopped) {
            let halted = |thread: &TaskId| matches!(self.tasks[*thread].state, State::Stopped(_));
            let complete = threads.iter().all(halted);
            let code = if complete { libc::CLD_CONTINUED } else { libc::CLD_STOPPED };
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

/// Whether a result asks for the call to be made again.
fn is_restart(result: i64) -> bool {
    [ERESTARTSYS, ERESTARTNOINTR, ERESTARTNOHAND, ERESTART_RESTARTBLOCK].contains(&result)
}

/// What a handler with these flags makes of a result: whether the call is made
/// again, and else what it returns (`handle_signal`).
fn after_handler(result: Option<i64>, flags: u64) -> (bool, Option<i64>) {
    let restarts = flags & libc::SA_RESTART as u64 != 0;
    match result {
        Some(ERESTARTSYS) if restarts => (true, result),
        Some(ERESTARTNOINTR) => (true, result),
        Some(ERESTARTSYS | ERESTARTNOHAND | ERESTART_RESTARTBLOCK) => {
            (false, Some(error(libc::EINTR)))
        }
        other => (false, other),
    }
}
