//! Turns: every order in which tasks can run until nobody can, and what the
//! director then sees.

// Worlds are looked up for every step.
use foldhash::{HashSet, HashSetExt};

use super::signal::{Code, info};
use super::task::{Extra, State, Task, Todo, Wait};
use super::world::{Rest, TaskId, World};
use crate::filter::{Arch, Syscall};
use crate::scenario::{ActorId, Arg, Fill, Op, Origin, StatusField, Turn};
use crate::trace::{Outcome, Wait as Waited, counted_id};

/// Most worlds that one turn may lead to before the model gives up.
const MOST_WORLDS: usize = 4096;

/// An event as the director would note it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Foreseen {
    pub act: Option<usize>,
    pub actor: Option<TaskId>,
    pub seen: Outcome,
}

/// A world in which nobody can move, and what was seen on the way there.
pub(super) type Settled<'s> = (World<'s>, Vec<Foreseen>);

/// Every world that turns which begin together can lead to; mostly there is
/// one turn.
pub(super) fn take_turns<'s>(mut world: World<'s>, turns: &[Turn]) -> Vec<Settled<'s>> {
    world.racing = turns.len() > 1;
    if let [Turn { by: None, acts, .. }] = turns {
        // The harness waits for everybody after each of its steps.
        let mut settled = vec![(world, Vec::new())];
        for act in acts.clone() {
            let next = settled.into_iter().flat_map(|(mut world, before)| {
                world.to_direct.push_back(act);
                settle_and_look(world, &[]).into_iter().map(move |(world, after)| {
                    (world, before.iter().cloned().chain(after).collect())
                })
            });
            settled = next.collect();
        }
        return settled;
    }
    let mut not_run = Vec::new();
    let mut acting = Vec::new();
    let delayed = world.beginning_matters(turns);
    for turn in turns {
        let Some(ActorId(actor)) = turn.by else {
            world.to_direct.extend(turn.acts.clone());
            continue;
        };
        match world.unable(actor) {
            Some(reason) => not_run.extend(turn.acts.clone().map(|act| Foreseen {
                act: Some(act),
                actor: Some(actor),
                seen: Outcome::NotRun(reason.clone()),
            })),
            None => {
                acting.push(actor);
                world.tasks[actor].raced = turns.len() > 1;
                if delayed {
                    world.to_begin.push((actor, turn.acts.clone()));
                } else {
                    world.begin_turn(actor, turn.acts.clone());
                }
            }
        }
    }
    let settled = settle_and_look(world, &acting);
    let after = |(world, seen): Settled<'s>| (world, not_run.iter().cloned().chain(seen).collect());
    settled.into_iter().map(after).collect()
}

fn settle_and_look<'s>(world: World<'s>, acting: &[TaskId]) -> Vec<Settled<'s>> {
    settle(vec![world]).into_iter().map(|world| world.looked_at(acting)).collect()
}

/// All worlds in which nobody can move any more.
pub(super) fn settle(begin: Vec<World<'_>>) -> Vec<World<'_>> {
    let mut settled = Vec::new();
    let mut open = begin;
    let mut known = HashSet::new();
    while let Some(mut world) = open.pop() {
        open.append(&mut world.others);
        if let Some(other) = world.decide() {
            open.extend([world, other]);
            continue;
        }
        let runnable = world.runnable();
        let directs = !world.to_direct.is_empty();
        let begins = world.to_begin.len();
        let still = runnable.is_empty() && !directs && begins == 0;
        if still || world.beyond.is_some() {
            if !settled.contains(&world) {
                settled.push(world);
            }
            continue;
        }
        if known.len() + settled.len() > MOST_WORLDS {
            world.leave_off("there are too many orders in which the tasks can run");
            settled.push(world);
            continue;
        }
        let branches = runnable.len() + usize::from(directs) + begins;
        if branches > 1 && !known.insert(world.clone()) {
            continue;
        }
        if directs {
            let mut other = world.clone();
            other.direct_next();
            open.push(other);
        }
        for index in 0..begins {
            let mut other = world.clone();
            let (actor, acts) = other.to_begin.remove(index);
            other.begin_turn(actor, acts);
            open.push(other);
        }
        let Some((first, others)) = runnable.split_first() else { continue };
        for task in others {
            let mut other = world.clone();
            other.step(*task);
            open.push(other);
        }
        world.step(*first);
        open.push(world);
    }
    settled
}

impl World<'_> {
    /// Whether it can be told which of turns that begin together began first.
    /// Where all who can run may run next, a task that runs later is all that
    /// this comes to; but one that keeps others off its processor does so only
    /// from then on, and a tracer may stop one before.
    fn beginning_matters(&self, turns: &[Turn]) -> bool {
        let acts = turns.iter().flat_map(|turn| turn.acts.clone());
        let mut ops = acts.map(|act| self.setting.0.schedule.acts[act].op);
        let traces = ops.any(|op| matches!(op, Op::Attach(_) | Op::Seize { .. }));
        let watched = |task: &Task| task.fifo || task.traced.is_some();
        turns.len() > 1 && (traces || self.tasks.iter().any(watched))
    }

    fn unable(&self, actor: TaskId) -> Option<String> {
        let name = &self.setting.0.schedule.actors[actor].name;
        match self.rests[actor] {
            None => Some(format!("{name} was never started")),
            Some(Rest::Idle) if self.tasks[actor].frozen => Some(format!("{name} is frozen")),
            Some(Rest::Idle) => None,
            Some(Rest::Gone) => Some(format!("{name} has ended")),
            Some(Rest::Stopped | Rest::Traced) => Some(format!("{name} is stopped")),
            Some(Rest::Asleep) => {
                let acts = &self.setting.0.schedule.acts;
                let text = self.told_blocked[actor].map(|act| acts[act].text.as_str());
                Some(format!("{name} is blocked in {}", text.unwrap_or("an act")))
            }
        }
    }

    /// What the director sees of an actor.
    fn rest(&self, actor: TaskId) -> Option<Rest> {
        match &self.tasks[actor].state {
            State::Unborn => None,
            _ if self.is_idle(actor) => Some(Rest::Idle),
            State::Stopped(_) => Some(Rest::Stopped),
            State::Traced(..) => Some(Rest::Traced),
            State::Gone => Some(Rest::Gone),
            State::Asleep(_) | State::Ready(_) | State::Running | State::Spinning => {
                Some(Rest::Asleep)
            }
        }
    }

    /// The act that an actor is in.
    fn act(&self, actor: TaskId) -> Option<usize> {
        let this = &self.tasks[actor];
        (this.control.is_none() && this.at < this.until).then_some(this.at)
    }

    /// Looks at everybody, as the director does once nobody moves.
    pub fn looked_at(mut self, acting: &[TaskId]) -> (Self, Vec<Foreseen>) {
        let told = |(act, seen)| Foreseen { act: Some(act), actor: None, seen };
        let mut events: Vec<Foreseen> =
            std::mem::take(&mut self.directed).into_iter().map(told).collect();
        let others = (0..self.tasks.len()).filter(|actor| !acting.contains(actor));
        let order: Vec<TaskId> = acting.iter().copied().chain(others).collect();
        for actor in order {
            self.look_at(actor, &mut events);
        }
        // What prepares the stage is told only where it fails.
        let acts = &self.setting.0.schedule.acts;
        events.retain(|event| {
            let expected = matches!(event.seen, Outcome::Returned(0..) | Outcome::ReturnedActor(_));
            !(expected && event.act.is_some_and(|act| acts[act].setup))
        });
        (self, events)
    }

    fn look_at(&mut self, actor: TaskId, events: &mut Vec<Foreseen>) {
        for (act, seen) in std::mem::take(&mut self.news[actor]) {
            if act.is_some() {
                self.told_blocked[actor] = None;
            }
            let seen = self.as_told(act, seen);
            events.push(Foreseen { act, actor: Some(actor), seen });
        }
        let Some(rest) = self.rest(actor) else { return };
        let act = self.act(actor);
        let before = self.rests[actor].replace(rest);
        let halted = matches!(before, Some(Rest::Stopped | Rest::Traced));
        let mut tell = |act, outcome| {
            events.push(Foreseen { act, actor: Some(actor), seen: outcome });
        };
        match rest {
            Rest::Gone if before != Some(Rest::Gone) => tell(act, self.end_of(actor)),
            Rest::Stopped if before != Some(Rest::Stopped) => tell(None, Outcome::Stopped),
            Rest::Traced if before != Some(Rest::Traced) => tell(None, Outcome::TraceStopped),
            Rest::Asleep | Rest::Idle if halted => tell(None, Outcome::Continued),
            _ => {}
        }
        if rest == Rest::Asleep && self.told_blocked[actor] != act {
            self.told_blocked[actor] = act;
            tell(act, Outcome::Blocked);
        }
    }

    /// Ids count from the first that was told under a listener's name.
    fn as_told(&mut self, act: Option<usize>, mut seen: Outcome) -> Outcome {
        if let (Some(act), Outcome::Received(notification)) = (act, &mut seen) {
            let id = std::mem::take(&mut notification.id);
            if let Op::Recv { listener: Arg::Slot(slot, 0), .. } =
                self.setting.0.schedule.acts[act].op
            {
                let first = self.first_ids.entry(slot).or_insert(id);
                notification.id = counted_id(first, id);
            }
        }
        seen
    }

    fn end_of(&self, actor: TaskId) -> Outcome {
        let process = self.tasks[actor].process;
        if process != actor || self.processes[process].reaped || !self.has_ended(process) {
            return Outcome::ThreadEnded;
        }
        match self.ended(process) {
            Waited::Killed(signal) => Outcome::Killed { signal, core: false },
            Waited::Exited(status) => Outcome::Exited(status),
            Waited::Stop { .. } => Outcome::ThreadEnded,
        }
    }

    /// Takes the next of the director's own steps.
    fn direct_next(&mut self) {
        if let Some(act) = self.to_direct.pop_front() {
            let seen = self.direct(act);
            self.directed.push((act, seen));
        }
    }

    fn direct(&mut self, act: usize) -> Outcome {
        let not_run = |why: &str| Outcome::NotRun(why.to_owned());
        let op = self.setting.0.schedule.acts[act].op;
        match op {
            Op::Signal { to: ActorId(to), signal, process } => {
                if matches!(self.tasks[to].state, State::Unborn) {
                    return not_run("it was never started");
                }
                let code = if process { Code::User } else { Code::Tkill };
                let sent = self.send_signal(to, signal, process, info(code, None, 0));
                Outcome::Returned(if sent { 0 } else { -i64::from(libc::ESRCH) })
            }
            Op::Reap(ActorId(actor)) => {
                if self.setting.0.schedule.actors[actor].origin != Origin::Start {
                    return not_run("only its own parent can reap it");
                }
                if self.processes[actor].reaped {
                    return not_run("it has been reaped");
                }
                if !self.has_ended(actor) || self.tasks[actor].traced.is_some() {
                    return not_run("it has not ended");
                }
                self.reap(actor);
                Outcome::Waited(self.ended(actor))
            }
            Op::Delay(_) => Outcome::Returned(0),
            Op::Await(ActorId(actor)) => {
                if self.told_blocked[actor].is_none() {
                    return not_run("it is not blocked");
                }
                self.time_passes_for(actor);
                Outcome::Returned(0)
            }
            Op::State(ActorId(actor)) => self.state_of(actor),
            Op::Status { of: ActorId(of), field } => self.status_of(of, field),
            Op::Freeze { actor: ActorId(actor), frozen } => {
                match self.tasks[self.tasks[actor].process].state {
                    State::Unborn => return not_run("it was never started"),
                    State::Gone => return not_run("it has ended"),
                    _ => self.freeze(actor, frozen),
                }
                Outcome::Returned(0)
            }
            Op::LetGo { held, with } => {
                let waits = |actor: &TaskId| {
                    let act = self.act(*actor).map(|act| self.setting.0.schedule.acts[act].op);
                    act.is_some_and(|op| op.touches_held(held)) && self.tasks[*actor].lives()
                };
                match (0..self.tasks.len()).filter(waits).count() {
                    0 => return not_run("nobody waits on it"),
                    1 => {}
                    // It has what one of them had for it.
                    _ => self.leave_off("several wait on a held page"),
                }
                if self.pages.contains_key(&held) {
                    return not_run("it was let go before");
                }
                self.pages.insert(held, with != Fill::Nothing);
                for actor in 0..self.tasks.len() {
                    if self.tasks[actor].state == State::Asleep(Wait::Page(held)) {
                        self.ready(actor, Todo::Execute);
                    }
                }
                Outcome::Returned(0)
            }
            _ => unreachable!("an actor's steps are not the director's"),
        }
    }

    /// The time that an actor sleeps for is over.
    fn time_passes_for(&mut self, actor: TaskId) {
        let ready = match &self.tasks[actor].state {
            State::Asleep(Wait::Other { .. }) => None,
            State::Asleep(Wait::Ready) => Some(Outcome::Ready(0)),
            _ => return self.leave_off("somebody is waited for who does not wait for a time"),
        };
        if let Some(outcome) = ready {
            self.tasks[actor].call.extra = Extra::Outcome(Box::new(outcome));
        }
        self.ready(actor, Todo::Leave(Some(0)));
    }

    fn state_of(&self, actor: TaskId) -> Outcome {
        let this = &self.tasks[actor];
        let (letter, call) = match &this.state {
            State::Unborn => {
                let why = "it was never started".to_owned();
                return Outcome::NotRun(why);
            }
            State::Spinning => ('R', false),
            State::Asleep(_) if self.is_idle(actor) => ('S', false),
            State::Asleep(Wait::Reply { killable: true, .. } | Wait::Threads) => ('D', true),
            State::Asleep(_) => ('S', true),
            State::Stopped(_) => ('T', false),
            State::Traced(..) => ('t', false),
            State::Gone if self.is_there(actor) => ('Z', false),
            State::Gone => ('X', false),
            State::Ready(_) | State::Running => return Outcome::Anything,
        };
        let name = || Syscall::from_number(this.call.data.nr, Arch::X86_64).to_string();
        Outcome::State { letter, call: call.then(name) }
    }

    fn status_of(&self, of: TaskId, field: StatusField) -> Outcome {
        let this = &self.tasks[of];
        if !self.is_there(of) {
            let why = "it has no status any more".to_owned();
            return Outcome::NotRun(why);
        }
        let value = match field {
            // SECCOMP_MODE_DEAD, which no header has.
            StatusField::Seccomp if this.dead && self.fact("killed-task-changes-mode") => 3,
            StatusField::Seccomp if this.filter.is_some() || this.counted > 0 => 2,
            StatusField::Seccomp => i64::from(this.strict),
            StatusField::SeccompFilters if self.fact("status-seccomp-filters") => this.counted,
            StatusField::SeccompFilters => {
                let why = "this kernel has no such field".to_owned();
                return Outcome::NotRun(why);
            }
            StatusField::NoNewPrivs => i64::from(this.no_new_privs),
        };
        Outcome::Numbers(vec![value])
    }

    fn freeze(&mut self, actor: TaskId, frozen: bool) {
        let process = self.tasks[actor].process;
        self.processes[process].grouped |= frozen;
        let grouped = |task: &TaskId| {
            let process = self.tasks[*task].process;
            self.processes[process].grouped
                && !matches!(self.tasks[*task].state, State::Unborn | State::Gone)
        };
        let threads: Vec<TaskId> = (0..self.tasks.len()).filter(grouped).collect();
        for thread in threads {
            self.tasks[thread].frozen = frozen;
            if frozen {
                self.disturb(thread);
            } else if let State::Asleep(Wait::Thaw(result)) = self.tasks[thread].state {
                self.tasks[thread].signalled = true;
                self.ready(thread, Todo::Deliver(result));
            }
        }
    }
}
