//! `unotify-lab bisect`: along a line of packaged kernels.

use std::io::Write;

use clap::Args;

use super::super::matrix::SERIES;
use super::super::output::{Output, style};
use super::super::vm::MachineArguments;
use super::super::{End, Failure};
use super::{QuestionArguments, ask, check_label};
use crate::live::Job;
use crate::suite::{
    Answer, Case, CaseRecord, Catalogue, Found, Plan, Question, Row, RunRecord, search, silence,
};
use crate::vm::{self, KernelImage, Machine};

/// Along which kernels, and by what.
#[derive(Debug, Args)]
pub(in crate::cli) struct BisectArguments {
    /// The scenario; none with --fact
    #[arg(value_name = "ID")]
    wanted: Vec<String>,
    /// The kernels, oldest first; unless given, those of `matrix`
    #[arg(long, value_name = "KERNEL", num_args = 1..)]
    kernels: Vec<String>,
    /// Run it so often on each kernel, a race fifty times as often
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
    #[command(flatten)]
    question: QuestionArguments,
    #[command(flatten)]
    machine: MachineArguments,
}

/// What a kernel was seen to do.
enum Seen {
    /// In each case, where only a difference is looked for.
    Did(Vec<CaseRecord>),
    /// Whether it is good.
    Good(bool),
}

impl Seen {
    fn is_same(&self, other: &Seen) -> bool {
        match (self, other) {
            (Seen::Good(one), Seen::Good(other)) => one == other,
            (Seen::Did(one), Seen::Did(other)) => {
                let mut pairs = one.iter().zip(other);
                pairs.all(|(a, b)| !Row::of(&[Some(a), Some(b)]).is_changed())
            }
            _ => false,
        }
    }
}

/// What is asked of each kernel.
struct Search<'a> {
    arguments: &'a BisectArguments,
    catalogue: &'a Catalogue,
    cases: &'a [Case<'a>],
    question: Option<Question>,
    jobs: Vec<Job>,
    machine: Machine,
}

impl Search<'_> {
    /// What a kernel does, and how it is told where there is a question; or why
    /// that cannot be told.
    fn see(&self, image: &KernelImage) -> Result<(Seen, Option<String>), String> {
        let Search { arguments, catalogue, cases, machine, .. } = *self;
        let cpus = arguments.machine.cpus();
        let Some(question) = &self.question else {
            let plan = self.plan();
            let (result, _) =
                vm::run_suite(catalogue, cases, &image.path, machine, cpus, plan, || ())
                    .map_err(|error| error.to_string())?;
            let cases = RunRecord::of(&result, plan).cases;
            let silent = cases.iter().find_map(|case| Some((&case.scenario, silence(case)?)));
            return match silent {
                Some((scenario, why)) => Err(format!("{scenario}: {why}")),
                None => Ok((Seen::Did(cases), None)),
            };
        };
        let answer = ask(image, machine, cpus, question, cases, &self.jobs);
        match answer.map_err(|error| error.to_string())? {
            Answer::Good => Ok((Seen::Good(true), Some("good".to_owned()))),
            Answer::Bad(what) => Ok((Seen::Good(false), Some(format!("bad: {what}")))),
            Answer::CannotTell(why) => Err(why),
        }
    }

    fn plan(&self) -> Plan {
        Plan { repeat: self.arguments.repeat as usize, seed: 0, judged_as: None }
    }
}

pub(in crate::cli) fn run(
    arguments: &BisectArguments,
    output: &mut Output,
) -> Result<End, Failure> {
    let (question, selection) = arguments.question.question(arguments.wanted.clone())?;
    if question.is_none() && arguments.question.odds.is_some() {
        let why =
            "--odds belongs to --expect or --fact; where a difference is looked for, --repeat";
        return Err(Failure::User(why.to_owned()));
    }
    let catalogue = Catalogue::built_in()?.with_paths(&selection)?;
    let cases = catalogue.select(&selection)?;
    check_label(question.as_ref(), &cases)?;
    let names: Vec<&str> = match arguments.kernels.as_slice() {
        [] => SERIES.to_vec(),
        kernels => kernels.iter().map(String::as_str).collect(),
    };
    let images: Vec<KernelImage> =
        names.into_iter().map(|name| arguments.machine.kernel(name)).collect::<Result<_, _>>()?;
    let Some(first) = images.first() else { return Ok(End::Known) };
    let sought = Search {
        arguments,
        catalogue: &catalogue,
        cases: &cases,
        jobs: arguments.question.jobs(&cases, arguments.repeat as usize, 0),
        question,
        machine: arguments.machine.machine(first)?,
    };
    let mut seen: Vec<Option<Seen>> = images.iter().map(|_| None).collect();
    let mut told: Result<(), std::io::Error> = Ok(());
    let mut heard = 0;
    let found = search(images.len(), |index| {
        let image = &images[index];
        let (now, text) = match sought.see(image) {
            Ok((now, Some(text))) => (Some(now), text),
            Ok((now, None)) => {
                let mut before = seen.iter().zip(&images);
                let same =
                    before.find(|(one, _)| one.as_ref().is_some_and(|one| one.is_same(&now)));
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
        let now = seen[index].as_ref()?;
        seen.iter().position(|one| one.as_ref().is_some_and(|one| one.is_same(now)))
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
    if let (Some(Seen::Did(old)), Some(Seen::Did(new))) = (&seen[before], &seen[after]) {
        for (old, new) in old.iter().zip(new) {
            tell_change(old, new, [before, after].map(|at| &*images[at].name), output)?;
        }
    }
    Ok(End::Finding)
}

fn tell_change(
    old: &CaseRecord,
    new: &CaseRecord,
    names: [&str; 2],
    output: &mut Output,
) -> Result<(), Failure> {
    let steps = Row::of(&[Some(old), Some(new)]).steps();
    for step in steps.iter().filter(|step| step.is_changed()) {
        writeln!(output, "    {}, {}", old.scenario, step.step)?;
        for (name, outcomes) in names.into_iter().zip(step.outcomes.iter().flatten()) {
            writeln!(output, "        {name}: {outcomes}")?;
        }
    }
    Ok(())
}
