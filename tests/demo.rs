//! The demonstrations as a person uses them: what is said, what the target is
//! told, and what becomes of signals sent into it.

use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rstest::rstest;
use tempfile::TempDir;

/// Far longer than any wait here takes, in milliseconds.
const LIMIT_MS: u16 = 60_000;

/// A working directory; it lies under `/tmp/`, where the supervisor makes
/// directories itself.
fn folder() -> TempDir {
    tempfile::tempdir_in("/tmp").expect("a folder")
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_unotify-lab"));
    command.arg("demo").args(arguments).current_dir(folder).stdin(Stdio::null());
    command
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    command(folder, arguments).output().expect("the command starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("the output is text")
}

/// A demonstration that goes on while the test acts.
struct Running {
    child: Child,
    output: ChildStdout,
    said: String,
}

impl Running {
    fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut child =
            command(folder, arguments).stdout(Stdio::piped()).spawn().expect("it starts");
        let output = child.stdout.take().expect("it is a pipe");
        Self { child, output, said: String::new() }
    }

    /// Reads on; `false` at the end.
    fn read(&mut self) -> bool {
        let mut watched = [PollFd::new(self.output.as_fd(), PollFlags::POLLIN)];
        let ready = poll(&mut watched, PollTimeout::from(LIMIT_MS)).expect("a pipe can be polled");
        assert_ne!(ready, 0, "nothing more comes after:\n{}", self.said);
        let mut bytes = [0; 4096];
        let count = self.output.read(&mut bytes).expect("a pipe can be read");
        self.said += &text(&bytes[..count]);
        count > 0
    }

    /// Waits until `part` has been said.
    fn until(&mut self, part: &str) {
        while !self.said.contains(part) {
            assert!(self.read(), "no {part:?} in:\n{}", self.said);
        }
    }

    /// The target, once it has told its PID.
    fn target(&mut self) -> Pid {
        self.until("\n");
        let line = self.said.lines().next().expect("there is a line");
        let number = line.strip_prefix("T: PID = ").expect("the PID is told first");
        Pid::from_raw(number.parse().expect("it is a number"))
    }

    /// Waits for the end; all that was said, and the exit status.
    fn end(mut self) -> (String, ExitStatus) {
        while self.read() {}
        (std::mem::take(&mut self.said), self.child.wait().expect("it is ours"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the target says from its first call on, and what it is told there.
fn target_lines(said: &str) -> Vec<&str> {
    said.lines().filter(|line| line.starts_with("T: ")).skip(1).collect()
}

/// What the supervisor says, ids and PIDs left out.
fn supervisor_lines(said: &str) -> Vec<&str> {
    let lines = said.lines().filter_map(|line| line.strip_prefix("\tS: "));
    lines.map(|line| if line.starts_with("notification") { "notification" } else { line }).collect()
}

fn under(folder: &TempDir, name: &str) -> String {
    folder.path().join(name).to_str().expect("it is text").to_owned()
}

#[test]
fn the_supervisor_decides_by_how_the_path_begins() {
    let folder = folder();
    let (made, nowhere) = (under(&folder, "made"), under(&folder, "no/where"));
    let output = run(
        folder.path(),
        &["mkdir", &made, &made, &nowhere, "./own", "./own", "other", "", "/no"],
    );
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "");
    let said = text(&output.stdout);
    let expected = [
        format!("T: making mkdir({made:?}, 0700)"),
        format!("T: mkdir returned {}", made.len()),
        format!("T: making mkdir({made:?}, 0700)"),
        "T: mkdir failed: EEXIST (File exists)".to_owned(),
        format!("T: making mkdir({nowhere:?}, 0700)"),
        "T: mkdir failed: ENOENT (No such file or directory)".to_owned(),
        "T: making mkdir(\"./own\", 0700)".to_owned(),
        "T: mkdir returned 0".to_owned(),
        "T: making mkdir(\"./own\", 0700)".to_owned(),
        "T: mkdir failed: EEXIST (File exists)".to_owned(),
        "T: making mkdir(\"other\", 0700)".to_owned(),
        "T: mkdir failed: EOPNOTSUPP (Operation not supported)".to_owned(),
        "T: making mkdir(\"\", 0700)".to_owned(),
        "T: mkdir failed: EOPNOTSUPP (Operation not supported)".to_owned(),
        "T: making mkdir(\"/no\", 0700)".to_owned(),
        "T: mkdir failed: EOPNOTSUPP (Operation not supported)".to_owned(),
        "T: done".to_owned(),
    ];
    assert_eq!(target_lines(&said), expected);
    let told = supervisor_lines(&said);
    assert_eq!(
        told[..4],
        [
            "notification".to_owned(),
            format!("making mkdir({made:?}, 0700)"),
            format!("made; the target is told {}", made.len()),
            format!("responding (flags = 0x0, val = {}, error = 0)", made.len()),
        ]
    );
    assert!(told.contains(&"responding (flags = 0x0, val = 0, error = -17)"), "{said}");
    assert!(told.contains(&"responding (flags = 0x1, val = 0, error = 0)"), "{said}");
    assert!(told.contains(&"responding (flags = 0x0, val = 0, error = -95)"), "{said}");
    assert_eq!(told.last(), Some(&"the target has ended with exit status 0"));
    let entries = std::fs::read_dir(folder.path()).expect("it is there");
    let mut names: Vec<PathBuf> = entries.map(|entry| entry.expect("it is").path()).collect();
    names.sort();
    assert_eq!(names, [folder.path().join("made"), folder.path().join("own")]);
}

#[test]
fn after_bye_there_is_nobody_to_ask() {
    let folder = folder();
    let made = under(&folder, "made");
    let output = run(folder.path(), &["mkdir", "/bye", &made, "./own"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let said = text(&output.stdout);
    let told: Vec<&str> = target_lines(&said).into_iter().skip(1).step_by(2).collect();
    let gone = "T: mkdir failed: ENOSYS (Function not implemented)";
    assert_eq!(told, ["T: mkdir failed: EOPNOTSUPP (Operation not supported)", gone, gone]);
    assert_eq!(supervisor_lines(&said).last(), Some(&"leaving ***"));
    assert_eq!(std::fs::read_dir(folder.path()).expect("it is there").count(), 0);
}

#[test]
fn a_path_without_an_end_is_no_path() {
    let folder = folder();
    let output = run(folder.path(), &["mkdir", &"a".repeat(5000), &"b".repeat(4096)]);
    let said = text(&output.stdout);
    let told: Vec<&str> = target_lines(&said).into_iter().skip(1).step_by(2).collect();
    let invalid = "T: mkdir failed: EINVAL (Invalid argument)";
    assert_eq!(told, [invalid, invalid]);
    assert!(supervisor_lines(&said).contains(&"no path: it has no end"), "{said}");
}

#[test]
fn errno_goes_before_user_notif() {
    let folder = folder();
    let made = under(&folder, "made");
    let output = run(folder.path(), &["mkdir", "-f", "e", &made, "./own"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let said = text(&output.stdout);
    let refused = "T: mkdir failed: EOPNOTSUPP (Operation not supported)";
    assert_eq!(said.lines().filter(|line| *line == refused).count(), 2, "{said}");
    assert_eq!(supervisor_lines(&said), ["the target has ended with exit status 0"]);
    assert_eq!(std::fs::read_dir(folder.path()).expect("it is there").count(), 0);
}

#[test]
fn user_notif_goes_before_trace_also_where_the_call_continues() {
    let folder = folder();
    let made = under(&folder, "made");
    let without = run(folder.path(), &["mkdir", &made, "./own", "other"]);
    std::fs::remove_dir(&made).expect("it was made");
    std::fs::remove_dir(folder.path().join("own")).expect("it was made");
    let with = run(folder.path(), &["mkdir", "-f", "t", &made, "./own", "other"]);
    assert_eq!(with.status.code(), Some(0), "{}", text(&with.stderr));
    let (without, with) = (text(&without.stdout), text(&with.stdout));
    assert_eq!(target_lines(&with), target_lines(&without));
    assert_eq!(supervisor_lines(&with), supervisor_lines(&without));
}

#[test]
fn a_delay_changes_nothing_where_no_signal_comes() {
    let folder = folder();
    let made = under(&folder, "made");
    let output = run(folder.path(), &["mkdir", "-d", "1", &made]);
    let said = text(&output.stdout);
    assert!(said.contains("\tS: waiting 1 s\n"), "{said}");
    assert!(said.contains(&format!("T: mkdir returned {}\n", made.len())), "{said}");
    assert!(!said.contains("ENOENT"), "{said}");
}

#[test]
fn a_handled_signal_takes_the_target_out_of_its_call() {
    let folder = folder();
    let made = under(&folder, "made");
    let mut demo = Running::start(folder.path(), &["mkdir", "-d", "2", &made, "other"]);
    let target = demo.target();
    demo.until("waiting");
    kill(target, Signal::SIGINT).expect("the target is there");
    let (said, status) = demo.end();
    assert_eq!(status.code(), Some(0));
    let lines = target_lines(&said);
    assert_eq!(
        lines[1..3],
        ["T: handler of SIGINT", "T: mkdir failed: EINTR (Interrupted system call)"]
    );
    assert_eq!(lines[4..], ["T: mkdir failed: EOPNOTSUPP (Operation not supported)", "T: done"]);
    let told = supervisor_lines(&said);
    for expected in [
        "the id is no longer valid: ENOENT (No such file or directory)",
        "no path: the target waits no longer",
        "ENOENT: a signal took the target out of its call, or ended it",
    ] {
        assert_eq!(told.iter().filter(|line| **line == expected).count(), 1, "{said}");
    }
    assert!(!Path::new(&made).exists(), "the supervisor made a directory for nobody");
}

#[rstest]
#[case::term(Signal::SIGTERM)]
#[case::kill(Signal::SIGKILL)]
fn a_killed_target_is_noticed(#[case] signal: Signal) {
    let folder = folder();
    let made = under(&folder, "made");
    let mut demo = Running::start(folder.path(), &["mkdir", "-d", "2", &made, "other"]);
    let target = demo.target();
    demo.until("waiting");
    kill(target, signal).expect("the target is there");
    let (said, status) = demo.end();
    assert_eq!(status.code(), Some(0));
    assert_eq!(target_lines(&said).len(), 1, "{said}");
    let told = supervisor_lines(&said);
    let gone = "the id is no longer valid: ENOENT (No such file or directory)";
    assert!(told.contains(&gone), "{said}");
    let killed = format!("the target was killed by {signal}");
    assert_eq!(told.last(), Some(&killed.as_str()));
    assert!(!Path::new(&made).exists(), "the supervisor made a directory for nobody");
}

#[test]
fn a_supervisor_that_is_killed_leaves_the_target_with_enosys() {
    let folder = folder();
    let mut demo = Running::start(folder.path(), &["mkdir", "-d", "60", "./own", "other"]);
    demo.until("waiting");
    demo.child.kill().expect("it is there");
    let (said, status) = demo.end();
    assert_eq!(status.signal(), Some(Signal::SIGKILL as i32));
    let lines = target_lines(&said);
    let gone = "T: mkdir failed: ENOSYS (Function not implemented)";
    // The first line follows the countdown.
    assert_eq!(said.matches(gone).count(), 2, "{said}");
    assert_eq!(lines.last(), Some(&"T: done"));
}

#[test]
fn a_reader_that_has_gone_is_no_trouble() {
    let folder = folder();
    let mut command = command(folder.path(), &["mkdir", "./one", "./two"]);
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "");
}

#[rstest]
#[case::names(&["write", "x86_64", "99"])]
#[case::numbers(&["1", "0xC000003E", "99"])]
#[case::kernel_names(&["write", "AUDIT_ARCH_X86_64", "EADDRNOTAVAIL"])]
fn a_program_that_cannot_write_says_nothing(#[case] what: &[&str]) {
    let folder = folder();
    let arguments = [&["refuse"], what, &["sh", "-c", "echo hidden; exit 7"]].concat();
    let output = run(folder.path(), &arguments);
    assert_eq!(text(&output.stdout), "");
    assert_eq!(text(&output.stderr), "");
    assert_eq!(output.status.code(), Some(7));
}

#[test]
fn a_refused_execve_is_told() {
    let folder = folder();
    let output = run(folder.path(), &["refuse", "execve", "x86_64", "99", "sh", "-c", "echo no"]);
    assert_eq!(text(&output.stdout), "");
    let told = text(&output.stderr);
    assert!(told.contains("EADDRNOTAVAIL (Cannot assign requested address)"), "{told}");
    assert!(told.contains("execve /") && told.contains("/sh"), "{told}");
    assert_eq!(output.status.code(), Some(126));
}

#[test]
fn a_program_that_misses_nothing_works() {
    let folder = folder();
    let script = "echo works; grep -E '^(NoNewPrivs|Seccomp|SigIgn):' /proc/self/status";
    let output = run(folder.path(), &["refuse", "preadv", "x86_64", "99", "sh", "-c", script]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let said = text(&output.stdout);
    let mut lines = said.lines();
    assert_eq!(lines.next(), Some("works"));
    let ignored = lines.next().and_then(|line| line.strip_prefix("SigIgn:\t"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask, 16).ok()).expect("a mask");
    assert_eq!(ignored & 1 << (Signal::SIGPIPE as i32 - 1), 0, "SIGPIPE is still ignored");
    assert_eq!(lines.collect::<Vec<_>>(), ["NoNewPrivs:\t1", "Seccomp:\t2"]);
}

#[test]
fn the_programs_own_options_are_its_own() {
    let folder = folder();
    let output = run(folder.path(), &["refuse", "preadv", "x86_64", "99", "sh", "--help"]);
    assert!(!text(&output.stdout).contains("unotify-lab"), "{}", text(&output.stdout));
}

#[test]
fn error_0_makes_a_call_seem_to_succeed() {
    let folder = folder();
    let output = run(folder.path(), &["refuse", "mkdir", "x86_64", "0", "mkdir", "never"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(!folder.path().join("never").exists());
}

#[rstest]
#[case::i386("i386")]
#[case::another("0xc00000b7")]
fn another_architecture_is_killed(#[case] arch: &str) {
    let folder = folder();
    let output = run(folder.path(), &["refuse", "300", arch, "99", "sh", "-c", "echo no"]);
    assert_eq!(output.status.signal(), Some(Signal::SIGSYS as i32));
    assert_eq!(text(&output.stdout), "");
}

#[rstest]
#[case::x32_getpid("0x40000027", Some(Signal::SIGSYS))]
#[case::minus_one("0xffffffff", Some(Signal::SIGSYS))]
#[case::largest_native("0x3fffffff", None)]
fn numbers_of_x32_are_killed(#[case] number: &str, #[case] killed: Option<Signal>) {
    if Command::new("perl").arg("-v").stdout(Stdio::null()).status().is_err() {
        eprintln!("skipped: there is no perl, which makes calls by number");
        return;
    }
    let folder = folder();
    let script = format!("syscall({number}); exit 7");
    let arguments = ["refuse", "preadv", "x86_64", "99", "perl", "-e", script.as_str()];
    let status = run(folder.path(), &arguments).status;
    assert_eq!(status.signal(), killed.map(|signal| signal as i32));
    assert_eq!(status.code(), if killed.is_some() { None } else { Some(7) });
}

#[rstest]
#[case::syscall(&["refuse", "wriet", "x86_64", "99", "sh"], &["SYSCALL", "such as write"])]
#[case::syscall_of_i386(&["refuse", "socketcall", "x86_64", "9", "sh"], &["SYSCALL", "i386 as ARCH"])]
#[case::syscall_of_x32(&["refuse", "0x40000001", "x86_64", "9", "sh"], &["SYSCALL", "smaller"])]
#[case::syscall_too_large(&["refuse", "0x100000000", "i386", "9", "sh"], &["SYSCALL", "number"])]
#[case::name_elsewhere(&["refuse", "write", "0xc00000b7", "9", "sh"], &["SYSCALL", "number"])]
#[case::arch(&["refuse", "write", "amd64", "99", "sh"], &["ARCH", "x86_64"])]
#[case::arch_x32(&["refuse", "write", "x32", "99", "sh"], &["ARCH", "x86_64"])]
#[case::errno(&["refuse", "write", "x86_64", "EWHAT", "sh"], &["ERRNO", "EPERM"])]
#[case::errno_too_large(&["refuse", "write", "x86_64", "4096", "sh"], &["ERRNO", "4095"])]
#[case::program(&["refuse", "write", "x86_64", "99", "no-such-program"], &["PROG", "PATH"])]
#[case::program_path(&["refuse", "write", "x86_64", "99", "./nothing"], &["PROG", "path"])]
#[case::directory(&["refuse", "write", "x86_64", "99", "/"], &["PROG", "path"])]
#[case::no_program(&["refuse", "write", "x86_64", "99"], &["PROG", "Usage"])]
#[case::no_path(&["mkdir"], &["PATH", "Usage"])]
#[case::delay(&["mkdir", "-d", "x", "p"], &["SECS", "such as 5"])]
#[case::filter(&["mkdir", "-f", "x", "p"], &["--filter", "e, t"])]
#[case::no_demo(&["rmdir"], &["rmdir", "--help"])]
fn a_mistake_is_told_with_its_place_and_remedy(#[case] wrong: &[&str], #[case] parts: &[&str]) {
    let folder = folder();
    let output = run(folder.path(), wrong);
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert_eq!(text(&output.stdout), "");
    for part in parts {
        assert!(told.contains(part), "no {part:?} in: {told}");
    }
}
