//! The kernel CI database's JSON, version 5.3.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::test::{Outcome, Test, dotted, tests};
use crate::suite::RunRecord;

/// Who submits, and what was tested.
#[derive(Clone, Debug)]
pub struct Submission {
    /// The name of the CI system: lower-case letters, digits and `_`.
    pub origin: String,
    /// The id of the build that was tested, as the CI system submitted it;
    /// else a build is made of what the record says of the kernel.
    pub build: Option<String>,
}

/// The longest excerpt of a log that is taken, in characters.
const LONGEST_EXCERPT: usize = 16384;

/// Records. Times are left out, as a record has none.
pub(super) fn render(records: &[RunRecord], submission: &Submission) -> String {
    let mut lists: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for record in records {
        add(record, submission, &mut |list, value| lists.entry(list).or_default().push(value));
    }
    let mut report = Map::new();
    report.insert("version".to_owned(), json!({ "major": 5, "minor": 3 }));
    report.extend(lists.into_iter().map(|(name, list)| (name.to_owned(), json!(list))));
    serde_json::to_string_pretty(&report).expect("it is plain data") + "\n"
}

/// What a record adds to the lists of a report.
fn add(record: &RunRecord, submission: &Submission, to: &mut impl FnMut(&'static str, Value)) {
    let origin = &submission.origin;
    let kernel = &record.kernel;
    let all = serde_json::to_string(record).expect("a record is plain data");
    let run = short_hash(&all);
    let build = submission.build.clone().unwrap_or_else(|| {
        let told = serde_json::to_string(kernel).expect("a kernel is plain data");
        let id = format!("{origin}:{}-{}", kernel.release, short_hash(&told));
        to("checkouts", json!({ "id": id, "origin": origin }));
        let architecture = kernel.machine.to_ascii_lowercase();
        to(
            "builds",
            json!({
                "id": id,
                "checkout_id": id,
                "origin": origin,
                "architecture": architecture,
                "comment": format!("Linux {} {}", kernel.release, kernel.version),
                "misc": { "config": kernel.config, "facts": record.facts },
            }),
        );
        id
    });
    let environment = json!({
        "comment": format!("Linux {} {} {}", kernel.release, kernel.version, kernel.machine),
        "misc": { "settings": kernel.settings, "user": record.user },
    });
    let tests = tests(record);
    for (test, path) in tests.iter().zip(dotted(&tests)) {
        let mut value = json!({
            "id": format!("{origin}:{run}.{path}"),
            "build_id": build,
            "origin": origin,
            "path": format!("unotify-lab.{path}"),
            "status": status(&test.outcome),
            "environment": environment,
            "misc": { "tool": record.tool, "name": test.path.join("/") },
        });
        if let Some(why) = test.outcome.reason() {
            value["comment"] = json!(without_nul(why));
        }
        if let Some(excerpt) = excerpt(test) {
            value["log_excerpt"] = json!(excerpt);
        }
        to("tests", value);
    }
}

/// What is known not to hold is no failure of the kernel, and no pass.
fn status(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Pass(_) => "PASS",
        Outcome::Skip(_) => "SKIP",
        Outcome::Unjudged(_) | Outcome::ExpectedFailure(_) => "DONE",
        Outcome::Failure(_) | Outcome::UnexpectedPass(_) => "FAIL",
        Outcome::Timeout(_) => "ERROR",
        Outcome::Error(_) => "MISS",
    }
}

fn excerpt(test: &Test) -> Option<String> {
    let text = without_nul(&test.trace.as_ref()?.to_string());
    Some(text.chars().take(LONGEST_EXCERPT).collect())
}

fn without_nul(text: &str) -> String {
    text.replace('\0', "")
}

fn short_hash(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
