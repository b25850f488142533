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
    /// A record in this form; `submission` is for KCIDB.
    pub fn render(self, record: &RunRecord, submission: &Submission) -> String {
        match self {
            Format::Ktap => ktap::render(&tests(record)),
            Format::Tap13 => tap13::render(&tests(record)),
            Format::Junit => junit::render(record),
            Format::Kcidb => kcidb::render(record, submission),
            Format::Lava => lava::render(&tests(record)),
        }
    }

    /// Several records, each kernel's tests below its release; `None` for
    /// forms that have no place for that.
    pub fn render_all(self, records: &[RunRecord]) -> Option<String> {
        let render = match self {
            Format::Ktap => ktap::render,
            Format::Tap13 => tap13::render,
            Format::Junit | Format::Kcidb | Format::Lava => return None,
        };
        let below = |record: &RunRecord| {
            let mut tests = tests(record);
            for test in &mut tests {
                test.path.insert(0, record.kernel.release.clone());
            }
            tests
        };
        Some(render(&records.iter().flat_map(below).collect::<Vec<_>>()))
    }
}
