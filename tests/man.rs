//! Manual pages and completions.

use std::process::{Command, Output};

use rstest::rstest;

fn lab(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_unotify-lab"))
        .args(arguments)
        .output()
        .expect("the command starts")
}

fn text(arguments: &[&str]) -> String {
    let output = lab(arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("the output is text")
}

#[test]
fn all_pages_are_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().to_str().expect("it is text");
    let names = text(&["man", "--folder", folder]);
    assert!(names.contains("/unotify-lab.1\n") && names.contains("/unotify-lab-vm-run.1\n"));
    for path in names.lines() {
        let page = std::fs::read_to_string(path).expect("the page is there");
        let name = path.rsplit('/').next().expect("a name");
        assert_eq!(page, text(&["man", name]));
        for section in [".SH NAME", ".SH DESCRIPTION", ".TH unotify"] {
            assert!(page.contains(section), "{name} lacks {section}");
        }
    }
}

#[test]
fn the_page_of_the_command_has_its_examples_line_by_line() {
    let page = text(&["man"]);
    assert!(page.contains(".SH EXAMPLES") && page.contains(".SH \"EXIT STATUS\""), "{page}");
}

#[test]
fn the_page_of_the_language_has_every_verb() {
    let page = text(&["man", "unotify-lab-scenario.5"]);
    for signature in unotify_lab::scenario::VERBS {
        let word = signature.word.replace('-', "\\-");
        assert!(page.contains(&format!(".TP\n\\fB{word}")), "no {word}");
    }
}

#[test]
fn an_unknown_page_is_told_with_those_that_there_are() {
    let output = lab(&["man", "seccomp.2"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("unotify-lab-scenario.5"));
}

#[rstest]
#[case("bash", "complete -F")]
#[case("zsh", "#compdef unotify-lab")]
#[case("fish", "complete -c unotify-lab")]
fn shells_get_completions(#[case] shell: &str, #[case] expected: &str) {
    let script = text(&["completions", shell]);
    assert!(script.contains(expected) && script.contains("kselftest"), "{script}");
}
