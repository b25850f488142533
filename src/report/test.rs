//! A run as others see it: a list of tests.

use crate::suite::RunRecord;
use crate::trace::Trace;
use crate::verdict::{Standing, Verdict};

/// How a test ended, in the terms that all test formats have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It passed; said with what, if that is not plain.
    Pass(Option<String>),
    /// It was not run, for this reason.
    Skip(String),
    /// It ran, and there is nothing to judge it by.
    Unjudged(String),
    /// It failed as it is known to.
    ExpectedFailure(String),
    /// It passed though it is known to fail, which is a finding.
    UnexpectedPass(String),
    /// It failed.
    Failure(String),
    /// It did not come to an end.
    Timeout(String),
    /// The harness failed.
    Error(String),
}

impl Outcome {
    /// Whether whoever runs tests must hear of it.
    pub fn is_bad(&self) -> bool {
        matches!(
            self,
            Outcome::UnexpectedPass(_)
                | Outcome::Failure(_)
                | Outcome::Timeout(_)
                | Outcome::Error(_)
        )
    }

    /// What there is to say of it.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Outcome::Pass(why) => why.as_deref(),
            Outcome::Skip(why)
            | Outcome::Unjudged(why)
            | Outcome::ExpectedFailure(why)
            | Outcome::UnexpectedPass(why)
            | Outcome::Failure(why)
            | Outcome::Timeout(why)
            | Outcome::Error(why) => Some(why),
        }
    }
}

/// One test of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Test {
    /// Its groups and its name: `recv`, `basic`, and a case's parameters; or
    /// `claims`, the document, the claim.
    pub path: Vec<String>,
    /// How it ended.
    pub outcome: Outcome,
    /// What was seen, if it ran.
    pub trace: Option<Trace>,
}

impl Test {
    /// The test that a case is.
    pub fn of_case(scenario: &str, verdict: &Verdict, trace: Option<&Trace>) -> Test {
        let differs = |head: &str, names: [&str; 2], difference: &crate::verdict::Difference| {
            let [expected, seen] = names;
            Outcome::Failure(format!(
                "{head} line {} of its trace; {expected}: {}; {seen}: {}",
                difference.line,
                or_nothing(&difference.expected),
                or_nothing(&difference.seen)
            ))
        };
        let outcome = match verdict {
            Verdict::Conforms => Outcome::Pass(None),
            Verdict::Backported(facts) => {
                Outcome::Pass(Some(format!("with facts of later kernels: {}", facts.join(", "))))
            }
            Verdict::Regressed(facts) => Outcome::Failure(format!(
                "it does what kernels without this do: {}",
                facts.join(", ")
            )),
            Verdict::Diverges(difference) => {
                differs("it diverges at", ["known", "seen"], difference)
            }
            Verdict::Unstable(difference) => {
                differs("two runs differ at", ["once", "again"], difference)
            }
            Verdict::Refused(refusal) => Outcome::Failure(refusal.to_string()),
            Verdict::Unjudged(why) => Outcome::Unjudged(why.clone()),
            Verdict::Skipped(why) => Outcome::Skip(why.clone()),
            Verdict::Inconclusive(why) => Outcome::Timeout(why.clone()),
            Verdict::Fault(why) => Outcome::Error(why.clone()),
        };
        Test { path: case_path(scenario), outcome, trace: trace.cloned() }
    }

    /// The test that a claim is: the kernel against the document, which passes
    /// when they agree.
    pub fn of_claim(document: &str, claim: &str, standing: &Standing) -> Test {
        let outcome = match standing {
            Standing::Held => Outcome::Pass(None),
            Standing::Contradicted { seen } => {
                Outcome::ExpectedFailure(format!("known to be contradicted; seen: {seen}"))
            }
            Standing::Failed { seen } => {
                Outcome::Failure(format!("contradicted, which is news; seen: {seen}"))
            }
            Standing::HeldAfterAll => {
                Outcome::UnexpectedPass("held, though known not to".to_owned())
            }
            Standing::Undecided(why) => Outcome::Skip(format!("undecided: {why}")),
        };
        Test { path: claim_path(document, claim), outcome, trace: None }
    }

    /// Lines that help to understand a test that did not pass.
    pub fn diagnosis(&self) -> Vec<String> {
        if !self.outcome.is_bad() {
            return Vec::new();
        }
        let reason = self.outcome.reason().unwrap_or_default();
        let mut lines: Vec<String> = reason.lines().map(str::to_owned).collect();
        if let Some(trace) = &self.trace {
            lines.extend(trace.to_string().lines().map(|line| format!("    {line}")));
        }
        lines
    }
}

fn or_nothing(text: &str) -> &str {
    if text.is_empty() { "nothing" } else { text }
}

/// The place of a case: `theme/name[parameters]`.
pub fn case_path(scenario: &str) -> Vec<String> {
    let (file, case) = match scenario.split_once('[') {
        Some((file, case)) => (file, Some(case.strip_suffix(']').unwrap_or(case))),
        None => (scenario, None),
    };
    file.split('/').chain(case).map(str::to_owned).collect()
}

/// The place of a document's claim.
pub fn claim_path(document: &str, claim: &str) -> Vec<String> {
    vec!["claims".to_owned(), document.to_owned(), claim.to_owned()]
}

/// The tests of a record: its cases, and then its claims.
pub fn tests(record: &RunRecord) -> Vec<Test> {
    let cases = record
        .cases
        .iter()
        .map(|case| Test::of_case(&case.scenario, &case.verdict, case.trace.as_ref()));
    let claims = record
        .claims
        .iter()
        .map(|claim| Test::of_claim(&claim.document, &claim.claim, &claim.standing));
    cases.chain(claims).collect()
}

/// Paths as dotted names of letters, digits, `_` and `-`; a name that would
/// come twice gets a number.
pub(super) fn dotted(tests: &[Test]) -> Vec<String> {
    unique(tests.iter().map(|test| test.path.clone()))
}

/// Names for files of scenarios, each another one.
pub fn file_names<'s>(scenarios: impl Iterator<Item = &'s str>) -> Vec<String> {
    unique(scenarios.map(case_path))
}

fn unique(paths: impl Iterator<Item = Vec<String>>) -> Vec<String> {
    let mut known = std::collections::HashSet::new();
    paths
        .map(|path| {
            let name = path.iter().map(|part| plain(part)).collect::<Vec<_>>().join(".");
            let mut unique = name.clone();
            for number in 2.. {
                if known.insert(unique.clone()) {
                    break;
                }
                unique = format!("{name}_{number}");
            }
            unique
        })
        .collect()
}

fn plain(part: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let words: Vec<&str> = part.split(|c| !is_plain(c)).filter(|word| !word.is_empty()).collect();
    if words.is_empty() { "_".to_owned() } else { words.join("_") }
}
