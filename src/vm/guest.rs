//! What runs inside a guest: this executable, as init.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount};
use nix::sys::reboot::{RebootMode, reboot};
use nix::sys::wait::{WaitStatus, wait};
use serde::{Deserialize, Serialize};

use super::initramfs::REQUEST;
use crate::live::{Job, Pool, RunResult};
use crate::suite::Kernel;

/// The hidden command that does a guest's work, below its init.
pub const GUEST_COMMAND: &str = "__guest";

/// What a guest is asked to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Request {
    /// These runs.
    Jobs(Vec<Job>),
    /// This command, with these arguments; files that it makes in [`FOUND`]
    /// are wanted.
    Command(Vec<String>),
}

/// The folder for what a command finds.
const FOUND: &str = "/tmp/found";

/// How often a guest says that it is still at work.
const BEAT: Duration = Duration::from_secs(10);

/// What a guest says, one a line.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Message {
    /// Init runs, on this kernel.
    Kernel(Kernel),
    /// What came of a job, by its number.
    Result(usize, RunResult),
    /// A line of a command's output.
    Line(String),
    /// A line of what a command complains of.
    Complaint(String),
    /// The guest is still at work.
    Alive,
    /// A file that a command has made.
    File {
        /// Its name.
        name: String,
        /// What is in it.
        bytes: Vec<u8>,
    },
    /// A command has ended with this status.
    Status(u8),
    /// All is done, in so much time by the guest's own clock.
    End(Duration),
    /// The guest could not do its work.
    Trouble(String),
}

/// Whether this process is a guest's init.
pub fn is_init() -> bool {
    std::process::id() == 1 && Path::new(REQUEST).exists()
}

/// A guest's init: mounts what scenarios need, has the work done, reaps, and
/// turns the machine off.
pub fn init_main() -> ExitCode {
    if let Err(error) = prepare().and_then(|()| work()) {
        // On the console, which is kept for this.
        eprintln!("unotify-lab: guest: {error}");
        if let Ok(mut line) = line_out() {
            let _ = say_on(&mut line, &Message::Trouble(error.to_string()));
        }
    }
    // SAFETY is the machine's own: nothing of it is worth keeping.
    let _ = reboot(RebootMode::RB_POWER_OFF);
    let _ = reboot(RebootMode::RB_AUTOBOOT);
    ExitCode::FAILURE
}

fn prepare() -> io::Result<()> {
    for (kind, place) in
        [("devtmpfs", "/dev"), ("proc", "/proc"), ("sysfs", "/sys"), ("tmpfs", "/tmp")]
    {
        mount(Some(kind), place, Some(kind), MsFlags::empty(), None::<&str>)
            .map_err(|error| io::Error::other(format!("mounting {kind}: {error}")))?;
    }
    // For the freezer; a kernel without it only skips what needs it.
    let group = "/sys/fs/cgroup";
    let _ = mount(Some("cgroup2"), group, Some("cgroup2"), MsFlags::empty(), None::<&str>);
    Ok(())
}

fn line_out() -> io::Result<File> {
    OpenOptions::new().write(true).open("/dev/ttyS1")
}

fn work() -> io::Result<()> {
    let child = Command::new("/proc/self/exe")
        .arg(GUEST_COMMAND)
        .env("TMPDIR", "/tmp")
        .stdin(Stdio::null())
        .stdout(line_out()?)
        .spawn()?;
    // Init is everybody's last parent.
    loop {
        match wait()? {
            WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, _, _)
                if pid.as_raw() == child.id() as i32 =>
            {
                return Ok(());
            }
            _ => {}
        }
    }
}

/// Does a guest's work: runs the jobs and says what came of each on standard
/// output, which is the second serial port.
pub fn guest_main() -> ExitCode {
    // It ends with the process. A line is written at once, whoever writes it.
    std::thread::spawn(|| {
        while say(&Message::Alive).is_ok() {
            std::thread::sleep(BEAT);
        }
    });
    match guest() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = say(&Message::Trouble(error.to_string()));
            ExitCode::from(3)
        }
    }
}

fn guest() -> io::Result<()> {
    let start = Instant::now();
    let request: Request = serde_json::from_slice(&std::fs::read(REQUEST)?)?;
    say(&Message::Kernel(Kernel::running()?))?;
    match request {
        Request::Jobs(jobs) => run(&jobs)?,
        Request::Command(words) => command(&words)?,
    }
    say(&Message::End(start.elapsed()))
}

fn run(jobs: &[Job]) -> io::Result<()> {
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let pool = Pool::new(cpus, None).map_err(io::Error::other)?;
    let mut said = Ok(());
    pool.run(jobs, |job, result| {
        if said.is_ok() {
            said = say(&Message::Result(job, result));
        }
    })
    .map_err(io::Error::other)?;
    said
}

/// Runs this executable with other arguments.
fn command(words: &[String]) -> io::Result<()> {
    std::fs::create_dir_all(FOUND)?;
    let mut child = Command::new("/proc/self/exe")
        .args(words)
        .args(["--output", FOUND])
        .stdin(Stdio::null())
        // Pipes and no terminals: no bars of progress, no colours.
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let output = child.stdout.take().expect("it was piped");
    let complaints = child.stderr.take().expect("it was piped");
    std::thread::scope(|scope| {
        scope.spawn(|| pass_on(complaints, Message::Complaint));
        pass_on(output, Message::Line)
    })?;
    // A command that a signal ended did not do its work.
    let status = child.wait()?.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(3);
    for entry in std::fs::read_dir(FOUND)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        say(&Message::File { name, bytes: std::fs::read(&path)? })?;
    }
    say(&Message::Status(status))
}

/// Says each line that comes.
fn pass_on(lines: impl io::Read, of: fn(String) -> Message) -> io::Result<()> {
    BufReader::new(lines).lines().try_for_each(|line| say(&of(line?)))
}

fn say(message: &Message) -> io::Result<()> {
    say_on(&mut io::stdout().lock(), message)
}

fn say_on(out: &mut impl Write, message: &Message) -> io::Result<()> {
    let mut line = serde_json::to_string(message).expect("a message is plain data");
    line.push('\n');
    out.write_all(line.as_bytes())?;
    out.flush()
}
