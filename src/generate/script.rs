//! A script as it is written, and what its writer expects of those who act:
//! enough to make most steps worth taking, and nothing that is relied on.

use super::Id;
use crate::scenario::{Need, Scenario, Span, parse_step};

/// What an actor is expected to be doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    /// It has not been started.
    Unborn,
    /// It waits for its turn.
    Idle,
    /// It waits for the reply to a notification.
    Notified,
    /// It sleeps for something else.
    Waiting,
    /// It has ended.
    Gone,
}

/// An actor as the script's writer thinks of it.
#[derive(Clone, Debug)]
pub(super) struct Player {
    pub name: &'static str,
    pub doing: Doing,
    /// The process that it belongs to.
    pub process: &'static str,
    /// Whether its calls are notified, on which listener.
    pub notifies: Option<&'static str>,
    pub stopped: bool,
    /// Listeners of which it has a descriptor.
    pub holds: Vec<&'static str>,
}

/// A notification that a name stands for.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub name: String,
    pub listener: &'static str,
    /// Who is expected to wait for the reply.
    pub target: &'static str,
    pub answered: bool,
}

/// A script under way.
pub(super) struct Script {
    pub scenario: Scenario,
    pub players: Vec<Player>,
    /// Targets in the order of their calls, not received so far.
    pub pending: Vec<(&'static str, &'static str)>,
    pub known: Vec<Known>,
    /// Names that are bound so far.
    bound: usize,
    /// The line that is being written: who acts, and what.
    line: Option<(Option<&'static str>, Vec<String>)>,
    /// Whether the next line begins together with the one before it.
    pub together: bool,
    /// Epoll instances: who has one, and its name.
    pub epolls: Vec<(&'static str, String)>,
    /// Opened memories: who has one, its name, and the notification's.
    pub memories: Vec<(&'static str, String, String)>,
    /// Listeners that were sent and not taken.
    pub passed: Vec<&'static str>,
    pub frozen: Option<&'static str>,
}

impl Script {
    pub fn new(scenario: Scenario, players: Vec<Player>) -> Self {
        Script {
            scenario,
            players,
            pending: Vec::new(),
            known: Vec::new(),
            bound: 0,
            line: None,
            together: false,
            epolls: Vec::new(),
            memories: Vec::new(),
            passed: Vec::new(),
            frozen: None,
        }
    }

    /// Has an actor do something, or the director.
    pub fn act(&mut self, by: Option<&'static str>, act: impl Into<String>) {
        match &mut self.line {
            Some((who, acts)) if *who == by => acts.push(act.into()),
            _ => {
                self.end_line();
                self.line = Some((by, vec![act.into()]));
            }
        }
    }

    /// The line is complete.
    pub fn end_line(&mut self) {
        let Some((by, acts)) = self.line.take() else { return };
        let together = std::mem::take(&mut self.together) && self.races_with_last(by, &acts);
        let race = if together { "| " } else { "" };
        let prefix = race.to_owned() + &by.map(|by| format!("{by}: ")).unwrap_or_default();
        let line = prefix + &acts.join("; ");
        let actors: Vec<&str> =
            self.scenario.actors.iter().map(|actor| actor.name.as_str()).collect();
        let step = parse_step(&line, &actors);
        let mut step = step.unwrap_or_else(|found| panic!("{line}: {}", found.message));
        step.span = Span::default();
        self.scenario.steps.push(step);
    }

    /// Whether a line can begin together with the last one: it is somebody else's,
    /// and the director only sends signals.
    fn races_with_last(&self, by: Option<&'static str>, acts: &[String]) -> bool {
        const SIGNALS: [&str; 4] = ["signal ", "kill ", "stop ", "cont "];
        let signals = acts.iter().all(|act| SIGNALS.iter().any(|verb| act.starts_with(verb)));
        let last = self.scenario.steps.last();
        last.is_some_and(|last| !last.together && last.actor.is_some())
            && last.is_some_and(|last| last.actor.as_deref() != by)
            && (by.is_some() || signals)
    }

    /// Says that the scenario cannot be run without something.
    pub fn needs(&mut self, need: Need) {
        if !self.scenario.needs.contains(&need) {
            self.scenario.needs.push(need);
        }
    }

    pub fn name(&mut self, first: char) -> String {
        self.bound += 1;
        format!("{first}{}", self.bound)
    }

    pub fn player(&mut self, name: &str) -> &mut Player {
        self.players.iter_mut().find(|player| player.name == name).expect("the cast is fixed")
    }

    /// Those of whom something is expected.
    pub fn those(&self, is: impl Fn(&Player) -> bool) -> Vec<&'static str> {
        self.players.iter().filter(|player| is(player)).map(|player| player.name).collect()
    }

    /// The name of the notification that an id means, or the number; and the
    /// index in `known`.
    pub fn id(&self, id: Id) -> (String, Option<usize>) {
        match id {
            Id::Known(index, by) if !self.known.is_empty() => {
                // The newest is the most interesting.
                let newest = self.known.len() - 1;
                let at = newest - usize::from(index).min(newest);
                let name = &self.known[at].name;
                (if by == 0 { name.clone() } else { format!("{name}{by:+}") }, Some(at))
            }
            Id::Known(_, by) => (by.unsigned_abs().to_string(), None),
            Id::Number(number) => (number.to_string(), None),
        }
    }

    /// A task has left its call, or its process has ended.
    pub fn leaves(&mut self, name: &str, doing: Doing) {
        self.player(name).doing = doing;
        self.pending.retain(|(target, _)| *target != name);
        for known in &mut self.known {
            known.answered |= known.target == name;
        }
    }

    /// A whole process ends.
    pub fn ends(&mut self, name: &str) {
        let process = self.player(name).process;
        let all = self.those(|player| player.process == process && player.doing != Doing::Unborn);
        for one in all {
            self.leaves(one, Doing::Gone);
        }
    }
}
