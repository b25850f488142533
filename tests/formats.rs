//! Results in the forms that others read, read by something else than what
//! wrote them.

#[path = "support/record.rs"]
mod record;

use std::collections::BTreeSet;

use quick_junit::{NonSuccessKind, TestCaseStatus};
use record::record;
use rstest::rstest;
use tap_parser::{DirectiveKind, TapParser, TapStatement};
use unotify_lab::report::{Format, Outcome, Submission, Test, exit_status, ktap, tests};

fn rendered(format: Format) -> String {
    format.render(&[record()], &Submission { origin: "lab".into(), build: None })
}

/// A KTAP result, as Documentation/dev-tools/ktap.rst has it.
#[derive(Debug)]
struct Read {
    ok: bool,
    name: String,
    directive: String,
    inside: Vec<Read>,
}

/// Reads the tests of one level, from its version line on; holds the plan, the
/// numbers and the indentation against the document.
fn read_ktap(lines: &mut std::iter::Peekable<std::str::Lines<'_>>, level: usize) -> Vec<Read> {
    let indent = "  ".repeat(level);
    let own = |lines: &mut std::iter::Peekable<std::str::Lines<'_>>| {
        lines.next().expect("a line").strip_prefix(&indent).expect("its indentation").to_owned()
    };
    assert_eq!(own(lines), "KTAP version 1");
    let plan = own(lines);
    let plan: usize = plan.strip_prefix("1..").expect("a plan").parse().expect("a number");
    let mut read = Vec::new();
    let mut inside = Vec::new();
    while read.len() < plan {
        let next = lines.peek().expect("as many tests as planned");
        if next.starts_with(&format!("{indent}  KTAP")) {
            inside = read_ktap(lines, level + 1);
            continue;
        }
        let line = own(lines);
        if line.starts_with("# ") {
            continue;
        }
        let (ok, rest) = match line.strip_prefix("not ok ") {
            Some(rest) => (false, rest),
            None => (true, line.strip_prefix("ok ").expect("a result")),
        };
        let (rest, directive) = rest.split_once(" # ").unwrap_or((rest, ""));
        let (number, name) = rest.split_once(' ').expect("a number and a name");
        assert_eq!(number.parse(), Ok(read.len() + 1), "{line}");
        assert!(!name.contains('#') && !name.is_empty(), "{line}");
        let inside = std::mem::take(&mut inside);
        if !inside.is_empty() {
            assert_eq!(ok, inside.iter().all(|test: &Read| test.ok), "{line}");
        }
        read.push(Read { ok, name: name.to_owned(), directive: directive.to_owned(), inside });
    }
    read
}

#[test]
fn ktap_is_read_by_the_kernels_document() {
    let text = rendered(Format::Ktap);
    let mut lines = text.lines().peekable();
    let read = read_ktap(&mut lines, 0);
    assert_eq!(lines.next(), None);
    let names: Vec<&str> = read.iter().map(|test| test.name.as_str()).collect();
    assert_eq!(names, ["recv", "mine", "skips", "trouble", "claims"]);
    let recv = &read[0];
    assert!(!recv.ok && recv.inside[0].ok && recv.inside[0].directive.is_empty());
    let cases: Vec<&str> = recv.inside[2].inside.iter().map(|test| test.name.as_str()).collect();
    assert_eq!(cases, ["call=nr 335(a|b)", "call=\"d\", 7", "call=\"d\", 0"]);
    assert!(read[2].ok && read[2].directive.starts_with("SKIP"));
    assert_eq!(read[2].inside[0].directive, "SKIP needs root: CAP_SYS_ADMIN # <&>");
    let directives: Vec<(bool, &str)> = read[3].inside[..]
        .iter()
        .chain(read[4].inside.iter().flat_map(|document| &document.inside))
        .map(|test| (test.ok, test.directive.as_str()))
        .collect();
    assert_eq!(
        directives,
        [
            (false, "TIMEOUT no end after 30 s"),
            (false, "ERROR a worker died"),
            (true, ""),
            (true, "XFAIL known to be contradicted; seen: ENOENT"),
            (false, ""),
            (false, "XPASS held, though known not to"),
            (true, "SKIP undecided: skips/a was not run"),
        ]
    );
    assert!(text.contains("    # it diverges at line 2 of its trace; known: S: recv L  blocks;"));
    assert!(text.contains("    #     S: recv L  blocks\n"), "{text}");
}

#[test]
fn each_of_several_kernels_is_a_test_of_its_own() {
    let mut newer = record();
    newer.kernel.release = "7.2.0-test".into();
    let records = [record(), newer];
    let submission = Submission { origin: "lab".into(), build: None };
    let text = Format::Ktap.render(&records, &submission);
    let mut lines = text.lines().peekable();
    let read = read_ktap(&mut lines, 0);
    assert_eq!(lines.next(), None);
    let names: Vec<&str> = read.iter().map(|test| test.name.as_str()).collect();
    assert_eq!(names, ["6.1.0-test", "7.2.0-test"]);
    assert!(read.iter().all(|kernel| !kernel.ok && kernel.inside.len() == 5));
    let text = Format::Tap13.render(&records, &submission);
    assert!(text.contains(" - 7.2.0-test/recv/basic\n"), "{text}");
    let text = Format::Lava.render(&records, &submission);
    let ids: Vec<&str> = text.lines().filter_map(|line| line.split(' ').nth(1)).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{text}");
    let report =
        quick_junit::Report::deserialize_from_str(&Format::Junit.render(&records, &submission));
    let suites = report.expect("it is a report").test_suites;
    let names: BTreeSet<&str> = suites.iter().map(|suite| suite.name.as_str()).collect();
    assert_eq!(names.len(), suites.len());
    assert!(names.contains("6.1.0-test.recv") && names.contains("7.2.0-test.recv"), "{names:?}");
    let text = Format::Kcidb.render(&records, &submission);
    let report: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    let ids = |list: &str| {
        let list = report[list].as_array().expect("it is a list").clone();
        list.into_iter().map(|one| one["id"].to_string()).collect::<Vec<_>>()
    };
    assert_eq!((ids("checkouts").len(), ids("builds").len()), (2, 2));
    assert_eq!(ids("tests").iter().collect::<BTreeSet<_>>().len(), ids("tests").len());
}

#[test]
fn every_result_brings_its_own_line() {
    let tests = tests(&record());
    let mut writer = ktap::Writer::new(tests.iter().map(|test| test.path.clone()).collect());
    let mut text = writer.head();
    for test in &tests {
        let added = writer.result(test);
        let name = test.path.last().expect("it has a name").split(['#', '\u{1}']).next();
        assert!(added.contains(name.expect("a beginning")), "{added}");
        text += &added;
    }
    assert_eq!(text, rendered(Format::Ktap));
}

#[test]
fn tap_is_read_by_a_tap_parser() {
    let text = rendered(Format::Tap13);
    // The parser wants the newer version, which has all that is used of 13.
    let newer = text.strip_prefix("TAP version 13\n").expect("its version");
    let newer = format!("TAP version 14\n{newer}");
    let statements = TapParser::new().parse(&newer).expect("it is TAP");
    let points: Vec<_> = statements
        .iter()
        .filter_map(|statement| match statement {
            TapStatement::TestPoint(test) => Some(test),
            _ => None,
        })
        .collect();
    let tests = tests(&record());
    assert_eq!(points.len(), tests.len());
    for (number, (point, test)) in points.iter().zip(&tests).enumerate() {
        assert_eq!(point.number, Some(number + 1));
        let kind = point.directive.as_ref().map(|directive| &directive.kind);
        let expected = match test.outcome {
            Outcome::Pass(_) => (true, None),
            Outcome::Skip(_) | Outcome::Unjudged(_) => (true, Some(&DirectiveKind::Skip)),
            Outcome::ExpectedFailure(_) => (false, Some(&DirectiveKind::Todo)),
            _ => (false, None),
        };
        assert_eq!((point.result, kind), expected, "{test:?}");
    }
    assert_eq!(points[2].desc, Some("recv/each/call=nr 335(a|b)"));
}

/// Elements of Jenkins' schema (junit-10.xsd of its xUnit plugin), as far as
/// they are used: their attributes (`*` for those that must be there) and
/// what may stand in them.
const JENKINS: &[(&str, &[&str], &[&str])] = &[
    ("testsuites", &["name", "tests", "failures", "errors", "time"], &["testsuite"]),
    (
        "testsuite",
        &["name*", "tests*", "failures*", "errors*", "skipped", "timestamp", "time"],
        &["properties", "testcase", "system-out", "system-err"],
    ),
    ("properties", &[], &["property"]),
    ("property", &["name*", "value*"], &[]),
    (
        "testcase",
        &["name*", "classname", "time"],
        &["skipped", "failure", "error", "system-out", "system-err"],
    ),
    ("skipped", &["type", "message"], &[]),
    ("failure", &["type", "message"], &[]),
    ("error", &["type", "message"], &[]),
    ("system-out", &[], &[]),
    ("system-err", &[], &[]),
];

#[test]
fn junit_fits_the_schema_and_reads_back() {
    let text = rendered(Format::Junit);
    let document = roxmltree::Document::parse(&text).expect("it is XML");
    assert!(document.root_element().has_tag_name("testsuites"));
    for element in document.descendants().filter(roxmltree::Node::is_element) {
        let name = element.tag_name().name();
        let rule = JENKINS.iter().find(|rule| rule.0 == name);
        let (_, attributes, children) = rule.unwrap_or_else(|| panic!("{name} is not in it"));
        for attribute in element.attributes() {
            let is = |known: &&&str| known.trim_end_matches('*') == attribute.name();
            assert!(attributes.iter().any(|known| is(&known)), "{name}: {}", attribute.name());
        }
        for needed in attributes.iter().filter_map(|known| known.strip_suffix('*')) {
            assert!(element.has_attribute(needed), "{name} lacks {needed}");
        }
        for child in element.children().filter(roxmltree::Node::is_element) {
            assert!(children.contains(&child.tag_name().name()), "{name}: {child:?}");
        }
    }
    let report = quick_junit::Report::deserialize_from_str(&text).expect("it reads back");
    assert_eq!((report.tests, report.failures, report.errors), (15, 5, 2));
    let suites: Vec<&str> = report.test_suites.iter().map(|suite| suite.name.as_str()).collect();
    let documents = ["claims.seccomp_unotify(2)", "claims.seccomp(2)"];
    assert_eq!(suites, [&["recv", "mine", "skips", "trouble"][..], &documents].concat());
    let status = |suite: usize, case: usize| &report.test_suites[suite].test_cases[case].status;
    assert!(matches!(status(0, 0), TestCaseStatus::Success { .. }));
    let failure = |status: &TestCaseStatus, wanted: NonSuccessKind| {
        matches!(status,
        TestCaseStatus::NonSuccess { kind, .. } if *kind == wanted)
    };
    assert!(failure(status(0, 3), NonSuccessKind::Failure));
    assert!(failure(status(3, 0), NonSuccessKind::Error));
    let TestCaseStatus::Skipped { message, ty, .. } = status(4, 1) else { panic!("not skipped") };
    assert_eq!(ty.as_ref().map(quick_junit::XmlString::as_str), Some("xfail"));
    assert!(message.as_ref().is_some_and(|why| why.as_str().contains("ENOENT")));
}

#[rstest]
#[case::of_its_own(None)]
#[case::of_another(Some("maestro:6717f2".to_owned()))]
fn kcidb_fits_the_schema(#[case] build: Option<String>) {
    let schema: serde_json::Value =
        serde_json::from_str(include_str!("data/kcidb-5.3.json")).expect("the schema is JSON");
    let schema = jsonschema::validator_for(&schema).expect("the schema is one");
    let submission = Submission { origin: "lab".into(), build: build.clone() };
    let text = Format::Kcidb.render(&[record()], &submission);
    let value: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    let wrong: Vec<String> = schema.iter_errors(&value).map(|error| error.to_string()).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    let all = value["tests"].as_array().expect("tests");
    let statuses: Vec<&str> = all.iter().filter_map(|test| test["status"].as_str()).collect();
    assert_eq!(
        statuses,
        [
            "PASS", "PASS", "FAIL", "FAIL", "FAIL", "DONE", "SKIP", "SKIP", "ERROR", "MISS",
            "PASS", "DONE", "FAIL", "FAIL", "SKIP"
        ]
    );
    assert_eq!(all[2]["path"], "unotify-lab.recv.each.call_335_a_b");
    let ids: BTreeSet<&str> = all.iter().filter_map(|test| test["id"].as_str()).collect();
    assert_eq!(ids.len(), all.len());
    let expected = build.as_deref().or(value["builds"][0]["id"].as_str());
    assert_eq!(all[0]["build_id"].as_str(), expected);
    assert_eq!(value.get("builds").is_none(), build.is_some());
}

#[test]
fn lava_lines_are_taken_by_its_pattern() {
    let text = rendered(Format::Lava);
    let mut ids = BTreeSet::new();
    let mut results = Vec::new();
    for line in text.lines() {
        // lava_dispatcher: r"<LAVA_SIGNAL_(\S+) ([^>]+)>", then words KEY=VALUE.
        let inside = line.strip_prefix("<LAVA_SIGNAL_TESTCASE ").expect("a signal");
        let inside = inside.strip_suffix('>').filter(|inside| !inside.contains('>'));
        let words: Vec<&str> = inside.expect("an end").split(' ').collect();
        let pairs: Vec<(&str, &str)> =
            words.iter().map(|word| word.split_once('=').expect("a pair")).collect();
        assert_eq!((pairs.len(), pairs[0].0, pairs[1].0), (2, "TEST_CASE_ID", "RESULT"));
        assert!(!pairs[0].1.contains('='), "{line}");
        assert!(ids.insert(pairs[0].1), "twice: {line}");
        results.push(pairs[1].1);
    }
    assert_eq!(
        results,
        [
            "pass", "pass", "fail", "fail", "fail", "unknown", "skip", "skip", "unknown",
            "unknown", "pass", "pass", "fail", "fail", "skip"
        ]
    );
}

#[rstest]
#[case::pass(&[Outcome::Pass(None), Outcome::ExpectedFailure(String::new())], 0)]
#[case::fail(&[Outcome::UnexpectedPass(String::new()), Outcome::Failure(String::new())], 1)]
#[case::trouble(&[Outcome::Pass(None), Outcome::Error(String::new())], 1)]
#[case::only_known(&[Outcome::ExpectedFailure(String::new()), Outcome::Skip(String::new())], 2)]
#[case::unexpected(&[Outcome::Pass(None), Outcome::UnexpectedPass(String::new())], 3)]
#[case::nothing_ran(&[Outcome::Skip(String::new())], 4)]
fn kselftest_statuses(#[case] outcomes: &[Outcome], #[case] expected: u8) {
    let test = |outcome: &Outcome| Test { path: vec![], outcome: outcome.clone(), trace: None };
    let tests: Vec<Test> = outcomes.iter().map(test).collect();
    assert_eq!(exit_status(&tests), expected);
}

#[test]
fn the_command_writes_them_from_a_run_and_from_its_record() {
    let lab = |arguments: &[&str]| {
        let command = std::process::Command::new(env!("CARGO_BIN_EXE_unotify-lab"))
            .args(arguments)
            .output()
            .expect("the command starts");
        let text = String::from_utf8(command.stdout).expect("the output is text");
        (command.status.code(), text)
    };
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("record.json");
    let path = path.to_str().expect("it is text");
    let scenarios = ["recv/after-last-exit", "send/value"];
    let run = |more: &[&str]| lab(&[&["run"], &scenarios[..], more].concat());
    assert_eq!(run(&["--format", "json", "-o", path]).0, Some(0));
    for format in ["ktap", "tap13", "junit", "kcidb", "lava"] {
        let (status, direct) = run(&["--format", format]);
        assert_eq!(status, Some(0), "{direct}");
        let (status, stored) = lab(&["report", path, "--format", format]);
        assert_eq!(status, Some(0));
        assert_eq!(direct, stored, "{format}");
        assert!(direct.contains("value"), "{direct}");
    }
    let repeated = run(&["--format", "ktap", "--repeat", "3", "--kselftest"]);
    assert_eq!(repeated, (Some(0), lab(&["report", path, "--format", "ktap"]).1));
    assert_eq!(lab(&["run", "no/such", "--kselftest"]).0, Some(1));
    assert_eq!(lab(&["report", path, "--format", "kcidb", "--kcidb-origin", "A"]).0, Some(2));
}
