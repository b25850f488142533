//! Several filters on one call.

use super::action::precedence;
use crate::abi::{SeccompData, SockFilter};
use crate::bpf::evaluate;

/// Which of the words that a stack of filters returned counts, `newest` first:
/// its index and itself.
///
/// The strongest action wins, and of equal ones the newest, data and all
/// (`seccomp_run_filters` replaces what it has only by something strictly
/// stronger). `None` only where there are no words.
///
/// Where all words allow the call, the kernel remembers no filter and no data;
/// here the newest is named, and nothing can tell the difference.
#[must_use]
pub fn winner(newest_first: impl IntoIterator<Item = u32>) -> Option<(usize, u32)> {
    // Of equal keys `min_by_key` takes the first, which is the newest.
    newest_first.into_iter().enumerate().min_by_key(|&(_, word)| precedence(word))
}

/// Runs every filter of a stack over `data`, as `seccomp_run_filters` does.
///
/// `programs` is the stack in the order of installation, oldest first, each a
/// program that [`validate`](crate::bpf::validate()) accepts. Returns the
/// index in `programs` of the filter that won, and its word; `None` for an
/// empty stack.
#[must_use]
pub fn evaluate_stack<P: AsRef<[SockFilter]>>(
    programs: &[P],
    data: &SeccompData,
) -> Option<(usize, u32)> {
    let newest_first = programs.iter().rev();
    let (age, word) = winner(newest_first.map(|program| evaluate(program.as_ref(), data)))?;
    Some((programs.len() - 1 - age, word))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::bpf::{Program, assemble};
    use crate::filter::Action;

    fn stack(returned: &[&str]) -> Vec<Program> {
        returned.iter().map(|word| assemble(&format!("ret {word}")).unwrap()).collect()
    }

    /// `prec-same-action-newest`: the worked example of seccomp(2)'s review.
    #[test]
    fn the_newest_of_equal_actions_gives_the_data() {
        let programs = stack(&["ERRNO(1)", "ERRNO(22)", "ALLOW"]);
        let won = evaluate_stack(&programs, &SeccompData::default());
        assert_eq!(won, Some((1, Action::Errno(22).to_u32())));
    }

    /// `prec-errno-over-notif`, whatever the order of installation.
    #[test]
    fn errno_wins_over_a_notification_in_any_order() {
        let data = SeccompData::default();
        let errno = Action::Errno(1).to_u32();
        assert_eq!(
            evaluate_stack(&stack(&["USER_NOTIF", "ERRNO(EPERM)"]), &data),
            Some((1, errno))
        );
        assert_eq!(
            evaluate_stack(&stack(&["ERRNO(EPERM)", "USER_NOTIF"]), &data),
            Some((0, errno))
        );
    }

    #[test]
    fn an_empty_stack_has_no_winner() {
        assert_eq!(evaluate_stack::<Program>(&[], &SeccompData::default()), None);
    }

    /// What `seccomp_run_filters` does, step by step.
    fn as_the_kernel_loops(words: &[u32]) -> Option<(usize, u32)> {
        let mut best = None;
        for (index, &word) in words.iter().enumerate() {
            match best {
                Some((_, other)) if precedence(word) >= precedence(other) => {}
                _ => best = Some((index, word)),
            }
        }
        best
    }

    proptest! {
        #[test]
        fn winner_is_the_first_of_the_strongest(
            words in proptest::collection::vec(
                prop_oneof![any::<u32>(), (0..8_u32).prop_map(|n| n << 15)],
                0..6,
            )
        ) {
            prop_assert_eq!(winner(words.iter().copied()), as_the_kernel_loops(&words));
        }

        #[test]
        fn weaker_words_change_nothing(words in proptest::collection::vec(any::<u32>(), 1..6)) {
            let won = winner(words.iter().copied());
            let mut more = words.clone();
            more.push(Action::Allow.to_u32());
            // An ALLOW that is oldest never wins unless it is alone.
            prop_assert_eq!(winner(more), won);
        }
    }
}
