//! Turns one operation as it is written into one as it is carried out.

use super::refuse::{refuse_copies, refuse_shown_id, refuse_unheld};
use super::resolve::Resolver;
use super::schedule::{ActorId, Arg, Disposition, Fill, Op, Place, Register, StatusField};
use super::{Act, Callee, Entry, Kind, Operation, Placed, Span, Transfer, Value, Verb};
use crate::abi::{self, X32_SYSCALL_BIT};
use crate::filter::Arch;

/// Resolves one operation; `None` when a mistake was noted.
pub(super) fn lower(
    resolver: &mut Resolver<'_>,
    operation: &Operation,
    by: Option<ActorId>,
) -> Option<Op> {
    let op = match &operation.act {
        Act::Call { entry, call, args } => {
            let number = call_number(*entry, call);
            let Some(number) = number else {
                let message = format!("{call} is not a system call of this entry's table");
                resolver.mistake(&operation.span, message, "another call, or #number");
                return None;
            };
            refuse_copies(resolver, *entry, number, &operation.span);
            let mut registers = [Arg::Value(0); 6];
            for (register, arg) in registers.iter_mut().zip(args) {
                *register = resolver.arg(arg, by)?;
            }
            Op::Call { entry: *entry, number, args: registers }
        }
        Act::Verb { verb, operands, options } => {
            let words =
                Words { resolver, by, verb: *verb, operands, options, span: &operation.span };
            words.lower(operation.binds.as_deref())?
        }
    };
    refuse_unheld(resolver, &op, by, &operation.span);
    refuse_shown_id(resolver, &op, &operation.span);
    Some(op)
}

/// What the call number's register holds.
fn call_number(entry: Entry, call: &Callee) -> Option<u64> {
    let arch = match entry {
        Entry::Native => Arch::X86_64,
        Entry::Int80 => Arch::I386,
        Entry::X32 => Arch::X32,
    };
    match call {
        Callee::Named(call) => call.number(arch).map(|number| number as u32 as u64),
        Callee::Number(number) if entry == Entry::X32 => Some(number | u64::from(X32_SYSCALL_BIT)),
        Callee::Number(number) => Some(*number),
    }
}

/// A verb's operands and options, by their kinds.
struct Words<'w, 'r, 's> {
    resolver: &'w mut Resolver<'r>,
    by: Option<ActorId>,
    verb: Verb,
    operands: &'s [Placed<Value>],
    options: &'s [(String, Placed<Value>)],
    span: &'s Span,
}

impl<'s> Words<'_, '_, 's> {
    fn option(&self, key: &str) -> Option<&'s Placed<Value>> {
        self.options.iter().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    fn arg(&mut self, index: usize) -> Option<Arg> {
        self.resolver.arg(&self.operands[index], self.by)
    }

    fn option_arg(&mut self, key: &str, default: u64) -> Option<Arg> {
        match self.option(key) {
            Some(value) => self.resolver.arg(value, self.by),
            None => Some(Arg::Value(default)),
        }
    }

    fn option_number(&mut self, key: &str, default: u64, most: u64) -> Option<u64> {
        let Some(placed) = self.option(key) else { return Some(default) };
        let value = self.resolver.constant(placed)?;
        if value > most {
            let message = format!("{key}={value} is too large");
            self.resolver.mistake(&placed.span, message, format!("at most {most}"));
            return None;
        }
        Some(value)
    }

    fn actor(&mut self) -> Option<ActorId> {
        self.resolver.actor(&self.operands[0])
    }

    /// One of the words that the verb's form allows for an operand.
    fn word(&mut self, placed: &'s Placed<Value>, kind: Kind) -> Option<&'s str> {
        let Kind::OneOf(words) = kind else { unreachable!("only words are asked for") };
        let text = match &placed.value {
            Value::Name(text) | Value::Constant(text) => text.as_str(),
            Value::Number(1, _) => "1",
            Value::Number(2, _) => "2",
            Value::Number(4, _) => "4",
            Value::Number(8, _) => "8",
            _ => "",
        };
        if words.contains(&text) {
            return Some(text);
        }
        let message = format!("{} is not known here", placed.value);
        self.resolver.mistake(&placed.span, message, kind.expectation());
        None
    }

    fn option_word(&mut self, key: &str) -> Option<Option<&'s str>> {
        let Some(placed) = self.option(key) else { return Some(None) };
        let form = self.verb.signature();
        let (_, kind) = form.options.iter().find(|(known, _)| *known == key)?;
        self.word(placed, *kind).map(Some)
    }

    fn signal(&mut self, placed: &Placed<Value>) -> Option<i32> {
        let number = match &placed.value {
            Value::Constant(name) => abi::signal_number(name),
            Value::Number(number @ 0..=64, _) => Some(*number as i32),
            _ => None,
        };
        if number.is_none() {
            let message = format!("{} is not a signal", placed.value);
            self.resolver.mistake(&placed.span, message, Kind::Signal.expectation());
        }
        number
    }

    fn option_signal(&mut self, key: &str) -> Option<i32> {
        match self.option(key) {
            Some(placed) => self.signal(placed),
            None => Some(0),
        }
    }

    fn text(&mut self, index: usize) -> Option<(u64, usize)> {
        let placed = &self.operands[index];
        match &placed.value {
            Value::Text(bytes) => {
                let address = self.resolver.constant(placed)?;
                Some((address, bytes.len()))
            }
            _ => {
                let message = format!("{} is not a string", placed.value);
                self.resolver.mistake(&placed.span, message, Kind::Text.expectation());
                None
            }
        }
    }

    fn buffer(&mut self) -> Option<(u64, usize)> {
        let placed = &self.operands[0];
        let name = placed.value.to_string();
        let found = self.resolver.schedule.arena.find(&format!("&{name}"));
        if found.is_none() {
            let message = format!("{name} is not a buffer");
            self.resolver.mistake(&placed.span, message, Kind::Buffer.expectation());
        }
        found
    }

    fn place(&mut self) -> Option<Place> {
        let Some(placed) = self.option("at") else { return Some(Place::Desk) };
        let found = match &placed.value {
            Value::Name(word) => match word.as_str() {
                "null" => Some(Place::Null),
                "unmapped" => Some(Place::Unmapped),
                "readonly" => Some(Place::ReadOnly),
                "edge" => Some(Place::Edge),
                _ => None,
            },
            Value::Address(name) => {
                self.resolver.schedule.held.iter().position(|held| held == name).map(Place::Held)
            }
            _ => None,
        };
        if found.is_none() {
            let message = format!("{} is no place for a structure", placed.value);
            self.resolver.mistake(&placed.span, message, Kind::Place.expectation());
        }
        found
    }

    fn held(&mut self) -> Option<usize> {
        let placed = &self.operands[0];
        let name = placed.value.to_string();
        let found = self.resolver.schedule.held.iter().position(|held| *held == name);
        if found.is_none() {
            let message = format!("{name} is not a held page");
            self.resolver.mistake(&placed.span, message, Kind::Held.expectation());
        }
        found
    }

    /// A page that begins with the text of an operand and a NUL.
    fn page_of_text(&mut self) -> Option<Fill> {
        let (from, len) = self.text(1)?;
        if len >= PAGE {
            let message = format!("{len} bytes and a NUL do not fit into a page of {PAGE}");
            self.resolver.mistake(&self.operands[1].span, message, "a shorter text");
        }
        Some(Fill::Text { from, len })
    }

    /// The listener of an id: given by `on`, or the one that the notification
    /// came from.
    fn listener_of_id(&mut self) -> Option<Arg> {
        if let Some(on) = self.option("on") {
            return self.resolver.arg(on, self.by);
        }
        let name = match self.operands.first().map(|id| &id.value) {
            Some(Value::Name(name) | Value::Offset(name, _) | Value::Field(name, _)) => Some(name),
            _ => None,
        };
        let slot = match name {
            Some(name) => Some(self.resolver.slot(name, self.span)?),
            None => None,
        };
        let source = slot.and_then(|slot| self.resolver.source_of[slot.0]);
        if source.is_none() {
            let message = format!("{} does not say on which listener", self.verb.signature().word);
            self.resolver.mistake(self.span, message, "on=LISTENER");
        }
        source
    }

    fn id(&mut self) -> Option<Arg> {
        match self.operands.first() {
            Some(id) => self.resolver.arg(id, self.by),
            None => Some(Arg::Value(0)),
        }
    }

    fn lower(mut self, binds: Option<&str>) -> Option<Op> {
        let op = match self.verb {
            Verb::Install => return self.install(binds),
            Verb::Strict => Op::Strict { prctl: self.option_word("via")? == Some("prctl") },
            Verb::NoNewPrivs => Op::NoNewPrivs,
            Verb::Handle => {
                let flags = match self.option("flags") {
                    Some(flags) => self.resolver.constant(flags)?,
                    None => 0,
                };
                let result = match self.option("return") {
                    Some(value) => Some(self.resolver.constant(value)?),
                    None => None,
                };
                self.dispose(Disposition::Handler { flags, result })?
            }
            Verb::Ignore => self.dispose(Disposition::Ignore)?,
            Verb::Default => self.dispose(Disposition::Default)?,
            Verb::Block | Verb::Unblock => {
                let block = self.verb == Verb::Block;
                Op::Mask { signal: self.signal(&self.operands[0])?, block }
            }
            Verb::Store => {
                let (to, room) = self.buffer()?;
                let (from, len) = self.text(1)?;
                if len + 1 > room {
                    let message = format!("{len} bytes and a NUL do not fit into {room}");
                    self.resolver.mistake(&self.operands[1].span, message, "a larger buffer");
                }
                Op::Store { to, from, len: len + 1 }
            }
            Verb::Load => {
                let (address, size) = self.buffer()?;
                let len =
                    self.option_number("len", size.min(LONGEST_READ) as u64, LONGEST_READ as u64)?;
                let unit = self.option_word("unit")?.map_or(1, |unit| unit.as_bytes()[0] - b'0');
                Op::Load { address, len: (len as usize).min(size), unit }
            }
            Verb::Fork => Op::Fork(self.actor()?),
            Verb::Thread => Op::Thread(self.actor()?),
            Verb::Exec => {
                // It would take its leader's thread id over (de_thread), and
                // be neither the one actor nor the other.
                let by = self.by?;
                if self.resolver.schedule.process_of(by) != by {
                    let message = "a thread of another actor cannot execute the tool".to_owned();
                    self.resolver.mistake(self.span, message, "`exec` by the process's own actor");
                }
                Op::Exec
            }
            Verb::Pass => Op::Pass(self.arg(0)?),
            Verb::Take => return self.take(),
            Verb::Recv => Op::Recv {
                listener: self.arg(0)?,
                place: self.place()?,
                dirty: match self.option("dirty") {
                    Some(_) => Some(self.option_number("dirty", 0, 79)? as u8),
                    None => None,
                },
            },
            Verb::Send => Op::Send {
                listener: self.listener_of_id()?,
                id: self.id()?,
                val: self.option_arg("val", 0)?,
                error: self.option_arg("error", 0)?,
                flags: self.option_arg("flags", 0)?,
                place: self.place()?,
            },
            Verb::IdValid => Op::IdValid {
                listener: self.listener_of_id()?,
                id: self.id()?,
                old_number: self.option_word("number")? == Some("old"),
                place: self.place()?,
            },
            Verb::Addfd => Op::Addfd {
                listener: self.listener_of_id()?,
                id: self.id()?,
                srcfd: self.option_arg("srcfd", 0)?,
                newfd: self.option_arg("newfd", 0)?,
                newfd_flags: self.option_arg("newfd_flags", 0)?,
                flags: self.option_arg("flags", 0)?,
                size: self.option_number("size", 24, 0x3fff)? as u16,
                tail: self.option_arg("tail", 0)?,
                place: self.place()?,
            },
            Verb::SetFlags => Op::SetFlags { listener: self.arg(0)?, flags: self.arg(1)? },
            Verb::Poll => Op::Poll {
                fd: self.arg(0)?,
                events: self.option_arg("events", (libc::POLLIN | libc::POLLOUT) as u64)?,
                timeout: self.option_arg("timeout", 0)?,
            },
            Verb::Select => {
                Op::Select { fd: self.arg(0)?, timeout: self.option_arg("timeout", 0)? }
            }
            Verb::EpollAdd => Op::EpollAdd {
                epoll: self.arg(0)?,
                fd: self.arg(1)?,
                events: self.option_arg("events", (libc::EPOLLIN | libc::EPOLLOUT) as u64)?,
            },
            Verb::EpollWait => {
                Op::EpollWait { epoll: self.arg(0)?, timeout: self.option_arg("timeout", 0)? }
            }
            Verb::OpenMem => match self.id()? {
                Arg::Slot(id, 0) => Op::OpenMem { id },
                _ => {
                    self.resolver.mistake(self.span, "which target's memory?".into(), "n1");
                    return None;
                }
            },
            Verb::ReadMem => Op::ReadMem {
                fd: self.arg(0)?,
                address: self.arg(1)?,
                len: self.option_number("len", 64, LONGEST_READ as u64)? as usize,
            },
            Verb::WriteMem => {
                let (fd, address) = (self.arg(0)?, self.arg(1)?);
                let (from, len) = self.text(2)?;
                Op::WriteMem { fd, address, from, len: len + 1 }
            }
            Verb::Attach => Op::Attach(self.actor()?),
            Verb::Seize => {
                Op::Seize { tracee: self.actor()?, options: self.option_arg("options", 0)? }
            }
            Verb::Interrupt => Op::Interrupt(self.actor()?),
            Verb::WaitStop => Op::WaitStop(self.actor()?),
            Verb::Resume => {
                Op::Resume { tracee: self.actor()?, signal: self.option_signal("signal")? }
            }
            Verb::ToSyscall => {
                Op::ToSyscall { tracee: self.actor()?, signal: self.option_signal("signal")? }
            }
            Verb::Detach => {
                Op::Detach { tracee: self.actor()?, signal: self.option_signal("signal")? }
            }
            Verb::SetOptions => Op::SetOptions { tracee: self.actor()?, options: self.arg(1)? },
            Verb::EventMessage => Op::EventMessage(self.actor()?),
            Verb::GetRegister => {
                Op::GetRegister { tracee: self.actor()?, register: self.register()? }
            }
            Verb::SetRegister => {
                let (register, value) = (self.register()?, self.arg(2)?);
                if let (Register::Number, Arg::Value(number)) = (register, value) {
                    refuse_copies(self.resolver, Entry::Native, number, self.span);
                }
                Op::SetRegister { tracee: self.actor()?, register, value }
            }
            Verb::GetFilter => Op::GetFilter { tracee: self.actor()?, index: self.arg(1)? },
            Verb::Signal => Op::Signal {
                to: self.actor()?,
                signal: self.signal(&self.operands[1])?,
                process: self.option_word("scope")? == Some("process"),
            },
            Verb::Kill => Op::Signal { to: self.actor()?, signal: libc::SIGKILL, process: true },
            Verb::Stop => Op::Signal { to: self.actor()?, signal: libc::SIGSTOP, process: true },
            Verb::Continue => {
                Op::Signal { to: self.actor()?, signal: libc::SIGCONT, process: true }
            }
            Verb::Reap => Op::Reap(self.actor()?),
            Verb::Delay => {
                let placed = &self.operands[0];
                let milliseconds = self.resolver.constant(placed)?;
                if milliseconds > LONGEST_DELAY {
                    let message = format!("a delay of {milliseconds} ms is too long");
                    let expected = format!("at most {LONGEST_DELAY}");
                    self.resolver.mistake(&placed.span, message, expected);
                }
                Op::Delay(milliseconds)
            }
            Verb::Await => Op::Await(self.actor()?),
            Verb::State => Op::State(self.actor()?),
            Verb::Status => {
                let kind = self.verb.signature().operands[1].1;
                let field = match self.word(&self.operands[1], kind)? {
                    "Seccomp" => StatusField::Seccomp,
                    "Seccomp_filters" => StatusField::SeccompFilters,
                    _ => StatusField::NoNewPrivs,
                };
                Op::Status { of: self.actor()?, field }
            }
            Verb::Freeze => Op::Freeze { actor: self.actor()?, frozen: true },
            Verb::Thaw => Op::Freeze { actor: self.actor()?, frozen: false },
            Verb::Release => {
                let with = if self.operands.len() > 1 { self.page_of_text()? } else { Fill::Own };
                Op::LetGo { held: self.held()?, with }
            }
            Verb::Fail => Op::LetGo { held: self.held()?, with: Fill::Nothing },
        };
        Some(op)
    }

    fn install(&mut self, binds: Option<&str>) -> Option<Op> {
        let placed = &self.operands[0];
        let (filter, program) = self.resolver.filter(placed)?;
        let table = self.resolver.filter_table(&placed.value.to_string());
        let listens = binds.is_some() || table.is_some_and(|table| table.listener.is_some());
        let mut flags = if listens { libc::SECCOMP_FILTER_FLAG_NEW_LISTENER } else { 0 };
        let written = self.option("flags").cloned().or_else(|| {
            let flags = table?.flags.clone()?;
            Some(Placed { value: flags, span: placed.span.clone() })
        });
        if let Some(written) = written {
            flags |= self.resolver.constant(&written)?;
        }
        let via = self.option_word("via")?;
        let prctl = match via {
            Some(via) => via == "prctl",
            None => table.is_some_and(|table| table.via_prctl),
        };
        Some(Op::Install { filter, program, flags: Arg::Value(flags), prctl })
    }

    fn take(&mut self) -> Option<Op> {
        let placed = &self.operands[0];
        let slot = self.resolver.slot(&placed.value.to_string(), &placed.span)?;
        let from = match self.option("from") {
            Some(from) => Some(self.resolver.actor(from)?),
            None => None,
        };
        let via = match self.option_word("via")? {
            Some("scm_rights") => Transfer::ScmRights,
            _ => Transfer::PidfdGetfd,
        };
        if via == Transfer::PidfdGetfd && from.is_none() {
            self.resolver.mistake(self.span, "take from whom?".into(), "from=ACTOR");
        }
        self.resolver.hold(slot, self.by?);
        Some(Op::Take { slot, from, via })
    }

    fn dispose(&mut self, disposition: Disposition) -> Option<Op> {
        Some(Op::Dispose { signal: self.signal(&self.operands[0])?, disposition })
    }

    fn register(&mut self) -> Option<Register> {
        let kind = self.verb.signature().operands[1].1;
        Some(match self.word(&self.operands[1], kind)? {
            "nr" => Register::Number,
            "ret" => Register::Result,
            arg => Register::Arg(arg.as_bytes()[3] - b'0'),
        })
    }
}

/// Bytes of a held page.
const PAGE: usize = 0x1000;

/// Longest delay, in milliseconds.
const LONGEST_DELAY: u64 = 10_000;

/// Most bytes that one step reads from memory.
pub const LONGEST_READ: usize = 128;
