//! Everything the frontend knows, behind one lock: catalogue, ids, journal, streams, transactions, jobs, accounts.

use std::collections::HashMap;

use serde_json::Value;

use crate::accounts::Accounts;
use crate::alter::index_job::IndexJobs;
use crate::alter::job::AlterJobs;
use crate::api::{Binlog, FrontendConfig, RpcError, SqlError};
use crate::backends::RegisteredBackend;
use crate::binlog::gson_text::{escaped, gson};
use crate::binlog::stream::{Scope, Streams};
use crate::ddl::recycle_bin::RecycleBin;
use crate::jobs::list::Jobs;
use crate::kept::{Counters, Kept};
use crate::quirks;
use crate::txn::table::TxnTable;
use dorisim_model::{Catalog, Database, OlapTable, Tracked};

/// Ids that one journal entry reserves (smaller than the real 1000, so that gaps show early).
const ID_BATCH: i64 = 10;

/// Setting of ADMIN SET FRONTEND CONFIG that lists numbers of record types to be wrapped in a BARRIER, such as `14,15,21`.
pub const BARRIER_WRAPPED: &str = "dorisim_barrier_wrapped_types";
/// Number of BARRIER.
const BARRIER: i32 = 10;

/// A record to be journaled.
#[derive(Debug, Clone)]
pub struct Record {
    /// Number of the type.
    pub kind: i32,
    /// Database.
    pub db_id: i64,
    /// Tables named by the record.
    pub table_ids: Vec<i64>,
    /// JSON; `commitSeq` is filled in where the member exists.
    pub data: Value,
}

/// The next `count` records become visible `delay_ms` late.
#[derive(Debug, Default, Clone, Copy)]
pub struct LateRecords {
    /// How many.
    pub count: u32,
    /// By how much.
    pub delay_ms: i64,
}

/// The state.
#[derive(Debug)]
pub struct FeState {
    /// Databases.
    pub catalog: Catalog,
    /// Binlog streams.
    pub streams: Streams,
    /// Transactions.
    pub txns: TxnTable,
    /// Backup and restore.
    pub jobs: Jobs,
    /// Schema changes and rollups.
    pub alters: AlterJobs,
    /// BUILD INDEX and the clean-up of dropped indexes.
    pub index_jobs: IndexJobs,
    /// The scheduler of dynamic partitions.
    pub dynamic_round_ms: Option<i64>,
    /// What DROP without FORCE left.
    pub bin: RecycleBin,
    /// Users.
    pub accounts: Accounts,
    /// Backends of ALTER SYSTEM, by id.
    pub backends: Tracked<i64, RegisteredBackend>,
    /// Injected lateness.
    pub late: LateRecords,
    /// Settings changed by ADMIN SET FRONTEND CONFIG.
    pub settings: Tracked<String, String>,
    next_id: i64,
    journal: i64,
    binlog_feature: bool,
    next_backend: usize,
    /// Tablet to (table, partition); filled on demand, every hit is checked.
    homes: HashMap<i64, (i64, i64)>,
}

impl FeState {
    /// A fresh cluster.
    #[must_use]
    pub fn new(config: &FrontendConfig) -> Self {
        Self {
            catalog: Catalog::default(),
            streams: Streams::default(),
            txns: TxnTable::new(config),
            jobs: Jobs::default(),
            alters: AlterJobs::default(),
            index_jobs: IndexJobs::default(),
            dynamic_round_ms: None,
            bin: RecycleBin::default(),
            accounts: Accounts::default(),
            backends: Tracked::new(),
            late: LateRecords::default(),
            settings: Tracked::new(),
            next_id: 10_000,
            journal: 1_000,
            binlog_feature: config.binlog_feature,
            next_backend: 0,
            homes: HashMap::new(),
        }
    }

    /// The numbers that only grow.
    #[must_use]
    pub(crate) fn counters(&self) -> Counters {
        Counters {
            next_id: self.next_id,
            journal: self.journal,
            next_backend: self.next_backend,
            next_txn: self.txns.last_id(),
        }
    }

    /// Goes on where the numbers were.
    pub(crate) fn set_counters(&mut self, counters: Counters) {
        self.next_id = counters.next_id;
        self.journal = counters.journal;
        self.next_backend = counters.next_backend;
        self.txns.go_on_after(counters.next_txn);
    }

    /// What a data directory keeps. The state and its parts are taken apart whole, so that a new field does not compile before somebody has
    /// decided whether it outlives the process.
    pub(crate) fn kept(&mut self) -> Kept<'_> {
        let Self {
            catalog: Catalog { databases },
            streams:
                Streams {
                    dbs,
                    tables,
                    dropped,
                },
            txns,
            jobs: Jobs { jobs },
            alters: AlterJobs { jobs: alters },
            index_jobs: IndexJobs { jobs: index_jobs },
            bin: RecycleBin { entries: bin },
            accounts: Accounts { users },
            backends,
            settings,
            // Kept as `Counters`.
            next_id: _,
            journal: _,
            next_backend: _,
            // Gone with the process: schedules, injected lateness, the configuration, a cache.
            dynamic_round_ms: _,
            late: _,
            binlog_feature: _,
            homes: _,
        } = self;
        Kept {
            databases,
            db_streams: dbs,
            table_streams: tables,
            dropped,
            txns: &mut txns.txns,
            jobs,
            alters,
            index_jobs,
            bin,
            users,
            backends,
            settings,
        }
    }

    /// A fresh id of the cluster.
    pub fn new_id(&mut self) -> i64 {
        self.next_id += 1;
        // Ids are journaled in batches: one of the things that make commit seqs sparse.
        if self.next_id % ID_BATCH == 0 {
            self.journal += 1;
        }
        self.next_id
    }

    /// Takes a journal id without making a record.
    pub fn journal(&mut self) -> i64 {
        self.journal += 1;
        self.journal
    }

    /// The newest journal id.
    #[must_use]
    pub fn journal_id(&self) -> i64 {
        self.journal
    }

    /// Where replica placement goes on; grows with each tablet.
    pub fn next_backend(&mut self) -> usize {
        self.next_backend = self.next_backend.wrapping_add(1);
        self.next_backend
    }

    /// (table, partition) of a tablet among these tables.
    pub fn home_of(&mut self, db_id: i64, table_ids: &[i64], tablet: i64) -> Option<(i64, i64)> {
        let db = self.catalog.databases.get(&db_id)?;
        let holds = |(table, partition): (i64, i64)| {
            let found = db
                .tables
                .get(&table)
                .and_then(|t| t.partitions.get(&partition));
            table_ids.contains(&table) && found.is_some_and(|p| p.tablets().any(|t| t.id == tablet))
        };
        if let Some(home) = self.homes.get(&tablet).copied().filter(|home| holds(*home)) {
            return Some(home);
        }
        for table in table_ids.iter().filter_map(|id| db.tables.get(id)) {
            for partition in table.partitions.values() {
                self.homes.extend(
                    partition
                        .tablets()
                        .map(|t| (t.id, (table.id, partition.id))),
                );
            }
        }
        self.homes.get(&tablet).copied().filter(|home| holds(*home))
    }

    /// Which streams take a record about these tables now.
    #[must_use]
    pub fn scope(&self, db_id: i64, table_ids: &[i64]) -> Scope {
        let db = self
            .catalog
            .databases
            .get(&db_id)
            .filter(|_| self.binlog_feature);
        Scope {
            db_enabled: db.is_some_and(Database::binlog_enabled),
            enabled_tables: table_ids
                .iter()
                .copied()
                .filter(|id| {
                    db.and_then(|d| d.tables.get(id))
                        .is_some_and(OlapTable::binlog_enabled)
                })
                .collect(),
        }
    }

    /// Journals a record under the switches as they are now; returns its commit seq.
    pub fn emit(&mut self, record: Record, now_ms: i64) -> i64 {
        let scope = self.scope(record.db_id, &record.table_ids);
        self.emit_scoped(record, &scope, now_ms, now_ms)
    }

    /// Journals a record under switches noted before the change, with the record's own time.
    pub fn emit_scoped(
        &mut self,
        mut record: Record,
        scope: &Scope,
        timestamp: i64,
        now_ms: i64,
    ) -> i64 {
        let seq = self.journal();
        if let Some(slot) = record.data.get_mut("commitSeq") {
            *slot = seq.into();
        }
        let quirks = quirks::listed(self.settings.get(quirks::SETTING).map(String::as_str));
        quirks::apply(&quirks, record.kind, &mut record.data);
        let record = self.wrapped(record);
        let text = if quirks.contains(&quirks::Quirk::ReversedKeys) {
            escaped(&quirks::reversed(&record.data))
        } else {
            gson(&record.data)
        };
        let binlog = Binlog {
            commit_seq: seq,
            timestamp,
            kind: record.kind,
            db_id: record.db_id,
            table_ids: record.table_ids,
            data: Some(text),
            belong: None,
            table_ref: 0,
            remove_enable_cache: matches!(record.kind, 8 | 9),
        };
        let visible_from = if self.late.count > 0 {
            self.late.count -= 1;
            now_ms + self.late.delay_ms
        } else {
            i64::MIN
        };
        self.streams.add(binlog, scope, now_ms, visible_from);
        seq
    }

    /// Records of the types listed by the setting [`BARRIER_WRAPPED`] travel inside a BARRIER, as release branches send types that
    /// their older versions do not know.
    fn wrapped(&self, record: Record) -> Record {
        let listed = self.settings.get(BARRIER_WRAPPED).is_some_and(|list| {
            list.split(',')
                .any(|kind| kind.trim().parse() == Ok(record.kind))
        });
        if !listed {
            return record;
        }
        let table_id = record.table_ids.first().copied().unwrap_or(0);
        Record {
            kind: BARRIER,
            data: serde_json::json!({
                "dbId": record.db_id, "tableId": table_id, "binlogType": record.kind, "binlog": gson(&record.data),
            }),
            ..record
        }
    }

    /// Database by name.
    pub fn db(&self, name: &str) -> Result<&Database, SqlError> {
        self.catalog
            .database(name)
            .ok_or_else(|| SqlError::unknown_db(name))
    }

    /// Database by name, to change it.
    pub fn db_mut(&mut self, name: &str) -> Result<&mut Database, SqlError> {
        self.catalog
            .database_mut(name)
            .ok_or_else(|| SqlError::unknown_db(name))
    }

    /// Table by names.
    pub fn table(&self, db: &str, table: &str) -> Result<&OlapTable, SqlError> {
        self.db(db)?
            .table(table)
            .ok_or_else(|| SqlError::unknown_table(table))
    }

    /// Table by names, to change it.
    pub fn table_mut(&mut self, db: &str, table: &str) -> Result<&mut OlapTable, SqlError> {
        self.db_mut(db)?
            .table_mut(table)
            .ok_or_else(|| SqlError::unknown_table(table))
    }

    /// Table by ids, to change it.
    pub fn table_by_id_mut(&mut self, db_id: i64, table_id: i64) -> Option<&mut OlapTable> {
        self.catalog
            .databases
            .get_mut(&db_id)?
            .tables
            .get_mut(&table_id)
    }
}

/// Database of a request: by positive id, else by name.
pub(crate) fn resolve_db(state: &FeState, db: &str, db_id: Option<i64>) -> Result<i64, RpcError> {
    // The refusal names the name that was sent, also where an id was asked for.
    let unknown = || RpcError::analysis(format!("unknown database, database={db}"));
    if let Some(id) = db_id.filter(|id| *id > 0) {
        let known = state.catalog.databases.contains_key(&id);
        return known.then_some(id).ok_or_else(unknown);
    }
    // Releases with clusters wrote `default_cluster:` before a name.
    let name = db.rsplit(':').next().unwrap_or(db);
    let found = state.catalog.database(name).map(|d| d.id);
    found.ok_or_else(unknown)
}
