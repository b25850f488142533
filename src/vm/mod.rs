//! Other kernels: booted under QEMU, with this very executable as init.
//!
//! A VM is another place where the live world runs. It gets the scenarios in
//! its initramfs and sends results back over a second serial port, which
//! every distribution's kernel has built in.

mod guest;
mod initramfs;
mod kernels;
#[allow(unsafe_code)]
mod qemu;

use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use thiserror::Error;

use guest::{Message, Request};
use qemu::{Guest, GuestEnd, LONGEST_SILENCE};

pub use guest::{GUEST_COMMAND, guest_main, init_main, is_init};
pub use kernels::{Archive, KernelImage, KernelsError};
pub use qemu::{Accelerator, Machine};

use crate::live::{Job, RunResult};
use crate::suite::{self, Case, Catalogue, Collected, Kernel, Plan, SuiteResult};

/// Why a virtual machine could not be used.
#[derive(Debug, Error)]
pub enum VmError {
    /// QEMU cannot be started.
    #[error("qemu-system-x86_64: {0}; on Debian, apt-get install qemu-system-x86")]
    Qemu(#[source] io::Error),
    /// What the guest needs cannot be made.
    #[error("preparing the guest: {0}")]
    Setup(#[source] io::Error),
    /// The image is not a kernel's.
    #[error("{0}: not a bzImage (no `HdrS` at offset 0x202)")]
    NotAKernel(PathBuf),
    /// The image cannot be read.
    #[error("{0}: {1}")]
    Unreadable(PathBuf, #[source] io::Error),
    /// It broke down in the middle of a command.
    #[error("{kernel}: the guest broke down:\n{words}")]
    Broke {
        /// The image.
        kernel: String,
        /// The kernel's words, or the last lines of its console.
        words: String,
    },
    /// It never came to its init.
    #[error("{kernel} does not boot:\n{console}")]
    NoBoot {
        /// The image.
        kernel: String,
        /// The last lines of its console.
        console: String,
    },
}

/// What came of a guest's work.
#[derive(Clone, Debug)]
pub struct GuestRun {
    /// The kernel, as it told itself.
    pub kernel: Kernel,
    /// What went wrong on the way: faults that the kernel told of, boots that
    /// ended before the work was done. The results until then stand.
    pub trouble: Option<String>,
    /// How long it took.
    pub times: Times,
}

/// How long a guest took, by this machine's clock. Of several boots, the sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// From power-on to what its init said first.
    pub boot: Duration,
    /// From there to its end.
    pub work: Duration,
}

/// How long one of two guests that race for their init is listened to before
/// the other.
const TURN: Duration = Duration::from_millis(20);

/// Most boots for one list of jobs.
const MOST_BOOTS: u32 = 3;

/// Runs jobs on a kernel in a virtual machine and tells each result as it
/// comes. A kernel that breaks down is booted again for what is left.
///
/// # Errors
///
/// An image that is none, a machine that cannot be started, a kernel that does
/// not come to its init.
pub fn run(
    kernel: &Path,
    executable: &Path,
    machine: Machine,
    jobs: &[Job],
    mut tell: impl FnMut(usize, RunResult),
) -> Result<GuestRun, VmError> {
    check_image(kernel)?;
    let mut left: Vec<usize> = (0..jobs.len()).collect();
    let mut booted = None;
    let mut trouble: Option<String> = None;
    let mut times = Times::default();
    for _ in 0..MOST_BOOTS {
        let request = Request::Jobs(left.iter().map(|job| jobs[*job].clone()).collect());
        let request = serde_json::to_vec(&request).expect("a request is plain data");
        let archive = initramfs::build(executable, &request).map_err(VmError::Setup)?;
        let power_on = Instant::now();
        let mut at_init = None;
        let mut guest = Guest::boot(kernel, &archive, machine)?;
        let given = left.clone();
        let end = loop {
            match guest.next(LONGEST_SILENCE) {
                Ok(Message::Kernel(kernel)) => {
                    booted = Some(kernel);
                    at_init = Some(Instant::now());
                }
                Ok(Message::Result(index, result)) => {
                    let Some(job) = given.get(index) else { continue };
                    left.retain(|left| left != job);
                    tell(*job, result);
                }
                Ok(_) => {}
                Err(end) => break end,
            }
        };
        let at_init = at_init.unwrap_or_else(Instant::now);
        times.boot += at_init - power_on;
        times.work += at_init.elapsed();
        let told = match end {
            GuestEnd::Done => {
                guest.oopsed().map(|line| format!("the kernel told of a fault: {line}"))
            }
            GuestEnd::Broke(words) => Some(format!("the guest broke down:\n{words}")),
            GuestEnd::Silent(time) => {
                let words = guest.last_words();
                Some(format!("the guest said nothing for {} s:\n{words}", time.as_secs()))
            }
        };
        // A later boot that goes well does not undo what an earlier one told.
        trouble = match (trouble, told) {
            (Some(before), Some(now)) if before.ends_with(&now) => Some(before),
            (Some(before), Some(now)) => Some(format!("{before}\n{now}")),
            (before, now) => before.or(now),
        };
        if left.is_empty() {
            break;
        }
    }
    match booted {
        Some(kernel) => Ok(GuestRun { kernel, trouble, times }),
        None => Err(VmError::NoBoot {
            kernel: kernel.display().to_string(),
            console: trouble.unwrap_or_default(),
        }),
    }
}

/// Runs cases `repeat` times each on a kernel in a virtual machine and judges
/// them; `progress` is told of every run that is done. What went wrong on the
/// way is in the second part.
///
/// # Errors
///
/// As [`run`]'s.
pub fn run_suite<'c>(
    catalogue: &'c Catalogue,
    cases: &'c [Case<'c>],
    kernel: &Path,
    machine: Machine,
    plan: Plan,
    mut progress: impl FnMut(),
) -> Result<(SuiteResult<'c>, GuestRun), VmError> {
    let mut collected = Collected::new(cases, plan);
    let guest =
        run(kernel, &this_executable(), machine, &suite::jobs(cases, plan), |job, result| {
            collected.add(job, result);
            progress();
        })?;
    let missing = "the guest ended before it was run";
    // Everything in a guest is root's.
    let result = collected.judge(catalogue, guest.kernel.clone(), 0, missing);
    Ok((result, guest))
}

/// What came of a command in a guest.
#[derive(Clone, Debug)]
pub struct Commanded {
    /// The kernel, as it told itself.
    pub kernel: Kernel,
    /// The status with which the command ended.
    pub status: u8,
    /// What it found: files by name.
    pub files: Vec<(String, Vec<u8>)>,
    /// A fault that the kernel told of, or why the command could not work.
    pub trouble: Option<String>,
}

/// Runs this executable with other arguments on a kernel in a virtual machine,
/// with `--output` for what it finds, and tells each line that it prints. A
/// guest that breaks down before the command begins is booted again.
///
/// # Errors
///
/// As [`run`]'s, and a guest that breaks down before the command has ended.
pub fn command(
    kernel: &Path,
    machine: Machine,
    words: Vec<String>,
    mut tell: impl FnMut(&str),
) -> Result<Commanded, VmError> {
    check_image(kernel)?;
    let request = serde_json::to_vec(&Request::Command(words)).expect("it is plain data");
    let archive = initramfs::build(&this_executable(), &request).map_err(VmError::Setup)?;
    let mut last_words = String::new();
    for _ in 0..MOST_BOOTS {
        let mut guest = Guest::boot(kernel, &archive, machine)?;
        let (mut booted, mut status, mut files) = (None, None, Vec::new());
        let end = loop {
            match guest.next(LONGEST_SILENCE) {
                Ok(Message::Kernel(kernel)) => booted = Some(kernel),
                Ok(Message::Line(line)) => tell(&line),
                Ok(Message::File { name, bytes }) => files.push((name, bytes)),
                Ok(Message::Status(code)) => status = Some(code),
                Ok(_) => {}
                Err(end) => break end,
            }
        };
        let oops = guest.oopsed();
        match (booted, status) {
            (Some(kernel), Some(status)) => {
                let fault = oops.map(|line| format!("the kernel told of a fault: {line}"));
                let trouble = fault.or_else(|| (status > 2).then(|| guest.last_words()));
                return Ok(Commanded { kernel, status, files, trouble });
            }
            (Some(_), None) => {
                let words = match end {
                    GuestEnd::Broke(words) => words,
                    _ => guest.last_words(),
                };
                return Err(VmError::Broke { kernel: kernel.display().to_string(), words });
            }
            (None, _) => last_words = guest.last_words(),
        }
    }
    Err(VmError::NoBoot { kernel: kernel.display().to_string(), console: last_words })
}

/// The executable that runs now: by number, as the program that lists its
/// libraries is another process.
pub fn this_executable() -> PathBuf {
    PathBuf::from(format!("/proc/{}/exe", std::process::id()))
}

/// How guests run fastest here. A device that opens is no proof: where
/// /dev/kvm does, two guests are booted, and the one that comes to its init
/// first tells.
///
/// # Errors
///
/// An image that is none, a machine that cannot be started.
pub fn accelerator(kernel: &Path) -> Result<Accelerator, VmError> {
    check_image(kernel)?;
    if std::fs::File::options().read(true).write(true).open("/dev/kvm").is_err() {
        return Ok(Accelerator::Emulation);
    }
    let request = serde_json::to_vec(&Request::Jobs(Vec::new())).expect("it is plain data");
    let archive = initramfs::build(&this_executable(), &request).map_err(VmError::Setup)?;
    let boot =
        |accelerator| Guest::boot(kernel, &archive, Machine { memory: 256, cpus: 1, accelerator });
    let (mut fast, mut slow) = (boot(Accelerator::Kvm)?, boot(Accelerator::Emulation)?);
    loop {
        match fast.next(TURN) {
            Ok(_) => return Ok(Accelerator::Kvm),
            Err(GuestEnd::Silent(_)) => {}
            Err(_) => return Ok(Accelerator::Emulation),
        }
        if !matches!(slow.next(TURN), Err(GuestEnd::Silent(_))) {
            return Ok(Accelerator::Emulation);
        }
    }
}

/// Whether a file is a kernel image, by the boot protocol's magic
/// (`Documentation/arch/x86/boot.rst`).
///
/// # Errors
///
/// A file that is none, or cannot be read.
pub fn check_image(path: &Path) -> Result<(), VmError> {
    let mut magic = [0; 4];
    let read = std::fs::File::open(path).and_then(|image| image.read_at(&mut magic, 0x202));
    read.map_err(|error| VmError::Unreadable(path.to_owned(), error))?;
    if magic == *b"HdrS" { Ok(()) } else { Err(VmError::NotAKernel(path.to_owned())) }
}
