//! Binlog GC rounds, and what tests and the admin endpoint do to records, memory and labels.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::binlog::stream::GcLimits;
use crate::frontend::Frontend;
use crate::state::LateRecords;
use dorisim_model::OlapTable;

impl Frontend {
    /// One round of binlog GC at the clock's present time, and of the recycle bin; backends are told per tablet of the last expired UPSERT.
    pub async fn gc_now(&self) {
        let now = self.clock().now_ms();
        let mut tasks: BTreeMap<i64, BTreeMap<i64, i64>> = BTreeMap::new();
        {
            let mut guard = self.lock();
            let state = &mut *guard;
            let (mut expired, mut journaled) = (Vec::new(), false);
            for db in state.catalog.databases.values() {
                let of_db = db
                    .binlog_enabled()
                    .then(|| GcLimits::from_properties(&db.properties));
                let of_tables: BTreeMap<i64, Option<GcLimits>> = db
                    .tables
                    .values()
                    .map(|t| {
                        let on = t.binlog_enabled();
                        (t.id, on.then(|| GcLimits::from_properties(&t.properties)))
                    })
                    .collect();
                let collected = state.streams.collect(db.id, of_db, &of_tables, now);
                // Without anything gone from a table's stream the round leaves no trace in the journal.
                journaled |= collected
                    .by_table
                    .iter()
                    .any(|(table, records)| *table >= 0 && !records.is_empty());
                for (table_id, records) in collected.by_table {
                    let last = records.iter().rev().find(|r| r.kind == 0);
                    if let (Some(table), Some(record)) = (db.tables.get(&table_id), last) {
                        expired
                            .extend(expired_tablets(table, record.data.as_deref().unwrap_or("")));
                    }
                }
            }
            if journaled {
                state.journal();
            }
            for (backend, tablet, version) in expired {
                tasks.entry(backend).or_default().insert(tablet, version);
            }
        }
        for (backend, up_to) in tasks {
            if let Some(backend) = self.backend(backend)
                && let Err(error) = backend.gc_binlog(up_to).await
            {
                // As in Doris the task is lost; a later round repeats it with higher versions.
                tracing::debug!(%error, "a backend missed a binlog GC task");
            }
        }
        self.erase_expired().await;
    }

    /// The next `records` binlog records become visible only after `delay` (their successors may be seen first).
    pub fn delay_next_binlogs(&self, records: u32, delay: Duration) {
        let delay_ms = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX / 2);
        self.lock().late = LateRecords {
            count: records,
            delay_ms,
        };
    }

    /// Journals a record of any type with any content, as an FE of another version might write it. Answers its commit seq,
    /// `None` when the database or the table does not exist.
    pub fn write_record(
        &self,
        db: &str,
        table: Option<&str>,
        kind: i32,
        data: serde_json::Value,
    ) -> Option<i64> {
        let now = self.clock().now_ms();
        let mut state = self.lock();
        let db_id = state.catalog.database(db)?.id;
        let table_ids = match table {
            Some(table) => vec![state.catalog.table(db, table)?.id],
            None => Vec::new(),
        };
        let record = crate::state::Record {
            kind,
            db_id,
            table_ids,
            data,
        };
        Some(state.emit(record, now))
    }

    /// What a restart or a master switch does: PREPARE transactions and binlog locks are gone.
    pub fn forget_memory(&self) {
        let mut state = self.lock();
        state.txns.forget_prepared();
        state.streams.forget_locks();
    }

    /// A restart with an image reload: as [`Self::forget_memory`]; table streams hold CREATE_TABLE and DROP_TABLE afterwards, records of
    /// types that this version does not know are gone.
    pub fn restart(&self) {
        self.forget_memory();
        let now = self.clock().now_ms();
        let mut guard = self.lock();
        let state = &mut *guard;
        let switches = state
            .catalog
            .databases
            .values()
            .map(|db| {
                let ids: Vec<i64> = db.tables.keys().copied().collect();
                (db.id, state.scope(db.id, &ids))
            })
            .collect();
        state.streams.reload_image(&switches, now);
    }

    /// The FE forgets a finished label, as if its keep time were over.
    pub fn forget_label(&self, db: &str, label: &str) -> bool {
        let mut state = self.lock();
        let Some(db_id) = state.catalog.database(db).map(|d| d.id) else {
            return false;
        };
        state.txns.forget_label(db_id, label)
    }
}

/// (backend, tablet, version) of everything an expired UPSERT wrote into the table.
fn expired_tablets(table: &OlapTable, data: &str) -> Vec<(i64, i64, i64)> {
    let data: serde_json::Value = serde_json::from_str(data).unwrap_or_default();
    let records = data["tableRecords"][table.id.to_string()]["partitionRecords"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let mut out = Vec::new();
    for record in records {
        let (Some(id), Some(version)) =
            (record["partitionId"].as_i64(), record["version"].as_i64())
        else {
            continue;
        };
        let Some(partition) = table.partitions.get(&id) else {
            continue;
        };
        for tablet in partition.tablets() {
            out.extend(
                tablet
                    .replicas
                    .iter()
                    .map(|r| (r.backend_id, tablet.id, version)),
            );
        }
    }
    out
}
