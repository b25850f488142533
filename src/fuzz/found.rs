//! What diverges, as a scenario that anybody can run.

use std::fmt::Write as _;

use super::Target;
use super::listener::USED_UP;
use crate::abi::AUDIT_ARCH_X86_64;
use crate::bpf::code::{JEQ_K, LD_IMM, LD_W_ABS, RET_K, jump, stmt};
use crate::bpf::{Program, validate};
use crate::filter::{Action, evaluate_stack};
use crate::generate::{Addfd, Call, Case, Id, Onlooker, Response, Stack, from_bytes, repair};
use crate::scenario::{Scenario, parse, parse_step};

/// The scenario that says the same as a case; `None` where the case is a text,
/// or a program that cannot be written.
#[must_use]
pub fn scenario_of(target: Target, bytes: &[u8]) -> Option<Scenario> {
    let text = match target {
        Target::BpfValidate => installing(&from_bytes(bytes)),
        Target::BpfEval => calling(&from_bytes(bytes)),
        Target::StackEval => calling(&from_bytes::<Stack>(bytes).0),
        Target::Response => {
            let response: Response = from_bytes(bytes);
            notified(response.id, |id| format!("S: send {id}{response}"), "")
        }
        Target::Addfd => {
            let addfd: Addfd = from_bytes(bytes);
            let after = "S: send n1\nT: fcntl(fd, F_GETFD)";
            notified(addfd.id, |id| format!("S: addfd {id}{addfd} as fd"), after)
        }
        Target::Conversation => return Some(super::scenario(bytes)),
        Target::ScenarioText | Target::RunRecord => return None,
    };
    let name = format!("found/{}", target.name());
    let mut scenario = parse(&name, &name, &text).ok()?.into_iter().next()?;
    // Not every call can be made by an actor: clone(2) would make two of it.
    repair(&mut scenario).then_some(scenario)
}

/// Something that is asked about a notification, the last of those that it
/// takes to have such an id.
fn notified(id: Id, ask: impl Fn(&str) -> String, after: &str) -> String {
    let mut text = "summary = \"Found by fuzzing\"\n\n[target.T]\n\
        filters = [{ on = \"mkdir\", do = \"USER_NOTIF\", listener = \"L\" }]\n\n\
        [supervisor.S]\n\n[schedule]\nsteps = \"\"\"\n"
        .to_owned();
    let (id, earlier) = match id {
        // As many are known as the oracle has used up, and the pending one.
        Id::Known(index, off) => {
            let index = index % (USED_UP + 1);
            let name = if index == 0 { "n1" } else { "used" };
            let id = if off == 0 { name.to_owned() } else { format!("{name}{off:+}") };
            (id, index)
        }
        Id::Number(number) => (format!("{number} on=L"), 0),
    };
    for turn in 0..earlier {
        let name = if turn == 0 { "used" } else { "other" };
        let name = if turn < 2 { name.to_owned() } else { format!("{name}{turn}") };
        let _ = writeln!(text, "T: mkdir(\"d\", 0o700)\nS: recv L as {name}\nS: send {name}");
    }
    let _ = writeln!(text, "T: mkdir(\"d\", 0o700)\nS: recv L as n1\nask: {}", ask(&id));
    text + after + "\n\"\"\"\n"
}

/// A program that is installed.
fn installing(program: &Program) -> String {
    // One that is taken must leave the actor able to tell of it.
    let taken = validate(program).is_ok();
    let program = if taken { letting_through(program) } else { program.clone() };
    format!(
        "summary = \"Found by fuzzing\"\n\n[filter.F]\nasm = '''\n{program}\n'''\n\n[target.T]\n\n\
         [schedule]\nsteps = \"\"\"\nask: T: install F\n\"\"\"\n"
    )
}

/// Programs that are there, and calls that they judge.
fn calling(case: &Case) -> String {
    let mut text = "summary = \"Found by fuzzing; read(2) and write(2), by which actors are told \
                    what to do, pass\"\n"
        .to_owned();
    let calls = lines_of(case);
    // Calls under test are not made, unless a program says something stronger.
    let guard = guard(&calls);
    let _ = writeln!(text, "\n[filter.G]\nasm = '''\n{guard}\n'''");
    let mut stack = vec!["\"G\"".to_owned()];
    let mut programs = vec![guard];
    for (index, program) in case.programs.iter().enumerate() {
        let program = letting_through(program);
        let _ = writeln!(text, "\n[filter.F{index}]\nasm = '''\n{program}\n'''");
        stack.push(format!("\"F{index}\""));
        programs.push(program);
    }
    let supervised = match case.onlooker {
        Onlooker::Supervisor(index) => Some(usize::from(index) % case.programs.len()),
        Onlooker::None | Onlooker::Tracer => None,
    };
    if let Some(index) = supervised {
        text = text.replace(
            &format!("[filter.F{index}]\n"),
            &format!("[filter.F{index}]\nlistener = \"L\"\n"),
        );
        text += "\n[supervisor.S]\n";
    }
    let traced = case.onlooker == Onlooker::Tracer;
    if traced {
        text += "\n[tracer.P]\n";
    }
    let _ = writeln!(text, "\n[target.T]\nhandlers = {{ SIGSYS = \"SA_SIGINFO\" }}");
    let _ = writeln!(text, "filters = [{}]\n\n[schedule]\nsteps = \"\"\"", stack.join(", "));
    if traced {
        text += "P: seize T options=PTRACE_O_TRACESECCOMP\n";
    }
    for (call, line) in calls {
        let _ = writeln!(text, "{line}");
        let won = evaluate_stack(&programs, &call.data(0));
        let Some((index, word)) = won else { continue };
        match Action::from_u32(word) {
            Action::UserNotif if supervised.map(|one| one + 1) == Some(index) => {
                text += "S: recv L as n\nS: send n val=3\n";
            }
            Action::Trace(_) if traced => {
                text += "P: wait T\nP: event_message T\nP: set_register T nr -1\nP: resume T\n";
            }
            Action::KillThread | Action::KillProcess | Action::Raw(_) => break,
            _ => {}
        }
    }
    text + "\"\"\"\n"
}

/// The calls that can be written, and that actors do not need themselves, each
/// once.
fn lines_of(case: &Case) -> Vec<(Call, String)> {
    const NEEDED: [i64; 8] = [
        libc::SYS_read,
        libc::SYS_write,
        libc::SYS_rt_sigreturn,
        libc::SYS_exit,
        libc::SYS_exit_group,
        libc::SYS_futex,
        libc::SYS_ioctl,
        libc::SYS_seccomp,
    ];
    let mut lines: Vec<(Call, String)> = Vec::new();
    for call in &case.calls {
        let args: Vec<String> = call.args.iter().map(|arg| format!("{arg:#x}")).collect();
        let entry = if call.int80 { "int80 " } else { "" };
        let line = format!("T: {entry}#{}({})", call.nr, args.join(", "));
        let needed = !call.int80 && NEEDED.contains(&call.nr.into());
        if !needed
            && call.nr >= 0
            && parse_step(&line, &["T"]).is_ok()
            && !lines.iter().any(|(_, other)| *other == line)
        {
            lines.push((*call, line));
        }
    }
    lines
}

/// What keeps the calls of a scenario from being made.
fn guard(calls: &[(Call, String)]) -> Program {
    let mut program = Vec::new();
    for (call, _) in calls {
        let traced = stmt(RET_K, Action::Trace(1).to_u32());
        program.extend([
            stmt(LD_W_ABS, 4),
            jump(JEQ_K, call.data(0).arch, 0, 3),
            stmt(LD_W_ABS, 0),
            jump(JEQ_K, call.nr.cast_unsigned(), 0, 1),
            traced,
        ]);
    }
    program.push(stmt(RET_K, Action::Allow.to_u32()));
    Program(program)
}

/// The same program, above which read(2) and write(2) pass.
fn letting_through(program: &Program) -> Program {
    let mut whole = vec![
        stmt(LD_W_ABS, 4),
        jump(JEQ_K, AUDIT_ARCH_X86_64, 0, 4),
        stmt(LD_W_ABS, 0),
        jump(JEQ_K, libc::SYS_read as u32, 1, 0),
        jump(JEQ_K, libc::SYS_write as u32, 0, 1),
        stmt(RET_K, Action::Allow.to_u32()),
        // The accumulator begins as 0.
        stmt(LD_IMM, 0),
    ];
    whole.extend(&program.0);
    Program(whole)
}
