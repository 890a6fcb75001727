//! Binlog GC: what expires by time, size, number and locks, and what a round removes. Formulas as read in Doris master, January 2026.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Stream, Streams, dummy, size_of};
use crate::api::Binlog;

/// Limits of GC, from `binlog.*` properties.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GcLimits {
    /// `binlog.ttl_seconds`.
    pub ttl_seconds: i64,
    /// `binlog.max_bytes`.
    pub max_bytes: i64,
    /// `binlog.max_history_nums`, the DUMMY counts.
    pub max_history_nums: i64,
}

impl GcLimits {
    /// Reads the properties, with the defaults of Doris for what is not set.
    #[must_use]
    pub fn from_properties(properties: &BTreeMap<String, String>) -> Self {
        let number = |key: &str, default: i64| {
            properties
                .get(key)
                .and_then(|v| v.parse().ok())
                .unwrap_or(default)
        };
        Self {
            ttl_seconds: number("binlog.ttl_seconds", 86_400),
            max_bytes: number("binlog.max_bytes", i64::MAX),
            max_history_nums: number("binlog.max_history_nums", i64::MAX),
        }
    }

    /// Records up to this time have expired: counted in whole seconds, as Doris does.
    fn deadline_ms(&self, now_ms: i64) -> i64 {
        let now_s = now_ms.div_euclid(1000);
        if now_s < self.ttl_seconds {
            return i64::MIN;
        }
        (now_s - self.ttl_seconds).saturating_mul(1000)
    }
}

/// What a GC round decided for one database.
#[derive(Debug, Default)]
pub struct Collected {
    /// Expired records by table id (-1: the database's stream), oldest first.
    pub by_table: Vec<(i64, Vec<Arc<Binlog>>)>,
}

impl Stream {
    /// The newest commit seq that has expired, given limits and the smallest lock of all streams concerned.
    #[must_use]
    pub fn expired(&self, limits: &GcLimits, min_lock: Option<i64>, now_ms: i64) -> Option<i64> {
        let deadline = limits.deadline_ms(now_ms);
        let mut by_time = i64::MIN;
        for entry in self.records.values() {
            if entry.record.timestamp > deadline {
                break;
            }
            by_time = entry.record.commit_seq;
        }
        if let Some(lock) = min_lock {
            by_time = by_time.max(lock - 1);
        }
        let (mut bytes, mut count) = (
            self.bytes,
            i64::try_from(self.records.len()).unwrap_or(i64::MAX) + 1,
        );
        let mut expired = None;
        for entry in self.records.values() {
            let seq = entry.record.commit_seq;
            if seq > by_time && bytes <= limits.max_bytes && count <= limits.max_history_nums {
                break;
            }
            expired = Some(seq);
            bytes -= size_of(&entry.record);
            count -= 1;
        }
        expired
    }

    /// Removes what is not in `held` up to `seq`; the DUMMY goes to the last removed one in front of the first held one, its time stays.
    fn drop_unheld(&mut self, seq: i64, held: &BTreeSet<i64>) -> Vec<Arc<Binlog>> {
        let gone: Vec<i64> = self
            .records
            .range(..=seq)
            .map(|(at, _)| *at)
            .filter(|at| !held.contains(at))
            .collect();
        let first_held = held.first().copied().unwrap_or(i64::MAX);
        if let Some(head) = gone.iter().rev().find(|at| **at < first_held) {
            let belong = self.dummy.belong.unwrap_or(-1);
            let (db_id, time) = (self.dummy.db_id, self.dummy.timestamp);
            self.dummy = Arc::new(dummy(db_id, belong, *head, time));
        }
        let removed: Vec<_> = gone
            .iter()
            .filter_map(|at| self.records.remove(at))
            .map(|e| e.record)
            .collect();
        self.bytes -= removed.iter().map(|r| size_of(r)).sum::<i64>();
        removed
    }
}

impl Streams {
    /// One GC round over a database. `db_limits`: the database's switch is on. `tables`: the tables that exist, with their limits when their
    /// own switch is on. With the database's switch off, the stream of a table that is off is purged and that of a dropped table stays.
    pub fn collect(
        &mut self,
        db_id: i64,
        db_limits: Option<GcLimits>,
        tables: &BTreeMap<i64, Option<GcLimits>>,
        now_ms: i64,
    ) -> Collected {
        match db_limits {
            Some(limits) => self.collect_by_db(db_id, &limits, now_ms),
            None => self.collect_by_table(db_id, tables, now_ms),
        }
    }

    fn collect_by_db(&mut self, db_id: i64, limits: &GcLimits, now_ms: i64) -> Collected {
        let mut collected = Collected::default();
        let Some(db_stream) = self.dbs.get_mut(&db_id) else {
            return collected;
        };
        let of_db = || self.tables.iter().filter(|(_, (db, _))| *db == db_id);
        let min_lock = db_stream
            .min_lock()
            .into_iter()
            .chain(of_db().filter_map(|(_, (_, s))| s.min_lock()))
            .min();
        let Some(seq) = db_stream.expired(limits, min_lock, now_ms) else {
            return collected;
        };
        collected.by_table.push((-1, db_stream.drop_up_to(seq)));
        for (table, (_, stream)) in self.tables.iter_mut().filter(|(_, (db, _))| *db == db_id) {
            collected.by_table.push((*table, stream.drop_up_to(seq)));
        }
        self.trim_dropped(db_id, seq);
        collected
    }

    fn collect_by_table(
        &mut self,
        db_id: i64,
        tables: &BTreeMap<i64, Option<GcLimits>>,
        now_ms: i64,
    ) -> Collected {
        let mut collected = Collected::default();
        let mut largest = None;
        let of_db = self.tables.iter().filter(|(_, (db, _))| *db == db_id);
        let expired: Vec<(i64, i64)> = of_db
            .filter_map(|(table, (_, stream))| {
                let expired = match tables.get(table) {
                    Some(Some(limits)) => stream.expired(limits, stream.min_lock(), now_ms),
                    Some(None) => stream.records.keys().next_back().copied(),
                    None => None,
                };
                expired.map(|seq| (*table, seq))
            })
            .collect();
        for (table, seq) in expired {
            if let Some((_, stream)) = self.tables.get_mut(&table) {
                collected.by_table.push((table, stream.drop_up_to(seq)));
                largest = largest.max(Some(seq));
            }
        }
        let (Some(largest), Some(db_stream)) = (largest, self.dbs.get_mut(&db_id)) else {
            return collected;
        };
        // The database's stream keeps what a table's stream still holds, and its head stops in front of the first of those.
        let held: BTreeSet<i64> = self
            .tables
            .values()
            .filter(|(db, _)| *db == db_id)
            .flat_map(|(_, stream)| stream.records.range(..=largest).map(|(seq, _)| *seq))
            .collect();
        collected
            .by_table
            .push((-1, db_stream.drop_unheld(largest, &held)));
        self.trim_dropped(db_id, largest);
        collected
    }

    /// Doris keeps what was dropped by the expired record itself.
    fn trim_dropped(&mut self, db_id: i64, seq: i64) {
        if let Some(dropped) = self.dropped.get_mut(&db_id) {
            dropped.retain(|at| at >= seq);
        }
    }
}
