//! JUnit's XML, as Jenkins reads it: a suite for each theme and document.

use std::collections::BTreeMap;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::test::{Outcome, Test, tests};
use crate::suite::RunRecord;

/// Records, the suites of several each named after its kernel. An expected failure is told as skipped with the type `xfail`, as
/// the form has no word for it.
pub(super) fn render(records: &[RunRecord]) -> String {
    let releases: Vec<&str> = records.iter().map(|record| record.kernel.release.as_str()).collect();
    let mut report = Report::new(format!("unotify-lab on Linux {}", releases.join(", ")));
    for record in records {
        report.add_test_suites(suites(record, records.len() > 1));
    }
    let text = report.to_string().expect("the report is written into memory");
    // Jenkins' schema has no such count for the whole.
    text.replacen(&format!(" skipped=\"{}\"", report.skipped), "", 1)
}

fn suites(record: &RunRecord, of_several: bool) -> Vec<TestSuite> {
    let kernel = &record.kernel;
    let mut suites: Vec<TestSuite> = Vec::new();
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    for test in tests(record) {
        let (mut suite, name) = places(&test);
        if of_several {
            suite = format!("{}.{suite}", kernel.release);
        }
        let index = *known.entry(suite.clone()).or_insert_with(|| {
            let mut new = TestSuite::new(suite.as_str());
            new.add_property(("kernel.release", kernel.release.as_str()));
            new.add_property(("kernel.version", kernel.version.as_str()));
            new.add_property(("kernel.machine", kernel.machine.as_str()));
            suites.push(new);
            suites.len() - 1
        });
        suites[index].add_test_case(case(&test, &suite, name));
    }
    suites
}

/// The suite and the name in it.
fn places(test: &Test) -> (String, String) {
    match test.path.as_slice() {
        [claims, document, name @ ..] if claims == "claims" => {
            (format!("{claims}.{document}"), name.join("/"))
        }
        [file] => ("scenarios".to_owned(), file.clone()),
        [theme, name @ ..] => (theme.clone(), name.join("/")),
        [] => (String::new(), String::new()),
    }
}

fn case(test: &Test, suite: &str, name: String) -> TestCase {
    let reason = test.outcome.reason().unwrap_or_default();
    let mut status = match &test.outcome {
        Outcome::Pass(_) => TestCaseStatus::success(),
        Outcome::Skip(_) | Outcome::Unjudged(_) | Outcome::ExpectedFailure(_) => {
            TestCaseStatus::skipped()
        }
        Outcome::Failure(_) | Outcome::UnexpectedPass(_) => {
            TestCaseStatus::non_success(NonSuccessKind::Failure)
        }
        Outcome::Timeout(_) | Outcome::Error(_) => {
            TestCaseStatus::non_success(NonSuccessKind::Error)
        }
    };
    let kind = match &test.outcome {
        Outcome::Pass(_) => "",
        Outcome::Skip(_) => "skip",
        Outcome::Unjudged(_) => "unjudged",
        Outcome::ExpectedFailure(_) => "xfail",
        Outcome::UnexpectedPass(_) => "xpass",
        Outcome::Failure(_) => "fail",
        Outcome::Timeout(_) => "timeout",
        Outcome::Error(_) => "error",
    };
    if !kind.is_empty() {
        status.set_type(kind).set_message(reason);
    }
    if test.outcome.is_bad() {
        status.set_description(test.diagnosis().join("\n"));
    }
    let mut case = TestCase::new(name, status);
    case.set_classname(suite);
    if let Some(trace) = &test.trace {
        case.set_system_out(trace.to_string());
    }
    case
}
