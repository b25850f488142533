//! `unotify-lab schema`

use std::io::Write;

use clap::{Args, ValueEnum};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, schema_for};

use super::output::Output;
use super::probe::ProbeReport;
use super::{End, Failure};
use crate::report::book::Book;
use crate::report::cost::Costs;
use crate::scenario;
use crate::suite::{Matrix, RunRecord};
use crate::trace::Trace;

/// Of what.
#[derive(Debug, Args)]
pub(super) struct SchemaArguments {
    /// Of what
    #[arg(value_enum)]
    of: Subject,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Subject {
    /// A scenario file, as TOML has it
    Scenario,
    /// What was seen in a run of a scenario
    Trace,
    /// A run record
    Record,
    /// Several kernels side by side, as `matrix --format json` writes them
    Matrix,
    /// What a report tells, as `report --format json` writes it
    Report,
    /// What `report --costs` reads, as `cargo bench --bench cost` writes it
    Cost,
    /// A kernel's facts, as `probe --json` writes them
    Probe,
}

/// The schema of what is only written: whatever is always there is required.
fn written<T: JsonSchema>() -> Schema {
    SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<T>()
}

/// Prints a JSON Schema.
pub(super) fn schema(arguments: &SchemaArguments, output: &mut Output) -> Result<End, Failure> {
    let schema = match arguments.of {
        Subject::Scenario => scenario::schema(),
        Subject::Trace => schema_for!(Trace),
        Subject::Record => schema_for!(RunRecord),
        Subject::Matrix => written::<Matrix>(),
        Subject::Report => written::<Book>(),
        Subject::Cost => schema_for!(Costs),
        Subject::Probe => written::<ProbeReport>(),
    };
    let text = serde_json::to_string_pretty(&schema).expect("a schema is plain data");
    writeln!(output, "{text}")?;
    Ok(End::Known)
}
