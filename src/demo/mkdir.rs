//! `demo mkdir`: a supervisor decides about the directories that its target
//! makes, as in the examples of seccomp_unotify(2) and of "The Linux
//! Programming Interface".
//!
//! A path is looked at, and the call is then made by the supervisor or by the
//! target, so this fences nothing in: `/tmp/../etc/x` begins with `/tmp/`, and
//! a target that may continue may have another path in that memory by then.

use std::ffi::{CStr, CString, OsString};
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::thread::sleep;
use std::time::Duration;

use clap::{Args, ValueEnum};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::set_no_new_privs;
use nix::sys::signal::Signal;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::sys::stat::Mode;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, getpid};

use super::{DemoError, complain, failed, fence, told};
use crate::abi::{
    AUDIT_ARCH_X86_64, Installed, Listener, SeccompNotif, SeccompNotifResp, TargetPath,
    default_action, errno_of, install_filter, mkdir, pidfd_open, read_target_path,
    receive_descriptor, send_descriptor, write_on_signal,
};
use crate::filter::{Action, Arch, Rule, Rules, Syscall};

const MKDIR_HELP: &str = "\
The target (T) makes mkdir(PATH, 0700) for each PATH, and its supervisor (S)
decides by how PATH begins:

  /tmp/    S makes the directory, and T is told the length of the path
  ./       T's own call continues
  other    T's call fails with EOPNOTSUPP
  /bye     so it does, and S leaves: later calls fail with ENOSYS

Examples:
  unotify-lab demo mkdir /tmp/x ./sub /bye /tmp/y
  unotify-lab demo mkdir -d 9 /tmp/x     time for kill -INT or kill -KILL on T:
                                         S then finds the notification gone
  unotify-lab demo mkdir -f e /tmp/x     ERRNO goes before USER_NOTIF
  unotify-lab demo mkdir -f t /tmp/x     TRACE comes after it

The exit status is 0 whatever T is told, 2 for a mistake in an argument, and 3
where the demonstration cannot take place.";

/// What `demo mkdir` is given.
#[derive(Debug, Args)]
#[command(after_help = MKDIR_HELP)]
pub struct MkdirOptions {
    /// Let the supervisor wait this long before it looks at the target
    #[arg(short = 'd', long = "delay", value_name = "SECS", default_value_t = 0, value_parser = seconds)]
    pub seconds: u32,
    /// Install a second filter, which says something else about mkdir
    #[arg(short = 'f', long = "filter", value_name = "e|t")]
    pub second_filter: Option<SecondFilter>,
    /// What the target makes directories of
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<OsString>,
}

fn seconds(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| "give whole seconds, such as 5".to_owned())
}

/// What the second filter says about mkdir(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SecondFilter {
    /// SECCOMP_RET_ERRNO, with EOPNOTSUPP
    #[value(name = "e")]
    Errno,
    /// SECCOMP_RET_TRACE
    #[value(name = "t")]
    Trace,
}

/// Runs target and supervisor; comes back when both are done.
pub(super) fn run(options: &MkdirOptions) -> Result<(), DemoError> {
    let threads = threads()?;
    if threads != 1 {
        return Err(DemoError::Trouble(format!(
            "a process with {threads} threads must not fork a target"
        )));
    }
    let (stream, close_on_exec) = (SockType::Stream, SockFlag::SOCK_CLOEXEC);
    let (ours, theirs) = socketpair(AddressFamily::Unix, stream, None, close_on_exec)
        .map_err(failed("socketpair"))?;
    // Ignored, it would make the kernel reap the target without a word.
    default_action(Signal::SIGCHLD).map_err(failed("sigaction"))?;
    // What is still in a buffer would be written twice.
    io::stdout().flush().map_err(|_| DemoError::Unread)?;
    // SAFETY: there is no other thread, whose locks the child would find.
    #[allow(unsafe_code)]
    let forked = unsafe { fork() }.map_err(failed("fork"))?;
    match forked {
        ForkResult::Child => {
            drop(ours);
            std::process::exit(match target(options, theirs) {
                Ok(()) | Err(DemoError::Unread) => 0,
                Err(error) => {
                    complain(&error);
                    error.status().into()
                }
            })
        }
        ForkResult::Parent { child } => {
            // The target has the only other end: if it goes, we are told.
            drop(theirs);
            let supervised = supervise(options, child, ours);
            // By now the listener is closed, so nothing holds the target.
            let ended = wait_for(child)?;
            match supervised? {
                Leaving::Bye => Ok(()),
                Leaving::TargetEnded => say(&format!("\tS: the target {}\n", how(ended))),
                Leaving::NotSetUp if ended == WaitStatus::Exited(child, 0) => {
                    Err(DemoError::Unread)
                }
                Leaving::NotSetUp => Err(DemoError::Trouble(format!(
                    "the target {} before it passed its listener on",
                    how(ended)
                ))),
            }
        }
    }
}

fn threads() -> Result<usize, DemoError> {
    let tasks = std::fs::read_dir("/proc/self/task");
    tasks.map(Iterator::count).map_err(|error| {
        DemoError::Trouble(format!("/proc/self/task: {error}. Mount proc(5) on /proc."))
    })
}

fn wait_for(child: Pid) -> Result<WaitStatus, DemoError> {
    loop {
        match waitpid(child, None) {
            Err(Errno::EINTR) => {}
            ended => return ended.map_err(failed("waitpid")),
        }
    }
}

fn how(ended: WaitStatus) -> String {
    match ended {
        WaitStatus::Exited(_, status) => format!("has ended with exit status {status}"),
        WaitStatus::Signaled(_, signal, _) => format!("was killed by {signal}"),
        other => format!("has ended: {other:?}"),
    }
}

/// Writes to standard output at once, so that what two processes say comes
/// whole and in order.
fn say(text: &str) -> Result<(), DemoError> {
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        match nix::unistd::write(io::stdout(), rest) {
            Ok(count) => rest = &rest[count..],
            Err(Errno::EINTR) => {}
            Err(Errno::EPIPE) => return Err(DemoError::Unread),
            Err(errno) => return Err(failed("write to standard output")(errno)),
        }
    }
    Ok(())
}

/// The filter that does `action` to mkdir(2) and lets all else pass.
fn rules(action: Action) -> Rules {
    let mut rules = fence(AUDIT_ARCH_X86_64);
    let on = vec![Syscall::Name("mkdir".to_owned())];
    rules.push(Rule { on, arch: Arch::X86_64, when: Vec::new(), action });
    Rules { rules, default: Action::Allow }
}

/// What the target does.
fn target(options: &MkdirOptions, socket: OwnedFd) -> Result<(), DemoError> {
    say(&format!("T: PID = {}\n", getpid()))?;
    write_on_signal(Signal::SIGINT, "\nT: handler of SIGINT\n").map_err(failed("sigaction"))?;
    set_no_new_privs().map_err(failed("prctl PR_SET_NO_NEW_PRIVS"))?;
    let listener = install(Action::UserNotif, libc::SECCOMP_FILTER_FLAG_NEW_LISTENER)?;
    match options.second_filter {
        Some(SecondFilter::Errno) => drop(install(Action::Errno(libc::EOPNOTSUPP as u16), 0)?),
        Some(SecondFilter::Trace) => drop(install(Action::Trace(0), 0)?),
        None => {}
    }
    if let Installed::Listener(listener) = listener {
        send_descriptor(socket.as_fd(), listener.as_fd()).map_err(failed("sendmsg SCM_RIGHTS"))?;
    }
    // Our copy of the listener is closed. While it was open, no end of the
    // supervisor would have ended our calls.
    drop(socket);
    for path in &options.paths {
        let path = CString::new(path.as_bytes()).expect("an argument has no null byte");
        let shown = path.to_string_lossy();
        say(&format!("\nT: making mkdir({shown:?}, 0700)\n"))?;
        let raw = mkdir(&path, 0o700);
        say(&match errno_of(raw) {
            Some(errno) => format!("T: mkdir failed: {}\n", told(Errno::from_raw(errno))),
            None => format!("T: mkdir returned {raw}\n"),
        })?;
    }
    say("\nT: done\n")
}

fn install(action: Action, flags: u64) -> Result<Installed, DemoError> {
    let program = rules(action).compile().map_err(|error| DemoError::Trouble(error.to_string()))?;
    install_filter(&program, flags).map_err(|errno| match errno {
        Errno::EBUSY => DemoError::Trouble(
            "seccomp NEW_LISTENER: EBUSY: this process is already under a filter that has a \
             listener, and there can be one only. Run it outside of that container or sandbox."
                .to_owned(),
        ),
        errno => failed("seccomp SECCOMP_SET_MODE_FILTER")(errno),
    })
}

/// Why the supervisor left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaving {
    /// The target asked for `/bye`.
    Bye,
    /// There is nobody left.
    TargetEnded,
    /// There never was a listener.
    NotSetUp,
}

/// What the supervisor does. The listener is closed when it returns.
fn supervise(options: &MkdirOptions, target: Pid, socket: OwnedFd) -> Result<Leaving, DemoError> {
    let ended = pidfd_open(target).map_err(failed("pidfd_open"))?;
    let received = receive_descriptor(socket.as_fd()).map_err(failed("recvmsg SCM_RIGHTS"))?;
    drop(socket);
    let Some(listener) = received else { return Ok(Leaving::NotSetUp) };
    let listener = Listener::new(listener).map_err(failed("seccomp SECCOMP_GET_NOTIF_SIZES"))?;
    while wait_for_notification(&listener, &ended)? {
        let notification = match listener.recv() {
            Ok(notification) => notification,
            // A signal took the target out of its call before we were here.
            Err(Errno::ENOENT | Errno::EINTR) => continue,
            Err(errno) => return Err(failed("SECCOMP_IOCTL_NOTIF_RECV")(errno)),
        };
        let SeccompNotif { id, pid, data, .. } = notification;
        say(&format!("\tS: notification with id {id:#x} from PID {pid}\n"))?;
        if i64::from(data.nr) != libc::SYS_mkdir {
            return Err(DemoError::Trouble(format!("a notification about call {}", data.nr)));
        }
        if options.seconds > 0 {
            delay(&listener, id, options.seconds)?;
        }
        let path = read_target_path(&listener, &notification, data.args[0]);
        let response = decide(&notification, &path)?;
        respond(&listener, &response)?;
        if matches!(&path, TargetPath::Path(path) if path.as_c_str() == c"/bye") {
            say("\tS: leaving ***\n")?;
            return Ok(Leaving::Bye);
        }
    }
    Ok(Leaving::TargetEnded)
}

/// Waits for a notification, or for the end of the target: `false`.
fn wait_for_notification(listener: &Listener, ended: &OwnedFd) -> Result<bool, DemoError> {
    loop {
        let mut watched = [
            PollFd::new(listener.as_fd(), PollFlags::POLLIN),
            PollFd::new(ended.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut watched, PollTimeout::NONE) {
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(failed("poll")(errno)),
            Ok(_) => {
                let listener = watched[0].revents().unwrap_or(PollFlags::empty());
                // Where it is neither, the target has ended, or its filters
                // are gone (POLLHUP), and so it is about to.
                return Ok(listener.contains(PollFlags::POLLIN));
            }
        }
    }
}

/// Lets time pass, for signals from elsewhere.
fn delay(listener: &Listener, id: u64, seconds: u32) -> Result<(), DemoError> {
    if !check(listener, id)? {
        return Ok(());
    }
    for left in (1..=seconds).rev() {
        // A line at once: what the target says meanwhile stays whole, too.
        say(&format!("\tS: waiting {left} s\n"))?;
        sleep(Duration::from_secs(1));
    }
    check(listener, id).map(drop)
}

/// Whether the id is valid; says so where it is not.
fn check(listener: &Listener, id: u64) -> Result<bool, DemoError> {
    match listener.id_valid(id) {
        Ok(()) => Ok(true),
        Err(errno) => {
            let errno = told(errno);
            say(&format!("\tS: the id is no longer valid: {errno}\n"))?;
            Ok(false)
        }
    }
}

/// Decides about a path, and makes the directory where it is for us to make.
fn decide(notification: &SeccompNotif, path: &TargetPath) -> Result<SeccompNotifResp, DemoError> {
    let mut response = SeccompNotifResp { id: notification.id, ..SeccompNotifResp::default() };
    match path {
        TargetPath::Path(path) if path.to_bytes().starts_with(b"/tmp/") => {
            // The kernel's mkdir(2), too, reads no more of this register.
            match make(path, notification.data.args[1] as u32)? {
                Ok(()) => {
                    response.val = path.to_bytes().len() as i64;
                    say(&format!("\tS: made; the target is told {}\n", response.val))?;
                }
                Err(errno) => {
                    response.error = -(errno as i32);
                    say(&format!("\tS: failed: {}; so is the target's call\n", told(errno)))?;
                }
            }
        }
        TargetPath::Path(path) if path.to_bytes().starts_with(b"./") => {
            response.flags = libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32;
            say("\tS: the target's own call may continue\n")?;
        }
        TargetPath::Path(_) => {
            response.error = -libc::EOPNOTSUPP;
            say(&format!("\tS: refused: {}\n", told(Errno::EOPNOTSUPP)))?;
        }
        TargetPath::IdGone => {
            response.error = -libc::EINVAL;
            say("\tS: no path: the target waits no longer\n")?;
        }
        TargetPath::Unreadable(errno) => {
            response.error = -libc::EINVAL;
            say(&format!("\tS: no path: {}\n", told(*errno)))?;
        }
        TargetPath::Unterminated => {
            response.error = -libc::EINVAL;
            say("\tS: no path: it has no end\n")?;
        }
    }
    Ok(response)
}

fn make(path: &CStr, mode: u32) -> Result<Result<(), Errno>, DemoError> {
    say(&format!("\tS: making mkdir({:?}, 0{mode:o})\n", path.to_string_lossy()))?;
    Ok(nix::unistd::mkdir(path, Mode::from_bits_truncate(mode)))
}

fn respond(listener: &Listener, response: &SeccompNotifResp) -> Result<(), DemoError> {
    let SeccompNotifResp { flags, val, error, .. } = response;
    say(&format!("\tS: responding (flags = {flags:#x}, val = {val}, error = {error})\n"))?;
    match listener.send(response) {
        Ok(()) => Ok(()),
        Err(Errno::ENOENT) => {
            say("\tS: ENOENT: a signal took the target out of its call, or ended it\n")
        }
        Err(errno) => say(&format!("\tS: no response: {}\n", told(errno))),
    }
}
