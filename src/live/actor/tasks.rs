//! How an actor starts others, executes the tool anew, and hands descriptors
//! over.

use std::sync::atomic::Ordering;

use super::listener::decimal;
use super::{MAIN, MEMORY, PASS_END, Player, TAKE_END, peek, poke, stage, sys};
use crate::abi;
use crate::scenario::arena::{desk, stack_top};
use crate::scenario::{ActorId, SlotId, Transfer};

/// Flags of a thread that has neither thread-local storage of its own nor a
/// word to clear at its end.
const THREAD: u64 = (libc::CLONE_VM
    | libc::CLONE_FS
    | libc::CLONE_FILES
    | libc::CLONE_SIGHAND
    | libc::CLONE_THREAD
    | libc::CLONE_SYSVSEM) as u64;

/// Where on the desk lies what a message header points to.
const IOVEC: u64 = 64;
const BYTE: u64 = 96;
const ANCILLARY: u64 = 128;

impl Player {
    pub(super) fn fork(&self, actor: ActorId) -> i64 {
        let process = self.stage.schedule.process_of(self.me);
        self.stage.shared.inherit(process.0, actor.0);
        let pid = sys(libc::SYS_clone, [libc::SIGCHLD as u64, 0, 0, 0, 0, 0]);
        if pid == 0 {
            super::run(actor);
        }
        pid
    }

    pub(super) fn thread(&self, actor: ActorId) -> i64 {
        // SAFETY: the flags are a thread's, the stack is this actor's own in
        // the arena, and thread_main keeps to bare system calls.
        unsafe { abi::clone_thread(THREAD, stack_top(actor.0), thread_main, actor.0 as u64) }
    }

    /// Executes the tool itself: `unotify-lab __actor MEMORY ACTOR`.
    pub(super) fn exec(&self) -> i64 {
        let base = desk(self.me.0);
        let mut at = base + 64;
        let mut words = [0u64; 5];
        for (word, text) in words.iter_mut().zip([
            &b"unotify-lab\0"[..],
            b"__actor\0",
            b"",
            b"",
            b"/proc/self/exe\0",
        ]) {
            *word = at;
            for byte in text {
                poke(at, *byte);
                at += 1;
            }
        }
        for (word, number) in words[2..4].iter_mut().zip([MEMORY as u64, self.me.0 as u64]) {
            *word = at;
            at = decimal(at, number);
            poke(at, 0u8);
            at += 1;
        }
        let path = words[4];
        words[4] = 0;
        poke(base, words);
        let environment = base + 32;
        sys(libc::SYS_execve, [path, base, environment, 0, 0, 0])
    }

    pub(super) fn pass(&self, fd: u64) -> i64 {
        let message = self.message();
        poke(desk(self.me.0) + ANCILLARY + 16, fd as u32);
        sys(libc::SYS_sendmsg, [PASS_END as u64, message, 0, 0, 0, 0])
    }

    pub(super) fn take(&self, slot: SlotId, from: Option<ActorId>, via: Transfer) -> i64 {
        match via {
            Transfer::ScmRights => {
                let message = self.message();
                let flags = libc::MSG_CMSG_CLOEXEC as u64;
                let got = sys(libc::SYS_recvmsg, [TAKE_END as u64, message, flags, 0, 0, 0]);
                if got < 0 {
                    return got;
                }
                i64::from(peek::<i32>(desk(self.me.0) + ANCILLARY + 16))
            }
            Transfer::PidfdGetfd => {
                let Some(from) = from else { return -i64::from(libc::EINVAL) };
                let owner = self.stage.schedule.process_of(from);
                let Some(number) = self.stage.shared.value(owner.0, slot) else {
                    return -i64::from(libc::EBADF);
                };
                let pidfd = sys(libc::SYS_pidfd_open, [self.tid(owner), 0, 0, 0, 0, 0]);
                if pidfd < 0 {
                    return pidfd;
                }
                let args = [pidfd as u64, number as u64, 0, 0, 0, 0];
                let got = sys(libc::SYS_pidfd_getfd, args);
                sys(libc::SYS_close, [pidfd as u64, 0, 0, 0, 0, 0]);
                got
            }
        }
    }

    /// A `struct msghdr` on the desk for one byte and one descriptor.
    fn message(&self) -> u64 {
        let header = desk(self.me.0);
        poke(header, [0, 0, header + IOVEC, 1, header + ANCILLARY, 24, 0u64]);
        poke(header + IOVEC, [header + BYTE, 1]);
        poke(header + BYTE, 0u64);
        // struct cmsghdr: its length, SOL_SOCKET, SCM_RIGHTS, the descriptor.
        poke(header + ANCILLARY, 20u64);
        poke(header + ANCILLARY + 8, [libc::SOL_SOCKET, libc::SCM_RIGHTS]);
        poke(header + ANCILLARY + 16, -1i64);
        header
    }
}

extern "C" fn thread_main(actor: u64) {
    let me = ActorId(actor as usize);
    debug_assert!(MAIN.load(Ordering::Acquire) != me.0);
    Player { stage: stage(), me }.run()
}
