//! Whether a scenario's stage was set at all.

use crate::scenario::Schedule;
use crate::trace::Trace;

/// What kept the stage from being set, if something did: a step that prepares
/// it and that failed. A trace has such steps only where they fail. Where that
/// is what a kernel is known to do, as with a flag that it does not have, the
/// trace says something all the same; else all that follows is of another
/// scenario, and no finding.
pub fn unset_stage(schedule: &Schedule, trace: &Trace) -> Option<String> {
    (0..trace.events.len()).find_map(|event| unset_by(schedule, trace, event))
}

/// The same, if it is this event of the trace that tells of it.
pub fn unset_by(schedule: &Schedule, trace: &Trace, event: usize) -> Option<String> {
    let event = trace.events.get(event)?;
    schedule.acts.get(event.act?).filter(|act| act.setup)?;
    let actor = event.actor.as_ref().map(|actor| format!("{actor}: ")).unwrap_or_default();
    Some(format!("the stage was not set: {actor}{}: {}", event.text, event.outcome))
}
