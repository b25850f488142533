//! Has the actors act in turn, and notes what is seen after each.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::os::fd::AsFd;

use super::end::{self, End};
use super::observe::Observer;
use super::shared::ACTING;
use super::spawn::Set;
use super::watch::{Look, Rest, Watched};
use super::{RunResult, Trouble, freezer, hold};
use crate::scenario::{ActorId, Op, Place, Schedule, StatusField, Turn};
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
            end::all_children();
            return RunResult::Fault(trouble.to_string());
        }
    };
    let mut director = Director::new(&set, seed);
    let outcome = director.play();
    let trace = Trace { events: std::mem::take(&mut director.events) };
    drop(director);
    if !end::all_children() {
        return RunResult::Fault("an actor could not be ended".to_owned());
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
            Some(Rest::Idle) => None,
            Some(Rest::Gone) => Some(format!("{name} has ended")),
            Some(Rest::Stopped | Rest::Traced) => Some(format!("{name} is stopped")),
            Some(Rest::Asleep(_) | Rest::Moving) => {
                let text = self.blocked[actor.0].map(|act| self.schedule.acts[act].text.as_str());
                Some(format!("{name} is blocked in {}", text.unwrap_or("an act")))
            }
        }
    }

    /// Waits until nobody can move.
    fn settle(&mut self) -> Result<(), Trouble> {
        let deadline = Instant::now() + LONGEST_TURN;
        let mut patience = Duration::from_micros(50);
        loop {
            self.drain_done();
            self.open_new()?;
            if let Some(looks) = self.still() {
                self.seen = looks;
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(Trouble::Inconclusive(self.told_why_moving()));
            }
            let mut done = [PollFd::new(self.set.done.as_fd(), PollFlags::POLLIN)];
            let timeout = PollTimeout::from(patience.as_millis().clamp(1, 50) as u16);
            if patience < Duration::from_millis(1) {
                std::thread::yield_now();
            } else {
                poll(&mut done, timeout)?;
            }
            patience = (patience * 2).min(Duration::from_millis(50));
        }
    }

    /// What everybody is seen to do, if nobody moves: two rounds of looks
    /// agree. Where a task hides its call, only many rounds that agree are
    /// taken for the same.
    fn still(&self) -> Option<Vec<Option<Look>>> {
        const ROUNDS_WITH_HIDDEN: usize = 100;
        let first = self.look_at_all()?;
        let hidden = first.iter().flatten().any(|look| look.hidden);
        for _ in 0..if hidden { ROUNDS_WITH_HIDDEN } else { 1 } {
            if hidden {
                std::thread::yield_now();
            }
            if self.look_at_all()? != first {
                return None;
            }
        }
        Some(first)
    }

    fn told_why_moving(&self) -> String {
        let moving: Vec<&str> = self
            .schedule
            .actors
            .iter()
            .enumerate()
            .filter(|(index, _)| {
                let look = self.look(*index);
                look.is_some_and(|look| look.rest == Rest::Moving)
            })
            .map(|(_, actor)| actor.name.as_str())
            .collect();
        let seconds = LONGEST_TURN.as_secs();
        format!("after {seconds} s still moving: {}", moving.join(", "))
    }

    fn drain_done(&self) {
        let mut bytes = [0; 64];
        while nix::unistd::read(self.set.done.as_fd(), &mut bytes).is_ok_and(|len| len > 0) {}
    }

    /// Opens the `/proc` files of actors that have come to be.
    fn open_new(&mut self) -> Result<(), Trouble> {
        for index in 0..self.schedule.actors.len() {
            let Some(tid) = self.tid(ActorId(index)) else { continue };
            if matches!(self.tasks[index], Task::Unborn) {
                self.observer.knows(ActorId(index), tid);
                self.tasks[index] = match Watched::open(tid) {
                    Ok(watched) => Task::Watched(watched),
                    Err(error) => match error.raw_os_error() {
                        Some(libc::ENOENT | libc::ESRCH) => Task::Gone,
                        _ => return Err(error.into()),
                    },
                };
            }
        }
        Ok(())
    }

    /// The thread id of an actor, once there is one: as this process sees it.
    fn tid(&self, actor: ActorId) -> Option<i32> {
        let forked = self.set.children.iter().find(|(child, _)| *child == actor);
        forked.map(|(_, pid)| *pid).or_else(|| self.observer.started(actor))
    }

    fn look(&self, index: usize) -> Option<Look> {
        let area = &self.set.stage.shared.actors[index];
        match &self.tasks[index] {
            Task::Unborn => None,
            Task::Watched(watched) => Some(watched.look(area)),
            Task::Gone => Some(Look::GONE),
        }
    }

    /// A look at each actor; `None` if one of them moves, or has come to be
    /// since the last time.
    fn look_at_all(&self) -> Option<Vec<Option<Look>>> {
        let looks: Vec<_> = (0..self.tasks.len()).map(|index| self.look(index)).collect();
        let moving = looks.iter().flatten().any(|look| look.rest == Rest::Moving);
        let newborn = (0..looks.len())
            .any(|index| looks[index].is_none() && self.tid(ActorId(index)).is_some());
        (!moving && !newborn).then_some(looks)
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

    /// Takes a step of the director's own.
    fn direct(&mut self, act: usize) -> Result<(), Trouble> {
        let op = self.schedule.acts[act].op;
        let outcome = match op {
            Op::Signal { to, signal, process } => self.signal(to, signal, process),
            Op::Reap(actor) => self.reap(actor),
            Op::Delay(milliseconds) => {
                std::thread::sleep(Duration::from_millis(milliseconds));
                Outcome::Returned(0)
            }
            Op::Await(actor) => self.wait_for(actor)?,
            Op::State(actor) => self.state(actor),
            Op::Status { of, field } => self.status(of, field),
            Op::Freeze { actor, frozen } => self.freeze(actor, frozen)?,
            Op::LetGo { held, fail } => self.let_go(held, fail)?,
            other => {
                return Err(Trouble::Harness(format!("{other:?} is not done by the director")));
            }
        };
        self.note(Some(act), None, outcome);
        self.settle()?;
        self.changes(&[]);
        Ok(())
    }

    fn signal(&mut self, to: ActorId, signal: i32, process: bool) -> Outcome {
        let leader = self.schedule.process_of(to);
        let (Some(tid), Some(leader)) = (self.tid(to), self.tid(leader)) else {
            return Outcome::NotRun("it was never started".to_owned());
        };
        let Ok(signal) = Signal::try_from(signal) else {
            return Outcome::NotRun("no such signal".to_owned());
        };
        let sent = if process {
            nix::sys::signal::kill(Pid::from_raw(leader), signal)
        } else {
            end::signal_thread(leader, tid, signal)
        };
        match sent {
            Ok(()) => Outcome::Returned(0),
            Err(error) => Outcome::Returned(-i64::from(error as i32)),
        }
    }

    fn reap(&mut self, actor: ActorId) -> Outcome {
        let Some((_, pid)) = self.set.children.iter().find(|(child, _)| *child == actor) else {
            return Outcome::NotRun("only its own parent can reap it".to_owned());
        };
        match end::reap(*pid) {
            End::Exited(status) => Outcome::Waited(crate::trace::Wait::Exited(status)),
            End::Killed { signal, .. } => Outcome::Waited(crate::trace::Wait::Killed(signal)),
            End::Alive => Outcome::NotRun("it has not ended".to_owned()),
            End::Unknown => Outcome::NotRun("it has been reaped".to_owned()),
        }
    }

    /// Waits until an actor is no more in the act in which it is blocked.
    fn wait_for(&mut self, actor: ActorId) -> Result<Outcome, Trouble> {
        let Some(act) = self.blocked[actor.0] else {
            return Ok(Outcome::NotRun("it is not blocked".to_owned()));
        };
        let area = &self.set.stage.shared.actors[actor.0];
        let deadline = Instant::now() + LONGEST_TURN;
        while area.phase.load(Ordering::Acquire) == ACTING + act as u32 {
            if self.look(actor.0).is_none_or(|look| look.rest == Rest::Gone) {
                break;
            }
            if Instant::now() > deadline {
                let text = &self.schedule.acts[act].text;
                return Err(Trouble::Inconclusive(format!("{text} did not end")));
            }
            let mut done = [PollFd::new(self.set.done.as_fd(), PollFlags::POLLIN)];
            poll(&mut done, PollTimeout::from(10u8))?;
            self.drain_done();
        }
        Ok(Outcome::Returned(0))
    }

    fn freeze(&self, actor: ActorId, frozen: bool) -> Result<Outcome, Trouble> {
        let Some(pid) = self.tid(self.schedule.process_of(actor)) else {
            return Ok(Outcome::NotRun("it was never started".to_owned()));
        };
        match freezer::freeze(pid, frozen) {
            Ok(()) => Ok(Outcome::Returned(0)),
            Err(error) if error.kind() == std::io::ErrorKind::TimedOut => {
                Err(Trouble::Inconclusive("its cgroup did not freeze".to_owned()))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Lets the actor go whose act waits on a held page.
    fn let_go(&self, index: usize, fail: bool) -> Result<Outcome, Trouble> {
        let waiting = (0..self.schedule.actors.len()).map(ActorId).find(|actor| {
            let act = self.observer.act(*actor).map(|act| &self.schedule.acts[act].op);
            act.is_some_and(|op| op.place() == Some(Place::Held(index)))
        });
        let pid = waiting.and_then(|actor| self.tid(self.schedule.process_of(actor)));
        let (Some(actor), Some(pid)) = (waiting, pid) else {
            return Ok(Outcome::NotRun("nobody waits on it".to_owned()));
        };
        let uffd = hold::take(pid)?;
        if fail {
            hold::fail(&uffd, index, &self.set.held[index])?;
        } else {
            hold::release(&uffd, index, actor.0, pid)?;
        }
        Ok(Outcome::Returned(0))
    }

    fn state(&self, actor: ActorId) -> Outcome {
        let Some(look) = self.seen[actor.0] else {
            return Outcome::NotRun("it was never started".to_owned());
        };
        let call = match look.rest {
            Rest::Asleep(call) if call >= 0 => Some(self.observer.call_name(call as i32)),
            _ => None,
        };
        Outcome::State { letter: look.letter, call }
    }

    fn status(&self, of: ActorId, field: StatusField) -> Outcome {
        let name = match field {
            StatusField::Seccomp => "Seccomp:",
            StatusField::SeccompFilters => "Seccomp_filters:",
            StatusField::NoNewPrivs => "NoNewPrivs:",
        };
        let mut text = String::new();
        let read = self
            .tid(of)
            .and_then(|tid| File::open(format!("/proc/{tid}/status")).ok())
            .and_then(|mut file| file.read_to_string(&mut text).ok());
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        match (read, line.and_then(|value| value.trim().parse().ok())) {
            (None, _) => Outcome::NotRun("it has no status any more".to_owned()),
            (Some(_), Some(value)) => Outcome::Numbers(vec![value]),
            (Some(_), None) => Outcome::NotRun("this kernel has no such field".to_owned()),
        }
    }
}
