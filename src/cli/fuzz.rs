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
use crate::fuzz::{Target, Trouble, bytes_of, divergence, profile, scenario_of, shrink};
use crate::live::Pool;
use crate::profile::Release;

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
    /// Judge by the facts of this Linux release instead of the running one's
    #[arg(long, value_name = "RELEASE")]
    profile: Option<Release>,
    /// Folder for what diverges
    #[arg(long, short, value_name = "DIR", default_value = "fuzz/artifacts")]
    output: PathBuf,
}

const REPLAY_HELP: &str = "\
Examples:
  unotify-lab replay fuzz/artifacts/bpf_eval/crash-0a1b2c
  unotify-lab replay --target response crash-0a1b2c

What diverges is made as small as it can be, and becomes a scenario file with
both traces, as explore writes them; a text does not.";

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
    /// Judge by the facts of this Linux release instead of the running one's
    #[arg(long, value_name = "RELEASE")]
    profile: Option<Release>,
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
        words.extend(self.profile.map(|release| format!("--profile={release}")));
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
    let mut oracle = target.start(None, arguments.profile)?;
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
        })?;
        if let Some(divergence) = checked {
            diverged = Some((bytes, divergence));
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

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        Failure::Harness(trouble.to_string())
    }
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
    let (bad, reset) = (style::BAD, anstyle::Reset);
    if target == Target::Conversation {
        // Made smaller as a scenario, not as bytes.
        return in_both_worlds(target, &bytes, "", arguments, output);
    }
    let release = arguments.profile;
    if divergence(target, None, release, &bytes)?.is_none() {
        writeln!(output, "{}\nnothing diverges", target.show(&bytes))?;
        return Ok(End::Known);
    }
    let bytes = shrink(target, None, release, &bytes)?;
    let told = divergence(target, None, release, &bytes)?;
    let told = told.map_or_else(|| "not always".to_owned(), |divergence| divergence.to_string());
    writeln!(output, "{}{bad}diverges{reset}\n{told}", target.show(&bytes))?;
    in_both_worlds(target, &bytes, &told, arguments, output)?;
    Ok(End::Finding)
}

/// The target that a file's folder or name tells.
fn told_by(path: &Path) -> Option<Target> {
    let folder = path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    let name = path.file_name()?.to_string_lossy();
    let of = |target: &Target| folder == target.name() || name.starts_with(target.name());
    Target::ALL.into_iter().find(of)
}

/// Runs the scenario that says the same as a case in both worlds, and keeps it
/// with both traces where the case diverges (`told`), or the scenario does.
fn in_both_worlds(
    target: Target,
    bytes: &[u8],
    told: &str,
    arguments: &ReplayArguments,
    output: &mut Output,
) -> Result<End, Failure> {
    let folder = &arguments.output;
    let Some(scenario) = scenario_of(target, bytes) else { return Ok(End::Finding) };
    // Only for the name of the file.
    let number =
        bytes.iter().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add((*byte).into()));
    let plan = Plan {
        seed: number.into(),
        first: 0,
        most_found: 1,
        cases: None,
        time: None,
        profile: profile(arguments.profile)?,
        root: nix::unistd::getuid().is_root(),
    };
    let pool = Pool::new(1, None)?;
    let (ran, _) = plan.run(0, scenario, &mut pool.runner())?;
    match &ran.judgement {
        Judgement::Trouble(why) => Err(Failure::Harness(format!("{}\n{why}", ran.scenario))),
        Judgement::Refused(_) => {
            explore::tell(&plan, &pool, &ran, folder, output)?;
            Ok(End::Finding)
        }
        _ if told.is_empty() => {
            writeln!(output, "{}\n{}\nnothing diverges", ran.scenario, ran.trace)?;
            Ok(End::Known)
        }
        // Only the oracle sees it.
        _ => {
            let name = format!("{}-{number}", target.name());
            explore::keep(&plan, &ran, told, &folder.join(name + ".toml"), output)?;
            Ok(End::Finding)
        }
    }
}
