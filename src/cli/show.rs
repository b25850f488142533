//! `unotify-lab show`

use std::io::Write;

use clap::Args;

use super::model::{NEWEST, foreseen};
use super::output::{Output, style};
use super::{End, Failure};
use crate::bpf::{Program, bpf_asm_text, seccomp_tools_text};
use crate::model::Setting;
use crate::profile::Profile;
use crate::scenario::Schedule;
use crate::suite::{Case, Catalogue, Selection};

/// What to show.
#[derive(Debug, Args)]
pub(super) struct ShowArguments {
    /// A scenario's id, or a path
    #[arg(value_name = "ID")]
    wanted: String,
    /// How filters are written
    #[arg(long, value_enum, default_value_t, value_name = "LANGUAGE")]
    filters: Language,
    /// Draw what the newest kernel does by the model, too; nothing is run
    #[arg(long)]
    drawing: bool,
}

/// Texts of filters; scenarios take all of them.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum Language {
    /// Assembly with names
    #[default]
    Names,
    /// What the kernel's bpf_asm reads
    BpfAsm,
    /// What seccomp-tools lists
    SeccompTools,
}

impl Language {
    fn text(self, name: &str, program: &Program) -> Result<String, Failure> {
        match self {
            Language::Names => Ok(program.to_string()),
            Language::SeccompTools => Ok(seccomp_tools_text(program)),
            Language::BpfAsm => bpf_asm_text(program).map_err(|at| {
                Failure::User(format!("filter {name}: bpf_asm has no words for instruction {at}"))
            }),
        }
    }
}

pub(super) fn show(arguments: &ShowArguments, output: &mut Output) -> Result<End, Failure> {
    let selection = Selection { wanted: vec![arguments.wanted.clone()], theme: None };
    let catalogue = Catalogue::built_in()?.with_paths(&selection)?;
    for case in catalogue.select(&selection)? {
        let found = case.scenario.schedule().map_err(|found| {
            Failure::Harness(format!("{}: {}", case.scenario.id, found[0].message))
        })?;
        show_case(&case, &found, arguments.filters, output)?;
        if arguments.drawing {
            let profile = Profile::of(NEWEST);
            let setting = Setting { schedule: &found, profile: &profile, root: true };
            let (head, reset) = (style::HEAD, anstyle::Reset);
            writeln!(output, "{head}drawing{reset}, of the newest kernel by the model")?;
            writeln!(output, "{}", foreseen(&setting, true))?;
        }
    }
    Ok(End::Known)
}

fn show_case(
    case: &Case<'_>,
    schedule: &Schedule,
    language: Language,
    output: &mut Output,
) -> Result<(), Failure> {
    let (head, reset) = (style::HEAD, anstyle::Reset);
    writeln!(output, "{head}{}{reset}\n\n{}", case.scenario.id, case.scenario)?;
    for (name, program) in &schedule.programs {
        writeln!(output, "{head}filter {name}{reset}, {} instructions", program.0.len())?;
        for line in language.text(name, program)?.lines() {
            writeln!(output, "    {line}")?;
        }
        writeln!(output)?;
    }
    writeln!(output, "{head}schedule{reset}")?;
    for (number, turn) in schedule.turns.iter().enumerate() {
        let acts = &schedule.acts[turn.acts.clone()];
        let texts: Vec<&str> = acts.iter().map(|act| act.text.as_str()).collect();
        let who = match turn.by {
            Some(actor) => format!("{}: ", schedule.actors[actor.0].name),
            None => String::new(),
        };
        let setup = acts.first().is_some_and(|act| act.setup);
        let stage = if setup { "  (stage)" } else { "" };
        writeln!(output, "{:4}  {who}{}{stage}", number + 1, texts.join("; "))?;
    }
    writeln!(output)?;
    Ok(())
}
