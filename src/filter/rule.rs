//! Rules: what people write instead of instructions.

use super::action::Action;
use super::compile::{CompileError, compile};
use super::condition::Condition;
use super::syscall::{Arch, Syscall};
use crate::abi::SeccompData;
use crate::bpf::Program;

/// Which calls get which action.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rule {
    /// The calls meant. None means every call of every architecture, and then
    /// `arch` says nothing.
    pub on: Vec<Syscall>,
    /// The architecture by which the calls are named and made.
    pub arch: Arch,
    /// What must hold beside, all of it.
    pub when: Vec<Condition>,
    /// What the filter then returns.
    pub action: Action,
}

impl Rule {
    /// Whether the rule applies to the call that `data` describes. A name that
    /// `arch` does not have is no call's name.
    #[must_use]
    pub fn matches(&self, data: &SeccompData) -> bool {
        let on = self.on.is_empty()
            || data.arch == self.arch.audit_arch()
                && self.on.iter().any(|call| call.number(self.arch) == Some(data.nr));
        on && self.when.iter().all(|condition| condition.holds(data))
    }
}

/// A whole filter: the first rule that matches decides.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rules {
    /// The rules, in the order in which they are tried.
    pub rules: Vec<Rule>,
    /// The action where no rule matches.
    pub default: Action,
}

impl Rules {
    /// What these rules say to the call that `data` describes, read directly.
    ///
    /// The program of [`compile`](Self::compile) returns the same word.
    #[must_use]
    pub fn decide(&self, data: &SeccompData) -> Action {
        let rule = self.rules.iter().find(|rule| rule.matches(data));
        rule.map_or(self.default, |rule| rule.action)
    }

    /// The program that does what these rules say. The kernel accepts it
    /// ([`validate`](crate::bpf::validate())).
    ///
    /// # Errors
    ///
    /// See [`CompileError`].
    pub fn compile(&self) -> Result<Program, CompileError> {
        compile(self)
    }
}
