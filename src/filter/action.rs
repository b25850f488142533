//! What a filter asks the kernel to do, and which request is stronger.

use std::fmt;
use std::str::FromStr;

use crate::bpf::{SyntaxError, action_text, action_word};

/// The word that a filter returns, as its meaning.
///
/// Every 32-bit word is exactly one canonical `Action`: [`Action::from_u32`]
/// and [`Action::to_u32`] are inverse on what `from_u32` makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// `SECCOMP_RET_KILL_PROCESS`: the process ends by SIGSYS.
    KillProcess,
    /// `SECCOMP_RET_KILL_THREAD`: the thread ends by SIGSYS.
    KillThread,
    /// `SECCOMP_RET_TRAP`: the thread gets a SIGSYS that has the data as
    /// `si_errno`.
    Trap(u16),
    /// `SECCOMP_RET_ERRNO`: the call fails with the data as error number; the
    /// kernel takes 4095 for anything larger.
    Errno(u16),
    /// `SECCOMP_RET_USER_NOTIF`: a supervisor is asked.
    UserNotif,
    /// `SECCOMP_RET_TRACE`: a tracer is told, with the data as event message.
    Trace(u16),
    /// `SECCOMP_RET_LOG`: the call is made and logged.
    Log,
    /// `SECCOMP_RET_ALLOW`: the call is made.
    Allow,
    /// Any other word: an action that no kernel knows, which kills the
    /// process, or one of the above with data bits that it ignores.
    Raw(u32),
}

impl Action {
    /// The word that a filter returns for this action.
    #[must_use]
    pub const fn to_u32(self) -> u32 {
        match self {
            Self::KillProcess => libc::SECCOMP_RET_KILL_PROCESS,
            Self::KillThread => libc::SECCOMP_RET_KILL_THREAD,
            Self::Trap(data) => libc::SECCOMP_RET_TRAP | data as u32,
            Self::Errno(data) => libc::SECCOMP_RET_ERRNO | data as u32,
            Self::UserNotif => libc::SECCOMP_RET_USER_NOTIF,
            Self::Trace(data) => libc::SECCOMP_RET_TRACE | data as u32,
            Self::Log => libc::SECCOMP_RET_LOG,
            Self::Allow => libc::SECCOMP_RET_ALLOW,
            Self::Raw(word) => word,
        }
    }

    /// The canonical action of a word; never [`Action::Raw`] where another
    /// variant says the same.
    #[must_use]
    pub const fn from_u32(word: u32) -> Self {
        let data = (word & libc::SECCOMP_RET_DATA) as u16;
        match (word & libc::SECCOMP_RET_ACTION_FULL, data) {
            (libc::SECCOMP_RET_KILL_PROCESS, 0) => Self::KillProcess,
            (libc::SECCOMP_RET_KILL_THREAD, 0) => Self::KillThread,
            (libc::SECCOMP_RET_TRAP, _) => Self::Trap(data),
            (libc::SECCOMP_RET_ERRNO, _) => Self::Errno(data),
            (libc::SECCOMP_RET_USER_NOTIF, 0) => Self::UserNotif,
            (libc::SECCOMP_RET_TRACE, _) => Self::Trace(data),
            (libc::SECCOMP_RET_LOG, 0) => Self::Log,
            (libc::SECCOMP_RET_ALLOW, 0) => Self::Allow,
            _ => Self::Raw(word),
        }
    }

    /// How strong this action is against others; see [`precedence`].
    #[must_use]
    pub const fn precedence(self) -> Precedence {
        precedence(self.to_u32())
    }
}

/// How strong an action is. The *lower* one wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Precedence(i32);

/// How strong the action of a returned word is: its upper 16 bits as a signed
/// number, so that 0x80000000 (`KILL_PROCESS`) is the strongest of all and
/// data bits never matter (`ACTION_ONLY` of `kernel/seccomp.c`; signed since
/// Linux 4.14).
#[must_use]
pub const fn precedence(word: u32) -> Precedence {
    Precedence((word & libc::SECCOMP_RET_ACTION_FULL).cast_signed())
}

impl fmt::Display for Action {
    /// The name that scenarios use: `KILL_PROCESS`, `ERRNO(EPERM)`,
    /// `TRACE(7)`, `0x7fc00001`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&action_text(self.to_u32()))
    }
}

impl FromStr for Action {
    type Err = SyntaxError;

    /// Reads what `Display` writes, and also kernel names
    /// (`SECCOMP_RET_ALLOW`) and any number. The result is canonical.
    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        action_word(text).map(Self::from_u32).ok_or_else(|| SyntaxError {
            span: 0..text.len(),
            message: format!("unknown action `{text}`"),
            expected: Some(
                "`KILL_PROCESS`, `KILL_THREAD`, `TRAP(3)`, `ERRNO(EPERM)`, `USER_NOTIF`, \
                 `TRACE(7)`, `LOG`, `ALLOW` or a 32-bit number"
                    .to_owned(),
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::kill_process(Action::KillProcess, 0x8000_0000, "KILL_PROCESS")]
    #[case::kill_thread(Action::KillThread, 0, "KILL_THREAD")]
    #[case::trap(Action::Trap(0), 0x0003_0000, "TRAP")]
    #[case::trap_with_data(Action::Trap(3), 0x0003_0003, "TRAP(3)")]
    #[case::errno(Action::Errno(1), 0x0005_0001, "ERRNO(EPERM)")]
    #[case::errno_zero(Action::Errno(0), 0x0005_0000, "ERRNO(0)")]
    #[case::errno_without_name(Action::Errno(4096), 0x0005_1000, "ERRNO(4096)")]
    #[case::restart(Action::Errno(512), 0x0005_0200, "ERRNO(ERESTARTSYS)")]
    #[case::user_notif(Action::UserNotif, 0x7fc0_0000, "USER_NOTIF")]
    #[case::trace(Action::Trace(7), 0x7ff0_0007, "TRACE(7)")]
    #[case::log(Action::Log, 0x7ffc_0000, "LOG")]
    #[case::allow(Action::Allow, 0x7fff_0000, "ALLOW")]
    #[case::ignored_data(Action::Raw(0x7fc0_0001), 0x7fc0_0001, "0x7fc00001")]
    #[case::unknown(Action::Raw(0x0001_0000), 0x0001_0000, "0x00010000")]
    fn words_and_names(#[case] action: Action, #[case] word: u32, #[case] name: &str) {
        assert_eq!(action.to_u32(), word);
        assert_eq!(Action::from_u32(word), action);
        assert_eq!(action.to_string(), name);
        assert_eq!(name.parse(), Ok(action));
    }

    #[rstest]
    #[case::kernel_name("SECCOMP_RET_USER_NOTIF", Action::UserNotif)]
    #[case::kernel_name_with_data("SECCOMP_RET_ERRNO(EACCES)", Action::Errno(13))]
    #[case::old_name("SECCOMP_RET_KILL", Action::KillThread)]
    #[case::bare_errno("ERRNO", Action::Errno(0))]
    #[case::errno_number("ERRNO(99)", Action::Errno(99))]
    #[case::hexadecimal("TRAP(0xbeef)", Action::Trap(0xbeef))]
    #[case::blanks(" TRACE ( 7 ) ", Action::Trace(7))]
    #[case::number_of_a_known_action("0x7fff0000", Action::Allow)]
    fn also_read(#[case] text: &str, #[case] action: Action) {
        assert_eq!(text.parse(), Ok(action));
    }

    #[rstest]
    #[case::empty("")]
    #[case::lower_case("allow")]
    #[case::data_where_none_goes("ALLOW(1)")]
    #[case::too_much_data("TRAP(65536)")]
    #[case::not_closed("TRAP(3")]
    #[case::no_such_errno("ERRNO(EWHAT)")]
    #[case::too_large("0x100000000")]
    fn refused(#[case] text: &str) {
        let error = text.parse::<Action>().unwrap_err();
        assert_eq!(error.span, 0..text.len());
    }

    /// `prec-order`, `prec-signed`: strongest first.
    const ORDER: [Action; 8] = [
        Action::KillProcess,
        Action::KillThread,
        Action::Trap(0),
        Action::Errno(0),
        Action::UserNotif,
        Action::Trace(0),
        Action::Log,
        Action::Allow,
    ];

    #[test]
    fn all_64_pairs_have_their_order() {
        for (i, one) in ORDER.iter().enumerate() {
            for (j, other) in ORDER.iter().enumerate() {
                assert_eq!(
                    one.precedence().cmp(&other.precedence()),
                    i.cmp(&j),
                    "{one} against {other}"
                );
            }
        }
    }

    /// `prec-unknown-action`.
    #[test]
    fn an_unknown_action_outranks_all_that_are_larger() {
        let unknown = Action::Raw(0x0001_0000).precedence();
        assert!(unknown < Action::Trap(0).precedence());
        assert!(unknown > Action::KillThread.precedence());
    }

    proptest! {
        #[test]
        fn every_word_comes_back(word: u32) {
            let action = Action::from_u32(word);
            prop_assert_eq!(action.to_u32(), word);
            prop_assert_eq!(action.to_string().parse(), Ok(action));
        }

        /// `prec-data-ignored`.
        #[test]
        fn data_never_matters(word: u32, data: u16) {
            let other = word & 0xffff_0000 | u32::from(data);
            prop_assert_eq!(precedence(word), precedence(other));
        }
    }
}
