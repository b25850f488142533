//! Runs cases and judges them.

use super::catalogue::{Case, Catalogue};
use super::judged::{Known, Seen};
use super::kernel::Kernel;
use super::probe::{Undecided, deciding_jobs, probed};
use super::ways::Way;
use crate::claim::{Claim, Document};
use crate::live::{Job, Pool, PoolError, RunResult};
use crate::profile::{Profile, Release};
use crate::trace::Trace;

use crate::verdict::{Standing, Verdict, judge_claim, missing, observed_profile, snapshot_file};

/// What came of one case.
#[derive(Clone, Debug)]
pub struct CaseResult<'c> {
    /// The case.
    pub case: &'c Case<'c>,
    /// What was seen, if it ran.
    pub trace: Option<Trace>,
    /// What was seen of a case that races, the most frequent first, and what
    /// could have been.
    pub ways: Vec<Way>,
    /// Why the model may allow more ways than these, if so.
    pub more_ways: Option<String>,
    /// What that says.
    pub verdict: Verdict,
}

impl CaseResult<'_> {
    /// All traces that say something.
    pub fn seen(&self) -> Vec<&Trace> {
        let ways = self.ways.iter().filter(|way| way.count > 0).map(|way| &way.trace);
        self.decisive().into_iter().chain(ways).collect()
    }

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
    /// The release that it is judged as.
    pub release: Option<Release>,
    /// Facts by that release.
    pub by_version: Profile,
    /// Facts as they were seen, and by the version where nothing decided.
    pub observed: Profile,
    /// Facts of which nobody knows whether they hold, as the harness failed, and
    /// why.
    pub undecided: Vec<String>,
    /// The cases, in the order in which they were asked for.
    pub cases: Vec<CaseResult<'c>>,
    /// Each document's claims that the cases decide.
    pub claims: Vec<(&'c Document, &'c Claim, Standing)>,
}

/// How often a case that races is run for each time that others are.
pub const RACE_RUNS: usize = 50;

/// How cases are run and judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// So often each, and those that race [`RACE_RUNS`] times as often.
    pub repeat: usize,
    /// What delays in races are drawn from: each run has a seed of its own,
    /// from this one on.
    pub seed: u64,
    /// The release to judge by, if it is another than the kernel's.
    pub judged_as: Option<Release>,
}

impl Plan {
    /// How many jobs that is, with those that decide the kernel's facts.
    pub fn runs(self, cases: &[Case<'_>]) -> usize {
        deciding_jobs().len() + self.repeat * (cases.len() + racing(cases).len() * (RACE_RUNS - 1))
    }
}

/// The jobs that run cases as planned, in rounds.
pub fn jobs(cases: &[Case<'_>], plan: Plan) -> Vec<Job> {
    let racing = racing(cases);
    let Plan { repeat, seed, .. } = plan;
    let more = (0..repeat * (RACE_RUNS - 1)).flat_map(|_| racing.iter().map(|case| &cases[*case]));
    more.chain((0..repeat).flat_map(|_| cases))
        .enumerate()
        .map(|(number, case)| case.job(seed.wrapping_add(number as u64)))
        .collect()
}

/// The cases in which some steps begin together.
fn racing(cases: &[Case<'_>]) -> Vec<usize> {
    (0..cases.len()).filter(|case| cases[*case].scenario.races()).collect()
}

/// What runs of cases have given so far, wherever they ran.
#[derive(Debug)]
pub struct Collected<'c> {
    /// The jobs that decide facts, which come first, and their results.
    deciding: Vec<Job>,
    decided: Vec<Option<RunResult>>,
    cases: &'c [Case<'c>],
    plan: Plan,
    racing: Vec<usize>,
    /// How many of the jobs are further runs of those that race.
    more: usize,
    seen: Vec<Option<Seen>>,
    runs: Vec<usize>,
}

impl<'c> Collected<'c> {
    /// Nothing so far of cases that are run as planned.
    pub fn new(cases: &'c [Case<'c>], plan: Plan) -> Self {
        let racing = racing(cases);
        let more = racing.len() * plan.repeat * (RACE_RUNS - 1);
        let seen = cases.iter().map(|_| None).collect();
        let deciding = deciding_jobs();
        let decided = vec![None; deciding.len()];
        let runs = vec![0; cases.len()];
        Collected { deciding, decided, cases, plan, racing, more, seen, runs }
    }

    /// What has to be run: the scenarios that decide the kernel's facts, then
    /// the cases.
    pub fn jobs(&self) -> Vec<Job> {
        self.deciding.iter().cloned().chain(jobs(self.cases, self.plan)).collect()
    }

    /// The result of the job of that number, as [`Self::jobs`] counts them.
    pub fn add(&mut self, job: usize, result: RunResult) {
        let Some(job) = job.checked_sub(self.decided.len()) else {
            self.decided[job] = Some(result);
            return;
        };
        let case = match job.checked_sub(self.more) {
            Some(job) => job % self.cases.len(),
            None => self.racing[job % self.racing.len()],
        };
        self.runs[case] += 1;
        let before = &mut self.seen[case];
        *before = Some(match before.take() {
            None => Seen::first(result),
            Some(before) => before.and(result),
        });
    }

    /// What came of the case of that number, as a user on a kernel of that
    /// profile by its version, once it was run as often as planned.
    pub fn settled(&self, case: usize, by_version: &Profile, user: u32) -> Option<CaseResult<'c>> {
        let races = self.cases[case].scenario.races();
        let runs = self.plan.repeat * if races { RACE_RUNS } else { 1 };
        let seen = self.seen[case].as_ref().filter(|_| self.runs[case] >= runs)?;
        let observed = self.observed(by_version);
        let known = Known { by_version, observed: &observed, root: user == 0 };
        Some(seen.clone().judged(&self.cases[case], &known))
    }

    /// The facts that the scenarios which decide them have shown so far, over
    /// those of the version.
    fn observed(&self, by_version: &Profile) -> Profile {
        let mut observed = by_version.clone();
        for one in probed(&self.deciding, &self.decided) {
            if let Ok(holds) = one.holds {
                observed.set(one.fact, holds);
            }
        }
        observed
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
        let release = self.plan.judged_as.or(kernel.upstream());
        let probed_facts = self.observed(&Profile::default());
        // A kernel whose number says nothing is what it shows itself to be.
        let by_version = release.map_or(probed_facts, Profile::of);
        let observed = self.observed(&by_version);
        let known = Known { by_version: &by_version, observed: &observed, root: user == 0 };
        let untold = probed(&self.deciding, &self.decided);
        let undecided = untold.iter().filter_map(|one| match &one.holds {
            Err(Undecided::Trouble(why)) => Some(format!("{}: {why}", one.fact.id)),
            _ => None,
        });
        let undecided: Vec<String> = undecided.collect();
        let results: Vec<CaseResult<'c>> = self
            .cases
            .iter()
            .zip(self.seen)
            .map(|(case, seen)| {
                let seen = seen.unwrap_or(Seen::Not(Verdict::Fault(missing.to_owned())));
                seen.judged(case, &known)
            })
            .collect();
        let observed = observed_profile(&observed, |id| {
            let result = results.iter().find(|result| result.case.scenario.id == id);
            result.map(CaseResult::seen).unwrap_or_default()
        });
        let claims = claims(catalogue, &results, &observed);
        SuiteResult {
            kernel,
            user,
            release,
            by_version,
            observed,
            undecided,
            cases: results,
            claims,
        }
    }
}

impl SuiteResult<'_> {
    /// Facts that hold by the version and were seen not to.
    pub fn lost(&self) -> impl Iterator<Item = &'static str> + '_ {
        let lost =
            |(id, holds): &(&'static str, bool)| !holds && self.by_version.holds(id) == Some(true);
        self.observed.iter().filter(lost).map(|(id, _)| id)
    }

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

/// Runs cases as planned on this kernel and judges them, by its own
/// release or another; `progress` is told how many runs are done, and what
/// they gave.
///
/// # Errors
///
/// When workers cannot be started.
pub fn run<'c>(
    catalogue: &'c Catalogue,
    cases: &'c [Case<'c>],
    kernel: Kernel,
    pool: &Pool,
    plan: Plan,
    mut progress: impl FnMut(usize, &Collected<'c>),
) -> Result<SuiteResult<'c>, PoolError> {
    let mut collected = Collected::new(cases, plan);
    let mut done = 0;
    pool.run(&collected.jobs(), |job, result| {
        collected.add(job, result);
        done += 1;
        progress(done, &collected);
    })?;
    let user = nix::unistd::getuid().as_raw();
    Ok(collected.judge(catalogue, kernel, user, "it was never run"))
}
