//! The command: arguments as they are typed, then as they are meant. What is
//! done with them is the library's.

mod bisect;
mod check;
mod diff;
mod explore;
mod export;
mod fuzz;
mod kernels;
mod list;
mod man;
mod matrix;
mod model;
mod output;
mod probe;
mod report;
mod results;
mod run;
mod schema;
mod show;
mod table;
mod vm;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::demo;
use crate::live;
use output::Output;

/// Finds out what a Linux kernel really does when seccomp hands a system call
/// to user space.
#[derive(Debug, Parser)]
#[command(name = "unotify-lab", version, max_term_width = 100, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  unotify-lab run                         the whole catalogue, on this kernel
  unotify-lab run -v signals/sa-restart   one scenario, with its trace
  unotify-lab run my/scenario.toml        a scenario of your own
  unotify-lab run --format json -o r.json a record for others to read
  unotify-lab matrix --output records     the catalogue on several kernels
  unotify-lab show recv/after-last-exit   its script, filters and schedule

Exit status:
  0  everything is as it is known to be
  1  a finding: the kernel, or two runs, differ from what is known
  2  a mistake in an argument or in a scenario file
  3  the harness could not do its work
`demo refuse` ends as its program does, or with 126 if that cannot be executed.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run scenarios on this kernel and judge what is seen
    Run(run::RunArguments),
    /// Run scenarios on another kernel, in a virtual machine
    #[command(subcommand)]
    Vm(vm::VmCommand),
    /// Run scenarios on several kernels and on this one, and tell what differs
    Matrix(matrix::MatrixArguments),
    /// Find the first of several kernels that does something else
    Bisect(bisect::BisectArguments),
    /// Tell which kernel facts hold here, by behaviour and not by version
    Probe(probe::ProbeArguments),
    /// Tell what changed between two run records, or two matrices
    Diff(diff::DiffArguments),
    /// Write a run record in a form that others read
    Report(report::ReportArguments),
    /// List, fetch and remove kernels of the Debian archive
    Kernels(kernels::KernelsArguments),
    /// List the scenarios of the catalogue
    List(list::ListArguments),
    /// Predict what scenarios show on a kernel, without running them
    Model(model::ModelArguments),
    /// Run made-up scenarios and look for what the model does not allow
    Explore(explore::ExploreArguments),
    /// Hold the kernel's answers to made-up cases against the model
    Fuzz(fuzz::FuzzArguments),
    /// Show what bytes that a fuzzer kept stand for, and what comes of them
    Replay(fuzz::ReplayArguments),
    /// Show a scenario: its script, its filters disassembled, its schedule
    Show(show::ShowArguments),
    /// Print a scenario as a C program that runs it, for others to reproduce it
    Export(export::ExportArguments),
    /// Check scenario files without running them
    Check(check::CheckArguments),
    /// Print the JSON Schema of scenario files, traces or run records
    Schema(schema::SchemaArguments),
    /// Print a manual page, or write all of them
    Man(man::ManArguments),
    /// Print the completions of a shell
    Completions(man::CompletionsArguments),
    /// Run one of the two classic demonstrations
    #[command(subcommand)]
    Demo(demo::DemoOptions),
}

/// The command as its manual pages and completions are made of it.
fn definition() -> clap::Command {
    Arguments::command()
}

/// How the command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Everything is as it is known to be.
    Known,
    /// The kernel, or two runs, differ from what is known.
    Finding,
    /// With a status of the kernel's own tests.
    Kselftest(u8),
}

/// Why the command could not do its work.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// The user's mistake.
    #[error("{0}")]
    User(String),
    /// The harness's, or a missing right.
    #[error("{0}")]
    Harness(String),
    /// Whoever reads the output has gone, which is their right.
    #[error("nobody reads the output")]
    Unread,
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Failure::Unread,
            _ => Failure::Harness(error.to_string()),
        }
    }
}

/// Runs the command.
pub fn main() -> ExitCode {
    let typed: Vec<String> =
        std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    // Worker processes and what becomes of them, before anything starts a
    // thread.
    if crate::vm::is_init() {
        return crate::vm::init_main();
    }
    if typed.get(1).is_some_and(|word| word == crate::vm::GUEST_COMMAND) {
        return crate::vm::guest_main();
    }
    if let Some(code) = live::hidden_main(&typed) {
        return code;
    }
    let arguments = Arguments::try_parse().unwrap_or_else(|error| {
        let _ = error.print();
        let status = if error.use_stderr() { bisect::unread(&typed) } else { 0 };
        std::process::exit(status);
    });
    let mut output = Output::standard();
    if let Some(ended) = bisect::answers(&arguments.command, &mut output) {
        return ended;
    }
    let ended = match arguments.command {
        Command::Bisect(arguments) => bisect::run(&arguments, &mut output),
        Command::Run(arguments) => run::run(&arguments, &mut output),
        Command::Vm(vm::VmCommand::Run(arguments)) => vm::run(&arguments, &mut output),
        Command::Vm(vm::VmCommand::Explore(arguments)) => vm::explore(&arguments, &mut output),
        Command::Vm(vm::VmCommand::Fuzz(arguments)) => vm::fuzz(&arguments, &mut output),
        Command::Matrix(arguments) => matrix::run(&arguments, &mut output),
        Command::Probe(arguments) => probe::run(&arguments, &mut output),
        Command::Diff(arguments) => diff::run(&arguments, &mut output),
        Command::Report(arguments) => report::report(&arguments, &mut output),
        Command::Kernels(arguments) => kernels::kernels(&arguments, &mut output),
        Command::List(arguments) => list::list(&arguments, &mut output),
        Command::Model(arguments) => model::model(&arguments, &mut output),
        Command::Explore(arguments) => explore::explore(&arguments, &mut output),
        Command::Fuzz(arguments) => fuzz::fuzz(&arguments, &mut output),
        Command::Replay(arguments) => fuzz::replay(&arguments, &mut output),
        Command::Show(arguments) => show::show(&arguments, &mut output),
        Command::Export(arguments) => export::export(&arguments, &mut output),
        Command::Check(arguments) => check::check(&arguments, &mut output),
        Command::Schema(arguments) => schema::schema(&arguments, &mut output),
        Command::Man(arguments) => man::man(&arguments, &mut output),
        Command::Completions(arguments) => man::completions(&arguments, &mut output),
        Command::Demo(options) => return demo::run(&options),
    };
    match ended {
        Ok(End::Known) | Err(Failure::Unread) => ExitCode::SUCCESS,
        Ok(End::Finding) => ExitCode::from(1),
        Ok(End::Kselftest(status)) => ExitCode::from(status),
        Err(failure) => {
            output.complain(&failure.to_string());
            ExitCode::from(if matches!(failure, Failure::User(_)) { 2 } else { 3 })
        }
    }
}

impl From<crate::suite::CatalogueError> for Failure {
    fn from(error: crate::suite::CatalogueError) -> Self {
        Failure::User(match error {
            crate::suite::CatalogueError::Mistakes(mistakes) => {
                mistakes.render(output::error_colour())
            }
            other => other.to_string(),
        })
    }
}
