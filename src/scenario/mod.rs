//! A scenario: who takes part, and in which order they act.
//!
//! This module owns the language, both ways: a file is TOML outside and has
//! its steps in a small language of lines inside. It knows nothing of how a
//! step is carried out. [`Scenario`] is the text as a tree; [`Schedule`] is
//! the same with every name resolved, as it is run.

pub mod arena;
mod cases;
mod diagnostic;
mod file;
mod filter_table;
mod lexer;
mod lower;
mod needs;
mod place;
mod print;
mod raw;
mod reader;
mod refuse;
mod resolve;
mod schedule;
mod script;
mod settings;
mod shape;
mod stage;
mod step;
mod stray;
mod task_ids;
mod value;
mod verb;

use std::collections::BTreeMap;

pub use diagnostic::{Diagnostic, Mistakes, Span};
pub use file::{LARGEST_FILE, parse};
pub use lexer::Radix;
pub use lower::LONGEST_READ;
pub use raw::schema;
pub use schedule::*;
pub use step::parse_step;
pub use value::{Field, Value};
pub use verb::{Kind, Signature, VERBS, Verb, Who};

use crate::filter::{Rules, Syscall};

/// One scenario, as its file says it. A file with a table `each` holds one
/// scenario for every combination of its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// `theme/name`, and `[parameter=value,…]` where the file has parameters.
    pub id: String,
    /// What is shown, in a sentence.
    pub summary: String,
    /// Ids of the behaviours that it decides.
    pub behaviours: Vec<String>,
    /// Facts about the kernel that its trace depends on.
    pub facts: Vec<String>,
    /// What must be there for it to run, beside what its tables and steps say
    /// by themselves: [`Scenario::all_needs`] has both.
    pub needs: Vec<Need>,
    /// Memory that every actor has at the same address.
    pub buffers: Vec<(String, Placed<Buffer>)>,
    /// Pages whose first access waits for the director.
    pub held: Vec<Placed<String>>,
    /// Filters that steps and stacks refer to by name.
    pub filters: Vec<(String, Filter)>,
    /// Who takes part, in the file's order.
    pub actors: Vec<Actor>,
    /// What they do.
    pub steps: Vec<Step>,
}

impl Scenario {
    /// Whether some of its steps begin together, so that runs may differ.
    pub fn races(&self) -> bool {
        self.steps.iter().any(|step| step.together)
    }

    /// Whether one processor is not enough for it.
    pub fn needs_two_cpus(&self) -> bool {
        self.needs.contains(&Need::TwoCpus)
    }
}

/// A privilege, a kernel feature or an architecture that a scenario needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Need {
    /// The right to `SCHED_FIFO`: a target can be kept from running.
    Realtime,
    /// `CAP_SYS_ADMIN` in the initial user namespace.
    Root,
    /// Not being root.
    Unprivileged,
    /// User namespaces that an ordinary user can make.
    UserNamespace,
    /// 32-bit system calls (`CONFIG_IA32_EMULATION`).
    Ia32,
    /// A userfaultfd that may hold up the kernel's own accesses.
    Userfaultfd,
    /// A cgroup whose freezer this user can write.
    Freezer,
    /// A second processor.
    TwoCpus,
}

impl Need {
    /// Every need, with its word in a file and what it asks for.
    pub const ALL: &'static [(Need, &'static str, &'static str)] = &[
        (Need::Realtime, "realtime", "the right to SCHED_FIFO (CAP_SYS_NICE or RLIMIT_RTPRIO)"),
        (Need::Root, "root", "CAP_SYS_ADMIN in the initial user namespace"),
        (Need::Unprivileged, "unprivileged", "an ordinary user, or the right to become one"),
        (Need::UserNamespace, "user-namespace", "the right to make user namespaces"),
        (Need::Ia32, "ia32", "32-bit system calls (CONFIG_IA32_EMULATION)"),
        (Need::Userfaultfd, "userfaultfd", "a userfaultfd for kernel faults (CAP_SYS_PTRACE)"),
        (Need::Freezer, "freezer", "a cgroup freezer that this user may write"),
        (Need::TwoCpus, "two-cpus", "a second processor"),
    ];

    /// The word for it in a file.
    pub fn word(self) -> &'static str {
        Self::ALL[self as usize].1
    }

    /// What it asks of the machine.
    pub fn meaning(self) -> &'static str {
        Self::ALL[self as usize].2
    }
}

/// Memory with a name, at the same address in every actor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Buffer {
    /// Holds these bytes at the start, NUL-terminated.
    Text(String),
    /// So many zero bytes.
    Size(u32),
}

/// A filter and how it is installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// The program.
    pub body: FilterBody,
    /// Flags of seccomp(2), beside those that `listener` implies.
    pub flags: Option<Value>,
    /// Name of the listener; installs with `SECCOMP_FILTER_FLAG_NEW_LISTENER`.
    pub listener: Option<String>,
    /// Whether prctl(2) installs it.
    pub via_prctl: bool,
    /// Its place in the file.
    pub span: Span,
}

/// A filter's program, as rules or as assembly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FilterBody {
    /// Rules, compiled when the schedule is made.
    Rules(Rules),
    /// cBPF assembly, kept as it was written.
    Assembly(String),
}

/// A member of an actor's initial filter stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StackEntry {
    /// A `[filter.…]` of the file.
    Named(String),
    /// Written in place.
    Inline(Filter),
}

/// The part that an actor plays. Any actor can take any step; the role says
/// what is set up for it at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Runs under filters; sets no_new_privs unless told otherwise.
    Target,
    /// Takes the targets' listeners before the first step.
    Supervisor,
    /// Stands beside, to trace.
    Tracer,
}

impl Role {
    /// The role's word, which is its table in a file.
    pub fn word(self) -> &'static str {
        match self {
            Role::Target => "target",
            Role::Supervisor => "supervisor",
            Role::Tracer => "tracer",
        }
    }
}

/// One who takes part: a process, or a thread of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// Its name in steps.
    pub name: String,
    /// Its part.
    pub role: Role,
    /// Whether no_new_privs is set before its filters are installed.
    pub no_new_privs: bool,
    /// Filters installed before the first step, oldest first.
    pub filters: Vec<StackEntry>,
    /// Signals with a handler, and the handler's flags.
    pub handlers: BTreeMap<String, Value>,
    /// Ignored signals.
    pub ignored: Vec<String>,
    /// Blocked signals.
    pub blocked: Vec<String>,
    /// A supervisor's listeners; `None` for all there are at the start.
    pub listeners: Option<Vec<String>>,
    /// Listeners of which a target keeps its own descriptor.
    pub keeps: Vec<String>,
    /// How a supervisor gets its listeners.
    pub via: Transfer,
    /// Runs as this user and group id, without capabilities.
    pub user: Option<u32>,
    /// Drops all capabilities.
    pub no_capabilities: bool,
    /// Runs on this processor only.
    pub cpu: Option<u32>,
    /// Scheduling policy.
    pub policy: Option<Policy>,
    /// New namespaces of its own.
    pub namespaces: Vec<Namespace>,
    /// The place of its name in the file.
    pub span: Span,
}

/// How a descriptor gets from one actor to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Transfer {
    /// The receiver copies it with pidfd_getfd(2).
    #[default]
    PidfdGetfd,
    /// The owner sends it over a UNIX domain socket.
    ScmRights,
}

/// A scheduling policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Policy {
    /// `SCHED_FIFO`: runs until it sleeps.
    Fifo,
    /// `SCHED_IDLE`: runs when nothing else wants to.
    Idle,
}

/// A namespace of an actor's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Namespace {
    /// A user namespace, in which it is root.
    User,
    /// A PID namespace, in which it is process 1.
    Pid,
    /// A mount namespace.
    Mount,
}

/// One line of a script: what one actor, or the director, does in its turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Who acts; `None` for the director.
    pub actor: Option<String>,
    /// What is done, without a pause between; never empty.
    pub operations: Vec<Operation>,
    /// Whether it begins at the same time as the step before it: a race.
    pub together: bool,
    /// The line in the file.
    pub span: Span,
}

/// One thing that is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// A name for claims and facts to refer to. That of a line's first
    /// operation stands before the actor.
    pub label: Option<String>,
    /// What.
    pub act: Act,
    /// The name that its result gets.
    pub binds: Option<String>,
    /// Its place in the file.
    pub span: Span,
}

/// A system call, or a verb with operands and options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// A system call: `mkdir("d", 0o700)`.
    Call {
        /// The entry into the kernel.
        entry: Entry,
        /// Which call.
        call: Callee,
        /// Its arguments; registers beyond them are 0.
        args: Vec<Placed<Value>>,
    },
    /// A verb: `send n1 error=-EPERM`.
    Verb {
        /// Which.
        verb: Verb,
        /// Its operands, in order.
        operands: Vec<Placed<Value>>,
        /// Its options, in the order of the verb's signature.
        options: Vec<(String, Placed<Value>)>,
    },
}

/// A system call by name, or by the whole of the number's register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Callee {
    /// `mkdir`
    Named(Syscall),
    /// `#83`
    Number(u64),
}

/// A value and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed<T> {
    /// The value.
    pub value: T,
    /// Its place in the file.
    pub span: Span,
}

/// The entry through which a system call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Entry {
    /// The `syscall` instruction.
    Native,
    /// `int $0x80`, with the i386 table.
    Int80,
    /// The `syscall` instruction with bit 30 set in the number.
    X32,
}
