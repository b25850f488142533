//! The catalogue of scenarios, runs of it, their records, and what differs
//! between them.

mod bisect;
mod catalogue;
mod diff;
mod judged;
mod kernel;
mod matrix;
mod probe;
mod record;
mod row;
mod run;
mod steps;
mod store;
mod ways;

pub use bisect::{Answer, Found, Poll, Question, Subject, jobs_of, runs_to_settle, search};
pub use catalogue::{Case, Catalogue, CatalogueError, Selection, SourceFile};
pub use diff::{CaseDifference, Pairs, diff, pairs, silence};
pub use kernel::Kernel;
pub use matrix::{
    CaseRow, FactRow, FactStanding, Matrix, MatrixKernel, OddVerdict, SkippedCase, kernels_told,
};
pub use probe::{Probed, Undecided, probe};
pub use record::{CaseRecord, ClaimRecord, RecordError, RunRecord};
pub use row::{Change, Outcomes, Row, StepRow, Stretch, stretches};
pub use run::{CaseResult, Collected, Plan, RACE_RUNS, SuiteResult, claims_about, jobs, run};
pub use store::{StoreError, new_folder, read_record, read_records, write_record};
pub use ways::{Way, differences};
