//! `unotify-lab report`

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::output::{Output, OutputFile};
use super::{End, Failure};
use crate::report::{Format, Submission};
use crate::suite::RunRecord;

/// Which record, in which form.
#[derive(Debug, Args)]
pub(super) struct ReportArguments {
    /// A run record, as `run --format json` writes it
    record: PathBuf,
    /// Form of the report
    #[arg(long, value_enum)]
    format: ReportFormat,
    /// Write it there instead of to standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    submission: SubmissionArguments,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ReportFormat {
    /// The Kernel Test Anything Protocol, version 1
    Ktap,
    /// The Test Anything Protocol, version 13
    Tap13,
    /// JUnit's XML, as Jenkins reads it
    Junit,
    /// The kernel CI database's JSON, version 5.3
    Kcidb,
    /// LAVA's signal lines
    Lava,
}

/// What `--format kcidb` needs to know.
#[derive(Debug, Args)]
pub(super) struct SubmissionArguments {
    /// For kcidb: the name of the CI system that submits
    #[arg(long, value_name = "NAME", default_value = "unotify_lab", value_parser = origin)]
    kcidb_origin: String,
    /// For kcidb: the id of the tested build, if it was submitted already
    #[arg(long, value_name = "ID", value_parser = build)]
    kcidb_build: Option<String>,
}

fn is_origin(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    !text.is_empty() && text.chars().all(fits)
}

fn origin(text: &str) -> Result<String, String> {
    match is_origin(text) {
        true => Ok(text.to_owned()),
        false => Err("an origin has lower-case letters, digits and _".to_owned()),
    }
}

fn build(text: &str) -> Result<String, String> {
    match text.split_once(':') {
        Some((origin, _)) if is_origin(origin) => Ok(text.to_owned()),
        _ => Err("an id is ORIGIN:NAME, as in maestro:6717f2".to_owned()),
    }
}

impl SubmissionArguments {
    pub fn submission(&self) -> Submission {
        Submission { origin: self.kcidb_origin.clone(), build: self.kcidb_build.clone() }
    }
}

pub(super) fn report(arguments: &ReportArguments, output: &mut Output) -> Result<End, Failure> {
    let record = read(&arguments.record)?;
    let file = OutputFile::open(arguments.output.as_deref())?;
    let format = match arguments.format {
        ReportFormat::Ktap => Format::Ktap,
        ReportFormat::Tap13 => Format::Tap13,
        ReportFormat::Junit => Format::Junit,
        ReportFormat::Kcidb => Format::Kcidb,
        ReportFormat::Lava => Format::Lava,
    };
    file.write(&format.render(&record, &arguments.submission.submission()), output)?;
    Ok(End::Known)
}

/// Reads a record that a user names.
pub(super) fn read(path: &Path) -> Result<RunRecord, Failure> {
    let wrong = |why: String| Failure::User(format!("{}: {why}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    RunRecord::read(&text).map_err(|error| wrong(error.to_string()))
}
