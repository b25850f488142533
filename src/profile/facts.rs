//! The table of facts, oldest first.

use super::{Decision, Fact};

const fn decided(
    scenario: &'static str,
    step: &'static str,
    holds: &'static str,
    fails: &'static str,
) -> Decision {
    Decision { scenario, step, holds, fails }
}

/// Every fact that some supported kernel has and another has not. Commits and
/// releases are those of the kernel's history and of stable change logs.
pub static FACTS: &[Fact] = &[
    Fact {
        id: "send-continue",
        summary: "SEND accepts SECCOMP_USER_NOTIF_FLAG_CONTINUE",
        since: (5, 5),
        stable: &[],
        commit: "fb3c5386b382 seccomp: add SECCOMP_USER_NOTIF_FLAG_CONTINUE",
        decided_by: decided("send/continue", "send", "ok", "EINVAL"),
    },
    Fact {
        id: "recv-checks-zeroed-buffer",
        summary: "RECV refuses a buffer that is not zeroed",
        since: (5, 5),
        stable: &[((5, 4), 9)],
        commit: "seccomp: Check that seccomp_notif is zeroed out by the user",
        decided_by: decided("recv/dirty-buffer[byte=0]", "dirty", "EINVAL", "{*"),
    },
    Fact {
        id: "tsync-esrch",
        summary: "TSYNC_ESRCH is known, and allows TSYNC together with NEW_LISTENER",
        since: (5, 7),
        stable: &[],
        commit: "51891498f2da seccomp: allow TSYNC and USER_NOTIF together",
        decided_by: decided("install/tsync-listener-with-esrch", "install", "returns *", "EINVAL"),
    },
    Fact {
        id: "hup-when-unused",
        summary: "poll(2) reports POLLHUP on a listener once no task uses the filter",
        since: (5, 9),
        stable: &[],
        commit: "99cdb8b9a573 seccomp: notify about unused filter",
        decided_by: decided("poll/hup-after-reap", "hup", "*POLLHUP", "nothing ready"),
    },
    Fact {
        id: "addfd",
        summary: "SECCOMP_IOCTL_NOTIF_ADDFD is there",
        since: (5, 9),
        stable: &[],
        commit: "7cf97b125455 seccomp: Introduce addfd ioctl to seccomp user notifier",
        decided_by: decided("addfd/basic", "add", "returns *", "EINVAL"),
    },
    Fact {
        id: "addfd-send",
        summary: "ADDFD can answer with the descriptor that it adds (SECCOMP_ADDFD_FLAG_SEND)",
        since: (5, 14),
        stable: &[],
        commit: "0ae71c7720e3 seccomp: Support atomic \"addfd + send reply\"",
        decided_by: decided("addfd/send", "add", "returns *", "EINVAL"),
    },
    Fact {
        id: "recv-fifo",
        summary: "RECV delivers the oldest pending notification first",
        since: (5, 19),
        stable: &[],
        commit: "4cbf6f621150 seccomp: Use FIFO semantics to order notifications",
        decided_by: decided("recv/oldest-first", "first", "*from A*", "*from B*"),
    },
    Fact {
        id: "wait-killable-recv",
        summary: "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV is known",
        since: (5, 19),
        stable: &[],
        commit: "c2aa2dfef243 seccomp: Add wait_killable semantic to seccomp user notifier",
        decided_by: decided("install/flag-wait-killable", "install", "returns *", "EINVAL"),
    },
    Fact {
        id: "recv-restarts",
        summary: "RECV interrupted by a handler with SA_RESTART is restarted",
        since: (6, 6),
        stable: &[],
        commit: "4943b66df18a seccomp: don't use semaphore and wait_queue together",
        decided_by: decided("recv/sa-restart", "recv", "blocks", "blocks, EINTR*"),
    },
    Fact {
        id: "set-flags",
        summary: "SECCOMP_IOCTL_NOTIF_SET_FLAGS is there",
        since: (6, 6),
        stable: &[],
        commit: "48a1084a8b74 seccomp: add the synchronous mode for seccomp_unotify",
        decided_by: decided("listener/set-flags", "sync", "ok", "EINVAL"),
    },
    Fact {
        id: "recv-ends-when-last-user-exits",
        summary: "RECV fails with ENOENT once no task uses the filter",
        since: (6, 11),
        stable: &[],
        commit: "95036a79e7b5 seccomp: interrupt SECCOMP_IOCTL_NOTIF_RECV when all users have exited",
        decided_by: decided("recv/after-last-exit", "end", "ENOENT", "blocks"),
    },
    Fact {
        id: "released-at-exit",
        summary: "A filter is released when its last user exits, not when it is reaped",
        since: (6, 11),
        stable: &[((6, 6), 142), ((6, 10), 10)],
        commit: "bfafe5efa975 seccomp: release task filters when the task exits",
        decided_by: decided("poll/hup-of-zombie", "zombie", "*POLLHUP", "nothing ready"),
    },
];
