//! One test for every scenario file of the catalogue: its traces on this
//! kernel are those that are stored for the kernel's facts.
//!
//! `INSTA_UPDATE=always cargo test --test scenarios` writes what is seen to
//! `scenarios/traces/`; read the difference before it is committed. A file is
//! named after the facts that do not hold, so that a kernel on which a fact
//! differs has a trace of its own.

use std::collections::BTreeMap;
use std::path::Path;

use libtest_mimic::{Arguments, Failed, Trial};
use unotify_lab::live::{Job, Pool, RunResult, missing};
use unotify_lab::profile::Profile;
use unotify_lab::scenario::Scenario;
use unotify_lab::suite::{self, Case, Catalogue, Kernel, Plan, Selection, SourceFile};
use unotify_lab::trace::Trace;
use unotify_lab::verdict::{Verdict, judge, missing as without, snapshot_text, variant_of};

fn main() {
    let arguments = Arguments::from_args();
    let catalogue = Catalogue::built_in().expect("the catalogue is well formed");
    let catalogue: &'static Catalogue = Box::leak(Box::new(catalogue));
    let everything = catalogue.select(&Selection::default()).expect("all scenarios are right");
    let kernel = Kernel::running().expect("uname(2) does not fail");
    let profile = Profile::of(kernel.upstream().expect("Linux has a release"));
    let trials = everything
        .chunk_by(|a, b| a.file.id == b.file.id)
        .map(|cases| match cases[0].scenario.races() {
            true => race(catalogue, cases),
            false => trial(cases, &profile),
        })
        .collect();
    libtest_mimic::run(&arguments, trials).exit();
}

fn trial(cases: &[Case<'_>], profile: &Profile) -> Trial {
    let file = cases[0].file.clone();
    let scenarios: Vec<Scenario> = cases.iter().map(|case| case.scenario.clone()).collect();
    let lacking = scenarios[0].all_needs().into_iter().find_map(missing);
    let variant = variant_of(&scenarios[0].facts, profile);
    let updating = std::env::var_os("INSTA_UPDATE").is_some_and(|value| value != "no");
    let without = without(&scenarios[0].facts, profile);
    let stored = file.stored.iter().any(|stored| stored.without == without);
    // On a kernel whose facts nobody has stored a trace for there is nothing
    // to hold it against; on one with all facts the trace must be stored.
    let unknown = variant.clone().filter(|_| !stored && !updating);
    let reason = lacking.or(unknown.map(|variant| format!("no trace is stored {variant}")));
    let name = file.id.clone();
    let profile = profile.clone();
    let trial = Trial::test(name, move || check(&file, &scenarios, &profile, variant));
    match reason {
        Some(reason) => trial.with_kind(format!("skipped: {reason}")).with_ignored_flag(true),
        None => trial,
    }
}

/// A race has many traces, and none is stored: the model judges each.
fn race(catalogue: &'static Catalogue, cases: &[Case<'static>]) -> Trial {
    let needs = cases.iter().flat_map(|case| case.scenario.all_needs());
    let lacking = needs.into_iter().find_map(missing);
    let name = cases[0].file.id.clone();
    let cases = cases.to_vec();
    let trial = Trial::test(name, move || {
        let executable = Path::new(env!("CARGO_BIN_EXE_unotify-lab"));
        let pool = Pool::new(1, Some(executable))?;
        let plan = Plan { repeat: 1, seed: 0, judged_as: None };
        let kernel = Kernel::running()?;
        let result = suite::run(catalogue, &cases, kernel, &pool, plan, |_, _| {})?;
        for case in &result.cases {
            if case.verdict != Verdict::Conforms || case.seen().is_empty() {
                let id = &case.case.scenario.id;
                return Err(format!("{id}: {:?}: {:#?}", case.verdict, case.ways).into());
            }
        }
        Ok(())
    });
    match lacking {
        Some(reason) => trial.with_kind(format!("skipped: {reason}")).with_ignored_flag(true),
        None => trial,
    }
}

fn check(
    file: &SourceFile,
    scenarios: &[Scenario],
    profile: &Profile,
    variant: Option<String>,
) -> Result<(), Failed> {
    let traces = run(file, scenarios)?;
    let verdicts: Vec<Verdict> = scenarios
        .iter()
        .zip(&traces)
        .map(|(case, trace)| judge(&case.id, trace, &case.facts, profile, &file.stored))
        .collect();
    if verdicts.iter().any(|verdict| matches!(verdict, Verdict::Backported(_)))
        && verdicts
            .iter()
            .all(|verdict| matches!(verdict, Verdict::Conforms | Verdict::Backported(_)))
    {
        // A backport: the trace is known, for other facts than the version's.
        return Ok(());
    }
    let (theme, name) = file.id.rsplit_once('/').expect("a scenario has a theme");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/traces").join(theme);
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(folder);
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let facts: BTreeMap<&str, Option<bool>> =
        scenarios[0].facts.iter().map(|fact| (fact.as_str(), profile.holds(fact))).collect();
    if !facts.is_empty() {
        settings.set_info(&facts);
    }
    if let Some(variant) = variant {
        settings.set_snapshot_suffix(variant);
    }
    let ids = scenarios.iter().map(|case| case.id.as_str());
    let text = snapshot_text(ids.zip(&traces));
    settings.bind(|| insta::assert_snapshot!(name, text));
    Ok(())
}

fn run(file: &SourceFile, scenarios: &[Scenario]) -> Result<Vec<Trace>, Failed> {
    let jobs: Vec<Job> = scenarios
        .iter()
        .map(|scenario| Job {
            seed: 0,
            file: file.id.clone(),
            id: scenario.id.clone(),
            source: file.text.to_string(),
        })
        .collect();
    let executable = Path::new(env!("CARGO_BIN_EXE_unotify-lab"));
    let mut results = vec![None; jobs.len()];
    Pool::new(1, Some(executable))?.run(&jobs, |job, result| results[job] = Some(result))?;
    results
        .into_iter()
        .zip(scenarios)
        .map(|(result, scenario)| match result {
            Some(RunResult::Ran(trace)) => Ok(trace),
            other => Err(format!("{}: {other:?}", scenario.id).into()),
        })
        .collect()
}
