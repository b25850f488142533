//! What runs inside a guest: this executable, as init.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

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

/// How often a command that says nothing is told to be still at work.
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
    /// A command is still at work.
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
    /// All is done.
    End,
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
            let _ = say(&mut line, &Message::Trouble(error.to_string()));
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
    let mut out = io::stdout();
    match guest(&mut out) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = say(&mut out, &Message::Trouble(error));
            ExitCode::from(3)
        }
    }
}

fn guest(out: &mut impl Write) -> Result<(), String> {
    let text = std::fs::read(REQUEST).map_err(|error| error.to_string())?;
    let request: Request = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    let kernel = Kernel::running().map_err(|error| error.to_string())?;
    say(out, &Message::Kernel(kernel)).map_err(|error| error.to_string())?;
    let jobs = match request {
        Request::Jobs(jobs) => jobs,
        Request::Command(words) => {
            command(&words, out).map_err(|error| error.to_string())?;
            return say(out, &Message::End).map_err(|error| error.to_string());
        }
    };
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let pool = Pool::new(cpus, None).map_err(|error| error.to_string())?;
    let mut unsaid: Option<io::Error> = None;
    pool.run(&jobs, |job, result| {
        unsaid = unsaid.take().or(say(out, &Message::Result(job, result)).err());
    })
    .map_err(|error| error.to_string())?;
    match unsaid {
        Some(error) => Err(error.to_string()),
        None => say(out, &Message::End).map_err(|error| error.to_string()),
    }
}

/// Runs this executable with other arguments.
fn command(words: &[String], out: &mut impl Write) -> io::Result<()> {
    std::fs::create_dir_all(FOUND)?;
    let mut child = Command::new("/proc/self/exe")
        .args(words)
        .args(["--output", FOUND])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()?;
    let (sender, lines) = channel();
    let output = child.stdout.take().expect("it was piped");
    let reader = std::thread::spawn(move || {
        // Without a receiver this has failed already.
        BufReader::new(output).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
    });
    loop {
        match lines.recv_timeout(BEAT) {
            Ok(line) => say(out, &Message::Line(line))?,
            Err(RecvTimeoutError::Timeout) => say(out, &Message::Alive)?,
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    drop(reader.join());
    // A command that a signal ended did not do its work.
    let status = child.wait()?.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(3);
    for entry in std::fs::read_dir(FOUND)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        say(out, &Message::File { name, bytes: std::fs::read(&path)? })?;
    }
    say(out, &Message::Status(status))
}

fn say(out: &mut impl Write, message: &Message) -> io::Result<()> {
    let mut line = serde_json::to_string(message).expect("a message is plain data");
    line.push('\n');
    out.write_all(line.as_bytes())?;
    out.flush()
}
