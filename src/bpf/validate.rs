//! The rules that a program must keep to be installed.

use std::fmt;

use super::code::*;
use super::opcode::{self, Taken};
use crate::abi::SockFilter;

/// Size of `struct seccomp_data` in bytes, the end of what a filter may load.
const DATA_SIZE: u32 = 64;

/// Where the offsets of socket filters' extensions start (`SKF_AD_OFF`).
const ANCILLARY_OFFSET: u32 = 0xffff_f000;

/// Past the last of those extensions (`SKF_AD_MAX`).
const ANCILLARY_END: u32 = ANCILLARY_OFFSET + 64;

/// The first rule that a program breaks, in the order in which the kernel
/// looks, and the instruction that breaks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("instruction {at}: {rule}")]
pub struct Invalid {
    /// The rule.
    pub rule: Rule,
    /// Index of the instruction, counted from 0. For [`Rule::Length`] it is
    /// that of the first instruction missing or too much.
    pub at: usize,
}

/// One rule of the kernel, in the order in which the kernel looks.
///
/// All rules of `bpf_check_classic` are applied to all instructions before
/// the first rule of `seccomp_check_filter` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rule {
    /// A program has 1 to 4096 instructions (`seccomp_prepare_filter`).
    Length,
    /// The opcode is one that some classic program may have
    /// (`chk_code_allowed`), whether the instruction can be reached or not.
    OpcodeUnknown,
    /// `div #0` and `mod #0` are refused (`bpf_check_classic`). A division by
    /// an X that is zero can be refused only as it happens.
    DivisionByZero,
    /// `lsh #k` and `rsh #k` have k < 32 (`bpf_check_classic`).
    ShiftTooFar,
    /// Scratch memory is `M[0]` to `M[15]` (`bpf_check_classic`).
    ScratchOutOfRange,
    /// `ja` ends inside the program, ahead of itself (`bpf_check_classic`).
    JumpOutOfRange,
    /// Both branches of a conditional jump end inside the program
    /// (`bpf_check_classic`).
    BranchOutOfRange,
    /// A load from `SKF_AD_OFF` upwards names an extension that exists
    /// (`bpf_check_classic`). Those that exist fail [`Rule::DataOffset`] later.
    AncillaryUnknown,
    /// The last instruction is `ret #k` or `ret a` (`bpf_check_classic`).
    LastIsNoReturn,
    /// A word of scratch memory is stored before it is loaded
    /// (`check_load_and_stores`).
    ///
    /// The kernel follows the text rather than the paths: what was stored
    /// before a return counts for the instruction after it, so a load that a
    /// store precedes on every real path may be refused. After a jump,
    /// unreachable code counts as having everything stored.
    ScratchNotStored,
    /// The opcode is one of the 41 that seccomp takes
    /// (`seccomp_check_filter`).
    OpcodeForbidden,
    /// `ld [k]` has k < 64, and k is a multiple of 4
    /// (`seccomp_check_filter`).
    DataOffset,
}

impl Rule {
    /// The positive error number that installation fails with: `EINVAL`, for
    /// every rule.
    #[must_use]
    pub const fn errno(self) -> i32 {
        libc::EINVAL
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Length => "a program has 1 to 4096 instructions",
            Self::OpcodeUnknown => "no such opcode",
            Self::DivisionByZero => "division by the constant 0",
            Self::ShiftTooFar => "shift by a constant of 32 or more",
            Self::ScratchOutOfRange => "scratch memory ends at M[15]",
            Self::JumpOutOfRange => "jump out of the program",
            Self::BranchOutOfRange => "conditional jump out of the program",
            Self::AncillaryUnknown => "no such socket filter extension",
            Self::LastIsNoReturn => "the last instruction is neither `ret #k` nor `ret a`",
            Self::ScratchNotStored => "load from scratch memory that was not stored on every path",
            Self::OpcodeForbidden => "opcode is for socket filters only",
            Self::DataOffset => "offset is not that of a word of struct seccomp_data",
        })
    }
}

/// Whether the kernel would take `program` as a filter, all else being well.
///
/// # Errors
///
/// The first rule broken, in the kernel's order: `seccomp_prepare_filter`,
/// `bpf_check_classic` with `check_load_and_stores`, `seccomp_check_filter`.
pub fn validate(program: &[SockFilter]) -> Result<(), Invalid> {
    if program.is_empty() || program.len() > MAX_INSTRUCTIONS {
        let at = program.len().min(MAX_INSTRUCTIONS);
        return Err(Invalid { rule: Rule::Length, at });
    }
    first_broken(program, |at| classic_rule(program, at))?;
    let last = program.len() - 1;
    if !matches!(program[last].code, RET_K | RET_A) {
        return Err(Invalid { rule: Rule::LastIsNoReturn, at: last });
    }
    if let Some(at) = load_before_store(program) {
        return Err(Invalid { rule: Rule::ScratchNotStored, at });
    }
    first_broken(program, |at| seccomp_rule(program[at]))
}

/// Applies one pass of rules to every instruction.
fn first_broken(
    program: &[SockFilter],
    broken: impl Fn(usize) -> Option<Rule>,
) -> Result<(), Invalid> {
    (0..program.len())
        .find_map(|at| broken(at).map(|rule| Invalid { rule, at }))
        .map_or(Ok(()), Err)
}

/// The rule of `bpf_check_classic` that one instruction breaks.
fn classic_rule(program: &[SockFilter], at: usize) -> Option<Rule> {
    let SockFilter { code, jt, jf, k } = program[at];
    let after = program.len() - at - 1;
    let broken = |holds: bool, rule| (!holds).then_some(rule);
    match code {
        DIV_K | MOD_K => broken(k != 0, Rule::DivisionByZero),
        LSH_K | RSH_K => broken(k < 32, Rule::ShiftTooFar),
        LD_MEM | LDX_MEM | ST | STX => broken(k < SCRATCH_WORDS, Rule::ScratchOutOfRange),
        JA => broken((k as usize) < after, Rule::JumpOutOfRange),
        LD_W_ABS | LD_H_ABS | LD_B_ABS => {
            let extension = (ANCILLARY_OFFSET..ANCILLARY_END).contains(&k) && k.is_multiple_of(4);
            broken(k < ANCILLARY_OFFSET || extension, Rule::AncillaryUnknown)
        }
        _ if opcode::is_branch(code) => {
            broken(usize::from(jt.max(jf)) < after, Rule::BranchOutOfRange)
        }
        _ => {
            let taken = opcode::find(code).map_or(Taken::Nobody, |row| row.taken);
            broken(taken != Taken::Nobody, Rule::OpcodeUnknown)
        }
    }
}

/// The rule of `seccomp_check_filter` that one instruction breaks.
fn seccomp_rule(instruction: SockFilter) -> Option<Rule> {
    let SockFilter { code, k, .. } = instruction;
    let taken = opcode::find(code).map(|row| row.taken);
    if taken != Some(Taken::Seccomp) {
        Some(Rule::OpcodeForbidden)
    } else if code == LD_W_ABS && (k >= DATA_SIZE || !k.is_multiple_of(4)) {
        Some(Rule::DataOffset)
    } else {
        None
    }
}

/// The first load from scratch memory that `check_load_and_stores` refuses.
///
/// One bit a word. A jump hands the words stored so far to its targets, and
/// lets the next instruction start with all of them; a return does neither.
fn load_before_store(program: &[SockFilter]) -> Option<usize> {
    let mut handed_over = vec![u16::MAX; program.len()];
    let mut stored = 0;
    for (at, &SockFilter { code, jt, jf, k }) in program.iter().enumerate() {
        stored &= handed_over[at];
        match code {
            ST | STX => stored |= 1 << k,
            LD_MEM | LDX_MEM if stored & (1 << k) == 0 => return Some(at),
            JA => {
                handed_over[at + 1 + k as usize] &= stored;
                stored = u16::MAX;
            }
            _ if opcode::is_branch(code) => {
                handed_over[at + 1 + usize::from(jt)] &= stored;
                handed_over[at + 1 + usize::from(jf)] &= stored;
                stored = u16::MAX;
            }
            _ => {}
        }
    }
    None
}
