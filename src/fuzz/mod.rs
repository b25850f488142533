//! What fuzzers call: each [`Target`] makes a case of any bytes, and holds the
//! kernel, or a reader of ours, against what is known of it.
//!
//! libFuzzer's targets (`fuzz/`) are a few lines around these, and plain tests
//! run the same over their seeds and over made-up cases.

mod filters;
mod found;
mod listener;
mod shrink;
mod texts;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::path::Path;

use thiserror::Error;

pub use crate::generate::bytes_of;
pub use found::scenario_of;
pub use shrink::{divergence, shrink};

use crate::explore::{Judgement, Plan, Reached};
use crate::generate::{Addfd, Case, Response, Stack, from_bytes};
use crate::live::oracle;
use crate::live::{Pool, Runner};
use crate::profile::{Profile, Release};
use crate::scenario::Scenario;
use crate::suite::Kernel;

/// Something that can be fuzzed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The kernel takes a program if and only if the rules do.
    BpfValidate,
    /// The kernel's action and data for a program's calls are those of its
    /// evaluation.
    BpfEval,
    /// The same for several filters.
    StackEval,
    /// The errno of SEND, and what the target then sees, are the model's.
    Response,
    /// The same for ADDFD.
    Addfd,
    /// The model allows the trace of a scenario.
    Conversation,
    /// The reader of scenarios takes any text, and what is printed reads back
    /// as the same.
    ScenarioText,
    /// The same for stored results.
    RunRecord,
}

impl Target {
    /// All of them.
    pub const ALL: [Target; 8] = [
        Target::BpfValidate,
        Target::BpfEval,
        Target::StackEval,
        Target::Response,
        Target::Addfd,
        Target::Conversation,
        Target::ScenarioText,
        Target::RunRecord,
    ];

    /// The name of its file in `fuzz/fuzz_targets/`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Target::BpfValidate => "bpf_validate",
            Target::BpfEval => "bpf_eval",
            Target::StackEval => "stack_eval",
            Target::Response => "response",
            Target::Addfd => "addfd",
            Target::Conversation => "conversation",
            Target::ScenarioText => "scenario_text",
            Target::RunRecord => "run_record",
        }
    }

    /// The target of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Target> {
        Target::ALL.into_iter().find(|target| target.name() == name)
    }

    /// The case that bytes stand for, as text.
    #[must_use]
    pub fn show(self, bytes: &[u8]) -> String {
        match self {
            Target::BpfValidate => filters::show(&filters::alone(from_bytes(bytes))),
            Target::BpfEval => filters::show(&from_bytes::<Case>(bytes)),
            Target::StackEval => filters::show(&from_bytes::<Stack>(bytes).0),
            Target::Response => format!("send{}\n", from_bytes::<Response>(bytes)),
            Target::Addfd => format!("addfd{}\n", from_bytes::<Addfd>(bytes)),
            Target::Conversation => scenario(bytes).to_string(),
            Target::ScenarioText | Target::RunRecord => String::from_utf8_lossy(bytes).into_owned(),
        }
    }

    /// Makes ready for cases. Workers are `executable` started again; `None`
    /// for the executable that runs now, which must call
    /// [`hidden_main`](crate::live::hidden_main) at its start. Judged is by the
    /// facts of a release, `None` for the running kernel's.
    ///
    /// # Errors
    ///
    /// What is missing here.
    pub fn start(
        self,
        executable: Option<&Path>,
        release: Option<Release>,
    ) -> Result<Box<dyn Oracle>, Trouble> {
        Ok(match self {
            Target::BpfValidate => Box::new(filters::Filters::validate()?),
            Target::BpfEval => Box::new(filters::Filters::eval()?),
            Target::StackEval => Box::new(filters::Filters::stack_eval()?),
            Target::Response => Box::new(listener::Responses::new(profile(release)?)?),
            Target::Addfd => Box::new(listener::Additions::new(profile(release)?)?),
            Target::Conversation => Box::new(Conversation::new(executable, profile(release)?)?),
            Target::ScenarioText => Box::new(texts::ScenarioText),
            Target::RunRecord => Box::new(texts::RecordText),
        })
    }
}

/// Judges cases.
pub trait Oracle {
    /// Runs the case that bytes stand for, and tells what diverges. `seen` is told a number for each
    /// kind of thing that it came to, so that a new kind counts as progress.
    ///
    /// # Errors
    ///
    /// What kept the kernel from being asked.
    fn check(
        &mut self,
        bytes: &[u8],
        seen: &mut dyn FnMut(u64),
    ) -> Result<Option<Divergence>, Trouble>;
}

/// A finding: the case as text, what was seen, and what is foreseen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence(pub String);

/// The harness could not do its work: nothing is known of the case, and nothing
/// is wrong with the kernel for all that is known.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct Trouble(pub String);

impl From<oracle::Trouble> for Trouble {
    fn from(trouble: oracle::Trouble) -> Self {
        Trouble(trouble.to_string())
    }
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The number of a kind of thing.
fn kind(of: impl Hash) -> u64 {
    let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
    of.hash(&mut hasher);
    // The upper bits have more to them.
    hasher.0 ^ hasher.0 >> 32
}

/// FNV-1a: kinds are told by the thousand for each case.
struct Fnv(u64);

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// The facts of a release, `None` for the running kernel's.
///
/// # Errors
///
/// A kernel that does not tell its release.
pub fn profile(release: Option<Release>) -> Result<Profile, Trouble> {
    if let Some(release) = release {
        return Ok(Profile::of(release));
    }
    let kernel = Kernel::running().map_err(|error| Trouble(error.to_string()))?;
    let release = kernel
        .upstream()
        .ok_or_else(|| Trouble(format!("which release is {}?", kernel.release)))?;
    Ok(Profile::of(release))
}

/// The scenario that bytes stand for.
#[must_use]
pub fn scenario(bytes: &[u8]) -> Scenario {
    let mut scenario: Scenario = from_bytes(bytes);
    scenario.id = "found/case".to_owned();
    scenario.summary = "Found by fuzzing".to_owned();
    scenario
}

/// Whole scenarios, in both worlds.
struct Conversation {
    plan: Plan,
    runner: Runner<'static>,
}

impl Conversation {
    fn new(executable: Option<&Path>, profile: Profile) -> Result<Self, Trouble> {
        let pool = Pool::new(1, executable).map_err(|error| Trouble(error.to_string()))?;
        let plan = Plan {
            seed: 0,
            first: 0,
            most_found: 1,
            cases: None,
            time: None,
            profile,
            root: nix::unistd::geteuid().is_root(),
        };
        // A process has few of these, and each lasts as long as it does.
        let pool: &'static Pool = Box::leak(Box::new(pool));
        Ok(Self { plan, runner: pool.runner() })
    }
}

impl Oracle for Conversation {
    fn check(
        &mut self,
        bytes: &[u8],
        seen: &mut dyn FnMut(u64),
    ) -> Result<Option<Divergence>, Trouble> {
        let ran = self.plan.run(0, scenario(bytes), &mut self.runner);
        let (ran, schedule) = ran.map_err(|error| Trouble(error.to_string()))?;
        for reached in Reached::of(&schedule, &ran.trace) {
            seen(kind(reached));
        }
        match ran.judgement {
            Judgement::Refused(why) => {
                let seen = why.seen.as_deref().unwrap_or("nothing more");
                let allowed = why.allowed.join("\n");
                let (scenario, trace) = (ran.scenario, ran.trace);
                let text = format!("{scenario}\n{trace}\nseen:    {seen}\nallowed: {allowed}");
                Ok(Some(Divergence(text)))
            }
            Judgement::Trouble(why) => Err(Trouble(format!("{}\nno result: {why}", ran.scenario))),
            Judgement::Allowed | Judgement::Beyond(_) | Judgement::Skipped => Ok(None),
        }
    }
}
