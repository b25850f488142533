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

/// Records of two matrices that belong together, and those that have no
/// partner.
#[derive(Clone, Debug, Default)]
pub struct Pairs {
    /// One of the first matrix with one of the second.
    pub pairs: Vec<(RunRecord, RunRecord)>,
    /// Those that only the first has.
    pub only_first: Vec<RunRecord>,
    /// Those that only the second has.
    pub only_second: Vec<RunRecord>,
}

/// Matches the records of two matrices: those of the same kernel release, and
/// what is left by series, as a distribution's kernel of today and of last
/// month.
pub fn pairs(first: Vec<RunRecord>, second: Vec<RunRecord>) -> Pairs {
    let mut found = Pairs { only_second: second, ..Pairs::default() };
    let mut left = Vec::new();
    for record in first {
        let same = |other: &RunRecord| other.kernel.release == record.kernel.release;
        match found.only_second.iter().position(same) {
            Some(index) => found.pairs.push((record, found.only_second.remove(index))),
            None => left.push(record),
        }
    }
    let series =
        |record: &RunRecord| record.kernel.upstream().map(|release| (release.major, release.minor));
    for record in left {
        let same =
            |other: &RunRecord| series(&record).is_some() && series(other) == series(&record);
        match found.only_second.iter().position(same) {
            Some(index) => found.pairs.push((record, found.only_second.remove(index))),
            None => found.only_first.push(record),
        }
    }
    found.pairs.sort_by_cached_key(|(record, _)| record.kernel.upstream());
    found
}
