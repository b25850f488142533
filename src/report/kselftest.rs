//! Exit statuses as the kernel's own tests have them
//! (tools/testing/selftests/kselftest.h).

use super::test::{Outcome, Test};

/// 0 for pass, 1 for a failure, 2 when all that ran failed as it is known to,
/// 3 when something passed though it is known to fail, 4 when nothing ran.
pub fn exit_status(tests: &[Test]) -> u8 {
    let any = |is: fn(&Outcome) -> bool| tests.iter().any(|test| is(&test.outcome));
    let unexpected = |outcome: &Outcome| matches!(outcome, Outcome::UnexpectedPass(_));
    if any(|outcome| outcome.is_bad() && !matches!(outcome, Outcome::UnexpectedPass(_))) {
        1
    } else if any(unexpected) {
        3
    } else if any(|outcome| matches!(outcome, Outcome::Pass(_))) {
        0
    } else if any(|outcome| matches!(outcome, Outcome::ExpectedFailure(_))) {
        2
    } else {
        4
    }
}
