//! `unotify-lab diff`

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;

use super::output::{Output, style};
use super::report::read;
use super::{End, Failure};
use crate::suite::diff;

/// Which records.
#[derive(Debug, Args)]
pub(super) struct DiffArguments {
    /// A run record, as `run --format json` writes it
    before: PathBuf,
    /// Another one
    after: PathBuf,
    /// Scenarios that may differ: one a line, `#` begins a comment
    #[arg(long, value_name = "FILE")]
    allow: Option<PathBuf>,
}

pub(super) fn run(arguments: &DiffArguments, output: &mut Output) -> Result<End, Failure> {
    let (before, after) = (read(&arguments.before)?, read(&arguments.after)?);
    let allowed = match &arguments.allow {
        Some(path) => text(path)?,
        None => String::new(),
    };
    let allowed: Vec<&str> = allowed
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim())
        .filter(|line| !line.is_empty())
        .collect();
    let (head, reset) = (style::HEAD, anstyle::Reset);
    let releases = (&before.kernel.release, &after.kernel.release);
    let mut news = 0;
    let changes = diff(&before, &after);
    for change in &changes {
        let known = allowed.contains(&change.scenario.as_str());
        news += usize::from(!known);
        let note = if known { "  (allowed)" } else { "" };
        writeln!(output, "{head}{}{reset}{note}", change.scenario)?;
        if let Some(why) = &change.missing {
            writeln!(output, "    not compared: {why}")?;
        }
        for step in &change.steps {
            writeln!(output, "    {}", step.step)?;
            for (release, outcome) in [(releases.0, &step.before), (releases.1, &step.after)] {
                let outcome = if outcome.is_empty() { "nothing" } else { outcome };
                writeln!(output, "        {release}: {outcome}")?;
            }
        }
    }
    writeln!(
        output,
        "{} scenarios differ, {} of them allowed",
        changes.len(),
        changes.len() - news
    )?;
    Ok(if news > 0 { End::Finding } else { End::Known })
}

fn text(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path)
        .map_err(|error| Failure::User(format!("{}: {error}", path.display())))
}
