//! Rules to instructions.

use super::condition::{Comparison, Condition, Field};
use super::layout::{Label, Layout, Target};
use super::rule::{Rule, Rules};
use super::syscall::{Arch, Syscall};
use crate::bpf::Program;
use crate::bpf::code::{AND_K, JEQ_K, JGE_K, JGT_K, LD_W_ABS, MAX_INSTRUCTIONS, RET_K};

/// Offsets in `struct seccomp_data`.
const NR: u32 = 0;
const ARCH: u32 = 4;
const INSTRUCTION_POINTER: u32 = 8;
const ARGS: u32 = 16;

/// Rules that no program can be made of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// The table of the rule's architecture has no call of that name.
    #[error("rule {rule}: {arch} has no system call `{name}`")]
    UnknownSyscall {
        /// Index of the rule, counted from 0.
        rule: usize,
        /// The architecture of the rule.
        arch: Arch,
        /// The name.
        name: String,
    },
    /// A call has only the arguments 0 to 5.
    #[error("rule {rule}: there is no args[{argument}]")]
    NoSuchArgument {
        /// Index of the rule, counted from 0.
        rule: usize,
        /// The argument asked for.
        argument: u8,
    },
    /// A 32-bit field is compared with a number, or masked by one, that needs
    /// more bits.
    #[error("rule {rule}: {field} has 32 bits, and {value:#x} needs more")]
    ValueTooWide {
        /// Index of the rule, counted from 0.
        rule: usize,
        /// The field.
        field: Field,
        /// The number.
        value: u64,
    },
    /// The program would be longer than the kernel takes.
    #[error("the rules need {length} instructions, and a program has at most {MAX_INSTRUCTIONS}")]
    TooLong {
        /// How long it would be.
        length: usize,
    },
}

/// Compiles `rules`, first rule first.
///
/// Rules on calls of one architecture that stand together share one check of
/// `arch`; a rule loads `nr` only where the one before may have lost it.
pub(super) fn compile(rules: &Rules) -> Result<Program, CompileError> {
    let mut layout = Layout::default();
    let mut group: Option<Group> = None;
    for (index, rule) in rules.rules.iter().enumerate() {
        check(index, rule)?;
        let arch = (!rule.on.is_empty()).then(|| rule.arch.audit_arch());
        if group.as_ref().map(|group| group.arch) != arch {
            if let Some(group) = group.take() {
                layout.here(group.end);
            }
            group = arch.map(|arch| Group::open(&mut layout, arch));
        }
        let next = layout.label();
        if let Some(group) = &mut group {
            let numbers = numbers(index, &rule.on, rule.arch)?;
            if !group.nr_is_loaded {
                layout.plain(LD_W_ABS, NR);
            }
            any_of(&mut layout, &numbers, next);
            group.nr_is_loaded = rule.when.is_empty();
        }
        for condition in &rule.when {
            require(&mut layout, condition, next);
        }
        layout.plain(RET_K, rule.action.to_u32());
        layout.here(next);
        if rule.on.is_empty() && rule.when.is_empty() {
            // Nothing after a rule that always matches can be reached.
            return finish(layout);
        }
    }
    if let Some(group) = group {
        layout.here(group.end);
    }
    layout.plain(RET_K, rules.default.to_u32());
    finish(layout)
}

fn finish(layout: Layout) -> Result<Program, CompileError> {
    let program = layout.finish();
    if program.len() > MAX_INSTRUCTIONS {
        return Err(CompileError::TooLong { length: program.len() });
    }
    Ok(Program(program))
}

/// Neighbouring rules that share a check of `arch`.
struct Group {
    /// The `AUDIT_ARCH_*` value.
    arch: u32,
    /// Where calls of other architectures go on.
    end: Label,
    /// Whether A holds the number on every path to the next rule.
    nr_is_loaded: bool,
}

impl Group {
    fn open(layout: &mut Layout, arch: u32) -> Self {
        let end = layout.label();
        layout.plain(LD_W_ABS, ARCH);
        layout.branch(JEQ_K, arch, Target::Next, Target::To(end));
        Self { arch, end, nr_is_loaded: false }
    }
}

/// Looks for what the types of a rule allow and a program cannot say.
fn check(rule: usize, of: &Rule) -> Result<(), CompileError> {
    for condition in &of.when {
        let field = condition.field;
        if let Field::Arg(argument @ 6..) = field {
            return Err(CompileError::NoSuchArgument { rule, argument });
        }
        for value in [Some(condition.value), condition.mask].into_iter().flatten() {
            if field.bits() == 32 && value > u32::MAX.into() {
                return Err(CompileError::ValueTooWide { rule, field, value });
            }
        }
    }
    Ok(())
}

fn numbers(rule: usize, calls: &[Syscall], arch: Arch) -> Result<Vec<u32>, CompileError> {
    let number = |call: &Syscall| {
        let number = call.number(arch).map(i32::cast_unsigned);
        number.ok_or_else(|| CompileError::UnknownSyscall { rule, arch, name: call.to_string() })
    };
    calls.iter().map(number).collect()
}

/// Goes on where A is one of `numbers`, else to `next`.
fn any_of(layout: &mut Layout, numbers: &[u32], next: Label) {
    let matched = layout.label();
    for (index, &number) in numbers.iter().enumerate() {
        if index + 1 < numbers.len() {
            layout.branch(JEQ_K, number, Target::To(matched), Target::Next);
        } else {
            layout.branch(JEQ_K, number, Target::Next, Target::To(next));
        }
    }
    layout.here(matched);
}

/// Goes on where `condition` holds, else to `fail`.
fn require(layout: &mut Layout, condition: &Condition, fail: Label) {
    let holds = layout.label();
    let offset = match condition.field {
        Field::Nr => NR,
        Field::Arch => ARCH,
        Field::InstructionPointer => INSTRUCTION_POINTER,
        Field::Arg(index) => ARGS + 8 * u32::from(index),
    };
    let mask = condition.mask.unwrap_or(u64::MAX);
    // `<` and `<=` are the opposites of `>=` and `>`.
    let (test, if_holds, if_fails) = match condition.comparison {
        Comparison::Equal => (Test::Equal, holds, fail),
        Comparison::NotEqual => (Test::Equal, fail, holds),
        Comparison::Greater => (Test::Greater, holds, fail),
        Comparison::GreaterOrEqual => (Test::GreaterOrEqual, holds, fail),
        Comparison::Less => (Test::GreaterOrEqual, fail, holds),
        Comparison::LessOrEqual => (Test::Greater, fail, holds),
    };
    // The casts keep one half each.
    let (value_high, value_low) = ((condition.value >> 32) as u32, condition.value as u32);
    let (mask_high, mask_low) = ((mask >> 32) as u32, mask as u32);
    let wide = condition.field.bits() == 64;
    if wide && mask_high != 0 {
        load(layout, offset + 4, mask_high);
        if test != Test::Equal {
            layout.branch(JGT_K, value_high, Target::To(if_holds), Target::Next);
        }
        layout.branch(JEQ_K, value_high, Target::Next, Target::To(if_fails));
    } else if value_high != 0 {
        // The upper half is 0, so the value is larger whatever the call.
        layout.goto(if_fails);
        layout.here(holds);
        return;
    }
    load(layout, offset, mask_low);
    let code = match test {
        Test::Equal => JEQ_K,
        Test::Greater => JGT_K,
        Test::GreaterOrEqual => JGE_K,
    };
    layout.branch(code, value_low, Target::To(if_holds), Target::To(if_fails));
    layout.here(holds);
}

/// The comparisons that classic BPF has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Test {
    Equal,
    Greater,
    GreaterOrEqual,
}

/// A = the masked word at `offset`.
fn load(layout: &mut Layout, offset: u32, mask: u32) {
    layout.plain(LD_W_ABS, offset);
    if mask != u32::MAX {
        layout.plain(AND_K, mask);
    }
}
