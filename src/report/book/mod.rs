//! What run records say, as people read it: the behaviours, the ledger of
//! claims, the changes from kernel to kernel. One [`Book`] is made of the
//! records; every form of it is written from that.

mod html;
mod man;
mod markdown;
mod pieces;
mod rst;

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use super::cost::Costs;
use super::test::{case_path, file_names};
use crate::claim::{Claim, Document};
use crate::profile::fact;
use crate::suite::{
    Case, CaseRecord, FactRow, Matrix, MatrixKernel, OddVerdict, RunRecord, SkippedCase, StepRow,
    Way, differences,
};
use crate::trace::Trace;
use crate::verdict::Standing;

pub use html::html;
pub use man::man;
pub use markdown::{Page, markdown};
pub use rst::rst;

/// All that is reported. Lists that have one entry a kernel are in the order
/// of [`Book::kernels`].
#[derive(Debug, Serialize)]
pub struct Book {
    /// The kernels, oldest upstream release first.
    pub kernels: Vec<Column>,
    /// Their facts.
    pub facts: Vec<FactRow>,
    /// What the kernels do, by theme.
    pub themes: Vec<Theme>,
    /// What documents say of it.
    pub documents: Vec<Ledger>,
    /// Verdicts that are not plain conformance.
    pub verdicts: Vec<OddVerdict>,
    /// Cases that some kernels did not run.
    pub skipped: Vec<SkippedCase>,
    /// Cases that cannot be compared, as their file is not the same in all
    /// records.
    pub incomparable: Vec<String>,
    /// What calls cost, if that was measured.
    pub costs: Option<Costs>,
}

/// A kernel.
#[derive(Debug, Serialize)]
pub struct Column {
    /// Its names and counts.
    #[serde(flatten)]
    pub kernel: MatrixKernel,
    /// The words that run the tool on such a kernel, before those that say
    /// what to run.
    pub command: String,
    /// Whether that starts a virtual machine.
    #[serde(skip)]
    pub is_guest: bool,
}

/// Scenarios with one subject.
#[derive(Debug, Serialize)]
pub struct Theme {
    /// Its folder's name.
    pub name: String,
    /// Its scenarios, by name.
    pub scenarios: Vec<Behaviour>,
}

/// A scenario file and all its cases.
#[derive(Debug, Serialize)]
pub struct Behaviour {
    /// `theme/name`.
    pub id: String,
    /// Its name as part of an address.
    pub anchor: String,
    /// What it shows, in a sentence.
    pub summary: String,
    /// Its cases.
    pub cases: Vec<CaseReport>,
    /// The claims that it decides: the numbers of document and claim.
    #[serde(skip)]
    pub claims: Vec<(usize, usize)>,
}

/// A case, and what each kernel did.
#[derive(Debug, Serialize)]
pub struct CaseReport {
    /// `theme/name[parameters]`.
    pub id: String,
    /// Its name as part of an address.
    pub anchor: String,
    /// What it shows; the file's sentence, with the parameters.
    pub summary: String,
    /// The behaviours that it decides.
    pub behaviours: Vec<String>,
    /// What decides: the steps with a label, and of others those that not all
    /// kernels do the same in.
    pub steps: Vec<StepRow>,
    /// Each trace that was seen, that of the oldest kernel first.
    pub seen: Vec<Seen>,
    /// The number in [`CaseReport::seen`] of each kernel's trace.
    pub variants: Vec<Option<usize>>,
    /// The ways that a race went.
    pub ways: Vec<WayReport>,
}

/// A trace that some kernels gave.
#[derive(Debug, Serialize)]
pub struct Seen {
    /// The numbers of the kernels.
    pub kernels: Vec<usize>,
    /// The trace, as text in data.
    #[serde(serialize_with = "as_text")]
    pub trace: Trace,
}

/// A way that a race can go.
#[derive(Debug, Serialize)]
pub struct WayReport {
    /// In what it differs from the others.
    pub told: String,
    /// How often each kernel went it; `None` where the model does not allow it
    /// and it was not seen.
    pub counts: Vec<Option<usize>>,
    /// What was seen, or is allowed.
    #[serde(serialize_with = "as_text")]
    pub trace: Trace,
}

/// A document and how its claims stand.
#[derive(Debug, Serialize)]
pub struct Ledger {
    /// What it is called.
    pub document: String,
    /// Its name as part of an address.
    pub anchor: String,
    /// Which edition was read.
    pub edition: String,
    /// Where it is found.
    pub source: String,
    /// Its claims, in its order.
    pub claims: Vec<ClaimReport>,
}

/// A claim and how it stands.
#[derive(Debug, Serialize)]
pub struct ClaimReport {
    /// Its name, unique in the document.
    pub id: String,
    /// Its name as part of an address.
    pub anchor: String,
    /// Where in the document it stands.
    pub place: String,
    /// What it says, in our words.
    pub says: String,
    /// The scenario that decides it, or a case of it.
    pub scenario: String,
    /// The label of the deciding step.
    pub step: String,
    /// The outcomes that it predicts, as a pattern.
    pub predicts: String,
    /// The fact that makes it wrong.
    pub contradicted_by: Option<String>,
    /// What happens instead, and why.
    pub note: Option<String>,
    /// How it stands on each kernel; `None` where the record has no word of it.
    pub standings: Vec<Option<Standing>>,
}

/// A step, what it came to before, and what after.
pub type StepChange<'b> = (&'b str, &'b str, &'b str);

/// What changed between two kernels.
#[derive(Debug)]
pub struct Change<'b> {
    /// The number of the last kernel that did as before.
    pub from: usize,
    /// The number of the first that did not.
    pub to: usize,
    /// Cases, each with its steps and their outcomes before and after.
    pub cases: Vec<(&'b CaseReport, Vec<StepChange<'b>>)>,
}

fn as_text<S: Serializer>(trace: &Trace, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(trace)
}

impl Book {
    /// The book of these records. Sentences are taken from the scenarios,
    /// claims from the documents of this tool.
    pub fn of(records: Vec<RunRecord>, scenarios: &[Case<'_>], documents: &[Document]) -> Book {
        let matrix = Matrix::of(records);
        let summaries: BTreeMap<&str, &str> = scenarios
            .iter()
            .map(|case| (case.scenario.id.as_str(), case.scenario.summary.as_str()))
            .collect();
        let documents: Vec<Ledger> =
            documents.iter().map(|document| ledger(document, &matrix.records)).collect();
        let themes = themes(&matrix, &summaries, &documents);
        let kernels = matrix.kernels.iter().zip(&matrix.records);
        Book {
            kernels: kernels.map(|(kernel, record)| column(kernel, record)).collect(),
            facts: matrix.facts,
            themes,
            documents,
            verdicts: matrix.verdicts,
            skipped: matrix.skipped,
            incomparable: matrix.incomparable,
            costs: None,
        }
    }

    /// A kernel's short name.
    pub fn kernel(&self, number: usize) -> &str {
        &self.kernels[number].kernel.name
    }

    /// Kernels in a row, in words.
    pub fn stretch(&self, first: usize, last: usize) -> String {
        match first == last {
            true => self.kernel(first).to_owned(),
            false => format!("{} to {}", self.kernel(first), self.kernel(last)),
        }
    }

    /// Kernels in words, those in a row as such.
    pub fn kernels_told(&self, numbers: &[usize]) -> String {
        let rows = numbers.chunk_by(|a, b| a + 1 == *b);
        let told: Vec<String> = rows.map(|row| self.stretch(row[0], row[row.len() - 1])).collect();
        told.join(", ")
    }

    /// All scenarios.
    pub fn behaviours(&self) -> impl Iterator<Item = &Behaviour> {
        self.themes.iter().flat_map(|theme| &theme.scenarios)
    }

    /// What changed when: derived from the runs, the newest first.
    pub fn changes(&self) -> Vec<Change<'_>> {
        let mut changes: BTreeMap<(usize, usize), Change<'_>> = BTreeMap::new();
        for case in self.behaviours().flat_map(|behaviour| &behaviour.cases) {
            for step in &case.steps {
                for pair in step.stretches().windows(2) {
                    let (from, to) = (pair[0].last, pair[1].first);
                    let new = || Change { from, to, cases: Vec::new() };
                    let change = changes.entry((from, to)).or_insert_with(new);
                    let row = (step.step.as_str(), pair[0].outcome, pair[1].outcome);
                    match change.cases.last_mut() {
                        Some((last, rows)) if last.id == case.id => rows.push(row),
                        _ => change.cases.push((case, vec![row])),
                    }
                }
            }
        }
        changes.into_values().rev().collect()
    }

    fn races(&self, scenario: &str) -> bool {
        let file = file_of(scenario);
        let mut files = self.behaviours().filter(|behaviour| behaviour.id == file);
        files.any(|behaviour| behaviour.cases.iter().any(|case| !case.ways.is_empty()))
    }

    /// The command that shows a scenario on a kernel.
    pub fn reproduce(&self, kernel: usize, scenario: &str) -> String {
        let plain = |c: char| c.is_ascii_alphanumeric() || "/-_.,".contains(c);
        let Column { command, is_guest, .. } = &self.kernels[kernel];
        // A race needs a second processor.
        let cpus = if *is_guest && self.races(scenario) { " --cpus 2" } else { "" };
        match scenario.chars().all(plain) {
            true => format!("{command}{cpus} -v {scenario}"),
            false => format!("{command}{cpus} -v '{}'", scenario.replace('\'', "'\\''")),
        }
    }
}

impl CaseReport {
    /// Whether not all kernels did the same.
    pub fn is_changed(&self) -> bool {
        self.seen.len() > 1
    }

    /// What tells it from the other cases of its file.
    pub fn parameters(&self) -> &str {
        let (_, after) = self.id.split_once('[').unwrap_or_default();
        after.strip_suffix(']').unwrap_or(after)
    }
}

impl ClaimReport {
    /// Whether some kernel does something else.
    pub fn is_contradicted(&self) -> bool {
        let is_wrong = |standing: &Standing| {
            matches!(standing, Standing::Contradicted { .. } | Standing::Failed { .. })
        };
        self.standings.iter().flatten().any(is_wrong)
    }

    /// How it stands since when: stretches of kernels of which the same is
    /// known, as first, last and the standing.
    pub fn stretches(&self) -> Vec<(usize, usize, &Standing)> {
        let mut stretches: Vec<(usize, usize, &Standing)> = Vec::new();
        for (kernel, standing) in self.standings.iter().enumerate() {
            let Some(standing) = standing else { continue };
            match stretches.last_mut() {
                Some((_, last, before)) if *before == standing => *last = kernel,
                _ => stretches.push((kernel, kernel, standing)),
            }
        }
        stretches
    }
}

/// How the tool is started on such a kernel: those of Debian are had by their
/// series' name, others are run on themselves.
fn column(kernel: &MatrixKernel, record: &RunRecord) -> Column {
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

fn ledger(document: &Document, records: &[RunRecord]) -> Ledger {
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

fn themes(matrix: &Matrix, summaries: &BTreeMap<&str, &str>, ledgers: &[Ledger]) -> Vec<Theme> {
    let mut cases: BTreeMap<&str, Vec<Option<&CaseRecord>>> = BTreeMap::new();
    for (kernel, record) in matrix.records.iter().enumerate() {
        for case in &record.cases {
            let row = cases.entry(&case.scenario);
            row.or_insert_with(|| vec![None; matrix.records.len()])[kernel] = Some(case);
        }
    }
    let changed: BTreeMap<&str, &[StepRow]> =
        matrix.cases.iter().map(|row| (row.scenario.as_str(), row.steps.as_slice())).collect();
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
        let summary = summaries.get(id).copied().unwrap_or(id);
        if scenarios.last().is_none_or(|last| last.id != file) {
            scenarios.push(Behaviour {
                id: file.to_owned(),
                anchor: file_names([file].into_iter()).remove(0),
                summary: summary.to_owned(),
                cases: Vec::new(),
                claims: decided(ledgers, file),
            });
        }
        let steps = changed.get(id).copied().unwrap_or_default();
        let case = case(id, anchor, summary, &cases[id], steps);
        scenarios.last_mut().expect("there is one now").cases.push(case);
    }
    themes
}

fn file_of(id: &str) -> &str {
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

fn case(
    id: &str,
    anchor: String,
    summary: &str,
    row: &[Option<&CaseRecord>],
    changed: &[StepRow],
) -> CaseReport {
    let mut seen: Vec<Seen> = Vec::new();
    let mut variants = Vec::new();
    for (kernel, case) in row.iter().enumerate() {
        // A run that was cut off says nothing.
        let case = case.filter(|case| !case.verdict.is_trouble());
        let trace = case.and_then(|case| case.trace.as_ref());
        variants.push(trace.map(|trace| {
            let known = seen.iter().position(|one| one.trace == *trace);
            let number = known.unwrap_or_else(|| {
                seen.push(Seen { kernels: Vec::new(), trace: trace.clone() });
                seen.len() - 1
            });
            seen[number].kernels.push(kernel);
            number
        }));
    }
    CaseReport {
        id: id.to_owned(),
        anchor,
        summary: summary.to_owned(),
        behaviours: row
            .iter()
            .flatten()
            .next()
            .map(|case| case.behaviours.clone())
            .unwrap_or_default(),
        steps: steps(&seen, &variants, changed),
        ways: ways(row),
        seen,
        variants,
    }
}

/// The steps with a label on every kernel, and those without where no labelled
/// one tells the kernels apart.
fn steps(seen: &[Seen], variants: &[Option<usize>], changed: &[StepRow]) -> Vec<StepRow> {
    let mut rows: Vec<StepRow> = Vec::new();
    for event in seen.iter().flat_map(|one| &one.trace.events) {
        let Some(label) = &event.label else { continue };
        if rows.iter().any(|row| row.label.as_ref() == Some(label)) {
            continue;
        }
        let outcome = |number: &usize| seen[*number].trace.outcomes_of(label).unwrap_or_default();
        let actor = event.actor.as_ref().map(|actor| format!("{actor}: ")).unwrap_or_default();
        rows.push(StepRow {
            step: format!("{label}: {actor}{}", event.text),
            label: Some(label.clone()),
            outcomes: variants.iter().map(|number| number.as_ref().map(outcome)).collect(),
        });
    }
    if !changed.iter().any(|step| step.label.is_some()) {
        rows.extend(changed.iter().cloned());
    }
    rows
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
    let (ways, counts): (Vec<Way>, Vec<_>) = all.into_iter().unzip();
    let told = differences(&ways);
    ways.into_iter()
        .zip(counts)
        .zip(told)
        .map(|((way, counts), told)| WayReport { told, counts, trace: way.trace })
        .collect()
}
