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
use std::time::Duration;

use thiserror::Error;

use guest::{Message, Request};
use qemu::{Guest, GuestEnd, LONGEST_SILENCE};

pub use guest::{GUEST_COMMAND, guest_main, init_main, is_init};
pub use kernels::{Archive, KernelImage, KernelsError};
pub use qemu::{Accelerator, Machine};

use crate::live::{Job, RunResult};
use crate::suite::Kernel;

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
}

/// A guest under KVM is at its init within a second or two; under emulation
/// it would take longer than this.
const LONGEST_PROBE: Duration = Duration::from_secs(10);

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
    for _ in 0..MOST_BOOTS {
        let request = Request { jobs: left.iter().map(|job| jobs[*job].clone()).collect() };
        let request = serde_json::to_vec(&request).expect("a request is plain data");
        let archive = initramfs::build(executable, &request).map_err(VmError::Setup)?;
        let mut guest = Guest::boot(kernel, &archive, machine)?;
        let given = left.clone();
        let end = loop {
            match guest.next(LONGEST_SILENCE) {
                Ok(Message::Kernel(kernel)) => booted = Some(kernel),
                Ok(Message::Result(index, result)) => {
                    let Some(job) = given.get(index) else { continue };
                    left.retain(|left| left != job);
                    tell(*job, result);
                }
                Ok(Message::End | Message::Trouble(_)) => {}
                Err(end) => break end,
            }
        };
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
            (Some(before), Some(now)) => Some(format!("{before}\n{now}")),
            (before, now) => before.or(now),
        };
        if left.is_empty() {
            break;
        }
    }
    match booted {
        Some(kernel) => Ok(GuestRun { kernel, trouble }),
        None => Err(VmError::NoBoot {
            kernel: kernel.display().to_string(),
            console: trouble.unwrap_or_default(),
        }),
    }
}

/// Whether guests run by the host's processor here: one is booted, as a
/// device that opens is no proof.
pub fn accelerator(kernel: &Path, executable: &Path) -> Accelerator {
    let opens = std::fs::File::options().read(true).write(true).open("/dev/kvm").is_ok();
    let machine = Machine { memory: 256, cpus: 1, accelerator: Accelerator::Kvm };
    let boots = || {
        let request = serde_json::to_vec(&Request { jobs: Vec::new() }).ok()?;
        let archive = initramfs::build(executable, &request).ok()?;
        let mut guest = Guest::boot(kernel, &archive, machine).ok()?;
        guest.next(LONGEST_PROBE).ok()
    };
    if opens && boots().is_some() { Accelerator::Kvm } else { Accelerator::Emulation }
}

/// The boot protocol's magic (`Documentation/arch/x86/boot.rst`).
fn check_image(path: &Path) -> Result<(), VmError> {
    let mut magic = [0; 4];
    let read = std::fs::File::open(path).and_then(|image| image.read_at(&mut magic, 0x202));
    read.map_err(|error| VmError::Unreadable(path.to_owned(), error))?;
    if magic == *b"HdrS" { Ok(()) } else { Err(VmError::NotAKernel(path.to_owned())) }
}
