//! Records about tables, views and their columns.
//!
//! Fields that decide what is done are required: a record without them is an error, never a record that does nothing.
//! Everything else has a default, because older releases leave it out. Unknown fields are ignored. Shapes as read in
//! Doris master of January 2026 and November 2024.

use std::collections::BTreeMap;

use ccr_schemas::{IndexId, PartitionId, TableId};
use serde::Deserialize;

use super::lenient;
use crate::ddl::ends_in_force;

/// A column.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Column {
    /// Name.
    pub name: String,
    /// Shown to users; hidden ones bear the delete sign, the sequence and so on.
    #[serde(default = "lenient::yes")]
    pub visible: bool,
    /// Key column.
    #[serde(default)]
    pub is_key: bool,
    /// Unique id, by which files name the column.
    #[serde(default = "lenient::minus_one")]
    pub unique_id: i64,
    /// It has ON UPDATE CURRENT_TIMESTAMP, which the statement of the record leaves out.
    #[serde(default)]
    pub has_on_update_default_value: bool,
    /// The function of ON UPDATE.
    #[serde(default)]
    pub on_update_default_value_expr_def: Option<OnUpdate>,
    /// Comment.
    #[serde(default)]
    pub comment: String,
}

impl Column {
    /// Digits of ON UPDATE CURRENT_TIMESTAMP, where the column has it.
    pub fn on_update_digits(&self) -> Option<u8> {
        let function = self.on_update_default_value_expr_def.as_ref();
        self.has_on_update_default_value
            .then(|| function.and_then(|f| f.precision).unwrap_or(0))
    }
}

/// The function of ON UPDATE.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct OnUpdate {
    /// Digits behind the seconds.
    #[serde(default)]
    pub precision: Option<u8>,
}

/// CREATE_TABLE (2): a table or a view.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateTable {
    /// The new object.
    pub table_id: TableId,
    /// Database name; empty from old releases.
    #[serde(default)]
    pub db_name: String,
    /// Object name; empty from old releases.
    #[serde(default)]
    pub table_name: String,
    /// `OLAP`, `VIEW`, ...; empty from old releases, see [`CreateTable::kind`].
    #[serde(default)]
    pub table_type: String,
    /// The statement.
    pub sql: String,
    /// Properties.
    #[serde(default)]
    pub properties: BTreeMap<String, String>,
}

impl CreateTable {
    /// `table_type`, or what the statement says.
    pub fn kind(&self) -> &str {
        if !self.table_type.is_empty() {
            &self.table_type
        } else if lenient::starts_with_words(&self.sql, &["CREATE", "VIEW"]) {
            "VIEW"
        } else {
            "OLAP"
        }
    }
}

/// DROP_TABLE (4).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DropTable {
    /// The dropped object.
    pub table_id: TableId,
    /// Its name; empty from old releases.
    #[serde(default)]
    pub table_name: String,
    /// A view.
    #[serde(default)]
    pub is_view: bool,
    /// Statement.
    #[serde(default)]
    pub raw_sql: String,
    /// With FORCE. No release up to January 2026 sends it.
    #[serde(default)]
    pub force_drop: bool,
}

impl DropTable {
    /// True when the table was dropped with FORCE, as far as the record says so.
    pub fn is_force(&self) -> bool {
        self.force_drop || ends_in_force(&self.raw_sql)
    }
}

/// MODIFY_TABLE_ADD_OR_DROP_COLUMNS (6): light schema change.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModifyColumns {
    /// Table.
    pub table_id: TableId,
    /// Base index; not sent by old releases.
    #[serde(default)]
    pub base_index_id: Option<IndexId>,
    /// Columns of each index after the change.
    #[serde(default)]
    pub index_schema_map: BTreeMap<IndexId, Vec<Column>>,
    /// Index names.
    #[serde(default)]
    pub index_name_to_id: BTreeMap<String, IndexId>,
    /// Job.
    #[serde(default)]
    pub job_id: i64,
    /// Statement, with the source's database name.
    pub raw_sql: String,
}

impl ModifyColumns {
    /// Columns of the base index after the change: by its id, else by the table's name, else the widest index.
    pub fn base_columns(&self, table_name: &str) -> &[Column] {
        let id = self
            .base_index_id
            .or_else(|| self.index_name_to_id.get(table_name).copied());
        id.and_then(|id| self.index_schema_map.get(&id))
            .or_else(|| self.index_schema_map.values().max_by_key(|c| c.len()))
            .map_or(&[], Vec::as_slice)
    }
}

/// ALTER_DATABASE_PROPERTY (8).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AlterDatabaseProperty {
    /// Database.
    #[serde(default)]
    pub db_name: String,
    /// New values.
    #[serde(default)]
    pub properties: BTreeMap<String, String>,
}

/// MODIFY_TABLE_PROPERTY (9).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModifyTableProperty {
    /// Table.
    pub table_id: TableId,
    /// Its name.
    #[serde(default)]
    pub table_name: String,
    /// New values.
    pub properties: BTreeMap<String, String>,
}

/// BARRIER (10): a table-level backup passed here, or (with `binlog`) a newer record in an old release's clothes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Barrier {
    /// Table, 0 for a database-wide one.
    #[serde(default = "lenient::no_table")]
    pub table_id: TableId,
    /// Its name.
    #[serde(default)]
    pub table_name: String,
    /// Type of the inner record; means nothing without `binlog`.
    #[serde(default)]
    pub binlog_type: i32,
    /// JSON of the inner record.
    #[serde(default)]
    pub binlog: Option<String>,
}

/// RENAME_TABLE (14), RENAME_ROLLUP (21), RENAME_PARTITION (22) and MODIFY_DISTRIBUTION_TYPE (26) share this shape. The
/// old names are missing in releases before mid-2024.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct TableInfo {
    /// Table.
    #[serde(rename = "tb")]
    pub table_id: TableId,
    /// Index, -1 without.
    #[serde(rename = "ind", default = "lenient::no_index")]
    pub index_id: IndexId,
    /// Partition, -1 without.
    #[serde(rename = "p", default = "lenient::no_partition")]
    pub partition_id: PartitionId,
    /// New table name.
    #[serde(rename = "nT", default)]
    pub new_table: String,
    /// Old table name.
    #[serde(rename = "oT", default)]
    pub old_table: String,
    /// New rollup name.
    #[serde(rename = "nR", default)]
    pub new_rollup: String,
    /// Old rollup name.
    #[serde(rename = "oR", default)]
    pub old_rollup: String,
    /// New partition name.
    #[serde(rename = "nP", default)]
    pub new_partition: String,
    /// Old partition name.
    #[serde(rename = "oP", default)]
    pub old_partition: String,
}

/// RENAME_COLUMN (15).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RenameColumn {
    /// Table.
    pub table_id: TableId,
    /// Old name.
    #[serde(rename = "colName")]
    pub old: String,
    /// New name.
    #[serde(rename = "newColName")]
    pub new: String,
}

/// MODIFY_COMMENT (16).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModifyComment {
    /// `TABLE` or `COLUMN`.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// Table.
    #[serde(rename = "tblId")]
    pub table_id: TableId,
    /// Column -> comment.
    #[serde(rename = "colToComment", default)]
    pub columns: BTreeMap<String, String>,
    /// Table comment.
    #[serde(rename = "tblComment", default)]
    pub table_comment: Option<String>,
}

/// MODIFY_VIEW_DEF (17).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModifyViewDef {
    /// View.
    #[serde(rename = "tableId")]
    pub view_id: TableId,
    /// Select text; empty when only the comment changed.
    #[serde(rename = "inlineViewDef", default)]
    pub definition: String,
    /// Columns after the change; empty when only the comment changed.
    #[serde(rename = "newFullSchema", default)]
    pub columns: Vec<Column>,
    /// Comment.
    #[serde(default)]
    pub comment: Option<String>,
}

/// REPLACE_TABLE (18).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplaceTable {
    /// Table whose name is taken over.
    #[serde(rename = "origTblId")]
    pub original_id: TableId,
    /// That name.
    #[serde(rename = "origTblName")]
    pub original_name: String,
    /// Table that takes the name. The JSON calls this id a name.
    #[serde(rename = "newTblName", deserialize_with = "lenient::table_id")]
    pub replacement_id: TableId,
    /// Its name before.
    #[serde(rename = "actualNewTblName", default)]
    pub replacement_name: String,
    /// The original remains under the other name.
    #[serde(rename = "swapTable")]
    pub swap: bool,
}

/// RECOVER_INFO (24).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecoverInfo {
    /// Table.
    pub table_id: TableId,
    /// Name before.
    #[serde(default)]
    pub table_name: String,
    /// New name; empty when it kept its own.
    #[serde(default)]
    pub new_table_name: String,
    /// Partition, -1 for a whole table.
    #[serde(default = "lenient::no_partition")]
    pub partition_id: PartitionId,
    /// Partition name before.
    #[serde(default)]
    pub partition_name: String,
    /// New partition name; empty when it kept its own.
    #[serde(default)]
    pub new_partition_name: String,
}

impl RecoverInfo {
    /// Name of the table after the recovery.
    pub fn table_now(&self) -> &str {
        if self.new_table_name.is_empty() {
            &self.table_name
        } else {
            &self.new_table_name
        }
    }

    /// The partition and its name after the recovery, when only one was recovered.
    pub fn partition_now(&self) -> Option<(PartitionId, &str)> {
        if self.partition_id.0 < 0 {
            return None;
        }
        let name = if self.new_partition_name.is_empty() {
            &self.partition_name
        } else {
            &self.new_partition_name
        };
        Some((self.partition_id, name))
    }
}
