//! Tables and views.

use serde_json::{Map, Value, json};

use super::item::{expression, item_json};
use super::shape::{column_json, scalar};
use dorisim_model::{
    Column, DataType, Distribution, DistributionKind, IndexMeta, IndexState, KeysModel,
    MaterializedIndex, OlapTable, Partition, PartitionKind, TableSchema, View,
};

/// Most key columns and bytes of a short key.
const SHORT_KEY_COLUMNS: usize = 3;
const SHORT_KEY_BYTES: usize = 36;

/// A table of a database.
pub fn table_json(table: &OlapTable, db_id: i64, db: &str) -> Value {
    let is_finished = |index: &&IndexMeta| index.state == IndexState::Normal;
    let indexes: Vec<&IndexMeta> = table.indexes.iter().filter(is_finished).collect();
    let by_id: Map<String, Value> = indexes
        .iter()
        .enumerate()
        .map(|(at, index)| (index.id.to_string(), index_json(table, index, at == 0, db)))
        .collect();
    let ids: Map<String, Value> = indexes
        .iter()
        .map(|index| (index.name.clone(), index.id.into()))
        .collect();
    let partitions: Map<String, Value> = table
        .partitions
        .values()
        .filter(|partition| !partition.is_temp)
        .map(|partition| (partition.id.to_string(), partition_json(table, partition)))
        .collect();
    let mut properties: Map<String, Value> = table
        .properties
        .iter()
        .filter(|(name, _)| !name.starts_with("bloom_filter_"))
        .map(|(name, value)| match name.as_str() {
            // A name of an enumeration; SHOW CREATE TABLE alone has it in small letters.
            "storage_medium" => (name.clone(), value.to_ascii_uppercase().into()),
            _ => (name.clone(), value.as_str().into()),
        })
        .collect();
    properties.insert(
        "default.replication_allocation".to_owned(),
        format!("tag.location.default: {}", table.replication_num).into(),
    );
    properties.insert(
        "_auto_bucket".to_owned(),
        table.distribution.auto.to_string().into(),
    );
    if let KeysModel::Unique { mow, sequence_col } = &table.schema.keys {
        let name = "enable_unique_key_merge_on_write".to_owned();
        properties.insert(name, mow.to_string().into());
        if let Some(column) = sequence_col {
            let name = "function_column.sequence_col".to_owned();
            properties.insert(name, column.as_str().into());
        }
    }
    let secondary = secondary_json(table);
    let mut json = json!({
        "clazz": "OlapTable", "tst": "NORMAL", "itm": by_id, "inti": ids, "kt": keys_name(&table.schema),
        "pi": partition_info(table), "itp": partitions,
        "di": distribution_json(table, &table.distribution),
        "tps": {"idToPartition": {}}, "bfFpp": 0.0,
        "indexes": {"indexes": secondary, "properties": {}},
        "bid": table.base_index_id(), "tp": {"properties": properties},
        "id": table.id, "name": table.name, "qualifiedDbName": db, "type": "OLAP", "createTime": 0,
        "fullSchema": columns_json(&table.schema), "comment": table.comment,
        "ta": {
            "constraints": {}, "visibleVersion": table.visible_version, "visibleVersionTime": table.visible_version_time,
        },
        "isTemporary": false, "signature": -1, "lastCheckTime": -1,
    });
    if let Some(columns) = table.properties.get("bloom_filter_columns") {
        let columns: Vec<&str> = columns.split(',').map(str::trim).collect();
        json["bfc"] = columns.into();
        let given = table.properties.get("bloom_filter_fpp");
        json["bfFpp"] = given.and_then(|v| v.parse().ok()).unwrap_or(0.05).into();
    }
    if let Some(column) = table.schema.columns.iter().find(|c| c.auto_inc.is_some()) {
        json["aIncg"] = json!({
            "dbId": db_id, "tableId": table.id, "columnId": column.unique_id, "batchEndId": table.auto_inc_next,
        });
    }
    json
}

/// A view of a database. Columns of types that nobody computed are texts.
pub fn view_json(view: &View, db: &str) -> Value {
    let columns: Vec<Value> = view
        .columns
        .iter()
        .map(|(name, comment)| {
            let column = Column {
                is_key: true,
                comment: comment.clone(),
                ..Column::new(name, DataType::String)
            };
            let mut json = column_json(&column, false);
            json["isKey"] = false.into();
            json
        })
        .collect();
    json!({
        "clazz": "View", "ivd": view.definition, "sm": 0, "id": view.id, "name": view.name, "qualifiedDbName": db,
        "type": "VIEW", "createTime": 0, "fullSchema": columns, "comment": view.comment,
        "ta": {"constraints": {}, "visibleVersion": 1, "visibleVersionTime": 0},
        "isTemporary": false, "signature": -1, "lastCheckTime": -1,
    })
}

fn keys_name(schema: &TableSchema) -> &'static str {
    match schema.keys {
        KeysModel::Duplicate => "DUP_KEYS",
        KeysModel::Unique { .. } => "UNIQUE_KEYS",
        KeysModel::Aggregate => "AGG_KEYS",
    }
}

fn columns_json(schema: &TableSchema) -> Vec<Value> {
    let implicit = schema.keys == KeysModel::Duplicate;
    let columns = schema.columns.iter();
    columns
        .map(|column| column_json(column, implicit))
        .collect()
}

fn secondary_json(table: &OlapTable) -> Vec<Value> {
    table
        .secondary
        .iter()
        .map(|index| {
            json!({
                "i": index.id, "in": index.name, "c": index.columns, "it": index.kind, "pt": index.properties,
                "ct": index.comment,
            })
        })
        .collect()
}

fn index_json(table: &OlapTable, index: &IndexMeta, is_base: bool, db: &str) -> Value {
    let schema = index.schema.as_ref().unwrap_or(&table.schema);
    let largest = if is_base {
        table.max_column_unique_id
    } else {
        schema.max_unique_id()
    };
    let mut json = json!({
        "id": index.id, "sc": columns_json(schema), "sv": schema.schema_version, "sh": index.schema_hash,
        "skcc": short_key_columns(schema), "st": "COLUMN", "kt": keys_name(schema), "mcui": largest,
        "idx": if is_base { secondary_json(table) } else { Vec::new() },
    });
    if let Some(statement) = &index.define {
        json["dst"] = json!({"originStmt": statement, "idx": 0});
        json["dbName"] = db.into();
    }
    json
}

/// How many of the first columns make the short key: a VARCHAR ends it, a floating point number does not belong to it.
fn short_key_columns(schema: &TableSchema) -> usize {
    let (mut count, mut bytes) = (0, 0);
    for column in schema.key_columns() {
        if count == SHORT_KEY_COLUMNS {
            break;
        }
        let size = match &column.data_type {
            DataType::Float | DataType::Double => break,
            DataType::Varchar(_) | DataType::String => {
                count += 1;
                break;
            }
            DataType::Char(length) => usize::try_from(*length).unwrap_or(SHORT_KEY_BYTES),
            DataType::LargeInt | DataType::Decimal(..) => 16,
            _ => 8,
        };
        bytes += size;
        if bytes > SHORT_KEY_BYTES {
            // A long CHAR counts in part.
            count += usize::from(matches!(column.data_type, DataType::Char(_)));
            break;
        }
        count += 1;
    }
    count.max(1)
}

fn distribution_json(table: &OlapTable, distribution: &Distribution) -> Value {
    match &distribution.kind {
        DistributionKind::Hash(names) => {
            let columns: Vec<Value> = names
                .iter()
                .filter_map(|name| table.schema.column(name))
                .map(|column| column_json(column, false))
                .collect();
            json!({
                "clazz": "HashDistributionInfo", "distributionColumns": columns, "type": "HASH",
                "bucketNum": distribution.buckets, "autoBucket": distribution.auto,
            })
        }
        DistributionKind::Random => json!({
            "clazz": "RandomDistributionInfo", "type": "RANDOM", "bucketNum": distribution.buckets,
            "autoBucket": distribution.auto,
        }),
    }
}

fn partition_info(table: &OlapTable) -> Value {
    let types = table.partition_types();
    let (class, kind) = match table.partition_kind {
        PartitionKind::Unpartitioned => ("SinglePartitionInfo", "UNPARTITIONED"),
        PartitionKind::Range(_) => ("RangePartitionInfo", "RANGE"),
        PartitionKind::List(_) => ("ListPartitionInfo", "LIST"),
    };
    let names = table.partition_kind.columns();
    let implicit = table.schema.keys == KeysModel::Duplicate;
    let columns: Vec<Value> = names
        .iter()
        .filter_map(|name| table.schema.column(name))
        .map(|column| column_json(column, implicit))
        .collect();
    let normal = || table.partitions.values().filter(|p| !p.is_temp);
    let of_each = |value: &dyn Fn(&Partition) -> Option<Value>| -> Map<String, Value> {
        normal()
            .filter_map(|p| Some((p.id.to_string(), value(p)?)))
            .collect()
    };
    let expressions: Vec<Value> = match &table.auto_partition {
        Some(text) if text.contains('(') => vec![truncation(text, names)],
        Some(_) | None => names.iter().map(|name| slot(name)).collect(),
    };
    json!({
        "clazz": class, "Type": kind, "pc": columns,
        "IdToItem": of_each(&|p| item_json(&p.item, &types)), "IdToTempItem": {},
        "IdToDataProperty": of_each(&|p| Some(json!({
            "storageMedium": p.storage_medium.to_ascii_uppercase(), "cooldownTimeMs": p.cooldown_ms,
            "storagePolicy": p.storage_policy, "isMutable": true,
        }))),
        "IdToStoragePolicy": of_each(&|p| (!types.is_empty()).then(|| p.storage_policy.as_str().into())),
        "IdToReplicaAllocation": of_each(&|p| Some(json!({
            "allocMap": [[{"type": "location", "value": "default"}, p.replication_num]],
        }))),
        "isM": names.len() > 1,
        "IdToInMemory": of_each(&|_| Some(false.into())),
        "PartitionExprs": expressions,
        "IsAutoCreatePartitions": table.auto_partition.is_some(),
    })
}

fn slot(name: &str) -> Value {
    expression(json!({"clazz": "SlotRef", "col": name, "type": scalar("INVALID_TYPE", -1, 0, 0)}))
}

/// ``date_trunc(`d`, 'month')``.
fn truncation(text: &str, names: &[String]) -> Value {
    let function = text.split('(').next().unwrap_or_default().trim();
    let unit = text.rsplit(',').next().unwrap_or_default();
    let unit = unit.trim_matches([' ', ')', '\'', '"']);
    let arguments = [
        slot(names.first().map_or("", String::as_str)),
        expression(
            json!({"clazz": "StringLiteral", "v": unit, "type": scalar("VARCHAR", -1, 0, 0)}),
        ),
    ];
    let mut call = expression(json!({
        "clazz": "FunctionCallExpr", "fnn": {"fn": function},
        "fnp": {"isStar": false, "exprs": arguments, "isDistinct": false}, "iafc": false, "itfc": false,
        "type": scalar("INVALID_TYPE", -1, 0, 0),
    }));
    call["children"] = json!(arguments);
    call
}

fn partition_json(table: &OlapTable, partition: &Partition) -> Value {
    let mut finished = partition
        .indexes
        .iter()
        .filter(|index| !table.is_shadow(index.id));
    let base = finished.next().map(tablets_json);
    let rollups: Map<String, Value> = finished
        .map(|index| (index.id.to_string(), tablets_json(index)))
        .collect();
    json!({
        "clazz": "Partition", "id": partition.id, "nm": partition.name, "st": "NORMAL", "bi": base,
        "ivr": rollups, "isi": {}, "vv": partition.visible_version, "vvt": partition.visible_version_time,
        "nv": partition.next_version, "di": distribution_json(table, &partition.distribution),
        "signature": -1, "lastCheckTime": -1,
    })
}

fn tablets_json(index: &MaterializedIndex) -> Value {
    let tablets: Vec<Value> = index
        .tablets
        .iter()
        .map(|tablet| {
            let replicas: Vec<Value> = tablet
                .replicas
                .iter()
                .map(|replica| {
                    json!({
                        "clazz": "LocalReplica", "bid": replica.backend_id, "rds": 0, "ris": 0, "rss": 0, "lfv": -1,
                        "lsv": replica.version, "id": replica.id, "v": replica.version, "ds": 0, "rc": 0,
                        "st": "NORMAL", "lis": 0, "lss": 0,
                    })
                })
                .collect();
            json!({
                "clazz": "LocalTablet", "rs": replicas, "lastCheckTime": 0, "cri": -1, "ctm": -1, "cv": -1, "ic": true,
                "id": tablet.id,
            })
        })
        .collect();
    json!({
        "id": index.id, "state": "NORMAL", "rowCount": 0, "tablets": tablets, "rollupIndexId": -1,
        "rollupFinishedVersion": -1, "signature": -1, "lastCheckTime": -1,
    })
}
