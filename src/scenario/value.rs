//! Values in steps: numbers, constants, strings, names, fields, addresses.

use std::fmt;

use super::lexer::Radix;

/// A value as a scenario writes it. What a name stands for is decided when
/// the schedule is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A literal number.
    Number(u64, Radix),
    /// A kernel constant by name, such as `O_RDONLY` or `EPERM`.
    Constant(String),
    /// The two's complement of a value.
    Negative(Box<Value>),
    /// Several values joined by `|`.
    Or(Vec<Value>),
    /// A string: in a call, the address of its bytes, NUL-terminated.
    Text(Vec<u8>),
    /// `[a, b]`: in a call, the address of these 64-bit words.
    Words(Vec<Value>),
    /// `&name`: the address of a buffer, of a held page, or of a filter's
    /// `struct sock_fprog`.
    Address(String),
    /// A name: an actor, a descriptor, a notification, a word of the language.
    Name(String),
    /// `name + number`, such as an id that is yet to come.
    Offset(String, i64),
    /// `n1.args[0]`, `n1.id`, `n1.pid`, `n1.nr`: a field of a notification.
    Field(String, Field),
    /// `pid(T)`: an actor's thread id, as the harness sees it.
    Pid(String),
}

/// A field of a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// Its cookie.
    Id,
    /// The target's thread id.
    Pid,
    /// The system call number.
    Nr,
    /// One of the six arguments.
    Arg(u8),
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Field::Id => f.write_str("id"),
            Field::Pid => f.write_str("pid"),
            Field::Nr => f.write_str("nr"),
            Field::Arg(index) => write!(f, "args[{index}]"),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Number(value, Radix::Decimal) => write!(f, "{value}"),
            Value::Number(value, Radix::Hexadecimal) => write!(f, "{value:#x}"),
            Value::Number(value, Radix::Octal) => write!(f, "{value:#o}"),
            Value::Constant(name) | Value::Name(name) => f.write_str(name),
            Value::Negative(value) => write!(f, "-{value}"),
            Value::Or(values) => list(f, values, "|"),
            Value::Text(bytes) => quoted(f, bytes),
            Value::Words(values) => {
                f.write_str("[")?;
                list(f, values, ", ")?;
                f.write_str("]")
            }
            Value::Address(name) => write!(f, "&{name}"),
            Value::Offset(name, by) => write!(f, "{name}{by:+}"),
            Value::Field(name, field) => write!(f, "{name}.{field}"),
            Value::Pid(name) => write!(f, "pid({name})"),
        }
    }
}

fn list(f: &mut fmt::Formatter<'_>, values: &[Value], between: &str) -> fmt::Result {
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            f.write_str(between)?;
        }
        write!(f, "{value}")?;
    }
    Ok(())
}

/// Writes bytes as the string literal that reads back as them.
pub(crate) fn quoted(f: &mut impl fmt::Write, bytes: &[u8]) -> fmt::Result {
    f.write_char('"')?;
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '\0' => f.write_str("\\0")?,
                // A script may stand between triple single quotes in a file.
                c if c.is_ascii_control() || c == '\'' => {
                    write!(f, "\\x{:02x}", c as u32)?;
                }
                c => f.write_char(c)?,
            }
        }
        for byte in chunk.invalid() {
            write!(f, "\\x{byte:02x}")?;
        }
    }
    f.write_char('"')
}
