//! From a divergence to the smallest scenario that still shows it.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Judgement, Plan, Ran};
use crate::generate::smaller;
use crate::live::{Pool, PoolError};
use crate::model::{Disagreement, predict};
use crate::scenario::Scenario;
use crate::trace::Trace;

/// How often a divergence is tried again, to see whether it always comes.
const TRIES: usize = 10;
/// How often a smaller scenario is tried for a divergence that does not always
/// come.
const MORE_TRIES: usize = 40;
/// How many rounds of making smaller there are at most.
const ROUNDS: usize = 100;

/// A divergence, made small.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The smallest scenario that diverges.
    pub scenario: Scenario,
    /// In how many of how many runs it does.
    pub times: (usize, usize),
    /// What was seen in one of them.
    pub trace: Trace,
    /// What is not allowed in it.
    pub disagreement: Disagreement,
    /// What the model foresees.
    pub foreseen: Vec<Trace>,
}

/// Makes a divergence small.
///
/// # Errors
///
/// When no worker can be started.
pub fn investigate(plan: &Plan, pool: &Pool, ran: &Ran) -> Result<Option<Finding>, PoolError> {
    let Judgement::Refused(disagreement) = ran.judgement.clone() else { return Ok(None) };
    let mut smallest = (ran.scenario.clone(), ran.trace.clone(), disagreement);
    let (often, _) = divergences(plan, pool, &smallest.0, TRIES)?;
    let tries = if often == TRIES { 1 } else { MORE_TRIES };
    for _ in 0..ROUNDS {
        let Some(next) = first_that_diverges(plan, pool, smaller(&smallest.0), tries)? else {
            break;
        };
        smallest = next;
    }
    let (scenario, mut trace, mut disagreement) = smallest;
    let (times, last) = divergences(plan, pool, &scenario, TRIES)?;
    if let Some(last) = last {
        (trace, disagreement) = last;
    }
    let schedule = scenario.schedule().expect("cases can be scheduled");
    let (foreseen, _) = predict(&plan.setting(&schedule));
    Ok(Some(Finding { scenario, times: (times, TRIES), trace, disagreement, foreseen }))
}

/// How many of so many runs diverge, and how one of them does.
fn divergences(
    plan: &Plan,
    pool: &Pool,
    scenario: &Scenario,
    runs: usize,
) -> Result<(usize, Option<(Trace, Disagreement)>), PoolError> {
    let (mut count, mut last) = (0, None);
    pool.each(
        0..runs,
        |_, runner| Ok(plan.run(0, scenario.clone(), runner)?.0),
        |ran| {
            if let Judgement::Refused(disagreement) = ran.judgement {
                count += 1;
                last = Some((ran.trace, disagreement));
            }
        },
    )?;
    Ok((count, last))
}

/// The first of some scenarios that diverges, in any of so many runs.
fn first_that_diverges(
    plan: &Plan,
    pool: &Pool,
    candidates: Vec<Scenario>,
    tries: usize,
) -> Result<Option<(Scenario, Trace, Disagreement)>, PoolError> {
    let best = AtomicUsize::new(usize::MAX);
    let mut found: Option<(usize, (Scenario, Trace, Disagreement))> = None;
    pool.each(
        candidates.into_iter().enumerate(),
        |(index, scenario), runner| {
            for _ in 0..tries {
                // One before it is better, whatever comes of this.
                if best.load(Ordering::Relaxed) < index {
                    break;
                }
                let (ran, _) = plan.run(0, scenario.clone(), runner)?;
                if let Judgement::Refused(disagreement) = ran.judgement {
                    best.fetch_min(index, Ordering::Relaxed);
                    return Ok(Some((index, (ran.scenario, ran.trace, disagreement))));
                }
            }
            Ok(None)
        },
        |one| {
            if let Some((index, one)) = one
                && found.as_ref().is_none_or(|(known, _)| index < *known)
            {
                found = Some((index, one));
            }
        },
    )?;
    Ok(found.map(|(_, one)| one))
}
