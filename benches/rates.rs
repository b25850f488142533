//! Rates, and what they are meant to be. `cargo bench --bench rates`

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use unotify_lab::abi::{AUDIT_ARCH_X86_64, SeccompData};
use unotify_lab::bpf::{Program, assemble, evaluate};
use unotify_lab::explore::Plan;
use unotify_lab::live::Pool;
use unotify_lab::model::{Setting, agree, predict};
use unotify_lab::profile::Profile;
use unotify_lab::scenario::Schedule;
use unotify_lab::suite::Kernel;
use unotify_lab::trace::Trace;

/// How long each is measured.
const TIME: Duration = Duration::from_secs(5);
const SEED: u64 = 1;

fn main() {
    let profile = Kernel::running()
        .ok()
        .and_then(|kernel| kernel.upstream())
        .map_or_else(Profile::default, Profile::of);
    evaluation();
    judging(&profile);
    exploring(&profile);
}

/// One line: a rate, and how many times what is asked for it is.
fn tell(what: &str, rate: f64, asked: f64) {
    println!("{what:42} {rate:12.0}/s   {:6.2} of the {asked:.0}/s asked for", rate / asked);
}

/// How often something can be done in a second: the best of several rounds, as
/// others use the machine, too.
fn rate(mut round: impl FnMut() -> u64) -> f64 {
    let begin = Instant::now();
    let mut best: f64 = 0.0;
    while begin.elapsed() < TIME {
        let start = Instant::now();
        let done = round();
        best = best.max(done as f64 / start.elapsed().as_secs_f64());
    }
    best
}

fn evaluation() {
    let program = chain();
    let data =
        SeccompData { nr: 83, arch: AUDIT_ARCH_X86_64, instruction_pointer: 0, args: [0; 6] };
    assert_eq!(program.0.len(), 20);
    let rate = rate(|| {
        for _ in 0..1_000_000 {
            black_box(evaluate(black_box(&program.0), black_box(&data)));
        }
        1_000_000
    });
    tell(&format!("evaluations of {} instructions", program.0.len()), rate, 1e7);
}

/// Twenty instructions, all of which are executed.
fn chain() -> Program {
    let mut text = "ld [arch]\njeq #0xc000003e, n0, no\nn0: ld [nr]\n".to_owned();
    for at in 0..15 {
        text += &format!("jeq #{}, no, m{at}\nm{at}: ", 1000 + at);
    }
    text += "ret ALLOW\nno: ret ERRNO(1)\n";
    assemble(&text).expect("it is sound")
}

fn judging(profile: &Profile) {
    let plan = plan(profile);
    let cases: Vec<(Schedule, Trace)> = (0..2000)
        .filter_map(|number| {
            let schedule = plan.case(number).schedule().ok()?;
            let setting = Setting { schedule: &schedule, profile, root: plan.root };
            let (traces, cut) = predict(&setting);
            let trace = traces.into_iter().next().filter(|_| cut.is_none())?;
            Some((schedule, trace))
        })
        .collect();
    let rate = rate(|| {
        let mut steps = 0;
        for (schedule, trace) in &cases {
            let setting = Setting { schedule, profile, root: plan.root };
            black_box(agree(&setting, black_box(trace)));
            steps += schedule.acts.iter().filter(|act| !act.setup).count() as u64;
        }
        steps
    });
    tell("steps judged by the model", rate, 5e4);
}

fn exploring(profile: &Profile) {
    let executable = Path::new(env!("CARGO_BIN_EXE_unotify-lab"));
    let jobs = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let pool = Pool::new(jobs, Some(executable)).expect("workers can be had");
    let mut plan = plan(profile);
    let mut next = 0;
    let rate = rate(|| {
        (plan.first, plan.cases) = (next, Some(500));
        next += 500;
        let report = plan.explore(&pool, |_| {}).expect("workers can be started");
        report.statistics.cases
    });
    tell(&format!("scenarios explored, {jobs} workers"), rate, 300.0);
}

fn plan(profile: &Profile) -> Plan {
    Plan {
        seed: SEED,
        first: 0,
        most_found: 8,
        cases: None,
        time: None,
        profile: profile.clone(),
        root: nix::unistd::getuid().is_root(),
    }
}
