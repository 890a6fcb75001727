//! What happened in a run: a digest of all of it, its last lines, and counts of what was reached.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;

/// Lines kept for the report of a failure.
const KEPT: usize = 6000;

/// The record of a run.
#[derive(Debug)]
pub struct Trace {
    digest: u64,
    lines: VecDeque<String>,
    count: u64,
    reached: BTreeMap<String, u64>,
    prints: bool,
}

impl Trace {
    /// An empty record; `prints` shows each line at once.
    pub fn new(prints: bool) -> Self {
        Self {
            digest: 0xcbf2_9ce4_8422_2325,
            lines: VecDeque::new(),
            count: 0,
            reached: BTreeMap::new(),
            prints,
        }
    }

    /// Notes a line of an actor at a moment (milliseconds since the start of the run).
    pub fn note(&mut self, at_ms: i64, actor: &str, what: std::fmt::Arguments<'_>) {
        let mut line = if self.lines.len() >= KEPT {
            self.lines.pop_front().unwrap_or_default()
        } else {
            String::new()
        };
        line.clear();
        // Writing into a String can not fail.
        let _ = write!(line, "{at_ms:>7} {actor:<12} {what}");
        for byte in line.bytes() {
            self.digest = (self.digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        if self.prints {
            println!("{line}");
        }
        self.count += 1;
        self.lines.push_back(line);
    }

    /// Counts that a point was reached.
    pub fn reach(&mut self, point: &str) {
        if let Some(count) = self.reached.get_mut(point) {
            *count += 1;
        } else {
            self.reached.insert(point.to_owned(), 1);
        }
    }

    /// Sum over everything that was noted: two runs with the same digest did the same.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// Number of lines noted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// What was reached, and how often.
    pub fn reached(&self) -> &BTreeMap<String, u64> {
        &self.reached
    }

    /// The last lines.
    pub fn tail(&self, lines: usize) -> Vec<String> {
        let skipped = self.lines.len().saturating_sub(lines);
        self.lines.iter().skip(skipped).cloned().collect()
    }
}
