//! What the director does itself, between the actors' turns.

use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::super::end::{self, End};
use super::super::shared::ACTING;
use super::super::watch::Rest;
use super::super::{Trouble, freezer, hold};
use super::{Director, LONGEST_TURN};
use crate::scenario::arena::ARENA;
use crate::scenario::{ActorId, Fill, Op, StatusField};
use crate::trace::Outcome;

impl Director<'_> {
    /// Takes a step of the director's own.
    pub(super) fn direct(&mut self, act: usize) -> Result<(), Trouble> {
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
            Op::LetGo { held, with } => self.let_go(held, with)?,
            other => {
                return Err(Trouble::Harness(format!("{other:?} is not done by the director")));
            }
        };
        self.note(Some(act), None, outcome);
        self.settle()?;
        self.changes(&[]);
        Ok(())
    }

    pub(super) fn signal(&self, to: ActorId, signal: i32, process: bool) -> Outcome {
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

    /// Whether an actor is among those that are frozen and thawed together.
    pub(super) fn is_frozen(&self, actor: ActorId) -> bool {
        self.tid(self.schedule.process_of(actor)).is_some_and(freezer::holds)
    }

    fn freeze(&mut self, actor: ActorId, frozen: bool) -> Result<Outcome, Trouble> {
        let Some(pid) = self.tid(self.schedule.process_of(actor)) else {
            return Ok(Outcome::NotRun("it was never started".to_owned()));
        };
        let leader = self.schedule.process_of(actor);
        if self.look(leader.0).is_none_or(|look| look.rest == Rest::Gone) {
            return Ok(Outcome::NotRun("it has ended".to_owned()));
        }
        match freezer::freeze(pid, frozen) {
            Ok(()) => {
                self.frozen = frozen;
                Ok(Outcome::Returned(0))
            }
            Err(error) if error.kind() == std::io::ErrorKind::TimedOut => {
                Err(Trouble::Inconclusive("its cgroup did not freeze".to_owned()))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Lets the actors go whose acts wait on a held page. All processes share it,
    /// so that this can be done once.
    fn let_go(&mut self, index: usize, with: Fill) -> Result<Outcome, Trouble> {
        let act = |actor| self.observer.act(actor).map(|act| &self.schedule.acts[act].op);
        let gone = |actor: ActorId| self.seen[actor.0].is_some_and(|look| look.rest == Rest::Gone);
        let touches =
            |actor: &ActorId| act(*actor).is_some_and(|op| op.touches_held(index)) && !gone(*actor);
        let pid = |actor: ActorId| Some((actor, self.tid(self.schedule.process_of(actor))?));
        let actors = (0..self.schedule.actors.len()).map(ActorId).filter(touches);
        let waiting: Vec<(ActorId, i32)> = actors.filter_map(pid).collect();
        let Some(&(actor, pid)) = waiting.first() else {
            return Ok(Outcome::NotRun("nobody waits on it".to_owned()));
        };
        if self.let_go[index] {
            return Ok(Outcome::NotRun("it was let go before".to_owned()));
        }
        let uffd = hold::take(pid)?;
        match with {
            Fill::Nothing => hold::fail(&uffd, index, &self.set.held[index])?,
            Fill::Text { from, len } => {
                let at = (from - ARENA) as usize;
                hold::release(&uffd, index, &self.schedule.arena.bytes()[at..at + len])?;
            }
            Fill::Own if act(actor).is_some_and(|op| op.place().is_some()) => {
                hold::release(&uffd, index, &hold::desk_of(actor.0, pid)?)?;
            }
            Fill::Own => hold::release(&uffd, index, &[])?,
        }
        for (_, other) in waiting.iter().filter(|(_, other)| *other != pid) {
            hold::wake(&hold::take(*other)?, index)?;
        }
        self.let_go[index] = true;
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
