//! Programs and stacks of them.

use super::{Oracle, kind};
use crate::abi::{AUDIT_ARCH_I386, SeccompData, SockFilter};
use crate::bpf::{
    INSTALLED_FILTER_OVERHEAD, MAX_INSNS_PER_PATH, Program, evaluate, translated_len, validate,
};
use crate::filter::precedence;
use crate::generate::{Call, Case, Stack, from_bytes};
use crate::live::oracle::{Observed, Outcome, Programs};

/// uretprobe(2) and uprobe(2), which are made by the kernel's own trampolines
/// and pass filters by.
const PROBES: [i32; 2] = [335, 336];

/// One program, and whether it is taken.
pub(super) struct Validate(Programs);

/// One program, and what becomes of calls.
pub(super) struct Eval(Programs);

/// Several programs, and what becomes of calls.
pub(super) struct StackEval(Programs);

fn programs() -> Result<Programs, String> {
    Programs::new().map_err(|error| error.to_string())
}

impl Validate {
    pub fn new() -> Result<Self, String> {
        programs().map(Self)
    }
}

impl Eval {
    pub fn new() -> Result<Self, String> {
        programs().map(Self)
    }
}

impl StackEval {
    pub fn new() -> Result<Self, String> {
        programs().map(Self)
    }
}

impl Oracle for Validate {
    fn check(&mut self, bytes: &[u8], seen: &mut dyn FnMut(u64)) -> Result<(), String> {
        compare(&mut self.0, &[from_bytes::<Program>(bytes)], &[], seen)
    }
}

impl Oracle for Eval {
    fn check(&mut self, bytes: &[u8], seen: &mut dyn FnMut(u64)) -> Result<(), String> {
        let case: Case = from_bytes(bytes);
        compare(&mut self.0, &[case.program], &case.calls, seen)
    }
}

impl Oracle for StackEval {
    fn check(&mut self, bytes: &[u8], seen: &mut dyn FnMut(u64)) -> Result<(), String> {
        let case: Stack = from_bytes(bytes);
        compare(&mut self.0, &case.programs, &case.calls, seen)
    }
}

fn compare(
    oracle: &mut Programs,
    programs: &[Program],
    calls: &[Call],
    seen: &mut dyn FnMut(u64),
) -> Result<(), String> {
    // Filters do not see these two calls since Linux 6.14, whatever they say.
    let seen_by_filters =
        |data: &SeccompData| data.arch == AUDIT_ARCH_I386 || !PROBES.contains(&data.nr);
    let calls: Vec<SeccompData> =
        calls.iter().map(|call| call.data(0)).filter(seen_by_filters).collect();
    let expected = oracle.expected(programs, &calls, installs);
    let observed = oracle.run(programs, &calls).map_err(|error| error.to_string())?;
    for program in programs {
        let valid = validate(program).map_err(|invalid| invalid.rule);
        seen(kind(valid));
        for instruction in &program.0 {
            seen(kind((instruction.code, valid.is_ok())));
        }
    }
    if programs.len() > 1 {
        for data in &calls {
            let words = programs.iter().map(|program| evaluate(&program.0, data));
            seen(kind(words.map(precedence).collect::<Vec<_>>()));
        }
    }
    for outcome in observed.installed.iter().chain(&observed.calls) {
        let value = match outcome {
            Outcome::Returned(raw) => *raw,
            Outcome::Trapped(data, ..) => i64::from(*data),
            Outcome::Made | Outcome::Killed => 0,
        };
        seen(kind((std::mem::discriminant(outcome), value)));
    }
    if observed == expected { Ok(()) } else { Err(told(programs, &calls, &observed, &expected)) }
}

/// What seccomp(2) makes of a program above a stack of others.
fn installs(stack: &[&[SockFilter]], program: &[SockFilter]) -> i64 {
    if validate(program).is_err() {
        return -i64::from(libc::EINVAL);
    }
    let below: usize =
        stack.iter().map(|other| translated_len(other) + INSTALLED_FILTER_OVERHEAD).sum();
    let fits = below + translated_len(program) <= MAX_INSNS_PER_PATH;
    if fits { 0 } else { -i64::from(libc::ENOMEM) }
}

/// Programs as text, oldest first, and the calls.
pub(super) fn show(programs: &[Program], calls: &[Call]) -> String {
    let mut text = String::new();
    for (index, program) in programs.iter().enumerate() {
        let rules = validate(program).map_or_else(|invalid| invalid.to_string(), |()| "ok".into());
        text += &format!("# program {index} ({rules}):\n{program}\n");
    }
    let mut lines: Vec<String> =
        calls.iter().map(|call| format!("# {:x?}\n", call.data(0))).collect();
    lines.dedup();
    text + &lines.concat()
}

fn told(
    programs: &[Program],
    calls: &[SeccompData],
    observed: &Observed,
    expected: &Observed,
) -> String {
    let mut text = show(programs, &[]);
    text += &format!("installed: {:?}\nforeseen:  {:?}\n", observed.installed, expected.installed);
    for (index, data) in calls.iter().enumerate() {
        let (one, other) = (observed.calls.get(index), expected.calls.get(index));
        if one != other {
            text += &format!("{data:x?}\nseen:     {one:?}\nforeseen: {other:?}\n");
        }
    }
    text
}
