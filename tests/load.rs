//! Traces are the same on a busy machine, with many workers, and every time.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};

use unotify_lab::suite::{Catalogue, RunRecord, Selection};

/// A process that does nothing but keep a processor busy.
struct Busy(Child);

impl Busy {
    /// Two of them, beside which something is done.
    fn two() -> [Busy; 2] {
        [(); 2].map(|()| {
            let mut shell = Command::new("sh");
            shell.args(["-c", "while :; do :; done"]).stdin(Stdio::null());
            Busy(shell.spawn().expect("sh starts"))
        })
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Files of the catalogue whose scenarios have one trace: those that race have
/// a count of many.
fn without_races() -> Vec<String> {
    let catalogue = Catalogue::built_in().expect("the catalogue is well formed");
    let cases = catalogue.select(&Selection::default()).expect("all scenarios are right");
    let mut ids: Vec<String> = cases
        .iter()
        .filter(|case| !case.scenario.races())
        .map(|case| case.file.id.clone())
        .collect();
    ids.dedup();
    ids
}

/// Runs scenarios, none of which may diverge or differ from run to run; the
/// trace of each, as bytes.
fn traces(ids: &[String], options: &[&str]) -> BTreeMap<String, String> {
    traces_by(&mut Command::new(env!("CARGO_BIN_EXE_unotify-lab")), ids, options)
}

/// The same, with a command that starts the tool.
fn traces_by(tool: &mut Command, ids: &[String], options: &[&str]) -> BTreeMap<String, String> {
    let output = tool
        .args(["run", "--format", "json"])
        .args(options)
        .args(ids)
        .stdin(Stdio::null())
        .output()
        .expect("the command starts");
    let record: RunRecord = serde_json::from_slice(&output.stdout).expect("it is a record");
    for case in &record.cases {
        let fine = !case.verdict.is_finding() && !case.verdict.is_trouble();
        assert!(fine, "{options:?}: {}: {:?}", case.scenario, case.verdict);
    }
    assert_eq!(output.status.code(), Some(0), "{options:?}");
    let trace = |case: &unotify_lab::suite::CaseRecord| {
        serde_json::to_string(&case.trace).expect("a trace is plain data")
    };
    record.cases.iter().map(|case| (case.scenario.clone(), trace(case))).collect()
}

fn assert_same(plain: &BTreeMap<String, String>, other: &BTreeMap<String, String>, story: &str) {
    assert_eq!(plain.len(), other.len(), "{story}");
    for ((id, plain), other) in plain.iter().zip(other.values()) {
        assert_eq!(plain, other, "{id} {story}");
    }
}

#[test]
fn eight_workers_beside_two_busy_loops_change_nothing() {
    let ids = without_races();
    let plain = traces(&ids, &[]);
    assert!(plain.len() > 500, "only {} scenarios", plain.len());
    let _busy = Busy::two();
    assert_same(&plain, &traces(&ids, &["--jobs", "8"]), "beside busy loops");
}

/// On the only processor, an actor that watches for its turn, as its read(2) is
/// refused, keeps others from nothing.
#[test]
fn one_processor_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let spinning = folder.path().join("spinning.toml");
    let text = r#"
        summary = "An actor watches for its turn"
        behaviours = []
        [target.T]
        filters = [{ on = ["read"], do = "ERRNO(EPERM)" }]
        [target.U]
        filters = [{ on = ["read"], do = "ERRNO(EPERM)" }, { on = "mkdir", do = "USER_NOTIF", listener = "L" }]
        [supervisor.S]
        [schedule]
        steps = """
        T: getppid()
        U: mkdir("d", 0)
        S: recv L as n1
        state T
        S: send n1 val=3
        T: rmdir("d")
        kill T
        """
    "#;
    std::fs::write(&spinning, text).expect("it is written");
    let mut ids = without_races();
    ids.push(spinning.display().to_string());
    let plain = traces(&ids, &[]);
    let allowed = nix::sched::sched_getaffinity(nix::unistd::Pid::this()).expect("it is known");
    let first = (0..).find(|cpu| allowed.is_set(*cpu).expect("there is one")).expect("one");
    let mut on_one = Command::new("taskset");
    on_one.args(["-c", &first.to_string(), env!("CARGO_BIN_EXE_unotify-lab")]);
    let mut traces = traces_by(&mut on_one, &ids, &["--jobs", "1"]);
    // Two processors are a need of some, which are skipped.
    traces.retain(|_, trace| trace != "null");
    let plain = plain.into_iter().filter(|(id, _)| traces.contains_key(id)).collect();
    assert!(traces.keys().any(|id| id.ends_with("spinning")), "the one that watches did not run");
    assert!(traces.len() > 400, "only {} scenarios", traces.len());
    assert_same(&plain, &traces, "on one processor");
}

/// All of the catalogue, races too: what is seen of one that races is within
/// what the model allows, whatever the load.
#[test]
fn races_conform_beside_two_busy_loops() {
    let _busy = Busy::two();
    traces(&["races".to_owned()], &["--jobs", "8"]);
}

/// `cargo test --release --test load -- --ignored`
#[test]
#[ignore = "takes some minutes"]
fn a_hundred_repetitions_are_the_same_to_the_byte() {
    let ids = without_races();
    let plain = traces(&ids, &["--repeat", "100"]);
    assert_same(&plain, &traces(&ids, &["--repeat", "100", "--jobs", "8"]), "with eight workers");
    let _busy = Busy::two();
    assert_same(&plain, &traces(&ids, &["--repeat", "100"]), "beside busy loops");
    let both = traces(&ids, &["--repeat", "100", "--jobs", "8"]);
    assert_same(&plain, &both, "with eight workers beside busy loops");
}
