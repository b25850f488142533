//! `unotify-lab probe`

use std::io::Write;

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use super::output::{Output, style};
use super::{End, Failure};
use crate::live::Pool;
use crate::suite::{Kernel, Undecided, probe};

/// In which form.
#[derive(Debug, Args)]
pub(super) struct ProbeArguments {
    /// As JSON: an object with the kernel and its facts
    #[arg(long)]
    json: bool,
}

/// The version of the form.
const FORMAT: u32 = 1;

/// What `--json` writes.
#[derive(Serialize, JsonSchema)]
pub(super) struct ProbeReport {
    /// The version of this format.
    #[schemars(extend("const" = FORMAT))]
    format: u32,
    /// The kernel that runs.
    kernel: Kernel,
    /// Its facts, in the order of the releases that brought them.
    facts: Vec<FactReport>,
}

/// A fact.
#[derive(Serialize, JsonSchema)]
struct FactReport {
    /// Its name.
    fact: &'static str,
    /// What holds, in a sentence.
    summary: &'static str,
    /// The commit that made it so.
    commit: &'static str,
    /// Where else it is documented, or how it was found.
    source: &'static str,
    /// Whether it holds; `null` where it was not decided.
    holds: Option<bool>,
    /// Why it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    undecided: Option<String>,
}

pub(super) fn run(arguments: &ProbeArguments, output: &mut Output) -> Result<End, Failure> {
    let harness = |error: &dyn std::fmt::Display| Failure::Harness(error.to_string());
    let kernel = Kernel::running().map_err(|error| harness(&error))?;
    let size = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    // More workers would take longer to start than they save.
    let pool = Pool::new(size.min(4), None).map_err(|error| harness(&error))?;
    let found = probe(&pool).map_err(|error| harness(&error))?;
    let troubled =
        found.iter().filter(|one| matches!(one.holds, Err(Undecided::Trouble(_)))).count();
    if arguments.json {
        let facts = found.iter().map(|one| FactReport {
            fact: one.fact.id,
            summary: one.fact.summary,
            commit: one.fact.commit,
            source: one.fact.source,
            holds: one.holds.as_ref().ok().copied(),
            undecided: one.holds.as_ref().err().map(ToString::to_string),
        });
        let report = ProbeReport { format: FORMAT, kernel, facts: facts.collect() };
        let text = serde_json::to_string_pretty(&report).expect("a report is plain data");
        writeln!(output, "{text}")?;
    } else {
        let width = found.iter().map(|one| one.fact.id.len()).max().unwrap_or(0);
        for one in &found {
            let (style, word) = match &one.holds {
                Ok(true) => (style::GOOD, "yes"),
                Ok(false) => (style::NOTE, "no"),
                Err(_) => (style::BAD, "?"),
            };
            let (id, summary) = (one.fact.id, one.fact.summary);
            writeln!(output, "{id:width$}  {style}{word:3}{style:#}  {summary}")?;
            if let Err(why) = &one.holds {
                writeln!(output, "{:width$}       undecided: {why}", "")?;
            }
        }
    }
    match troubled {
        0 => Ok(End::Known),
        _ => Err(Failure::Harness(format!("{troubled} facts came to no result"))),
    }
}
