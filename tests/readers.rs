//! What the tool writes is read by what others read it with: tap.py for TAP
//! and for each level of KTAP, kcidb-io, Jenkins' own schema of JUnit's form,
//! LAVA's pattern, docutils, groff. `tests/readers/install` installs the
//! libraries. Where they are missing the tests are shown as ignored;
//! `UNOTIFY_LAB_READERS=required` makes that a failure.

#[path = "support/record.rs"]
mod record;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::{Value, json};
use unotify_lab::report::{Outcome, Test, tests};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/readers")
}

fn lab(arguments: &[&str]) -> Result<String, Failed> {
    let output = Command::new(env!("CARGO_BIN_EXE_unotify-lab")).args(arguments).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Records in a form, as its reader has them.
fn read(form: &str, records: &Path) -> Result<Value, Failed> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("output");
    let text = lab(&["report", records.to_str().ok_or("no text")?, "--format", form])?;
    std::fs::write(&file, text)?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/readers/read.py");
    let output = Command::new(self::folder().join("bin/python"))
        .arg(script)
        .arg(form)
        .arg(&file)
        .output()
        .map_err(|error| format!("tests/readers/install was not run: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The record that has every outcome, as its reader has it.
fn sample(form: &str) -> Result<Value, Failed> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("record.json");
    std::fs::write(&file, serde_json::to_string(&record::record())?)?;
    read(form, &file)
}

/// How many results the published records have in a form.
fn published(form: &str) -> Result<(Value, usize), Failed> {
    let records = Path::new(env!("CARGO_MANIFEST_DIR")).join("reports/records");
    let count = unotify_lab::suite::read_records(&records)?
        .iter()
        .map(|record| record.cases.len() + record.claims.len())
        .sum();
    Ok((read(form, &records)?, count))
}

fn same(read: &Value, expected: &Value) -> Result<(), Failed> {
    match read == expected {
        true => Ok(()),
        false => Err(format!("read:     {read}\nexpected: {expected}").into()),
    }
}

/// As a reader of TAP has a name: a number sign would begin a directive.
fn name(part: &str) -> String {
    let told = part.replace('#', "nr ").replace(char::is_control, " ");
    told.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn tap13() -> Result<(), Failed> {
    let expected = |test: &Test| {
        let (ok, word) = match &test.outcome {
            Outcome::Skip(_) | Outcome::Unjudged(_) => (true, "SKIP"),
            Outcome::ExpectedFailure(_) => (false, "TODO"),
            other => (!other.is_bad(), ""),
        };
        json!([ok, word, name(&test.path.join("/"))])
    };
    let read = sample("tap13")?;
    let points = read.as_array().ok_or("no list")?.iter();
    let told: Vec<Value> = points.map(|one| json!([one[0], one[1], one[3]])).collect();
    let tests: Vec<Value> = tests(&record::record()).iter().map(expected).collect();
    same(&told.into(), &tests.into())?;
    let (read, count) = published("tap13")?;
    same(&read.as_array().map(Vec::len).into(), &count.into())
}

fn ktap() -> Result<(), Failed> {
    let expected = |test: &Test| {
        let word = match &test.outcome {
            Outcome::Pass(_) | Outcome::Failure(_) => "",
            Outcome::Skip(_) | Outcome::Unjudged(_) => "SKIP",
            Outcome::ExpectedFailure(_) => "XFAIL",
            Outcome::UnexpectedPass(_) => "XPASS",
            Outcome::Timeout(_) => "TIMEOUT",
            Outcome::Error(_) => "ERROR",
        };
        let path: Vec<String> = test.path.iter().map(|part| name(part)).collect();
        json!([path, !test.outcome.is_bad(), word])
    };
    let read = sample("ktap")?;
    let points = read.as_array().ok_or("no list")?.iter();
    let told: Vec<Value> = points
        .map(|one| {
            let words = one[3].as_str().unwrap_or_default().split(' ').next().unwrap_or_default();
            let is_word = ["SKIP", "XFAIL", "XPASS", "TIMEOUT", "ERROR"].contains(&words);
            json!([one[0], one[1], if is_word { words } else { "" }])
        })
        .collect();
    let tests: Vec<Value> = tests(&record::record()).iter().map(expected).collect();
    same(&told.into(), &tests.into())?;
    let (read, count) = published("ktap")?;
    same(&read.as_array().map(Vec::len).into(), &count.into())
}

fn junit() -> Result<(), Failed> {
    same(&sample("junit")?, &tests(&record::record()).len().into())?;
    let (read, count) = published("junit")?;
    same(&read, &count.into())
}

fn kcidb() -> Result<(), Failed> {
    let status = |test: &Test| match &test.outcome {
        Outcome::Pass(_) => "PASS",
        Outcome::Skip(_) => "SKIP",
        Outcome::Unjudged(_) | Outcome::ExpectedFailure(_) => "DONE",
        Outcome::Failure(_) | Outcome::UnexpectedPass(_) => "FAIL",
        Outcome::Timeout(_) => "ERROR",
        Outcome::Error(_) => "MISS",
    };
    statuses("kcidb", status)
}

fn lava() -> Result<(), Failed> {
    let status = |test: &Test| match &test.outcome {
        Outcome::Pass(_) | Outcome::ExpectedFailure(_) => "pass",
        Outcome::Skip(_) => "skip",
        Outcome::Failure(_) | Outcome::UnexpectedPass(_) => "fail",
        Outcome::Unjudged(_) | Outcome::Timeout(_) | Outcome::Error(_) => "unknown",
    };
    statuses("lava", status)
}

/// Reads pairs of a name and a status; no name comes twice.
fn statuses(form: &str, status: impl Fn(&Test) -> &'static str) -> Result<(), Failed> {
    let read = sample(form)?;
    let told: Vec<&Value> = read.as_array().ok_or("no list")?.iter().map(|one| &one[1]).collect();
    let tests: Vec<&str> = tests(&record::record()).iter().map(status).collect();
    same(&json!(told), &json!(tests))?;
    let (read, count) = published(form)?;
    let read = read.as_array().ok_or("no list")?;
    same(&read.len().into(), &count.into())?;
    if form == "lava" {
        let names: std::collections::HashSet<_> = read.iter().map(|one| one[0].as_str()).collect();
        same(&names.len().into(), &count.into())?;
    }
    Ok(())
}

fn rst() -> Result<(), Failed> {
    let (sections, _) = published("rst")?;
    match sections.as_u64() {
        Some(count) if count > 300 => Ok(()),
        _ => Err(format!("{sections} sections").into()),
    }
}

/// What a terminal shows of a manual page; warnings are errors.
fn terminal(page: &str) -> Result<String, Failed> {
    let mut child = Command::new("groff")
        .args(["-man", "-Tutf8", "-Kutf8", "-ww", "-P-c", "-P-bou"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("groff: {error}"))?;
    let mut input = child.stdin.take().ok_or("it has no input")?;
    let text = page.to_owned();
    let writer = std::thread::spawn(move || std::io::Write::write_all(&mut input, text.as_bytes()));
    let output = child.wait_with_output()?;
    writer.join().map_err(|_| "the writer panicked")??;
    match output.stderr.is_empty() {
        true => Ok(String::from_utf8(output.stdout)?),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned().into()),
    }
}

fn shown(page: &str, line: &str) -> Result<(), Failed> {
    match page.contains(line) {
        true => Ok(()),
        false => Err(format!("no line {line:?} in\n{page}").into()),
    }
}

fn groff() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path().to_str().ok_or("no text")?;
    let names = lab(&["man", "--folder", folder])?;
    for path in names.lines() {
        let page = terminal(&std::fs::read_to_string(path)?)?;
        if path.ends_with("/unotify-lab.1") {
            shown(&page, "  3  the harness could not do its work\n")?;
        }
        if path.ends_with("/unotify-lab-scenario.5") {
            shown(&page, "recv LISTENER [at=…] [dirty=…] [as NAME]\n")?;
        }
    }
    let records = Path::new(env!("CARGO_MANIFEST_DIR")).join("reports/records");
    let records = records.to_str().ok_or("no text")?;
    let page = terminal(&lab(&["report", records, "--format", "man"])?)?;
    shown(&page, "end: S: recv L")
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let required = std::env::var_os("UNOTIFY_LAB_READERS").is_some_and(|value| value == "required");
    let python = folder().join("junit-10.xsd").is_file();
    let groff_is_there = Command::new("groff")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    type Read = fn() -> Result<(), Failed>;
    let readers: [(&str, Read, bool, &str); 7] = [
        ("tap13", tap13, python, "tests/readers/install was not run"),
        ("ktap", ktap, python, "tests/readers/install was not run"),
        ("junit", junit, python, "tests/readers/install was not run"),
        ("kcidb", kcidb, python, "tests/readers/install was not run"),
        ("lava", lava, python, "tests/readers/install was not run"),
        ("rst", rst, python, "tests/readers/install was not run"),
        ("groff", groff, groff_is_there, "there is no groff"),
    ];
    let trials = readers.into_iter().map(|(name, read, is_there, why)| {
        let left_out = !is_there && !required;
        let name = if left_out { format!("{name} ({why})") } else { name.to_owned() };
        Trial::test(name, read).with_ignored_flag(left_out)
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}
