//! A [`TableSchema`] as `TabletSchemaPB`, and a DELETE as `DeletePredicatePB`.

use super::pb::{
    ColumnPb, DeletePredicatePb, DeleteSubPredicatePb, InPredicatePb, TabletIndexPb, TabletSchemaPb,
};
use dorisim_model::backend::{DeleteCondition, DeleteOp, DeletePredicate, TableSchema};
use dorisim_model::column::VERSION_COL;
use dorisim_model::{Column, DataType, DefaultValue, IndexFormat, IndexKind, KeysModel};

/// The schema in the form of Doris.
pub fn schema_pb(schema: &TableSchema) -> TabletSchemaPb {
    let keys = schema.key_columns().count();
    TabletSchemaPb {
        keys_type: Some(match schema.keys {
            KeysModel::Duplicate => 0,
            KeysModel::Unique { .. } => 1,
            KeysModel::Aggregate => 2,
        }),
        column: schema.columns.iter().map(column_pb).collect(),
        num_short_key_columns: Some(short_key(schema)),
        num_rows_per_row_block: Some(1024),
        compress_kind: Some(2),
        next_column_unique_id: u32::try_from(schema.max_unique_id() + 1).ok(),
        delete_sign_idx: Some(position(schema.delete_sign())),
        sequence_col_idx: Some(position(schema.sequence())),
        sort_type: Some(0),
        sort_col_num: i32::try_from(keys).ok(),
        schema_version: Some(schema.schema_version),
        index: schema
            .indexes
            .list
            .iter()
            .map(|index| TabletIndexPb {
                index_id: Some(index.id),
                index_name: Some(index.name.clone()),
                index_type: Some(match index.kind {
                    IndexKind::Bitmap => 0,
                    IndexKind::Inverted => 1,
                    IndexKind::BloomFilter => 2,
                    IndexKind::NgramBf => 3,
                    IndexKind::Ann => 4,
                }),
                col_unique_id: index.columns.clone(),
                properties: index.properties.clone().into_iter().collect(),
            })
            .collect(),
        version_col_idx: Some(position(schema.position(VERSION_COL))),
        inverted_index_storage_format: Some(match schema.indexes.format {
            IndexFormat::V1 => 0,
            IndexFormat::V2 => 1,
            IndexFormat::V3 => 2,
        }),
    }
}

fn position(found: Option<usize>) -> i32 {
    found.and_then(|at| i32::try_from(at).ok()).unwrap_or(-1)
}

/// At most three key columns; the first text among them ends the short key.
fn short_key(schema: &TableSchema) -> i32 {
    let mut columns = 0;
    for column in schema.key_columns().take(3) {
        columns += 1;
        if matches!(column.data_type, DataType::Varchar(_) | DataType::String) {
            break;
        }
    }
    columns
}

fn column_pb(column: &Column) -> ColumnPb {
    let aggregation = match column.aggregation {
        Some(aggregation) => aggregation.as_str(),
        None => "NONE",
    };
    let default_value = match &column.default {
        None | Some(DefaultValue::Constant(None)) => None,
        Some(DefaultValue::Constant(Some(text))) => Some(text.clone().into_bytes()),
        Some(DefaultValue::CurrentTimestamp(_)) => Some(b"CURRENT_TIMESTAMP".to_vec()),
        Some(DefaultValue::Function(text)) => Some(text.clone().into_bytes()),
    };
    let length = length(&column.data_type);
    ColumnPb {
        unique_id: column.unique_id,
        name: Some(column.name.clone()),
        is_key: Some(column.is_key),
        aggregation: Some(aggregation.to_owned()),
        is_nullable: Some(column.nullable),
        default_value,
        index_length: Some(match column.data_type {
            DataType::Varchar(_) | DataType::String => length.min(10),
            _ => length,
        }),
        visible: Some(column.visible),
        is_auto_increment: Some(column.auto_inc.is_some()),
        ..type_pb(&column.data_type)
    }
}

/// The members that depend on the type alone.
fn type_pb(data_type: &DataType) -> ColumnPb {
    let (name, precision, frac) = match data_type {
        DataType::Boolean => ("BOOLEAN", None, None),
        DataType::TinyInt => ("TINYINT", None, None),
        DataType::SmallInt => ("SMALLINT", None, None),
        DataType::Int => ("INT", None, None),
        DataType::BigInt => ("BIGINT", None, None),
        DataType::LargeInt => ("LARGEINT", None, None),
        DataType::Float => ("FLOAT", None, None),
        DataType::Double => ("DOUBLE", None, None),
        DataType::Decimal(precision, scale) => (
            match precision {
                ..=9 => "DECIMAL32",
                10..=18 => "DECIMAL64",
                19..=38 => "DECIMAL128I",
                39.. => "DECIMAL256",
            },
            Some(*precision),
            Some(*scale),
        ),
        DataType::Date => ("DATEV2", None, None),
        DataType::DateTime(scale) => ("DATETIMEV2", None, Some(*scale)),
        DataType::Char(_) => ("CHAR", None, None),
        DataType::Varchar(_) => ("VARCHAR", None, None),
        DataType::String => ("STRING", None, None),
        DataType::Json => ("JSONB", None, None),
        DataType::Variant => ("VARIANT", None, None),
        DataType::Array(_) => ("ARRAY", None, None),
        DataType::Map(_, _) => ("MAP", None, None),
        DataType::Struct(_) => ("STRUCT", None, None),
        DataType::Bitmap => ("OBJECT", None, None),
        DataType::Hll => ("HLL", None, None),
        DataType::QuantileState => ("QUANTILE_STATE", None, None),
        DataType::Ipv4 => ("IPV4", None, None),
        DataType::Ipv6 => ("IPV6", None, None),
        DataType::AggState(_) => ("AGG_STATE", None, None),
    };
    let child = |name: &str, data_type: &DataType| ColumnPb {
        unique_id: -1,
        name: Some(name.to_owned()),
        is_nullable: Some(true),
        ..type_pb(data_type)
    };
    let children_columns = match data_type {
        DataType::Array(item) => vec![child("item", item)],
        DataType::Map(key, value) => vec![child("key", key), child("value", value)],
        DataType::Struct(fields) => fields
            .iter()
            .map(|(name, data_type)| child(name, data_type))
            .collect(),
        _ => Vec::new(),
    };
    ColumnPb {
        r#type: name.to_owned(),
        precision: precision.map(i32::from),
        frac: frac.map(i32::from),
        length: Some(length(data_type)),
        children_columns,
        ..ColumnPb::default()
    }
}

/// Bytes of a value in storage; the longest one of types without a fixed length.
fn length(data_type: &DataType) -> i32 {
    const STRING: i32 = 0x7fff_ffff;
    let text = |bytes: u32, prefix: i32| {
        i32::try_from(bytes).map_or(STRING, |bytes| bytes.saturating_add(prefix))
    };
    match data_type {
        DataType::Boolean | DataType::TinyInt => 1,
        DataType::SmallInt => 2,
        DataType::Int | DataType::Float | DataType::Date | DataType::Ipv4 => 4,
        DataType::BigInt | DataType::Double | DataType::DateTime(_) => 8,
        DataType::LargeInt | DataType::Ipv6 | DataType::Bitmap | DataType::QuantileState => 16,
        DataType::Decimal(..=9, _) => 4,
        DataType::Decimal(10..=18, _) => 8,
        DataType::Decimal(19..=38, _) => 16,
        DataType::Decimal(39.., _) => 32,
        DataType::Char(bytes) => text(*bytes, 0),
        DataType::Varchar(bytes) => text(*bytes, 2),
        DataType::Hll => 16_387,
        DataType::AggState(_) => 65_535,
        DataType::String
        | DataType::Json
        | DataType::Variant
        | DataType::Array(_)
        | DataType::Map(_, _)
        | DataType::Struct(_) => STRING,
    }
}

/// A DELETE in the form of Doris.
pub fn delete_pb(delete: &DeletePredicate, schema: &TableSchema) -> DeletePredicatePb {
    let mut pb = DeletePredicatePb {
        version: -1,
        in_predicates: Vec::new(),
        sub_predicates_v2: Vec::new(),
    };
    for condition in &delete.conditions {
        let found = schema
            .columns
            .iter()
            .find(|column| column.unique_id == condition.column);
        let column_name = found.map(|column| column.name.clone());
        match sub_predicate(condition) {
            Some((op, value)) => pb.sub_predicates_v2.push(DeleteSubPredicatePb {
                column_unique_id: Some(condition.column),
                column_name,
                op: Some(op.to_owned()),
                cond_value: Some(value),
            }),
            None => pb.in_predicates.push(InPredicatePb {
                column_name,
                is_not_in: Some(condition.op == DeleteOp::NotIn),
                values: condition.values.iter().flatten().cloned().collect(),
                column_unique_id: Some(condition.column),
            }),
        }
    }
    pb
}

/// Operator and right side; `None` for lists.
fn sub_predicate(condition: &DeleteCondition) -> Option<(&'static str, String)> {
    let op = match condition.op {
        DeleteOp::Eq => "=",
        DeleteOp::Ne => "!=",
        DeleteOp::Lt => "<<",
        DeleteOp::Le => "<=",
        DeleteOp::Gt => ">>",
        DeleteOp::Ge => ">=",
        DeleteOp::IsNull => return Some(("IS", "NULL".to_owned())),
        DeleteOp::IsNotNull => return Some(("IS", "NOT NULL".to_owned())),
        DeleteOp::In | DeleteOp::NotIn => return None,
    };
    let value = condition.values.first().cloned().flatten();
    Some((op, value.unwrap_or_default()))
}
