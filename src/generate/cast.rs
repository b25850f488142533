//! Who takes part in a made-up scenario, and under which filters.

use std::collections::BTreeMap;

use arbitrary::Unstructured;

use super::Choose;
use super::program::condition;
use super::script::{Doing, Player, Script};
use crate::filter::{Action, Arch, Rule, Rules, Syscall};
use crate::scenario::{
    Actor, Filter, FilterBody, Radix, Role, Scenario, Span, StackEntry, Transfer, Value,
};

/// Calls that filters are about, with arguments, the likeliest first.
pub(super) const CALLS: &[(&str, &str)] = &[
    ("mkdir", "mkdir(\"d\", 0o700)"),
    ("rmdir", "rmdir(\"d\")"),
    ("getppid", "getppid()"),
    ("dup", "dup(0)"),
    ("openat", "openat(AT_FDCWD, \"/dev/null\", O_RDWR)"),
    ("exit_group", "exit_group(7)"),
    ("exit", "exit(5)"),
    ("pause", "pause()"),
    ("mkdir", "mkdir(\"e\", 0o40, 0x100000000)"),
    ("close", "close(40)"),
    ("tgkill", "tgkill(pid(T), pid(T), SIGUSR1)"),
];
const ACTIONS: &[Action] = &[
    Action::Errno(33),
    Action::Errno(0),
    Action::Errno(0xffff),
    Action::UserNotif,
    Action::Trap(7),
    Action::Trace(5),
    Action::Log,
    Action::Allow,
    Action::KillThread,
    Action::KillProcess,
];
pub(super) const SIGNALS: &[&str] = &[
    "SIGUSR1", "SIGUSR2", "SIGCHLD", "SIGALRM", "SIGTSTP", "SIGWINCH", "SIGTERM", "SIGSYS",
    "SIGQUIT",
];

/// Who takes part, and under which filters.
pub(super) fn cast(u: &mut Unstructured<'_>) -> Script {
    let mut actors = vec![target(u, "T", Some("L"))];
    let mut players = vec![player("T", Some("L"))];
    if u.once_in(4) {
        actors.push(target(u, "U", Some("M")));
        players.push(player("U", Some("M")));
    }
    // Started by T, as a thread or a child.
    if u.once_in(3) {
        let mut child = plain("C", Role::Target);
        signals(u, &mut child);
        actors.push(child);
        players.push(Player { doing: Doing::Unborn, notifies: None, ..player("C", None) });
    }
    let listeners: Vec<&'static str> = players.iter().filter_map(|one| one.notifies).collect();
    for name in if u.once_in(3) { &["S", "R"][..] } else { &["S"] } {
        let mut actor = plain(name, Role::Supervisor);
        if u.once_in(4) {
            signals(u, &mut actor);
        }
        if u.once_in(8) {
            actor.via = Transfer::ScmRights;
        }
        actors.push(actor);
        players.push(Player { holds: listeners.clone(), ..player(name, None) });
    }
    if u.once_in(8) {
        actors.push(plain("P", Role::Tracer));
        players.push(player("P", None));
    }
    for (actor, player) in actors.iter_mut().zip(&mut players) {
        if let Some(listener) = player.notifies.filter(|_| u.once_in(10)) {
            actor.keeps = vec![listener.to_owned()];
            player.holds.push(listener);
        }
    }
    let filters = vec![("F".to_owned(), rules(u, None)), ("G".to_owned(), rules(u, Some("N")))];
    let scenario = Scenario {
        id: String::new(),
        summary: "Made up".to_owned(),
        behaviours: Vec::new(),
        facts: Vec::new(),
        needs: Vec::new(),
        buffers: Vec::new(),
        held: Vec::new(),
        filters,
        actors,
        steps: Vec::new(),
    };
    Script::new(scenario, players)
}

fn player(name: &'static str, notifies: Option<&'static str>) -> Player {
    Player { name, doing: Doing::Idle, process: name, notifies, stopped: false, holds: Vec::new() }
}

fn plain(name: &str, role: Role) -> Actor {
    Actor {
        name: name.to_owned(),
        role,
        no_new_privs: role == Role::Target,
        filters: Vec::new(),
        handlers: BTreeMap::new(),
        ignored: Vec::new(),
        blocked: Vec::new(),
        listeners: None,
        keeps: Vec::new(),
        via: Transfer::PidfdGetfd,
        user: None,
        no_capabilities: false,
        cpu: None,
        policy: None,
        namespaces: Vec::new(),
        span: Span::default(),
    }
}

fn target(u: &mut Unstructured<'_>, name: &str, listener: Option<&str>) -> Actor {
    let mut actor = plain(name, Role::Target);
    let mut stack = vec![rules(u, listener)];
    if u.once_in(3) {
        stack.push(rules(u, None));
    }
    if u.once_in(6) {
        stack.insert(0, rules(u, None));
    }
    actor.filters = stack.into_iter().map(StackEntry::Inline).collect();
    signals(u, &mut actor);
    actor
}

/// Dispositions and mask.
fn signals(u: &mut Unstructured<'_>, actor: &mut Actor) {
    const FLAGS: &[&str] = &["SA_RESTART", "0", "SA_SIGINFO", "SA_RESETHAND", "SA_NODEFER"];
    let flag = |word: &str| match word {
        "0" => Value::Number(0, Radix::Decimal),
        word => Value::Constant(word.to_owned()),
    };
    for signal in &SIGNALS[..5] {
        match u.weighted(&[(3, 0), (6, 1), (1, 2), (1, 3)]) {
            1 => {
                let mut flags = flag(u.one(FLAGS));
                if u.once_in(4) {
                    flags = Value::Or(vec![flag("SA_RESTART"), flag("SA_SIGINFO")]);
                }
                actor.handlers.insert((*signal).to_owned(), flags);
            }
            2 => actor.ignored.push((*signal).to_owned()),
            3 => actor.blocked.push((*signal).to_owned()),
            _ => {}
        }
        if u.once_in(2) {
            break;
        }
    }
}

/// A filter by rules; one with a listener notifies of mkdir.
fn rules(u: &mut Unstructured<'_>, listener: Option<&str>) -> Filter {
    let mut rules = Vec::new();
    for _ in 0..u.up_to(2) + usize::from(listener.is_none()) {
        let (call, _) = u.one(CALLS);
        // A thread id is another number in each run.
        let compared = u.once_in(5) && call != "tgkill";
        let when = if compared { vec![condition(u)] } else { Vec::new() };
        let action =
            if listener.is_some() && u.once_in(2) { Action::UserNotif } else { u.one(ACTIONS) };
        rules.push(rule(call, when, action));
        if u.once_in(8) {
            rules.push(Rule { arch: Arch::I386, ..rule(call, Vec::new(), action) });
        }
    }
    let mut flags = None;
    if listener.is_some() {
        rules.push(rule("mkdir", Vec::new(), Action::UserNotif));
        if u.once_in(3) {
            flags = Some(Value::Constant("WAIT_KILLABLE_RECV".to_owned()));
        } else if u.once_in(12) {
            flags = Some(Value::Constant("LOG".to_owned()));
        }
    }
    Filter {
        body: FilterBody::Rules(Rules { rules, default: Action::Allow }),
        flags,
        listener: listener.map(str::to_owned),
        via_prctl: false,
        span: Span::default(),
    }
}

fn rule(call: &str, when: Vec<crate::filter::Condition>, action: Action) -> Rule {
    let on = vec![call.parse::<Syscall>().expect("it is a system call")];
    Rule { on, arch: Arch::X86_64, when, action }
}
