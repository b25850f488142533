//! The Test Anything Protocol, version 13: it has no nested tests, so names
//! are whole paths.

use std::fmt::Write;

use super::ktap::{described, one_line};
use super::test::{Outcome, Test};

/// All tests. A test that fails as it is known to is a `TODO`.
pub(super) fn render(tests: &[Test]) -> String {
    let mut text = format!("TAP version 13\n1..{}\n", tests.len());
    for (number, test) in tests.iter().enumerate() {
        let (fails, directive) = match &test.outcome {
            Outcome::Skip(why) => (false, format!(" # SKIP {}", one_line(why))),
            Outcome::Unjudged(why) => (false, format!(" # SKIP not judged: {}", one_line(why))),
            Outcome::ExpectedFailure(why) => (true, format!(" # TODO {}", one_line(why))),
            other => (other.is_bad(), String::new()),
        };
        let word = if fails { "not ok" } else { "ok" };
        let name = described(&test.path.join("/"));
        let _ = writeln!(text, "{word} {} - {name}{directive}", number + 1);
        for line in test.diagnosis() {
            let _ = writeln!(text, "# {line}");
        }
    }
    text
}
