//! The command as a person uses it: output, exit statuses, mistakes.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rstest::rstest;
use unotify_lab::suite::RunRecord;
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

fn written(folder: &Path, name: &str, header: &str, steps: &str) -> PathBuf {
    let path = folder.join(name);
    let body = format!("summary = 's'\n{header}\n[schedule]\nsteps = '''\n{steps}\n'''\n");
    fs::write(&path, body).expect("the scenario is written");
    path
}

/// A scenario whose trace differs from run to run.
fn unstable(folder: &Path) -> PathBuf {
    let steps = "T: getrandom(&b, 8, 0)\nT: load b unit=8";
    written(folder, "unstable.toml", "[buffers]\nb = 8\n[target.T]", steps)
}

#[test]
fn the_whole_catalogue_conforms_and_its_record_reads_back() {
    let output = lab(&["run", "--format", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let record: RunRecord = serde_json::from_slice(&output.stdout).expect("it is a record");
    assert_eq!(record.format, RunRecord::FORMAT);
    assert!(!record.kernel.release.is_empty());
    for case in &record.cases {
        let fine = !case.verdict.is_finding() && !case.verdict.is_trouble();
        assert!(fine, "{}: {:?}", case.scenario, case.verdict);
        assert_eq!(case.hash.len(), 64);
        let seen = case.trace.is_some() || !case.ways.is_empty();
        assert_eq!(seen, !matches!(case.verdict, Verdict::Skipped(_)));
    }
    let conforms =
        |verdict: &Verdict| matches!(verdict, Verdict::Conforms | Verdict::Backported(_));
    let conforming = record.cases.iter().filter(|case| conforms(&case.verdict)).count();
    assert!(conforming * 10 >= record.cases.len() * 8, "only {conforming} conform");
    for claim in &record.claims {
        assert!(!claim.standing.is_finding(), "{}: {:?}", claim.claim, claim.standing);
    }
}

#[test]
fn an_ordinary_user_can_run_the_catalogue() {
    // A copy that everybody may read: the checkout may lie in a closed home.
    let folder = tempfile::tempdir().expect("a folder");
    let open = fs::Permissions::from_mode(0o777);
    fs::set_permissions(folder.path(), open).expect("it is ours");
    let copy = folder.path().join("unotify-lab");
    fs::copy(env!("CARGO_BIN_EXE_unotify-lab"), &copy).expect("a copy");
    let mut command = Command::new(&copy);
    command.args(["run", "--format", "json"]).current_dir("/").env("TMPDIR", folder.path());
    if fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0) {
        command.uid(65534).gid(65534);
    }
    let output = command.output().expect("the copy starts");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let record: RunRecord = serde_json::from_slice(&output.stdout).expect("it is a record");
    assert_ne!(record.user, 0);
    for case in &record.cases {
        match &case.verdict {
            Verdict::Skipped(why) => assert!(why.starts_with("needs "), "{why}"),
            verdict => assert!(
                !verdict.is_finding() && !verdict.is_trouble(),
                "{}: {verdict:?}",
                case.scenario
            ),
        }
    }
    let ran = record.cases.iter().filter(|case| case.trace.is_some() || !case.ways.is_empty());
    let ran = ran.count();
    assert!(ran * 10 >= record.cases.len() * 8, "only {ran} of {} ran", record.cases.len());
}

#[test]
fn eight_workers_and_repetition_change_nothing() {
    let output = lab(&["run", "--jobs", "8", "--repeat", "3"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
}

#[test]
fn runs_that_differ_are_a_finding() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = unstable(folder.path());
    let output = lab(&["run", "--repeat", "3", path.to_str().expect("it is text")]);
    let told = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("two runs differ at line 2"), "{told}");
    let once = lab(&["run", path.to_str().expect("it is text")]);
    assert_eq!(once.status.code(), Some(0));
    assert!(text(&once.stdout).contains("1 conforming"), "the model allows anything there");
}

/// Whichever of two that wait gets the notification: the model knows both ways.
/// A page that several processes wait on is filled for all of them, once.
#[test]
fn a_held_page_is_let_go_once_for_all() {
    let folder = tempfile::tempdir().expect("a folder");
    let steps = "A: access(&H, 0)\nB: access(&H, 0)\nrelease H \".\"\nA: access(&H, 0)\nrelease H";
    let path = written(folder.path(), "held.toml", "held = [\"H\"]\n[target.A]\n[target.B]", steps);
    let output = lab(&["run", "-v", path.to_str().expect("a text")]);
    let told = text(&output.stdout);
    assert_eq!(told.matches(" blocks\n").count(), 2, "{told}");
    assert_eq!(told.matches(" ok\n").count(), 4, "{told}");
    assert!(told.contains("nobody waits on it"), "{told}");
}

#[test]
fn runs_that_differ_as_the_model_says_are_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let tables = r#"
[target.T]
filters = [{ on = "mkdir", do = "USER_NOTIF", listener = "L" }]

[supervisor.S]

[supervisor.R]"#;
    let steps = "S: recv L\nR: recv L\nT: mkdir(\"d\", 0)\nkill T";
    let path = written(folder.path(), "either.toml", tables, steps);
    let output = lab(&["run", "--repeat", "50", path.to_str().expect("it is text")]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
}

#[rstest]
#[case::unknown_scenario(&["run", "no-such-thing"], "is neither a scenario nor a file")]
#[case::unknown_theme(&["run", "--theme", "no-such-theme"], "there is no theme")]
#[case::no_workers(&["run", "--jobs", "0"], "--jobs")]
#[case::output_in_no_folder(&["run", "-o", "/no/such/folder/file"], "/no/such/folder/file")]
#[case::unknown_format(&["run", "--format", "xml"], "possible values")]
#[case::unknown_command(&["walk"], "unrecognized subcommand")]
#[case::nothing_to_check(&["check", "/no/such/file.toml"], "no such file")]
#[case::nothing_to_show(&["show", "signals/no-such"], "is neither a scenario nor a file")]
fn a_users_mistake_is_told_and_ends_with_2(#[case] arguments: &[&str], #[case] expected: &str) {
    let output = lab(arguments);
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains(expected), "{told}");
}

#[test]
fn a_wrong_file_is_told_with_its_place_wherever_it_is_used() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = written(folder.path(), "wrong.toml", "[target.T]", "T: mkdri(\"d\", 0)");
    let path = path.to_str().expect("it is text");
    for command in ["run", "check", "show"] {
        let output = lab(&[command, path]);
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(told.contains("wrong.toml:5:4"), "{told}");
        assert!(told.contains("unknown system call \"mkdri\""), "{told}");
    }
}

#[test]
fn garbage_is_told_and_nothing_is_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("garbage.toml");
    let mut garbage = vec![0; 10 << 20];
    fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut garbage))
        .expect("there is chance");
    fs::write(&path, garbage).expect("it is written");
    let output = lab(&["run", path.to_str().expect("it is text")]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("garbage.toml:1"), "{}", text(&output.stderr));
}

#[test]
fn a_scenario_is_shown_as_a_file_that_reads_back() {
    let shown = text(&lab(&["show", "signals/restarted-call-notifies-again"]).stdout);
    assert!(shown.contains("jne #SYS_mkdir") || shown.contains("jeq #SYS_mkdir"), "{shown}");
    assert!(shown.contains("(stage)"), "{shown}");
    let script = shown.split_once("\n\n").expect("an id stands first").1;
    let script = script.split_once("\nfilter ").expect("filters follow").0;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("again.toml");
    fs::write(&path, script).expect("it is written");
    let checked = lab(&["check", path.to_str().expect("it is text")]);
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stderr));
}

#[test]
fn a_scenario_is_drawn_without_running_it() {
    for words in [["show", "--drawing"], ["model", "--drawing"]] {
        let shown =
            text(&lab(&[words[0], words[1], "signals/restarted-call-notifies-again"]).stdout);
        assert!(shown.contains("──n2─▶●   again: S: recv L as n2"), "{shown}");
        assert!(shown.contains("█ blocked"), "{shown}");
    }
}

#[test]
fn the_list_has_a_line_for_every_scenario() {
    let output = lab(&["list"]);
    let list = text(&output.stdout);
    assert!(list.lines().all(|line| line.contains('/') && line.contains('\t')), "{list}");
    assert!(list.contains("signals/restarted-call-notifies-again\t"));
}

#[test]
fn records_are_compared_step_by_step() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).to_str().expect("it is text").to_owned();
    let (before, after, allow) = (at("before.json"), at("after.json"), at("allow"));
    let run =
        lab(&["run", "recv/after-last-exit", "recv/basic", "--format", "json", "-o", &before]);
    assert_eq!(run.status.code(), Some(0));
    let same = lab(&["diff", &before, &before]);
    assert_eq!(same.status.code(), Some(0), "{}", text(&same.stdout));
    let record = fs::read_to_string(&before).expect("the record is there");
    let mut record: RunRecord = serde_json::from_str(&record).expect("it reads");
    let trace = record.cases[0].trace.as_mut().expect("it ran");
    let event = trace.events.iter_mut().find(|event| event.label.as_deref() == Some("end"));
    event.expect("it has the step").outcome = unotify_lab::trace::Outcome::Blocked;
    let changed = serde_json::to_string(&record).expect("it is data");
    fs::write(&after, &changed).expect("it is written");
    let written = changed;
    let differs = lab(&["diff", &before, &after]);
    let told = text(&differs.stdout);
    assert_eq!(differs.status.code(), Some(1), "{told}");
    assert!(told.contains("recv/after-last-exit\n    end: S: recv L\n"), "{told}");
    assert!(told.contains(": blocks\n") && !told.contains("recv/basic"), "{told}");
    fs::write(&allow, "# known\nrecv/after-last-exit # since 6.11\n").expect("it is written");
    let allowed = lab(&["diff", &before, &after, "--allow", &allow]);
    assert_eq!(allowed.status.code(), Some(0), "{}", text(&allowed.stdout));
    for (contents, expected) in [
        ("{", "no run record"),
        ("{\"cases\": []}", "it has no format"),
        ("{\"format\": 99}", "format 99; this tool reads 1"),
        ("{\"format\": 1}", "a broken run record: missing field"),
        (&written.replacen("\"conforms\"", "\"confirms\"", 1), "cases[0].verdict: unknown variant"),
    ] {
        fs::write(&after, contents).expect("it is written");
        let refused = lab(&["diff", &before, &after]);
        let told = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(2), "{told}");
        assert!(told.contains(expected), "{told}");
    }
}

#[test]
fn a_reader_that_has_gone_is_no_trouble() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_unotify-lab"))
        .arg("list")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    drop(command.stdout.take());
    let output = command.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}
