//! What the kernels do, theme by theme, with traces and drawings.

use maud::{Markup, PreEscaped, html};

use super::super::{Behaviour, Book, CaseReport, WayReport, pieces};
use super::claims::strip;
use super::findings;
use super::matrix::letter;
use super::wide;
use crate::report::drawing::{self, Drawing};
use crate::suite::StepRow;
use crate::trace::Trace;

pub(super) fn behaviours(book: &Book) -> Markup {
    html! {
        section aria-labelledby="behaviours" {
            h2 #behaviours { "Behaviours" }
            ul.themes {
                @for theme in &book.themes {
                    li { a href={ "#theme-" (theme.name) } { (theme.name) } " "
                        (theme.scenarios.len()) }
                }
            }
            @for theme in &book.themes {
                section.theme aria-labelledby={ "theme-" (theme.name) } {
                    h3 id={ "theme-" (theme.name) } { (theme.name) }
                    @for behaviour in &theme.scenarios { (article(book, behaviour)) }
                }
            }
        }
    }
}

fn article(book: &Book, behaviour: &Behaviour) -> Markup {
    html! {
        article id=(behaviour.anchor) aria-labelledby={ (behaviour.anchor) "-h" } {
            h4 id={ (behaviour.anchor) "-h" } { (behaviour.summary) }
            p.id { code { (behaviour.id) } " "
                @if let Some(case) = behaviour.cases.first() { (case.behaviours.join(", ")) } }
            @match behaviour.cases.as_slice() {
                [case] => (body(book, case, case.is_changed())),
                cases => {
                    @for case in cases {
                        details id=(case.anchor) open[case.is_changed() || book.odd(case).next().is_some()] {
                            summary { (case.parameters()) " " (in_short(case)) }
                            (body(book, case, false))
                        }
                    }
                },
            }
            @if !behaviour.facts.is_empty() {
                p { "Facts that it rests on:" }
                ul.short {
                    @for fact in behaviour.facts.iter().map(|fact| &book.facts[*fact]) {
                        li {
                            a href={ "#fact-" (fact.fact) } { (fact.summary) } " "
                            span.place { (pieces::source(fact)) ". "
                                (pieces::standing_told(book, fact)) }
                        }
                    }
                }
            }
            @if !behaviour.claims.is_empty() {
                p { "What documents say of it:" }
                ul.short {
                    @for (document, number) in &behaviour.claims {
                        @let ledger = &book.documents[*document];
                        @let claim = &ledger.claims[*number];
                        li {
                            a href={ "#" (claim.anchor) } { (claim.says) } " "
                            span.place { (ledger.document) ", " (claim.place) } " "
                            (strip(book, claim))
                        }
                    }
                }
            }
        }
    }
}

/// The outcome of the step that says most, for a line.
fn in_short(case: &CaseReport) -> Markup {
    let step = pieces::telling(case).or(case.steps.first());
    let stretches = step.map(StepRow::stretches).unwrap_or_default();
    let outcomes: Vec<String> = stretches.iter().map(|one| one.did.to_string()).collect();
    if case.races() {
        let count = case.ways.iter().filter(|way| way.is_seen()).count();
        return html! {
            span.outcome {
                @if count == 1 { "a race that went one way" } @else { "a race: " (count) " ways seen" }
            }
            @if case.is_changed() { ", " b { "changed" } }
        };
    }
    html! { span.outcome { (outcomes.join(" → ")) } @if case.is_changed() { ", " b { "changed" } } }
}

fn body(book: &Book, case: &CaseReport, open: bool) -> Markup {
    let mut kernels: Vec<usize> = Vec::new();
    for (kernel, variant) in case.variants.iter().enumerate() {
        let is_new = variant.is_some() && !case.variants[..kernel].contains(variant);
        if is_new || book.finding(case, kernel).is_some() {
            kernels.push(kernel);
        }
    }
    html! {
        (findings::of_case(book, case))
        @if !case.steps.is_empty() { (steps(book, case)) }
        @if case.races() { (histogram(book, case)) }
        @if !case.seen.is_empty() {
            details.seen open[open] {
                summary { "Trace and drawing" }
                @for (variant, seen) in case.seen.iter().enumerate() {
                    @let on = book.on(&seen.kernels);
                    figure {
                        figcaption {
                            @if case.is_changed() { b { (letter(variant)) } " " }
                            "on " (on)
                        }
                        (drawn(&seen.trace, &format!("{} on {on}", case.id)))
                    }
                }
            }
        }
        @if case.races() {
            details.seen {
                summary { "Traces and drawings of the ways that were seen" }
                @for way in case.ways.iter().filter(|way| way.is_seen()) {
                    figure {
                        figcaption { (pieces::way(case, way)) }
                        (drawn(&way.trace, &case.id))
                    }
                }
            }
        }
        @if kernels.is_empty() {
            p { "Nothing to compare: it was not run on any of these kernels, or not in one form." }
        } @else {
            p.by {
                "To see it:"
                @for kernel in kernels {
                    " " code.command { (book.reproduce(kernel, &case.id)) }
                }
            }
        }
    }
}

/// A trace as a drawing and as text.
fn drawn(trace: &Trace, title: &str) -> Markup {
    html! {
        (wide("Drawing", &html! { (PreEscaped(drawing::inline(&Drawing::of(trace), title))) }))
        pre tabindex="0" { (trace) }
    }
}

/// What each kernel did in the steps that decide.
fn steps(book: &Book, case: &CaseReport) -> Markup {
    html! {
        dl.steps {
            @for step in &case.steps {
                dt { code { (step.step) } }
                (stretches(book, step))
            }
        }
    }
}

fn stretches(book: &Book, step: &StepRow) -> Markup {
    let stretches = step.stretches();
    let single = stretches.len() == 1;
    html! {
        @for (number, stretch) in stretches.iter().enumerate() {
            dd {
                @let distinct = stretches.iter().position(|one| one.did.agrees_with(&stretch.did));
                span class={ @if single { "same" } @else { "v" (distinct.unwrap_or(0).min(3)) } } {
                    (stretch.did)
                }
                " " span.kernels { (book.on(&stretch.kernels)) }
                @if let Some(before) = number.checked_sub(1).and_then(|n| stretches[n].kernels.last()) {
                    span.since {
                        ", changed between " (book.kernel(*before)) " and "
                        (book.kernel(stretch.kernels[0]))
                    }
                }
            }
        }
    }
}

pub(super) fn has_races(book: &Book) -> bool {
    book.behaviours().flat_map(|one| &one.cases).any(CaseReport::races)
}

/// Links to all histograms.
pub(super) fn races(book: &Book) -> Markup {
    html! {
        @if has_races(book) {
            section aria-labelledby="races" {
                h2 #races { "Races" }
                p { "Scenarios whose steps begin together. How often each way was gone says how "
                    "wide a window is on that machine, not how likely it is on another." }
                ul {
                    @for case in book.behaviours().flat_map(|one| &one.cases) {
                        @if case.races() {
                            li { a href={ "#" (case.anchor) } { (case.summary) } " "
                                (case.parameters()) }
                        }
                    }
                }
            }
        }
    }
}

/// How often each kernel went each way.
fn histogram(book: &Book, case: &CaseReport) -> Markup {
    let total =
        |kernel: usize| -> usize { case.ways.iter().filter_map(|way| way.counts[kernel]).sum() };
    let table = html! {
        table.ways {
            thead {
                tr {
                    th scope="col" { "way" }
                    @for column in &book.kernels { th scope="col" { (column.kernel.name) } }
                }
            }
            tbody {
                @for way in &case.ways {
                    tr {
                        th scope="row" { (pieces::way(case, way)) }
                        @for kernel in 0..book.kernels.len() { (bar(way, kernel, total(kernel))) }
                    }
                }
            }
        }
    };
    html! {
        p { "How often each way was gone. 0: the model allows it, and it was not seen; "
            "–: the model does not allow it there, or it was not run." }
        (wide(&format!("Ways of {}", case.id), &table))
    }
}

fn bar(way: &WayReport, kernel: usize, total: usize) -> Markup {
    html! {
        @match way.counts[kernel] {
            None => td.none { "–" },
            Some(count) => {
                td {
                    (count)
                    svg.bar aria-hidden="true" width="50" height="8" {
                        rect.all width="50" height="8" {}
                        rect.part width=(50 * count / total.max(1)) height="8" {}
                    }
                }
            }
        }
    }
}
