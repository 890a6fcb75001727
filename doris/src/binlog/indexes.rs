//! Records about indexes: jobs that make them, secondary indexes, rollups.
//!
//! Fields that decide what is done are required: a record without them is an error, never a record that does nothing.
//! Everything else has a default, because older releases leave it out. Unknown fields are ignored. Shapes as read in
//! Doris master of January 2026 and November 2024.

use std::collections::BTreeMap;

use ccr_schemas::{IndexId, PartitionId, TableId};
use serde::Deserialize;

use super::lenient;

/// ALTER_JOB (5).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AlterJob {
    /// `ROLLUP`, `SCHEMA_CHANGE`, `DECOMMISSION_BACKEND`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Table.
    pub table_id: TableId,
    /// Its name.
    #[serde(default)]
    pub table_name: String,
    /// Job.
    pub job_id: i64,
    /// `PENDING`, `WAITING_TXN`, `RUNNING`, `FINISHED`, `CANCELLED`.
    pub job_state: String,
    /// Statement that started the job.
    #[serde(default)]
    pub raw_sql: String,
    /// Shadow index -> index it replaces.
    #[serde(rename = "iim", default)]
    pub shadow_indexes: BTreeMap<IndexId, IndexId>,
    /// Rollup made by the job, 0 without.
    #[serde(default)]
    pub rollup_index_id: i64,
    /// Its name.
    #[serde(rename = "rollUpIndexName", alias = "rollupIndexName", default)]
    pub rollup_index_name: String,
    /// Index the rollup is made from, 0 without.
    #[serde(default)]
    pub base_index_id: i64,
    /// Its name.
    #[serde(default)]
    pub base_index_name: String,
}

/// MODIFY_TABLE_ADD_OR_DROP_INVERTED_INDICES (19).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModifyIndexes {
    /// Table.
    pub table_id: TableId,
    /// All indexes after the change.
    #[serde(default)]
    pub indexes: Vec<Index>,
    /// The ones added or dropped.
    #[serde(rename = "alterInvertedIndexes")]
    pub altered: Vec<Index>,
    /// Dropped rather than added.
    #[serde(rename = "isDropInvertedIndex")]
    pub is_drop: bool,
    /// Statement.
    #[serde(default)]
    pub raw_sql: String,
}

/// A secondary index.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Index {
    /// Id.
    #[serde(rename = "i", alias = "indexId", default = "lenient::minus_one")]
    pub id: i64,
    /// Name.
    #[serde(rename = "in", alias = "indexName")]
    pub name: String,
    /// Columns.
    #[serde(rename = "c", alias = "columns", default)]
    pub columns: Vec<String>,
    /// `INVERTED`, `BITMAP`, `NGRAM_BF`, ...
    #[serde(rename = "it", alias = "indexType", default)]
    pub kind: String,
}

/// INDEX_CHANGE_JOB (20).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IndexChangeJob {
    /// Job.
    #[serde(default)]
    pub job_id: i64,
    /// `WAITING_TXN`, `RUNNING`, `FINISHED`, `CANCELLED`.
    pub job_state: String,
    /// Table.
    pub table_id: TableId,
    /// Its name.
    #[serde(default)]
    pub table_name: String,
    /// Partition, -1 when not said.
    #[serde(default = "lenient::no_partition")]
    pub partition_id: PartitionId,
    /// Its name.
    #[serde(default)]
    pub partition_name: String,
    /// Clean-up of a dropped index.
    #[serde(rename = "isDropOp", default)]
    pub is_drop: bool,
    /// The indexes.
    #[serde(rename = "alterInvertedIndexes", default)]
    pub indexes: Vec<Index>,
}

/// DROP_ROLLUP (23).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DropRollup {
    /// Table.
    pub table_id: TableId,
    /// Its name.
    #[serde(default)]
    pub table_name: String,
    /// Rollup.
    pub index_id: IndexId,
    /// Its name.
    pub index_name: String,
}
