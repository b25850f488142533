//! Opcodes, and instructions made of them.
//!
//! Every opcode is named whole (`BPF_JMP | BPF_JEQ | BPF_K` is [`JEQ_K`]), as
//! a filter has only a few of them and a whole name can be matched on. A is
//! the accumulator, X the index register, M the 16 words of scratch memory and
//! k, jt, jf the fields of [`SockFilter`].

use crate::abi::SockFilter;

/// Words of scratch memory, `M[0]` to `M[15]` (`BPF_MEMWORDS`).
pub const SCRATCH_WORDS: u32 = 16;

/// The most instructions that a program may have (`BPF_MAXINSNS`).
pub const MAX_INSTRUCTIONS: usize = 4096;

/// An instruction that does not branch by a condition (`BPF_STMT`).
#[must_use]
pub const fn stmt(code: u16, k: u32) -> SockFilter {
    jump(code, k, 0, 0)
}

/// An instruction that skips `jt` instructions where its test holds, else `jf`
/// (`BPF_JUMP`).
#[must_use]
pub const fn jump(code: u16, k: u32, jt: u8, jf: u8) -> SockFilter {
    SockFilter { code, jt, jf, k }
}

/// A = k.
pub const LD_IMM: u16 = 0x00;
/// X = k.
pub const LDX_IMM: u16 = 0x01;
/// `M[k]` = A.
pub const ST: u16 = 0x02;
/// `M[k]` = X.
pub const STX: u16 = 0x03;
/// A = the 32-bit word at byte offset k of `struct seccomp_data`.
pub const LD_W_ABS: u16 = 0x20;
/// A = 16 bits at offset k. For sockets only.
pub const LD_H_ABS: u16 = 0x28;
/// A = 8 bits at offset k. For sockets only.
pub const LD_B_ABS: u16 = 0x30;
/// A = the word at offset X + k. For sockets only.
pub const LD_W_IND: u16 = 0x40;
/// A = 16 bits at offset X + k. For sockets only.
pub const LD_H_IND: u16 = 0x48;
/// A = 8 bits at offset X + k. For sockets only.
pub const LD_B_IND: u16 = 0x50;
/// A = `M[k]`.
pub const LD_MEM: u16 = 0x60;
/// X = `M[k]`.
pub const LDX_MEM: u16 = 0x61;
/// A = 64, the size of `struct seccomp_data`, whatever k.
pub const LD_W_LEN: u16 = 0x80;
/// X = 64, the size of `struct seccomp_data`, whatever k.
pub const LDX_W_LEN: u16 = 0x81;
/// X = 4 * (8 bits at offset k & 0xf). For sockets only.
pub const LDX_B_MSH: u16 = 0xb1;
/// A = A + k, wrapping.
pub const ADD_K: u16 = 0x04;
/// A = A + X, wrapping.
pub const ADD_X: u16 = 0x0c;
/// A = A - k, wrapping.
pub const SUB_K: u16 = 0x14;
/// A = A - X, wrapping.
pub const SUB_X: u16 = 0x1c;
/// A = A * k, wrapping.
pub const MUL_K: u16 = 0x24;
/// A = A * X, wrapping.
pub const MUL_X: u16 = 0x2c;
/// A = A / k, unsigned.
pub const DIV_K: u16 = 0x34;
/// A = A / X, unsigned. X = 0 ends the program with 0.
pub const DIV_X: u16 = 0x3c;
/// A = A | k.
pub const OR_K: u16 = 0x44;
/// A = A | X.
pub const OR_X: u16 = 0x4c;
/// A = A & k.
pub const AND_K: u16 = 0x54;
/// A = A & X.
pub const AND_X: u16 = 0x5c;
/// A = A << k.
pub const LSH_K: u16 = 0x64;
/// A = A << (X & 31).
pub const LSH_X: u16 = 0x6c;
/// A = A >> k, unsigned.
pub const RSH_K: u16 = 0x74;
/// A = A >> (X & 31), unsigned.
pub const RSH_X: u16 = 0x7c;
/// A = A % k. For sockets only.
pub const MOD_K: u16 = 0x94;
/// A = A % X. For sockets only.
pub const MOD_X: u16 = 0x9c;
/// A = A ^ k.
pub const XOR_K: u16 = 0xa4;
/// A = A ^ X.
pub const XOR_X: u16 = 0xac;
/// A = 0 - A, wrapping.
pub const NEG: u16 = 0x84;
/// Skips k instructions.
pub const JA: u16 = 0x05;
/// Skips jt instructions where A == k, else jf.
pub const JEQ_K: u16 = 0x15;
/// Skips jt instructions where A == X, else jf.
pub const JEQ_X: u16 = 0x1d;
/// Skips jt instructions where A > k, unsigned, else jf.
pub const JGT_K: u16 = 0x25;
/// Skips jt instructions where A > X, unsigned, else jf.
pub const JGT_X: u16 = 0x2d;
/// Skips jt instructions where A >= k, unsigned, else jf.
pub const JGE_K: u16 = 0x35;
/// Skips jt instructions where A >= X, unsigned, else jf.
pub const JGE_X: u16 = 0x3d;
/// Skips jt instructions where A & k != 0, else jf.
pub const JSET_K: u16 = 0x45;
/// Skips jt instructions where A & X != 0, else jf.
pub const JSET_X: u16 = 0x4d;
/// Ends with k.
pub const RET_K: u16 = 0x06;
/// Ends with X. The kernel takes it nowhere.
pub const RET_X: u16 = 0x0e;
/// Ends with A.
pub const RET_A: u16 = 0x16;
/// X = A.
pub const TAX: u16 = 0x07;
/// A = X.
pub const TXA: u16 = 0x87;
