//! The list of broken rules fits the code: each text that is replaced stands in
//! its file once, and what replaces it is something else.

#[path = "../benches/mutants/list.rs"]
mod list;

use std::path::Path;

use unotify_lab::fuzz::Target;

#[test]
fn every_broken_rule_is_in_the_code_once() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut wrong = Vec::new();
    let mutants = list::read(root).mutant;
    assert!(mutants.len() >= 40, "{} broken rules", mutants.len());
    for mutant in &mutants {
        let contents = std::fs::read_to_string(root.join(&mutant.file));
        let applied = contents.map_err(|_| 0).and_then(|text| match mutant.applied(&text) {
            Ok(same) if same == text => Err(1),
            applied => applied,
        });
        if let Err(times) = applied {
            wrong.push(format!("{}: {} ({times} times)", mutant.file, mutant.belief));
        }
        for finder in &mutant.by {
            if finder != "catalogue" && !Target::ALL.iter().any(|one| one.name() == finder) {
                wrong.push(format!("{}: nothing is called {finder}", mutant.belief));
            }
        }
        if mutant.by.is_empty() {
            wrong.push(format!("{}: nobody has to find it", mutant.belief));
        }
    }
    assert!(wrong.is_empty(), "{}: {wrong:#?}", list::LIST);
}
