//! What run records say, as people read it: the behaviours, the ledger of
//! claims, the changes from kernel to kernel. One [`Book`] is made of the
//! records; every form of it is written from that.

mod collect;
mod html;
mod man;
mod markdown;
mod pieces;
mod rst;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use super::cost::Costs;
use crate::claim::Document;
use crate::suite::{
    Case, Change, FactRow, FactStanding, Matrix, MatrixKernel, OddVerdict, RunRecord, SkippedCase,
    StepRow, Stretch, kernels_told, stretches,
};
use crate::trace::Trace;
use crate::verdict::Standing;

pub use html::html;
pub use man::man;
pub use markdown::{Page, markdown};
pub use rst::rst;

/// All that is reported. Lists that have one entry a kernel are in the order
/// of [`Book::kernels`].
#[derive(Debug, Serialize, JsonSchema)]
pub struct Book {
    /// The version of the format of a book as data.
    #[schemars(extend("const" = Self::FORMAT))]
    pub format: u32,
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
#[derive(Debug, Serialize, JsonSchema)]
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
#[derive(Debug, Serialize, JsonSchema)]
pub struct Theme {
    /// Its folder's name.
    pub name: String,
    /// Its scenarios, by name.
    pub scenarios: Vec<Behaviour>,
}

/// A scenario file and all its cases.
#[derive(Debug, Serialize, JsonSchema)]
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
    /// The facts that it depends on or decides: their numbers in
    /// [`Book::facts`].
    pub facts: Vec<usize>,
}

/// A case, and what each kernel did.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CaseReport {
    /// `theme/name[parameters]`.
    pub id: String,
    /// Its name as part of an address.
    pub anchor: String,
    /// What it shows; the file's sentence, with the parameters.
    pub summary: String,
    /// The behaviours that it decides.
    pub behaviours: Vec<String>,
    /// What decides: the steps with a label, and of others those that tell
    /// kernels apart where no labelled one does.
    pub steps: Vec<StepRow>,
    /// What changed between which kernels.
    pub changes: Vec<Change>,
    /// Each trace that was seen of a case that does not race, that of the
    /// oldest kernel first.
    pub seen: Vec<Seen>,
    /// For each kernel the number of those that did the same as it: without a
    /// race, that in [`CaseReport::seen`].
    pub variants: Vec<Option<usize>>,
    /// The ways that a race went.
    pub ways: Vec<WayReport>,
}

/// A trace that some kernels gave.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Seen {
    /// The numbers of the kernels.
    pub kernels: Vec<usize>,
    /// The trace, as text in data.
    #[serde(serialize_with = "as_text")]
    #[schemars(with = "String")]
    pub trace: Trace,
}

/// A way that a race can go.
#[derive(Debug, Serialize, JsonSchema)]
pub struct WayReport {
    /// In what it differs from the others.
    pub told: String,
    /// How often each kernel went it; `None` where the model does not allow it
    /// and it was not seen.
    pub counts: Vec<Option<usize>>,
    /// What was seen, or is allowed.
    #[serde(serialize_with = "as_text")]
    #[schemars(with = "String")]
    pub trace: Trace,
}

/// A document and how its claims stand.
#[derive(Debug, Serialize, JsonSchema)]
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
#[derive(Debug, Serialize, JsonSchema)]
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

/// All that changed between two kernels.
#[derive(Debug)]
pub struct Between<'b> {
    /// The number of the last kernel that did as before.
    pub from: usize,
    /// The number of the first that did not.
    pub to: usize,
    /// The cases, each with its file and what changed.
    pub cases: Vec<(&'b Behaviour, &'b CaseReport, &'b Change)>,
}

/// Something that readers must hear of: the number of the kernel, and what.
#[derive(Debug)]
pub enum Finding<'b> {
    /// What a kernel does in a case is none of what is known or allowed.
    Case(&'b OddVerdict),
    /// A claim stands otherwise than the tables say.
    Claim(usize, &'b ClaimReport, &'b Standing),
    /// A fact does not hold, though by the kernel's version it should.
    Fact(usize, &'b FactRow),
}

fn as_text<S: Serializer>(trace: &Trace, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(trace)
}

impl Book {
    /// The version of the format of a book as data.
    pub const FORMAT: u32 = 1;

    /// The book of these records. Sentences are taken from the scenarios,
    /// claims from the documents of this tool.
    pub fn of(records: Vec<RunRecord>, scenarios: &[Case<'_>], documents: &[Document]) -> Book {
        let matrix = Matrix::of(records);
        let documents: Vec<Ledger> =
            documents.iter().map(|document| collect::ledger(document, &matrix.records)).collect();
        let themes = collect::themes(&matrix, scenarios, &documents);
        let kernels = matrix.kernels.iter().zip(&matrix.records);
        Book {
            format: Self::FORMAT,
            kernels: kernels.map(|(kernel, record)| collect::column(kernel, record)).collect(),
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

    /// Kernels in words, those in a row as such.
    pub fn kernels_told(&self, numbers: &[usize]) -> String {
        kernels_told(numbers, |kernel| self.kernel(kernel))
    }

    /// The same, of all of them in a word.
    fn on(&self, numbers: &[usize]) -> String {
        match numbers.len() == self.kernels.len() {
            true if numbers.len() > 1 => "all kernels".to_owned(),
            _ => self.kernels_told(numbers),
        }
    }

    /// All scenarios.
    pub fn behaviours(&self) -> impl Iterator<Item = &Behaviour> {
        self.themes.iter().flat_map(|theme| &theme.scenarios)
    }

    /// What changed when: derived from the runs, the newest first.
    pub fn changes(&self) -> Vec<Between<'_>> {
        let mut all: BTreeMap<(usize, usize), Between<'_>> = BTreeMap::new();
        for behaviour in self.behaviours() {
            for case in &behaviour.cases {
                for change in &case.changes {
                    let (from, to) = (change.from, change.to);
                    let new = || Between { from, to, cases: Vec::new() };
                    let between = all.entry((to, from)).or_insert_with(new);
                    between.cases.push((behaviour, case, change));
                }
            }
        }
        all.into_values().rev().collect()
    }

    /// The facts of a scenario that hold on one of two kernels and not on the
    /// other.
    pub fn reasons(&self, behaviour: &Behaviour, from: usize, to: usize) -> Vec<&FactRow> {
        let facts = behaviour.facts.iter().map(|fact| &self.facts[*fact]);
        let tells = |fact: &&FactRow| {
            let holds = |kernel: usize| fact.standing[kernel].holds();
            matches!((holds(from), holds(to)), (Some(a), Some(b)) if a != b)
        };
        facts.filter(tells).collect()
    }

    /// All findings: cases, then claims, then facts.
    pub fn findings(&self) -> Vec<Finding<'_>> {
        let cases = self.verdicts.iter().filter(|odd| odd.verdict.is_finding());
        let claims = self.documents.iter().flat_map(|ledger| &ledger.claims).flat_map(|claim| {
            let standings = claim.standings.iter().enumerate();
            let news = standings.filter_map(|(kernel, one)| Some((kernel, one.as_ref()?)));
            news.filter(|(_, one)| one.is_finding())
                .map(move |(kernel, one)| Finding::Claim(kernel, claim, one))
        });
        let facts = self.facts.iter().flat_map(|fact| {
            let standings = fact.standing.iter().enumerate();
            standings
                .filter(|(_, one)| **one == FactStanding::Lost)
                .map(move |(kernel, _)| Finding::Fact(kernel, fact))
        });
        cases.map(Finding::Case).chain(claims).chain(facts).collect()
    }

    /// The anchor at which a scenario or a case is told; one that no record
    /// has stands nowhere.
    fn place(&self, scenario: &str) -> &str {
        for behaviour in self.behaviours() {
            if behaviour.id == scenario {
                return &behaviour.anchor;
            }
            if let Some(case) = behaviour.cases.iter().find(|case| case.id == scenario) {
                return &case.anchor;
            }
        }
        "behaviours"
    }

    /// The verdicts on a case that are not plain conformance.
    pub fn odd(&self, case: &CaseReport) -> impl Iterator<Item = &OddVerdict> {
        self.verdicts.iter().filter(|odd| odd.scenario == case.id)
    }

    /// What of a case is a finding on a kernel.
    pub fn finding(&self, case: &CaseReport, kernel: usize) -> Option<&OddVerdict> {
        self.odd(case).find(|odd| odd.kernel == kernel && odd.verdict.is_finding())
    }

    fn races(&self, scenario: &str) -> bool {
        let file = collect::file_of(scenario);
        let mut files = self.behaviours().filter(|behaviour| behaviour.id == file);
        files.any(|behaviour| behaviour.cases.iter().any(CaseReport::races))
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
        !self.changes.is_empty()
    }

    /// Whether it races.
    pub fn races(&self) -> bool {
        !self.ways.is_empty()
    }

    /// What tells it from the other cases of its file.
    pub fn parameters(&self) -> &str {
        let (_, after) = self.id.split_once('[').unwrap_or_default();
        after.strip_suffix(']').unwrap_or(after)
    }
}

impl WayReport {
    /// Whether some kernel went it.
    pub fn is_seen(&self) -> bool {
        self.counts.iter().any(|count| *count > Some(0))
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

    /// How it stands since when.
    pub fn stretches(&self) -> Vec<Stretch<&Standing>> {
        stretches(&self.standings, |a, b| a == b)
    }
}
