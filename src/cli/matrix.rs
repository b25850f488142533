//! `unotify-lab matrix`

use std::collections::VecDeque;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use indicatif::ProgressBar;

use super::output::Output;
use super::report::SubmissionArguments;
use super::run::progress_bar;
use super::vm::MachineArguments;
use super::{End, Failure, table};
use crate::live::Pool;
use crate::report;
use crate::suite::{
    self, Case, Catalogue, Kernel, Matrix, Plan, RunRecord, Selection, new_folder, read_records,
    write_record,
};
use crate::vm::{self, Cpus, GuestRun, KernelImage, Machine, Times};

/// The kernels of a matrix unless others are named.
pub(super) const SERIES: &[&str] = &[
    "debian:5.10",
    "debian:6.1",
    "debian:6.12",
    "debian:6.18",
    "debian:6.19",
    "debian:7.0",
    "debian:7.1",
    "debian:7.2",
];

/// What to run, on which kernels.
#[derive(Debug, Args)]
pub(super) struct MatrixArguments {
    /// Scenarios by id, themes, or paths; none for the whole catalogue
    #[arg(value_name = "PATH|ID")]
    wanted: Vec<String>,
    /// A bzImage, a package with one, or a name such as debian:6.12; may be
    /// given several times. Unless given: debian: 5.10, 6.1, 6.12, 6.18, 6.19,
    /// 7.0, 7.1 and 7.2
    #[arg(long = "kernel", value_name = "KERNEL")]
    kernels: Vec<String>,
    /// Leave out the kernel that runs here
    #[arg(long)]
    no_host: bool,
    /// Write the record of each kernel into FOLDER as soon as it is done
    #[arg(long, short, value_name = "FOLDER")]
    output: Option<PathBuf>,
    /// Run nothing: make the table of the records in FOLDER
    #[arg(long, value_name = "FOLDER",
          conflicts_with_all = ["kernels", "no_host", "output", "wanted", "jobs", "repeat"])]
    from: Option<PathBuf>,
    /// Guests at a time; one for each processor unless given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: Option<u16>,
    /// Run every scenario so often on each kernel, and compare its traces
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
    /// Form of the table, or of the results on all kernels
    #[arg(long, value_enum, default_value_t = Format::Pretty)]
    format: Format,
    /// Show every step that differs, not only those with a label
    #[arg(long, short)]
    verbose: bool,
    #[command(flatten)]
    submission: SubmissionArguments,
    #[command(flatten)]
    machine: MachineArguments,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Pretty,
    /// The matrix as data
    Json,
    /// The Kernel Test Anything Protocol, version 1
    Ktap,
    /// The Test Anything Protocol, version 13
    Tap13,
    /// JUnit's XML, as Jenkins reads it
    Junit,
    /// The kernel CI database's JSON, version 5.3
    Kcidb,
    /// LAVA's signal lines
    Lava,
}

pub(super) fn run(arguments: &MatrixArguments, output: &mut Output) -> Result<End, Failure> {
    let Ran { records, without, faulty } = match &arguments.from {
        Some(folder) => Ran { records: read_records(folder)?, ..Ran::default() },
        None => record(arguments, output)?,
    };
    let troubled = |record: &RunRecord| record.cases.iter().any(|case| case.verdict.is_trouble());
    let is_finding = |record: &RunRecord| {
        record.cases.iter().any(|case| case.verdict.is_finding())
            || record.claims.iter().any(|claim| claim.standing.is_finding())
    };
    let matrix = Matrix::of(records);
    let machine = |format| arguments.submission.render(format, &matrix.records);
    let text = match arguments.format {
        Format::Ktap => machine(report::Format::Ktap)?,
        Format::Tap13 => machine(report::Format::Tap13)?,
        Format::Junit => machine(report::Format::Junit)?,
        Format::Kcidb => machine(report::Format::Kcidb)?,
        Format::Lava => machine(report::Format::Lava)?,
        Format::Pretty => table::pretty(&matrix, arguments.verbose),
        Format::Json => {
            serde_json::to_string_pretty(&matrix).expect("a matrix is plain data") + "\n"
        }
    };
    output.write_all(text.as_bytes())?;
    if faulty {
        return Ok(End::Finding);
    }
    if !without.is_empty() {
        return Err(Failure::Harness(format!("without result: {}", without.join(", "))));
    }
    if matrix.records.iter().any(troubled) {
        return Err(Failure::Harness("some scenarios came to no result".to_owned()));
    }
    Ok(if matrix.records.iter().any(is_finding) { End::Finding } else { End::Known })
}

/// Where the catalogue is run.
enum Place {
    Host,
    Guest(KernelImage, Machine),
}

/// What came of a place.
struct Done {
    name: String,
    result: Result<RunRecord, String>,
    guest: Option<GuestRun>,
    /// How long it took in all.
    time: Duration,
}

/// What came of all places.
#[derive(Default)]
struct Ran {
    records: Vec<RunRecord>,
    /// The names of places without result.
    without: Vec<String>,
    /// Whether a kernel broke down in seccomp code.
    faulty: bool,
}

/// Runs the catalogue everywhere.
fn record(arguments: &MatrixArguments, output: &mut Output) -> Result<Ran, Failure> {
    let selection = Selection { wanted: arguments.wanted.clone(), theme: None };
    let catalogue = Catalogue::built_in()?.with_paths(&selection)?;
    let cases = catalogue.select(&selection)?;
    if let Some(folder) = &arguments.output {
        new_folder(folder)?;
    }
    let places = places(arguments, output)?;
    let guests = arguments.jobs.map_or_else(processors, usize::from);
    let plan = Plan { repeat: arguments.repeat as usize, seed: 0, judged_as: None };
    let bar = progress_bar(plan.runs(&cases) * places.len());
    let mut ran = Ran::default();
    let queue = Mutex::new(places);
    let (sender, finished) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..guests {
            let (sender, queue, bar) = (sender.clone(), &queue, &bar);
            let (catalogue, cases, cpus) = (&catalogue, &cases, arguments.machine.cpus());
            scope.spawn(move || {
                let next = || queue.lock().expect("nobody panics with it").pop_front();
                while let Some(place) = next() {
                    if sender.send(run_at(&place, cpus, catalogue, cases, plan, bar)).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        for done in finished {
            bar.suspend(|| tell_done(&done, cases.len(), output));
            ran.faulty |= done.guest.as_ref().is_some_and(|guest| guest.finding().is_some());
            match done.result {
                Err(_) => ran.without.push(done.name),
                Ok(record) => {
                    if let Some(folder) = &arguments.output {
                        write_record(folder, &record)?;
                    }
                    ran.records.push(record);
                }
            }
        }
        Ok::<(), Failure>(())
    })?;
    bar.finish_and_clear();
    Ok(ran)
}

/// This kernel first, which takes the least time, and the others in the order
/// in which they are named; what is missing is fetched.
fn places(arguments: &MatrixArguments, output: &mut Output) -> Result<VecDeque<Place>, Failure> {
    let names: Vec<&str> = match arguments.kernels.as_slice() {
        [] => SERIES.to_vec(),
        kernels => kernels.iter().map(String::as_str).collect(),
    };
    let mut images: Vec<KernelImage> = Vec::new();
    for name in names {
        let spinner = ProgressBar::new_spinner().with_message(format!("looking for {name}"));
        spinner.enable_steady_tick(Duration::from_millis(100));
        let image = arguments.machine.kernel(name)?;
        spinner.finish_and_clear();
        output.note(&format!("{name} is {}", image.path.display()));
        if !images.contains(&image) {
            images.push(image);
        }
    }
    let mut places: VecDeque<Place> = VecDeque::new();
    if !arguments.no_host {
        places.push_back(Place::Host);
    }
    if let Some(image) = images.first() {
        let machine = arguments.machine.machine(image)?;
        places.extend(images.into_iter().map(|image| Place::Guest(image, machine)));
    }
    Ok(places)
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn run_at(
    place: &Place,
    cpus: Cpus,
    catalogue: &Catalogue,
    cases: &[Case<'_>],
    plan: Plan,
    bar: &ProgressBar,
) -> Done {
    let start = Instant::now();
    let (name, result) = match place {
        Place::Host => {
            let result = run_here(catalogue, cases, plan, bar);
            ("this kernel".to_owned(), result.map(|record| (record, None)))
        }
        Place::Guest(image, machine) => {
            let done = || bar.inc(1);
            let result = vm::run_suite(catalogue, cases, &image.path, *machine, cpus, plan, done);
            let result = result
                .map(|(result, guest)| (RunRecord::of(&result, plan), Some(guest)))
                .map_err(|error| error.to_string());
            (image.name.clone(), result)
        }
    };
    let (result, guest) = match result {
        Ok((record, guest)) => (Ok(record), guest),
        Err(why) => (Err(why), None),
    };
    Done { name, result, guest, time: start.elapsed() }
}

fn run_here(
    catalogue: &Catalogue,
    cases: &[Case<'_>],
    plan: Plan,
    bar: &ProgressBar,
) -> Result<RunRecord, String> {
    let kernel = Kernel::running().map_err(|error| error.to_string())?;
    let pool = Pool::new(processors(), None).map_err(|error| error.to_string())?;
    let result = suite::run(catalogue, cases, kernel, &pool, plan, |_, _| bar.inc(1))
        .map_err(|error| error.to_string())?;
    Ok(RunRecord::of(&result, plan))
}

/// Says what came of a place, and how long it took.
fn tell_done(done: &Done, cases: usize, output: &mut Output) {
    let name = &done.name;
    if let Err(why) = &done.result {
        output.complain(&format!("{name}: {why}"));
    }
    let seconds = done.time.as_secs_f64();
    let Some(guest) = &done.guest else {
        return output.note(&format!("{name}: {seconds:.1} s"));
    };
    for breakdown in &guest.breakdowns {
        output.complain(&format!("{name}: {breakdown}"));
    }
    if let Some(finding) = guest.finding() {
        output.complain(&format!("{name}: {finding}"));
    }
    let Times { boot, work } = guest.times;
    let boots = match guest.boots {
        1 => String::new(),
        boots => format!(" of {boots} boots"),
    };
    output.note(&format!(
        "{name}: {:.1} s from power-on to init{boots}, {cases} scenarios in {:.1} s by its own \
         clock, {seconds:.1} s in all ({:.2} times both)",
        boot.as_secs_f64(),
        work.as_secs_f64(),
        seconds / (boot + work).as_secs_f64()
    ));
}
