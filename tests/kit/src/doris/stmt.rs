//! Statements that the model understands. The workload makes them, and [`super::sql`] reads those that the product sends.

use std::collections::BTreeMap;

/// A table to be created.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableDef {
    /// Name.
    pub name: String,
    /// Columns: name, type, key.
    pub columns: Vec<(String, String, bool)>,
    /// Inverted indexes: name and column.
    pub secondary: Vec<(String, String)>,
    /// Partitions by a range of the first column: name, lower and upper end. `None`: unpartitioned.
    pub partitions: Option<Vec<(String, i64, i64)>>,
    /// Buckets.
    pub buckets: usize,
    /// Replicas.
    pub replicas: usize,
    /// Comment.
    pub comment: String,
}

/// One statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stmt {
    /// CREATE DATABASE IF NOT EXISTS.
    CreateDatabase(String),
    /// CREATE TABLE.
    CreateTable(TableDef),
    /// CREATE TABLE LIKE.
    CreateLike {
        /// New table.
        name: String,
        /// Table whose shape it gets.
        like: String,
    },
    /// DROP TABLE.
    DropTable {
        /// Table.
        name: String,
        /// IF EXISTS.
        if_exists: bool,
        /// FORCE.
        force: bool,
    },
    /// CREATE VIEW.
    CreateView {
        /// View.
        name: String,
        /// Query.
        select: String,
    },
    /// ALTER VIEW AS.
    AlterView {
        /// View.
        name: String,
        /// Query.
        select: String,
    },
    /// DROP VIEW.
    DropView {
        /// View.
        name: String,
        /// IF EXISTS.
        if_exists: bool,
    },
    /// TRUNCATE TABLE.
    Truncate {
        /// Table.
        table: String,
        /// Partitions; empty means all.
        partitions: Vec<String>,
        /// FORCE.
        force: bool,
    },
    /// RENAME of a table.
    RenameTable {
        /// Table.
        table: String,
        /// New name.
        new: String,
    },
    /// REPLACE WITH TABLE.
    ReplaceTable {
        /// Table whose name is taken over.
        table: String,
        /// Table that takes it.
        with: String,
        /// They exchange names.
        swap: bool,
    },
    /// ADD PARTITION.
    AddPartition {
        /// Table.
        table: String,
        /// Partition.
        name: String,
        /// TEMPORARY.
        temp: bool,
        /// Lower and upper end.
        range: Option<(i64, i64)>,
        /// Buckets; `None` takes the table's.
        buckets: Option<usize>,
        /// IF NOT EXISTS.
        if_not_exists: bool,
    },
    /// DROP PARTITION.
    DropPartition {
        /// Table.
        table: String,
        /// Partition.
        name: String,
        /// TEMPORARY.
        temp: bool,
        /// IF EXISTS.
        if_exists: bool,
        /// FORCE.
        force: bool,
    },
    /// REPLACE PARTITION WITH TEMPORARY PARTITION.
    ReplacePartition {
        /// Table.
        table: String,
        /// Replaced.
        partitions: Vec<String>,
        /// Temporary ones that take over.
        temps: Vec<String>,
    },
    /// RENAME PARTITION.
    RenamePartition {
        /// Table.
        table: String,
        /// Before.
        old: String,
        /// After.
        new: String,
    },
    /// ADD COLUMN of a value column: a light change.
    AddColumn {
        /// Table.
        table: String,
        /// Column.
        column: String,
        /// Type.
        kind: String,
    },
    /// DROP COLUMN of a value column: a light change.
    DropColumn {
        /// Table.
        table: String,
        /// Column.
        column: String,
    },
    /// RENAME COLUMN.
    RenameColumn {
        /// Table.
        table: String,
        /// Before.
        old: String,
        /// After.
        new: String,
    },
    /// MODIFY COLUMN with another type: a heavy change.
    ModifyColumn {
        /// Table.
        table: String,
        /// Column.
        column: String,
        /// New type.
        kind: String,
    },
    /// ADD ROLLUP.
    AddRollup {
        /// Table.
        table: String,
        /// Rollup.
        name: String,
    },
    /// DROP ROLLUP.
    DropRollup {
        /// Table.
        table: String,
        /// Rollup.
        name: String,
    },
    /// RENAME ROLLUP.
    RenameRollup {
        /// Table.
        table: String,
        /// Before.
        old: String,
        /// After.
        new: String,
    },
    /// ADD INDEX USING INVERTED.
    AddIndex {
        /// Table.
        table: String,
        /// Index.
        name: String,
        /// Column.
        column: String,
    },
    /// DROP INDEX.
    DropIndexes {
        /// Table.
        table: String,
        /// Indexes.
        names: Vec<String>,
    },
    /// BUILD INDEX.
    BuildIndex {
        /// Table.
        table: String,
        /// Index.
        name: String,
    },
    /// SET of properties.
    SetProperties {
        /// Table.
        table: String,
        /// Properties.
        properties: BTreeMap<String, String>,
    },
    /// MODIFY COMMENT of a table.
    TableComment {
        /// Table.
        table: String,
        /// Comment.
        comment: String,
    },
    /// MODIFY DISTRIBUTION.
    Buckets {
        /// Table.
        table: String,
        /// Buckets of future partitions.
        buckets: usize,
    },
    /// RECOVER TABLE.
    RecoverTable(String),
    /// RECOVER PARTITION.
    RecoverPartition {
        /// Partition.
        name: String,
        /// Table.
        table: String,
    },
    /// CANCEL RESTORE.
    CancelRestore(String),
    /// BACKUP SNAPSHOT.
    Backup {
        /// Label.
        label: String,
        /// Objects; empty means all.
        objects: Vec<String>,
    },
    /// A statement that changes nothing that the model knows of.
    Nothing,
}
