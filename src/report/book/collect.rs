//! From run records to a book.

use std::collections::BTreeMap;

use super::{Behaviour, CaseReport, ClaimReport, Column, Ledger, Seen, Theme, WayReport};
use crate::claim::{Claim, Document};
use crate::profile::{FACTS, Fact, fact};
use crate::report::test::{case_path, file_names};
use crate::scenario::Scenario;
use crate::suite::{
    Case, CaseRecord, Matrix, MatrixKernel, Row, RunRecord, StepRow, Way, differences,
};

/// How the tool is started on such a kernel: those of Debian are had by their
/// series' name, others are run on themselves.
pub(super) fn column(kernel: &MatrixKernel, record: &RunRecord) -> Column {
    let debian = record.kernel.version.contains("Debian ");
    let release = record.kernel.upstream().filter(|_| debian);
    let command = match release {
        Some(release) => {
            format!("unotify-lab vm run --kernel debian:{}.{}", release.major, release.minor)
        }
        None => "unotify-lab run".to_owned(),
    };
    Column { kernel: kernel.clone(), command, is_guest: release.is_some() }
}

pub(super) fn ledger(document: &Document, records: &[RunRecord]) -> Ledger {
    let anchor = slug(&format!("{} {}", document.document, document.edition));
    let claims = document
        .claims
        .iter()
        .map(|claim| {
            let standing = |record: &RunRecord| {
                let is_it = |one: &&crate::suite::ClaimRecord| {
                    one.claim == claim.id
                        && one.document == document.document
                        && one.edition == document.edition
                };
                record.claims.iter().find(is_it).map(|one| one.standing.clone())
            };
            ClaimReport {
                id: claim.id.clone(),
                anchor: format!("{anchor}.{}", slug(&claim.id)),
                place: claim.place.clone(),
                says: claim.says.clone(),
                scenario: claim.scenario.clone(),
                step: claim.step.clone(),
                predicts: claim.predicts.clone(),
                contradicted_by: reason(claim),
                note: claim.note.clone(),
                standings: records.iter().map(standing).collect(),
            }
        })
        .collect();
    Ledger {
        document: document.document.clone(),
        anchor,
        edition: document.edition.clone(),
        source: document.source.clone(),
        claims,
    }
}

/// The fact that makes a claim wrong, in words.
fn reason(claim: &Claim) -> Option<String> {
    let fact = fact(claim.contradicted_by.as_deref()?)?;
    let (major, minor) = fact.since;
    Some(format!("since {major}.{minor}: {} ({})", fact.summary, fact.commit))
}

fn slug(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words: Vec<&str> = text.split(|c| !is_plain(c)).filter(|word| !word.is_empty()).collect();
    words.join("-")
}

/// All cases of the records, by theme and file.
pub(super) fn themes(matrix: &Matrix, scenarios: &[Case<'_>], ledgers: &[Ledger]) -> Vec<Theme> {
    let known: BTreeMap<&str, &Scenario> =
        scenarios.iter().map(|case| (case.scenario.id.as_str(), &case.scenario)).collect();
    let mut cases: BTreeMap<&str, Vec<Option<&CaseRecord>>> = BTreeMap::new();
    for (kernel, record) in matrix.records.iter().enumerate() {
        for case in &record.cases {
            let row = cases.entry(&case.scenario);
            row.or_insert_with(|| vec![None; matrix.records.len()])[kernel] = Some(case);
        }
    }
    let mut themes: Vec<Theme> = Vec::new();
    // Names of one file come one after another only when its cases do.
    let mut ids: Vec<&str> = cases.keys().copied().collect();
    ids.sort_by_key(|id| (file_of(id), *id));
    for (id, anchor) in ids.iter().zip(file_names(ids.iter().copied())) {
        let file = file_of(id);
        let theme = case_path(file).first().cloned().unwrap_or_default();
        if themes.last().is_none_or(|last| last.name != theme) {
            themes.push(Theme { name: theme, scenarios: Vec::new() });
        }
        let scenarios = &mut themes.last_mut().expect("there is one now").scenarios;
        let scenario = known.get(id);
        let summary = scenario.map_or(*id, |scenario| &scenario.summary);
        if scenarios.last().is_none_or(|last| last.id != file) {
            scenarios.push(Behaviour {
                id: file.to_owned(),
                anchor: file_names([file].into_iter()).remove(0),
                summary: summary.to_owned(),
                cases: Vec::new(),
                claims: decided(ledgers, file),
                facts: facts(file, scenario.map_or(&[], |scenario| &scenario.facts)),
            });
        }
        let case = case(id, anchor, summary, &cases[id]);
        scenarios.last_mut().expect("there is one now").cases.push(case);
    }
    themes
}

pub(super) fn file_of(id: &str) -> &str {
    id.split('[').next().unwrap_or(id)
}

/// The claims that a scenario decides.
fn decided(ledgers: &[Ledger], file: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    for (document, ledger) in ledgers.iter().enumerate() {
        for (number, claim) in ledger.claims.iter().enumerate() {
            if file_of(&claim.scenario) == file {
                found.push((document, number));
            }
        }
    }
    found
}

/// The facts that a scenario names, or that its steps decide.
fn facts(file: &str, named: &[String]) -> Vec<usize> {
    let is_its = |fact: &&Fact| {
        named.iter().any(|name| name == fact.id) || file_of(fact.decided_by.scenario) == file
    };
    FACTS.iter().enumerate().filter(|(_, fact)| is_its(fact)).map(|(number, _)| number).collect()
}

fn case(id: &str, anchor: String, summary: &str, cases: &[Option<&CaseRecord>]) -> CaseReport {
    // Those of another file would be compared with a step that is not theirs.
    let mut hashes = cases.iter().flatten().map(|case| &case.hash);
    let first = hashes.next();
    let row = match hashes.all(|hash| Some(hash) == first) {
        true => Row::of(cases),
        false => Row::of(&vec![None; cases.len()]),
    };
    let (variants, changes, mut steps) = (row.variants(), row.changes(), row.steps());
    if steps.iter().any(|step| step.label.is_some()) {
        let tells = |step: &StepRow| {
            let mut told = changes.iter().flat_map(|change| &change.steps);
            told.any(|one| one.step == step.step)
        };
        steps.retain(|step| step.label.is_some() || tells(step));
    }
    let mut seen: Vec<Seen> = Vec::new();
    for (kernel, (variant, case)) in variants.iter().zip(cases).enumerate() {
        let trace = case.and_then(|case| case.trace.as_ref());
        let (Some(variant), Some(trace)) = (variant, trace) else { continue };
        match seen.get_mut(*variant) {
            Some(known) => known.kernels.push(kernel),
            None => seen.push(Seen { kernels: vec![kernel], trace: trace.clone() }),
        }
    }
    let behaviours = cases.iter().flatten().next().map(|case| case.behaviours.clone());
    CaseReport {
        id: id.to_owned(),
        anchor,
        summary: summary.to_owned(),
        behaviours: behaviours.unwrap_or_default(),
        steps,
        changes,
        seen,
        variants,
        ways: ways(cases),
    }
}

/// The ways of a race over all kernels, the most frequent first.
fn ways(row: &[Option<&CaseRecord>]) -> Vec<WayReport> {
    let mut all: Vec<(Way, Vec<Option<usize>>)> = Vec::new();
    for (kernel, case) in row.iter().enumerate() {
        for way in case.iter().flat_map(|case| &case.ways) {
            let known = all.iter().position(|(one, _)| one.trace == way.trace);
            let number = known.unwrap_or_else(|| {
                let new = Way { count: 0, trace: way.trace.clone() };
                all.push((new, vec![None; row.len()]));
                all.len() - 1
            });
            all[number].0.count += way.count;
            all[number].1[kernel] = Some(way.count);
        }
    }
    all.sort_by_key(|(way, _)| std::cmp::Reverse(way.count));
    let told = differences(&all.iter().map(|(way, _)| &way.trace).collect::<Vec<_>>());
    let each = all.into_iter().zip(told);
    each.map(|((way, counts), told)| WayReport { told, counts, trace: way.trace }).collect()
}
