//! A worker process: one thread, one scenario after another.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::ExitCode;

use super::actor::{self, MEMORY, Stage, TEXT};
use super::oracle::give_up_real_time;
use super::pool::{Job, scratch_of};
use super::shared::Mapping;
use super::{RunResult, director, end, probe, spawn};
use crate::scenario::{self, ActorId, Need, Scenario, Schedule};

/// The hidden command that starts a worker: `__worker PARENT SCRATCH`.
pub const WORKER_COMMAND: &str = "__worker";
/// The hidden command with which an actor executes the tool anew:
/// `__actor MEMORY ACTOR`.
pub const ACTOR_COMMAND: &str = "__actor";

/// Numbers above all that a stage uses.
const REQUESTS: RawFd = actor::BEYOND + 30;
const RESULTS: RawFd = REQUESTS + 1;

/// Runs a worker: requests as lines on standard input, results as lines on
/// standard output, until the input ends. `arguments` are the parent's process
/// id and a directory for scratch directories.
pub fn worker_main(arguments: &[String]) -> ExitCode {
    match work(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("unotify-lab: worker: {why}");
            ExitCode::from(3)
        }
    }
}

fn work(arguments: &[String]) -> Result<(), String> {
    let [parent, scratch] = arguments else {
        return Err("it is started by the command, not by hand".to_owned());
    };
    without_randomisation()?;
    let threads = std::fs::read_dir("/proc/self/task").map_err(|e| e.to_string())?.count();
    if threads != 1 {
        return Err(format!("it has {threads} threads and must have one"));
    }
    stay_alone(parent)?;
    give_up_real_time().map_err(|error| format!("sched_setscheduler(2): {error}"))?;
    limit_descriptors();
    let (requests, mut results) = channels().map_err(|error| error.to_string())?;
    let scratch = scratch_of(Path::new(scratch), std::process::id());
    end::on_termination(&scratch);
    let mut known = Known::default();
    for line in BufReader::new(requests).lines() {
        let line = line.map_err(|error| error.to_string())?;
        let job: Job = serde_json::from_str(&line).map_err(|error| error.to_string())?;
        let result = run(&job, &mut known, &scratch);
        let mut line = serde_json::to_string(&result).map_err(|error| error.to_string())?;
        line.push('\n');
        results.write_all(line.as_bytes()).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// What a worker has found out, and need not find out again.
#[derive(Default)]
struct Known {
    /// The scenarios of each file, with its text: those of one file come one
    /// after another, and those that race come often.
    files: HashMap<String, (String, Vec<Scenario>)>,
    /// Why a need is not met here, if it is not.
    needs: HashMap<Need, Option<String>>,
}

/// So many files a worker knows at most; exploring makes up more.
const MOST_FILES: usize = 1000;

impl Known {
    fn schedule(&mut self, job: &Job) -> Result<Schedule, String> {
        let Job { file, id, source, seed: _ } = job;
        if self.files.get(file).is_none_or(|(known, _)| known != source) {
            if self.files.len() == MOST_FILES {
                self.files.clear();
            }
            self.files.insert(file.clone(), (source.clone(), parse(job)?));
        }
        schedule_of(&self.files[file].1, id)
    }

    fn missing(&mut self, needs: &[Need]) -> Option<String> {
        needs.iter().find_map(|need| {
            self.needs.entry(*need).or_insert_with(|| probe::missing(*need)).clone()
        })
    }
}

fn run(job: &Job, known: &mut Known, scratch: &Path) -> RunResult {
    let schedule = match known.schedule(job) {
        Ok(schedule) => schedule,
        Err(why) => return RunResult::Fault(why),
    };
    if let Some(why) = known.missing(&schedule.needs) {
        return RunResult::Skipped(why);
    }
    let text = serde_json::to_vec(job).expect("a job is plain data");
    // What is there already is not this worker's, and may be a trap.
    if let Err(error) = std::fs::create_dir(scratch) {
        return RunResult::Fault(format!("{}: {error}", scratch.display()));
    }
    // Actors of any user begin there.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    let _ = std::fs::set_permissions(scratch, open);
    let result = director::run(schedule, &text, scratch, job.seed);
    match std::fs::remove_dir_all(scratch) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            RunResult::Fault(format!("{}: {error}", scratch.display()))
        }
        _ => result,
    }
}

fn parse(job: &Job) -> Result<Vec<Scenario>, String> {
    scenario::parse(&job.file, &job.file, &job.source).map_err(|mistakes| mistakes.to_string())
}

fn schedule_of(scenarios: &[Scenario], id: &str) -> Result<Schedule, String> {
    let found = scenarios.iter().find(|scenario| scenario.id == id);
    let scenario = found.ok_or_else(|| format!("its file has no scenario {id}"))?;
    scenario.schedule().map_err(|found| found[0].message.clone())
}

/// Executes itself again without address space randomisation, so that an
/// actor that executes the tool anew finds everything where it was.
fn without_randomisation() -> Result<(), String> {
    // SAFETY: personality(2) changes an attribute of this process.
    let before = unsafe { libc::personality(0xffff_ffff) };
    if before & libc::ADDR_NO_RANDOMIZE != 0 {
        return Ok(());
    }
    // SAFETY: as above.
    let set = unsafe { libc::personality((before | libc::ADDR_NO_RANDOMIZE) as libc::c_ulong) };
    if set < 0 {
        // Some containers refuse it; only `exec` steps depend on it.
        return Ok(());
    }
    let arguments = std::env::args_os().skip(1);
    let error = std::os::unix::process::CommandExt::exec(
        std::process::Command::new("/proc/self/exe").args(arguments),
    );
    Err(format!("executing itself: {error}"))
}

/// Descriptors end at the same number on every machine, where that is
/// possible.
fn limit_descriptors() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, MOST_DESCRIPTORS.min(most), most);
    }
}

/// RLIMIT_NOFILE of actors.
const MOST_DESCRIPTORS: u64 = 1024;

/// Ends with the command that started it, and adopts orphans of its actors.
fn stay_alone(parent: &str) -> Result<(), String> {
    // A session of its own: what a terminal sends goes to the command alone.
    // A mere process group would become an orphaned one with the command's
    // end, and if an actor is stopped then, all in it get a SIGHUP
    // (kill_orphaned_pgrp in kernel/exit.c).
    nix::unistd::setsid().map_err(|error| format!("setsid: {error}"))?;
    for (option, value) in
        [(libc::PR_SET_CHILD_SUBREAPER, 1), (libc::PR_SET_PDEATHSIG, libc::SIGTERM as u64)]
    {
        // SAFETY: both set an attribute of this process.
        if unsafe { libc::prctl(option, value, 0, 0, 0) } != 0 {
            return Err(format!("prctl: {}", std::io::Error::last_os_error()));
        }
    }
    if nix::unistd::getppid().to_string() != parent {
        return Err("the command that started it has ended".to_owned());
    }
    Ok(())
}

/// Moves standard input and output out of the way and puts `/dev/null` there.
fn channels() -> std::io::Result<(File, File)> {
    let null = File::options().read(true).write(true).open("/dev/null")?;
    let requests = moved(0, REQUESTS)?;
    let results = moved(1, RESULTS)?;
    for number in [0, 1] {
        // SAFETY: dup2 touches no memory.
        if unsafe { libc::dup2(null.as_raw_fd(), number) } < 0 {
            return Err(std::io::Error::last_os_error());
        }
    }
    Ok((requests, results))
}

fn moved(from: RawFd, to: RawFd) -> std::io::Result<File> {
    // SAFETY: dup3 touches no memory.
    if unsafe { libc::dup3(from, to, libc::O_CLOEXEC) } < 0 {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: the descriptor was made just now and nobody else owns it.
    Ok(File::from(unsafe { OwnedFd::from_raw_fd(to) }))
}

/// Goes on as an actor whose `exec` step has succeeded.
pub fn actor_main(arguments: &[String]) -> ExitCode {
    match set_up_again(arguments) {
        Ok(me) => actor::resume(me),
        Err(why) => {
            eprintln!("unotify-lab: actor: {why}");
            ExitCode::from(111)
        }
    }
}

/// Reads a file whose position others share, who may read it at the same time.
fn whole(file: &File) -> std::io::Result<Vec<u8>> {
    let (mut bytes, mut part) = (Vec::new(), [0; 4096]);
    loop {
        match file.read_at(&mut part, bytes.len() as u64)? {
            0 => return Ok(bytes),
            count => bytes.extend_from_slice(&part[..count]),
        }
    }
}

fn set_up_again(arguments: &[String]) -> Result<ActorId, String> {
    let [memory, me] = arguments else {
        return Err("it is started by a scenario, not by hand".to_owned());
    };
    let me = me.parse().map(ActorId).map_err(|_| "not an actor's number".to_owned())?;
    if memory.parse() != Ok(MEMORY) {
        return Err("not the number of the shared memory".to_owned());
    }
    // SAFETY: the worker left both open for this process, and nothing else in
    // it owns them. They stay open: another actor may need them.
    let memory = std::mem::ManuallyDrop::new(unsafe { File::from_raw_fd(MEMORY) });
    // SAFETY: as above.
    let text_file = std::mem::ManuallyDrop::new(unsafe { File::from_raw_fd(TEXT) });
    let text = whole(&text_file).map_err(|error| error.to_string())?;
    actor::name_again();
    let job: Job = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    let schedule = schedule_of(&parse(&job)?, &job.id)?;
    spawn::map_arena(&schedule).map_err(|error| error.to_string())?;
    let shared = Mapping::of(&*memory).map_err(|error| error.to_string())?;
    actor::set_stage(Box::leak(Box::new(Stage { schedule, shared })));
    Ok(me)
}
