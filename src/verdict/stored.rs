//! Stored traces: what a scenario was seen to do on kernels with certain
//! facts.
//!
//! They are the files of `scenarios/traces/`, which the tests write and hold
//! fresh: `theme/name.snap` for a kernel on which all of the scenario's facts
//! hold, `theme/name@without-FACT+FACT.snap` for one on which these do not.

use std::collections::BTreeMap;

use super::{Difference, Verdict};
use crate::profile::Profile;
use crate::trace::Trace;

/// The traces of a file's cases on kernels with certain facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredTrace {
    /// The file's facts that do not hold on these kernels.
    pub without: Vec<String>,
    /// The text of each case's trace, by the case's id.
    pub cases: BTreeMap<String, String>,
}

/// How a file's name says which facts do not hold.
const WITHOUT: &str = "without-";
/// What begins the trace of a case.
const CASE: &str = "== ";

impl StoredTrace {
    /// Reads a file of `scenarios/traces/`; gives the scenario file's id with
    /// it.
    pub fn of_file(path: &str, text: &str) -> Option<(String, StoredTrace)> {
        let name = path.strip_suffix(".snap")?;
        let (id, without) = match name.split_once('@') {
            Some((id, variant)) => {
                let facts = variant.strip_prefix(WITHOUT)?.split('+').map(str::to_owned);
                (id, facts.collect())
            }
            None => (name, Vec::new()),
        };
        // What stands above the second rule says where the snapshot is from.
        let content = text.strip_prefix("---\n")?.split_once("\n---\n")?.1;
        let mut cases = BTreeMap::new();
        for case in format!("\n{content}").split(&format!("\n{CASE}")).skip(1) {
            let (id, trace) = case.split_once('\n').unwrap_or((case, ""));
            cases.insert(id.to_owned(), trace.trim_end().to_owned());
        }
        Some((id.to_owned(), StoredTrace { without, cases }))
    }
}

/// The text that is stored for the cases of a file.
pub fn snapshot_text<'t>(cases: impl IntoIterator<Item = (&'t str, &'t Trace)>) -> String {
    let texts: Vec<String> =
        cases.into_iter().map(|(id, trace)| format!("{CASE}{id}\n{trace}")).collect();
    texts.join("\n")
}

/// The name and the contents of the file that stores the traces of a scenario
/// file's cases on kernels of a profile: the same that the tests write.
pub fn snapshot_file<'t>(
    id: &str,
    facts: &[String],
    profile: &Profile,
    cases: impl IntoIterator<Item = (&'t str, &'t Trace)>,
) -> (String, String) {
    let variant = variant_of(facts, profile).map_or_else(String::new, |name| format!("@{name}"));
    let mut sorted: Vec<&String> = facts.iter().collect();
    sorted.sort();
    let told: String = sorted
        .into_iter()
        .filter_map(|fact| Some(format!("  {fact}: {}\n", profile.holds(fact)?)))
        .collect();
    let info = if told.is_empty() { String::new() } else { format!("info:\n{told}") };
    let text = snapshot_text(cases);
    let contents = format!("---\nsource: tests/scenarios.rs\n{info}---\n{}\n", text.trim_end());
    (format!("{id}{variant}.snap"), contents)
}

/// What follows the `@` in the name of the file for a profile; `None` when
/// all facts hold.
pub fn variant_of(facts: &[String], profile: &Profile) -> Option<String> {
    let without = missing(facts, profile);
    (!without.is_empty()).then(|| format!("{WITHOUT}{}", without.join("+")))
}

/// Those of a scenario's facts that do not hold, sorted.
pub fn missing(facts: &[String], profile: &Profile) -> Vec<String> {
    let mut without: Vec<String> =
        facts.iter().filter(|fact| profile.holds(fact) == Some(false)).cloned().collect();
    without.sort();
    without
}

/// Judges a case's trace by what is stored of its file; `facts` are those that
/// the scenario depends on, `profile` those of the kernel's version.
pub fn judge(
    case: &str,
    trace: &Trace,
    facts: &[String],
    profile: &Profile,
    stored: &[StoredTrace],
) -> Verdict {
    let seen = trace.to_string();
    let without = missing(facts, profile);
    let same = |stored: &&StoredTrace| {
        let text = stored.cases.get(case);
        text.is_some_and(|text| Difference::between(text, &seen).is_none())
    };
    let Some(own) = stored.iter().find(|stored| stored.without == without) else {
        return Verdict::Unjudged(match without.is_empty() {
            true => "no trace is stored for it".to_owned(),
            false => format!("no trace is stored for kernels without {}", without.join(", ")),
        });
    };
    if same(&own) {
        return Verdict::Conforms;
    }
    // Not what this release should do: what kernels with other facts do?
    let lost = |other: &StoredTrace| -> Vec<String> {
        let lost = |fact: &&String| other.without.contains(fact) && !without.contains(fact);
        facts.iter().filter(lost).cloned().collect()
    };
    if let Some(other) = stored.iter().filter(same).min_by_key(|other| lost(other).len()) {
        let lost = lost(other);
        if !lost.is_empty() {
            return Verdict::Regressed(lost);
        }
        let gained = |fact: &&String| without.contains(fact) && !other.without.contains(fact);
        return Verdict::Backported(facts.iter().filter(gained).cloned().collect());
    }
    let text = own.cases.get(case).map(|text| Difference::between(text, &seen));
    match text.flatten() {
        Some(difference) => Verdict::Diverges(difference),
        None => Verdict::Unjudged("its file has a stored trace, this case has none".to_owned()),
    }
}
