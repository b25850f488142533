//! Text to instructions.
//!
//! The grammar is that of the kernel's `tools/bpf/bpf_asm`, one instruction a
//! line, with the names that people who write seccomp filters use, with
//! relative jumps, and with `.insn` for what has no name.

use std::collections::HashMap;
use std::ops::Range;

use super::Program;
use super::code::{JA, stmt};
use super::opcode::{OPCODES, is_branch};
use super::operand::operand;
use super::text::{AssembleError, Cursor};
use crate::abi::SockFilter;

/// Reads assembly.
///
/// * One instruction a line; `name:` before it, or on a line of its own, is a
///   label. Comments are `; …`, `// …` and `/* … */`, and lines that begin with
///   `#`, which elsewhere starts an immediate.
/// * `ld`: `[k]`, `#k`, `M[k]`, `len`; `ldx`: `#k`, `M[k]`, `len`; `st`, `stx`:
///   `M[k]`. In brackets also `nr`, `arch`, `ip`, `ip_hi`, `args[i]` (the lower
///   word), `args[i].lo`, `args[i].hi`.
/// * `add sub mul div mod and or xor lsh rsh` with `#k` or `x`; `neg`, `tax`,
///   `txa`.
/// * `ja target`; `jeq jgt jge jset` with `#k` or `x`, then the target if true
///   and perhaps that if false; `jne jneq jlt jle` with the target if true.
///   A target is a label further down, or `+n` to skip n instructions.
/// * `ret #k`, `ret a`, and actions: `ret ERRNO(EPERM)`.
/// * An immediate is a number, a name (`SYS_mkdir`, `SYS_i386_mkdir`,
///   `AUDIT_ARCH_X86_64`, `SECCOMP_RET_LOG`, `EPERM`), an action with data
///   (`TRAP(3)`), or several of these with `|` between.
/// * `.insn code, jt, jf, k` is any instruction at all.
/// * `times n` before an instruction that goes to no label repeats it, in a
///   program of at most 65535 instructions so far.
/// * Lines that `seccomp-tools` lists, of which the numbers count
///   (` 0003: 0x15 0x00 0x01 0x00000053  if (A != mkdir) goto 0005`), and lines
///   that `bpf_asm -c` prints (`{ 0x15,  0,  1, 0x00000053 },`).
/// * Forms that only socket filters may use can be written too: `ldh`, `ldb`,
///   `ld [x + k]`, `ldx 4*([k]&0xf)`.
///
/// The kernel's rules are not looked at; see [`validate`](super::validate()).
///
/// # Errors
///
/// The first mistake, with its place in `text`.
pub fn assemble(text: &str) -> Result<Program, AssembleError> {
    let code = without_comments(text)?;
    let mut assembler = Assembler::default();
    let mut start = 0;
    for line in code.split_inclusive('\n') {
        assembler.line(&mut Cursor::new(&code, start..start + line.len()))?;
        start += line.len();
    }
    assembler.finish()
}

/// `text` with every byte of a comment replaced by a blank, so that places
/// stay what they are.
fn without_comments(text: &str) -> Result<String, AssembleError> {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = [";", "//", "/*"].iter().filter_map(|mark| rest.find(mark)).min() {
        code.push_str(&rest[..start]);
        let comment = &rest[start..];
        let length = if comment.starts_with("/*") {
            let Some(end) = comment.find("*/") else {
                let at = text.len() - comment.len();
                return Err(AssembleError {
                    span: at..at + 2,
                    message: "comment without an end".to_owned(),
                    expected: Some("`*/`".to_owned()),
                });
            };
            end + 2
        } else {
            comment.find('\n').unwrap_or(comment.len())
        };
        code.extend(comment[..length].bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }));
        rest = &comment[length..];
    }
    code.push_str(rest);
    Ok(code)
}

/// Which field of a jump a target goes to.
#[derive(Clone, Copy)]
enum Slot {
    Jt,
    Jf,
    K,
}

/// A jump to a label, to be filled in when all labels are known.
struct Pending {
    at: usize,
    slot: Slot,
    label: String,
    span: Range<usize>,
}

#[derive(Default)]
struct Assembler {
    instructions: Vec<SockFilter>,
    labels: HashMap<String, usize>,
    pending: Vec<Pending>,
}

impl Assembler {
    fn line(&mut self, cursor: &mut Cursor<'_>) -> Result<(), AssembleError> {
        if self.foreign(cursor)? {
            return Ok(());
        }
        while !cursor.is_done() {
            if cursor.eat(".insn") {
                self.raw(cursor, ",")?;
                break;
            }
            let Some((name, span)) = cursor.word() else {
                return Err(cursor.unexpected("an instruction or a label"));
            };
            if name == "times" {
                self.times(cursor)?;
                break;
            }
            if !cursor.eat(":") {
                self.instruction(name, span, cursor)?;
                break;
            }
            if self.labels.insert(name.to_owned(), self.instructions.len()).is_some() {
                return Err(error(span, format!("label `{name}` is defined twice")));
            }
        }
        if cursor.is_done() { Ok(()) } else { Err(cursor.unexpected("the end of the line")) }
    }

    /// Whether the line is a remark, or one of another tool's output.
    fn foreign(&mut self, cursor: &mut Cursor<'_>) -> Result<bool, AssembleError> {
        let start = cursor.place();
        if cursor.eat("#") || cursor.eat("===") {
            return Ok(true);
        }
        if cursor.eat("{") {
            self.raw(cursor, ",")?;
            cursor.expect("}")?;
            cursor.eat(",");
            return if cursor.is_done() { Ok(true) } else { Err(cursor.unexpected("the end")) };
        }
        match cursor.word() {
            Some(("line", _)) if cursor.eat("CODE") => Ok(true),
            Some((number, span)) if number.bytes().all(|b| b.is_ascii_digit()) => {
                cursor.expect(":")?;
                let next = self.instructions.len();
                if number.parse() != Ok(next) {
                    return Err(error(span, format!("line {number}, where {next:04} is next")));
                }
                self.raw(cursor, "")?;
                Ok(true)
            }
            _ => {
                cursor.back_to(start);
                Ok(false)
            }
        }
    }

    /// The fields of an instruction, in the order of `struct sock_filter`.
    fn raw(&mut self, cursor: &mut Cursor<'_>, between: &str) -> Result<(), AssembleError> {
        let mut instruction = SockFilter { code: field(cursor)?, ..SockFilter::default() };
        cursor.expect(between)?;
        instruction.jt = field(cursor)?;
        cursor.expect(between)?;
        instruction.jf = field(cursor)?;
        cursor.expect(between)?;
        instruction.k = field(cursor)?;
        self.instructions.push(instruction);
        Ok(())
    }

    /// `times n instruction`, after the first word.
    fn times(&mut self, cursor: &mut Cursor<'_>) -> Result<(), AssembleError> {
        let place = cursor.place();
        let room = u64::from(u16::MAX).saturating_sub(self.instructions.len() as u64);
        let count = cursor.number(32)?;
        let Some((name, span)) = cursor.word().filter(|_| (1..=room).contains(&count)) else {
            cursor.back_to(place);
            let expected = format!("a number from 1 to {room}, then an instruction");
            return Err(cursor.unexpected(&expected));
        };
        let pending = self.pending.len();
        self.instruction(name, span.clone(), cursor)?;
        if self.pending.len() > pending {
            return Err(error(span, "a repeated instruction cannot go to a label".to_owned()));
        }
        let last = *self.instructions.last().expect("it was just pushed");
        self.instructions.extend(std::iter::repeat_n(last, count as usize - 1));
        Ok(())
    }

    fn instruction(
        &mut self,
        name: &str,
        span: Range<usize>,
        cursor: &mut Cursor<'_>,
    ) -> Result<(), AssembleError> {
        // The inverted jumps are the plain ones with the branches swapped; some
        // names are only bpf_asm's.
        let (plain, inverted) = match name {
            "jmp" => ("ja", false),
            "ldi" => ("ld", false),
            "ldxi" | "ldxb" => ("ldx", false),
            "jne" | "jneq" => ("jeq", true),
            "jlt" => ("jge", true),
            "jle" => ("jgt", true),
            _ => (name, false),
        };
        let rows: Vec<_> = OPCODES.iter().filter(|row| row.name == plain).collect();
        let Some(first) = rows.first() else {
            return Err(AssembleError {
                span,
                message: format!("unknown instruction `{name}`"),
                expected: Some("an instruction such as `ld`, `jeq` or `ret`".to_owned()),
            });
        };
        if first.code == JA {
            self.instructions.push(stmt(JA, 0));
            return self.target(cursor, Slot::K);
        }
        let place = cursor.place();
        let (shape, k) = operand(cursor, name, plain)?;
        let Some(row) = rows.iter().find(|row| row.shape == shape) else {
            let end = cursor.place().max(place);
            let shapes: Vec<_> = rows.iter().map(|row| row.shape.to_string()).collect();
            return Err(AssembleError {
                span: place..end,
                message: format!("`{name}` does not take {shape}"),
                expected: Some(shapes.join(" or ")),
            });
        };
        self.instructions.push(stmt(row.code, k));
        if is_branch(row.code) {
            cursor.expect(",")?;
            self.target(cursor, if inverted { Slot::Jf } else { Slot::Jt })?;
            if !inverted && cursor.eat(",") {
                self.target(cursor, Slot::Jf)?;
            }
        }
        Ok(())
    }

    /// A jump target of the instruction read last.
    fn target(&mut self, cursor: &mut Cursor<'_>, slot: Slot) -> Result<(), AssembleError> {
        let at = self.instructions.len() - 1;
        let place = cursor.place();
        if cursor.eat("+") {
            let distance = cursor.number(32)?;
            return self.set(at, slot, distance, place..cursor.place());
        }
        match cursor.word() {
            Some((label, span)) if !label.starts_with(|c: char| c.is_ascii_digit()) => {
                self.pending.push(Pending { at, slot, label: label.to_owned(), span });
                Ok(())
            }
            _ => {
                cursor.back_to(place);
                Err(cursor.unexpected("a label or `+n`"))
            }
        }
    }

    fn set(
        &mut self,
        at: usize,
        slot: Slot,
        distance: u64,
        span: Range<usize>,
    ) -> Result<(), AssembleError> {
        let instruction = &mut self.instructions[at];
        let fits = match slot {
            Slot::K => u32::try_from(distance).map(|k| instruction.k = k).is_ok(),
            Slot::Jt => u8::try_from(distance).map(|jt| instruction.jt = jt).is_ok(),
            Slot::Jf => u8::try_from(distance).map(|jf| instruction.jf = jf).is_ok(),
        };
        if fits {
            Ok(())
        } else {
            let message = format!("a conditional jump cannot skip {distance} instructions");
            Err(AssembleError {
                span,
                message,
                expected: Some("at most 255, or a `ja` in between".to_owned()),
            })
        }
    }

    fn finish(mut self) -> Result<Program, AssembleError> {
        for Pending { at, slot, label, span } in std::mem::take(&mut self.pending) {
            let Some(&to) = self.labels.get(&label) else {
                return Err(error(span, format!("label `{label}` is not defined")));
            };
            let Some(distance) = to.checked_sub(at + 1) else {
                return Err(error(
                    span,
                    format!("label `{label}` is not ahead, and jumps only go forward"),
                ));
            };
            self.set(at, slot, distance as u64, span)?;
        }
        Ok(Program(self.instructions))
    }
}

fn error(span: Range<usize>, message: String) -> AssembleError {
    AssembleError { span, message, expected: None }
}

/// One number of `.insn`, which must fit its field.
fn field<T: TryFrom<u64>>(cursor: &mut Cursor<'_>) -> Result<T, AssembleError> {
    let place = cursor.place();
    let value = cursor.number(32)?;
    let span = place..cursor.place();
    T::try_from(value).map_err(|_| {
        let bits = 8 * size_of::<T>();
        error(span, format!("{value:#x} does not fit in the {bits} bits of this field"))
    })
}
