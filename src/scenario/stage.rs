//! The steps that prepare the stage: what the tables of actors ask for, said
//! in the same language as the script.

use super::resolve::starts;
use super::{
    Act, Actor, Callee, Filter, Operation, Placed, Role, Scenario, Span, StackEntry, Step,
    Transfer, Value, Verb,
};

/// What comes before the first step of the script: dispositions, no_new_privs
/// and filters of each actor; then listeners to the supervisors.
pub(super) fn steps(scenario: &Scenario) -> Vec<Step> {
    let at_start = |actor: &&Actor| starter(scenario, &actor.name).is_none();
    let mut steps: Vec<Step> =
        scenario.actors.iter().filter(at_start).filter_map(preparation).collect();
    let mut taken: Vec<(&Actor, &str)> = Vec::new();
    for owner in scenario.actors.iter().filter(at_start) {
        for listener in listeners(scenario, owner) {
            for supervisor in scenario.actors.iter().filter(at_start) {
                let takes = match &supervisor.listeners {
                    Some(listeners) => listeners.iter().any(|name| name == listener),
                    None => supervisor.role == Role::Supervisor,
                };
                if takes && supervisor.name != owner.name {
                    steps.extend(handing_over(owner, supervisor, listener));
                    taken.push((owner, listener));
                }
            }
        }
    }
    taken.dedup();
    for (owner, listener) in taken {
        if !owner.keeps.iter().any(|kept| kept == listener) {
            steps.push(step(&owner.name, vec![close(listener)]));
        }
    }
    steps
}

/// What comes right after a step of the script that starts an actor.
pub(super) fn steps_after(scenario: &Scenario, started: &Step) -> Vec<Step> {
    started
        .operations
        .iter()
        .filter_map(starts)
        .filter_map(|(name, _)| scenario.actors.iter().find(|actor| actor.name == name))
        .filter_map(preparation)
        .collect()
}

/// The actor that starts another, and whether as a thread.
pub(super) fn starter<'s>(scenario: &'s Scenario, name: &str) -> Option<(&'s str, bool)> {
    scenario.steps.iter().find_map(|step| {
        let (_, thread) =
            step.operations.iter().filter_map(starts).find(|(started, _)| *started == name)?;
        Some((step.actor.as_deref()?, thread))
    })
}

/// What a filter that is written in an actor's table is called.
pub(super) fn inline_name(actor: &str, index: usize) -> String {
    format!("{actor}.{index}")
}

/// The filter of that made-up name.
pub(super) fn inline_filter<'s>(scenario: &'s Scenario, name: &str) -> Option<&'s Filter> {
    let (actor, index) = name.rsplit_once('.')?;
    let actor = scenario.actors.iter().find(|known| known.name == actor)?;
    match actor.filters.get(index.parse::<usize>().ok()?)? {
        StackEntry::Inline(filter) => Some(filter),
        StackEntry::Named(_) => None,
    }
}

fn preparation(actor: &Actor) -> Option<Step> {
    let mut operations = Vec::new();
    for (signal, flags) in &actor.handlers {
        let flags = ("flags".to_owned(), placed(flags.clone()));
        operations.push(verb(Verb::Handle, vec![constant(signal)], vec![flags]));
    }
    for signal in &actor.ignored {
        operations.push(verb(Verb::Ignore, vec![constant(signal)], vec![]));
    }
    for signal in &actor.blocked {
        operations.push(verb(Verb::Block, vec![constant(signal)], vec![]));
    }
    if actor.no_new_privs {
        operations.push(verb(Verb::NoNewPrivs, vec![], vec![]));
    }
    for (index, entry) in actor.filters.iter().enumerate() {
        let name = match entry {
            StackEntry::Named(name) => name.clone(),
            StackEntry::Inline(_) => inline_name(&actor.name, index),
        };
        operations.push(verb(Verb::Install, vec![Value::Name(name)], vec![]));
    }
    (!operations.is_empty()).then(|| step(&actor.name, operations))
}

/// The listeners that an actor's initial stack makes.
pub(super) fn listeners<'s>(
    scenario: &'s Scenario,
    owner: &'s Actor,
) -> impl Iterator<Item = &'s str> {
    owner.filters.iter().filter_map(|entry| {
        let filter = match entry {
            StackEntry::Inline(filter) => filter,
            StackEntry::Named(name) => &scenario.filters.iter().find(|(known, _)| known == name)?.1,
        };
        filter.listener.as_deref()
    })
}

fn handing_over(owner: &Actor, supervisor: &Actor, listener: &str) -> Vec<Step> {
    let name = || Value::Name(listener.to_owned());
    let take = |options| step(&supervisor.name, vec![verb(Verb::Take, vec![name()], options)]);
    match supervisor.via {
        Transfer::PidfdGetfd => {
            vec![take(vec![("from".to_owned(), placed(Value::Name(owner.name.clone())))])]
        }
        Transfer::ScmRights => vec![
            step(&owner.name, vec![verb(Verb::Pass, vec![name()], vec![])]),
            take(vec![("via".to_owned(), placed(Value::Name("scm_rights".to_owned())))]),
        ],
    }
}

fn close(listener: &str) -> Operation {
    let call = Callee::Named("close".parse().expect("close is a system call"));
    let args = vec![placed(Value::Name(listener.to_owned()))];
    Operation {
        label: None,
        act: Act::Call { entry: super::Entry::Native, call, args },
        binds: None,
        span: Span::default(),
    }
}

fn verb(verb: Verb, operands: Vec<Value>, options: Vec<(String, Placed<Value>)>) -> Operation {
    let operands = operands.into_iter().map(placed).collect();
    let act = Act::Verb { verb, operands, options };
    Operation { label: None, act, binds: None, span: Span::default() }
}

fn constant(name: &str) -> Value {
    Value::Constant(name.to_owned())
}

fn placed(value: Value) -> Placed<Value> {
    Placed { value, span: Span::default() }
}

fn step(actor: &str, operations: Vec<Operation>) -> Step {
    Step { actor: Some(actor.to_owned()), operations, together: false, span: Span::default() }
}
