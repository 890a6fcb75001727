//! What happens to the product, the clusters and the jobs while statements run. Pure: draws, and does nothing.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// What happens to a process of the product.
#[derive(Clone, Debug, PartialEq)]
pub enum Blow {
    /// SIGKILL, and a start at once.
    Kill,
    /// Stopped (SIGSTOP) for a while, then it goes on.
    Freeze(Duration),
}

/// What happens around it.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// A backend of the source is away for a while.
    SourceBackend(Duration),
    /// A backend of a destination is away for a while.
    DestinationBackend(Duration),
    /// The next calls of this name at a destination take effect, and their answers are lost.
    LostAnswers(&'static str),
    /// The next calls of this name at a destination fail.
    Refusals(&'static str),
    /// A job is paused for a while: afterwards it is behind.
    Pause(Duration),
    /// A job is deleted and created again.
    Recreate,
}

/// Calls of an applier that may lose their answer or fail.
const CALLS: [&str; 5] = [
    "beginTxn",
    "commitTxn",
    "ingest_binlog",
    "restoreSnapshot",
    "sql.alter",
];

/// Draws faults from a seed.
#[derive(Debug)]
pub struct Faults {
    rng: StdRng,
}

impl Faults {
    /// From a seed. Blows and faults go on at the same time and have a generator each, apart from that of the statements.
    pub fn new(seed: u64) -> Self {
        Self {
            rng: StdRng::seed_from_u64(seed ^ 0x00fa_0175),
        }
    }

    /// Time until the next blow, and the blow.
    pub fn blow(&mut self) -> (Duration, Blow) {
        let pause = self.millis(80, 900);
        let blow = match self.rng.random_range(0..10) {
            0..=8 => Blow::Kill,
            _ => Blow::Freeze(self.millis(200, 2000)),
        };
        (pause, blow)
    }

    /// Time until the next fault, and the fault.
    pub fn fault(&mut self) -> (Duration, Fault) {
        let pause = self.millis(100, 2000);
        let fault = match self.rng.random_range(0..18) {
            0..=2 => Fault::SourceBackend(self.millis(500, 4000)),
            3..=6 => Fault::DestinationBackend(self.millis(500, 6000)),
            7..=9 => Fault::LostAnswers(self.call()),
            10..=12 => Fault::Refusals(self.call()),
            13..=16 => Fault::Pause(self.millis(500, 4000)),
            _ => Fault::Recreate,
        };
        (pause, fault)
    }

    /// One of so many processes, jobs or backends.
    pub fn which(&mut self, of: usize) -> usize {
        self.rng.random_range(0..of)
    }

    fn call(&mut self) -> &'static str {
        CALLS[self.rng.random_range(0..CALLS.len())]
    }

    fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(self.rng.random_range(from..to))
    }
}
