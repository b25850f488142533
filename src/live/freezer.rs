//! Freezes an actor's process with the cgroup v2 freezer.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The cgroup that a worker makes for its actors, inside its own.
fn group(worker: u32) -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    let mount = mounts
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>())
        .find(|fields| fields.get(2) == Some(&"cgroup2"))
        .and_then(|fields| fields.get(1).map(PathBuf::from))?;
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = own.lines().find_map(|line| line.strip_prefix("0::/"))?.to_owned();
    Some(mount.join(own).join(format!("unotify-lab.{worker}")))
}

/// Why this user cannot freeze a process here; `None` when it can.
pub(super) fn missing() -> Option<String> {
    let Some(group) = group(std::process::id()) else {
        return Some("no cgroup2 is mounted".to_owned());
    };
    // An earlier scenario of this worker may have left it.
    let made = fs::create_dir(&group).or_else(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Ok(()),
        _ => Err(error),
    });
    let tried = made.and_then(|()| {
        fs::OpenOptions::new().write(true).open(group.join("cgroup.freeze")).map(drop)
    });
    let _ = fs::remove_dir(&group);
    tried.err().map(|error| format!("{}: {error}", group.display()))
}

/// Freezes or thaws a process, and waits until the kernel says that it is.
pub(super) fn freeze(pid: i32, frozen: bool) -> io::Result<()> {
    let group = group(std::process::id()).ok_or(io::ErrorKind::NotFound)?;
    if frozen && !group.exists() {
        fs::create_dir(&group)?;
    }
    if frozen {
        fs::write(group.join("cgroup.procs"), pid.to_string())?;
    }
    fs::write(group.join("cgroup.freeze"), if frozen { "1" } else { "0" })?;
    let wanted = if frozen { "frozen 1" } else { "frozen 0" };
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline {
        if fs::read_to_string(group.join("cgroup.events"))?.contains(wanted) {
            return Ok(());
        }
        std::thread::yield_now();
    }
    Err(io::ErrorKind::TimedOut.into())
}

/// Whether a process is one of those that are frozen and thawed together: what it
/// has forked since is, too.
pub(super) fn holds(pid: i32) -> bool {
    let members =
        group(std::process::id()).map(|group| fs::read_to_string(group.join("cgroup.procs")));
    members
        .is_some_and(|text| text.is_ok_and(|text| text.lines().any(|line| line == pid.to_string())))
}

/// Thaws what a worker froze, so that it can be killed.
pub(super) fn thaw(worker: u32) {
    if let Some(group) = group(worker).filter(|group| group.exists()) {
        let _ = fs::write(group.join("cgroup.freeze"), "0");
    }
}

/// Removes a worker's cgroup; its processes have ended.
pub(super) fn remove(worker: u32) {
    if let Some(group) = group(worker) {
        let _ = fs::remove_dir(group);
    }
}
