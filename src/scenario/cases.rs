//! The scenarios that one file gives: one for every combination of its
//! parameters, and one for every order of its steps.

use std::collections::BTreeMap;
use std::ops::Range;

use super::{Scenario, Step};

/// Most scenarios that one file gives.
pub(super) const MOST_CASES: usize = 256;

/// The parameter that says into which window steps go: a line `in NAME: …` of
/// the script is there only where this has that value.
pub(super) const WINDOW: &str = "window";

/// Every choice of one value for each parameter, in the parameters' order.
pub(super) fn combinations(each: &BTreeMap<String, Vec<String>>) -> Vec<Vec<(&str, &str)>> {
    each.iter().fold(vec![Vec::new()], |chosen, (name, values)| {
        let with = |before: &Vec<(_, _)>, value| {
            let mut all = before.clone();
            all.push((name.as_str(), value));
            all
        };
        chosen
            .iter()
            .flat_map(|before| values.iter().map(move |value| with(before, value.as_str())))
            .collect()
    })
}

/// A file's text with a choice of its parameters in place of their names, and
/// where in the file each of its places is.
pub(super) struct Expansion {
    pub text: String,
    /// What stands for a parameter: its place here, and that of the name.
    replaced: Vec<(Range<usize>, Range<usize>)>,
}

impl Expansion {
    pub fn of(source: &str, chosen: &[(&str, &str)]) -> Expansion {
        let mut text = String::with_capacity(source.len());
        let mut replaced = Vec::new();
        let mut rest = source;
        while let Some(at) = rest.find('$') {
            let (before, named) = (&rest[..at], &rest[at + 1..]);
            text.push_str(before);
            // The longest name: $first2 is not read as $first and a 2.
            let name = chosen.iter().filter(|(name, _)| named.starts_with(name));
            match name.max_by_key(|(name, _)| name.len()) {
                Some((name, value)) => {
                    let here = text.len()..text.len() + value.len();
                    let there = source.len() - named.len() - 1;
                    replaced.push((here, there..there + 1 + name.len()));
                    text.push_str(value);
                    rest = &named[name.len()..];
                }
                None => {
                    text.push('$');
                    rest = named;
                }
            }
        }
        text.push_str(rest);
        Expansion { text, replaced }
    }

    /// The place in the file of a place in the text: a parameter's name where
    /// it is within its value.
    pub fn in_file(&self, place: &Range<usize>) -> Range<usize> {
        let file = |at: usize, end: bool| {
            let before = self.replaced.iter().take_while(|(here, _)| here.start <= at).last();
            match before {
                None => at,
                // The end of a value is the end of its name.
                Some((here, there)) if at < here.end && !end => there.start,
                Some((here, there)) => there.end + at.saturating_sub(here.end),
            }
        };
        let start = file(place.start, false);
        start..file(place.end, true).max(start)
    }
}

/// The window that a line is for, and its length with all before the step.
pub(super) fn window_of(line: &str) -> Option<(&str, usize)> {
    let rest = line.trim_start().strip_prefix("in ")?;
    let (name, step) = rest.split_once(':')?;
    let word = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let name = name.trim();
    (!name.is_empty() && name.chars().all(word)).then_some((name, line.len() - step.len()))
}

/// A scenario in every order of its steps that keeps each actor's own, and the
/// harness's; at most `most`, and how many there are in all.
pub(super) fn orders(scenario: &Scenario, most: usize) -> (Vec<Scenario>, usize) {
    let mut own: Vec<Vec<&Step>> = Vec::new();
    for step in &scenario.steps {
        match own.iter_mut().find(|steps| steps[0].actor == step.actor) {
            Some(steps) => steps.push(step),
            None => own.push(vec![step]),
        }
    }
    let mut found: Vec<Vec<Step>> = Vec::new();
    let mut count = 0;
    merge(scenario, &own, &mut vec![0; own.len()], &mut Vec::new(), &mut |steps| {
        count += 1;
        if found.len() < most {
            found.push(steps.to_vec());
        }
        // Far beyond any use the exact number does not matter.
        count < 100 * MOST_CASES
    });
    let width = found.len().to_string().len();
    let scenarios = found.into_iter().enumerate().map(|(index, steps)| {
        let order = format!("order={:0width$}", index + 1);
        let id = match scenario.id.strip_suffix(']') {
            Some(parameters) => format!("{parameters},{order}]"),
            None => format!("{}[{order}]", scenario.id),
        };
        let summary = format!("{} (order {} of {count})", scenario.summary, index + 1);
        Scenario { id, summary, steps, ..scenario.clone() }
    });
    (scenarios.collect(), count)
}

/// Goes through all orders, and tells those whose names are bound before they
/// are used. `tell` says whether to go on.
fn merge(
    scenario: &Scenario,
    own: &[Vec<&Step>],
    taken: &mut Vec<usize>,
    before: &mut Vec<Step>,
    tell: &mut impl FnMut(&[Step]) -> bool,
) -> bool {
    if before.len() == scenario.steps.len() {
        let tried = Scenario { steps: before.clone(), ..scenario.clone() };
        return tried.schedule().is_err() || tell(before);
    }
    (0..own.len()).all(|index| {
        let Some(step) = own[index].get(taken[index]) else { return true };
        taken[index] += 1;
        before.push((*step).clone());
        let go_on = merge(scenario, own, taken, before, tell);
        before.pop();
        taken[index] -= 1;
        go_on
    })
}
