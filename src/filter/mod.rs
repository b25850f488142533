//! What a filter says and which filter wins: actions, rules compiled to
//! classic BPF, and stacks of filters.
//!
//! All of it is pure. What happens after an action has won (a signal, an
//! errno, a notification) is not known here.

mod action;
mod compile;
mod condition;
mod layout;
mod rule;
mod stack;
mod syscall;

#[cfg(test)]
mod rule_tests;

pub use action::{Action, Precedence, precedence};
pub use compile::CompileError;
pub use condition::{Comparison, Condition, Field};
pub use rule::{Rule, Rules};
pub use stack::{evaluate_stack, winner};
pub use syscall::{Arch, Syscall};

/// A text that is no action, condition, system call or architecture.
pub use crate::bpf::SyntaxError;
