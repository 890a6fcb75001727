//! Numbers that a seed decides. Each part of a run draws from its own stream, so that a change of one leaves the others alone.

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng};

/// A stream of numbers.
#[derive(Clone, Debug)]
pub struct Rng(StdRng);

impl Rng {
    /// The stream of a part of a run.
    pub fn new(seed: u64, part: &str) -> Self {
        let mixed = part
            .bytes()
            .fold(seed ^ 0x9e37_79b9_7f4a_7c15, |sum, byte| {
                (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
        Self(StdRng::seed_from_u64(mixed))
    }

    /// A number below a bound, 0 for the bound 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 {
            return 0;
        }
        self.0.random_range(0..bound)
    }

    /// A number of a span, both ends included.
    pub fn within(&mut self, low: i64, high: i64) -> i64 {
        self.0.random_range(low..=high.max(low))
    }

    /// True so many times out of a thousand.
    pub fn permille(&mut self, share: u64) -> bool {
        share > 0 && self.below(1000) < share
    }

    /// True in half of all cases.
    pub fn coin(&mut self) -> bool {
        self.below(2) == 0
    }

    /// One of some; `None` of none.
    pub fn pick<'a, T>(&mut self, some: &'a [T]) -> Option<&'a T> {
        let count = u64::try_from(some.len()).unwrap_or(u64::MAX);
        some.get(usize::try_from(self.below(count)).unwrap_or(0))
    }
}
