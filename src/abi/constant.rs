//! Kernel constants by name, for scenarios and for what they print.

use super::errno_number;

macro_rules! constants {
    ($($name:ident),* $(,)?) => {
        &[$((stringify!($name), libc::$name as u64)),*]
    };
}

/// Constants that libc has under the same name.
const FROM_LIBC: &[(&str, u64)] = constants![
    // open(2), fcntl(2) and the like.
    AT_FDCWD,
    O_RDONLY,
    O_WRONLY,
    O_RDWR,
    O_CREAT,
    O_EXCL,
    O_TRUNC,
    O_APPEND,
    O_NONBLOCK,
    O_CLOEXEC,
    O_DIRECTORY,
    O_PATH,
    F_DUPFD,
    F_DUPFD_CLOEXEC,
    F_GETFD,
    F_SETFD,
    F_GETFL,
    F_SETFL,
    FD_CLOEXEC,
    FIONBIO,
    FIONREAD,
    TCGETS,
    FIOCLEX,
    // seccomp(2) and prctl(2).
    SECCOMP_SET_MODE_STRICT,
    SECCOMP_SET_MODE_FILTER,
    SECCOMP_GET_ACTION_AVAIL,
    SECCOMP_GET_NOTIF_SIZES,
    SECCOMP_FILTER_FLAG_TSYNC,
    SECCOMP_FILTER_FLAG_LOG,
    SECCOMP_FILTER_FLAG_SPEC_ALLOW,
    SECCOMP_FILTER_FLAG_NEW_LISTENER,
    SECCOMP_FILTER_FLAG_TSYNC_ESRCH,
    SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
    SECCOMP_MODE_DISABLED,
    SECCOMP_MODE_STRICT,
    SECCOMP_MODE_FILTER,
    SECCOMP_RET_KILL_PROCESS,
    SECCOMP_RET_KILL_THREAD,
    SECCOMP_RET_TRAP,
    SECCOMP_RET_ERRNO,
    SECCOMP_RET_USER_NOTIF,
    SECCOMP_RET_TRACE,
    SECCOMP_RET_LOG,
    SECCOMP_RET_ALLOW,
    SECCOMP_USER_NOTIF_FLAG_CONTINUE,
    SECCOMP_ADDFD_FLAG_SETFD,
    SECCOMP_ADDFD_FLAG_SEND,
    PR_SET_NO_NEW_PRIVS,
    PR_GET_NO_NEW_PRIVS,
    PR_SET_SECCOMP,
    PR_GET_SECCOMP,
    PR_SET_DUMPABLE,
    PR_CAPBSET_DROP,
    // Signals and their flags.
    SIGHUP,
    SIGINT,
    SIGQUIT,
    SIGILL,
    SIGTRAP,
    SIGABRT,
    SIGBUS,
    SIGFPE,
    SIGKILL,
    SIGUSR1,
    SIGSEGV,
    SIGUSR2,
    SIGPIPE,
    SIGALRM,
    SIGTERM,
    SIGSTKFLT,
    SIGCHLD,
    SIGCONT,
    SIGSTOP,
    SIGTSTP,
    SIGTTIN,
    SIGTTOU,
    SIGURG,
    SIGXCPU,
    SIGXFSZ,
    SIGVTALRM,
    SIGPROF,
    SIGWINCH,
    SIGIO,
    SIGPWR,
    SIGSYS,
    SA_RESTART,
    SA_SIGINFO,
    SA_NODEFER,
    SA_RESETHAND,
    SA_ONSTACK,
    SIG_BLOCK,
    SIG_UNBLOCK,
    SIG_SETMASK,
    // poll(2) and epoll(7).
    POLLIN,
    POLLPRI,
    POLLOUT,
    POLLERR,
    POLLHUP,
    POLLNVAL,
    POLLRDNORM,
    POLLWRNORM,
    POLLRDHUP,
    EPOLLIN,
    EPOLLOUT,
    EPOLLERR,
    EPOLLHUP,
    EPOLLRDNORM,
    EPOLLWRNORM,
    EPOLLET,
    EPOLLONESHOT,
    EPOLL_CTL_ADD,
    EPOLL_CTL_MOD,
    EPOLL_CTL_DEL,
    // Resources, tasks, memory.
    RLIMIT_NOFILE,
    RLIMIT_CORE,
    RLIMIT_NPROC,
    WNOHANG,
    WUNTRACED,
    WEXITED,
    WNOWAIT,
    CLONE_NEWUSER,
    CLONE_NEWPID,
    CLONE_NEWNS,
    CLONE_FILES,
    CLONE_VM,
    CLONE_VFORK,
    PROT_NONE,
    PROT_READ,
    PROT_WRITE,
    MAP_PRIVATE,
    MAP_SHARED,
    MAP_ANONYMOUS,
    MAP_FIXED,
    CLOCK_REALTIME,
    CLOCK_MONOTONIC,
    // ptrace(2).
    PTRACE_O_TRACESECCOMP,
    PTRACE_O_TRACESYSGOOD,
    PTRACE_O_EXITKILL,
    PTRACE_O_TRACEFORK,
    PTRACE_O_TRACECLONE,
    PTRACE_O_TRACEEXEC,
    PTRACE_O_TRACEEXIT,
    PTRACE_O_SUSPEND_SECCOMP,
];

/// Short names that steps use where the long one says nothing more, and what
/// libc does not have.
const SHORT: &[(&str, u64)] = &[
    ("TSYNC", libc::SECCOMP_FILTER_FLAG_TSYNC),
    ("LOG", libc::SECCOMP_FILTER_FLAG_LOG),
    ("SPEC_ALLOW", libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW),
    ("NEW_LISTENER", libc::SECCOMP_FILTER_FLAG_NEW_LISTENER),
    ("TSYNC_ESRCH", libc::SECCOMP_FILTER_FLAG_TSYNC_ESRCH),
    ("WAIT_KILLABLE_RECV", libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV),
    ("CONTINUE", libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE),
    ("SETFD", libc::SECCOMP_ADDFD_FLAG_SETFD),
    ("SEND", libc::SECCOMP_ADDFD_FLAG_SEND),
    ("SYNC_WAKE_UP", super::SYNC_WAKE_UP),
    ("AUDIT_ARCH_X86_64", super::AUDIT_ARCH_X86_64 as u64),
    ("AUDIT_ARCH_I386", super::AUDIT_ARCH_I386 as u64),
    ("SECCOMP_IOCTL_NOTIF_RECV", super::NOTIF_RECV as u64),
    ("SECCOMP_IOCTL_NOTIF_SEND", super::NOTIF_SEND as u64),
    ("SECCOMP_IOCTL_NOTIF_ID_VALID", super::NOTIF_ID_VALID as u64),
    ("SECCOMP_IOCTL_NOTIF_ADDFD", super::notif_addfd(24) as u64),
    ("SECCOMP_IOCTL_NOTIF_SET_FLAGS", super::NOTIF_SET_FLAGS as u64),
];

/// The value of a kernel constant, errors included (`EPERM` is 1). Negative
/// ones such as `AT_FDCWD` are sign-extended, as a register would hold them.
pub fn constant(name: &str) -> Option<u64> {
    SHORT
        .iter()
        .chain(FROM_LIBC)
        .find(|(known, _)| *known == name)
        .map(|(_, value)| *value)
        .or_else(|| errno_number(name).map(|number| number as u64))
}

/// The names of all constants but the errors, for documentation and for
/// generators.
pub fn constant_names() -> impl Iterator<Item = &'static str> {
    SHORT.iter().chain(FROM_LIBC).map(|(name, _)| *name)
}

/// The name of a signal, such as `SIGUSR1`.
pub fn signal_name(number: i32) -> Option<&'static str> {
    FROM_LIBC
        .iter()
        .find(|(name, value)| is_signal(name) && *value == number as u64)
        .map(|(name, _)| *name)
}

/// The number of a signal by name.
pub fn signal_number(name: &str) -> Option<i32> {
    is_signal(name).then(|| constant(name)).flatten().map(|value| value as i32)
}

fn is_signal(name: &str) -> bool {
    name.starts_with("SIG") && !name.starts_with("SIG_")
}

/// Names for the bits of a poll(2) event mask, joined by `|`; `0` for none.
pub fn poll_events(mask: u32) -> String {
    const NAMES: &[(&str, u32)] = &[
        ("POLLIN", libc::POLLIN as u32),
        ("POLLPRI", libc::POLLPRI as u32),
        ("POLLOUT", libc::POLLOUT as u32),
        ("POLLERR", libc::POLLERR as u32),
        ("POLLHUP", libc::POLLHUP as u32),
        ("POLLNVAL", libc::POLLNVAL as u32),
        ("POLLRDNORM", libc::POLLRDNORM as u32),
        ("POLLWRNORM", libc::POLLWRNORM as u32),
        ("POLLRDHUP", libc::POLLRDHUP as u32),
    ];
    let mut rest = mask;
    let mut found = Vec::new();
    for (name, bit) in NAMES {
        if rest & bit != 0 {
            found.push((*name).to_owned());
            rest &= !bit;
        }
    }
    if rest != 0 || found.is_empty() {
        found.push(if rest == 0 { "0".to_owned() } else { format!("{rest:#x}") });
    }
    found.join("|")
}
