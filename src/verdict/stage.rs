//! Whether a scenario's stage was set at all.

use crate::model::Agreement;
use crate::scenario::Schedule;
use crate::trace::Trace;

/// What kept the stage from being set, if something did that the model did not
/// foresee: a step that prepares it and that failed. A trace has such steps only
/// where they fail. Where that is what a kernel is known to do, as with a flag
/// that it does not have, or what a filter makes of it, the trace says something
/// all the same; else all that follows is of another scenario, and no finding.
pub fn unset_stage(schedule: &Schedule, trace: &Trace, agreement: &Agreement) -> Option<String> {
    match agreement {
        Agreement::Allowed { .. } => None,
        Agreement::Refused(disagreement) => unset_by(schedule, trace, disagreement.event),
        Agreement::Beyond { act, .. } => {
            let unknown = |event: &usize| trace.events[*event].act >= Some(*act);
            let mut events = (0..trace.events.len()).filter(unknown);
            events.find_map(|event| unset_by(schedule, trace, event))
        }
    }
}

/// The same, if it is this event of the trace that tells of it.
fn unset_by(schedule: &Schedule, trace: &Trace, event: usize) -> Option<String> {
    let event = trace.events.get(event)?;
    schedule.acts.get(event.act?).filter(|act| act.setup)?;
    let actor = event.actor.as_ref().map(|actor| format!("{actor}: ")).unwrap_or_default();
    Some(format!("the stage was not set: {actor}{}: {}", event.text, event.outcome))
}
