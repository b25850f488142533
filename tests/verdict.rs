//! What a trace, stored traces, facts and claims make of each other.

use std::collections::BTreeMap;

use rstest::rstest;
use unotify_lab::claim::{Claim, parse};
use unotify_lab::profile::{FACTS, Profile, Release, fact};
use unotify_lab::suite::{Catalogue, Selection};
use unotify_lab::trace::{Event, Outcome, Trace};
use unotify_lab::verdict::{
    Difference, Standing, StoredTrace, Verdict, judge, judge_claim, observed_profile,
    snapshot_text, variant_of,
};

const ENDS: &str = "recv-ends-when-last-user-exits";
const RELEASED: &str = "released-at-exit";

fn trace(outcome: Outcome) -> Trace {
    let event = Event {
        act: Some(0),
        actor: Some("S".to_owned()),
        text: "recv L".to_owned(),
        label: Some("end".to_owned()),
        outcome,
    };
    Trace { events: vec![event] }
}

fn ends() -> Trace {
    trace(Outcome::Returned(-i64::from(libc::ENOENT)))
}

fn stored(without: &[&str], trace: &Trace) -> StoredTrace {
    StoredTrace {
        without: without.iter().map(|fact| (*fact).to_owned()).collect(),
        cases: BTreeMap::from([("a/b".to_owned(), trace.to_string())]),
    }
}

fn profile(release: &str) -> Profile {
    Profile::of(release.parse::<Release>().expect("a release"))
}

#[rstest]
#[case::new_kernel("6.18.44", ends(), Verdict::Conforms)]
#[case::old_kernel("6.1.190", trace(Outcome::Blocked), Verdict::Conforms)]
#[case::backport("6.1.190", ends(), Verdict::Backported(vec![ENDS.to_owned()]))]
#[case::regression("6.18.44", trace(Outcome::Blocked), Verdict::Regressed(vec![ENDS.to_owned()]))]
#[case::wrong_error(
    "6.18.44",
    trace(Outcome::Returned(-i64::from(libc::EIO))),
    Verdict::Diverges(Difference {
        line: 1,
        expected: "end: S: recv L ENOENT".to_owned(),
        seen: "end: S: recv L EIO".to_owned(),
    })
)]
#[case::ends_early(
    "6.18.44",
    Trace::default(),
    Verdict::Diverges(Difference {
        line: 1,
        expected: "end: S: recv L ENOENT".to_owned(),
        seen: String::new(),
    })
)]
fn a_trace_is_held_against_those_of_the_kernels_facts(
    #[case] release: &str,
    #[case] seen: Trace,
    #[case] expected: Verdict,
) {
    let stored = [stored(&[], &ends()), stored(&[ENDS], &trace(Outcome::Blocked))];
    let facts = [ENDS.to_owned()];
    assert_eq!(judge("a/b", &seen, &facts, &profile(release), &stored), expected);
}

#[test]
fn without_a_stored_trace_there_is_no_verdict() {
    let facts = [ENDS.to_owned()];
    let seen = trace(Outcome::Returned(-5));
    for (release, stored) in [("6.18.44", vec![]), ("6.1.190", vec![stored(&[], &ends())])] {
        let verdict = judge("a/b", &seen, &facts, &profile(release), &stored);
        assert!(matches!(verdict, Verdict::Unjudged(_)), "{verdict:?}");
    }
}

#[test]
fn what_is_stored_reads_back() {
    let (first, second) = (ends(), trace(Outcome::Blocked));
    let text = snapshot_text([("a/b[x=1]", &first), ("a/b[x=2]", &second)]);
    let file = format!("---\nsource: tests/x.rs\n---\n{text}");
    let (id, read) = StoredTrace::of_file("a/b@without-y+z.snap", &file).expect("it reads");
    assert_eq!(id, "a/b");
    assert_eq!(read.without, ["y", "z"]);
    assert_eq!(read.cases["a/b[x=1]"], first.to_string().trim_end());
    assert_eq!(read.cases["a/b[x=2]"], second.to_string().trim_end());
}

#[test]
fn a_variant_is_named_after_the_facts_that_do_not_hold() {
    let facts = [RELEASED.to_owned(), ENDS.to_owned()];
    assert_eq!(variant_of(&facts, &profile("6.18.44")), None);
    assert_eq!(variant_of(&facts, &profile("6.10.10")), Some(format!("without-{ENDS}")));
    assert_eq!(variant_of(&facts, &profile("6.1.1")), Some(format!("without-{ENDS}+{RELEASED}")));
}

fn claim(predicts: &str, contradicted_by: Option<&str>) -> Claim {
    let by = contradicted_by.map(|by| format!("contradicted_by = '{by}'")).unwrap_or_default();
    let text = format!(
        "document = 'd'\nedition = 'e'\nsource = 's'\n[[claim]]\nid = 'c'\nplace = 'p'\n\
         says = 's'\nscenario = 'a/b'\nstep = 'end'\npredicts = '{predicts}'\n{by}"
    );
    parse("test.toml", &text).expect("the table is right").claims.remove(0)
}

#[rstest]
#[case::held("ENOENT", None, Standing::Held)]
#[case::news("blocks", None, Standing::Failed { seen: "ENOENT".to_owned() })]
#[case::known("blocks", Some(ENDS), Standing::Contradicted { seen: "ENOENT".to_owned() })]
#[case::always("blocks", Some("always"), Standing::Contradicted { seen: "ENOENT".to_owned() })]
#[case::after_all("ENOENT", Some(ENDS), Standing::HeldAfterAll)]
#[case::another_fact("blocks", Some("no-such-fact"), Standing::Failed { seen: "ENOENT".to_owned() })]
fn a_claim_stands_or_falls_by_the_deciding_step(
    #[case] predicts: &str,
    #[case] contradicted_by: Option<&str>,
    #[case] expected: Standing,
) {
    let seen = ends();
    let cases = [("a/b", Some(&seen))];
    let standing = judge_claim(&claim(predicts, contradicted_by), &profile("6.18.44"), cases);
    assert_eq!(standing, expected);
}

#[test]
fn a_claim_whose_scenario_was_not_run_is_undecided() {
    let claim = claim("ENOENT", None);
    for cases in [vec![], vec![("a/b", None)]] {
        let standing = judge_claim(&claim, &profile("6.18.44"), cases);
        assert!(matches!(standing, Standing::Undecided(_)), "{standing:?}");
    }
}

#[test]
fn a_claim_about_all_cases_must_hold_in_each() {
    let (good, bad) = (ends(), trace(Outcome::Blocked));
    let cases = [("a/b[x=1]", Some(&good)), ("a/b[x=2]", Some(&bad))];
    let standing = judge_claim(&claim("ENOENT", None), &profile("6.18.44"), cases);
    assert_eq!(standing, Standing::Failed { seen: "blocks".to_owned() });
}

#[test]
fn facts_are_what_is_seen_and_else_what_the_version_says() {
    let decision = fact(ENDS).expect("it is known").decided_by;
    let mut seen = trace(Outcome::Blocked);
    seen.events[0].label = Some(decision.step.to_owned());
    let of = |id: &str| (id == decision.scenario).then_some(&seen).into_iter().collect();
    let observed = observed_profile(&profile("6.18.44"), of);
    assert_eq!(observed.holds(ENDS), Some(false));
    assert_eq!(observed.holds(RELEASED), Some(true));
}

#[test]
fn every_fact_and_claim_names_a_step_that_is_there() {
    let catalogue = Catalogue::built_in().expect("the catalogue is right");
    let cases = catalogue.select(&Selection::default()).expect("all scenarios are right");
    let has = |scenario: &str, step: &str, about: &dyn Fn(&str) -> bool| {
        let labelled = cases.iter().filter(|case| about(&case.scenario.id)).all(|case| {
            case.scenario
                .steps
                .iter()
                .flat_map(|known| &known.operations)
                .any(|known| known.label.as_deref() == Some(step))
        });
        let there = cases.iter().any(|case| about(&case.scenario.id));
        assert!(there, "no scenario {scenario}");
        assert!(labelled, "no step {step} in {scenario}");
    };
    for fact in FACTS {
        let decision = fact.decided_by;
        for step in decision.step.split('+') {
            has(decision.scenario, step, &|id| id == decision.scenario);
        }
    }
    for document in &catalogue.documents {
        for claim in &document.claims {
            has(&claim.scenario, &claim.step, &|id| claim.is_about(id));
            if let Some(since) = &claim.since {
                assert!(fact(since).is_some(), "{}: no fact {since}", claim.id);
            }
            if let Some(by) = &claim.contradicted_by {
                assert!(by == "always" || fact(by).is_some(), "{}: no fact {by}", claim.id);
            }
        }
    }
    for case in &cases {
        for id in &case.scenario.facts {
            assert!(fact(id).is_some(), "{}: no fact {id}", case.scenario.id);
        }
    }
}

#[test]
fn a_claim_says_nothing_of_a_kernel_that_is_older_than_what_it_speaks_of() {
    let seen = ends();
    let claim = Claim { since: Some(ENDS.to_owned()), ..claim("ENOENT", None) };
    let standing = |kernel| judge_claim(&claim, &profile(kernel), [("a/b", Some(&seen))]);
    assert_eq!(standing("6.18.44"), Standing::Held);
    assert!(matches!(standing("6.1.1"), Standing::Undecided(_)));
}
