//! What changed between two run records.

use std::collections::BTreeMap;

use super::record::RunRecord;
use super::steps::{ChangedStep, changed_steps};

/// One scenario that two runs saw differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The scenario.
    pub scenario: String,
    /// What differs, step by step; empty where only one of the runs has it.
    pub steps: Vec<ChangedStep>,
    /// Why there is nothing to compare, if so.
    pub missing: Option<String>,
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
                (Some(x), Some(y)) => change(changed_steps(&[x, y]), None),
                (None, None) => None,
                _ => change(Vec::new(), Some("it ran in one of the runs only".to_owned())),
            }
        })
        .collect()
}
