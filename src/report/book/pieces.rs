//! Words that all forms of a book have in common.

use super::{Book, CaseReport, ClaimReport, Finding, WayReport};
use crate::report::cost::{Costs, Curve};
use crate::suite::{FactRow, FactStanding, StepRow, Stretch, stretches};
use crate::verdict::{Standing, Verdict};

/// What the book is called.
pub(super) const TITLE: &str = "What Linux does when seccomp hands a system call to user space";

/// What its reader must know first.
pub(super) const ABOUT: &str = "Every line of this report was seen: a scenario was run on each \
    of these kernels, and what each step came to was noted. “changed between A and B” names the \
    last kernel that was run and did as before, and the first that did not; the change itself is \
    somewhere between the two releases. It says nothing of kernels that were not run, and what \
    changed once may change again, as a backport makes it do. A race is called changed only where \
    a way was seen that the model does not allow on the other kernel. What documents say is told \
    in our words, with its place.";

/// What findings are.
pub(super) const FINDINGS: &str = "Where a kernel does something that is not known of kernels \
    with its facts, or that the model does not allow; where a claim stands otherwise than the \
    tables say; where a fact is lost that the kernel’s version should have.";

/// An outcome; a step may come to nothing.
pub(super) fn told(outcome: &str) -> &str {
    if outcome.is_empty() { "nothing" } else { outcome }
}

/// How a claim stands, in words and as a sign that needs no colour.
pub(super) fn standing(standing: &Standing) -> (&'static str, &'static str, &'static str) {
    match standing {
        Standing::Held => ("✓", "held", "good"),
        Standing::Contradicted { .. } => ("✗", "contradicted", "bad"),
        Standing::Failed { .. } => ("✗!", "contradicted, which is news", "bad"),
        Standing::HeldAfterAll => ("✓!", "held, though known not to", "odd"),
        Standing::Undecided(_) => ("?", "undecided", "none"),
    }
}

/// What there is to say of a standing beside its word.
pub(super) fn seen(standing: &Standing) -> Option<&str> {
    match standing {
        Standing::Contradicted { seen } | Standing::Failed { seen } => Some(told(seen)),
        Standing::Undecided(why) => Some(why),
        Standing::Held | Standing::HeldAfterAll => None,
    }
}

/// How a fact stands: a word, and its class.
pub(super) fn fact(standing: FactStanding) -> (&'static str, &'static str) {
    match standing {
        FactStanding::Holds => ("yes", "good"),
        FactStanding::Fails => ("no", "none"),
        FactStanding::Backported => ("backport", "good"),
        FactStanding::Early => ("EARLY", "bad"),
        FactStanding::Lost => ("LOST", "bad"),
        FactStanding::Undecided => ("?", "none"),
    }
}

/// A verdict that is not plain conformance.
pub(super) fn verdict(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Conforms => "as it is known".to_owned(),
        Verdict::Backported(facts) => format!("as later kernels: {}", facts.join(", ")),
        Verdict::Regressed(facts) => format!("as kernels without {}", facts.join(", ")),
        Verdict::Diverges(difference) => format!(
            "diverges at line {}: known is “{}”, seen was “{}”",
            difference.line,
            told(&difference.expected),
            told(&difference.seen)
        ),
        Verdict::Refused(refusal) => format!("the model does not allow it: {refusal}"),
        Verdict::Unstable(difference) => format!(
            "two runs differ at line {}: once “{}”, again “{}”",
            difference.line,
            told(&difference.expected),
            told(&difference.seen)
        ),
        Verdict::Unjudged(why) => format!("not judged: {why}"),
        Verdict::Skipped(why) => format!("not run: {why}"),
        Verdict::Inconclusive(why) => format!("inconclusive: {why}"),
        Verdict::Fault(why) => format!("harness fault: {why}"),
    }
}

/// The step that tells the kernels apart best: the first one that changed.
pub(super) fn telling(case: &CaseReport) -> Option<&StepRow> {
    case.steps.iter().find(|step| step.is_changed())
}

/// Where a fact comes from: mainline, stable releases, its commit.
pub(super) fn source(fact: &FactRow) -> String {
    let stable = match fact.stable.as_slice() {
        [] => String::new(),
        all => format!(", and {}", all.join(", ")),
    };
    format!("mainline since {}{stable}: {}", fact.since, fact.commit)
}

/// How a fact stands on the kernels, those in a row together.
pub(super) fn standing_told(book: &Book, row: &FactRow) -> String {
    let cells: Vec<Option<FactStanding>> = row.standing.iter().copied().map(Some).collect();
    let told = |stretch: Stretch<&FactStanding>| {
        format!("{}: {}", book.kernels_told(&stretch.kernels), fact(*stretch.did).0)
    };
    let stretches = stretches(&cells, |a, b| a == b);
    stretches.into_iter().map(told).collect::<Vec<_>>().join("; ")
}

/// How a claim stands on the kernels, in words.
pub(super) fn claim_told(book: &Book, claim: &ClaimReport) -> String {
    let told = |stretch: Stretch<&Standing>| {
        format!("{}: {}", book.kernels_told(&stretch.kernels), standing(stretch.did).1)
    };
    claim.stretches().into_iter().map(told).collect::<Vec<_>>().join("; ")
}

/// A finding: on which kernel, what it is about, what is to be said.
pub(super) fn finding(found: &Finding<'_>) -> (usize, String, String) {
    match found {
        Finding::Case(odd) => (odd.kernel, odd.scenario.clone(), verdict(&odd.verdict)),
        Finding::Claim(kernel, claim, one) => {
            let (_, word, _) = standing(one);
            let seen = seen(one).map(|seen| format!("; seen: {seen}")).unwrap_or_default();
            (*kernel, claim.says.clone(), format!("{word}{seen}"))
        }
        Finding::Fact(kernel, fact) => {
            let why = format!("lost, though {}", source(fact));
            (*kernel, fact.summary.to_owned(), why)
        }
    }
}

/// How many claims are held everywhere, are contradicted somewhere.
pub(super) fn count(claims: &[ClaimReport]) -> String {
    let contradicted = claims.iter().filter(|claim| claim.is_contradicted()).count();
    format!("{} claims, {contradicted} contradicted on some kernel", claims.len())
}

/// What a way of a race is in short.
pub(super) fn way<'c>(case: &'c CaseReport, way: &'c WayReport) -> &'c str {
    if case.ways.len() == 1 { "always the same" } else { &way.told }
}

/// What measured costs are of, and what they are not.
pub(super) fn costs_told(costs: &Costs) -> String {
    format!(
        "In times of a bare {}, on a machine with {} processors under {}: the shape of a curve \
         says something of the kernel, its height more of the machine.",
        costs.bare, costs.processors, costs.kernel
    )
}

/// A curve in words.
pub(super) fn curve_told(curve: &Curve) -> String {
    let points: Vec<String> = curve
        .points
        .iter()
        .map(|point| format!("{} for {}", number(point.times), point.at))
        .collect();
    format!("{}: {}", curve.name, points.join(", "))
}

/// A number that is measured, and so is not worth many digits.
pub(super) fn number(value: f64) -> String {
    match value {
        whole if whole.fract() == 0.0 || whole >= 100.0 => format!("{whole:.0}"),
        _ if value >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
