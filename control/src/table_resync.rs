//! Which tables of a job are to be synced again by snapshots of their own, and which of these requests are done.
//!
//! `API -> JobSpec.table_resyncs (numbered requests) -> applier -> ResyncsDone (committed metadata, status) -> API`
//!
//! A request is a number. The job's definition holds the newest for each table; what is done is a number up to which all are
//! done, and the few beyond it. So neither grows with the tables that were ever synced again.

use std::collections::{BTreeMap, BTreeSet};

use ccr_schemas::TableId;
use serde::{Deserialize, Serialize};

/// Requests for single tables.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableResyncs {
    /// Number of the last request. Numbers only grow, also over incarnations.
    pub last: u64,
    /// Requests that may not be done, by source table.
    pub wanted: BTreeMap<TableId, TableResync>,
}

/// A table is to be synced again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableResync {
    /// Number of the request.
    pub n: u64,
    /// Name at the source when it was asked for.
    pub name: String,
    /// When it was asked for, milliseconds since the epoch.
    pub at_ms: i64,
}

/// Requests that are done, well or not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<u64>", into = "Vec<u64>")]
pub struct ResyncsDone {
    /// All up to this number.
    pub up_to: u64,
    /// And these.
    pub beyond: BTreeSet<u64>,
}

impl TableResyncs {
    /// Asks for tables. A request that is not done stays as it is: asking again changes nothing.
    pub fn ask(
        &mut self,
        tables: impl IntoIterator<Item = (TableId, String)>,
        done: &ResyncsDone,
        at_ms: i64,
    ) {
        self.wanted.retain(|_, request| !done.contains(request.n));
        for (table, name) in tables {
            if self.wanted.contains_key(&table) {
                continue;
            }
            self.last += 1;
            let n = self.last;
            self.wanted.insert(table, TableResync { n, name, at_ms });
        }
    }

    /// Forgets all requests: the job starts again as a whole.
    pub fn clear(&mut self) {
        self.wanted.clear();
    }

    /// Returns the requests that are not done, in the order of their numbers.
    pub fn open<'a>(
        &'a self,
        done: &'a ResyncsDone,
    ) -> impl Iterator<Item = (TableId, &'a TableResync)> {
        let mut open: Vec<_> = self
            .wanted
            .iter()
            .filter(|(_, request)| !done.contains(request.n))
            .map(|(table, request)| (*table, request))
            .collect();
        open.sort_by_key(|(_, request)| request.n);
        open.into_iter()
    }
}

impl ResyncsDone {
    /// Returns whether a request is done.
    pub fn contains(&self, n: u64) -> bool {
        n <= self.up_to || self.beyond.contains(&n)
    }

    /// Adds a request. A number that is wanted no more counts as done.
    pub fn add(&mut self, n: u64, wanted: &TableResyncs) {
        self.beyond.insert(n);
        let first_open = wanted.open(self).next().map(|(_, request)| request.n);
        let up_to = first_open.map_or(wanted.last, |open| open.saturating_sub(1));
        self.up_to = self.up_to.max(up_to);
        let up_to = self.up_to;
        self.beyond.retain(|n| *n > up_to);
    }

    /// Returns whether no request was ever done.
    pub fn is_empty(&self) -> bool {
        self.up_to == 0 && self.beyond.is_empty()
    }
}

impl From<Vec<u64>> for ResyncsDone {
    fn from(numbers: Vec<u64>) -> Self {
        let mut numbers = numbers.into_iter();
        Self {
            up_to: numbers.next().unwrap_or_default(),
            beyond: numbers.collect(),
        }
    }
}

impl From<ResyncsDone> for Vec<u64> {
    fn from(done: ResyncsDone) -> Self {
        [done.up_to].into_iter().chain(done.beyond).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables(ids: &[i64]) -> Vec<(TableId, String)> {
        ids.iter()
            .map(|id| (TableId(*id), format!("t{id}")))
            .collect()
    }

    fn open(wanted: &TableResyncs, done: &ResyncsDone) -> Vec<(i64, u64)> {
        wanted
            .open(done)
            .map(|(table, request)| (table.0, request.n))
            .collect()
    }

    #[test]
    fn a_request_that_is_not_done_is_not_made_again_and_a_done_one_is() {
        let (mut wanted, mut done) = (TableResyncs::default(), ResyncsDone::default());
        wanted.ask(tables(&[7, 8]), &done, 1);
        wanted.ask(tables(&[7]), &done, 2);
        assert_eq!(open(&wanted, &done), [(7, 1), (8, 2)]);
        done.add(1, &wanted);
        wanted.ask(tables(&[7]), &done, 3);
        assert_eq!(open(&wanted, &done), [(8, 2), (7, 3)]);
        wanted.clear();
        wanted.ask(tables(&[7]), &ResyncsDone::default(), 4);
        assert_eq!(open(&wanted, &ResyncsDone::default()), [(7, 4)]);
    }

    #[test]
    fn what_is_done_stays_small_in_whatever_order_it_is_done() {
        let (mut wanted, mut done) = (TableResyncs::default(), ResyncsDone::default());
        let ids: Vec<i64> = (1..=300).collect();
        wanted.ask(tables(&ids), &done, 1);
        for n in 2..=300 {
            done.add(n, &wanted);
        }
        assert_eq!((done.up_to, done.beyond.len()), (0, 299));
        done.add(1, &wanted);
        assert_eq!((done.up_to, done.beyond.len()), (300, 0));
        assert_eq!(serde_json::to_string(&done).unwrap(), "[300]");
        let read: ResyncsDone = serde_json::from_str("[300,302]").unwrap();
        assert!(read.contains(300) && !read.contains(301) && read.contains(302));
    }
}
