//! Where a behaviour changed: what is asked of a kernel, what it answers, and
//! the search along a line of kernels.

use super::catalogue::Case;
use super::kernel::Kernel;
use super::run::verdict;
use crate::claim::matches;
use crate::live::RunResult;
use crate::profile::{Fact, Profile};
use crate::trace::Trace;
use crate::verdict::Verdict;

/// What makes a kernel a good one.
#[derive(Clone, Debug)]
pub enum Question {
    /// The trace is one that is known of kernels with its facts, or with those
    /// of later kernels.
    Conforms,
    /// The step with this label has outcomes of this pattern.
    Expect {
        /// The label.
        label: String,
        /// The pattern, as claims have it.
        pattern: String,
    },
    /// The fact does not hold, as on the older kernels: the first bad commit
    /// is the one that brought it.
    Without(&'static Fact),
}

/// On what runs were made.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The kernel.
    pub kernel: Kernel,
    /// Whether actors ran as root unless the scenario says otherwise.
    pub root: bool,
}

/// What one kernel answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is a good one.
    Good,
    /// It is a bad one: what was seen.
    Bad(String),
    /// It cannot be told, for this reason.
    CannotTell(String),
}

impl Question {
    /// What one run of a case on a kernel answers.
    pub fn answer(&self, case: &Case<'_>, subject: &Subject, result: &RunResult) -> Answer {
        let trace = match result {
            RunResult::Ran(trace) => trace,
            RunResult::Skipped(why) | RunResult::Inconclusive(_, why) | RunResult::Fault(why) => {
                return Answer::CannotTell(format!("{}: {why}", case.scenario.id));
            }
        };
        match self {
            Question::Conforms => {
                let release = subject.kernel.upstream();
                let by_version = release.map_or_else(Profile::default, Profile::of);
                match verdict(case, trace, &by_version, subject.root) {
                    Verdict::Conforms | Verdict::Backported(_) => Answer::Good,
                    Verdict::Diverges(difference) => Answer::Bad(difference.seen),
                    Verdict::Refused(refusal) => Answer::Bad(refusal.to_string()),
                    Verdict::Regressed(facts) => {
                        Answer::Bad(format!("it is without {}", facts.join(", ")))
                    }
                    Verdict::Unjudged(why) => Answer::CannotTell(why),
                    other => Answer::CannotTell(format!("{other:?}")),
                }
            }
            Question::Expect { label, pattern } => match trace.outcomes_of(label) {
                Some(seen) if matches(pattern, &seen) => Answer::Good,
                Some(seen) => Answer::Bad(seen),
                None => Answer::CannotTell(format!("{label} was not reached")),
            },
            Question::Without(fact) => {
                let seen = trace.outcomes_of(fact.decided_by.step).unwrap_or_default();
                if matches(fact.decided_by.fails, &seen) {
                    Answer::Good
                } else if matches(fact.decided_by.holds, &seen) {
                    Answer::Bad(format!("{}: {seen}", fact.id))
                } else {
                    Answer::CannotTell(format!("{} is not decided by {seen:?}", fact.id))
                }
            }
        }
    }
}

impl Answer {
    /// The answer of several runs: one bad run makes a bad kernel, as a race
    /// is there though it is lost mostly; a good one is good in all.
    pub fn of(runs: impl IntoIterator<Item = Answer>) -> Answer {
        let mut all = None;
        for run in runs {
            match (&all, run) {
                (_, bad @ Answer::Bad(_)) => return bad,
                (Some(Answer::CannotTell(_)), _) => {}
                (_, other) => all = Some(other),
            }
        }
        all.unwrap_or_else(|| Answer::CannotTell("it was never run".to_owned()))
    }
}

/// The traces of several runs of each case, if they are the same in all;
/// otherwise why there are none to compare.
///
/// # Errors
///
/// Runs without a trace, and runs of one case that differ.
pub fn steady_traces(
    cases: &[Case<'_>],
    results: &[(usize, RunResult)],
) -> Result<Vec<Trace>, String> {
    let mut traces: Vec<Option<&Trace>> = vec![None; cases.len()];
    for (case, result) in results {
        let id = &cases[*case].scenario.id;
        match (result, traces[*case]) {
            (RunResult::Ran(trace), None) => traces[*case] = Some(trace),
            (RunResult::Ran(trace), Some(before)) if trace == before => {}
            (RunResult::Ran(_), Some(_)) => return Err(format!("{id}: two runs differ")),
            (RunResult::Skipped(why) | RunResult::Fault(why), _)
            | (RunResult::Inconclusive(_, why), _) => return Err(format!("{id}: {why}")),
        }
    }
    let all: Option<Vec<Trace>> = traces.into_iter().map(Option::<&Trace>::cloned).collect();
    all.ok_or_else(|| "the guest ended before all was run".to_owned())
}

/// What a search along a line of kernels found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// No two of them can be told from each other: fewer than two answered, or
    /// the first and the last are the same.
    Same,
    /// The last that does as the first one does, and the first that does not;
    /// none of those between them answered.
    Changed {
        /// The former's number.
        before: usize,
        /// The latter's.
        after: usize,
    },
}

/// Searches `count` kernels by halves. `ask` gives what a kernel does, or
/// nothing where that cannot be told; it is asked once a kernel at most.
pub fn search<T: PartialEq>(count: usize, mut ask: impl FnMut(usize) -> Option<T>) -> Found {
    let Some((mut before, old)) = (0..count).find_map(|index| Some((index, ask(index)?))) else {
        return Found::Same;
    };
    let last = (before + 1..count).rev().find_map(|index| Some((index, ask(index)?)));
    let mut after = match last {
        Some((index, new)) if new != old => index,
        _ => return Found::Same,
    };
    let mut silent: Vec<usize> = Vec::new();
    loop {
        let middle = usize::midpoint(before, after);
        let open = (before + 1..after).filter(|index| !silent.contains(index));
        let Some(next) = open.min_by_key(|index| index.abs_diff(middle)) else {
            return Found::Changed { before, after };
        };
        match ask(next) {
            Some(seen) if seen == old => before = next,
            Some(_) => after = next,
            None => silent.push(next),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::none("", Found::Same)]
    #[case::one("a", Found::Same)]
    #[case::same("aaaa", Found::Same)]
    #[case::two("ab", Found::Changed { before: 0, after: 1 })]
    #[case::late("aaaaab", Found::Changed { before: 4, after: 5 })]
    #[case::early("abbbbb", Found::Changed { before: 0, after: 1 })]
    #[case::silent_ends("??aab??", Found::Changed { before: 3, after: 4 })]
    #[case::silent_middle("aa??bb", Found::Changed { before: 1, after: 4 })]
    #[case::third_kind("aacb", Found::Changed { before: 1, after: 2 })]
    #[case::nobody("???", Found::Same)]
    fn searches(#[case] kernels: &str, #[case] expected: Found) {
        let kernels: Vec<char> = kernels.chars().collect();
        let mut asked = vec![0; kernels.len()];
        let found = search(kernels.len(), |index| {
            asked[index] += 1;
            Some(kernels[index]).filter(|kind| *kind != '?')
        });
        assert_eq!(found, expected);
        assert!(asked.iter().all(|times| *times <= 1), "{asked:?}");
    }

    #[rstest]
    #[case::good(&[Answer::Good, Answer::Good], Answer::Good)]
    #[case::one_bad(&[Answer::Good, Answer::Bad("x".into())], Answer::Bad("x".into()))]
    #[case::bad_though_untold(
        &[Answer::CannotTell("y".into()), Answer::Bad("x".into())],
        Answer::Bad("x".into())
    )]
    #[case::untold(&[Answer::CannotTell("y".into()), Answer::Good], Answer::CannotTell("y".into()))]
    #[case::no_run(&[], Answer::CannotTell("it was never run".into()))]
    fn several_runs(#[case] runs: &[Answer], #[case] expected: Answer) {
        assert_eq!(Answer::of(runs.to_vec()), expected);
    }
}
