//! What a container runtime could do at its start: choose the flags of a
//! filter with a listener by what the kernel does, not by its version.
//!
//!     cargo run --example wait_killable

use unotify_lab::probe;

fn main() {
    let kernel = probe::facts();
    let mut flags = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
    match kernel.holds("wait-killable-recv") {
        Some(true) => {
            // Once a notification was received, only fatal signals end the
            // call: a supervisor's work is not undone by a SIGURG.
            flags |= libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
            println!("WAIT_KILLABLE_RECV: used");
        }
        Some(false) => println!(
            "WAIT_KILLABLE_RECV: this kernel does not know it; the supervisor has to be ready \
             for calls that are interrupted and notify again"
        ),
        None => println!("WAIT_KILLABLE_RECV: seccomp(2) is refused here; left out"),
    }
    println!("flags of the filter: {flags:#x}");
}
