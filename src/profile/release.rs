//! Kernel releases.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::Fact;

/// A kernel release, such as 6.1.156. What a distribution adds to the number
/// says nothing about behaviour that could be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Release {
    /// 6 of 6.1.156.
    pub major: u32,
    /// 1 of 6.1.156.
    pub minor: u32,
    /// 156 of 6.1.156; 0 where there is none.
    pub patch: u32,
}

/// A text that is not a kernel release.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{0:?} is not a kernel release; it begins with MAJOR.MINOR, as in 6.1.156")]
pub struct ReleaseError(String);

impl Release {
    /// Whether a fact holds on this release, by the version table.
    pub fn has(self, fact: &Fact) -> bool {
        let series = (self.major, self.minor);
        let backported = fact.stable.iter().find(|(stable, _)| *stable == series);
        series >= fact.since || backported.is_some_and(|(_, patch)| self.patch >= *patch)
    }
}

impl FromStr for Release {
    type Err = ReleaseError;

    /// Reads the numbers at the start of what uname(2) says, as in
    /// `6.1.0-50-amd64`.
    fn from_str(text: &str) -> Result<Self, ReleaseError> {
        let error = || ReleaseError(text.to_owned());
        let mut parts = text.splitn(3, '.');
        let leading = |part: &str| {
            let end = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
            part[..end].parse().ok()
        };
        let major = parts.next().and_then(|part| part.parse().ok()).ok_or_else(error)?;
        let minor = parts.next().and_then(leading).ok_or_else(error)?;
        let patch = parts.next().and_then(leading).unwrap_or(0);
        Ok(Release { major, minor, patch })
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::profile::fact;

    #[rstest]
    #[case::mainline("7.2", Some((7, 2, 0)))]
    #[case::stable("6.18.44", Some((6, 18, 44)))]
    #[case::distribution("6.1.0-50-cloud-amd64", Some((6, 1, 0)))]
    #[case::candidate("7.3-rc7", Some((7, 3, 0)))]
    #[case::vendor("5.10.262+deb11u1", Some((5, 10, 262)))]
    #[case::word("linux", None)]
    #[case::lone("6", None)]
    #[case::empty("", None)]
    fn reads_what_uname_says(#[case] text: &str, #[case] expected: Option<(u32, u32, u32)>) {
        let expected = expected.map(|(major, minor, patch)| Release { major, minor, patch });
        assert_eq!(text.parse().ok(), expected);
    }

    #[rstest]
    #[case::before("6.10.9", "released-at-exit", false)]
    #[case::backport("6.10.10", "released-at-exit", true)]
    #[case::mainline("6.11", "released-at-exit", true)]
    #[case::other_series("6.1.190", "released-at-exit", false)]
    #[case::long_before("5.10.262", "recv-fifo", false)]
    #[case::long_after("7.2.13", "recv-fifo", true)]
    fn knows_backports(#[case] release: &str, #[case] id: &str, #[case] expected: bool) {
        let release: Release = release.parse().expect("the release is well formed");
        assert_eq!(release.has(fact(id).expect("the fact is known")), expected);
    }
}
