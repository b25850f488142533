//! The state of a modelled machine: its tasks, its filters, its open files.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{Hash, Hasher};
use std::rc::Rc;

use super::Setting;
use super::task::{Process, State, Task};
use crate::abi::{SeccompData, SockFilter};
use crate::scenario::SlotId;
use crate::trace::Outcome;

/// A task, by its place among the scenario's actors; a process is named by
/// its first thread.
pub(super) type TaskId = usize;
/// A filter, by its place in [`World::filters`].
pub(super) type FilterId = usize;
/// An open file description, by its place in [`World::files`].
pub(super) type FileId = usize;

/// Everything that a step can depend on or change.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct World<'s> {
    pub setting: Fixed<'s>,
    pub tasks: Vec<Task>,
    pub processes: Vec<Process>,
    pub filters: Vec<Filter>,
    pub files: Vec<OpenFile>,
    /// Whether turns that began together are under way.
    pub racing: bool,
    /// Held pages that were let go (`true`) or taken away (`false`). All
    /// processes share them.
    pub pages: BTreeMap<usize, bool>,
    /// What lies in the scratch directory: name, and whether it is a directory.
    pub paths: BTreeMap<Vec<u8>, bool>,
    /// Whether a call that the model does not know has changed that.
    pub paths_unknown: bool,
    /// What names stand for where a process has no number of its own.
    pub bound: BTreeMap<SlotId, i64>,
    pub received: BTreeMap<SlotId, Received>,
    /// The first id that was told under a listener's name.
    pub first_ids: BTreeMap<SlotId, i64>,
    /// Descriptors sent over the socket pair.
    pub passed: VecDeque<FileId>,
    /// What each actor has gone through since it was last asked.
    pub news: Vec<Vec<News>>,
    /// Steps that the director has yet to take in this turn, and those that it
    /// has taken.
    pub to_direct: VecDeque<usize>,
    pub directed: Vec<(usize, Outcome)>,
    /// Turns that are yet to begin: who acts, and which acts.
    pub to_begin: Vec<(TaskId, std::ops::Range<usize>)>,
    /// How the director last saw each actor.
    pub rests: Vec<Option<Rest>>,
    /// The act in which each actor was told to be blocked.
    pub told_blocked: Vec<Option<usize>>,
    /// Why nothing more can be said.
    pub beyond: Option<&'static str>,
    /// Signals of which it is open who sees to them.
    pub undecided: Vec<super::signal::Choice>,
    /// Other worlds that this one could as well have become.
    pub others: Vec<World<'s>>,
}

/// What no step changes. All worlds of one run share it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fixed<'s>(pub &'s Setting<'s>);

impl PartialEq for Fixed<'_> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Fixed<'_> {}

impl Hash for Fixed<'_> {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// Something that an actor went through: in which act, and what.
pub(super) type News = (Option<usize>, Outcome);

/// What RECV filled in, as later steps use it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Received {
    pub id: u64,
    pub pid: i64,
    pub target: TaskId,
    pub data: SeccompData,
}

/// An open file description.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct OpenFile {
    pub kind: FileKind,
    /// What F_GETFL tells, where it is known.
    pub flags: Option<u64>,
}

/// What a file is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum FileKind {
    Listener(FilterId),
    Null,
    /// The memory of a process, as of one of its images.
    Memory(TaskId, u32),
    /// What it watches: the file, its number when it was added, the events.
    Epoll(Vec<(FileId, i32, u32)>),
    /// A process by pidfd.
    Pid(TaskId),
    /// Opened with O_PATH.
    Path,
    Other,
}

/// One filter of the tree that they form.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Filter {
    pub program: Rc<Vec<SockFilter>>,
    /// The next older one.
    pub older: Option<FilterId>,
    /// Tasks that have it as their newest, and newer filters.
    pub users: u32,
    pub log: bool,
    pub wait_killable: bool,
    pub listener: Option<Listener>,
}

/// The state behind a listener.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Listener {
    /// Requests that no RECV has counted off.
    pub requests: u32,
    /// Who sleeps in RECV, in the order of a semaphore, where it is one.
    pub queue: VecDeque<TaskId>,
    pub next_id: u64,
    /// In the kernel's order.
    pub notifications: Vec<Notification>,
}

/// One notification.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Notification {
    pub id: u64,
    pub task: TaskId,
    pub data: SeccompData,
    pub state: Phase,
    pub val: i64,
    pub error: i32,
    pub flags: u32,
    /// How often its completion was signalled and not yet noticed.
    pub completed: u32,
    /// Newest first.
    pub additions: Vec<Addition>,
}

/// How far a notification is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Phase {
    Init,
    Sent,
    Replied,
}

/// A descriptor to be added.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Addition {
    pub by: TaskId,
    pub file: FileId,
    pub number: Option<u32>,
    pub close_on_exec: bool,
    pub send: bool,
}

/// What the director sees of an actor when nobody moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Rest {
    Idle,
    Asleep,
    Stopped,
    Traced,
    Gone,
}

/// The number of an actor's thread id, as it sees itself.
const FIRST_TID: i64 = 1000;

impl World<'_> {
    /// Whether a fact of the profile holds.
    pub fn fact(&self, id: &str) -> bool {
        debug_assert!(crate::profile::fact(id).is_some(), "{id} is no fact");
        self.setting.0.profile.holds(id) == Some(true)
    }

    /// Whether it is the id of the task as the harness sees it.
    pub fn tid(task: TaskId) -> i64 {
        FIRST_TID + task as i64
    }

    /// The task that has this id in the eyes of another.
    pub fn task_of(&self, tid: i64) -> Option<TaskId> {
        let task = usize::try_from(tid - FIRST_TID).ok()?;
        (task < self.tasks.len()).then_some(task)
    }

    /// The process of a task.
    pub fn process(&mut self, task: TaskId) -> &mut Process {
        let process = self.tasks[task].process;
        &mut self.processes[process]
    }

    /// The process of a task, to look at.
    pub fn process_ref(&self, task: TaskId) -> &Process {
        &self.processes[self.tasks[task].process]
    }

    /// The threads of a process that have been started and do not end.
    pub fn live_threads(&self, process: TaskId) -> impl Iterator<Item = TaskId> + '_ {
        (0..self.tasks.len()).filter(move |task| {
            let this = &self.tasks[*task];
            this.process == process && this.lives()
        })
    }

    /// The threads of a process that have been started and are not reaped.
    pub fn unreaped_threads(&self, process: TaskId) -> impl Iterator<Item = TaskId> + '_ {
        let there = |task: &TaskId| self.is_there(*task);
        (0..self.tasks.len()).filter(move |task| self.tasks[*task].process == process).filter(there)
    }

    /// Whether no other thread of its process is there.
    pub fn is_alone(&self, task: TaskId) -> bool {
        self.unreaped_threads(self.tasks[task].process).all(|other| other == task)
    }

    /// Whether the kernel has a task in its lists: threads but the first are
    /// reaped as they end, if nobody traces them.
    pub fn is_there(&self, task: TaskId) -> bool {
        let this = &self.tasks[task];
        match this.state {
            State::Unborn => false,
            State::Gone if this.process == task => !self.processes[task].reaped,
            State::Gone => this.traced.is_some(),
            _ => true,
        }
    }

    /// Notes that an actor went through something.
    pub fn note(&mut self, task: TaskId, act: Option<usize>, seen: Outcome) {
        self.news[task].push((act, seen));
    }

    /// Says that the model does not reach further.
    pub fn leave_off(&mut self, why: &'static str) {
        self.beyond.get_or_insert(why);
    }

    /// Also considers the world that `change` makes of this one.
    pub fn or(&mut self, change: impl FnOnce(&mut Self)) {
        let others = std::mem::take(&mut self.others);
        let mut other = self.clone();
        change(&mut other);
        self.others = others;
        self.others.push(other);
    }
}
