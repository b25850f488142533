//! Several records side by side: the matrix, the difference of two, and what
//! is said of folders that hold something else. No kernel is booted here.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use rstest::{fixture, rstest};
use unotify_lab::suite::{FactStanding, Matrix, RunRecord, StepRow, Way, diff};
use unotify_lab::trace::{Event, Outcome, Trace};
use unotify_lab::verdict::{Difference, Verdict};

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
    assert_eq!(told(step), [(vec![0, 1], "blocks".into()), (vec![2, 3], "ENOENT".into())]);
}

fn told(step: &StepRow) -> Vec<(Vec<usize>, String)> {
    step.stretches().into_iter().map(|one| (one.kernels, one.did.to_string())).collect()
}

/// What changed in `recv/after-last-exit`, between which kernels by number.
fn changes(matrix: &Matrix) -> Vec<(usize, usize)> {
    let case = matrix.cases.iter().find(|case| case.scenario == "recv/after-last-exit");
    case.map_or_else(Vec::new, |case| case.changes.iter().map(|one| (one.from, one.to)).collect())
}

fn without(mut record: RunRecord, verdict: &Verdict) -> RunRecord {
    for case in &mut record.cases {
        case.trace = case.trace.take().filter(|_| !matches!(verdict, Verdict::Skipped(_)));
        case.verdict = verdict.clone();
    }
    record
}

#[rstest]
fn what_changes_and_changes_back_is_told_as_that(here: RunRecord) {
    // As a backport to one stable series has it.
    let matrix = Matrix::of(vec![
        old(&here, "6.1.192"),
        new(&here, "6.12.117"),
        old(&here, "6.18.15"),
        new(&here, "7.2.13"),
    ]);
    assert_eq!(changes(&matrix), [(0, 1), (1, 2), (2, 3)]);
    let folder = folder_of(&matrix.records);
    let output = lab(&["report", path(&folder), "--format", "markdown"]);
    let text = text(&output.stdout);
    assert!(text.contains("## Changed between 6.12.117 and 6.18.15"), "{text}");
    assert!(text.contains("* it changed 3 times"), "{text}");
}

#[rstest]
#[case::not_run(Verdict::Skipped("needs two processors".to_owned()))]
#[case::cut_off(Verdict::Inconclusive("no end after 30 s".to_owned()))]
#[case::unstable(Verdict::Unstable(Difference { line: 1, expected: "a".into(), seen: "b".into() }))]
fn nothing_is_said_of_a_kernel_that_gave_no_answer(here: RunRecord, #[case] verdict: Verdict) {
    let kernels = |between: RunRecord| {
        Matrix::of(vec![
            old(&here, "5.10.262"),
            old(&here, "6.1.192"),
            without(between, &verdict),
            new(&here, "6.18.15"),
            new(&here, "7.2.13"),
        ])
    };
    // Whatever it did before it was cut off.
    for between in [old(&here, "6.12.117"), new(&here, "6.12.117")] {
        let matrix = kernels(between);
        assert_eq!(changes(&matrix), [(1, 3)]);
        let steps = &matrix.cases[0].steps;
        assert_eq!(steps[0].outcomes[2], None);
        assert_eq!(matrix.kernels_told(&told(&steps[0])[1].0), "6.18.15 to 7.2.13");
    }
    let matrix = Matrix::of(vec![
        new(&here, "6.12.117"),
        without(old(&here, "6.18.15"), &verdict),
        new(&here, "7.2.13"),
    ]);
    assert!(matrix.cases.is_empty());
    assert_eq!(matrix.kernels_told(&[0, 2]), "6.12.117, 7.2.13");
}

#[rstest]
fn a_change_without_a_label_is_told_beside_one_with_it(here: RunRecord) {
    // A labelled step changed first, and another one, without label, later.
    let later = |release: &str| {
        let mut record = new(&here, release);
        let case = record.cases.iter_mut().find(|case| case.scenario == "recv/after-last-exit");
        let trace = case.and_then(|case| case.trace.as_mut()).expect("it ran");
        let event = trace.events.iter_mut().find(|event| event.label.is_none());
        event.expect("there is one").outcome = Outcome::Returned(77);
        record
    };
    let matrix = Matrix::of(vec![old(&here, "6.1.192"), new(&here, "6.12.117"), later("7.2.13")]);
    assert_eq!(changes(&matrix), [(0, 1), (1, 2)]);
    let folder = folder_of(&matrix.records);
    let output = lab(&["matrix", "--from", path(&folder)]);
    let text = text(&output.stdout);
    assert!(text.contains("7.2.13: returns 77   (changed between 6.12.117 and 7.2.13)"), "{text}");
}

/// The record of a race: how often it went each way, 0 for a way that the
/// model allows.
fn race(base: &RunRecord, release: &str, ways: &[(Outcome, Outcome, usize)]) -> RunRecord {
    let event = |act: usize, text: &str, label: Option<&str>, outcome: &Outcome| Event {
        act: Some(act),
        actor: Some("S".to_owned()),
        text: text.to_owned(),
        label: label.map(str::to_owned),
        outcome: outcome.clone(),
    };
    let mut record = new(base, release);
    record.cases.truncate(1);
    let case = &mut record.cases[0];
    case.trace = None;
    let trace = |send: &Outcome, call: &Outcome| Trace {
        events: vec![event(0, "send n1", Some("reply"), send), event(1, "call", None, call)],
    };
    let way = |(send, call, count): &(Outcome, Outcome, usize)| Way {
        count: *count,
        trace: trace(send, call),
    };
    case.ways = ways.iter().map(way).collect();
    record
}

const OK: Outcome = Outcome::Returned(0);
const THREE: Outcome = Outcome::Returned(3);
const EINTR: Outcome = Outcome::Returned(-4);

#[rstest]
#[case::same_ways_seen_by_chance(
    &[(OK, THREE, 97), (ENOENT, EINTR, 3)], &[(OK, THREE, 100), (ENOENT, EINTR, 0)], &[]
)]
#[case::counts_alone(&[(OK, THREE, 1), (ENOENT, EINTR, 99)], &[(OK, THREE, 99), (ENOENT, EINTR, 1)], &[])]
#[case::never_seen_and_not_allowed_there(
    &[(OK, THREE, 100), (ENOENT, EINTR, 0)], &[(OK, THREE, 100)], &[]
)]
#[case::seen_and_not_allowed_there(
    &[(OK, THREE, 99), (ENOENT, EINTR, 1)], &[(OK, THREE, 100)], &["reply: S: send n1"]
)]
#[case::other_ways_together(
    &[(OK, THREE, 50), (ENOENT, EINTR, 49), (OK, EINTR, 1)],
    &[(OK, THREE, 50), (ENOENT, EINTR, 50)],
    &["what goes together"]
)]
fn a_race_differs_where_a_way_was_seen_that_the_other_kernel_may_not_go(
    here: RunRecord,
    #[case] before: &[(Outcome, Outcome, usize)],
    #[case] after: &[(Outcome, Outcome, usize)],
    #[case] steps: &[&str],
) {
    let records = [race(&here, "6.1.192", before), race(&here, "6.12.117", after)];
    let found = diff(&records[0], &records[1]);
    let differing: Vec<&str> = found
        .iter()
        .flat_map(|one| &one.steps)
        .filter(|step| step.label.is_some() || step.step.starts_with("what"))
        .map(|step| step.step.as_str())
        .collect();
    assert_eq!(differing, steps);
    assert_eq!(found.is_empty(), steps.is_empty());
    let matrix = Matrix::of(records.to_vec());
    assert_eq!(matrix.cases.len(), found.len());
    // Where the model does not tell all ways, nothing is said.
    let mut open = records;
    open[1].cases[0].more_ways = Some("there are more ways than are told".to_owned());
    assert_eq!(diff(&open[0], &open[1]), []);
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
    let told: Vec<String> = step.outcomes.iter().flatten().map(ToString::to_string).collect();
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

/// What was not run, or came to no result, is no change: it is told, and the
/// command could not do all of its work.
#[rstest]
#[case::fault(Verdict::Fault("the guest broke down".to_owned()),
    "not compared: after, the harness failed: the guest broke down")]
#[case::skipped(Verdict::Skipped("needs a second processor".to_owned()),
    "not compared: after, it was not run: needs a second processor")]
fn trouble_is_no_change(here: RunRecord, #[case] verdict: Verdict, #[case] expected: &str) {
    let before = folder_of(&[new(&here, "7.2.13")]);
    let mut troubled = new(&here, "7.2.13");
    troubled.cases[0].verdict = verdict.clone();
    let compare = |after: &RunRecord, more: &[&str]| {
        let after = folder_of(std::slice::from_ref(after));
        let output = lab(&[&["diff", path(&before), path(&after)], more].concat());
        (output.status.code(), text(&output.stdout) + &text(&output.stderr))
    };
    let (status, told) = compare(&troubled, &[]);
    assert!(told.contains(expected), "{told}");
    assert!(told.contains("0 scenarios changed, 1 not compared, 0 allowed"), "{told}");
    assert_eq!(status, Some(3), "{told}");
    // What did change is a change nevertheless.
    let mut changed = old(&here, "7.2.13");
    changed.cases[0].verdict = verdict;
    assert_eq!(compare(&changed, &[]).0, Some(1));
    // What may be left out is.
    let allow = tempfile::NamedTempFile::new().expect("a file can be made");
    fs::write(allow.path(), format!("{} # flaky\n", here.cases[0].scenario)).expect("it is ours");
    let allow = allow.path().to_str().expect("it is text");
    assert_eq!(compare(&troubled, &["--allow", allow]).0, Some(0));
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
