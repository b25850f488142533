//! How processes ended, and how all of them are ended.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::ExitCode;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill, sigaction};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;

use super::freezer;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Exited(i32),
    Killed {
        signal: i32,
        core: bool,
    },
    /// It has not, as far as wait(2) knows.
    Alive,
    /// It is nobody's to wait for.
    Unknown,
}

impl From<WaitStatus> for End {
    fn from(status: WaitStatus) -> Self {
        match status {
            WaitStatus::Exited(_, status) => End::Exited(status),
            WaitStatus::Signaled(_, signal, core) => End::Killed { signal: signal as i32, core },
            _ => End::Alive,
        }
    }
}

/// How a process ended; it stays a zombie.
pub(super) fn of_process(pid: i32) -> End {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    match waitid(Id::Pid(Pid::from_raw(pid)), flags).map(End::from) {
        // A child of another actor, or one that a tracer is to hear of first.
        Err(_) | Ok(End::Alive) => of_zombie(pid).unwrap_or(End::Unknown),
        Ok(end) => end,
    }
}

/// The exit code in /proc/PID/stat, which is a wait status; `None` for one
/// whose other threads live.
fn of_zombie(pid: i32) -> Option<End> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    if !fields.starts_with('Z') {
        return None;
    }
    // proc(5) counts fields from 1; `fields` begins with the third, the state.
    let threads: u32 = fields.split(' ').nth(20 - 3)?.parse().ok()?;
    if threads > 1 {
        return None;
    }
    let status: i32 = fields.split_ascii_whitespace().last()?.parse().ok()?;
    Some(match status & 0x7f {
        0 => End::Exited(status >> 8 & 0xff),
        signal => End::Killed { signal, core: status & 0x80 != 0 },
    })
}

/// Reaps a child if it has ended.
pub(super) fn reap(pid: i32) -> End {
    match waitpid(Pid::from_raw(pid), Some(WaitPidFlag::WNOHANG)) {
        Ok(status) => status.into(),
        Err(_) => End::Unknown,
    }
}

/// Sends a signal to one thread.
pub(super) fn signal_thread(process: i32, thread: i32, signal: Signal) -> nix::Result<()> {
    let (process, thread) = (i64::from(process), i64::from(thread));
    let args = [process as u64, thread as u64, signal as u64, 0, 0, 0];
    // SAFETY: tgkill touches no memory of this process.
    #[allow(unsafe_code)]
    let raw = unsafe { crate::abi::raw_syscall(libc::SYS_tgkill, args) };
    if raw < 0 { Err(Errno::from_raw(-raw as i32)) } else { Ok(()) }
}

/// How long a killed process is waited for. It only bounds a failure: one that
/// sleeps in the kernel where no signal reaches it may never end.
pub(super) const LONGEST_END: Duration = Duration::from_secs(30);

/// Kills and reaps every child of this process, and theirs. A process whose
/// parent has gone becomes a child of this one, which is a subreaper.
///
/// # Errors
///
/// Who is left, and what it sleeps in.
pub(super) fn all_children() -> Result<(), String> {
    let deadline = Instant::now() + LONGEST_END;
    while Instant::now() < deadline {
        for pid in children() {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG | WaitPidFlag::__WALL)) {
                Ok(WaitStatus::StillAlive) => break,
                Ok(_) | Err(Errno::EINTR) => {}
                Err(Errno::ECHILD) => return Ok(()),
                // A status that nix does not know: reaped all the same.
                Err(_) => {}
            }
        }
        std::thread::yield_now();
    }
    let left: Vec<String> = children().into_iter().map(unended).collect();
    Err(left.join("; "))
}

/// Waits until a killed child has ended, and reaps it; what `patience` is for,
/// see [`LONGEST_END`].
///
/// # Errors
///
/// Who it is, and what it sleeps in.
pub(super) fn reap_within(pid: i32, patience: Duration) -> Result<(), String> {
    let deadline = Instant::now() + patience;
    loop {
        match waitpid(Pid::from_raw(pid), Some(WaitPidFlag::WNOHANG | WaitPidFlag::__WALL)) {
            Ok(WaitStatus::StillAlive) | Err(Errno::EINTR) => {}
            _ => return Ok(()),
        }
        if Instant::now() > deadline {
            return Err(unended(pid));
        }
        // Nobody tells when it ends, unless it is this process's last child.
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

/// That a process does not end, and where each of its threads sleeps in the
/// kernel.
pub(super) fn unended(pid: i32) -> String {
    let read = |path: &str| std::fs::read_to_string(format!("/proc/{pid}/{path}"));
    let name = read("comm").unwrap_or_default();
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let places: Vec<String> = threads
        .filter_map(|thread| {
            let thread = format!("task/{}", thread.file_name().to_str()?);
            let stat = read(&format!("{thread}/stat")).ok()?;
            let state = stat.rsplit_once(") ")?.1.chars().next()?;
            let place = read(&format!("{thread}/wchan")).unwrap_or_default();
            let place =
                if ["", "0"].contains(&place.as_str()) { "an unknown place" } else { &place };
            Some(format!("{state} in {place}"))
        })
        .collect();
    format!("{} (pid {pid}) does not end when killed: {}", name.trim(), places.join(", "))
}

/// The children of this process, whichever of its threads is their parent.
pub(super) fn children() -> Vec<i32> {
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else { return Vec::new() };
    let lists: Result<Vec<String>, _> = threads
        .flatten()
        .map(|thread| std::fs::read_to_string(thread.path().join("children")))
        .collect();
    match lists {
        Ok(lists) => lists
            .iter()
            .flat_map(|list| list.split_ascii_whitespace())
            .filter_map(|pid| pid.parse().ok())
            .collect(),
        // Without CONFIG_PROC_CHILDREN, from everybody's parents.
        Err(_) => children_by_parent(std::process::id()),
    }
}

fn children_by_parent(own: u32) -> Vec<i32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1));
            parent.and_then(|parent| parent.parse().ok()) == Some(own)
        })
        .collect()
}

/// The hidden command that cleans up after a terminated worker: `__end
/// SCRATCH`.
pub const END_COMMAND: &str = "__end";

/// What a terminated worker executes in its own place, prepared beforehand:
/// a signal handler must not allocate.
static LAST_ACT: OnceLock<[CString; 3]> = OnceLock::new();

/// When this worker is told to end (by the death of the command, too), it
/// ends its actors and removes its files first. The handler executes the tool
/// anew, in this very process, which stays the actors' parent.
#[allow(unsafe_code)]
pub(super) fn on_termination(scratch: &Path) {
    let scratch = CString::new(scratch.as_os_str().as_bytes()).expect("a path has no NUL");
    let name = CString::new("unotify-lab").expect("no NUL");
    let command = CString::new(END_COMMAND).expect("no NUL");
    let _ = LAST_ACT.set([name, command, scratch]);
    let action = SigAction::new(SigHandler::Handler(last_act), SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler makes one system call and allocates nothing.
    let _ = unsafe { sigaction(Signal::SIGTERM, &action) };
}

extern "C" fn last_act(_: i32) {
    if let Some([name, command, scratch]) = LAST_ACT.get() {
        let arguments = [name.as_ptr(), command.as_ptr(), scratch.as_ptr(), std::ptr::null()];
        let environment = [std::ptr::null()];
        let path = c"/proc/self/exe".as_ptr();
        // SAFETY: all strings are NUL-terminated and live for ever.
        #[allow(unsafe_code)]
        unsafe {
            libc::execve(path, arguments.as_ptr(), environment.as_ptr())
        };
    }
}

/// Ends what a terminated worker has left behind.
pub fn end_main(arguments: &[String]) -> ExitCode {
    // Told twice, it is still at it.
    let action = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
    // SAFETY: ignoring a signal runs no code.
    #[allow(unsafe_code)]
    let _ = unsafe { sigaction(Signal::SIGTERM, &action) };
    freezer::thaw(std::process::id());
    let _ = all_children();
    freezer::remove(std::process::id());
    let own = format!("/unotify-lab.{}", std::process::id());
    if let [scratch] = arguments
        && scratch.ends_with(&own)
    {
        let _ = std::fs::remove_dir_all(scratch);
    }
    ExitCode::from(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One that nobody kills stands for one that cannot be killed.
    #[test]
    #[expect(clippy::zombie_processes, reason = "what is tested reaps it")]
    fn who_does_not_end_is_given_up_and_named() {
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().expect("sleep");
        let pid = child.id() as i32;
        let told = reap_within(pid, Duration::ZERO).expect_err("it sleeps");
        assert!(told.contains(&format!("(pid {pid}) does not end when killed: ")), "{told}");
        child.kill().expect("it is ours");
        reap_within(pid, LONGEST_END).expect("it was killed");
    }
}
