//! Waits until nobody can move any more.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::super::Trouble;
use super::super::watch::{Look, Rest, Watched};
use super::{Director, LONGEST_TURN, Task};
use crate::scenario::ActorId;

impl Director<'_> {
    /// Waits until nobody can move.
    pub(super) fn settle(&mut self) -> Result<(), Trouble> {
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

    pub(super) fn drain_done(&self) {
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
    pub(super) fn tid(&self, actor: ActorId) -> Option<i32> {
        let forked = self.set.children.iter().find(|(child, _)| *child == actor);
        forked.map(|(_, pid)| *pid).or_else(|| self.observer.started(actor))
    }

    pub(super) fn look(&self, index: usize) -> Option<Look> {
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
        let rest = |index| {
            let look = self.look(index);
            look.is_none_or(|look| look.rest != Rest::Moving).then_some(look)
        };
        let looks: Vec<_> = (0..self.tasks.len()).map(rest).collect::<Option<_>>()?;
        let newborn = (0..looks.len())
            .any(|index| looks[index].is_none() && self.tid(ActorId(index)).is_some());
        (!newborn).then_some(looks)
    }
}
