//! `unotify-lab check`

use std::io::Write;

use clap::Args;

use super::output::Output;
use super::{End, Failure};
use crate::suite::{Catalogue, Selection};

/// What to check.
#[derive(Debug, Args)]
pub(super) struct CheckArguments {
    /// Scenario files, or folders of them
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<String>,
}

/// Parses files and resolves their names; runs nothing.
pub(super) fn check(arguments: &CheckArguments, output: &mut Output) -> Result<End, Failure> {
    let mut wrong = Vec::new();
    for path in &arguments.paths {
        if !std::path::Path::new(path).exists() {
            return Err(Failure::User(format!("{path}: no such file or folder")));
        }
        let selection = Selection { wanted: vec![path.clone()], theme: None };
        let checked = Catalogue::default()
            .with_paths(&selection)
            .and_then(|catalogue| Ok(catalogue.select(&selection)?.len()));
        match checked {
            Ok(1) => writeln!(output, "{path}: one scenario")?,
            Ok(count) => writeln!(output, "{path}: {count} scenarios")?,
            Err(error) => wrong.push(Failure::from(error).to_string()),
        }
    }
    if wrong.is_empty() { Ok(End::Known) } else { Err(Failure::User(wrong.join("\n\n"))) }
}
