//! What changed between two run records.

use std::collections::BTreeMap;

use super::record::RunRecord;
use crate::trace::{Event, Trace};

/// One scenario that two runs saw differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The scenario.
    pub scenario: String,
    /// What differs, step by step; empty where only one of the runs has it.
    pub steps: Vec<StepChange>,
    /// Why there is nothing to compare, if so.
    pub missing: Option<String>,
}

/// One step that had other outcomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepChange {
    /// The step as the script says it, with its actor and label.
    pub step: String,
    /// Its outcomes in the first run, joined; empty for none.
    pub before: String,
    /// Its outcomes in the second run.
    pub after: String,
}

/// What two runs saw differently, in the order of the scenarios' names.
/// Scenarios whose file is not the same in both are told, not compared.
pub fn diff(a: &RunRecord, b: &RunRecord) -> Vec<Change> {
    let by_name = |record: &RunRecord| -> BTreeMap<String, usize> {
        let cases = record.cases.iter().enumerate();
        cases.map(|(index, case)| (case.scenario.clone(), index)).collect()
    };
    let (first, second) = (by_name(a), by_name(b));
    let names: std::collections::BTreeSet<&String> = first.keys().chain(second.keys()).collect();
    names
        .into_iter()
        .filter_map(|name| {
            let change = |steps, missing| Some(Change { scenario: name.clone(), steps, missing });
            let (Some(before), Some(after)) = (first.get(name), second.get(name)) else {
                return change(Vec::new(), Some("only one of the runs has it".to_owned()));
            };
            let (before, after) = (&a.cases[*before], &b.cases[*after]);
            if before.hash != after.hash {
                return change(Vec::new(), Some("its file is another one".to_owned()));
            }
            match (&before.trace, &after.trace) {
                (Some(x), Some(y)) if x == y => None,
                (Some(x), Some(y)) => change(step_changes(x, y), None),
                (None, None) => None,
                _ => change(Vec::new(), Some("it ran in one of the runs only".to_owned())),
            }
        })
        .collect()
}

/// The steps whose outcomes differ. What happens to actors between their acts
/// (handlers, stops, ends) is compared as one step an actor.
fn step_changes(a: &Trace, b: &Trace) -> Vec<StepChange> {
    let (before, after) = (outcomes(a), outcomes(b));
    let steps: std::collections::BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let joined = |side: &BTreeMap<Key, Vec<String>>, key| {
        side.get(key).map(|outcomes| outcomes.join(", ")).unwrap_or_default()
    };
    steps
        .into_iter()
        .map(|key| StepChange {
            step: key.1.clone(),
            before: joined(&before, key),
            after: joined(&after, key),
        })
        .filter(|change| change.before != change.after)
        .collect()
}

/// The act's number (events outside acts come last), and how it is told.
type Key = (usize, String);

fn outcomes(trace: &Trace) -> BTreeMap<Key, Vec<String>> {
    let mut steps: BTreeMap<Key, Vec<String>> = BTreeMap::new();
    for event in &trace.events {
        let key = (event.act.unwrap_or(usize::MAX), told(event));
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
