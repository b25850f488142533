//! Makes a schedule of a scenario: every name resolved, the stage prepared.

use std::ops::Range;

use super::arena::{Arena, MOST_ACTORS, MOST_HELD, READONLY, UNMAPPED, held};
use super::diagnostic::{Diagnostic, Span};
use super::lower::lower;
use super::schedule::{
    ActorId, Arg, Op, Origin, Participant, Schedule, ScheduledAct, Slot, SlotId, SlotKind, Turn,
};
use super::stage;
use super::{
    Act, Buffer, Filter, FilterBody, Namespace, Operation, Placed, Scenario, StackEntry, Step,
    Value, Verb,
};
use crate::abi;
use crate::bpf::Program;

impl Scenario {
    /// The schedule that the scenario's steps give, with the steps that
    /// prepare the stage before them.
    ///
    /// # Errors
    ///
    /// Names that stand for nothing, steps that can never run, values of the
    /// wrong kind: each with its place in the file.
    pub fn schedule(&self) -> Result<Schedule, Vec<Diagnostic>> {
        let mut resolver = Resolver::new(self);
        resolver.tables();
        for step in stage::steps(self) {
            resolver.step(&step, true);
        }
        for step in &self.steps {
            resolver.step(step, false);
            for step in stage::steps_after(self, step) {
                resolver.step(&step, true);
            }
        }
        resolver.schedule.note_task_ids();
        if resolver.found.is_empty() { Ok(resolver.schedule) } else { Err(resolver.found) }
    }
}

/// The schedule as far as it is made, and what was found wrong on the way.
pub(super) struct Resolver<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) schedule: Schedule,
    found: Vec<Diagnostic>,
    /// Whether an actor has been started.
    started: Vec<bool>,
    /// Which processes have a descriptor of a listener.
    holders: Vec<Vec<ActorId>>,
    /// The listener that a notification came from.
    pub(super) source_of: Vec<Option<Arg>>,
}

impl<'a> Resolver<'a> {
    fn new(scenario: &'a Scenario) -> Self {
        Resolver {
            scenario,
            schedule: Schedule {
                actors: Vec::new(),
                slots: Vec::new(),
                programs: Vec::new(),
                held: scenario.held.iter().map(|held| held.value.clone()).collect(),
                arena: Arena::default(),
                acts: Vec::new(),
                turns: Vec::new(),
                needs: scenario.all_needs(),
            },
            found: Vec::new(),
            started: Vec::new(),
            holders: Vec::new(),
            source_of: Vec::new(),
        }
    }

    pub(super) fn mistake(&mut self, span: &Span, message: String, expected: impl Into<String>) {
        self.found.push(Diagnostic { span: span.clone(), message, expected: expected.into() });
    }

    /// Actors, buffers and filters: what steps refer to by name.
    fn tables(&mut self) {
        let scenario = self.scenario;
        if scenario.actors.is_empty() {
            let first = scenario.steps.first().map_or_else(Span::default, |step| step.span.clone());
            self.mistake(&first, "nobody takes part".into(), "a table [target.T]");
        }
        if let Some(actor) = scenario.actors.get(MOST_ACTORS) {
            let message = format!("more than {MOST_ACTORS} actors");
            self.mistake(&actor.span, message, "fewer");
        }
        if let Some(held) = scenario.held.get(MOST_HELD) {
            let message = format!("more than {MOST_HELD} held pages");
            self.mistake(&held.span, message, "fewer");
        }
        for actor in &scenario.actors {
            self.schedule.actors.push(Participant {
                name: actor.name.clone(),
                origin: Origin::Start,
                user: actor.user,
                no_capabilities: actor.no_capabilities,
                cpu: actor.cpu,
                policy: actor.policy,
                namespaces: actor.namespaces.clone(),
            });
        }
        for (index, actor) in scenario.actors.iter().enumerate() {
            if let Some((parent, thread)) = stage::starter(scenario, &actor.name) {
                let Some(parent) = self.schedule.actor(parent) else { continue };
                self.schedule.actors[index].origin =
                    if thread { Origin::Thread(parent) } else { Origin::Fork(parent) };
            }
        }
        for index in 0..scenario.actors.len() {
            self.settings(index);
            let starter = |at: &usize| match self.schedule.actors[*at].origin {
                Origin::Start => None,
                Origin::Fork(parent) | Origin::Thread(parent) => Some(parent.0),
            };
            if std::iter::successors(Some(index), starter).nth(scenario.actors.len()).is_some() {
                let message = format!("{} is started by itself", scenario.actors[index].name);
                self.schedule.actors[index].origin = Origin::Start;
                let span = &scenario.actors[index].span;
                self.mistake(span, message, "an actor that is there from the start");
            }
        }
        self.started =
            self.schedule.actors.iter().map(|actor| actor.origin == Origin::Start).collect();
        for (name, buffer) in &scenario.buffers {
            let bytes = match &buffer.value {
                Buffer::Text(text) => [text.as_bytes(), b"\0"].concat(),
                Buffer::Size(size) => vec![0; *size as usize],
            };
            self.place(&buffer.span, &format!("&{name}"), &bytes);
        }
        for (name, filter) in &scenario.filters {
            self.program(name, filter);
        }
        for actor in &scenario.actors {
            for (index, entry) in actor.filters.iter().enumerate() {
                if let StackEntry::Inline(filter) = entry {
                    self.program(&stage::inline_name(&actor.name, index), filter);
                }
            }
        }
    }

    fn program(&mut self, name: &str, filter: &Filter) {
        let program = match &filter.body {
            FilterBody::Rules(rules) => rules.compile().map_err(|error| error.to_string()),
            FilterBody::Assembly(text) => {
                crate::bpf::assemble(text).map_err(|error| error.to_string())
            }
        };
        let program = match program {
            Ok(program) => program,
            Err(error) => {
                self.mistake(&filter.span, format!("filter {name}: {error}"), "another filter");
                Program(Vec::new())
            }
        };
        let bytes: Vec<u8> = program
            .0
            .iter()
            .flat_map(|one| {
                let [c0, c1] = one.code.to_le_bytes();
                let [k0, k1, k2, k3] = one.k.to_le_bytes();
                [c0, c1, one.jt, one.jf, k0, k1, k2, k3]
            })
            .collect();
        let code = self.place(&filter.span, &format!("&{name}.code"), &bytes);
        // struct sock_fprog: a 16-bit length, padding, a pointer.
        let mut header = (program.0.len() as u16 as u64).to_le_bytes().to_vec();
        header.extend(code.to_le_bytes());
        self.place(&filter.span, &format!("&{name}"), &header);
        self.schedule.programs.push((name.to_owned(), program));
    }

    pub(super) fn place(&mut self, span: &Span, name: &str, bytes: &[u8]) -> u64 {
        self.schedule.arena.place(name, bytes).unwrap_or_else(|| {
            self.mistake(span, "more than 1 MiB of strings, buffers and filters".into(), "less");
            0
        })
    }

    fn step(&mut self, step: &Step, setup: bool) {
        let by = match &step.actor {
            None => None,
            Some(name) => match self.schedule.actor(name) {
                Some(actor) => Some(actor),
                None => return,
            },
        };
        if let Some(actor) = by
            && !self.started[actor.0]
        {
            let name = self.schedule.actors[actor.0].name.clone();
            let message = format!("{name} has not been started when this step comes");
            self.mistake(
                &step.span,
                message,
                format!("a step `fork {name}` or `thread {name}` before"),
            );
        }
        let first = self.schedule.acts.len();
        for operation in &step.operations {
            self.operation(operation, by, setup);
        }
        let acts = first..self.schedule.acts.len();
        if step.together {
            self.check_race(step, by, &acts);
        }
        self.schedule.turns.push(Turn { by, acts, together: step.together });
    }

    /// What begins together with the step before it must be able to.
    fn check_race(&mut self, step: &Step, by: Option<ActorId>, acts: &Range<usize>) {
        let group = self.schedule.turns.iter().rposition(|turn| !turn.together);
        let group = &self.schedule.turns[group.unwrap_or(0)..];
        let is_setup =
            |turn: &Turn| self.schedule.acts[turn.acts.clone()].iter().any(|act| act.setup);
        let (message, expected) = if group.is_empty() || group.iter().any(is_setup) {
            (
                "there is no step just before this one with which it could begin",
                "a step above, without |",
            )
        } else if group.iter().any(|turn| turn.by == by) {
            (
                "one actor cannot do two things at the same time",
                "another actor, or `;` between them",
            )
        } else if self.schedule.acts[group[0].acts.start..acts.end]
            .iter()
            .any(|act| act.by.is_none() && !matches!(act.op, Op::Signal { .. }))
        {
            (
                "the harness can only send signals at the same time as others act",
                "signal, kill, stop or cont",
            )
        } else {
            return;
        };
        self.mistake(&step.span, message.to_owned(), expected);
    }

    fn operation(&mut self, operation: &Operation, by: Option<ActorId>, setup: bool) {
        let Some(op) = lower(self, operation, by) else { return };
        let kind = match op {
            Op::Recv { .. } => SlotKind::Notification,
            Op::Install { .. } => SlotKind::Listener,
            _ => SlotKind::Result,
        };
        let named = operation.binds.as_ref().or_else(|| match op {
            Op::Install { filter, .. } => {
                let (name, _) = &self.schedule.programs[filter];
                self.filter_table(name)?.listener.as_ref()
            }
            _ => None,
        });
        let binds = named.cloned().map(|name| self.bind(&name, kind, &operation.span, by));
        match op {
            Op::Fork(actor) | Op::Thread(actor) => self.start(actor, &operation.span, by),
            Op::Recv { listener, .. } => {
                if let Some(slot) = binds {
                    self.source_of[slot.0] = Some(listener);
                }
            }
            // What the script closes it may still try: that is its business.
            Op::Call { args: [Arg::Slot(slot, 0), ..], .. } if setup => {
                self.holders[slot.0].retain(|holder| Some(*holder) != by);
            }
            _ => {}
        }
        self.schedule.acts.push(ScheduledAct {
            op,
            by,
            binds,
            text: operation.to_string(),
            label: operation.label.clone(),
            setup,
            returns_a_task: false,
        });
    }

    /// A forked child has what its parent has.
    fn start(&mut self, actor: ActorId, span: &Span, by: Option<ActorId>) {
        if self.started[actor.0] {
            let message = format!("{} is started twice", self.schedule.actors[actor.0].name);
            self.mistake(span, message, "one `fork` or `thread`");
        }
        self.started[actor.0] = true;
        let alone = by.is_some_and(|by| {
            let by = &self.schedule.actors[self.schedule.process_of(by).0];
            by.namespaces.contains(&Namespace::Pid)
        });
        if alone {
            let message = "an actor in a PID namespace of its own cannot start others".to_owned();
            self.mistake(span, message, "an actor without `namespaces = [\"pid\"]`");
        }
        let Some(parent) = by.map(|parent| self.schedule.process_of(parent)) else { return };
        for holders in &mut self.holders {
            if holders.contains(&parent) {
                holders.push(actor);
            }
        }
    }

    fn bind(&mut self, name: &str, kind: SlotKind, span: &Span, by: Option<ActorId>) -> SlotId {
        let known = self.schedule.slots.iter().any(|slot| slot.name == name);
        if known || self.schedule.actor(name).is_some() {
            self.mistake(span, format!("{name:?} is already a name"), "another name");
        }
        self.schedule.slots.push(Slot { name: name.to_owned(), kind });
        self.holders.push(by.map(|actor| self.schedule.process_of(actor)).into_iter().collect());
        self.source_of.push(None);
        SlotId(self.schedule.slots.len() - 1)
    }

    /// Notes that an actor has got a descriptor.
    pub(super) fn hold(&mut self, slot: SlotId, actor: ActorId) {
        let process = self.schedule.process_of(actor);
        self.holders[slot.0].push(process);
    }

    pub(super) fn slot(&mut self, name: &str, span: &Span) -> Option<SlotId> {
        let found = self.schedule.slots.iter().position(|slot| slot.name == name);
        if found.is_none() {
            let later = self.scenario.steps.iter().flat_map(|step| &step.operations);
            let later = later.filter_map(|operation| operation.binds.as_deref());
            let expected = if later.into_iter().any(|bound| bound == name) {
                "a step before this one that binds it".to_owned()
            } else {
                let known: Vec<&str> =
                    self.schedule.slots.iter().map(|slot| slot.name.as_str()).collect();
                if known.is_empty() {
                    "nothing is bound so far: `as NAME` does".to_owned()
                } else {
                    format!("one of {}", known.join(", "))
                }
            };
            self.mistake(span, format!("{name:?} stands for nothing here"), expected);
        }
        found.map(SlotId)
    }

    /// A number, known or bound.
    pub(super) fn arg(&mut self, placed: &Placed<Value>, by: Option<ActorId>) -> Option<Arg> {
        let span = &placed.span;
        match &placed.value {
            Value::Name(name) => match name.as_str() {
                "null" => Some(Arg::Value(0)),
                "unmapped" => Some(Arg::Value(UNMAPPED)),
                "readonly" => Some(Arg::Value(READONLY)),
                _ => {
                    let slot = self.slot(name, span)?;
                    self.check_holder(slot, by, span);
                    Some(Arg::Slot(slot, 0))
                }
            },
            Value::Offset(name, by) => Some(Arg::Slot(self.slot(name, span)?, *by)),
            Value::Field(name, field) => {
                let slot = self.slot(name, span)?;
                if self.schedule.slots[slot.0].kind != SlotKind::Notification {
                    let message = format!("{name} is not a notification and has no fields");
                    self.mistake(span, message, "a name that `recv … as` bound");
                }
                Some(Arg::Field(slot, *field))
            }
            Value::Pid(name) => match self.schedule.actor(name) {
                Some(actor) => Some(Arg::Pid(actor)),
                None => {
                    self.mistake(span, format!("{name:?} is not an actor"), "a declared actor");
                    None
                }
            },
            _ => self.constant(placed).map(Arg::Value),
        }
    }

    fn check_holder(&mut self, slot: SlotId, by: Option<ActorId>, span: &Span) {
        let Some(actor) = by else { return };
        let process = self.schedule.process_of(actor);
        let slot_is = &self.schedule.slots[slot.0];
        if slot_is.kind == SlotKind::Listener && !self.holders[slot.0].contains(&process) {
            let (listener, actor) = (&slot_is.name, &self.schedule.actors[actor.0].name);
            let message = format!("{actor} has no descriptor of {listener} at this step");
            let expected =
                format!("`keeps = [\"{listener}\"]` in its table, or a step `take {listener}`");
            self.mistake(span, message, expected);
        }
    }

    /// A number that is known now; strings and words are placed in the arena.
    pub(super) fn constant(&mut self, placed: &Placed<Value>) -> Option<u64> {
        let span = &placed.span;
        let part = |value: &Value| Placed { value: value.clone(), span: span.clone() };
        match &placed.value {
            Value::Number(value, _) => Some(*value),
            Value::Constant(name) => abi::constant(name),
            Value::Negative(value) => self.constant(&part(value)).map(u64::wrapping_neg),
            Value::Or(parts) => {
                parts.iter().try_fold(0, |all, one| Some(all | self.constant(&part(one))?))
            }
            Value::Text(bytes) => {
                let name = Value::quote(bytes);
                Some(self.place(span, &name, &[bytes, &b"\0"[..]].concat()))
            }
            Value::Words(words) => {
                let name = placed.value.to_string();
                let mut bytes = Vec::new();
                for word in words {
                    bytes.extend(self.constant(&part(word))?.to_le_bytes());
                }
                Some(self.place(span, &name, &bytes))
            }
            Value::Address(name) => {
                let known = self.schedule.arena.find(&format!("&{name}"));
                if let Some(index) = self.schedule.held.iter().position(|held| held == name) {
                    return Some(held(index));
                }
                if known.is_none() {
                    let message = format!("no buffer, filter or held page is called {name:?}");
                    self.mistake(span, message, "a name of [buffers], [filter.…] or `held`");
                }
                known.map(|(address, _)| address)
            }
            _ => {
                let message = format!("{} is not known before the scenario runs", placed.value);
                self.mistake(span, message, "a number, a constant, or a string");
                None
            }
        }
    }

    /// The actor that an operand names.
    pub(super) fn actor(&mut self, placed: &Placed<Value>) -> Option<ActorId> {
        let found = match &placed.value {
            Value::Name(name) => self.schedule.actor(name),
            _ => None,
        };
        if found.is_none() {
            let names: Vec<&str> =
                self.schedule.actors.iter().map(|actor| actor.name.as_str()).collect();
            let expected = format!("one of {}", names.join(", "));
            self.mistake(&placed.span, format!("{} is not an actor", placed.value), expected);
        }
        found
    }

    /// The filter that an operand names.
    pub(super) fn filter(&mut self, placed: &Placed<Value>) -> Option<(usize, u64)> {
        let name = placed.value.to_string();
        let index = self.schedule.programs.iter().position(|(known, _)| *known == name);
        let Some(index) = index else {
            let message = format!("{name} is not a filter");
            self.mistake(&placed.span, message, "the name of a [filter.…]");
            return None;
        };
        let (address, _) = self.schedule.arena.find(&format!("&{name}"))?;
        Some((index, address))
    }

    /// The flags and the listener that a filter's own table asks for.
    pub(super) fn filter_table(&self, name: &str) -> Option<&'a Filter> {
        let named = self.scenario.filters.iter().find(|(known, _)| known == name);
        named.map(|(_, filter)| filter).or_else(|| stage::inline_filter(self.scenario, name))
    }
}

/// Whether an operation starts an actor of that name, and as what.
pub(super) fn starts(operation: &Operation) -> Option<(&str, bool)> {
    match &operation.act {
        Act::Verb { verb: verb @ (Verb::Fork | Verb::Thread), operands, .. } => {
            match &operands.first()?.value {
                Value::Name(name) => Some((name, *verb == Verb::Thread)),
                _ => None,
            }
        }
        _ => None,
    }
}
