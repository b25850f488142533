//! What a run says of the documents' claims, and of the kernel's facts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::claim::{Claim, matches};
use crate::profile::{FACTS, Profile};
use crate::trace::Trace;

/// How a claim stands after a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// The kernel does what the document says.
    Held,
    /// It does something else, and the table says that it would: no news.
    Contradicted {
        /// The outcomes of the deciding step.
        seen: String,
    },
    /// It does something else, and the table does not say so: a finding.
    Failed {
        /// The outcomes of the deciding step.
        seen: String,
    },
    /// The kernel does what the document says, and the table says that it
    /// would not: a finding.
    HeldAfterAll,
    /// The deciding scenario was not run.
    Undecided(String),
}

impl Standing {
    /// Whether it is news.
    pub fn is_finding(&self) -> bool {
        matches!(self, Standing::Failed { .. } | Standing::HeldAfterAll)
    }
}

/// Judges a claim by the runs of the cases that it is about.
pub fn judge_claim<'t>(
    claim: &Claim,
    profile: &Profile,
    cases: impl IntoIterator<Item = (&'t str, Option<&'t Trace>)>,
) -> Standing {
    if let Some(fact) = claim.since.as_deref()
        && profile.holds(fact) == Some(false)
    {
        return Standing::Undecided(format!("this kernel is without {fact}"));
    }
    let mut decided = false;
    let mut wrong = None;
    for (id, trace) in cases {
        if !claim.is_about(id) {
            continue;
        }
        let Some(trace) = trace else {
            return Standing::Undecided(format!("{id} was not run"));
        };
        let seen = trace.outcomes_of(&claim.step).unwrap_or_default();
        decided = true;
        if !matches(&claim.predicts, &seen) {
            wrong.get_or_insert(seen);
        }
    }
    if !decided {
        return Standing::Undecided(format!("{} was not run", claim.scenario));
    }
    let known = match claim.contradicted_by.as_deref() {
        None => false,
        Some("always") => true,
        Some(fact) => profile.holds(fact) == Some(true),
    };
    match (wrong, known) {
        (None, false) => Standing::Held,
        (None, true) => Standing::HeldAfterAll,
        (Some(seen), true) => Standing::Contradicted { seen },
        (Some(seen), false) => Standing::Failed { seen },
    }
}

/// The facts that a run shows, over those of the release's version. Of a
/// scenario that races one trace in which a fact does not hold is enough.
pub fn observed_profile<'t>(
    by_version: &Profile,
    cases: impl Fn(&str) -> Vec<&'t Trace>,
) -> Profile {
    let mut profile = by_version.clone();
    for fact in FACTS {
        let decision = &fact.decided_by;
        let told = |trace: &&Trace| {
            let steps = decision.step.split('+').map(|step| trace.outcomes_of(step));
            Some(steps.collect::<Option<Vec<String>>>()?.join("; "))
        };
        let seen: Vec<String> = cases(decision.scenario).iter().filter_map(told).collect();
        if seen.iter().any(|seen| matches(decision.fails, seen)) {
            profile.set(fact, false);
        } else if seen.iter().any(|seen| matches(decision.holds, seen)) {
            profile.set(fact, true);
        }
    }
    profile
}
