//! Reading short texts word by word, with the place of every mistake.

use std::ops::Range;

/// A text that does not follow its grammar.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}{}", .expected.as_ref().map(|what| format!(", expected {what}")).unwrap_or_default())]
pub struct SyntaxError {
    /// The bytes of the text that are wrong; empty where something is missing.
    pub span: Range<usize>,
    /// What is wrong, a lower-case fragment.
    pub message: String,
    /// What would have been right at this place, where that can be told.
    pub expected: Option<String>,
}

/// What [`assemble`](super::assemble()) reports.
pub type AssembleError = SyntaxError;

/// A place in a text, moving forward over words and symbols.
///
/// Blanks between words mean nothing; line ends are not crossed, as callers
/// hand in one line at a time.
pub(crate) struct Cursor<'t> {
    text: &'t str,
    at: usize,
    end: usize,
}

impl<'t> Cursor<'t> {
    /// A cursor over the bytes `range` of `text`; spans count from the start
    /// of `text`.
    pub(crate) fn new(text: &'t str, range: Range<usize>) -> Self {
        Self { text, at: range.start, end: range.end }
    }

    /// What is left, blanks skipped.
    pub(crate) fn rest(&mut self) -> &'t str {
        let rest = &self.text[self.at..self.end];
        self.at += rest.len() - rest.trim_start().len();
        &self.text[self.at..self.end]
    }

    /// Whether nothing but blanks is left.
    pub(crate) fn is_done(&mut self) -> bool {
        self.rest().is_empty()
    }

    /// The place where the next word or symbol starts.
    pub(crate) fn place(&mut self) -> usize {
        self.rest();
        self.at
    }

    /// Goes back to a `place` seen before.
    pub(crate) fn back_to(&mut self, place: usize) {
        self.at = place;
    }

    /// Steps over `symbol` if it comes next.
    pub(crate) fn eat(&mut self, symbol: &str) -> bool {
        let found = self.rest().starts_with(symbol);
        if found {
            self.at += symbol.len();
        }
        found
    }

    /// Steps over `symbol`, which must come next.
    pub(crate) fn expect(&mut self, symbol: &str) -> Result<(), SyntaxError> {
        if self.eat(symbol) { Ok(()) } else { Err(self.unexpected(&format!("`{symbol}`"))) }
    }

    /// Steps over a run of letters, digits and underscores.
    pub(crate) fn word(&mut self) -> Option<(&'t str, Range<usize>)> {
        let rest = self.rest();
        let length =
            rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
        (length > 0).then(|| {
            let span = self.at..self.at + length;
            self.at = span.end;
            (&rest[..length], span)
        })
    }

    /// Steps over a number with an optional sign, which must come next.
    ///
    /// `bits` is 32 or 64: the number must fit as an unsigned or, with a
    /// minus, as a signed number of that many bits, and is returned as the
    /// unsigned one with the same bits.
    pub(crate) fn number(&mut self, bits: u32) -> Result<u64, SyntaxError> {
        let start = self.place();
        let negative = self.eat("-");
        if !negative {
            self.eat("+");
        }
        let Some(magnitude) = self.word().map(|(word, _)| parse_number(word)) else {
            self.at = start;
            return Err(self.unexpected("a number"));
        };
        let span = start..self.at;
        let max = u64::MAX >> (64 - bits);
        let fits = |magnitude: u64| magnitude <= if negative { max / 2 + 1 } else { max };
        match magnitude {
            Some(magnitude) if fits(magnitude) && negative => Ok(magnitude.wrapping_neg() & max),
            Some(magnitude) if fits(magnitude) => Ok(magnitude),
            Some(_) => Err(SyntaxError {
                message: format!("`{}` does not fit in {bits} bits", &self.text[span.clone()]),
                span,
                expected: None,
            }),
            None => {
                self.at = start;
                Err(self.unexpected("a number"))
            }
        }
    }

    /// The complaint that what comes next is not `expected`.
    pub(crate) fn unexpected(&mut self, expected: &str) -> SyntaxError {
        let start = self.place();
        let (message, end) = match self.word() {
            Some((word, span)) => (format!("unexpected `{word}`"), span.end),
            None => match self.rest().chars().next() {
                Some(symbol) => {
                    (format!("unexpected `{}`", symbol.escape_debug()), start + symbol.len_utf8())
                }
                None => ("unexpected end".to_owned(), start),
            },
        };
        self.at = start;
        SyntaxError { span: start..end, message, expected: Some(expected.to_owned()) }
    }
}

/// Reads an unsigned number: decimal, `0x` hexadecimal, `0b` binary, and octal
/// as `0o700` or as C's `0700`.
pub(crate) fn parse_number(word: &str) -> Option<u64> {
    let (digits, radix) = if let Some(digits) = word.strip_prefix("0x") {
        (digits, 16)
    } else if let Some(digits) = word.strip_prefix("0b") {
        (digits, 2)
    } else if let Some(digits) = word.strip_prefix("0o") {
        (digits, 8)
    } else if word.len() > 1 && word.starts_with('0') {
        (&word[1..], 8)
    } else {
        (word, 10)
    };
    // `from_str_radix` would take a sign, which is not ours to take.
    if !digits.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    u64::from_str_radix(digits, radix).ok()
}
