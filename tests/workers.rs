//! Whatever happens to the command or to a worker, no process and no file of
//! a scenario is left.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Blocked targets, a grandchild that outlives its parent, a stopped process,
/// a thread, files: what could be left behind.
const STAGE: &str = r#"
summary = "much that could be left behind"

[buffers]
word = "x"

[target.T]
filters = [{ on = ["mkdir", "rmdir"], do = "USER_NOTIF", listener = "L" }]
keeps = ["L"]

[target.C]
[target.G]
[target.H]

[supervisor.S]

[schedule]
steps = '''
T: openat(AT_FDCWD, "file", O_CREAT|O_RDWR, 0o600)
T: fork C
C: fork G
T: thread H
C: exec
C: exit_group(0)
G: mkdir("d", 0o700)
S: recv L as n1
stop G
H: rmdir("d")
T: pause()
delay 40
'''
"#;

fn processes_in(scratch: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().bytes().all(|b| b.is_ascii_digit()))
        .filter_map(|entry| {
            let cwd = fs::read_link(entry.path().join("cwd")).unwrap_or_default();
            let environ = fs::read(entry.path().join("environ")).unwrap_or_default();
            let environ = String::from_utf8_lossy(&environ).into_owned();
            let marked = environ.contains(&format!("TMPDIR={}", scratch.display()));
            let ours = cwd.starts_with(scratch) || marked;
            let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            ours.then(|| format!("{} {}", entry.file_name().to_string_lossy(), name.trim()))
        })
        .collect()
}

/// Waits until nothing is left in a folder of scratch directories, and fails
/// with what is left.
fn assert_nothing_left(scratch: &Path, story: &str) {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let processes = processes_in(scratch);
        let files: Vec<_> = fs::read_dir(scratch)
            .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
            .unwrap_or_default();
        if processes.is_empty() && files.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "{story}: left are {processes:?} and {files:?}");
        std::thread::yield_now();
    }
}

fn start(scratch: &Path, scenario: &Path) -> Child {
    // Who is started in the background by a shell ignores SIGINT.
    Command::new("env")
        .args(["--default-signal=INT", env!("CARGO_BIN_EXE_unotify-lab")])
        .args(["run", "--jobs", "2", "--repeat", "40"])
        .arg(scenario)
        .env("TMPDIR", scratch)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the command starts")
}

/// Lets the command run for so long: the moment at which it is struck. It is
/// no synchronisation, every moment must do.
fn let_run(milliseconds: u64) {
    std::thread::park_timeout(Duration::from_millis(milliseconds));
}

/// Processes whose command line has a word, among the marked ones.
fn workers(scratch: &Path) -> Vec<i32> {
    processes_in(scratch)
        .iter()
        .filter_map(|line| line.split(' ').next()?.parse().ok())
        .filter(|pid: &i32| {
            let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let comm = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            // A forked actor has its worker's command line, and its own name.
            words.split(|byte| *byte == 0).any(|word| word == b"__worker")
                && !comm.starts_with("ul-")
        })
        .collect()
}

/// Waits for a worker to be there.
fn first_worker(scratch: &Path, command: &mut Child) {
    while workers(scratch).is_empty() {
        assert!(command.try_wait().expect("it is ours").is_none(), "it ended without a worker");
        std::thread::yield_now();
    }
}

#[test]
fn nothing_outlives_a_killed_command() {
    let folder = tempfile::tempdir().expect("a folder");
    let scenario = folder.path().join("left-behind.toml");
    fs::write(&scenario, STAGE).expect("the scenario is written");
    let scratch = folder.path().join("tmp");
    fs::create_dir(&scratch).expect("a folder");
    for (number, signal) in
        [Signal::SIGKILL, Signal::SIGINT, Signal::SIGTERM].iter().cycle().take(45).enumerate()
    {
        let moment = number as u64 * 3;
        let mut command = start(&scratch, &scenario);
        let_run(moment);
        kill(Pid::from_raw(command.id() as i32), *signal).expect("it runs");
        let status = command.wait().expect("it ends");
        assert_eq!(status.signal(), Some(*signal as i32), "struck after {moment} ms");
        assert_nothing_left(&scratch, &format!("{signal} after {moment} ms"));
    }
}

#[test]
fn nothing_outlives_a_killed_worker() {
    let folder = tempfile::tempdir().expect("a folder");
    let scenario = folder.path().join("left-behind.toml");
    fs::write(&scenario, STAGE).expect("the scenario is written");
    let scratch = folder.path().join("tmp");
    fs::create_dir(&scratch).expect("a folder");
    let mut struck = 0;
    for number in 0..30 {
        let mut command = start(&scratch, &scenario);
        first_worker(&scratch, &mut command);
        let_run(number * 4);
        // A worker may be on its way: strike when there is one.
        let mut hit = 0;
        while hit == 0 {
            for worker in workers(&scratch) {
                hit += usize::from(kill(Pid::from_raw(worker), Signal::SIGKILL).is_ok());
            }
            let ended = command.try_wait().expect("it is ours");
            assert!(hit > 0 || ended.is_none(), "it ended before it could be struck");
        }
        struck += hit;
        let status: ExitStatus = command.wait().expect("it ends");
        // A run without a result is told, and is no finding.
        assert_eq!(status.code(), Some(3), "worker killed after {} ms", number * 4);
        assert_nothing_left(&scratch, "after a killed worker");
    }
    assert!(struck >= 30, "only {struck} workers were struck");
}
