//! Words of the step language.

use std::ops::Range;

use super::diagnostic::Diagnostic;

/// One word of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A name, a verb, a constant.
    Word(String),
    /// A number and how it was written.
    Number(u64, Radix),
    /// `#123`: a system call by number.
    CallNumber(u64),
    /// A string, escapes resolved.
    Text(Vec<u8>),
    /// One of `( ) [ ] , : ; = | + - & .`
    Mark(char),
}

/// How a number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Radix {
    /// `493`
    Decimal,
    /// `0x1ed`
    Hexadecimal,
    /// `0o755`
    Octal,
}

/// A token and its place in the text.
pub(super) type Placed = (Token, Range<usize>);

/// Splits one line into words; `base` is the line's place in the file.
pub(super) fn tokens(line: &str, base: usize) -> Result<Vec<Placed>, Diagnostic> {
    let mut found = Vec::new();
    let mut rest = line;
    loop {
        rest = rest.trim_start();
        let at = line.len() - rest.len();
        let Some(first) = rest.chars().next() else { break };
        // A hash and a digit is a system call's number; else it is a comment.
        let comment = first == '#' && !rest[1..].starts_with(|c: char| c.is_ascii_digit());
        if comment {
            break;
        }
        let (token, length) = one(rest).map_err(|(message, expected, width)| {
            Diagnostic::new(base + at..base + at + width, message, expected)
        })?;
        found.push((token, base + at..base + at + length));
        rest = &rest[length..];
    }
    Ok(found)
}

type Trouble = (String, &'static str, usize);

fn one(rest: &str) -> Result<(Token, usize), Trouble> {
    let first = rest.chars().next().expect("the caller saw a character");
    match first {
        'a'..='z' | 'A'..='Z' | '_' => {
            let length = word_length(rest);
            Ok((Token::Word(rest[..length].to_owned()), length))
        }
        '0'..='9' => {
            number(rest).map(|(value, radix, length)| (Token::Number(value, radix), length))
        }
        '#' => number(&rest[1..]).map(|(value, _, length)| (Token::CallNumber(value), length + 1)),
        '"' => text(rest),
        '(' | ')' | '[' | ']' | ',' | ':' | ';' | '=' | '|' | '+' | '-' | '&' | '.' => {
            Ok((Token::Mark(first), 1))
        }
        _ => Err((
            format!("unexpected character {first:?}"),
            "a name, a number, a string, or one of ( ) [ ] , : ; = | + - & .",
            first.len_utf8(),
        )),
    }
}

fn word_length(rest: &str) -> usize {
    rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len())
}

fn number(rest: &str) -> Result<(u64, Radix, usize), Trouble> {
    let length = word_length(rest);
    let word = &rest[..length];
    let (digits, base, radix) = if let Some(digits) = word.strip_prefix("0x") {
        (digits, 16, Radix::Hexadecimal)
    } else if let Some(digits) = word.strip_prefix("0o") {
        (digits, 8, Radix::Octal)
    } else {
        (word, 10, Radix::Decimal)
    };
    match u64::from_str_radix(&digits.replace('_', ""), base) {
        Ok(value) if !digits.starts_with('+') => Ok((value, radix, length)),
        _ => Err((
            format!("{word:?} is not a number"),
            "a decimal, 0x… or 0o… number below 2^64",
            length,
        )),
    }
}

fn text(rest: &str) -> Result<(Token, usize), Trouble> {
    let mut bytes = Vec::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((Token::Text(bytes), at + 1)),
            '\\' => {
                let escape = chars.next().map(|(_, c)| c);
                match escape {
                    Some('n') => bytes.push(b'\n'),
                    Some('0') => bytes.push(0),
                    Some('"') => bytes.push(b'"'),
                    Some('\\') => bytes.push(b'\\'),
                    Some('x') => {
                        let digits: String = chars.by_ref().take(2).map(|(_, c)| c).collect();
                        match u8::from_str_radix(&digits, 16) {
                            Ok(byte) if digits.len() == 2 => bytes.push(byte),
                            _ => {
                                return Err((
                                    "unknown escape in a string".to_owned(),
                                    "two hexadecimal digits after \\x",
                                    at + 2,
                                ));
                            }
                        }
                    }
                    _ => {
                        return Err((
                            "unknown escape in a string".to_owned(),
                            "one of \\n \\0 \\\" \\\\ \\xHH",
                            at + 1,
                        ));
                    }
                }
            }
            c => bytes.extend(c.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    Err(("a string has no end".to_owned(), "a closing \" on the same line", rest.len()))
}
