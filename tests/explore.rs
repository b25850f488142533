//! What diverges is made small, and still diverges; made-up scenarios reach what
//! they are meant to reach.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use rstest::rstest;

use unotify_lab::explore::{Judgement, Plan, investigate};
use unotify_lab::generate::smaller;
use unotify_lab::live::Pool;
use unotify_lab::profile::Profile;
use unotify_lab::scenario::{Act, Scenario};

fn plan(profile: Profile) -> Plan {
    Plan {
        seed: 1,
        first: 0,
        cases: Some(300),
        time: None,
        most_found: 1,
        profile,
        root: nix::unistd::getuid().is_root(),
    }
}

fn acts(scenario: &Scenario) -> usize {
    scenario.steps.iter().map(|step| step.operations.len()).sum()
}

/// Everything that is smaller can be scheduled, is something else, and says no
/// more; what is made smaller again and again comes to an end.
#[test]
fn what_is_smaller_is_sound_and_ends() {
    let plan = plan(Profile::default());
    for number in 0..30 {
        let mut scenario = plan.case(number);
        for round in 0.. {
            assert!(round < 200, "case {number} is made smaller for ever:\n{scenario}");
            let candidates = smaller(&scenario);
            for one in &candidates {
                assert!(one.schedule().is_ok(), "case {number} became unsound:\n{one}");
                assert!(*one != scenario && acts(one) <= acts(&scenario));
            }
            let Some(last) = candidates.into_iter().next_back() else { break };
            scenario = last;
        }
    }
}

/// A model of a kernel that knows nothing diverges soon, by a call or two.
#[test]
fn a_divergence_is_made_small() {
    let plan = plan("5.0".parse().map(Profile::of).expect("it is a release"));
    let pool = Pool::new(2, Some(Path::new(env!("CARGO_BIN_EXE_unotify-lab")))).expect("workers");
    let report = plan.explore(&pool, |_| {}).expect("workers can be started");
    let found = report.found.first().expect("5.0 is another kernel than this");
    assert!(matches!(found.judgement, Judgement::Refused(_)), "{:?}", found.judgement);
    let finding = investigate(&plan, &pool, found).expect("workers").expect("it diverges");
    let (times, runs) = finding.times;
    assert!(times * 2 > runs, "it diverges {times} of {runs} times");
    let (before, after) = (acts(&found.scenario), acts(&finding.scenario));
    assert!(after < before && after <= 6, "{before} acts became {after}:\n{}", finding.scenario);
}

/// No verb is out of reach of what is made up, but those that say little of
/// seccomp.
#[test]
fn made_up_scenarios_have_all_verbs() {
    let plan = plan(Profile::default());
    let mut words = BTreeSet::new();
    let mut races = 0;
    for number in 0..3000 {
        let scenario = plan.case(number);
        races += usize::from(scenario.races());
        for operation in scenario.steps.iter().flat_map(|step| &step.operations) {
            if let Act::Verb { verb, .. } = &operation.act {
                words.insert(*verb);
            }
        }
    }
    let missing: Vec<&str> = unotify_lab::scenario::VERBS
        .iter()
        .filter(|signature| !words.contains(&signature.verb))
        .map(|signature| signature.word)
        .collect();
    assert_eq!(missing, ["store", "load", "delay", "await"]);
    assert!(races > 300, "only {races} of 3000 race");
}

/// The model allows what it once did not, however often it is run.
#[rstest]
fn what_once_diverged_is_allowed(#[files("tests/diverged/*.toml")] scenario: PathBuf) {
    let ran = Command::new(env!("CARGO_BIN_EXE_unotify-lab"))
        .args(["run", "-v", "--repeat", "4"])
        .arg(&scenario)
        .output()
        .expect("it can be started");
    let told = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{told}{}", String::from_utf8_lossy(&ran.stderr));
    let judged = told.contains(" 1 conforming") || told.contains(" 1 skipped");
    assert!(judged, "{told}");
}
