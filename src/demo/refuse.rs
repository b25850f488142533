//! `demo refuse`: a program runs with one call refused, as in the example of
//! seccomp(2).

use std::env;
use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use clap::Args;
use nix::errno::Errno;
use nix::sys::prctl::set_no_new_privs;
use nix::sys::signal::Signal;
use nix::unistd::{AccessFlags, access, execv};

use super::{DemoError, failed, fence};
use crate::abi::{
    AUDIT_ARCH_I386, AUDIT_ARCH_X86_64, X32_SYSCALL_BIT, default_action, errno_number,
    install_filter,
};
use crate::filter::{Action, Arch, Comparison, Condition, Field, Rule, Rules, Syscall};

/// The largest error that a call can fail with (`MAX_ERRNO`).
const MAX_ERRNO: u32 = 4095;

const REFUSE_USAGE: &str = "unotify-lab demo refuse <SYSCALL> <ARCH> <ERRNO> <PROG> [ARGS]...";

const REFUSE_HELP: &str = "\
Examples:
  unotify-lab demo refuse write x86_64 99 whoami         whoami cannot say who
  unotify-lab demo refuse execve x86_64 EPERM whoami     whoami is not started
  unotify-lab demo refuse preadv x86_64 99 whoami        nothing is missed
  unotify-lab demo refuse write i386 99 whoami           killed by SIGSYS
  unotify-lab demo refuse 1 0xc000003e 99 whoami         the first, in numbers

PROG is searched in PATH. A call by any other architecture kills the process,
and so does an x32 number (0x40000000 and above) where ARCH is x86_64.

The exit status is PROG's. It is 126 where PROG could not be executed, 2 for a
mistake in an argument, and 3 where the filter could not be installed.";

/// What `demo refuse` is given.
#[derive(Debug, Args)]
#[command(after_help = REFUSE_HELP, override_usage = REFUSE_USAGE)]
pub struct RefuseOptions {
    /// The call that fails, by name or by number
    #[arg(value_parser = syscall)]
    pub syscall: Syscall,
    /// The architecture by which it is made: x86_64, i386 or a number
    #[arg(value_parser = audit_arch)]
    pub arch: AuditArch,
    /// What it fails with: a name such as EPERM, or a number
    #[arg(value_parser = error_number)]
    pub errno: ErrorNumber,
    /// The program that is run, and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "PROG")]
    pub command: Vec<OsString>,
}

/// An `AUDIT_ARCH_*` value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditArch(pub u32);

/// An error that a filter can return: 0 to 4095. 0 makes the call seem to
/// succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorNumber(pub u16);

/// Reads a number as all of this crate does: 83, 0x53, 0123.
fn number(text: &str) -> Option<u32> {
    match format!("#{text}").parse() {
        Ok(Syscall::Number(number)) => Some(number.cast_unsigned()),
        _ => None,
    }
}

fn is_number(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_digit())
}

fn syscall(text: &str) -> Result<Syscall, String> {
    let read = if is_number(text) { format!("#{text}") } else { text.to_owned() };
    read.parse().map_err(|_| "give the name of a call, such as write, or its number".to_owned())
}

fn audit_arch(text: &str) -> Result<AuditArch, String> {
    match text {
        "x86_64" | "AUDIT_ARCH_X86_64" => Ok(AuditArch(AUDIT_ARCH_X86_64)),
        "i386" | "AUDIT_ARCH_I386" => Ok(AuditArch(AUDIT_ARCH_I386)),
        "x32" => Err("x32 calls have the architecture x86_64 and large numbers, and are killed \
                      there: give x86_64, i386 or a number such as 0xc000003e"
            .to_owned()),
        _ if is_number(text) => number(text)
            .map(AuditArch)
            .ok_or_else(|| "an architecture is a 32-bit number, such as 0xc000003e".to_owned()),
        _ => {
            Err("give x86_64 (0xc000003e), i386 (0x40000003) or another AUDIT_ARCH_ number"
                .to_owned())
        }
    }
}

fn error_number(text: &str) -> Result<ErrorNumber, String> {
    let known = if is_number(text) {
        number(text).filter(|number| *number <= MAX_ERRNO)
    } else {
        errno_number(text).map(i32::cast_unsigned)
    };
    let known = known.and_then(|number| u16::try_from(number).ok());
    known.map(ErrorNumber).ok_or_else(|| {
        format!("give the name of an error, such as EPERM, or a number from 0 to {MAX_ERRNO}")
    })
}

/// Refuses the call to this process and becomes the program. Returns only
/// where it could not.
pub(super) fn run(options: &RefuseOptions) -> DemoError {
    match replace_process(options) {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

fn replace_process(options: &RefuseOptions) -> Result<std::convert::Infallible, DemoError> {
    let program =
        rules(options)?.compile().map_err(|error| DemoError::Trouble(error.to_string()))?;
    let name = options.command.first().map_or(OsStr::new(""), OsString::as_os_str);
    let file = find(name)?;
    let path = c_string(file.as_os_str())?;
    let words: Vec<CString> =
        options.command.iter().map(|word| c_string(word)).collect::<Result<_, _>>()?;
    // Rust programs ignore it, and what they execute would, too.
    default_action(Signal::SIGPIPE).map_err(failed("sigaction"))?;
    set_no_new_privs().map_err(failed("prctl PR_SET_NO_NEW_PRIVS"))?;
    install_filter(&program, 0).map_err(failed("seccomp SECCOMP_SET_MODE_FILTER"))?;
    // From here on the filter holds for this process, too.
    execv(&path, &words)
        .map_err(|errno| DemoError::Exec { program: file.display().to_string(), errno })
}

/// The filter: the fence, and one call that fails.
fn rules(options: &RefuseOptions) -> Result<Rules, DemoError> {
    let AuditArch(arch) = options.arch;
    let nr = call_number(&options.syscall, arch)?;
    if arch == AUDIT_ARCH_X86_64 && nr >= X32_SYSCALL_BIT {
        return Err(DemoError::Mistake(format!(
            "SYSCALL {nr:#x} could never fail with ERRNO: numbers from {X32_SYSCALL_BIT:#x} on are \
             those of x32, and whoever makes one on x86_64 is killed. Give a smaller number."
        )));
    }
    let mut rules = fence(arch);
    let value = nr.into();
    rules.push(Rule {
        on: Vec::new(),
        arch: Arch::X86_64,
        when: vec![Condition {
            field: Field::Nr,
            mask: None,
            comparison: Comparison::Equal,
            value,
        }],
        action: Action::Errno(options.errno.0),
    });
    Ok(Rules { rules, default: Action::Allow })
}

fn call_number(call: &Syscall, arch: u32) -> Result<u32, DemoError> {
    let table = match (call, arch) {
        (_, AUDIT_ARCH_I386) => Arch::I386,
        (_, AUDIT_ARCH_X86_64) | (Syscall::Number(_), _) => Arch::X86_64,
        (Syscall::Name(name), _) => {
            return Err(DemoError::Mistake(format!(
                "SYSCALL {name}: names are known on x86_64 and i386 only. Give the number that it \
                 has on ARCH {arch:#x}."
            )));
        }
    };
    let other = if table == Arch::I386 { Arch::X86_64 } else { Arch::I386 };
    call.number(table).map(i32::cast_unsigned).ok_or_else(|| {
        DemoError::Mistake(format!(
            "SYSCALL {call}: {table} has no such call. Give another, or {other} as ARCH."
        ))
    })
}

/// The file that a shell would execute for `name`. It is looked for before
/// the filter holds, which may refuse just what is needed for that.
fn find(name: &OsStr) -> Result<PathBuf, DemoError> {
    let executable = |path: &Path| path.is_file() && access(path, AccessFlags::X_OK) == Ok(());
    let mistake = |why| Err(DemoError::Mistake(format!("PROG {}: {why}", name.display())));
    if name.as_bytes().contains(&b'/') {
        let path = PathBuf::from(name);
        if executable(&path) {
            return Ok(path);
        }
        return mistake("no file that can be executed. Give the path of a program.");
    }
    let search = env::var_os("PATH").unwrap_or_else(|| OsString::from("/bin:/usr/bin"));
    let found = env::split_paths(&search)
        // An empty entry means the working directory.
        .map(|folder| if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder })
        .map(|folder| folder.join(name))
        .find(|path| executable(path));
    match found {
        Some(path) if !name.is_empty() => Ok(path),
        _ => mistake("no such program in PATH. Give its path."),
    }
}

fn c_string(text: &OsStr) -> Result<CString, DemoError> {
    CString::new(text.as_bytes())
        .map_err(|_| DemoError::Call { call: "execve", errno: Errno::EINVAL })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::abi::SeccompData;

    fn options(call: &str, arch: &str, errno: &str) -> RefuseOptions {
        RefuseOptions {
            syscall: syscall(call).expect("a call"),
            arch: audit_arch(arch).expect("an architecture"),
            errno: error_number(errno).expect("an error"),
            command: Vec::new(),
        }
    }

    #[rstest]
    #[case::names("write", "x86_64", "EADDRNOTAVAIL", 1, AUDIT_ARCH_X86_64)]
    #[case::numbers("1", "0xC000003E", "99", 1, AUDIT_ARCH_X86_64)]
    #[case::kernel_name("0x1", "AUDIT_ARCH_X86_64", "0x63", 1, AUDIT_ARCH_X86_64)]
    #[case::other_table("write", "i386", "99", 4, AUDIT_ARCH_I386)]
    #[case::other_architecture("64", "0xc00000b7", "99", 64, 0xc000_00b7)]
    fn only_the_call_fails(
        #[case] call: &str,
        #[case] arch: &str,
        #[case] errno: &str,
        #[case] nr: i32,
        #[case] value: u32,
    ) {
        let rules = rules(&options(call, arch, errno)).expect("they make sense");
        let decide = |nr| rules.decide(&SeccompData { nr, arch: value, ..SeccompData::default() });
        assert_eq!(decide(nr), Action::Errno(99));
        assert_eq!(decide(nr + 1), Action::Allow);
        assert_eq!(decide(nr - 1), Action::Allow);
        rules.compile().expect("they compile");
    }

    #[rstest]
    #[case::x32_number("0x40000001", "x86_64")]
    #[case::minus_one("0xffffffff", "x86_64")]
    #[case::call_of_the_other_table("socketcall", "x86_64")]
    #[case::call_of_no_known_table("write", "0xc00000b7")]
    fn what_cannot_be_meant_is_a_mistake(#[case] call: &str, #[case] arch: &str) {
        let error = rules(&options(call, arch, "99")).expect_err("it is wrong");
        assert_eq!(error.status(), 2, "{error}");
        assert!(error.to_string().contains("Give "), "{error}");
    }

    #[test]
    fn large_numbers_are_fine_elsewhere() {
        assert!(rules(&options("0x40000001", "i386", "0")).is_ok());
    }
}
