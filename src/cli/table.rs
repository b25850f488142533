//! A matrix as people read it.

use std::fmt::Write as _;

use anstyle::Reset;

use super::output::style;
use crate::suite::{FactStanding, Matrix, StepRow, Stretch};
use crate::verdict::Verdict;

/// The kernels, their facts, and what changed from one to the next.
pub(super) fn pretty(matrix: &Matrix, verbose: bool) -> String {
    let mut text = String::new();
    for case in &matrix.cases {
        let behaviours = case.behaviours.join(", ");
        let _ = writeln!(text, "{}{}{Reset}  {behaviours}", style::HEAD, case.scenario);
        let changed = || case.changes.iter().flat_map(|change| &change.steps);
        let told = |step: &&StepRow| verbose || changed().any(|one| one.step == step.step);
        for step in case.steps.iter().filter(told) {
            step_text(&mut text, matrix, step);
        }
        text.push('\n');
    }
    facts_text(&mut text, matrix);
    verdicts_text(&mut text, matrix);
    skipped_text(&mut text, matrix);
    for kernel in &matrix.kernels {
        let (cases, conforming) = (kernel.cases, kernel.conforming);
        let _ = writeln!(
            text,
            "Linux {}, {}: {conforming} of {cases} scenarios conform",
            kernel.name, kernel.release
        );
    }
    if !matrix.incomparable.is_empty() {
        let list = matrix.incomparable.join(", ");
        let _ = writeln!(text, "not compared, as their files are not the same: {list}");
    }
    let steps: usize = matrix.cases.iter().map(|case| case.steps.len()).sum();
    let differing = matrix.cases.len();
    let _ = writeln!(text, "{differing} scenarios differ between the kernels, in {steps} steps");
    text
}

/// What was done since when, as stretches of kernels that did the same.
fn step_text(text: &mut String, matrix: &Matrix, step: &StepRow) {
    let name = |kernel: usize| matrix.kernels[kernel].name.as_str();
    let _ = writeln!(text, "    {}", step.step);
    let mut before = None;
    for Stretch { kernels, did } in step.stretches() {
        let (first, last) = (name(kernels[0]), name(kernels[kernels.len() - 1]));
        let changed = match before.replace(last) {
            Some(before) => format!("   (changed between {before} and {first})"),
            None => String::new(),
        };
        let (kernels, faint) = (matrix.kernels_told(&kernels), style::FAINT);
        let _ = writeln!(text, "        {kernels}: {did}{faint}{changed}{Reset}");
    }
}

/// The facts that some kernel's run decided.
fn facts_text(text: &mut String, matrix: &Matrix) {
    let cell = |standing: FactStanding| match standing {
        FactStanding::Holds => "yes",
        FactStanding::Fails => "-",
        FactStanding::Backported => "backport",
        FactStanding::Early => "EARLY",
        FactStanding::Lost => "LOST",
        FactStanding::Undecided => "?",
    };
    let left = matrix.facts.iter().map(|row| row.fact.len()).max().unwrap_or(0);
    let names = matrix.kernels.iter().map(|kernel| kernel.name.as_str());
    let widths: Vec<usize> = names.clone().map(|name| name.len().max("backport".len())).collect();
    // The padding stands before a cell, so that no line ends with it.
    let row = |text: &mut String, cells: Vec<(anstyle::Style, &str)>| {
        let mut padding = 2;
        for ((style, cell), width) in cells.into_iter().zip(&widths) {
            let _ = write!(text, "{:padding$}{style}{cell}{style:#}", "");
            padding = 2 + width - cell.len();
        }
        text.push('\n');
    };
    let _ = write!(text, "{}{:left$}  since{Reset}", style::HEAD, "fact");
    row(text, names.map(|name| (style::HEAD, name)).collect());
    let undecided = |one: &FactStanding| *one == FactStanding::Undecided;
    for fact in matrix.facts.iter().filter(|fact| !fact.standing.iter().all(undecided)) {
        let _ = write!(text, "{:left$}  {:5}", fact.fact, fact.since);
        let styled = |standing: &FactStanding| match standing {
            FactStanding::Early | FactStanding::Lost => style::BAD,
            FactStanding::Backported => style::NOTE,
            _ => anstyle::Style::new(),
        };
        row(text, fact.standing.iter().map(|one| (styled(one), cell(*one))).collect());
    }
    let unlike =
        |standing: &FactStanding| matches!(standing, FactStanding::Early | FactStanding::Lost);
    if matrix.facts.iter().flat_map(|row| &row.standing).any(unlike) {
        text.push_str("EARLY, LOST: seen, unlike what the kernel's version says\n");
    }
    text.push('\n');
}

/// Findings, troubles and backports, each with its kernels.
fn verdicts_text(text: &mut String, matrix: &Matrix) {
    for odd in &matrix.verdicts {
        let told = match &odd.verdict {
            Verdict::Backported(facts) => format!("as later kernels: {}", facts.join(", ")),
            Verdict::Regressed(facts) => {
                format!("diverges, as kernels without {}", facts.join(", "))
            }
            Verdict::Diverges(difference) => format!(
                "diverges at line {}\n    known: {}\n    seen:  {}",
                difference.line, difference.expected, difference.seen
            ),
            Verdict::Refused(refusal) => format!("diverges: {refusal}"),
            Verdict::Unstable(difference) => format!(
                "two runs differ at line {}\n    once:  {}\n    again: {}",
                difference.line, difference.expected, difference.seen
            ),
            Verdict::Unjudged(why) => format!("not judged: {why}"),
            Verdict::Inconclusive(why) => format!("inconclusive: {why}"),
            Verdict::Fault(why) => format!("harness fault: {why}"),
            Verdict::Conforms | Verdict::Skipped(_) => continue,
        };
        let bad = odd.verdict.is_finding() || odd.verdict.is_trouble();
        let style = if bad { style::BAD } else { style::NOTE };
        let kernel = &matrix.kernels[odd.kernel].name;
        let _ = writeln!(text, "{style}{}{Reset} on {kernel}: {told}", odd.scenario);
    }
    for record in &matrix.records {
        for claim in record.claims.iter().filter(|claim| claim.standing.is_finding()) {
            let (release, bad) = (&record.kernel.release, style::BAD);
            let standing = &claim.standing;
            let _ = writeln!(
                text,
                "{bad}claim{Reset} {} of {} on {release}: {standing:?}",
                claim.claim, claim.document
            );
        }
    }
}

/// What was not run, by reason.
fn skipped_text(text: &mut String, matrix: &Matrix) {
    let mut reasons: Vec<(&str, &[usize], usize)> = Vec::new();
    for case in &matrix.skipped {
        let same = reasons
            .iter_mut()
            .find(|(why, kernels, _)| *why == case.why && *kernels == case.kernels);
        match same {
            Some((_, _, count)) => *count += 1,
            None => reasons.push((&case.why, &case.kernels, 1)),
        }
    }
    for (why, kernels, count) in reasons {
        let names: Vec<&str> =
            kernels.iter().map(|kernel| matrix.kernels[*kernel].name.as_str()).collect();
        let _ = writeln!(text, "{count} scenarios not run on {}: {why}", names.join(", "));
    }
}
