//! What calls cost under filters and with a supervisor, in times of a bare
//! one, as the JSON that `report --costs` draws: `cargo bench --bench cost`.

use std::os::fd::OwnedFd;
use std::sync::{Barrier, mpsc};
use std::time::{Duration, Instant};

use nix::sys::prctl::set_no_new_privs;
use nix::unistd::getppid;
use unotify_lab::abi::{
    Installed, Listener, SYNC_WAKE_UP, SeccompNotifResp, SockFilter, install_filter,
};
use unotify_lab::bpf::assemble;
use unotify_lab::report::cost::{COST_FORMAT, Chart, Costs, Curve, Point};
use unotify_lab::suite::Kernel;

/// The shortest of so many counts, as others use the machine, too.
const ROUNDS: usize = 30;
const CALLS: u32 = 20_000;
/// Those that wait for a supervisor.
const NOTIFIED: u32 = 2_000;

fn main() {
    let kernel = Kernel::running().expect("the kernel tells its name");
    let release = kernel.upstream().map_or(kernel.release.clone(), |release| release.to_string());
    let costs = Costs {
        format: COST_FORMAT,
        kernel: format!("Linux {release} {}", kernel.machine),
        processors: std::thread::available_parallelism().map_or(1, usize::from),
        bare: "getppid()".to_owned(),
        charts: vec![lengths(), depths(), round_trips()],
    };
    println!("{}", serde_json::to_string_pretty(&costs).expect("costs are plain data"));
}

/// Filters that allow the call, by its number alone or having looked at an
/// argument: of the first the kernel knows the answer when they are installed.
const LOOKS: [(&str, &str); 2] =
    [("the number alone is looked at", "nr"), ("an argument is looked at, too", "args[0]")];

fn lengths() -> Chart {
    Chart {
        title: "A call that one filter allows, by the filter's length".to_owned(),
        across: "instructions that are executed".to_owned(),
        curves: curves(&[4, 16, 64, 256, 1024, 4096], |look, length| vec![filter(look, length)]),
    }
}

fn depths() -> Chart {
    Chart {
        title: "A call that all filters allow, by how many there are".to_owned(),
        across: "filters of four instructions".to_owned(),
        curves: curves(&[1, 2, 4, 8, 16, 32, 64], |look, depth| {
            (0..depth).map(|_| filter(look, 4)).collect()
        }),
    }
}

fn curves(at: &[u32], filters: impl Fn(&str, u32) -> Vec<Vec<SockFilter>>) -> Vec<Curve> {
    let curve = |(name, look): (&str, &str)| Curve {
        name: name.to_owned(),
        points: at
            .iter()
            .map(|at| ratio(*at, || filtered(&filters(look, *at)), || filtered(&[])))
            .collect(),
    };
    LOOKS.map(curve).into()
}

fn round_trips() -> Chart {
    let curve = |(name, flags): (&str, u64)| Curve {
        name: name.to_owned(),
        points: [1, 2, 4, 8]
            .into_iter()
            .map(|at| ratio(at, || notified(at, flags), || filtered(&[])))
            .collect(),
    };
    let ways = [("as it is", 0), ("with SYNC_WAKE_UP", SYNC_WAKE_UP)];
    Chart {
        title: "A call that a supervisor answers, by how many threads call".to_owned(),
        across: "threads that call at the same time".to_owned(),
        curves: ways.map(curve).into(),
    }
}

/// Both are measured close to each other.
fn ratio(at: u32, cost: impl Fn() -> Duration, bare: impl Fn() -> Duration) -> Point {
    let bare = bare();
    let times = cost().as_secs_f64() / bare.as_secs_f64();
    Point { at, times: (times * 100.0).round() / 100.0 }
}

fn filter(look: &str, length: u32) -> Vec<SockFilter> {
    // These change nothing, and are all executed.
    let rest = "and #0xffffffff\n".repeat(length as usize - 2);
    assemble(&format!("ld [{look}]\n{rest}ret ALLOW\n")).expect("it is sound").0
}

fn shortest(mut count: impl FnMut() -> Duration) -> Duration {
    (0..ROUNDS).map(|_| count()).min().expect("there are rounds")
}

/// A call under these filters, which end with their thread.
fn filtered(filters: &[Vec<SockFilter>]) -> Duration {
    let measure = || {
        for filter in filters {
            install(filter, 0);
        }
        shortest(|| {
            let start = Instant::now();
            for _ in 0..CALLS {
                getppid();
            }
            start.elapsed()
        }) / CALLS
    };
    std::thread::scope(|scope| scope.spawn(measure).join().expect("it ends"))
}

/// A call that a supervisor answers, when so many threads make it.
fn notified(threads: u32, flags: u64) -> Duration {
    let filter =
        assemble("ld [nr]\njeq #SYS_getppid, ask, no\nask: ret USER_NOTIF\nno: ret ALLOW\n")
            .expect("it is sound");
    let (sender, listener) = mpsc::channel();
    std::thread::scope(|scope| {
        let calling = scope.spawn(move || {
            sender
                .send(listener_of(install(&filter.0, libc::SECCOMP_FILTER_FLAG_NEW_LISTENER)))
                .expect("it is taken");
            shortest(|| calls(threads)) / (threads * NOTIFIED)
        });
        let listener = Listener::new(listener.recv().expect("one is sent")).expect("it is one");
        if flags != 0 {
            listener.set_flags(flags).expect("the kernel knows them since 6.6");
        }
        for _ in 0..threads as usize * NOTIFIED as usize * ROUNDS {
            let id = listener.recv().expect("somebody calls").id;
            let answer = SeccompNotifResp { id, val: 7, ..SeccompNotifResp::default() };
            listener.send(&answer).expect("nothing interrupts the call");
        }
        calling.join().expect("it ends")
    })
}

/// How long these threads take for all their calls.
fn calls(threads: u32) -> Duration {
    let begin = Barrier::new(threads as usize + 1);
    std::thread::scope(|scope| {
        let begin = &begin;
        for _ in 0..threads {
            scope.spawn(move || {
                begin.wait();
                for _ in 0..NOTIFIED {
                    assert_eq!(getppid().as_raw(), 7);
                }
            });
        }
        begin.wait();
        Instant::now()
    })
    .elapsed()
}

fn install(filter: &[SockFilter], flags: u64) -> Installed {
    set_no_new_privs().expect("it can always be set");
    install_filter(filter, flags).expect("the kernel takes it")
}

fn listener_of(installed: Installed) -> OwnedFd {
    match installed {
        Installed::Listener(listener) => listener,
        other => panic!("no listener but {other:?}"),
    }
}
