//! Every fuzz target's oracle, over its seed corpus and over made-up cases.

use std::path::{Path, PathBuf};

use rstest::rstest;
use unotify_lab::fuzz::Target;
use unotify_lab::generate::bytes_of;

const SEED: u64 = 5;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

fn seeds(target: Target) -> Vec<(String, Vec<u8>)> {
    let folder = folder().join("seeds").join(target.name());
    let entries = std::fs::read_dir(&folder).expect("each target has a folder of seeds");
    entries
        .map(|entry| {
            let path = entry.expect("it can be read").path();
            let bytes = std::fs::read(&path).expect("a seed can be read");
            (path.display().to_string(), bytes)
        })
        .collect()
}

#[rstest]
#[case(Target::BpfValidate, 3000, 100)]
#[case(Target::BpfEval, 3000, 100)]
#[case(Target::StackEval, 2000, 1000)]
#[case(Target::Response, 10000, 15)]
#[case(Target::Addfd, 10000, 15)]
#[case(Target::Conversation, 300, 200)]
#[case(Target::ScenarioText, 2000, 0)]
#[case(Target::RunRecord, 100, 0)]
fn nothing_diverges(#[case] target: Target, #[case] cases: u64, #[case] at_least: usize) {
    let executable = Path::new(env!("CARGO_BIN_EXE_unotify-lab"));
    let mut oracle = target.start(Some(executable)).expect("it starts here");
    let made = (0..cases).map(|number| (format!("case {number}"), bytes_of(SEED, number)));
    let seeds = seeds(target);
    assert!(!seeds.is_empty(), "{target:?} has no seeds");
    let mut seen = std::collections::BTreeSet::new();
    for (name, bytes) in seeds.into_iter().chain(made) {
        if let Err(divergence) = oracle.check(&bytes, &mut |kind| {
            seen.insert(kind);
        }) {
            panic!("{name} of {target:?}:\n{divergence}");
        }
    }
    println!("{} kinds of outcome", seen.len());
    // An oracle that comes to nothing is none.
    assert!(seen.len() >= at_least, "{} kinds of outcome", seen.len());
}

#[test]
fn every_target_has_its_file() {
    for target in Target::ALL {
        let path = folder().join("fuzz_targets").join(format!("{}.rs", target.name()));
        let text = std::fs::read_to_string(&path).expect("the target has a file");
        assert!(text.contains(&format!("{target:?}")), "{}", path.display());
    }
}
