//! `unotify-lab list`

use std::io::Write;

use clap::Args;

use super::output::Output;
use super::{End, Failure};
use crate::suite::{Catalogue, Selection};

/// What to list.
#[derive(Debug, Args)]
pub(super) struct ListArguments {
    /// Only this theme
    #[arg(long)]
    theme: Option<String>,
    /// Every case of scenarios with parameters
    #[arg(long)]
    cases: bool,
}

/// One line a scenario: its id, a tabulator, its summary.
pub(super) fn list(arguments: &ListArguments, output: &mut Output) -> Result<End, Failure> {
    let catalogue = Catalogue::built_in()?;
    let selection = Selection { wanted: Vec::new(), theme: arguments.theme.clone() };
    let mut last = None;
    for case in catalogue.select(&selection)? {
        let id = if arguments.cases { &case.scenario.id } else { &case.file.id };
        if last.as_ref() != Some(id) {
            writeln!(output, "{id}\t{}", case.scenario.summary)?;
        }
        last = Some(id.clone());
    }
    Ok(End::Known)
}
