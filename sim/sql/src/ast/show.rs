//! SHOW.

use super::ObjectName;

/// `SHOW ...`.
#[derive(Debug, Clone, PartialEq)]
pub enum Show {
    /// A form with `WHERE`, `ORDER BY` or `LIMIT` over its columns.
    Narrowed {
        /// The form.
        form: Box<Show>,
        /// What it is narrowed by.
        rest: ShowTail,
    },
    /// `SHOW FRONTENDS`.
    Frontends,
    /// `SHOW BACKENDS`.
    Backends,
    /// `SHOW DATABASES [LIKE]`.
    Databases {
        /// Pattern.
        like: Option<String>,
    },
    /// `SHOW [FULL] TABLES [FROM db] [LIKE]`.
    Tables {
        /// With types.
        full: bool,
        /// Database.
        db: Option<String>,
        /// Pattern.
        like: Option<String>,
    },
    /// `SHOW VIEWS [FROM db] [LIKE]`.
    Views {
        /// Database.
        db: Option<String>,
        /// Pattern.
        like: Option<String>,
    },
    /// `SHOW VIEW FROM t [FROM db]`: the views that read a table.
    ViewsOf {
        /// The table.
        table: ObjectName,
    },
    /// `SHOW TABLE STATUS [FROM db] [LIKE]`.
    TableStatus {
        /// Database.
        db: Option<String>,
        /// Pattern.
        like: Option<String>,
    },
    /// `SHOW CREATE TABLE`.
    CreateTable {
        /// The table.
        table: ObjectName,
        /// `BRIEF`.
        brief: bool,
    },
    /// `SHOW CREATE VIEW`.
    CreateView {
        /// The view.
        view: ObjectName,
    },
    /// `SHOW CREATE DATABASE`.
    CreateDatabase {
        /// The database.
        db: String,
    },
    /// `SHOW [FULL] COLUMNS FROM t [LIKE]`.
    Columns {
        /// With comments and privileges.
        full: bool,
        /// The table.
        table: ObjectName,
        /// Pattern.
        like: Option<String>,
    },
    /// `SHOW [TEMPORARY] PARTITIONS FROM t`.
    Partitions {
        /// Temporary ones.
        temp: bool,
        /// The table.
        table: ObjectName,
    },
    /// `SHOW INDEX FROM t`.
    Index {
        /// The table.
        table: ObjectName,
    },
    /// `SHOW TABLETS FROM t`.
    Tablets {
        /// The table.
        table: ObjectName,
        /// Partitions; empty means all.
        partitions: Vec<String>,
    },
    /// `SHOW DATABASE|TABLE|PARTITION id`.
    ById {
        /// What the id stands for.
        kind: IdKind,
        /// The id.
        id: i64,
    },
    /// `SHOW PROC 'path'`.
    Proc {
        /// The path.
        path: String,
    },
    /// `SHOW TRANSACTION [FROM db] WHERE id|label = x`.
    Transaction {
        /// Database.
        db: Option<String>,
        /// Id asked for.
        id: Option<i64>,
        /// Label asked for.
        label: Option<String>,
    },
    /// `SHOW BACKUP [FROM db] [WHERE SnapshotName = x]`.
    Backup {
        /// Database.
        db: Option<String>,
        /// Text of `WHERE`.
        rest: ShowTail,
    },
    /// `SHOW [BRIEF] RESTORE [FROM db] [WHERE Label = x]`.
    Restore {
        /// Short form.
        brief: bool,
        /// Database.
        db: Option<String>,
        /// Text of `WHERE`.
        rest: ShowTail,
    },
    /// `SHOW [FULL] FUNCTIONS [IN db] [LIKE]`.
    Functions {
        /// With types and properties.
        full: bool,
        /// Database.
        db: Option<String>,
        /// Pattern.
        like: Option<String>,
    },
    /// `SHOW CREATE FUNCTION f(types) [FROM db]`.
    CreateFunction {
        /// Database.
        db: Option<String>,
        /// `f(types)` in lower case.
        signature: String,
    },
    /// `SHOW [GLOBAL] VARIABLES [LIKE]`.
    Variables {
        /// The values of new sessions.
        global: bool,
        /// Pattern.
        like: Option<String>,
    },
    /// `SHOW ALTER TABLE COLUMN|ROLLUP|MATERIALIZED VIEW [FROM db]`.
    Alter {
        /// `COLUMN`, `ROLLUP`, `MATERIALIZED VIEW`.
        kind: String,
        /// Database.
        db: Option<String>,
        /// Text of `WHERE`, `ORDER BY`, `LIMIT`.
        rest: ShowTail,
    },
    /// `SHOW BUILD INDEX [FROM db]`.
    BuildIndex {
        /// Database.
        db: Option<String>,
        /// Text of `WHERE`, `ORDER BY`, `LIMIT`.
        rest: ShowTail,
    },
    /// `SHOW CATALOG RECYCLE BIN`.
    RecycleBin {
        /// Text of `WHERE`.
        rest: ShowTail,
    },
    /// `SHOW WARNINGS`, `SHOW ERRORS`.
    Warnings,
    /// `SHOW LOAD WARNINGS ON 'url'`; without a URL nothing is known.
    LoadWarnings {
        /// `ErrorURL` of a load.
        url: Option<String>,
    },
    /// `SHOW LAST INSERT`, and forms that are refused, in upper case.
    Other {
        /// Text after `SHOW`.
        text: String,
    },
}

/// What the id of a `SHOW ... id` stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdKind {
    /// A database.
    Database,
    /// A table or view.
    Table,
    /// A partition.
    Partition,
}

/// `WHERE`, `ORDER BY` and `LIMIT` of a `SHOW`, as text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ShowTail {
    /// Text after `WHERE`.
    pub filter: Option<String>,
    /// Text after `ORDER BY`.
    pub order_by: Option<String>,
    /// Text after `LIMIT`.
    pub limit: Option<String>,
}
