//! Results in the forms that others read: one file a form, all made from run
//! records. What people read of several of them is a [`book`].

pub mod book;
pub mod cost;
pub mod drawing;
mod junit;
mod kcidb;
mod kselftest;
pub mod ktap;
mod lava;
mod man;
mod tap13;
mod test;

use crate::suite::RunRecord;

pub use kcidb::Submission;
pub use kselftest::exit_status;
pub use man::{ManPage, man_page};
pub use test::{Outcome, Test, case_path, claim_path, file_names, tests};

/// A form that machines read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The Kernel Test Anything Protocol, version 1.
    Ktap,
    /// The Test Anything Protocol, version 13.
    Tap13,
    /// JUnit's XML, as Jenkins reads it.
    Junit,
    /// The kernel CI database's JSON, version 5.3.
    Kcidb,
    /// Lines that LAVA takes from a console.
    Lava,
}

impl Format {
    /// Records in this form, where there are several each kernel's tests below
    /// its release; `submission` is for KCIDB, and a build in it for a single
    /// record.
    pub fn render(self, records: &[RunRecord], submission: &Submission) -> String {
        let all = || tests_of(records);
        match self {
            Format::Ktap => ktap::render(&all()),
            Format::Tap13 => tap13::render(&all()),
            Format::Junit => junit::render(records),
            Format::Kcidb => kcidb::render(records, submission),
            Format::Lava => lava::render(&all()),
        }
    }
}

/// The tests of several records, each kernel's below its release; of a single
/// one, as they are.
fn tests_of(records: &[RunRecord]) -> Vec<Test> {
    let several = records.len() > 1;
    let below = |record: &RunRecord| {
        let mut tests = tests(record);
        if several {
            tests.iter_mut().for_each(|test| test.path.insert(0, record.kernel.release.clone()));
        }
        tests
    };
    records.iter().flat_map(below).collect()
}
