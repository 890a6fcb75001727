//! The look back: whether the source still has what was published, and nothing between it.
//!
//! [`super::settle`] waits for records that are late by milliseconds. A source that stalls between its journal write and its
//! stream can be later than that, and the positions that follow do not show it. So what was given out is read once more when
//! it is some seconds old, and a position that was not given out is reported as late. A position that was given out and is
//! missing now, or holds another record, says that the source's history is another one.

use std::collections::BTreeMap;
use std::time::Duration;

use ccr_doris::{BinlogPage, RawBinlog};
use ccr_schemas::{CommitSeq, TableId, TimestampMs};

use super::fingerprint::Fingerprint;
use super::settle::Settled;

/// Positions remembered; with more the look back gets shorter.
const MAX_GIVEN: usize = 50_000;

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

/// A published record, as the log's end has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// Source time; zero for a record that was reported as late.
    pub at: TimestampMs,
    /// What identifies it; `None` when the log does not say.
    pub print: Option<Fingerprint>,
}

/// What the log's end says of positions that were published before this start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recent {
    /// Position before the first of them; up to here nothing is known.
    pub after: CommitSeq,
    /// Every published record above, and every record that was reported as late.
    pub published: BTreeMap<CommitSeq, Published>,
}

impl Recent {
    /// Nothing is known up to a position, and nothing was published above it.
    pub fn none(after: CommitSeq) -> Self {
        Self {
            after,
            published: BTreeMap::new(),
        }
    }
}

/// A position that was given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Given {
    /// When, by the monotonic clock.
    at: Duration,
    print: Option<Fingerprint>,
}

/// Positions given out lately, and the looking back over them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    rule: AuditRule,
    /// Up to here nothing is looked at any more.
    floor: CommitSeq,
    /// What was given out above the floor.
    given: BTreeMap<CommitSeq, Given>,
    due: Duration,
    look: Option<Look>,
}

/// What a page of a look back says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looked {
    /// Records that came too late, in order; each is reported once. Empty when something is missing or changed: what
    /// lies between belongs to another history then.
    pub late: Vec<Late>,
    /// The first published record that the source does not have any more.
    pub lost: Option<Lost>,
    /// Where the look goes on.
    pub next: Option<CommitSeq>,
}

/// A published record that the source does not show any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Its position.
    pub seq: CommitSeq,
    /// How it is lost.
    pub how: HowLost,
}

/// How a published record is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HowLost {
    /// The source shows what is around the position, but not the position. `table`: see [`Fingerprint::table`].
    Missing {
        /// A table whose own stream had the record.
        table: Option<TableId>,
    },
    /// The source has another record there.
    Changed,
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
        let horizon = recent.published.values().map(|record| record.at).max();
        for (seq, record) in &recent.published {
            let given = || Given {
                at: now,
                print: record.print,
            };
            audit.give(*seq, record.at, horizon.unwrap_or(TimestampMs(0)), given);
        }
        audit.due = now;
        audit
    }

    /// Notes what was given out. A record dated long before `horizon`, the newest source time known, belongs to a stream
    /// that catches up, and needs no second look.
    pub fn note(&mut self, settled: &[Settled], horizon: TimestampMs, now: Duration) {
        for item in settled {
            let given = || Given {
                at: now,
                print: Some(Fingerprint::of(&item.record)),
            };
            self.give(
                item.record.commit_seq,
                item.record.timestamp,
                horizon,
                given,
            );
        }
    }

    /// Remembers a position, unless its record is too old for a late one before it.
    fn give(
        &mut self,
        seq: CommitSeq,
        dated: TimestampMs,
        horizon: TimestampMs,
        given: impl FnOnce() -> Given,
    ) {
        let age = i64::try_from(self.rule.look_back.as_millis()).unwrap_or(i64::MAX);
        let is_old = dated.0.saturating_add(age) <= horizon.0;
        if self.given.is_empty() && (is_old || self.rule.look_back.is_zero()) {
            self.floor = self.floor.max(seq);
            return;
        }
        let given = given();
        if self.given.is_empty() {
            self.due = self.due.max(given.at + self.rule.look_back);
        }
        self.given.insert(seq, given);
        if self.given.len() > MAX_GIVEN
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

    /// Takes a page that was read after `after`. A page of fewer than `max` records reaches to the source's end.
    pub fn observe(&mut self, after: CommitSeq, page: &BinlogPage, max: usize) -> Looked {
        let mut looked = Looked {
            late: Vec::new(),
            lost: None,
            next: None,
        };
        let Some(look) = self.look.take() else {
            return looked;
        };
        let records = match page {
            BinlogPage::Records(records) => records.as_slice(),
            BinlogPage::CaughtUp => &[],
            // Nothing is said of any position.
            BinlogPage::NoStream => return looked,
            BinlogPage::TooOld { forgotten } => {
                self.skip_to(*forgotten);
                return looked;
            }
        };
        let is_full = !records.is_empty() && records.len() >= max;
        let edge = match records.last() {
            Some(last) if is_full => last.commit_seq.min(look.up_to),
            Some(_) | None => look.up_to,
        };
        looked.lost = self.lost(after, edge, records);
        if looked.lost.is_some() {
            return looked;
        }
        let mut before = after;
        for record in records {
            let seq = record.commit_seq;
            if seq > look.up_to {
                break;
            }
            if seq > self.floor && !self.given.contains_key(&seq) {
                looked.late.push(Late { after: before, seq });
                // Reported; it needs no look of its own.
                let reported = Given {
                    at: Duration::ZERO,
                    print: Some(Fingerprint::of(record)),
                };
                self.given.insert(seq, reported);
            }
            before = seq;
        }
        if is_full && before < look.up_to && before > after {
            self.look = Some(look);
            looked.next = Some(before);
            return looked;
        }
        // Old enough when the look began: it is their last one.
        let limit = look.started.saturating_sub(self.rule.look_back);
        while let Some(first) = self.given.first_entry() {
            if first.get().at > limit || *first.key() > look.up_to {
                break;
            }
            self.floor = *first.key();
            first.remove();
        }
        looked
    }

    /// The first position in `(after, edge]` that was given out and that `records`, everything the source has there, does
    /// not bear out.
    fn lost(&self, after: CommitSeq, edge: CommitSeq, records: &[RawBinlog]) -> Option<Lost> {
        let shown: BTreeMap<CommitSeq, &RawBinlog> = records
            .iter()
            .map(|record| (record.commit_seq, record))
            .collect();
        let from = CommitSeq(after.0.max(self.floor.0) + 1);
        if from > edge {
            return None;
        }
        self.given.range(from..=edge).find_map(|(seq, given)| {
            let how = match (shown.get(seq), given.print) {
                (None, print) => HowLost::Missing {
                    table: print.and_then(|print| print.table),
                },
                (Some(record), Some(print)) if !print.is_same(&Fingerprint::of(record)) => {
                    HowLost::Changed
                }
                (Some(_), Some(_) | None) => return None,
            };
            Some(Lost { seq: *seq, how })
        })
    }
}

#[cfg(test)]
#[path = "audit_test.rs"]
mod tests;
