//! What the documents say: one table a document, each claim tied to the step
//! of a scenario that decides it.

use serde::Deserialize;
use thiserror::Error;

/// A document and what it claims.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// What it is called, as in `seccomp_unotify(2)`.
    pub document: String,
    /// Which edition was read.
    pub edition: String,
    /// Where it is found.
    pub source: String,
    /// Its claims, in the document's order.
    #[serde(rename = "claim", default)]
    pub claims: Vec<Claim>,
}

/// One statement of a document, in our words.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// Its name, unique in the document.
    pub id: String,
    /// Where in the document it stands.
    pub place: String,
    /// What it says.
    pub says: String,
    /// The scenario that decides it: a file's id for all its cases, or one
    /// case's.
    pub scenario: String,
    /// The label of the deciding step.
    pub step: String,
    /// The outcomes that it predicts, as a pattern.
    pub predicts: String,
    /// The fact of which it speaks (`since Linux 5.14`): of a kernel without it
    /// it says nothing.
    pub since: Option<String>,
    /// The fact that makes it wrong where it holds; `always` for a claim that
    /// holds nowhere.
    pub contradicted_by: Option<String>,
    /// What happens instead, and why.
    pub note: Option<String>,
}

/// A claim table that cannot be read.
#[derive(Clone, Debug, Error)]
#[error("{path}: {message}")]
pub struct ClaimError {
    /// The file.
    pub path: String,
    /// What is wrong with it.
    pub message: String,
}

/// Reads a claim table; `path` is told in messages.
///
/// # Errors
///
/// A file that is not such a table, or that has a name twice.
pub fn parse(path: &str, text: &str) -> Result<Document, ClaimError> {
    let error = |message: String| ClaimError { path: path.to_owned(), message };
    let document: Document = toml::from_str(text).map_err(|found| error(found.to_string()))?;
    for (index, claim) in document.claims.iter().enumerate() {
        if document.claims[..index].iter().any(|before| before.id == claim.id) {
            return Err(error(format!("two claims are called {:?}", claim.id)));
        }
    }
    Ok(document)
}

impl Claim {
    /// Whether the claim is about a scenario: the file's, or this very case.
    pub fn is_about(&self, scenario: &str) -> bool {
        scenario == self.scenario
            || !self.scenario.contains('[')
                && scenario.strip_prefix(&self.scenario).is_some_and(|rest| rest.starts_with('['))
    }
}

/// Whether outcomes match a pattern: alternatives are separated by ` | `, and
/// `*` stands for anything.
pub fn matches(pattern: &str, outcomes: &str) -> bool {
    pattern.split(" | ").any(|one| glob(one.trim().as_bytes(), outcomes.as_bytes()))
}

fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((b'*', rest)) => (0..=text.len()).any(|at| glob(rest, &text[at..])),
        Some((first, rest)) => {
            text.split_first().is_some_and(|(c, after)| c == first && glob(rest, after))
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("blocks", "blocks", true)]
    #[case("blocks", "blocks, returns 3", false)]
    #[case("blocks*", "blocks, returns 3", true)]
    #[case("*, ENOSYS", "blocks, ENOSYS", true)]
    #[case("ok | EINVAL", "EINVAL", true)]
    #[case("ok | EINVAL", "ENOENT", false)]
    #[case("n2 {*mkdir(*)}", "n2 {id +1, from T, mkdir(\"d\")}", true)]
    #[case("", "ok", false)]
    fn patterns(#[case] pattern: &str, #[case] outcomes: &str, #[case] expected: bool) {
        assert_eq!(matches(pattern, outcomes), expected);
    }

    #[rstest]
    #[case("a/b", "a/b", true)]
    #[case("a/b", "a/b[x=1]", true)]
    #[case("a/b", "a/bc", false)]
    #[case("a/b[x=1]", "a/b[x=2]", false)]
    fn cases(#[case] claimed: &str, #[case] scenario: &str, #[case] expected: bool) {
        let text = format!(
            "document='d'\nedition='e'\nsource='s'\n[[claim]]\nid='i'\nplace='p'\nsays='s'\n\
             scenario='{claimed}'\nstep='x'\npredicts='ok'"
        );
        let document = parse("test", &text).expect("the table is well formed");
        assert_eq!(document.claims[0].is_about(scenario), expected);
    }
}
