//! Every fuzz target's oracle, over its seed corpus and over made-up cases.

use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sched::sched_getaffinity;
use nix::unistd::{Pid, geteuid};
use rstest::rstest;
use unotify_lab::abi::{AUDIT_ARCH_I386, AUDIT_ARCH_X86_64, SeccompData, SockFilter};
use unotify_lab::bpf::{assemble, validate};
use unotify_lab::explore::{Judgement, Plan};
use unotify_lab::fuzz::{Target, bytes_of, profile, scenario_of};
use unotify_lab::live::Pool;
use unotify_lab::live::oracle::{Programs, Watch, give_up_real_time};

const SEED: u64 = 5;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

fn seeds(target: Target) -> Vec<(String, Vec<u8>)> {
    let folder = folder().join("seeds").join(target.name());
    let entries = std::fs::read_dir(&folder).expect("each target has a folder of seeds");
    entries
        .map(|entry| {
            let path = entry.expect("it can be read").path();
            let bytes = std::fs::read(&path).expect("a seed can be read");
            (path.display().to_string(), bytes)
        })
        .collect()
}

#[rstest]
#[case(Target::BpfValidate, 3000, 100)]
#[case(Target::BpfEval, 3000, 100)]
#[case(Target::StackEval, 2000, 1000)]
#[case(Target::Response, 10000, 15)]
#[case(Target::Addfd, 10000, 15)]
#[case(Target::Conversation, 300, 200)]
#[case(Target::ScenarioText, 2000, 0)]
#[case(Target::RunRecord, 100, 0)]
fn nothing_diverges(#[case] target: Target, #[case] cases: u64, #[case] at_least: usize) {
    let executable = Path::new(env!("CARGO_BIN_EXE_unotify-lab"));
    let mut oracle = target.start(Some(executable), None).expect("it starts here");
    let made = (0..cases).map(|number| (format!("case {number}"), bytes_of(SEED, number)));
    let seeds = seeds(target);
    assert!(!seeds.is_empty(), "{target:?} has no seeds");
    let mut seen = std::collections::BTreeSet::new();
    for (name, bytes) in seeds.into_iter().chain(made) {
        let checked = oracle.check(&bytes, &mut |kind| {
            seen.insert(kind);
        });
        match checked {
            Ok(None) => {}
            Ok(Some(divergence)) => panic!("{name} of {target:?}:\n{divergence}"),
            Err(trouble) => panic!("{name} of {target:?} came to nothing: {trouble}"),
        }
    }
    println!("{} kinds of outcome", seen.len());
    // An oracle that comes to nothing is none.
    assert!(seen.len() >= at_least, "{} kinds of outcome", seen.len());
}

#[test]
fn every_target_has_its_file() {
    for target in Target::ALL {
        let path = folder().join("fuzz_targets").join(format!("{}.rs", target.name()));
        let text = std::fs::read_to_string(&path).expect("the target has a file");
        assert!(text.contains(&format!("{target:?}")), "{}", path.display());
    }
}

/// Judged by the facts of a kernel that has neither ADDFD nor CONTINUE, this one
/// diverges: an oracle that cannot find anything is none.
#[rstest]
#[case(Target::Response)]
#[case(Target::Addfd)]
#[case(Target::Conversation)]
fn a_wrong_model_is_found(#[case] target: Target) {
    let executable = Path::new(env!("CARGO_BIN_EXE_unotify-lab"));
    let old = "5.4".parse().expect("it is a release");
    let mut oracle = target.start(Some(executable), Some(old)).expect("it starts here");
    let found = (0..1000).any(|number| {
        let checked = oracle.check(&bytes_of(SEED, number), &mut |_| {});
        checked.expect("there is no trouble").is_some()
    });
    assert!(found, "{target:?} finds nothing wrong");
}

/// What another program would do is not what is observed.
#[rstest]
#[case::number("ld [nr]\njeq #39, yes, no\nyes: ret ERRNO(1)\nno: ret TRAP(2)", "39", "83")]
#[case::data("ret ERRNO(1)", "(1)", "(2)")]
#[case::trap_data("ret TRAP(1)", "(1)", "(2)")]
#[case::who_is_killed("ret KILL_THREAD", "THREAD", "PROCESS")]
#[case::killed_at_all("ret KILL_PROCESS", "KILL_PROCESS", "ALLOW")]
#[case::notified_or_not("ret USER_NOTIF", "USER_NOTIF", "ERRNO(ENOSYS)")]
#[case::traced_or_not("ret TRACE(5)", "TRACE(5)", "ERRNO(ENOSYS)")]
#[case::message_of_trace("ret TRACE(5)", "(5)", "(6)")]
#[case::made_or_not("ret LOG", "LOG", "ERRNO(0)")]
#[case::not_taken("ret ALLOW", "ret ALLOW", "ld #1")]
fn another_program_is_told_apart(#[case] text: &str, #[case] word: &str, #[case] other: &str) {
    let real = assemble(text).expect("it is sound");
    let wrong = assemble(&text.replace(word, other)).expect("it is sound");
    let installs = |_: &[&[SockFilter]], one: &[SockFilter]| validate(one).map_or(-22, |()| 0);
    let getpid = SeccompData { nr: 39, arch: AUDIT_ARCH_X86_64, ..SeccompData::default() };
    let i386 = SeccompData { nr: 20, arch: AUDIT_ARCH_I386, ..SeccompData::default() };
    let mut oracle = Programs::new().expect("tasks can be started");
    let mut told_apart = false;
    for watch in [Watch::Nobody, Watch::Supervisor(0), Watch::Tracer] {
        let mut calls = vec![getpid, i386];
        let foreseen = oracle.foresee(&[&real], &mut calls, watch, installs);
        let observed = oracle.run(&[&real], &calls, watch).expect("the kernel can be asked");
        assert_eq!(observed, foreseen, "{watch:?}");
        let mut calls = vec![getpid, i386];
        told_apart |= oracle.foresee(&[&wrong], &mut calls, watch, installs) != observed;
    }
    assert!(told_apart);
}

/// Where the thread may run is its own affair again.
#[rstest]
#[case(Target::BpfEval)]
#[case(Target::Response)]
#[case(Target::Addfd)]
fn a_fuzzing_thread_is_let_go(#[case] target: Target) {
    let own = Pid::from_raw(0);
    let before = sched_getaffinity(own).expect("it can be asked");
    let mut oracle = target.start(None, None).expect("it starts here");
    assert_eq!(oracle.check(&bytes_of(SEED, 0), &mut |_| {}), Ok(None));
    drop(oracle);
    assert_eq!(sched_getaffinity(own).expect("it can be asked"), before);
}

/// A real-time policy that this process was started with is given up, as filters
/// installed under one can stop a machine. Nothing is installed here.
#[test]
fn a_real_time_policy_is_given_up() {
    let policy = || {
        // SAFETY: asks about the calling thread.
        unsafe { libc::sched_getscheduler(0) }
    };
    let urgent = libc::sched_param { sched_priority: 1 };
    // SAFETY: the parameters live through the call.
    if unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const urgent) } < 0 {
        println!("without the right to a real-time policy there is none to give up");
    }
    give_up_real_time().expect("an ordinary policy is everybody's");
    assert_eq!(policy(), libc::SCHED_OTHER);
}

/// Cases as scenarios: the model follows, and allows what is seen.
#[rstest]
#[case(Target::BpfValidate)]
#[case(Target::BpfEval)]
#[case(Target::StackEval)]
#[case(Target::Response)]
#[case(Target::Addfd)]
fn a_case_is_a_scenario_too(#[case] target: Target) {
    let executable = Path::new(env!("CARGO_BIN_EXE_unotify-lab"));
    let pool = Pool::new(1, Some(executable)).expect("workers can be started");
    let plan = Plan {
        seed: SEED,
        first: 0,
        most_found: 1,
        cases: None,
        time: None,
        profile: profile(None).expect("the kernel tells its release"),
        root: geteuid().is_root(),
    };
    let mut allowed = 0;
    for number in 0..60 {
        let bytes = bytes_of(SEED, number);
        let Some(scenario) = scenario_of(target, &bytes) else { continue };
        let (ran, _) =
            plan.run(number, scenario, &mut pool.runner()).expect("a worker can be started");
        match ran.judgement {
            Judgement::Allowed => allowed += 1,
            Judgement::Beyond(_) => {}
            other => panic!("case {number}: {other:?}\n{}\n{}", ran.scenario, ran.trace),
        }
    }
    assert!(allowed >= 40, "only {allowed} cases were followed");
}

/// From a fuzzer's finding to a scenario file that can be run.
#[test]
fn a_finding_becomes_a_scenario_file() {
    let folder = tempfile::tempdir().expect("there is room");
    let tool = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_unotify-lab"));
        let output = command.args(words).current_dir(&folder).output().expect("it can be run");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let fuzz = ["fuzz", "addfd", "--cases=100", "--seed=5", "--profile=5.4", "--output=kept"];
    let (code, text) = tool(&fuzz);
    assert_eq!(code, Some(1), "{text}");
    let kept = text.lines().last().expect("the file is told");
    // By the facts of this kernel nothing is wrong.
    assert_eq!(tool(&["replay", kept]).0, Some(0));
    let (code, text) = tool(&["replay", kept, "--profile=5.4"]);
    assert_eq!(code, Some(1), "{text}");
    let mut found = std::fs::read_dir(folder.path().join("scenarios/found")).expect("it is made");
    let found = found.next().expect("a file is kept").expect("it can be read").path();
    let text = std::fs::read_to_string(&found).expect("it is text");
    assert!(text.contains("This was seen") && text.contains("This is foreseen"), "{text}");
    assert_eq!(tool(&["check", &found.display().to_string()]).0, Some(0), "{text}");
}
