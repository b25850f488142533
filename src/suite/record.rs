//! The record of a run: everything that a reader elsewhere needs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::kernel::Kernel;
use super::run::{Plan, SuiteResult};
use super::ways::Way;
use crate::trace::Trace;
use crate::verdict::{Standing, Verdict};

/// A run, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunRecord {
    /// The version of this format.
    pub format: u32,
    /// The tool's version.
    pub tool: String,
    /// The kernel that was run on.
    pub kernel: Kernel,
    /// The user id that the scenarios ran as; in a guest, root.
    pub user: u32,
    /// How often each case was run.
    pub repeat: usize,
    /// What delays in races were drawn from; the first run's.
    pub seed: u64,
    /// Facts by name: as they were seen, and by the release where no scenario of
    /// this run decides.
    pub facts: BTreeMap<String, bool>,
    /// The cases.
    pub cases: Vec<CaseRecord>,
    /// The claims that were decided.
    pub claims: Vec<ClaimRecord>,
}

/// One case of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseRecord {
    /// Its id.
    pub scenario: String,
    /// SHA-256 of its file.
    pub hash: String,
    /// The behaviours that it decides.
    pub behaviours: Vec<String>,
    /// What the run says.
    pub verdict: Verdict,
    /// What was seen; nothing for a case that races.
    pub trace: Option<Trace>,
    /// What was seen of a case that races, the most frequent first, and what
    /// the model allows besides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ways: Vec<Way>,
}

/// One claim of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimRecord {
    /// The document.
    pub document: String,
    /// Its edition.
    pub edition: String,
    /// The claim's name.
    pub claim: String,
    /// How it stands.
    pub standing: Standing,
}

impl CaseRecord {
    /// All traces that say something.
    pub fn seen(&self) -> Vec<&Trace> {
        let ways = self.ways.iter().filter(|way| way.count > 0).map(|way| &way.trace);
        let whole = self.trace.iter().filter(|_| !self.verdict.is_trouble());
        whole.chain(ways).collect()
    }
}

impl RunRecord {
    /// The version of the format that this tool writes.
    pub const FORMAT: u32 = 1;

    /// The record of a suite's result.
    pub fn of(result: &SuiteResult<'_>, plan: Plan) -> RunRecord {
        RunRecord {
            format: Self::FORMAT,
            tool: env!("CARGO_PKG_VERSION").to_owned(),
            kernel: result.kernel.clone(),
            user: result.user,
            repeat: plan.repeat,
            seed: plan.seed,
            facts: result.observed.iter().map(|(id, holds)| (id.to_owned(), holds)).collect(),
            cases: result
                .cases
                .iter()
                .map(|one| CaseRecord {
                    scenario: one.case.scenario.id.clone(),
                    hash: one.case.file.hash(),
                    behaviours: one.case.scenario.behaviours.clone(),
                    verdict: one.verdict.clone(),
                    trace: one.trace.clone(),
                    ways: one.ways.clone(),
                })
                .collect(),
            claims: result
                .claims
                .iter()
                .map(|(document, claim, standing)| ClaimRecord {
                    document: document.document.clone(),
                    edition: document.edition.clone(),
                    claim: claim.id.clone(),
                    standing: standing.clone(),
                })
                .collect(),
        }
    }
}
