//! What the runs of one case say, held against what is stored and against the
//! model.

use super::catalogue::Case;
use super::run::CaseResult;
use super::ways::Way;
use crate::live::RunResult;
use crate::model::{self, Agreement, Setting};
use crate::profile::{FACTS, Fact, Profile};
use crate::trace::Trace;
use crate::verdict::{Difference, Verdict, judge, refusal, unset_stage};

/// What is known of a kernel.
pub(super) struct Known<'p> {
    /// Its facts by its version.
    pub by_version: &'p Profile,
    /// Its facts as they were seen, and by the version where nothing decided.
    pub observed: &'p Profile,
    /// Whether scenarios run as root.
    pub root: bool,
}

/// What the runs of one case have given so far.
#[derive(Clone, Debug)]
pub(super) enum Seen {
    /// It has no trace, for this reason.
    Not(Verdict),
    /// A run that came to no end.
    Part(Trace, String),
    /// The different traces that it has, in the order in which they were seen.
    Ways(Vec<Way>),
}

impl Seen {
    /// After one run.
    pub fn first(result: RunResult) -> Seen {
        match result {
            RunResult::Ran(trace) => Seen::Ways(vec![Way { count: 1, trace }]),
            RunResult::Skipped(why) => Seen::Not(Verdict::Skipped(why)),
            RunResult::Inconclusive(trace, why) => Seen::Part(trace, why),
            RunResult::Fault(why) => Seen::Not(Verdict::Fault(why)),
        }
    }

    /// With one more run.
    pub fn and(self, result: RunResult) -> Seen {
        let Seen::Ways(mut ways) = self else { return self };
        let RunResult::Ran(trace) = result else { return Seen::first(result) };
        match ways.iter_mut().find(|way| way.trace == trace) {
            Some(way) => way.count += 1,
            None => ways.push(Way { count: 1, trace }),
        }
        Seen::Ways(ways)
    }

    /// The result, if that is all.
    pub fn judged<'c>(self, case: &'c Case<'c>, known: &Known<'_>) -> CaseResult<'c> {
        let mut more_ways = None;
        let (trace, ways, verdict) = match self {
            Seen::Not(verdict) => (None, Vec::new(), verdict),
            Seen::Part(trace, why) => (Some(trace), Vec::new(), Verdict::Inconclusive(why)),
            Seen::Ways(ways) if case.scenario.races() => {
                let verdict = verdict_of_all(case, &ways, known);
                let (ways, more) = with_unseen(case, ways, known);
                more_ways = more;
                (None, ways, verdict)
            }
            Seen::Ways(ways) => {
                let verdict = match &ways[..] {
                    [only] => verdict(case, &only.trace, known),
                    several => several_verdict(case, several, known),
                };
                let first = ways[0].trace.clone();
                (Some(first), if ways.len() > 1 { ways } else { Vec::new() }, verdict)
            }
        };
        CaseResult { case, trace, ways, more_ways, verdict }
    }
}

/// What a case without races says whose runs differ. One of the catalogue has
/// one way to go; of another the model may know several, which is more than that
/// it knows nothing.
fn several_verdict(case: &Case<'_>, ways: &[Way], known: &Known<'_>) -> Verdict {
    if case.file.stored.is_empty() && !ways.iter().any(|way| is_free(case, &way.trace, known)) {
        return verdict_of_all(case, ways, known);
    }
    let [once, again] = [0, 1].map(|way: usize| ways[way].trace.to_string());
    let difference = Difference::between(&once, &again);
    difference.map_or_else(|| verdict_of_all(case, ways, known), Verdict::Unstable)
}

/// Whether the model allows a trace for want of knowledge.
fn is_free(case: &Case<'_>, trace: &Trace, known: &Known<'_>) -> bool {
    let Ok(schedule) = case.scenario.schedule() else { return true };
    let setting = Setting { schedule: &schedule, profile: known.observed, root: known.root };
    matches!(model::agree(&setting, trace), Agreement::Allowed { free: 1.. })
}

/// What ways say together: the first finding, or that one is not judged.
fn verdict_of_all(case: &Case<'_>, ways: &[Way], known: &Known<'_>) -> Verdict {
    let verdicts: Vec<Verdict> = ways.iter().map(|way| verdict(case, &way.trace, known)).collect();
    let first = |is: fn(&Verdict) -> bool| verdicts.iter().find(|verdict| is(verdict));
    first(Verdict::is_finding)
        .or(first(|verdict| matches!(verdict, Verdict::Unjudged(_))))
        .or(first(|verdict| matches!(verdict, Verdict::Backported(_))))
        .cloned()
        .unwrap_or(Verdict::Conforms)
}

/// The most frequent first, and then the ways that the model allows and that
/// were not seen; why there may be more, if so.
fn with_unseen(
    case: &Case<'_>,
    mut ways: Vec<Way>,
    known: &Known<'_>,
) -> (Vec<Way>, Option<String>) {
    ways.sort_by_key(|way| std::cmp::Reverse(way.count));
    let Ok(schedule) = case.scenario.schedule() else {
        return (ways, Some("the model was not asked".to_owned()));
    };
    let setting = Setting { schedule: &schedule, profile: known.observed, root: known.root };
    let (traces, more) = model::predict(&setting);
    let new = |trace: &Trace| !ways.iter().any(|way| way.trace == *trace);
    let unseen: Vec<Trace> = traces.into_iter().filter(new).collect();
    ways.extend(unseen.into_iter().map(|trace| Way { count: 0, trace }));
    (ways, more.map(str::to_owned))
}

/// Holds a trace against what is known of the kernel. What its version does not
/// explain, facts may that it was seen to have or to lack.
fn verdict(case: &Case<'_>, trace: &Trace, known: &Known<'_>) -> Verdict {
    let by = |profile: &Profile| verdict_by(case, trace, profile, known.root);
    let plain = by(known.by_version);
    if !plain.is_finding() || by(known.observed) != Verdict::Conforms {
        return plain;
    }
    // Only those that are needed.
    let mut profile = known.observed.clone();
    let mut needed: Vec<&Fact> = Vec::new();
    for fact in FACTS {
        let Some(holds) = profile.holds(fact.id) else { continue };
        let expected = known.by_version.holds(fact.id);
        if expected == Some(holds) {
            continue;
        }
        profile.set(fact, !holds);
        if by(&profile) != Verdict::Conforms {
            profile.set(fact, holds);
            needed.push(fact);
        }
    }
    let names = |those: bool| -> Vec<String> {
        let those = needed.iter().filter(|fact| profile.holds(fact.id) == Some(those));
        those.map(|fact| fact.id.to_owned()).collect()
    };
    match names(false) {
        lost if lost.is_empty() => Verdict::Backported(names(true)),
        lost => Verdict::Regressed(lost),
    }
}

/// Holds a trace against what is stored and against the model, on a kernel of
/// these facts.
pub(super) fn verdict_by(case: &Case<'_>, trace: &Trace, profile: &Profile, root: bool) -> Verdict {
    let scenario = &case.scenario;
    let stored = judge(&scenario.id, trace, &scenario.facts, profile, &case.file.stored);
    let Ok(schedule) = scenario.schedule() else { return stored };
    let setting = Setting { schedule: &schedule, profile, root };
    let found = match stored {
        Verdict::Conforms | Verdict::Unjudged(_) => by_model(&setting, trace, stored),
        found => found,
    };
    if !found.is_finding() {
        return found;
    }
    let unset = unset_stage(&schedule, trace, &model::agree(&setting, trace));
    unset.map_or(found, Verdict::Inconclusive)
}

/// What the model says of a trace that nothing stored speaks against.
fn by_model(setting: &Setting<'_>, trace: &Trace, stored: Verdict) -> Verdict {
    match (model::agree(setting, trace), stored) {
        (Agreement::Refused(_), stored) => refusal(setting, trace).map_or(stored, Verdict::Refused),
        (Agreement::Allowed { .. }, _) => Verdict::Conforms,
        (Agreement::Beyond { act, why }, Verdict::Unjudged(_)) => {
            let text = setting.schedule.acts.get(act).map_or("the end", |act| act.text.as_str());
            Verdict::Unjudged(format!("from `{text}` on the model does not follow: {why}"))
        }
        (Agreement::Beyond { .. }, stored) => stored,
    }
}
