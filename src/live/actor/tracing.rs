//! What a tracer does, by ptrace(2).

use super::{Player, Reply, peek, poke, read_back, sys};
use crate::scenario::arena::desk;
use crate::scenario::{ActorId, Op, Register};

const PTRACE_SECCOMP_GET_FILTER: u64 = 0x420c;
/// Most instructions of a tracee's filter that fit on the desk.
const DESK_INSTRUCTIONS: i64 = 4096 / 8;

impl Player {
    pub(super) fn trace(&self, op: &Op) -> Reply {
        let data = desk(self.me.0);
        match *op {
            Op::Attach(tracee) => self.ptrace(libc::PTRACE_ATTACH.into(), tracee, 0, 0).into(),
            Op::Seize { tracee, options } => {
                self.ptrace(libc::PTRACE_SEIZE.into(), tracee, 0, self.value(options)).into()
            }
            Op::Interrupt(tracee) => {
                self.ptrace(libc::PTRACE_INTERRUPT.into(), tracee, 0, 0).into()
            }
            Op::WaitStop(tracee) => {
                let flags = libc::__WALL as u64;
                // 0 would be any child; of a task that was never started there is
                // none.
                let tid = match self.tid(tracee) {
                    0 => i32::MAX as u64,
                    tid => tid,
                };
                let raw = sys(libc::SYS_wait4, [tid, data, flags, 0, 0, 0]);
                read_back(raw, data, 4)
            }
            Op::Resume { tracee, signal } => {
                self.ptrace(libc::PTRACE_CONT.into(), tracee, 0, signal as u64).into()
            }
            Op::ToSyscall { tracee, signal } => {
                self.ptrace(libc::PTRACE_SYSCALL.into(), tracee, 0, signal as u64).into()
            }
            Op::Detach { tracee, signal } => {
                self.ptrace(libc::PTRACE_DETACH.into(), tracee, 0, signal as u64).into()
            }
            Op::SetOptions { tracee, options } => {
                let options = self.value(options);
                self.ptrace(libc::PTRACE_SETOPTIONS.into(), tracee, 0, options).into()
            }
            Op::EventMessage(tracee) => {
                let raw = self.ptrace(libc::PTRACE_GETEVENTMSG.into(), tracee, 0, data);
                read_back(raw, data, 8)
            }
            Op::GetRegister { tracee, register } => {
                let at = offset(register);
                let raw = self.ptrace(libc::PTRACE_PEEKUSER.into(), tracee, at, data);
                read_back(raw, data, 8)
            }
            Op::SetRegister { tracee, register, value } => {
                let (at, value) = (offset(register), self.value(value));
                self.ptrace(libc::PTRACE_POKEUSER.into(), tracee, at, value).into()
            }
            Op::GetFilter { tracee, index } => {
                let index = self.value(index);
                let raw = self.ptrace(PTRACE_SECCOMP_GET_FILTER, tracee, index, 0);
                if !(1..=DESK_INSTRUCTIONS).contains(&raw) {
                    return raw.into();
                }
                let raw = self.ptrace(PTRACE_SECCOMP_GET_FILTER, tracee, index, data);
                let mut reply = Reply::from(raw);
                // The filter of this scenario that has the same instructions.
                reply.words[0] = self.known_program(data, raw).map_or(0, |known| known + 1);
                reply
            }
            _ => (-i64::from(libc::ENOSYS)).into(),
        }
    }

    fn ptrace(&self, request: u64, tracee: ActorId, address: u64, data: u64) -> i64 {
        if request == u64::from(libc::PTRACE_PEEKUSER) {
            poke(data, 0u64);
        }
        sys(libc::SYS_ptrace, [request, self.tid(tracee), address, data, 0, 0])
    }

    fn known_program(&self, address: u64, len: i64) -> Option<u64> {
        let programs = &self.stage.schedule.programs;
        let same = |program: &crate::bpf::Program| {
            program.0.len() as i64 == len
                && program.0.iter().enumerate().all(|(index, instruction)| {
                    peek::<crate::abi::SockFilter>(address + 8 * index as u64) == *instruction
                })
        };
        programs.iter().position(|(_, program)| same(program)).map(|index| index as u64)
    }
}

/// Offset of a register in `struct user`.
fn offset(register: Register) -> u64 {
    let index = match register {
        Register::Number => 15,
        Register::Result => 10,
        Register::Arg(0) => 14,
        Register::Arg(1) => 13,
        Register::Arg(2) => 12,
        Register::Arg(3) => 7,
        Register::Arg(4) => 9,
        Register::Arg(_) => 8,
    };
    8 * index
}
