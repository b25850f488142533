//! `run --bisect`, `vm run --bisect`, and `unotify-lab bisect`

use std::io::Write;
use std::process::ExitCode;

use clap::Args;

use super::matrix::SERIES;
use super::output::{Output, style};
use super::run::RunArguments;
use super::vm::{MachineArguments, VmCommand, VmRunArguments};
use super::{Command, End, Failure};
use crate::live::{Job, Pool, RunResult};
use crate::profile;
use crate::suite::{
    self, Answer, Case, Catalogue, Found, Kernel, Plan, Question, Row, Selection, Subject, search,
    steady_traces,
};
use crate::trace::Trace;
use crate::vm::{self, KernelImage, Machine, VmError};

/// What `git bisect run` takes for "cannot be tested".
const CANNOT_TELL: u8 = 125;
/// What ends `git bisect run`: a mistake that every commit would repeat.
const ABORT: u8 = 128;

/// Options of a run that answers for `git bisect run`.
#[derive(Debug, Args)]
pub(super) struct BisectOptions {
    /// End as `git bisect run` wants it: 0 good, 1 bad, 125 cannot tell, 128
    /// where the command itself is wrong. One bad run of --repeat is bad
    #[arg(long, conflicts_with_all = ["format", "output", "accept", "theme"])]
    bisect: bool,
    /// The scenario to bisect by
    #[arg(long, value_name = "ID")]
    scenario: Option<String>,
    #[command(flatten)]
    question: QuestionArguments,
}

/// What is good.
#[derive(Debug, Args)]
struct QuestionArguments {
    /// Good is: the step with this label has these outcomes. `*` stands for
    /// anything, ` | ` separates alternatives
    #[arg(long, value_name = "LABEL=PATTERN", conflicts_with = "fact")]
    expect: Option<String>,
    /// Good is: this fact does not hold, as on older kernels. The first bad
    /// commit is the one that brought it; no scenario is named
    #[arg(long, value_name = "FACT")]
    fact: Option<String>,
}

impl BisectOptions {
    /// Whether this run is one.
    ///
    /// # Errors
    ///
    /// Options that mean nothing without --bisect.
    fn is_wanted(&self) -> Result<bool, Failure> {
        let QuestionArguments { expect, fact } = &self.question;
        if !self.bisect && (self.scenario.is_some() || expect.is_some() || fact.is_some()) {
            let why = "--scenario, --expect and --fact belong to --bisect";
            return Err(Failure::User(why.to_owned()));
        }
        Ok(self.bisect)
    }
}

impl QuestionArguments {
    /// The question and what has to be run for it; none where only a
    /// difference is looked for.
    fn question(&self, mut wanted: Vec<String>) -> Result<(Option<Question>, Selection), Failure> {
        let user = |why: String| Err(Failure::User(why));
        let question = match (&self.fact, &self.expect) {
            (Some(_), _) if !wanted.is_empty() => {
                return user("--fact names its scenario itself".to_owned());
            }
            (Some(id), _) => match profile::fact(id) {
                Some(fact) => {
                    wanted = vec![fact.decided_by.scenario.to_owned()];
                    Some(Question::Without(fact))
                }
                None => {
                    let known: Vec<&str> = profile::FACTS.iter().map(|fact| fact.id).collect();
                    return user(format!("--fact {id}: facts are {}", known.join(", ")));
                }
            },
            (None, Some(expected)) => match expected.split_once('=') {
                Some((label, pattern)) => {
                    let (label, pattern) = (label.to_owned(), pattern.to_owned());
                    Some(Question::Expect { label, pattern })
                }
                None => return user(format!("--expect {expected}: it is LABEL=PATTERN")),
            },
            (None, None) => None,
        };
        if wanted.is_empty() {
            return user("name a scenario to bisect by, or a --fact".to_owned());
        }
        Ok((question, Selection { wanted, theme: None }))
    }
}

/// Refuses a label that no step has: every kernel would lack it.
fn check_label(question: Option<&Question>, cases: &[Case<'_>]) -> Result<(), Failure> {
    let Some(Question::Expect { label, .. }) = question else { return Ok(()) };
    for case in cases {
        let has = case.scenario.schedule().is_ok_and(|schedule| {
            schedule.acts.iter().any(|act| act.label.as_deref() == Some(label))
        });
        if !has {
            let id = &case.scenario.id;
            return Err(Failure::User(format!("--expect {label}=…: {id} has no such label")));
        }
    }
    Ok(())
}

/// Runs of cases, by the case's number, on a kernel.
type Runs = (Subject, Vec<(usize, RunResult)>);

/// Answers for `git bisect run`, if that is what the command is for.
pub(super) fn answers(command: &Command, output: &mut Output) -> Option<ExitCode> {
    let run = match command {
        Command::Run(arguments) => arguments,
        Command::Vm(VmCommand::Run(arguments)) => &arguments.run,
        _ => return None,
    };
    match run.bisect().is_wanted() {
        Ok(false) => None,
        Ok(true) => Some(match command {
            Command::Vm(VmCommand::Run(arguments)) => in_guest(arguments, output),
            _ => here(run, output),
        }),
        Err(mistake) => {
            output.complain(&mistake.to_string());
            Some(ExitCode::from(2))
        }
    }
}

/// Answers for this kernel.
fn here(arguments: &RunArguments, output: &mut Output) -> ExitCode {
    end(
        one(arguments, |cases, jobs| {
            let kernel = Kernel::running().map_err(|error| Failure::Harness(error.to_string()))?;
            let harness = |error: &dyn std::fmt::Display| Failure::Harness(error.to_string());
            let workers = arguments.workers();
            let pool = Pool::new(workers, None).map_err(|error| harness(&error))?;
            let mut results = Vec::new();
            pool.run(jobs, |job, result| results.push((case_of(cases, &jobs[job]), result)))
                .map_err(|error| harness(&error))?;
            let root = nix::unistd::getuid().is_root();
            Ok(Ok((Subject { kernel, root }, results)))
        }),
        output,
    )
}

/// Answers for a kernel in a virtual machine. One that does not boot, or was
/// not built, cannot be told of.
fn in_guest(arguments: &VmRunArguments, output: &mut Output) -> ExitCode {
    end(
        one(&arguments.run, |cases, jobs| {
            if !arguments.kernel.starts_with("debian:")
                && !std::path::Path::new(&arguments.kernel).exists()
            {
                return Ok(Err(format!("{} is not there", arguments.kernel)));
            }
            let image = arguments.machine.archive.archive().kernel(&arguments.kernel)?;
            let booted = arguments
                .machine
                .machine(&image)
                .and_then(|machine| boot(&image, machine, cases, jobs));
            match booted {
                Err(error @ (VmError::Qemu(_) | VmError::Setup(_))) => Err(error.into()),
                Err(error) => Ok(Err(error.to_string())),
                Ok(runs) => Ok(Ok(runs)),
            }
        }),
        output,
    )
}

fn boot(
    image: &KernelImage,
    machine: Machine,
    cases: &[Case<'_>],
    jobs: &[Job],
) -> Result<Runs, VmError> {
    let mut results = Vec::new();
    let guest = vm::run(&image.path, &vm::this_executable(), machine, jobs, |job, result| {
        results.push((case_of(cases, &jobs[job]), result));
    })?;
    // Everything in a guest is root's.
    Ok((Subject { kernel: guest.kernel, root: true }, results))
}

/// Which case a job is a run of.
fn case_of(cases: &[Case<'_>], job: &Job) -> usize {
    let case = cases.iter().position(|case| case.scenario.id == job.id);
    case.expect("jobs are made of the cases")
}

/// One kernel's answer: `run` runs jobs, or says why that kernel cannot.
fn one(
    arguments: &RunArguments,
    run: impl FnOnce(&[Case<'_>], &[Job]) -> Result<Result<Runs, String>, Failure>,
) -> Result<Answer, Failure> {
    let options = arguments.bisect();
    let mut wanted = arguments.selection().wanted;
    wanted.extend(options.scenario.clone());
    let (question, selection) = options.question.question(wanted)?;
    let question = question.unwrap_or(Question::Conforms);
    let catalogue = Catalogue::built_in()?.with_paths(&selection)?;
    let cases = catalogue.select(&selection)?;
    check_label(Some(&question), &cases)?;
    let jobs = suite::jobs(&cases, arguments.plan());
    Ok(match run(&cases, &jobs)? {
        Err(why) => Answer::CannotTell(why),
        Ok(runs) => answer(&question, &cases, &jobs, &runs),
    })
}

/// What all runs on a kernel answer together.
fn answer(question: &Question, cases: &[Case<'_>], jobs: &[Job], runs: &Runs) -> Answer {
    let (subject, results) = runs;
    let answers =
        results.iter().map(|(case, result)| question.answer(&cases[*case], subject, result));
    let cut_off = (results.len() < jobs.len())
        .then(|| Answer::CannotTell("the guest ended before all was run".to_owned()));
    Answer::of(answers.chain(cut_off))
}

fn end(answer: Result<Answer, Failure>, output: &mut Output) -> ExitCode {
    let (word, code) = match answer {
        Ok(Answer::Good) => ("good".to_owned(), 0),
        Ok(Answer::Bad(seen)) => (format!("bad: {seen}"), 1),
        Ok(Answer::CannotTell(why)) => (format!("cannot tell: {why}"), CANNOT_TELL),
        Err(failure) => {
            output.complain(&failure.to_string());
            return ExitCode::from(ABORT);
        }
    };
    let _ = writeln!(output, "{word}");
    ExitCode::from(code)
}

/// The exit status of a command line that cannot be read: for `git bisect run`
/// most numbers say that the commit is bad.
pub(super) fn unread(typed: &[String]) -> i32 {
    if typed.iter().any(|word| word == "--bisect") { ABORT.into() } else { 2 }
}

/// Along which kernels, and by what.
#[derive(Debug, Args)]
pub(super) struct BisectArguments {
    /// The scenario; none with --fact
    #[arg(value_name = "ID")]
    wanted: Vec<String>,
    /// The kernels, oldest first; unless given, those of `matrix`
    #[arg(long, value_name = "KERNEL", num_args = 1..)]
    kernels: Vec<String>,
    /// Run it so often on each kernel
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
    #[command(flatten)]
    question: QuestionArguments,
    #[command(flatten)]
    machine: MachineArguments,
}

/// What a kernel was seen to do.
#[derive(PartialEq)]
enum Seen {
    /// Its traces, where only a difference is looked for.
    Traces(Vec<Trace>),
    /// Whether it is good.
    Good(bool),
}

pub(super) fn run(arguments: &BisectArguments, output: &mut Output) -> Result<End, Failure> {
    let (question, selection) = arguments.question.question(arguments.wanted.clone())?;
    let catalogue = Catalogue::built_in()?.with_paths(&selection)?;
    let cases = catalogue.select(&selection)?;
    check_label(question.as_ref(), &cases)?;
    let plan = Plan { repeat: arguments.repeat as usize, seed: 0, judged_as: None };
    let jobs = suite::jobs(&cases, plan);
    let names: Vec<&str> = match arguments.kernels.as_slice() {
        [] => SERIES.to_vec(),
        kernels => kernels.iter().map(String::as_str).collect(),
    };
    let images: Vec<KernelImage> =
        names.into_iter().map(|name| arguments.machine.kernel(name)).collect::<Result<_, _>>()?;
    let Some(first) = images.first() else { return Ok(End::Known) };
    let machine = arguments.machine.machine(first)?;
    let mut seen: Vec<Option<Seen>> = images.iter().map(|_| None).collect();
    let mut told: Result<(), std::io::Error> = Ok(());
    let mut heard = 0;
    let found = search(images.len(), |index| {
        let image = &images[index];
        let runs = boot(image, machine, &cases, &jobs).map_err(|error| error.to_string());
        let (now, text) = match runs.and_then(|runs| see(question.as_ref(), &cases, &jobs, &runs)) {
            Ok((now, Some(text))) => (Some(now), text),
            Ok((now, None)) => {
                let same = seen.iter().zip(&images).find(|(one, _)| one.as_ref() == Some(&now));
                let text = match same {
                    Some((_, image)) => format!("does as {} does", image.name),
                    None if heard == 0 => "is what the others are held against".to_owned(),
                    None => "does what none before it did".to_owned(),
                };
                (Some(now), text)
            }
            Err(why) => (None, format!("cannot tell: {why}")),
        };
        heard += usize::from(now.is_some());
        told = std::mem::replace(&mut told, Ok(()))
            .and_then(|()| writeln!(output, "{}  {text}", image.name));
        seen[index] = now;
        // Each is asked once: what was seen is kept, and its number compared.
        let first = seen.iter().position(|one| *one == seen[index]);
        first.filter(|_| seen[index].is_some())
    });
    told?;
    if heard < 2 && images.len() > 1 {
        return Err(Failure::Harness("fewer than two kernels answered".to_owned()));
    }
    let Found::Changed { before, after } = found else {
        writeln!(output, "the first and the last do the same")?;
        return Ok(End::Known);
    };
    let (old, new) = (&images[before].name, &images[after].name);
    writeln!(output, "{}changed between {old} and {new}{}", style::HEAD, anstyle::Reset)?;
    if let (Some(Seen::Traces(old)), Some(Seen::Traces(new))) = (&seen[before], &seen[after]) {
        for ((case, old), new) in cases.iter().zip(old).zip(new) {
            tell_change(case, &[old, new], [before, after].map(|at| &*images[at].name), output)?;
        }
    }
    Ok(End::Finding)
}

/// What a kernel did, and how its answer is told if there was a question.
fn see(
    question: Option<&Question>,
    cases: &[Case<'_>],
    jobs: &[Job],
    runs: &Runs,
) -> Result<(Seen, Option<String>), String> {
    let Some(question) = question else {
        return Ok((Seen::Traces(steady_traces(cases, &runs.1)?), None));
    };
    match answer(question, cases, jobs, runs) {
        Answer::Good => Ok((Seen::Good(true), Some("good".to_owned()))),
        Answer::Bad(what) => Ok((Seen::Good(false), Some(format!("bad: {what}")))),
        Answer::CannotTell(why) => Err(why),
    }
}

fn tell_change(
    case: &Case<'_>,
    traces: &[&Trace],
    names: [&str; 2],
    output: &mut Output,
) -> Result<(), Failure> {
    for step in Row::of_traces(traces).steps().iter().filter(|step| step.is_changed()) {
        writeln!(output, "    {}, {}", case.scenario.id, step.step)?;
        for (name, outcomes) in names.into_iter().zip(step.outcomes.iter().flatten()) {
            writeln!(output, "        {name}: {outcomes}")?;
        }
    }
    Ok(())
}
