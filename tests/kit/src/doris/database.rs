//! A database: its objects, its recycle bin, its binlog stream and its backup and restore jobs.

use std::collections::BTreeMap;

use super::catalog::{Partition, Table, View};
use super::jobs::{BackupJob, RestoreJob};
use super::stream::Stream;

/// A dropped partition that can come back.
#[derive(Clone, Debug)]
pub struct BinnedPartition {
    /// Its table.
    pub table: i64,
    /// The partition.
    pub partition: Partition,
    /// When it is erased.
    pub until_ms: i64,
}

/// A database.
#[derive(Clone, Debug)]
pub struct Database {
    /// Id.
    pub id: i64,
    /// Name.
    pub name: String,
    /// `binlog.enable`.
    pub binlog: bool,
    /// Tables by id.
    pub tables: BTreeMap<i64, Table>,
    /// Views by id.
    pub views: BTreeMap<i64, View>,
    /// Dropped tables that can come back, with the moment they are erased.
    pub binned_tables: BTreeMap<i64, (Table, i64)>,
    /// Dropped partitions that can come back.
    pub binned_partitions: BTreeMap<i64, BinnedPartition>,
    /// The binlog.
    pub stream: Stream,
    /// Transactions by label; labels of aborted and forgotten ones are free.
    pub labels: BTreeMap<String, i64>,
    /// Backup jobs, oldest first.
    pub backups: Vec<BackupJob>,
    /// Restore jobs, oldest first.
    pub restores: Vec<RestoreJob>,
}

impl Database {
    /// An empty database.
    pub fn new(id: i64, name: &str, binlog: bool) -> Self {
        Self {
            id,
            name: name.to_owned(),
            binlog,
            tables: BTreeMap::new(),
            views: BTreeMap::new(),
            binned_tables: BTreeMap::new(),
            binned_partitions: BTreeMap::new(),
            stream: Stream::default(),
            labels: BTreeMap::new(),
            backups: Vec::new(),
            restores: Vec::new(),
        }
    }

    /// A table by name. Tables that a restore still hides have no name that anybody can know.
    pub fn table_named(&self, name: &str) -> Option<&Table> {
        self.tables.values().find(|table| table.name == name)
    }

    /// Id of a table by name.
    pub fn table_id(&self, name: &str) -> Option<i64> {
        self.table_named(name).map(|table| table.id)
    }

    /// A view by name.
    pub fn view_named(&self, name: &str) -> Option<&View> {
        self.views.values().find(|view| view.name == name)
    }

    /// A table or view bears the name.
    pub fn has(&self, name: &str) -> bool {
        self.table_named(name).is_some() || self.view_named(name).is_some()
    }

    /// Names of all tables and views.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .tables
            .values()
            .map(|table| table.name.clone())
            .chain(self.views.values().map(|view| view.name.clone()))
            .collect();
        names.sort();
        names
    }

    /// Label of the backup or restore job that runs; there is at most one.
    pub fn running_job(&self) -> Option<&str> {
        let backup = self.backups.iter().find(|job| !job.state.ended());
        let restore = self.restores.iter().find(|job| !job.state.ended());
        backup
            .map(|job| job.label.as_str())
            .or(restore.map(|job| job.label.as_str()))
    }
}
