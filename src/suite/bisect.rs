//! Where a behaviour changed: what is asked of a kernel, what it answers, and
//! the search along a line of kernels.

use std::ops::ControlFlow;

use super::catalogue::Case;
use super::judged::verdict_by;
use super::kernel::Kernel;
use crate::claim::matches;
use crate::live::{Job, RunResult};
use crate::profile::{Fact, Profile};
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
                match verdict_by(case, trace, &by_version, subject.root) {
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
                } else if fact.decided_by.is_race() {
                    Answer::Bad(format!("{}: no run was without it", fact.id))
                } else if matches(fact.decided_by.holds, &seen) {
                    Answer::Bad(format!("{}: {seen}", fact.id))
                } else {
                    Answer::CannotTell(format!("{} is not decided by {seen:?}", fact.id))
                }
            }
        }
    }
}

/// What several runs on one kernel answer together. It is asked for after each
/// run, so that no more are made than are needed.
#[derive(Clone, Debug)]
pub struct Poll<'q> {
    question: &'q Question,
    settled: Option<Answer>,
    other: Option<Answer>,
}

impl<'q> Poll<'q> {
    /// Nothing is known yet.
    pub fn new(question: &'q Question) -> Self {
        Poll { question, settled: None, other: None }
    }

    /// Adds a run; breaks where no other can change the answer.
    pub fn add(
        &mut self,
        case: &Case<'_>,
        subject: &Subject,
        result: &RunResult,
    ) -> ControlFlow<()> {
        self.add_answer(self.question.answer(case, subject, result))
    }

    fn add_answer(&mut self, answer: Answer) -> ControlFlow<()> {
        let settles = match self.question {
            // That the fact does not hold is what one run can show.
            Question::Without(fact) if fact.decided_by.is_race() => answer == Answer::Good,
            // A bad way is there though it is gone rarely.
            _ => matches!(answer, Answer::Bad(_)),
        };
        if settles {
            self.settled = Some(answer);
            return ControlFlow::Break(());
        }
        if !matches!(self.other, Some(Answer::CannotTell(_))) {
            self.other = Some(answer);
        }
        ControlFlow::Continue(())
    }

    /// The answer: of a run that settles it, or that all of them gave.
    /// `missing` says why some of the runs were not made, if so.
    pub fn answer(self, missing: Option<String>) -> Answer {
        let untold = || Answer::CannotTell("it was never run".to_owned());
        let all = || missing.map(Answer::CannotTell).or(self.other).unwrap_or_else(untold);
        self.settled.unwrap_or_else(all)
    }
}

/// How many runs leave less than one chance in a thousand to miss what shows in
/// one run of so many.
pub fn runs_to_settle(odds: u32) -> usize {
    const MISSED: f64 = 0.001;
    let hidden = 1.0 - 1.0 / f64::from(odds);
    (1..).find(|runs| hidden.powi(*runs) < MISSED).map_or(1, |runs| runs as usize)
}

/// Jobs that run each case so often, in rounds.
pub fn jobs_of(cases: &[Case<'_>], times: impl Fn(&Case<'_>) -> usize, seed: u64) -> Vec<Job> {
    let times: Vec<usize> = cases.iter().map(times).collect();
    let rounds = 0..times.iter().copied().max().unwrap_or(0);
    let each = rounds.flat_map(|round| {
        let wanted = cases.iter().zip(&times).filter(move |(_, times)| round < **times);
        wanted.map(|(case, _)| case)
    });
    each.enumerate().map(|(number, case)| case.job(seed.wrapping_add(number as u64))).collect()
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

    /// An answer by its first letter.
    fn answer_of(letter: char) -> Answer {
        match letter {
            'g' => Answer::Good,
            'b' => Answer::Bad("x".to_owned()),
            _ => Answer::CannotTell("y".to_owned()),
        }
    }

    #[rstest]
    #[case::good("gg", 'g', 2)]
    #[case::one_bad("gbg", 'b', 2)]
    #[case::bad_though_untold("cb", 'b', 2)]
    #[case::untold("cg", 'c', 2)]
    fn several_runs(#[case] runs: &str, #[case] expected: char, #[case] asked: usize) {
        let question = Question::Conforms;
        let (answer, runs) = poll(&question, runs);
        assert_eq!((answer, runs), (answer_of(expected), asked));
    }

    /// Of a race, one run shows that the fact does not hold, and none that it
    /// does.
    #[rstest]
    #[case::never_without("bbb", 'b', 3)]
    #[case::once_without("bgb", 'g', 2)]
    #[case::untold("bcb", 'c', 3)]
    fn several_runs_of_a_race_that_decides_a_fact(
        #[case] runs: &str,
        #[case] expected: char,
        #[case] asked: usize,
    ) {
        let fact = crate::profile::FACTS.iter().find(|fact| fact.decided_by.is_race());
        let question = Question::Without(fact.expect("there is one"));
        assert_eq!(poll(&question, runs), (answer_of(expected), asked));
    }

    /// The answer, and how many runs it took.
    fn poll(question: &Question, runs: &str) -> (Answer, usize) {
        let mut poll = Poll::new(question);
        let mut asked = 0;
        for run in runs.chars() {
            asked += 1;
            if poll.add_answer(answer_of(run)).is_break() {
                break;
            }
        }
        (poll.answer(None), asked)
    }

    #[test]
    fn what_was_not_run_is_not_told() {
        let question = Question::Conforms;
        let poll = || Poll::new(&question);
        assert_eq!(poll().answer(None), Answer::CannotTell("it was never run".to_owned()));
        let mut good = poll();
        let _ = good.add_answer(Answer::Good);
        assert_eq!(good.answer(Some("y".to_owned())), answer_of('c'));
        let mut bad = poll();
        let _ = bad.add_answer(answer_of('b'));
        assert_eq!(bad.answer(Some("y".to_owned())), answer_of('b'));
    }

    #[rstest]
    #[case(1, 1)]
    #[case(2, 10)]
    #[case(20, 135)]
    #[case(100, 688)]
    fn odds_say_how_often(#[case] odds: u32, #[case] runs: usize) {
        assert_eq!(runs_to_settle(odds), runs);
    }
}
