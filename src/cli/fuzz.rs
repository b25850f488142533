//! `unotify-lab fuzz` and `unotify-lab replay`

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use clap::builder::PossibleValuesParser;

use super::output::{Output, style};
use super::{End, Failure, explore};
use crate::explore::{Judgement, Plan};
use crate::fuzz::{Target, bytes_of, divergence, profile, scenario, shrink};
use crate::live::Pool;

const FUZZ_HELP: &str = "\
Examples:
  unotify-lab fuzz --seconds 10                     each target for ten seconds
  unotify-lab fuzz bpf_eval --cases 5000 --seed 7   the same cases, whenever and wherever

Cases are made up by chance alone; libFuzzer, which is guided by what they came
to, has the same targets: fuzz/README.md. What diverges is kept, for replay.";

/// What to hold against the model, and for how long.
#[derive(Debug, Args)]
#[command(after_help = FUZZ_HELP)]
pub(super) struct FuzzArguments {
    /// What is fuzzed; all of them unless given
    #[arg(value_name = "TARGET", value_parser = names())]
    targets: Vec<String>,
    /// Begin new cases of each target for so long
    #[arg(long, value_name = "N", required_unless_present = "cases")]
    seconds: Option<u64>,
    /// Run so many cases of each
    #[arg(long, value_name = "N")]
    cases: Option<u64>,
    /// The row of cases; by chance unless given
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Folder for what diverges
    #[arg(long, short, value_name = "DIR", default_value = "fuzz/artifacts")]
    output: PathBuf,
}

const REPLAY_HELP: &str = "\
Examples:
  unotify-lab replay fuzz/artifacts/bpf_eval/crash-0a1b2c
  unotify-lab replay --target response crash-0a1b2c

What diverges is made as small as it can be. A conversation becomes a scenario
file with both traces, as explore writes them.";

/// Which bytes.
#[derive(Debug, Args)]
#[command(after_help = REPLAY_HELP)]
pub(super) struct ReplayArguments {
    /// What a fuzzer kept
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What was fuzzed; told by the file's folder or the begin of its name
    /// unless given
    #[arg(long, value_name = "TARGET", value_parser = names())]
    target: Option<String>,
    /// Folder for scenarios that diverge
    #[arg(long, short, value_name = "DIR", default_value = "scenarios/found")]
    output: PathBuf,
}

fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(Target::ALL.map(Target::name))
}

impl FuzzArguments {
    /// The same for a guest, where the seed is one that is told here.
    pub fn for_guest(&self) -> Vec<String> {
        let mut words = vec!["fuzz".to_owned(), format!("--seed={}", self.seed())];
        words.extend(self.seconds.map(|seconds| format!("--seconds={seconds}")));
        words.extend(self.cases.map(|cases| format!("--cases={cases}")));
        words.extend(self.targets.iter().cloned());
        words
    }

    /// Where bytes that diverge are kept.
    pub fn output(&self) -> &Path {
        &self.output
    }

    fn seed(&self) -> u64 {
        self.seed.unwrap_or_else(|| fastrand::u64(0..1_000_000))
    }
}

/// `fuzz`
pub(super) fn fuzz(arguments: &FuzzArguments, output: &mut Output) -> Result<End, Failure> {
    let wanted = |target: &Target| {
        arguments.targets.is_empty() || arguments.targets.iter().any(|name| name == target.name())
    };
    let seed = arguments.seed();
    let mut end = End::Known;
    for target in Target::ALL.into_iter().filter(wanted) {
        if !fuzz_one(target, seed, arguments, output)? {
            end = End::Finding;
        }
    }
    Ok(end)
}

/// Whether nothing diverges.
fn fuzz_one(
    target: Target,
    seed: u64,
    arguments: &FuzzArguments,
    output: &mut Output,
) -> Result<bool, Failure> {
    let (bad, reset) = (style::BAD, anstyle::Reset);
    let mut oracle = target.start(None).map_err(Failure::Harness)?;
    let begin = Instant::now();
    let time = arguments.seconds.map(Duration::from_secs);
    let mut kinds = BTreeSet::new();
    let mut cases = 0;
    let mut diverged = None;
    while arguments.cases.is_none_or(|most| cases < most)
        && time.is_none_or(|time| begin.elapsed() < time)
    {
        let bytes = bytes_of(seed, cases);
        cases += 1;
        let checked = oracle.check(&bytes, &mut |kind| {
            kinds.insert(kind);
        });
        if let Err(why) = checked {
            diverged = Some((bytes, why));
            break;
        }
    }
    let seconds = begin.elapsed().as_secs_f64().max(0.001);
    writeln!(
        output,
        "{:14} {cases:8} cases ({:.0}/s), {} kinds of outcome, seed {seed}{}",
        target.name(),
        cases as f64 / seconds,
        kinds.len(),
        if diverged.is_some() {
            format!(", {bad}the last one diverges{reset}")
        } else {
            String::new()
        }
    )?;
    let Some((bytes, why)) = diverged else { return Ok(true) };
    let path = arguments.output.join(format!("{}-{seed}-{}", target.name(), cases - 1));
    std::fs::create_dir_all(&arguments.output)
        .and_then(|()| std::fs::write(&path, bytes))
        .map_err(|error| Failure::User(format!("--output {}: {error}", path.display())))?;
    writeln!(output, "{why}\n{}", path.display())?;
    Ok(false)
}

/// `replay`
pub(super) fn replay(arguments: &ReplayArguments, output: &mut Output) -> Result<End, Failure> {
    let path = &arguments.file;
    let bytes = std::fs::read(path)
        .map_err(|error| Failure::User(format!("{}: {error}", path.display())))?;
    let target = arguments.target.as_deref().and_then(Target::named).or_else(|| told_by(path));
    let target = target.ok_or_else(|| {
        Failure::User(format!("{}: of which target? --target tells", path.display()))
    })?;
    if target == Target::Conversation {
        return converse(&bytes, &arguments.output, output);
    }
    let why = |bytes: &[u8]| divergence(target, None, bytes).map_err(Failure::Harness);
    if why(&bytes)?.is_none() {
        writeln!(output, "{}\nnothing diverges", target.show(&bytes))?;
        return Ok(End::Known);
    }
    let bytes = shrink(target, None, &bytes).map_err(Failure::Harness)?;
    let (bad, reset) = (style::BAD, anstyle::Reset);
    let told = why(&bytes)?.unwrap_or_else(|| "not always".to_owned());
    writeln!(output, "{}{bad}diverges{reset}\n{told}", target.show(&bytes))?;
    Ok(End::Finding)
}

/// The target that a file's folder or name tells.
fn told_by(path: &Path) -> Option<Target> {
    let folder = path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    let name = path.file_name()?.to_string_lossy();
    let of = |target: &Target| folder == target.name() || name.starts_with(target.name());
    Target::ALL.into_iter().find(of)
}

/// Runs a scenario in both worlds.
fn converse(bytes: &[u8], folder: &Path, output: &mut Output) -> Result<End, Failure> {
    // Only for the name of the file.
    let number =
        bytes.iter().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add((*byte).into()));
    let plan = Plan {
        seed: number.into(),
        first: 0,
        most_found: 1,
        cases: None,
        time: None,
        profile: profile().map_err(Failure::Harness)?,
        root: nix::unistd::getuid().is_root(),
    };
    let pool = Pool::new(1, None)?;
    let (ran, _) = plan.run(0, scenario(bytes), &mut pool.runner())?;
    if matches!(ran.judgement, Judgement::Refused(_) | Judgement::Trouble(_)) {
        explore::tell(&plan, &pool, &ran, folder, output)?;
        return Ok(End::Finding);
    }
    writeln!(output, "{}\n{}\nnothing diverges", ran.scenario, ran.trace)?;
    Ok(End::Known)
}
