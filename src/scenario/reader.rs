//! Reads values in steps.

use super::Placed;
use super::diagnostic::{Diagnostic, Span};
use super::lexer::{Token, tokens};
use super::step::{Reader, told};
use super::value::{Field, Value};
use crate::abi;

/// Values stand at most so deep in one another.
const DEEPEST: usize = 16;

impl Reader<'_> {
    pub fn placed_value(&mut self) -> Result<Placed<Value>, Diagnostic> {
        let start = self.span().start;
        let value = self.value()?;
        Ok(Placed { value, span: Span(start..self.last().end) })
    }

    fn value(&mut self) -> Result<Value, Diagnostic> {
        let first = self.single()?;
        if self.peek() != Some(&Token::Mark('|')) {
            return Ok(first);
        }
        let mut parts = vec![first];
        while self.mark('|') {
            parts.push(self.single()?);
        }
        Ok(Value::Or(parts))
    }

    fn single(&mut self) -> Result<Value, Diagnostic> {
        if self.depth == DEEPEST {
            let message = format!("values stand more than {DEEPEST} deep in one another");
            return Err(Diagnostic::new(self.span(), message, "a simpler value"));
        }
        self.depth += 1;
        let value = self.value_at_this_depth();
        self.depth -= 1;
        value
    }

    fn value_at_this_depth(&mut self) -> Result<Value, Diagnostic> {
        const EXPECTED: &str = "a value: a number, a constant, a name, a string, [words], &name";
        let Some((token, place)) = self.next() else {
            self.at -= 1;
            return Err(self.unexpected(EXPECTED));
        };
        match token {
            Token::Number(value, radix) => Ok(Value::Number(*value, *radix)),
            Token::Text(bytes) => Ok(Value::Text(bytes.clone())),
            Token::Mark('-') => Ok(Value::Negative(Box::new(self.single()?))),
            Token::Mark('&') => Ok(Value::Address(self.word("the name of a buffer or filter")?)),
            Token::Mark('[') => {
                let mut words = Vec::new();
                while !self.mark(']') {
                    if !words.is_empty() {
                        self.expect(',', ", or ]")?;
                    }
                    words.push(self.value()?);
                }
                Ok(Value::Words(words))
            }
            Token::Word(word) if word == "pid" && self.mark('(') => {
                let actor = self.word("the name of an actor")?;
                self.expect(')', ")")?;
                Ok(Value::Pid(actor))
            }
            Token::Word(word) if abi::constant(word).is_some() => Ok(Value::Constant(word.clone())),
            Token::Word(word) => self.name(word),
            _ => {
                Err(Diagnostic::new(place.clone(), format!("unexpected {}", told(token)), EXPECTED))
            }
        }
    }

    fn name(&mut self, word: &str) -> Result<Value, Diagnostic> {
        let name = word.to_owned();
        if self.mark('.') {
            return Ok(Value::Field(name, self.field()?));
        }
        // `n1-1` is an offset; in `nr -1` a value of its own follows.
        let adjacent = self.last().end == self.span().start;
        let sign = if adjacent && self.mark('+') {
            1
        } else if adjacent && self.mark('-') {
            -1
        } else {
            return Ok(Value::Name(name));
        };
        match self.next() {
            Some((Token::Number(by, _), _)) if *by <= i64::MAX as u64 => {
                Ok(Value::Offset(name, sign * *by as i64))
            }
            _ => {
                self.at -= 1;
                Err(self.unexpected("a number"))
            }
        }
    }

    fn field(&mut self) -> Result<Field, Diagnostic> {
        const EXPECTED: &str = "id, pid, nr, or args[0] to args[5]";
        let place = self.span();
        match self.word(EXPECTED)?.as_str() {
            "id" => Ok(Field::Id),
            "pid" => Ok(Field::Pid),
            "nr" => Ok(Field::Nr),
            "args" => {
                self.expect('[', EXPECTED)?;
                let index = match self.next() {
                    Some((Token::Number(index @ 0..=5, _), _)) => *index as u8,
                    _ => {
                        self.at -= 1;
                        return Err(self.unexpected("0 to 5"));
                    }
                };
                self.expect(']', "]")?;
                Ok(Field::Arg(index))
            }
            other => Err(Diagnostic::new(place, format!("no field {other:?}"), EXPECTED)),
        }
    }
}

/// Reads a value that stands alone, such as a handler's flags.
pub(super) fn parse_value(text: &str, base: usize) -> Result<Value, Diagnostic> {
    let words = tokens(text, base)?;
    let mut reader = Reader { words: &words, at: 0, end: base + text.len(), depth: 0 };
    let value = reader.value()?;
    match reader.peek() {
        None => Ok(value),
        Some(_) => Err(reader.unexpected("the end of the value")),
    }
}
