//! Lines that LAVA takes from a console: a signal a test case.

use std::fmt::Write;

use super::test::{Outcome, Test, dotted};

/// All tests. LAVA knows no expected failure: one is a pass, as it is for
/// kselftest.
pub(super) fn render(tests: &[Test]) -> String {
    let mut text = String::new();
    for (test, id) in tests.iter().zip(dotted(tests)) {
        let result = match test.outcome {
            Outcome::Pass(_) | Outcome::ExpectedFailure(_) => "pass",
            Outcome::Skip(_) => "skip",
            Outcome::Failure(_) | Outcome::UnexpectedPass(_) => "fail",
            Outcome::Unjudged(_) | Outcome::Timeout(_) | Outcome::Error(_) => "unknown",
        };
        let _ = writeln!(text, "<LAVA_SIGNAL_TESTCASE TEST_CASE_ID={id} RESULT={result}>");
    }
    text
}
