//! Names of numbers: actions, architectures, fields of `struct seccomp_data`,
//! system calls.

use crate::abi::{
    AUDIT_ARCH_AARCH64, AUDIT_ARCH_I386, AUDIT_ARCH_RISCV64, AUDIT_ARCH_X86_64, X32_SYSCALL_BIT,
    errno_name, errno_number,
};

/// The actions, without the prefix `SECCOMP_RET_` that their kernel names
/// have, and whether the lower 16 bits carry data for them.
const ACTIONS: [(&str, u32, bool); 8] = [
    ("KILL_PROCESS", libc::SECCOMP_RET_KILL_PROCESS, false),
    ("KILL_THREAD", libc::SECCOMP_RET_KILL_THREAD, false),
    ("TRAP", libc::SECCOMP_RET_TRAP, true),
    ("ERRNO", libc::SECCOMP_RET_ERRNO, true),
    ("USER_NOTIF", libc::SECCOMP_RET_USER_NOTIF, false),
    ("TRACE", libc::SECCOMP_RET_TRACE, true),
    ("LOG", libc::SECCOMP_RET_LOG, false),
    ("ALLOW", libc::SECCOMP_RET_ALLOW, false),
];

const ARCHES: [(&str, u32); 4] = [
    ("AUDIT_ARCH_X86_64", AUDIT_ARCH_X86_64),
    ("AUDIT_ARCH_I386", AUDIT_ARCH_I386),
    ("AUDIT_ARCH_AARCH64", AUDIT_ARCH_AARCH64),
    ("AUDIT_ARCH_RISCV64", AUDIT_ARCH_RISCV64),
];

/// The text of the word that a filter returned: `USER_NOTIF`, `TRAP(3)`,
/// `ERRNO(EPERM)`, `ERRNO(0)`, or the plain number in hexadecimal where no
/// action has that word, or where data bits are set that the action ignores.
///
/// [`action_word`] reads it back to the same word.
#[must_use]
pub fn action_text(word: u32) -> String {
    let data = word & libc::SECCOMP_RET_DATA;
    let action = word & libc::SECCOMP_RET_ACTION_FULL;
    let known = ACTIONS.iter().find(|row| row.1 == action);
    match known {
        Some(&("ERRNO", ..)) => match errno_name(data.cast_signed()) {
            Some(name) => format!("ERRNO({name})"),
            None => format!("ERRNO({data})"),
        },
        Some(&(name, _, _)) if data == 0 => name.to_owned(),
        Some(&(name, _, true)) => format!("{name}({data})"),
        _ => format!("{word:#010x}"),
    }
}

/// The word that a filter returns for the action named `text`.
///
/// Takes what [`action_text`] writes, and also the kernel's prefix
/// (`SECCOMP_RET_ALLOW`), numbers as data of `TRAP`, `ERRNO` and `TRACE`, the
/// old name `KILL` of `KILL_THREAD`, and any number as a word of its own.
/// `None` for everything else, data of more than 16 bits included.
#[must_use]
pub fn action_word(text: &str) -> Option<u32> {
    let text = text.trim();
    let (name, data) = match text.split_once('(') {
        Some((name, data)) => (name.trim_end(), Some(data.strip_suffix(')')?.trim())),
        None => (text, None),
    };
    match data {
        None => action_named(name)
            .map(|(word, _)| word)
            .or_else(|| u32::try_from(super::parse_number(name)?).ok()),
        Some(data) => {
            let (word, true) = action_named(name)? else {
                return None;
            };
            let data = match errno_number(data) {
                Some(number) => u16::try_from(number).ok()?,
                None => u16::try_from(super::parse_number(data)?).ok()?,
            };
            Some(word | u32::from(data))
        }
    }
}

/// The word of a bare action name, and whether it carries data.
fn action_named(name: &str) -> Option<(u32, bool)> {
    let name = name.strip_prefix("SECCOMP_RET_").unwrap_or(name);
    let name = if name == "KILL" { "KILL_THREAD" } else { name };
    let &(_, word, carries) = ACTIONS.iter().find(|row| row.0 == name)?;
    Some((word, carries))
}

/// The kernel's name of an `AUDIT_ARCH_*` value, for the four that this crate
/// knows.
#[must_use]
pub fn arch_name(value: u32) -> Option<&'static str> {
    Some(ARCHES.iter().find(|row| row.1 == value)?.0)
}

/// The value of a name such as `AUDIT_ARCH_X86_64`, for the four that this
/// crate knows.
#[must_use]
pub fn arch_value(name: &str) -> Option<u32> {
    Some(ARCHES.iter().find(|row| row.0 == name)?.1)
}

/// The name of a number in the table of `arch`, an `AUDIT_ARCH_*` value.
/// x32 numbers have none.
pub(super) fn syscall_name(arch: u32, number: u32) -> Option<&'static str> {
    let number = number as usize;
    match arch {
        AUDIT_ARCH_X86_64 => syscalls::x86_64::Sysno::new(number).map(|call| call.name()),
        AUDIT_ARCH_I386 => syscalls::x86::Sysno::new(number).map(|call| call.name()),
        _ => None,
    }
}

/// What [`symbol_value`] gives back for `name` on `arch`: `SYS_mkdir`,
/// `SYS_i386_mkdir`.
pub(super) fn syscall_symbol(arch: u32, number: u32) -> Option<String> {
    let prefix = if arch == AUDIT_ARCH_I386 { "i386_" } else { "" };
    Some(format!("SYS_{prefix}{}", syscall_name(arch, number)?))
}

/// The value of a name that may stand where a number may: system calls,
/// architectures, actions without data, errors.
pub(super) fn symbol_value(name: &str) -> Option<u32> {
    if name == "__X32_SYSCALL_BIT" {
        return Some(X32_SYSCALL_BIT);
    }
    if let Some(call) = name.strip_prefix("SYS_").or_else(|| name.strip_prefix("__NR_")) {
        return match call.strip_prefix("i386_") {
            Some(call) => Some(call.parse::<syscalls::x86::Sysno>().ok()? as u32),
            None => Some(call.parse::<syscalls::x86_64::Sysno>().ok()? as u32),
        };
    }
    arch_value(name)
        .or_else(|| action_named(name).map(|(word, _)| word))
        .or_else(|| Some(errno_number(name)?.cast_unsigned()))
}

/// The text of a byte offset in `struct seccomp_data` that starts a 32-bit
/// word, as it stands between brackets: `nr`, `args[2].hi`.
pub(super) fn field_text(offset: u32) -> Option<String> {
    match offset {
        0 => Some("nr".to_owned()),
        4 => Some("arch".to_owned()),
        8 => Some("ip".to_owned()),
        12 => Some("ip_hi".to_owned()),
        16..64 if offset.is_multiple_of(8) => Some(format!("args[{}]", (offset - 16) / 8)),
        16..64 if offset.is_multiple_of(4) => Some(format!("args[{}].hi", (offset - 16) / 8)),
        _ => None,
    }
}
