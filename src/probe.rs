//! Facts of the running kernel for a program that wants to know them at its
//! start, such as a container runtime.
//!
//! By behaviour and not by version, as distributions backport. In any process,
//! with threads or without, as any user, in well under a millisecond: flags
//! are asked for without a program, so that nothing is installed, and the
//! listener's requests are tried on the filter of a thread that ends with it.
//! Whatever the process has running besides, none of it is touched.
//!
//! Only the facts of [`DECIDED`] can be told so. The others need a target that
//! blocks or ends, and processes of their own: the command's `probe`, and
//! [`suite::probe`](crate::suite::probe), run the scenarios that decide them.
//!
//! ```
//! let kernel = unotify_lab::probe::facts();
//! // None where seccomp(2) itself is refused, say by a sandbox around us.
//! let killable = kernel.holds("wait-killable-recv");
//! ```

use nix::errno::Errno;

use crate::abi::{
    Installed, Listener, SeccompNotifAddfd, SeccompNotifResp, SockFilter, install_filter,
    knows_filter_flags,
};
use crate::profile::{Profile, fact};

/// The facts that [`facts`] decides.
pub const DECIDED: &[&str] =
    &["send-continue", "tsync-esrch", "addfd", "addfd-send", "wait-killable-recv", "set-flags"];

/// What the running kernel has of [`DECIDED`]; what could not be decided is
/// not in it.
pub fn facts() -> Profile {
    let mut found = Profile::default();
    let mut set = |id: &str, holds: Option<bool>| {
        if let (Some(fact), Some(holds)) = (fact(id), holds) {
            found.set(fact, holds);
        }
    };
    let (listener, esrch) =
        (libc::SECCOMP_FILTER_FLAG_NEW_LISTENER, libc::SECCOMP_FILTER_FLAG_TSYNC_ESRCH);
    let killable = listener | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    set("tsync-esrch", flags(listener | esrch | libc::SECCOMP_FILTER_FLAG_TSYNC));
    set("wait-killable-recv", flags(killable));
    // A filter is its thread's and goes with it: nothing else comes under it.
    let answers = std::thread::scope(|scope| {
        let asked = std::thread::Builder::new().spawn_scoped(scope, on_a_listener);
        asked.ok().and_then(|thread| thread.join().ok()).flatten()
    });
    for (id, holds) in answers.into_iter().flatten() {
        set(id, holds);
    }
    found
}

/// Whether flags are known; `None` where the kernel does not say.
fn flags(flags: u64) -> Option<bool> {
    knows_filter_flags(flags).ok()
}

type Answers = [(&'static str, Option<bool>); 4];

/// Tries requests on a listener of this thread, none of which can do anything:
/// there is no notification.
fn on_a_listener() -> Option<Answers> {
    nix::sys::prctl::set_no_new_privs().ok()?;
    // BPF_RET | BPF_K
    let allow = [SockFilter { code: 0x06, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW }];
    let flags = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
    let Ok(Installed::Listener(fd)) = install_filter(&allow, flags) else { return None };
    let listener = Listener::new(fd).ok()?;
    let response = |flags| SeccompNotifResp { flags, ..SeccompNotifResp::default() };
    // The descriptor is looked at after the flags, and there is none.
    let descriptor = |flags| SeccompNotifAddfd { flags, srcfd: u32::MAX, ..Default::default() };
    let send = libc::SECCOMP_ADDFD_FLAG_SEND as u32;
    let go_on = libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32;
    Some([
        ("send-continue", known(listener.send(&response(go_on)).err(), Errno::ENOENT)),
        ("addfd", known(listener.addfd(&descriptor(0)).err(), Errno::EBADF)),
        ("addfd-send", known(listener.addfd(&descriptor(send)).err(), Errno::EBADF)),
        ("set-flags", known(listener.set_flags(0).err(), Errno::ENOENT)),
    ])
}

/// What a request says of itself: known where it succeeds or comes as far as
/// failing with `later`, unknown at `EINVAL`.
fn known(error: Option<Errno>, later: Errno) -> Option<bool> {
    match error {
        None => Some(true),
        Some(error) if error == later => Some(true),
        Some(Errno::EINVAL) => Some(false),
        Some(_) => None,
    }
}
