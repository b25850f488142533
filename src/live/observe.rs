//! Makes outcomes of what actors wrote down, with everything accidental
//! taken out.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use super::shared::{Record, RecordKind, Shared, notification_of};
use super::watch::Rest;
use crate::abi::{self, SeccompNotif};
use crate::filter::{Arch, Syscall};
use crate::scenario::{ActorId, Arg, Entry, Field, Op, Register, Schedule, SlotId};
use crate::trace::{
    Argument, HandlerRun, Notification, Outcome, Sender, SignalInfo, TrappedCall, Wait, counted_id,
};

/// Events whose message is the id of a new task; that of an exec is the id that
/// the task had before (ptrace(2), PTRACE_SETOPTIONS).
const TELL_A_NEW_TASK: &[i32] =
    &[libc::PTRACE_EVENT_FORK, libc::PTRACE_EVENT_VFORK, libc::PTRACE_EVENT_CLONE];

/// `SYS_SECCOMP`, the `si_code` of a SIGSYS that a filter made.
const SYS_SECCOMP: i32 = 1;

/// What has been read of the actors' records, and what names stand for.
pub(super) struct Observer<'s> {
    schedule: &'s Schedule,
    shared: &'s Shared,
    read: Vec<usize>,
    rests: Vec<Option<Rest>>,
    /// The last act of each actor whose end has been read.
    done: Vec<Option<usize>>,
    tids: HashMap<i32, ActorId>,
    started: Vec<Option<i32>>,
    /// The first id received on each listener.
    first_ids: HashMap<SlotId, i64>,
    harness: i32,
    /// The last event of each tracee that its tracer has waited for.
    events: Vec<i32>,
}

impl<'s> Observer<'s> {
    pub fn new(schedule: &'s Schedule, shared: &'s Shared) -> Self {
        let actors = schedule.actors.len();
        Observer {
            schedule,
            shared,
            read: vec![0; actors],
            rests: vec![None; actors],
            done: vec![None; actors],
            tids: HashMap::new(),
            started: vec![None; actors],
            first_ids: HashMap::new(),
            harness: std::process::id() as i32,
            events: vec![0; actors],
        }
    }

    /// Notes an actor's thread id.
    pub fn knows(&mut self, actor: ActorId, tid: i32) {
        self.tids.insert(tid, actor);
    }

    /// The thread id of an actor that another has started, as the starter was
    /// told it.
    pub fn started(&self, actor: ActorId) -> Option<i32> {
        let unread = || {
            (0..self.schedule.actors.len()).find_map(|by| {
                let area = &self.shared.actors[by];
                (self.read[by]..)
                    .map_while(|index| area.read(index))
                    .filter_map(|record| self.starts(&record))
                    .find_map(|(started, tid)| (started == actor).then_some(tid))
            })
        };
        self.started[actor.0].or_else(unread)
    }

    fn starts(&self, record: &Record) -> Option<(ActorId, i32)> {
        let RecordKind::Done(act) = record.kind else { return None };
        match self.schedule.acts[act].op {
            Op::Fork(actor) | Op::Thread(actor) if record.raw > 0 => {
                Some((actor, record.raw as i32))
            }
            _ => None,
        }
    }

    /// What an actor was seen to do before; remembers what it does now.
    pub fn rest(&mut self, actor: ActorId, now: Rest) -> Option<Rest> {
        self.rests[actor.0].replace(now)
    }

    /// What an actor has written down since the last time.
    pub fn news(&mut self, actor: ActorId) -> Vec<(Option<usize>, Outcome)> {
        let mut news = Vec::new();
        while let Some(record) = self.shared.actors[actor.0].read(self.read[actor.0]) {
            self.read[actor.0] += 1;
            if let Some((started, tid)) = self.starts(&record) {
                self.started[started.0] = Some(tid);
            }
            news.push(match record.kind {
                RecordKind::Done(act) => {
                    self.done[actor.0] = Some(act);
                    (Some(act), self.outcome(act, &record))
                }
                RecordKind::Handler => {
                    let run = handler_run(&record);
                    // The SIGSYS of a filter is an outcome of the call.
                    let call = run.info.as_ref().and_then(|info| info.call.as_ref());
                    (call.and_then(|_| self.unfinished(actor)), Outcome::Handler(run))
                }
            });
        }
        news
    }

    /// The act in which an actor was when it wrote down what has been read.
    fn unfinished(&self, actor: ActorId) -> Option<usize> {
        self.unread(actor).next().or_else(|| self.act(actor))
    }

    /// The acts that an actor has noted, and that have not been read.
    fn unread(&self, actor: ActorId) -> impl Iterator<Item = usize> {
        let area = &self.shared.actors[actor.0];
        let records = (self.read[actor.0]..).map_while(|index| area.read(index));
        records.filter_map(|record| match record.kind {
            RecordKind::Done(act) => Some(act),
            RecordKind::Handler => None,
        })
    }

    /// The name of a native system call.
    pub fn call_name(&self, number: i32) -> String {
        Syscall::from_number(number, Arch::X86_64).to_string()
    }

    fn outcome(&mut self, act: usize, record: &Record) -> Outcome {
        let raw = record.raw;
        let words = &record.words;
        match self.schedule.acts[act].op {
            _ if self.schedule.acts[act].returns_a_task => self.task(raw),
            Op::Fork(started) | Op::Thread(started) if raw > 0 => {
                Outcome::ReturnedActor(self.schedule.actors[started.0].name.clone())
            }
            Op::Recv { listener, .. } if raw == 0 => {
                let notification = notification_of(&words[..10]);
                Outcome::Received(self.received(act, listener, &notification))
            }
            Op::Poll { .. } if raw >= 0 => Outcome::Ready(words[0] as u32),
            Op::EpollWait { .. } if raw >= 0 => Outcome::Ready(words[0] as u32),
            Op::Select { .. } if raw >= 0 => {
                let sets = ["readable", "writable", "exceptional"];
                let has = |index: &usize| words[0] >> index & 1 != 0;
                let found = (0..3).filter(has).map(|index| sets[index].to_owned());
                Outcome::Selected(found.collect())
            }
            Op::Load { len, unit, .. } => read(words, len, unit),
            Op::ReadMem { .. } if raw == 0 => Outcome::EndOfFile,
            Op::ReadMem { .. } if raw > 0 => read(words, raw as usize, 1),
            Op::WaitStop(tracee) if raw > 0 => {
                let wait = waited(words[0] as i32);
                if let Wait::Stop { event, .. } = wait {
                    self.events[tracee.0] = event;
                }
                Outcome::Waited(wait)
            }
            Op::EventMessage(tracee) if raw == 0 => self.message(tracee, words[0] as i64),
            Op::GetRegister { tracee, register } if raw == 0 => {
                self.register(tracee, register, words[0] as i64)
            }
            Op::GetFilter { .. } if raw > 0 && words[0] > 0 => {
                let (name, _) = &self.schedule.programs[words[0] as usize - 1];
                Outcome::Program(name.clone())
            }
            _ => Outcome::Returned(raw),
        }
    }

    fn task(&self, raw: i64) -> Outcome {
        let known = i32::try_from(raw).ok().and_then(|tid| {
            let name = |actor: &ActorId| self.schedule.actors[actor.0].name.clone();
            let harness = (tid == self.harness).then(|| "the harness".to_owned());
            self.tids.get(&tid).map(name).or(harness)
        });
        known.map_or(Outcome::Returned(raw), Outcome::ReturnedActor)
    }

    /// A number that a tracer has read, by the actor's name where it is one's id.
    fn number(&self, raw: i64) -> Outcome {
        match self.task(raw) {
            Outcome::Returned(_) => Outcome::Numbers(vec![raw]),
            named => named,
        }
    }

    /// What the last event of a tracee tells beside its name.
    fn message(&mut self, tracee: ActorId, raw: i64) -> Outcome {
        let event = self.events[tracee.0];
        let makes = TELL_A_NEW_TASK.contains(&event);
        match self.act(tracee).map(|act| self.schedule.acts[act].op) {
            // Its maker, which is stopped in the making, has told nobody yet.
            Some(Op::Fork(started) | Op::Thread(started)) if makes => {
                self.started[started.0] = Some(raw as i32);
                self.shared.actors[started.0].tid.store(raw as i32, Ordering::Release);
                Outcome::ReturnedActor(self.schedule.actors[started.0].name.clone())
            }
            _ if makes || event == libc::PTRACE_EVENT_EXEC => self.number(raw),
            _ => Outcome::Numbers(vec![raw]),
        }
    }

    /// A register of a tracee that is in a call.
    fn register(&self, tracee: ActorId, register: Register, raw: i64) -> Outcome {
        let act = self.unfinished(tracee);
        let op = act.map(|act| self.schedule.acts[act].op);
        let is_a_task = match (register, op) {
            (Register::Arg(_), Some(Op::Call { entry, args, .. })) => {
                let argument = register.argument(entry == Entry::Int80).map(|index| args[index]);
                matches!(argument, Some(Arg::Pid(_) | Arg::Field(_, Field::Pid)))
            }
            (Register::Result, Some(_)) => {
                act.is_some_and(|act| self.schedule.acts[act].returns_a_task)
            }
            _ => false,
        };
        if is_a_task { self.number(raw) } else { Outcome::Numbers(vec![raw]) }
    }

    fn received(&mut self, act: usize, listener: Arg, notification: &SeccompNotif) -> Notification {
        let id = match listener {
            Arg::Slot(slot, 0) => {
                let id = notification.id.cast_signed();
                counted_id(self.first_ids.entry(slot).or_insert(id), id)
            }
            _ => 0,
        };
        let name =
            self.schedule.acts[act].binds.map(|slot| self.schedule.slots[slot.0].name.clone());
        let data = &notification.data;
        let sender = self.tids.get(&(notification.pid as i32)).copied();
        Notification {
            name: name.unwrap_or_default(),
            id,
            from: match sender {
                Some(target) => Sender::Actor(self.schedule.actors[target.0].name.clone()),
                None if notification.pid == 0 => Sender::Invisible,
                None => Sender::Unknown,
            },
            flags: notification.flags,
            call: Syscall::from_number(data.nr, arch(data.arch)).to_string(),
            arch: data.arch,
            args: (0..6).map(|index| self.argument(sender, index, data.args[index])).collect(),
            at_call: abi::traced_return_addresses().contains(&data.instruction_pointer),
        }
    }

    /// An argument by the name of what the scenario passed. `sender` is in the
    /// call: a number that only happens to be somebody's id stays one.
    fn argument(&self, sender: Option<ActorId>, index: usize, value: u64) -> Argument {
        if let Some(name) = self.schedule.name_of(value) {
            return Argument::Address(name);
        }
        // It may have come out of the call since, and have told so, or of one
        // before, and this has not been read.
        let acts = sender.into_iter().flat_map(|sender| {
            self.unread(sender).chain(self.act(sender)).chain(self.done[sender.0])
        });
        let mut names = acts.filter_map(|act| match self.schedule.acts[act].op {
            Op::Call { args, .. } => match (args[index], self.task(value as i64)) {
                (Arg::Pid(actor), Outcome::ReturnedActor(name)) => {
                    (self.schedule.actors[actor.0].name == name).then_some(name)
                }
                (Arg::Field(_, Field::Pid), Outcome::ReturnedActor(name)) => Some(name),
                _ => None,
            },
            _ => None,
        });
        match names.next() {
            Some(name) => Argument::Address(format!("pid({name})")),
            None => Argument::Number(value),
        }
    }

    /// Whether an actor wrote more than there is room for.
    pub fn overflowed(&self) -> Option<&str> {
        let full = |index: &usize| self.shared.actors[*index].overflowed();
        let full = (0..self.schedule.actors.len()).find(full)?;
        Some(&self.schedule.actors[full].name)
    }

    /// The act that an actor is in. One that was ended right after an act had no
    /// time to say that it was not in it any more.
    pub fn act(&self, actor: ActorId) -> Option<usize> {
        let phase = self.shared.actors[actor.0].phase.load(Ordering::Acquire);
        let act = phase.checked_sub(super::shared::ACTING).map(|act| act as usize);
        act.filter(|act| self.done[actor.0] != Some(*act))
    }
}

fn arch(audit: u32) -> Arch {
    if audit == abi::AUDIT_ARCH_I386 { Arch::I386 } else { Arch::X86_64 }
}

fn handler_run(record: &Record) -> HandlerRun {
    let signal = record.raw as i32;
    let words = &record.words;
    let info = (words[0] != 0).then(|| {
        let code = words[2] as i32;
        let call = (signal == libc::SIGSYS && code == SYS_SECCOMP).then(|| {
            let (address, audit) = (words[3], (words[4] >> 32) as u32);
            let addresses = abi::traced_return_addresses();
            TrappedCall {
                call: Syscall::from_number(words[4] as i32, arch(audit)).to_string(),
                arch: audit,
                at_call: addresses.contains(&address),
                resumes_at_call: words[7] == address,
                register: words[6] as i64,
            }
        });
        SignalInfo { code, errno: (words[1] >> 32) as i32, call }
    });
    HandlerRun { signal, info }
}

/// The first `len` bytes of words, as they were read.
fn read(words: &[u64], len: usize, unit: u8) -> Outcome {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).take(len).collect();
    Outcome::read(&bytes, unit)
}

fn waited(status: i32) -> Wait {
    if libc::WIFSTOPPED(status) {
        Wait::Stop { signal: libc::WSTOPSIG(status), event: status >> 16 }
    } else if libc::WIFEXITED(status) {
        Wait::Exited(libc::WEXITSTATUS(status))
    } else {
        Wait::Killed(libc::WTERMSIG(status))
    }
}
