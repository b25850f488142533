//! Parameters that nobody declared, wherever in a file a mistake is met.

use std::ops::Range;

use super::diagnostic::Diagnostic;

/// Says of a mistake that comes of a `$name` which is no parameter that it
/// does: all else is said of the text `$name`, which nobody meant.
pub(super) fn explained(mistake: Diagnostic, text: &str, known: &[&str]) -> Diagnostic {
    let span = &mistake.span.0;
    let Some(name) = stray(text, span) else { return mistake };
    let message = format!("`{}` is not a parameter of this file", &text[name.clone()]);
    let expected = match known {
        [] => format!("a table [each] with `{} = [\"…\", …]`", &text[name.start + 1..name.end]),
        known => format!("one of ${}", known.join(", $")),
    };
    Diagnostic::new(name, message, expected)
}

/// The first `$name` that a place has or begins with.
fn stray(text: &str, span: &Range<usize>) -> Option<Range<usize>> {
    let within = text.get(span.start..span.end.max(span.start + 1).min(text.len()))?;
    let start = span.start + within.find('$')?;
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let rest = &text[start + 1..];
    let length = rest.find(|c| !word(c)).unwrap_or(rest.len());
    (length > 0).then(|| start..start + 1 + length)
}
