//! The binlog stream of a database: sparse positions, records that become visible late, and a head that moves.

use std::collections::BTreeMap;

use ccr_doris::{BinlogLag, BinlogPage, RawBinlog};
use ccr_schemas::{CommitSeq, TimestampMs};

/// A record and the moment from which readers see it.
#[derive(Clone, Debug)]
struct Stored {
    record: RawBinlog,
    visible_at: i64,
}

/// A stream.
#[derive(Clone, Debug)]
pub struct Stream {
    records: BTreeMap<i64, Stored>,
    /// Position of the DUMMY: the newest that is no longer available.
    forgotten: i64,
    exists: bool,
    /// Dropped partitions, tables and indexes with the positions of their drops.
    pub dropped_partitions: BTreeMap<i64, i64>,
    /// See `dropped_partitions`.
    pub dropped_tables: BTreeMap<i64, i64>,
    /// See `dropped_partitions`.
    pub dropped_indexes: BTreeMap<i64, i64>,
}

impl Default for Stream {
    fn default() -> Self {
        Self {
            records: BTreeMap::new(),
            forgotten: -1,
            exists: false,
            dropped_partitions: BTreeMap::new(),
            dropped_tables: BTreeMap::new(),
            dropped_indexes: BTreeMap::new(),
        }
    }
}

impl Stream {
    /// Adds a record.
    pub fn add(&mut self, record: RawBinlog, visible_at: i64) {
        self.exists = true;
        let seq = record.commit_seq.0;
        // A second record of one position is lost, as in Doris.
        self.records
            .entry(seq)
            .or_insert(Stored { record, visible_at });
    }

    /// Answers getBinlog.
    pub fn page(&self, after: CommitSeq, max: usize, now: i64) -> BinlogPage {
        if !self.exists {
            return BinlogPage::NoStream;
        }
        if after.0 < self.forgotten {
            return BinlogPage::TooOld {
                forgotten: CommitSeq(self.forgotten),
            };
        }
        let records: Vec<RawBinlog> = self
            .visible(after.0, now)
            .take(max.clamp(1, 255))
            .map(|stored| stored.record.clone())
            .collect();
        if records.is_empty() {
            BinlogPage::CaughtUp
        } else {
            BinlogPage::Records(records)
        }
    }

    fn visible(&self, after: i64, now: i64) -> impl DoubleEndedIterator<Item = &Stored> {
        let from = after.saturating_add(1);
        self.records
            .range(from..)
            .map(|(_, stored)| stored)
            .filter(move |stored| stored.visible_at <= now)
    }

    /// Answers getBinlogLag.
    pub fn lag(&self, after: CommitSeq, now: i64) -> Option<BinlogLag> {
        if !self.exists {
            return None;
        }
        let last = self.visible(-1, now).next_back();
        let next = self.visible(after.0, now).next();
        let at = |stored: &Stored| stored.record.timestamp;
        let seq = |stored: &Stored| stored.record.commit_seq;
        let behind = self.visible(after.0, now).count();
        Some(BinlogLag {
            lag: i64::try_from(behind).unwrap_or(i64::MAX),
            first: Some(CommitSeq(self.forgotten)),
            last: Some(last.map_or(CommitSeq(self.forgotten), seq)),
            next: next.map(seq),
            first_at: Some(TimestampMs(0)),
            last_at: last.map(at),
            next_at: next.map(at),
        })
    }

    /// Forgets everything up to a position, and returns what was forgotten.
    pub fn forget(&mut self, upto: i64) -> Vec<RawBinlog> {
        let kept = self.records.split_off(&(upto + 1));
        let gone = std::mem::replace(&mut self.records, kept);
        if upto > self.forgotten {
            self.forgotten = upto;
        }
        for map in [
            &mut self.dropped_partitions,
            &mut self.dropped_tables,
            &mut self.dropped_indexes,
        ] {
            map.retain(|_, at| *at > upto);
        }
        gone.into_values().map(|stored| stored.record).collect()
    }

    /// Newest position, visible or not.
    pub fn newest(&self) -> i64 {
        self.records
            .last_key_value()
            .map_or(self.forgotten, |(seq, _)| *seq)
    }

    /// The moment from which every record is visible.
    pub fn all_visible_at(&self) -> i64 {
        self.records
            .values()
            .map(|stored| stored.visible_at)
            .max()
            .unwrap_or(0)
    }
}
