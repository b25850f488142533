//! What readers must hear of first, with ways to it and back.

use maud::{Markup, html};

use super::super::{Book, CaseReport, Finding, pieces};

/// How many there are, if any.
pub(super) fn told(book: &Book) -> Option<String> {
    match book.findings().len() {
        0 => None,
        1 => Some("1 finding".to_owned()),
        count => Some(format!("{count} findings")),
    }
}

/// The list of all.
pub(super) fn findings(book: &Book) -> Markup {
    let findings = book.findings();
    html! {
        @if !findings.is_empty() {
            section aria-labelledby="findings" {
                h2 #findings { "Findings" }
                p { (pieces::FINDINGS) }
                ul.short {
                    @for found in &findings {
                        @let (kernel, of, told) = pieces::finding(found);
                        li {
                            @match found {
                                Finding::Case(odd) => {
                                    a href={ "#" (book.place(&odd.scenario)) } { code { (of) } }
                                },
                                Finding::Claim(_, claim, _) => {
                                    a href={ "#" (claim.anchor) } { (of) }
                                },
                                Finding::Fact(_, fact) => {
                                    a href={ "#fact-" (fact.fact) } { (of) }
                                },
                            }
                            " on " b { (book.kernel(kernel)) } ": " span.bad { (told) }
                        }
                    }
                }
            }
        }
    }
}

/// What there is to say of a case beside what it does.
pub(super) fn of_case(book: &Book, case: &CaseReport) -> Markup {
    html! {
        @for odd in book.odd(case) {
            @let is_finding = odd.verdict.is_finding();
            p.odd-verdict.finding[is_finding] {
                @if is_finding { a.bad href="#findings" { "Finding" } " on " } @else { "On " }
                (book.kernel(odd.kernel)) ": " (pieces::verdict(&odd.verdict))
            }
        }
    }
}
