//! Work for guests: what is run in them, what comes back, and booting again.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

use super::breakdown::{Breakdown, What};
use super::guest::{Message, Request};
use super::image::check_image;
use super::qemu::{Guest, GuestEnd, Machine};
use super::{VmError, initramfs, this_executable};
use crate::live::{Job, RunResult};
use crate::suite::{Case, Catalogue, Collected, Kernel, Plan, SuiteResult};

/// What came of a guest's work.
#[derive(Clone, Debug)]
pub struct GuestRun {
    /// The kernel, as it told itself.
    pub kernel: Kernel,
    /// What went wrong on the way. The results until then stand.
    pub breakdowns: Vec<Breakdown>,
    /// How often it was booted.
    pub boots: usize,
    /// How long it took.
    pub times: Times,
}

impl GuestRun {
    /// With another guest's work on the same kernel.
    fn add(&mut self, other: GuestRun) {
        self.breakdowns.extend(other.breakdowns);
        self.boots += other.boots;
        self.times.boot += other.times.boot;
        self.times.work += other.times.work;
    }

    /// That the kernel breaks down in seccomp code, if it did so in more than
    /// one boot: once may be the emulation's doing.
    pub fn finding(&self) -> Option<String> {
        let faults: Vec<&Breakdown> =
            self.breakdowns.iter().filter(|one| one.in_seccomp().is_some()).collect();
        let [first, _, ..] = faults.as_slice() else { return None };
        Some(format!(
            "the kernel breaks down in seccomp code ({}), in {} of {} boots",
            first.in_seccomp().unwrap_or_default(),
            faults.len(),
            self.boots
        ))
    }
}

/// How long a guest took. Of several boots, the sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// From power-on to what its init said first, by this machine's clock.
    pub boot: Duration,
    /// For its work, by the guest's own clock; by this machine's, where the
    /// guest broke down.
    pub work: Duration,
}

/// How many processors guests have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cpus {
    /// So many.
    Each(u32),
    /// As many as a case needs: those with a race have a guest of their own,
    /// with two.
    ByNeed,
}

/// So many boots in a row without a result are enough.
const MOST_FRUITLESS: usize = 3;
/// Most boots for one list of jobs.
const MOST_BOOTS: usize = 10;

/// Runs jobs on a kernel in a virtual machine and tells each result as it
/// comes, until it is told to stop. A kernel that breaks down is booted again
/// for what is left; what was being run then comes last, so that one scenario
/// keeps no other from its result.
///
/// # Errors
///
/// An image that is none, a machine that cannot be started, a kernel that does
/// not come to its init.
fn run(
    kernel: &Path,
    executable: &Path,
    machine: Machine,
    jobs: &[Job],
    mut tell: impl FnMut(&Kernel, usize, RunResult) -> ControlFlow<()>,
) -> Result<GuestRun, VmError> {
    check_image(kernel)?;
    let at_once = machine.cpus as usize;
    let mut left: Vec<usize> = (0..jobs.len()).collect();
    let mut named = None;
    let mut breakdowns: Vec<Breakdown> = Vec::new();
    let mut times = Times::default();
    let (mut boots, mut fruitless) = (0, 0);
    while boots < MOST_BOOTS && fruitless < MOST_FRUITLESS {
        let request = Request::Jobs(left.iter().map(|job| jobs[*job].clone()).collect());
        let mut guest = Booting::new(kernel, executable, machine, &request)?;
        let mut told = vec![false; left.len()];
        let mut stopped = false;
        let end = loop {
            match guest.next() {
                Ok(Message::Result(index, result)) => match (told.get_mut(index), &guest.named) {
                    (Some(told), Some(kernel)) if !*told => {
                        *told = true;
                        if tell(kernel, left[index], result).is_break() {
                            stopped = true;
                            break GuestEnd::Done(guest.work());
                        }
                    }
                    _ => guest.guest.add_garbage(&format!("a result of run {index}")),
                },
                Ok(_) => {}
                Err(end) => break end,
            }
        };
        let fruitful = told.contains(&true);
        left = left.into_iter().zip(told).filter(|(_, told)| !told).map(|(job, _)| job).collect();
        let during: Vec<String> = match &guest.named {
            Some(_) => left.iter().take(at_once).map(|job| jobs[*job].id.clone()).collect(),
            None => Vec::new(),
        };
        boots += 1;
        breakdowns.extend(guest.end(&end, during, &mut times)?);
        named = named.or_else(|| guest.named.clone());
        if stopped || left.is_empty() {
            break;
        }
        fruitless = if fruitful { 0 } else { fruitless + 1 };
        if guest.named.is_some() {
            let running = at_once.min(left.len());
            left.rotate_left(running);
        }
    }
    match named {
        Some(kernel) => Ok(GuestRun { kernel, breakdowns, boots, times }),
        None => Err(VmError::NoBoot { kernel: kernel.display().to_string(), boots: breakdowns }),
    }
}

/// A boot, and what is known of it so far.
struct Booting {
    guest: Guest,
    named: Option<Kernel>,
    power_on: Instant,
    at_init: Option<Instant>,
}

impl Booting {
    fn new(
        kernel: &Path,
        executable: &Path,
        machine: Machine,
        request: &Request,
    ) -> Result<Booting, VmError> {
        let request = serde_json::to_vec(request).expect("a request is plain data");
        let archive = initramfs::build(executable, &request).map_err(VmError::Setup)?;
        let power_on = Instant::now();
        let guest = Guest::boot(kernel, &archive, machine)?;
        Ok(Booting { guest, named: None, power_on, at_init: None })
    }

    /// The next message that is not only a sign of life.
    fn next(&mut self) -> Result<Message, GuestEnd> {
        loop {
            match self.guest.next()? {
                Message::Kernel(kernel) => {
                    self.named = Some(kernel);
                    self.at_init = Some(Instant::now());
                }
                Message::Alive => {}
                other => return Ok(other),
            }
        }
    }

    /// How long it has been at work, by this machine's clock.
    fn work(&self) -> Duration {
        self.at_init.map_or(Duration::ZERO, |time| time.elapsed())
    }

    /// Adds up how long it took, and gives what went wrong.
    fn end(
        &mut self,
        end: &GuestEnd,
        during: Vec<String>,
        times: &mut Times,
    ) -> Result<Vec<Breakdown>, VmError> {
        times.boot += self.at_init.unwrap_or_else(Instant::now) - self.power_on;
        times.work += match end {
            GuestEnd::Done(time) => *time,
            GuestEnd::Broke(_) => self.work(),
        };
        let found = self.guest.breakdowns(end, during);
        match found.first() {
            // What QEMU does not like once it will not like again.
            Some(Breakdown { what: What::Failed(why), console, .. })
                if self.named.is_none() && console.is_empty() =>
            {
                Err(VmError::Refused(why.clone()))
            }
            _ => Ok(found),
        }
    }
}

/// Runs jobs of these cases, in guests with so many processors, and tells each
/// result until it is told to stop. A kernel that breaks down is booted again for
/// what is left.
///
/// # Errors
///
/// An image that is none, a machine that cannot be started, a kernel that does
/// not come to its init.
pub fn run_jobs(
    cases: &[Case<'_>],
    jobs: &[Job],
    kernel: &Path,
    machine: Machine,
    cpus: Cpus,
    mut tell: impl FnMut(&Kernel, usize, RunResult) -> ControlFlow<()>,
) -> Result<GuestRun, VmError> {
    let mut whole: Option<GuestRun> = None;
    let mut go_on = ControlFlow::Continue(());
    for (cpus, numbers) in groups(cases, jobs, cpus) {
        let own: Vec<Job> = numbers.iter().map(|number| jobs[*number].clone()).collect();
        let machine = Machine { cpus, ..machine };
        let ran = run(kernel, &this_executable(), machine, &own, |kernel, job, result| {
            go_on = tell(kernel, numbers[job], result);
            go_on
        });
        match (&mut whole, ran) {
            (None, ran) => whole = Some(ran?),
            (Some(whole), Ok(ran)) => whole.add(ran),
            // What the other guest gave stands.
            (Some(whole), Err(VmError::NoBoot { boots, .. })) => {
                whole.boots += boots.len();
                whole.breakdowns.extend(boots);
            }
            (Some(_), Err(error)) => return Err(error),
        }
        if go_on.is_break() {
            break;
        }
    }
    Ok(whole.expect("a selection has cases"))
}

/// Runs cases as planned on a kernel in a virtual machine and judges them;
/// `progress` is told of every run that is done. What went wrong on the way is
/// in the second part.
///
/// # Errors
///
/// An image that is none, a machine that cannot be started, a kernel that does
/// not come to its init.
pub fn run_suite<'c>(
    catalogue: &'c Catalogue,
    cases: &'c [Case<'c>],
    kernel: &Path,
    machine: Machine,
    cpus: Cpus,
    plan: Plan,
    mut progress: impl FnMut(),
) -> Result<(SuiteResult<'c>, GuestRun), VmError> {
    let mut collected = Collected::new(cases, plan);
    let jobs = collected.jobs();
    let guest = run_jobs(cases, &jobs, kernel, machine, cpus, |_, job, result| {
        collected.add(job, result);
        progress();
        ControlFlow::Continue(())
    })?;
    let missing = match guest.breakdowns.last() {
        Some(breakdown) => format!("it has no result: {}", breakdown.what),
        None => "the guest gave no result of it".to_owned(),
    };
    // Everything in a guest is root's.
    let result = collected.judge(catalogue, guest.kernel.clone(), 0, &missing);
    Ok((result, guest))
}

/// The jobs, by number, that go to guests with so many processors each.
fn groups(cases: &[Case<'_>], jobs: &[Job], cpus: Cpus) -> Vec<(u32, Vec<usize>)> {
    if let Cpus::Each(cpus) = cpus {
        return vec![(cpus, (0..jobs.len()).collect())];
    }
    let two: Vec<&str> = cases
        .iter()
        .filter(|case| case.scenario.needs_two_cpus())
        .map(|case| case.scenario.id.as_str())
        .collect();
    let (more, one): (Vec<usize>, Vec<usize>) =
        (0..jobs.len()).partition(|job| two.contains(&jobs[*job].id.as_str()));
    let mut groups = vec![(1, one), (2, more)];
    groups.retain(|(_, jobs)| !jobs.is_empty());
    groups
}

/// What a command in a guest says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said<'l> {
    /// A line on standard output.
    Line(&'l str),
    /// A line on standard error.
    Complaint(&'l str),
}

/// What came of a command in a guest.
#[derive(Clone, Debug)]
pub struct Commanded {
    /// The kernel, as it told itself.
    pub kernel: Kernel,
    /// The status with which the command ended.
    pub status: u8,
    /// What it found: files by name.
    pub files: Vec<(String, Vec<u8>)>,
    /// What went wrong on the way.
    pub breakdowns: Vec<Breakdown>,
}

/// Runs this executable with other arguments on a kernel in a virtual machine,
/// with `--output` for what it finds, and tells each line that it prints. A
/// guest that breaks down before the command begins is booted again.
///
/// # Errors
///
/// An image that is none, a machine that cannot be started, a kernel that does
/// not come to its init, and a guest that breaks down before the command has ended.
pub fn command(
    kernel: &Path,
    machine: Machine,
    words: Vec<String>,
    mut tell: impl FnMut(Said<'_>),
) -> Result<Commanded, VmError> {
    check_image(kernel)?;
    let request = Request::Command(words);
    let name = || kernel.display().to_string();
    let mut breakdowns: Vec<Breakdown> = Vec::new();
    for _ in 0..MOST_FRUITLESS {
        let mut guest = Booting::new(kernel, &this_executable(), machine, &request)?;
        let (mut status, mut files) = (None, Vec::new());
        let end = loop {
            match guest.next() {
                Ok(Message::Line(line)) => tell(Said::Line(&line)),
                Ok(Message::Complaint(line)) => tell(Said::Complaint(&line)),
                Ok(Message::File { name, bytes }) => files.push((name, bytes)),
                Ok(Message::Status(code)) => status = Some(code),
                Ok(_) => {}
                Err(end) => break end,
            }
        };
        let found = guest.end(&end, Vec::new(), &mut Times::default())?;
        breakdowns.extend(found.iter().cloned());
        match (guest.named, status, found.into_iter().next()) {
            (Some(kernel), Some(status), _) => {
                return Ok(Commanded { kernel, status, files, breakdowns });
            }
            (Some(_), None, Some(breakdown)) => {
                let breakdown = Box::new(breakdown);
                return Err(VmError::Broke { kernel: name(), breakdown });
            }
            _ => {}
        }
    }
    Err(VmError::NoBoot { kernel: name(), boots: breakdowns })
}
