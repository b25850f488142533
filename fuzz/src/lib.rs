//! What all targets have in common: they call an oracle of the library, and
//! count what it came to as coverage.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU8, Ordering};

pub use libfuzzer_sys;
pub use unotify_lab::fuzz::{Oracle, Target};

/// How many kinds of outcome can be told apart.
const KINDS: usize = 1 << 13;

/// libFuzzer takes every byte that goes up for new coverage, and clears all
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

/// Runs a case; a divergence ends the process, and libFuzzer keeps the bytes.
pub fn run(target: Target, bytes: &[u8]) {
    ORACLE.with_borrow_mut(|oracle| {
        let oracle = oracle.get_or_insert_with(|| {
            target.start(None).unwrap_or_else(|why| panic!("cannot start: {why}"))
        });
        let result = oracle.check(bytes, &mut |kind| {
            COUNTERS[kind as usize % KINDS].fetch_add(1, Ordering::Relaxed);
        });
        if let Err(divergence) = result {
            panic!("{divergence}");
        }
    });
}

/// The whole of a target.
#[macro_export]
macro_rules! target {
    ($target:ident) => {
        $crate::libfuzzer_sys::fuzz_target!(
            init: $crate::begin(),
            |bytes: &[u8]| $crate::run($crate::Target::$target, bytes)
        );
    };
}
