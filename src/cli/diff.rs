//! `unotify-lab diff`

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;

use super::output::{Output, style};
use super::{End, Failure};
use crate::suite::{Pairs, RunRecord, StoreError, diff, pairs, read_record, read_records};

/// Which records.
#[derive(Debug, Args)]
pub(super) struct DiffArguments {
    /// A run record, as `run --format json` writes it, or the folder of a
    /// matrix
    before: PathBuf,
    /// Another one of the same kind; kernels of two folders are matched by
    /// release, and by series where the releases differ
    after: PathBuf,
    /// Scenarios that may differ, or may be left out: one a line, `#` begins a
    /// comment
    #[arg(long, value_name = "FILE")]
    allow: Option<PathBuf>,
}

pub(super) fn run(arguments: &DiffArguments, output: &mut Output) -> Result<End, Failure> {
    let (before, after) = (&arguments.before, &arguments.after);
    let found = match (before.is_dir(), after.is_dir()) {
        (true, true) => pairs(read_records(before)?, read_records(after)?),
        (false, false) => {
            let pair = (read_record(before)?, read_record(after)?);
            Pairs { pairs: vec![pair], ..Pairs::default() }
        }
        _ => {
            let (a, b) = (before.display(), after.display());
            let why = format!("{a} and {b}: name two records, or two folders of records");
            return Err(Failure::User(why));
        }
    };
    let allowed = match &arguments.allow {
        Some(path) => text(path)?,
        None => String::new(),
    };
    let allowed: Vec<&str> = allowed
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim())
        .filter(|line| !line.is_empty())
        .collect();
    let mut all = Counts::default();
    for (before, after) in &found.pairs {
        let counts = tell_pair(before, after, &allowed, output)?;
        all.news += counts.news;
        all.silent += counts.silent;
    }
    let alone = [(before, &found.only_first), (after, &found.only_second)];
    for (folder, records) in alone {
        for record in records {
            let release = &record.kernel.release;
            writeln!(output, "not compared: only {} has Linux {release}", folder.display())?;
            all.silent += 1;
        }
    }
    match all {
        Counts { news: 0, silent: 0, .. } => Ok(End::Known),
        Counts { news: 0, .. } => Err(Failure::Harness(
            "nothing changed in what could be compared, but not all could".to_owned(),
        )),
        _ => Ok(End::Finding),
    }
}

/// How many scenarios of a pair are told.
#[derive(Default)]
struct Counts {
    /// Changed, and not allowed to.
    news: usize,
    /// Not compared, and not allowed to be left out.
    silent: usize,
    /// Allowed to differ or to be left out.
    allowed: usize,
}

/// Tells what changed between two records, and what could not be compared.
fn tell_pair(
    before: &RunRecord,
    after: &RunRecord,
    allowed: &[&str],
    output: &mut Output,
) -> Result<Counts, Failure> {
    let (head, reset) = (style::HEAD, anstyle::Reset);
    let releases = [&before.kernel.release, &after.kernel.release];
    let mut counts = Counts::default();
    for change in &diff(before, after) {
        let known = allowed.contains(&change.scenario.as_str());
        let count = match (known, &change.missing) {
            (true, _) => &mut counts.allowed,
            (false, Some(_)) => &mut counts.silent,
            (false, None) => &mut counts.news,
        };
        *count += 1;
        let note = if known { "  (allowed)" } else { "" };
        writeln!(output, "{head}{}{reset}{note}", change.scenario)?;
        if let Some(why) = &change.missing {
            writeln!(output, "    not compared: {why}")?;
        }
        for step in &change.steps {
            writeln!(output, "    {}", step.step)?;
            for (release, outcomes) in releases.into_iter().zip(step.outcomes.iter().flatten()) {
                writeln!(output, "        {release}: {outcomes}")?;
            }
        }
    }
    let Counts { news, silent, allowed } = counts;
    writeln!(
        output,
        "Linux {} and {}: {news} scenarios changed, {silent} not compared, {allowed} allowed",
        releases[0], releases[1]
    )?;
    Ok(counts)
}

fn text(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path)
        .map_err(|error| Failure::User(format!("{}: {error}", path.display())))
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Failure::User(error.to_string())
    }
}
