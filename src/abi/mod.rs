//! The raw kernel ABI: structures, numbers and system calls.
//!
//! Everything that speaks to the kernel in its own layout lives here, so that
//! the rest of the crate can name things by what they mean. Sizes and ioctl
//! numbers are asserted at compile time against `include/uapi/linux/seccomp.h`.

mod constant;
mod errno;
#[allow(unsafe_code)]
mod listener;
#[allow(unsafe_code)]
mod pass;
#[allow(unsafe_code)]
mod process;
mod seccomp;
#[allow(unsafe_code)]
mod syscall;
mod target_path;

pub use constant::*;
pub use errno::*;
pub use listener::*;
pub use pass::*;
pub use process::*;
pub use seccomp::*;
pub use syscall::*;
pub use target_path::*;
