//! `unotify-lab model`

use std::io::Write;

use clap::Args;

use super::output::{Output, style};
use super::{End, Failure};
use crate::model::{Setting, predict};
use crate::profile::{Profile, Release};
use crate::report::drawing::{self, Drawing};
use crate::suite::{Catalogue, Selection};

const HELP: &str = "\
Examples:
  unotify-lab model recv/after-last-exit                            on the newest known kernel
  unotify-lab model recv/after-last-exit --kernel 6.1 --kernel 7.2  on these two
  unotify-lab model my/scenario.toml --kernel 5.10                  a scenario of your own

Nothing is run. `anything` is the result of a call that the model does not know.";

/// What to predict, and for which kernels.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(super) struct ModelArguments {
    /// Scenarios by id (theme/name), themes, or paths of files and folders
    #[arg(value_name = "PATH|ID", required = true)]
    wanted: Vec<String>,
    /// A Linux release; more than one to compare them
    #[arg(long = "kernel", value_name = "RELEASE")]
    kernels: Vec<Release>,
    /// Actors run as an ordinary user
    #[arg(long)]
    unprivileged: bool,
    /// As sequence drawings
    #[arg(long)]
    drawing: bool,
}

/// A release that has every fact.
pub(super) const NEWEST: Release = Release { major: u32::MAX, minor: 0, patch: 0 };

pub(super) fn model(arguments: &ModelArguments, output: &mut Output) -> Result<End, Failure> {
    let selection = Selection { wanted: arguments.wanted.clone(), theme: None };
    let catalogue = Catalogue::built_in()?.with_paths(&selection)?;
    let kernels = match &arguments.kernels[..] {
        [] => &[NEWEST],
        kernels => kernels,
    };
    for case in catalogue.select(&selection)? {
        let schedule = case.scenario.schedule().map_err(|found| {
            Failure::Harness(format!("{}: {}", case.scenario.id, found[0].message))
        })?;
        // Kernels of which the same is foreseen are told together.
        let mut told: Vec<(String, Vec<String>)> = Vec::new();
        for kernel in kernels {
            let profile = Profile::of(*kernel);
            let root = !arguments.unprivileged;
            let setting = Setting { schedule: &schedule, profile: &profile, root };
            let name = if *kernel == NEWEST {
                "the newest kernel".to_owned()
            } else {
                format!("Linux {kernel}")
            };
            let text = foreseen(&setting, arguments.drawing);
            match told.iter_mut().find(|(known, _)| *known == text) {
                Some((_, names)) => names.push(name),
                None => told.push((text, vec![name])),
            }
        }
        let (head, reset) = (style::HEAD, anstyle::Reset);
        for (text, names) in told {
            writeln!(output, "{head}{}{reset} on {}", case.scenario.id, names.join(", "))?;
            writeln!(output, "{text}")?;
        }
    }
    Ok(End::Known)
}

/// What the model foresees, each way as its trace or as a drawing.
pub(super) fn foreseen(setting: &Setting<'_>, drawing: bool) -> String {
    let (traces, cut) = predict(setting);
    let mut text = String::new();
    let ways = traces.len();
    for (number, trace) in traces.iter().enumerate() {
        if ways > 1 {
            text += &format!("  way {} of {ways}\n", number + 1);
        }
        let told = match drawing {
            true => drawing::text(&Drawing::of(trace)),
            false => trace.to_string(),
        };
        for line in told.lines() {
            text += &format!("    {line}\n");
        }
    }
    if let Some(why) = cut {
        text += &format!("  beyond this the model says nothing: {why}\n");
    }
    text
}
