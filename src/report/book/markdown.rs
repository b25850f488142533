//! The book as Markdown: a page for what changed, one for the claims, one for
//! the behaviours.

use std::fmt::Write;

use super::html::not_run;
use super::{Behaviour, Book, CaseReport, pieces};
use crate::report::cost::Costs;

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
    for change in book.changes() {
        let (from, to) = (book.kernel(change.from), book.kernel(change.to));
        let _ = write!(text, "\n## Changed between {} and {}\n\n", plain(from), plain(to));
        let mut last = "";
        for (case, steps) in &change.cases {
            let again = std::mem::replace(&mut last, &case.summary) == case.summary;
            let _ = match again {
                true => writeln!(text, "* {}", code(&case.id)),
                false => writeln!(text, "* {} ({})", plain(&case.summary), code(&case.id)),
            };
            for (step, before, after) in steps {
                let (before, after) = (code(pieces::told(before)), code(pieces::told(after)));
                let _ = writeln!(text, "  * {}: {before} → {after}", code(step));
            }
        }
    }
    text.push_str("\n## Facts\n\n");
    for fact in &book.facts {
        let told: Vec<String> = fact
            .standing
            .iter()
            .enumerate()
            .map(|(kernel, one)| format!("{} {}", book.kernel(kernel), pieces::fact(*one).0))
            .collect();
        let _ = writeln!(
            text,
            "* {} ({}, mainline since {}): {}",
            plain(fact.summary),
            code(fact.fact),
            fact.since,
            plain(&told.join(", "))
        );
    }
    if !book.verdicts.is_empty() || !book.skipped.is_empty() || !book.incomparable.is_empty() {
        text.push_str("\n## Not plainly as known, or not run\n\n");
    }
    for odd in &book.verdicts {
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
            for (first, last, standing) in claim.stretches() {
                let (sign, word, _) = pieces::standing(standing);
                let seen = pieces::seen(standing).map(|seen| format!(": {}", code(seen)));
                let _ = writeln!(
                    text,
                    "  * {sign} {word} on {}{}",
                    plain(&book.stretch(first, last)),
                    seen.unwrap_or_default()
                );
                if claim.is_contradicted() {
                    let command = code(&book.reproduce(first, &claim.scenario));
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
    if !behaviour.claims.is_empty() {
        text.push_str("\nWhat documents say of it:\n\n");
    }
    for (document, number) in &behaviour.claims {
        let ledger = &book.documents[*document];
        let claim = &ledger.claims[*number];
        let stand: Vec<String> = claim
            .stretches()
            .into_iter()
            .map(|(a, b, one)| format!("{} {}", book.stretch(a, b), pieces::standing(one).1))
            .collect();
        let _ = writeln!(
            text,
            "* {} ({}, {}): {}",
            plain(&claim.says),
            plain(&ledger.document),
            plain(&claim.place),
            plain(&stand.join("; "))
        );
    }
}

fn case(text: &mut String, book: &Book, case: &CaseReport) {
    text.push('\n');
    // The trace says as much where all kernels did the same.
    if case.is_changed() {
        for step in &case.steps {
            let stretches = step.stretches();
            let told: Vec<String> = stretches
                .iter()
                .map(|one| {
                    let on = plain(&book.stretch(one.first, one.last));
                    format!("{} on {on}", code(pieces::told(one.outcome)))
                })
                .collect();
            let _ = writeln!(text, "* {}: {}", code(&step.step), told.join(", "));
        }
        text.push('\n');
    }
    for seen in &case.seen {
        let on = match case.is_changed() {
            true => plain(&book.kernels_told(&seen.kernels)),
            false if seen.kernels.len() == book.kernels.len() => "all kernels".to_owned(),
            false => plain(&book.kernels_told(&seen.kernels)),
        };
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
