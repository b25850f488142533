//! Tracers, as far as ptrace(2) meets seccomp.

use super::signal::{Code, info};
use super::step::{ERESTARTNOINTR, error};
use super::task::{Extra, Info, State, Task, Todo, Wait};
use super::world::{TaskId, World};
use crate::abi::AUDIT_ARCH_I386;
use crate::scenario::{ActorId, Op, Register};
use crate::trace::{Outcome, Wait as Waited};

/// That a task is traced.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Traced {
    pub by: TaskId,
    pub options: u64,
    pub seized: bool,
    /// Whether it stops at the next call's entry or exit.
    pub calls: bool,
    /// Whether its last stop at a call was marked as one
    /// (`PTRACE_O_TRACESYSGOOD`).
    pub marked: bool,
    /// Whether it is to stop.
    pub trap: bool,
    /// Whether wait(2) has told of its stop.
    pub told: bool,
    pub message: u64,
}

/// Why a tracee is in a ptrace stop.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Stop {
    /// A call's entry.
    Entry,
    /// A call's exit.
    Exit,
    /// `PTRACE_EVENT_SECCOMP`.
    Seccomp,
    /// `PTRACE_EVENT_STOP`.
    Event,
    /// A signal.
    Signal(i32, Info),
}

const CALL_STOP: i32 = libc::SIGTRAP | 0x80;

impl World<'_> {
    /// Stops a task at the entry or exit of its call, if its tracer wants that.
    pub fn stop_at_call(&mut self, task: TaskId, stop: Stop, then: Todo) {
        let message = if stop == Stop::Entry { 1 } else { 2 };
        match &mut self.tasks[task].traced {
            Some(traced) if traced.calls => {
                traced.message = message;
                traced.marked = traced.options & libc::PTRACE_O_TRACESYSGOOD as u64 != 0;
                self.stop_for_tracer(task, stop, then);
            }
            _ => self.ready(task, then),
        }
    }

    /// Stops a task for its tracer, who may wait for that.
    pub fn stop_for_tracer(&mut self, task: TaskId, stop: Stop, then: Todo) {
        if let Some(traced) = &mut self.tasks[task].traced {
            traced.told = false;
        }
        self.tasks[task].state = State::Traced(stop, then);
        self.wake_all_waiting_for(task);
    }

    /// A filter has said TRACE (`SECCOMP_RET_TRACE`).
    pub fn tell_tracer(&mut self, task: TaskId, message: u16) {
        let wanted = libc::PTRACE_O_TRACESECCOMP as u64;
        match &mut self.tasks[task].traced {
            Some(traced) if traced.options & wanted != 0 => {
                traced.message = u64::from(message);
                self.stop_for_tracer(task, Stop::Seccomp, Todo::Filter { again: true });
            }
            _ => self.ready(task, Todo::Leave(Some(error(libc::ENOSYS)))),
        }
    }

    /// Whether a tracer has suspended the filters of a task.
    pub fn suspended(&self, task: TaskId) -> bool {
        let suspends = libc::PTRACE_O_SUSPEND_SECCOMP as u64;
        let traced = self.tasks[task].traced.as_ref();
        traced.is_some_and(|traced| traced.options & suspends != 0)
    }

    /// Whether a task is to stop for its tracer now.
    pub fn take_trap(&mut self, task: TaskId) -> bool {
        let Some(traced) = &mut self.tasks[task].traced else { return false };
        std::mem::take(&mut traced.trap)
    }

    /// Another thread has put a filter on this one, which may be stopped
    /// before its filters are asked.
    pub fn late_filter(&mut self, task: TaskId, had_filters: bool) {
        if had_filters || self.fact("tsync-reaches-ptrace-entry-stop") {
            return;
        }
        if let State::Traced(Stop::Entry, then) = &mut self.tasks[task].state {
            *then = Todo::Execute;
        }
    }

    /// A tracer or a tracee has ended.
    pub fn end_tracing(&mut self, task: TaskId) {
        for tracee in 0..self.tasks.len() {
            let Some(traced) = &self.tasks[tracee].traced else { continue };
            if traced.by != task {
                continue;
            }
            let kills = traced.options & libc::PTRACE_O_EXITKILL as u64 != 0;
            // A stop that was not waited for ends as if the tracer had passed
            // its signal on (wait_task_stopped, ptrace_stop).
            let signal = match &self.tasks[tracee].state {
                _ if traced.told => 0,
                State::Traced(Stop::Signal(signal, _), _) => *signal,
                State::Traced(Stop::Entry | Stop::Exit, _) if !traced.marked => libc::SIGTRAP,
                _ => 0,
            };
            if kills {
                self.send_signal(tracee, libc::SIGKILL, false, info(Code::Kernel, None, 0));
            }
            self.unlink(tracee);
            self.resume(tracee, signal, false);
        }
        self.wake_all_waiting_for(task);
    }

    /// A tracee is one no more. One that was stopped looks for signals before
    /// it sleeps, whether there are any or not (`__ptrace_unlink`).
    fn unlink(&mut self, tracee: TaskId) {
        self.tasks[tracee].traced = None;
        self.tasks[tracee].signalled |= matches!(self.tasks[tracee].state, State::Traced(..));
        self.reap_thread(tracee);
    }

    /// Whether a task traces another.
    pub fn traces(&self, task: TaskId, tracee: TaskId) -> bool {
        self.tasks[tracee].traced.as_ref().is_some_and(|traced| traced.by == task)
    }

    /// What wait(2) tells a tracer of its tracee.
    pub fn report_of_tracee(&mut self, task: TaskId, tracee: TaskId) -> Option<Waited> {
        if !self.traces(task, tracee) {
            return None;
        }
        let process = self.tasks[tracee].process;
        if matches!(self.tasks[tracee].state, State::Gone)
            && (process != tracee || self.has_ended(process))
        {
            let waited = self.ended(tracee);
            if tracee == process && self.processes[process].parent == Some(self.tasks[task].process)
            {
                self.tasks[tracee].traced = None;
                self.reap(process);
            } else {
                self.unlink(tracee);
            }
            return Some(waited);
        }
        let State::Traced(stop, _) = &self.tasks[tracee].state else { return None };
        let stop = stop.clone();
        let traced = self.tasks[tracee].traced.as_mut()?;
        if std::mem::replace(&mut traced.told, true) {
            return None;
        }
        let (signal, event) = match stop {
            Stop::Entry | Stop::Exit if traced.marked => (CALL_STOP, 0),
            Stop::Entry | Stop::Exit => (libc::SIGTRAP, 0),
            Stop::Seccomp => (libc::SIGTRAP, libc::PTRACE_EVENT_SECCOMP),
            Stop::Event => (libc::SIGTRAP, libc::PTRACE_EVENT_STOP),
            Stop::Signal(signal, _) => (signal, 0),
        };
        Some(Waited::Stop { signal, event })
    }

    /// One of a tracer's steps.
    pub fn ptrace(&mut self, task: TaskId, op: Op) {
        let result = match op {
            Op::Attach(ActorId(tracee)) => return self.attach(task, tracee, None),
            Op::Seize { tracee, options } => {
                let options = self.value(task, options);
                return self.attach(task, tracee.0, Some(options));
            }
            Op::Interrupt(ActorId(tracee)) => self.interrupt(task, tracee),
            _ => {
                let tracee = match op {
                    Op::Resume { tracee, .. }
                    | Op::ToSyscall { tracee, .. }
                    | Op::Detach { tracee, .. }
                    | Op::SetOptions { tracee, .. }
                    | Op::EventMessage(tracee)
                    | Op::GetRegister { tracee, .. }
                    | Op::SetRegister { tracee, .. }
                    | Op::GetFilter { tracee, .. } => tracee.0,
                    _ => unreachable!("only a tracer's steps come here"),
                };
                let stopped = matches!(self.tasks[tracee].state, State::Traced(..));
                if !self.traces(task, tracee) || !stopped {
                    error(libc::ESRCH)
                } else {
                    return self.with_stopped(task, tracee, op);
                }
            }
        };
        self.ready(task, Todo::Leave(Some(result)));
    }

    /// PTRACE_ATTACH, or PTRACE_SEIZE with options (`ptrace_attach`).
    fn attach(&mut self, task: TaskId, tracee: TaskId, options: Option<u64>) {
        let process = self.tasks[tracee].process;
        let number = self.may_suspend(task, options.unwrap_or(0));
        let result = if !self.is_there(tracee) {
            error(libc::ESRCH)
        } else if number != 0 {
            error(number)
        } else if self.tasks[task].process == process {
            error(libc::EPERM)
        } else if self.is_in_exec(process) {
            return match self.disturbed(task) {
                true => self.ready(task, Todo::Leave(Some(ERESTARTNOINTR))),
                false => self.sleep(task, Wait::Exec(process)),
            };
        } else if self.tasks[tracee].traced.is_some() || self.tasks[tracee].state == State::Gone {
            error(libc::EPERM)
        } else {
            if matches!(self.tasks[tracee].state, State::Stopped(_)) {
                self.leave_off("a stopped task is traced");
            }
            self.link(task, tracee, options)
        };
        self.ready(task, Todo::Leave(Some(result)));
    }

    /// Makes a task a tracee (`ptrace_link`).
    fn link(&mut self, task: TaskId, tracee: TaskId, options: Option<u64>) -> i64 {
        self.tasks[tracee].traced = Some(Traced {
            by: task,
            options: options.unwrap_or(0),
            seized: options.is_some(),
            calls: false,
            marked: false,
            trap: false,
            told: false,
            message: 0,
        });
        if options.is_none() {
            self.send_signal(tracee, libc::SIGSTOP, false, info(Code::User, None, 0));
        }
        0
    }

    /// The error of one that may not suspend seccomp, or 0.
    fn may_suspend(&self, task: TaskId, options: u64) -> i32 {
        if options & libc::PTRACE_O_SUSPEND_SECCOMP as u64 == 0 {
            return 0;
        }
        let this = &self.tasks[task];
        if this.root && this.filter.is_none() && !this.strict { 0 } else { libc::EPERM }
    }

    fn interrupt(&mut self, task: TaskId, tracee: TaskId) -> i64 {
        // One that has ended is a tracee until it is waited for
        // (ptrace_check_attach ignores its state).
        if !self.traces(task, tracee) {
            return error(libc::ESRCH);
        }
        let Some(traced) = &mut self.tasks[tracee].traced else { return error(libc::ESRCH) };
        if !traced.seized {
            return error(libc::EIO);
        }
        traced.trap = true;
        self.disturb(tracee);
        0
    }

    /// SIGCONT traps a seized tracee before it can take the signal
    /// (`prepare_signal`, `ptrace_trap_notify`).
    pub fn notify_of_continuing(&mut self, tracee: TaskId) {
        if let Some(traced) = self.tasks[tracee].traced.as_mut().filter(|traced| traced.seized) {
            traced.trap = true;
            self.disturb(tracee);
        }
    }

    fn with_stopped(&mut self, task: TaskId, tracee: TaskId, op: Op) {
        let mut outcome = None;
        let result = match op {
            Op::Resume { signal, .. } => self.resume(tracee, signal, false),
            Op::ToSyscall { signal, .. } => self.resume(tracee, signal, true),
            Op::Detach { signal, .. } => {
                self.unlink(tracee);
                self.resume(tracee, signal, false)
            }
            Op::SetOptions { options, .. } => {
                let options = self.value(task, options);
                let number = self.may_suspend(task, options);
                if number == 0
                    && let Some(traced) = &mut self.tasks[tracee].traced
                {
                    traced.options = options;
                }
                error(number)
            }
            // Whether a later stop leaves the message there is the release's affair.
            Op::EventMessage(_)
                if matches!(
                    &self.tasks[tracee].state,
                    State::Traced(Stop::Signal(..) | Stop::Event, _)
                ) =>
            {
                return self.unknown_result(task);
            }
            Op::EventMessage(_) => {
                let message = self.tasks[tracee].traced.as_ref().map_or(0, |traced| traced.message);
                outcome = Some(Outcome::Numbers(vec![message as i64]));
                0
            }
            // Where the harness's own structures lie is not known.
            Op::GetRegister { register: Register::Arg(_), .. }
                if self.tasks[tracee].control.is_some() =>
            {
                return self.unknown_result(task);
            }
            Op::GetRegister { .. } if self.is_between_calls(tracee) => {
                return self.unknown_result(task);
            }
            Op::SetRegister { .. }
                if self.is_between_calls(tracee) || self.tasks[tracee].delivery.returned =>
            {
                self.leave_off("a tracer changes registers outside of any call");
                0
            }
            Op::SetRegister { .. } if self.tasks[tracee].control.is_some() => {
                self.leave_off("a tracer changes a call of the harness");
                0
            }
            Op::GetRegister { register, .. } => {
                let Task { call, delivery, .. } = &self.tasks[tracee];
                let argument = register.argument(call.data.arch == AUDIT_ARCH_I386);
                let value = match (register, argument) {
                    (Register::Number, _) if delivery.returned => -1,
                    (Register::Result, _) if delivery.again => call.register as i64,
                    (Register::Number, _) => call.register as i64,
                    (Register::Result, _) => call.result,
                    (Register::Arg(_), Some(index)) => call.data.args[index] as i64,
                    (Register::Arg(_), None) => return self.unknown_result(task),
                };
                // Which ids are told by name is the world's business.
                if self.task_of(value).is_some() {
                    return self.unknown_result(task);
                }
                outcome = Some(Outcome::Numbers(vec![value]));
                0
            }
            Op::SetRegister { register, value, .. } => {
                let value = self.value(task, value);
                let call = &mut self.tasks[tracee].call;
                let int80 = call.data.arch == AUDIT_ARCH_I386;
                match register {
                    Register::Number => {
                        call.register = value;
                        call.data.nr = value as i32;
                        call.altered = true;
                    }
                    Register::Result => call.result = value as i64,
                    Register::Arg(_) if int80 => {
                        self.leave_off("a tracer changes arguments of an int80 call");
                    }
                    Register::Arg(index) => {
                        call.data.args[usize::from(index) % 6] = value;
                        call.altered = true;
                    }
                }
                0
            }
            Op::GetFilter { index, .. } => {
                let index = self.value(task, index);
                match self.filter_for(task, tracee, index) {
                    Ok((len, Some(name))) => {
                        outcome = Some(Outcome::Program(name));
                        len
                    }
                    Ok((len, None)) => len,
                    Err(number) => error(number),
                }
            }
            _ => unreachable!("only steps on a stopped tracee come here"),
        };
        if let Some(outcome) = outcome {
            self.tasks[task].call.extra = Extra::Outcome(Box::new(outcome));
        }
        self.ready(task, Todo::Leave(Some(result)));
    }

    /// Whether the registers of a stopped tracee may be others than a call's: those
    /// with which a handler begins, or which the actor has before its first call.
    fn is_between_calls(&self, tracee: TaskId) -> bool {
        let this = &self.tasks[tracee];
        let in_a_call = matches!(&this.state, State::Traced(stop, _)
            if matches!(stop, Stop::Entry | Stop::Exit | Stop::Seccomp));
        !this.delivery.frames.is_empty() || this.raced && !in_a_call
    }

    /// Lets a stopped tracee go on, with a signal or without.
    fn resume(&mut self, tracee: TaskId, signal: i32, calls: bool) -> i64 {
        let State::Traced(stop, then) = self.tasks[tracee].state.clone() else {
            return error(libc::ESRCH);
        };
        if let Some(traced) = &mut self.tasks[tracee].traced {
            traced.calls = calls;
        }
        let mut then = then;
        let at_call = matches!(stop, Stop::Entry | Stop::Exit);
        let call = &self.tasks[tracee].call;
        match stop {
            Stop::Signal(number, info) => {
                if signal != 0 {
                    let other = || super::signal::info(Code::User, None, 0);
                    let info = if signal == number { info } else { other() };
                    self.tasks[tracee].passed = Some((signal, info));
                }
            }
            Stop::Seccomp if call.data.nr < 0 => then = Todo::Leave(Some(call.result)),
            Stop::Entry | Stop::Exit | Stop::Seccomp | Stop::Event => {}
        }
        // The tracer may have changed the result, unless the frame of a handler
        // has it by now.
        if let Todo::Deliver(result @ Some(_)) = &mut then
            && self.tasks[tracee].delivery.frames.is_empty()
        {
            *result = Some(self.tasks[tracee].call.result);
        }
        if at_call && signal != 0 {
            // ptrace_report_syscall
            self.send_signal(tracee, signal, false, info(Code::Kernel, None, 0));
            if self.tasks[tracee].killed {
                return 0;
            }
        }
        // Signals that came meanwhile woke nobody (ptrace_stop).
        self.tasks[tracee].signalled |= self.has_signal(tracee);
        self.ready(tracee, then);
        0
    }

    /// PTRACE_SECCOMP_GET_FILTER: the length of a tracee's filter, counted from
    /// the oldest, and what the scenario calls it.
    fn filter_for(
        &self,
        task: TaskId,
        tracee: TaskId,
        index: u64,
    ) -> Result<(i64, Option<String>), i32> {
        let this = &self.tasks[task];
        if !this.root || this.filter.is_some() || this.strict {
            return Err(libc::EACCES);
        }
        if self.tasks[tracee].filter.is_none() {
            return Err(libc::EINVAL);
        }
        let newest_first: Vec<_> = self.stack(self.tasks[tracee].filter).collect();
        let oldest_first = newest_first.iter().rev();
        let filter = oldest_first.copied().nth(index as usize).ok_or(libc::ENOENT)?;
        let program = &self.filters[filter].program;
        let programs = &self.setting.0.schedule.programs;
        let known = programs.iter().find(|(_, known)| known.0 == **program);
        Ok((program.len() as i64, known.map(|(name, _)| name.clone())))
    }
}
