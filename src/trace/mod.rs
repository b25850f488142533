//! What was seen: outcomes as data, with everything accidental taken out.
//!
//! Worlds speak this. Two traces are equal exactly when the behaviour
//! is: process ids are actors' names, ids of notifications count from the
//! first one on their listener, addresses are the names of what lies there,
//! and there are no times.

mod text;

use schemars::JsonSchema;
pub use text::WIDEST;

use serde::{Deserialize, Serialize};

/// What happened in one run of a scenario, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Trace {
    /// The events. After each turn come first those of whoever acted, then
    /// those of the others in the scenario's order of actors.
    pub events: Vec<Event>,
}

/// One thing that was seen.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// Of which act of the schedule this is an outcome; `None` for what
    /// happens to an actor that is in no act. One act has several events
    /// when it blocks and ends later.
    pub act: Option<usize>,
    /// To whom; `None` for the director.
    pub actor: Option<String>,
    /// The act as the script says it.
    pub text: String,
    /// The label of the act.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// What was seen.
    pub outcome: Outcome,
}

/// One outcome.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Outcome {
    /// A call returned this value of the register; `[-4095, -1]` are errors.
    Returned(i64),
    /// A call returned the thread id of an actor.
    ReturnedActor(String),
    /// The actor sleeps in the kernel, inside the act.
    Blocked,
    /// RECV returned a notification.
    Received(Notification),
    /// A poll(2)-like call returned, and these events are ready on the
    /// descriptor.
    Ready(u32),
    /// select(2) returned, and these sets have the descriptor.
    Selected(Vec<String>),
    /// Bytes were read; escaped where they are not text.
    Text(String),
    /// Numbers were read.
    Numbers(Vec<i64>),
    /// A read found the end of the file.
    EndOfFile,
    /// A program was read: the name of the filter that has the same one.
    Program(String),
    /// A signal handler ran.
    Handler(HandlerRun),
    /// A job-control stop (`T` in /proc/TID/stat).
    Stopped,
    /// A ptrace stop (`t` in /proc/TID/stat).
    TraceStopped,
    /// Runs again after a stop.
    Continued,
    /// wait4(2) told a tracer of a stop or an end of its tracee.
    Waited(Wait),
    /// The process has ended with this status.
    Exited(i32),
    /// The process was killed by this signal.
    Killed {
        /// Which.
        signal: i32,
        /// Whether wait(2) says that a core was dumped.
        core: bool,
    },
    /// The thread has ended and its process has not.
    ThreadEnded,
    /// State letter in /proc/TID/stat, and the call that /proc/TID/syscall
    /// shows.
    State {
        /// `R`, `S`, `D`, `T`, `t`, `Z`.
        letter: char,
        /// Name of the system call in which it sleeps.
        call: Option<String>,
    },
    /// The act could not be taken, for this reason.
    NotRun(String),
    /// In predictions only: some result of a call that the model does not know.
    Anything,
}

/// An id as a trace tells it, counted from the `first` of its listener, which is
/// random. A name may come to stand for another listener: an id that is 2^32 or
/// more away is of such a one, and the first of it.
pub(crate) fn counted_id(first: &mut i64, id: i64) -> i64 {
    let by = id.wrapping_sub(*first);
    if by.unsigned_abs() < 1 << 32 {
        return by;
    }
    *first = id;
    0
}

/// What RECV filled in.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Notification {
    /// The name that the scenario gives it; empty for none.
    pub name: String,
    /// Its id, counted from the first one received on the same listener.
    pub id: i64,
    /// The target, as far as the `pid` field tells it.
    pub from: Sender,
    /// The `flags` field.
    pub flags: u32,
    /// The system call, by name where it has one.
    pub call: String,
    /// The `arch` field.
    pub arch: u32,
    /// The six arguments; addresses of the scenario's own things by name.
    pub args: Vec<Argument>,
    /// Whether `instruction_pointer` is the address after the instruction
    /// that made the call.
    pub at_call: bool,
}

/// Who a notification came from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sender {
    /// `pid` is this actor's thread id.
    Actor(String),
    /// `pid` is 0: not visible in the receiver's PID namespace.
    Invisible,
    /// `pid` is something else.
    Unknown,
}

/// An argument register.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Argument {
    /// A number.
    Number(u64),
    /// The address of something that the scenario names.
    Address(String),
}

/// What a signal handler saw.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HandlerRun {
    /// The signal.
    pub signal: i32,
    /// Its `siginfo_t`, for a handler with `SA_SIGINFO`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub info: Option<SignalInfo>,
}

/// The parts of a `siginfo_t` that say why a signal came.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignalInfo {
    /// `si_code`.
    pub code: i32,
    /// `si_errno`.
    pub errno: i32,
    /// For SIGSYS: what `si_call_addr`, `si_syscall` and `si_arch` tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<TrappedCall>,
}

/// The call of a `SIGSYS`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrappedCall {
    /// `si_syscall`, by name where it has one.
    pub call: String,
    /// `si_arch`.
    pub arch: u32,
    /// Whether `si_call_addr` is the address after the instruction that made
    /// the call.
    pub at_call: bool,
    /// Whether the interrupted context would go on at that address.
    pub resumes_at_call: bool,
    /// The return register in the interrupted context.
    pub register: i64,
}

/// What wait4(2) said of a tracee.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Wait {
    /// A stop by this signal; 0x80 is added at a system call stop under
    /// `PTRACE_O_TRACESYSGOOD`.
    Stop {
        /// The signal.
        signal: i32,
        /// `PTRACE_EVENT_*`, or 0.
        event: i32,
    },
    /// It has exited.
    Exited(i32),
    /// It was killed by this signal.
    Killed(i32),
}

impl Outcome {
    /// That these bytes were read: as text up to the first NUL where `unit` is
    /// 1, else as little-endian numbers of so many bytes.
    pub fn read(bytes: &[u8], unit: u8) -> Outcome {
        if unit == 1 {
            let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
            return Outcome::Text(text.escape_ascii().to_string());
        }
        let numbers = bytes.chunks_exact(usize::from(unit)).map(|chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            i64::from_le_bytes(word)
        });
        Outcome::Numbers(numbers.collect())
    }
}

impl Trace {
    /// The outcomes of the act with a label, joined: `blocks, returns 3`.
    pub fn outcomes_of(&self, label: &str) -> Option<String> {
        let act = self.events.iter().find(|event| event.label.as_deref() == Some(label))?.act?;
        let outcomes: Vec<String> = self
            .events
            .iter()
            .filter(|event| event.act == Some(act))
            .map(|event| event.outcome.to_string())
            .collect();
        Some(outcomes.join(", "))
    }
}
