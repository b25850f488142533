//! What the model says of a trace, in the words of a verdict.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{self, Agreement, Setting};
use crate::profile::{FACTS, Profile};
use crate::trace::Trace;

/// A step that the model does not allow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// Which event of the trace, from 1.
    pub event: usize,
    /// What was seen there; empty past the end.
    pub seen: String,
    /// What could have been seen.
    pub allowed: Vec<String>,
    /// A fact that would explain it, and whether it would have to hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fact: Option<(String, bool)>,
}

impl std::fmt::Display for Refusal {
    /// One sentence that names what is broken.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seen = if self.seen.is_empty() { "nothing more" } else { &self.seen };
        let allowed = match &self.allowed[..] {
            [] => "nothing more".to_owned(),
            several => several.join(", or "),
        };
        write!(
            f,
            "at event {} the kernel does `{seen}`, the model allows `{allowed}`",
            self.event
        )?;
        match &self.fact {
            Some((fact, true)) => write!(f, ": this is what kernels with {fact} do"),
            Some((fact, false)) => write!(f, ": this is what kernels without {fact} do"),
            None => Ok(()),
        }
    }
}

/// Holds a trace against the model; `None` where it is allowed, or the model
/// does not follow.
pub fn refusal(setting: &Setting<'_>, trace: &Trace) -> Option<Refusal> {
    let Agreement::Refused(disagreement) = model::agree(setting, trace) else { return None };
    Some(Refusal {
        event: disagreement.event + 1,
        seen: disagreement.seen.unwrap_or_default(),
        allowed: disagreement.allowed,
        fact: explaining_fact(setting, trace),
    })
}

/// The one fact with which the model would allow a trace after all.
fn explaining_fact(setting: &Setting<'_>, trace: &Trace) -> Option<(String, bool)> {
    FACTS.iter().find_map(|fact| {
        let holds = setting.profile.holds(fact.id) == Some(true);
        let mut profile: Profile = setting.profile.clone();
        profile.set(fact, !holds);
        let agreement = model::agree(&Setting { profile: &profile, ..*setting }, trace);
        matches!(agreement, Agreement::Allowed { .. }).then(|| (fact.id.to_owned(), !holds))
    })
}
