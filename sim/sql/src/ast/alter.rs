//! The clauses of ALTER TABLE.

use super::{
    ColumnDef, Distribution, IndexDef, PartitionDef, PartitionItem, Properties, RollupDef,
};

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
        /// `TEMPORARY`.
        temp: bool,
        /// The step.
        step: PartitionItem,
        /// `PROPERTIES` of the partitions.
        properties: Properties,
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
        /// Written as CREATE INDEX, a statement of its own.
        alone: bool,
    },
    /// `DROP INDEX`.
    DropIndex {
        /// Written as a statement of its own.
        alone: bool,
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
