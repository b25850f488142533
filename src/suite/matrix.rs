//! What several kernels did, side by side: derived from their run records.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use super::record::{CaseRecord, RunRecord};
use super::row::{Change, Row, StepRow};
use crate::profile::{FACTS, Fact, Profile, Release};
use crate::verdict::{Verdict, observed_profile};

/// Kernels and what differs between them. Lists that have one entry a kernel
/// are in the order of [`Matrix::kernels`].
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Matrix {
    /// The version of this format.
    #[schemars(extend("const" = Self::FORMAT))]
    pub format: u32,
    /// The kernels, oldest upstream release first.
    pub kernels: Vec<MatrixKernel>,
    /// The kernels' facts, as the table of facts has them.
    pub facts: Vec<FactRow>,
    /// The cases that not all kernels do the same in, by name.
    pub cases: Vec<CaseRow>,
    /// Verdicts that are not plain conformance: backports, findings, troubles.
    pub verdicts: Vec<OddVerdict>,
    /// Cases that some kernels did not run, and why.
    pub skipped: Vec<SkippedCase>,
    /// Cases whose file is not the same in all records, which are not compared.
    pub incomparable: Vec<String>,
    /// The records that all of it comes from, in the kernels' order.
    #[serde(skip)]
    pub records: Vec<RunRecord>,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct MatrixKernel {
    /// What it is called in tables: the upstream release, or what uname(2)
    /// says where that alone would not tell it from another.
    pub name: String,
    /// `uname -r`.
    pub release: String,
    /// `uname -v`.
    pub version: String,
    /// How many cases conform, with facts of later kernels or without.
    pub conforming: usize,
    /// How many cases the record has.
    pub cases: usize,
}

/// A fact, and which kernels have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FactRow {
    /// Its name.
    pub fact: &'static str,
    /// What holds, in a sentence.
    pub summary: &'static str,
    /// The first mainline release with it.
    pub since: String,
    /// The commit that made it so, as far as known.
    pub commit: &'static str,
    /// Releases of earlier stable series that brought it there.
    pub stable: Vec<String>,
    /// The scenario that decides it.
    pub scenario: &'static str,
    /// The label of the step that does, or several, joined by `+`.
    pub step: &'static str,
    /// How it stands on each kernel.
    pub standing: Vec<FactStanding>,
}

/// How a fact that was seen stands beside what the kernel's version says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FactStanding {
    /// It holds, as it does since this release or an earlier one.
    Holds,
    /// It does not hold, as the release is older.
    Fails,
    /// It holds, as it was backported to this stable series.
    Backported,
    /// It holds though by the version it should not: a backport that the table
    /// of facts does not have.
    Early,
    /// It does not hold though by the version it should.
    Lost,
    /// The run did not decide it.
    Undecided,
}

impl FactStanding {
    /// Whether the fact holds, if that was decided.
    pub fn holds(self) -> Option<bool> {
        match self {
            FactStanding::Holds | FactStanding::Backported | FactStanding::Early => Some(true),
            FactStanding::Fails | FactStanding::Lost => Some(false),
            FactStanding::Undecided => None,
        }
    }
}

/// A case that not all kernels do the same in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CaseRow {
    /// The scenario.
    pub scenario: String,
    /// The behaviours that it decides.
    pub behaviours: Vec<String>,
    /// The steps with different outcomes.
    pub steps: Vec<StepRow>,
    /// What changed between which kernels.
    pub changes: Vec<Change>,
}

/// A verdict that a reader must hear of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct OddVerdict {
    /// The scenario.
    pub scenario: String,
    /// The kernel's number.
    pub kernel: usize,
    /// The verdict.
    pub verdict: Verdict,
}

/// A case that some kernels did not run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SkippedCase {
    /// The scenario.
    pub scenario: String,
    /// The numbers of the kernels.
    pub kernels: Vec<usize>,
    /// Why the first of them did not.
    pub why: String,
}

impl Matrix {
    /// The version of the format of a matrix as data.
    pub const FORMAT: u32 = 1;

    /// The matrix of these records, in whatever order they come.
    pub fn of(mut records: Vec<RunRecord>) -> Matrix {
        records.sort_by_cached_key(|record| {
            let kernel = &record.kernel;
            (kernel.upstream(), kernel.release.clone(), kernel.version.clone())
        });
        let by_name: Vec<BTreeMap<&str, &CaseRecord>> = records
            .iter()
            .map(|record| record.cases.iter().map(|case| (case.scenario.as_str(), case)).collect())
            .collect();
        let names: BTreeSet<&str> =
            by_name.iter().flat_map(|cases| cases.keys().copied()).collect();
        let (mut cases, mut incomparable) = (Vec::new(), Vec::new());
        let (mut verdicts, mut skipped) = (Vec::new(), Vec::new());
        for name in names {
            let row: Vec<Option<&CaseRecord>> =
                by_name.iter().map(|cases| cases.get(name).copied()).collect();
            odd_verdicts(name, &row, &mut verdicts);
            skipped.extend(skipped_case(name, &row));
            let hashes: BTreeSet<&str> = row.iter().flatten().map(|case| &*case.hash).collect();
            if hashes.len() > 1 {
                incomparable.push(name.to_owned());
            } else {
                cases.extend(case_row(name, &row));
            }
        }
        let decided: Vec<(Option<Release>, Profile)> =
            records.iter().map(|record| (record.kernel.upstream(), decided(record))).collect();
        let facts = FACTS.iter().map(|fact| fact_row(fact, &decided)).collect();
        let kernels = columns(&records);
        let format = Self::FORMAT;
        Matrix { format, kernels, facts, cases, verdicts, skipped, incomparable, records }
    }

    /// Kernels in words, those in a row as such.
    pub fn kernels_told(&self, numbers: &[usize]) -> String {
        kernels_told(numbers, |kernel| &self.kernels[kernel].name)
    }
}

/// Kernels in words, those in a row as such.
pub fn kernels_told<'n>(numbers: &[usize], name: impl Fn(usize) -> &'n str) -> String {
    let told = |row: &[usize]| match row {
        [first, .., last] => format!("{} to {}", name(*first), name(*last)),
        [single] => name(*single).to_owned(),
        [] => String::new(),
    };
    numbers.chunk_by(|a, b| a + 1 == *b).map(told).collect::<Vec<_>>().join(", ")
}

fn columns(records: &[RunRecord]) -> Vec<MatrixKernel> {
    let upstream = |record: &RunRecord| record.kernel.upstream();
    let conforms =
        |verdict: &Verdict| matches!(verdict, Verdict::Conforms | Verdict::Backported(_));
    records
        .iter()
        .map(|record| {
            let release = record.kernel.release.clone();
            let alone = records.iter().filter(|one| upstream(one) == upstream(record)).count() == 1;
            let short = upstream(record).filter(|_| alone).map(|release| release.to_string());
            MatrixKernel {
                name: short.unwrap_or_else(|| release.clone()),
                release,
                version: record.kernel.version.clone(),
                conforming: record.cases.iter().filter(|case| conforms(&case.verdict)).count(),
                cases: record.cases.len(),
            }
        })
        .collect()
}

/// What a record's own traces decide of the facts.
fn decided(record: &RunRecord) -> Profile {
    observed_profile(&Profile::default(), |id| {
        let case = record.cases.iter().find(|case| case.scenario == id);
        case.map(CaseRecord::seen).unwrap_or_default()
    })
}

fn fact_row(fact: &'static Fact, kernels: &[(Option<Release>, Profile)]) -> FactRow {
    let standing =
        |(release, decided): &(Option<Release>, Profile)| match (decided.holds(fact.id), release) {
            (None, _) => FactStanding::Undecided,
            (Some(true), Some(release)) if !release.has(fact) => FactStanding::Early,
            (Some(true), Some(release)) if (release.major, release.minor) < fact.since => {
                FactStanding::Backported
            }
            (Some(true), _) => FactStanding::Holds,
            (Some(false), Some(release)) if release.has(fact) => FactStanding::Lost,
            (Some(false), _) => FactStanding::Fails,
        };
    FactRow {
        fact: fact.id,
        summary: fact.summary,
        since: format!("{}.{}", fact.since.0, fact.since.1),
        commit: fact.commit,
        stable: fact
            .stable
            .iter()
            .map(|((major, minor), patch)| format!("{major}.{minor}.{patch}"))
            .collect(),
        scenario: fact.decided_by.scenario,
        step: fact.decided_by.step,
        standing: kernels.iter().map(standing).collect(),
    }
}

fn case_row(name: &str, cases: &[Option<&CaseRecord>]) -> Option<CaseRow> {
    let row = Row::of(cases);
    if !row.is_changed() {
        return None;
    }
    let mut steps = row.steps();
    steps.retain(StepRow::is_changed);
    Some(CaseRow {
        scenario: name.to_owned(),
        behaviours: cases.iter().flatten().next()?.behaviours.clone(),
        steps,
        changes: row.changes(),
    })
}

fn odd_verdicts(name: &str, row: &[Option<&CaseRecord>], into: &mut Vec<OddVerdict>) {
    for (kernel, case) in row.iter().enumerate() {
        let Some(case) = case else { continue };
        if !matches!(case.verdict, Verdict::Conforms | Verdict::Skipped(_)) {
            let verdict = case.verdict.clone();
            into.push(OddVerdict { scenario: name.to_owned(), kernel, verdict });
        }
    }
}

fn skipped_case(name: &str, row: &[Option<&CaseRecord>]) -> Option<SkippedCase> {
    let why = |case: &CaseRecord| match &case.verdict {
        Verdict::Skipped(why) => Some(why.clone()),
        _ => None,
    };
    let all: Vec<(usize, String)> = row
        .iter()
        .enumerate()
        .filter_map(|(kernel, case)| Some((kernel, why((*case)?)?)))
        .collect();
    let first = all.first()?.1.clone();
    let kernels = all.into_iter().map(|(kernel, _)| kernel).collect();
    Some(SkippedCase { scenario: name.to_owned(), kernels, why: first })
}
