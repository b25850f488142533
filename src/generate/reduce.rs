//! Scenarios made whole, and made smaller.

use crate::filter::Action;
use crate::scenario::{
    Act, FilterBody, Operation, Radix, Scenario, Span, StackEntry, Transfer, Value,
};

/// Takes away every operation that cannot be scheduled, such as one whose
/// names stand for nothing; whether the rest can.
pub fn repair(scenario: &mut Scenario) -> bool {
    loop {
        // Places tell which operation a mistake is in.
        let mut place = 0;
        for step in &mut scenario.steps {
            for operation in &mut step.operations {
                place += 1;
                operation.move_places(&|span| *span = Span(place..place + 1));
            }
            let first = step.operations.first().map_or(0, |operation| operation.span.0.start);
            step.span = Span(first..first + 1);
        }
        let Err(found) = scenario.schedule() else { break };
        let wrong: Vec<usize> = found.iter().map(|mistake| mistake.span.0.start).collect();
        let before = count(scenario);
        for step in &mut scenario.steps {
            step.operations.retain(|operation| !wrong.contains(&operation.span.0.start));
        }
        scenario.steps.retain(|step| !step.operations.is_empty());
        if count(scenario) == before {
            return false;
        }
    }
    for step in &mut scenario.steps {
        step.span = Span::default();
        for operation in &mut step.operations {
            operation.move_places(&|span| *span = Span::default());
        }
    }
    true
}

fn count(scenario: &Scenario) -> usize {
    scenario.steps.iter().map(|step| step.operations.len()).sum()
}

/// Scenarios that say less, those that say least first. All can be scheduled.
pub fn smaller(scenario: &Scenario) -> Vec<Scenario> {
    let mut found: Vec<Scenario> = Vec::new();
    let mut consider = |change: &dyn Fn(&mut Scenario)| {
        let mut changed = scenario.clone();
        change(&mut changed);
        if repair(&mut changed) && changed != *scenario && !found.contains(&changed) {
            found.push(changed);
        }
    };
    let steps = scenario.steps.len();
    let mut run = steps / 2;
    while run > 0 {
        for from in (0..steps).step_by(run) {
            consider(&|one| drop(one.steps.drain(from..(from + run).min(steps))));
        }
        run /= 2;
    }
    for (index, actor) in scenario.actors.iter().enumerate() {
        consider(&|one| {
            one.actors.remove(index);
            one.steps.retain(|step| step.actor.as_ref() != Some(&actor.name));
        });
    }
    for (at, step) in scenario.steps.iter().enumerate() {
        for index in 0..step.operations.len() {
            if step.operations.len() > 1 {
                consider(&|one| drop(one.steps[at].operations.remove(index)));
            }
            simpler_operation(&step.operations[index], &mut |operation| {
                consider(&|one| one.steps[at].operations[index] = operation.clone());
            });
        }
        if step.together {
            consider(&|one| one.steps[at].together = false);
        }
        if step.operations.len() > 1 {
            consider(&|one| {
                let rest = one.steps[at].operations.split_off(1);
                let mut later = one.steps[at].clone();
                later.operations = rest;
                one.steps.insert(at + 1, later);
            });
        }
    }
    consider(&|one| one.needs.clear());
    consider(&|one| one.held.clear());
    for index in 0..scenario.filters.len() {
        consider(&|one| drop(one.filters.remove(index)));
    }
    for (index, actor) in scenario.actors.iter().enumerate() {
        for at in 0..actor.filters.len() {
            consider(&|one| drop(one.actors[index].filters.remove(at)));
            consider(&|one| {
                if let StackEntry::Inline(filter) = &mut one.actors[index].filters[at] {
                    filter.flags = None;
                }
            });
            let StackEntry::Inline(filter) = &actor.filters[at] else { continue };
            let FilterBody::Rules(rules) = &filter.body else { continue };
            for rule in 0..rules.rules.len() {
                let with_rules =
                    |one: &mut Scenario, change: &dyn Fn(&mut Vec<crate::filter::Rule>)| {
                        if let StackEntry::Inline(filter) = &mut one.actors[index].filters[at]
                            && let FilterBody::Rules(rules) = &mut filter.body
                        {
                            change(&mut rules.rules);
                        }
                    };
                consider(&|one| with_rules(one, &|rules| drop(rules.remove(rule))));
                consider(&|one| with_rules(one, &|rules| rules[rule].when.clear()));
                consider(&|one| {
                    with_rules(one, &|rules| {
                        let action = &mut rules[rule].action;
                        *action = match *action {
                            Action::Errno(_) => Action::Errno(1),
                            Action::Trap(_) => Action::Trap(0),
                            Action::Trace(_) => Action::Trace(0),
                            other => other,
                        };
                    });
                });
            }
        }
        for signal in actor.handlers.keys() {
            consider(&|one| drop(one.actors[index].handlers.remove(signal)));
            consider(&|one| {
                let plain = Value::Number(0, Radix::Decimal);
                one.actors[index].handlers.insert(signal.clone(), plain);
            });
        }
        consider(&|one| one.actors[index].ignored.clear());
        consider(&|one| one.actors[index].blocked.clear());
        consider(&|one| one.actors[index].keeps.clear());
        consider(&|one| one.actors[index].via = Transfer::PidfdGetfd);
    }
    found
}

/// The same operation with less to it.
fn simpler_operation(operation: &Operation, consider: &mut dyn FnMut(Operation)) {
    match &operation.act {
        Act::Verb { options, .. } => {
            for index in 0..options.len() {
                let mut changed = operation.clone();
                if let Act::Verb { options, .. } = &mut changed.act {
                    options.remove(index);
                }
                consider(changed);
            }
        }
        Act::Call { args, .. } => {
            for (index, arg) in args.iter().enumerate() {
                let zero = Value::Number(0, Radix::Decimal);
                if arg.value == zero || matches!(arg.value, Value::Name(_) | Value::Text(_)) {
                    continue;
                }
                let mut changed = operation.clone();
                if let Act::Call { args, .. } = &mut changed.act {
                    args[index].value = zero;
                }
                consider(changed);
            }
        }
    }
}
