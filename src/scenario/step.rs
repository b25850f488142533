//! Reads the lines of a script.

use std::ops::Range;

use super::diagnostic::{Diagnostic, Span};
use super::lexer::{Placed as PlacedToken, Token, tokens};
use super::value::Value;
use super::verb::{Signature, VERBS, Verb, Who};
use super::{Act, Callee, Entry, Operation, Placed, Step};
use crate::filter::Syscall;

/// Reads one line of a script that names these actors.
///
/// # Errors
///
/// What is wrong with it, with its place in the line. A line without a step is
/// wrong, too.
pub fn parse_step(line: &str, actors: &[&str]) -> Result<Step, Diagnostic> {
    parse_line(line, 0, actors)?
        .ok_or_else(|| Diagnostic::new(0..line.len(), "there is no step".to_owned(), "a step"))
}

/// Reads one line of a script. `base` is its place in the file, `actors` the
/// names declared there. Blank lines and comments give nothing.
pub(super) fn parse_line(
    line: &str,
    base: usize,
    actors: &[&str],
) -> Result<Option<Step>, Diagnostic> {
    let words = tokens(line, base)?;
    if words.is_empty() {
        return Ok(None);
    }
    let end = base + line.trim_end().len();
    let mut reader = Reader { words: &words, at: 0, end, depth: 0 };
    let span = reader.span();
    let together = reader.mark('|');
    let mut label = None;
    let mut actor = None;
    while let Some(name) = reader.prefix() {
        let place = reader.last();
        if actors.contains(&name.as_str()) {
            actor = Some(name);
            break;
        }
        if label.is_some() {
            return Err(Diagnostic::new(
                place,
                format!("{name:?} is not an actor of this scenario"),
                expected_actor(actors),
            ));
        }
        label = Some(name);
    }
    let mut operations = Vec::new();
    loop {
        let mut operation = reader.operation()?;
        check_who(&operation, actor.as_deref(), label.as_deref(), actors)?;
        operation.label = label;
        operations.push(operation);
        match reader.next() {
            None => break,
            Some((Token::Mark(';'), _)) => label = reader.prefix(),
            Some((token, place)) => {
                return Err(Diagnostic::new(
                    place.clone(),
                    format!("{} does not belong here", told(token)),
                    "options (key=value), then `as NAME`, then `;` or the end of the line",
                ));
            }
        }
    }
    let span = Span(span.start..reader.last().end);
    Ok(Some(Step { actor, operations, together, span }))
}

fn check_who(
    operation: &Operation,
    actor: Option<&str>,
    label: Option<&str>,
    actors: &[&str],
) -> Result<(), Diagnostic> {
    let (who, word) = match &operation.act {
        Act::Call { .. } => (Who::Actor, "a system call"),
        Act::Verb { verb, .. } => (verb.signature().who, verb.signature().word),
    };
    let place = operation.span.0.clone();
    match (who, actor) {
        (Who::Actor, None) => Err(Diagnostic::new(
            place,
            match label {
                Some(label) => format!("{label:?} is not an actor, and {word} needs one"),
                None => format!("{word} needs an actor that does it"),
            },
            expected_actor(actors),
        )),
        (Who::Director, Some(actor)) => Err(Diagnostic::new(
            place,
            format!("{word} is done by the harness, not by {actor}"),
            format!("the line without `{actor}:`"),
        )),
        _ => Ok(()),
    }
}

fn expected_actor(actors: &[&str]) -> String {
    match actors {
        [] => "a declared actor: add a table [target.T]".to_owned(),
        _ => format!("one of the actors {}, and a colon", actors.join(", ")),
    }
}

pub(super) fn told(token: &Token) -> String {
    match token {
        Token::Word(word) => format!("{word:?}"),
        Token::Number(value, _) => format!("the number {value}"),
        Token::CallNumber(value) => format!("the call number {value}"),
        Token::Text(_) => "a string".to_owned(),
        Token::Mark(mark) => format!("{mark:?}"),
    }
}

pub(super) struct Reader<'a> {
    pub words: &'a [PlacedToken],
    pub at: usize,
    pub end: usize,
    /// How many values the next one is inside of.
    pub depth: usize,
}

impl<'a> Reader<'a> {
    pub fn peek(&self) -> Option<&'a Token> {
        self.words.get(self.at).map(|(token, _)| token)
    }

    pub fn next(&mut self) -> Option<&'a PlacedToken> {
        let found = self.words.get(self.at);
        self.at += 1;
        found
    }

    /// The place of the next word, or the end of the line.
    pub fn span(&self) -> Range<usize> {
        self.words.get(self.at).map_or(self.end..self.end, |(_, place)| place.clone())
    }

    /// The place of the last word that was read.
    pub fn last(&self) -> Range<usize> {
        let at = self.at.min(self.words.len());
        self.words[at.saturating_sub(1)].1.clone()
    }

    pub fn mark(&mut self, mark: char) -> bool {
        let found = self.peek() == Some(&Token::Mark(mark));
        self.at += usize::from(found);
        found
    }

    pub fn expect(&mut self, mark: char, expected: &str) -> Result<(), Diagnostic> {
        if self.mark(mark) { Ok(()) } else { Err(self.unexpected(expected)) }
    }

    pub fn unexpected(&self, expected: impl Into<String>) -> Diagnostic {
        let message = match self.peek() {
            Some(token) => format!("unexpected {}", told(token)),
            None => "the line ends too early".to_owned(),
        };
        Diagnostic::new(self.span(), message, expected)
    }

    pub fn word(&mut self, expected: &str) -> Result<String, Diagnostic> {
        match self.peek() {
            Some(Token::Word(word)) => {
                self.at += 1;
                Ok(word.clone())
            }
            _ => Err(self.unexpected(expected)),
        }
    }

    /// `NAME:`, an actor or a label.
    fn prefix(&mut self) -> Option<String> {
        match (self.peek(), self.words.get(self.at + 1)) {
            (Some(Token::Word(name)), Some((Token::Mark(':'), _))) => {
                self.at += 2;
                Some(name.clone())
            }
            _ => None,
        }
    }

    fn operation(&mut self) -> Result<Operation, Diagnostic> {
        let start = self.span().start;
        let act = self.act()?;
        let mut binds = None;
        if self.peek() == Some(&Token::Word("as".to_owned())) {
            let place = self.span();
            self.at += 1;
            binds = Some(self.word("a name for the result")?);
            if let Act::Verb { verb, .. } = &act
                && !verb.signature().binds
            {
                return Err(Diagnostic::new(
                    place,
                    format!("{} has no result that could be named", verb.signature().word),
                    "no `as` here",
                ));
            }
        }
        Ok(Operation { label: None, act, binds, span: Span(start..self.last().end) })
    }

    fn act(&mut self) -> Result<Act, Diagnostic> {
        let entry = match (self.peek(), self.words.get(self.at + 1)) {
            (Some(Token::Word(word)), Some((Token::Word(_) | Token::CallNumber(_), _)))
                if word == "int80" =>
            {
                Some(Entry::Int80)
            }
            (Some(Token::Word(word)), Some((Token::Word(_) | Token::CallNumber(_), _)))
                if word == "x32" =>
            {
                Some(Entry::X32)
            }
            _ => None,
        };
        if entry.is_some() {
            self.at += 1;
        }
        let place = self.span();
        let parenthesis = matches!(self.words.get(self.at + 1), Some((Token::Mark('('), _)));
        match self.peek() {
            Some(Token::CallNumber(number)) => {
                self.at += 1;
                self.call(entry.unwrap_or(Entry::Native), Callee::Number(*number))
            }
            Some(Token::Word(word)) if parenthesis || entry.is_some() => {
                self.at += 1;
                let call: Syscall = word.parse().map_err(|_| {
                    Diagnostic::new(
                        place,
                        format!("unknown system call {word:?}"),
                        "the name of a system call, or #number",
                    )
                })?;
                self.call(entry.unwrap_or(Entry::Native), Callee::Named(call))
            }
            Some(Token::Word(word)) => match Verb::of(word) {
                Some(verb) => {
                    self.at += 1;
                    self.verb(verb.signature(), place)
                }
                None => Err(Diagnostic::new(
                    place,
                    format!("unknown word {word:?}"),
                    match nearest(word) {
                        Some(near) => format!("a verb (`{near}`?), or a system call: {word}(…)"),
                        None => format!("a verb, or a system call: {word}(…)"),
                    },
                )),
            },
            _ => Err(self.unexpected("a verb, or a system call with its arguments in ( )")),
        }
    }

    fn call(&mut self, entry: Entry, call: Callee) -> Result<Act, Diagnostic> {
        self.expect('(', "( and the arguments")?;
        let mut args = Vec::new();
        while !self.mark(')') {
            if !args.is_empty() {
                self.expect(',', ", or )")?;
            }
            if args.len() == 6 {
                return Err(self.unexpected("), as a system call has at most six arguments"));
            }
            args.push(self.placed_value()?);
        }
        Ok(Act::Call { entry, call, args })
    }

    fn verb(&mut self, form: &'static Signature, place: Range<usize>) -> Result<Act, Diagnostic> {
        let mut operands = Vec::new();
        let mut options: Vec<(String, Placed<Value>)> = Vec::new();
        loop {
            match (self.peek(), self.words.get(self.at + 1)) {
                (None | Some(Token::Mark(';')), _) => break,
                (Some(Token::Word(word)), _) if word == "as" => break,
                (Some(Token::Word(key)), Some((Token::Mark('='), _))) => {
                    let at = self.span();
                    self.at += 2;
                    if !form.options.iter().any(|(known, _)| known == key) {
                        let known: Vec<_> = form.options.iter().map(|(known, _)| *known).collect();
                        return Err(Diagnostic::new(
                            at,
                            format!("{} has no option {key:?}", form.word),
                            if known.is_empty() {
                                "no options".to_owned()
                            } else {
                                format!("one of {}", known.join(", "))
                            },
                        ));
                    }
                    if options.iter().any(|(there, _)| there == key) {
                        return Err(Diagnostic::new(
                            at,
                            format!("{key:?} stands twice"),
                            "it once",
                        ));
                    }
                    options.push((key.clone(), self.placed_value()?));
                }
                _ if operands.len() < form.operands.len() && options.is_empty() => {
                    operands.push(self.placed_value()?);
                }
                _ => break,
            }
        }
        if operands.len() < form.required {
            let (called, kind) = form.operands[operands.len()];
            return Err(Diagnostic::new(
                if self.at < self.words.len() { self.span() } else { place },
                format!("{} needs {called}", form.word),
                kind.expectation(),
            ));
        }
        let order = |key: &str| form.options.iter().position(|(known, _)| *known == key);
        options.sort_by_key(|(key, _)| order(key));
        Ok(Act::Verb { verb: form.verb, operands, options })
    }
}

/// The verb that a mistyped word most likely meant: one edit away.
fn nearest(word: &str) -> Option<&'static str> {
    VERBS.iter().map(|form| form.word).find(|known| one_edit_apart(word, known))
}

fn one_edit_apart(a: &str, b: &str) -> bool {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    if long.len() - short.len() > 1 {
        return false;
    }
    let same = short.bytes().zip(long.bytes()).take_while(|(x, y)| x == y).count();
    let (rest_short, rest_long) = (&short.as_bytes()[same..], &long.as_bytes()[same..]);
    if rest_short.len() == rest_long.len() {
        // One letter replaced, or two swapped.
        rest_short.get(1..) == rest_long.get(1..)
            || (rest_short.len() >= 2
                && rest_short[0] == rest_long[1]
                && rest_short[1] == rest_long[0]
                && rest_short[2..] == rest_long[2..])
    } else {
        rest_short == &rest_long[1..]
    }
}
