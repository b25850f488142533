//! `unotify-lab vm`

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::explore::ExploreArguments;
use super::fuzz::FuzzArguments;
use super::kernels::ArchiveArguments;
use super::output::Output;
use super::run::{self, RunArguments};
use super::{End, Failure};
use crate::suite::Catalogue;
use crate::vm::{self, Accelerator, Cpus, KernelImage, Machine, Said, VmError};

#[derive(Debug, Subcommand)]
pub(super) enum VmCommand {
    /// Run scenarios on a kernel in a virtual machine and judge what is seen
    Run(VmRunArguments),
    /// Run made-up scenarios there, as `explore` does here
    Explore(VmExploreArguments),
    /// Hold the kernel's answers to made-up cases against the model, as `fuzz`
    /// does here
    Fuzz(VmFuzzArguments),
}

/// What to explore, and where.
#[derive(Debug, Args)]
pub(super) struct VmExploreArguments {
    #[command(flatten)]
    place: PlaceArguments,
    #[command(flatten)]
    explore: ExploreArguments,
}

/// What to fuzz, and where.
#[derive(Debug, Args)]
pub(super) struct VmFuzzArguments {
    #[command(flatten)]
    place: PlaceArguments,
    #[command(flatten)]
    fuzz: FuzzArguments,
}

/// A kernel in a machine.
#[derive(Debug, Args)]
struct PlaceArguments {
    /// A bzImage, a package with one, or a name such as debian:6.12
    #[arg(long, value_name = "KERNEL")]
    kernel: String,
    #[command(flatten)]
    machine: MachineArguments,
}

/// What to run, on which kernel, in which machine.
#[derive(Debug, Args)]
pub(super) struct VmRunArguments {
    /// A bzImage, a package with one, or a name: debian:6.12, debian:6.12-amd64,
    /// debian:7.2.12+deb13-cloud-amd64
    #[arg(long, value_name = "KERNEL")]
    pub kernel: String,
    #[command(flatten)]
    pub machine: MachineArguments,
    #[command(flatten)]
    pub run: RunArguments,
}

fn cpus(text: &str) -> Result<Cpus, String> {
    match (text, text.parse()) {
        ("auto", _) => Ok(Cpus::ByNeed),
        (_, Ok(number @ 1..=16)) => Ok(Cpus::Each(number)),
        _ => Err("it is a number from 1 to 16, or auto".to_owned()),
    }
}

/// In which machine, and where kernels come from.
#[derive(Debug, Args)]
pub(super) struct MachineArguments {
    /// Memory of a guest, in MiB
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u32).range(128..))]
    memory: u32,
    /// Processors of a guest; `auto` boots another one with two for those
    /// scenarios that need them, which are races
    #[arg(long, value_name = "N|auto", default_value = "1", value_parser = cpus)]
    cpus: Cpus,
    /// How guests are run
    #[arg(long, value_enum, default_value_t = Accelerate::Auto)]
    accelerator: Accelerate,
    /// How long a guest may say nothing before it is given up
    #[arg(long, value_name = "SECONDS", default_value_t = Machine::PATIENCE.as_secs(),
          value_parser = clap::value_parser!(u64).range(1..))]
    patience: u64,
    #[command(flatten)]
    pub archive: ArchiveArguments,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Accelerate {
    /// By KVM where a guest boots under it, else by emulation
    Auto,
    /// By KVM
    Kvm,
    /// By full emulation
    Tcg,
}

impl MachineArguments {
    /// The kernel of that name or at that path; one that is none is refused.
    pub fn kernel(&self, name: &str) -> Result<KernelImage, Failure> {
        let image = self.archive.archive().kernel(name)?;
        vm::check_image(&image.path).map_err(VmError::from)?;
        Ok(image)
    }

    /// The machine, which a kernel may have to try out.
    pub fn machine(&self, kernel: &KernelImage) -> Result<Machine, VmError> {
        let accelerator = match self.accelerator {
            Accelerate::Auto => vm::accelerator(&kernel.path)?,
            Accelerate::Kvm => Accelerator::Kvm,
            Accelerate::Tcg => Accelerator::Emulation,
        };
        let cpus = match self.cpus {
            Cpus::Each(cpus) => cpus,
            Cpus::ByNeed => 1,
        };
        let patience = Duration::from_secs(self.patience);
        Ok(Machine { memory: self.memory, cpus, accelerator, patience })
    }

    /// How many processors guests have that run scenarios.
    pub fn cpus(&self) -> Cpus {
        self.cpus
    }
}

/// `vm explore`
pub(super) fn explore(arguments: &VmExploreArguments, output: &mut Output) -> Result<End, Failure> {
    let VmExploreArguments { place, explore } = arguments;
    command(place, explore.for_guest(), explore.output(), output)
}

/// `vm fuzz`
pub(super) fn fuzz(arguments: &VmFuzzArguments, output: &mut Output) -> Result<End, Failure> {
    let VmFuzzArguments { place, fuzz } = arguments;
    command(place, fuzz.for_guest(), fuzz.output(), output)
}

/// Runs a command in a guest, says what it says, keeps what it finds, and ends
/// as it ends.
fn command(
    place: &PlaceArguments,
    words: Vec<String>,
    folder: &Path,
    output: &mut Output,
) -> Result<End, Failure> {
    let image = place.machine.kernel(&place.kernel)?;
    let machine = place.machine.machine(&image)?;
    let mut unread: Option<std::io::Error> = None;
    let commanded = vm::command(&image.path, machine, words, |said| match said {
        Said::Line(line) => unread = unread.take().or(writeln!(output, "{line}").err()),
        Said::Complaint(line) => output.note(line),
    })?;
    if !commanded.files.is_empty() {
        std::fs::create_dir_all(folder).map_err(unwritable(folder))?;
    }
    for (name, bytes) in &commanded.files {
        let path = folder.join(name);
        std::fs::write(&path, bytes).map_err(unwritable(&path))?;
        output.note(&format!("kept: {}", path.display()));
    }
    if let Some(error) = unread {
        return Err(error.into());
    }
    for breakdown in &commanded.breakdowns {
        output.complain(&breakdown.to_string());
    }
    match commanded.status {
        0 => Ok(End::Known),
        1 => Ok(End::Finding),
        2 => Err(Failure::User("the guest did not take the arguments".to_owned())),
        _ => Err(Failure::Harness("the guest could not do the work".to_owned())),
    }
}

fn unwritable(path: &Path) -> impl Fn(std::io::Error) -> Failure + '_ {
    move |error| Failure::User(format!("--output {}: {error}", path.display()))
}

pub(super) fn run(arguments: &VmRunArguments, output: &mut Output) -> Result<End, Failure> {
    let ended = attempt(arguments, output);
    arguments.run.ended(ended, output)
}

fn attempt(arguments: &VmRunArguments, output: &mut Output) -> Result<End, Failure> {
    if arguments.run.has_jobs() {
        let why = "--jobs is for this kernel; a guest uses its processors (--cpus)";
        return Err(Failure::User(why.to_owned()));
    }
    let selection = arguments.run.selection();
    let catalogue = Catalogue::built_in()?.with_paths(&selection)?;
    let cases = catalogue.select(&selection)?;
    let file = arguments.run.open_output()?;
    let image = arguments.machine.kernel(&arguments.kernel)?;
    let machine = arguments.machine.machine(&image)?;
    let plan = arguments.run.plan();
    let bar = run::progress_bar(plan.runs(&cases));
    let done = || bar.inc(1);
    let cpus = arguments.machine.cpus();
    let (result, guest) =
        vm::run_suite(&catalogue, &cases, &image.path, machine, cpus, plan, done)?;
    bar.finish_and_clear();
    for breakdown in &guest.breakdowns {
        output.complain(&breakdown.to_string());
    }
    let ended = run::tell(&result, &arguments.run, file, false, output);
    let Some(finding) = guest.finding() else { return ended };
    output.complain(&finding);
    if let Err(failure) = ended {
        output.complain(&failure.to_string());
    }
    Ok(End::Finding)
}

impl From<VmError> for Failure {
    fn from(error: VmError) -> Self {
        match error {
            VmError::Image(_) => Failure::User(error.to_string()),
            _ => Failure::Harness(error.to_string()),
        }
    }
}
