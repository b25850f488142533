//! The model against what kernels were seen to do: it must allow every stored
//! trace, on a kernel of the facts that the trace is stored for.

use std::collections::BTreeMap;

use unotify_lab::model::{Agreement, Setting, agree, predict};
use unotify_lab::profile::{FACTS, Profile};
use unotify_lab::suite::{Catalogue, Selection};
use unotify_lab::trace::{Outcome, Trace};
use unotify_lab::verdict::StoredTrace;

/// A profile in which all facts hold but these.
fn profile_without(without: &[String]) -> Profile {
    let mut profile = Profile::default();
    for fact in FACTS {
        profile.set(fact, !without.iter().any(|id| id == fact.id));
    }
    profile
}

fn words(text: &str) -> Vec<Vec<String>> {
    let line = |line: &str| line.split_whitespace().map(str::to_owned).collect();
    text.lines().map(line).collect()
}

/// Whether a foreseen trace is the stored one; what may be anything is shown
/// as `anything`.
fn same(foreseen: &str, stored: &str) -> bool {
    let (foreseen, stored) = (words(foreseen), words(stored));
    let free = [String::from("anything")];
    foreseen.len() == stored.len()
        && foreseen.iter().zip(&stored).all(|(a, b)| match a.strip_suffix(&free) {
            Some(head) => b.starts_with(head),
            None => a == b,
        })
}

#[test]
fn every_stored_trace_is_allowed() {
    let catalogue = Catalogue::built_in().expect("the catalogue is sound");
    let cases = catalogue.select(&Selection::default()).expect("all are there");
    let (mut wrong, mut beyond, mut whole) = (Vec::new(), BTreeMap::new(), 0);
    for case in &cases {
        let schedule = case.scenario.schedule().expect("it is sound");
        for StoredTrace { without, cases } in &case.file.stored {
            let Some(stored) = cases.get(&case.scenario.id) else { continue };
            let profile = profile_without(without);
            let setting = Setting { schedule: &schedule, profile: &profile, root: true };
            let (traces, cut) = predict(&setting);
            if let Some(why) = cut {
                beyond.entry(why).or_insert_with(Vec::new).push(case.scenario.id.clone());
                continue;
            }
            whole += 1;
            if !traces.iter().any(|trace| same(&trace.to_string(), stored)) {
                let first = traces.first().map(ToString::to_string).unwrap_or_default();
                let id = &case.scenario.id;
                wrong.push(format!(
                    "== {id} without {without:?}\n-- stored\n{stored}\n-- model ({} ways)\n{first}",
                    traces.len()
                ));
            }
        }
    }
    println!("{whole} followed whole; beyond: {beyond:#?}");
    assert!(whole > 700, "only {whole} traces were followed to their end");
    assert!(wrong.is_empty(), "{} refused:\n{}", wrong.len(), wrong.join("\n"));
}

/// What the model foresees it also allows, and a trace in which any one result
/// is another number is refused, unless anything is allowed there.
#[test]
fn the_model_accepts_its_own_traces_and_no_others() {
    let catalogue = Catalogue::built_in().expect("the catalogue is sound");
    let cases = catalogue.select(&Selection::default()).expect("all are there");
    let profile = profile_without(&[]);
    let mut changed = 0;
    for case in cases.iter().filter(|case| !case.scenario.races()) {
        let schedule = case.scenario.schedule().expect("it is sound");
        let setting = Setting { schedule: &schedule, profile: &profile, root: true };
        let (traces, cut) = predict(&setting);
        let free =
            |trace: &Trace| trace.events.iter().any(|event| event.outcome == Outcome::Anything);
        if cut.is_some() || traces.iter().any(free) {
            continue;
        }
        for trace in &traces {
            let id = &case.scenario.id;
            let own = agree(&setting, trace);
            assert!(matches!(own, Agreement::Allowed { free: 0 }), "{id}: {own:?}\n{trace}");
            for at in 0..trace.events.len() {
                let mut other = trace.clone();
                let Outcome::Returned(result) = &mut other.events[at].outcome else { continue };
                *result ^= 0x5a5a_0000;
                let refused = agree(&setting, &other);
                assert!(matches!(refused, Agreement::Refused(_)), "{id}: {refused:?}\n{other}");
                changed += 1;
            }
        }
    }
    assert!(changed > 1000, "only {changed} results were changed");
}
