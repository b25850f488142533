//! Steps of one scenario that several runs saw differently.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::trace::{Event, Trace};

/// One step that had other outcomes in one run than in another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangedStep {
    /// The step as the script says it, with its actor and label.
    pub step: String,
    /// Its label, if it has one: such a step decides something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Its outcomes in each run, joined; empty for none.
    pub outcomes: Vec<String>,
}

/// What stands for the step where only the order of events differs.
const ORDER: &str = "order of events";

/// The steps whose outcomes are not the same in all traces, in the script's
/// order. What happens to actors between their acts (handlers, stops, ends) is
/// one step an actor.
pub fn changed_steps(traces: &[&Trace]) -> Vec<ChangedStep> {
    let runs: Vec<_> = traces.iter().map(|trace| outcomes(trace)).collect();
    let steps: BTreeSet<&Key> = runs.iter().flat_map(BTreeMap::keys).collect();
    let changed: Vec<ChangedStep> = steps
        .into_iter()
        .map(|key| ChangedStep {
            step: key.1.clone(),
            label: key.2.clone(),
            outcomes: runs
                .iter()
                .map(|run| run.get(key).map(|seen| seen.join(", ")).unwrap_or_default())
                .collect(),
        })
        .filter(|step| differ(&step.outcomes))
        .collect();
    if changed.is_empty() { order(traces).into_iter().collect() } else { changed }
}

/// Whether not all are the same.
pub(super) fn differ<T: PartialEq>(all: &[T]) -> bool {
    all.windows(2).any(|pair| pair[0] != pair[1])
}

/// The same events in another order: the part of each trace that is not the
/// same at the beginning and at the end of all.
fn order(traces: &[&Trace]) -> Option<ChangedStep> {
    let all: Vec<Vec<String>> =
        traces.iter().map(|trace| trace.events.iter().map(told).collect()).collect();
    let shortest = all.iter().map(Vec::len).min()?;
    let at_start = |at: usize| !differ(&all.iter().map(|one| &one[at]).collect::<Vec<_>>());
    let start = (0..shortest).take_while(|at| at_start(*at)).count();
    let at_end =
        |at: usize| !differ(&all.iter().map(|one| &one[one.len() - 1 - at]).collect::<Vec<_>>());
    let end = (0..shortest - start).take_while(|at| at_end(*at)).count();
    let outcomes: Vec<String> =
        all.iter().map(|one| one[start..one.len() - end].join(", then ")).collect();
    differ(&outcomes).then(|| ChangedStep { step: ORDER.to_owned(), label: None, outcomes })
}

/// The act's number (events outside acts come last), how it is told, its label.
type Key = (usize, String, Option<String>);

fn outcomes(trace: &Trace) -> BTreeMap<Key, Vec<String>> {
    let mut steps: BTreeMap<Key, Vec<String>> = BTreeMap::new();
    for event in &trace.events {
        let key = (event.act.unwrap_or(usize::MAX), told(event), event.label.clone());
        steps.entry(key).or_default().push(event.outcome.to_string());
    }
    steps
}

fn told(event: &Event) -> String {
    let label = event.label.as_ref().map(|label| format!("{label}: ")).unwrap_or_default();
    match &event.actor {
        Some(actor) if event.text.is_empty() => format!("{actor}, between acts"),
        Some(actor) => format!("{label}{actor}: {}", event.text),
        None => format!("{label}{}", event.text),
    }
}
