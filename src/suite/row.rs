//! What several kernels did in one case, side by side. All that is said of
//! more than one kernel comes from here: the matrix, the difference of two
//! records, what changed between which releases.
//!
//! Of a case without races a kernel did one thing, and two kernels did the
//! same when their traces are equal. Of one that races only some of what a
//! kernel may do was seen, by chance. So two kernels are told apart only when
//! one of them was seen to go a way that the other was not seen to go *and*
//! that the model does not allow on it. Where the model cannot tell all ways
//! of a kernel, that kernel is told apart from no other.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::record::CaseRecord;
use super::steps::{self, Step};
use crate::trace::{Outcome, Trace};
use crate::verdict::Verdict;

/// A case on several kernels, in the order in which they are given: that of
/// their releases.
#[derive(Clone, Debug)]
pub struct Row<'r> {
    cells: Vec<Option<Cell<'r>>>,
}

/// What one kernel did.
#[derive(Clone, Debug)]
struct Cell<'r> {
    seen: Vec<&'r Trace>,
    /// What the model allows besides.
    allowed: Vec<&'r Trace>,
    /// Whether it may allow more than that.
    open: bool,
}

impl<'r> Cell<'r> {
    /// `None` where the run says nothing: it was cut off, or two runs of a case
    /// that does not race differed.
    fn of(case: &'r CaseRecord) -> Option<Cell<'r>> {
        let seen = case.seen();
        if seen.is_empty() || matches!(case.verdict, Verdict::Unstable(_)) {
            return None;
        }
        let allowed = case.ways.iter().filter(|way| way.count == 0).map(|way| &way.trace);
        Some(Cell { seen, allowed: allowed.collect(), open: case.more_ways.is_some() })
    }

    /// Whether the kernel may do this, as far as is known.
    fn may(&self, trace: &Trace) -> bool {
        self.open
            || self.seen.contains(&trace)
            || self.allowed.iter().any(|allowed| covers(allowed, trace))
    }

    fn agrees_with(&self, other: &Cell<'_>) -> bool {
        self.seen.iter().all(|trace| other.may(trace))
            && other.seen.iter().all(|trace| self.may(trace))
    }
}

/// Whether a trace is one that a prediction means.
fn covers(predicted: &Trace, seen: &Trace) -> bool {
    let same = |(a, b): (&crate::trace::Event, &crate::trace::Event)| {
        a == b || a.outcome == Outcome::Anything && (a.act, &a.actor) == (b.act, &b.actor)
    };
    predicted.events.len() == seen.events.len()
        && predicted.events.iter().zip(&seen.events).all(same)
}

/// A step, and what it came to on each kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct StepRow {
    /// The step as the script says it, with its actor and label.
    pub step: String,
    /// Its label: such a step decides something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// What each kernel did; `None` where that is not known.
    pub outcomes: Vec<Option<Outcomes>>,
}

/// What a step came to on one kernel, or on several that did the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Outcomes {
    /// What was seen, several things only where the case races; empty text for
    /// nothing.
    pub seen: BTreeSet<String>,
    /// What the model allows besides.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub allowed: BTreeSet<String>,
    /// Whether it may allow more than that.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub open: bool,
}

impl Outcomes {
    fn may(&self, outcome: &String) -> bool {
        self.open || self.seen.contains(outcome) || self.allowed.contains(outcome)
    }

    /// Whether nothing tells two kernels apart that do this and that.
    pub fn agrees_with(&self, other: &Outcomes) -> bool {
        self.seen.iter().all(|one| other.may(one)) && other.seen.iter().all(|one| self.may(one))
    }

    fn join(&mut self, other: &Outcomes) {
        self.seen.extend(other.seen.iter().cloned());
        self.allowed.extend(other.allowed.iter().cloned());
        self.open |= other.open;
    }
}

impl fmt::Display for Outcomes {
    /// What was seen, in one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = |one: &String| if one.is_empty() { "nothing".to_owned() } else { one.clone() };
        write!(f, "{}", self.seen.iter().map(told).collect::<Vec<_>>().join(" | "))
    }
}

/// Kernels one after another, by number, that did the same; those between them
/// of which nothing is known are left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch<T> {
    /// The kernels.
    pub kernels: Vec<usize>,
    /// What they did.
    pub did: T,
}

/// What was done since when, as stretches of kernels; of each stretch what its
/// first kernel did.
pub fn stretches<T>(cells: &[Option<T>], agree: impl Fn(&T, &T) -> bool) -> Vec<Stretch<&T>> {
    let known = |number: usize| cells[number].as_ref();
    let mut all: Vec<Stretch<&T>> = Vec::new();
    for (kernel, cell) in cells.iter().enumerate() {
        let Some(did) = cell else { continue };
        let same = |one: &usize| known(*one).is_some_and(|before| agree(before, did));
        match all.last_mut() {
            Some(stretch) if stretch.kernels.iter().all(same) => stretch.kernels.push(kernel),
            _ => all.push(Stretch { kernels: vec![kernel], did }),
        }
    }
    all
}

impl StepRow {
    /// Whether some kernels are told apart by it.
    pub fn is_changed(&self) -> bool {
        let known: Vec<&Outcomes> = self.outcomes.iter().flatten().collect();
        differ(&known, |a, b| a.agrees_with(b))
    }

    /// What it came to since when.
    pub fn stretches(&self) -> Vec<Stretch<Outcomes>> {
        let joined = |stretch: Stretch<&Outcomes>| {
            let mut did = Outcomes::default();
            let each = stretch.kernels.iter().filter_map(|kernel| self.outcomes[*kernel].as_ref());
            each.for_each(|outcomes| did.join(outcomes));
            Stretch { kernels: stretch.kernels, did }
        };
        let all = stretches(&self.outcomes, Outcomes::agrees_with);
        all.into_iter().map(joined).collect()
    }
}

/// That a kernel does not do what an earlier one did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Change {
    /// The number of the last kernel that does as before.
    pub from: usize,
    /// The number of the first that does not. Of kernels between the two
    /// nothing is known.
    pub to: usize,
    /// The steps that tell the two apart, each with what it came to on one and
    /// on the other: those with a label, and others only where there is none.
    pub steps: Vec<StepRow>,
}

impl<'r> Row<'r> {
    /// What kernels did, by their records of a case; `None` for one that has
    /// none.
    pub fn of(cases: &[Option<&'r CaseRecord>]) -> Row<'r> {
        Row { cells: cases.iter().map(|case| case.and_then(Cell::of)).collect() }
    }

    /// The same for traces of a case that does not race.
    pub fn of_traces(traces: &[&'r Trace]) -> Row<'r> {
        let cell = |trace| Cell { seen: vec![trace], allowed: Vec::new(), open: false };
        Row { cells: traces.iter().map(|trace| Some(cell(*trace))).collect() }
    }

    /// Whether some kernels are told apart.
    pub fn is_changed(&self) -> bool {
        let known: Vec<&Cell<'_>> = self.cells.iter().flatten().collect();
        differ(&known, |a, b| a.agrees_with(b))
    }

    /// For each kernel the number of those that did the same as it, counted
    /// from that of the oldest; `None` where nothing is known.
    pub fn variants(&self) -> Vec<Option<usize>> {
        let mut variants: Vec<Vec<&Cell<'_>>> = Vec::new();
        let mut number = |cell| {
            let same = |one: &Vec<&Cell<'_>>| one.iter().all(|other| other.agrees_with(cell));
            let found = variants.iter().position(same).unwrap_or(variants.len());
            match variants.get_mut(found) {
                Some(variant) => variant.push(cell),
                None => variants.push(vec![cell]),
            }
            found
        };
        self.cells.iter().map(|cell| cell.as_ref().map(&mut number)).collect()
    }

    /// The steps that have a label, and those that tell kernels apart. Where
    /// none of these does and kernels did not do the same, what stands for the
    /// step is the order of events, or what goes together in a race.
    pub fn steps(&self) -> Vec<StepRow> {
        let told: Vec<(&Trace, BTreeMap<Step, String>)> =
            self.traces().map(|(trace, _)| (trace, steps::outcomes(trace))).collect();
        let all: BTreeSet<&Step> = told.iter().flat_map(|(_, steps)| steps.keys()).collect();
        let outcome = |step: &Step, trace: &Trace| {
            let (_, steps) = told.iter().find(|(one, _)| std::ptr::eq(*one, trace))?;
            steps.get(step).cloned()
        };
        let mut rows: Vec<StepRow> = all
            .into_iter()
            .map(|step| StepRow {
                step: step.told.clone(),
                label: step.label.clone(),
                outcomes: self.each(|trace| outcome(step, trace).unwrap_or_default()),
            })
            .filter(|row| row.label.is_some() || row.is_changed())
            .collect();
        if self.is_changed() && !rows.iter().any(StepRow::is_changed) {
            rows.push(self.whole());
        }
        rows
    }

    /// What changed from each kernel to the next one of which something is
    /// known, oldest first.
    pub fn changes(&self) -> Vec<Change> {
        let agree = |a: &Cell<'_>, b: &Cell<'_>| a.agrees_with(b);
        let stretches = stretches(&self.cells, agree);
        let changes = stretches.windows(2).filter_map(|pair| {
            let to = *pair[1].kernels.first()?;
            let new = self.cells[to].as_ref()?;
            let differs =
                |one: &&usize| self.cells[**one].as_ref().is_some_and(|old| !agree(old, new));
            let from = *pair[0].kernels.iter().rfind(differs)?;
            let two = Row { cells: vec![self.cells[from].clone(), self.cells[to].clone()] };
            let mut steps = two.steps();
            steps.retain(StepRow::is_changed);
            if steps.iter().any(|step| step.label.is_some()) {
                steps.retain(|step| step.label.is_some());
            }
            Some(Change { from, to, steps })
        });
        changes.collect()
    }

    /// All traces, and whether they were seen.
    fn traces(&self) -> impl Iterator<Item = (&'r Trace, bool)> {
        self.cells.iter().flatten().flat_map(|cell| {
            let seen = cell.seen.iter().map(|trace| (*trace, true));
            seen.chain(cell.allowed.iter().map(|trace| (*trace, false)))
        })
    }

    /// What each kernel's traces are in the words of `told`.
    fn each(&self, told: impl Fn(&Trace) -> String) -> Vec<Option<Outcomes>> {
        let outcomes = |cell: &Cell<'_>| {
            let seen: BTreeSet<String> = cell.seen.iter().map(|trace| told(trace)).collect();
            let allowed = cell.allowed.iter().map(|trace| told(trace));
            Outcomes {
                allowed: allowed.filter(|one| !seen.contains(one)).collect(),
                seen,
                open: cell.open,
            }
        };
        self.cells.iter().map(|cell| cell.as_ref().map(outcomes)).collect()
    }

    fn whole(&self) -> StepRow {
        let mut traces: Vec<&Trace> = Vec::new();
        for (trace, _) in self.traces() {
            if !traces.contains(&trace) {
                traces.push(trace);
            }
        }
        let races = self.cells.iter().flatten().any(|cell| cell.seen.len() > 1 || cell.open);
        let races = races || self.traces().any(|(_, seen)| !seen);
        let (step, told) = match races {
            true => ("what goes together", super::differences(&traces)),
            false => ("order of events", Vec::new()),
        };
        // Traces may be told alike and differ in their order alone.
        let distinct: BTreeSet<&String> = told.iter().collect();
        let told = if distinct.len() == traces.len() { told } else { steps::orders(&traces) };
        let of = |trace: &Trace| {
            let number = traces.iter().position(|one| *one == trace);
            number.map(|number| told[number].clone()).unwrap_or_default()
        };
        StepRow { step: step.to_owned(), label: None, outcomes: self.each(of) }
    }
}

/// Whether some two of them do not agree.
fn differ<T>(all: &[T], agree: impl Fn(&T, &T) -> bool) -> bool {
    let later = |(number, one)| all[number + 1..].iter().any(|other| !agree(one, other));
    all.iter().enumerate().any(later)
}
