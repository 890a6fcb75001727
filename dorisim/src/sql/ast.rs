//! The statements of Doris' dialect that the cluster understands, as plain data.
//!
//! Names keep the spelling of the statement; back-quotes are gone. Types are kept as text
//! (`DECIMAL(10, 2)`), whoever owns the catalogue turns them into its own types.

use std::collections::BTreeMap;

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
        /// Partitions; empty means all.
        partitions: Vec<String>,
        /// Text after `WHERE`; `None` deletes everything.
        predicate: Option<String>,
    },
    /// `UPDATE t SET ... WHERE ...`.
    Update {
        /// The table.
        table: ObjectName,
        /// Column and text of the new value.
        assignments: Vec<(String, String)>,
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
        /// Variable in lower case and text of its value.
        assignments: Vec<(String, String)>,
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
    /// Another administrator's statement, accepted and without effect.
    Admin {
        /// The text.
        text: String,
    },
    /// `CREATE REPOSITORY`: kept as a name only.
    CreateRepository {
        /// Name.
        name: String,
        /// `PROPERTIES`.
        properties: Properties,
    },
    /// `DROP REPOSITORY`.
    DropRepository {
        /// Name.
        name: String,
    },
    /// `SYNC`, `CLEAN ...`, `ANALYZE ...`, `KILL ...`, `LOCK`/`UNLOCK TABLES`: accepted and without effect.
    NoEffect {
        /// The text.
        text: String,
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

/// `CREATE TABLE`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CreateTable {
    /// `IF NOT EXISTS` was written.
    pub if_not_exists: bool,
    /// `EXTERNAL` or another engine than OLAP.
    pub engine: Option<String>,
    /// The table.
    pub name: ObjectName,
    /// Columns in order.
    pub columns: Vec<ColumnDef>,
    /// Inline `INDEX` entries.
    pub indexes: Vec<IndexDef>,
    /// Key model; `None` means DUPLICATE with default keys.
    pub keys: Option<KeysDef>,
    /// `CLUSTER BY (...)` of MoW tables.
    pub cluster_by: Vec<String>,
    /// Comment of the table.
    pub comment: String,
    /// Partitioning; `None` means one partition named like the table.
    pub partition: Option<PartitionBy>,
    /// Distribution; `None` means RANDOM.
    pub distribution: Option<Distribution>,
    /// `ROLLUP (...)`.
    pub rollups: Vec<RollupDef>,
    /// `PROPERTIES`.
    pub properties: Properties,
}

/// Key model and its columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeysDef {
    /// Which model.
    pub model: KeysModel,
    /// Key columns.
    pub columns: Vec<String>,
}

/// The three table models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeysModel {
    /// `DUPLICATE KEY`.
    Duplicate,
    /// `UNIQUE KEY`.
    Unique,
    /// `AGGREGATE KEY`.
    Aggregate,
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ColumnDef {
    /// Name.
    pub name: String,
    /// Type in upper case with single blanks after commas: `DECIMAL(10, 2)`, `ARRAY<INT>`. Empty
    /// in `CREATE TABLE AS SELECT` when only names were given.
    pub type_text: String,
    /// `KEY` stood behind the type.
    pub is_key: bool,
    /// Aggregation in upper case (`SUM`, `REPLACE`, ...).
    pub aggregation: Option<String>,
    /// `NULL`/`NOT NULL`; `None` when neither was written (Doris: nullable).
    pub nullable: Option<bool>,
    /// `DEFAULT`.
    pub default: Option<DefaultValue>,
    /// `ON UPDATE CURRENT_TIMESTAMP`.
    pub on_update_current_timestamp: bool,
    /// `AUTO_INCREMENT[(start)]`.
    pub auto_increment: Option<i64>,
    /// `GENERATED ALWAYS AS (expr)`.
    pub generated: Option<String>,
    /// Comment.
    pub comment: String,
}

/// `DEFAULT ...`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DefaultValue {
    /// `DEFAULT NULL`.
    Null,
    /// A literal, without its quotes.
    Literal(String),
    /// `CURRENT_TIMESTAMP[(precision)]`.
    CurrentTimestamp(Option<u8>),
    /// `CURRENT_DATE`.
    CurrentDate,
    /// Another expression (`PI`, `BITMAP_EMPTY`, `E`), upper case.
    Expression(String),
}

/// An index as metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexDef {
    /// `IF NOT EXISTS` was written.
    pub if_not_exists: bool,
    /// Name.
    pub name: String,
    /// Columns.
    pub columns: Vec<String>,
    /// `INVERTED`, `NGRAM_BF`, `BITMAP`, `ANN`.
    pub index_type: String,
    /// `PROPERTIES`.
    pub properties: Properties,
    /// Comment.
    pub comment: String,
}

/// `HASH`/`RANDOM` with buckets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distribution {
    /// Hash columns; empty means RANDOM.
    pub hash_columns: Vec<String>,
    /// Number of buckets; `None` means AUTO.
    pub buckets: Option<u32>,
}

/// `PARTITION BY`.
#[derive(Debug, Clone, PartialEq)]
pub struct PartitionBy {
    /// RANGE or LIST.
    pub kind: PartitionKind,
    /// Columns.
    pub columns: Vec<String>,
    /// Expression of an automatic partitioning, e.g. `date_trunc(`k`, 'day')`.
    pub auto_expr: Option<String>,
    /// `AUTO` was written.
    pub auto: bool,
    /// Partitions in order.
    pub partitions: Vec<PartitionItem>,
}

/// RANGE or LIST.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartitionKind {
    /// `PARTITION BY RANGE`.
    Range,
    /// `PARTITION BY LIST`.
    List,
}

/// An entry of the partition list.
#[derive(Debug, Clone, PartialEq)]
pub enum PartitionItem {
    /// One partition.
    One(PartitionDef),
    /// `FROM (a) TO (b) INTERVAL n unit`.
    Step {
        /// Lower bound, inclusive.
        from: Vec<PartitionValue>,
        /// Upper bound, exclusive.
        to: Vec<PartitionValue>,
        /// Step.
        interval: i64,
        /// `YEAR`, `MONTH`, `WEEK`, `DAY`, `HOUR`; `None` for integers.
        unit: Option<String>,
    },
}

/// One partition.
#[derive(Debug, Clone, PartialEq)]
pub struct PartitionDef {
    /// `IF NOT EXISTS` was written.
    pub if_not_exists: bool,
    /// Name.
    pub name: String,
    /// Its range or list.
    pub values: PartitionValues,
    /// Own properties.
    pub properties: Properties,
}

/// What a partition holds.
#[derive(Debug, Clone, PartialEq)]
pub enum PartitionValues {
    /// `VALUES LESS THAN (...)`; `LESS THAN MAXVALUE` is a single `Max`.
    LessThan(Vec<PartitionValue>),
    /// `VALUES [(a), (b))`.
    Fixed {
        /// Lower bound, inclusive.
        lower: Vec<PartitionValue>,
        /// Upper bound, exclusive.
        upper: Vec<PartitionValue>,
    },
    /// `VALUES IN (...)`: one tuple per entry.
    In(Vec<Vec<PartitionValue>>),
    /// No `VALUES`: default list partition, or unpartitioned temp partition.
    Default,
}

/// One value of a bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartitionValue {
    /// A literal without quotes.
    Value(String),
    /// `NULL`.
    Null,
    /// `MAXVALUE`.
    Max,
}

/// `r1 (a, b) [DUPLICATE KEY (a)] [FROM base] [PROPERTIES (...)]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RollupDef {
    /// Name.
    pub name: String,
    /// Columns.
    pub columns: Vec<String>,
    /// Key columns of a duplicate rollup.
    pub keys: Vec<String>,
    /// Index it is built from.
    pub base: Option<String>,
    /// `PROPERTIES`.
    pub properties: Properties,
}

/// Where a column goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnPosition {
    /// `FIRST`.
    First,
    /// `AFTER x`.
    After(String),
}

/// One clause of `ALTER TABLE`.
#[derive(Debug, Clone, PartialEq)]
pub enum AlterClause {
    /// `ADD COLUMN c ...`.
    AddColumn {
        /// The column.
        column: ColumnDef,
        /// Where it goes.
        position: Option<ColumnPosition>,
        /// `TO rollup`.
        rollup: Option<String>,
        /// `PROPERTIES`.
        properties: Properties,
    },
    /// `ADD COLUMN (c1 ..., c2 ...)`.
    AddColumns {
        /// The columns.
        columns: Vec<ColumnDef>,
        /// `TO rollup`.
        rollup: Option<String>,
        /// `PROPERTIES`.
        properties: Properties,
    },
    /// `DROP COLUMN c`.
    DropColumn {
        /// The column.
        name: String,
        /// `FROM rollup`.
        rollup: Option<String>,
        /// `PROPERTIES`.
        properties: Properties,
    },
    /// `RENAME COLUMN a b`.
    RenameColumn {
        /// Name now.
        name: String,
        /// Name afterwards.
        new_name: String,
    },
    /// `MODIFY COLUMN c ...`.
    ModifyColumn {
        /// The column as it shall be.
        column: ColumnDef,
        /// Where it goes.
        position: Option<ColumnPosition>,
        /// `FROM rollup`.
        rollup: Option<String>,
        /// `PROPERTIES`.
        properties: Properties,
    },
    /// `ORDER BY (c1, c2)`.
    OrderBy {
        /// All columns in the new order.
        columns: Vec<String>,
        /// `FROM rollup`.
        rollup: Option<String>,
        /// `PROPERTIES`.
        properties: Properties,
    },
    /// `MODIFY COMMENT "x"`.
    ModifyComment {
        /// New comment of the table.
        comment: String,
    },
    /// `MODIFY COLUMN c COMMENT "x"`.
    ModifyColumnComment {
        /// The column.
        column: String,
        /// Its new comment.
        comment: String,
    },
    /// `ADD [TEMPORARY] PARTITION`.
    AddPartition {
        /// A temporary partition.
        temp: bool,
        /// The partition.
        partition: PartitionDef,
        /// Own distribution.
        distribution: Option<Distribution>,
    },
    /// `ADD PARTITIONS FROM (a) TO (b) INTERVAL n unit`.
    AddPartitions {
        /// The step.
        step: PartitionItem,
    },
    /// `DROP [TEMPORARY] PARTITION`.
    DropPartition {
        /// A temporary partition.
        temp: bool,
        /// `IF EXISTS` was written.
        if_exists: bool,
        /// Name.
        name: String,
        /// `FORCE`: not recoverable.
        force: bool,
    },
    /// `RENAME PARTITION a b`.
    RenamePartition {
        /// Name now.
        name: String,
        /// Name afterwards.
        new_name: String,
    },
    /// `REPLACE PARTITION (p...) WITH TEMPORARY PARTITION (tp...)`.
    ReplacePartition {
        /// Partitions to replace.
        partitions: Vec<String>,
        /// Temporary partitions that take their place.
        temp_partitions: Vec<String>,
        /// `FORCE`.
        force: bool,
        /// `strict_range`, `use_temp_partition_name`.
        properties: Properties,
    },
    /// `MODIFY PARTITION p|(p...)|(*) SET (...)`.
    ModifyPartition {
        /// Partitions; empty means all.
        partitions: Vec<String>,
        /// Temporary partitions.
        temp: bool,
        /// The properties to set.
        properties: Properties,
    },
    /// `RENAME new`.
    RenameTable {
        /// Name afterwards.
        new_name: String,
    },
    /// `REPLACE WITH TABLE t`.
    ReplaceWithTable {
        /// The other table.
        other: String,
        /// `swap` property, default true.
        swap: bool,
        /// `FORCE`.
        force: bool,
    },
    /// `SET (...)`.
    SetProperties {
        /// The properties to set.
        properties: Properties,
    },
    /// `ADD ROLLUP r (...)`.
    AddRollup {
        /// The rollup.
        rollup: RollupDef,
    },
    /// `DROP ROLLUP r`.
    DropRollup {
        /// `IF EXISTS` was written.
        if_exists: bool,
        /// Name.
        name: String,
    },
    /// `RENAME ROLLUP a b`.
    RenameRollup {
        /// Name now.
        name: String,
        /// Name afterwards.
        new_name: String,
    },
    /// `ADD INDEX`.
    AddIndex {
        /// The index.
        index: IndexDef,
    },
    /// `DROP INDEX`.
    DropIndex {
        /// `IF EXISTS` was written.
        if_exists: bool,
        /// Name.
        name: String,
    },
    /// `MODIFY DISTRIBUTION DISTRIBUTED BY ...`.
    ModifyDistribution {
        /// The new default distribution.
        distribution: Distribution,
    },
    /// `ENABLE FEATURE "x"`.
    EnableFeature {
        /// Name of the feature.
        feature: String,
        /// `PROPERTIES`.
        properties: Properties,
    },
}

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

/// `SHOW ...`.
#[derive(Debug, Clone, PartialEq)]
pub enum Show {
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
        /// Text of `WHERE`, `ORDER BY`, `LIMIT`.
        rest: ShowTail,
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
        /// Text of `WHERE`, `ORDER BY`, `LIMIT`.
        rest: ShowTail,
    },
    /// `SHOW TABLET id`.
    Tablet {
        /// Its id.
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
    /// `SHOW SNAPSHOT ON repo`.
    Snapshot {
        /// The repository.
        repository: String,
        /// Text of `WHERE`.
        rest: ShowTail,
    },
    /// `SHOW REPOSITORIES`.
    Repositories,
    /// `SHOW [GLOBAL] VARIABLES [LIKE]`.
    Variables {
        /// Pattern.
        like: Option<String>,
    },
    /// `SHOW DATA [FROM t]`.
    Data {
        /// The table.
        table: Option<ObjectName>,
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
    /// `SHOW [FULL] PROCESSLIST`.
    ProcessList,
    /// `SHOW GRANTS`.
    Grants,
    /// Accepted forms with an empty or fixed answer (`ENGINES`, `COLLATION`, `CATALOGS`, `STATUS`, ...), upper case.
    Other {
        /// Text after `SHOW`.
        text: String,
    },
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
