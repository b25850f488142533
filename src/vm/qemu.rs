//! A virtual machine: QEMU with a kernel and an initramfs, and what becomes
//! of it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use nix::sys::memfd::{MFdFlags, memfd_create};

use super::VmError;
use super::guest::Message;

/// The size of a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Memory, in MiB.
    pub memory: u32,
    /// Processors. Under full emulation some kernels fail in early boot with
    /// more than one, for reasons of the emulation.
    pub cpus: u32,
    /// How it is run.
    pub accelerator: Accelerator,
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
    /// It said that it had done everything.
    Done,
    /// It stopped before that: the kernel's own words on what happened, or
    /// what the guest said.
    Broke(String),
    /// It said nothing for so long.
    Silent(Duration),
}

/// How long a guest may say nothing: longer than its own bound on one run, so
/// that a run that hangs in it is one inconclusive run.
pub(super) const LONGEST_SILENCE: Duration =
    crate::live::LONGEST_RUN.saturating_add(Duration::from_secs(60));

/// A guest that runs.
pub(super) struct Guest {
    child: Child,
    lines: Receiver<String>,
    console: File,
}

impl Guest {
    /// Turns a machine on.
    pub fn boot(kernel: &Path, initramfs: &[u8], machine: Machine) -> Result<Guest, VmError> {
        // Both have no name in any file system, and so are never left behind.
        let mut archive = inheritable(c"initramfs")?;
        archive.write_all(initramfs).map_err(VmError::Setup)?;
        let console = inheritable(c"console")?;
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
            .args(["-append", "console=ttyS0 panic=-1 quiet loglevel=5"])
            .args(["-serial", &format!("file:/proc/self/fd/{}", console.as_raw_fd())])
            .args(["-serial", "stdio"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // SAFETY: the closure makes one system call and allocates nothing.
        unsafe { command.pre_exec(die_with_parent) };
        let mut child = command.spawn().map_err(VmError::Qemu)?;
        let lines = lines_of(child.stdout.take().expect("it was piped"));
        Ok(Guest { child, lines, console })
    }

    /// The next message, for which a guest may be silent so long; how it ended
    /// when there is none.
    pub fn next(&mut self, silence: Duration) -> Result<Message, GuestEnd> {
        loop {
            match self.lines.recv_timeout(silence) {
                Ok(line) => match serde_json::from_str(line.trim()) {
                    Ok(Message::End) => return Err(GuestEnd::Done),
                    Ok(Message::Trouble(why)) => return Err(GuestEnd::Broke(why)),
                    Ok(message) => return Ok(message),
                    // The firmware writes there too, before the guest does.
                    Err(_) => {}
                },
                Err(RecvTimeoutError::Timeout) => return Err(GuestEnd::Silent(silence)),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(GuestEnd::Broke(self.last_words()));
                }
            }
        }
    }

    /// The last lines of the console, and what QEMU itself complained of.
    pub fn last_words(&mut self) -> String {
        let mut console = Vec::new();
        let _ = self.console.rewind().and_then(|()| self.console.read_to_end(&mut console));
        let console = String::from_utf8_lossy(&console).into_owned();
        let lines: Vec<&str> = console.lines().filter(|line| !line.trim().is_empty()).collect();
        let first_oops = lines.iter().position(|line| is_oops(line));
        let from = first_oops.unwrap_or(lines.len().saturating_sub(8));
        let mut told = lines[from..].iter().take(12).copied().collect::<Vec<_>>().join("\n");
        if let Some(mut stderr) = self.child.stderr.take()
            && self.child.try_wait().is_ok_and(|ended| ended.is_some())
        {
            let mut complaint = String::new();
            let _ = stderr.read_to_string(&mut complaint);
            told.push_str(complaint.trim_end());
        }
        if told.is_empty() {
            told.push_str(
                "nothing on its console: the image may be cut off, or for another machine",
            );
        }
        told
    }

    /// Whether the kernel told of a fault of its own.
    pub fn oopsed(&mut self) -> Option<String> {
        let mut console = Vec::new();
        let _ = self.console.rewind().and_then(|()| self.console.read_to_end(&mut console));
        let console = String::from_utf8_lossy(&console).into_owned();
        console.lines().find(|line| is_oops(line)).map(str::to_owned)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn is_oops(line: &str) -> bool {
    ["Kernel panic", "BUG:", "Oops:", "general protection fault", "kernel BUG at", "double fault"]
        .iter()
        .any(|sign| line.contains(sign))
}

/// A file without a name that QEMU inherits.
fn inheritable(name: &std::ffi::CStr) -> Result<File, VmError> {
    let made = memfd_create(name, MFdFlags::empty());
    made.map(File::from).map_err(|error| VmError::Setup(io::Error::from(error)))
}

fn die_with_parent() -> io::Result<()> {
    // SAFETY: sets an attribute of the new process.
    match unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Reads lines in a thread of its own, so that silence can be noticed.
fn lines_of(stdout: ChildStdout) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut reader = BufReader::new(stdout);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|len| len > 0) {
            let text = String::from_utf8_lossy(&line).into_owned();
            if sender.send(text).is_err() {
                return;
            }
            line.clear();
        }
    });
    receiver
}
