//! Looks for scenarios in which the kernel does what the model does not allow.
//!
//! Scenarios are made up ([`crate::generate`]), run in the live world, and
//! judged by the model. The case of a number is the same for a seed whatever
//! else happens. What diverges is made as small as it can be.

mod shrink;
mod statistics;

use std::time::{Duration, Instant};

pub use shrink::{Finding, investigate};
pub use statistics::{Reached, Statistics};

use crate::generate::{bytes_of, from_bytes};
use crate::live::{Job, Pool, PoolError, RunResult, Runner};
use crate::model::{Agreement, Disagreement, Setting, agree};
use crate::profile::Profile;
use crate::scenario::{Scenario, Schedule};
use crate::trace::Trace;
use crate::verdict::unset_stage;

/// Which cases to run, and what to judge them by.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Stands for an endless row of cases.
    pub seed: u64,
    /// The first case of the row.
    pub first: u64,
    /// How many cases; as many as time allows where there is no number.
    pub cases: Option<u64>,
    /// How long new cases are begun.
    pub time: Option<Duration>,
    /// After so many divergences no more cases are begun.
    pub most_found: u64,
    /// The kernel's facts.
    pub profile: Profile,
    /// Whether actors run as root.
    pub root: bool,
}

/// What came of running a scenario once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// The model allows what was seen.
    Allowed,
    /// The model does not follow, for this reason.
    Beyond(&'static str),
    /// The model does not allow what was seen.
    Refused(Disagreement),
    /// It was not run: something that it needs is missing.
    Skipped,
    /// The harness came to no result.
    Trouble(String),
}

/// A case that was run.
#[derive(Clone, Debug)]
pub struct Ran {
    /// Its number.
    pub number: u64,
    /// What it is.
    pub scenario: Scenario,
    /// What was seen.
    pub trace: Trace,
    /// What the model says.
    pub judgement: Judgement,
    /// How long the model took.
    pub judging: Duration,
}

/// What came of it all.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What was exercised.
    pub statistics: Statistics,
    /// Cases in which the kernel diverged, or the harness failed, by number.
    pub found: Vec<Ran>,
}

impl Plan {
    /// The case of a number.
    pub fn case(&self, number: u64) -> Scenario {
        let mut scenario: Scenario = from_bytes(&bytes_of(self.seed, number));
        scenario.id = format!("found/{}-{number}", self.seed);
        let seed = self.seed;
        scenario.summary = format!("Found by explore --seed {seed} --first {number} --cases 1");
        scenario
    }

    /// Runs a scenario and judges it.
    ///
    /// # Errors
    ///
    /// When no worker can be started.
    pub fn run(
        &self,
        number: u64,
        scenario: Scenario,
        runner: &mut Runner<'_>,
    ) -> Result<(Ran, Schedule), PoolError> {
        let job = Job {
            file: scenario.id.clone(),
            id: scenario.id.clone(),
            source: scenario.to_string(),
            seed: number,
        };
        let schedule = scenario.schedule().expect("cases can be scheduled");
        let (trace, judgement, judging) = match runner.run(&job)? {
            RunResult::Ran(trace) => {
                let start = Instant::now();
                let judgement = self.judge(&schedule, &trace);
                (trace, judgement, start.elapsed())
            }
            RunResult::Skipped(_) => (Trace::default(), Judgement::Skipped, Duration::ZERO),
            RunResult::Inconclusive(trace, why) => (trace, Judgement::Trouble(why), Duration::ZERO),
            RunResult::Fault(why) => (Trace::default(), Judgement::Trouble(why), Duration::ZERO),
        };
        Ok((Ran { number, scenario, trace, judgement, judging }, schedule))
    }

    /// What the model says of a trace.
    pub fn judge(&self, schedule: &Schedule, trace: &Trace) -> Judgement {
        let agreement = agree(&self.setting(schedule), trace);
        let unset = unset_stage(schedule, trace, &agreement);
        match (agreement, unset) {
            (Agreement::Allowed { .. }, _) => Judgement::Allowed,
            (Agreement::Beyond { why, .. }, _) => Judgement::Beyond(why),
            (Agreement::Refused(_), Some(why)) => Judgement::Trouble(why),
            (Agreement::Refused(disagreement), None) => Judgement::Refused(disagreement),
        }
    }

    /// What the model's word rests on.
    pub fn setting<'p>(&'p self, schedule: &'p Schedule) -> Setting<'p> {
        Setting { schedule, profile: &self.profile, root: self.root }
    }

    /// Runs the cases; `progress` is told after each.
    ///
    /// # Errors
    ///
    /// When no worker can be started.
    pub fn explore(
        &self,
        pool: &Pool,
        mut progress: impl FnMut(&Statistics),
    ) -> Result<Report, PoolError> {
        let begin = Instant::now();
        let mut report = Report::default();
        let stop = std::sync::atomic::AtomicBool::new(false);
        let relaxed = std::sync::atomic::Ordering::Relaxed;
        let end = self.cases.map_or(u64::MAX, |cases| self.first.saturating_add(cases));
        let numbers = (self.first..end).take_while(|_| {
            !stop.load(relaxed) && self.time.is_none_or(|time| begin.elapsed() < time)
        });
        pool.each(
            numbers,
            |number, runner| {
                let (ran, schedule) = self.run(number, self.case(number), runner)?;
                let reached = Reached::of(&schedule, &ran.trace);
                Ok((ran, reached))
            },
            |(ran, reached)| {
                report.statistics.add(&ran, reached);
                if matches!(ran.judgement, Judgement::Refused(_) | Judgement::Trouble(_)) {
                    report.found.push(ran);
                }
                stop.store(report.found.len() as u64 >= self.most_found, relaxed);
                report.statistics.time = begin.elapsed();
                progress(&report.statistics);
            },
        )?;
        report.found.sort_by_key(|ran| ran.number);
        Ok(report)
    }
}
