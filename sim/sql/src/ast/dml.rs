//! INSERT, BACKUP and RESTORE.

use super::{ObjectName, Properties};

/// `INSERT`.
#[derive(Debug, Clone, PartialEq)]
pub struct Insert {
    /// The table.
    pub table: ObjectName,
    /// `INSERT OVERWRITE`.
    pub overwrite: bool,
    /// Partitions; empty means by value.
    pub partitions: Vec<String>,
    /// `PARTITION (*)`: overwrite exactly the partitions that get rows.
    pub overwrite_touched: bool,
    /// The named partitions are temporary.
    pub temp_partitions: bool,
    /// `WITH LABEL x`.
    pub label: Option<String>,
    /// Columns; empty means all in order.
    pub columns: Vec<String>,
    /// Where rows come from.
    pub source: InsertSource,
}

/// Rows of an `INSERT`.
#[derive(Debug, Clone, PartialEq)]
pub enum InsertSource {
    /// `VALUES (...)`: each value ready, or an expression.
    Values(Vec<Vec<InsertValue>>),
    /// A query.
    Select(String),
}

/// One value of `VALUES`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InsertValue {
    /// `NULL`.
    Null,
    /// `DEFAULT`.
    Default,
    /// A literal without quotes, sign included.
    Literal(String),
    /// An expression to compute.
    Expression(String),
}

/// `BACKUP SNAPSHOT` or `RESTORE SNAPSHOT`.
#[derive(Debug, Clone, PartialEq)]
pub struct Backup {
    /// Database; `None` means the session's.
    pub db: Option<String>,
    /// Label of the snapshot.
    pub label: String,
    /// Repository (`__keep_on_local__` for replication).
    pub repository: String,
    /// `ON (...)` or `EXCLUDE (...)`; empty means everything.
    pub tables: Vec<BackupTable>,
    /// The list is `EXCLUDE`.
    pub exclude: bool,
    /// `PROPERTIES`.
    pub properties: Properties,
}

/// A table of a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupTable {
    /// Name.
    pub table: String,
    /// Partitions; empty means all.
    pub partitions: Vec<String>,
    /// `AS alias`.
    pub alias: Option<String>,
}
