//! System calls as filters see them.

use arbitrary::{Arbitrary, Result, Unstructured};

use super::Choose;
use crate::abi::{AUDIT_ARCH_I386, AUDIT_ARCH_X86_64, SeccompData, SockFilter};

const NUMBERS: &[i32] = &[39, 83, 0, 1, 59, 231, 335, 336, 450, 511, 512, 547, 999, 0x4000_0000];
const WORDS: &[u32] = &[0, 1, 2, 0xff, 0xfff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0xffff_0000];

/// A system call, but for where the instruction is that makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// Whether it is made through `int $0x80`.
    pub int80: bool,
    /// The number.
    pub nr: i32,
    /// The arguments; below 2^32 through `int $0x80`.
    pub args: [u64; 6],
}

impl Call {
    /// What filters see of it.
    #[must_use]
    pub fn data(&self, instruction_pointer: u64) -> SeccompData {
        SeccompData {
            nr: self.nr,
            arch: if self.int80 { AUDIT_ARCH_I386 } else { AUDIT_ARCH_X86_64 },
            instruction_pointer,
            args: self.args,
        }
    }
}

impl<'a> Arbitrary<'a> for Call {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        data_for(u, &[])
    }
}

/// A call whose registers are on, or beside, what a program compares them
/// with.
pub fn data_for(u: &mut Unstructured<'_>, program: &[SockFilter]) -> Result<Call> {
    let int80 = u.once_in(8);
    let nr = match u.weighted(&[(3, 0), (4, 1), (1, 2)]) {
        0 => u.one(NUMBERS),
        1 => near(u, program) as i32,
        _ => u.arbitrary()?,
    };
    let mut args = [0; 6];
    let set: u8 = u.arbitrary()?;
    for (index, arg) in args.iter_mut().enumerate() {
        // Most calls have something to say in two or three of them.
        if set & 1 << index == 0 {
            continue;
        }
        let word = |u: &mut Unstructured<'_>| match u.weighted(&[(3, 0), (3, 1), (1, 2)]) {
            0 => u.one(WORDS),
            1 => near(u, program),
            _ => u.arbitrary().unwrap_or(0),
        };
        *arg = u64::from(word(u));
        if !int80 && u.once_in(2) {
            *arg |= u64::from(word(u)) << 32;
        }
    }
    Ok(Call { int80, nr, args })
}

/// A constant of a program, or a neighbour of one.
fn near(u: &mut Unstructured<'_>, program: &[SockFilter]) -> u32 {
    if program.is_empty() {
        return u.one(WORDS);
    }
    let at = u.up_to(program.len() - 1);
    program[at].k.wrapping_add(u.one(&[0, 0, 1, u32::MAX]))
}
