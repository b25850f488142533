//! Workers and the work: several processes, each given one scenario after
//! another, and thrown away when their state is unclear.

use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{AccessFlags, Pid, access};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::actor::{ACTOR_NAME, MEMORY};
use super::worker::WORKER_COMMAND;
use super::{RunResult, end, freezer};
use crate::trace::Trace;

/// How long a worker may be silent over one run before it is killed.
pub const LONGEST_RUN: Duration = Duration::from_secs(180);

/// One run of one scenario, as a worker is asked for it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Job {
    /// `theme/name` of its file.
    pub file: String,
    /// The scenario's id, with its parameters.
    pub id: String,
    /// The file's text.
    pub source: String,
    /// What delays in races are drawn from; another for each run.
    #[serde(default)]
    pub seed: u64,
}

/// What keeps workers from being had.
#[derive(Debug, Error)]
pub enum PoolError {
    /// The executable cannot be started again.
    #[error("starting a worker: {0}")]
    Start(#[source] io::Error),
    /// This process cannot adopt what a killed worker leaves.
    #[error("becoming a subreaper: {0}")]
    Subreaper(#[source] io::Error),
}

/// Runs scenarios in worker processes.
#[derive(Clone, Debug)]
pub struct Pool {
    executable: PathBuf,
    scratch: PathBuf,
    size: usize,
}

impl Pool {
    /// A pool of `size` workers, each of them `executable` started again;
    /// `None` for the executable that runs now.
    ///
    /// # Errors
    ///
    /// [`PoolError::Subreaper`] where the kernel refuses it.
    #[allow(unsafe_code)]
    pub fn new(size: usize, executable: Option<&Path>) -> Result<Pool, PoolError> {
        // SAFETY: sets an attribute of this process.
        if unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) } != 0 {
            return Err(PoolError::Subreaper(io::Error::last_os_error()));
        }
        Ok(Pool {
            executable: executable.unwrap_or(Path::new("/proc/self/exe")).to_owned(),
            scratch: scratch(),
            size: size.max(1),
        })
    }

    /// Runs jobs and tells each result as it comes, by the job's number.
    ///
    /// # Errors
    ///
    /// [`PoolError::Start`] when no worker can be started. A worker that dies
    /// is a result of its job, not an error.
    pub fn run(
        &self,
        jobs: &[Job],
        mut tell: impl FnMut(usize, RunResult),
    ) -> Result<(), PoolError> {
        let run =
            |(index, job): (usize, &Job), runner: &mut Runner<'_>| Ok((index, runner.run(job)?));
        self.each(jobs.iter().enumerate(), run, |(index, result)| tell(index, result))
    }

    /// Does something with each item, which may be to run jobs: several items
    /// at a time, each in a thread that has a worker. Tells what came of each.
    ///
    /// # Errors
    ///
    /// The first of `work`.
    pub fn each<I: Send, R: Send>(
        &self,
        items: impl Iterator<Item = I> + Send,
        work: impl Fn(I, &mut Runner<'_>) -> Result<R, PoolError> + Sync,
        mut tell: impl FnMut(R),
    ) -> Result<(), PoolError> {
        let items = Mutex::new(items);
        let next = || items.lock().unwrap_or_else(PoisonError::into_inner).next();
        let (sender, results) = mpsc::channel();
        std::thread::scope(|scope| {
            for _ in 0..self.size {
                let (sender, next, work) = (sender.clone(), &next, &work);
                scope.spawn(move || {
                    let mut runner = self.runner();
                    while let Some(item) = next() {
                        // A receiver that is gone has failed already.
                        if sender.send(work(item, &mut runner)).is_err() {
                            break;
                        }
                    }
                });
            }
            drop(sender);
            results.into_iter().try_for_each(|result| result.map(&mut tell))
        })
    }

    /// A runner by itself; its worker starts with its first job.
    #[must_use]
    pub fn runner(&self) -> Runner<'_> {
        Runner { pool: self, idle: None }
    }

    fn start(&self) -> Result<Worker, PoolError> {
        let mut child = Command::new(&self.executable)
            .arg(WORKER_COMMAND)
            .arg(std::process::id().to_string())
            .arg(&self.scratch)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(PoolError::Start)?;
        let requests = child.stdin.take().expect("it was piped");
        let results = BufReader::new(child.stdout.take().expect("it was piped"));
        Ok(Worker { child, requests, results })
    }

    /// Ends a worker and whatever it leaves.
    fn bury(&self, mut worker: Worker) -> Burial {
        let pid = worker.child.id();
        freezer::thaw(pid);
        let _ = worker.child.kill();
        let ended = worker.ended();
        let orphans = end_orphans();
        freezer::remove(pid);
        let _ = std::fs::remove_dir_all(scratch_of(&self.scratch, pid));
        Burial { status: ended.as_ref().ok().copied(), left: ended.err().or(orphans.err()) }
    }
}

/// What came of ending a worker.
struct Burial {
    status: Option<ExitStatus>,
    /// Who could not be ended.
    left: Option<String>,
}

/// Runs jobs one after another, on one worker as long as that does well.
pub struct Runner<'p> {
    pool: &'p Pool,
    idle: Option<Worker>,
}

impl Runner<'_> {
    /// Runs a job.
    ///
    /// # Errors
    ///
    /// [`PoolError::Start`] when no worker can be started.
    pub fn run(&mut self, job: &Job) -> Result<RunResult, PoolError> {
        let mut worker = self.idle.take().map_or_else(|| self.pool.start(), Ok)?;
        Ok(match worker.run(job) {
            Ok(result @ (RunResult::Ran(_) | RunResult::Skipped(_))) => {
                self.idle = Some(worker);
                result
            }
            // After anything but a clear end its state is not trusted.
            Ok(result) => match (self.pool.bury(worker).left, result) {
                (None, result) => result,
                (Some(left), RunResult::Fault(why)) if why != left => {
                    RunResult::Fault(format!("{why}; {left}"))
                }
                (Some(left), _) => RunResult::Fault(left),
            },
            Err(silence) => silence.told(self.pool.bury(worker)),
        })
    }
}

impl Drop for Runner<'_> {
    fn drop(&mut self) {
        if let Some(worker) = self.idle.take() {
            let _ = self.pool.bury(worker);
        }
    }
}

/// Where workers have their folders: where the user says, else in memory, where
/// folders that come and go with each scenario cost least.
fn scratch() -> PathBuf {
    let memory = Path::new("/dev/shm");
    let usable = || access(memory, AccessFlags::W_OK | AccessFlags::X_OK).is_ok();
    match std::env::var_os("TMPDIR") {
        None if usable() => memory.to_owned(),
        _ => std::env::temp_dir(),
    }
}

/// Where a worker keeps what a scenario creates.
pub(super) fn scratch_of(scratch: &Path, worker: u32) -> PathBuf {
    scratch.join(format!("unotify-lab.{worker}"))
}

/// Why a worker did not answer.
enum Silence {
    Ended,
    TooLong,
}

impl Silence {
    fn told(self, burial: Burial) -> RunResult {
        match (self, burial) {
            (_, Burial { left: Some(left), .. }) => RunResult::Fault(left),
            (Silence::TooLong, _) => {
                let seconds = LONGEST_RUN.as_secs();
                let why = format!("its worker did not answer for {seconds} s");
                RunResult::Inconclusive(Trace::default(), why)
            }
            (Silence::Ended, Burial { status: Some(status), .. }) => {
                RunResult::Fault(format!("its worker ended: {status}"))
            }
            (Silence::Ended, Burial { status: None, .. }) => {
                RunResult::Fault("its worker ended".to_owned())
            }
        }
    }
}

struct Worker {
    child: Child,
    requests: ChildStdin,
    results: BufReader<ChildStdout>,
}

impl Worker {
    fn run(&mut self, job: &Job) -> Result<RunResult, Silence> {
        let mut line = serde_json::to_string(job).expect("a job is plain data");
        line.push('\n');
        self.requests.write_all(line.as_bytes()).map_err(|_| Silence::Ended)?;
        self.wait()?;
        let mut answer = String::new();
        match self.results.read_line(&mut answer) {
            Ok(1..) => serde_json::from_str(&answer).map_err(|_| Silence::Ended),
            _ => Err(Silence::Ended),
        }
    }

    /// Waits until it has ended, as a killed one soon does, unless it sleeps in
    /// the kernel where no signal reaches it.
    fn ended(&mut self) -> Result<ExitStatus, String> {
        let deadline = Instant::now() + end::LONGEST_END;
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Ok(status),
                Err(error) => return Err(format!("waiting for a worker: {error}")),
                Ok(None) if Instant::now() > deadline => {
                    return Err(end::unended(self.child.id() as i32));
                }
                Ok(None) => std::thread::park_timeout(Duration::from_millis(1)),
            }
        }
    }

    fn wait(&self) -> Result<(), Silence> {
        let mut ready = [PollFd::new(self.results.get_ref().as_fd(), PollFlags::POLLIN)];
        let timeout = PollTimeout::try_from(LONGEST_RUN).unwrap_or(PollTimeout::MAX);
        loop {
            match poll(&mut ready, timeout) {
                Ok(0) => return Err(Silence::TooLong),
                Err(nix::errno::Errno::EINTR) => {}
                _ => return Ok(()),
            }
        }
    }
}

/// Kills processes that have become children of this one because their worker
/// was killed, and those that become so in turn. One that does not end is given
/// up for good, after long enough.
///
/// # Errors
///
/// Who does not end, and what it sleeps in.
fn end_orphans() -> Result<(), String> {
    static GIVEN_UP: Mutex<Vec<i32>> = Mutex::new(Vec::new());
    let given_up = || GIVEN_UP.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let mut orphans = end::children();
        orphans.retain(|pid| is_actor(*pid) && !given_up().contains(pid));
        if orphans.is_empty() {
            return Ok(());
        }
        // All first: one may be traced by another, and not be reaped before.
        for pid in &orphans {
            let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
        }
        for pid in orphans {
            end::reap_within(pid, end::LONGEST_END).inspect_err(|_| given_up().push(pid))?;
        }
    }
}

/// Whether a child of this process is an actor: this process may have other
/// children, which are none of the pool's business.
fn is_actor(pid: i32) -> bool {
    let named = std::fs::read_to_string(format!("/proc/{pid}/comm"))
        .is_ok_and(|name| name.starts_with(ACTOR_NAME));
    match std::fs::read_link(format!("/proc/{pid}/fd/{MEMORY}")) {
        Ok(memory) if memory.to_string_lossy().starts_with("/memfd:unotify-lab") => return named,
        // One that has made itself undumpable hides its descriptors.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return named,
        _ => {}
    }
    // A zombie has no descriptors left.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.contains(&format!("({ACTOR_NAME}")) && stat.contains(") Z ")
}
