//! `unotify-lab export`: for every scenario file, and every one that once
//! diverged, the C program of its first case is compiled without a warning and
//! prints the trace that the live world sees on this kernel. With
//! `UNOTIFY_LAB_EXPORT=all`, of all its cases.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use libtest_mimic::{Arguments, Failed, Trial};
use unotify_lab::export::c_program;
use unotify_lab::live::{Job, Pool, RunResult, missing};
use unotify_lab::model::{Setting, predict};
use unotify_lab::profile::{Profile, Release};
use unotify_lab::scenario::Scenario;
use unotify_lab::suite::{Case, Catalogue, Selection};
use unotify_lab::trace::Trace;

const TOOL: &str = env!("CARGO_BIN_EXE_unotify-lab");

fn main() {
    let arguments = Arguments::from_args();
    let catalogue = Catalogue::built_in().expect("the catalogue is well formed");
    let everything = catalogue.select(&Selection::default()).expect("all scenarios are right");
    let diverged = Selection { wanted: vec!["tests/diverged".to_owned()], theme: None };
    let catalogue = catalogue.clone().with_paths(&diverged).expect("they can be read");
    let diverged = catalogue.select(&diverged).expect("they are right");
    let all = std::env::var_os("UNOTIFY_LAB_EXPORT").is_some_and(|wanted| wanted == "all");
    let mut trials: Vec<Trial> = [everything, diverged]
        .concat()
        .chunk_by(|a, b| a.file.id == b.file.id)
        .flat_map(|cases| if all { cases } else { &cases[..1] })
        .filter(|case| !case.scenario.races())
        .map(trial)
        .collect();
    trials.push(Trial::test("a race is repeated and its ways are counted", a_race_is_counted));
    trials.push(Trial::test("one of several cases must be named", one_case_must_be_named));
    libtest_mimic::run(&arguments, trials).exit();
}

fn trial(case: &Case<'_>) -> Trial {
    let lacking = case.scenario.needs.iter().find_map(|need| missing(*need));
    let (file, source) = (case.file.id.clone(), case.file.text.to_string());
    let scenario = case.scenario.clone();
    let trial = Trial::test(case.scenario.id.clone(), move || check(&file, &source, &scenario));
    match lacking {
        Some(reason) => trial.with_kind(format!("skipped: {reason}")).with_ignored_flag(true),
        None => trial,
    }
}

fn check(file: &str, source: &str, scenario: &Scenario) -> Result<(), Failed> {
    let schedule = scenario.schedule().map_err(|found| format!("{found:?}"))?;
    let program = match c_program(scenario, &schedule, &[]) {
        Ok(program) => program,
        Err(unsayable) => {
            let told = unsayable.to_string();
            let known = ["userfaultfd(2)", "freezes a cgroup"];
            return match known.iter().any(|reason| told.contains(reason)) {
                true => Ok(()),
                false => Err(told.into()),
            };
        }
    };
    let seen = Folder::new()?.run(&program, &[])?;
    let live = run(file, source, scenario)?;
    // Where the kernel may do this or that, the model knows what.
    let profile = Profile::of(Release { major: u32::MAX, minor: 0, patch: 0 });
    let foreseen = || predict(&Setting { schedule: &schedule, profile: &profile, root: true }).0;
    let same = |trace: &Trace| squeezed(&seen) == squeezed(&trace.to_string());
    if !same(&live) && !foreseen().iter().any(same) {
        return Err(format!("in C:\n{seen}\nlive:\n{live}").into());
    }
    Ok(())
}

/// A scenario's trace in the live world.
fn run(file: &str, source: &str, scenario: &Scenario) -> Result<Trace, Failed> {
    let job =
        Job { seed: 0, file: file.to_owned(), id: scenario.id.clone(), source: source.to_owned() };
    let mut seen = None;
    Pool::new(1, Some(Path::new(TOOL)))?.run(&[job], |_, result| seen = Some(result))?;
    match seen {
        Some(RunResult::Ran(trace)) => Ok(trace),
        other => Err(format!("{other:?}").into()),
    }
}

/// A trace without the column at which its outcomes stand.
fn squeezed(trace: &str) -> Vec<String> {
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    trace.lines().map(words).collect()
}

/// A folder that is removed in the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Folder, Failed> {
        let template = std::env::temp_dir().join("unotify-lab-export.XXXXXX");
        Ok(Folder(nix::unistd::mkdtemp(&template)?))
    }

    /// Compiles a program and runs it; gives what it prints.
    fn run(&self, program: &str, arguments: &[&str]) -> Result<String, Failed> {
        let (source, binary) = (self.0.join("reproducer.c"), self.0.join("reproducer"));
        std::fs::write(&source, program)?;
        let compiled = Command::new("cc")
            .args(["-Wall", "-Wextra", "-Werror", "-o"])
            .args([&binary, &source])
            .output()?;
        if !compiled.status.success() {
            return Err(String::from_utf8_lossy(&compiled.stderr).into_owned().into());
        }
        let output = Command::new(&binary).args(arguments).stdin(Stdio::null()).output()?;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            let complaint = String::from_utf8_lossy(&output.stderr);
            return Err(format!("{}: {complaint}\n{printed}", output.status).into());
        }
        Ok(printed)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn exported(id: &str) -> Result<std::process::Output, Failed> {
    Ok(Command::new(TOOL).args(["export", id]).output()?)
}

fn a_race_is_counted() -> Result<(), Failed> {
    let output = exported("races/signal-against-send[flags=0,handler=0]")?;
    let program = String::from_utf8(output.stdout)?;
    let printed = Folder::new()?.run(&program, &["200"])?;
    let counts = printed.lines().filter_map(|line| line.strip_suffix(" of 200 runs:"));
    let counts: Vec<u32> = counts.map(str::parse).collect::<Result<_, _>>()?;
    if counts.iter().sum::<u32>() != 200 || !printed.contains("S: send n1 val=3") {
        return Err(printed.into());
    }
    Ok(())
}

fn one_case_must_be_named() -> Result<(), Failed> {
    let output = exported("races/signal-against-send")?;
    let told = String::from_utf8(output.stderr)?;
    let named = told.contains("races/signal-against-send[flags=0,handler=SA_RESTART]");
    if output.status.code() != Some(2) || !named {
        return Err(told.into());
    }
    Ok(())
}
