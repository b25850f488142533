//! From bytes that diverge to fewer of them.

use std::path::Path;

use super::{Divergence, Target, Trouble};
use crate::profile::Release;

/// Tries at most so often.
const TRIES: usize = 2000;

/// What a target says of bytes, asked afresh: nothing of an earlier case can
/// have to do with it. `None` where it finds nothing wrong.
///
/// # Errors
///
/// Those of [`Target::start`] and [`Oracle::check`](super::Oracle::check).
pub fn divergence(
    target: Target,
    executable: Option<&Path>,
    release: Option<Release>,
    bytes: &[u8],
) -> Result<Option<Divergence>, Trouble> {
    target.start(executable, release)?.check(bytes, &mut |_| {})
}

/// The fewest bytes, and the lowest, that still diverge: parts are left out,
/// then single bytes are made 0.
///
/// # Errors
///
/// Those of [`Target::start`] and [`Oracle::check`](super::Oracle::check).
pub fn shrink(
    target: Target,
    executable: Option<&Path>,
    release: Option<Release>,
    bytes: &[u8],
) -> Result<Vec<u8>, Trouble> {
    let mut tries = 0;
    let mut diverges = |bytes: &[u8]| {
        tries += 1;
        Ok::<_, Trouble>(
            tries <= TRIES && divergence(target, executable, release, bytes)?.is_some(),
        )
    };
    let mut smallest = bytes.to_vec();
    let mut part = smallest.len();
    while part > 0 {
        let mut at = 0;
        while at < smallest.len() {
            let end = (at + part).min(smallest.len());
            let without = [&smallest[..at], &smallest[end..]].concat();
            if diverges(&without)? {
                smallest = without;
            } else {
                at = end;
            }
        }
        part /= 2;
    }
    for at in 0..smallest.len() {
        let before = std::mem::take(&mut smallest[at]);
        if before != 0 && !diverges(&smallest)? {
            smallest[at] = before;
        }
    }
    Ok(smallest)
}
