//! Filter programs.

use arbitrary::{Arbitrary, Result, Unstructured};

use super::{Call, Choose, data_for};
use crate::abi::{AUDIT_ARCH_X86_64, SockFilter};
use crate::bpf::code::*;
use crate::bpf::{Program, validate};
use crate::filter::{Action, Comparison, Condition, Field};

/// Opcodes that seccomp takes, simplest first.
const TAKEN: &[u16] = &[
    RET_K, RET_A, LD_W_ABS, LD_IMM, LDX_IMM, JEQ_K, JGT_K, JGE_K, JSET_K, JA, JEQ_X, JGT_X, JGE_X,
    JSET_X, ST, STX, LD_MEM, LDX_MEM, TAX, TXA, ADD_K, ADD_X, SUB_K, SUB_X, MUL_K, MUL_X, DIV_K,
    DIV_X, AND_K, AND_X, OR_K, OR_X, XOR_K, XOR_X, LSH_K, LSH_X, RSH_K, RSH_X, NEG, LD_W_LEN,
    LDX_W_LEN,
];
/// Opcodes that only sockets take, and some that nobody does.
const REFUSED: &[u16] = &[
    LD_H_ABS,
    LD_B_ABS,
    LD_W_IND,
    LD_H_IND,
    LD_B_IND,
    LDX_B_MSH,
    MOD_K,
    MOD_X,
    RET_X,
    0x02 | 0x40,
    0x8c,
    0x17,
    0xffff,
    0x100,
    0xa0,
];
const CONSTANTS: &[u32] = &[
    0,
    1,
    2,
    4,
    8,
    16,
    20,
    31,
    32,
    60,
    63,
    64,
    15,
    0xff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0xffff_f000,
    0xffff_f004,
    0xffff_f040,
    0xc000_003e,
    0x4000_0003,
    0x4000_0000,
    83,
    39,
];
const ACTIONS: &[Action] = &[
    Action::Allow,
    Action::Errno(1),
    Action::Errno(0),
    Action::Errno(4095),
    Action::Errno(4096),
    Action::Errno(0xffff),
    Action::Trap(0),
    Action::Trap(0xffff),
    Action::KillThread,
    Action::KillProcess,
    Action::UserNotif,
    Action::Trace(7),
    Action::Log,
    Action::Raw(0x7ffd_0000),
    Action::Raw(0x0001_0000),
];

impl<'a> Arbitrary<'a> for Program {
    /// Random, nearly valid, valid, or such as libraries emit.
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        match u.weighted(&[(6, 0), (4, 1), (3, 2), (1, 3)]) {
            0 => valid(u),
            1 => Ok(realistic(u)),
            2 => {
                let mut program = valid(u)?;
                for _ in 0..=u.up_to(2) {
                    spoil(u, &mut program.0)?;
                }
                Ok(program)
            }
            _ => Ok(Program(random(u)?)),
        }
    }
}

/// Instructions as they come.
fn random(u: &mut Unstructured<'_>) -> Result<Vec<SockFilter>> {
    // Long ones take hundreds of times as long as short ones.
    let len = match u.weighted(&[(984, 0), (26, 1), (12, 2), (2, 3)]) {
        0 => 1 + u.up_to(20),
        1 => 1 + u.up_to(300),
        2 => 0,
        _ => u.one(&[4095, 4096, 4097]),
    };
    let mut program: Vec<SockFilter> = Vec::with_capacity(len);
    while program.len() < len {
        let left = (len - program.len() - 1).min(255) as u8;
        // When the bytes end, all that follows is the same.
        let next = instruction(u, left)?;
        program.push(next);
    }
    Ok(program)
}

fn instruction(u: &mut Unstructured<'_>, left: u8) -> Result<SockFilter> {
    let code = u.weighted(&[(40, 0), (1, 1), (1, 2)]);
    let code = match code {
        // Returns end most paths early: they are rarer here than elsewhere.
        0 if left > 0 && !u.once_in(12) => u.one(&TAKEN[2..]),
        0 => u.one(&TAKEN[..2]),
        1 => u.one(REFUSED),
        _ => u.arbitrary()?,
    };
    let k = match code {
        LD_W_ABS if !u.once_in(30) => 4 * u.up_to(15) as u32,
        ST | STX | LD_MEM | LDX_MEM if !u.once_in(30) => u.up_to(15) as u32,
        LSH_K | RSH_K if !u.once_in(30) => u.up_to(31) as u32,
        JA => u.up_to(usize::from(left)) as u32,
        RET_K if !u.once_in(4) => u.one(ACTIONS).to_u32(),
        _ => match u.weighted(&[(3, 0), (1, 1)]) {
            0 => u.one(CONSTANTS),
            _ => u.arbitrary()?,
        },
    };
    let reach = usize::from(left.min(12));
    let (jt, jf) = (u.up_to(reach) as u8, u.up_to(reach) as u8);
    Ok(SockFilter { code, jt, jf, k })
}

/// Random instructions, each that breaks a rule replaced.
fn valid(u: &mut Unstructured<'_>) -> Result<Program> {
    let mut program = random(u)?;
    program.truncate(MAX_INSTRUCTIONS);
    let last = stmt(RET_K, u.one(ACTIONS).to_u32());
    match program.last_mut() {
        Some(end) if !matches!(end.code, RET_K | RET_A) => *end = last,
        None => program.push(last),
        _ => {}
    }
    let filler = stmt(LD_W_ABS, 16);
    // Each instruction once: rules that are wrong may find fault for ever.
    for _ in 0..program.len() {
        let Err(invalid) = validate(&program) else { break };
        program[invalid.at] = if invalid.at + 1 < program.len() { filler } else { last };
    }
    Ok(Program(program))
}

/// Breaks one field of one instruction, or adds or takes one away.
fn spoil(u: &mut Unstructured<'_>, program: &mut Vec<SockFilter>) -> Result<()> {
    let at = u.up_to(program.len().saturating_sub(1));
    let Some(instruction) = program.get_mut(at) else { return Ok(()) };
    match u.up_to(5) {
        0 => instruction.k = u.one(CONSTANTS),
        1 => instruction.code = u.one(REFUSED),
        2 => instruction.code = u.one(TAKEN),
        3 => instruction.jt = u.one(&[0, 1, 12, 255]),
        4 => instruction.jf = u.one(&[0, 1, 12, 255]),
        _ => drop(program.remove(at)),
    }
    Ok(())
}

/// What libseccomp emits: the architecture first, a tree of comparisons of the
/// number, and for some calls a chain of comparisons of 64-bit arguments.
fn realistic(u: &mut Unstructured<'_>) -> Program {
    let mut numbers: Vec<u32> = (0..=u.up_to(12)).map(|_| u.up_to(450) as u32).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let foreign = stmt(RET_K, u.one(ACTIONS).to_u32());
    let default = stmt(RET_K, u.one(ACTIONS).to_u32());
    let mut program = vec![
        stmt(LD_W_ABS, 4),
        jump(JEQ_K, AUDIT_ARCH_X86_64, 1, 0),
        foreign,
        stmt(LD_W_ABS, 0),
        // Numbers of x32, but not -1.
        jump(JGE_K, 0x4000_0000, 0, 2),
        jump(JEQ_K, u32::MAX, 1, 0),
        foreign,
    ];
    search(u, &numbers, default, &mut program);
    Program(program)
}

fn search(
    u: &mut Unstructured<'_>,
    numbers: &[u32],
    default: SockFilter,
    program: &mut Vec<SockFilter>,
) {
    let fork = program.len();
    match numbers {
        [] => program.push(default),
        [number] => {
            program.push(jump(JEQ_K, *number, 0, 0));
            for _ in 0..u.up_to(3) {
                let offset = 16 + 8 * u.up_to(5) as u32;
                let (high, low) = (u.one(&[0_u32, 0, 1]), u.one(CONSTANTS));
                let test = u.one(&[JEQ_K, JGT_K, JGE_K, JSET_K]);
                program.extend([
                    stmt(LD_W_ABS, offset + 4),
                    jump(JEQ_K, high, 0, 0),
                    stmt(LD_W_ABS, offset),
                    jump(test, low, 0, 0),
                ]);
            }
            program.push(stmt(RET_K, u.one(ACTIONS).to_u32()));
            // What does not hold leads to what follows.
            let end = program.len();
            for (at, instruction) in program.iter_mut().enumerate().skip(fork) {
                if !matches!(instruction.code, LD_W_ABS | RET_K) {
                    instruction.jf = (end - at - 1) as u8;
                }
            }
            program.push(default);
        }
        _ => {
            let (left, right) = numbers.split_at(numbers.len() / 2);
            program.push(jump(JGE_K, right[0], 0, 0));
            search(u, left, default, program);
            program[fork].jt = (program.len() - fork - 1) as u8;
            search(u, right, default, program);
        }
    }
}

/// A condition of a rule.
pub(super) fn condition(u: &mut Unstructured<'_>) -> Condition {
    let comparison = u.one(&[
        Comparison::Equal,
        Comparison::NotEqual,
        Comparison::Less,
        Comparison::LessOrEqual,
        Comparison::Greater,
        Comparison::GreaterOrEqual,
    ]);
    let mask = u.once_in(3).then(|| u.one(&[0xff, 0x40, 0xffff_ffff, 1 << 63]));
    let value = u.one(&[0o700, 0, 1, 0x40, u64::MAX, 1 << 32]);
    Condition { field: Field::Arg(u.up_to(2) as u8), mask, comparison, value }
}

/// Programs and calls for them, and who looks on.
#[derive(Clone, Debug)]
pub struct Case {
    /// The programs, oldest first.
    pub programs: Vec<Program>,
    /// The calls.
    pub calls: Vec<Call>,
    /// Who looks on.
    pub onlooker: Onlooker,
    /// Whether calls are made that should be the end of a task. Each costs
    /// another task, or process.
    pub deadly: bool,
}

/// Who looks on, and so tells apart what else looks the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Onlooker {
    /// Nobody.
    None,
    /// A supervisor with the listener of the program of this index, modulo how
    /// many there are.
    Supervisor(u8),
    /// A tracer.
    Tracer,
}

/// How many calls a case has.
const CALLS: usize = 34;

fn case(u: &mut Unstructured<'_>, programs: Vec<Program>, onlooker: Onlooker) -> Result<Case> {
    let all: Vec<SockFilter> = programs.iter().flat_map(|one| one.0.iter().copied()).collect();
    let deadly = u.once_in(4);
    let calls = (0..CALLS).map(|_| data_for(u, &all)).collect::<Result<_>>()?;
    Ok(Case { programs, calls, onlooker, deadly })
}

impl<'a> Arbitrary<'a> for Onlooker {
    /// Each turn of these takes its time, so they are rare.
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(match u.weighted(&[(120, 0), (7, 1), (1, 2)]) {
            0 => Onlooker::None,
            1 => Onlooker::Supervisor(u.up_to(4) as u8),
            _ => Onlooker::Tracer,
        })
    }
}

impl<'a> Arbitrary<'a> for Case {
    /// One program, whether the kernel takes it or not.
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let onlooker = u.arbitrary()?;
        let programs = vec![u.arbitrary()?];
        case(u, programs, onlooker)
    }
}

/// A stack of programs that the kernel takes, and calls for it.
#[derive(Clone, Debug)]
pub struct Stack(pub Case);

impl<'a> Arbitrary<'a> for Stack {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let onlooker = u.arbitrary()?;
        let programs: Vec<Program> = (0..=u.up_to(4))
            .map(|_| if u.once_in(2) { Ok(realistic(u)) } else { valid(u) })
            .collect::<Result<_>>()?;
        case(u, programs, onlooker).map(Stack)
    }
}
