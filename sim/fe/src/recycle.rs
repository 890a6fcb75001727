//! The recycle bin: what DROP and TRUNCATE without FORCE leave behind, until RECOVER takes it back or its time is over.
//!
//! Tablets of the bin stay on their backends, so binlogs of dropped partitions can still be fetched by a reader that is late.

use serde::{Deserialize, Serialize};

use super::alter::rename;
use super::api::SqlError;
use super::frontend::Frontend;
use super::record;
use dorisim_model::{Database, OlapTable, Partition, PartitionItem, TableState, Tracked};

/// `catalog_trash_expire_second`: how long things stay recoverable when nobody set it.
const KEEP_S: i64 = 86_400;

/// Something dropped.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Dropped {
    /// A database with its tables.
    Database(Database),
    /// A table.
    Table {
        /// Its database.
        db_id: i64,
        /// The table as it was.
        table: Box<OlapTable>,
    },
    /// A partition.
    Partition {
        /// Its database.
        db_id: i64,
        /// Its table.
        table_id: i64,
        /// The partition as it was.
        partition: Partition,
    },
}

/// One entry of SHOW CATALOG RECYCLE BIN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BinView {
    /// `Database`, `Table`, `Partition`.
    pub kind: &'static str,
    /// Name.
    pub name: String,
    /// Database.
    pub db_id: i64,
    /// Table, for tables and partitions.
    pub table_id: Option<i64>,
    /// Partition.
    pub partition_id: Option<i64>,
    /// Epoch milliseconds.
    pub dropped_ms: i64,
}

/// The bin, oldest first.
#[derive(Debug, Default, Serialize)]
pub struct RecycleBin {
    /// By a number that grows: (dropped at, what).
    pub(super) entries: Tracked<i64, (i64, Dropped)>,
}

impl RecycleBin {
    /// Keeps a dropped thing.
    pub fn put(&mut self, now_ms: i64, dropped: Dropped) {
        let last = self.entries.last_key_value().map_or(0, |(n, _)| *n);
        self.entries.insert(last + 1, (now_ms, dropped));
    }

    /// Takes out what was dropped before `before_ms`.
    pub fn take_expired(&mut self, before_ms: i64) -> Vec<Dropped> {
        let gone: Vec<i64> = self
            .entries
            .iter()
            .filter(|(_, (at, _))| *at < before_ms)
            .map(|(n, _)| *n)
            .collect();
        gone.iter()
            .filter_map(|n| self.entries.remove(n))
            .map(|(_, dropped)| dropped)
            .collect()
    }

    /// Takes out the newest entry that fits, with its number.
    fn take(&mut self, fits: impl Fn(&Dropped) -> bool) -> Option<(i64, (i64, Dropped))> {
        let (n, _) = self.entries.iter().rfind(|(_, (_, d))| fits(d))?;
        let n = *n;
        self.entries.remove(&n).map(|entry| (n, entry))
    }

    /// What SHOW CATALOG RECYCLE BIN lists.
    #[must_use]
    pub fn views(&self) -> Vec<BinView> {
        self.entries
            .values()
            .map(|(dropped_ms, dropped)| {
                let (kind, name, db_id, table_id, partition_id) = match dropped {
                    Dropped::Database(db) => ("Database", &db.name, db.id, None, None),
                    Dropped::Table { db_id, table } => {
                        ("Table", &table.name, *db_id, Some(table.id), None)
                    }
                    Dropped::Partition {
                        db_id,
                        table_id,
                        partition,
                    } => (
                        "Partition",
                        &partition.name,
                        *db_id,
                        Some(*table_id),
                        Some(partition.id),
                    ),
                };
                BinView {
                    kind,
                    name: name.clone(),
                    db_id,
                    table_id,
                    partition_id,
                    dropped_ms: *dropped_ms,
                }
            })
            .collect()
    }
}

impl Dropped {
    fn into_partitions(self) -> Vec<Partition> {
        match self {
            Self::Database(db) => db
                .tables
                .into_values()
                .flat_map(|t| t.partitions.into_values())
                .collect(),
            Self::Table { table, .. } => table.partitions.into_values().collect(),
            Self::Partition { partition, .. } => vec![partition],
        }
    }
}

impl Frontend {
    /// What the recycle bin holds, oldest first.
    #[must_use]
    pub fn recycle_bin(&self) -> Vec<BinView> {
        self.lock().bin.views()
    }

    /// Drops the tablets of everything whose time in the bin is over (`catalog_trash_expire_second`).
    pub async fn erase_expired(&self) {
        let now = self.clock().now_ms();
        let gone = {
            let mut state = self.lock();
            let keep_s = state
                .settings
                .get("catalog_trash_expire_second")
                .and_then(|v| v.parse::<i64>().ok())
                .unwrap_or(KEEP_S);
            state
                .bin
                .take_expired(now.saturating_sub(keep_s.saturating_mul(1000)))
        };
        let partitions: Vec<Partition> = gone
            .into_iter()
            .flat_map(Dropped::into_partitions)
            .collect();
        self.drop_tablets(partitions.iter()).await;
    }

    /// RECOVER DATABASE: no record, as in Doris.
    pub(super) fn recover_database(
        &self,
        name: &str,
        id: Option<i64>,
        new_name: Option<String>,
    ) -> Result<(), SqlError> {
        let mut state = self.lock();
        let target = new_name.as_deref().unwrap_or(name);
        if state.catalog.database(target).is_some() {
            return Err(SqlError::new(
                1007,
                format!("Can't create database '{target}'; database exists"),
            ));
        }
        let found = state.bin.take(|d| {
            matches!(d, Dropped::Database(db) if db.name == name && id.is_none_or(|id| id == db.id))
        });
        let Some((_, (_, Dropped::Database(mut db)))) = found else {
            return Err(SqlError::analysis(format!(
                "Unknown database '{name}' or database id '-1'"
            )));
        };
        target.clone_into(&mut db.name);
        // Jobs of its tables ended with it.
        for table in db.tables.values_mut() {
            table.drop_shadows();
            table.state = TableState::Normal;
        }
        state.journal();
        state.catalog.databases.insert(db.id, db);
        Ok(())
    }

    /// RECOVER TABLE.
    pub(super) fn recover_table(
        &self,
        db: &str,
        name: &str,
        id: Option<i64>,
        new_name: Option<String>,
    ) -> Result<(), SqlError> {
        let now = self.clock().now_ms();
        let mut guard = self.lock();
        let state = &mut *guard;
        let database = state.db(db)?;
        let db_id = database.id;
        let target = new_name.as_deref().unwrap_or(name);
        if database.has_name(target) {
            return Err(SqlError::new(
                1050,
                format!("Table '{target}' already exists"),
            ));
        }
        let found = state.bin.take(|d| {
            matches!(d, Dropped::Table { db_id: of, table }
                if *of == db_id && table.name == name && id.is_none_or(|id| id == table.id))
        });
        let Some((_, (_, Dropped::Table { mut table, .. }))) = found else {
            return Err(SqlError::analysis(format!(
                "Unknown table '{name}' or table id '{}' in {db}",
                id.unwrap_or(-1)
            )));
        };
        if new_name.is_some() {
            rename(&mut table, target);
        }
        let recovered = record::Recovered {
            // It is told of under the name that it has now.
            table: (table.id, target),
            new_table: new_name.as_deref(),
            partition: None,
            new_partition: Some(""),
        };
        let record = record::recover(db_id, &recovered);
        state.streams.note_recovered(db_id, table.id);
        if let Some(database) = state.catalog.databases.get_mut(&db_id) {
            database.tables.insert(table.id, *table);
        }
        state.emit(record, now);
        Ok(())
    }

    /// RECOVER PARTITION.
    pub(super) fn recover_partition(
        &self,
        db: &str,
        table: &str,
        name: &str,
        id: Option<i64>,
        new_name: Option<String>,
    ) -> Result<(), SqlError> {
        let now = self.clock().now_ms();
        let mut guard = self.lock();
        let state = &mut *guard;
        let db_id = state.db(db)?.id;
        let found = state.table(db, table)?;
        let (table_id, types) = (found.id, found.partition_types());
        let target = new_name.as_deref().unwrap_or(name);
        if found.partition(target, false).is_some() {
            return Err(SqlError::analysis(format!(
                "partition[{target}] is already exist in table[{table}]"
            )));
        }
        let taken = state.bin.take(|d| {
            matches!(d, Dropped::Partition { table_id: of, partition, .. }
                if *of == table_id && partition.name.eq_ignore_ascii_case(name)
                    && id.is_none_or(|id| id == partition.id))
        });
        let Some((n, (dropped_ms, Dropped::Partition { mut partition, .. }))) = taken else {
            return Err(SqlError::analysis(format!(
                "No partition named '{name}' or partition id '{}' in table {table}",
                id.unwrap_or(-1)
            )));
        };
        let found = state.table(db, table)?;
        let known: Vec<i64> = found.indexes.iter().map(|i| i.id).collect();
        let refusal = if found.partitions.values().any(|p| {
            !p.is_temp
                && p.item != PartitionItem::ListDefault
                && p.item.overlaps(&partition.item, &types)
        }) {
            Some(format!(
                "Can not recover partition[{name}]. Partition range conflict."
            ))
        } else if partition.indexes.iter().map(|i| i.id).ne(known) {
            Some(format!(
                "Can not recover partition[{name}]. The indexes of the table have changed since."
            ))
        } else {
            None
        };
        if let Some(text) = refusal {
            let back = Dropped::Partition {
                db_id,
                table_id,
                partition,
            };
            state.bin.entries.insert(n, (dropped_ms, back));
            return Err(SqlError::analysis(text));
        }
        let origin = partition.name.clone();
        if let Some(new) = &new_name {
            partition.name.clone_from(new);
        }
        let recovered = record::Recovered {
            table: (table_id, table),
            new_table: Some(""),
            partition: Some((partition.id, &origin)),
            new_partition: new_name.as_deref(),
        };
        let record = record::recover(db_id, &recovered);
        state.streams.note_recovered(db_id, partition.id);
        if let Some(table) = state.table_by_id_mut(db_id, table_id) {
            table.partitions.insert(partition.id, partition);
        }
        state.emit(record, now);
        Ok(())
    }
}
