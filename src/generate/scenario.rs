//! Whole scenarios: a cast, their filters, and a script in which most steps
//! find something to do.

use arbitrary::{Arbitrary, Result, Unstructured};

use super::cast::{CALLS, SIGNALS, cast};
use super::script::{Doing, Known, Script};
use super::{Addfd, Choose, Response, rare, repair};
use crate::scenario::{Need, Scenario};

impl<'a> Arbitrary<'a> for Scenario {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let mut script = cast(u);
        let steps = 2 + u.up_to(12);
        begin(u, &mut script);
        for _ in 0..steps {
            next(u, &mut script)?;
        }
        script.end_line();
        let mut scenario = script.scenario;
        repair(&mut scenario);
        Ok(scenario)
    }
}

/// What must come first for the rest to make sense.
fn begin(u: &mut Unstructured<'_>, script: &mut Script) {
    if script.those(|one| one.name == "P").len() == 1 && !u.once_in(4) {
        let options = u.one(&[
            "PTRACE_O_TRACESECCOMP",
            "PTRACE_O_TRACESECCOMP|PTRACE_O_TRACESYSGOOD",
            "PTRACE_O_EXITKILL",
            "0",
        ]);
        script.act(Some("P"), format!("seize T options={options}"));
    }
    if script.those(|one| one.doing == Doing::Unborn).len() == 1 && !u.once_in(3) {
        start(u, script);
    }
}

fn start(u: &mut Unstructured<'_>, script: &mut Script) {
    script.end_line();
    let thread = !u.once_in(3);
    script.act(Some("T"), if thread { "thread C" } else { "fork C" });
    script.end_line();
    let parent = script.player("T").clone();
    let child = script.player("C");
    child.doing = Doing::Idle;
    child.notifies = parent.notifies;
    child.holds = parent.holds;
    child.process = if thread { "T" } else { "C" };
}

/// One step more.
fn next(u: &mut Unstructured<'_>, script: &mut Script) -> Result<()> {
    let idle = script.those(|one| one.doing == Doing::Idle && !one.stopped);
    let targets: Vec<_> =
        idle.iter().copied().filter(|name| ["T", "U", "C"].contains(name)).collect();
    let holders =
        script.those(|one| one.doing == Doing::Idle && !one.stopped && !one.holds.is_empty());
    let waiting = script.those(|one| matches!(one.doing, Doing::Notified | Doing::Waiting));
    let stopped = script.those(|one| one.stopped);
    let unborn = script.those(|one| one.doing == Doing::Unborn);
    let open = script.known.iter().filter(|known| !known.answered).count() as u32;
    let pending = script.pending.len() as u32;
    let some = |names: &Vec<&str>, weight: u32| if names.is_empty() { 0 } else { weight };
    // A signal that comes while the kernel's own access waits for a page makes it
    // try again for ever.
    let calm = u32::from(script.scenario.held.is_empty());
    let kind = u.weighted(&[
        (some(&targets, 14), Kind::Call),
        (some(&holders, 2 + 16 * pending.min(2)), Kind::Recv),
        (some(&holders, 1 + 8 * open.min(2)), Kind::Send),
        (some(&holders, 7 * open.min(2)), Kind::Addfd),
        (some(&holders, 1 + 2 * open.min(2)), Kind::IdValid),
        (some(&holders, 3), Kind::Poll),
        (some(&holders, 1), Kind::Listener),
        (calm * if waiting.is_empty() { 1 } else { 10 }, Kind::Signal),
        (some(&waiting, calm * 3), Kind::Stop),
        (some(&stopped, 8), Kind::Continue),
        (some(&waiting, 1), Kind::Kill),
        (2, Kind::Look),
        (some(&unborn, 2), Kind::Start),
        (some(&targets, 3), Kind::Filters),
        (some(&targets, 2), Kind::Dispose),
        (some(&targets, 1), Kind::Exec),
        (some(&idle.iter().copied().filter(|name| *name == "P").collect(), 14), Kind::Trace),
        (1, Kind::Reap),
        (some(&holders, 4), Kind::Rare),
        (u32::from(script.frozen.is_some()) * 8 + 1, Kind::Freeze),
    ]);
    let goes_on = u.once_in(5);
    if !goes_on {
        script.end_line();
        script.together = u.once_in(10);
    }
    match kind {
        Kind::Call => call(u, script, &targets),
        Kind::Rare => rare::act(u, script, &holders),
        Kind::Freeze => rare::freeze(u, script),
        Kind::Recv => recv(u, script, &holders),
        Kind::Send => {
            let response: Response = u.arbitrary()?;
            let (id, at) = script.id(response.id);
            let (by, on) = at_listener(u, script, &holders, at);
            script.act(Some(by), format!("send {id}{on}{response}"));
            if let Some(known) = at.map(|at| script.known[at].clone())
                && !known.answered
                && !id.contains(['+', '-'])
            {
                script.leaves(known.target, Doing::Idle);
            }
        }
        Kind::Addfd => {
            let addfd: Addfd = u.arbitrary()?;
            let (id, at) = script.id(addfd.id);
            let (by, on) = at_listener(u, script, &holders, at);
            script.act(Some(by), format!("addfd {id}{on}{addfd}"));
        }
        Kind::IdValid => {
            let (id, at) = script.id(u.arbitrary()?);
            let (by, on) = at_listener(u, script, &holders, at);
            script.act(Some(by), format!("id_valid {id}{on}"));
        }
        Kind::Poll => {
            let by = u.one(&holders);
            let listener = u.one(&script.player(by).holds);
            let timeout = if u.once_in(6) { " timeout=-1" } else { "" };
            let verb = u.one(&["poll", "poll", "select"]);
            script.act(Some(by), format!("{verb} {listener}{timeout}"));
            if !timeout.is_empty() && script.pending.is_empty() {
                script.player(by).doing = Doing::Waiting;
            }
        }
        Kind::Listener => listener(u, script, &holders),
        Kind::Signal => signal(u, script, &waiting),
        Kind::Stop => {
            let whom = u.one(&waiting);
            script.act(None, format!("stop {whom}"));
            script.player(whom).stopped = true;
        }
        Kind::Continue => {
            let whom = u.one(&stopped);
            script.act(None, format!("cont {whom}"));
            script.player(whom).stopped = false;
        }
        Kind::Kill => {
            let whom = u.one(&waiting);
            script.act(None, format!("kill {whom}"));
            script.ends(whom);
        }
        Kind::Look => {
            let whom = u.one(&script.those(|_| true));
            let what = u.one(&["state X", "status X Seccomp", "status X Seccomp_filters"]);
            script.act(None, what.replace('X', whom));
        }
        Kind::Start => start(u, script),
        Kind::Filters => filters(u, script, &targets),
        Kind::Dispose => {
            let by = u.one(&targets);
            let signal = u.one(SIGNALS);
            let act = u.one(&[
                "handle SIG flags=SA_RESTART",
                "handle SIG",
                "ignore SIG",
                "default SIG",
                "block SIG",
                "unblock SIG",
            ]);
            script.act(Some(by), act.replace("SIG", signal));
        }
        Kind::Exec => {
            let by = u.one(&targets);
            script.act(Some(by), "exec");
            script.end_line();
        }
        Kind::Trace => trace(u, script),
        Kind::Reap => {
            let whom = u.one(&script.those(|one| one.name != "C"));
            script.act(None, format!("reap {whom}"));
        }
    }
    Ok(())
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Call,
    Recv,
    Send,
    Addfd,
    IdValid,
    Poll,
    Listener,
    Signal,
    Stop,
    Continue,
    Kill,
    Look,
    Start,
    Filters,
    Dispose,
    Exec,
    Trace,
    Reap,
    Rare,
    Freeze,
}

fn call(u: &mut Unstructured<'_>, script: &mut Script, targets: &[&'static str]) {
    let by = u.one(targets);
    let (name, text) = if u.once_in(3) { u.one(CALLS) } else { CALLS[0] };
    // Another way into the kernel is mostly another call to a filter.
    let entry = u.weighted(&[(20, ""), (2, "int80 "), (1, "x32 ")]);
    if entry == "int80 " {
        script.needs(Need::Ia32);
    }
    script.act(Some(by), format!("{entry}{text}"));
    if !entry.is_empty() {
        return;
    }
    match (name, script.player(by).notifies) {
        ("mkdir", Some(listener)) => {
            script.player(by).doing = Doing::Notified;
            script.pending.push((by, listener));
        }
        ("pause", _) => script.player(by).doing = Doing::Waiting,
        ("exit_group", _) => script.ends(by),
        ("exit", _) => script.leaves(by, Doing::Gone),
        _ => {}
    }
}

fn recv(u: &mut Unstructured<'_>, script: &mut Script, holders: &[&'static str]) {
    let by = u.one(holders);
    let holds = script.player(by).holds.clone();
    let waits = script.pending.iter().position(|(_, listener)| holds.contains(listener));
    let Some(at) = waits else {
        let listener = u.one(&holds);
        let name = script.name('n');
        script.act(Some(by), format!("recv {listener} as {name}"));
        script.player(by).doing = Doing::Waiting;
        return;
    };
    let (target, listener) = script.pending.remove(at);
    let places = [(20, ""), (1, " at=null"), (1, " dirty=3"), (1, " at=edge"), (1, " at=readonly")];
    let place = match u.once_in(24) {
        true if ["S", "R"].contains(&by) => rare::held(script),
        _ => u.weighted(&places),
    };
    let name = script.name('n');
    script.act(Some(by), format!("recv {listener}{place} as {name}"));
    script.known.push(Known { name, listener, target, answered: false });
}

/// Who asks a listener, and the option that names it where the id does not.
fn at_listener(
    u: &mut Unstructured<'_>,
    script: &mut Script,
    holders: &[&'static str],
    at: Option<usize>,
) -> (&'static str, String) {
    let by = u.one(holders);
    let listener = u.one(&script.player(by).holds);
    match at.map(|at| script.known[at].listener) {
        Some(known) if script.player(by).holds.contains(&known) && !u.once_in(12) => {
            (by, String::new())
        }
        _ => (by, format!(" on={listener}")),
    }
}

fn listener(u: &mut Unstructured<'_>, script: &mut Script, holders: &[&'static str]) {
    let by = u.one(holders);
    let listener = u.one(&script.player(by).holds);
    match u.weighted(&[(3, 0), (2, 1), (1, 2), (1, 3)]) {
        0 => script.act(Some(by), format!("close({listener})")),
        1 => script.act(Some(by), format!("set_flags {listener} {}", u.one(&[1, 0, 2]))),
        2 => script.act(Some(by), format!("fcntl({listener}, F_GETFD)")),
        _ => script.act(Some(by), "exit_group(0)"),
    }
}

fn signal(u: &mut Unstructured<'_>, script: &mut Script, waiting: &[&'static str]) {
    let whom = match waiting.is_empty() || u.once_in(8) {
        true => u.one(&script.those(|one| one.doing != Doing::Unborn)),
        false => u.one(waiting),
    };
    let scope = u.one(&["", " scope=process"]);
    // Mostly one for which something is set up.
    let actor = script.scenario.actors.iter().find(|actor| actor.name == whom);
    let set: Vec<&'static str> = SIGNALS
        .iter()
        .copied()
        .filter(|signal| actor.is_some_and(|actor| actor.handlers.contains_key(*signal)))
        .collect();
    let signal = match &set[..] {
        [] if u.once_in(12) => "SIGKILL",
        [] if u.once_in(2) => u.one(SIGNALS),
        [] => "SIGWINCH",
        _ if u.once_in(5) => u.one(SIGNALS),
        set => u.one(set),
    };
    script.act(None, format!("signal {whom} {signal}{scope}"));
    let again = set.contains(&signal) && script.player(whom).doing == Doing::Notified;
    // It may be notified again, with another id.
    if again && let Some(listener) = script.player(whom).notifies {
        for known in &mut script.known {
            known.answered |= known.target == whom && u.once_in(2);
        }
        if !script.pending.iter().any(|(target, _)| *target == whom) {
            script.pending.push((whom, listener));
        }
    }
}

fn filters(u: &mut Unstructured<'_>, script: &mut Script, targets: &[&'static str]) {
    let by = u.one(targets);
    match u.weighted(&[(4, 0), (3, 1), (2, 2), (1, 3), (1, 4), (1, 5)]) {
        0 => script.act(Some(by), "install F"),
        1 => {
            let flags = u.one(&["TSYNC", "TSYNC|TSYNC_ESRCH", "LOG", "WAIT_KILLABLE_RECV", "64"]);
            script.act(Some(by), format!("install F flags={flags}"));
        }
        2 if !script.those(|one| one.holds.contains(&"N")).is_empty() => {}
        2 => {
            let flags = u.one(&["", " flags=TSYNC|TSYNC_ESRCH", " flags=TSYNC"]);
            script.act(Some(by), format!("install G{flags}"));
            script.player(by).holds.push("N");
            if script.player(by).notifies.is_none() {
                script.player(by).notifies = Some("N");
            }
        }
        3 => script.act(Some(by), "install F via=prctl"),
        4 => script.act(Some(by), "no_new_privs"),
        _ => script.act(Some(by), "strict"),
    }
}

fn trace(u: &mut Unstructured<'_>, script: &mut Script) {
    let born = script.those(|one| one.doing != Doing::Unborn && ["T", "C"].contains(&one.name));
    let whom = u.one(&born);
    let signal = u.weighted(&[(3, ""), (1, " signal=SIGUSR1"), (1, " signal=SIGKILL")]);
    let act = u.one(&[
        "wait X",
        "resume X$",
        "to_syscall X$",
        "detach X$",
        "interrupt X",
        "event_message X",
        "get_register X nr",
        "get_register X ret",
        "get_register X arg1",
        "set_register X nr 84",
        "set_register X nr -1",
        "set_register X ret 3",
        "set_register X arg1 0o40",
        "set_options X PTRACE_O_TRACESECCOMP",
        "attach X",
        "seize X",
        "get_filter X 0",
        "get_filter X 1",
    ]);
    script.act(Some("P"), act.replace('X', whom).replace('$', signal));
}
