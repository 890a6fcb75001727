//! The statements of Doris' dialect that the cluster understands, as plain data.
//!
//! Names keep the spelling of the statement; back-quotes are gone. Types are kept as text
//! (`DECIMAL(10, 2)`), whoever owns the catalogue turns them into its own types.

mod alter;
mod dml;
mod show;
mod system;
mod table;

use std::collections::BTreeMap;

pub use alter::{AlterClause, ColumnPosition};
pub use dml::{Backup, BackupTable, Insert, InsertSource, InsertValue};
pub use show::{IdKind, Show, ShowTail};
pub use system::AlterSystem;
pub use table::{
    ColumnDef, CreateTable, DefaultValue, Distribution, IndexDef, KeysDef, KeysModel, PartitionBy,
    PartitionDef, PartitionItem, PartitionKind, PartitionValue, PartitionValues, RollupDef,
};

/// A key/value list as written in `PROPERTIES (...)`; a key that stands twice keeps its last value.
pub type Properties = BTreeMap<String, String>;

/// A name with up to three parts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct ObjectName {
    /// Catalogue (`internal`), if written.
    pub catalog: Option<String>,
    /// Database, if written.
    pub db: Option<String>,
    /// The object itself.
    pub name: String,
}

impl ObjectName {
    /// A bare name.
    #[must_use]
    pub fn bare(name: impl Into<String>) -> Self {
        Self {
            catalog: None,
            db: None,
            name: name.into(),
        }
    }

    /// A name with its database.
    #[must_use]
    pub fn in_db(db: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            catalog: None,
            db: Some(db.into()),
            name: name.into(),
        }
    }

    /// The database written, or the session's.
    #[must_use]
    pub fn db_or<'a>(&'a self, current: Option<&'a str>) -> Option<&'a str> {
        self.db.as_deref().or(current)
    }
}

/// One assignment of SET.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// `GLOBAL`: the value is that of new sessions, too.
    pub global: bool,
    /// Variable in lower case; those of the user begin with `@`.
    pub name: String,
    /// Text of the value.
    pub value: String,
}

/// One statement.
#[derive(Debug, Clone, PartialEq)]
pub enum Statement {
    /// `CREATE DATABASE`.
    CreateDatabase {
        /// `IF NOT EXISTS` was written.
        if_not_exists: bool,
        /// Name of the database.
        name: String,
        /// `PROPERTIES`.
        properties: Properties,
    },
    /// `DROP DATABASE`.
    DropDatabase {
        /// `IF EXISTS` was written.
        if_exists: bool,
        /// Name of the database.
        name: String,
        /// `FORCE`: not recoverable.
        force: bool,
    },
    /// `ALTER DATABASE x SET PROPERTIES (...)`.
    AlterDatabaseProperties {
        /// Name of the database.
        name: String,
        /// The properties to set.
        properties: Properties,
    },
    /// `ALTER DATABASE x RENAME y`.
    RenameDatabase {
        /// Name now.
        name: String,
        /// Name afterwards.
        new_name: String,
    },
    /// `CREATE TABLE`.
    CreateTable(Box<CreateTable>),
    /// `CREATE TABLE a LIKE b`.
    CreateTableLike {
        /// `IF NOT EXISTS` was written.
        if_not_exists: bool,
        /// The new table.
        name: ObjectName,
        /// The table whose shape is taken.
        like: ObjectName,
        /// `WITH ROLLUP`: empty list means all.
        with_rollup: Option<Vec<String>>,
    },
    /// `CREATE TABLE a ... AS SELECT ...`.
    CreateTableAsSelect {
        /// Everything before `AS`; its columns may be empty or carry names only.
        table: Box<CreateTable>,
        /// The query.
        select: String,
    },
    /// `CREATE [OR REPLACE] VIEW`.
    CreateView {
        /// `OR REPLACE` was written.
        or_replace: bool,
        /// `IF NOT EXISTS` was written.
        if_not_exists: bool,
        /// Name of the view.
        name: ObjectName,
        /// Column names with comments; empty when left to the query.
        columns: Vec<(String, Option<String>)>,
        /// Comment of the view.
        comment: String,
        /// The query.
        select: String,
    },
    /// `ALTER VIEW`.
    AlterView {
        /// Name of the view.
        name: ObjectName,
        /// Column names with comments; empty when left to the query.
        columns: Vec<(String, Option<String>)>,
        /// The query; `None` with `MODIFY COMMENT`.
        select: Option<String>,
        /// `MODIFY COMMENT`.
        comment: Option<String>,
    },
    /// `CREATE MATERIALIZED VIEW x AS SELECT ...` (synchronous).
    CreateMaterializedView {
        /// Name of the view.
        name: String,
        /// The query.
        select: String,
        /// `PROPERTIES`.
        properties: Properties,
    },
    /// `DROP MATERIALIZED VIEW x ON t`.
    DropMaterializedView {
        /// `IF EXISTS` was written.
        if_exists: bool,
        /// Name of the view.
        name: String,
        /// Table it stands on.
        table: ObjectName,
    },
    /// `DROP TABLE`.
    DropTable {
        /// `IF EXISTS` was written.
        if_exists: bool,
        /// The table.
        name: ObjectName,
        /// `FORCE`: not recoverable.
        force: bool,
    },
    /// `DROP VIEW`.
    DropView {
        /// `IF EXISTS` was written.
        if_exists: bool,
        /// The view.
        name: ObjectName,
    },
    /// `TRUNCATE TABLE`.
    TruncateTable {
        /// The table.
        name: ObjectName,
        /// Partitions; empty means the whole table.
        partitions: Vec<String>,
        /// `FORCE`: not recoverable.
        force: bool,
    },
    /// `ALTER TABLE` with its clauses in order.
    AlterTable {
        /// The table.
        name: ObjectName,
        /// What to change, in the order written.
        clauses: Vec<AlterClause>,
    },
    /// `CREATE INDEX x ON t (...)`.
    CreateIndex {
        /// `IF NOT EXISTS` was written.
        if_not_exists: bool,
        /// The table.
        table: ObjectName,
        /// The index.
        index: IndexDef,
    },
    /// `DROP INDEX x ON t`.
    DropIndex {
        /// `IF EXISTS` was written.
        if_exists: bool,
        /// The table.
        table: ObjectName,
        /// Name of the index.
        index: String,
    },
    /// `BUILD INDEX x ON t [PARTITION(S) (...)]`.
    BuildIndex {
        /// The table.
        table: ObjectName,
        /// Name of the index.
        index: String,
        /// Partitions; empty means all.
        partitions: Vec<String>,
    },
    /// `INSERT`.
    Insert(Box<Insert>),
    /// `DELETE FROM t [PARTITION ...] WHERE ...`.
    Delete {
        /// The table.
        table: ObjectName,
        /// Another name for the table.
        alias: Option<String>,
        /// Partitions; empty means all.
        partitions: Vec<String>,
        /// Text after `USING`: other tables.
        using: Option<String>,
        /// Text after `WHERE`; `None` deletes everything.
        predicate: Option<String>,
    },
    /// `UPDATE t SET ... WHERE ...`.
    Update {
        /// The table.
        table: ObjectName,
        /// Another name for the table.
        alias: Option<String>,
        /// Column and text of the new value.
        assignments: Vec<(String, String)>,
        /// Text after `FROM`: other tables.
        from: Option<String>,
        /// Text after `WHERE`.
        predicate: Option<String>,
    },
    /// `BACKUP SNAPSHOT db.label TO repo ...`.
    Backup(Box<Backup>),
    /// `RESTORE SNAPSHOT db.label FROM repo ...`.
    Restore(Box<Backup>),
    /// `CANCEL BACKUP [FROM db]`.
    CancelBackup {
        /// Database; `None` means the session's.
        db: Option<String>,
    },
    /// `CANCEL RESTORE [FROM db]`.
    CancelRestore {
        /// Database; `None` means the session's.
        db: Option<String>,
    },
    /// `CANCEL ALTER TABLE COLUMN|ROLLUP FROM t [(jobs)]`.
    CancelAlter {
        /// `COLUMN`, `ROLLUP` or `MATERIALIZED VIEW`.
        kind: String,
        /// The table.
        table: ObjectName,
    },
    /// `CANCEL BUILD INDEX ON t [(jobs)]`.
    CancelBuildIndex {
        /// The table.
        table: ObjectName,
        /// Jobs; empty means all.
        jobs: Vec<i64>,
    },
    /// `RECOVER DATABASE db [id] [AS new]`.
    RecoverDatabase {
        /// Name it had.
        name: String,
        /// Id it had.
        id: Option<i64>,
        /// Name it gets.
        new_name: Option<String>,
    },
    /// `RECOVER TABLE t [id] [AS new]`.
    RecoverTable {
        /// Name it had.
        name: ObjectName,
        /// Id it had.
        id: Option<i64>,
        /// Name it gets.
        new_name: Option<String>,
    },
    /// `RECOVER PARTITION p [id] [AS new] FROM t`.
    RecoverPartition {
        /// Name it had.
        name: String,
        /// Id it had.
        id: Option<i64>,
        /// Name it gets.
        new_name: Option<String>,
        /// Table it belonged to.
        table: ObjectName,
    },
    /// `BEGIN [WITH LABEL x]`, `START TRANSACTION`.
    Begin {
        /// Label wanted.
        label: Option<String>,
    },
    /// `COMMIT`.
    Commit,
    /// `ROLLBACK`.
    Rollback,
    /// `USE [catalog.]db`.
    Use {
        /// Name of the database.
        db: String,
    },
    /// `SET ...`, `UNSET ...`: accepted; assignments the parser understood.
    Set {
        /// In the order of the statement.
        assignments: Vec<Assignment>,
    },
    /// `SET PASSWORD [FOR user] = PASSWORD('x')`.
    SetPassword {
        /// User; `None` means the session's own.
        user: Option<String>,
        /// The new password.
        password: String,
    },
    /// `CREATE USER`.
    CreateUser {
        /// `IF NOT EXISTS` was written.
        if_not_exists: bool,
        /// Name without host.
        user: String,
        /// Password in clear; empty when none was given.
        password: String,
    },
    /// `DROP USER`.
    DropUser {
        /// `IF EXISTS` was written.
        if_exists: bool,
        /// Name without host.
        user: String,
    },
    /// `GRANT privs ON x TO user`.
    Grant {
        /// Privileges in upper case, `_PRIV` kept.
        privileges: Vec<String>,
        /// What they stand on, as written (`*.*.*`, `db.*`).
        on: String,
        /// Name without host.
        user: String,
    },
    /// `REVOKE privs ON x FROM user`.
    Revoke {
        /// Privileges in upper case.
        privileges: Vec<String>,
        /// What they stand on, as written.
        on: String,
        /// Name without host.
        user: String,
    },
    /// `ADMIN SET FRONTEND CONFIG ("k" = "v")`.
    AdminSetConfig {
        /// The settings.
        settings: Properties,
    },
    /// `ADMIN SHOW FRONTEND CONFIG [LIKE x]`.
    AdminShowConfig {
        /// Pattern.
        like: Option<String>,
    },
    /// `ALTER SYSTEM` on backends.
    AlterSystem(AlterSystem),
    /// `CREATE FUNCTION`: kept and shown, no query can call it.
    CreateFunction {
        /// `IF NOT EXISTS` was there.
        if_not_exists: bool,
        /// Name.
        name: ObjectName,
        /// `name(types)`.
        signature: String,
        /// The whole statement.
        text: String,
    },
    /// `DROP FUNCTION`.
    DropFunction {
        /// `IF EXISTS` was there.
        if_exists: bool,
        /// Name.
        name: ObjectName,
        /// `name(types)`.
        signature: String,
    },
    /// Accepted and without effect; `no_effect` in the parser lists them.
    NoEffect {
        /// Its first words.
        kind: String,
    },
    /// `SHOW ...`.
    Show(Show),
    /// `DESC t [ALL]`, `DESCRIBE t`.
    Describe {
        /// The table.
        table: ObjectName,
        /// `ALL`: rollups too.
        all: bool,
    },
    /// `EXPLAIN ...`: the text after it.
    Explain {
        /// The query.
        text: String,
    },
    /// A query.
    Select {
        /// The text.
        text: String,
    },
}
