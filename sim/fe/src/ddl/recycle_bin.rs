//! The recycle bin: what DROP and TRUNCATE without FORCE leave behind, until RECOVER takes it back or its time is over.
//!
//! Tablets of the bin stay on their backends, so binlogs of dropped partitions can still be fetched by a reader that is late.

use serde::{Deserialize, Serialize};

use dorisim_model::{Database, OlapTable, Partition, Tracked};

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
    pub(crate) entries: Tracked<i64, (i64, Dropped)>,
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
    pub(crate) fn take(
        &mut self,
        fits: impl Fn(&Dropped) -> bool,
    ) -> Option<(i64, (i64, Dropped))> {
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
    pub(crate) fn into_partitions(self) -> Vec<Partition> {
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
