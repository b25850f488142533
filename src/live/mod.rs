//! The live world: it really forks and really makes the calls.
//!
//! A worker is this executable, started again, with one thread. It takes one
//! scenario after another, forks the scenario's actors, has them act in turn,
//! waits after each turn until nobody can move, and notes what they saw. The
//! command that started the workers may have threads and never forks.

#[allow(unsafe_code)]
mod actor;
mod director;
mod end;
mod freezer;
#[allow(unsafe_code)]
mod hold;
mod observe;
#[allow(unsafe_code)]
pub mod oracle;
mod pool;
mod probe;
#[allow(unsafe_code)]
mod shared;
#[allow(unsafe_code)]
mod spawn;
mod watch;
#[allow(unsafe_code)]
mod worker;

use std::io;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::trace::Trace;

use end::{END_COMMAND, end_main};
pub use pool::{Job, LONGEST_RUN, Pool, PoolError, Runner};
pub use probe::missing;
use worker::{ACTOR_COMMAND, WORKER_COMMAND, actor_main, worker_main};

/// What a process of the live world does, by the words that it was started
/// with; `None` where it is none. For an executable's begin: a process of the
/// live world starts no thread.
pub fn hidden_main(typed: &[String]) -> Option<ExitCode> {
    match typed.get(1)?.as_str() {
        WORKER_COMMAND => Some(worker_main(&typed[2..])),
        ACTOR_COMMAND => Some(actor_main(&typed[2..])),
        END_COMMAND => Some(end_main(&typed[2..])),
        _ => None,
    }
}

/// What came of running one scenario once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunResult {
    /// It ran to its end.
    Ran(Trace),
    /// Something that it needs is missing here.
    Skipped(String),
    /// It did not come to an end in time: what was seen until then, and why
    /// that says nothing.
    Inconclusive(Trace, String),
    /// The harness failed.
    Fault(String),
}

/// Why a run has no trace that means anything.
#[derive(Debug, Error)]
enum Trouble {
    #[error("{0}")]
    Harness(String),
    #[error("{0}")]
    Inconclusive(String),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Trouble::Harness(error.to_string())
    }
}

impl From<nix::Error> for Trouble {
    fn from(error: nix::Error) -> Self {
        Trouble::Harness(error.to_string())
    }
}
