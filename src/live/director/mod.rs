//! Has the actors act in turn, and notes what is seen after each.

mod own;
mod still;

use std::os::fd::AsFd;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::end::{self, End};
use super::observe::Observer;
use super::shared::ACTING;
use super::spawn::Set;
use super::watch::{Look, Rest, Watched};
use super::{RunResult, Trouble};
use crate::scenario::{ActorId, Op, Schedule, Turn};
use crate::trace::{Event, Outcome, Trace};

/// How long one turn may take before the run is given up as inconclusive. It
/// only bounds a failure: nothing is concluded from the time that passes.
const LONGEST_TURN: Duration = Duration::from_secs(20);

/// How long the director waits for those whose turns begin together. It proves
/// nothing: the later they come, the tamer is the race.
const LONGEST_AT_GATE: Duration = Duration::from_millis(1);

/// Runs a schedule once; `seed` says how those that race are delayed.
pub(super) fn run(schedule: Schedule, text: &[u8], scratch: &Path, seed: u64) -> RunResult {
    let set = match Set::new(schedule, text, scratch) {
        Ok(set) => set,
        Err(trouble) => {
            let left = end::all_children().err().map(|left| format!("; {left}"));
            return RunResult::Fault(format!("{trouble}{}", left.unwrap_or_default()));
        }
    };
    let mut director = Director::new(&set, seed);
    let outcome = director.play();
    let trace = Trace { events: std::mem::take(&mut director.events) };
    drop(director);
    if let Err(left) = end::all_children() {
        return RunResult::Fault(left);
    }
    match outcome {
        Ok(()) => RunResult::Ran(trace),
        Err(Trouble::Inconclusive(why)) => RunResult::Inconclusive(trace, why),
        Err(Trouble::Harness(why)) => RunResult::Fault(why),
    }
}

/// An actor's task, as far as it is known.
enum Task {
    /// It has not been started.
    Unborn,
    /// It can be looked at.
    Watched(Watched),
    /// It had ended before it could be looked at.
    Gone,
}

struct Director<'s> {
    set: &'s Set,
    schedule: &'s Schedule,
    tasks: Vec<Task>,
    /// What each actor was last seen to do; `None` before it runs.
    seen: Vec<Option<Look>>,
    /// The act in which each actor was told to be blocked.
    blocked: Vec<Option<usize>>,
    /// Whether the cgroup of those that were frozen is so now.
    frozen: bool,
    /// Which held pages were let go.
    let_go: Vec<bool>,
    observer: Observer<'s>,
    events: Vec<Event>,
    /// What delays in races are drawn from.
    random: fastrand::Rng,
}

impl<'s> Director<'s> {
    fn new(set: &'s Set, seed: u64) -> Self {
        let schedule = &set.stage.schedule;
        let actors = schedule.actors.len();
        Director {
            set,
            schedule,
            tasks: std::iter::repeat_with(|| Task::Unborn).take(actors).collect(),
            seen: vec![None; actors],
            blocked: vec![None; actors],
            frozen: false,
            let_go: vec![false; schedule.held.len()],
            observer: Observer::new(schedule, &set.stage.shared),
            events: Vec::new(),
            random: fastrand::Rng::with_seed(seed),
        }
    }

    fn play(&mut self) -> Result<(), Trouble> {
        self.settle()?;
        for index in 0..self.set.children.len() {
            let (actor, _) = self.set.children[index];
            let fault = self.set.stage.shared.actors[actor.0].fault.load(Ordering::Acquire);
            if fault != 0 {
                let name = &self.schedule.actors[actor.0].name;
                let error = std::io::Error::from_raw_os_error(fault);
                return Err(Trouble::Harness(format!("preparing {name}: {error}")));
            }
        }
        self.changes(&[]);
        let mut first = 0;
        for group in self.schedule.groups() {
            match group {
                [turn] => match turn.by {
                    Some(actor) => self.turn_of(actor, first, turn)?,
                    None => {
                        for act in turn.acts.clone() {
                            self.direct(act)?;
                        }
                    }
                },
                several => self.race(first, several)?,
            }
            first += group.len();
        }
        match self.observer.overflowed() {
            Some(name) => Err(Trouble::Inconclusive(format!("{name} saw more than can be kept"))),
            None => Ok(()),
        }
    }

    fn turn_of(&mut self, actor: ActorId, number: usize, turn: &Turn) -> Result<(), Trouble> {
        if let Some(reason) = self.unable(actor) {
            for act in turn.acts.clone() {
                self.note(Some(act), Some(actor), Outcome::NotRun(reason.clone()));
            }
            return Ok(());
        }
        self.give_turn(actor, number, turn)?;
        self.settle()?;
        self.changes(&[actor]);
        Ok(())
    }

    fn give_turn(&self, actor: ActorId, number: usize, turn: &Turn) -> Result<(), Trouble> {
        let area = &self.set.stage.shared.actors[actor.0];
        if area.phase.load(Ordering::Acquire) == super::shared::SPINNING {
            // From now on it acts, whether it has noticed yet or not.
            area.phase.store(ACTING + turn.acts.start as u32, Ordering::Release);
            area.go.store(number as u32 + 1, Ordering::Release);
        } else {
            let pipe = self.set.control[actor.0].as_fd();
            nix::unistd::write(pipe, &(number as u32).to_ne_bytes())?;
        }
        Ok(())
    }

    /// Has several turns begin at once, each after a delay of its own that is
    /// drawn from the run's seed. What the harness does itself is told at its
    /// place, and what became of the others in the order of the script.
    fn race(&mut self, first: usize, turns: &[Turn]) -> Result<(), Trouble> {
        let shared = &self.set.stage.shared;
        shared.gate.arrived.store(0, Ordering::Release);
        shared.gate.open.store(0, Ordering::Release);
        let mut actors = Vec::new();
        for (index, turn) in turns.iter().enumerate() {
            let Some(actor) = turn.by else { continue };
            if let Some(reason) = self.unable(actor) {
                for act in turn.acts.clone() {
                    self.note(Some(act), Some(actor), Outcome::NotRun(reason.clone()));
                }
                continue;
            }
            let delay = self.draw_delay();
            shared.actors[actor.0].delay.store(delay, Ordering::Release);
            self.give_turn(actor, first + index, turn)?;
            actors.push(actor);
        }
        let patience = Instant::now() + LONGEST_AT_GATE;
        while shared.gate.arrived.load(Ordering::Acquire) < actors.len() as u32
            && Instant::now() < patience
        {
            std::thread::yield_now();
        }
        let own = turns.iter().filter(|turn| turn.by.is_none());
        let own: Vec<usize> = own.flat_map(|turn| turn.acts.clone()).collect();
        let delay = self.draw_delay();
        shared.gate.open.store(1, Ordering::Release);
        let mut told = Vec::new();
        if !own.is_empty() {
            for _ in 0..delay {
                std::hint::spin_loop();
            }
        }
        for act in own {
            let Op::Signal { to, signal, process } = self.schedule.acts[act].op else {
                return Err(Trouble::Harness("only signals are sent in a race".to_owned()));
            };
            told.push((act, self.signal(to, signal, process)));
        }
        for (act, outcome) in told {
            self.note(Some(act), None, outcome);
        }
        self.settle()?;
        self.changes(&actors);
        Ok(())
    }

    /// How long somebody waits at the gate: mostly short, as the windows are.
    fn draw_delay(&mut self) -> u32 {
        let random = self.random.u32(..);
        (random >> 8) % (1 << (random % 13))
    }

    /// Why an actor cannot take a turn.
    fn unable(&self, actor: ActorId) -> Option<String> {
        let name = &self.schedule.actors[actor.0].name;
        match self.seen[actor.0].map(|look| look.rest) {
            None => Some(format!("{name} was never started")),
            Some(Rest::Idle) if self.frozen && self.is_frozen(actor) => {
                Some(format!("{name} is frozen"))
            }
            Some(Rest::Idle) => None,
            Some(Rest::Gone) => Some(format!("{name} has ended")),
            Some(Rest::Stopped | Rest::Traced) => Some(format!("{name} is stopped")),
            Some(Rest::Asleep(_) | Rest::Moving) => {
                let text = self.blocked[actor.0].map(|act| self.schedule.acts[act].text.as_str());
                Some(format!("{name} is blocked in {}", text.unwrap_or("an act")))
            }
        }
    }

    /// Notes what has changed: first for whoever acted, then for the others.
    fn changes(&mut self, acting: &[ActorId]) {
        let all = (0..self.schedule.actors.len()).map(ActorId);
        let others = all.filter(|actor| !acting.contains(actor));
        let order: Vec<ActorId> = acting.iter().copied().chain(others).collect();
        for actor in order {
            self.changes_of(actor);
        }
    }

    fn changes_of(&mut self, actor: ActorId) {
        for (act, outcome) in self.observer.news(actor) {
            if act.is_some() {
                self.blocked[actor.0] = None;
            }
            self.note(act, Some(actor), outcome);
        }
        let Some(look) = self.seen[actor.0] else { return };
        let act = self.observer.act(actor);
        let before = self.observer.rest(actor, look.rest);
        let was_halted = matches!(before, Some(Rest::Stopped | Rest::Traced));
        match look.rest {
            Rest::Gone if before != Some(Rest::Gone) => {
                let end = self.end_of(actor);
                self.note(act, Some(actor), end);
            }
            Rest::Stopped if before != Some(Rest::Stopped) => {
                self.note(None, Some(actor), Outcome::Stopped);
            }
            Rest::Traced if before != Some(Rest::Traced) => {
                self.note(None, Some(actor), Outcome::TraceStopped);
            }
            Rest::Asleep(_) | Rest::Idle if was_halted => {
                self.note(None, Some(actor), Outcome::Continued);
            }
            _ => {}
        }
        if let Rest::Asleep(_) = look.rest
            && self.blocked[actor.0] != act
        {
            self.blocked[actor.0] = act;
            self.note(act, Some(actor), Outcome::Blocked);
        }
    }

    fn end_of(&self, actor: ActorId) -> Outcome {
        let process = self.schedule.process_of(actor);
        if process != actor {
            return Outcome::ThreadEnded;
        }
        match self.tid(actor).map_or(End::Unknown, end::of_process) {
            End::Exited(status) => Outcome::Exited(status),
            End::Killed { signal, core } => Outcome::Killed { signal, core },
            End::Alive | End::Unknown => Outcome::ThreadEnded,
        }
    }

    fn note(&mut self, act: Option<usize>, actor: Option<ActorId>, outcome: Outcome) {
        let scheduled = act.map(|act| &self.schedule.acts[act]);
        // What prepares the stage is told only where it fails.
        let expected = matches!(outcome, Outcome::Returned(0..) | Outcome::ReturnedActor(_));
        if scheduled.is_some_and(|act| act.setup) && expected {
            return;
        }
        self.events.push(Event {
            act,
            actor: actor.map(|actor| self.schedule.actors[actor.0].name.clone()),
            text: scheduled.map(|act| act.text.clone()).unwrap_or_default(),
            label: scheduled.and_then(|act| act.label.clone()),
            outcome,
        });
    }
}
