//! `unotify-lab man` and `unotify-lab completions`

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;
use clap_mangen::Man;
use roff::{Roff, line_break, roman};

use super::output::Output;
use super::{End, Failure, definition};
use crate::report::{ManPage, man_page};

/// The language, whose reference is its manual page, too.
const LANGUAGE: &str = include_str!("../../docs/scenario-language.md");

const LANGUAGE_PAGE: ManPage<'_> = ManPage {
    name: "unotify-lab-scenario",
    section: "5",
    summary: "the language of scenario files",
    see_also: &["unotify-lab(1)", "seccomp(2)", "seccomp_unotify(2)", "ptrace(2)"],
};

/// Which page.
#[derive(Debug, Args)]
pub(super) struct ManArguments {
    /// As in unotify-lab-run.1 or unotify-lab-scenario.5
    #[arg(default_value = "unotify-lab.1")]
    page: String,
    /// Write all pages into this folder
    #[arg(long, value_name = "FOLDER", conflicts_with = "page")]
    folder: Option<PathBuf>,
}

/// Which shell.
#[derive(Debug, Args)]
pub(super) struct CompletionsArguments {
    shell: Shell,
}

/// Prints a page as roff, for man(1).
pub(super) fn man(arguments: &ManArguments, output: &mut Output) -> Result<End, Failure> {
    let pages = pages()?;
    if let Some(folder) = &arguments.folder {
        for (name, text) in &pages {
            let path = folder.join(name);
            let told = |error| Failure::User(format!("--folder {}: {error}", path.display()));
            std::fs::write(&path, text).map_err(told)?;
            writeln!(output, "{}", path.display())?;
        }
        return Ok(End::Known);
    }
    let Some((_, text)) = pages.iter().find(|(name, _)| *name == arguments.page) else {
        let names: Vec<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
        let (page, names) = (&arguments.page, names.join(", "));
        return Err(Failure::User(format!("there is no page {page:?}; there are {names}")));
    };
    write!(output, "{text}")?;
    Ok(End::Known)
}

/// All pages by their file names.
fn pages() -> Result<Vec<(String, String)>, Failure> {
    let mut command = definition().disable_help_subcommand(true);
    command.build();
    let mut pages = Vec::new();
    let mut commands = vec![command];
    while let Some(command) = commands.pop() {
        let inner: Vec<_> = command.get_subcommands().cloned().collect();
        commands.extend(inner.into_iter().rev());
        // As sections of their own, line by line, and not filled.
        let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let page = Man::new(command.after_help(None::<&str>)).manual("unotify-lab");
        let mut text = Vec::new();
        page.render(&mut text)?;
        sections(&after).to_writer(&mut text)?;
        pages.push((page.get_filename(), String::from_utf8_lossy(&text).into_owned()));
    }
    let name = format!("{}.{}", LANGUAGE_PAGE.name, LANGUAGE_PAGE.section);
    pages.push((name, man_page(LANGUAGE_PAGE, LANGUAGE)));
    Ok(pages)
}

/// Paragraphs that begin with a line `Title:` as sections.
fn sections(text: &str) -> Roff {
    let mut roff = Roff::new();
    for section in text.split("\n\n") {
        let Some((title, lines)) = section.split_once(":\n") else { continue };
        roff.control("SH", [title.to_uppercase().as_str()]);
        roff.control("EX", []);
        for line in lines.lines() {
            roff.text([roman(line), line_break()]);
        }
        roff.control("EE", []);
    }
    roff
}

/// Prints what a shell reads to complete commands, options and values.
pub(super) fn completions(
    arguments: &CompletionsArguments,
    output: &mut Output,
) -> Result<End, Failure> {
    let mut text = Vec::new();
    clap_complete::generate(arguments.shell, &mut definition(), "unotify-lab", &mut text);
    output.write_all(&text)?;
    Ok(End::Known)
}
