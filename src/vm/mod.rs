//! Other kernels: booted under QEMU, with this very executable as init.
//!
//! A VM is another place where the live world runs. It gets the scenarios in
//! its initramfs and sends results back over a second serial port, which
//! every distribution's kernel has built in.

mod breakdown;
mod console;
mod guest;
mod image;
mod initramfs;
mod kernels;
#[allow(unsafe_code)]
mod qemu;
mod work;

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use thiserror::Error;

use guest::Request;
use qemu::{Guest, GuestEnd};

pub use breakdown::{Breakdown, What};
pub use console::{Fault, FaultKind};
pub use guest::{GUEST_COMMAND, guest_main, init_main, is_init};
pub use image::{ImageError, check_image};
pub use kernels::{Archive, KernelImage, KernelsError, Package};
pub use qemu::{Accelerator, Machine};
pub use work::{Commanded, Cpus, GuestRun, Said, Times, command, run_jobs, run_suite};

/// Why a virtual machine could not be used.
#[derive(Debug, Error)]
pub enum VmError {
    /// QEMU cannot be started.
    #[error("qemu-system-x86_64: {0}; on Debian, apt-get install qemu-system-x86")]
    Qemu(#[source] io::Error),
    /// What the guest needs cannot be made.
    #[error("preparing the guest: {0}")]
    Setup(#[source] io::Error),
    /// The image is not one that can be booted.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// QEMU ended before it started the kernel.
    #[error("qemu-system-x86_64 {0}")]
    Refused(String),
    /// It broke down in the middle of a command.
    #[error("{kernel}: {breakdown}")]
    Broke {
        /// The image.
        kernel: String,
        /// What happened.
        breakdown: Box<Breakdown>,
    },
    /// It never came to its init.
    #[error("{kernel} does not boot{}", each_boot(.boots))]
    NoBoot {
        /// The image.
        kernel: String,
        /// What happened in each boot.
        boots: Vec<Breakdown>,
    },
}

/// What happened in several boots; the same is told once.
fn each_boot(boots: &[Breakdown]) -> String {
    let mut told: Vec<String> = boots.iter().map(Breakdown::to_string).collect();
    told.dedup();
    told.iter().map(|boot| format!("\n{boot}")).collect()
}

/// The executable that runs now: by number, as the program that lists its
/// libraries is another process.
pub fn this_executable() -> PathBuf {
    PathBuf::from(format!("/proc/{}/exe", std::process::id()))
}

/// How long one of two guests that race for their init is listened to before
/// the other.
const TURN: Duration = Duration::from_millis(20);

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
    let boot = |accelerator| {
        let machine = Machine { memory: 512, cpus: 1, accelerator, patience: Machine::PATIENCE };
        Guest::boot(kernel, &archive, machine)
    };
    let (mut fast, mut slow) = (boot(Accelerator::Kvm)?, boot(Accelerator::Emulation)?);
    let start = Instant::now();
    // Where neither comes to its init, the kernel is what is wrong.
    while start.elapsed() < Machine::PATIENCE {
        match fast.within(TURN) {
            Some(Ok(_) | Err(GuestEnd::Done(_))) => return Ok(Accelerator::Kvm),
            Some(Err(GuestEnd::Broke(_))) => break,
            None => {}
        }
        if slow.within(TURN).is_some() {
            break;
        }
    }
    Ok(Accelerator::Emulation)
}
