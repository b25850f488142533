//! The verbs of the step language: one table that parsing, checking, printing
//! and the documentation are made from.

/// Who may do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// A target, supervisor or tracer: `S: recv L`.
    Actor,
    /// The harness itself: `signal T SIGUSR1`.
    Director,
}

/// What an operand or an option is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A declared actor.
    Actor,
    /// Any number: a literal, constants, a bound name, a field.
    Number,
    /// A number in which constants joined by `|` read best.
    Flags,
    /// A descriptor: a listener or another bound name, or a number.
    Descriptor,
    /// A notification's id: a bound name, one with an offset, or a number.
    Id,
    /// A signal by name or number.
    Signal,
    /// A declared filter.
    Filter,
    /// A declared buffer.
    Buffer,
    /// A declared held page.
    Held,
    /// A string.
    Text,
    /// Where a structure lies: `null`, `unmapped`, `readonly`, `edge` (its
    /// last byte is the last of a mapped page), or `&page` of a held page.
    Place,
    /// One of these words.
    OneOf(&'static [&'static str]),
}

impl Kind {
    /// What a message says was expected.
    pub fn expectation(self) -> String {
        match self {
            Kind::Actor => "the name of an actor".into(),
            Kind::Number => "a number".into(),
            Kind::Flags => "a number or flags joined by |".into(),
            Kind::Descriptor => "a listener, another bound name, or a number".into(),
            Kind::Id => "a notification (n1, n1+1) or a number".into(),
            Kind::Signal => "a signal, such as SIGUSR1".into(),
            Kind::Filter => "the name of a [filter.…]".into(),
            Kind::Buffer => "the name of a buffer of [buffers]".into(),
            Kind::Held => "the name of a page of `held`".into(),
            Kind::Text => "a string in double quotes".into(),
            Kind::Place => "null, unmapped, readonly, edge, or &page".into(),
            Kind::OneOf(words) => format!("one of {}", words.join(", ")),
        }
    }
}

/// One verb's form.
#[derive(Debug)]
pub struct Signature {
    /// The verb.
    pub verb: Verb,
    /// Its word in a step.
    pub word: &'static str,
    /// Who may do it.
    pub who: Who,
    /// Operands in their order: what a message calls them, and their kinds.
    /// Those after `required` may be left out.
    pub operands: &'static [(&'static str, Kind)],
    /// How many operands must be there.
    pub required: usize,
    /// Options `key=value`, in the order in which they are printed.
    pub options: &'static [(&'static str, Kind)],
    /// Whether `as NAME` may follow.
    pub binds: bool,
    /// What it does, for documentation.
    pub meaning: &'static str,
}

const ON: (&str, Kind) = ("on", Kind::Descriptor);
const AT: (&str, Kind) = ("at", Kind::Place);
const FLAGS: (&str, Kind) = ("flags", Kind::Flags);
const VIA_INSTALL: (&str, Kind) = ("via", Kind::OneOf(&["seccomp", "prctl"]));
const TIMEOUT: (&str, Kind) = ("timeout", Kind::Number);
const LISTENER: &[(&str, Kind)] = &[("a listener", Kind::Descriptor)];
const ID: &[(&str, Kind)] = &[("a notification", Kind::Id)];
const ACTOR: &[(&str, Kind)] = &[("an actor", Kind::Actor)];
const SIGNAL: &[(&str, Kind)] = &[("a signal", Kind::Signal)];
const MEMORY: &[(&str, Kind)] =
    &[("an opened memory", Kind::Descriptor), ("an address", Kind::Number), ("text", Kind::Text)];

macro_rules! verbs {
    ($($verb:ident $word:literal $who:ident $operands:expr, $required:literal,
       [$($option:expr),*] $binds:literal $meaning:literal;)*) => {
        /// What a step can do, besides a system call.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Verb {
            $(#[doc = $meaning] $verb,)*
        }

        /// Every verb, in the order of the documentation.
        pub static VERBS: &[Signature] = &[
            $(Signature {
                verb: Verb::$verb,
                word: $word,
                who: Who::$who,
                operands: $operands,
                required: $required,
                options: &[$($option),*],
                binds: $binds,
                meaning: $meaning,
            },)*
        ];
    };
}

verbs! {
    // Filters and modes.
    Install "install" Actor &[("a filter", Kind::Filter)], 1, [FLAGS, VIA_INSTALL] true
        "Installs a filter with seccomp(2), or with prctl(2); `as L` names the listener.";
    Strict "strict" Actor &[], 0, [VIA_INSTALL] false "Enters strict mode.";
    NoNewPrivs "no_new_privs" Actor &[], 0, [] false "Sets the no_new_privs attribute.";
    // Signal dispositions.
    Handle "handle" Actor SIGNAL, 1, [FLAGS, ("return", Kind::Number)] false
        "Installs a handler; `return` is written over the interrupted call's return register.";
    Ignore "ignore" Actor SIGNAL, 1, [] false "Ignores a signal.";
    Default "default" Actor SIGNAL, 1, [] false "Gives a signal its default action.";
    Block "block" Actor SIGNAL, 1, [] false "Blocks a signal in the calling thread.";
    Unblock "unblock" Actor SIGNAL, 1, [] false "Unblocks a signal in the calling thread.";
    // Memory and tasks.
    Store "store" Actor &[("a buffer", Kind::Buffer), ("text", Kind::Text)], 2, [] false
        "Writes bytes at the start of a buffer, a NUL after them.";
    Load "load" Actor &[("a buffer", Kind::Buffer)], 1,
        [("len", Kind::Number), ("unit", Kind::OneOf(&["1", "2", "4", "8"]))] false
        "Reads a buffer: as text, or as numbers of `unit` bytes.";
    Fork "fork" Actor ACTOR, 1, [] false "Starts an actor as a child process.";
    Thread "thread" Actor ACTOR, 1, [] false "Starts an actor as a thread.";
    Exec "exec" Actor &[], 0, [] false "Executes the tool itself, which goes on with the plan.";
    // Descriptors.
    Pass "pass" Actor LISTENER, 1, [] false "Sends a descriptor by SCM_RIGHTS.";
    Take "take" Actor LISTENER, 1,
        [("from", Kind::Actor), ("via", Kind::OneOf(&["pidfd_getfd", "scm_rights"]))] false
        "Gets a descriptor that another actor holds (pidfd_getfd) or passed (scm_rights).";
    // The listener.
    Recv "recv" Actor LISTENER, 1, [AT, ("dirty", Kind::Number)] true
        "SECCOMP_IOCTL_NOTIF_RECV; `dirty` is a byte of the buffer that is not zero.";
    Send "send" Actor ID, 0,
        [ON, ("val", Kind::Number), ("error", Kind::Number), FLAGS, AT] false
        "SECCOMP_IOCTL_NOTIF_SEND; `error` is the field itself, so negative for an errno.";
    IdValid "id_valid" Actor ID, 0, [ON, AT, ("number", Kind::OneOf(&["new", "old"]))] false
        "SECCOMP_IOCTL_NOTIF_ID_VALID; `old` is the ioctl number of headers before 5.9.";
    Addfd "addfd" Actor ID, 0,
        [ON, ("srcfd", Kind::Descriptor), ("newfd", Kind::Number), ("newfd_flags", Kind::Flags),
         FLAGS, ("size", Kind::Number), ("tail", Kind::Number), AT] true
        "SECCOMP_IOCTL_NOTIF_ADDFD; `size` is the structure's, `tail` a byte past its fields.";
    SetFlags "set_flags" Actor
        &[("a listener", Kind::Descriptor), ("the flags", Kind::Flags)], 2, [] false
        "SECCOMP_IOCTL_NOTIF_SET_FLAGS.";
    Poll "poll" Actor LISTENER, 1, [("events", Kind::Flags), TIMEOUT] false
        "poll(2) on one descriptor; `timeout` in milliseconds, 0 unless given, -1 for none.";
    Select "select" Actor LISTENER, 1, [TIMEOUT] false
        "select(2) on one descriptor; `timeout` in milliseconds, 0 unless given, -1 for none.";
    EpollAdd "epoll_add" Actor
        &[("an epoll descriptor", Kind::Descriptor), ("a listener", Kind::Descriptor)], 2,
        [("events", Kind::Flags)] false "Adds a descriptor to an epoll instance.";
    EpollWait "epoll_wait" Actor &[("an epoll descriptor", Kind::Descriptor)], 1, [TIMEOUT] false
        "epoll_wait(2) for one event; `timeout` in milliseconds, 0 unless given, -1 for none.";
    OpenMem "open_mem" Actor ID, 1, [] true "Opens /proc/TID/mem of a notification's target.";
    ReadMem "read_mem" Actor &[MEMORY[0], MEMORY[1]], 2, [("len", Kind::Number)] false
        "Reads an opened memory at an address; `len` in bytes, 64 unless given.";
    WriteMem "write_mem" Actor MEMORY, 3, [] false "Writes an opened memory at an address.";
    // Tracing.
    Attach "attach" Actor ACTOR, 1, [] false "PTRACE_ATTACH.";
    Seize "seize" Actor ACTOR, 1, [("options", Kind::Flags)] false "PTRACE_SEIZE.";
    Interrupt "interrupt" Actor ACTOR, 1, [] false "PTRACE_INTERRUPT.";
    WaitStop "wait" Actor ACTOR, 1, [] false "wait4(2) for a tracee's next stop or end.";
    Resume "resume" Actor ACTOR, 1, [("signal", Kind::Signal)] false "PTRACE_CONT.";
    ToSyscall "to_syscall" Actor ACTOR, 1, [("signal", Kind::Signal)] false "PTRACE_SYSCALL.";
    Detach "detach" Actor ACTOR, 1, [("signal", Kind::Signal)] false "PTRACE_DETACH.";
    SetOptions "set_options" Actor &[ACTOR[0], ("options", Kind::Flags)], 2, [] false
        "PTRACE_SETOPTIONS.";
    EventMessage "event_message" Actor ACTOR, 1, [] false "PTRACE_GETEVENTMSG.";
    GetRegister "get_register" Actor &[ACTOR[0], ("a register", REGISTER)], 2, [] false
        "PTRACE_PEEKUSER of the call number (nr), the return register (ret) or that of an argument of native calls (arg0 to arg5: rdi, rsi, rdx, r10, r8, r9).";
    SetRegister "set_register" Actor
        &[ACTOR[0], ("a register", REGISTER), ("a value", Kind::Number)], 3, [] false
        "PTRACE_POKEUSER of the call number (nr), the return register (ret) or an argument.";
    GetFilter "get_filter" Actor &[ACTOR[0], ("an index", Kind::Number)], 2, [] false
        "PTRACE_SECCOMP_GET_FILTER.";
    // The director.
    Signal "signal" Director &[ACTOR[0], SIGNAL[0]], 2,
        [("scope", Kind::OneOf(&["thread", "process"]))] false
        "Sends a signal to the actor's thread, or to its process.";
    Kill "kill" Director ACTOR, 1, [] false "Sends SIGKILL to the actor's process.";
    Stop "stop" Director ACTOR, 1, [] false "Sends SIGSTOP to the actor's process.";
    Continue "cont" Director ACTOR, 1, [] false "Sends SIGCONT to the actor's process.";
    Reap "reap" Director ACTOR, 1, [] false "Waits for an ended actor, as its parent.";
    Delay "delay" Director &[("milliseconds", Kind::Number)], 1, [] false "Lets time pass.";
    Await "await" Director ACTOR, 1, [] false
        "Waits until the call in which an actor is blocked has ended.";
    State "state" Director ACTOR, 1, [] false
        "The actor's state letter in /proc/TID/stat, and its call in /proc/TID/syscall.";
    Status "status" Director &[ACTOR[0], ("a field", STATUS)], 2, [] false
        "One field of the actor's /proc/TID/status.";
    Freeze "freeze" Director ACTOR, 1, [] false "Freezes the actor's cgroup.";
    Thaw "thaw" Director ACTOR, 1, [] false "Thaws the actor's cgroup.";
    Release "release" Director &[("a held page", Kind::Held), ("text", Kind::Text)], 1, [] false
        "Lets the access that waits on a held page go on: it finds the text, else what the step had \
         for it, else zeros.";
    Fail "fail" Director &[("a held page", Kind::Held)], 1, [] false
        "Makes the access that waits on a held page fail.";
}

const REGISTER: Kind = Kind::OneOf(&["nr", "ret", "arg0", "arg1", "arg2", "arg3", "arg4", "arg5"]);
const STATUS: Kind = Kind::OneOf(&["Seccomp", "Seccomp_filters", "NoNewPrivs"]);

impl Verb {
    /// The verb's form.
    pub fn signature(self) -> &'static Signature {
        &VERBS[self as usize]
    }

    /// The verb of that word.
    pub fn of(word: &str) -> Option<Verb> {
        VERBS.iter().find(|signature| signature.word == word).map(|signature| signature.verb)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_indexed_by_verb_and_no_word_stands_twice() {
        for (index, signature) in VERBS.iter().enumerate() {
            assert_eq!(signature.verb as usize, index);
            assert_eq!(Verb::of(signature.word), Some(signature.verb));
            assert!(signature.required <= signature.operands.len());
        }
    }
}
