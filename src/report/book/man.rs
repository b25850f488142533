//! The book as a manual page.

use super::{Book, markdown, pieces};
use crate::report::{ManPage, man_page};

/// `unotify-lab-report(7)`.
pub fn man(book: &Book) -> String {
    let text: Vec<String> = markdown(book).into_iter().map(|page| page.text).collect();
    let page = ManPage {
        name: "unotify-lab-report",
        section: "7",
        summary: pieces::TITLE,
        see_also: &["unotify-lab(1)", "seccomp(2)", "seccomp_unotify(2)"],
    };
    man_page(page, &text.join("\n"))
}
