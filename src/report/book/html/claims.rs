//! The ledger of claims, document by document.

use maud::{Markup, html};

use super::super::{Book, ClaimReport, pieces};
use super::order;
use crate::suite::Stretch;

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
            p { "✓ held, ✗ contradicted, ? undecided; a “!” marks what is news, “all” is all kernels. "
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
                    @for Stretch { kernels, did } in claim.stretches() {
                        @let (_, word, class) = pieces::standing(did);
                        li {
                            (book.kernels_told(&kernels)) ": " span class=(class) { (word) }
                            @if let Some(seen) = pieces::seen(did) {
                                ", seen: " code { (seen) }
                            }
                            br; code.command { (book.reproduce(kernels[0], &claim.scenario)) }
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
                    a href={ "#" (book.place(&claim.scenario)) } { code { (claim.scenario) } }
                }
            }
        }
    }
}

/// A sign for each kernel, and the same in words for those who do not see it.
pub(super) fn strip(book: &Book, claim: &ClaimReport) -> Markup {
    let words = pieces::claim_told(book, claim);
    let same = match claim.stretches().as_slice() {
        [one] if one.kernels.len() == book.kernels.len() && one.kernels.len() > 1 => Some(one.did),
        _ => None,
    };
    html! {
        span.strip role="img" aria-label=(words) title=(words) {
            @if let Some(standing) = same {
                @let (sign, _, class) = pieces::standing(standing);
                span class=(class) { (sign) " all" }
            } @else {
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
}
