//! What scenarios do now and then: epoll, a target's memory, descriptors that go
//! about, frozen tasks, held pages.

use arbitrary::Unstructured;

use super::Choose;
use super::script::Script;
use crate::scenario::{Need, Placed, Span};

/// The page whose first access waits for the director.
const HELD: &str = "H";

/// Something that one who holds a listener does.
pub(super) fn act(u: &mut Unstructured<'_>, script: &mut Script, holders: &[&'static str]) {
    let by = u.one(holders);
    let listener = u.one(&script.player(by).holds);
    let held = u32::from(!script.scenario.held.is_empty());
    match u.weighted(&[(4, 0), (3, 1), (2, 2), (12 * held, 3)]) {
        0 => epoll(u, script, by, listener),
        1 => memory(u, script, by),
        2 => descriptors(u, script, by, listener),
        _ => {
            let release = u.one(&["release", "fail"]);
            script.act(None, format!("{release} {HELD}"));
        }
    }
}

fn epoll(u: &mut Unstructured<'_>, script: &mut Script, by: &'static str, listener: &str) {
    let Some((_, epoll)) = script.epolls.iter().find(|(owner, _)| *owner == by).cloned() else {
        let epoll = script.name('e');
        script.act(Some(by), format!("epoll_create1(0) as {epoll}"));
        script.act(Some(by), format!("epoll_add {epoll} {listener}"));
        script.epolls.push((by, epoll));
        return;
    };
    match u.weighted(&[(5, 0), (2, 1), (1, 2), (1, 3)]) {
        0 => script.act(Some(by), format!("epoll_wait {epoll}")),
        1 => script.act(Some(by), format!("epoll_wait {epoll} timeout=-1")),
        2 => script.act(Some(by), format!("epoll_add {epoll} {listener} events=EPOLLIN|EPOLLET")),
        _ => script.act(Some(by), format!("epoll_add {epoll} {}", u.one(&["0", "99", &epoll]))),
    }
}

/// The memory of a notification's target.
fn memory(u: &mut Unstructured<'_>, script: &mut Script, by: &'static str) {
    let own = script.memories.iter().find(|(owner, ..)| *owner == by).cloned();
    if let Some((_, memory, notification)) = own.filter(|_| !u.once_in(3)) {
        let address = u.one(&["args[0]", "args[1]"]);
        match u.once_in(3) {
            true => {
                script.act(Some(by), format!("write_mem {memory} {notification}.args[0] \"e\""));
            }
            false => {
                script.act(Some(by), format!("read_mem {memory} {notification}.{address} len=2"));
            }
        }
        return;
    }
    let Some(known) = script.known.last().cloned() else { return };
    let memory = script.name('m');
    script.act(Some(by), format!("open_mem {} as {memory}", known.name));
    script.memories.push((by, memory, known.name));
}

/// Copies of a listener, and where they go.
fn descriptors(
    u: &mut Unstructured<'_>,
    script: &mut Script,
    by: &'static str,
    listener: &'static str,
) {
    let passed = script.passed.iter().position(|passed| *passed == listener);
    match (u.up_to(2), passed) {
        (0, _) => {
            let copy = script.name('d');
            script.act(Some(by), format!("dup({listener}) as {copy}"));
            script.act(Some(by), format!("close({listener})"));
        }
        (_, Some(at)) => {
            script.passed.remove(at);
            script.act(Some(by), format!("take {listener} via=scm_rights"));
        }
        (_, None) => {
            script.act(Some(by), format!("pass {listener}"));
            script.passed.push(listener);
        }
    }
}

/// Freezes somebody, or thaws whom it has frozen.
pub(super) fn freeze(u: &mut Unstructured<'_>, script: &mut Script) {
    // One who sleeps for a kill or a page only is frozen by nobody, nor one whose
    // execve(2) waits for a traced thread.
    let text = script.scenario.to_string();
    let waits = text.contains("exec") && text.contains("[tracer.P]");
    if !script.scenario.held.is_empty() || text.contains("WAIT_KILLABLE") || waits {
        return;
    }
    script.needs(Need::Freezer);
    match script.frozen.take() {
        Some(whom) => script.act(None, format!("thaw {whom}")),
        None => {
            let whom = u.one(&["T", "S"]);
            script.act(None, format!("freeze {whom}"));
            script.frozen = Some(whom);
        }
    }
}

/// The option of RECV that puts its buffer on a page which waits.
pub(super) fn held(script: &mut Script) -> &'static str {
    if script.scenario.needs.contains(&Need::Freezer) {
        return "";
    }
    script.needs(Need::Userfaultfd);
    if script.scenario.held.is_empty() {
        script.scenario.held.push(Placed { value: HELD.to_owned(), span: Span::default() });
    }
    " at=&H"
}
