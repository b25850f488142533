//! The book as Markdown: a page for what changed, one for the claims, one for
//! the behaviours.

use std::fmt::Write;

use super::html::not_run;
use super::{Behaviour, Book, CaseReport, Finding, pieces};
use crate::report::cost::Costs;
use crate::suite::{FactRow, Stretch};

/// One page.
#[derive(Debug)]
pub struct Page {
    /// Its name as a file, without the ending.
    pub name: &'static str,
    /// What it says.
    pub text: String,
}

/// All pages.
pub fn markdown(book: &Book) -> Vec<Page> {
    let costs = book.costs.as_ref().map(|costs| Page { name: "costs", text: self::costs(costs) });
    let pages = [
        Page { name: "changes", text: changes(book) },
        Page { name: "claims", text: claims(book) },
        Page { name: "behaviours", text: behaviours(book) },
    ];
    pages.into_iter().chain(costs).collect()
}

/// Text of a record or document in running text: nothing in it is markup.
fn plain(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if "\\`*_{}[]<>#|~&!".contains(c) {
            safe.push('\\');
        }
        safe.push(if c.is_control() { ' ' } else { c });
    }
    safe
}

/// The same as code, with a fence that it does not have.
fn code(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let ticks = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    match ticks {
        0 => format!("`{text}`"),
        _ => format!("{fence} {text} {fence}", fence = "`".repeat(ticks + 1)),
    }
}

/// A block of code, set back by four blanks, so that nothing ends it.
fn block(text: &str) -> String {
    text.lines().map(|line| format!("    {line}\n")).collect()
}

fn changes(book: &Book) -> String {
    let mut text = format!("# {}\n\n{}\n\n## Kernels\n\n", pieces::TITLE, pieces::ABOUT);
    for column in &book.kernels {
        let kernel = &column.kernel;
        let _ = writeln!(
            text,
            "* {}: {}, {}; {} of {} scenarios as they are known",
            plain(&kernel.name),
            code(&kernel.release),
            plain(&kernel.version),
            kernel.conforming,
            kernel.cases
        );
    }
    findings(&mut text, book);
    for between in book.changes() {
        let (from, to) = (book.kernel(between.from), book.kernel(between.to));
        let _ = write!(text, "\n## Changed between {} and {}\n\n", plain(from), plain(to));
        let mut last = "";
        for (behaviour, case, change) in &between.cases {
            let again = std::mem::replace(&mut last, &case.summary) == case.summary;
            let _ = match again {
                true => writeln!(text, "* {}", code(&case.id)),
                false => writeln!(text, "* {} ({})", plain(&case.summary), code(&case.id)),
            };
            for step in &change.steps {
                let outcomes: Vec<String> =
                    step.outcomes.iter().flatten().map(|one| code(&one.to_string())).collect();
                let _ = writeln!(text, "  * {}: {}", code(&step.step), outcomes.join(" → "));
            }
            for fact in book.reasons(behaviour, change.from, change.to) {
                let _ = writeln!(text, "  * {}", plain(&why(fact)));
            }
            if case.changes.len() > 1 {
                let _ = writeln!(text, "  * it changed {} times", case.changes.len());
            }
        }
    }
    text.push_str("\n## Facts\n\n");
    for fact in &book.facts {
        let (source, told) = (pieces::source(fact), pieces::standing_told(book, fact));
        let _ = writeln!(text, "* {} ({})", plain(fact.summary), code(fact.fact));
        let _ = writeln!(text, "  * {}", plain(&source));
        let _ = writeln!(text, "  * {}", plain(&told));
    }
    if !book.verdicts.is_empty() || !book.skipped.is_empty() || !book.incomparable.is_empty() {
        text.push_str("\n## Not plainly as known, or not run\n\n");
    }
    for odd in book.verdicts.iter().filter(|odd| !odd.verdict.is_finding()) {
        let (kernel, told) = (book.kernel(odd.kernel), pieces::verdict(&odd.verdict));
        let _ = writeln!(text, "* {} on {}: {}", code(&odd.scenario), plain(kernel), plain(&told));
    }
    for (why, kernels, count) in not_run(book) {
        let on = book.kernels_told(kernels);
        let _ = writeln!(text, "* {count} scenarios not run on {}: {}", plain(&on), plain(why));
    }
    for scenario in &book.incomparable {
        let _ =
            writeln!(text, "* {} is not compared: its file changed between runs", code(scenario));
    }
    text
}

/// What readers must hear of first.
fn findings(text: &mut String, book: &Book) {
    let findings = book.findings();
    if findings.is_empty() {
        return;
    }
    let _ = write!(text, "\n## Findings\n\n{}\n\n", pieces::FINDINGS);
    for found in &findings {
        let (kernel, of, told) = pieces::finding(found);
        let of = match found {
            Finding::Case(_) => code(&of),
            _ => plain(&of),
        };
        let _ = writeln!(text, "* {of} on {}: {}", plain(book.kernel(kernel)), plain(&told));
    }
}

fn why(fact: &FactRow) -> String {
    format!("{} ({})", fact.summary, pieces::source(fact))
}

fn claims(book: &Book) -> String {
    let mut text = "# What documents say, and what kernels do\n".to_owned();
    for ledger in &book.documents {
        let _ = write!(
            text,
            "\n## {}, {}\n\nRead in: {}. {}.\n\n",
            plain(&ledger.document),
            plain(&ledger.edition),
            plain(&ledger.source),
            pieces::count(&ledger.claims)
        );
        for claim in &ledger.claims {
            let _ = writeln!(text, "* {} ({})", plain(&claim.says), plain(&claim.place));
            for Stretch { kernels, did } in claim.stretches() {
                let (sign, word, _) = pieces::standing(did);
                let seen = pieces::seen(did).map(|seen| format!(": {}", code(seen)));
                let on = plain(&book.kernels_told(&kernels));
                let _ = writeln!(text, "  * {sign} {word} on {on}{}", seen.unwrap_or_default());
                if claim.is_contradicted() {
                    let command = code(&book.reproduce(kernels[0], &claim.scenario));
                    let _ = writeln!(text, "    ({command})");
                }
            }
            for why in claim.contradicted_by.iter().chain(&claim.note) {
                let _ = writeln!(text, "  * {}", plain(why));
            }
            let (step, scenario) = (code(&claim.step), code(&claim.scenario));
            let _ = writeln!(text, "  * decided by step {step} of {scenario}");
        }
    }
    text
}

fn behaviours(book: &Book) -> String {
    let mut text = "# Behaviours\n".to_owned();
    for theme in &book.themes {
        let _ = write!(text, "\n## {}\n", plain(&theme.name));
        for behaviour in &theme.scenarios {
            self::behaviour(&mut text, book, behaviour);
        }
    }
    text
}

fn behaviour(text: &mut String, book: &Book, behaviour: &Behaviour) {
    let _ = write!(text, "\n### {}\n\n{}\n", plain(&behaviour.summary), code(&behaviour.id));
    for case in &behaviour.cases {
        if behaviour.cases.len() > 1 {
            let _ = write!(text, "\n#### {}\n", code(case.parameters()));
        }
        self::case(text, book, case);
    }
    if !behaviour.facts.is_empty() {
        text.push_str("\nFacts that it rests on:\n\n");
    }
    for fact in behaviour.facts.iter().map(|fact| &book.facts[*fact]) {
        let told = format!("{}; {}", why(fact), pieces::standing_told(book, fact));
        let _ = writeln!(text, "* {}", plain(&told));
    }
    if !behaviour.claims.is_empty() {
        text.push_str("\nWhat documents say of it:\n\n");
    }
    for (document, number) in &behaviour.claims {
        let ledger = &book.documents[*document];
        let claim = &ledger.claims[*number];
        let _ = writeln!(
            text,
            "* {} ({}, {}): {}",
            plain(&claim.says),
            plain(&ledger.document),
            plain(&claim.place),
            plain(&pieces::claim_told(book, claim))
        );
    }
}

fn case(text: &mut String, book: &Book, case: &CaseReport) {
    text.push('\n');
    for odd in book.odd(case) {
        let word = if odd.verdict.is_finding() { "**Finding** on" } else { "On" };
        let (kernel, told) =
            (plain(book.kernel(odd.kernel)), plain(&pieces::verdict(&odd.verdict)));
        let _ = writeln!(text, "{word} {kernel}: {told}\n");
    }
    // The trace says as much where all kernels did the same.
    if case.is_changed() {
        for step in &case.steps {
            let told: Vec<String> = step
                .stretches()
                .iter()
                .map(|one| {
                    let on = plain(&book.kernels_told(&one.kernels));
                    format!("{} on {on}", code(&one.did.to_string()))
                })
                .collect();
            let _ = writeln!(text, "* {}: {}", code(&step.step), told.join(", "));
        }
        text.push('\n');
    }
    for seen in &case.seen {
        let on = plain(&book.on(&seen.kernels));
        let _ = writeln!(text, "On {on}:\n\n{}", block(&seen.trace.to_string()));
    }
    for way in &case.ways {
        let counts: Vec<String> = way
            .counts
            .iter()
            .enumerate()
            .filter_map(|(kernel, count)| Some(format!("{} {}", book.kernel(kernel), (*count)?)))
            .collect();
        let _ =
            writeln!(text, "* {}: {}", plain(pieces::way(case, way)), plain(&counts.join(", ")));
    }
}

fn costs(costs: &Costs) -> String {
    let mut text = format!("# What calls cost\n\n{}\n", plain(&pieces::costs_told(costs)));
    for chart in &costs.charts {
        let _ = write!(text, "\n## {}\n\nBy {}:\n\n", plain(&chart.title), plain(&chart.across));
        for curve in &chart.curves {
            let _ = writeln!(text, "* {}", plain(&pieces::curve_told(curve)));
        }
    }
    text
}
