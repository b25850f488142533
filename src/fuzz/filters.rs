//! Programs and stacks of them.

use super::{Divergence, Oracle, Trouble, kind};
use crate::abi::{AUDIT_ARCH_I386, SeccompData, SockFilter};
use crate::bpf::{
    INSTALLED_FILTER_OVERHEAD, MAX_INSNS_PER_PATH, Program, evaluate, translated_len, validate,
};
use crate::filter::precedence;
use crate::generate::{Case, Onlooker, Stack, from_bytes};
use crate::live::oracle::{Observed, Outcome, Programs, Watch};

/// uretprobe(2) and uprobe(2), which are made by the kernel's own trampolines
/// and pass filters by.
const PROBES: [i32; 2] = [335, 336];

/// Programs, made of bytes in one way or another.
pub(super) struct Filters {
    programs: Programs,
    case: fn(&[u8]) -> Case,
}

impl Filters {
    fn new(case: fn(&[u8]) -> Case) -> Result<Self, Trouble> {
        Ok(Self { programs: Programs::new()?, case })
    }

    /// One program, and whether it is taken.
    pub fn validate() -> Result<Self, Trouble> {
        Self::new(|bytes| alone(from_bytes(bytes)))
    }

    /// One program, and what becomes of calls.
    pub fn eval() -> Result<Self, Trouble> {
        Self::new(from_bytes)
    }

    /// Several programs, and what becomes of calls.
    pub fn stack_eval() -> Result<Self, Trouble> {
        Self::new(|bytes| from_bytes::<Stack>(bytes).0)
    }
}

/// A program without calls.
pub(super) fn alone(program: Program) -> Case {
    Case { programs: vec![program], calls: Vec::new(), onlooker: Onlooker::None, deadly: false }
}

impl Oracle for Filters {
    fn check(
        &mut self,
        bytes: &[u8],
        seen: &mut dyn FnMut(u64),
    ) -> Result<Option<Divergence>, Trouble> {
        let case = (self.case)(bytes);
        let mut calls = calls(&case);
        let watch = match case.onlooker {
            Onlooker::None => Watch::Nobody,
            Onlooker::Supervisor(index) => {
                Watch::Supervisor(usize::from(index) % case.programs.len())
            }
            Onlooker::Tracer => Watch::Tracer,
        };
        let programs = &case.programs;
        let mut foreseen = self.programs.foresee(programs, &mut calls, watch, installs);
        if !case.deadly {
            // They are the last.
            foreseen.calls.retain(|outcome| !outcome.kills());
            calls.truncate(foreseen.calls.len());
        }
        let observed = self.programs.run(programs, &calls, watch)?;
        tell_kinds(programs, &calls, &observed, seen);
        Ok((observed != foreseen).then(|| told(&case, &calls, &observed, &foreseen)))
    }
}

/// What filters see of the calls of a case.
fn calls(case: &Case) -> Vec<SeccompData> {
    // Since Linux 6.14 filters do not see the probes, whatever they say.
    let seen_by_filters =
        |data: &SeccompData| data.arch == AUDIT_ARCH_I386 || !PROBES.contains(&data.nr);
    case.calls.iter().map(|call| call.data(0)).filter(seen_by_filters).collect()
}

/// Tells the kinds of things that a case came to.
fn tell_kinds(
    programs: &[Program],
    calls: &[SeccompData],
    observed: &Observed,
    seen: &mut dyn FnMut(u64),
) {
    for program in programs {
        let valid = validate(program).map_err(|invalid| invalid.rule);
        seen(kind(valid));
        for instruction in &program.0 {
            seen(kind((instruction.code, valid.is_ok())));
        }
    }
    if programs.len() > 1 {
        for data in calls {
            let words = programs.iter().map(|program| evaluate(&program.0, data));
            seen(kind(words.map(precedence).collect::<Vec<_>>()));
        }
    }
    for outcome in observed.installed.iter().chain(&observed.calls) {
        let value = match *outcome {
            Outcome::Returned(raw) => raw.unsigned_abs(),
            Outcome::Trapped(data, ..) | Outcome::Traced(data) => data.into(),
            _ => 0,
        };
        // Of numbers their length says enough: each of 65,536 is no progress.
        seen(kind((std::mem::discriminant(outcome), value.checked_ilog2())));
    }
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

/// A case as text: programs, oldest first, and the calls.
pub(super) fn show(case: &Case) -> String {
    let mut text = String::new();
    for (index, program) in case.programs.iter().enumerate() {
        let rules = validate(program).map_or_else(|invalid| invalid.to_string(), |()| "ok".into());
        text += &format!("# program {index} ({rules}):\n{program}\n");
    }
    if case.onlooker != Onlooker::None {
        text += &format!("# onlooker: {:?}\n", case.onlooker);
    }
    let mut lines: Vec<String> =
        case.calls.iter().map(|call| format!("# {:x?}\n", call.data(0))).collect();
    lines.dedup();
    text + &lines.concat()
}

fn told(
    case: &Case,
    calls: &[SeccompData],
    observed: &Observed,
    foreseen: &Observed,
) -> Divergence {
    let without_calls = Case { calls: Vec::new(), ..case.clone() };
    let mut text = show(&without_calls);
    text += &format!("installed: {:?}\nforeseen:  {:?}\n", observed.installed, foreseen.installed);
    for (index, data) in calls.iter().enumerate() {
        let (one, other) = (observed.calls.get(index), foreseen.calls.get(index));
        if one != other {
            text += &format!("{data:x?}\nseen:     {one:?}\nforeseen: {other:?}\n");
        }
    }
    Divergence(text)
}
