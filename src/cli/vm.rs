//! `unotify-lab vm`

use std::path::Path;

use clap::{Args, Subcommand, ValueEnum};

use super::kernels::ArchiveArguments;
use super::output::Output;
use super::run::{self, RunArguments};
use super::{End, Failure};
use crate::suite::{Catalogue, Collected, jobs};
use crate::vm::{self, Accelerator, Machine};

#[derive(Debug, Subcommand)]
pub(super) enum VmCommand {
    /// Run scenarios on a kernel in a virtual machine and judge what is seen
    Run(VmRunArguments),
}

/// What to run, on which kernel, in which machine.
#[derive(Debug, Args)]
pub(super) struct VmRunArguments {
    /// A bzImage, a package with one, or a name: debian:6.12, debian:6.12-amd64,
    /// debian:7.2.12+deb13-cloud-amd64
    #[arg(long, value_name = "KERNEL")]
    kernel: String,
    /// Memory of the guest, in MiB
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u32).range(128..))]
    memory: u32,
    /// Processors of the guest
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=16))]
    cpus: u32,
    /// How the guest is run
    #[arg(long, value_enum, default_value_t = Accelerate::Auto)]
    accelerator: Accelerate,
    #[command(flatten)]
    archive: ArchiveArguments,
    #[command(flatten)]
    run: RunArguments,
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
    let image = arguments.archive.archive().kernel(&arguments.kernel)?;
    // By number, as the program that lists its libraries is another process.
    let executable = format!("/proc/{}/exe", std::process::id());
    let executable = Path::new(&executable);
    let accelerator = match arguments.accelerator {
        Accelerate::Auto => vm::accelerator(&image.path, executable),
        Accelerate::Kvm => Accelerator::Kvm,
        Accelerate::Tcg => Accelerator::Emulation,
    };
    let machine = Machine { memory: arguments.memory, cpus: arguments.cpus, accelerator };
    let jobs = jobs(&cases, arguments.run.repeat());
    let mut collected = Collected::new(&cases);
    let bar = run::progress_bar(jobs.len());
    let guest = vm::run(&image.path, executable, machine, &jobs, |job, result| {
        collected.add(job, result);
        bar.inc(1);
    })?;
    bar.finish_and_clear();
    if let Some(trouble) = &guest.trouble {
        output.complain(trouble);
    }
    let missing = "the guest ended before it was run";
    // Everything in a guest is root's.
    let result = collected.judge(&catalogue, guest.kernel, 0, missing);
    run::tell(&result, &arguments.run, file, false, output)
}

impl From<vm::VmError> for Failure {
    fn from(error: vm::VmError) -> Self {
        match error {
            vm::VmError::NotAKernel(_) | vm::VmError::Unreadable(..) => {
                Failure::User(error.to_string())
            }
            _ => Failure::Harness(error.to_string()),
        }
    }
}
