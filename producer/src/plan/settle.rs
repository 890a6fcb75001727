//! When a record may be published: a source can show position N+1 shortly before N.
//!
//! Doris adds a record to the in-memory stream after its journal write returned, so two neighbours may become visible in the
//! wrong order. Nothing is published before it has been visible for the settle time and the window below it was read once
//! more after that. A record that the source itself dates long before the newest one needs no second look.

use std::collections::BTreeMap;
use std::time::Duration;

use ccr_doris::RawBinlog;
use ccr_schemas::{CommitSeq, TimestampMs};

use super::state::Moment;

/// Bounds of the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SettleRule {
    /// How long a record must have been visible.
    pub settle: Duration,
    /// A record dated this much before the newest one known when the reading began has settled long ago. Covers the
    /// settle time plus the time between a record's date and its appearance in the stream.
    pub catch_up_margin: Duration,
}

/// A reading of the window, from its lower end upwards, page by page. What a page shows was visible, at the latest, when it
/// was asked for; what a *pass* proves about late records is as old as its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass {
    /// When the first page was asked for, by our monotonic clock.
    pub started: Duration,
    /// Newest source timestamp known at that moment.
    pub horizon: TimestampMs,
}

/// A record that may be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The record.
    pub record: RawBinlog,
    /// When it was first seen, milliseconds since the epoch by our clock.
    pub seen_at: TimestampMs,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Waiting {
    record: RawBinlog,
    seen: Moment,
}

/// Records that were seen and may not be published yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settle {
    rule: SettleRule,
    released: CommitSeq,
    waiting: BTreeMap<CommitSeq, Waiting>,
    newest_at: TimestampMs,
}

impl Settle {
    /// Starts after `released`, the last position that is published.
    pub fn new(rule: SettleRule, released: CommitSeq) -> Self {
        Self {
            rule,
            released,
            waiting: BTreeMap::new(),
            newest_at: TimestampMs(0),
        }
    }

    /// Last position given out. A pass starts here.
    pub fn released(&self) -> CommitSeq {
        self.released
    }

    /// Newest position seen.
    pub fn newest(&self) -> CommitSeq {
        self.waiting
            .last_key_value()
            .map_or(self.released, |(seq, _)| *seq)
    }

    /// Records that wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Notes a source timestamp, for instance the one of its newest record.
    pub fn know(&mut self, at: TimestampMs) {
        self.newest_at = self.newest_at.max(at);
    }

    /// Begins a pass.
    pub fn begin(&self, now: Duration) -> Pass {
        Pass {
            started: now,
            horizon: self.newest_at,
        }
    }

    /// Takes a page of a pass, read after `after`, and gives out what has settled, in order. The last position of the page
    /// is its edge: nothing above it was looked at in this pass. What waits below the edge and is not in the page, or is
    /// another record there, was taken back by the source; it was not given out, so nothing is lost.
    pub fn observe(
        &mut self,
        pass: &Pass,
        at: Moment,
        after: CommitSeq,
        page: Vec<RawBinlog>,
    ) -> Vec<Settled> {
        let Some(edge) = page.last().map(|record| record.commit_seq) else {
            return Vec::new();
        };
        let mut shown = BTreeMap::new();
        for record in page {
            self.newest_at = self.newest_at.max(record.timestamp);
            if record.commit_seq <= self.released {
                continue;
            }
            let seen = match self.waiting.remove(&record.commit_seq) {
                Some(known) if known.record == record => known.seen,
                Some(_) | None => at,
            };
            shown.insert(record.commit_seq, Waiting { record, seen });
        }
        self.waiting.retain(|seq, _| *seq <= after || *seq > edge);
        self.waiting.append(&mut shown);
        let mut out = Vec::new();
        while let Some(first) = self.waiting.first_entry() {
            if *first.key() > edge || !self.rule.settled(pass, first.get()) {
                break;
            }
            let Waiting { record, seen } = first.remove();
            self.released = record.commit_seq;
            out.push(Settled {
                record,
                seen_at: seen.wall,
            });
        }
        out
    }

    /// Forgets what waits above a position: the source has nothing there any more.
    pub fn retract(&mut self, after: CommitSeq) {
        self.waiting.split_off(&CommitSeq(after.0 + 1));
    }

    /// Moves on after history was lost up to a position; what waited below it is covered by the gap.
    pub fn skip_to(&mut self, position: CommitSeq) {
        self.waiting = self.waiting.split_off(&CommitSeq(position.0 + 1));
        self.released = self.released.max(position);
    }
}

impl SettleRule {
    fn settled(&self, pass: &Pass, waiting: &Waiting) -> bool {
        let margin = i64::try_from(self.catch_up_margin.as_millis()).unwrap_or(i64::MAX);
        let seen_long_ago = waiting.seen.monotonic + self.settle <= pass.started;
        let dated_long_ago = waiting.record.timestamp.0.saturating_add(margin) <= pass.horizon.0;
        seen_long_ago || dated_long_ago
    }
}

#[cfg(test)]
#[path = "settle_test.rs"]
mod tests;
