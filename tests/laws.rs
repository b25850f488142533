//! Laws that hold for any case: of what is made up, of programs in the running
//! kernel, of stacks of filters, of the model.

use proptest::collection::vec;
use proptest::prelude::*;
use unotify_lab::abi::SockFilter;
use unotify_lab::bpf::{Program, validate};
use unotify_lab::filter::{evaluate_stack, precedence};
use unotify_lab::fuzz::{Divergence, Target, Trouble};
use unotify_lab::generate::{CASE_BYTES, Stack, from_bytes, smaller};
use unotify_lab::model::{Agreement, Setting, agree, predict};
use unotify_lab::profile::{FACTS, Profile};
use unotify_lab::scenario::{Scenario, parse};
use unotify_lab::trace::Trace;

/// What cases are made of.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..=CASE_BYTES)
}

/// A profile in which some facts hold.
fn profile() -> impl Strategy<Value = Profile> {
    vec(any::<bool>(), FACTS.len()).prop_map(|holds| {
        let mut profile = Profile::default();
        FACTS.iter().zip(holds).for_each(|(fact, holds)| profile.set(fact, holds));
        profile
    })
}

/// The same scenario with other names for those who act.
fn renamed(scenario: &Scenario) -> Scenario {
    let text = words(&scenario.to_string(), |word| {
        let known = scenario.actors.iter().any(|actor| actor.name == word);
        known.then(|| format!("Actor{word}"))
    });
    parse("renamed", "renamed", &text).expect("names are only names").remove(0)
}

/// Puts other words in place of some.
fn words(text: &str, other: impl Fn(&str) -> Option<String>) -> String {
    let mut result = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let end = match rest.starts_with(word) {
            true => rest.find(|c| !word(c)),
            false => rest.find(word),
        };
        let (part, after) = rest.split_at(end.unwrap_or(rest.len()));
        result += &other(part).unwrap_or_else(|| part.to_owned());
        rest = after;
    }
    result
}

fn json(traces: &[Trace]) -> String {
    serde_json::to_string(traces).expect("traces are plain data")
}

/// Asks the running kernel, in a task that is thrown away.
fn asked(target: Target, bytes: &[u8]) -> Result<Option<Divergence>, Trouble> {
    target.start(None, None)?.check(bytes, &mut |_| {})
}

#[test]
fn no_bytes_are_a_case() {
    let scenario: Scenario = from_bytes(&[]);
    assert!(scenario.schedule().is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_bytes_are_a_scenario_that_reads_back(bytes in bytes()) {
        let scenario: Scenario = from_bytes(&bytes);
        prop_assert!(scenario.schedule().is_ok());
        let again = parse(&scenario.id, &scenario.id, &scenario.to_string());
        let again = again.expect("what is printed can be read").remove(0);
        prop_assert_eq!(again.to_string(), scenario.to_string());
    }

    #[test]
    fn what_is_smaller_is_another_scenario_that_can_be_scheduled(bytes in bytes()) {
        let scenario: Scenario = from_bytes(&bytes);
        for one in smaller(&scenario) {
            prop_assert!(one.schedule().is_ok());
            prop_assert!(one != scenario);
        }
    }

    #[test]
    fn made_up_stacks_can_be_installed(bytes in bytes()) {
        let Stack(stack) = from_bytes(&bytes);
        for program in &stack.programs {
            prop_assert_eq!(validate(&program.0), Ok(()));
        }
    }

    /// seccomp(2) takes a program if and only if the rules do.
    #[test]
    fn the_kernel_takes_what_the_rules_take(bytes in bytes()) {
        prop_assert_eq!(asked(Target::BpfValidate, &bytes), Ok(None));
    }

    /// What becomes of calls under a program is what its evaluation says.
    #[test]
    fn the_kernel_computes_what_evaluation_computes(bytes in bytes()) {
        prop_assert_eq!(asked(Target::BpfEval, &bytes), Ok(None));
    }

    /// The same of several programs, whichever is the newest.
    #[test]
    fn the_kernel_chooses_among_filters_as_precedence_says(bytes in bytes()) {
        prop_assert_eq!(asked(Target::StackEval, &bytes), Ok(None));
    }

    /// Whichever way they were installed, the strongest action wins; and its
    /// data, too, unless two filters ask for it with different ones.
    #[test]
    fn the_order_of_filters_matters_only_as_precedence_says(
        bytes in bytes(),
        order in any::<prop::sample::Index>(),
    ) {
        let Stack(stack) = from_bytes(&bytes);
        let mut other: Vec<Program> = stack.programs.clone();
        other.rotate_left(order.index(stack.programs.len()));
        if order.index(2) == 1 {
            other.reverse();
        }
        for call in &stack.calls {
            let data = call.data(0);
            let word = |stack: &[Program]| evaluate_stack(stack, &data).expect("there are some").1;
            let (one, two) = (word(&stack.programs), word(&other));
            prop_assert_eq!(precedence(one), precedence(two));
            let same = |program: &Program| {
                let alone: &[SockFilter] = program.as_ref();
                let word = unotify_lab::bpf::evaluate(alone, &data);
                precedence(word) == precedence(one) && word != one
            };
            prop_assert!(one == two || stack.programs.iter().any(same));
        }
    }

    #[test]
    fn the_model_accepts_its_own_traces(bytes in bytes(), profile in profile(), root: bool) {
        let scenario: Scenario = from_bytes(&bytes);
        let schedule = scenario.schedule().expect("cases can be scheduled");
        let setting = Setting { schedule: &schedule, profile: &profile, root };
        let (traces, cut) = predict(&setting);
        prop_assert!(!traces.is_empty());
        for trace in traces {
            match agree(&setting, &trace) {
                Agreement::Allowed { .. } => {}
                Agreement::Beyond { .. } => prop_assert!(cut.is_some()),
                Agreement::Refused(refused) => {
                    prop_assert!(cut.is_some(), "{scenario}\n{trace}\n{refused:?}");
                }
            }
        }
    }

    #[test]
    fn nothing_depends_on_the_names_of_actors(bytes in bytes(), profile in profile()) {
        let scenario: Scenario = from_bytes(&bytes);
        let renamed = renamed(&scenario);
        let foreseen = |scenario: &Scenario| {
            let schedule = scenario.schedule().expect("cases can be scheduled");
            let (traces, cut) =
                predict(&Setting { schedule: &schedule, profile: &profile, root: true });
            (json(&traces), cut)
        };
        let (traces, cut) = foreseen(&scenario);
        let (others, other_cut) = foreseen(&renamed);
        let back = words(&others, |word| word.strip_prefix("Actor").map(str::to_owned));
        prop_assert_eq!(back, traces);
        prop_assert_eq!(other_cut, cut);
    }
}
