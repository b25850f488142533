//! The one table of instructions that have a name, read by the assembler, the
//! disassembler and the validity rules alike.

use std::fmt;

use super::code::*;

/// What an instruction works on, as its text shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Nothing, as in `tax`.
    Nothing,
    /// `#k`.
    Immediate,
    /// `x`.
    X,
    /// `a`.
    A,
    /// `len`.
    Length,
    /// `[k]`.
    Absolute,
    /// `[x + k]`.
    Indirect,
    /// `M[k]`.
    Scratch,
    /// `4*([k]&0xf)`.
    HeaderLength,
    /// A jump target and nothing else.
    Target,
}

impl Shape {
    /// Whether k is part of the text, so that any k can be written.
    pub(super) fn shows_k(self) -> bool {
        !matches!(self, Self::Nothing | Self::X | Self::A | Self::Length)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Nothing => "nothing",
            Self::Immediate => "`#k`",
            Self::X => "`x`",
            Self::A => "`a`",
            Self::Length => "`len`",
            Self::Absolute => "`[k]`",
            Self::Indirect => "`[x + k]`",
            Self::Scratch => "`M[k]`",
            Self::HeaderLength => "`4*([k]&0xf)`",
            Self::Target => "a label or `+n`",
        })
    }
}

/// What kind of filter may have an opcode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// Socket filters and seccomp take it (`seccomp_check_filter`).
    Seccomp,
    /// Only socket filters do (`chk_code_allowed`).
    Sockets,
    /// Nothing does, yet it has a usual name.
    Nobody,
}

/// One row: opcode, name, what it works on, who takes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opcode {
    pub(super) code: u16,
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    pub(super) taken: Taken,
}

/// Whether `code` is a conditional jump, so that jt and jf mean something.
pub(super) fn is_branch(code: u16) -> bool {
    matches!(code, JEQ_K | JEQ_X | JGT_K | JGT_X | JGE_K | JGE_X | JSET_K | JSET_X)
}

/// The row of `code`, if it has a name.
pub(super) fn find(code: u16) -> Option<&'static Opcode> {
    OPCODES.iter().find(|row| row.code == code)
}

const fn row(code: u16, name: &'static str, shape: Shape, taken: Taken) -> Opcode {
    Opcode { code, name, shape, taken }
}

/// A row that seccomp takes.
const fn ours(code: u16, name: &'static str, shape: Shape) -> Opcode {
    row(code, name, shape, Taken::Seccomp)
}

/// A row that only socket filters may have.
const fn theirs(code: u16, name: &'static str, shape: Shape) -> Opcode {
    row(code, name, shape, Taken::Sockets)
}

/// Every opcode that has a name.
pub(super) const OPCODES: &[Opcode] = &[
    ours(LD_W_ABS, "ld", Shape::Absolute),
    ours(LD_IMM, "ld", Shape::Immediate),
    ours(LD_MEM, "ld", Shape::Scratch),
    ours(LD_W_LEN, "ld", Shape::Length),
    theirs(LD_W_IND, "ld", Shape::Indirect),
    theirs(LD_H_ABS, "ldh", Shape::Absolute),
    theirs(LD_H_IND, "ldh", Shape::Indirect),
    theirs(LD_B_ABS, "ldb", Shape::Absolute),
    theirs(LD_B_IND, "ldb", Shape::Indirect),
    ours(LDX_IMM, "ldx", Shape::Immediate),
    ours(LDX_MEM, "ldx", Shape::Scratch),
    ours(LDX_W_LEN, "ldx", Shape::Length),
    theirs(LDX_B_MSH, "ldx", Shape::HeaderLength),
    ours(ST, "st", Shape::Scratch),
    ours(STX, "stx", Shape::Scratch),
    ours(ADD_K, "add", Shape::Immediate),
    ours(ADD_X, "add", Shape::X),
    ours(SUB_K, "sub", Shape::Immediate),
    ours(SUB_X, "sub", Shape::X),
    ours(MUL_K, "mul", Shape::Immediate),
    ours(MUL_X, "mul", Shape::X),
    ours(DIV_K, "div", Shape::Immediate),
    ours(DIV_X, "div", Shape::X),
    theirs(MOD_K, "mod", Shape::Immediate),
    theirs(MOD_X, "mod", Shape::X),
    ours(OR_K, "or", Shape::Immediate),
    ours(OR_X, "or", Shape::X),
    ours(AND_K, "and", Shape::Immediate),
    ours(AND_X, "and", Shape::X),
    ours(XOR_K, "xor", Shape::Immediate),
    ours(XOR_X, "xor", Shape::X),
    ours(LSH_K, "lsh", Shape::Immediate),
    ours(LSH_X, "lsh", Shape::X),
    ours(RSH_K, "rsh", Shape::Immediate),
    ours(RSH_X, "rsh", Shape::X),
    ours(NEG, "neg", Shape::Nothing),
    ours(TAX, "tax", Shape::Nothing),
    ours(TXA, "txa", Shape::Nothing),
    ours(JA, "ja", Shape::Target),
    ours(JEQ_K, "jeq", Shape::Immediate),
    ours(JEQ_X, "jeq", Shape::X),
    ours(JGT_K, "jgt", Shape::Immediate),
    ours(JGT_X, "jgt", Shape::X),
    ours(JGE_K, "jge", Shape::Immediate),
    ours(JGE_X, "jge", Shape::X),
    ours(JSET_K, "jset", Shape::Immediate),
    ours(JSET_X, "jset", Shape::X),
    ours(RET_K, "ret", Shape::Immediate),
    ours(RET_A, "ret", Shape::A),
    row(RET_X, "ret", Shape::X, Taken::Nobody),
];
