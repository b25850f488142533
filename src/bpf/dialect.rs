//! Programs as two other tools write them. [`assemble`](super::assemble()) reads
//! both.

use std::fmt::Write as _;

use super::code::*;
use super::disassemble::{Held, Known, knowledge, named};
use super::opcode::{self, Shape};
use super::symbol::{action_text, arch_name, field_text, syscall_name};
use crate::abi::{AUDIT_ARCH_I386, AUDIT_ARCH_X86_64, SockFilter};

/// The length of `struct seccomp_data`, which is all that `len` can be.
const DATA_LEN: u32 = 64;

/// A program in the language of the kernel's `tools/bpf/bpf_asm`: numbers alone,
/// and a label at the end of each jump.
///
/// # Errors
///
/// The index of the first instruction that this language cannot say: one without
/// a name, one with fields set that it does not use, or a jump out of the
/// program.
pub fn bpf_asm_text(program: &[SockFilter]) -> Result<String, usize> {
    let mut text = String::new();
    for (at, &instruction) in program.iter().enumerate() {
        let SockFilter { code, jt, jf, k } = instruction;
        let row = named(instruction).ok_or(at)?;
        let label = |distance: u32| {
            let to = at + 1 + distance as usize;
            if to < program.len() { Ok(format!("L{to}")) } else { Err(at) }
        };
        let operand = match row.shape {
            Shape::Nothing => String::new(),
            Shape::Immediate => format!(" #{k:#x}"),
            Shape::X => " x".to_owned(),
            Shape::A => " a".to_owned(),
            Shape::Length => " len".to_owned(),
            Shape::Absolute => format!(" [{k}]"),
            Shape::Indirect => format!(" [x + {k}]"),
            Shape::Scratch => format!(" M[{k}]"),
            Shape::HeaderLength => format!(" 4*([{k}]&0xf)"),
            Shape::Target => format!(" {}", label(k)?),
        };
        let _ = write!(text, "L{at}: {}{operand}", row.name);
        if opcode::is_branch(code) {
            let _ = write!(text, ", {}, {}", label(jt.into())?, label(jf.into())?);
        }
        text.push('\n');
    }
    Ok(text)
}

/// A program as `seccomp-tools dump` lists it: the fields of each instruction,
/// and what it does.
#[must_use]
pub fn seccomp_tools_text(program: &[SockFilter]) -> String {
    let mut text = " line  CODE  JT   JF      K\n".to_owned() + &"=".repeat(33) + "\n";
    let known = knowledge(program);
    for (at, &instruction) in program.iter().enumerate() {
        let SockFilter { code, jt, jf, k } = instruction;
        let fields = format!("{code:#04x} {jt:#04x} {jf:#04x} {k:#010x}");
        let _ = writeln!(text, " {at:04}: {fields}  {}", statement(instruction, at, known[at]));
    }
    text
}

/// What an instruction does.
fn statement(SockFilter { code, jt, jf, k }: SockFilter, at: usize, known: Known) -> String {
    let Some(row) = opcode::find(code) else { return "invalid".to_owned() };
    let goto = |distance: u32| format!("goto {:04}", at + 1 + distance as usize);
    let register = if code & 7 == LDX_IMM { 'X' } else { 'A' };
    match row.name {
        "ld" | "ldx" | "ldh" | "ldb" => match row.shape {
            Shape::Immediate => format!("{register} = {k}"),
            Shape::Length => format!("{register} = {DATA_LEN}"),
            Shape::Scratch => format!("{register} = mem[{k}]"),
            Shape::Absolute if row.name == "ld" => format!("A = {}", field(k)),
            _ => "invalid".to_owned(),
        },
        "st" => format!("mem[{k}] = A"),
        "stx" => format!("mem[{k}] = X"),
        "tax" => "X = A".to_owned(),
        "txa" => "A = X".to_owned(),
        "neg" => "A = -A".to_owned(),
        "ja" => goto(k),
        "ret" => match row.shape {
            Shape::Immediate => format!("return {}", returned(k)),
            Shape::A => "return A".to_owned(),
            _ => "invalid".to_owned(),
        },
        "jeq" | "jgt" | "jge" | "jset" => match (jt, jf) {
            (0, 0) => "/* no-op */".to_owned(),
            _ if jt == jf => goto(jt.into()),
            (0, _) => format!("if ({}) {}", condition(code, k, known, true), goto(jf.into())),
            (_, 0) => format!("if ({}) {}", condition(code, k, known, false), goto(jt.into())),
            _ => {
                let condition = condition(code, k, known, false);
                format!("if ({condition}) {} else {}", goto(jt.into()), goto(jf.into()))
            }
        },
        name => {
            let operand = match row.shape {
                Shape::X => "X".to_owned(),
                _ if ["lsh", "rsh"].contains(&name) => k.to_string(),
                _ => format!("{k:#x}"),
            };
            operator(name).map_or("invalid".to_owned(), |sign| format!("A {sign}= {operand}"))
        }
    }
}

fn operator(name: &str) -> Option<&'static str> {
    Some(match name {
        "add" => "+",
        "sub" => "-",
        "mul" => "*",
        "div" => "/",
        "and" => "&",
        "or" => "|",
        "xor" => "^",
        "lsh" => "<<",
        "rsh" => ">>",
        _ => return None,
    })
}

/// The part of `struct seccomp_data` at an offset.
fn field(offset: u32) -> String {
    let Some(name) = field_text(offset) else { return "INVALID".to_owned() };
    match name.as_str() {
        "nr" => "sys_number".to_owned(),
        "ip" => "instruction_pointer".to_owned(),
        "ip_hi" => "instruction_pointer >> 32".to_owned(),
        name => name.strip_suffix(".hi").map_or(name.to_owned(), |low| format!("{low} >> 32")),
    }
}

fn condition(code: u16, k: u32, known: Known, negated: bool) -> String {
    let operand = match (code, known.a) {
        (JEQ_X | JGT_X | JGE_X | JSET_X, _) => "X".to_owned(),
        (_, Held::Other) => k.to_string(),
        (_, Held::Arch) => arch_name(k).map_or(format!("{k:#x}"), |name| {
            format!("ARCH_{}", name.trim_start_matches("AUDIT_ARCH_"))
        }),
        (JEQ_K, Held::Nr) => {
            let arch = known.arch.unwrap_or(AUDIT_ARCH_X86_64);
            let prefix = if arch == AUDIT_ARCH_I386 { "i386." } else { "" };
            let name = syscall_name(arch, k).map(|name| format!("{prefix}{name}"));
            name.unwrap_or(format!("{k:#x}"))
        }
        (_, Held::Nr | Held::Data) => format!("{k:#x}"),
    };
    let sign = match (code, negated) {
        (JEQ_K | JEQ_X, false) => "==",
        (JEQ_K | JEQ_X, true) => "!=",
        (JGT_K | JGT_X, false) => ">",
        (JGT_K | JGT_X, true) => "<=",
        (JGE_K | JGE_X, false) => ">=",
        (JGE_K | JGE_X, true) => "<",
        (_, true) => return format!("!(A & {operand})"),
        (_, false) => "&",
    };
    format!("A {sign} {operand}")
}

/// The name of an action, its data as a number.
fn returned(word: u32) -> String {
    let data = word & libc::SECCOMP_RET_DATA;
    let name = action_text(word & libc::SECCOMP_RET_ACTION_FULL);
    match name.as_str() {
        "ERRNO(0)" => format!("ERRNO({data})"),
        "TRAP" | "TRACE" if data > 0 => format!("{name}({data})"),
        "KILL_THREAD" => "KILL".to_owned(),
        _ if name.starts_with("0x") => format!("{word:#x}"),
        _ => name,
    }
}
