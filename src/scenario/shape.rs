//! What TOML says of a file that has not a scenario's shape, in words for whoever wrote it.

use super::diagnostic::{Diagnostic, floor_boundary};
use super::raw::RawFile;

/// Reads the tables of a file.
pub(super) fn read(source: &str) -> Result<RawFile, Diagnostic> {
    toml::from_str(source).map_err(|error| told(&error))
}

/// How serde and toml name types, and what they are called here.
const TYPES: &[(&str, &str)] = &[
    ("a sequence", "a list: [\"…\", …]"),
    ("a string", "a string: \"…\""),
    ("a map", "a table: { key = … }"),
    ("a boolean", "true or false"),
    ("u32", "a number from 0 to 4294967295"),
    ("struct RawSchedule", "a table [schedule] with `steps`"),
    ("struct RawActor", "a table with the actor's settings"),
    ("struct RawFilter", "a table with the filter's program"),
    ("struct RawRule", "a table with the rule: { on = \"…\", do = \"…\" }"),
];

/// What belongs where a key is missing.
const MISSING: &[(&str, &str)] = &[
    ("summary", "summary = \"what is shown, in a sentence\""),
    ("schedule", "a table [schedule] with `steps`"),
    ("steps", "steps = '''…''', a step a line"),
];

fn told(error: &toml::de::Error) -> Diagnostic {
    let span = error.span().unwrap_or(0..0);
    let mut message = error.message().trim().replace('\n', "; ");
    if message.len() > MOST_TOLD {
        message.truncate(floor_boundary(&message, MOST_TOLD));
        message.push('…');
    }
    let (message, expected) = match message.split_once(", expected ") {
        Some((message, expected)) => (message.to_owned(), named(expected)),
        None => {
            let missing = MISSING.iter().find(|(key, _)| message.contains(&format!("`{key}`")));
            let expected = match missing {
                Some((_, expected)) if message.starts_with("missing") => *expected,
                _ if message == "duplicate key" => "each key once",
                _ => "TOML, as in `unotify-lab show` of any scenario",
            };
            (message.clone(), expected.to_owned())
        }
    };
    Diagnostic::new(span, message, expected)
}

/// Most bytes of what TOML says: a list of keys that are known fits in.
const MOST_TOLD: usize = 300;

fn named(expected: &str) -> String {
    let known = TYPES.iter().find(|(name, _)| *name == expected);
    known.map_or(expected, |(_, told)| told).replace('`', "")
}
