//! The running kernel's facts, each by the scenario that decides it.

use super::catalogue::built_in_source;
use crate::claim::matches;
use crate::live::{Job, Pool, PoolError, RunResult};
use crate::profile::{FACTS, Fact};

/// Whether a fact holds; the reason where that was not decided.
#[derive(Clone, Debug)]
pub struct Probed {
    /// The fact.
    pub fact: &'static Fact,
    /// Whether it holds.
    pub holds: Result<bool, Undecided>,
}

/// Why a fact was not decided.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undecided {
    /// Its scenario needs something that is missing here.
    #[error("{0}")]
    Skipped(String),
    /// The deciding step did neither what it does with the fact nor what it
    /// does without.
    #[error("{scenario} did something else: {seen}")]
    Unknown {
        /// The scenario.
        scenario: &'static str,
        /// The outcomes of the deciding step.
        seen: String,
    },
    /// Many runs of a race can show that it does not hold; nothing shows that
    /// it does.
    #[error("only runs of {0} can show that it does not hold")]
    Race(&'static str),
    /// The scenario came to no end.
    #[error("{0}")]
    Trouble(String),
}

/// Jobs that run the scenarios which decide facts, each once; races are left out,
/// as one run of theirs says little.
pub(super) fn deciding_jobs() -> Vec<Job> {
    let decisions = FACTS.iter().map(|fact| fact.decided_by);
    let once = decisions.filter(|decision| !decision.is_race());
    let mut ids: Vec<&'static str> = once.map(|decision| decision.scenario).collect();
    ids.sort_unstable();
    ids.dedup();
    let job = |id: &str| {
        let file = id.split('[').next().unwrap_or(id);
        let source = built_in_source(file).unwrap_or_default().to_owned();
        Job { file: file.to_owned(), id: id.to_owned(), source, seed: 0 }
    };
    ids.into_iter().map(job).collect()
}

/// Runs the scenarios that decide facts, and no others, and tells how each
/// fact stands, in the order of [`FACTS`].
///
/// # Errors
///
/// When workers cannot be started.
pub fn probe(pool: &Pool) -> Result<Vec<Probed>, PoolError> {
    let jobs = deciding_jobs();
    let mut results: Vec<Option<RunResult>> = vec![None; jobs.len()];
    pool.run(&jobs, |job, result| results[job] = Some(result))?;
    Ok(probed(&jobs, &results))
}

/// How each fact stands by the results of the jobs that decide them.
pub(super) fn probed(jobs: &[Job], results: &[Option<RunResult>]) -> Vec<Probed> {
    let of = |fact: &Fact| {
        let index = jobs.iter().position(|job| job.id == fact.decided_by.scenario)?;
        results[index].as_ref()
    };
    FACTS.iter().map(|fact| Probed { fact, holds: decide(fact, of(fact)) }).collect()
}

fn decide(fact: &Fact, result: Option<&RunResult>) -> Result<bool, Undecided> {
    let decision = &fact.decided_by;
    if decision.is_race() {
        return Err(Undecided::Race(decision.scenario));
    }
    let trace = match result {
        Some(RunResult::Ran(trace)) => trace,
        Some(RunResult::Skipped(why)) => return Err(Undecided::Skipped(why.clone())),
        Some(RunResult::Inconclusive(_, why) | RunResult::Fault(why)) => {
            return Err(Undecided::Trouble(why.clone()));
        }
        None => return Err(Undecided::Trouble("it was never run".to_owned())),
    };
    let seen = trace.outcomes_of(decision.step).unwrap_or_default();
    if matches(decision.holds, &seen) {
        Ok(true)
    } else if matches(decision.fails, &seen) {
        Ok(false)
    } else {
        Err(Undecided::Unknown { scenario: decision.scenario, seen })
    }
}
