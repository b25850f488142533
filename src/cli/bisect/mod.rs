//! `run --bisect` and `vm run --bisect`, which answer for git-bisect(1), and
//! `unotify-lab bisect`

mod packaged;

use std::io::Write;
use std::process::ExitCode;

use clap::Args;

pub(super) use packaged::{BisectArguments, run};

use super::output::Output;
use super::run::RunArguments;
use super::vm::{VmCommand, VmRunArguments};
use super::{Command, Failure};
use crate::live::{Job, Pool};
use crate::profile;
use crate::suite::{
    Answer, Case, Catalogue, Kernel, Poll, Question, Selection, Subject, jobs_of, runs_to_settle,
};
use crate::vm::{self, Cpus, ImageError, KernelImage, KernelsError, Machine, VmError};

/// What `git bisect run` takes for "cannot be tested".
const CANNOT_TELL: u8 = 125;
/// What ends `git bisect run`: a mistake that every commit would repeat.
const ABORT: u8 = 128;

/// Options of a run that answers for `git bisect run`.
#[derive(Debug, Args)]
pub(super) struct BisectOptions {
    /// End as `git bisect run` wants it: 0 good, 1 bad, 125 cannot tell, 128
    /// where the command itself is wrong. One bad run is bad
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
    /// What is looked for shows in one run of N at least: run until it would be
    /// missed in less than one case of a thousand. 100 for races unless given;
    /// other scenarios are run --repeat times
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    odds: Option<u32>,
}

/// The odds of what shows in a race, unless others are given.
const RACE_ODDS: u32 = 100;

impl BisectOptions {
    /// Whether this run is one.
    ///
    /// # Errors
    ///
    /// Options that mean nothing without --bisect.
    fn is_wanted(&self) -> Result<bool, Failure> {
        let QuestionArguments { expect, fact, odds } = &self.question;
        let question = expect.is_some() || fact.is_some() || odds.is_some();
        if !self.bisect && (self.scenario.is_some() || question) {
            let why = "--scenario, --expect, --fact and --odds belong to --bisect";
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

    /// So many runs of each case, each at least so often.
    fn jobs(&self, cases: &[Case<'_>], repeat: usize, seed: u64) -> Vec<Job> {
        let times = |case: &Case<'_>| {
            let odds = self.odds.or(case.scenario.races().then_some(RACE_ODDS));
            odds.map_or(1, runs_to_settle).max(repeat)
        };
        jobs_of(cases, times, seed)
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

/// Answers for `git bisect run`, if that is what the command is for.
pub(super) fn answers(command: &Command, output: &mut Output) -> Option<ExitCode> {
    let run = match command {
        Command::Run(arguments) => arguments,
        Command::Vm(VmCommand::Run(arguments)) => &arguments.run,
        _ => return None,
    };
    match run.bisect().is_wanted() {
        Ok(false) => None,
        Ok(true) => {
            let answer = match command {
                Command::Vm(VmCommand::Run(arguments)) => in_guest(arguments),
                _ => here(run),
            };
            Some(end(answer, output))
        }
        Err(mistake) => {
            output.complain(&mistake.to_string());
            Some(ExitCode::from(2))
        }
    }
}

/// So many runs are made before it is asked whether they suffice.
const RUNS_AT_A_TIME: usize = 100;

/// Answers for this kernel.
fn here(arguments: &RunArguments) -> Result<Answer, Failure> {
    one(arguments, |question, cases, jobs| {
        let kernel = Kernel::running().map_err(|error| Failure::Harness(error.to_string()))?;
        let subject = Subject { kernel, root: nix::unistd::getuid().is_root() };
        let pool = Pool::new(arguments.workers(), None)?;
        let mut poll = Poll::new(question);
        for jobs in jobs.chunks(RUNS_AT_A_TIME) {
            let mut settled = false;
            pool.run(jobs, |job, result| {
                settled |= poll.add(case_of(cases, &jobs[job]), &subject, &result).is_break();
            })?;
            if settled {
                break;
            }
        }
        Ok(poll.answer(None))
    })
}

/// Answers for a kernel in a virtual machine. One that does not boot, or was
/// not built, cannot be told of.
fn in_guest(arguments: &VmRunArguments) -> Result<Answer, Failure> {
    one(&arguments.run, |question, cases, jobs| {
        let (name, place) = (&arguments.kernel, &arguments.machine);
        if !name.starts_with("debian:") && !std::path::Path::new(name).exists() {
            return Ok(Answer::CannotTell(format!("{name} is not there")));
        }
        let image = match place.archive.archive().kernel(name) {
            // A build that was broken off.
            Err(KernelsError::Image(error @ ImageError::CutOff { .. })) => {
                return Ok(Answer::CannotTell(error.to_string()));
            }
            other => other?,
        };
        let asked = place
            .machine(&image)
            .and_then(|machine| ask(&image, machine, place.cpus(), question, cases, jobs));
        match asked {
            Err(error @ (VmError::Qemu(_) | VmError::Setup(_) | VmError::Refused(_))) => {
                Err(error.into())
            }
            Err(error) => Ok(Answer::CannotTell(error.to_string())),
            Ok(answer) => Ok(answer),
        }
    })
}

/// Asks a kernel in a virtual machine.
fn ask(
    image: &KernelImage,
    machine: Machine,
    cpus: Cpus,
    question: &Question,
    cases: &[Case<'_>],
    jobs: &[Job],
) -> Result<Answer, VmError> {
    let mut poll = Poll::new(question);
    let (mut left, mut settled) = (jobs.len(), false);
    let guest = vm::run_jobs(cases, jobs, &image.path, machine, cpus, |kernel, job, result| {
        // Everything in a guest is root's.
        let subject = Subject { kernel: kernel.clone(), root: true };
        left -= 1;
        let answered = poll.add(case_of(cases, &jobs[job]), &subject, &result);
        settled |= answered.is_break();
        answered
    })?;
    if let (Question::Conforms, false, Some(finding)) = (question, settled, guest.finding()) {
        return Ok(Answer::Bad(finding));
    }
    let missing = (left > 0).then(|| match guest.breakdowns.last() {
        Some(breakdown) => breakdown.what.to_string(),
        None => "the guest did not give all results".to_owned(),
    });
    Ok(poll.answer(missing))
}

/// Which case a job is a run of.
fn case_of<'a, 'c>(cases: &'a [Case<'c>], job: &Job) -> &'a Case<'c> {
    cases.iter().find(|case| case.scenario.id == job.id).expect("jobs are made of the cases")
}

/// One kernel's answer.
fn one(
    arguments: &RunArguments,
    ask: impl FnOnce(&Question, &[Case<'_>], &[Job]) -> Result<Answer, Failure>,
) -> Result<Answer, Failure> {
    let options = arguments.bisect();
    let mut wanted = arguments.selection().wanted;
    wanted.extend(options.scenario.clone());
    let (question, selection) = options.question.question(wanted)?;
    let question = question.unwrap_or(Question::Conforms);
    let catalogue = Catalogue::built_in()?.with_paths(&selection)?;
    let cases = catalogue.select(&selection)?;
    check_label(Some(&question), &cases)?;
    let plan = arguments.plan();
    ask(&question, &cases, &options.question.jobs(&cases, plan.repeat, plan.seed))
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
