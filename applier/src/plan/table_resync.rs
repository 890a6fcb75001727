//! Tables that a person wants to be synced again, by a snapshot of each while the others go on.
//!
//! A request is taken up before this run reads its first event: the unit is in front of everything in the lanes of its tables. So
//! nothing has to be remembered until a snapshot is in place. Then the request counts as done, in the same metadata that says what
//! the snapshot contains. A run that ends earlier is followed by one that takes the request up again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use ccr_control::TableResync;
use ccr_schemas::{CommitSeq, EventKind, TableId, TimestampMs};

use crate::plan::patience::Failing;
use crate::plan::state::{Apply, Redo, RenewPhase, Renewal, Settings, Unit, Work};

impl Apply {
    /// Queues one unit for all requests that are not done. `seq` is the position in front of the first event that is read.
    pub(super) fn resync_wanted_tables(&mut self, seq: CommitSeq) {
        let settings = self.settings.clone();
        let open: Vec<(TableId, TableResync)> = settings
            .table_resyncs
            .open(&self.resyncs_done)
            .map(|(table, request)| (table, request.clone()))
            .collect();
        let mut renewals: VecDeque<Arc<Renewal>> = open
            .iter()
            .map(|(table, request)| Arc::new(self.answer_to(*table, request)))
            .collect();
        let Some(first) = renewals.front().cloned() else {
            return;
        };
        let tables: BTreeMap<TableId, String> = renewals
            .iter()
            .map(|renewal| (renewal.table, renewal.name.clone()))
            .collect();
        renewals.pop_front();
        for table in tables.keys() {
            if self.halted.contains_key(table) {
                // What follows is queued again. It is not applied before the snapshot is in place.
                self.returning.insert(*table, seq);
            }
            let lane = self.lanes.entry(*table).or_default();
            lane.queue.push_back(seq);
            lane.unstarted.push_back(seq);
        }
        self.waiting.insert(seq);
        self.touched.insert(seq);
        let unit = Unit {
            seq,
            kind: EventKind::SnapshotTaken,
            source_at: TimestampMs(0),
            tables,
            barrier: false,
            judge: false,
            redo: Redo::No,
            gone: BTreeSet::new(),
            without_rollups: false,
            failures: 0,
            failing: Failing::default(),
            misses: 0,
            newest_txn: self.newest_txn,
            begun_at_ms: self.now_ms,
            commit_sent: false,
            work: Work::Renew(first, RenewPhase::Waiting),
            later: renewals,
        };
        self.units.insert(seq, unit);
    }

    fn answer_to(&self, table: TableId, request: &TableResync) -> Renewal {
        let halted = self.halted.get(&table).map(|halted| halted.1.clone());
        let name = halted
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| request.name.clone());
        Renewal {
            table,
            dest: self.settings.dest_name(&name).to_owned(),
            name,
            reason: "a re-sync of the table was asked for".to_owned(),
            creates: false,
            request: Some(request.n),
        }
    }

    /// The request that a renewal answers is done, well or not. The next record makes that durable.
    pub(super) fn answer_request(&mut self, renewal: &Renewal) {
        if let Some(n) = renewal.request {
            self.resyncs_done.add(n, &self.settings.table_resyncs);
        }
    }

    /// Returns the offset from which on events say what becomes of the table.
    pub(super) fn offset_behind(&self, unit: &Unit, renewal: &Renewal) -> i64 {
        match renewal.request {
            Some(_) => self.first_offset,
            None => self.window.offset_behind(unit.seq),
        }
    }
}

impl Settings {
    /// Returns the next step for halted tables, by their names at the source: the command that syncs them alone again, or the
    /// whole job where a name is not known.
    pub fn resync_advice<'a>(&self, tables: impl IntoIterator<Item = &'a str>) -> String {
        let job = &self.job;
        let names: Vec<&str> = tables.into_iter().collect();
        if names.is_empty() || names.iter().any(|name| name.is_empty()) {
            return format!("sync the job again with `ccr job resync {job}`");
        }
        let what = if names.len() == 1 { "table" } else { "tables" };
        format!(
            "sync the {what} again with `ccr job resync {job} {}`",
            names.join(" ")
        )
    }
}
