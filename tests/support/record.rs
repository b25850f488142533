use std::collections::BTreeMap;

use unotify_lab::suite::{CaseRecord, ClaimRecord, Kernel, RunRecord};
use unotify_lab::trace::{Event, Outcome, Trace};
use unotify_lab::verdict::{Difference, Standing, Verdict};

/// A record with everything that a run can say.
pub fn record() -> RunRecord {
    let difference =
        || Difference { line: 2, expected: "S: recv L  blocks".into(), seen: String::new() };
    let verdicts = [
        ("recv/basic", Verdict::Conforms),
        ("recv/later", Verdict::Backported(vec!["recv-restarts".into()])),
        ("recv/each[call=#335(a|b)]", Verdict::Regressed(vec!["released-at-exit".into()])),
        ("recv/each[call=\"d\", 7\u{1}]", Verdict::Diverges(difference())),
        ("recv/each[call=\"d\", 0]", Verdict::Unstable(difference())),
        ("mine/no trace", Verdict::Unjudged("no trace is stored for it".into())),
        ("skips/a", Verdict::Skipped("needs root:\nCAP_SYS_ADMIN # <&>".into())),
        ("skips/b", Verdict::Skipped("needs ia32".into())),
        ("trouble/late", Verdict::Inconclusive("no end after 30 s".into())),
        ("trouble/broken", Verdict::Fault("a worker died".into())),
    ];
    let event = Event {
        act: Some(0),
        actor: Some("S".into()),
        text: "recv L".into(),
        label: None,
        outcome: Outcome::Blocked,
    };
    let standings = [
        ("seccomp_unotify(2)", "held", Standing::Held),
        ("seccomp_unotify(2)", "known", Standing::Contradicted { seen: "ENOENT".into() }),
        ("seccomp_unotify(2)", "news", Standing::Failed { seen: "EINVAL".into() }),
        ("seccomp(2)", "after-all", Standing::HeldAfterAll),
        ("seccomp(2)", "open", Standing::Undecided("skips/a was not run".into())),
    ];
    RunRecord {
        format: RunRecord::FORMAT,
        tool: "0.0.0".into(),
        kernel: Kernel {
            release: "6.1.0-test".into(),
            version: "#1 SMP".into(),
            machine: "x86_64".into(),
            config: BTreeMap::new(),
            settings: BTreeMap::new(),
        },
        user: 1000,
        repeat: 1,
        seed: 0,
        facts: BTreeMap::new(),
        cases: verdicts
            .into_iter()
            .map(|(id, verdict)| CaseRecord {
                scenario: id.into(),
                hash: String::new(),
                behaviours: Vec::new(),
                trace: (!matches!(verdict, Verdict::Skipped(_) | Verdict::Fault(_)))
                    .then(|| Trace { events: vec![event.clone()] }),
                ways: Vec::new(),
                more_ways: None,
                verdict,
            })
            .collect(),
        claims: standings
            .into_iter()
            .map(|(document, claim, standing)| ClaimRecord {
                document: document.into(),
                edition: String::new(),
                claim: claim.into(),
                standing,
            })
            .collect(),
    }
}
