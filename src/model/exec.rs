//! execve(2), as far as others can tell.

use super::signal::{Code, info};
use super::task::{State, Todo, Wait};
use super::world::{TaskId, World};
use crate::scenario::Disposition;

impl World<'_> {
    /// execve(2) of the tool itself. Other threads end, handlers are gone, and
    /// so is what was written to memory.
    pub fn exec(&mut self, task: TaskId) {
        let process = self.tasks[task].process;
        if process != task {
            return self.leave_off("a thread that is not the first executes a program");
        }
        if self.filters_see_a_start(task) {
            return self.leave_off("filters see the calls with which a program starts");
        }
        let others: Vec<TaskId> =
            self.live_threads(process).filter(|other| *other != task).collect();
        for other in others {
            self.must_die(other);
        }
        self.exec_alone(task);
    }

    /// Goes on with execve(2) once the other threads are gone (`de_thread`).
    pub fn exec_alone(&mut self, task: TaskId) {
        let process = self.tasks[task].process;
        if !self.is_alone(task) {
            return self.sleep(task, Wait::Threads);
        }
        let this = &mut self.processes[process];
        this.dispositions.retain(|_, disposition| *disposition == Disposition::Ignore);
        this.memory.clear();
        this.mapped.clear();
        this.smudged.clear();
        this.image += 1;
        this.dumpable = true;
        let closed: Vec<i32> = this
            .descriptors
            .iter()
            .filter(|(_, descriptor)| descriptor.close_on_exec)
            .map(|(number, _)| *number)
            .collect();
        for number in closed {
            self.close(process, number);
        }
        self.tell_of_exec(task);
        self.end_exec(process);
        self.ready(task, Todo::Leave(Some(0)));
    }

    /// Whether a process is in an execve(2), for who would trace it.
    pub fn is_in_exec(&self, process: TaskId) -> bool {
        let waits = Wait::Threads;
        [State::Asleep(waits), State::Ready(Todo::Wake(waits))].contains(&self.tasks[process].state)
    }

    /// Wakes those who wait for an execve(2) to be over.
    pub fn end_exec(&mut self, process: TaskId) {
        let waits = Wait::Exec(process);
        for task in 0..self.tasks.len() {
            if self.tasks[task].state == State::Asleep(waits) {
                self.ready(task, Todo::Wake(waits));
            }
        }
    }

    /// A tracee that was attached, and whose tracer has not asked for the event,
    /// gets a SIGTRAP instead (ptrace(2), "Options"; `ptrace_event`).
    fn tell_of_exec(&mut self, task: TaskId) {
        let Some(traced) = &self.tasks[task].traced else { return };
        if traced.options & libc::PTRACE_O_TRACEEXEC as u64 != 0 {
            self.leave_off("a tracer is told of an execve");
        } else if !traced.seized {
            self.send_signal(task, libc::SIGTRAP, false, info(Code::User, None, 0));
        }
    }

    /// Whether filters have to do with a call that the dynamic linker, the C
    /// library or the tool makes before it comes to its plan.
    fn filters_see_a_start(&self, task: TaskId) -> bool {
        [
            libc::SYS_openat,
            libc::SYS_close,
            libc::SYS_mmap,
            libc::SYS_munmap,
            libc::SYS_mprotect,
            libc::SYS_read,
            libc::SYS_pread64,
            libc::SYS_fstat,
            libc::SYS_newfstatat,
            libc::SYS_brk,
            libc::SYS_arch_prctl,
            libc::SYS_prctl,
            libc::SYS_prlimit64,
            libc::SYS_getrandom,
            libc::SYS_poll,
            libc::SYS_rt_sigaction,
            libc::SYS_rt_sigprocmask,
            libc::SYS_sigaltstack,
            libc::SYS_set_tid_address,
        ]
        .into_iter()
        .any(|number| !self.always_lets_go(task, number))
    }
}
