//! Holds against each other what was seen, what is known to be seen, and what
//! the documents claim.

mod claims;
mod model;
mod stage;
mod stored;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use claims::{Standing, judge_claim, observed_profile};
pub use model::{Refusal, refusal};
pub use stage::unset_stage;
pub use stored::{StoredTrace, judge, missing, snapshot_file, snapshot_text, variant_of};

/// What a run of a scenario says about the kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The trace is the one stored for this kernel's facts, and the model allows
    /// it; or only the latter, where none is stored.
    Conforms,
    /// The trace is the one stored for kernels on which these facts hold, as
    /// after a backport: by the release's version they do not.
    Backported(Vec<String>),
    /// The trace is the one stored for kernels on which these facts do not
    /// hold, though by the release's version they do.
    Regressed(Vec<String>),
    /// The trace is none of those stored.
    Diverges(Difference),
    /// The model does not allow the trace on a kernel of this release.
    Refused(Refusal),
    /// Two runs differ.
    Unstable(Difference),
    /// There is no stored trace to hold it against.
    Unjudged(String),
    /// It was not run: something that it needs is missing.
    Skipped(String),
    /// It did not come to an end in time.
    Inconclusive(String),
    /// The harness failed.
    Fault(String),
}

/// The first difference between two traces, as lines of their texts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Difference {
    /// Which line, from 1.
    pub line: usize,
    /// What was expected there; empty past the end.
    pub expected: String,
    /// What was seen there; empty past the end.
    pub seen: String,
}

impl Difference {
    /// The first difference between two texts, if there is one.
    pub fn between(expected: &str, seen: &str) -> Option<Difference> {
        // A trace's columns are as wide as its longest line: compare words.
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let (mut left, mut right) = (expected.lines(), seen.lines());
        for line in 1.. {
            match (left.next(), right.next()) {
                (None, None) => break,
                (a, b) if a.map(words) == b.map(words) => {}
                (a, b) => {
                    return Some(Difference {
                        line,
                        expected: a.map(words).unwrap_or_default(),
                        seen: b.map(words).unwrap_or_default(),
                    });
                }
            }
        }
        None
    }
}

impl Verdict {
    /// Whether it is a finding: something that its readers must hear of.
    pub fn is_finding(&self) -> bool {
        matches!(
            self,
            Verdict::Diverges(_)
                | Verdict::Regressed(_)
                | Verdict::Refused(_)
                | Verdict::Unstable(_)
        )
    }

    /// Whether the harness could not do its work.
    pub fn is_trouble(&self) -> bool {
        matches!(self, Verdict::Inconclusive(_) | Verdict::Fault(_))
    }
}
