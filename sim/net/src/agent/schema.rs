//! Schemas and tablets to create between the model and the wire.
//!
//! The wire has no index id, no schema version and no name of the sequence column: a backend needs none of them.

use std::sync::Arc;

use dorisim_wire::{
    TAggregationType, TBinlogConfig, TColumn, TCreateTabletReq, TKeysType, TStorageMedium,
    TStorageType, TTabletSchema,
};

use super::WireError;
use super::indexes::{format_from_wire, format_to_wire, indexes_from_wire, indexes_to_wire};
use super::types::{column_type, data_type, parts};
use dorisim_model::backend::TabletSpec;
use dorisim_model::column::{SEQUENCE_COL, VERSION_COL};
use dorisim_model::{
    Aggregation, Column, DataType, DefaultValue, IndexFormat, KeysModel, TableSchema,
};

/// A tablet of a CREATE task.
#[derive(Clone, Debug)]
pub struct CreateTablet {
    /// What is created. On the backend's side its index id is 0 and its schema version 0.
    pub spec: TabletSpec,
}

/// One column.
pub fn column_to_wire(column: &Column) -> TColumn {
    let default = match &column.default {
        None | Some(DefaultValue::Constant(None)) => None,
        Some(DefaultValue::Constant(Some(text)) | DefaultValue::Function(text)) => {
            Some(text.clone())
        }
        Some(DefaultValue::CurrentTimestamp(_)) => Some(CURRENT_TIMESTAMP.to_owned()),
    };
    let aggregation = aggregation_to_wire(column.aggregation);
    TColumn {
        column_name: column.name.clone(),
        column_type: column_type(&column.data_type),
        aggregation_type: aggregation,
        is_key: Some(column.is_key),
        is_allow_null: Some(column.nullable),
        default_value: default,
        is_bloom_filter_column: None,
        visible: Some(column.visible),
        children_column: children(&column.data_type, aggregation),
        col_unique_id: Some(column.unique_id),
        has_ngram_bf_index: None,
        gram_size: None,
        gram_bf_size: None,
        aggregation: None,
        result_is_nullable: None,
        is_auto_increment: Some(column.auto_inc.is_some()),
        cluster_key_id: Some(-1),
        be_exec_version: None,
        is_on_update_current_timestamp: Some(false),
    }
}

const CURRENT_TIMESTAMP: &str = "CURRENT_TIMESTAMP";

#[expect(clippy::vec_box, reason = "the form of the generated recursive struct")]
fn children(
    data_type: &DataType,
    aggregation: Option<TAggregationType>,
) -> Option<Vec<Box<TColumn>>> {
    let parts = parts(data_type);
    let child = |(name, part): (&str, &DataType)| {
        // Like Doris, the parts inherit the aggregation.
        let mut child = column_to_wire(&Column::new(name, part.clone()));
        child.aggregation_type = aggregation;
        child.children_column = children(part, aggregation);
        Box::new(child)
    };
    (!parts.is_empty()).then(|| parts.into_iter().map(child).collect())
}

/// Absent is what Doris sends for states of aggregate functions.
fn aggregation_to_wire(aggregation: Option<Aggregation>) -> Option<TAggregationType> {
    Some(match aggregation {
        None => TAggregationType::NONE,
        Some(Aggregation::Sum) => TAggregationType::SUM,
        Some(Aggregation::Min) => TAggregationType::MIN,
        Some(Aggregation::Max) => TAggregationType::MAX,
        Some(Aggregation::Replace) => TAggregationType::REPLACE,
        Some(Aggregation::ReplaceIfNotNull) => TAggregationType::REPLACE_IF_NOT_NULL,
        Some(Aggregation::HllUnion) => TAggregationType::HLL_UNION,
        Some(Aggregation::BitmapUnion) => TAggregationType::BITMAP_UNION,
        Some(Aggregation::QuantileUnion) => TAggregationType::QUANTILE_UNION,
        Some(Aggregation::Generic) => return None,
    })
}

fn aggregation(column: &TColumn) -> Result<Option<Aggregation>, WireError> {
    Ok(match column.aggregation_type {
        Some(TAggregationType::NONE) => None,
        Some(TAggregationType::SUM) => Some(Aggregation::Sum),
        Some(TAggregationType::MIN) => Some(Aggregation::Min),
        Some(TAggregationType::MAX) => Some(Aggregation::Max),
        Some(TAggregationType::REPLACE) => Some(Aggregation::Replace),
        Some(TAggregationType::REPLACE_IF_NOT_NULL) => Some(Aggregation::ReplaceIfNotNull),
        Some(TAggregationType::HLL_UNION) => Some(Aggregation::HllUnion),
        Some(TAggregationType::BITMAP_UNION) => Some(Aggregation::BitmapUnion),
        Some(TAggregationType::QUANTILE_UNION) => Some(Aggregation::QuantileUnion),
        None if column.is_key == Some(true) => None,
        None => Some(Aggregation::Generic),
        Some(other) => {
            return Err(WireError::new(format!(
                "column {}: no aggregation has number {}",
                column.column_name, other.0
            )));
        }
    })
}

/// One column. What a backend does not use is lost: comments, AUTO_INCREMENT's start, the kind of a function default.
///
/// # Errors
/// Unknown types and aggregations.
pub fn column_from_wire(column: &TColumn) -> Result<Column, WireError> {
    let data_type = data_type(column)?;
    let default = column.default_value.clone().map(|text| {
        if text != CURRENT_TIMESTAMP {
            return DefaultValue::Constant(Some(text));
        }
        let scale = column
            .column_type
            .scale
            .and_then(|scale| u8::try_from(scale).ok());
        DefaultValue::CurrentTimestamp(scale.unwrap_or(0))
    });
    Ok(Column {
        name: column.column_name.clone(),
        aggregation: aggregation(column)?,
        data_type,
        is_key: column.is_key.unwrap_or(false),
        nullable: column.is_allow_null.unwrap_or(false),
        default,
        comment: String::new(),
        unique_id: column.col_unique_id.unwrap_or(-1),
        visible: column.visible.unwrap_or(true),
        auto_inc: (column.is_auto_increment == Some(true)).then_some(1),
        generated: None,
        on_update: None,
        copied: false,
    })
}

/// A schema.
pub fn schema_to_wire(schema: &TableSchema) -> TTabletSchema {
    let index_of = |position: Option<usize>| {
        position
            .and_then(|position| i32::try_from(position).ok())
            .unwrap_or(-1)
    };
    let keys = schema.key_columns().count().clamp(1, 3);
    let keys_type = match &schema.keys {
        KeysModel::Duplicate => TKeysType::DUP_KEYS,
        KeysModel::Unique { .. } => TKeysType::UNIQUE_KEYS,
        KeysModel::Aggregate => TKeysType::AGG_KEYS,
    };
    TTabletSchema {
        short_key_column_count: i16::try_from(keys).unwrap_or(1),
        schema_hash: schema.schema_hash,
        keys_type,
        storage_type: TStorageType::COLUMN,
        columns: schema.columns.iter().map(column_to_wire).collect(),
        bloom_filter_fpp: None,
        indexes: indexes_to_wire(&schema.indexes, &schema.columns),
        is_in_memory: Some(false),
        delete_sign_idx: Some(index_of(schema.delete_sign())),
        sequence_col_idx: Some(index_of(schema.sequence())),
        disable_auto_compaction: Some(false),
        version_col_idx: Some(index_of(schema.position(VERSION_COL))),
        store_row_column: Some(false),
        enable_single_replica_compaction: Some(false),
        skip_write_index_on_load: Some(false),
        cluster_key_uids: None,
    }
}

/// A schema; `mow` is told beside it in the task.
///
/// # Errors
/// Unknown types, aggregations and key models.
pub fn schema_from_wire(schema: &TTabletSchema, mow: bool) -> Result<TableSchema, WireError> {
    let columns: Vec<Column> = schema
        .columns
        .iter()
        .map(column_from_wire)
        .collect::<Result<_, _>>()?;
    let has_sequence = schema.sequence_col_idx.is_some_and(|index| index >= 0);
    let keys = match schema.keys_type {
        TKeysType::DUP_KEYS => KeysModel::Duplicate,
        TKeysType::AGG_KEYS => KeysModel::Aggregate,
        TKeysType::UNIQUE_KEYS | TKeysType::PRIMARY_KEYS => KeysModel::Unique {
            mow,
            sequence_col: has_sequence.then(|| SEQUENCE_COL.to_owned()),
        },
        other => {
            return Err(WireError::new(format!(
                "no key model has number {}",
                other.0
            )));
        }
    };
    let indexes = indexes_from_wire(schema.indexes.as_ref(), &columns, IndexFormat::default())?;
    Ok(TableSchema {
        columns,
        keys,
        schema_hash: schema.schema_hash,
        schema_version: 0,
        indexes,
    })
}

/// The binlog settings with the given switch. Backends read the switch alone; Doris sets all four.
pub fn binlog_config(enable: bool) -> TBinlogConfig {
    TBinlogConfig::new(enable, 86_400, i64::MAX, i64::MAX)
}

impl CreateTablet {
    /// The request of a CREATE task.
    pub fn to_wire(&self) -> TCreateTabletReq {
        let spec = &self.spec;
        let base_hash = spec.base_tablet.map(|_| spec.schema.schema_hash);
        let mow = matches!(spec.schema.keys, KeysModel::Unique { mow: true, .. });
        TCreateTabletReq {
            tablet_id: spec.tablet_id,
            tablet_schema: schema_to_wire(&spec.schema),
            version: Some(spec.initial_version),
            version_hash: None,
            storage_medium: Some(TStorageMedium::HDD),
            in_restore_mode: spec.in_restore_mode.then_some(true),
            base_tablet_id: spec.base_tablet,
            base_schema_hash: base_hash,
            table_id: Some(spec.table_id),
            partition_id: Some(spec.partition_id),
            replica_id: Some(spec.replica_id),
            enable_unique_key_merge_on_write: Some(mow),
            storage_policy_id: None,
            binlog_config: Some(binlog_config(spec.binlog_enabled)),
            compaction_policy: Some("size_based".to_owned()),
            time_series_compaction_goal_size_mbytes: None,
            time_series_compaction_file_count_threshold: None,
            time_series_compaction_time_threshold_seconds: None,
            time_series_compaction_empty_rowsets_threshold: None,
            time_series_compaction_level_threshold: None,
            inverted_index_file_storage_format: Some(format_to_wire(spec.schema.indexes.format)),
        }
    }

    /// Reads the request of a CREATE task.
    ///
    /// # Errors
    /// A schema that can not be read.
    pub fn from_wire(request: &TCreateTabletReq) -> Result<Self, WireError> {
        let mow = request.enable_unique_key_merge_on_write.unwrap_or(false);
        let binlog = request.binlog_config.as_ref();
        let mut schema = schema_from_wire(&request.tablet_schema, mow)?;
        schema.indexes.format = format_from_wire(request.inverted_index_file_storage_format);
        let spec = TabletSpec {
            tablet_id: request.tablet_id,
            replica_id: request.replica_id.unwrap_or(0),
            table_id: request.table_id.unwrap_or(-1),
            partition_id: request.partition_id.unwrap_or(-1),
            index_id: 0,
            schema: Arc::new(schema),
            binlog_enabled: binlog.is_some_and(|binlog| binlog.enable == Some(true)),
            initial_version: request.version.unwrap_or(1),
            in_restore_mode: request.in_restore_mode.unwrap_or(false),
            base_tablet: request.base_tablet_id.filter(|id| *id > 0),
        };
        Ok(CreateTablet { spec })
    }
}
