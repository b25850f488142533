//! A virtual machine: QEMU with a kernel and an initramfs, and what becomes
//! of it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::Signal;

use super::VmError;
use super::breakdown::{Breakdown, What};
use super::console;
use super::guest::Message;

/// A machine for a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Memory, in MiB.
    pub memory: u32,
    /// Processors. Under full emulation some kernels fail in early boot with
    /// more than one, for reasons of the emulation.
    pub cpus: u32,
    /// How it is run.
    pub accelerator: Accelerator,
    /// How long a guest may say nothing. One that works says so every few
    /// seconds.
    pub patience: Duration,
}

impl Machine {
    /// For how long a guest may say nothing unless something else is said: a
    /// boot under full emulation takes a few seconds.
    pub const PATIENCE: Duration = Duration::from_secs(90);
}

/// How a guest's processor is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accelerator {
    /// By the host's processor.
    Kvm,
    /// By full emulation.
    Emulation,
}

/// How a guest ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum GuestEnd {
    /// It said that it had done everything, and how long that took by its own
    /// clock.
    Done(Duration),
    /// It did not come to that.
    Broke(What),
}

/// A longer line is no message.
const LONGEST_LINE: u64 = 256 << 20;

/// So many lines wait to be read; a guest that floods the line has to wait.
const MOST_UNREAD: usize = 1024;

/// How long QEMU may take to end once it has closed the line.
const LONGEST_END: Duration = Duration::from_secs(10);

/// A guest that runs.
pub(super) struct Guest {
    child: Child,
    lines: Receiver<String>,
    console: File,
    complaints: File,
    patience: Duration,
    /// Whether its init has said something: what comes before is the
    /// firmware's.
    speaks: bool,
    garbage: Option<(usize, String)>,
}

impl Guest {
    /// Turns a machine on.
    pub fn boot(kernel: &Path, initramfs: &[u8], machine: Machine) -> Result<Guest, VmError> {
        // None of them has a name in a file system, so nothing is left behind.
        let mut archive = inheritable(c"initramfs")?;
        archive.write_all(initramfs).map_err(VmError::Setup)?;
        let console = inheritable(c"console")?;
        let complaints = inheritable(c"complaints")?;
        let mut command = Command::new("qemu-system-x86_64");
        command
            .args(["-machine", "q35", "-nodefaults", "-no-reboot", "-display", "none"])
            .args(["-m", &machine.memory.to_string(), "-smp", &machine.cpus.to_string()])
            .args(match machine.accelerator {
                Accelerator::Kvm => ["-accel", "kvm", "-cpu", "host"],
                Accelerator::Emulation => ["-accel", "tcg", "-cpu", "max"],
            })
            .arg("-kernel")
            .arg(kernel)
            .args(["-initrd", &format!("/proc/self/fd/{}", archive.as_raw_fd())])
            // What goes on after an oops says nothing: the machine is turned
            // off (panic=-1 with -no-reboot) and booted again.
            .args(["-append", "console=ttyS0 oops=panic panic=-1 quiet loglevel=5"])
            .args(["-serial", &format!("file:/proc/self/fd/{}", console.as_raw_fd())])
            .args(["-serial", "stdio"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(complaints.try_clone().map_err(VmError::Setup)?);
        let parent = std::process::id();
        // SAFETY: the closure makes system calls and allocates nothing.
        unsafe { command.pre_exec(move || die_with(parent)) };
        let mut child = command.spawn().map_err(VmError::Qemu)?;
        let lines = lines_of(child.stdout.take().expect("it was piped"));
        Ok(Guest {
            child,
            lines,
            console,
            complaints,
            patience: machine.patience,
            speaks: false,
            garbage: None,
        })
    }

    /// The next message; how it ended when there is none.
    pub fn next(&mut self) -> Result<Message, GuestEnd> {
        match self.within(self.patience) {
            Some(next) => next,
            None => Err(GuestEnd::Broke(What::Silent(self.patience))),
        }
    }

    /// As [`Guest::next`], if there is something so soon. Garbage is no sign of
    /// life.
    pub fn within(&mut self, time: Duration) -> Option<Result<Message, GuestEnd>> {
        let deadline = Instant::now() + time;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = match self.lines.recv_timeout(left) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout) => return None,
                Err(RecvTimeoutError::Disconnected) => {
                    return Some(Err(GuestEnd::Broke(self.how_it_ended())));
                }
            };
            match serde_json::from_str(line.trim()) {
                Ok(Message::End(time)) => return Some(Err(GuestEnd::Done(time))),
                Ok(Message::Trouble(why)) => {
                    return Some(Err(GuestEnd::Broke(What::Refused(why))));
                }
                Ok(message) => {
                    self.speaks = true;
                    return Some(Ok(message));
                }
                Err(_) if self.speaks => self.add_garbage(&line),
                Err(_) => {}
            }
        }
    }

    /// Notes a line that means nothing.
    pub fn add_garbage(&mut self, line: &str) {
        let sample = || line.trim().chars().take(60).collect();
        self.garbage.get_or_insert_with(|| (0, sample())).0 += 1;
    }

    /// All that went wrong with a guest that has ended so: first what ended it,
    /// `during` these scenarios.
    pub fn breakdowns(&mut self, end: &GuestEnd, during: Vec<String>) -> Vec<Breakdown> {
        let console = text(&mut self.console);
        let excerpt = console::excerpt(&console);
        let breakdown = |what, during| Breakdown { what, during, console: excerpt.clone() };
        let fault = console::fault(&console).map(What::Fault);
        let first = match end {
            GuestEnd::Done(_) => fault.map(|fault| breakdown(fault, Vec::new())),
            GuestEnd::Broke(what) => Some(breakdown(fault.unwrap_or_else(|| what.clone()), during)),
        };
        let garbage = self.garbage.take();
        let garbage =
            garbage.map(|(lines, line)| breakdown(What::Garbage(lines, line), Vec::new()));
        first.into_iter().chain(garbage).collect()
    }

    /// What became of QEMU, which closes the line a little before its end.
    fn how_it_ended(&mut self) -> What {
        let deadline = Instant::now() + LONGEST_END;
        let status = loop {
            match self.child.try_wait() {
                Ok(None) if Instant::now() < deadline => std::thread::yield_now(),
                Ok(None) => break None,
                Ok(Some(status)) => break Some(status),
                Err(_) => break None,
            }
        };
        let complaint = text(&mut self.complaints);
        match status {
            Some(status) if status.success() => What::Off,
            Some(status) => match status.signal().map(Signal::try_from) {
                Some(Ok(signal)) => What::Killed(format!("was killed by {signal}")),
                _ => What::Failed(format!("failed ({status}): {}", complaint.trim())),
            },
            None => What::Killed("closed the line and goes on".to_owned()),
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a file holds, or as much of it as can be read.
fn text(file: &mut File) -> String {
    let mut bytes = Vec::new();
    let _ = file.rewind().and_then(|()| file.read_to_end(&mut bytes));
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A file without a name that QEMU inherits.
fn inheritable(name: &std::ffi::CStr) -> Result<File, VmError> {
    let made = memfd_create(name, MFdFlags::empty());
    made.map(File::from).map_err(|error| VmError::Setup(io::Error::from(error)))
}

/// Has this process end with the one that started it.
fn die_with(parent: u32) -> io::Result<()> {
    // SAFETY: sets an attribute of the new process.
    if unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // A parent that has gone before that sends nothing any more.
    if std::os::unix::process::parent_id() == parent {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(libc::ESRCH))
    }
}

/// Reads lines in a thread of its own, so that silence can be noticed.
fn lines_of(stdout: ChildStdout) -> Receiver<String> {
    let (sender, receiver) = sync_channel(MOST_UNREAD);
    std::thread::spawn(move || {
        let mut reader = BufReader::new(stdout);
        let mut line = Vec::new();
        let mut next = |line: &mut Vec<u8>| {
            reader.by_ref().take(LONGEST_LINE).read_until(b'\n', line).is_ok_and(|len| len > 0)
        };
        while next(&mut line) {
            let text = String::from_utf8_lossy(&line).into_owned();
            if sender.send(text).is_err() {
                return;
            }
            line.clear();
        }
    });
    receiver
}
