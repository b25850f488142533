//! Tasks come and go: fork, threads, exit, reaping.

use std::collections::BTreeMap;

use super::signal::{Code, info};
use super::step::error;
use super::task::{Call, Control, Delivery, Ending, Extra, State, Task, Todo, Wait};
use super::world::{FileKind, TaskId, World};
use crate::scenario::Disposition;
use crate::trace::{Outcome, Wait as Waited};

impl World<'_> {
    /// Starts a child process.
    pub fn fork(&mut self, task: TaskId, child: TaskId) -> i64 {
        let parent = self.tasks[task].process;
        let mut process = self.processes[parent].clone();
        process.pending = BTreeMap::new();
        process.parent = Some(parent);
        process.stopped = false;
        self.processes[child] = process;
        self.start(task, child);
        World::tid(child)
    }

    /// Starts a thread.
    pub fn start_thread(&mut self, task: TaskId, child: TaskId) -> i64 {
        self.start(task, child);
        World::tid(child)
    }

    fn start(&mut self, task: TaskId, child: TaskId) {
        let starter = self.tasks[task].clone();
        let process = self.tasks[child].process;
        if let Some(filter) = starter.filter {
            self.filters[filter].users += 1;
        }
        self.tasks[child] = Task {
            process,
            state: State::Ready(Todo::Act),
            at: 0,
            until: 0,
            its_turn: false,
            control: None,
            call: Call::default(),
            pending: BTreeMap::new(),
            passed: None,
            delivery: Delivery::default(),
            signalled: false,
            restart_block: false,
            added: None,
            ended: None,
            traced: None,
            raced: false,
            ..starter
        };
    }

    /// A process is to end: all its threads die as soon as they can.
    pub fn end_process(&mut self, process: TaskId, ending: Ending) {
        self.processes[process].ending.get_or_insert(ending);
        let threads: Vec<TaskId> = self.live_threads(process).collect();
        for thread in threads {
            self.must_die(thread);
        }
    }

    /// A thread is to end as soon as it can.
    pub fn must_die(&mut self, thread: TaskId) {
        self.tasks[thread].killed = true;
        self.tasks[thread].signalled = true;
        let todo = match &self.tasks[thread].state {
            State::Asleep(wait) => Todo::Wake(*wait),
            State::Ready(_) | State::Running => return,
            _ => Todo::Deliver(None),
        };
        self.ready(thread, todo);
    }

    /// A thread begins to end: it sees to no signal any more, and its filters
    /// lose it (`do_exit` up to `seccomp_filter_release`).
    pub fn thread_ends(&mut self, task: TaskId, ending: Ending) {
        let process = self.tasks[task].process;
        if self.processes[process].ending.is_none() {
            self.leave_signals(task);
        }
        self.ready(task, Todo::Vanish);
        self.tasks[task].call.reserves = None;
        self.tasks[task].ended = Some(ending);
        if task == process {
            self.end_exec(process);
        }
        let last = self.live_threads(process).next().is_none();
        if last && self.fact("last-thread-decides-status") {
            self.processes[process].ending.get_or_insert(ending);
        }
        // A stop was waiting for this thread alone (exit_signals).
        if !last && self.processes[process].ending.is_none() && self.all_stopped(process) {
            self.tell_parent_of_stop(process, libc::CLD_STOPPED);
        }
        if self.fact("released-at-exit") {
            let filter = self.tasks[task].filter.take();
            self.release(filter);
        }
    }

    /// A thread is gone, and with the last one its process (`do_exit` from
    /// `exit_files` on).
    pub fn vanish(&mut self, task: TaskId) {
        let process = self.tasks[task].process;
        self.tasks[task].state = State::Gone;
        if let Some(file) = self.tasks[task].call.holds.take() {
            self.released(file);
        }
        self.end_tracing(task);
        if self.is_empty(process) {
            let numbers: Vec<i32> = self.processes[process].descriptors.keys().copied().collect();
            for number in numbers {
                self.close(process, number);
            }
        }
        self.reap_thread(task);
    }

    fn tell_parent(&mut self, process: TaskId) {
        let Some(parent) = self.processes[process].parent else { return };
        if self.is_empty(parent) {
            return;
        }
        let disposition = self.processes[parent].dispositions.get(&libc::SIGCHLD).copied();
        if disposition == Some(Disposition::Ignore) {
            self.reap(process);
            return;
        }
        // No core is dumped anywhere here.
        let code = match self.ended(process) {
            Waited::Killed(_) => libc::CLD_KILLED,
            _ => libc::CLD_EXITED,
        };
        self.send_signal(parent, libc::SIGCHLD, true, info(Code::Child(code), None, 0));
    }

    /// Tells a parent that its child has stopped or goes on
    /// (`do_notify_parent_cldstop`).
    pub fn tell_parent_of_stop(&mut self, process: TaskId, code: i32) {
        let Some(parent) = self.processes[process].parent else { return };
        let quiet = match self.processes[parent].dispositions.get(&libc::SIGCHLD) {
            Some(Disposition::Ignore) => true,
            Some(Disposition::Handler { flags, .. }) => flags & libc::SA_NOCLDSTOP as u64 != 0,
            _ => false,
        };
        if !quiet {
            self.send_signal(parent, libc::SIGCHLD, true, info(Code::Child(code), None, 0));
        }
    }

    /// Takes an ended process away.
    pub fn reap(&mut self, process: TaskId) {
        self.processes[process].reaped = true;
        let filter = self.tasks[process].filter.take();
        self.release(filter);
    }

    /// Takes away a thread that has ended, if that is all that is left of it; the
    /// first one's process has ended with the last of the others.
    pub fn reap_thread(&mut self, task: TaskId) {
        let process = self.tasks[task].process;
        if !self.is_there(task) {
            let filter = self.tasks[task].filter.take();
            self.release(filter);
        }
        if self.tasks[process].state == State::Asleep(Wait::Threads) && self.is_alone(process) {
            self.ready(process, Todo::Wake(Wait::Threads));
        }
        if self.has_ended(process) {
            // Else the tracer has to wait for it first (exit_notify).
            let parent = self.processes[process].parent;
            let traced = self.tasks[process].traced.as_ref();
            if traced.is_none_or(|traced| Some(self.tasks[traced.by].process) == parent) {
                self.tell_parent(process);
            }
            self.wake_pid_pollers(process);
            self.wake_all_waiting_for(process);
        }
    }

    /// Whether a process has ended for those who wait for it: its first thread
    /// has, and the others are gone (`delay_group_leader`).
    pub fn has_ended(&self, process: TaskId) -> bool {
        self.tasks[process].state == State::Gone && self.is_alone(process)
    }

    /// Whether all threads of a process have ended, whoever has yet to wait for
    /// one.
    pub fn is_empty(&self, process: TaskId) -> bool {
        let gone = |task: &Task| matches!(task.state, State::Unborn | State::Gone);
        self.tasks.iter().all(|task| task.process != process || gone(task))
    }

    /// exit_group(2).
    pub fn exit_group(&mut self, task: TaskId, status: u64) {
        let process = self.tasks[task].process;
        self.end_process(process, Ending::Exit((status & 0xff) as i32));
        self.ready(task, Todo::Deliver(None));
    }

    /// wait4(2) for one child or tracee.
    pub fn wait_for_child(&mut self, task: TaskId, child: TaskId) {
        if let Some(waited) = self.report_of_tracee(task, child) {
            return self.waited(task, child, waited);
        }
        let process = self.tasks[task].process;
        let own = self.processes[child].parent == Some(process) && child != process;
        let traced = self.traces(task, child);
        let there = !matches!(self.tasks[child].state, State::Unborn);
        if !there || !own && !traced || self.processes[child].reaped {
            return self.ready(task, Todo::Leave(Some(error(libc::ECHILD))));
        }
        if own && self.has_ended(child) {
            let ended = self.ended(child);
            self.reap(child);
            return self.waited(task, child, ended);
        }
        if self.disturbed(task) {
            return self.ready(task, Todo::Leave(Some(super::step::ERESTARTSYS)));
        }
        self.sleep(task, Wait::Child(child));
    }

    fn waited(&mut self, task: TaskId, child: TaskId, waited: Waited) {
        let outcome = Outcome::Waited(waited);
        self.tasks[task].call.extra = Extra::Outcome(Box::new(outcome));
        self.ready(task, Todo::Leave(Some(World::tid(child))));
    }

    /// Wakes those who wait for a task.
    pub fn wake_all_waiting_for(&mut self, child: TaskId) {
        for task in 0..self.tasks.len() {
            if let State::Asleep(wait @ Wait::Child(waited)) = &self.tasks[task].state
                && *waited == child
            {
                let wait = *wait;
                self.ready(task, Todo::Wake(wait));
            }
        }
    }

    /// Wakes those who poll a process.
    fn wake_pid_pollers(&mut self, process: TaskId) {
        self.wake_pollers_of(&FileKind::Pid(process));
    }

    /// The thread id of a task as another sees it: 0 where its PID namespace
    /// does not have it.
    pub fn tid_as_seen_by(&self, target: TaskId, reader: TaskId) -> i64 {
        let inner = &self.process_ref(target).namespaces;
        let outer = &self.process_ref(reader).namespaces;
        if !inner.starts_with(outer) {
            return 0;
        }
        match inner.last() {
            Some(first) if inner == outer && *first == target => 1,
            Some(_) if inner == outer => {
                // Counted in the order of their start, which scenarios keep.
                2
            }
            _ => World::tid(target),
        }
    }

    /// Whether a task waits between turns.
    pub fn is_idle(&self, task: TaskId) -> bool {
        let this = &self.tasks[task];
        matches!(this.state, State::Spinning)
            || this.control.is_some_and(|control| control != Control::Leave)
                && matches!(this.state, State::Asleep(_))
    }

    /// How a task ended, as wait(2) tells it: as its whole process, or alone.
    pub fn ended(&self, task: TaskId) -> Waited {
        let this = &self.tasks[task];
        match self.processes[this.process].ending.or(this.ended) {
            Some(Ending::Signal(signal)) => Waited::Killed(signal),
            Some(Ending::Exit(status)) => Waited::Exited(status),
            None => Waited::Exited(0),
        }
    }
}
