//! Cases made up: programs, data, stacks of filters, responses, whole
//! scenarios.
//!
//! Each kind of case is described once, as its [`Arbitrary`]: any bytes are a
//! case ([`from_bytes`]), and no bytes are the simplest one. A seed and a
//! number give bytes ([`bytes_of`]), and so does proptest, or a fuzzer, which
//! need nothing else. What comes out is repaired where that is what makes it
//! interesting: a program until the kernel takes it, a scenario until all its
//! names stand for something.

mod cast;
mod data;
mod program;
mod rare;
mod reduce;
mod request;
mod scenario;
mod script;

use arbitrary::{Arbitrary, Unstructured};

pub use data::{Call, data_for};
pub use program::{Case, Onlooker, Stack};
pub use reduce::{repair, smaller};
pub use request::{Addfd, Id, Response};

/// Bytes of a case, unless somebody else says how many.
pub const CASE_BYTES: usize = 512;

/// The case that bytes stand for. Bytes that are missing are zeros.
pub fn from_bytes<T: for<'b> Arbitrary<'b>>(bytes: &[u8]) -> T {
    T::arbitrary(&mut Unstructured::new(bytes)).expect("no bytes are a case, too")
}

/// The bytes of the case of that number, of all that a seed stands for.
pub fn bytes_of(seed: u64, number: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut own = fastrand::Rng::with_seed(random.u64(..).wrapping_add(number));
    let mut bytes = vec![0; CASE_BYTES];
    own.fill(&mut bytes);
    bytes
}

/// Decisions that cannot fail: when the bytes are used up, the first of what
/// there is to choose from is taken.
trait Choose {
    /// One of these.
    fn one<T: Clone>(&mut self, of: &[T]) -> T;
    /// A number up to and with `most`.
    fn up_to(&mut self, most: usize) -> usize;
    /// Whether it comes to something that happens once in so many times;
    /// without bytes it does not.
    fn once_in(&mut self, times: u8) -> bool;
    /// One of these by weight.
    fn weighted<T: Clone>(&mut self, of: &[(u32, T)]) -> T;
}

impl Choose for Unstructured<'_> {
    fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.up_to(of.len() - 1)].clone()
    }

    fn up_to(&mut self, most: usize) -> usize {
        self.int_in_range(0..=most).unwrap_or(0)
    }

    fn once_in(&mut self, times: u8) -> bool {
        self.up_to(usize::from(times) - 1) == usize::from(times) - 1
    }

    fn weighted<T: Clone>(&mut self, of: &[(u32, T)]) -> T {
        let total: u32 = of.iter().map(|(weight, _)| weight).sum();
        let mut at = self.up_to(total.saturating_sub(1) as usize) as u32;
        for (weight, what) in of {
            match at.checked_sub(*weight) {
                None => return what.clone(),
                Some(rest) => at = rest,
            }
        }
        of[0].1.clone()
    }
}
