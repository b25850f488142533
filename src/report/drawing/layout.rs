//! From a trace to lanes, rows, arrows and spans.

use std::collections::BTreeMap;

use super::{Arrow, Drawing, End, Lane, LaneKind, Mark, Row, Span, SpanKind};
use crate::trace::{Event, Notification, Outcome, Sender, Trace};

/// Verbs that speak to the kernel of notifications; who uses them stands
/// right of the kernel.
const OF_SUPERVISORS: &[&str] = &["recv", "send", "addfd", "id_valid", "set_flags"];

/// A notification, from the event that made it.
struct Notified {
    name: String,
    /// The actor that waits for the reply.
    target: Option<usize>,
    born: usize,
    received: usize,
    over: Option<usize>,
    replied: bool,
}

/// What is known of an actor at some row.
#[derive(Default)]
struct Known {
    /// The act in which it sleeps, and since which row.
    asleep: Option<(usize, usize)>,
    stopped: Option<usize>,
    /// The row at which a notification of it may have come into being.
    born: Option<usize>,
    /// The reply that it has got, and not yet returned with.
    replied: Option<usize>,
}

impl Drawing {
    /// Lays a trace out.
    pub fn of(trace: &Trace) -> Drawing {
        let lanes = lanes(trace);
        let mut layout = Layout {
            known: lanes.iter().map(|_| Known::default()).collect(),
            notified: Vec::new(),
            spans: Vec::new(),
            arrows: Vec::new(),
            lanes,
            told: Vec::new(),
        };
        let mut rows = Vec::new();
        for (row, (event, line)) in trace.events.iter().zip(trace.rows()).enumerate() {
            let lane = layout.lane_of(event);
            let mark = layout.mark(event, row, lane);
            layout.event(event, row, lane);
            let (head, outcome) = line;
            rows.push(Row { head, outcome, lane, mark, arrow: None });
        }
        layout.finish(rows)
    }
}

/// An arrow whose ends in the kernel's lane are notifications by number.
struct Loose {
    row: usize,
    from: usize,
    to: usize,
    label: String,
    refused: bool,
    notified: Option<usize>,
}

struct Layout {
    lanes: Vec<Lane>,
    known: Vec<Known>,
    notified: Vec<Notified>,
    spans: Vec<Span>,
    arrows: Vec<Loose>,
    /// Acts that have had an event.
    told: Vec<usize>,
}

/// The director, those who are asked about, the kernel, those who answer.
fn lanes(trace: &Trace) -> Vec<Lane> {
    let mut names: Vec<&str> = Vec::new();
    let mut answers: Vec<&str> = Vec::new();
    for event in &trace.events {
        let Some(actor) = event.actor.as_deref() else { continue };
        if !names.contains(&actor) {
            names.push(actor);
        }
        if OF_SUPERVISORS.contains(&verb(event)) && !answers.contains(&actor) {
            answers.push(actor);
        }
    }
    let new =
        |name: &str, kind| Lane { name: name.to_owned(), kind, from: 0, until: None, slots: 1 };
    let mut lanes = Vec::new();
    if trace.events.iter().any(|event| event.actor.is_none()) {
        lanes.push(new("director", LaneKind::Director));
    }
    let left = names.iter().filter(|name| !answers.contains(name));
    lanes.extend(left.map(|name| new(name, LaneKind::Actor)));
    if !answers.is_empty() {
        lanes.push(new("kernel", LaneKind::Kernel));
    }
    lanes.extend(answers.iter().map(|name| new(name, LaneKind::Actor)));
    lanes
}

fn verb(event: &Event) -> &str {
    event.text.split([' ', '(']).next().unwrap_or_default()
}

/// The words of a step without those in strings.
fn words(text: &str) -> Vec<&str> {
    let outside = text.split('"').step_by(2);
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    outside
        .flat_map(|part| part.split(move |c| !is_word(c)))
        .filter(|word| !word.is_empty())
        .collect()
}

fn refused(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Returned(raw) if *raw < 0) || matches!(outcome, Outcome::NotRun(_))
}

impl Layout {
    fn named(&self, name: &str) -> Option<usize> {
        let is = |lane: &Lane| lane.kind == LaneKind::Actor && lane.name == name;
        self.lanes.iter().position(is)
    }

    fn kernel(&self) -> Option<usize> {
        self.lanes.iter().position(|lane| lane.kind == LaneKind::Kernel)
    }

    fn lane_of(&self, event: &Event) -> usize {
        event.actor.as_deref().and_then(|actor| self.named(actor)).unwrap_or(0)
    }

    fn mark(&mut self, event: &Event, row: usize, lane: usize) -> Mark {
        match event.outcome {
            Outcome::Handler(_) => Mark::Handler,
            Outcome::NotRun(_) => Mark::NotRun,
            Outcome::Exited(_) | Outcome::Killed { .. } | Outcome::ThreadEnded
                if event.actor.is_some() =>
            {
                self.lanes[lane].until.get_or_insert(row);
                Mark::End
            }
            _ => Mark::Act,
        }
    }

    fn event(&mut self, event: &Event, row: usize, lane: usize) {
        let first = event.act.is_none_or(|act| !self.told.contains(&act));
        self.told.extend(event.act);
        if event.actor.is_some() {
            self.happens_to(event, row, lane);
        }
        if first {
            self.act(event, row, lane);
        }
        if let Outcome::Received(notification) = &event.outcome {
            self.received(notification, row, lane);
        }
    }

    /// What an event says of the actor itself.
    fn happens_to(&mut self, event: &Event, row: usize, lane: usize) {
        if let Outcome::State { .. } | Outcome::NotRun(_) = event.outcome {
            return;
        }
        // Whatever happens to a target takes it out of its wait.
        let open = |one: &&mut Notified| one.target == Some(lane) && one.over.is_none();
        for one in self.notified.iter_mut().filter(open) {
            one.over = Some(row);
        }
        let known = &mut self.known[lane];
        known.born = None;
        if let Some(since) = known.stopped.take() {
            self.spans.push(Span {
                lane,
                slot: 0,
                from: since,
                until: row,
                kind: SpanKind::Stopped,
            });
        }
        match event.outcome {
            Outcome::Blocked => {
                known.asleep = event.act.map(|act| (act, row));
                known.born = Some(row);
                return;
            }
            Outcome::Stopped | Outcome::TraceStopped => known.stopped = Some(row),
            _ => {}
        }
        let Some((act, since)) = known.asleep else { return };
        let over = event.act == Some(act) || self.lanes[lane].until.is_some();
        if !over {
            // It goes back to where it was, as far as the trace says.
            known.born = Some(row);
            return;
        }
        known.asleep = None;
        known.born = None;
        let kind = SpanKind::Blocked;
        self.spans.push(Span { lane, slot: 0, from: since, until: row, kind });
        if let (Some(number), Some(kernel)) = (known.replied.take(), self.kernel()) {
            self.arrow(row, kernel, lane, String::new(), false, Some(number));
        }
    }

    /// What an act sends elsewhere.
    fn act(&mut self, event: &Event, row: usize, lane: usize) {
        let refused = refused(&event.outcome);
        let words = words(&event.text);
        let operand = words.get(1).copied().unwrap_or_default();
        let number = self.notified.iter().rposition(|one| one.name == operand);
        let verb = verb(event);
        match (verb, self.kernel()) {
            ("send" | "addfd" | "id_valid", Some(kernel)) if event.actor.is_some() => {
                let label = match verb {
                    "send" => operand.to_owned(),
                    "addfd" => format!("{operand} fd"),
                    _ => format!("{operand}?"),
                };
                self.arrow(row, lane, kernel, label, refused, number);
                let replies = verb == "send" || verb == "addfd" && words.contains(&"SEND");
                if replies
                    && !refused
                    && let Some(number) = number
                {
                    self.reply(number, row);
                }
            }
            ("recv" | "set_flags" | "state", _) => {}
            _ => {
                let other = words[1.min(words.len())..].iter().find_map(|word| {
                    self.named(word).filter(|other| *other != lane || event.actor.is_none())
                });
                let Some(other) = other else { return };
                if matches!(verb, "fork" | "thread") && !refused {
                    self.lanes[other].from = row;
                }
                let signal = words.iter().find(|word| word.starts_with("SIG"));
                let label = signal.copied().unwrap_or(verb).to_owned();
                self.arrow(row, lane, other, label, refused, None);
            }
        }
    }

    fn reply(&mut self, number: usize, row: usize) {
        let one = &mut self.notified[number];
        if one.over.is_none() {
            one.over = Some(row);
            one.replied = true;
            if let Some(target) = one.target {
                self.known[target].replied = Some(number);
            }
        }
    }

    fn received(&mut self, notification: &Notification, row: usize, lane: usize) {
        let Some(kernel) = self.kernel() else { return };
        let target = match &notification.from {
            Sender::Actor(name) => self.named(name),
            Sender::Invisible | Sender::Unknown => None,
        };
        let label = match notification.name.as_str() {
            "" => format!("id {:+}", notification.id),
            name => name.to_owned(),
        };
        let again = |one: &Notified| one.over.is_none() && one.target == target && target.is_some();
        let number = match self.notified.iter().position(again) {
            Some(number) => {
                // Received, put back, and received once more.
                self.notified[number].name.clone_from(&notification.name);
                number
            }
            None => {
                let born = target.and_then(|target| self.known[target].born).unwrap_or(row);
                let name = notification.name.clone();
                let (over, replied) = (None, false);
                self.notified.push(Notified { name, target, born, received: row, over, replied });
                let number = self.notified.len() - 1;
                if let Some(target) = target.filter(|_| born < row) {
                    self.arrow(born, target, kernel, String::new(), false, Some(number));
                }
                number
            }
        };
        self.arrow(row, kernel, lane, label, false, Some(number));
    }

    fn arrow(
        &mut self,
        row: usize,
        from: usize,
        to: usize,
        label: String,
        refused: bool,
        notified: Option<usize>,
    ) {
        self.arrows.push(Loose { row, from, to, label, refused, notified });
    }

    fn finish(mut self, mut rows: Vec<Row>) -> Drawing {
        let end = rows.len();
        for (lane, known) in self.known.iter().enumerate() {
            let last = self.lanes[lane].until.unwrap_or(end);
            let asleep = known.asleep.map(|(_, since)| (since, SpanKind::Blocked));
            let stopped = known.stopped.map(|since| (since, SpanKind::Stopped));
            for (since, kind) in [asleep, stopped].into_iter().flatten() {
                self.spans.push(Span { lane, slot: 0, from: since, until: last, kind });
            }
        }
        let slots = self.slots(end);
        if let Some(lane) = self.kernel() {
            self.lanes[lane].slots = slots.values().max().map_or(1, |slot| slot + 1);
            for (number, one) in self.notified.iter().enumerate() {
                let (slot, until) = (slots[&number], one.over.unwrap_or(end));
                let span = |from, until, kind| Span { lane, slot, from, until, kind };
                self.spans.push(span(one.born, one.received.min(until), SpanKind::Pending));
                self.spans.push(span(one.received, until, SpanKind::Received));
            }
        }
        self.spans.retain(|span| span.from < span.until);
        let kernel = self.kernel();
        for loose in self.arrows {
            let place = |lane| {
                let slot = loose.notified.filter(|_| Some(lane) == kernel).map(|one| slots[&one]);
                End { lane, slot: slot.unwrap_or(0) }
            };
            let (from, to) = (place(loose.from), place(loose.to));
            let (label, refused) = (loose.label, loose.refused);
            rows[loose.row].arrow.get_or_insert(Arrow { from, to, label, refused });
        }
        Drawing { lanes: self.lanes, rows, spans: self.spans }
    }

    /// A place for each notification, side by side with those of its time.
    fn slots(&self, end: usize) -> BTreeMap<usize, usize> {
        let mut order: Vec<usize> = (0..self.notified.len()).collect();
        order.sort_by_key(|number| self.notified[*number].born);
        let mut free_from: Vec<usize> = Vec::new();
        let mut slots = BTreeMap::new();
        for number in order {
            let one = &self.notified[number];
            let until = one.over.unwrap_or(end);
            let slot = free_from.iter().position(|free| *free <= one.born);
            let slot = slot.unwrap_or_else(|| {
                free_from.push(0);
                free_from.len() - 1
            });
            free_from[slot] = until;
            slots.insert(number, slot);
        }
        slots
    }
}
