//! The list of broken rules, as `benches/mutants.toml` has it.

use std::path::Path;

use serde::Deserialize;

/// Where the list is.
pub const LIST: &str = "benches/mutants.toml";

/// All of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    pub mutant: Vec<Mutant>,
}

/// One rule, broken.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mutant {
    /// What the broken code believes.
    pub belief: String,
    /// Where the rule is, from the root of the repository.
    pub file: String,
    /// The text that is replaced; it is there once.
    pub text: String,
    /// What comes in its place.
    pub instead: String,
    /// Who has to find it, each of them: `catalogue` for `run`, of the catalogue
    /// or of tests/diverged/, or else `explore`; or one of libFuzzer's targets.
    pub by: Vec<String>,
}

/// Reads the list of the tree at `root`.
pub fn read(root: &Path) -> List {
    let path = root.join(LIST);
    let text = std::fs::read_to_string(&path).expect("the list is there");
    toml::from_str(&text).unwrap_or_else(|error| panic!("{LIST}: {error}"))
}

impl Mutant {
    /// The file's contents with the rule broken; where the text stands not
    /// once, how often it does.
    pub fn applied(&self, contents: &str) -> Result<String, usize> {
        match contents.matches(&self.text).count() {
            1 => Ok(contents.replace(&self.text, &self.instead)),
            times => Err(times),
        }
    }
}
