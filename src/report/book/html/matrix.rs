//! Behaviours × kernels, and what changed from one kernel to the next.

use maud::{Markup, html};

use super::super::{Book, CaseReport, Change, pieces};
use super::{tall, wide};

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
                                th scope="col" { "up to " (from) }
                                th scope="col" { "from " (to) " on" }
                            }
                        }
                        @for (index, (case, steps)) in change.cases.iter().enumerate() {
                            @let before = index.checked_sub(1).map(|index| change.cases[index].0);
                            @let again = before.is_some_and(|one| one.summary == case.summary);
                            tbody {
                                @for (number, (step, before, after)) in steps.iter().enumerate() {
                                    tr {
                                        @if number == 0 {
                                            th scope="rowgroup" rowspan=(steps.len()) {
                                                @if !again { span.sentence { (case.summary) } }
                                                a href={ "#" (case.anchor) } { code { (case.id) } }
                                            }
                                        }
                                        td { code { (step) } }
                                        td.v0 { (pieces::told(before)) }
                                        td.v1 { (pieces::told(after)) }
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

fn id(change: &Change<'_>) -> String {
    format!("changed-{}", change.to)
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
                    tr.changed[case.is_changed()] data-theme=(theme.name) data-v=(variants(case)) {
                        th scope="row" { a href={ "#" (case.anchor) } { (case.id) } }
                        (cells(case))
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
                "“=” is the same on all kernels, “~” a race, “–” not run."
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

fn cells(case: &CaseReport) -> Markup {
    let telling = pieces::telling(case);
    let race = !case.ways.is_empty();
    html! {
        @for (kernel, variant) in case.variants.iter().enumerate() {
            @match variant {
                None if race => td.race { "~" },
                None => td.none { "–" },
                Some(_) if !case.is_changed() => td.same { "=" },
                Some(variant) => {
                    td class={ "v" (variant.min(&3)) } {
                        b { (letter(*variant)) } " "
                        @if let Some(outcome) = telling.and_then(|step| step.outcomes[kernel].as_ref()) {
                            span.outcome { (pieces::told(outcome)) }
                        }
                    }
                }
            }
        }
    }
}
