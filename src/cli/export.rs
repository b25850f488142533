//! `unotify-lab export`

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::output::Output;
use super::{End, Failure};
use crate::export::c_program;
use crate::profile;
use crate::suite::{Case, Catalogue, Selection};

const HELP: &str = "\
Examples:
  unotify-lab export recv/after-last-exit > reproducer.c
  cc -O1 -o reproducer reproducer.c && ./reproducer
  unotify-lab export 'send/error[error=-1]' -o reproducer.c

The program prints the trace that `unotify-lab run -v` shows. A race is run a
thousand times, and each way that it went is printed with its count.";

/// Which scenario, and where to.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(super) struct ExportArguments {
    /// One scenario, by its id (theme/name, with [parameter=value] where its
    /// file has several cases) or by its path
    #[arg(value_name = "ID|PATH")]
    wanted: String,
    /// The file to write, instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) fn export(arguments: &ExportArguments, output: &mut Output) -> Result<End, Failure> {
    let selection = Selection { wanted: vec![arguments.wanted.clone()], theme: None };
    let catalogue = Catalogue::built_in()?.with_paths(&selection)?;
    let cases = catalogue.select(&selection)?;
    let [case] = &cases[..] else {
        let ids: Vec<&str> = cases.iter().map(|case| case.scenario.id.as_str()).collect();
        return Err(Failure::User(format!(
            "{} has {} scenarios; name one of them:\n  {}",
            arguments.wanted,
            ids.len(),
            ids.join("\n  ")
        )));
    };
    let schedule = case
        .scenario
        .schedule()
        .map_err(|found| Failure::Harness(format!("{}: {}", case.scenario.id, found[0].message)))?;
    let program = c_program(&case.scenario, &schedule, &known(case))
        .map_err(|error| Failure::User(format!("{}: {error}", case.scenario.id)))?;
    match &arguments.output {
        Some(path) => std::fs::write(path, program)
            .map_err(|error| Failure::Harness(format!("{}: {error}", path.display())))?,
        None => output.write_all(program.as_bytes())?,
    }
    Ok(End::Known)
}

/// What kernels are known to show, those that have all facts first.
fn known(case: &Case<'_>) -> Vec<(String, String)> {
    let mut stored: Vec<_> = case
        .file
        .stored
        .iter()
        .filter_map(|stored| Some((&stored.without, stored.cases.get(&case.scenario.id)?)))
        .collect();
    stored.sort_by_key(|(without, _)| without.len());
    let told = |fact: &String| match profile::FACTS.iter().find(|known| known.id == fact) {
        Some(known) => format!("{fact} (Linux {}.{})", known.since.0, known.since.1),
        None => fact.clone(),
    };
    let several = stored.len() > 1;
    stored
        .into_iter()
        .map(|(without, trace)| {
            let which = match &without[..] {
                [] if several => "Kernels with all that follows print:".to_owned(),
                [] => "Known kernels print:".to_owned(),
                facts => {
                    let facts: Vec<String> = facts.iter().map(told).collect();
                    format!("Kernels without {} print:", facts.join(", "))
                }
            };
            (which, trace.clone())
        })
        .collect()
}
