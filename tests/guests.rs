//! What is said of guests that go wrong, and what is left of their work. A
//! script plays QEMU with a guest in it, so that every fault can be had.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rstest::rstest;
use unotify_lab::profile::FACTS;
use unotify_lab::suite::RunRecord;
use unotify_lab::verdict::Verdict;

/// The scenarios that guests are asked for, in this order.
const WANTED: [&str; 2] = ["poll/hup-of-zombie", "recv/after-last-exit"];

/// What this kernel does in them, which is what guests answer, and in those that
/// decide facts, for which they are asked first.
static HERE: LazyLock<RunRecord> = LazyLock::new(|| {
    let deciding = FACTS.iter().map(|fact| fact.decided_by).filter(|decided| !decided.is_race());
    let output = Command::new(env!("CARGO_BIN_EXE_unotify-lab"))
        .args(["run", "--format", "json"])
        .args(WANTED)
        .args(deciding.map(|decided| decided.scenario))
        .stdin(Stdio::null())
        .output()
        .expect("the command starts");
    serde_json::from_slice(&output.stdout).expect("it is a record")
});

/// What a boot script can say: of the runs that it is asked for it answers the
/// first so many, and always those before the last two, which decide facts. `$console` is the first serial port, standard
/// output the second one.
const WORDS: &str = r#"
kernel() { cat "$stage/kernel"; }
answer() {
    index=0
    ids=$(tail -c 262144 "$initrd" | grep -a -o '"id":"[^"]*"' | cut -d '"' -f 4)
    first=$(($(echo "$ids" | wc -l) - 2))
    [ $first -gt 0 ] || first=0
    for id in $ids; do
        [ $index -lt $((first + $1)) ] || break
        printf '{"result":[%s,' $index
        cat "$stage/$id"
        echo ']}'
        index=$((index + 1))
    done
}
end() { echo '{"end":{"secs":1,"nanos":0}}'; exit 0; }
all() { kernel; answer 99; end; }
tells() { cat >>"$console"; }
oops() {
    tells <<END
[    3.000001] systemd[1]: nothing of note
[    4.000001] BUG: kernel NULL pointer dereference, address: 0000000000000010
[    4.000002] Oops: 0000 [#1] PREEMPT SMP NOPTI
[    4.000003] RIP: 0010:$1+0x3f2/0x6a0
[    4.000004] Call Trace:
[    4.000005]  do_syscall_64+0x5c/0x90
[    4.000006] Kernel panic - not syncing: Fatal exception
END
    exit 0
}
panic() {
    echo '[    0.500000] Kernel panic - not syncing: VFS: Unable to mount root fs' | tells
    exit 0
}
hang() { exec sleep 1000; }
"#;

/// A machine in a folder: what becomes of each boot, and an image to name.
struct Stage {
    folder: tempfile::TempDir,
    image: PathBuf,
}

impl Stage {
    /// The last script is that of all further boots, too.
    fn new(boots: &[&str]) -> Stage {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let write = |name: &str, text: &str| {
            fs::write(folder.path().join(name), text).expect("the folder can be written");
        };
        let kernel = serde_json::json!({ "kernel": HERE.kernel }).to_string();
        write("kernel", &format!("{kernel}\n"));
        for case in &HERE.cases {
            let parent = Path::new(&case.scenario).parent().expect("it has a theme");
            fs::create_dir_all(folder.path().join(parent)).expect("the folder can be written");
            let trace = case.trace.as_ref().expect("it ran");
            write(&case.scenario, &serde_json::json!({ "ran": trace }).to_string());
        }
        for (number, boot) in boots.iter().enumerate() {
            write(&format!("boot-{}", number + 1), boot);
        }
        let (stage, last) = (folder.path().display(), boots.len());
        let qemu = format!(
            "#!/bin/sh\nstage={stage}\nnumber=$(($(wc -l <$stage/boots) + 1))\n\
             echo \"$*\" >>$stage/boots\n\
             for word; do\n\
             case $word in file:*) console=${{word#file:}};; esac\n\
             [ \"$before\" != -initrd ] || initrd=$word\nbefore=$word\ndone\n\
             {WORDS}\n[ $number -le {last} ] || number={last}\n. $stage/boot-$number\n"
        );
        write("boots", "");
        write("qemu-system-x86_64", &qemu);
        let qemu = folder.path().join("qemu-system-x86_64");
        fs::set_permissions(&qemu, fs::Permissions::from_mode(0o755)).expect("it is ours");
        let image = folder.path().join("bzImage");
        fs::write(&image, bz_image()).expect("the folder can be written");
        Stage { folder, image }
    }

    /// The command, which finds that QEMU.
    fn lab(&self, arguments: &[&str]) -> Command {
        let path = std::env::var("PATH").unwrap_or_default();
        // Who is started in the background by a shell ignores SIGINT.
        let mut command = Command::new("env");
        command
            .args(["--default-signal=INT", env!("CARGO_BIN_EXE_unotify-lab")])
            .args(arguments)
            .env("PATH", format!("{}:{path}", self.folder.path().display()))
            .env("UNOTIFY_LAB_STAGE", self.folder.path())
            .stdin(Stdio::null());
        command
    }

    /// `vm run` of both scenarios, as a record.
    fn run(&self, more: &[&str]) -> (Option<i32>, String, RunRecord) {
        let image = self.image.to_str().expect("it is text");
        let arguments = ["vm", "run", "--accelerator", "tcg", "--kernel", image];
        let record = self.folder.path().join("record.json");
        let output = self
            .lab(&arguments)
            .args(WANTED)
            .args(["--format", "json", "--output"])
            .arg(&record)
            .args(more)
            .output()
            .expect("the command starts");
        let told = text(&output);
        let record = fs::read_to_string(record).expect("there is a record");
        let record = RunRecord::read(&record).unwrap_or_else(|error| panic!("{error}: {told}"));
        (output.status.code(), told, record)
    }

    /// How often it was booted.
    fn boots(&self) -> usize {
        let boots = fs::read_to_string(self.folder.path().join("boots"));
        boots.expect("the folder can be read").lines().count()
    }
}

/// A header of the boot protocol, and nothing behind it.
fn bz_image() -> Vec<u8> {
    let mut bytes = vec![0; 4096];
    bytes[0x1f1] = 3;
    bytes[0x1f4..0x1f8].copy_from_slice(&128_u32.to_le_bytes());
    bytes[0x202..0x206].copy_from_slice(b"HdrS");
    bytes[0x206..0x208].copy_from_slice(&0x20f_u16.to_le_bytes());
    bytes[0x236] = 1;
    bytes
}

fn text(output: &Output) -> String {
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("{out}{err}")
}

fn conforms(record: &RunRecord) -> Vec<bool> {
    record.cases.iter().map(|case| case.verdict == Verdict::Conforms).collect()
}

#[test]
fn a_guest_that_does_its_work_is_told_nothing_of() {
    let stage = Stage::new(&["echo firmware; all"]);
    let (status, told, record) = stage.run(&[]);
    assert_eq!((status, told.as_str()), (Some(0), ""));
    assert_eq!(conforms(&record), [true, true]);
    assert_eq!(stage.boots(), 1);
}

/// Each goes wrong once; what is left is had from a second boot.
#[rstest]
#[case::panic(
    "kernel; answer 1; panic",
    "the kernel panicked, outside seccomp: Kernel panic - not \
    syncing: VFS: Unable to mount root fs, while recv/after-last-exit was run; its console:\n    \
    [    0.500000] Kernel panic"
)]
#[case::oops(
    "kernel; answer 1; oops ext4_lookup",
    "the kernel oopsed, outside seccomp: BUG: \
    kernel NULL pointer dereference, address: 0000000000000010, while recv/after-last-exit was run; \
    its console:\n    [    4.000001] BUG: "
)]
#[case::oops_in_seccomp(
    "kernel; answer 1; oops seccomp_notify_ioctl",
    "the kernel oopsed in \
    seccomp code (seccomp_notify_ioctl): BUG: kernel NULL pointer dereference"
)]
#[case::no_boot(
    "panic",
    "the kernel panicked, outside seccomp: Kernel panic - not syncing: VFS: \
    Unable to mount root fs; its console:\n"
)]
#[case::hang(
    "kernel; answer 1; echo idle | tells; hang",
    "the guest said nothing for 2 s, while \
    recv/after-last-exit was run; its console:\n    idle\n"
)]
#[case::hang_at_boot("hang", "the guest said nothing for 2 s; there is nothing on its console\n")]
#[case::off(
    "kernel; answer 1; exit 0",
    "the machine turned itself off in the middle, while \
    recv/after-last-exit was run; there is nothing"
)]
#[case::killed(
    "kernel; answer 1; kill -9 $$",
    "QEMU was killed by SIGKILL, while \
    recv/after-last-exit was run"
)]
#[case::failed(
    "kernel; answer 1; echo 'no memory' >&2; exit 1",
    "QEMU failed (exit status: 1): \
    no memory, while recv/after-last-exit was run"
)]
#[case::no_result_at_all(
    "kernel; answer 0; exit 0",
    "the machine turned itself off in the middle, while \
    poll/hup-of-zombie was run"
)]
#[case::refused(
    "kernel; answer 0; echo '{\"trouble\":\"no /proc\"}'; hang",
    "the guest cannot do its work: \
    no /proc, while poll/hup-of-zombie was run"
)]
#[case::lost_result("kernel; answer 1; echo lost; end", "garbage on the line: \"lost\"\n")]
fn what_goes_wrong_once_is_told_and_nothing_is_missing(#[case] boot: &str, #[case] expected: &str) {
    let stage = Stage::new(&[boot, "all"]);
    let (status, told, record) = stage.run(&["--patience", "2"]);
    assert!(told.starts_with(&format!("unotify-lab: {expected}")), "{told}");
    assert_eq!(told.matches("unotify-lab: ").count(), 1, "{told}");
    assert_eq!(conforms(&record), [true, true], "{told}");
    assert_eq!(status, Some(0), "{told}");
    assert_eq!(stage.boots(), 2);
}

/// What is no message is told beside what came of it.
#[rstest]
#[case::endless("kernel; exec yes", &["the guest said nothing for 2 s", "garbage on the line, "])]
#[case::cut_off("kernel; answer 1; printf '{\"result\":[1,'; exit 0",
    &["the machine turned itself off", "garbage on the line: \"{\\\"result\\\":[1,\""])]
#[case::binary("kernel; head -c 100 /dev/zero; echo; answer 1; exit 0",
    &["the machine turned itself off", "garbage on the line: \"\\0\\0"])]
#[case::nobody_asked("kernel; answer 1; answer 1; exit 0",
    &["the machine turned itself off", "garbage on the line, "])]
fn garbage_is_told_and_is_no_sign_of_life(#[case] boot: &str, #[case] expected: &[&str]) {
    let stage = Stage::new(&[boot, "all"]);
    let (status, told, record) = stage.run(&["--patience", "2"]);
    for words in expected {
        assert!(told.contains(&format!("unotify-lab: {words}")), "{told}");
    }
    assert_eq!((status, conforms(&record)), (Some(0), vec![true, true]), "{told}");
}

#[test]
fn garbage_that_costs_no_result_costs_no_boot() {
    let stage = Stage::new(&["kernel; answer 1; echo '{}'; answer 99 | tail -n 1; end"]);
    let (status, told, record) = stage.run(&[]);
    assert_eq!(told, "unotify-lab: garbage on the line: \"{}\"\n");
    assert_eq!((status, conforms(&record)), (Some(0), vec![true, true]));
    assert_eq!(stage.boots(), 1);
}

/// A scenario at which a kernel breaks down every time keeps no other from its
/// result.
#[rstest]
#[case::elsewhere("oops ext4_lookup", 3, "the kernel oopsed, outside seccomp")]
#[case::in_seccomp(
    "oops seccomp_notify_ioctl",
    1,
    "the kernel breaks down in seccomp code (seccomp_notify_ioctl), in 4 of 4 boots"
)]
#[case::hang("hang", 3, "the guest said nothing for 1 s")]
fn what_goes_wrong_every_time_ends_and_keeps_the_rest(
    #[case] end: &str,
    #[case] expected: i32,
    #[case] words: &str,
) {
    // The second of the two is at fault: it is first once the other is done.
    let stage = Stage::new(&[&format!("kernel; answer 1; {end}"), &format!("kernel; {end}")]);
    let (status, told, record) = stage.run(&["--patience", "1"]);
    assert!(told.contains(words), "{told}");
    assert_eq!(status, Some(expected), "{told}");
    assert_eq!(conforms(&record), [true, false]);
    let Verdict::Fault(why) = &record.cases[1].verdict else { panic!("{:?}", record.cases[1]) };
    assert!(why.starts_with("it has no result: the "), "{why}");
    assert_eq!(stage.boots(), 4);
}

#[test]
fn the_one_at_fault_comes_last() {
    // The first of the two breaks the guest, and the second has its turn.
    let stage = Stage::new(&["kernel; answer 0; panic", "kernel; answer 1; panic"]);
    let (status, told, record) = stage.run(&[]);
    assert!(told.contains("while poll/hup-of-zombie was run"), "{told}");
    assert_eq!((status, conforms(&record)), (Some(0), vec![true, true]), "{told}");
    assert_eq!(stage.boots(), 3);
}

#[rstest]
#[case::panic("panic", 3, "does not boot\nthe kernel panicked, outside seccomp: ")]
#[case::hang("hang", 3, "does not boot\nthe guest said nothing for 1 s; there is nothing")]
#[case::off("exit 0", 3, "does not boot\nthe machine turned itself off in the middle")]
#[case::refused(
    "echo 'invalid accelerator kvm' >&2; exit 1",
    1,
    "qemu-system-x86_64 failed (exit status: 1): invalid accelerator kvm"
)]
fn a_kernel_that_does_not_boot_is_told_once_and_is_no_finding(
    #[case] boot: &str,
    #[case] boots: usize,
    #[case] expected: &str,
) {
    let stage = Stage::new(&[boot]);
    let image = stage.image.to_str().expect("it is text");
    let arguments = ["vm", "run", "--accelerator", "tcg", "--patience", "1", "--kernel", image];
    let output = stage.lab(&arguments).arg(WANTED[0]).output().expect("the command starts");
    let told = text(&output);
    assert_eq!(output.status.code(), Some(3), "{told}");
    assert_eq!(told.matches(expected).count(), 1, "{told}");
    assert_eq!(stage.boots(), boots);
    let bisect = ["--bisect", "--scenario", WANTED[0]];
    let output = stage.lab(&arguments).args(bisect).output().expect("the command starts");
    // QEMU's own mistake would be every commit's.
    let status = if boots == 1 { 128 } else { 125 };
    assert_eq!(output.status.code(), Some(status), "{}", text(&output));
}

#[test]
fn a_matrix_keeps_what_the_other_kernels_gave() {
    let stage = Stage::new(&["case $* in *broken*) panic;; esac; all"]);
    let broken = stage.folder.path().join("broken");
    fs::copy(&stage.image, &broken).expect("the folder can be written");
    let records = stage.folder.path().join("records");
    let output = stage
        .lab(&["matrix", "--accelerator", "tcg", "--no-host", "--kernel"])
        .args([&broken, Path::new("--kernel"), &stage.image, Path::new("--output"), &records])
        .args(WANTED)
        .output()
        .expect("the command starts");
    let told = text(&output);
    assert_eq!(output.status.code(), Some(3), "{told}");
    assert!(told.contains("broken does not boot\nthe kernel panicked"), "{told}");
    assert!(told.ends_with("unotify-lab: without result: broken\n"), "{told}");
    let files = fs::read_dir(records).expect("it is there");
    assert_eq!(files.count(), 1);
}

/// Races have a guest of their own, with two processors.
#[test]
fn processors_by_need() {
    let stage = Stage::new(&["all"]);
    let image = stage.image.to_str().expect("it is text");
    let run = ["vm", "run", "--accelerator", "tcg", "--kernel", image, "--cpus", "auto"];
    let race = "races/two-replies";
    // It has no answer to a race: that is a run without a result.
    let output = stage.lab(&run).args([WANTED[0], race]).output().expect("the command starts");
    let boots = fs::read_to_string(stage.folder.path().join("boots")).expect("it is there");
    let cpus = |boot: &str| boot.split("-smp ").nth(1).map(|rest| rest[..1].to_owned());
    let cpus: Vec<_> = boots.lines().filter_map(cpus).collect();
    assert_eq!(cpus.join(" "), "1 2 2 2", "{}", text(&output));
    let output = stage.lab(&run[..6]).arg("--cpus=0").output().expect("the command starts");
    assert!(text(&output).contains("a number from 1 to 16, or auto"), "{}", text(&output));
}

/// Lines of a command in a guest come as they are, and its file is kept.
#[test]
fn a_command_in_a_guest_says_what_it_says() {
    let said = r#"kernel
        echo '{"line":"7 cases"}'; echo '{"complaint":"one is odd"}'
        echo '{"file":{"name":"7-1.toml","bytes":[104,105]}}'; echo '{"status":1}'; end"#;
    let stage = Stage::new(&[said]);
    let image = stage.image.to_str().expect("it is text");
    let found = stage.folder.path().join("found");
    let output = stage
        .lab(&["vm", "explore", "--accelerator", "tcg", "--kernel", image, "--cases", "7"])
        .arg("--output")
        .arg(&found)
        .output()
        .expect("the command starts");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "7 cases\n");
    let kept = found.join("7-1.toml");
    let expected = format!("one is odd\nkept: {}\n", kept.display());
    assert_eq!(String::from_utf8_lossy(&output.stderr), expected);
    assert_eq!(fs::read_to_string(kept).expect("it is kept"), "hi");
}

#[test]
fn without_qemu_it_is_told_how_to_have_it() {
    let stage = Stage::new(&["all"]);
    let output = Command::new(env!("CARGO_BIN_EXE_unotify-lab"))
        .args(["vm", "run", "--accelerator", "tcg", "--kernel"])
        .arg(&stage.image)
        .arg(WANTED[0])
        .env("PATH", "/nowhere")
        .stdin(Stdio::null())
        .output()
        .expect("the command starts");
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output).contains("apt-get install qemu-system-x86"), "{}", text(&output));
}

/// A killed command leaves no machine and no file.
#[rstest]
#[case::interrupted(Signal::SIGINT)]
#[case::ended(Signal::SIGTERM)]
#[case::killed(Signal::SIGKILL)]
fn nothing_outlives_a_killed_command(#[case] signal: Signal) {
    let stage = Stage::new(&["kernel; answer 1; hang"]);
    let scratch = tempfile::tempdir().expect("a folder can be made");
    let image = stage.image.to_str().expect("it is text");
    let mut command = stage
        .lab(&["matrix", "--accelerator", "tcg", "--no-host", "--kernel", image])
        .args(WANTED)
        .env("TMPDIR", scratch.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the command starts");
    let marker = format!("UNOTIFY_LAB_STAGE={}", stage.folder.path().display());
    let hung = || ours(&marker).iter().any(|(name, _)| name == "sleep");
    wait_for("the guest hangs", hung);
    kill(Pid::from_raw(command.id() as i32), signal).expect("it is ours");
    command.wait().expect("it is ours");
    wait_for("nothing is left", || ours(&marker).is_empty());
    let left = fs::read_dir(scratch.path()).expect("it is there").count();
    assert_eq!(left, 0);
}

/// Processes with this in their environment: their names and numbers.
fn ours(marker: &str) -> Vec<(String, String)> {
    let entries = fs::read_dir("/proc").expect("there is /proc").flatten();
    entries
        .filter(|entry| {
            let environ = fs::read(entry.path().join("environ")).unwrap_or_default();
            environ.split(|byte| *byte == 0).any(|one| one == marker.as_bytes())
        })
        .map(|entry| {
            let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            (name.trim().to_owned(), entry.file_name().to_string_lossy().into_owned())
        })
        .collect()
}

fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "not so after a minute: {what}");
        std::thread::yield_now();
    }
}
