//! The look back: whether the source showed a record only after later ones had been published.
//!
//! [`super::settle`] waits for records that are late by milliseconds. A source that stalls between its journal write and its
//! stream can be later than that, and nothing then tells: the positions go on. So what was given out is read once more when
//! it is some seconds old, and a position that was not given out is told by name.

use std::collections::BTreeMap;
use std::time::Duration;

use ccr_doris::BinlogPage;
use ccr_schemas::{CommitSeq, TimestampMs};

use super::settle::Settled;

/// Positions remembered; with more the look back gets shorter.
const MOST: usize = 50_000;

/// When published positions are looked at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditRule {
    /// Age at which a position is looked at once more; between this and twice this. Zero: never.
    pub look_back: Duration,
}

/// A record that came too late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Late {
    /// The position before it, as the source shows them now.
    pub after: CommitSeq,
    /// Its position.
    pub seq: CommitSeq,
}

/// A look back in progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Look {
    started: Duration,
    up_to: CommitSeq,
}

/// What the log's end says of positions that were published before this start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recent {
    /// Position before the first of them; up to here nothing is known.
    pub after: CommitSeq,
    /// Position and source time of each published record above, and of records that were told to be late (without a time).
    pub published: BTreeMap<CommitSeq, TimestampMs>,
}

impl Recent {
    /// Nothing is known up to a position, and nothing stands above it.
    pub fn none(after: CommitSeq) -> Self {
        Self {
            after,
            published: BTreeMap::new(),
        }
    }
}

/// Positions given out lately, and the looking back over them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    rule: AuditRule,
    /// Up to here nothing is looked at any more.
    floor: CommitSeq,
    /// When each position above the floor was given out.
    given: BTreeMap<CommitSeq, Duration>,
    due: Duration,
    look: Option<Look>,
}

/// What a page of a look back says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looked {
    /// Records that came too late, in order; each is told once.
    pub late: Vec<Late>,
    /// Where the look goes on.
    pub next: Option<CommitSeq>,
}

impl Audit {
    /// Looks at what is given out after `released`.
    pub fn new(rule: AuditRule, released: CommitSeq) -> Self {
        Self {
            rule,
            floor: released,
            given: BTreeMap::new(),
            due: Duration::ZERO,
            look: None,
        }
    }

    /// Goes on where an earlier start of the stream ended: what it published lately is looked at at once, and once more later.
    pub fn resume(rule: AuditRule, recent: &Recent, now: Duration) -> Self {
        let mut audit = Self::new(rule, recent.after);
        let horizon = recent.published.values().max().copied();
        for (seq, at) in &recent.published {
            audit.give(*seq, *at, horizon.unwrap_or(TimestampMs(0)), now);
        }
        audit.due = now;
        audit
    }

    /// Notes what was given out. A record dated long before `horizon`, the newest source time known, belongs to a stream
    /// that catches up, and needs no second look.
    pub fn note(&mut self, settled: &[Settled], horizon: TimestampMs, now: Duration) {
        for item in settled {
            self.give(item.record.commit_seq, item.record.timestamp, horizon, now);
        }
    }

    fn give(&mut self, seq: CommitSeq, dated: TimestampMs, horizon: TimestampMs, now: Duration) {
        let age = i64::try_from(self.rule.look_back.as_millis()).unwrap_or(i64::MAX);
        let is_old = dated.0.saturating_add(age) <= horizon.0;
        if self.given.is_empty() && (is_old || self.rule.look_back.is_zero()) {
            self.floor = self.floor.max(seq);
            return;
        }
        if self.given.is_empty() {
            self.due = self.due.max(now + self.rule.look_back);
        }
        self.given.insert(seq, now);
        if self.given.len() > MOST
            && let Some((oldest, _)) = self.given.pop_first()
        {
            self.floor = oldest;
        }
    }

    /// Forgets everything up to a position that the source does not have any more.
    pub fn skip_to(&mut self, position: CommitSeq) {
        self.floor = self.floor.max(position);
        self.given = self.given.split_off(&CommitSeq(position.0 + 1));
        self.look = None;
    }

    /// Begins a look back when it is time for one: the position to read after.
    pub fn begin(&mut self, now: Duration) -> Option<CommitSeq> {
        let (newest, _) = self.given.last_key_value()?;
        if self.look.is_some() || now < self.due {
            return None;
        }
        self.look = Some(Look {
            started: now,
            up_to: *newest,
        });
        self.due = now + self.rule.look_back;
        Some(self.floor)
    }

    /// Takes a page that was read after `after`.
    pub fn observe(&mut self, after: CommitSeq, page: &BinlogPage, most: usize) -> Looked {
        let mut looked = Looked {
            late: Vec::new(),
            next: None,
        };
        let Some(look) = self.look.take() else {
            return looked;
        };
        let records = match page {
            BinlogPage::Records(records) => records.as_slice(),
            BinlogPage::CaughtUp | BinlogPage::NoStream => &[],
            BinlogPage::TooOld { forgotten } => {
                self.skip_to(*forgotten);
                return looked;
            }
        };
        let mut before = after;
        for seq in records.iter().map(|record| record.commit_seq) {
            if seq > look.up_to {
                break;
            }
            if seq > self.floor && !self.given.contains_key(&seq) {
                looked.late.push(Late { after: before, seq });
                // Told; it needs no look of its own.
                self.given.insert(seq, Duration::ZERO);
            }
            before = seq;
        }
        let is_full = records.len() >= most;
        if is_full && before < look.up_to && before > after {
            self.look = Some(look);
            looked.next = Some(before);
            return looked;
        }
        // Old enough when the look began: it is their last one.
        let limit = look.started.saturating_sub(self.rule.look_back);
        while let Some(first) = self.given.first_entry() {
            if *first.get() > limit || *first.key() > look.up_to {
                break;
            }
            self.floor = *first.key();
            first.remove();
        }
        looked
    }
}

#[cfg(test)]
#[path = "audit_test.rs"]
mod tests;
