//! The kernel as an oracle, at the rate of a bare loop: what it makes of one
//! program, one response, one descriptor to add.
//!
//! Scenarios need a director, who must know that nobody can move any more.
//! These need none, as each case is one call whose end is seen: tasks live
//! across cases where that is possible, and share memory with their parent.

mod notified;
mod programs;
mod task;

pub use notified::{DESCRIPTOR_LIMIT, DESCRIPTORS, Notified};
pub use programs::{MOST_CALLS, MOST_PROGRAMS, Observed, Outcome, Programs, instruction_pointer};
