//! How a task runs: from one place at which others can come between to the
//! next.

use super::ptrace::Stop;
use super::task::{Call, Control, Extra, State, Todo, Wait};
use super::world::{TaskId, World};
use crate::scenario::Entry;
use crate::trace::Outcome;

/// The number of restart_syscall(2).
const RESTART_SYSCALL: i32 = libc::SYS_restart_syscall as i32;

/// Results by which the kernel asks itself to make a call again
/// (`include/linux/errno.h`).
pub(super) const ERESTARTSYS: i64 = -512;
pub(super) const ERESTARTNOINTR: i64 = -513;
pub(super) const ERESTARTNOHAND: i64 = -514;
pub(super) const ERESTART_RESTARTBLOCK: i64 = -516;

/// An error as a call returns it.
pub(super) const fn error(number: i32) -> i64 {
    -(number as i64)
}

impl World<'_> {
    /// The tasks that can run now. A task with SCHED_FIFO keeps others off its
    /// processor.
    pub fn runnable(&self) -> Vec<TaskId> {
        let ready = |task: &TaskId| matches!(self.tasks[*task].state, State::Ready(_));
        let tasks: Vec<TaskId> = (0..self.tasks.len()).filter(ready).collect();
        let kept_off = |task: TaskId| {
            let this = &self.tasks[task];
            let above = |other: &TaskId| {
                let other = &self.tasks[*other];
                other.fifo && other.cpu.is_some() && other.cpu == this.cpu
            };
            !this.fifo && tasks.iter().any(above)
        };
        tasks.iter().copied().filter(|task| !kept_off(*task)).collect()
    }

    /// Runs a task until it sleeps, ends, or has done something that another
    /// task or an observer could notice.
    pub fn step(&mut self, task: TaskId) {
        loop {
            let State::Ready(todo) = std::mem::replace(&mut self.tasks[task].state, State::Running)
            else {
                unreachable!("only a task that can run is run")
            };
            let pause = self.go_on(task, todo);
            if pause || self.beyond.is_some() {
                return;
            }
            if !matches!(self.tasks[task].state, State::Ready(_)) {
                return;
            }
        }
    }

    /// Does one thing; whether others can come between this and the next.
    fn go_on(&mut self, task: TaskId, todo: Todo) -> bool {
        match todo {
            Todo::Act => self.next_act(task),
            Todo::Enter => self.enter(task),
            Todo::Filter { again } => self.ask_filters(task, again),
            Todo::Execute => self.execute(task),
            Todo::Leave(result) => self.leave(task, result),
            Todo::Die(action) => self.die(task, action),
            Todo::Finish(result) => self.finish(task, result),
            Todo::Deliver(result) => {
                let act = self.tasks[task].at;
                return self.deliver(task, result) || self.tasks[task].at != act;
            }
            Todo::Wake(wait) => self.wake(task, wait),
            Todo::Interrupted { filter, id, killable } => {
                self.interrupted(task, filter, id, killable);
            }
            Todo::Receive(filter) => self.receive(task, filter),
            Todo::PutBack { filter, id } => self.put_back(task, filter, id),
            Todo::Vanish => self.vanish(task),
        }
        // Between a signal and the listener's lock somebody may reply; between
        // counting a request off and taking its notification the target may
        // withdraw it; what cannot be written is taken until it is put back;
        // between a reply and user mode anything may happen; a task may be killed
        // before it makes its call, and after that, and by another when its
        // filters have marked it as dead, and others may see to a signal of their
        // process before it ends that.
        let between = matches!(
            todo,
            Todo::Wake(_)
                | Todo::Interrupted { .. }
                | Todo::Receive(_)
                | Todo::PutBack { .. }
                | Todo::Act
                | Todo::Execute
                | Todo::Die(_)
        );
        between || matches!(self.tasks[task].state, State::Ready(Todo::Receive(_) | Todo::Die(_)))
    }

    pub fn ready(&mut self, task: TaskId, todo: Todo) {
        self.tasks[task].state = State::Ready(todo);
    }

    pub fn sleep(&mut self, task: TaskId, wait: Wait) {
        self.tasks[task].state = State::Asleep(wait);
    }

    /// Begins the act that it is at, or says that its turn is over.
    fn next_act(&mut self, task: TaskId) {
        let this = &mut self.tasks[task];
        if this.at < this.until {
            this.control = None;
            self.begin_act(task);
        } else {
            this.control = Some(Control::Tell);
            let tell = [900 + 16, 0, 1, 0, 0, 0];
            self.begin_call(task, Entry::Native, libc::SYS_write as u64, tell);
        }
    }

    /// Makes a system call.
    pub fn begin_call(&mut self, task: TaskId, entry: Entry, number: u64, args: [u64; 6]) {
        let arch = match entry {
            Entry::Int80 => crate::abi::AUDIT_ARCH_I386,
            Entry::Native | Entry::X32 => crate::abi::AUDIT_ARCH_X86_64,
        };
        let addresses = crate::abi::traced_return_addresses();
        let traced = matches!(self.op_in_hand(task), Some(crate::scenario::Op::Call { .. }));
        let ip = if traced { addresses[usize::from(entry == Entry::Int80)] } else { 0 };
        self.tasks[task].call = Call {
            data: crate::abi::SeccompData {
                nr: number as i32,
                arch,
                instruction_pointer: ip,
                args,
            },
            // entry_INT80_compat takes the lower half.
            register: if entry == Entry::Int80 { number & 0xffff_ffff } else { number },
            result: error(libc::ENOSYS),
            ..Default::default()
        };
        self.ready(task, Todo::Enter);
    }

    /// Enters the kernel: a tracer may want to see that
    /// (`syscall_trace_enter`).
    fn enter(&mut self, task: TaskId) {
        if self.tasks[task].killed {
            return self.ready(task, Todo::Deliver(None));
        }
        // A signal that came just now may find it in user mode still.
        if self.racing && self.tasks[task].signalled {
            self.or(|world| {
                world.tasks[task].delivery.before_call = true;
                world.ready(task, Todo::Deliver(None));
            });
        }
        // Calls of the harness are not seen by anybody, but count.
        self.stop_at_call(task, Stop::Entry, Todo::Filter { again: false });
    }

    /// Leaves the kernel with a result: a tracer may want to see that, too.
    fn leave(&mut self, task: TaskId, result: Option<i64>) {
        if let Some(result) = result {
            self.tasks[task].call.result = result;
        }
        self.stop_at_call(task, Stop::Exit, Todo::Deliver(result));
        self.tasks[task].call.reserves = None;
        if let Some(file) = self.tasks[task].call.holds.take() {
            self.released(file);
        }
    }

    /// Looks whether what it slept for has come.
    fn wake(&mut self, task: TaskId, wait: Wait) {
        if self.tasks[task].killed {
            self.withdraw(task, &wait);
            return self.ready(task, Todo::Deliver(None));
        }
        match wait {
            Wait::Reply { filter, id, killable } => self.wake_notified(task, filter, id, killable),
            Wait::Request(filter) => self.wait_for_request(task, filter),
            Wait::Added { filter, id } => self.wait_for_addition(task, filter, id),
            Wait::Turn => self.read_turn(task),
            Wait::Ready => self.wait_for_events(task),
            Wait::Child(child) => self.wait_for_child(task, child),
            Wait::Threads => self.exec_alone(task),
            // It tries again.
            Wait::Exec(_) => self.ready(task, Todo::Execute),
            // A page comes in whatever signals are pending.
            Wait::Page(page) => self.sleep(task, Wait::Page(page)),
            Wait::Thaw(result) => self.ready(task, Todo::Deliver(result)),
            Wait::Other { interrupted: Some(interrupted) } => {
                self.interrupt_call(task, interrupted);
            }
            Wait::Other { interrupted: None } => {
                self.leave_off("a call that the model does not know is interrupted");
                self.unknown_result(task);
            }
        }
    }

    /// Makes its call again, or goes on with one that was interrupted
    /// (`handle_signal`, `arch_do_signal_or_restart`).
    pub fn restart(&mut self, task: TaskId, result: i64) {
        let call = &mut self.tasks[task].call;
        if result == ERESTART_RESTARTBLOCK {
            call.data.nr = RESTART_SYSCALL;
            call.register = RESTART_SYSCALL as u64;
            call.altered = true;
        }
        call.result = error(libc::ENOSYS);
        call.extra = Extra::Nothing;
        self.ready(task, Todo::Enter);
    }

    /// The call of a task has come back to user mode.
    pub fn finish(&mut self, task: TaskId, result: Option<i64>) {
        let this = &mut self.tasks[task];
        match (this.control, result) {
            (None, _) => self.finish_act(task, result),
            (Some(Control::Tell), _) => {
                this.control = Some(Control::Listen);
                let read = [900 + task as u64, 0, 4, 0, 0, 0];
                self.begin_call(task, Entry::Native, libc::SYS_read as u64, read);
            }
            (Some(Control::Listen), Some(4)) => {
                this.control = None;
                self.ready(task, Todo::Act);
            }
            (Some(Control::Listen), Some(0)) | (Some(Control::Leave), _) => {
                this.control = Some(Control::Leave);
                let exit = libc::SYS_exit_group as u64;
                self.begin_call(task, Entry::Native, exit, [0; 6]);
            }
            (Some(Control::Listen), Some(-4)) => {
                let read = [900 + task as u64, 0, 4, 0, 0, 0];
                self.begin_call(task, Entry::Native, libc::SYS_read as u64, read);
            }
            // read(2) is refused: it watches the memory.
            (Some(Control::Listen), _) => self.watch(task),
        }
    }

    /// Tells a task that it is its turn.
    pub fn begin_turn(&mut self, task: TaskId, acts: std::ops::Range<usize>) {
        let this = &mut self.tasks[task];
        (this.at, this.until) = (acts.start, acts.end);
        this.its_turn = true;
        match this.state {
            State::Spinning => self.watch(task),
            State::Asleep(Wait::Turn) => self.read_turn(task),
            _ => {}
        }
    }

    /// read(2) of the pipe by which a task is told its turn.
    pub fn read_turn(&mut self, task: TaskId) {
        if std::mem::take(&mut self.tasks[task].its_turn) {
            self.ready(task, Todo::Leave(Some(4)));
        } else if self.disturbed(task) {
            self.ready(task, Todo::Leave(Some(ERESTARTSYS)));
        } else {
            self.sleep(task, Wait::Turn);
        }
    }

    /// Looks for the next turn in the shared memory.
    fn watch(&mut self, task: TaskId) {
        if std::mem::take(&mut self.tasks[task].its_turn) {
            self.tasks[task].control = None;
            self.ready(task, Todo::Act);
        } else {
            self.tasks[task].state = State::Spinning;
        }
    }

    /// Notes that its call has a result that nobody knows.
    pub fn unknown_result(&mut self, task: TaskId) {
        self.tasks[task].call.extra = Extra::Unknown;
        self.ready(task, Todo::Leave(None));
    }

    /// Notes how the act that it is at came out.
    pub fn note_done(&mut self, task: TaskId, seen: Outcome) {
        let act = self.tasks[task].at;
        self.note(task, Some(act), seen);
        self.tasks[task].at += 1;
        self.ready(task, Todo::Act);
    }
}
