//! The kernel as an oracle, at the rate of a bare loop: what it makes of one
//! program, one response, one descriptor to add.
//!
//! Scenarios need a director, who must know that nobody can move any more.
//! These need none, as each case is one call whose end is seen: tasks live
//! across cases where that is possible, and share memory with their parent.

mod keeper;
mod notified;
mod place;
mod programs;
mod task;
mod watcher;

use nix::errno::Errno;
use thiserror::Error;

pub use notified::{DESCRIPTOR_LIMIT, DESCRIPTORS, Notified};
pub use place::give_up_real_time;
pub use programs::{
    MOST_CALLS, MOST_PROGRAMS, Observed, Outcome, Programs, Watch, instruction_pointer,
};

/// Why the kernel could not be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Trouble {
    /// A call for the harness's own ends failed.
    #[error("{0}: {1}")]
    Call(&'static str, Errno),
    /// The process of the tasks under test ended by itself.
    #[error("the process of the tasks under test ended, status {0:#x} of wait(2)")]
    Ended(i32),
}

impl Trouble {
    /// Names the call that failed.
    fn of(call: &'static str) -> impl Fn(Errno) -> Trouble {
        move |error| Trouble::Call(call, error)
    }
}
