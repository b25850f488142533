//! Running a program over `struct seccomp_data`.

use super::code::*;
use crate::abi::{SeccompData, SockFilter};

/// What `ld len` loads: the size of `struct seccomp_data`.
const DATA_SIZE: u32 = 64;

/// The word that `program` returns for `data`, as the kernel computes it.
///
/// Arithmetic is unsigned and wraps at 32 bits; a division by an X of zero
/// ends the program with 0; a shift by X looks at the lower five bits of X; A
/// and X start as 0 (`bpf_convert_filter`). The words of `data` lie in memory
/// as on a little-endian machine.
///
/// It is meant for programs that [`validate`](super::validate()) accepts. It is total on
/// all others too: it reads scratch memory modulo 16, and ends with 0 at an
/// opcode that it does not know, at a load outside of `data`, and at the end
/// of the program.
#[must_use]
pub fn evaluate(program: &[SockFilter], data: &SeccompData) -> u32 {
    let words = words(data);
    let mut scratch = [0_u32; SCRATCH_WORDS as usize];
    let (mut a, mut x) = (0_u32, 0_u32);
    let mut pc = 0;
    while let Some(&SockFilter { code, jt, jf, k }) = program.get(pc) {
        pc += 1;
        let cell = (k % SCRATCH_WORDS) as usize;
        let branch = |holds: bool| usize::from(if holds { jt } else { jf });
        match code {
            LD_W_ABS if k % 4 == 0 && k < DATA_SIZE => a = words[(k / 4) as usize],
            LD_IMM => a = k,
            LDX_IMM => x = k,
            LD_MEM => a = scratch[cell],
            LDX_MEM => x = scratch[cell],
            LD_W_LEN => a = DATA_SIZE,
            LDX_W_LEN => x = DATA_SIZE,
            ST => scratch[cell] = a,
            STX => scratch[cell] = x,
            TAX => x = a,
            TXA => a = x,
            ADD_K => a = a.wrapping_add(k),
            ADD_X => a = a.wrapping_add(x),
            SUB_K => a = a.wrapping_sub(k),
            SUB_X => a = a.wrapping_sub(x),
            MUL_K => a = a.wrapping_mul(k),
            MUL_X => a = a.wrapping_mul(x),
            DIV_K | DIV_X => match a.checked_div(if code == DIV_K { k } else { x }) {
                Some(quotient) => a = quotient,
                None => return 0,
            },
            AND_K => a &= k,
            AND_X => a &= x,
            OR_K => a |= k,
            OR_X => a |= x,
            XOR_K => a ^= k,
            XOR_X => a ^= x,
            LSH_K => a = a.wrapping_shl(k),
            LSH_X => a = a.wrapping_shl(x),
            RSH_K => a = a.wrapping_shr(k),
            RSH_X => a = a.wrapping_shr(x),
            NEG => a = a.wrapping_neg(),
            JA => pc += k as usize,
            JEQ_K => pc += branch(a == k),
            JEQ_X => pc += branch(a == x),
            JGT_K => pc += branch(a > k),
            JGT_X => pc += branch(a > x),
            JGE_K => pc += branch(a >= k),
            JGE_X => pc += branch(a >= x),
            JSET_K => pc += branch(a & k != 0),
            JSET_X => pc += branch(a & x != 0),
            RET_K => return k,
            RET_A => return a,
            _ => return 0,
        }
    }
    0
}

/// Whether `program` allows a call of this number whatever else there is to it,
/// as far as the kernel finds that out for its cache
/// (`seccomp_is_const_allow`): only from loads, masks and comparisons of the
/// number and the architecture.
#[must_use]
pub fn always_allows(program: &[SockFilter], nr: i32, arch: u32) -> bool {
    let mut a = 0;
    let mut pc = 0;
    while let Some(&SockFilter { code, jt, jf, k }) = program.get(pc) {
        pc += 1;
        let branch = |holds: bool| usize::from(if holds { jt } else { jf });
        match (code, k) {
            (LD_W_ABS, 0) => a = nr.cast_unsigned(),
            (LD_W_ABS, 4) => a = arch,
            (AND_K, _) => a &= k,
            (JA, _) => pc += k as usize,
            (JEQ_K, _) => pc += branch(a == k),
            (JGT_K, _) => pc += branch(a > k),
            (JGE_K, _) => pc += branch(a >= k),
            (JSET_K, _) => pc += branch(a & k != 0),
            (RET_K, _) => return k == libc::SECCOMP_RET_ALLOW,
            _ => return false,
        }
    }
    false
}

/// The words of `struct seccomp_data` in the order of their offsets.
fn words(data: &SeccompData) -> [u32; 16] {
    let mut words = [0; 16];
    words[0] = data.nr.cast_unsigned();
    words[1] = data.arch;
    let wide = std::iter::once(&data.instruction_pointer).chain(&data.args);
    for (pair, &value) in words[2..].chunks_exact_mut(2).zip(wide) {
        // The casts keep the lower and the upper half.
        pair[0] = value as u32;
        pair[1] = (value >> 32) as u32;
    }
    words
}
