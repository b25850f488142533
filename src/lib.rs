//! What does a Linux kernel really do when seccomp hands a system call to
//! user space, and since when?
//!
//! One script runs in a world that records what it saw. A [`scenario`] says
//! who takes part and in which order they act; [`live`] really makes the
//! calls; a [`trace`] is what came out, with everything accidental taken
//! out. `docs/design.md` is the picture that holds all of it.

#![deny(missing_docs)]
#![deny(unsafe_code)]

pub mod abi;
pub mod bpf;
pub mod claim;
pub mod cli;
pub mod demo;
pub mod explore;
pub mod export;
pub mod filter;
pub mod fuzz;
pub mod generate;
pub mod live;
pub mod model;
pub mod probe;
pub mod profile;
pub mod report;
pub mod scenario;
pub mod suite;
pub mod trace;
pub mod verdict;
pub mod vm;
