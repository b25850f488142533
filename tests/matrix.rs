//! Several records side by side: the matrix, the difference of two, and what
//! is said of folders that hold something else. No kernel is booted here.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use rstest::{fixture, rstest};
use unotify_lab::suite::{FactStanding, Matrix, RunRecord};
use unotify_lab::trace::{Event, Outcome, Trace};
use unotify_lab::verdict::Verdict;

fn lab(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_unotify-lab"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("the command starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("the output is text")
}

/// What this kernel does in two scenarios that decide facts.
#[fixture]
fn here() -> RunRecord {
    let output = lab(&["run", "--format", "json", "recv/after-last-exit", "poll/hup-of-zombie"]);
    serde_json::from_slice(&output.stdout).expect("it is a record")
}

/// The record of a kernel of that release, on which these labelled steps had
/// these outcomes.
fn kernel(base: &RunRecord, release: &str, outcomes: &[(&str, Outcome)]) -> RunRecord {
    let mut record = base.clone();
    record.kernel.release = format!("{release}-test");
    record.kernel.version = "#1 SMP".to_owned();
    for case in &mut record.cases {
        let events = &mut case.trace.as_mut().expect("it ran").events;
        for event in events {
            for (label, outcome) in outcomes {
                if event.label.as_deref() == Some(label) {
                    event.outcome = outcome.clone();
                }
            }
        }
    }
    record
}

const ENOENT: Outcome = Outcome::Returned(-2);
const POLLHUP: Outcome = Outcome::Ready(16);
const NOTHING: Outcome = Outcome::Ready(0);

fn old(base: &RunRecord, release: &str) -> RunRecord {
    kernel(base, release, &[("end", Outcome::Blocked), ("zombie", NOTHING)])
}

fn new(base: &RunRecord, release: &str) -> RunRecord {
    kernel(base, release, &[("end", ENOENT), ("zombie", POLLHUP)])
}

fn standing(matrix: &Matrix, fact: &str) -> Vec<FactStanding> {
    let row = matrix.facts.iter().find(|row| row.fact == fact).expect("the fact is known");
    row.standing.clone()
}

#[rstest]
fn kernels_stand_by_release_and_stretches_say_since_when(here: RunRecord) {
    let records = vec![
        new(&here, "7.2.13"),
        old(&here, "5.10.262"),
        new(&here, "6.12.117"),
        old(&here, "6.1.192"),
    ];
    let matrix = Matrix::of(records);
    let names: Vec<&str> = matrix.kernels.iter().map(|kernel| kernel.name.as_str()).collect();
    assert_eq!(names, ["5.10.262", "6.1.192", "6.12.117", "7.2.13"]);
    let case = matrix.cases.iter().find(|case| case.scenario == "recv/after-last-exit");
    let steps = &case.expect("it differs").steps;
    let step = steps.iter().find(|step| step.label.as_deref() == Some("end")).expect("it differs");
    let told: Vec<(usize, usize, &str)> = step
        .stretches()
        .into_iter()
        .map(|stretch| (stretch.first, stretch.last, stretch.outcome))
        .collect();
    assert_eq!(told, [(0, 1, "blocks"), (2, 3, "ENOENT")]);
}

#[rstest]
fn facts_are_told_beside_what_the_version_says(here: RunRecord) {
    let matrix = Matrix::of(vec![
        new(&here, "5.10.262"),
        old(&here, "6.1.192"),
        new(&here, "6.6.142"),
        old(&here, "7.2.13"),
    ]);
    use FactStanding::{Backported, Early, Fails, Lost, Undecided};
    // 6.6.142 has it by the table of stable releases.
    assert_eq!(standing(&matrix, "released-at-exit"), [Early, Fails, Backported, Lost]);
    assert_eq!(standing(&matrix, "recv-ends-when-last-user-exits"), [Early, Fails, Early, Lost]);
    // Nothing of these two scenarios decides it.
    assert_eq!(standing(&matrix, "recv-fifo"), [Undecided; 4]);
}

#[rstest]
fn a_case_that_was_not_run_is_no_other_behaviour(here: RunRecord) {
    let mut skipping = new(&here, "6.18.1");
    for case in &mut skipping.cases {
        case.trace = None;
        case.verdict = Verdict::Skipped("needs two processors".to_owned());
    }
    let same = Matrix::of(vec![new(&here, "6.12.117"), skipping.clone(), new(&here, "7.2.13")]);
    assert!(same.cases.is_empty(), "{:?}", same.cases);
    assert_eq!(same.skipped.len(), 2);
    assert_eq!(same.skipped[0].kernels, [1]);
    let differing = Matrix::of(vec![old(&here, "6.1.192"), skipping, new(&here, "7.2.13")]);
    let step = &differing.cases[0].steps[0];
    assert_eq!(step.outcomes[1], None);
    assert_eq!(step.stretches().len(), 2);
}

#[rstest]
fn the_same_events_in_another_order_are_a_difference(here: RunRecord) {
    let event = |actor: &str, text: &str| Event {
        act: Some(text.len()),
        actor: Some(actor.to_owned()),
        text: text.to_owned(),
        label: None,
        outcome: ENOENT,
    };
    let (a, b, c) = (event("A", "x"), event("B", "yy"), event("C", "zzz"));
    let with = |release: &str, events: Vec<Event>| {
        let mut record = new(&here, release);
        record.cases.truncate(1);
        record.cases[0].trace = Some(Trace { events });
        record
    };
    let matrix = Matrix::of(vec![
        with("6.1.0", vec![a.clone(), b.clone(), c.clone()]),
        with("7.2.0", vec![a, c, b]),
    ]);
    let step = &matrix.cases[0].steps[0];
    assert_eq!(step.step, "order of events");
    let told: Vec<&str> = step.outcomes.iter().flatten().map(String::as_str).collect();
    assert_eq!(told, ["B: yy, then C: zzz", "C: zzz, then B: yy"]);
}

#[rstest]
fn files_that_are_not_the_same_are_not_compared(here: RunRecord) {
    let mut edited = old(&here, "6.1.192");
    edited.cases[0].hash = "0".repeat(64);
    let matrix = Matrix::of(vec![edited, new(&here, "7.2.13")]);
    assert_eq!(matrix.incomparable, [here.cases[0].scenario.clone()]);
    assert_eq!(matrix.cases.len(), 1);
}

fn folder_of(records: &[RunRecord]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for record in records {
        let path = folder.path().join(format!("{}.json", record.kernel.release));
        fs::write(path, serde_json::to_string(record).expect("it is plain data"))
            .expect("it is ours");
    }
    folder
}

fn path(folder: &tempfile::TempDir) -> &str {
    folder.path().to_str().expect("it is text")
}

#[rstest]
fn the_table_is_made_of_records_that_are_there(here: RunRecord) {
    let folder = folder_of(&[new(&here, "7.2.13"), old(&here, "5.10.262"), old(&here, "6.1.192")]);
    let output = lab(&["matrix", "--from", path(&folder)]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    insta::assert_snapshot!("matrix", text(&output.stdout));
    let output = lab(&["matrix", "--format", "json", "--from", path(&folder)]);
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    assert_eq!(value["kernels"][0]["name"], "5.10.262");
    assert_eq!(value["cases"].as_array().map(Vec::len), Some(2));
}

#[rstest]
fn two_matrices_are_compared_kernel_by_kernel(here: RunRecord) {
    // One kernel of the same release, one of the same series, one alone.
    let before =
        folder_of(&[old(&here, "5.10.262"), new(&here, "6.12.117"), new(&here, "6.19.14")]);
    let after = folder_of(&[old(&here, "5.10.262"), old(&here, "6.12.118")]);
    let output = lab(&["diff", path(&before), path(&after)]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let told = text(&output.stdout).replace(path(&before), "[BEFORE]");
    insta::assert_snapshot!("diff_of_matrices", told);
    let output = lab(&["diff", path(&before), path(&before)]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
}

#[rstest]
#[case::no_folder(&["matrix", "--from", "/no/such/folder"], "/no/such/folder: No such file")]
#[case::empty_folder(&["matrix", "--from", "[EMPTY]"], "no run records")]
#[case::empty_diff(&["diff", "[EMPTY]", "[EMPTY]"], "no run records")]
#[case::mixture(&["diff", "[EMPTY]", "Cargo.toml"], "two records, or two folders")]
#[case::records_there(&["matrix", "--no-host", "--output", "[FULL]"], "it holds run records")]
#[case::not_a_record(&["matrix", "--from", "[WRONG]"], "no run record")]
#[case::unwritable(&["matrix", "--no-host", "--output", "/proc/x"], "/proc/x: ")]
#[case::not_a_kernel(&["matrix", "--kernel", "Cargo.toml"], "Cargo.toml: not a bzImage")]
#[case::no_scenario(&["matrix", "no/such"], "neither a scenario nor a file")]
#[case::run_and_from(&["matrix", "--from", "[EMPTY]", "--no-host"], "cannot be used with")]
fn mistakes_are_told_before_anything_boots(#[case] arguments: &[&str], #[case] expected: &str) {
    let folders = tempfile::tempdir().expect("a folder");
    let folder = |name: &str, file: Option<&str>| {
        let folder = folders.path().join(name);
        fs::create_dir(&folder).expect("it is ours");
        if let Some(file) = file {
            fs::write(folder.join(file), "{}").expect("it is ours");
        }
        folder.to_str().expect("it is text").to_owned()
    };
    let (empty, full) = (folder("empty", None), folder("full", Some("6.1.json")));
    let arguments: Vec<String> = arguments
        .iter()
        .map(|one| {
            one.replace("[EMPTY]", &empty).replace("[FULL]", &full).replace("[WRONG]", &full)
        })
        .collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let output = lab(&arguments);
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains(expected), "{told}");
    assert!(Path::new(&full).join("6.1.json").exists());
}
