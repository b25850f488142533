//! Breaks one rule of the model after another, and has `run`, `explore` and
//! libFuzzer's targets find out.
//!
//!     cargo bench --profile dev --bench mutants                   all of them
//!     cargo bench --profile dev --bench mutants -- notify.rs      those in this file
//!     cargo bench --profile dev --bench mutants -- RECV catalogue those about this, by
//!                                                                 this finder
//!
//! What is broken is a copy of the tree in target/mutants/, which has builds of
//! its own. Ends with 1 when a broken rule is not found in time.

mod list;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use list::Mutant;

/// How long `explore` looks, and each of libFuzzer's targets, in seconds.
const CATALOGUE_SECONDS: u32 = 60;
const FUZZ_SECONDS: u64 = 120;
/// What is no part of the sources, or is kept by a fuzzer.
const LEFT_OUT: [&str; 5] = ["target", ".git", "corpus", "artifacts", "seeds"];

/// For builds of which each is used for seconds, and between which little changes.
const QUICK_BUILD: [(&str, &str); 3] = [
    ("CARGO_INCREMENTAL", "1"),
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1"),
    ("CARGO_PROFILE_RELEASE_DEBUG", "0"),
];

fn main() -> ExitCode {
    let words: Vec<String> =
        std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let copy = root.join("target/mutants/tree");
    synchronise(root, &copy);
    if let Some(why) = wrong_unbroken(&copy) {
        eprintln!("the unbroken tree: {why}");
        return ExitCode::from(3);
    }
    let (mut tried, mut survived) = (0, 0);
    for mutant in list::read(root).mutant {
        let Mutant { belief, file, by, .. } = &mutant;
        let fits = |finder: &String, word: &String| {
            finder == word || file.contains(word) || belief.contains(word)
        };
        let wanted = |finder: &&String| words.iter().all(|word| fits(finder, word));
        let finders: Vec<&String> = by.iter().filter(wanted).collect();
        if finders.is_empty() {
            continue;
        }
        println!("{file}: {belief}");
        let path = copy.join(file);
        let whole = fs::read_to_string(&path).expect("the file is there");
        let broken = mutant.applied(&whole).expect("the list is held against the code by a test");
        fs::write(&path, broken).expect("the copy can be written");
        for finder in finders {
            let found = match finder.as_str() {
                "catalogue" => by_catalogue(&copy),
                target => by_fuzzing(&copy, target),
            };
            tried += 1;
            survived += u32::from(found.is_none());
            println!("    {}", found.unwrap_or_else(|| format!("NOT FOUND by {finder}")));
        }
        fs::write(&path, whole).expect("the copy can be written");
    }
    println!("{tried} times a rule was broken, {survived} times that was not found");
    if survived == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What is wrong before anything is broken.
fn wrong_unbroken(copy: &Path) -> Option<String> {
    let executable = match build(copy) {
        Ok(executable) => executable,
        Err(why) => return Some(why),
    };
    [&["run"][..], &["explore", "--seconds", "5", "--seed", "1"]].into_iter().find_map(|words| {
        let status = quiet(&mut tool(copy, &executable, words));
        (status != Some(0)).then(|| format!("{} ends with {status:?}", words[0]))
    })
}

/// Has the catalogue find it, then what once diverged, and then `explore`.
fn by_catalogue(copy: &Path) -> Option<String> {
    let executable = match build(copy) {
        Ok(executable) => executable,
        Err(why) => panic!("the broken tree does not build, so the list is wrong:\n{why}"),
    };
    // A model that contradicts itself panics.
    let differs = |code| matches!(code, Some(1 | 101));
    let diverged = copy.join("tests/diverged");
    let diverged = diverged.to_str().expect("it is text");
    for words in [&["run"][..], &["run", diverged]] {
        let start = Instant::now();
        if differs(quiet(&mut tool(copy, &executable, words))) {
            let what = if words.len() == 1 { "run" } else { "run of tests/diverged" };
            return Some(format!("found by {what} in {:.1} s", start.elapsed().as_secs_f64()));
        }
    }
    let start = Instant::now();
    let seconds = CATALOGUE_SECONDS.to_string();
    let mut explore = tool(copy, &executable, &["explore", "--seed", "1", "--seconds", &seconds]);
    differs(quiet(explore.args(["--most-found", "1"])))
        .then(|| format!("found by explore in {:.1} s", start.elapsed().as_secs_f64()))
}

/// Has one of libFuzzer's targets find it, which knows nothing yet.
fn by_fuzzing(copy: &Path, target: &str) -> Option<String> {
    let fuzz = copy.join("fuzz");
    let corpus = fuzz.join("corpus");
    if corpus.exists() {
        fs::remove_dir_all(&corpus).expect("the copy can be written");
    }
    let seeds = fuzz.join("seeds").join(target);
    fs::create_dir_all(&seeds).expect("the copy can be written");
    let mut built = Command::new("cargo");
    built.args(["build", "--quiet", "--release", "--bin", target]).current_dir(&fuzz);
    built.envs(QUICK_BUILD);
    assert_eq!(quiet(&mut built), Some(0), "the broken tree does not build");
    let start = Instant::now();
    for seed in 1.. {
        // libFuzzer takes 0 for no limit.
        let left = FUZZ_SECONDS.saturating_sub(start.elapsed().as_secs());
        if left == 0 {
            return None;
        }
        let mut run = Command::new(fuzz.join("run"));
        run.arg(target).args([format!("-max_total_time={left}"), format!("-seed={seed}")]);
        run.envs(QUICK_BUILD);
        match quiet(&mut run) {
            Some(1) => break,
            // A stage that cannot be set says nothing: it is begun anew.
            Some(3) => {}
            _ => return None,
        }
    }
    Some(format!("found by {target} in {:.1} s", start.elapsed().as_secs_f64()))
}

/// Builds the command of the copy.
fn build(copy: &Path) -> Result<PathBuf, String> {
    let target = copy.with_file_name("build");
    let built = Command::new("cargo")
        .args(["build", "--quiet", "--bin", "unotify-lab", "--target-dir"])
        .arg(&target)
        .current_dir(copy)
        .output()
        .map_err(|error| format!("cargo: {error}"))?;
    match built.status.success() {
        true => Ok(target.join("debug/unotify-lab")),
        false => Err(String::from_utf8_lossy(&built.stderr).into_owned()),
    }
}

fn tool(copy: &Path, executable: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(executable);
    command.args(words).current_dir(copy.with_file_name("build"));
    command
}

fn quiet(command: &mut Command) -> Option<i32> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().expect("it can be started").code()
}

/// Makes the copy the same as the tree. Files that are the same already are left
/// alone, so that nothing is built anew for them.
fn synchronise(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("the copy can be written");
    let names = |folder: &Path| -> BTreeSet<_> {
        let entries = fs::read_dir(folder).expect("it is a folder");
        let names = entries.map(|entry| entry.expect("it can be read").file_name());
        names.filter(|name| !LEFT_OUT.iter().any(|left| name == left)).collect()
    };
    let wanted = names(from);
    for name in names(to).difference(&wanted) {
        let old = to.join(name);
        let removed = if old.is_dir() { fs::remove_dir_all(old) } else { fs::remove_file(old) };
        removed.expect("the copy can be written");
    }
    for name in &wanted {
        let (source, copy) = (from.join(name), to.join(name));
        if source.is_dir() {
            synchronise(&source, &copy);
        } else if fs::read(&source).ok() != fs::read(&copy).ok() {
            fs::copy(&source, &copy).expect("the copy can be written");
        }
    }
}
