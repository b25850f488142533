//! The catalogue on the oldest and the newest kernel, in virtual machines.
//!
//! It needs QEMU and kernels that were fetched before
//! (`unotify-lab kernels fetch debian:5.10 debian:7.2`). Without them the tests
//! are listed as ignored, with the reason; with `UNOTIFY_LAB_KERNELS=required`
//! they fail.

use std::process::{Command, Stdio};

use libtest_mimic::{Arguments, Failed, Trial};
use unotify_lab::suite::RunRecord;
use unotify_lab::verdict::Verdict;
use unotify_lab::vm::Archive;

/// Series of the oldest and the newest kernel.
const SERIES: &[&str] = &["5.10", "7.2"];

fn main() {
    let arguments = Arguments::from_args();
    let mut trials: Vec<Trial> = SERIES.iter().map(|series| boot(series)).collect();
    trials.push(Trial::test("not_a_kernel", || {
        refused(&["--kernel", "Cargo.toml"], "Cargo.toml: not a bzImage")
    }));
    trials.push(Trial::test("no_such_file", || {
        refused(&["--kernel", "/no/such/image"], "/no/such/image: No such file")
    }));
    trials.push(Trial::test("unwritable_cache", || {
        let place = ["--kernel", "debian:6.1", "--cache", "/proc/no-such-folder"];
        refused(&place, "/proc/no-such-folder")
    }));
    libtest_mimic::run(&arguments, trials).exit();
}

fn boot(series: &'static str) -> Trial {
    let cached = Archive::new(None, None).cached().unwrap_or_default();
    let name = cached
        .into_iter()
        .map(|image| image.name)
        .rfind(|name| name.starts_with(&format!("{series}.")));
    let qemu = Command::new("qemu-system-x86_64").arg("--version").stdout(Stdio::null()).status();
    let lacking = match (&name, qemu) {
        (None, _) => Some(format!("no kernel {series} in the cache")),
        (_, Err(_)) => Some("no qemu-system-x86_64".to_owned()),
        _ => None,
    };
    let required = std::env::var_os("UNOTIFY_LAB_KERNELS").is_some_and(|value| value == "required");
    let test = format!("catalogue_on_{series}");
    let trial = {
        let lacking = lacking.clone();
        Trial::test(test, move || match (name, lacking) {
            (Some(name), None) => catalogue_conforms(series, &name),
            (_, lacking) => Err(lacking.unwrap_or_default().into()),
        })
    };
    match lacking {
        Some(why) if !required => {
            trial.with_kind(format!("not run: {why}")).with_ignored_flag(true)
        }
        _ => trial,
    }
}

fn catalogue_conforms(series: &str, name: &str) -> Result<(), Failed> {
    let output = Command::new(env!("CARGO_BIN_EXE_unotify-lab"))
        .args(["vm", "run", "--format", "json", "--kernel", &format!("debian:{name}")])
        .stdin(Stdio::null())
        .output()?;
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.code() != Some(0) {
        return Err(format!("{}: {complaint}", output.status).into());
    }
    let record: RunRecord = serde_json::from_slice(&output.stdout)?;
    if !record.kernel.release.starts_with(series) {
        return Err(format!("it booted {}", record.kernel.release).into());
    }
    let ends = record.facts.get("recv-ends-when-last-user-exits").copied();
    if ends != Some(series != "5.10") {
        return Err(format!("whether RECV ends is told as {ends:?}").into());
    }
    for case in &record.cases {
        match &case.verdict {
            Verdict::Conforms | Verdict::Backported(_) | Verdict::Skipped(_) => {}
            other => return Err(format!("{}: {other:?}", case.scenario).into()),
        }
    }
    Ok(())
}

/// A user's mistake: exit status 2, and a message that names the place.
fn refused(arguments: &[&str], expected: &str) -> Result<(), Failed> {
    let output = Command::new(env!("CARGO_BIN_EXE_unotify-lab"))
        .args(["vm", "run"])
        .args(arguments)
        .stdin(Stdio::null())
        .output()?;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.code() == Some(2) && told.contains(expected) {
        Ok(())
    } else {
        Err(format!("{}: {told}", output.status).into())
    }
}
