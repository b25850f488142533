//! Signal dispositions of an actor, and its handler.

use std::sync::atomic::Ordering;

use super::{MAIN, Player, peek, poke, stage, sys};
use crate::abi;
use crate::live::shared::{Record, RecordKind};
use crate::scenario::Disposition;
use crate::scenario::arena::{desk, stack_owner};

/// `SA_RESTORER`: the kernel returns from a handler through `sa_restorer`.
const SA_RESTORER: u64 = 0x0400_0000;
/// Offset of `uc_mcontext.gregs[REG_RAX]` in `ucontext_t`.
const CONTEXT_RAX: u64 = 40 + 8 * 13;
/// Offset of `uc_mcontext.gregs[REG_RIP]`.
const CONTEXT_RIP: u64 = 40 + 8 * 16;
/// Bytes of a `siginfo_t` up to and with `si_arch`.
const INFO_BYTES: u64 = 32;

impl Player {
    pub(super) fn dispose(&self, signal: i32, disposition: Disposition) -> i64 {
        let bit = 1u64 << (signal as u32 % 64);
        let (handler, flags) = match disposition {
            Disposition::Ignore => (libc::SIG_IGN as u64, 0),
            Disposition::Default => (libc::SIG_DFL as u64, 0),
            Disposition::Handler { flags, result } => {
                // Threads share dispositions, so the process's main actor
                // keeps what belongs to them.
                let area = &self.stage.shared.actors[MAIN.load(Ordering::Acquire)];
                area.handler_has_result.fetch_and(!bit, Ordering::AcqRel);
                area.handler_has_info.fetch_and(!bit, Ordering::AcqRel);
                if let Some(result) = result {
                    area.handler_results[signal as usize % 65].store(result, Ordering::Release);
                    area.handler_has_result.fetch_or(bit, Ordering::AcqRel);
                }
                if flags & libc::SA_SIGINFO as u64 != 0 {
                    area.handler_has_info.fetch_or(bit, Ordering::AcqRel);
                }
                (handler as *const () as u64, flags)
            }
        };
        let action = desk(self.me.0);
        poke(action, [handler, flags | SA_RESTORER, abi::signal_return_address(), 0]);
        sys(libc::SYS_rt_sigaction, [signal as u64, action, 0, 8, 0, 0])
    }

    pub(super) fn mask(&self, signal: i32, block: bool) -> i64 {
        let set = desk(self.me.0);
        poke(set, 1u64 << (signal as u32).wrapping_sub(1));
        let how = if block { libc::SIG_BLOCK } else { libc::SIG_UNBLOCK };
        sys(libc::SYS_rt_sigprocmask, [how as u64, set, 0, 8, 0, 0])
    }
}

/// Notes what it saw; writes over the interrupted call's result if asked to.
extern "C" fn handler(signal: i32, info: u64, context: u64) {
    let local = 0u8;
    let main = MAIN.load(Ordering::Acquire);
    let me = stack_owner(&raw const local as u64).unwrap_or(main);
    let shared = &stage().shared;
    let area = &shared.actors[main];
    let bit = 1u64 << (signal as u32 % 64);
    let mut record = Record { kind: RecordKind::Handler, ..Record::done(0, i64::from(signal)) };
    // Without SA_SIGINFO the kernel does not fill siginfo_t in.
    if area.handler_has_info.load(Ordering::Acquire) & bit != 0 {
        record.words[0] = 1;
        for word in 0..INFO_BYTES / 8 {
            record.words[1 + word as usize] = peek(info + word * 8);
        }
    }
    record.words[6] = peek(context + CONTEXT_RAX);
    record.words[7] = peek(context + CONTEXT_RIP);
    shared.actors[me].write(&record);
    if area.handler_has_result.load(Ordering::Acquire) & bit != 0 {
        let result = area.handler_results[signal as usize % 65].load(Ordering::Acquire);
        poke(context + CONTEXT_RAX, result);
    }
}

/// Gives every signal its default action and blocks none, as a scenario
/// starts. What the Rust runtime has set up goes with it.
pub(in crate::live) fn reset_signals() {
    let action = [0u64; 4];
    for signal in 1..=64u64 {
        sys(libc::SYS_rt_sigaction, [signal, &raw const action as u64, 0, 8, 0, 0]);
    }
    let none = 0u64;
    let args = [libc::SIG_SETMASK as u64, &raw const none as u64, 0, 8, 0, 0];
    sys(libc::SYS_rt_sigprocmask, args);
}
