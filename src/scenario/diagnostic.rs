//! What is wrong with a scenario file, and where.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

/// A place in a source text, as a range of bytes.
///
/// Spans are told for messages only: two values that differ in nothing else
/// are equal, so that what is printed and parsed again compares equal.
#[derive(Clone, Debug, Default)]
pub struct Span(pub Range<usize>);

impl PartialEq for Span {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Span {}

/// One mistake in a scenario file: a user's error, with place and remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Where in the file.
    pub span: Span,
    /// What is wrong there, as a sentence fragment.
    pub message: String,
    /// What was expected at that place, or how to mend it.
    pub expected: String,
}

impl Diagnostic {
    /// A mistake at `span`.
    pub fn new(
        span: Range<usize>,
        message: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        Diagnostic { span: Span(span), message: message.into(), expected: expected.into() }
    }

    /// The same of one of the scenarios that a file gives, by its id: says which.
    #[must_use]
    pub fn in_case(mut self, id: &str) -> Self {
        if let Some((_, case)) = id.strip_suffix(']').and_then(|id| id.split_once('[')) {
            self.message.push_str(&format!(" (in the case {case})"));
        }
        self
    }
}

/// All mistakes found in one file, with what is needed to print them.
#[derive(Clone, Debug)]
pub struct Mistakes {
    /// Path of the file as the user gave it.
    pub path: String,
    /// Its text.
    pub source: String,
    /// The mistakes, in the order of their places; never empty.
    pub diagnostics: Vec<Diagnostic>,
}

/// A line longer than this is cut in a message: a file of garbage may be one
/// line of megabytes.
const LONGEST_LINE: usize = 200;

/// Most mistakes of one file that are told at once.
const MOST_TOLD: usize = 20;

impl Mistakes {
    /// The messages as people read them, with the line and a caret; `colour`
    /// asks for terminal colours.
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let mut texts: Vec<String> = self
            .diagnostics
            .iter()
            .take(MOST_TOLD)
            .map(|diagnostic| {
                let (excerpt, line, span) = self.excerpt(&diagnostic.span.0);
                let mut annotation = AnnotationKind::Primary.span(span);
                if !diagnostic.expected.is_empty() {
                    annotation = annotation.label(diagnostic.expected.as_str());
                }
                let group = Level::ERROR.primary_title(diagnostic.message.as_str()).element(
                    Snippet::source(excerpt)
                        .path(self.path.as_str())
                        .line_start(line)
                        .annotation(annotation),
                );
                renderer.render(&[group])
            })
            .collect();
        if let Some(more) = self.diagnostics.len().checked_sub(MOST_TOLD).filter(|more| *more > 0) {
            texts.push(format!("and {more} more"));
        }
        texts.join("\n\n")
    }

    /// The line around `span`, cut where it is very long; its number; and the
    /// span within it.
    fn excerpt(&self, span: &Range<usize>) -> (String, usize, Range<usize>) {
        let source = &self.source;
        let start = floor_boundary(source, span.start.min(source.len()));
        let line_number = source[..start].matches('\n').count() + 1;
        let line_start = source[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = source[start..].find('\n').map_or(source.len(), |at| start + at);
        let from = floor_boundary(source, line_start.max(start.saturating_sub(LONGEST_LINE / 2)));
        let to = floor_boundary(source, line_end.min(start + LONGEST_LINE / 2)).max(start);
        let end = floor_boundary(source, span.end.clamp(start, to)).max(start);
        (source[from..to].to_owned(), line_number, start - from..end - from)
    }
}

/// The last boundary of a character at or before `at`.
pub(super) fn floor_boundary(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Mistakes {}
