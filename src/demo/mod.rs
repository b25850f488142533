//! The two classic programs that show what seccomp does to one process: a
//! supervisor that makes directories for its target, and a program that runs
//! another with one call refused.
//!
//! They stand for no kernel's behaviour and no verdict; they are for people
//! who want to see the mechanism at work, and to send signals into it.

mod mkdir;
mod refuse;

use std::io;
use std::process::ExitCode;

use clap::Subcommand;
use nix::errno::Errno;

use crate::abi::{AUDIT_ARCH_X86_64, X32_SYSCALL_BIT, errno_name};
use crate::filter::{Action, Comparison, Condition, Field, Rule};

pub use mkdir::{MkdirOptions, SecondFilter};
pub use refuse::{AuditArch, ErrorNumber, RefuseOptions};

/// Which demonstration, and what it is given.
#[derive(Debug, Subcommand)]
pub enum DemoOptions {
    /// A supervisor decides about the directories that its target makes
    Mkdir(MkdirOptions),
    /// Run a program with one system call refused
    Refuse(RefuseOptions),
}

/// Why a demonstration did not take place, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The user's mistake.
    #[error("{0}")]
    Mistake(String),
    /// The program was there, and execve(2) failed: most likely as asked.
    #[error("execve {program}: {}", told(*errno))]
    Exec {
        /// The file.
        program: String,
        /// What execve(2) said.
        errno: Errno,
    },
    /// A call failed that the demonstration itself needs.
    #[error("{call}: {}", told(*errno))]
    Call {
        /// The call, as its man page names it.
        call: &'static str,
        /// What it said.
        errno: Errno,
    },
    /// Something else stands in the way.
    #[error("{0}")]
    Trouble(String),
    /// Whoever reads the output has gone, which is their right.
    #[error("nobody reads the output")]
    Unread,
}

impl DemoError {
    /// The exit status that tells of it. As env(1) has it, 126 says that a
    /// program was found and could not be executed; the others are the
    /// command's.
    #[must_use]
    pub fn status(&self) -> u8 {
        match self {
            Self::Unread => 0,
            Self::Mistake(_) => 2,
            Self::Call { .. } | Self::Trouble(_) => 3,
            Self::Exec { .. } => 126,
        }
    }
}

/// Makes the error of a call out of its errno, for `map_err`.
fn failed(call: &'static str) -> impl Fn(Errno) -> DemoError {
    move |errno| DemoError::Call { call, errno }
}

/// Runs a demonstration, complains on standard error where it cannot, and
/// gives the exit status. `refuse` comes back from its program only where
/// that could not be started.
///
/// The process must have one thread.
#[must_use]
pub fn run(options: &DemoOptions) -> ExitCode {
    let done = match options {
        DemoOptions::Mkdir(options) => mkdir::run(options),
        DemoOptions::Refuse(options) => Err(refuse::run(options)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !matches!(error, DemoError::Unread) {
                complain(&error);
            }
            ExitCode::from(error.status())
        }
    }
}

/// Says what is wrong, in one write. Nobody can be told if that fails, and
/// under `refuse write` it does.
fn complain(error: &DemoError) {
    let _ = nix::unistd::write(io::stderr(), format!("unotify-lab: {error}\n").as_bytes());
}

/// An errno for people: `ENOENT (No such file or directory)`.
fn told(errno: Errno) -> String {
    let number = errno as i32;
    let text = io::Error::from_raw_os_error(number).to_string();
    // std adds the number, which matters only where there is no name.
    match (errno_name(number), text.split_once(" (os error")) {
        (Some(name), Some((text, _))) => format!("{name} ({text})"),
        _ => text,
    }
}

/// The rules that begin every filter here: whoever comes in by another
/// architecture than `arch`, or by x32 where that is native x86-64, is killed.
/// Their numbers mean other calls, and rules on `nr` would be no fence.
fn fence(arch: u32) -> Vec<Rule> {
    let kill_where = |field, comparison, value: u32| Rule {
        on: Vec::new(),
        arch: crate::filter::Arch::X86_64,
        when: vec![Condition { field, mask: None, comparison, value: value.into() }],
        action: Action::KillProcess,
    };
    let mut rules = vec![kill_where(Field::Arch, Comparison::NotEqual, arch)];
    if arch == AUDIT_ARCH_X86_64 {
        rules.push(kill_where(Field::Nr, Comparison::GreaterOrEqual, X32_SYSCALL_BIT));
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::{AUDIT_ARCH_I386, SeccompData};
    use crate::filter::Rules;

    #[test]
    fn the_fence_keeps_out_other_tables() {
        let decide = |fence, nr, arch| {
            let rules = Rules { rules: fence, default: Action::Allow };
            rules.decide(&SeccompData { nr, arch, ..SeccompData::default() })
        };
        let native = || fence(AUDIT_ARCH_X86_64);
        assert_eq!(decide(native(), 83, AUDIT_ARCH_X86_64), Action::Allow);
        assert_eq!(decide(native(), 0x3fff_ffff, AUDIT_ARCH_X86_64), Action::Allow);
        assert_eq!(decide(native(), 0x4000_0053, AUDIT_ARCH_X86_64), Action::KillProcess);
        assert_eq!(decide(native(), -1, AUDIT_ARCH_X86_64), Action::KillProcess);
        assert_eq!(decide(native(), 83, AUDIT_ARCH_I386), Action::KillProcess);
        assert_eq!(decide(fence(AUDIT_ARCH_I386), -1, AUDIT_ARCH_I386), Action::Allow);
        assert_eq!(decide(fence(AUDIT_ARCH_I386), 83, AUDIT_ARCH_X86_64), Action::KillProcess);
    }

    #[test]
    fn errnos_are_told_by_name() {
        assert_eq!(told(Errno::ENOENT), "ENOENT (No such file or directory)");
    }
}
