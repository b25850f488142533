//! What changed between two run records.

use std::collections::{BTreeMap, BTreeSet};

use super::record::{CaseRecord, RunRecord};
use super::row::{Row, StepRow};
use crate::verdict::Verdict;

/// One case that two runs saw differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseDifference {
    /// The scenario.
    pub scenario: String,
    /// What differs, step by step, first before and then after; empty where
    /// there is nothing to compare.
    pub steps: Vec<StepRow>,
    /// Why there is not, if so.
    pub missing: Option<String>,
}

/// What two runs saw differently, in the order of the scenarios' names.
/// Scenarios whose file is not the same in both are told, not compared; how
/// races are compared is told at [`Row`].
pub fn diff(before: &RunRecord, after: &RunRecord) -> Vec<CaseDifference> {
    fn by_name(record: &RunRecord) -> BTreeMap<&str, &CaseRecord> {
        record.cases.iter().map(|case| (case.scenario.as_str(), case)).collect()
    }
    let (first, second) = (by_name(before), by_name(after));
    let names: BTreeSet<&str> = first.keys().chain(second.keys()).copied().collect();
    let difference = |name: &str| {
        let (steps, missing) = match compare(first.get(name).copied(), second.get(name).copied()) {
            Ok(steps) if steps.is_empty() => return None,
            Ok(steps) => (steps, None),
            Err(why) => (Vec::new(), Some(why)),
        };
        Some(CaseDifference { scenario: name.to_owned(), steps, missing })
    };
    names.into_iter().filter_map(difference).collect()
}

/// The steps that tell two runs of a case apart, or why they cannot be
/// compared.
fn compare(
    before: Option<&CaseRecord>,
    after: Option<&CaseRecord>,
) -> Result<Vec<StepRow>, String> {
    let (Some(before), Some(after)) = (before, after) else {
        return Err("only one of the runs has it".to_owned());
    };
    if before.hash != after.hash {
        return Err("its file is another one".to_owned());
    }
    match (silence(before), silence(after)) {
        (None, None) => {
            let mut steps = Row::of(&[Some(before), Some(after)]).steps();
            steps.retain(StepRow::is_changed);
            Ok(steps)
        }
        // What neither of them ran is no difference.
        (Some(_), Some(_)) if before.verdict == after.verdict => Ok(Vec::new()),
        (Some(why), None) => Err(format!("before, {why}")),
        (None, Some(why)) => Err(format!("after, {why}")),
        (Some(old), Some(new)) => Err(format!("before, {old}; after, {new}")),
    }
}

/// Why a run of a case says nothing that could be compared.
pub fn silence(case: &CaseRecord) -> Option<String> {
    match &case.verdict {
        Verdict::Skipped(why) => Some(format!("it was not run: {why}")),
        Verdict::Inconclusive(why) => Some(format!("it came to no end: {why}")),
        Verdict::Fault(why) => Some(format!("the harness failed: {why}")),
        Verdict::Unstable(_) => Some("two runs of it differed".to_owned()),
        _ => case.seen().is_empty().then(|| "nothing was seen".to_owned()),
    }
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
