//! Results of `run --format ktap`, line by line.

use std::io::Write;

use super::output::Output;
use crate::profile::Profile;
use crate::report::{self, Test, ktap};
use crate::suite::{self, Case, Catalogue, Collected, Kernel, Plan, RunRecord, SuiteResult};

/// Results that are told as they come, in the order of the cases.
pub(super) struct Results {
    writer: ktap::Writer,
    by_version: Profile,
    cases: usize,
    plan: Plan,
    user: u32,
    told: usize,
}

impl Results {
    pub fn new(catalogue: &Catalogue, cases: &[Case<'_>], kernel: &Kernel, plan: Plan) -> Self {
        let ids: Vec<&str> = cases.iter().map(|case| case.scenario.id.as_str()).collect();
        let claims = suite::claims_about(catalogue, &ids);
        let claims = claims
            .iter()
            .map(|(document, claim)| report::claim_path(&document.document, &claim.id));
        let paths = ids.iter().map(|id| report::case_path(id)).chain(claims).collect();
        let release = plan.judged_as.or(kernel.upstream());
        let by_version = release.map_or_else(Profile::default, Profile::of);
        Results {
            writer: ktap::Writer::new(paths),
            by_version,
            cases: cases.len(),
            plan,
            user: nix::unistd::getuid().as_raw(),
            told: 0,
        }
    }

    /// Says how many there will be.
    pub fn begin(&self, output: &mut Output) {
        let _ = output.write_all(self.writer.head().as_bytes());
    }

    /// Tells those that are settled now. That nobody reads them changes
    /// nothing: what is found still counts.
    pub fn tell(&mut self, collected: &Collected<'_>, output: &mut Output) {
        while self.told < self.cases
            && let Some(result) = collected.settled(self.told, &self.by_version, self.user)
        {
            let test =
                Test::of_case(&result.case.scenario.id, &result.verdict, result.trace.as_ref());
            let _ = output.write_all(self.writer.result(&test).as_bytes());
            let _ = output.flush();
            self.told += 1;
        }
    }

    /// Tells the others, and the claims.
    pub fn finish(&mut self, result: &SuiteResult<'_>, output: &mut Output) {
        let tests = report::tests(&RunRecord::of(result, self.plan));
        for test in &tests[self.told..] {
            let _ = output.write_all(self.writer.result(test).as_bytes());
        }
    }
}
