//! Steps that no world could follow.

use super::resolve::Resolver;
use super::schedule::{ActorId, Arg, Op, Origin, SlotKind};
use super::{Entry, Field, Span};
use crate::abi::X32_SYSCALL_BIT;
use crate::filter::{Arch, Syscall};

/// Calls that make a task which goes on where its maker does.
const COPYING: &[&str] = &["fork", "vfork", "clone", "clone3"];

/// Refuses calls of which a second task would come that acts as the same actor:
/// on the same stack even, after vfork(2).
pub(super) fn refuse_copies(resolver: &mut Resolver<'_>, entry: Entry, number: u64, span: &Span) {
    let (arch, number) = match entry {
        Entry::Native => (Arch::X86_64, number as u32),
        Entry::Int80 => (Arch::I386, number as u32),
        Entry::X32 => (Arch::X86_64, number as u32 & !X32_SYSCALL_BIT),
    };
    let call = Syscall::from_number(number as i32, arch).to_string();
    if COPYING.contains(&call.as_str()) {
        let message = format!("after {call} two tasks would be this actor");
        resolver.mistake(span, message, "`fork ACTOR` or `thread ACTOR`, which is a clone(2)");
    }
}

/// Refuses a held page where nothing waits: a userfaultfd is not inherited.
pub(super) fn refuse_unheld(
    resolver: &mut Resolver<'_>,
    op: &Op,
    by: Option<ActorId>,
    span: &Span,
) {
    let Some(by) = by else { return };
    let process = resolver.schedule.process_of(by);
    let held = (0..resolver.schedule.held.len()).any(|index| op.touches_held(index));
    if held && resolver.schedule.actors[process.0].origin != Origin::Start {
        let message =
            format!("a held page does not wait for {}", resolver.schedule.actors[by.0].name);
        let expected = "an actor that is there from the start, or a thread of it";
        resolver.mistake(span, message, expected);
    }
}

/// Refuses an id as a number that others see: it is another one in each run
/// (`get_random_u64` in init_listener), so no two traces would be the same.
pub(super) fn refuse_shown_id(resolver: &mut Resolver<'_>, op: &Op, span: &Span) {
    let shown: Vec<Arg> = match op {
        Op::Call { args, .. } => args.to_vec(),
        Op::Send { val, error, .. } => vec![*val, *error],
        Op::SetRegister { value, .. } => vec![*value],
        _ => return,
    };
    let is_id = |arg: &Arg| match arg {
        Arg::Field(_, field) => *field == Field::Id,
        Arg::Slot(slot, _) => resolver.schedule.slots[slot.0].kind == SlotKind::Notification,
        _ => false,
    };
    if shown.iter().any(is_id) {
        let message = "an id is another number in each run, and would be seen here".to_owned();
        resolver.mistake(span, message, "a number, or another field, such as `n1.args[0]`");
    }
}
