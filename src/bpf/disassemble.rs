//! Instructions to text that [`assemble`](super::assemble()) reads back.

use std::collections::BTreeSet;
use std::fmt;

use super::Program;
use super::code::*;
use super::opcode::{self, Opcode, Shape};
use super::symbol::{action_text, arch_name, field_text, syscall_name, syscall_symbol};
use crate::abi::{AUDIT_ARCH_I386, AUDIT_ARCH_X86_64, SockFilter};

impl fmt::Display for Program {
    /// One instruction a line, labels in front, without a line end after the
    /// last. A label is `L` and the index of the instruction it stands at.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let labels = labels(self);
        let width = labels.last().map_or(0, |last| label(*last).len() + 2);
        let known = knowledge(self);
        for (at, &instruction) in self.iter().enumerate() {
            if at > 0 {
                writeln!(out)?;
            }
            let name = if labels.contains(&at) { label(at) + ":" } else { String::new() };
            let line = Line { instruction, at, length: self.len(), known: known[at] };
            write!(out, "{name:width$}{line}")?;
        }
        Ok(())
    }
}

fn label(at: usize) -> String {
    format!("L{at}")
}

/// The row of an instruction that its name and operand describe whole. All
/// others can be written only as `.insn`.
pub(super) fn named(instruction: SockFilter) -> Option<&'static Opcode> {
    let SockFilter { code, jt, jf, k } = instruction;
    let row = opcode::find(code)?;
    let whole = (row.shape.shows_k() || k == 0) && (opcode::is_branch(code) || (jt, jf) == (0, 0));
    whole.then_some(row)
}

/// Where a jump over `distance` instructions ends, if that is in the program
/// and deserves a label: the next instruction does not.
fn labelled(at: usize, distance: u32, length: usize) -> Option<usize> {
    let to = at.checked_add(1)?.checked_add(distance as usize)?;
    (distance > 0 && to < length).then_some(to)
}

/// All instructions that a jump names by their label.
fn labels(program: &[SockFilter]) -> BTreeSet<usize> {
    let mut labels = BTreeSet::new();
    for (at, &instruction) in program.iter().enumerate() {
        let SockFilter { code, jt, jf, k } = instruction;
        if named(instruction).is_none() {
            continue;
        }
        let distances = match code {
            JA => vec![k],
            _ if opcode::is_branch(code) => vec![jt.into(), jf.into()],
            _ => vec![],
        };
        labels.extend(distances.into_iter().filter_map(|d| labelled(at, d, program.len())));
    }
    labels
}

/// What A is known to hold.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    Nr,
    Arch,
    /// Another part of `struct seccomp_data`.
    Data,
    Other,
}

/// What is known before an instruction runs, on every path to it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    pub a: Held,
    /// The `AUDIT_ARCH_*` value that was compared with and found equal.
    pub arch: Option<u32>,
}

const NOTHING: Known = Known { a: Held::Other, arch: None };

/// What is known before each instruction. One pass is enough, as jumps only
/// go forward.
pub(super) fn knowledge(program: &[SockFilter]) -> Vec<Known> {
    let mut before: Vec<Option<Known>> = vec![None; program.len()];
    if let Some(first) = before.first_mut() {
        *first = Some(NOTHING);
    }
    for (at, &SockFilter { code, jt, jf, k }) in program.iter().enumerate() {
        let Some(known) = before[at] else { continue };
        let mut flow = |distance: u32, known: Known| {
            if let Some(to) = before.get_mut(at + 1 + distance as usize) {
                *to = Some(to.map_or(known, |other| common(other, known)));
            }
        };
        match code {
            RET_K | RET_A => {}
            JA => flow(k, known),
            JEQ_K if known.a == Held::Arch => {
                flow(jt.into(), Known { arch: Some(k), ..known });
                flow(jf.into(), known);
            }
            _ if opcode::is_branch(code) => {
                flow(jt.into(), known);
                flow(jf.into(), known);
            }
            LD_W_ABS if k == 0 => flow(0, Known { a: Held::Nr, ..known }),
            LD_W_ABS if k == 4 => flow(0, Known { a: Held::Arch, ..known }),
            LD_W_ABS => flow(0, Known { a: Held::Data, ..known }),
            LDX_IMM | LDX_MEM | LDX_W_LEN | ST | STX | TAX => flow(0, known),
            _ => flow(0, Known { a: Held::Other, ..known }),
        }
    }
    before.into_iter().map(|known| known.unwrap_or(NOTHING)).collect()
}

/// What holds on both of two paths.
fn common(one: Known, other: Known) -> Known {
    Known {
        a: if one.a == other.a { one.a } else { Held::Other },
        arch: one.arch.filter(|_| one.arch == other.arch),
    }
}

/// One instruction and what its text depends on.
struct Line {
    instruction: SockFilter,
    at: usize,
    length: usize,
    known: Known,
}

impl Line {
    fn target(&self, distance: u32) -> String {
        labelled(self.at, distance, self.length).map_or_else(|| format!("+{distance}"), label)
    }

    /// The immediate of a comparison, and a remark where its meaning is only
    /// likely.
    fn comparison(&self) -> (String, Option<String>) {
        let SockFilter { code, k, .. } = self.instruction;
        let plain = format!("#{}", immediate(code, k));
        match (self.known.a, self.known.arch) {
            (Held::Arch, _) => (arch_name(k).map_or(plain, |name| format!("#{name}")), None),
            (Held::Nr, Some(arch @ (AUDIT_ARCH_X86_64 | AUDIT_ARCH_I386))) if code == JEQ_K => {
                (syscall_symbol(arch, k).map_or(plain, |name| format!("#{name}")), None)
            }
            (Held::Nr, None) if code == JEQ_K => {
                (plain, syscall_name(AUDIT_ARCH_X86_64, k).map(|name| format!("{name} on x86-64")))
            }
            _ => (plain, None),
        }
    }

    /// The jump targets of a conditional jump, and the name that fits them.
    fn branch(&self, name: &'static str) -> (&'static str, String) {
        let SockFilter { jt, jf, .. } = self.instruction;
        let inverted = match name {
            "jeq" => Some("jne"),
            "jge" => Some("jlt"),
            "jgt" => Some("jle"),
            _ => None,
        };
        let (jt_text, jf_text) = (self.target(jt.into()), self.target(jf.into()));
        match inverted {
            _ if jf == 0 => (name, jt_text),
            Some(inverted) if jt == 0 => (inverted, jf_text),
            _ => (name, format!("{jt_text}, {jf_text}")),
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SockFilter { code, jt, jf, k } = self.instruction;
        let Some(row) = named(self.instruction) else {
            return write!(out, ".insn {code:#04x}, {jt}, {jf}, {k:#x}");
        };
        if opcode::is_branch(code) {
            let (operand, remark) = match row.shape {
                Shape::X => ("x".to_owned(), None),
                _ => self.comparison(),
            };
            let (name, targets) = self.branch(row.name);
            write!(out, "{name} {operand}, {targets}")?;
            return remark.map_or(Ok(()), |remark| write!(out, "  ; {remark}"));
        }
        out.write_str(row.name)?;
        match row.shape {
            Shape::Nothing => Ok(()),
            Shape::Immediate if code == RET_K => write!(out, " {}", returned(k)),
            Shape::Immediate => write!(out, " #{}", immediate(code, k)),
            Shape::X => out.write_str(" x"),
            Shape::A => out.write_str(" a"),
            Shape::Length => out.write_str(" len"),
            Shape::Absolute => match field_text(k).filter(|_| code == LD_W_ABS) {
                Some(field) => write!(out, " [{field}]"),
                None => write!(out, " [{}]", number(k)),
            },
            Shape::Indirect => write!(out, " [x + {}]", number(k)),
            Shape::Scratch => write!(out, " M[{k}]"),
            Shape::HeaderLength => write!(out, " 4*([{}]&0xf)", number(k)),
            Shape::Target => write!(out, " {}", self.target(k)),
        }
    }
}

/// Small numbers in decimal, all others in hexadecimal.
fn number(k: u32) -> String {
    if k < 4096 { k.to_string() } else { format!("{k:#x}") }
}

/// An immediate: as bits where it is a mask, else as a number.
fn immediate(code: u16, k: u32) -> String {
    match code {
        AND_K | OR_K | XOR_K | JSET_K => format!("{k:#x}"),
        _ => number(k),
    }
}

/// The operand of `ret`: an action by its name, or the plain word.
fn returned(k: u32) -> String {
    let text = action_text(k);
    if text.starts_with("0x") { format!("#{text}") } else { text }
}
