//! The ledger of claims, document by document.

use maud::{Markup, html};

use super::super::{Book, ClaimReport, pieces};
use super::order;

/// The claims that some kernel contradicts, in short.
pub(super) fn contradicted(book: &Book) -> Markup {
    html! {
        section aria-labelledby="contradicted" {
            h2 #contradicted { "Contradicted claims" }
            p { "What documents say and some of these kernels do not do. The whole ledger is "
                a href="#claims" { "below" } ". The signs are of " (order(book)) "." }
            @for ledger in &book.documents {
                @let wrong: Vec<_> =
                    ledger.claims.iter().filter(|claim| claim.is_contradicted()).collect();
                @if !wrong.is_empty() {
                    h3 { (ledger.document) ", " (ledger.edition) }
                    ul.short {
                        @for claim in wrong {
                            li {
                                a href={ "#" (claim.anchor) } { (claim.says) } " "
                                span.place { (claim.place) } " "
                                (strip(book, claim))
                            }
                        }
                    }
                }
            }
        }
    }
}

/// All claims.
pub(super) fn ledgers(book: &Book) -> Markup {
    html! {
        section aria-labelledby="claims" {
            h2 #claims { "Claims of the documents" }
            p { "✓ held, ✗ contradicted, ? undecided; a “!” marks what is news. "
                "The signs are of " (order(book)) "." }
            ul {
                @for ledger in &book.documents {
                    li {
                        a href={ "#" (ledger.anchor) } { (ledger.document) ", " (ledger.edition) }
                        ": " (pieces::count(&ledger.claims))
                    }
                }
            }
            @for ledger in &book.documents {
                section.ledger aria-labelledby=(ledger.anchor) {
                    h3 id=(ledger.anchor) { (ledger.document) ", " (ledger.edition) }
                    p { "Read in: " (ledger.source) }
                    ol {
                        @for claim in &ledger.claims { (entry(book, claim)) }
                    }
                }
            }
        }
    }
}

fn entry(book: &Book, claim: &ClaimReport) -> Markup {
    html! {
        li.claim.wrong[claim.is_contradicted()] id=(claim.anchor) {
            p.says { (claim.says) " " span.place { (claim.place) } }
            @if claim.is_contradicted() {
                ul {
                    @for (first, last, standing) in claim.stretches() {
                        @let (_, word, class) = pieces::standing(standing);
                        li {
                            (book.stretch(first, last)) ": " span class=(class) { (word) }
                            @if let Some(seen) = pieces::seen(standing) {
                                ", seen: " code { (seen) }
                            }
                            br; code.command { (book.reproduce(first, &claim.scenario)) }
                        }
                    }
                }
                p { "By the document: " code { (pieces::told(&claim.predicts)) } }
            }
            @if let Some(reason) = &claim.contradicted_by { p { (reason) } }
            @if let Some(note) = &claim.note { p { (note) } }
            p.by {
                (strip(book, claim))
                span {
                    "decided by step " code { (claim.step) } " of "
                    a href={ "#" (place(book, &claim.scenario)) } { code { (claim.scenario) } }
                }
            }
        }
    }
}

/// Where a scenario or a case is told; one that no record has stands nowhere.
fn place<'b>(book: &'b Book, scenario: &str) -> &'b str {
    for behaviour in book.behaviours() {
        if behaviour.id == scenario {
            return &behaviour.anchor;
        }
        if let Some(case) = behaviour.cases.iter().find(|case| case.id == scenario) {
            return &case.anchor;
        }
    }
    "behaviours"
}

/// A sign for each kernel, and the same in words for those who do not see it.
pub(super) fn strip(book: &Book, claim: &ClaimReport) -> Markup {
    let words: Vec<String> = claim
        .stretches()
        .into_iter()
        .map(|(first, last, standing)| {
            format!("{}: {}", book.stretch(first, last), pieces::standing(standing).1)
        })
        .collect();
    html! {
        span.strip role="img" aria-label=(words.join("; ")) title=(words.join("; ")) {
            @for standing in &claim.standings {
                @match standing {
                    None => span.none { "–" },
                    Some(standing) => {
                        @let (sign, _, class) = pieces::standing(standing);
                        span class=(class) { (sign) }
                    }
                }
            }
        }
    }
}
