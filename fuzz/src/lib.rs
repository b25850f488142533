//! What all targets have in common: they call an oracle of the library, and
//! count what it came to as coverage.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU8, Ordering};

pub use libfuzzer_sys;
pub use unotify_lab::fuzz::{Oracle, Target, Trouble};
pub use unotify_lab::profile::Release;

/// How many kinds of outcome can be told apart.
const KINDS: usize = 1 << 13;

/// libFuzzer takes every byte that is not zero for coverage, and clears all
/// before each case.
// SAFETY: libFuzzer declares the section as plain bytes.
#[unsafe(link_section = "__libfuzzer_extra_counters")]
static COUNTERS: [AtomicU8; KINDS] = [const { AtomicU8::new(0) }; KINDS];

thread_local! {
    static ORACLE: RefCell<Option<Box<dyn Oracle>>> = const { RefCell::new(None) };
}

/// Before libFuzzer does anything: a target started as a worker becomes one.
pub fn begin() {
    let typed: Vec<String> = std::env::args().collect();
    if let Some(code) = unotify_lab::live::hidden_main(&typed) {
        std::process::exit(i32::from(code != std::process::ExitCode::SUCCESS) * 3);
    }
}

/// Runs a case. A divergence ends the process, and libFuzzer keeps the bytes.
pub fn run(target: Target, bytes: &[u8]) {
    ORACLE.with_borrow_mut(|oracle| {
        let oracle = oracle.get_or_insert_with(|| {
            target.start(None, release()).unwrap_or_else(|trouble| give_up(&trouble))
        });
        let result = oracle.check(bytes, &mut |kind| {
            // How often it came says nothing.
            COUNTERS[kind as usize % KINDS].store(1, Ordering::Relaxed);
        });
        match result {
            Ok(None) => {}
            Ok(Some(divergence)) => panic!("{divergence}"),
            Err(trouble) => give_up(&trouble),
        }
    });
}

/// The release by whose facts is judged, instead of the running one's: a wrong
/// one shows what a divergence looks like.
fn release() -> Option<Release> {
    let typed = std::env::var("PROFILE").ok()?;
    Some(typed.parse().unwrap_or_else(|_| give_up(&Trouble(format!("PROFILE={typed}")))))
}

/// Trouble of the harness is no finding: libFuzzer must not keep the bytes, so
/// the process ends without telling it.
fn give_up(trouble: &Trouble) -> ! {
    eprintln!("the harness could not do its work: {trouble}");
    // SAFETY: the process ends here.
    unsafe { libc::_exit(3) }
}

/// Changes bytes that a case is made of: libFuzzer's way, or now and then all of
/// them. What it changes little by little begins as something that has much to
/// it, and not as the simplest case with a byte added.
pub fn mutate(bytes: &mut [u8], size: usize, most: usize, seed: u32) -> usize {
    let mut random = fastrand::Rng::with_seed(seed.into());
    if random.u8(..) >= 32 {
        return libfuzzer_sys::fuzzer_mutate(bytes, size, most);
    }
    let size = random.usize(..=most);
    random.fill(&mut bytes[..size]);
    size
}

/// The whole of a target: one whose cases are made of bytes, or, with `text`,
/// one that reads them.
#[macro_export]
macro_rules! target {
    ($target:ident) => {
        $crate::target!($target, text);
        $crate::libfuzzer_sys::fuzz_mutator!(
            |bytes: &mut [u8], size: usize, most: usize, seed: u32| {
                $crate::mutate(bytes, size, most, seed)
            }
        );
    };
    ($target:ident, text) => {
        $crate::libfuzzer_sys::fuzz_target!(
            init: $crate::begin(),
            |bytes: &[u8]| $crate::run($crate::Target::$target, bytes)
        );
    };
}
