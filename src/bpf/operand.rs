//! What stands after the name of an instruction: operands and immediates.

use super::opcode::{OPCODES, Shape};
use super::symbol::{action_word, symbol_value};
use super::text::{AssembleError, Cursor};

/// What an instruction works on, as read: its shape, and k.
type Operand = (Shape, u32);

/// What stands after the name of an instruction, before any jump target; `plain`
/// is its name in the table.
pub(super) fn operand(
    cursor: &mut Cursor<'_>,
    name: &str,
    plain: &str,
) -> Result<Operand, AssembleError> {
    if cursor.is_done() {
        return Ok((Shape::Nothing, 0));
    }
    if cursor.eat("#") {
        let place = cursor.place();
        if matches!(cursor.word(), Some(("len", _))) {
            return Ok((Shape::Length, 0));
        }
        cursor.back_to(place);
        return Ok((Shape::Immediate, immediate(cursor)?));
    }
    if cursor.eat("[") {
        return bracket(cursor);
    }
    let place = cursor.place();
    // `bpf_asm` takes registers with a percent sign, too.
    cursor.eat("%");
    match cursor.word() {
        Some(("x", _)) => Ok((Shape::X, 0)),
        Some(("a", _)) => Ok((Shape::A, 0)),
        Some(("len", _)) => Ok((Shape::Length, 0)),
        Some(("M", _)) => {
            cursor.expect("[")?;
            let cell = word32(cursor)?;
            cursor.expect("]")?;
            Ok((Shape::Scratch, cell))
        }
        Some(("4", _)) if cursor.eat("*") => {
            cursor.expect("(")?;
            cursor.expect("[")?;
            let offset = word32(cursor)?;
            for symbol in ["]", "&", "0xf", ")"] {
                cursor.expect(symbol)?;
            }
            Ok((Shape::HeaderLength, offset))
        }
        _ => {
            cursor.back_to(place);
            if ["ret", "ldi", "ldxi"].contains(&name) {
                return Ok((Shape::Immediate, immediate(cursor)?));
            }
            let shapes = OPCODES.iter().filter(|row| row.name == plain);
            let shapes: Vec<_> = shapes.map(|row| row.shape.to_string()).collect();
            Err(cursor.unexpected(&shapes.join(" or ")))
        }
    }
}

/// What stands between brackets, the closing one included.
fn bracket(cursor: &mut Cursor<'_>) -> Result<Operand, AssembleError> {
    let place = cursor.place();
    cursor.eat("%");
    let (shape, k) = match cursor.word() {
        Some(("x", _)) => {
            let k = if cursor.eat("+") { word32(cursor)? } else { 0 };
            (Shape::Indirect, k)
        }
        Some(("nr", _)) => (Shape::Absolute, 0),
        Some(("arch", _)) => (Shape::Absolute, 4),
        Some(("ip_hi", _)) => (Shape::Absolute, 12),
        Some(("ip" | "instruction_pointer", _)) => (Shape::Absolute, 8 + half(cursor)?),
        Some(("args", _)) => {
            cursor.expect("[")?;
            let place = cursor.place();
            let argument = match cursor.number(32) {
                Ok(argument @ 0..6) => argument as u32,
                _ => {
                    cursor.back_to(place);
                    return Err(cursor.unexpected("an argument number from 0 to 5"));
                }
            };
            cursor.expect("]")?;
            (Shape::Absolute, 16 + 8 * argument + half(cursor)?)
        }
        _ => {
            cursor.back_to(place);
            let Ok(offset) = word32(cursor) else {
                cursor.back_to(place);
                return Err(cursor.unexpected("an offset, or a field such as `nr` or `args[0]`"));
            };
            (Shape::Absolute, offset)
        }
    };
    cursor.expect("]")?;
    Ok((shape, k))
}

/// The offset of the half of a 64-bit field that `.lo`, `.hi` or nothing
/// names.
fn half(cursor: &mut Cursor<'_>) -> Result<u32, AssembleError> {
    if !cursor.eat(".") {
        return Ok(0);
    }
    let place = cursor.place();
    match cursor.word() {
        Some(("lo", _)) => Ok(0),
        Some(("hi", _)) => Ok(4),
        _ => {
            cursor.back_to(place);
            Err(cursor.unexpected("`lo` or `hi`"))
        }
    }
}

/// A number of 32 bits.
fn word32(cursor: &mut Cursor<'_>) -> Result<u32, AssembleError> {
    // The cast loses nothing: `number` keeps to the bits it is told.
    Ok(cursor.number(32)? as u32)
}

/// Terms with `|` between them.
fn immediate(cursor: &mut Cursor<'_>) -> Result<u32, AssembleError> {
    let mut value = term(cursor)?;
    while cursor.eat("|") {
        value |= term(cursor)?;
    }
    Ok(value)
}

/// A number, a name, or an action with data.
fn term(cursor: &mut Cursor<'_>) -> Result<u32, AssembleError> {
    let place = cursor.place();
    let named = cursor.word().filter(|(name, _)| !name.starts_with(|c: char| c.is_ascii_digit()));
    let Some((name, span)) = named else {
        cursor.back_to(place);
        return word32(cursor);
    };
    if cursor.eat("(") {
        let data_place = cursor.place();
        let data = cursor.word().map_or("", |(data, _)| data);
        cursor.expect(")")?;
        return action_word(&format!("{name}({data})")).ok_or_else(|| AssembleError {
            span: span.start..data_place + data.len() + 1,
            message: format!("unknown action `{name}({data})`"),
            expected: Some("`TRAP`, `ERRNO` or `TRACE` with 16 bits of data".to_owned()),
        });
    }
    symbol_value(name).ok_or_else(|| AssembleError {
        span,
        message: format!("unknown name `{name}`"),
        expected: Some("a number, or a name such as `SYS_mkdir`, `ALLOW` or `EPERM`".to_owned()),
    })
}
