//! A scenario as a C program that runs it, for a kernel's mailing list.
//!
//! The program is one file, needs no library but libc, and prints the same
//! trace as `unotify-lab run -v` does: it forks the same actors, makes the same
//! calls in the same order, and finds out that a call blocks in the same way
//! (see [`crate::live`]). It has those parts of `export/runtime` that its
//! scenario uses.

mod act;
mod runtime;
mod text;

use std::fmt::Write;

use thiserror::Error;

use crate::filter::{Arch, Syscall};
use crate::scenario::arena::{ARENA, READONLY, STACK, UNMAPPED, desk, stack_top};
use crate::scenario::{Arg, Field, Namespace, Op, Origin, Participant, Policy, Scenario, Schedule};
use text::{comment, string};

/// Why a scenario cannot be said in C.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("no C program is made of it, because {0}")]
pub struct Unsayable(&'static str);

/// Descriptors of the runtime begin here, as in the live world: the low numbers
/// are the scenario's.
const CONTROL: usize = 900;

/// A scenario as a C program. `known` is what kernels are known to print, each
/// with a sentence that says which; it goes into the comment at the top.
///
/// # Errors
///
/// What a C program cannot do: hold up an access, freeze, execute the tool.
pub fn c_program(
    scenario: &Scenario,
    schedule: &Schedule,
    known: &[(String, String)],
) -> Result<String, Unsayable> {
    let acts = acts(schedule)?;
    let after = if schedule.races() { runtime::MANY } else { runtime::ONCE };
    let tables = tables(schedule);
    let own = format!("{tables}{acts}");
    let (before_acts, after_acts) = runtime::needed(&own, after);
    let mut program = head(scenario, schedule, known);
    program += INCLUDES;
    program += "\n";
    program += &tables;
    program += &before_acts;
    program += "/* ---- the scenario ---- */\n\n";
    program += &acts;
    program += &after_acts;
    Ok(program.trim_end().to_owned() + "\n")
}

const INCLUDES: &str = "\
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/reg.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>
";

fn head(scenario: &Scenario, schedule: &Schedule, known: &[(String, String)]) -> String {
    let mut text = format!(
        "/*\n * {}\n * {}\n *\n *     cc -O1 -o reproducer reproducer.c && ./reproducer{}\n *\n",
        comment(&scenario.id),
        comment(&scenario.summary),
        if schedule.races() { " [RUNS]" } else { "" },
    );
    text += " * For x86-64, glibc 2.34 and headers of Linux 5.9 or later.";
    if !schedule.needs.is_empty() {
        let needs: Vec<&str> = schedule.needs.iter().map(|need| need.meaning()).collect();
        let _ = write!(text, "\n * It needs {}.", needs.join(", and "));
    }
    text += "\n *\n * The script:\n *\n";
    for act in schedule.acts.iter().filter(|act| !act.setup) {
        let label = act.label.as_ref().map_or(String::new(), |label| format!("{label}: "));
        let who = act.by.map_or(String::new(), |by| format!("{}: ", schedule.actors[by.0].name));
        let _ = writeln!(text, " *     {}", comment(&format!("{label}{who}{}", act.text)));
    }
    for (which, trace) in known {
        let _ = write!(text, " *\n * {}\n *\n", comment(which));
        for line in trace.lines() {
            let _ = writeln!(text, " *     {}", comment(line));
        }
    }
    text + " */\n\n"
}

/// Who takes part, what is named, and what lies in memory.
fn tables(schedule: &Schedule) -> String {
    let actors = &schedule.actors;
    let mut text = String::from(
        "typedef unsigned long word;\n\n/* ---- who takes part, and what has a name ---- */\n\n",
    );
    let list = |items: Vec<String>| items.join(", ");
    let names: Vec<String> = actors.iter().map(|actor| format!("actor_{}", actor.name)).collect();
    let _ = writeln!(text, "enum {{ {}, ACTORS }};", list(names));
    let slots = schedule.slots.iter().map(|slot| format!("the_{}, ", slot.name));
    let _ = writeln!(text, "enum {{ {}SLOTS }};", slots.collect::<String>());
    let _ = writeln!(
        text,
        "enum {{ TURNS = {}, ACTS = {}, WIDTH = {} }};",
        schedule.turns.len(),
        schedule.acts.len(),
        width(schedule)
    );
    let _ = writeln!(
        text,
        "enum {{ CONTROL = {CONTROL}, MEMORY = CONTROL + ACTORS, PASS_END, TAKE_END, BEYOND }};\n"
    );
    for (name, value) in [
        ("UNMAPPED", UNMAPPED),
        ("ARENA", ARENA),
        ("READONLY", READONLY),
        ("DESKS", desk(0)),
        ("STACKS", stack_top(0) - STACK),
        ("STACK", STACK),
    ] {
        let _ = writeln!(text, "#define {name} {value:#x}ul");
    }
    let quoted = actors.iter().map(|actor| string(actor.name.as_bytes())).collect();
    let _ = writeln!(text, "\nstatic const char *const names[ACTORS] = {{ {} }};", list(quoted));
    let processes = (0..actors.len())
        .map(|index| schedule.process_of(crate::scenario::ActorId(index)).0.to_string());
    let _ = writeln!(
        text,
        "static const int process_of[ACTORS] = {{ {} }};",
        list(processes.collect())
    );
    let at_start = actors.iter().map(|actor| u8::from(actor.origin == Origin::Start).to_string());
    let _ =
        writeln!(text, "static const int from_start[ACTORS] = {{ {} }};", list(at_start.collect()));
    text += &calls(schedule);
    text += &filters(schedule);
    text += &things(schedule);
    text + "\n"
}

/// The column at which outcomes stand.
fn width(schedule: &Schedule) -> usize {
    let heads = schedule.acts.iter().filter(|act| !act.setup).map(|act| {
        let label = act.label.as_ref().map_or(0, |label| label.len() + 2);
        let who = act.by.map_or(0, |by| schedule.actors[by.0].name.len() + 2);
        label + who + act.text.chars().count()
    });
    heads.filter(|width| *width <= crate::trace::WIDEST).max().unwrap_or(0)
}

/// The names of calls that notifications and states can tell of: those that
/// the script makes, and whatever number a filter compares with.
fn calls(schedule: &Schedule) -> String {
    let made = schedule.acts.iter().filter_map(|act| match act.op {
        Op::Call { number, .. } => Some(number as u32 as i32),
        _ => None,
    });
    let compared = schedule.programs.iter().flat_map(|(_, program)| program.iter());
    let waits = [
        libc::SYS_read,
        libc::SYS_ioctl,
        libc::SYS_poll,
        libc::SYS_select,
        libc::SYS_epoll_wait,
        libc::SYS_wait4,
        libc::SYS_execve,
    ];
    let mut numbers: Vec<i32> = made
        .chain(compared.map(|instruction| instruction.k.cast_signed()))
        .chain(waits.map(|number| number as i32))
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    let mut text = String::from(
        "static const struct { int nr; unsigned arch; const char *name; } calls[] = {\n",
    );
    for (arch, word) in [(Arch::X86_64, "AUDIT_ARCH_X86_64"), (Arch::I386, "AUDIT_ARCH_I386")] {
        for number in &numbers {
            let name = Syscall::from_number(*number, arch).to_string();
            if !name.starts_with('#') {
                let _ = writeln!(text, "\t{{ {number}, {word}, {} }},", string(name.as_bytes()));
            }
        }
    }
    text + "};\n"
}

fn filters(schedule: &Schedule) -> String {
    let mut text = String::new();
    let told = asks_for_programs(schedule);
    let used = |index: usize| {
        told || schedule
            .acts
            .iter()
            .any(|act| matches!(act.op, Op::Install { filter, .. } if filter == index))
    };
    let programs = schedule.programs.iter().enumerate().filter(|(index, _)| used(*index));
    for (index, (name, program)) in programs {
        let _ = writeln!(text, "\n/* {} */", comment(name));
        let _ = writeln!(text, "static const struct sock_filter filter_{index}[] = {{");
        let assembly = program.to_string();
        for (instruction, line) in program.iter().zip(assembly.lines()) {
            let crate::abi::SockFilter { code, jt, jf, k } = instruction;
            let words = format!("{{ {code:#04x}, {jt}, {jf}, {k:#x} }},");
            let _ = writeln!(text, "\t{words:<32} /* {} */", comment(line.trim()));
        }
        text += "};\n";
    }
    // Which program a tracee has is told by name.
    if told {
        text += "\nstatic const struct {\n\tconst char *name;\n\tconst struct sock_filter *code;\n\tint len;\n} programs[] = {\n";
        for (index, (name, program)) in schedule.programs.iter().enumerate() {
            let (name, len) = (string(name.as_bytes()), program.len());
            let _ = writeln!(text, "\t{{ {name}, filter_{index}, {len} }},");
        }
        text += "\t{ NULL, NULL, 0 },\n";
        text += "};\n\nenum { PROGRAMS = sizeof programs / sizeof *programs - 1 };\n";
    }
    text
}

fn asks_for_programs(schedule: &Schedule) -> bool {
    schedule.acts.iter().any(|act| matches!(act.op, Op::GetFilter { .. }))
}

/// What lies in memory at fixed addresses.
fn things(schedule: &Schedule) -> String {
    let mut text = String::from(
        "\nstatic const struct { word at; const char *name; word size; const char *bytes; } things[] = {\n",
    );
    let bytes = schedule.arena.bytes();
    for (address, name, len) in schedule.arena.regions() {
        let start = (address - ARENA) as usize;
        let bytes = &bytes[start..start + len];
        let initial = match bytes.iter().all(|byte| *byte == 0) {
            true => "NULL".to_owned(),
            false => string(bytes),
        };
        let _ =
            writeln!(text, "\t{{ {address:#x}, {}, {len}, {initial} }},", string(name.as_bytes()));
    }
    if schedule.arena.regions().next().is_none() {
        text += "\t{ 0, NULL, 0, NULL },\n";
    }
    text + "};\n"
}

/// The acts as functions, their table, the turns, and what is set up for whom.
fn acts(schedule: &Schedule) -> Result<String, Unsayable> {
    let mut functions = String::new();
    let mut table = String::from("const struct act acts[] = {\n");
    for (index, scheduled) in schedule.acts.iter().enumerate() {
        let body = act::body(schedule, scheduled)?;
        let who = scheduled.by.map(|by| act::actor(schedule, by));
        let told =
            scheduled.by.map_or(String::new(), |by| format!("{}: ", schedule.actors[by.0].name));
        let _ = writeln!(functions, "/* {} */", comment(&format!("{told}{}", scheduled.text)));
        let _ = writeln!(
            functions,
            "static long act_{index}(int me, word *data)\n{{\n{}}}\n",
            body.statements
        );
        let _ = writeln!(
            table,
            "\t{{ .by = {}, .text = {}, .perform = act_{index}, .tell = {}{} }},",
            who.as_deref().unwrap_or("DIRECTOR"),
            string(scheduled.text.as_bytes()),
            body.tell,
            fields(schedule, scheduled)
        );
    }
    table += "};\n\nconst struct turn turns[] = {\n";
    for turn in &schedule.turns {
        let who = turn.by.map(|by| act::actor(schedule, by));
        let (who, acts) = (who.as_deref().unwrap_or("DIRECTOR"), &turn.acts);
        let together = if turn.together { ", 1" } else { ", 0" };
        let _ = writeln!(table, "\t{{ {who}, {}, {}{together} }},", acts.start, acts.end);
    }
    table += "};\n\n";
    Ok(functions + &table + &become_functions(schedule)?)
}

/// What only some acts have.
fn fields(schedule: &Schedule, act: &crate::scenario::ScheduledAct) -> String {
    let mut text = String::new();
    if let Some(label) = &act.label {
        let _ = write!(text, ", .label = {}", string(label.as_bytes()));
    }
    if act.setup {
        text += ", .stage = 1";
    }
    let mut listener = None;
    match act.op {
        Op::Fork(actor) | Op::Thread(actor) => {
            let _ = write!(text, ", .starts = {}", actor.0 + 1);
        }
        Op::Load { len, .. } => {
            let _ = write!(text, ", .size = {len}");
        }
        Op::Recv { listener: Arg::Slot(slot, 0), .. } => {
            listener = Some(slot);
        }
        Op::Call { args, .. } => {
            for (index, arg) in args.iter().enumerate() {
                let passed = match arg {
                    Arg::Pid(actor) => (actor.0 + 1).to_string(),
                    Arg::Field(_, Field::Pid) => "ANYBODY".to_owned(),
                    _ => continue,
                };
                let _ = write!(text, ", .pid_arg[{index}] = {passed}");
            }
        }
        _ => {}
    }
    if matches!(act.op, Op::Recv { .. }) {
        let number = listener.map_or(-1, |slot| slot.0 as i64);
        let _ = write!(text, ", .listener = {number}");
        if let Some(slot) = act.binds {
            let _ = write!(text, ", .binds = {}", string(schedule.slots[slot.0].name.as_bytes()));
        }
    }
    text
}

/// What an actor is before it acts.
fn become_functions(schedule: &Schedule) -> Result<String, Unsayable> {
    let mut become_one = String::new();
    let mut namespaces = String::new();
    for (index, participant) in schedule.actors.iter().enumerate() {
        let steps = becoming(participant)?;
        if !steps.is_empty() {
            let _ =
                writeln!(become_one, "\tif (me == {index})\n\t\treturn {};", steps.join(" || "));
        }
        let flags: Vec<&str> = participant
            .namespaces
            .iter()
            .map(|namespace| match namespace {
                Namespace::User => "CLONE_NEWUSER",
                Namespace::Pid => "CLONE_NEWPID",
                Namespace::Mount => "CLONE_NEWNS",
            })
            .collect();
        if !flags.is_empty() {
            let _ = writeln!(namespaces, "\tif (me == {index})\n\t\treturn {};", flags.join(" | "));
        }
    }
    Ok(format!(
        "static int become(int me)\n{{\n\t(void)me;\n{become_one}\treturn 0;\n}}\n\n\
         static word namespaces_of(int me)\n{{\n\t(void)me;\n{namespaces}\treturn 0;\n}}\n\n"
    ))
}

fn becoming(participant: &Participant) -> Result<Vec<String>, Unsayable> {
    let mut steps = Vec::new();
    if participant.namespaces.contains(&Namespace::User) {
        steps.push("root_of_namespace()".to_owned());
    }
    if let Some(cpu) = participant.cpu {
        steps.push(format!("pin_to({cpu})"));
    }
    match participant.policy {
        Some(Policy::Fifo) => steps.push("set_policy(SCHED_FIFO, 10)".to_owned()),
        Some(Policy::Idle) => steps.push("set_policy(SCHED_IDLE, 0)".to_owned()),
        None => {}
    }
    if let Some(user) = participant.user {
        steps.push(format!("become_user({user})"));
    }
    if participant.no_capabilities || participant.user.is_some() {
        steps.push("drop_capabilities()".to_owned());
    }
    Ok(steps)
}
