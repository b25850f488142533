//! Runs cases and judges them.

use super::catalogue::{Case, Catalogue};
use super::kernel::Kernel;
use crate::claim::{Claim, Document};
use crate::live::{Job, Pool, PoolError, RunResult};
use crate::profile::Profile;
use crate::trace::Trace;
use crate::verdict::{
    Difference, Standing, Verdict, judge, judge_claim, missing, observed_profile, snapshot_file,
};

/// What came of one case.
#[derive(Clone, Debug)]
pub struct CaseResult<'c> {
    /// The case.
    pub case: &'c Case<'c>,
    /// What was seen, if it ran.
    pub trace: Option<Trace>,
    /// What that says.
    pub verdict: Verdict,
}

impl CaseResult<'_> {
    /// The trace, if it says something: not that of a run that was cut off.
    pub fn decisive(&self) -> Option<&Trace> {
        self.trace.as_ref().filter(|_| !self.verdict.is_trouble())
    }
}

/// What came of a suite.
#[derive(Clone, Debug)]
pub struct SuiteResult<'c> {
    /// Which kernel it was.
    pub kernel: Kernel,
    /// The user id that it ran as.
    pub user: u32,
    /// Facts by the kernel's version.
    pub by_version: Profile,
    /// Facts as they were seen, and by the version where nothing decided.
    pub observed: Profile,
    /// The cases, in the order in which they were asked for.
    pub cases: Vec<CaseResult<'c>>,
    /// Each document's claims that the cases decide.
    pub claims: Vec<(&'c Document, &'c Claim, Standing)>,
}

/// The jobs that run cases `repeat` times each, in rounds.
pub fn jobs(cases: &[Case<'_>], repeat: usize) -> Vec<Job> {
    (0..repeat.max(1))
        .flat_map(|_| cases)
        .map(|case| Job {
            file: case.file.id.clone(),
            id: case.scenario.id.clone(),
            source: case.file.text.to_string(),
        })
        .collect()
}

/// What runs of cases have given so far, wherever they ran.
#[derive(Debug)]
pub struct Collected<'c> {
    cases: &'c [Case<'c>],
    seen: Vec<Option<Seen>>,
    runs: Vec<usize>,
}

impl<'c> Collected<'c> {
    /// Nothing so far.
    pub fn new(cases: &'c [Case<'c>]) -> Self {
        let seen = cases.iter().map(|_| None).collect();
        Collected { cases, seen, runs: vec![0; cases.len()] }
    }

    /// The result of the job of that number, as [`jobs`] counts them.
    pub fn add(&mut self, job: usize, result: RunResult) {
        let index = job % self.cases.len();
        self.runs[index] += 1;
        let before = &mut self.seen[index];
        *before = Some(match before.take() {
            None => Seen::first(result),
            Some(before) => before.and(result),
        });
    }

    /// What came of the case of that number, once it was run `runs` times on a
    /// kernel of that profile.
    pub fn settled(
        &self,
        case: usize,
        runs: usize,
        by_version: &Profile,
    ) -> Option<CaseResult<'c>> {
        let seen = self.seen[case].as_ref().filter(|_| self.runs[case] >= runs)?;
        Some(seen.clone().judged(&self.cases[case], by_version))
    }

    /// Judges what was seen on a kernel, as a user: `missing` says why a case that never
    /// ran has no result.
    pub fn judge(
        self,
        catalogue: &'c Catalogue,
        kernel: Kernel,
        user: u32,
        missing: &str,
    ) -> SuiteResult<'c> {
        let by_version = kernel.upstream().map_or_else(Profile::default, Profile::of);
        let results: Vec<CaseResult<'c>> = self
            .cases
            .iter()
            .zip(self.seen)
            .map(|(case, seen)| {
                let seen = seen.unwrap_or(Seen::Not(Verdict::Fault(missing.to_owned())));
                seen.judged(case, &by_version)
            })
            .collect();
        let observed = observed_profile(&by_version, |id| {
            let result = results.iter().find(|result| result.case.scenario.id == id);
            result.and_then(CaseResult::decisive)
        });
        let claims = claims(catalogue, &results, &observed);
        SuiteResult { kernel, user, by_version, observed, cases: results, claims }
    }
}

impl SuiteResult<'_> {
    /// Files of stored traces, name and contents, for those scenario files
    /// that have none for this kernel's facts.
    pub fn missing_traces(&self) -> Vec<(String, String)> {
        let files = self.cases.chunk_by(|a, b| a.case.file.id == b.case.file.id);
        files
            .filter_map(|cases| {
                let traces: Option<Vec<_>> = cases
                    .iter()
                    .filter(|one| !one.verdict.is_trouble() && !one.verdict.is_finding())
                    .map(|one| Some((one.case.scenario.id.as_str(), one.trace.as_ref()?)))
                    .collect();
                let traces = traces.filter(|traces| traces.len() == cases.len())?;
                let first = &cases[0].case;
                let facts = &first.scenario.facts;
                // What a backport does is not what the release does.
                if facts.iter().any(|id| self.observed.holds(id) != self.by_version.holds(id)) {
                    return None;
                }
                let without = missing(facts, &self.by_version);
                let known = first.file.stored.iter().any(|stored| stored.without == without);
                (!known).then(|| snapshot_file(&first.file.id, facts, &self.by_version, traces))
            })
            .collect()
    }
}

/// How the claims stand that the results decide.
fn claims<'c>(
    catalogue: &'c Catalogue,
    results: &[CaseResult<'c>],
    observed: &Profile,
) -> Vec<(&'c Document, &'c Claim, Standing)> {
    let ids: Vec<&str> = results.iter().map(|result| result.case.scenario.id.as_str()).collect();
    let standing = |claim: &Claim| {
        let cases = results.iter().map(CaseResult::decisive);
        judge_claim(claim, observed, ids.iter().copied().zip(cases))
    };
    claims_about(catalogue, &ids)
        .into_iter()
        .map(|(document, claim)| (document, claim, standing(claim)))
        .collect()
}

/// Each document's claims that scenarios of these ids decide.
pub fn claims_about<'c>(catalogue: &'c Catalogue, ids: &[&str]) -> Vec<(&'c Document, &'c Claim)> {
    let claims = catalogue
        .documents
        .iter()
        .flat_map(|document| document.claims.iter().map(move |claim| (document, claim)));
    claims.filter(|(_, claim)| ids.iter().any(|id| claim.is_about(id))).collect()
}

/// Runs cases `repeat` times each on this kernel and judges them; `progress`
/// is told how many runs are done, and what they gave.
///
/// # Errors
///
/// When workers cannot be started.
pub fn run<'c>(
    catalogue: &'c Catalogue,
    cases: &'c [Case<'c>],
    kernel: Kernel,
    pool: &Pool,
    repeat: usize,
    mut progress: impl FnMut(usize, &Collected<'c>),
) -> Result<SuiteResult<'c>, PoolError> {
    let mut collected = Collected::new(cases);
    let mut done = 0;
    pool.run(&jobs(cases, repeat), |job, result| {
        collected.add(job, result);
        done += 1;
        progress(done, &collected);
    })?;
    let user = nix::unistd::getuid().as_raw();
    Ok(collected.judge(catalogue, kernel, user, "it was never run"))
}

/// What the runs of one case have given so far.
#[derive(Clone, Debug)]
enum Seen {
    /// It has no trace, for this reason.
    Not(Verdict),
    /// The trace of the first run, and a verdict where that is settled.
    Trace(Trace, Option<Verdict>),
}

impl Seen {
    fn first(result: RunResult) -> Seen {
        match result {
            RunResult::Ran(trace) => Seen::Trace(trace, None),
            RunResult::Skipped(why) => Seen::Not(Verdict::Skipped(why)),
            RunResult::Inconclusive(trace, why) => {
                Seen::Trace(trace, Some(Verdict::Inconclusive(why)))
            }
            RunResult::Fault(why) => Seen::Not(Verdict::Fault(why)),
        }
    }

    /// The result, if that is all.
    fn judged<'c>(self, case: &'c Case<'c>, by_version: &Profile) -> CaseResult<'c> {
        let (trace, verdict) = match self {
            Seen::Not(verdict) => (None, verdict),
            Seen::Trace(trace, Some(verdict)) => (Some(trace), verdict),
            Seen::Trace(trace, None) => {
                let facts = &case.scenario.facts;
                let stored = &case.file.stored;
                let verdict = judge(&case.scenario.id, &trace, facts, by_version, stored);
                (Some(trace), verdict)
            }
        };
        CaseResult { case, trace, verdict }
    }

    /// With one more run: all traces of a case must be the same.
    fn and(self, result: RunResult) -> Seen {
        let Seen::Trace(trace, None) = self else { return self };
        match Seen::first(result) {
            Seen::Trace(again, None) => {
                let difference = Difference::between(&trace.to_string(), &again.to_string());
                Seen::Trace(trace, difference.map(Verdict::Unstable))
            }
            other => other,
        }
    }
}
