//! `unotify-lab report`

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::output::{Output, OutputFile};
use super::{End, Failure};
use crate::report::book::{self, Book};
use crate::report::cost::{CostError, Costs, read_costs};
use crate::report::drawing::{self, Drawing};
use crate::report::{Format, Submission, file_names};
use crate::suite::{CaseRecord, Catalogue, RunRecord, Selection, read_record, read_records};
use crate::trace::Trace;

/// Which records, in which form.
#[derive(Debug, Args)]
pub(super) struct ReportArguments {
    /// Run records, as `run --format json` writes them, or folders of them, as
    /// `matrix --output` does; drawings take one
    #[arg(required = true, value_name = "DIR|RECORD")]
    records: Vec<PathBuf>,
    /// Form of the report
    #[arg(long, value_enum)]
    format: ReportFormat,
    /// Write it there instead of to standard output; into a folder, a report
    /// of several records goes under its own names
    #[arg(long, short, value_name = "FILE|FOLDER")]
    output: Option<PathBuf>,
    /// Only the drawings of this scenario, by its id
    #[arg(long, value_name = "ID")]
    only: Option<String>,
    /// Show costs, too: what `cargo bench --bench cost` wrote
    #[arg(long, value_name = "FILE")]
    costs: Option<PathBuf>,
    #[command(flatten)]
    submission: SubmissionArguments,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ReportFormat {
    /// What the kernels do, changes, claims: one page that needs nothing else
    Html,
    /// The same as Markdown
    Markdown,
    /// The same as reStructuredText
    Rst,
    /// The same as a manual page
    Man,
    /// The same as data
    Json,
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
    /// Sequence drawings of all traces, for terminals
    Drawing,
    /// Sequence drawings as SVG: a file for each trace in the folder of
    /// --output, or the only one
    Svg,
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

    /// Records in a form that machines read.
    pub fn render(&self, format: Format, records: &[RunRecord]) -> Result<String, Failure> {
        if self.kcidb_build.is_some() && records.len() > 1 {
            return Err(Failure::User("--kcidb-build is for one record".to_owned()));
        }
        Ok(format.render(records, &self.submission()))
    }
}

pub(super) fn report(arguments: &ReportArguments, output: &mut Output) -> Result<End, Failure> {
    let to = arguments.output.as_deref();
    let mut records = records(&arguments.records)?;
    let many = |format| {
        matches!(
            format,
            ReportFormat::Html
                | ReportFormat::Markdown
                | ReportFormat::Rst
                | ReportFormat::Man
                | ReportFormat::Json
        )
    };
    if many(arguments.format) {
        if arguments.only.is_some() {
            return Err(Failure::User(ONLY.to_owned()));
        }
        let costs = arguments.costs.as_deref().map(read_costs).transpose()?;
        book(records, costs, arguments.format, to, output)?;
        return Ok(End::Known);
    }
    if arguments.costs.is_some() {
        return Err(Failure::User(COSTS.to_owned()));
    }
    let machine = match arguments.format {
        ReportFormat::Ktap => Some(Format::Ktap),
        ReportFormat::Tap13 => Some(Format::Tap13),
        ReportFormat::Junit => Some(Format::Junit),
        ReportFormat::Kcidb => Some(Format::Kcidb),
        ReportFormat::Lava => Some(Format::Lava),
        _ => None,
    };
    if let Some(format) = machine {
        if arguments.only.is_some() {
            return Err(Failure::User(ONLY.to_owned()));
        }
        let text = arguments.submission.render(format, &records)?;
        OutputFile::open(to)?.write(&text, output)?;
        return Ok(End::Known);
    }
    let (Some(record), true) = (records.pop(), records.is_empty()) else {
        let why = "drawings are made of one record; all other forms take several";
        return Err(Failure::User(why.to_owned()));
    };
    match arguments.format {
        ReportFormat::Drawing => {
            let mut text = String::new();
            for (case, trace) in traces(&record, arguments.only.as_deref())? {
                let drawn = drawing::text(&Drawing::of(trace));
                let _ = writeln!(text, "{}\n\n{drawn}", case.scenario);
            }
            OutputFile::open(to)?.write(&text, output)?;
        }
        _ => svg(&traces(&record, arguments.only.as_deref())?, to, output)?,
    }
    Ok(End::Known)
}

impl From<CostError> for Failure {
    fn from(error: CostError) -> Self {
        Failure::User(error.to_string())
    }
}

const COSTS: &str = "--costs is for --format html, markdown, rst, man and json";
const ONLY: &str = "--only is for --format drawing and svg";

/// All records that are named, each itself or by its folder.
fn records(paths: &[PathBuf]) -> Result<Vec<RunRecord>, Failure> {
    let mut records = Vec::new();
    for path in paths {
        match path.is_dir() {
            true => records.extend(read_records(path)?),
            false => records.push(read_record(path)?),
        }
    }
    Ok(records)
}

/// Writes a report of several records.
fn book(
    records: Vec<RunRecord>,
    costs: Option<Costs>,
    format: ReportFormat,
    to: Option<&Path>,
    output: &mut Output,
) -> Result<(), Failure> {
    let catalogue = Catalogue::built_in()?;
    let scenarios = catalogue.select(&Selection::default())?;
    let book = Book { costs, ..Book::of(records, &scenarios, &catalogue.documents) };
    let files: Vec<(String, String)> = match format {
        ReportFormat::Markdown => book::markdown(&book)
            .into_iter()
            .map(|page| (format!("{}.md", page.name), page.text))
            .collect(),
        ReportFormat::Rst => vec![("report.rst".to_owned(), book::rst(&book))],
        ReportFormat::Man => vec![("unotify-lab-report.7".to_owned(), book::man(&book))],
        ReportFormat::Json => {
            let text = serde_json::to_string(&book).expect("a book is plain data") + "\n";
            vec![("report.json".to_owned(), text)]
        }
        _ => vec![("index.html".to_owned(), book::html(&book))],
    };
    if let Some(folder) = to.filter(|to| to.is_dir()) {
        for (name, text) in files {
            OutputFile::open(Some(&folder.join(name)))?.write(&text, output)?;
        }
        return Ok(());
    }
    let texts: Vec<String> = files.into_iter().map(|(_, text)| text).collect();
    OutputFile::open(to)?.write(&texts.join("\n"), output)
}

/// The cases that have a trace.
fn traces<'r>(
    record: &'r RunRecord,
    only: Option<&str>,
) -> Result<Vec<(&'r CaseRecord, &'r Trace)>, Failure> {
    let wanted = |case: &&CaseRecord| {
        let file = case.scenario.split('[').next();
        only.is_none_or(|only| only == case.scenario || Some(only) == file)
    };
    let cases = record.cases.iter().filter(wanted);
    let traces: Vec<_> = cases.filter_map(|case| Some((case, case.trace.as_ref()?))).collect();
    match (traces.is_empty(), only) {
        (true, Some(only)) => Err(Failure::User(format!("the record has no trace of {only:?}"))),
        (true, None) => Err(Failure::User("the record has no traces".to_owned())),
        _ => Ok(traces),
    }
}

/// Writes drawings: several into a folder, one to a file.
fn svg(
    traces: &[(&CaseRecord, &Trace)],
    to: Option<&Path>,
    output: &mut Output,
) -> Result<(), Failure> {
    let drawn = |case: &CaseRecord, trace| drawing::svg(&Drawing::of(trace), &case.scenario);
    match (traces, to) {
        ([(case, trace)], to) if to.is_none_or(|to| !to.is_dir()) => {
            OutputFile::open(to)?.write(&drawn(case, trace), output)
        }
        (_, Some(folder)) => {
            let scenarios = traces.iter().map(|(case, _)| case.scenario.as_str());
            for ((case, trace), name) in traces.iter().zip(file_names(scenarios)) {
                let path = folder.join(format!("{name}.svg"));
                let told = |error| Failure::User(format!("--output {}: {error}", path.display()));
                std::fs::write(&path, drawn(case, trace)).map_err(told)?;
            }
            Ok(())
        }
        (_, None) => {
            let why = "there are several drawings: name one with --only, or a folder with --output";
            Err(Failure::User(why.to_owned()))
        }
    }
}
