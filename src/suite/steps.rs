//! A trace by its steps, in words.

use std::collections::BTreeMap;

use crate::trace::{Event, Trace};

/// A step of a script; what happens to an actor between its acts (handlers,
/// stops, ends) is one step, after all others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Step {
    act: usize,
    /// As the script says it, with its actor and label.
    pub told: String,
    pub label: Option<String>,
}

/// What each step came to: its outcomes, joined.
pub(super) fn outcomes(trace: &Trace) -> BTreeMap<Step, String> {
    let mut steps: BTreeMap<Step, Vec<String>> = BTreeMap::new();
    for event in &trace.events {
        let act = event.act.unwrap_or(usize::MAX);
        let step = Step { act, told: told(event), label: event.label.clone() };
        steps.entry(step).or_default().push(event.outcome.to_string());
    }
    steps.into_iter().map(|(step, outcomes)| (step, outcomes.join(", "))).collect()
}

/// Of traces with the same events in other orders: the part of each that is
/// not the same at the beginning and at the end of all.
pub(super) fn orders(traces: &[&Trace]) -> Vec<String> {
    let all: Vec<Vec<String>> =
        traces.iter().map(|trace| trace.events.iter().map(told).collect()).collect();
    let shortest = all.iter().map(Vec::len).min().unwrap_or(0);
    let same = |at: &dyn Fn(&Vec<String>) -> usize| {
        all.windows(2).all(|pair| pair[0][at(&pair[0])] == pair[1][at(&pair[1])])
    };
    let start = (0..shortest).take_while(|number| same(&|_| *number)).count();
    let end = (0..shortest - start)
        .take_while(|number| same(&|one: &Vec<String>| one.len() - 1 - number))
        .count();
    all.iter().map(|one| one[start..one.len() - end].join(", then ")).collect()
}

fn told(event: &Event) -> String {
    let label = event.label.as_ref().map(|label| format!("{label}: ")).unwrap_or_default();
    match &event.actor {
        Some(actor) if event.text.is_empty() => format!("{actor}, between acts"),
        Some(actor) => format!("{label}{actor}: {}", event.text),
        None => format!("{label}{}", event.text),
    }
}
