//! Objects inside binlog records as the FE's Gson writes them: types, columns, indexes, partitions and their items.
//!
//! Compared with an FE built from Doris master of January 2026.

use serde_json::{Map, Value, json};

use dorisim_model::partition::{Bound, MAX_OF_LIST};
use dorisim_model::{
    Cell, Column, DataType, DefaultValue, DistributionKind, KeysModel, MaterializedIndex,
    OlapTable, Partition, PartitionItem, SecondaryIndex, TableSchema,
};

/// Longest STRING.
const STRING_LENGTH: u32 = 2_147_483_643;
/// Length of an HLL.
const HLL_LENGTH: u32 = 16_385;
/// Default of BITMAP_EMPTY and HLL_EMPTY.
const EMPTY_SKETCH: &str = "\0";
/// What a partition key says of its origin where no default partition is meant.
const PLAIN_KEY: &str = r#"[false,"unused"]"#;

fn scalar(name: &str, len: Option<u32>, precision: u8, scale: u8) -> Value {
    let len = len.map_or(-1, i64::from);
    json!({"clazz": "ScalarType", "type": name, "len": len, "precision": precision, "scale": scale})
}

/// A type.
#[must_use]
pub fn data_type(ty: &DataType) -> Value {
    let name = ty.primitive_name();
    match ty {
        DataType::Array(item) => {
            json!({"clazz": "ArrayType", "itemType": data_type(item), "containsNull": true})
        }
        DataType::Map(key, value) => json!({
            "clazz": "MapType", "keyType": data_type(key), "isKeyContainsNull": true,
            "valueType": data_type(value), "isValueContainsNull": true,
        }),
        DataType::Struct(fields) => {
            let field = |(at, (name, ty)): (usize, &(String, DataType))| {
                let field = json!({
                    "name": name, "type": data_type(ty), "comment": "", "position": at, "containsNull": true,
                });
                (name.clone(), field)
            };
            let fields: Vec<(String, Value)> = fields.iter().enumerate().map(field).collect();
            let map: Map<String, Value> = fields.iter().cloned().collect();
            let list: Vec<Value> = fields.into_iter().map(|(_, field)| field).collect();
            json!({"clazz": "StructType", "fieldMap": map, "fields": list})
        }
        DataType::Variant => json!({
            "clazz": "VariantType", "fieldMap": {}, "fields": [], "variantMaxSubcolumnsCount": 0,
            "enableTypedPathsToSparse": false, "variantMaxSparseColumnStatisticsSize": 10000,
            "variantSparseHashShardCount": 0, "type": "VARIANT", "len": -1, "precision": 0, "scale": 0,
        }),
        DataType::Decimal(precision, scale) => scalar(name, None, *precision, *scale),
        DataType::DateTime(digits) => scalar(name, None, 18, *digits),
        DataType::Char(length) | DataType::Varchar(length) => scalar(name, Some(*length), 0, 0),
        DataType::String => scalar(name, Some(STRING_LENGTH), 0, 0),
        DataType::Hll => scalar(name, Some(HLL_LENGTH), 0, 0),
        DataType::Json => scalar("JSONB", None, 0, 0),
        DataType::AggState(function) => {
            let function = function.split('(').next().unwrap_or_default();
            json!({"clazz": "AggStateType", "functionName": function, "type": name})
        }
        DataType::Boolean
        | DataType::TinyInt
        | DataType::SmallInt
        | DataType::Int
        | DataType::BigInt
        | DataType::LargeInt
        | DataType::Float
        | DataType::Double
        | DataType::Date
        | DataType::Bitmap
        | DataType::QuantileState
        | DataType::Ipv4
        | DataType::Ipv6 => scalar(name, None, 0, 0),
    }
}

/// The columns inside a nested type.
fn children(ty: &DataType) -> Option<Vec<Value>> {
    let named: Vec<(&str, &DataType)> = match ty {
        DataType::Array(item) => vec![("item", item)],
        DataType::Map(key, value) => vec![("key", key), ("value", value)],
        DataType::Struct(fields) => fields.iter().map(|(n, ty)| (n.as_str(), ty)).collect(),
        _ => return None,
    };
    let child = |(name, ty): (&str, &DataType)| {
        let mut json = json!({
            "name": name, "type": data_type(ty), "isAggregationTypeImplicit": false, "isKey": false,
            "isAllowNull": true, "isAutoInc": false, "autoIncInitValue": -1,
        });
        if let Some(list) = children(ty) {
            json["children"] = list.into();
        }
        json["visible"] = true.into();
        json["uniqueId"] = (-1).into();
        json["clusterKeyId"] = (-1).into();
        json["hasOnUpdateDefaultValue"] = false.into();
        json
    };
    Some(named.into_iter().map(child).collect())
}

/// Whether the FE made the object anew or copied it from another: a copy has lost the start of AUTO_INCREMENT and
/// has a comment even where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// By CREATE TABLE.
    Anew,
    /// By a light change that added it, or for a distribution.
    Copied,
}

/// Default as (original text, expression with its precision).
fn default_of(column: &Column) -> Option<(String, Option<Value>)> {
    let now = |name: &str, precision: u8| match precision {
        0 => json!({"exprName": name}),
        n => json!({"exprName": name, "precision": n}),
    };
    Some(match column.default.as_ref()? {
        DefaultValue::Constant(None) => return None,
        DefaultValue::Constant(Some(text)) if column.data_type == DataType::Boolean => {
            let word = match text.as_str() {
                "1" => "true",
                "0" => "false",
                other => other,
            };
            (word.to_owned(), None)
        }
        DefaultValue::Constant(Some(text)) => (text.clone(), None),
        DefaultValue::CurrentTimestamp(0) => ("CURRENT_TIMESTAMP".to_owned(), Some(now("now", 0))),
        DefaultValue::CurrentTimestamp(n) => {
            (format!("CURRENT_TIMESTAMP({n})"), Some(now("now", *n)))
        }
        DefaultValue::Function(text) => match text.to_ascii_uppercase().as_str() {
            "CURRENT_DATE" => (text.clone(), Some(now("current_date", 0))),
            "PI" => (std::f64::consts::PI.to_string(), Some(now("PI", 0))),
            "E" => (std::f64::consts::E.to_string(), Some(now("E", 0))),
            name @ ("BITMAP_EMPTY" | "HLL_EMPTY") => (EMPTY_SKETCH.to_owned(), Some(now(name, 0))),
            _ => (text.clone(), None),
        },
    })
}

/// A column of a table with this schema.
#[must_use]
pub fn column(column: &Column, schema: &TableSchema, made: Made) -> Value {
    let mut json = json!({"name": column.name, "type": data_type(&column.data_type)});
    let is_sequence = column.name == dorisim_model::column::SEQUENCE_COL;
    let (aggregation, implicit) = match (&schema.keys, column.aggregation) {
        _ if column.is_key => (None, false),
        (KeysModel::Duplicate, _) => (Some("NONE"), true),
        (KeysModel::Unique { mow: true, .. }, _) => (Some("NONE"), false),
        (KeysModel::Unique { mow: false, .. }, _) => {
            (Some("REPLACE"), !is_sequence || column.copied)
        }
        (KeysModel::Aggregate, Some(aggregation)) => (Some(aggregation.as_str()), false),
        (KeysModel::Aggregate, None) => (None, false),
    };
    if let Some(aggregation) = aggregation {
        json["aggregationType"] = aggregation.into();
    }
    json["isAggregationTypeImplicit"] = implicit.into();
    json["isKey"] = column.is_key.into();
    json["isAllowNull"] = column.nullable.into();
    json["isAutoInc"] = column.auto_inc.is_some().into();
    json["autoIncInitValue"] = match made {
        Made::Anew if column.copied => 0.into(),
        Made::Anew => column.auto_inc.unwrap_or(-1).into(),
        Made::Copied => 0.into(),
    };
    let default = default_of(column);
    if let Some((text, _)) = &default {
        json["defaultValue"] = text.as_str().into();
    }
    if made == Made::Copied || column.copied || !column.comment.is_empty() {
        json["comment"] = column.comment.as_str().into();
    }
    if let Some(list) = children(&column.data_type) {
        json["children"] = list.into();
    }
    if let Some((text, _)) = &default {
        json["realDefaultValue"] = text.as_str().into();
    }
    json["visible"] = column.visible.into();
    if let Some((_, Some(expression))) = default {
        json["defaultValueExprDef"] = expression;
    }
    json["uniqueId"] = column.unique_id.into();
    json["clusterKeyId"] = (-1).into();
    json["hasOnUpdateDefaultValue"] = column.on_update.is_some().into();
    if let Some(precision) = column.on_update {
        json["onUpdateDefaultValueExprDef"] = match precision {
            0 => json!({"exprName": "now"}),
            n => json!({"exprName": "now", "precision": n}),
        };
    }
    if let Some(text) = &column.generated {
        json["gci"] = json!({"t": "STORED", "es": text});
    }
    json
}

/// All columns of a schema; those whose unique id `added` knows were added by the change that is told of.
#[must_use]
pub fn columns(schema: &TableSchema, added: impl Fn(i32) -> bool) -> Value {
    let one = |c: &Column| {
        let made = if added(c.unique_id) {
            Made::Copied
        } else {
            Made::Anew
        };
        column(c, schema, made)
    };
    schema.columns.iter().map(one).collect()
}

/// Secondary indexes.
#[must_use]
pub fn indexes(indexes: &[SecondaryIndex]) -> Value {
    let one = |i: &SecondaryIndex| {
        json!({
            "i": i.id, "in": i.name, "c": i.columns, "it": i.kind, "pt": i.properties, "ct": i.comment,
        })
    };
    indexes.iter().map(one).collect()
}

/// A number of replicas, all without a tag of their own.
#[must_use]
pub fn replica_allocation(replicas: u32) -> Value {
    json!({"allocMap": [[{"type": "location", "value": "default"}, replicas]]})
}

fn distribution(table: &OlapTable, partition: &Partition) -> Value {
    let d = &partition.distribution;
    match &d.kind {
        DistributionKind::Hash(names) => {
            let columns = names.iter().filter_map(|c| table.schema.column(c));
            let columns: Vec<Value> = columns
                .map(|c| column(c, &table.schema, Made::Copied))
                .collect();
            json!({
                "clazz": "HashDistributionInfo", "distributionColumns": columns, "type": "HASH",
                "bucketNum": d.buckets, "autoBucket": d.auto,
            })
        }
        DistributionKind::Random => json!({
            "clazz": "RandomDistributionInfo", "type": "RANDOM", "bucketNum": d.buckets, "autoBucket": d.auto,
        }),
    }
}

/// The tablets of one index in a partition that was just made.
fn materialized_index(index: &MaterializedIndex) -> Value {
    let tablets = index.tablets.iter().map(|tablet| {
        let replicas = tablet.replicas.iter().map(|r| {
            json!({
                "clazz": "LocalReplica", "bid": r.backend_id, "rds": 0, "ris": 0, "rss": 0, "lfv": -1, "lsv": r.version,
                "id": r.id, "v": r.version, "ds": 0, "rc": 0, "st": "NORMAL", "lis": 0, "lss": 0,
            })
        });
        json!({
            "clazz": "LocalTablet", "rs": replicas.collect::<Vec<_>>(), "lastCheckTime": 0, "cri": -1, "ctm": -1, "cv": -1,
            "ic": true, "id": tablet.id,
        })
    });
    json!({
        "id": index.id, "state": "NORMAL", "rowCount": -1, "tablets": tablets.collect::<Vec<_>>(),
        "rollupIndexId": -1, "rollupFinishedVersion": -1, "signature": -1, "lastCheckTime": -1,
    })
}

/// A partition with its tablets.
#[must_use]
pub fn partition(table: &OlapTable, partition: &Partition) -> Value {
    let base = table.base_index_id();
    let index = |id: i64| partition.indexes.iter().find(|i| i.id == id);
    let rollups: Map<String, Value> = partition
        .indexes
        .iter()
        .filter(|i| i.id != base)
        .map(|i| (i.id.to_string(), materialized_index(i)))
        .collect();
    json!({
        "clazz": "Partition", "id": partition.id, "nm": partition.name, "st": "NORMAL",
        "bi": index(base).map(materialized_index), "ivr": rollups, "isi": {},
        "vv": partition.visible_version, "vvt": partition.visible_version_time, "nv": partition.next_version,
        "di": distribution(table, partition), "signature": -1, "lastCheckTime": -1,
    })
}

/// One literal of a partition key; `None` is NULL.
fn literal(cell: Option<&str>, ty: &DataType) -> Value {
    let rest = |mut json: Value| {
        json["type"] = data_type(ty);
        json["opcode"] = "INVALID_OPCODE".into();
        json["children"] = json!([]);
        json
    };
    let Some(text) = cell else {
        return rest(json!({"clazz": "NullLiteral"}));
    };
    rest(match ty {
        DataType::Boolean => {
            let value = text == "1" || text.eq_ignore_ascii_case("true");
            json!({"clazz": "BoolLiteral", "v": value})
        }
        DataType::LargeInt => json!({"clazz": "LargeIntLiteral", "v": number(text)}),
        DataType::Date | DataType::DateTime(_) => {
            let mut parts = text
                .split(['-', ' ', ':', '.', 'T'])
                .map(|part| part.parse::<i64>().unwrap_or(0));
            let mut next = || parts.next().unwrap_or(0);
            json!({
                "clazz": "DateLiteral", "y": next(), "m": next(), "d": next(), "h": next(), "M": next(), "s": next(),
                "ms": micros(text),
            })
        }
        _ if ty.is_numeric() => json!({"clazz": "IntLiteral", "v": number(text)}),
        _ => json!({"clazz": "StringLiteral", "v": text}),
    })
}

/// The fraction of a second in microseconds.
fn micros(text: &str) -> i64 {
    let digits = text.split_once('.').map_or("", |(_, digits)| digits);
    format!("{digits:0<6}")
        .get(..6)
        .and_then(|six| six.parse().ok())
        .unwrap_or(0)
}

/// A number that may be too large for 64 bits; then its text.
fn number(text: &str) -> Value {
    text.parse::<i64>()
        .map_or_else(|_| text.into(), Value::from)
}

fn max_literal() -> Value {
    json!({
        "clazz": "MaxLiteral", "type": scalar("INVALID_TYPE", None, 0, 0), "opcode": "INVALID_OPCODE", "children": [],
    })
}

/// A partition key: a pair per column, and whether it is the default key of a list.
fn key(parts: Vec<Value>) -> Value {
    let mut list: Vec<Value> = parts;
    list.push(PLAIN_KEY.into());
    list.into()
}

fn bounds(bounds: &[Bound], types: &[DataType]) -> Value {
    let part = |(bound, ty): (&Bound, &DataType)| {
        let value = match bound {
            Bound::Value(text) => literal(Some(text), ty),
            Bound::Min => literal(Some(&ty.minimum_text()), ty),
            Bound::Max => max_literal(),
        };
        json!([ty.primitive_name(), value])
    };
    key(bounds.iter().zip(types).map(part).collect())
}

/// The `range` member of ADD_PARTITION.
#[must_use]
pub fn range(item: &PartitionItem, types: &[DataType]) -> Value {
    match item {
        PartitionItem::Range { lower, upper } => json!([
            {"type": "CLOSED", "value": bounds(lower, types)},
            {"type": "OPEN", "value": bounds(upper, types)},
        ]),
        // A range of two empty keys stands for what has no range.
        PartitionItem::List(_) | PartitionItem::ListDefault | PartitionItem::All => json!([
            {"type": "CLOSED", "value": key(Vec::new())},
            {"type": "CLOSED", "value": key(Vec::new())},
        ]),
    }
}

/// The `listPartitionItem` member of ADD_PARTITION.
#[must_use]
pub fn list_item(item: &PartitionItem, types: &[DataType]) -> Value {
    let cell = |(cell, ty): (&Cell, &DataType)| {
        let value = match cell.as_deref() {
            Some(MAX_OF_LIST) => max_literal(),
            text => literal(text, ty),
        };
        json!([ty.primitive_name(), value])
    };
    let keys: Vec<Value> = match item {
        PartitionItem::List(tuples) => tuples
            .iter()
            .map(|tuple| key(tuple.iter().zip(types).map(cell).collect()))
            .collect(),
        PartitionItem::All | PartitionItem::Range { .. } | PartitionItem::ListDefault => Vec::new(),
    };
    let is_default = matches!(item, PartitionItem::ListDefault);
    json!({"clazz": "ListPartitionItem", "partitionKeys": keys, "idp": is_default})
}
