//! Tells when nobody in a scenario can move any more.
//!
//! A step is over when every actor is asleep, stopped or gone. One look at
//! the tasks one after another cannot tell that: a task seen asleep may be
//! woken by one that is looked at later. Two rounds of looks can.
//!
//! A look reads `/proc/TID/syscall` first, at a moment s, and then the state
//! and the number of context switches in `/proc/TID/status`, at a moment u.
//! Reading the former proves that the task is off the processor at s: the
//! kernel waits there until it is (`task_current_syscall`,
//! `wait_task_inactive`), or says "running". That matters as a task about to
//! sleep shows the state S while it still runs, and may be preempted like
//! that. In two rounds that agree, s1 < u1 < s2 < u2: had the task run between
//! u1 and s2, it would have been switched out before s2, and the counts at u1
//! and u2 would differ. So it was off the processor from u1 to s2. As every u1
//! of the first round comes before every s2 of the second, all tasks slept at
//! once in between, and nothing more happens by itself: tasks are woken by
//! tasks, by timers, or from outside. No clock is asked, so a slow machine
//! sees what a fast one sees.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::shared::{ActorArea, IDLE, SPINNING};
use std::sync::atomic::Ordering;

/// Functions in which an actor sleeps uninterruptibly (D) because the
/// scenario wants it to. Elsewhere D is the kernel's own affair, such as disk
/// or an RCU grace period, and will pass.
const LASTING: &[&str] = &[
    "seccomp_do_user_notification",
    "__seccomp_filter",
    "handle_userfault",
    "wait_for_vfork_done",
    "kernel_clone",
    "do_coredump",
    // de_thread, for threads that are traced; others are seen moving until they
    // are gone.
    "begin_new_exec",
    "de_thread",
];

/// The `/proc` files of one actor's task.
pub(super) struct Watched {
    status: File,
    /// Not there where the kernel does not let this user open it.
    syscall: Option<File>,
    wchan: Option<File>,
}

/// What a task is seen to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// It runs, or will.
    Moving,
    /// It waits for its next turn.
    Idle,
    /// It sleeps in this system call; -1 for none.
    Asleep(i64),
    /// A job-control stop.
    Stopped,
    /// A ptrace stop.
    Traced,
    /// It has ended; a process may be a zombie.
    Gone,
}

/// One look at one task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look {
    pub rest: Rest,
    /// State letter.
    pub letter: char,
    /// How often it was switched out.
    switches: u64,
    /// Whether the kernel does not let this user see its call: the task has
    /// made itself undumpable. Then S is taken for asleep, which is weaker.
    pub hidden: bool,
}

/// What /proc/TID/syscall says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Call {
    /// It runs, or is about to.
    Running,
    /// The task is gone, or busy with execve(2).
    Unreadable,
    /// Asleep or stopped in this call; -1 outside any.
    In(i64),
    /// This user may not know.
    Hidden,
}

impl Look {
    /// The look of a task that could not be looked at just now.
    const MOVING: Look = Look { rest: Rest::Moving, letter: 'R', switches: 0, hidden: false };

    /// The look of a task that is not there.
    pub const GONE: Look = Look { rest: Rest::Gone, letter: 'X', switches: 0, hidden: false };
}

impl Watched {
    /// Opens the files of a task, which may be a thread of any process.
    pub fn open(tid: i32) -> io::Result<Watched> {
        let open = |name| File::open(format!("/proc/{tid}/task/{tid}/{name}"));
        let may = |name| match open(name) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(None),
            Err(error) => Err(error),
        };
        Ok(Watched { status: open("status")?, syscall: may("syscall")?, wchan: may("wchan")? })
    }

    /// Looks once: first at the call, then at the count of switches. The order
    /// carries the proof, see the module.
    pub fn look(&self, area: &ActorArea) -> Look {
        let call = self.call();
        let phase = area.phase.load(Ordering::Acquire);
        if call == Call::Running && phase != SPINNING {
            return Look::MOVING;
        }
        let mut buffer = [0; 16384];
        let status = match read(&self.status, &mut buffer) {
            Ok(status) => status,
            Err(Some(libc::ESRCH)) => return Look::GONE,
            Err(_) => return Look::MOVING,
        };
        let letter = field(status, "State:").and_then(|text| text.chars().next()).unwrap_or('X');
        // They are the last lines.
        let number = |name| {
            let line = status.lines().rev().find_map(|line| line.strip_prefix(name));
            line.and_then(|text| text.trim().parse::<u64>().ok())
        };
        let counts = (number("voluntary_ctxt_switches:"), number("nonvoluntary_ctxt_switches:"));
        let signals = |name| {
            field(status, name).and_then(|set| u64::from_str_radix(set, 16).ok()).unwrap_or(0)
        };
        let pending = || (signals("SigPnd:") | signals("ShdPnd:")) & !signals("SigBlk:") != 0;
        let rest = match letter {
            // Its end is only known to others, such as the parent who waits
            // for the process, when it is not found any more.
            'X' => Rest::Moving,
            'Z' if reaps_itself(status) => Rest::Moving,
            'Z' => return Look { letter, ..Look::GONE },
            // It is switched in and out, where processors are few, and does nothing.
            'R' if phase == SPINNING && !pending() && spins(area) => {
                return Look { rest: Rest::Idle, letter, switches: 0, hidden: false };
            }
            _ if matches!(call, Call::Running | Call::Unreadable) => Rest::Moving,
            'T' => Rest::Stopped,
            't' => Rest::Traced,
            'D' if !self.lasting() => Rest::Moving,
            'S' | 'D' if phase == IDLE => Rest::Idle,
            'S' | 'D' => Rest::Asleep(match call {
                Call::In(number) => number,
                Call::Running | Call::Unreadable | Call::Hidden => UNKNOWN_CALL,
            }),
            _ => Rest::Moving,
        };
        let (Some(voluntary), Some(involuntary)) = counts else { return Look::MOVING };
        Look { rest, letter, switches: voluntary + involuntary, hidden: call == Call::Hidden }
    }

    /// The call in which the task sleeps. The kernel waits until it is off the
    /// processor, or says that it runs.
    fn call(&self) -> Call {
        let mut buffer = [0; 256];
        let Some(file) = &self.syscall else { return Call::Hidden };
        match read(file, &mut buffer) {
            Ok(text) => {
                let first = text.split_ascii_whitespace().next().unwrap_or_default();
                first.parse().map_or(Call::Running, Call::In)
            }
            Err(Some(libc::EACCES | libc::EPERM)) => Call::Hidden,
            Err(_) => Call::Unreadable,
        }
    }

    fn lasting(&self) -> bool {
        let mut buffer = [0; 128];
        let place = self.wchan.as_ref().and_then(|file| read(file, &mut buffer).ok());
        let place = place.unwrap_or("0");
        LASTING.iter().any(|known| place.starts_with(known))
    }
}

/// Whether a zombie is about to go by itself: a thread that is not its
/// process's first one, and is not traced (`exit_notify`).
fn reaps_itself(status: &str) -> bool {
    field(status, "Tgid:") != field(status, "Pid:") && field(status, "TracerPid:") == Some("0")
}

/// The call of a task that hides it.
const UNKNOWN_CALL: i64 = -1;

/// Whether a spinning actor went round twice since: it has no turn to take,
/// and no handler runs.
fn spins(area: &ActorArea) -> bool {
    let before = area.beat.load(Ordering::Acquire);
    for tries in 0..1_000 {
        if area.beat.load(Ordering::Acquire).wrapping_sub(before) >= 2 {
            return area.phase.load(Ordering::Acquire) == SPINNING;
        }
        match tries {
            0..100 => std::hint::spin_loop(),
            // It may have to share this processor.
            _ => std::thread::yield_now(),
        }
    }
    false
}

/// Reads a file from its beginning; the errno where that fails.
fn read<'b>(file: &File, buffer: &'b mut [u8]) -> Result<&'b str, Option<i32>> {
    let len = file.read_at(buffer, 0).map_err(|error| error.raw_os_error())?;
    std::str::from_utf8(&buffer[..len]).map_err(|_| None)
}

fn field<'t>(status: &'t str, name: &str) -> Option<&'t str> {
    status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}
