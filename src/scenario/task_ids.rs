//! Where a number may be the id of a task, which is another one in each run:
//! worlds tell it by the actor's name. Elsewhere a number that only happens to
//! be somebody's id stays one.

use super::schedule::{Arg, Op, Schedule};
use super::{Entry, Field};
use crate::abi::X32_SYSCALL_BIT;
use crate::filter::{Arch, Syscall};

/// Calls whose result is the id of a task, or of what is named after one.
const RETURN_A_TASK: &[&str] = &[
    "getpid",
    "gettid",
    "getppid",
    "getpgid",
    "getpgrp",
    "getsid",
    "setsid",
    "fork",
    "vfork",
    "clone",
    "clone3",
    "wait4",
    "waitpid",
    "set_tid_address",
];

impl Op {
    /// Whether what it returns may be the id of a task, whatever the entry.
    fn returns_a_task(&self) -> bool {
        match self {
            Op::Call { entry, number, .. } => {
                let (arch, number) = match entry {
                    Entry::Native => (Arch::X86_64, *number as u32),
                    Entry::X32 => (Arch::X86_64, *number as u32 & !X32_SYSCALL_BIT),
                    Entry::Int80 => (Arch::I386, *number as u32),
                };
                let call = Syscall::from_number(number as i32, arch).to_string();
                RETURN_A_TASK.contains(&call.as_str())
            }
            // With TSYNC it may be a thread's id; with a listener, a descriptor.
            Op::Install { flags: Arg::Value(flags), .. } => {
                flags & libc::SECCOMP_FILTER_FLAG_NEW_LISTENER == 0
            }
            _ => false,
        }
    }

    /// Whether it gives the id of a task to another call, as its result.
    fn passes_a_task_on(&self) -> bool {
        let is_a_task = |arg: &Arg| matches!(arg, Arg::Pid(_) | Arg::Field(_, Field::Pid));
        match self {
            Op::Send { val, error, .. } => is_a_task(val) || is_a_task(error),
            Op::SetRegister { value, .. } => is_a_task(value),
            _ => false,
        }
    }
}

impl Schedule {
    /// Notes of each act whether what it returns may be the id of a task: its
    /// own doing, or that of somebody who answers it.
    pub(super) fn note_task_ids(&mut self) {
        let passed_on = self.acts.iter().any(|act| act.op.passes_a_task_on());
        for act in &mut self.acts {
            let answered = passed_on && matches!(act.op, Op::Call { .. });
            act.returns_a_task = answered || act.op.returns_a_task();
        }
    }
}
