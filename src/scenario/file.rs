//! Reads a scenario file: TOML outside, steps inside.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;

use super::cases::{self, Expansion, MOST_CASES, WINDOW, combinations};
use super::diagnostic::{Diagnostic, Mistakes, Span, floor_boundary};
use super::raw::{RawActor, RawBuffer, RawEntry, RawFile, RawOrders};
use super::reader::parse_value;
use super::script::Windows;
use super::{
    Actor, Buffer, Namespace, Need, Placed, Policy, Role, Scenario, StackEntry, Transfer, Value,
};
use super::{shape, stray};

/// A scenario file larger than this is refused, in bytes.
pub const LARGEST_FILE: usize = 1 << 20;

/// Reads the scenarios of one file: one, or one for every combination of the
/// parameters in its table `each`. `id` is what they are called (`theme/name`),
/// `path` is told in messages.
///
/// # Errors
///
/// Everything that is wrong with the file, each with its place.
pub fn parse(id: &str, path: &str, source: &str) -> Result<Vec<Scenario>, Mistakes> {
    let mistakes = |diagnostics| Mistakes {
        path: path.to_owned(),
        source: source[..floor_boundary(source, source.len().min(LARGEST_FILE))].to_owned(),
        diagnostics,
    };
    if source.len() > LARGEST_FILE {
        let mebibytes = source.len() >> 20;
        let whole = Diagnostic::new(
            0..0,
            format!("a file of {mebibytes} MiB is no scenario"),
            "at most 1 MiB",
        );
        return Err(mistakes(vec![whole]));
    }
    let file = shape::read(source)
        .map_err(|found| mistakes(vec![stray::explained(found, source, &[])]))?;
    if file.each.is_empty() {
        let found = Builder::build(id.to_owned(), file, source, None);
        return found.map_err(|found| {
            mistakes(found.into_iter().map(|one| stray::explained(one, source, &[])).collect())
        });
    }
    let count = file.each.values().try_fold(1usize, |count, one| count.checked_mul(one.len()));
    if !count.is_some_and(|count| (1..=MOST_CASES).contains(&count)) {
        let at = source.find("[each]").unwrap_or(0);
        let message = "the parameters give no case, or too many".to_owned();
        let expected = format!("1 to {MOST_CASES} combinations");
        return Err(mistakes(vec![Diagnostic::new(at..at + "[each]".len(), message, expected)]));
    }
    let known: Vec<&str> = file.each.keys().map(String::as_str).collect();
    let mut scenarios = Vec::new();
    for chosen in combinations(&file.each) {
        let expansion = Expansion::of(source, &chosen);
        let text = &expansion.text;
        let parameters: Vec<String> =
            chosen.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let id = format!("{id}[{}]", parameters.join(","));
        let window = chosen.iter().find(|(name, _)| *name == WINDOW).map(|(_, value)| *value);
        let found = shape::read(text)
            .map_err(|found| vec![found])
            .and_then(|file| Builder::build(id.clone(), file, text, window));
        let in_file = |span: &mut Span| *span = Span(expansion.in_file(&span.0));
        match found {
            Ok(mut found) => {
                found.iter_mut().for_each(|scenario| scenario.move_places(&in_file));
                scenarios.extend(found);
            }
            // What is wrong in one case is likely to be wrong in all.
            Err(found) => {
                let told = |mistake| {
                    let mut mistake = stray::explained(mistake, text, &known);
                    in_file(&mut mistake.span);
                    mistake.in_case(&id)
                };
                return Err(mistakes(found.into_iter().map(told).collect()));
            }
        }
    }
    Ok(scenarios)
}

/// Collects mistakes while it makes a scenario of what TOML gave.
pub(super) struct Builder {
    pub found: Vec<Diagnostic>,
}

impl Builder {
    /// The scenarios of a file whose parameters are chosen, `window` among them:
    /// one, or one for each order of its steps.
    fn build(
        id: String,
        file: RawFile,
        source: &str,
        window: Option<&str>,
    ) -> Result<Vec<Scenario>, Vec<Diagnostic>> {
        let mut builder = Builder { found: Vec::new() };
        let actors = builder.actors(&file);
        let names: Vec<&str> = actors.iter().map(|actor| actor.name.as_str()).collect();
        let windows = file.each.get(WINDOW).map_or(&[][..], Vec::as_slice);
        let windows = Windows { known: windows, chosen: window };
        let steps = builder.steps(&file.schedule.steps, source, &names, &windows);
        let scenario = Scenario {
            id,
            summary: file.summary,
            behaviours: file.behaviours,
            facts: file.facts,
            needs: file.needs.iter().filter_map(|word| builder.need(word)).collect(),
            buffers: in_order(&file.buffers, |name, buffer| {
                let value = match buffer {
                    RawBuffer::Text(text) => Buffer::Text(text.clone()),
                    RawBuffer::Size(size) => Buffer::Size(*size),
                };
                (name.get_ref().clone(), Placed { value, span: Span(name.span()) })
            }),
            held: file.held.iter().map(placed).collect(),
            filters: in_order(&file.filter, |name, filter| {
                (name.get_ref().clone(), builder.filter(filter.get_ref(), name.span()))
            }),
            actors,
            steps,
        };
        // All that `&name` can stand for lies in one place.
        let mut places: Vec<&str> = Vec::new();
        for name in file.buffers.keys().chain(file.filter.keys()).chain(&file.held) {
            builder.name(name);
            if places.contains(&name.get_ref().as_str()) {
                let message = format!("{:?} is already a name", name.get_ref());
                builder.mistake(name.span(), message, "another name");
            }
            places.push(name.get_ref());
        }
        let orders = file.schedule.orders.as_ref().map(|orders| builder.orders(orders, &scenario));
        match (builder.found.is_empty(), orders) {
            (false, _) => Err(builder.found),
            (true, None) => Ok(vec![scenario]),
            (true, Some(orders)) => Ok(orders),
        }
    }

    /// The scenario in every order, or in as many as were asked for.
    fn orders(&mut self, orders: &Spanned<RawOrders>, scenario: &Scenario) -> Vec<Scenario> {
        if let Err(found) = scenario.schedule() {
            self.found.extend(found);
            return Vec::new();
        }
        if scenario.steps.iter().any(|step| step.together) {
            let message = "steps that begin together have no order".to_owned();
            self.mistake(orders.span(), message, "`orders`, or `|`, and not both");
            return Vec::new();
        }
        let most = match orders.get_ref() {
            RawOrders::All => MOST_CASES,
            RawOrders::Most(most) => (*most as usize).min(MOST_CASES),
        };
        let (found, count) = cases::orders(scenario, most);
        if *orders.get_ref() == RawOrders::All && count > most {
            let message = format!("there are {count} orders or more");
            let expected = format!("fewer steps, or `orders = {most}` for the first {most}");
            self.mistake(orders.span(), message, expected);
        }
        found
    }

    pub(super) fn mistake(
        &mut self,
        span: Range<usize>,
        message: String,
        expected: impl Into<String>,
    ) {
        self.found.push(Diagnostic::new(span, message, expected));
    }

    fn need(&mut self, word: &Spanned<String>) -> Option<Need> {
        let known = Need::ALL.iter().find(|(_, known, _)| known == word.get_ref());
        if known.is_none() {
            let words: Vec<&str> = Need::ALL.iter().map(|(_, word, _)| *word).collect();
            let message = format!("unknown need {:?}", word.get_ref());
            self.mistake(word.span(), message, format!("one of {}", words.join(", ")));
        }
        known.map(|(need, _, _)| *need)
    }

    fn actors(&mut self, file: &RawFile) -> Vec<Actor> {
        let mut placed = Vec::new();
        for (role, table) in [
            (Role::Target, &file.target),
            (Role::Supervisor, &file.supervisor),
            (Role::Tracer, &file.tracer),
        ] {
            for (name, raw) in table {
                placed.push((name.span(), self.actor(role, name, raw)));
            }
        }
        placed.sort_by_key(|(span, _)| span.start);
        for (index, (span, actor)) in placed.iter().enumerate() {
            if placed[..index].iter().any(|(_, before)| before.name == actor.name) {
                let message = format!("two actors are called {:?}", actor.name);
                self.found.push(Diagnostic::new(span.clone(), message, "another name"));
            }
        }
        placed.into_iter().map(|(_, actor)| actor).collect()
    }

    fn actor(&mut self, role: Role, name: &Spanned<String>, raw: &RawActor) -> Actor {
        let handlers = raw
            .handlers
            .iter()
            .filter_map(|(signal, flags)| {
                self.signal(signal);
                Some((signal.get_ref().clone(), self.value(flags)?))
            })
            .collect();
        for signal in raw.ignored.iter().chain(&raw.blocked) {
            self.signal(signal);
        }
        Actor {
            name: self.name(name),
            role,
            no_new_privs: raw.no_new_privs.unwrap_or(role == Role::Target),
            filters: raw
                .filters
                .iter()
                .map(|entry| match entry.get_ref() {
                    RawEntry::Named(name) => StackEntry::Named(name.clone()),
                    RawEntry::Inline(filter) => {
                        StackEntry::Inline(self.filter(filter, entry.span()))
                    }
                })
                .collect(),
            handlers,
            ignored: plain(&raw.ignored),
            blocked: plain(&raw.blocked),
            listeners: raw.listeners.clone(),
            keeps: raw.keeps.clone(),
            via: match raw.via.as_ref().map(|via| (via.get_ref().as_str(), via.span())) {
                None | Some(("pidfd_getfd", _)) => Transfer::PidfdGetfd,
                Some(("scm_rights", _)) => Transfer::ScmRights,
                Some((other, span)) => {
                    let message = format!("unknown way {other:?} to get a listener");
                    self.mistake(span, message, "pidfd_getfd or scm_rights");
                    Transfer::PidfdGetfd
                }
            },
            user: raw.user,
            no_capabilities: raw.no_capabilities,
            cpu: raw.cpu,
            policy: raw
                .policy
                .as_ref()
                .and_then(|word| self.one_of(word, &[Policy::Fifo, Policy::Idle], Policy::word)),
            namespaces: raw
                .namespaces
                .iter()
                .filter_map(|word| {
                    let all = [Namespace::User, Namespace::Pid, Namespace::Mount];
                    self.one_of(word, &all, Namespace::word)
                })
                .collect(),
            span: Span(name.span()),
        }
    }

    fn one_of<T: Copy>(
        &mut self,
        word: &Spanned<String>,
        all: &[T],
        spelled: fn(T) -> &'static str,
    ) -> Option<T> {
        let known = all.iter().copied().find(|one| spelled(*one) == word.get_ref());
        if known.is_none() {
            let words: Vec<&str> = all.iter().map(|one| spelled(*one)).collect();
            let message = format!("unknown word {:?}", word.get_ref());
            self.mistake(word.span(), message, format!("one of {}", words.join(", ")));
        }
        known
    }

    /// A name that steps can use: a word, and none that means something.
    pub(super) fn name(&mut self, name: &Spanned<String>) -> String {
        let text = name.get_ref();
        let word = text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !word || crate::abi::constant(text).is_some() {
            let message = format!("{text:?} cannot be a name");
            self.mistake(name.span(), message, "letters, digits and _, and not a kernel constant");
        }
        text.clone()
    }

    fn signal(&mut self, name: &Spanned<String>) {
        if crate::abi::signal_number(name.get_ref()).is_none() {
            let message = format!("unknown signal {:?}", name.get_ref());
            self.mistake(name.span(), message, "a signal, such as SIGUSR1");
        }
    }

    pub(super) fn value(&mut self, text: &Spanned<String>) -> Option<Value> {
        match parse_value(text.get_ref(), text.span().start + 1) {
            Ok(value) => Some(value),
            Err(found) => {
                self.found.push(found);
                None
            }
        }
    }
}

fn in_order<T, R>(
    table: &BTreeMap<Spanned<String>, T>,
    mut make: impl FnMut(&Spanned<String>, &T) -> R,
) -> Vec<R> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(name, _)| name.span().start);
    entries.into_iter().map(|(name, value)| make(name, value)).collect()
}

fn placed(name: &Spanned<String>) -> Placed<String> {
    Placed { value: name.get_ref().clone(), span: Span(name.span()) }
}

fn plain(names: &[Spanned<String>]) -> Vec<String> {
    names.iter().map(|name| name.get_ref().clone()).collect()
}
