//! Facts by probing: the command's, those of any process, and those of a run
//! of the catalogue say the same.

use std::process::{Command, Stdio};

use rstest::rstest;
use unotify_lab::probe;
use unotify_lab::profile::FACTS;
use unotify_lab::suite::RunRecord;

fn lab(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_unotify-lab"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("the command starts");
    (output.status.code(), String::from_utf8(output.stdout).expect("the output is text"))
}

fn probed() -> serde_json::Value {
    let (status, told) = lab(&["probe", "--json"]);
    assert_eq!(status, Some(0));
    serde_json::from_str(&told).expect("it is JSON")
}

#[test]
fn the_command_finds_what_a_run_observes() {
    let mut arguments = vec!["run", "--format", "json"];
    let mut deciding: Vec<&str> = FACTS.iter().map(|fact| fact.decided_by.scenario).collect();
    deciding.sort_unstable();
    deciding.dedup();
    arguments.extend(deciding);
    let record: RunRecord = serde_json::from_str(&lab(&arguments).1).expect("it is a record");
    let probed = probed();
    assert_eq!(probed["kernel"]["release"], record.kernel.release.as_str());
    let facts = probed["facts"].as_array().expect("facts are a list");
    assert_eq!(facts.len(), FACTS.len());
    for fact in facts {
        let id = fact["fact"].as_str().expect("a fact has a name");
        match fact["holds"].as_bool() {
            Some(holds) => assert_eq!(record.facts.get(id), Some(&holds), "{id}"),
            None => assert!(fact["undecided"].is_string(), "{id} is undecided without a reason"),
        }
    }
}

#[test]
fn any_process_finds_the_same_and_is_left_as_it_was() {
    let attributes = || {
        let status = std::fs::read_to_string("/proc/thread-self/status").expect("it is our own");
        let of = |line: &&str| line.starts_with("Seccomp") || line.starts_with("NoNewPrivs");
        status.lines().filter(of).map(str::to_owned).collect::<Vec<_>>()
    };
    let before = attributes();
    let here = probe::facts();
    let again = probe::facts();
    assert_eq!(here, again);
    assert_eq!(attributes(), before);
    let probed = probed();
    for id in probe::DECIDED {
        let fact = probed["facts"].as_array().into_iter().flatten().find(|one| one["fact"] == *id);
        let holds = fact.expect("the command tells it, too")["holds"].as_bool();
        assert_eq!(here.holds(id), holds, "{id}");
        assert!(holds.is_some(), "{id}");
    }
    assert_eq!(here.iter().count(), probe::DECIDED.len());
}

#[rstest]
#[case::good(&["--expect", "end=ENOENT | blocks"], 0, "good\n")]
#[case::bad(&["--expect", "end=returns *"], 1, "bad: ")]
#[case::conforms(&[], 0, "good\n")]
#[case::repeated(&["--repeat", "20"], 0, "good\n")]
#[case::odds(&["--odds", "5"], 0, "good\n")]
#[case::no_odds(&["--odds", "0"], 128, "")]
#[case::no_such_label(&["--expect", "other=ok"], 128, "")]
#[case::no_pattern(&["--expect", "end"], 128, "")]
#[case::fact_and_scenario(&["--fact", "recv-fifo"], 128, "")]
#[case::no_such_option(&["--no-such-option"], 128, "")]
fn a_bisection_is_answered(
    #[case] arguments: &[&str],
    #[case] status: i32,
    #[case] expected: &str,
) {
    let scenario = ["run", "--bisect", "--scenario", "recv/after-last-exit"];
    let (code, told) = lab(&[&scenario, arguments].concat());
    assert_eq!(code, Some(status), "{told}");
    assert!(told.starts_with(expected), "{told}");
}

#[test]
fn a_fact_that_holds_is_bad_and_its_options_need_a_bisection() {
    let held = FACTS.iter().find(|fact| probe::facts().holds(fact.id) == Some(true));
    let held = held.expect("every kernel has some").id;
    assert_eq!(lab(&["run", "--bisect", "--fact", held]).0, Some(1));
    assert_eq!(lab(&["run", "--fact", held]).0, Some(2));
    assert_eq!(lab(&["run", "--odds", "5"]).0, Some(2));
    let none = lab(&["vm", "run", "--kernel", "/no/such", "--bisect", "--fact", held]);
    assert_eq!(none, (Some(125), "cannot tell: /no/such is not there\n".to_owned()));
}

/// A race that decides a fact is run until missing what would disprove it is
/// unlikely; one run that does ends it.
#[test]
fn a_fact_that_a_race_decides_is_bad_until_it_is_disproved() {
    let fact = FACTS.iter().find(|fact| fact.decided_by.is_race()).expect("there is one");
    let (status, told) = lab(&["run", "--bisect", "--fact", fact.id, "--odds", "20"]);
    let one = std::thread::available_parallelism().is_ok_and(|cpus| cpus.get() < 2);
    match probe::facts().holds("wait-killable-recv") {
        _ if one => assert_eq!(status, Some(125), "{told}"),
        Some(true) if status == Some(1) => {
            assert_eq!(told, format!("bad: {}: no run was without it\n", fact.id));
        }
        Some(true) => assert_eq!((status, told.as_str()), (Some(0), "good\n")),
        _ => assert_eq!(status, Some(125), "{told}"),
    }
}

/// What is bad in one run of many makes a bad kernel, and ends the runs.
#[test]
fn a_race_is_bad_when_one_run_is() {
    let bisect = ["run", "--bisect", "--scenario", "races/two-replies", "--odds", "50"];
    let (status, told) = lab(&[&bisect[..], &["--expect", "one=no such outcome"]].concat());
    assert_eq!(status, Some(128), "{told}");
    let (status, told) = lab(&bisect);
    let one = std::thread::available_parallelism().is_ok_and(|cpus| cpus.get() < 2);
    assert_eq!(status, Some(if one { 125 } else { 0 }), "{told}");
}
