//! `unotify-lab run`

use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};

use super::bisect::BisectOptions;
use super::output::{Output, OutputFile, style};
use super::report::SubmissionArguments;
use super::results::Results;
use super::{End, Failure};
use crate::live::Pool;
use crate::profile::{self, Profile, Release};
use crate::report;
use crate::report::drawing::{self, Drawing};
use crate::suite::{self, CaseResult, Catalogue, Kernel, Plan, RunRecord, Selection, SuiteResult};
use crate::verdict::{Standing, Verdict};

/// What to run, and how.
#[derive(Debug, Args)]
pub(super) struct RunArguments {
    /// Scenarios by id (theme/name), themes, or paths of files and folders;
    /// none for the whole catalogue
    #[arg(value_name = "PATH|ID")]
    wanted: Vec<String>,
    /// Only this theme
    #[arg(long)]
    theme: Option<String>,
    /// Worker processes at a time; one for each processor unless given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: Option<u16>,
    /// Run every scenario so often, and compare its traces
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
    /// What delays in races are drawn from
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Judge by the facts of this Linux release instead of the running one's
    #[arg(long, value_name = "RELEASE")]
    profile: Option<Release>,
    /// Form of the result
    #[arg(long, value_enum, default_value_t = Format::Pretty)]
    format: Format,
    /// Write the result there instead of to standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write the traces of scenarios that have none for this kernel's facts
    /// into FOLDER, which is scenarios/traces of a checkout
    #[arg(long, value_name = "FOLDER")]
    accept: Option<PathBuf>,
    /// End as the kernel's own tests do: 0 pass, 1 fail, 2 only known failures,
    /// 3 a known failure that passed, 4 nothing was run
    #[arg(long)]
    kselftest: bool,
    #[command(flatten)]
    submission: SubmissionArguments,
    /// Show the trace of every scenario
    #[arg(long, short)]
    verbose: bool,
    /// Show the trace of every scenario as a sequence drawing
    #[arg(long)]
    drawing: bool,
    #[command(flatten)]
    bisect: BisectOptions,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Pretty,
    /// A run record
    Json,
    /// The Kernel Test Anything Protocol, version 1, as results come
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

pub(super) fn run(arguments: &RunArguments, output: &mut Output) -> Result<End, Failure> {
    let ended = attempt(arguments, output);
    arguments.ended(ended, output)
}

fn attempt(arguments: &RunArguments, output: &mut Output) -> Result<End, Failure> {
    let selection = arguments.selection();
    let catalogue = Catalogue::built_in()?.with_paths(&selection)?;
    let cases = catalogue.select(&selection)?;
    let file = arguments.open_output()?;
    let jobs = arguments.workers();
    let kernel = Kernel::running().map_err(|error| Failure::Harness(error.to_string()))?;
    let pool = Pool::new(jobs, None).map_err(|error| Failure::Harness(error.to_string()))?;
    let plan = arguments.plan();
    let mut results = (arguments.format == Format::Ktap && file.is_standard())
        .then(|| Results::new(&catalogue, &cases, &kernel, plan));
    let bar = match &results {
        Some(results) => {
            results.begin(output);
            ProgressBar::hidden()
        }
        None => progress_bar(plan.runs(&cases)),
    };
    let result = suite::run(&catalogue, &cases, kernel, &pool, plan, |done, collected| {
        bar.set_position(done as u64);
        if let Some(results) = &mut results {
            results.tell(collected, output);
        }
    })
    .map_err(|error| Failure::Harness(error.to_string()))?;
    bar.finish_and_clear();
    if let Some(results) = &mut results {
        results.finish(&result, output);
    }
    tell(&result, arguments, file, results.is_some(), output)
}

impl RunArguments {
    /// What is to be run.
    pub fn selection(&self) -> Selection {
        Selection { wanted: self.wanted.clone(), theme: self.theme.clone() }
    }

    /// How this run answers for a bisection, if it does.
    pub fn bisect(&self) -> &BisectOptions {
        &self.bisect
    }

    /// Worker processes at a time.
    pub fn workers(&self) -> usize {
        self.jobs.map_or_else(
            || std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            usize::from,
        )
    }

    /// Whether a number of workers was asked for.
    pub fn has_jobs(&self) -> bool {
        self.jobs.is_some()
    }

    /// How often.
    pub fn plan(&self) -> Plan {
        Plan { repeat: self.repeat as usize, seed: self.seed, judged_as: self.profile }
    }

    /// Where the result goes.
    pub fn open_output(&self) -> Result<OutputFile, Failure> {
        OutputFile::open(self.output.as_deref())
    }

    /// How the command ends: for kselftest, whatever keeps a test from being
    /// made is a failure of it, as 2 and 3 have another meaning there.
    pub fn ended(&self, ended: Result<End, Failure>, output: &mut Output) -> Result<End, Failure> {
        match ended {
            Err(failure @ (Failure::User(_) | Failure::Harness(_))) if self.kselftest => {
                output.complain(&failure.to_string());
                Ok(End::Kselftest(1))
            }
            other => other,
        }
    }
}

/// Tells a result in the form that was asked for, unless it was told already,
/// and says how the command ends.
pub(super) fn tell(
    result: &SuiteResult<'_>,
    arguments: &RunArguments,
    file: OutputFile,
    told: bool,
    output: &mut Output,
) -> Result<End, Failure> {
    let record = || RunRecord::of(result, arguments.plan());
    let machine = |format: report::Format| {
        Some(format.render(&[record()], &arguments.submission.submission()))
    };
    let text = match arguments.format {
        Format::Pretty => Some(pretty(result, arguments)),
        Format::Json => {
            let text = serde_json::to_string_pretty(&record()).expect("a record is plain data");
            Some(text + "\n")
        }
        Format::Ktap if told => None,
        Format::Ktap => machine(report::Format::Ktap),
        Format::Tap13 => machine(report::Format::Tap13),
        Format::Junit => machine(report::Format::Junit),
        Format::Kcidb => machine(report::Format::Kcidb),
        Format::Lava => machine(report::Format::Lava),
    };
    if let Some(folder) = &arguments.accept {
        accept(result, folder, output)?;
    }
    if let Some(text) = text {
        file.write(&text, output)?;
    }
    if arguments.kselftest {
        let record = record();
        return Ok(End::Kselftest(report::exit_status(&report::tests(&record))));
    }
    let troubled = result.cases.iter().filter(|case| case.verdict.is_trouble()).count();
    if troubled > 0 {
        return Err(Failure::Harness(format!("{troubled} scenarios came to no result")));
    }
    if let Some(first) = result.undecided.first() {
        let more = result.undecided.len();
        return Err(Failure::Harness(format!("{more} facts came to no result, such as {first}")));
    }
    let finding = result.lost().next().is_some()
        || result.cases.iter().any(|case| case.verdict.is_finding())
        || result.claims.iter().any(|(_, _, standing)| standing.is_finding());
    Ok(if finding { End::Finding } else { End::Known })
}

/// Stores what was seen for the first time on a kernel with such facts.
fn accept(result: &SuiteResult<'_>, folder: &Path, output: &mut Output) -> Result<(), Failure> {
    if !folder.is_dir() {
        return Err(Failure::User(format!("--accept {}: no such folder", folder.display())));
    }
    for (name, contents) in result.missing_traces() {
        let path = folder.join(name);
        let parent = path.parent().unwrap_or(folder);
        std::fs::create_dir_all(parent)
            .and_then(|()| std::fs::write(&path, contents))
            .map_err(|error| Failure::User(format!("--accept {}: {error}", path.display())))?;
        writeln!(output, "stored {}", path.display())?;
    }
    Ok(())
}

/// A bar on a terminal, and nothing elsewhere: the result says it all.
pub(super) fn progress_bar(runs: usize) -> ProgressBar {
    let bar = ProgressBar::new(runs as u64);
    let form = ProgressStyle::with_template("{bar:40} {pos}/{len} runs, {eta} left");
    bar.with_style(form.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// The result as people read it.
fn pretty(result: &SuiteResult<'_>, arguments: &RunArguments) -> String {
    let verbose = arguments.verbose;
    let mut text = String::new();
    for case in &result.cases {
        case_text(&mut text, case, arguments);
    }
    claims_text(&mut text, result, verbose);
    facts_text(&mut text, result);
    summary(&mut text, result);
    text
}

fn case_text(text: &mut String, case: &CaseResult<'_>, arguments: &RunArguments) {
    let shown = arguments.verbose || arguments.drawing;
    let id = &case.case.scenario.id;
    let line = match &case.verdict {
        Verdict::Conforms if shown => format!("{}conforms{}", style::GOOD, reset()),
        Verdict::Conforms => return,
        Verdict::Backported(facts) => format!(
            "{}conforms{}, with facts of later kernels: {}",
            style::NOTE,
            reset(),
            facts.join(", ")
        ),
        Verdict::Regressed(facts) => format!(
            "{}diverges{}: it does what kernels without this do: {}",
            style::BAD,
            reset(),
            facts.join(", ")
        ),
        Verdict::Diverges(difference) => format!(
            "{}diverges{} at line {} of its trace\n    known: {}\n    seen:  {}",
            style::BAD,
            reset(),
            difference.line,
            difference.expected,
            difference.seen
        ),
        Verdict::Refused(refusal) => format!("{}diverges{}: {refusal}", style::BAD, reset()),
        Verdict::Unstable(difference) => format!(
            "{}two runs differ{} at line {}\n    once:  {}\n    again: {}",
            style::BAD,
            reset(),
            difference.line,
            difference.expected,
            difference.seen
        ),
        Verdict::Unjudged(why) => format!("{}not judged{}: {why}", style::NOTE, reset()),
        Verdict::Skipped(why) => format!("{}skipped{}: {why}", style::NOTE, reset()),
        Verdict::Inconclusive(why) => format!("{}inconclusive{}: {why}", style::BAD, reset()),
        Verdict::Fault(why) => format!("{}harness fault{}: {why}", style::BAD, reset()),
    };
    let _ = writeln!(text, "{}{id}{}  {line}", style::HEAD, reset());
    if shown && let Some(trace) = &case.trace {
        let told = match arguments.drawing {
            true => drawing::text(&Drawing::of(trace)),
            false => trace.to_string(),
        };
        for line in told.lines() {
            let _ = writeln!(text, "    {line}");
        }
        text.push('\n');
    }
    if shown && !case.ways.is_empty() {
        ways_text(text, case);
    }
}

/// The ways in which a race went, as a histogram of the outcomes that differ.
fn ways_text(text: &mut String, case: &CaseResult<'_>) {
    let total: usize = case.ways.iter().map(|way| way.count).sum();
    let _ = writeln!(text, "    {total} runs");
    let traces: Vec<_> = case.ways.iter().map(|way| &way.trace).collect();
    for (way, difference) in case.ways.iter().zip(suite::differences(&traces)) {
        let frequency = match way.count {
            0 => "never",
            count if count == total => "always",
            _ => "sometimes",
        };
        let _ = writeln!(text, "    {:>7}  {frequency:9}  {difference}", way.count);
    }
    text.push('\n');
}

fn claims_text(text: &mut String, result: &SuiteResult<'_>, verbose: bool) {
    let told = |standing: &Standing| verbose || !matches!(standing, Standing::Held);
    let mut current = None;
    for (document, claim, standing) in &result.claims {
        let undecided = matches!(standing, Standing::Undecided(_));
        if !told(standing) || undecided && !verbose {
            continue;
        }
        if current != Some(&document.document) {
            current = Some(&document.document);
            let (name, edition) = (&document.document, &document.edition);
            let _ = writeln!(text, "\n{}{name}{}, {edition}", style::HEAD, reset());
        }
        let (word, colour, seen) = match standing {
            Standing::Held => ("held", style::GOOD, None),
            Standing::Contradicted { seen } => ("contradicted", style::NOTE, Some(seen)),
            Standing::Failed { seen } => ("contradicted, which is news", style::BAD, Some(seen)),
            Standing::HeldAfterAll => ("held, though known not to", style::BAD, None),
            Standing::Undecided(why) => ("undecided", style::FAINT, Some(why)),
        };
        let _ = writeln!(text, "  {colour}{word}{}: {} ({})", reset(), claim.says, claim.place);
        if let Some(seen) = seen {
            let (scenario, step) = (&claim.scenario, &claim.step);
            let _ = writeln!(text, "      seen: {seen}   [{scenario}, {step}]");
        }
        if let Some(fact) = claim.contradicted_by.as_deref().and_then(profile::fact)
            && matches!(standing, Standing::Contradicted { .. })
        {
            let (major, minor) = fact.since;
            let _ = writeln!(text, "      since {major}.{minor}: {}", fact.summary);
            let _ = writeln!(text, "      {}", fact.commit);
        }
        if let Some(note) = claim.note.as_ref().filter(|_| verbose) {
            let _ = writeln!(text, "      {note}");
        }
    }
}

/// Facts that are not as the kernel's version says: a backport, or news.
fn facts_text(text: &mut String, result: &SuiteResult<'_>) {
    for (id, holds) in result.observed.iter() {
        if result.by_version.holds(id) != Some(holds) && result.by_version != Profile::default() {
            let word = if holds { "holds" } else { "does not hold" };
            let release = result.release.map(|release| release.to_string());
            let _ = writeln!(
                text,
                "\n{}fact{} {id} {word} here, unlike in Linux {}",
                style::NOTE,
                reset(),
                release.unwrap_or_default()
            );
        }
    }
}

fn summary(text: &mut String, result: &SuiteResult<'_>) {
    let count =
        |is: fn(&Verdict) -> bool| result.cases.iter().filter(|case| is(&case.verdict)).count();
    let mut parts = vec![
        format!(
            "{} conforming",
            count(|verdict| matches!(verdict, Verdict::Conforms | Verdict::Backported(_)))
        ),
        format!("{} diverging", count(Verdict::is_finding)),
        format!("{} skipped", count(|verdict| matches!(verdict, Verdict::Skipped(_)))),
    ];
    let unjudged = count(|verdict| matches!(verdict, Verdict::Unjudged(_)));
    if unjudged > 0 {
        parts.push(format!("{unjudged} not judged"));
    }
    let troubled = count(Verdict::is_trouble);
    if troubled > 0 {
        parts.push(format!("{troubled} without result"));
    }
    let standing = |is: fn(&Standing) -> bool| {
        result.claims.iter().filter(|(_, _, standing)| is(standing)).count()
    };
    let held = standing(|standing| matches!(standing, Standing::Held));
    let contradicted = standing(|standing| {
        matches!(standing, Standing::Contradicted { .. } | Standing::Failed { .. })
    });
    let news = standing(Standing::is_finding);
    let undecided = standing(|standing| matches!(standing, Standing::Undecided(_)));
    let _ = write!(
        text,
        "\nLinux {} {}: {} scenarios: {}\n",
        result.kernel.release,
        result.kernel.machine,
        result.cases.len(),
        parts.join(", ")
    );
    let _ =
        write!(text, "{} claims: {held} held, {contradicted} contradicted", result.claims.len());
    if undecided > 0 {
        let _ = write!(text, ", {undecided} undecided");
    }
    if news > 0 {
        let _ = write!(text, "; {news} of them news");
    }
    text.push('\n');
}

fn reset() -> anstyle::Reset {
    anstyle::Reset
}
