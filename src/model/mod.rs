//! The reference model: which outcomes each step of a scenario may have on a
//! kernel of given facts.
//!
//! It is an executable specification. It has the same interface as the live
//! world: a [`Schedule`] goes in, its turns are taken one by one, and outcomes
//! come out, as the director would note them. Functions follow those of the
//! kernel (`kernel/seccomp.c`, `kernel/signal.c`, …) and name them.
//!
//! Where the kernel leaves an order open, the model goes through all orders, so
//! the answer to a step is a set. A trace is judged by following all the worlds
//! that are still possible. The model deliberately allows more than kernels are
//! known to do in three places: a call that it does not know may block or return
//! anything, tasks that wait for one thing are woken in any order, and of several
//! files that are ready epoll_wait(2) tells any first. Where it does not follow
//! what a scenario does, it says so ([`Agreement::Beyond`]) instead of guessing.
//!
//! It is pure: no kernel is needed.

mod act;
mod calls;
mod deliver;
mod director;
mod exec;
mod file;
mod judge;
mod memory;
mod notify;
mod outcome;
mod paths;
mod process;
mod ptrace;
pub mod rules;
mod seccomp;
mod signal;
mod stage;
mod step;
mod task;
mod world;

pub use judge::{Agreement, Disagreement, agree, predict};

use crate::profile::Profile;
use crate::scenario::Schedule;

/// What a prediction rests on.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'s> {
    /// What is run.
    pub schedule: &'s Schedule,
    /// The kernel's facts.
    pub profile: &'s Profile,
    /// Whether actors run as root unless the scenario says otherwise.
    pub root: bool,
}
