//! `unotify-lab schema`

use std::io::Write;

use clap::{Args, ValueEnum};
use schemars::schema_for;

use super::output::Output;
use super::{End, Failure};
use crate::scenario;
use crate::suite::RunRecord;
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
}

/// Prints a JSON Schema.
pub(super) fn schema(arguments: &SchemaArguments, output: &mut Output) -> Result<End, Failure> {
    let schema = match arguments.of {
        Subject::Scenario => scenario::schema(),
        Subject::Trace => schema_for!(Trace),
        Subject::Record => schema_for!(RunRecord),
    };
    let text = serde_json::to_string_pretty(&schema).expect("a schema is plain data");
    writeln!(output, "{text}")?;
    Ok(End::Known)
}
