//! System calls and the tables that number them.

use std::fmt;
use std::str::FromStr;

use crate::abi::{AUDIT_ARCH_I386, AUDIT_ARCH_X86_64, X32_SYSCALL_BIT};
use crate::bpf::{Cursor, SyntaxError};

/// Which way into the kernel a call takes, and so which table numbers it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Arch {
    /// The `syscall` instruction with a native number.
    #[default]
    X86_64,
    /// `int $0x80` and the 32-bit fast entries.
    I386,
    /// The `syscall` instruction with bit 30 set in the number.
    X32,
}

impl Arch {
    /// The `AUDIT_ARCH_*` value that filters see. That of x32 is the native
    /// one.
    #[must_use]
    pub const fn audit_arch(self) -> u32 {
        match self {
            Self::X86_64 | Self::X32 => AUDIT_ARCH_X86_64,
            Self::I386 => AUDIT_ARCH_I386,
        }
    }
}

impl fmt::Display for Arch {
    /// `x86_64`, `i386` or `x32`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::X86_64 => "x86_64",
            Self::I386 => "i386",
            Self::X32 => "x32",
        })
    }
}

impl FromStr for Arch {
    type Err = SyntaxError;

    /// Reads what `Display` writes.
    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        [Self::X86_64, Self::I386, Self::X32]
            .into_iter()
            .find(|arch| arch.to_string() == text)
            .ok_or_else(|| SyntaxError {
                span: 0..text.len(),
                message: format!("unknown architecture `{text}`"),
                expected: Some("`x86_64`, `i386` or `x32`".to_owned()),
            })
    }
}

/// A system call, by name or by number.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Syscall {
    /// A name of the kernel's tables, such as `mkdir`; its number depends on
    /// the architecture.
    Name(String),
    /// A number, the same on every architecture: `#99999`, `#-1`. For x32 it
    /// is the number without bit 30.
    Number(i32),
}

/// The calls that x32 numbers differently, from 512 upwards
/// (`arch/x86/entry/syscalls/syscall_64.tbl`).
const X32_CALLS: [&str; 36] = [
    "rt_sigaction",
    "rt_sigreturn",
    "ioctl",
    "readv",
    "writev",
    "recvfrom",
    "sendmsg",
    "recvmsg",
    "execve",
    "ptrace",
    "rt_sigpending",
    "rt_sigtimedwait",
    "rt_sigqueueinfo",
    "sigaltstack",
    "timer_create",
    "mq_notify",
    "kexec_load",
    "waitid",
    "set_robust_list",
    "get_robust_list",
    "vmsplice",
    "move_pages",
    "preadv",
    "pwritev",
    "rt_tgsigqueueinfo",
    "recvmmsg",
    "sendmmsg",
    "process_vm_readv",
    "process_vm_writev",
    "setsockopt",
    "getsockopt",
    "io_setup",
    "io_submit",
    "execveat",
    "preadv2",
    "pwritev2",
];

impl Syscall {
    /// The number that filters see in `nr` for this call on `arch`, bit 30 of
    /// x32 included. `None` where the table of `arch` has no such name.
    #[must_use]
    pub fn number(&self, arch: Arch) -> Option<i32> {
        let number = match (self, arch) {
            (Self::Number(number), _) => *number,
            (Self::Name(name), Arch::I386) => number_i386(name)?,
            (Self::Name(name), Arch::X86_64) => number_x86_64(name)?,
            (Self::Name(name), Arch::X32) => {
                let own = X32_CALLS.iter().zip(512..).find(|row| row.0 == name);
                own.map_or_else(|| number_x86_64(name), |(_, number)| Some(number))?
            }
        };
        let bit = if arch == Arch::X32 { X32_SYSCALL_BIT.cast_signed() } else { 0 };
        Some(number | bit)
    }

    /// The call that has number `nr` on `arch`, by name where it has one.
    ///
    /// `nr` is what filters see. Numbers of x32 are looked up without bit 30.
    #[must_use]
    pub fn from_number(nr: i32, arch: Arch) -> Self {
        let plain = match arch {
            Arch::X32 => nr & !X32_SYSCALL_BIT.cast_signed(),
            _ => nr,
        };
        // A negative number is in no table, and stays so as a large one.
        let index = plain as usize;
        let name = match arch {
            Arch::X86_64 => syscalls::x86_64::Sysno::new(index).map(|call| call.name()),
            Arch::I386 => syscalls::x86::Sysno::new(index).map(|call| call.name()),
            Arch::X32 => match index.checked_sub(512).map(|index| X32_CALLS.get(index)) {
                Some(name) => name.copied(),
                None => syscalls::x86_64::Sysno::new(index).map(|call| call.name()),
            },
        };
        let named = name.map(|name| Self::Name(name.to_owned()));
        // A native number that x32 replaced by its own has no name there.
        named.filter(|call| call.number(arch) == Some(nr)).unwrap_or(Self::Number(plain))
    }
}

fn number_x86_64(name: &str) -> Option<i32> {
    Some(name.parse::<syscalls::x86_64::Sysno>().ok()? as i32)
}

fn number_i386(name: &str) -> Option<i32> {
    Some(name.parse::<syscalls::x86::Sysno>().ok()? as i32)
}

impl fmt::Display for Syscall {
    /// `mkdir`, or `#99999`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => out.write_str(name),
            Self::Number(number) => write!(out, "#{number}"),
        }
    }
}

impl FromStr for Syscall {
    type Err = SyntaxError;

    /// Reads a name that x86-64 or i386 knows, or `#` and a number.
    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        let mut cursor = Cursor::new(text, 0..text.len());
        if cursor.eat("#") {
            // The cast keeps the bits: #0xffffffff is #-1.
            let number = cursor.number(32)? as u32;
            if !cursor.is_done() {
                return Err(cursor.unexpected("the end of the number"));
            }
            return Ok(Self::Number(number.cast_signed()));
        }
        if number_x86_64(text).or_else(|| number_i386(text)).is_some() {
            return Ok(Self::Name(text.to_owned()));
        }
        Err(SyntaxError {
            span: 0..text.len(),
            message: format!("unknown system call `{text}`"),
            expected: Some("a name such as `mkdir`, or a number such as `#83`".to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::native("mkdir", Arch::X86_64, Some(83))]
    #[case::i386("mkdir", Arch::I386, Some(39))]
    #[case::x32("mkdir", Arch::X32, Some(0x4000_0053))]
    #[case::own_number_of_x32("ioctl", Arch::X32, Some(0x4000_0202))]
    #[case::last_of_x32("pwritev2", Arch::X32, Some(0x4000_0223))]
    #[case::only_i386("socketcall", Arch::X86_64, None)]
    #[case::unknown_number("#99999", Arch::X86_64, Some(99999))]
    #[case::negative("#-1", Arch::I386, Some(-1))]
    #[case::same_bits("#0xffffffff", Arch::X86_64, Some(-1))]
    fn numbers(#[case] text: &str, #[case] arch: Arch, #[case] number: Option<i32>) {
        let call: Syscall = text.parse().unwrap();
        assert_eq!(call.number(arch), number);
    }

    #[test]
    fn numbers_come_back() {
        for arch in [Arch::X86_64, Arch::I386, Arch::X32] {
            let bit = if arch == Arch::X32 { 0x4000_0000 } else { 0 };
            for number in -2..700 {
                let call = Syscall::from_number(number | bit, arch);
                assert_eq!(call.number(arch), Some(number | bit), "{call} on {arch}");
                assert_eq!(call.to_string().parse(), Ok(call));
            }
        }
    }

    #[rstest]
    #[case::unknown("mkdirr", 0..6)]
    #[case::empty("", 0..0)]
    #[case::no_number("#x", 1..2)]
    #[case::too_large("#0x100000000", 1..12)]
    #[case::trailing("#1 2", 3..4)]
    fn refused(#[case] text: &str, #[case] span: std::ops::Range<usize>) {
        assert_eq!(text.parse::<Syscall>().unwrap_err().span, span);
    }

    #[test]
    fn arches_come_back() {
        for arch in [Arch::X86_64, Arch::I386, Arch::X32] {
            assert_eq!(arch.to_string().parse(), Ok(arch));
        }
        assert!("amd64".parse::<Arch>().is_err());
    }
}
