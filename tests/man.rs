//! Manual pages and completions.

use std::process::{Command, Output, Stdio};

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

/// What a terminal shows of a page; `None` where there is no groff.
fn rendered(page: &str) -> Option<String> {
    let child = Command::new("groff")
        .args(["-man", "-Tutf8", "-Kutf8", "-ww", "-P-c", "-P-bou"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Err(error) => panic!("groff: {error}"),
    };
    let mut input = child.stdin.take().expect("it has an input");
    std::io::Write::write_all(&mut input, page.as_bytes()).expect("it reads");
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(complaints, "", "warnings of groff");
    Some(String::from_utf8(output.stdout).expect("the output is text"))
}

#[test]
fn all_pages_are_written_and_render_without_warnings() {
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
        rendered(&page);
    }
}

#[test]
fn the_page_of_the_command_has_its_examples_line_by_line() {
    let page = text(&["man"]);
    assert!(page.contains(".SH EXAMPLES") && page.contains(".SH \"EXIT STATUS\""), "{page}");
    if let Some(shown) = rendered(&page) {
        let line = "  3  the harness could not do its work\n";
        assert!(shown.contains(line), "{shown}");
    }
}

#[test]
fn the_page_of_the_language_has_every_verb() {
    let page = text(&["man", "unotify-lab-scenario.5"]);
    for signature in unotify_lab::scenario::VERBS {
        let word = signature.word.replace('-', "\\-");
        assert!(page.contains(&format!(".TP\n\\fB{word}")), "no {word}");
    }
    if let Some(shown) = rendered(&page) {
        assert!(shown.contains("recv LISTENER [at=…] [dirty=…] [as NAME]\n"), "{shown}");
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
