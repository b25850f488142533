//! The book as one HTML file that needs nothing else: no network, no script.

mod behaviours;
mod claims;
mod costs;
mod findings;
mod matrix;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{Book, pieces};
use crate::report::drawing;

const STYLE: &str = include_str!("html/style.css");
const SCRIPT: &str = include_str!("html/script.js");

/// The whole file.
pub fn html(book: &Book) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (pieces::TITLE) }
                link rel="icon" href="data:,";
                style { (PreEscaped(drawing::STYLE)) (PreEscaped(STYLE)) }
            }
            body {
                a.skip href="#main" { "Skip to the content" }
                header {
                    p.tool { "unotify-lab" }
                    h1 { (pieces::TITLE) }
                    nav aria-label="Parts" {
                        ul {
                            @if let Some(told) = findings::told(book) {
                                li { a.bad href="#findings" { (told) } }
                            }
                            li { a href="#changes" { "Changes by version" } }
                            li { a href="#contradicted" { "Contradicted claims" } }
                            li { a href="#facts" { "Facts" } }
                            li { a href="#matrix" { "Matrix" } }
                            li { a href="#claims" { "Claims" } }
                            li { a href="#behaviours" { "Behaviours" } }
                            @if behaviours::has_races(book) {
                                li { a href="#races" { "Races" } }
                            }
                            @if book.costs.is_some() {
                                li { a href="#costs" { "Costs" } }
                            }
                        }
                    }
                }
                main #main {
                    p.about { (pieces::ABOUT) }
                    (kernels(book))
                    (findings::findings(book))
                    (matrix::changes(book))
                    (claims::contradicted(book))
                    (facts(book))
                    (troubles(book))
                    (matrix::matrix(book))
                    (claims::ledgers(book))
                    (behaviours::behaviours(book))
                    (behaviours::races(book))
                    @if let Some(costs) = &book.costs { (costs::costs(costs)) }
                }
                footer {
                    p {
                        "Made by " code { "unotify-lab report --format html" }
                        " from the run records of " (book.kernels.len()) " kernels."
                    }
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string() + "\n"
}

/// A table that may be wider than the screen.
fn wide(label: &str, table: &Markup) -> Markup {
    html! { div.wide role="region" aria-label=(label) tabindex="0" { (table) } }
}

/// The same for one that is longer than the screen, too.
fn tall(label: &str, table: &Markup) -> Markup {
    html! { div.wide.tall role="region" aria-label=(label) tabindex="0" { (table) } }
}

/// A scenario's name, which may be broken where its parts end.
fn named(id: &str) -> Markup {
    html! {
        @for (number, part) in id.split_inclusive(['[', ',', '/']).enumerate() {
            @if number > 0 { wbr; }
            (part)
        }
    }
}

/// Which sign of a row of signs is whose.
fn order(book: &Book) -> String {
    let names: Vec<&str> = book.kernels.iter().map(|column| column.kernel.name.as_str()).collect();
    names.join(", ")
}

fn kernels(book: &Book) -> Markup {
    let table = html! {
        table {
            thead {
                tr {
                    th scope="col" { "kernel" }
                    th scope="col" { "uname -r" }
                    th scope="col" { "uname -v" }
                    th scope="col" { "scenarios as they are known" }
                }
            }
            tbody {
                @for column in &book.kernels {
                    @let kernel = &column.kernel;
                    tr {
                        th scope="row" { (kernel.name) }
                        td { (kernel.release) }
                        td { (kernel.version) }
                        td { (kernel.conforming) " of " (kernel.cases) }
                    }
                }
            }
        }
    };
    html! {
        section aria-labelledby="kernels" {
            h2 #kernels { "Kernels" }
            (wide("Kernels", &table))
        }
    }
}

fn facts(book: &Book) -> Markup {
    let table = html! {
        table.facts {
            thead {
                tr {
                    th scope="col" { "fact" }
                    @for column in &book.kernels { th scope="col" { (column.kernel.name) } }
                }
            }
            tbody {
                @for row in &book.facts {
                    tr {
                        th scope="row" id={ "fact-" (row.fact) } {
                            (row.summary) br; code { (row.fact) } br;
                            span.place { (pieces::source(row)) }
                        }
                        @for standing in &row.standing {
                            @let (word, class) = pieces::fact(*standing);
                            td class=(class) { (word) }
                        }
                    }
                }
            }
        }
    };
    html! {
        section aria-labelledby="facts" {
            h2 #facts { "Facts" }
            p {
                "What tells these kernels apart, as their own runs decided it; "
                "“?” where no scenario of the run did. “backport”: there before its mainline "
                "release, as stable releases got it; “EARLY” and “LOST”: unlike what the kernel’s "
                "version says."
            }
            (wide("Facts", &table))
        }
    }
}

/// What is neither a finding nor plain conformance.
fn troubles(book: &Book) -> Markup {
    let odd = || book.verdicts.iter().filter(|odd| !odd.verdict.is_finding());
    let none = odd().next().is_none() && book.skipped.is_empty() && book.incomparable.is_empty();
    html! {
        @if !none {
            section aria-labelledby="verdicts" {
                h2 #verdicts { "Not plainly as known, or not run" }
                ul {
                    @for odd in odd() {
                        li {
                            a href={ "#" (book.place(&odd.scenario)) } { code { (odd.scenario) } }
                            " on " (book.kernel(odd.kernel)) ": " (pieces::verdict(&odd.verdict))
                        }
                    }
                    @for (why, kernels, count) in not_run(book) {
                        li {
                            (count) " scenarios not run on " (book.kernels_told(kernels)) ": " (why)
                        }
                    }
                    @for scenario in &book.incomparable {
                        li { code { (scenario) } " is not compared: its file changed between runs" }
                    }
                }
            }
        }
    }
}

/// Why cases were not run, on which kernels, and how many.
pub(super) fn not_run(book: &Book) -> Vec<(&str, &[usize], usize)> {
    let mut reasons: Vec<(&str, &[usize], usize)> = Vec::new();
    for case in &book.skipped {
        let is_same =
            |one: &&mut (&str, &[usize], usize)| one.0 == case.why && one.1 == case.kernels;
        match reasons.iter_mut().find(is_same) {
            Some(reason) => reason.2 += 1,
            None => reasons.push((&case.why, &case.kernels, 1)),
        }
    }
    reasons
}
