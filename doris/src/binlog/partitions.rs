//! Records about data and partitions.
//!
//! Fields that decide what is done are required: a record without them is an error, never a record that does nothing.
//! Everything else has a default, because older releases leave it out. Unknown fields are ignored. Shapes as read in
//! Doris master of January 2026 and November 2024.

use std::collections::BTreeMap;

use ccr_schemas::{IndexId, PartitionId, TableId, TxnId};
use serde::Deserialize;

use super::lenient;
use super::tables::Column;
use crate::ddl::{ends_in_force, partition_list};

/// UPSERT (0): a transaction became visible.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Upsert {
    /// Source transaction.
    pub txn_id: TxnId,
    /// Its label.
    #[serde(default)]
    pub label: String,
    /// What was written, by table.
    pub table_records: BTreeMap<TableId, UpsertTable>,
    /// Sub-transactions in order; empty for an ordinary transaction.
    #[serde(default)]
    pub stids: Vec<TxnId>,
}

/// What a transaction wrote into one table.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpsertTable {
    /// Partitions in the order of the record. With sub-transactions a partition can occur repeatedly.
    pub partition_records: Vec<UpsertPartition>,
    /// Materialized indexes written. Empty when the FE did not know them: then all visible ones were.
    #[serde(default)]
    pub index_ids: Vec<IndexId>,
}

/// What a transaction wrote into one partition.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpsertPartition {
    /// Partition.
    pub partition_id: PartitionId,
    /// Range text; empty when unpartitioned.
    #[serde(default)]
    pub range: String,
    /// Visible version of the partition after the transaction.
    pub version: i64,
    /// A temporary partition.
    #[serde(default)]
    pub is_temp_partition: bool,
    /// Sub-transaction, -1 without.
    #[serde(default = "lenient::no_txn")]
    pub stid: TxnId,
}

/// ADD_PARTITION (1).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AddPartition {
    /// Table.
    pub table_id: TableId,
    /// The new partition.
    pub partition: AddedPartition,
    /// Temporary. Old releases do not say; see [`AddPartition::is_temp`].
    #[serde(default)]
    pub is_temp_partition: bool,
    /// Clause after ``ALTER TABLE `t` ``, without a distribution.
    pub sql: String,
}

impl AddPartition {
    /// Whether the partition is temporary, by the flag or by the clause.
    pub fn is_temp(&self) -> bool {
        self.is_temp_partition
            || lenient::starts_with_words(&self.sql, &["ADD", "TEMPORARY", "PARTITION"])
    }
}

/// The partition of [`AddPartition`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct AddedPartition {
    /// Id.
    pub id: PartitionId,
    /// Name.
    #[serde(rename = "nm", alias = "name")]
    pub name: String,
    /// Distribution.
    #[serde(rename = "di", alias = "distributionInfo", default)]
    pub distribution: Option<DistributionInfo>,
}

/// How a partition is bucketed.
#[derive(Clone, Debug, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DistributionInfo {
    /// Name of the implementing class; decides when `kind` is missing.
    pub clazz: String,
    /// `HASH` or `RANDOM`.
    #[serde(rename = "type", alias = "typeStr")]
    pub kind: String,
    /// Number of buckets.
    pub bucket_num: i32,
    /// Chosen by Doris.
    pub auto_bucket: bool,
    /// Columns of HASH.
    pub distribution_columns: Vec<Column>,
}

impl DistributionInfo {
    /// HASH rather than RANDOM.
    pub fn is_hash(&self) -> bool {
        if self.kind.is_empty() {
            self.clazz.starts_with("Hash")
        } else {
            self.kind.eq_ignore_ascii_case("HASH")
        }
    }
}

/// DROP_PARTITION (3).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DropPartition {
    /// Table.
    pub table_id: TableId,
    /// Partition; not sent before mid-2024.
    #[serde(rename = "pid", default)]
    pub partition_id: Option<PartitionId>,
    /// Its name.
    pub partition_name: String,
    /// Temporary.
    #[serde(default)]
    pub is_temp_partition: bool,
    /// With FORCE.
    #[serde(default)]
    pub force_drop: bool,
    /// Clause after ``ALTER TABLE `t` ``.
    #[serde(default)]
    pub sql: String,
}

impl DropPartition {
    /// True when the partition was dropped with FORCE, as far as the record says so.
    pub fn is_force(&self) -> bool {
        self.force_drop || ends_in_force(&self.sql)
    }
}

/// MODIFY_PARTITIONS (11).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModifyPartitions {
    /// One per partition.
    pub infos: Vec<ModifyPartition>,
}

/// One partition of [`ModifyPartitions`]. Ids only, no names.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModifyPartition {
    /// Table.
    pub table_id: TableId,
    /// Partition.
    pub partition_id: PartitionId,
    /// Properties as written by the user.
    #[serde(default)]
    pub table_properties: BTreeMap<String, String>,
}

/// REPLACE_PARTITIONS (12).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplacePartitions {
    /// Table.
    #[serde(rename = "tblId")]
    pub table_id: TableId,
    /// Its name.
    #[serde(rename = "tblName", default)]
    pub table_name: String,
    /// Names of the replaced partitions.
    pub partitions: Vec<String>,
    /// Names of the temporary ones.
    #[serde(default)]
    pub temp_partitions: Vec<String>,
    /// Ranges had to be equal.
    #[serde(default)]
    pub strict_range: bool,
    /// The new partitions keep the temporary names.
    #[serde(default)]
    pub use_temp_partition_name: bool,
    /// Ids of the replaced ones; not sent by old releases.
    #[serde(default)]
    pub partition_ids: Vec<PartitionId>,
}

/// TRUNCATE_TABLE (13).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TruncateTable {
    /// Table.
    #[serde(rename = "tblId")]
    pub table_id: TableId,
    /// Its name.
    #[serde(rename = "table", default)]
    pub table_name: String,
    /// All partitions.
    pub is_entire_table: bool,
    /// Tail of the statement.
    #[serde(default)]
    pub raw_sql: String,
    /// Old partition ids and their names; not sent by old releases, see [`TruncateTable::part`].
    #[serde(rename = "op", default)]
    pub old_partitions: BTreeMap<PartitionId, String>,
}

/// Which part of a table a TRUNCATE emptied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TruncatedPart {
    /// All partitions.
    EntireTable,
    /// These partitions, by old id and name. The id is -1 where the record has names alone.
    Partitions(Vec<(PartitionId, String)>),
    /// Temporary partitions, by name.
    TemporaryPartitions(Vec<String>),
    /// Not all partitions, but the record does not say which, or contradicts itself.
    NotSaid,
}

impl TruncateTable {
    /// True when the tail of the statement ends in FORCE.
    pub fn is_force(&self) -> bool {
        ends_in_force(&self.raw_sql)
    }

    /// Returns what was emptied: by the ids and names of the old partitions, else by the names in the statement, because
    /// releases before mid-2024 send the statement alone.
    pub fn part(&self) -> TruncatedPart {
        let named = partition_list(&self.raw_sql);
        match (self.is_entire_table, named) {
            (true, Ok(None)) => TruncatedPart::EntireTable,
            (false, Ok(Some(list))) if list.temporary => {
                TruncatedPart::TemporaryPartitions(list.names)
            }
            (false, _) if self.old_partitions.values().any(String::is_empty) => {
                TruncatedPart::NotSaid
            }
            (false, _) if !self.old_partitions.is_empty() => {
                let partitions = self.old_partitions.iter();
                TruncatedPart::Partitions(
                    partitions.map(|(id, name)| (*id, name.clone())).collect(),
                )
            }
            (false, Ok(Some(list))) => {
                let partitions = list.names.into_iter().map(|name| (PartitionId(-1), name));
                TruncatedPart::Partitions(partitions.collect())
            }
            (true, Ok(Some(_))) | (false, Ok(None)) | (true | false, Err(_)) => {
                TruncatedPart::NotSaid
            }
        }
    }
}

/// MODIFY_DISTRIBUTION_BUCKET_NUM (25).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModifyBucketNum {
    /// Table.
    pub table_id: TableId,
    /// `HASH` or `RANDOM`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Chosen by Doris.
    #[serde(default)]
    pub auto_bucket: bool,
    /// Number of buckets.
    pub bucket_num: i32,
    /// Columns of HASH, comma list; each in back quotes from frontends of 2026.
    #[serde(rename = "columnsName", default)]
    pub columns: String,
}

impl ModifyBucketNum {
    /// HASH rather than RANDOM.
    pub fn is_hash(&self) -> bool {
        self.kind.eq_ignore_ascii_case("HASH")
    }

    /// Columns of HASH.
    pub fn column_names(&self) -> Vec<String> {
        self.columns
            .split(',')
            .map(str::trim)
            .map(|name| {
                let quoted = name.strip_prefix('`').and_then(|n| n.strip_suffix('`'));
                quoted.map_or_else(|| name.to_owned(), |name| name.replace("``", "`"))
            })
            .filter(|name| !name.is_empty())
            .collect()
    }
}
