//! What was exercised: which operations met which states, and what came of
//! it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Judgement, Ran};
use crate::scenario::{Arg, Op, Schedule, SlotId};
use crate::trace::{Outcome, Sender, Trace};

/// What was done, in which state, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reached {
    /// The word of the verb, or the name of the call.
    pub operation: String,
    /// How far the notification was that it is about, or what the actor did
    /// that it is about.
    pub state: &'static str,
    /// What came of it, without values.
    pub outcome: String,
}

/// Counts over many cases.
#[derive(Clone, Debug, Default)]
pub struct Statistics {
    /// Cases that were run.
    pub cases: u64,
    /// Acts of their scripts.
    pub steps: u64,
    /// Acts that could not be taken.
    pub not_run: u64,
    /// Cases that the model allows.
    pub allowed: u64,
    /// Cases that it refuses.
    pub refused: u64,
    /// Cases without a result.
    pub troubled: u64,
    /// Cases that need something that is missing.
    pub skipped: u64,
    /// Cases that the model does not follow to the end, and why.
    pub beyond: BTreeMap<&'static str, u64>,
    /// What was reached, and how often.
    pub reached: BTreeMap<Reached, u64>,
    /// How long it took.
    pub time: Duration,
    /// How long the model took, of all threads together.
    pub judging: Duration,
}

impl Statistics {
    /// Counts a case.
    pub fn add(&mut self, ran: &Ran, reached: Vec<Reached>) {
        self.cases += 1;
        self.judging += ran.judging;
        match &ran.judgement {
            Judgement::Allowed => self.allowed += 1,
            Judgement::Beyond(why) => *self.beyond.entry(why).or_default() += 1,
            Judgement::Refused(_) => self.refused += 1,
            Judgement::Skipped => self.skipped += 1,
            Judgement::Trouble(_) => self.troubled += 1,
        }
        let acts: usize = ran.scenario.steps.iter().map(|step| step.operations.len()).sum();
        self.steps += acts as u64;
        for one in reached {
            self.not_run += u64::from(one.outcome == "not run");
            *self.reached.entry(one).or_default() += 1;
        }
    }
}

/// How far a notification is, as far as a trace tells.
#[derive(Clone, Copy)]
enum Phase {
    Sent,
    Answered,
    Withdrawn,
}

/// Follows a trace.
struct Reader<'s> {
    schedule: &'s Schedule,
    phases: BTreeMap<SlotId, Phase>,
    /// The notification that each actor waits for.
    waits: BTreeMap<String, SlotId>,
    blocked: BTreeSet<String>,
    stopped: BTreeSet<String>,
    ended: BTreeSet<String>,
}

impl Reached {
    /// What a trace reached, in its order.
    pub fn of(schedule: &Schedule, trace: &Trace) -> Vec<Reached> {
        let mut reader = Reader {
            schedule,
            phases: BTreeMap::new(),
            waits: BTreeMap::new(),
            blocked: BTreeSet::new(),
            stopped: BTreeSet::new(),
            ended: BTreeSet::new(),
        };
        let mut reached = Vec::new();
        for event in &trace.events {
            if let Some(act) = event.act {
                let operation = operation(&event.text);
                let state = reader.state(schedule.acts[act].op);
                reached.push(Reached { operation, state, outcome: class(&event.outcome) });
            }
            reader.follow(event.act, event.actor.as_deref(), &event.outcome);
        }
        reached
    }
}

/// The first word.
fn operation(text: &str) -> String {
    let end = text.find(['(', ' ']).unwrap_or(text.len());
    text[..end].to_owned()
}

/// An outcome without its values.
fn class(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Returned(-4095..=-1) => outcome.to_string(),
        Outcome::Returned(0) => "ok".to_owned(),
        Outcome::Returned(_) | Outcome::ReturnedActor(_) => "value".to_owned(),
        Outcome::Received(_) => "notification".to_owned(),
        Outcome::Ready(_) | Outcome::State { .. } | Outcome::Waited(_) => outcome.to_string(),
        Outcome::Handler(_) => "handler".to_owned(),
        Outcome::Killed { .. } => "killed".to_owned(),
        Outcome::Exited(_) => "exited".to_owned(),
        Outcome::NotRun(_) => "not run".to_owned(),
        Outcome::Selected(_) => "selected".to_owned(),
        Outcome::Text(_) | Outcome::Numbers(_) => "read".to_owned(),
        other => other.to_string(),
    }
}

impl Reader<'_> {
    fn name(&self, actor: usize) -> &str {
        &self.schedule.actors[actor].name
    }

    fn state(&self, op: Op) -> &'static str {
        match op {
            Op::Send { id, .. } | Op::IdValid { id, .. } | Op::Addfd { id, .. } => match id {
                Arg::Slot(slot, 0) => match self.phases.get(&slot) {
                    None => "never received",
                    Some(Phase::Sent) => "sent",
                    Some(Phase::Answered) => "answered",
                    Some(Phase::Withdrawn) => "withdrawn",
                },
                Arg::Slot(..) => "id beside",
                _ => "a number",
            },
            Op::Signal { to, .. } => self.doing(to.0),
            Op::State(of) | Op::Status { of, .. } | Op::Reap(of) | Op::WaitStop(of) => {
                self.doing(of.0)
            }
            Op::Resume { tracee, .. } | Op::Detach { tracee, .. } => self.doing(tracee.0),
            _ => {
                let received = !self.waits.is_empty();
                match self.blocked.len() > self.waits.len() {
                    true if received => "sent, and more blocked",
                    true => "somebody blocked",
                    false if received => "sent",
                    false => "nobody blocked",
                }
            }
        }
    }

    fn doing(&self, actor: usize) -> &'static str {
        let name = self.name(actor);
        if self.ended.contains(name) {
            "ended"
        } else if self.stopped.contains(name) {
            "stopped"
        } else if self.waits.contains_key(name) {
            "sent"
        } else if self.blocked.contains(name) {
            "blocked"
        } else {
            "idle"
        }
    }

    fn follow(&mut self, act: Option<usize>, actor: Option<&str>, outcome: &Outcome) {
        let scheduled = act.map(|act| &self.schedule.acts[act]);
        if let (Some(scheduled), Outcome::Received(seen)) = (scheduled, outcome)
            && let Some(slot) = scheduled.binds
        {
            self.phases.insert(slot, Phase::Sent);
            if let Sender::Actor(target) = &seen.from {
                self.waits.insert(target.clone(), slot);
            }
        }
        let answers = match scheduled.map(|act| act.op) {
            Some(Op::Send { id: Arg::Slot(slot, 0), .. }) => Some(slot),
            Some(Op::Addfd { id: Arg::Slot(slot, 0), flags: Arg::Value(flags), .. })
                if flags & 2 != 0 =>
            {
                Some(slot)
            }
            _ => None,
        };
        if let (Some(slot), Outcome::Returned(0..)) = (answers, outcome) {
            self.phases.insert(slot, Phase::Answered);
        }
        let Some(actor) = actor.map(str::to_owned) else { return };
        match outcome {
            Outcome::Blocked => drop(self.blocked.insert(actor)),
            Outcome::Stopped | Outcome::TraceStopped => drop(self.stopped.insert(actor)),
            Outcome::Continued => drop(self.stopped.remove(&actor)),
            Outcome::NotRun(_) => {}
            outcome => {
                self.blocked.remove(&actor);
                if let Some(slot) = self.waits.remove(&actor)
                    && matches!(self.phases.get(&slot), Some(Phase::Sent))
                {
                    self.phases.insert(slot, Phase::Withdrawn);
                }
                if matches!(
                    outcome,
                    Outcome::Exited(_) | Outcome::Killed { .. } | Outcome::ThreadEnded
                ) {
                    self.ended.insert(actor);
                }
            }
        }
    }
}

impl std::fmt::Display for Reached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} | {} | {}", self.operation, self.state, self.outcome)
    }
}
