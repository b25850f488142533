//! Kernel facts: what some kernels do and others do not.
//!
//! A profile is a set of facts, not a version number, as distributions
//! backport. The version table gives the facts that a release should have;
//! a run of the catalogue shows those that a kernel has: each fact names the
//! step that decides it.

mod facts;
mod release;

use std::collections::BTreeMap;

pub use facts::FACTS;
pub use release::{Release, ReleaseError};

/// Something that holds on some kernels and not on others.
#[derive(Clone, Copy, Debug)]
pub struct Fact {
    /// Its name.
    pub id: &'static str,
    /// What holds, in a sentence.
    pub summary: &'static str,
    /// The first mainline release, as major and minor number.
    pub since: (u32, u32),
    /// Stable releases that got it earlier: the series, and the first patch
    /// level of it.
    pub stable: &'static [((u32, u32), u32)],
    /// The commit that made it so, as far as known, and what it says of
    /// itself.
    pub commit: &'static str,
    /// Where else it is documented, or how it was found.
    pub source: &'static str,
    /// The step that decides it.
    pub decided_by: Decision,
}

/// The step whose outcome says whether a fact holds.
#[derive(Clone, Copy, Debug)]
pub struct Decision {
    /// A scenario's id.
    pub scenario: &'static str,
    /// A label in it, or several, joined by `+`.
    pub step: &'static str,
    /// The pattern of outcomes that means that the fact holds; those of several
    /// steps are joined by `; `.
    pub holds: &'static str,
    /// The pattern that means that it does not.
    pub fails: &'static str,
}

impl Decision {
    /// Whether it is a race, of which every run can show that the fact does not
    /// hold, and none that it does.
    pub fn is_race(&self) -> bool {
        self.holds.is_empty()
    }
}

/// Which facts hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile(BTreeMap<&'static str, bool>);

impl Profile {
    /// The facts that a release should have by its version.
    pub fn of(release: Release) -> Profile {
        Profile(FACTS.iter().map(|fact| (fact.id, release.has(fact))).collect())
    }

    /// Whether a fact holds; `None` for a name that is no fact's, or one that
    /// was not decided.
    pub fn holds(&self, id: &str) -> Option<bool> {
        self.0.get(id).copied()
    }

    /// Says whether a fact holds.
    pub fn set(&mut self, fact: &Fact, holds: bool) {
        self.0.insert(fact.id, holds);
    }

    /// The facts and whether they hold, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, bool)> + '_ {
        self.0.iter().map(|(id, holds)| (*id, *holds))
    }
}

/// The fact of that name.
pub fn fact(id: &str) -> Option<&'static Fact> {
    FACTS.iter().find(|fact| fact.id == id)
}
