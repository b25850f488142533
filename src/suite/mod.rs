//! The catalogue of scenarios, a run of it, and the record of a run.

mod catalogue;
mod diff;
mod kernel;
mod record;
mod run;

pub use catalogue::{Case, Catalogue, CatalogueError, Selection, SourceFile};
pub use diff::{Change, StepChange, diff};
pub use kernel::Kernel;
pub use record::{CaseRecord, ClaimRecord, RecordError, RunRecord};
pub use run::{CaseResult, Collected, SuiteResult, claims_about, jobs, run};
