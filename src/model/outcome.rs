//! What comes of an act, as an outcome.

use super::act::HARNESS;
use super::task::Extra;
use super::world::{Received, TaskId, World};
use crate::abi::{AUDIT_ARCH_I386, AUDIT_ARCH_X86_64};
use crate::filter::{Arch, Syscall};
use crate::scenario::{Arg, Entry, Field, Op, SlotId};
use crate::trace::{Argument, Notification, Outcome, Sender};

impl World<'_> {
    /// The act that a task is at has come back with a result.
    pub fn finish_act(&mut self, task: TaskId, result: Option<i64>) {
        let act = &self.setting.0.schedule.acts[self.tasks[task].at];
        let (op, binds) = (act.op, act.binds);
        let extra = std::mem::take(&mut self.tasks[task].call.extra);
        // `int $0x80` returns in the lower half of the register.
        let int80 = matches!(op, Op::Call { entry: Entry::Int80, .. });
        let result = result.map(|raw| if int80 { i64::from(raw as i32) } else { raw });
        let Some(raw) = result else {
            if binds.is_some() {
                self.leave_off("a name stands for a result that nobody knows");
            }
            return self.note_done(task, Outcome::Anything);
        };
        if let Extra::Received(received) = extra {
            let outcome = self.received(task, op, binds, *received);
            return self.note_done(task, outcome);
        }
        if !matches!(op, Op::Take { .. }) {
            self.bind(task, binds, raw);
        }
        let outcome = match (op, extra) {
            (_, Extra::Outcome(outcome)) => *outcome,
            _ if self.setting.0.schedule.acts[self.tasks[task].at].returns_a_task => {
                self.returned_task(raw)
            }
            (Op::Fork(child) | Op::Thread(child), _) if raw > 0 => {
                Outcome::ReturnedActor(self.name(child.0))
            }
            // Somebody else has said that it went well.
            (
                Op::Poll { .. }
                | Op::Select { .. }
                | Op::EpollWait { .. }
                | Op::ReadMem { .. }
                | Op::Recv { .. }
                | Op::EventMessage(_)
                | Op::GetRegister { .. }
                | Op::GetFilter { .. }
                | Op::WaitStop(_),
                _,
            ) if raw >= 0 => return self.note_done(task, Outcome::Anything),
            _ => Outcome::Returned(raw),
        };
        self.note_done(task, outcome);
    }

    fn name(&self, task: TaskId) -> String {
        self.setting.0.schedule.actors[task].name.clone()
    }

    fn returned_task(&self, raw: i64) -> Outcome {
        match self.task_of(raw) {
            Some(task) => Outcome::ReturnedActor(self.name(task)),
            None if raw == HARNESS => Outcome::ReturnedActor("the harness".to_owned()),
            None => Outcome::Returned(raw),
        }
    }

    /// What RECV gives, as it is told.
    fn received(
        &mut self,
        task: TaskId,
        op: Op,
        binds: Option<SlotId>,
        received: Received,
    ) -> Outcome {
        let Op::Recv { .. } = op else { return Outcome::Returned(0) };
        let data = &received.data;
        let arch = if data.arch == AUDIT_ARCH_I386 { Arch::I386 } else { Arch::X86_64 };
        debug_assert!(arch == Arch::I386 || data.arch == AUDIT_ARCH_X86_64);
        let schedule = self.setting.0.schedule;
        let visible = received.pid == World::tid(received.target);
        let argument = |index: usize| {
            let value = data.args[index];
            if let Some(name) = schedule.name_of(value) {
                return Argument::Address(name);
            }
            let act = &self.tasks[received.target];
            match schedule.acts.get(act.at).map(|act| act.op) {
                Some(Op::Call { args, .. }) if visible && act.control.is_none() => {
                    match args[index] {
                        Arg::Pid(actor) => {
                            Argument::Address(format!("pid({})", self.name(actor.0)))
                        }
                        Arg::Field(_, Field::Pid) => match self.returned_task(value as i64) {
                            Outcome::ReturnedActor(name) => {
                                Argument::Address(format!("pid({name})"))
                            }
                            _ => Argument::Number(value),
                        },
                        _ => Argument::Number(value),
                    }
                }
                _ => Argument::Number(value),
            }
        };
        let notification = Notification {
            name: binds.map(|slot| schedule.slots[slot.0].name.clone()).unwrap_or_default(),
            id: received.id as i64,
            from: match received.pid {
                0 => Sender::Invisible,
                _ if visible => Sender::Actor(self.name(received.target)),
                _ => Sender::Unknown,
            },
            flags: 0,
            call: Syscall::from_number(data.nr, arch).to_string(),
            arch: data.arch,
            args: (0..6).map(argument).collect(),
            at_call: crate::abi::traced_return_addresses().contains(&data.instruction_pointer),
        };
        if let Some(slot) = binds {
            self.bind(task, Some(slot), received.id as i64);
            self.received.insert(slot, received);
        }
        Outcome::Received(notification)
    }
}
