//! Binlog streams: one per database and one per table, ordered by journal id, headed by a DUMMY.
//!
//! Pure data and decisions; time comes in as a number. Answers follow the decision tables read in Doris master, January 2026.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::api::{Binlog, BinlogLag, BinlogReply};
use dorisim_model::Tracked;

/// Number of the DUMMY's type.
const DUMMY: i32 = 7;
/// Numbers of the two types that live in the database's stream only.
const CREATE_TABLE: i32 = 2;
const DROP_TABLE: i32 = 4;
/// The first number that stands for "a type of a later version".
const MIN_UNKNOWN: i32 = 27;

/// A record and the time from which readers see it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) record: Arc<Binlog>,
    visible_from_ms: i64,
}

/// One stream.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Stream {
    dummy: Arc<Binlog>,
    pub(crate) records: Tracked<i64, Entry>,
    bytes: i64,
    /// Live in memory only, as in Doris.
    #[serde(skip)]
    locks: HashMap<String, i64>,
}

/// Answer of lockBinlog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Locked {
    /// The position held now.
    At(i64),
    /// Asked for a position after the newest record.
    TooNew,
}

fn size_of(record: &Binlog) -> i64 {
    let data = record.data.as_ref().map_or(0, String::len);
    i64::try_from(80 + 8 * record.table_ids.len() + data).unwrap_or(i64::MAX)
}

impl Stream {
    /// An empty stream: a DUMMY at -1.
    #[must_use]
    pub fn new(db_id: i64, belong: i64, now_ms: i64) -> Self {
        Self {
            dummy: Arc::new(dummy(db_id, belong, -1, now_ms)),
            records: Tracked::new(),
            bytes: 0,
            locks: HashMap::new(),
        }
    }

    /// Adds a record. A second one with the same commit seq is lost, as in Doris.
    pub fn add(&mut self, record: Arc<Binlog>, visible_from_ms: i64) {
        if record.commit_seq <= self.dummy.commit_seq
            || self.records.contains_key(&record.commit_seq)
        {
            return;
        }
        self.bytes = self.bytes.saturating_add(size_of(&record));
        self.records.insert(
            record.commit_seq,
            Entry {
                record,
                visible_from_ms,
            },
        );
    }

    fn visible_after(&self, prev: i64, now_ms: i64) -> impl Iterator<Item = &Arc<Binlog>> {
        self.records
            .range((Bound::Excluded(prev), Bound::Unbounded))
            .filter(move |(_, e)| e.visible_from_ms <= now_ms)
            .map(|(_, e)| &e.record)
    }

    /// getBinlog from here on.
    #[must_use]
    pub fn read(&self, prev: i64, num: i64, now_ms: i64) -> BinlogReply {
        if prev < self.dummy.commit_seq {
            return BinlogReply::TooOld(Arc::clone(&self.dummy));
        }
        let num = usize::try_from(num.clamp(1, 255)).unwrap_or(1);
        let records: Vec<_> = self
            .visible_after(prev, now_ms)
            .take(num)
            .cloned()
            .collect();
        if records.is_empty() {
            BinlogReply::TooNew
        } else {
            BinlogReply::Records(records)
        }
    }

    /// getBinlogLag.
    #[must_use]
    pub fn lag(&self, prev: i64, now_ms: i64) -> BinlogLag {
        let last = self
            .visible_after(i64::MIN, now_ms)
            .last()
            .unwrap_or(&self.dummy);
        let mut lag = BinlogLag {
            first_commit_seq: self.dummy.commit_seq,
            first_timestamp: self.dummy.timestamp,
            last_commit_seq: last.commit_seq,
            last_timestamp: last.timestamp,
            ..BinlogLag::default()
        };
        let too_old = prev < self.dummy.commit_seq;
        let count = self
            .visible_after(if too_old { i64::MIN } else { prev }, now_ms)
            .count();
        lag.lag = i64::try_from(count).unwrap_or(i64::MAX) + i64::from(too_old);
        let next = if too_old {
            Some(&self.dummy)
        } else {
            self.visible_after(prev, now_ms).next()
        };
        if let Some(next) = next {
            lag.next_commit_seq = next.commit_seq;
            lag.next_timestamp = next.timestamp;
        }
        lag
    }

    /// lockBinlog.
    pub fn lock(&mut self, job: &str, seq: Option<i64>) -> Locked {
        let first = self.dummy.commit_seq;
        let last = self.records.keys().next_back().copied().unwrap_or(first);
        let wanted = match seq {
            None => last,
            Some(seq) if seq < 0 => last,
            Some(seq) if seq > last => return Locked::TooNew,
            Some(seq) => seq.max(first),
        };
        let held = self.locks.entry(job.to_owned()).or_insert(wanted);
        *held = (*held).max(wanted);
        Locked::At(*held)
    }

    /// The head alone, without records and locks.
    fn only_dummy(&self) -> Self {
        Self {
            dummy: Arc::clone(&self.dummy),
            records: Tracked::new(),
            bytes: 0,
            locks: HashMap::new(),
        }
    }

    fn min_lock(&self) -> Option<i64> {
        self.locks.values().min().copied()
    }

    /// Removes everything up to `seq`, moves the DUMMY there and returns what was removed, oldest first.
    pub fn drop_up_to(&mut self, seq: i64) -> Vec<Arc<Binlog>> {
        let removed: Vec<_> = self
            .records
            .take_below(&seq.saturating_add(1))
            .into_iter()
            .map(|(_, e)| e.record)
            .collect();
        if let Some(last) = removed.last() {
            let belong = self.dummy.belong.unwrap_or(-1);
            self.dummy = Arc::new(dummy(
                self.dummy.db_id,
                belong,
                last.commit_seq,
                last.timestamp,
            ));
        }
        self.bytes -= removed.iter().map(|r| size_of(r)).sum::<i64>();
        let first = self.dummy.commit_seq;
        self.locks.retain(|_, held| *held > first);
        removed
    }
}

impl crate::api::DroppedIds {
    fn retain(&mut self, keep: impl Fn(i64) -> bool) {
        for list in [&mut self.partitions, &mut self.tables, &mut self.indexes] {
            list.retain(|(_, seq)| keep(*seq));
        }
    }
}

fn dummy(db_id: i64, belong: i64, commit_seq: i64, timestamp: i64) -> Binlog {
    Binlog {
        commit_seq,
        timestamp,
        kind: DUMMY,
        db_id,
        table_ids: Vec::new(),
        data: None,
        belong: Some(belong),
        table_ref: 0,
        remove_enable_cache: false,
    }
}

/// All streams of a cluster, and what was dropped within their history.
#[derive(Debug, Default, Serialize)]
pub struct Streams {
    pub(crate) dbs: Tracked<i64, Stream>,
    /// By table id: (database, stream).
    pub(crate) tables: Tracked<i64, (i64, Stream)>,
    pub(crate) dropped: Tracked<i64, crate::api::DroppedIds>,
}

/// Which tables of a record have their own stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// The database's switch.
    pub db_enabled: bool,
    /// Tables of the record whose own switch is on.
    pub enabled_tables: Vec<i64>,
}

impl Streams {
    /// Puts a record where it belongs. Returns false when binlog is off for all it names.
    pub fn add(
        &mut self,
        mut record: Binlog,
        scope: &Scope,
        now_ms: i64,
        visible_from_ms: i64,
    ) -> bool {
        if !scope.db_enabled && scope.enabled_tables.is_empty() {
            return false;
        }
        let in_tables: Vec<i64> = match record.kind {
            CREATE_TABLE | DROP_TABLE => Vec::new(),
            _ if scope.db_enabled => record.table_ids.clone(),
            _ => scope.enabled_tables.clone(),
        };
        record.table_ref = i64::try_from(in_tables.len()).unwrap_or(i64::MAX);
        let db_id = record.db_id;
        let record = Arc::new(record);
        self.dbs
            .entry(db_id)
            .or_insert_with(|| Stream::new(db_id, -1, now_ms))
            .add(Arc::clone(&record), visible_from_ms);
        for table in in_tables {
            self.tables
                .entry(table)
                .or_insert_with(|| (db_id, Stream::new(db_id, table, now_ms)))
                .1
                .add(Arc::clone(&record), visible_from_ms);
        }
        true
    }

    /// Notes ids dropped by the record at `seq`.
    pub fn note_dropped(
        &mut self,
        db_id: i64,
        seq: i64,
        partitions: &[i64],
        tables: &[i64],
        indexes: &[i64],
    ) {
        let dropped = self.dropped.entry(db_id).or_default();
        dropped
            .partitions
            .extend(partitions.iter().map(|id| (*id, seq)));
        dropped.tables.extend(tables.iter().map(|id| (*id, seq)));
        dropped.indexes.extend(indexes.iter().map(|id| (*id, seq)));
    }

    /// A recovered table or partition is not dropped any more.
    pub fn note_recovered(&mut self, db_id: i64, id: i64) {
        if let Some(dropped) = self.dropped.get_mut(&db_id) {
            dropped.tables.retain(|(of, _)| *of != id);
            dropped.partitions.retain(|(of, _)| *of != id);
        }
    }

    /// What getMeta says of dropped ids.
    #[must_use]
    pub fn dropped(&self, db_id: i64) -> crate::api::DroppedIds {
        self.dropped.get(&db_id).cloned().unwrap_or_default()
    }

    /// The stream of a database.
    #[must_use]
    pub fn db(&self, db_id: i64) -> Option<&Stream> {
        self.dbs.get(&db_id)
    }

    /// The stream of a table.
    #[must_use]
    pub fn table(&self, table_id: i64) -> Option<&Stream> {
        self.tables.get(&table_id).map(|(_, s)| s)
    }

    /// The stream to lock.
    pub fn stream_mut(&mut self, db_id: i64, table_id: Option<i64>) -> Option<&mut Stream> {
        match table_id {
            Some(table) => self.tables.get_mut(&table).map(|(_, s)| s),
            None => self.dbs.get_mut(&db_id),
        }
    }

    /// DROP DATABASE: its streams are gone.
    pub fn forget_db(&mut self, db_id: i64) {
        self.dbs.remove(&db_id);
        self.tables.retain(|_, (db, _)| *db != db_id);
        self.dropped.remove(&db_id);
    }

    /// What a restart makes of the streams that stand in an image. `switches`: of every database that exists, its own switch and the
    /// tables whose switch is on.
    ///
    /// Records of unknown types are left out, table streams of what is switched off are not rebuilt, and CREATE_TABLE and DROP_TABLE come into
    /// table streams, which live additions do not do. Locks are gone; dropped ids are known as far as their records are.
    pub fn reload_image(&mut self, switches: &BTreeMap<i64, Scope>, now_ms: i64) {
        let old_tables = std::mem::take(&mut self.tables);
        let old_dbs = std::mem::take(&mut self.dbs);
        for (table, (db_id, stream)) in old_tables {
            let on = switches
                .get(&db_id)
                .is_some_and(|s| s.db_enabled || s.enabled_tables.contains(&table));
            if on {
                self.tables.insert(table, (db_id, stream.only_dummy()));
            }
        }
        for (db_id, old) in old_dbs {
            let Some(scope) = switches.get(&db_id) else {
                continue;
            };
            let mut rebuilt = old.only_dummy();
            let known = old.records.values();
            for entry in known.filter(|e| e.record.kind < MIN_UNKNOWN) {
                rebuilt.add(Arc::clone(&entry.record), entry.visible_from_ms);
                for table in &entry.record.table_ids {
                    if !(scope.db_enabled || scope.enabled_tables.contains(table)) {
                        continue;
                    }
                    let (_, stream) = self
                        .tables
                        .entry(*table)
                        .or_insert_with(|| (db_id, Stream::new(db_id, *table, now_ms)));
                    stream.add(Arc::clone(&entry.record), entry.visible_from_ms);
                }
            }
            if let Some(dropped) = self.dropped.get_mut(&db_id) {
                dropped.retain(|seq| rebuilt.records.contains_key(&seq));
            }
            self.dbs.insert(db_id, rebuilt);
        }
    }

    /// Restart: locks live in memory only.
    pub fn forget_locks(&mut self) {
        self.dbs.values_mut().for_each(|s| s.locks.clear());
        self.tables.values_mut().for_each(|(_, s)| s.locks.clear());
    }
}

#[path = "stream_gc.rs"]
mod gc;

pub use gc::GcLimits;

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
