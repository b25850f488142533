//! An act of a schedule as a C function's body.

use super::Unsayable;
use super::text::{constant, string};
use crate::scenario::{
    ActorId, Arg, Disposition, Entry, Field, Op, Place, Register, Schedule, ScheduledAct, SlotId,
    StatusField, Transfer,
};

/// An act in C.
pub(super) struct Body {
    /// The function's statements.
    pub statements: String,
    /// The function of the runtime that tells its outcome.
    pub tell: &'static str,
}

const HOLDS: Unsayable = Unsayable("it holds up an access with userfaultfd(2)");

pub(super) fn body(schedule: &Schedule, act: &ScheduledAct) -> Result<Body, Unsayable> {
    let writer = Writer { schedule };
    if act.by.is_none() {
        let statement = writer.directors(act)?;
        let statements = format!("\t(void)me, (void)data;\n\t{statement};\n\treturn 0;\n");
        return Ok(Body { statements, tell: "NULL" });
    }
    let (statement, tell) = writer.actors(act)?;
    let bound = match act.binds {
        Some(slot) if !matches!(act.op, Op::Recv { .. }) => {
            format!("bind_name(me, {}, {statement})", writer.slot(slot))
        }
        _ => statement,
    };
    Ok(Body { statements: format!("\t(void)me, (void)data;\n\treturn {bound};\n"), tell })
}

/// The name of an actor in C.
pub(super) fn actor(schedule: &Schedule, actor: ActorId) -> String {
    format!("actor_{}", schedule.actors[actor.0].name)
}

struct Writer<'s> {
    schedule: &'s Schedule,
}

impl Writer<'_> {
    fn actor(&self, of: ActorId) -> String {
        actor(self.schedule, of)
    }

    fn slot(&self, slot: SlotId) -> String {
        format!("the_{}", self.schedule.slots[slot.0].name)
    }

    fn arg(&self, arg: Arg) -> String {
        match arg {
            Arg::Value(value) => match self.schedule.name_of(value) {
                Some(name) if !name.contains("*/") && !name.contains("/*") => {
                    format!("{value:#x} /* {name} */")
                }
                _ => constant(value),
            },
            Arg::Slot(slot, 0) => format!("number_of(me, {})", self.slot(slot)),
            Arg::Slot(slot, by) => format!("number_of(me, {}) + {by}", self.slot(slot)),
            Arg::Field(slot, field) => {
                let note = format!("notified({})", self.slot(slot));
                match field {
                    Field::Id => format!("{note}->id"),
                    Field::Pid => format!("{note}->pid"),
                    Field::Nr => format!("{note}->data.nr"),
                    Field::Arg(index) => format!("{note}->data.args[{index}]"),
                }
            }
            Arg::Pid(of) => format!("tid_of({})", self.actor(of)),
        }
    }

    fn place(&self, place: Place, size: &str) -> Result<String, Unsayable> {
        Ok(match place {
            Place::Desk => "desk(me)".to_owned(),
            Place::Null => "0".to_owned(),
            Place::Unmapped => "UNMAPPED".to_owned(),
            Place::ReadOnly => "READONLY".to_owned(),
            Place::Edge => format!("edge(me, {size})"),
            Place::Held(_) => return Err(HOLDS),
        })
    }

    /// What an actor does: an expression, and who tells its outcome.
    fn actors(&self, act: &ScheduledAct) -> Result<(String, &'static str), Unsayable> {
        const RESULT: &str = "tell_result";
        let result = if act.returns_a_task { "tell_task" } else { RESULT };
        if (0..self.schedule.held.len()).any(|page| act.op.touches_held(page)) {
            return Err(HOLDS);
        }
        let arg = |value| self.arg(value);
        let of = |actor| self.actor(actor);
        let ptrace = |request: &str, tracee, address: &str, argument: &str| {
            format!("ptrace_raw({request}, {}, {address}, {argument})", of(tracee))
        };
        Ok(match act.op {
            Op::Call { entry, number, args } => {
                let last = args.iter().rposition(|arg| *arg != Arg::Value(0));
                let args: Vec<String> = args[..last.map_or(1, |last| last + 1)]
                    .iter()
                    .map(|value| arg(*value))
                    .collect();
                let through = if entry == Entry::Int80 { "INT80" } else { "TRACED" };
                let call = format!("{through}({}, {})", constant(number), args.join(", "));
                (call, result)
            }
            Op::Install { filter, flags, prctl, .. } => {
                let code = format!("filter_{filter}, {}", self.schedule.programs[filter].1.len());
                let call = match prctl {
                    true => format!("install_by_prctl({code})"),
                    false => format!("install({code}, {})", arg(flags)),
                };
                (call, result)
            }
            Op::Strict { prctl: true } => {
                ("RAW(SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_STRICT)".to_owned(), RESULT)
            }
            Op::Strict { prctl: false } => {
                ("RAW(SYS_seccomp, SECCOMP_SET_MODE_STRICT)".to_owned(), RESULT)
            }
            Op::NoNewPrivs => ("RAW(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1)".to_owned(), RESULT),
            Op::Dispose { signal, disposition } => (
                match disposition {
                    Disposition::Handler { flags, result } => {
                        let result = match result {
                            Some(result) => format!("&(const word){{ {} }}", constant(result)),
                            None => "NULL".to_owned(),
                        };
                        format!("handle(me, {signal}, {}, {result})", constant(flags))
                    }
                    Disposition::Ignore => format!("dispose(me, {signal}, (word)SIG_IGN, 0)"),
                    Disposition::Default => format!("dispose(me, {signal}, (word)SIG_DFL, 0)"),
                },
                RESULT,
            ),
            Op::Mask { signal, block } => {
                let how = if block { "SIG_BLOCK" } else { "SIG_UNBLOCK" };
                (format!("mask(me, {signal}, {how})"), RESULT)
            }
            Op::Store { to, from, len } => {
                (format!("store({}, {}, {len})", constant(to), constant(from)), RESULT)
            }
            Op::Load { address, len, unit } => (
                format!("load(data, {}, {len})", constant(address)),
                match unit {
                    1 => "tell_text",
                    2 => "tell_numbers_2",
                    4 => "tell_numbers_4",
                    _ => "tell_numbers_8",
                },
            ),
            Op::Fork(actor) => (format!("fork_actor(me, {})", of(actor)), "tell_started"),
            Op::Thread(actor) => (format!("thread_actor({})", of(actor)), "tell_started"),
            Op::Exec => ("exec_self(me)".to_owned(), RESULT),
            Op::Pass(fd) => (format!("pass(me, {})", arg(fd)), RESULT),
            Op::Take { slot, from, via } => {
                let slot = self.slot(slot);
                let got = match (via, from) {
                    (Transfer::ScmRights, _) => "take_passed(me)".to_owned(),
                    (Transfer::PidfdGetfd, Some(from)) => {
                        format!("take_from({slot}, {})", of(from))
                    }
                    (Transfer::PidfdGetfd, None) => "-EINVAL".to_owned(),
                };
                (format!("bind_name(me, {slot}, {got})"), RESULT)
            }
            Op::Recv { listener, place, dirty } => {
                let at = self.place(place, "sizeof(struct seccomp_notif)")?;
                let dirty = match place {
                    Place::Desk | Place::Edge => dirty.map_or(-1, i32::from),
                    _ => -1,
                };
                let slot = act.binds.map_or("-1".to_owned(), |slot| self.slot(slot));
                let listener = arg(listener);
                (
                    format!("notif_recv(me, {listener}, {at}, {dirty}, {slot}, data)"),
                    "tell_notification",
                )
            }
            Op::Send { listener, id, val, error, flags, place } => {
                let at = self.place(place, "sizeof(struct seccomp_notif_resp)")?;
                let response = format!(
                    "(struct seccomp_notif_resp){{ .id = {}, .val = {}, .error = {}, .flags = {} }}",
                    arg(id),
                    arg(val),
                    narrow(&arg(error), "int"),
                    narrow(&arg(flags), "unsigned")
                );
                (format!("notif_send(me, {}, {at},\n\t\t\t  {response})", arg(listener)), RESULT)
            }
            Op::IdValid { listener, id, old_number, place } => {
                let at = self.place(place, "sizeof(word)")?;
                let direction = if old_number { "_IOC_READ" } else { "_IOC_WRITE" };
                let request = format!("_IOC({direction}, '!', 2, 8)");
                (
                    format!("notif_id_valid(me, {}, {at}, {request}, {})", arg(listener), arg(id)),
                    RESULT,
                )
            }
            Op::Addfd { listener, id, srcfd, newfd, newfd_flags, flags, size, tail, place } => {
                let at = self.place(place, "sizeof(struct seccomp_notif_addfd)")?;
                let request = format!(
                    "(struct seccomp_notif_addfd){{ .id = {}, .flags = {}, .srcfd = {},\n\
                     \t\t\t\t\t\t\t.newfd = {}, .newfd_flags = {} }}",
                    arg(id),
                    narrow(&arg(flags), "unsigned"),
                    narrow(&arg(srcfd), "unsigned"),
                    narrow(&arg(newfd), "unsigned"),
                    narrow(&arg(newfd_flags), "unsigned")
                );
                let tail = narrow(&arg(tail), "unsigned char");
                let listener = arg(listener);
                (
                    format!(
                        "notif_addfd(me, {listener}, {at}, {size}, {tail},\n\t\t\t   {request})"
                    ),
                    RESULT,
                )
            }
            Op::SetFlags { listener, flags } => {
                let request = "_IOC(_IOC_WRITE, '!', 4, 8)";
                (format!("RAW(SYS_ioctl, {}, {request}, {})", arg(listener), arg(flags)), RESULT)
            }
            Op::Poll { fd, events, timeout } => (
                format!(
                    "poll_one(me, {}, {}, {}, data)",
                    narrow(&arg(fd), "int"),
                    narrow(&arg(events), "short"),
                    arg(timeout)
                ),
                "tell_events",
            ),
            Op::Select { fd, timeout } => {
                (format!("select_one(me, {}, {}, data)", arg(fd), arg(timeout)), "tell_sets")
            }
            Op::EpollAdd { epoll, fd, events } => {
                let events = narrow(&arg(events), "unsigned");
                (format!("epoll_add(me, {}, {}, {events})", arg(epoll), arg(fd)), RESULT)
            }
            Op::EpollWait { epoll, timeout } => (
                format!("epoll_wait_one(me, {}, {}, data)", arg(epoll), arg(timeout)),
                "tell_events",
            ),
            Op::OpenMem { id } => (format!("open_mem(me, {})", self.slot(id)), RESULT),
            Op::ReadMem { fd, address, len } => {
                (format!("read_mem(me, {}, {}, {len}, data)", arg(fd), arg(address)), "tell_read")
            }
            Op::WriteMem { fd, address, from, len } => {
                let from = constant(from);
                (format!("RAW(SYS_pwrite64, {}, {from}, {len}, {})", arg(fd), arg(address)), RESULT)
            }
            Op::Attach(tracee) => (ptrace("PTRACE_ATTACH", tracee, "0", "0"), RESULT),
            Op::Seize { tracee, options } => {
                (ptrace("PTRACE_SEIZE", tracee, "0", &arg(options)), RESULT)
            }
            Op::Interrupt(tracee) => (ptrace("PTRACE_INTERRUPT", tracee, "0", "0"), RESULT),
            Op::WaitStop(tracee) => (format!("wait_stop(me, {}, data)", of(tracee)), "tell_stop"),
            Op::Resume { tracee, signal } => {
                (ptrace("PTRACE_CONT", tracee, "0", &signal.to_string()), RESULT)
            }
            Op::ToSyscall { tracee, signal } => {
                (ptrace("PTRACE_SYSCALL", tracee, "0", &signal.to_string()), RESULT)
            }
            Op::Detach { tracee, signal } => {
                (ptrace("PTRACE_DETACH", tracee, "0", &signal.to_string()), RESULT)
            }
            Op::SetOptions { tracee, options } => {
                (ptrace("PTRACE_SETOPTIONS", tracee, "0", &arg(options)), RESULT)
            }
            Op::EventMessage(tracee) => {
                (format!("ask(me, PTRACE_GETEVENTMSG, {}, 0, data)", of(tracee)), "tell_number")
            }
            Op::GetRegister { tracee, register } => {
                let at = register_word(register);
                (format!("ask(me, PTRACE_PEEKUSER, {}, 8 * {at}, data)", of(tracee)), "tell_number")
            }
            Op::SetRegister { tracee, register, value } => {
                let at = format!("8 * {}", register_word(register));
                (ptrace("PTRACE_POKEUSER", tracee, &at, &arg(value)), RESULT)
            }
            Op::GetFilter { tracee, index } => {
                (format!("get_filter(me, {}, {}, data)", of(tracee), arg(index)), "tell_program")
            }
            Op::Signal { .. }
            | Op::Reap(_)
            | Op::Delay(_)
            | Op::Await(_)
            | Op::State(_)
            | Op::Status { .. }
            | Op::Freeze { .. }
            | Op::LetGo { .. } => return Err(Unsayable("an actor does the director's work")),
        })
    }

    /// What the director does: a statement that says its outcome.
    fn directors(&self, act: &ScheduledAct) -> Result<String, Unsayable> {
        Ok(match act.op {
            Op::Signal { to, signal, process } => {
                format!("send_signal({}, {signal}, {})", self.actor(to), i32::from(process))
            }
            Op::Reap(of) => format!("reap({})", self.actor(of)),
            Op::Delay(milliseconds) => {
                format!("usleep({});\n\tsay(\"ok\")", milliseconds.saturating_mul(1000))
            }
            Op::Await(of) => format!("await({})", self.actor(of)),
            Op::State(of) => format!("state({})", self.actor(of)),
            Op::Status { of, field } => {
                let field = match field {
                    StatusField::Seccomp => "\nSeccomp:",
                    StatusField::SeccompFilters => "\nSeccomp_filters:",
                    StatusField::NoNewPrivs => "\nNoNewPrivs:",
                };
                format!("status_field({}, {})", self.actor(of), string(field.as_bytes()))
            }
            Op::Freeze { .. } => return Err(Unsayable("it freezes a cgroup")),
            _ => return Err(HOLDS),
        })
    }
}

/// A value that is narrower than its field may be wider.
fn narrow(value: &str, kind: &str) -> String {
    match value.parse::<u8>() {
        Ok(_) => value.to_owned(),
        Err(_) => format!("({kind})({value})"),
    }
}

/// Where a register lies in `struct user`, in words.
fn register_word(register: Register) -> &'static str {
    match register {
        Register::Number => "ORIG_RAX",
        Register::Result => "RAX",
        Register::Arg(0) => "RDI",
        Register::Arg(1) => "RSI",
        Register::Arg(2) => "RDX",
        Register::Arg(3) => "R10",
        Register::Arg(4) => "R8",
        Register::Arg(_) => "R9",
    }
}
