//! What a task does about its signals on its way to user mode
//! (`exit_to_user_mode_loop`, `arch/x86/kernel/signal.c`).

use std::collections::BTreeMap;

use super::ptrace::Stop;
use super::signal::{IGNORED, STOPS, bit};
use super::step::{ERESTART_RESTARTBLOCK, ERESTARTNOHAND, ERESTARTNOINTR, ERESTARTSYS, error};
use super::task::{Delivery, Ending, Frame, Info, State, Task, Todo, Wait};
use super::world::{TaskId, World};
use crate::abi::AUDIT_ARCH_I386;
use crate::scenario::Disposition;
use crate::trace::{HandlerRun, Outcome, SignalInfo};

/// Signals that are delivered before others (`SYNCHRONOUS_MASK`).
const FIRST: [i32; 6] =
    [libc::SIGILL, libc::SIGTRAP, libc::SIGBUS, libc::SIGFPE, libc::SIGSEGV, libc::SIGSYS];

impl World<'_> {
    /// On the way to user mode with a result (`exit_to_user_mode_loop`).
    /// Whether something happened that others can notice.
    pub fn deliver(&mut self, task: TaskId, mut result: Option<i64>) -> bool {
        if !self.disturbed(task) && self.tasks[task].delivery == Delivery::default() {
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
        let mut noticed = false;
        loop {
            if self.tasks[task].killed {
                // Else another thread executes a program (do_group_exit).
                let ending = self.process_ref(task).ending;
                self.thread_ends(task, ending.unwrap_or(Ending::Exit(0)));
                return true;
            }
            // signal_delivered
            self.tasks[task].blocked |= std::mem::take(&mut self.tasks[task].delivery.to_block);
            // What a tracer has passed on comes before anything else
            // (ptrace_signal).
            let passed = self.tasks[task].passed.take();
            let continued = std::mem::take(&mut self.tasks[task].delivery.continued);
            if let Some((signal, info)) = passed.clone() {
                if self.tasks[task].blocked & bit(signal) != 0 {
                    self.tasks[task].pending.entry(signal).or_insert(info);
                    continue;
                }
                if continued && signal == libc::SIGSTOP {
                    continue;
                }
            }
            if passed.is_none() && self.halt(task, result) {
                return true;
            }
            let asks = passed.is_none() && self.tasks[task].traced.is_some();
            match passed.or_else(|| self.dequeue(task)) {
                Some((signal, info)) if asks && !info.forced => {
                    let stop = Stop::Signal(signal, info);
                    self.stop_for_tracer(task, stop, Todo::Deliver(result));
                    return true;
                }
                Some((signal, info)) => result = self.act_on(task, signal, info, result),
                // The newest frame runs first; what it held back comes before
                // the next older one goes on.
                None => match self.tasks[task].delivery.frames.pop() {
                    Some(frame) => {
                        result = self.run_frame(task, frame, result);
                        noticed = true;
                    }
                    None => break,
                },
            }
            // Others may come between: with another signal, or to take one of
            // the process. The same signal again, before the handler holds it
            // back, ends the process if it was to have that handler once.
            if !self.tasks[task].killed && self.others_may_act(task) {
                self.ready(task, Todo::Deliver(result));
                return true;
            }
        }
        self.tasks[task].signalled = false;
        let called = self.called(task);
        let Delivery { again, before_call, .. } = std::mem::take(&mut self.tasks[task].delivery);
        match result {
            _ if before_call => self.ready(task, Todo::Enter),
            Some(code) if !again && called && is_restart(code) => self.restart(task, code),
            _ if again => self.restart(task, result.unwrap_or(ERESTARTSYS)),
            _ => self.finish(task, result),
        }
        noticed
    }

    /// Whether there is a call whose result tells whether to make it again
    /// (`syscall_get_nr`): a tracer can say that none was made.
    fn called(&self, task: TaskId) -> bool {
        let this = &self.tasks[task];
        let Delivery { before_call, returned, .. } = this.delivery;
        this.call.register as i32 != -1 && !before_call && !returned
    }

    /// Whether others may do something before a task goes on.
    fn others_may_act(&self, task: TaskId) -> bool {
        let ready = |other: &Task| matches!(other.state, State::Ready(_));
        let mut others = self.tasks.iter().enumerate().filter(|(other, _)| *other != task);
        !self.to_direct.is_empty() || others.any(|(_, other)| ready(other))
    }

    /// Does what a signal is there for; a handler gets a frame (`get_signal`,
    /// `handle_signal`). What becomes of the interrupted call's result.
    fn act_on(
        &mut self,
        task: TaskId,
        signal: i32,
        info: Info,
        mut result: Option<i64>,
    ) -> Option<i64> {
        let process = self.tasks[task].process;
        match self.disposition(task, signal) {
            _ if info.forced => self.end_process(process, Ending::Signal(signal)),
            Disposition::Ignore => {}
            Disposition::Handler { flags, .. } => {
                let called = self.called(task);
                let this = &mut self.tasks[task];
                if this.delivery.frames.is_empty() && !this.delivery.again && called {
                    (this.delivery.again, result) = after_handler(result, flags);
                    // A tracer that looks later finds it in the register.
                    if let (Some(result), false) = (result, this.delivery.again) {
                        this.call.result = result;
                    }
                }
                this.delivery.frames.push(Frame { signal, info, blocked: this.blocked });
                let flags = flags as i32;
                if flags & libc::SA_NODEFER == 0 {
                    this.delivery.to_block = bit(signal);
                }
                if flags & libc::SA_RESETHAND != 0 {
                    self.process(task).dispositions.insert(signal, Disposition::Default);
                }
            }
            Disposition::Default if IGNORED.contains(&signal) => {}
            Disposition::Default if self.spared(task, signal) => {}
            // A worker leads a session of its own, so its process group is an
            // orphaned one (is_current_pgrp_orphaned).
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
        result
    }

    /// Runs the handler of a frame. What becomes of the interrupted call's
    /// result.
    fn run_frame(&mut self, task: TaskId, frame: Frame, mut result: Option<i64>) -> Option<i64> {
        let chosen = self.run_handler(task, frame.signal, frame.info);
        let delivery = &self.tasks[task].delivery;
        if let (Some(chosen), true) = (chosen, delivery.frames.is_empty()) {
            if delivery.again {
                self.leave_off("a handler changes the number of a restarted call");
            }
            result = Some(chosen);
            self.tasks[task].call.result = chosen;
        }
        self.tasks[task].blocked = frame.blocked;
        self.tasks[task].delivery.returned = true;
        // restore_sigcontext
        self.tasks[task].restart_block = false;
        result
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
        let shared = next(&self.process_ref(task).pending)?;
        self.process(task).pending.remove_entry(&shared)
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
            if self.all_stopped(process) {
                self.tell_parent_of_stop(process, libc::CLD_STOPPED);
            }
            // It may be in user mode already, and half through noting its result.
            let this = &self.tasks[task];
            let returned = result.is_some_and(|result| !is_restart(result));
            if self.racing && returned && this.control.is_none() && this.delivery.frames.is_empty()
            {
                self.or(|world| world.tasks[task].state = State::Stopped(Todo::Finish(result)));
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
