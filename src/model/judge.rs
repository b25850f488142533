//! A trace against the model.

use super::Setting;
use super::director::{Foreseen, settle, take_turns};
use super::world::World;
use crate::trace::{Event, Outcome, Trace};

/// Most worlds that are followed at once.
const MOST_FOLLOWED: usize = 256;
/// Most traces that a prediction tells.
const MOST_TRACES: usize = 64;

/// How a trace stands against the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Agreement {
    /// Every step has an outcome that the model allows; so many of them could
    /// have been anything.
    Allowed {
        /// Events of calls that the model does not know.
        free: usize,
    },
    /// Every step up to this act has an outcome that the model allows; from
    /// there on it does not follow, for this reason.
    Beyond {
        /// The act.
        act: usize,
        /// Why.
        why: &'static str,
    },
    /// This is not allowed.
    Refused(Disagreement),
}

/// The first place at which a trace is not allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disagreement {
    /// Which event of the trace, from 0.
    pub event: usize,
    /// What was seen there; `None` for the end of the trace.
    pub seen: Option<String>,
    /// What may be seen there.
    pub allowed: Vec<String>,
}

/// A world, how much of the trace led to it, and how much of that was free.
struct Followed<'s> {
    world: World<'s>,
    events: usize,
    free: usize,
}

/// Holds a trace against the model.
pub fn agree(setting: &Setting<'_>, trace: &Trace) -> Agreement {
    let mut followed = Vec::new();
    let mut refused: Option<Disagreement> = None;
    for (world, foreseen) in begin(setting) {
        follow(setting, trace, 0, 0, world, &foreseen, &mut followed, &mut refused);
    }
    for turns in setting.schedule.groups() {
        if followed.is_empty() {
            break;
        }
        if let Some(beyond) = beyond(&followed, turns[0].acts.start) {
            return beyond;
        }
        let mut next = Vec::new();
        refused = None;
        for Followed { world, events, free } in followed {
            for (world, foreseen) in take_turns(world, turns) {
                follow(setting, trace, events, free, world, &foreseen, &mut next, &mut refused);
            }
        }
        if next.len() > MOST_FOLLOWED {
            let why = "there are too many ways in which it may have come about";
            return Agreement::Beyond { act: turns[0].acts.end, why };
        }
        followed = next;
    }
    if let Some(beyond) = beyond(&followed, setting.schedule.acts.len()) {
        return beyond;
    }
    let whole = followed.iter().find(|one| one.events == trace.events.len());
    if let Some(whole) = whole {
        return Agreement::Allowed { free: whole.free };
    }
    if let Some(most) = followed.iter().map(|one| one.events).max() {
        let seen = trace.events.get(most).map(told);
        return Agreement::Refused(Disagreement { event: most, seen, allowed: Vec::new() });
    }
    Agreement::Refused(refused.expect("nothing is followed, so something was refused"))
}

fn begin<'s>(setting: &'s Setting<'s>) -> Vec<(World<'s>, Vec<Foreseen>)> {
    let worlds = settle(vec![World::new(setting)]);
    worlds.into_iter().map(|world| world.looked_at(&[])).collect()
}

fn beyond(followed: &[Followed<'_>], act: usize) -> Option<Agreement> {
    let why = followed.iter().find_map(|one| one.world.beyond)?;
    Some(Agreement::Beyond { act, why })
}

/// Keeps a world if the trace goes on as it foresees.
#[expect(clippy::too_many_arguments, reason = "they are one step of a loop")]
fn follow<'s>(
    setting: &Setting<'_>,
    trace: &Trace,
    from: usize,
    mut free: usize,
    world: World<'s>,
    foreseen: &[Foreseen],
    kept: &mut Vec<Followed<'s>>,
    refused: &mut Option<Disagreement>,
) {
    if world.beyond.is_none() {
        for (index, expected) in foreseen.iter().enumerate() {
            let at = from + index;
            let seen = trace.events.get(at);
            if !seen.is_some_and(|seen| matches(setting, expected, seen)) {
                let allowed = described(setting, expected);
                match refused {
                    Some(known) if known.event > at => {}
                    Some(known) if known.event == at => {
                        if !known.allowed.contains(&allowed) {
                            known.allowed.push(allowed);
                        }
                    }
                    _ => {
                        let seen = seen.map(told);
                        *refused = Some(Disagreement { event: at, seen, allowed: vec![allowed] });
                    }
                }
                return;
            }
            free += usize::from(expected.seen == Outcome::Anything);
        }
    }
    let events = from + foreseen.len();
    let known = kept.iter().any(|one| one.events == events && one.world == world);
    if !known {
        kept.push(Followed { world, events, free });
    }
}

/// Whether an event is one that was foreseen.
fn matches(setting: &Setting<'_>, foreseen: &Foreseen, seen: &Event) -> bool {
    let actor = foreseen.actor.map(|actor| setting.schedule.actors[actor].name.as_str());
    seen.act == foreseen.act
        && seen.actor.as_deref() == actor
        && match &foreseen.seen {
            // A result; not that it blocks, nor how its task ends.
            Outcome::Anything => !matches!(
                seen.outcome,
                Outcome::Blocked
                    | Outcome::Exited(_)
                    | Outcome::Killed { .. }
                    | Outcome::ThreadEnded
                    | Outcome::Handler(_)
                    | Outcome::NotRun(_)
            ),
            outcome => *outcome == seen.outcome,
        }
}

/// An event as the scenario says it.
fn event(setting: &Setting<'_>, foreseen: &Foreseen) -> Event {
    let act = foreseen.act.map(|act| &setting.schedule.acts[act]);
    Event {
        act: foreseen.act,
        actor: foreseen.actor.map(|actor| setting.schedule.actors[actor].name.clone()),
        text: act.map(|act| act.text.clone()).unwrap_or_default(),
        label: act.and_then(|act| act.label.clone()),
        outcome: foreseen.seen.clone(),
    }
}

fn described(setting: &Setting<'_>, foreseen: &Foreseen) -> String {
    told(&event(setting, foreseen))
}

fn told(event: &Event) -> String {
    Trace { events: vec![event.clone()] }.to_string().trim_end().to_owned()
}

/// Every trace that the model allows, and why there may be others that it does
/// not tell.
pub fn predict(setting: &Setting<'_>) -> (Vec<Trace>, Option<&'static str>) {
    let mut ways: Vec<(World<'_>, Vec<Event>)> = begin(setting)
        .into_iter()
        .map(|(world, foreseen)| (world, foreseen.iter().map(|one| event(setting, one)).collect()))
        .collect();
    let mut cut = None;
    for turns in setting.schedule.groups() {
        let mut next: Vec<(World<'_>, Vec<Event>)> = Vec::new();
        for (world, before) in ways {
            if let Some(why) = world.beyond {
                cut.get_or_insert(why);
                next.push((world, before));
                continue;
            }
            for (world, foreseen) in take_turns(world, turns) {
                let mut events = before.clone();
                events.extend(foreseen.iter().map(|one| event(setting, one)));
                if !next.iter().any(|(known, told)| *known == world && *told == events) {
                    next.push((world, events));
                }
            }
        }
        if next.len() > MOST_TRACES {
            next.truncate(MOST_TRACES);
            cut.get_or_insert("there are more ways than are told");
        }
        ways = next;
    }
    if let Some(why) = ways.iter().find_map(|(world, _)| world.beyond) {
        cut.get_or_insert(why);
    }
    let mut traces: Vec<Trace> = Vec::new();
    for (_, events) in ways {
        let trace = Trace { events };
        if !traces.contains(&trace) {
            traces.push(trace);
        }
    }
    (traces, cut)
}
