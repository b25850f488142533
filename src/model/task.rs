//! What a machine's tasks and processes are and do.

use std::collections::{BTreeMap, BTreeSet};

use super::ptrace::Traced;
use super::world::{FileId, FilterId, Received, TaskId};
use crate::abi::SeccompData;
use crate::scenario::{Disposition, SlotId};
use crate::trace::{Outcome, TrappedCall};

/// One thread.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Task {
    pub process: TaskId,
    pub state: State,
    /// The act that it is at, and the end of its turn.
    pub at: usize,
    pub until: usize,
    /// Whether it was told that it is its turn, and has not noticed.
    pub its_turn: bool,
    /// What it does for the harness, between turns.
    pub control: Option<Control>,
    /// The call that it is in.
    pub call: Call,
    /// The newest of its filters.
    pub filter: Option<FilterId>,
    pub strict: bool,
    /// Whether its filters or strict mode have killed it (`SECCOMP_MODE_DEAD`).
    pub dead: bool,
    /// How many filters it has, as /proc/PID/status counts them
    /// (`seccomp.filter_count`).
    pub counted: i64,
    pub no_new_privs: bool,
    pub blocked: u64,
    pub pending: BTreeMap<i32, Info>,
    /// The signal that its tracer has passed on.
    pub passed: Option<(i32, Info)>,
    /// How far it is with its signals, where a stop has come between.
    pub delivery: Delivery,
    /// Whether it has to look for signals before it goes back to user mode.
    pub signalled: bool,
    /// Whether restart_syscall(2) has a call to go on with
    /// (`restart_block.fn`).
    pub restart_block: bool,
    /// Whether it must die.
    pub killed: bool,
    /// How it ended by itself.
    pub ended: Option<Ending>,
    pub frozen: bool,
    /// Whether its last turn began together with others, so that it may be
    /// stopped before its first call as well.
    pub raced: bool,
    /// What came of its ADDFD.
    pub added: Option<i64>,
    /// Whether it has CAP_SYS_ADMIN in its own user namespace.
    pub capable: bool,
    /// Whether it has that in the initial user namespace.
    pub root: bool,
    pub cpu: Option<u32>,
    pub fifo: bool,
    pub traced: Option<Traced>,
}

impl Task {
    /// Whether it has been started and does not end.
    pub fn lives(&self) -> bool {
        !matches!(self.state, State::Unborn | State::Gone) && !self.exits()
    }

    /// Whether it is on its way to its end (`PF_EXITING`).
    pub fn exits(&self) -> bool {
        self.state == State::Ready(Todo::Vanish)
    }
}

/// Signals on their way to handlers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Delivery {
    /// Handlers that are to run, in the order in which their frames are made.
    pub frames: Vec<Frame>,
    /// Whether the call is made again after them.
    pub again: bool,
    /// Signals that the newest of them is to hold back, and does not yet.
    pub to_block: u64,
    /// Whether it is in user mode, and about to make its call.
    pub before_call: bool,
    /// Whether a handler has returned: rt_sigreturn(2) leaves no call behind
    /// (`restore_sigcontext`).
    pub returned: bool,
    /// Whether a SIGCONT has come while it was stopped for a signal: that one
    /// stops it no more (JOBCTL_STOP_DEQUEUED).
    pub continued: bool,
}

/// The frame of a handler.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Frame {
    pub signal: i32,
    pub info: Info,
    /// The signal mask that rt_sigreturn(2) restores.
    pub blocked: u64,
}

/// What a task does for the harness between turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Control {
    /// write(2): it has finished its turn.
    Tell,
    /// read(2): it waits for the next.
    Listen,
    /// Nobody is there any more, it believes.
    Leave,
}

/// Where a task is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum State {
    Unborn,
    /// It runs just now.
    Running,
    /// It can run, and goes on with this.
    Ready(Todo),
    /// It sleeps in the kernel.
    Asleep(Wait),
    /// It watches the shared memory for its next turn.
    Spinning,
    /// A job-control stop.
    Stopped(Todo),
    /// A ptrace stop.
    Traced(super::ptrace::Stop, Todo),
    Gone,
}

/// What a task does when it next runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Todo {
    /// The act that it is at, or what follows its turn.
    Act,
    /// Enters the kernel with its call.
    Enter,
    /// Asks strict mode or its filters.
    Filter {
        /// Whether a tracer has been told already.
        again: bool,
    },
    /// Executes its call.
    Execute,
    /// Looks whether what it slept for has come.
    Wake(Wait),
    /// A signal has ended its sleep for a reply.
    Interrupted { filter: FilterId, id: u64, killable: bool },
    /// The second half of RECV: a request was counted off.
    Receive(FilterId),
    /// The end of a RECV that could not write what it has taken.
    PutBack { filter: FilterId, id: u64 },
    /// Its call has this result; `None` for one that nobody knows.
    Leave(Option<i64>),
    /// Is killed by its filters, with this action.
    Die(u32),
    /// Delivers signals on the way to user mode.
    Deliver(Option<i64>),
    /// In user mode, notes its call's result.
    Finish(Option<i64>),
    /// The second half of its end.
    Vanish,
}

/// What a task sleeps for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Wait {
    /// Its next turn.
    Turn,
    /// The reply to a notification; killable once that was chosen.
    Reply { filter: FilterId, id: u64, killable: bool },
    /// A notification on the listener.
    Request(FilterId),
    /// Its descriptor to be added.
    Added { filter: FilterId, id: u64 },
    /// Events on a file; `None` for no file.
    Ready,
    /// Somebody to end or stop.
    Child(TaskId),
    /// The other threads of its process to be gone.
    Threads,
    /// The execve(2) of a process to be over (`cred_guard_mutex`).
    Exec(TaskId),
    /// A held page.
    Page(usize),
    /// Its cgroup to thaw.
    Thaw(Option<i64>),
    /// Something that the model does not know; how the call ends when it is
    /// interrupted, where that is known.
    Other { interrupted: Option<i64> },
}

/// A system call under way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Call {
    pub data: SeccompData,
    /// The whole of the number's register.
    pub register: u64,
    /// Whether it is not the act's own any more: a tracer changed it, or it
    /// goes on as restart_syscall(2).
    pub altered: bool,
    /// The register of the result, as a tracer sees it before there is one.
    pub result: i64,
    pub extra: Extra,
    /// The open file that it holds on to, whoever closes the descriptor.
    pub holds: Option<FileId>,
    /// The number of a descriptor that an installation has taken, and at which
    /// there is nothing so far.
    pub reserves: Option<i32>,
}

/// What a call gives besides its register.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Extra {
    #[default]
    Nothing,
    Outcome(Box<Outcome>),
    Received(Box<Received>),
    Unknown,
}

/// Why a signal came.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Info {
    pub code: i32,
    pub errno: i32,
    pub call: Option<Box<TrappedCall>>,
    /// Whether neither blocking nor ignoring helps.
    pub forced: bool,
}

/// What threads share.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Process {
    pub descriptors: BTreeMap<i32, Descriptor>,
    /// RLIMIT_NOFILE.
    pub most_descriptors: u64,
    pub dispositions: BTreeMap<i32, Disposition>,
    pub pending: BTreeMap<i32, Info>,
    /// Bytes that differ from what the arena began with.
    pub memory: BTreeMap<u64, u8>,
    /// Ranges that were mapped later.
    pub mapped: BTreeSet<(u64, u64)>,
    /// Ranges into which a call has written that the model does not know.
    pub smudged: BTreeSet<(u64, u64)>,
    /// Counts executions of other programs: what was opened before is gone.
    pub image: u32,
    pub bound: BTreeMap<SlotId, i64>,
    pub parent: Option<TaskId>,
    /// How it ends as a whole, once that is decided.
    pub ending: Option<Ending>,
    pub reaped: bool,
    /// A stop is in force.
    pub stopped: bool,
    /// The chain of PID namespaces that it is in, outermost first, as the
    /// actors that are process 1 of each.
    pub namespaces: Vec<TaskId>,
    pub dumpable: bool,
    /// Whether it is in the cgroup of those that are frozen together.
    pub grouped: bool,
}

/// An entry of a descriptor table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Descriptor {
    pub file: FileId,
    pub close_on_exec: bool,
}

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Ending {
    Exit(i32),
    Signal(i32),
}
