//! The wrappers of seccomp(2) and seccomp_unotify(2), against this kernel.
//!
//! A filter never goes away, so a test that installs one is started again as
//! a process of its own.

use std::env;
use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::sync::mpsc;
use std::thread;

use nix::errno::Errno;
use nix::sys::prctl::set_no_new_privs;
use nix::unistd::{getppid, gettid};
use unotify_lab::abi::{
    Installed, Listener, SYNC_WAKE_UP, SeccompNotifAddfd, SeccompNotifResp, SockFilter, TargetPath,
    install_filter, read_target_path,
};
use unotify_lab::filter::{Action, Arch, Rule, Rules};

const SPENT: &str = "UNOTIFY_LAB_TEST_PROCESS_IS_SPENT";

/// Whether this is the process that may be filtered; starts it where not.
fn in_spent_process(test: &str) -> bool {
    if env::var_os(SPENT).is_some() {
        return true;
    }
    let own = env::current_exe().expect("it has a path");
    let output = Command::new(own)
        .args(["--exact", test, "--nocapture"])
        .env(SPENT, "1")
        .output()
        .expect("it starts again");
    let told = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}:\n{told}", output.status);
    false
}

fn on_getppid(action: Action) -> Vec<SockFilter> {
    let on = vec!["getppid".parse().expect("it is a call")];
    let rule = Rule { on, arch: Arch::X86_64, when: Vec::new(), action };
    let rules = Rules { rules: vec![rule], default: Action::Allow };
    rules.compile().expect("it is small").to_vec()
}

#[test]
fn a_notification_from_end_to_end() {
    if !in_spent_process("a_notification_from_end_to_end") {
        return;
    }
    let (tell, told) = mpsc::channel();
    let target = thread::spawn(move || {
        // Without no_new_privs it needs a privilege.
        let early = install_filter(&on_getppid(Action::Allow), 0);
        assert!(matches!(early, Ok(Installed::Filter) | Err(Errno::EACCES)), "{early:?}");
        set_no_new_privs().expect("it is always allowed");
        let program = on_getppid(Action::UserNotif);
        let flags = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
        let Ok(Installed::Listener(listener)) = install_filter(&program, flags) else {
            panic!("no listener")
        };
        assert_eq!(install_filter(&program, flags).unwrap_err(), Errno::EBUSY);
        tell.send((gettid(), listener)).expect("somebody hears it");
        (getppid().as_raw(), getppid().as_raw())
    });
    let (tid, listener) = told.recv().expect("it is told");
    let listener = Listener::new(listener).expect("the sizes are known");

    let first = listener.recv().expect("there is a notification");
    assert_eq!(first.pid.cast_signed(), tid.as_raw());
    assert_eq!(i64::from(first.data.nr), libc::SYS_getppid);
    assert_eq!(listener.id_valid(first.id), Ok(()));
    assert_eq!(listener.id_valid(first.id.wrapping_add(1)), Err(Errno::ENOENT));
    assert_eq!(listener.set_flags(SYNC_WAKE_UP << 1), Err(Errno::EINVAL));

    // The target's filters are not ours, so it cannot be given the same.
    set_no_new_privs().expect("it is always allowed");
    let flags = libc::SECCOMP_FILTER_FLAG_TSYNC;
    match install_filter(&on_getppid(Action::Allow), flags) {
        Ok(Installed::Unsynchronised(thread)) => assert_eq!(thread, tid),
        other => panic!("{other:?}"),
    }

    let paths = [c"/some/path".as_ptr() as u64, 0, u64::MAX];
    let read = paths.map(|address| read_target_path(&listener, &first, address));
    assert_eq!(read[0], TargetPath::Path(c"/some/path".to_owned()));
    assert_eq!(read[1], TargetPath::Unreadable(Errno::EIO));
    assert_eq!(read[2], TargetPath::Unreadable(Errno::EINVAL));

    let file = tempfile::tempfile().expect("a file");
    let request = SeccompNotifAddfd {
        id: first.id,
        srcfd: file.as_raw_fd().cast_unsigned(),
        ..SeccompNotifAddfd::default()
    };
    let added = listener.addfd(&request).expect("the target can have one more");
    // SAFETY: the number was made for the target, which is this process.
    let added = File::from(unsafe { OwnedFd::from_raw_fd(added.cast_signed()) });
    let inode = |file: &File| file.metadata().expect("it is open").ino();
    assert_eq!(inode(&added), inode(&file));
    let nowhere = SeccompNotifAddfd { srcfd: 9999, ..request };
    assert_eq!(listener.addfd(&nowhere), Err(Errno::EBADF));

    let response = SeccompNotifResp { id: first.id, val: 7, ..SeccompNotifResp::default() };
    let no_response = SeccompNotifResp { flags: 2, ..response };
    assert_eq!(listener.send(&no_response), Err(Errno::EINVAL));
    assert_eq!(listener.send(&response), Ok(()));

    let second = listener.recv().expect("there is another");
    assert_ne!(second.id, first.id);
    assert_eq!(listener.id_valid(first.id), Err(Errno::ENOENT));
    assert_eq!(listener.send(&response), Err(Errno::ENOENT));
    assert_eq!(read_target_path(&listener, &first, paths[0]), TargetPath::IdGone);
    let request =
        SeccompNotifAddfd { id: second.id, flags: libc::SECCOMP_ADDFD_FLAG_SEND as u32, ..request };
    let added = listener.addfd(&request).expect("it is added and sent");
    assert_eq!(target.join().expect("it ends"), (7, added.cast_signed()));
}
