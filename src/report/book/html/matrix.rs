//! Behaviours × kernels, and what changed from one kernel to the next.

use maud::{Markup, html};

use super::super::{Behaviour, Between, Book, CaseReport, pieces};
use super::{named, tall, wide};

/// What changed when.
pub(super) fn changes(book: &Book) -> Markup {
    let changes = book.changes();
    html! {
        section aria-labelledby="changes" {
            h2 #changes { "Changes by version" }
            @if changes.is_empty() { p { "All of these kernels did the same." } }
            ul {
                @for change in &changes {
                    li {
                        a href={ "#" (id(change)) } {
                            "between " (book.kernel(change.from)) " and " (book.kernel(change.to))
                        }
                        ": " (change.cases.len()) " scenarios"
                    }
                }
            }
            @for change in &changes {
                @let (from, to) = (book.kernel(change.from), book.kernel(change.to));
                @let table = html! {
                    table.changes {
                        thead {
                            tr {
                                th scope="col" { "behaviour" }
                                th scope="col" { "step" }
                                th scope="col" { "on " (from) }
                                th scope="col" { "on " (to) }
                            }
                        }
                        @for (index, (behaviour, case, changed)) in change.cases.iter().enumerate() {
                            @let before = index.checked_sub(1).map(|index| change.cases[index].1);
                            @let again = before.is_some_and(|one| one.summary == case.summary);
                            tbody {
                                @for (number, step) in changed.steps.iter().enumerate() {
                                    tr {
                                        @if number == 0 {
                                            th scope="rowgroup" rowspan=(changed.steps.len()) {
                                                @if !again { span.sentence { (case.summary) } }
                                                a href={ "#" (case.anchor) } { code { (named(&case.id)) } }
                                                (why(book, change, behaviour, case, again))
                                            }
                                        }
                                        td { code { (step.step) } }
                                        @for (column, outcomes) in step.outcomes.iter().enumerate() {
                                            @let on = if column == 0 { from } else { to };
                                            td class={ "v" (column) } data-on={ "on " (on) } {
                                                @if let Some(one) = outcomes { (one) }
                                            }
                                        }
                                    }
                                }
                            }
                        }
                    }
                };
                h3 id=(id(change)) { "Between " (from) " and " (to) }
                (wide(&format!("Changes between {from} and {to}"), &table))
            }
        }
    }
}

/// The facts behind a change, and that it was not the only one.
fn why(
    book: &Book,
    between: &Between<'_>,
    behaviour: &Behaviour,
    case: &CaseReport,
    again: bool,
) -> Markup {
    let facts = match again {
        true => Vec::new(),
        false => book.reasons(behaviour, between.from, between.to),
    };
    html! {
        @for fact in facts {
            a.why href={ "#fact-" (fact.fact) } { "since " (fact.since) ": " (fact.fact) }
        }
        @if case.changes.len() > 1 {
            span.why { "changed " (case.changes.len()) " times among these kernels" }
        }
    }
}

fn id(between: &Between<'_>) -> String {
    format!("changed-{}-{}", between.from, between.to)
}

/// All cases on all kernels.
pub(super) fn matrix(book: &Book) -> Markup {
    let cases = || {
        let behaviours = book
            .themes
            .iter()
            .flat_map(|theme| theme.scenarios.iter().map(move |behaviour| (theme, behaviour)));
        behaviours.flat_map(|(theme, behaviour)| behaviour.cases.iter().map(move |c| (theme, c)))
    };
    let table = html! {
        table.matrix {
            thead {
                tr {
                    th scope="col" { "behaviour" }
                    @for column in &book.kernels { th scope="col" { (column.kernel.name) } }
                }
            }
            tbody {
                @for (theme, case) in cases() {
                    tr.changed[case.is_changed()].found[has_finding(book, case)]
                        data-theme=(theme.name) data-v=(variants(case)) {
                        th scope="row" { a href={ "#" (case.anchor) } { (named(&case.id)) } }
                        (cells(book, case))
                    }
                }
            }
        }
    };
    html! {
        section aria-labelledby="matrix" {
            h2 #matrix { "Matrix" }
            p {
                "Kernels with the same letter in a row did the same in all steps; beside the letter "
                "stands the outcome of the first deciding step that tells them apart. "
                "“=” is the same on all kernels, “~” a race, “–” not run, “!” a finding."
            }
            form #filters hidden role="search" aria-label="Filter the matrix" {
                label { "Theme "
                    select #theme { option value="" { "all" }
                        @for theme in &book.themes { option value=(theme.name) { (theme.name) } }
                    }
                }
                label { "Kernel " (kernel_choice(book, "a")) }
                label { "beside " (kernel_choice(book, "b")) }
                label { "Name has " input #text type="search" size="14"; }
                label { input #changed type="checkbox"; " only what changed" }
                @if !book.findings().is_empty() {
                    label { input #found type="checkbox"; " only findings" }
                }
                output #shown for="theme a b text changed" {}
            }
            (tall("Matrix", &table))
        }
    }
}

fn kernel_choice(book: &Book, id: &str) -> Markup {
    html! {
        select id=(id) {
            option value="" { "any" }
            @for (number, column) in book.kernels.iter().enumerate() {
                option value=(number) { (column.kernel.name) }
            }
        }
    }
}

/// The variant that each kernel has, a letter each.
fn variants(case: &CaseReport) -> String {
    case.variants.iter().map(|variant| variant.map_or('-', letter)).collect()
}

pub(super) fn letter(variant: usize) -> char {
    char::from(b'A' + u8::try_from(variant.min(25)).expect("it is small"))
}

fn has_finding(book: &Book, case: &CaseReport) -> bool {
    book.odd(case).any(|odd| odd.verdict.is_finding())
}

fn cells(book: &Book, case: &CaseReport) -> Markup {
    let telling = pieces::telling(case);
    html! {
        @for (kernel, variant) in case.variants.iter().enumerate() {
            @let mark = book.finding(case, kernel).is_some();
            @match variant {
                None => td.none { "–" (flag(mark)) },
                Some(_) if case.races() && !case.is_changed() => td.race { "~" (flag(mark)) },
                Some(_) if !case.is_changed() => td.same { "=" (flag(mark)) },
                Some(variant) => {
                    td class={ "v" (variant.min(&3)) } {
                        b { (letter(*variant)) } (flag(mark)) " "
                        @if let Some(outcomes) = telling.and_then(|step| step.outcomes[kernel].as_ref()) {
                            span.outcome { (outcomes) }
                        }
                    }
                }
            }
        }
    }
}

fn flag(is_finding: bool) -> Markup {
    html! { @if is_finding { b.bad title="a finding" { "!" } } }
}
