//! Jobs that run for a while: schema changes, rollups, index builds, backups and restores.

use std::collections::BTreeMap;

use ccr_doris::RestoreSnapshot;
use serde::{Deserialize, Serialize};

use super::catalog::{Table, View};

/// What an alter job makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlterKind {
    /// A heavy schema change: the column's type becomes another, every tablet is written again.
    SchemaChange {
        /// Column.
        column: String,
        /// New type.
        kind: String,
    },
    /// A rollup.
    Rollup {
        /// Name.
        name: String,
    },
}

/// State of an alter job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlterState {
    /// Nothing was made.
    Pending,
    /// The new tablets are there and take loads.
    WaitingTxn,
}

/// A running alter job.
#[derive(Clone, Debug)]
pub struct AlterJob {
    /// Id.
    pub id: i64,
    /// Database by name.
    pub database: String,
    /// Table.
    pub table: i64,
    /// What it makes.
    pub kind: AlterKind,
    /// State.
    pub state: AlterState,
    /// Index that is built, 0 before.
    pub shadow: i64,
    /// Statement that started it.
    pub sql: String,
}

/// State of a backup or restore job, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Submitted.
    Pending,
    /// A backup makes its snapshots; a restore has made its tables.
    Snapshoting,
    /// A restore fetches files.
    Downloading,
    /// A restore takes its last step next.
    Committing,
    /// Done.
    Finished,
    /// Given up, for this reason.
    Cancelled(String),
}

impl Phase {
    /// Nothing more happens.
    pub fn ended(&self) -> bool {
        match self {
            Self::Finished | Self::Cancelled(_) => true,
            Self::Pending | Self::Snapshoting | Self::Downloading | Self::Committing => false,
        }
    }

    /// As SHOW prints it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Snapshoting => "SNAPSHOTING",
            Self::Downloading => "DOWNLOADING",
            Self::Committing => "COMMITTING",
            Self::Finished => "FINISHED",
            Self::Cancelled(_) => "CANCELLED",
        }
    }

    /// Status as SHOW prints it.
    pub fn status(&self) -> String {
        match self {
            Self::Cancelled(why) => format!("[COMMON_ERROR, msg: {why}]"),
            Self::Pending
            | Self::Snapshoting
            | Self::Downloading
            | Self::Committing
            | Self::Finished => "[OK]".to_owned(),
        }
    }
}

/// What a snapshot holds; travels as the opaque `meta`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// Tables.
    pub tables: Vec<Table>,
    /// Views.
    pub views: Vec<View>,
}

/// A backup job.
#[derive(Clone, Debug)]
pub struct BackupJob {
    /// Id.
    pub id: i64,
    /// Label.
    pub label: String,
    /// Objects asked for; empty means all.
    pub objects: Vec<String>,
    /// State.
    pub state: Phase,
    /// When it was submitted.
    pub created_ms: i64,
    /// What was captured.
    pub content: Content,
    /// Position of each table.
    pub table_seqs: BTreeMap<i64, i64>,
    /// Position of the database.
    pub seq: i64,
}

/// A restore job.
#[derive(Clone)]
pub struct RestoreJob {
    /// Id.
    pub id: i64,
    /// Label.
    pub label: String,
    /// What was asked for.
    pub request: RestoreSnapshot,
    /// State.
    pub state: Phase,
    /// Tables being filled: id here, and whether it takes its name only at the end.
    pub tables: Vec<RestoringTable>,
    /// Failures to download.
    pub failures: u32,
}

impl std::fmt::Debug for RestoreJob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "restore {} {}", self.label, self.state.name())
    }
}

/// A table that a restore fills.
#[derive(Clone, Debug)]
pub struct RestoringTable {
    /// The table, complete with content. Its id is fixed, its rows show at the end.
    pub table: Table,
    /// Name it gets.
    pub name: String,
    /// It replaces what bears the name, at the end.
    pub atomic: bool,
}
