//! What the oracles that fuzzers call cost, beside a bare loop of the same
//! system calls in the same run: `cargo bench --bench fuzz`

use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use unotify_lab::abi::{
    AUDIT_ARCH_X86_64, SYNC_WAKE_UP, SeccompData, SeccompNotif, SeccompNotifResp, SockFilter,
    SockFprog,
};
use unotify_lab::bpf::{Program, assemble};
use unotify_lab::fuzz::Target;
use unotify_lab::generate::bytes_of;
use unotify_lab::live::oracle::{Notified, Programs, Watch};

/// How long each is measured: the best of the rounds in it counts, as others
/// use the machine, too.
const TIME: Duration = Duration::from_secs(3);
const SEND: u64 = 0xc018_2101;
const RECV: u64 = 0xc050_2100;

fn main() {
    wrong_sends();
    round_trips("round trips", 0);
    round_trips("round trips with SYNC_WAKE_UP", SYNC_WAKE_UP);
    tasks();
    calls();
    targets();
}

/// Rounds a second of something that is done `count` times a round.
fn rate(count: u64, mut round: impl FnMut()) -> f64 {
    let begin = Instant::now();
    let mut best: f64 = 0.0;
    while begin.elapsed() < TIME {
        let start = Instant::now();
        round();
        best = best.max(count as f64 / start.elapsed().as_secs_f64());
    }
    best
}

fn tell(what: &str, bare: f64, ours: f64) {
    println!("{what:34} bare {bare:10.0}/s   ours {ours:10.0}/s   ratio {:5.2}", ours / bare);
}

fn ioctl(fd: i32, request: u64, at: *mut libc::c_void) -> i32 {
    // SAFETY: the caller's structure is the one of the request.
    unsafe { libc::ioctl(fd, request, at) }
}

/// SEND with an unknown flag, which leaves the notification pending.
fn wrong_sends() {
    let task = Notified::new().expect("a task");
    let fd = task.listener().as_fd().as_raw_fd();
    let mut response = SeccompNotifResp { flags: 2, ..Default::default() };
    let bare = rate(100_000, || {
        for _ in 0..100_000 {
            assert!(ioctl(fd, SEND, (&raw mut response).cast()) < 0);
        }
    });
    drop(task);
    let mut oracle = Target::Response.start(None, None).expect("a target");
    // One that is refused tells of one thing, one that is taken of another, too.
    let mut refused = |bytes: &Vec<u8>| {
        let mut told = 0;
        assert_eq!(oracle.check(bytes, &mut |_| told += 1), Ok(None));
        told == 1
    };
    let bytes = (0..).map(|number| bytes_of(1, number)).find(|bytes| refused(bytes));
    let bytes = bytes.expect("there is always one more");
    let ours = rate(100_000, || {
        for _ in 0..100_000 {
            assert_eq!(oracle.check(&bytes, &mut |_| {}), Ok(None));
        }
    });
    tell("wrong SENDs", bare, ours);
}

fn round_trips(what: &str, flags: u64) {
    let task = Notified::new().expect("a task");
    task.listener().set_flags(flags).expect("a known flag");
    let fd = task.listener().as_fd().as_raw_fd();
    let mut id = task.ids().next().expect("one is pending");
    let bare = rate(10_000, || {
        for _ in 0..10_000 {
            let mut response = SeccompNotifResp { id, ..Default::default() };
            assert_eq!(ioctl(fd, SEND, (&raw mut response).cast()), 0);
            let mut notification = SeccompNotif::default();
            assert_eq!(ioctl(fd, RECV, (&raw mut notification).cast()), 0);
            id = notification.id;
        }
    });
    drop(task);
    let mut task = Notified::new().expect("a task");
    task.listener().set_flags(flags).expect("a known flag");
    let ours = rate(10_000, || {
        for _ in 0..10_000 {
            let id = task.ids().next().expect("one is pending");
            task.send(&SeccompNotifResp { id, ..Default::default() }).expect("it is pending");
            task.returned().expect("the next comes");
        }
    });
    tell(what, bare, ours);
}

fn program() -> Program {
    assemble("ld [nr]\njeq #1000, no, yes\nno: ret ERRNO(1)\nyes: ret ALLOW\n")
        .expect("it is sound")
}

/// The child of clone(2) or fork(2): installs a filter, and ends.
extern "C" fn install_and_end(program: *mut libc::c_void) -> i32 {
    // SAFETY: sets an attribute of this process.
    unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    // SAFETY: the parent keeps the program until this process has ended.
    unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, program) };
    0
}

fn tasks() {
    let program = program();
    let mut fprog = fprog(&program.0);
    let at: *mut libc::c_void = (&raw mut fprog).cast();
    let mut stack = vec![0_u128; 4096];
    let mut status = 0;
    let bare = rate(1_000, || {
        for _ in 0..1_000 {
            let top = stack.as_mut_ptr_range().end.cast();
            let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
            // SAFETY: the stack is the child's alone, which ends before this goes on.
            let pid = unsafe { libc::clone(install_and_end, top, flags, at) };
            // SAFETY: the status lives through the call.
            assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
        }
    });
    let forked = rate(200, || {
        for _ in 0..200 {
            // SAFETY: the child makes system calls alone.
            let pid = unsafe { libc::fork() };
            if pid == 0 {
                install_and_end(at);
                // SAFETY: the child ends here.
                unsafe { libc::_exit(0) };
            }
            // SAFETY: the status lives through the call.
            assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
        }
    });
    let mut oracle = Programs::new().expect("a task");
    let ours = rate(1_000, || {
        for _ in 0..1_000 {
            let observed = oracle.run(&[&program], &[], Watch::Nobody).expect("a task");
            assert_eq!(observed.installed.len(), 1);
        }
    });
    tell("tasks with a filter", bare, ours);
    println!("{:34} bare {forked:10.0}/s", "the same by fork(2)");
}

fn fprog(program: &[SockFilter]) -> SockFprog {
    SockFprog { len: program.len() as u16, filter: program.as_ptr() as u64 }
}

/// One call more in a task that is there.
fn calls() {
    let program = program();
    let mut oracle = Programs::new().expect("a task");
    let data =
        SeccompData { nr: libc::SYS_getpid as i32, arch: AUDIT_ARCH_X86_64, ..Default::default() };
    let mut time = |calls: usize| {
        let calls = vec![data; calls];
        1.0 / rate(500, || {
            for _ in 0..500 {
                oracle.run(&[&program], &calls, Watch::Nobody).expect("a task");
            }
        })
    };
    let ours = 60.0 / (time(64) - time(4));
    // In a thread of its own, which keeps the filters.
    let bare = std::thread::spawn(move || {
        let mut fprog = fprog(&program.0);
        install_and_end((&raw mut fprog).cast());
        rate(100_000, || {
            for _ in 0..100_000 {
                // SAFETY: getpid(2) touches nothing.
                unsafe { libc::syscall(libc::SYS_getpid) };
            }
        })
    });
    tell("filtered calls", bare.join().expect("the thread ends"), ours);
}

/// Whole cases, made up by chance, without libFuzzer.
fn targets() {
    for target in
        [Target::BpfValidate, Target::BpfEval, Target::StackEval, Target::Response, Target::Addfd]
    {
        let mut oracle = target.start(None, None).expect("a target");
        let cases: Vec<Vec<u8>> = (0..1000).map(|number| bytes_of(1, number)).collect();
        let ours = rate(1_000, || {
            for bytes in &cases {
                assert_eq!(oracle.check(bytes, &mut |_| {}), Ok(None));
            }
        });
        println!("{:34} {ours:15.0} cases/s", target.name());
    }
}
