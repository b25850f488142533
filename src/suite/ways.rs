//! The ways in which a race can go.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::trace::{Event, Trace};

/// One of the traces of a case that races.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Way {
    /// How often it was seen; 0 for one that the model allows and that was
    /// not.
    pub count: usize,
    /// What was seen.
    pub trace: Trace,
}

/// What each way is in short: the outcomes in which it differs from others, as
/// `send n1 val=3 = ok; T: mkdir = EINTR`. In the order of `ways`.
pub fn differences(ways: &[&Trace]) -> Vec<String> {
    let told: Vec<Vec<(String, String)>> = ways.iter().map(|way| outcomes(way)).collect();
    let same = |key: &str, value: &str| {
        told.iter().all(|other| other.iter().any(|(k, v)| k == key && v == value))
    };
    told.iter()
        .map(|way| {
            let differing = way.iter().filter(|(key, value)| !same(key, value));
            let parts: Vec<String> =
                differing.map(|(key, value)| format!("{key} = {value}")).collect();
            if parts.is_empty() { "nothing more".to_owned() } else { parts.join("; ") }
        })
        .collect()
}

/// Each act, what came of it, and what came to its actor afterwards.
fn outcomes(trace: &Trace) -> Vec<(String, String)> {
    let mut told: Vec<(&Event, String)> = Vec::new();
    for event in &trace.events {
        let outcome = event.outcome.to_string();
        // What comes to an actor between acts belongs to the one before.
        let known = told.iter_mut().rfind(|(known, _)| {
            known.actor == event.actor && (event.act.is_none() || event.act == known.act)
        });
        match known {
            Some((_, outcomes)) => *outcomes = format!("{outcomes}, {outcome}"),
            None => told.push((event, outcome)),
        }
    }
    let key = |event: &Event| match &event.actor {
        Some(actor) => format!("{actor}: {}", event.text).trim_end().to_owned(),
        None => event.text.clone(),
    };
    told.into_iter().map(|(event, outcomes)| (key(event), outcomes)).collect()
}
