//! The record of a run: everything that a reader elsewhere needs.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::kernel::Kernel;
use super::run::{Plan, SuiteResult};
use super::ways::Way;
use crate::trace::Trace;
use crate::verdict::{Standing, Verdict};

/// A run, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunRecord {
    /// The version of this format.
    #[schemars(extend("const" = Self::FORMAT))]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    /// Why the model may allow more ways than these, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more_ways: Option<String>,
}

/// One claim of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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

/// A text that is no record which this tool reads.
#[derive(Debug, Error)]
pub enum RecordError {
    /// It is not JSON, or is cut off.
    #[error("no run record: {0}")]
    NotJson(serde_json::Error),
    /// It does not say that it is one.
    #[error("no run record: it has no format")]
    NoFormat,
    /// It is of another version.
    #[error("a run record of format {0}; this tool reads {known}", known = RunRecord::FORMAT)]
    OtherFormat(u64),
    /// It says that it is one, and is not: the place, and what is wrong.
    #[error("a broken run record: {0}")]
    Broken(String),
}

impl RunRecord {
    /// The version of the format that this tool writes.
    pub const FORMAT: u32 = 1;

    /// Reads a record. Its version is looked at before anything else, so that
    /// one of a newer tool is told as such.
    ///
    /// # Errors
    ///
    /// Whatever is no record of this version, with the place.
    pub fn read(text: &str) -> Result<RunRecord, RecordError> {
        #[derive(Deserialize)]
        struct Head {
            format: Option<u64>,
        }
        let head: Head = serde_json::from_str(text).map_err(RecordError::NotJson)?;
        match head.format {
            Some(format) if format == u64::from(Self::FORMAT) => {}
            Some(format) => return Err(RecordError::OtherFormat(format)),
            None => return Err(RecordError::NoFormat),
        }
        let mut deserializer = serde_json::Deserializer::from_str(text);
        serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
            let place = error.path().to_string();
            let why = error.into_inner();
            RecordError::Broken(match place.as_str() {
                "." => why.to_string(),
                _ => format!("{place}: {why}"),
            })
        })
    }

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
                    more_ways: one.more_ways.clone(),
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
