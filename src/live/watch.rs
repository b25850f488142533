//! Tells when nobody in a scenario can move any more.
//!
//! A step is over when every actor is asleep, stopped or gone. One look at
//! the tasks one after another cannot tell that: a task seen asleep may be
//! woken by one that is looked at later. Two looks can: if in both every task
//! is asleep and none has been switched out in between, then each of them
//! slept from its first look to its second, and so all slept at once. As
//! tasks are woken by tasks, by timers or from outside, nothing more happens
//! by itself. No clock is asked, so a slow machine sees what a fast one sees.
//!
//! A task that is about to sleep shows the state S while it still runs, and a
//! preempted one may show it for long. Reading `/proc/TID/syscall` tells them
//! apart: the kernel waits there until the task is off the processor
//! (`task_current_syscall`, `wait_task_inactive`), or says "running".

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
];

/// The `/proc` files of one actor's task.
pub(super) struct Watched {
    status: File,
    /// Not there where the kernel does not let this user open it.
    syscall: Result<File, ()>,
    wchan: Result<File, ()>,
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

impl Look {
    /// The look of a task that is not there.
    pub const GONE: Look = Look { rest: Rest::Gone, letter: 'X', switches: 0, hidden: false };
}

impl Watched {
    /// Opens the files of a task, which may be a thread of any process.
    pub fn open(tid: i32) -> io::Result<Watched> {
        let open = |name| File::open(format!("/proc/{tid}/task/{tid}/{name}"));
        let may = |name| open(name).map_err(drop);
        Ok(Watched { status: open("status")?, syscall: may("syscall"), wchan: may("wchan") })
    }

    /// Looks once.
    pub fn look(&self, area: &ActorArea) -> Look {
        let mut buffer = [0; 4096];
        let Some(status) = read(&self.status, &mut buffer) else { return Look::GONE };
        let letter = field(status, "State:").and_then(|text| text.chars().next()).unwrap_or('X');
        let number =
            |name| field(status, name).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        let switches = number("voluntary_ctxt_switches:") + number("nonvoluntary_ctxt_switches:");
        let phase = area.phase.load(Ordering::Acquire);
        let pending =
            || ["SigPnd:", "ShdPnd:"].iter().any(|name| field(status, name) != Some(NO_SIGNAL));
        let mut hidden = false;
        let rest = match letter {
            'Z' | 'X' => Rest::Gone,
            'T' => Rest::Stopped,
            't' => Rest::Traced,
            'R' if phase == SPINNING && !pending() => Rest::Idle,
            'S' | 'D' => self.sleeping(letter, phase, &mut hidden),
            _ => Rest::Moving,
        };
        Look { rest, letter, switches, hidden }
    }

    fn sleeping(&self, letter: char, phase: u32, hidden: &mut bool) -> Rest {
        let mut buffer = [0; 256];
        let call = match self.syscall.as_ref().map(|file| file.read_at(&mut buffer, 0)) {
            Ok(Ok(len)) => {
                let text = std::str::from_utf8(&buffer[..len]).unwrap_or_default();
                let first = text.split_ascii_whitespace().next().unwrap_or_default();
                match first.parse() {
                    Ok(call) => call,
                    Err(_) => return Rest::Moving,
                }
            }
            Ok(Err(error)) if error.kind() == io::ErrorKind::PermissionDenied => {
                *hidden = true;
                UNKNOWN_CALL
            }
            Err(()) => {
                *hidden = true;
                UNKNOWN_CALL
            }
            Ok(Err(_)) => return Rest::Moving,
        };
        if letter == 'D' && !self.lasting() {
            return Rest::Moving;
        }
        if phase == IDLE { Rest::Idle } else { Rest::Asleep(call) }
    }

    fn lasting(&self) -> bool {
        let mut buffer = [0; 128];
        let place = self.wchan.as_ref().ok().and_then(|file| read(file, &mut buffer));
        let place = place.unwrap_or("0");
        LASTING.iter().any(|known| place.starts_with(known))
    }
}

/// The call of a task that hides it.
const UNKNOWN_CALL: i64 = -1;

const NO_SIGNAL: &str = "0000000000000000";

fn read<'b>(file: &File, buffer: &'b mut [u8]) -> Option<&'b str> {
    let len = file.read_at(buffer, 0).ok().filter(|len| *len > 0)?;
    std::str::from_utf8(&buffer[..len]).ok()
}

fn field<'t>(status: &'t str, name: &str) -> Option<&'t str> {
    status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}
