//! `unotify-lab explore`

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::output::{Output, style};
use super::{End, Failure};
use crate::explore::{Finding, Judgement, Plan, Ran, Statistics, investigate};
use crate::live::{Pool, PoolError};
use crate::model::predict;
use crate::profile::{Profile, Release};
use crate::scenario::VERBS;
use crate::suite::{Kernel, Undecided, probe};
use crate::trace::Trace;

const HELP: &str = "\
Examples:
  unotify-lab explore --seconds 300           for five minutes
  unotify-lab explore --cases 1000 --seed 7   the same cases, whenever and wherever
  unotify-lab explore --seed 7 --first 345 --cases 1
                                              one of them again

A divergence is run again, made as small as it can be, shown, and written as a
scenario file. It is a fault of the model, of the harness, or of the kernel.";

/// How long to look, and for what.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(super) struct ExploreArguments {
    /// Begin new cases for so long
    #[arg(long, value_name = "N", required_unless_present = "cases")]
    seconds: Option<u64>,
    /// Run so many cases
    #[arg(long, value_name = "N")]
    cases: Option<u64>,
    /// The row of cases; by chance unless given
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// The first case of the row
    #[arg(long, value_name = "N", default_value_t = 0)]
    first: u64,
    /// Begin no more cases after so many divergences
    #[arg(long, value_name = "N", default_value_t = 8)]
    most_found: u64,
    /// Worker processes at a time; one for each processor unless given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: Option<u16>,
    /// Judge by the facts of this Linux release instead of the running one's
    #[arg(long, value_name = "RELEASE")]
    profile: Option<Release>,
    /// Folder for the scenarios that diverge
    #[arg(long, short, value_name = "DIR", default_value = "scenarios/found")]
    output: PathBuf,
    /// Show everything that was reached, not only a summary
    #[arg(long, short)]
    verbose: bool,
}

impl From<PoolError> for Failure {
    fn from(error: PoolError) -> Self {
        Failure::Harness(error.to_string())
    }
}

impl ExploreArguments {
    /// The same for a guest, where the seed is one that is told here.
    pub fn for_guest(&self) -> Vec<String> {
        let seed = self.seed.unwrap_or_else(|| fastrand::u64(0..1_000_000));
        let mut words = vec!["explore".to_owned(), format!("--seed={seed}")];
        words.push(format!("--first={}", self.first));
        words.extend(self.seconds.map(|seconds| format!("--seconds={seconds}")));
        words.extend(self.cases.map(|cases| format!("--cases={cases}")));
        words.push(format!("--most-found={}", self.most_found));
        words.extend(self.profile.map(|release| format!("--profile={release}")));
        words.extend(self.jobs.map(|jobs| format!("--jobs={jobs}")));
        words.extend(self.verbose.then(|| "--verbose".to_owned()));
        words
    }

    /// Where scenarios that diverge are kept.
    pub fn output(&self) -> &Path {
        &self.output
    }
}

pub(super) fn explore(arguments: &ExploreArguments, output: &mut Output) -> Result<End, Failure> {
    let jobs = arguments.jobs.map_or_else(
        || std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        usize::from,
    );
    let kernel = Kernel::running().map_err(|error| Failure::Harness(error.to_string()))?;
    let release = arguments.profile.or(kernel.upstream()).ok_or_else(|| {
        Failure::User(format!("which release is {}? --profile RELEASE tells", kernel.release))
    })?;
    let pool = Pool::new(jobs, None)?;
    let profile = match arguments.profile {
        Some(release) => Profile::of(release),
        None => probed_profile(release, &pool, output)?,
    };
    let plan = Plan {
        seed: arguments.seed.unwrap_or_else(|| fastrand::u64(0..1_000_000)),
        first: arguments.first,
        cases: arguments.cases,
        time: arguments.seconds.map(Duration::from_secs),
        most_found: arguments.most_found,
        profile,
        root: nix::unistd::getuid().is_root(),
    };
    let bar = progress_bar(&plan);
    let report = plan.explore(&pool, |statistics| {
        let done = if plan.cases.is_some() { statistics.cases } else { statistics.time.as_secs() };
        bar.set_position(done);
        bar.set_message(format!("{} cases, {} diverge", statistics.cases, statistics.refused));
    })?;
    bar.finish_and_clear();
    for ran in &report.found {
        tell(&plan, &pool, ran, &arguments.output, output)?;
    }
    writeln!(output, "{}", summary(&plan, &kernel, &report.statistics, arguments.verbose))?;
    if report.statistics.refused > 0 {
        return Ok(End::Finding);
    }
    match report.statistics.troubled {
        0 => Ok(End::Known),
        troubled => Err(Failure::Harness(format!("{troubled} scenarios came to no result"))),
    }
}

/// The facts of the running kernel: those of its release, and those that it has
/// besides. One that it has lost stays, as what comes of that is a finding.
fn probed_profile(release: Release, pool: &Pool, output: &mut Output) -> Result<Profile, Failure> {
    let mut profile = Profile::of(release);
    for one in probe(pool)? {
        match one.holds {
            Ok(true) => profile.set(one.fact, true),
            Ok(false) if profile.holds(one.fact.id) == Some(true) => {
                output.note(&format!(
                    "{} does not hold here, unlike in Linux {release}",
                    one.fact.id
                ));
            }
            Err(Undecided::Trouble(why)) => {
                return Err(Failure::Harness(format!("{}: {why}", one.fact.id)));
            }
            Ok(false) | Err(_) => {}
        }
    }
    Ok(profile)
}

/// A bar on a terminal, and nothing elsewhere.
fn progress_bar(plan: &Plan) -> ProgressBar {
    let bar = ProgressBar::new(plan.cases.or(plan.time.map(|time| time.as_secs())).unwrap_or(0));
    let form = ProgressStyle::with_template("{bar:40} {pos}/{len} {msg}");
    bar.with_style(form.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Tells of a divergence, or of a case without a result, and keeps it.
pub(super) fn tell(
    plan: &Plan,
    pool: &Pool,
    ran: &Ran,
    folder: &Path,
    output: &mut Output,
) -> Result<(), Failure> {
    let (bad, reset) = (style::BAD, anstyle::Reset);
    let (head, text) = match investigate(plan, pool, ran)? {
        Some(finding) => {
            let (times, runs) = finding.times;
            let head = match times {
                0 => format!("{bad}diverged once{reset}, and in none of {runs} runs more"),
                _ if times < runs => {
                    format!("{bad}diverges{reset} in {times} of {runs} runs: it is a race")
                }
                _ => format!("{bad}diverges{reset}"),
            };
            (head, file_of(&finding))
        }
        None => {
            let why = match &ran.judgement {
                Judgement::Trouble(why) => why.clone(),
                _ => String::new(),
            };
            let head = format!("{bad}no result{reset}: {why}");
            (head, format!("{}\n# {why}\n{}", ran.scenario, comment(&ran.trace.to_string())))
        }
    };
    let path = folder.join(format!("{}-{}.toml", plan.seed, ran.number));
    write(&path, &text)?;
    writeln!(output, "{}{}{reset}  {head}", style::HEAD, path.display())?;
    for line in text.lines() {
        writeln!(output, "    {line}")?;
    }
    writeln!(output)?;
    Ok(())
}

/// Keeps a scenario that conforms, of a case that does not.
pub(super) fn keep(
    plan: &Plan,
    ran: &Ran,
    told: &str,
    path: &Path,
    output: &mut Output,
) -> Result<(), Failure> {
    let schedule = ran.scenario.schedule().map_err(|found| Failure::User(format!("{found:?}")))?;
    let (foreseen, _) = predict(&plan.setting(&schedule));
    let mut text = format!("{}\n# As a case of its own:\n#\n{}", ran.scenario, comment(told));
    text += &traces(&ran.trace, &foreseen);
    write(path, &text)?;
    writeln!(output, "{}{}{}", style::HEAD, path.display(), anstyle::Reset)?;
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))
        .and_then(|()| std::fs::write(path, text))
        .map_err(|error| Failure::User(format!("--output {}: {error}", path.display())))
}

/// Both traces, as comments.
fn traces(seen: &Trace, foreseen: &[Trace]) -> String {
    let mut text = format!("#\n# This was seen:\n#\n{}", comment(&seen.to_string()));
    for (number, trace) in foreseen.iter().take(MOST_FORESEEN).enumerate() {
        let _ = write!(
            text,
            "#\n# This is foreseen, way {} of {}:\n#\n{}",
            number + 1,
            foreseen.len(),
            comment(&trace.to_string())
        );
    }
    text
}

/// A finding as a scenario file, with both traces.
fn file_of(finding: &Finding) -> String {
    let Finding { scenario, trace, disagreement, foreseen, .. } = finding;
    let seen = disagreement.seen.as_deref().unwrap_or("nothing more");
    let mut text = format!("{scenario}\n# seen:    {}\n", squeeze(seen));
    for allowed in &disagreement.allowed {
        let _ = writeln!(text, "# allowed: {}", squeeze(allowed));
    }
    text + &traces(trace, foreseen)
}

/// So many of the ways that the model foresees are shown.
const MOST_FORESEEN: usize = 3;

fn squeeze(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn comment(text: &str) -> String {
    text.lines().map(|line| format!("#     {line}\n")).collect()
}

fn summary(plan: &Plan, kernel: &Kernel, statistics: &Statistics, verbose: bool) -> String {
    let mut text = String::new();
    let operations = |by: fn(&crate::explore::Reached) -> String| {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for (reached, count) in &statistics.reached {
            *counts.entry(by(reached)).or_default() += count;
        }
        counts
    };
    if verbose {
        let _ = writeln!(text, "{}reached{}", style::HEAD, anstyle::Reset);
        for (reached, count) in &statistics.reached {
            let (operation, state) = (&reached.operation, reached.state);
            let _ = writeln!(text, "{count:8}  {operation:14} {state:22} {}", reached.outcome);
        }
    } else {
        let _ = writeln!(
            text,
            "{}operations{}, how often, and what came of them",
            style::HEAD,
            anstyle::Reset
        );
        for (operation, count) in operations(|reached| reached.operation.clone()) {
            let mut outcomes: BTreeMap<&str, u64> = BTreeMap::new();
            for (reached, count) in &statistics.reached {
                if reached.operation == operation {
                    *outcomes.entry(&reached.outcome).or_default() += count;
                }
            }
            let mut outcomes: Vec<(&str, u64)> = outcomes.into_iter().collect();
            outcomes.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
            let told: Vec<String> =
                outcomes.iter().take(8).map(|(word, count)| format!("{word} {count}")).collect();
            let more = if outcomes.len() > 8 { ", …" } else { "" };
            let _ = writeln!(text, "{count:8}  {operation:14} {}{more}", told.join(", "));
        }
        let _ = writeln!(
            text,
            "{}states{} of the notification or actor that an operation is about",
            style::HEAD,
            anstyle::Reset
        );
        for (state, count) in operations(|reached| reached.state.to_owned()) {
            let _ = writeln!(text, "{count:8}  {state}");
        }
    }
    let operations = operations(|reached| reached.operation.clone());
    let never: Vec<&str> = VERBS
        .iter()
        .map(|signature| signature.word)
        .filter(|word| !operations.contains_key(*word))
        .collect();
    if !never.is_empty() {
        let (head, reset) = (style::HEAD, anstyle::Reset);
        let _ = writeln!(text, "{head}never done{reset}: {}", never.join(", "));
    }
    let share = |part: u64, of: u64| 100.0 * part as f64 / of.max(1) as f64;
    let Statistics { cases, steps, not_run, time, judging, .. } = *statistics;
    let seconds = time.as_secs_f64().max(0.001);
    let beyond: u64 = statistics.beyond.values().sum();
    let _ = writeln!(
        text,
        "{}beyond the model{}: {beyond} cases ({:.1} %)",
        style::HEAD,
        anstyle::Reset,
        share(beyond, cases)
    );
    for (why, count) in &statistics.beyond {
        let _ = writeln!(text, "{count:8}  {why}");
    }
    let _ = writeln!(
        text,
        "Linux {} {}: {cases} cases in {seconds:.1} s ({:.0}/s), {steps} steps ({:.1} % not run)",
        kernel.release,
        kernel.machine,
        cases as f64 / seconds,
        share(not_run, steps)
    );
    let _ = writeln!(
        text,
        "{} different (operation, state, outcome), judged at {:.0} steps/s",
        statistics.reached.len(),
        steps as f64 / judging.as_secs_f64().max(0.001)
    );
    let skipped = match statistics.skipped {
        0 => String::new(),
        skipped => format!(", {skipped} skipped"),
    };
    let _ = write!(
        text,
        "seed {}, cases {} to {}: {} allowed, {} diverging, {} without result{skipped}",
        plan.seed,
        plan.first,
        (plan.first + cases).saturating_sub(1),
        statistics.allowed,
        statistics.refused,
        statistics.troubled
    );
    text
}
