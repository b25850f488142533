//! A scenario with every name resolved: one total order of steps, as
//! the live world takes it.

use std::ops::Range;

use super::arena::{Arena, held};
use super::value::Field;
use super::{Entry, Namespace, Need, Policy, Transfer};
use crate::bpf::Program;

/// An actor, by its place in [`Schedule::actors`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ActorId(pub usize);

/// A bound name, by its place in [`Schedule::slots`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SlotId(pub usize);

/// What is run.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// Who takes part.
    pub actors: Vec<Participant>,
    /// Names that steps bind.
    pub slots: Vec<Slot>,
    /// Filters by name.
    pub programs: Vec<(String, Program)>,
    /// Names of held pages.
    pub held: Vec<String>,
    /// Memory at fixed addresses.
    pub arena: Arena,
    /// Everything that is done, in order.
    pub acts: Vec<ScheduledAct>,
    /// The acts in groups: each is done by one actor without a pause.
    pub turns: Vec<Turn>,
    /// What must be there for it to run.
    pub needs: Vec<Need>,
}

/// An actor as the worlds need to know it.
#[derive(Clone, Debug)]
pub struct Participant {
    /// Its name.
    pub name: String,
    /// How it comes to be.
    pub origin: Origin,
    /// User and group id to run as, without capabilities.
    pub user: Option<u32>,
    /// Whether it drops all capabilities.
    pub no_capabilities: bool,
    /// Processor it is pinned to.
    pub cpu: Option<u32>,
    /// Scheduling policy.
    pub policy: Option<Policy>,
    /// New namespaces of its own.
    pub namespaces: Vec<Namespace>,
}

/// How an actor comes to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A process from the start.
    Start,
    /// A child process that another actor forks.
    Fork(ActorId),
    /// A thread that another actor starts.
    Thread(ActorId),
}

/// A bound name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The name.
    pub name: String,
    /// What it stands for.
    pub kind: SlotKind,
}

/// What a bound name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotKind {
    /// A listener; each process has its own number for it.
    Listener,
    /// A descriptor or any other result; each process that took it has its
    /// own number, all others see the binder's.
    Result,
    /// A notification.
    Notification,
}

/// One thing that is done.
#[derive(Clone, Debug)]
pub struct ScheduledAct {
    /// What.
    pub op: Op,
    /// Who; `None` for the director.
    pub by: Option<ActorId>,
    /// The name that the result gets.
    pub binds: Option<SlotId>,
    /// As a script says it.
    pub text: String,
    /// Its label.
    pub label: Option<String>,
    /// Whether it prepares the stage, before the first step of the script.
    pub setup: bool,
    /// Whether what it returns may be the id of a task, to be told by name.
    pub returns_a_task: bool,
}

/// What one actor, or the director, does without a pause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Who; `None` for the director.
    pub by: Option<ActorId>,
    /// Which of [`Schedule::acts`].
    pub acts: Range<usize>,
    /// Whether it begins at the same time as the turn before it: a race.
    pub together: bool,
}

/// A number that is known now or when the step is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arg {
    /// Known.
    Value(u64),
    /// A bound name's value, and so much more.
    Slot(SlotId, i64),
    /// A field of a notification.
    Field(SlotId, Field),
    /// An actor's thread id.
    Pid(ActorId),
}

/// Where a structure for a call lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In memory that can be read and written.
    Desk,
    /// At address 0.
    Null,
    /// Where nothing is mapped.
    Unmapped,
    /// On a page of zeros that cannot be written.
    ReadOnly,
    /// With its last byte on the last of a page that nothing follows.
    Edge,
    /// On a held page.
    Held(usize),
}

/// What a held page gets that is let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// The structure that the waiting step has for it; zeros for a plain call.
    Own,
    /// `len` bytes of the arena at `from`, and zeros.
    Text {
        /// Where they lie.
        from: u64,
        /// How many they are.
        len: usize,
    },
    /// Nothing, for good: the access fails.
    Nothing,
}

/// How a signal is disposed of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Disposition {
    /// A handler with these flags, which writes `result` over the interrupted
    /// call's return register where it is given.
    Handler {
        /// `SA_*`.
        flags: u64,
        /// What the interrupted call is made to return.
        result: Option<u64>,
    },
    /// `SIG_IGN`.
    Ignore,
    /// `SIG_DFL`.
    Default,
}

/// A register that a tracer reads or writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Register {
    /// The system call number (`orig_rax`).
    Number,
    /// The return register (`rax`).
    Result,
    /// That of an argument of native calls: rdi, rsi, rdx, r10, r8, r9.
    Arg(u8),
}

impl Register {
    /// The argument of the tracee's call that is in the register. In a call
    /// through `int $0x80` arguments are in ebx, ecx, edx, esi, edi, ebp, so that
    /// three are in others' registers.
    #[must_use]
    pub fn argument(self, int80: bool) -> Option<usize> {
        match self {
            Register::Arg(index @ 0..=2) if int80 => Some(4 - usize::from(index)),
            Register::Arg(index @ 0..=5) if !int80 => Some(index.into()),
            _ => None,
        }
    }
}

/// A field of `/proc/TID/status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusField {
    /// `Seccomp:`
    Seccomp,
    /// `Seccomp_filters:`
    SeccompFilters,
    /// `NoNewPrivs:`
    NoNewPrivs,
}

/// One step, resolved. Names are those of the verbs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of the system calls")]
pub enum Op {
    /// A system call; `number` is the whole register.
    Call {
        entry: Entry,
        number: u64,
        args: [Arg; 6],
    },
    /// Installs the program of that index, whose `sock_fprog` is at `program`.
    Install {
        filter: usize,
        program: u64,
        flags: Arg,
        prctl: bool,
    },
    /// Enters strict mode.
    Strict {
        prctl: bool,
    },
    /// Sets no_new_privs.
    NoNewPrivs,
    /// Sets a signal's disposition.
    Dispose {
        signal: i32,
        disposition: Disposition,
    },
    /// Blocks or unblocks a signal.
    Mask {
        signal: i32,
        block: bool,
    },
    /// Copies `len` bytes from `from` to `to`, both in the arena.
    Store {
        to: u64,
        from: u64,
        len: usize,
    },
    /// Reads memory, as text (unit 1) or numbers.
    Load {
        address: u64,
        len: usize,
        unit: u8,
    },
    /// Starts a child process.
    Fork(ActorId),
    /// Starts a thread.
    Thread(ActorId),
    /// Executes the tool itself.
    Exec,
    /// Sends a descriptor.
    Pass(Arg),
    /// Gets a descriptor.
    Take {
        slot: SlotId,
        from: Option<ActorId>,
        via: Transfer,
    },
    Recv {
        listener: Arg,
        place: Place,
        dirty: Option<u8>,
    },
    Send {
        listener: Arg,
        id: Arg,
        val: Arg,
        error: Arg,
        flags: Arg,
        place: Place,
    },
    IdValid {
        listener: Arg,
        id: Arg,
        old_number: bool,
        place: Place,
    },
    Addfd {
        listener: Arg,
        id: Arg,
        srcfd: Arg,
        newfd: Arg,
        newfd_flags: Arg,
        flags: Arg,
        size: u16,
        tail: Arg,
        place: Place,
    },
    SetFlags {
        listener: Arg,
        flags: Arg,
    },
    Poll {
        fd: Arg,
        events: Arg,
        timeout: Arg,
    },
    Select {
        fd: Arg,
        timeout: Arg,
    },
    EpollAdd {
        epoll: Arg,
        fd: Arg,
        events: Arg,
    },
    EpollWait {
        epoll: Arg,
        timeout: Arg,
    },
    /// Opens `/proc/TID/mem` of a notification's target.
    OpenMem {
        id: SlotId,
    },
    ReadMem {
        fd: Arg,
        address: Arg,
        len: usize,
    },
    /// Writes `len` bytes of the arena at `from` to `address` of an opened memory.
    WriteMem {
        fd: Arg,
        address: Arg,
        from: u64,
        len: usize,
    },
    Attach(ActorId),
    Seize {
        tracee: ActorId,
        options: Arg,
    },
    Interrupt(ActorId),
    WaitStop(ActorId),
    Resume {
        tracee: ActorId,
        signal: i32,
    },
    ToSyscall {
        tracee: ActorId,
        signal: i32,
    },
    Detach {
        tracee: ActorId,
        signal: i32,
    },
    SetOptions {
        tracee: ActorId,
        options: Arg,
    },
    EventMessage(ActorId),
    GetRegister {
        tracee: ActorId,
        register: Register,
    },
    SetRegister {
        tracee: ActorId,
        register: Register,
        value: Arg,
    },
    GetFilter {
        tracee: ActorId,
        index: Arg,
    },
    /// A signal to an actor's thread or process.
    Signal {
        to: ActorId,
        signal: i32,
        process: bool,
    },
    Reap(ActorId),
    /// Lets so many milliseconds pass.
    Delay(u64),
    Await(ActorId),
    State(ActorId),
    Status {
        of: ActorId,
        field: StatusField,
    },
    Freeze {
        actor: ActorId,
        frozen: bool,
    },
    /// Lets go of a held page.
    LetGo {
        held: usize,
        with: Fill,
    },
}

impl Schedule {
    /// The turns in groups of those that begin together; most groups have one.
    pub fn groups(&self) -> impl Iterator<Item = &[Turn]> {
        self.turns.chunk_by(|_, next| next.together)
    }

    /// Whether a turn begins together with another.
    pub fn is_race(&self, turn: usize) -> bool {
        let together = |turn: usize| self.turns.get(turn).is_some_and(|turn| turn.together);
        together(turn) || together(turn + 1)
    }

    /// Whether some turns begin together, so that runs may differ.
    pub fn races(&self) -> bool {
        self.turns.iter().any(|turn| turn.together)
    }

    /// What the scenario calls an address, if something of its own begins there.
    pub fn name_of(&self, address: u64) -> Option<String> {
        let page = (0..self.held.len()).find(|page| held(*page) == address);
        let page = page.map(|page| format!("&{}", self.held[page]));
        page.or_else(|| Some(self.arena.name_of(address)?.to_owned()))
    }

    /// The actor of that name.
    pub fn actor(&self, name: &str) -> Option<ActorId> {
        self.actors.iter().position(|actor| actor.name == name).map(ActorId)
    }

    /// The actor whose process another belongs to: itself, unless it is a
    /// thread.
    pub fn process_of(&self, actor: ActorId) -> ActorId {
        match self.actors[actor.0].origin {
            Origin::Thread(parent) => self.process_of(parent),
            Origin::Start | Origin::Fork(_) => actor,
        }
    }
}

impl Op {
    /// Where the structure of a listener's operation lies.
    pub fn place(&self) -> Option<Place> {
        match self {
            Op::Recv { place, .. }
            | Op::Send { place, .. }
            | Op::IdValid { place, .. }
            | Op::Addfd { place, .. } => Some(*place),
            _ => None,
        }
    }

    /// Whether it may touch a held page: with the structure of a listener's
    /// operation, or by an argument of a plain call.
    pub fn touches_held(&self, page: usize) -> bool {
        let within = |arg: &Arg| match arg {
            Arg::Value(address) => (held(page)..held(page) + 0x1000).contains(address),
            _ => false,
        };
        match self {
            Op::Call { args, .. } => args.iter().any(within),
            op => op.place() == Some(Place::Held(page)),
        }
    }
}
