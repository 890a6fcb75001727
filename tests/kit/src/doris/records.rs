//! The JSON of binlog records, in the shapes that a frontend of 2026 writes.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::catalog::{Column, Partition, Secondary, Table};
use super::jobs::{AlterJob, AlterKind};
use super::txn::Txn;

/// UPSERT (0).
pub fn upsert(txn: &Txn, db: i64, seq: i64, now: i64) -> String {
    let mut tables: Map<String, Value> = Map::new();
    for part in &txn.parts {
        let entry = tables
            .entry(part.table.to_string())
            .or_insert_with(|| json!({"partitionRecords": [], "indexIds": []}));
        if let Some(records) = entry["partitionRecords"].as_array_mut() {
            records.push(json!({
                "partitionId": part.partition, "range": part.range, "version": part.version,
                "isTempPartition": part.temp, "stid": part.sub,
            }));
        }
        if !part.indexes.is_empty() {
            entry["indexIds"] = json!(part.indexes);
        }
    }
    for entry in tables.values_mut() {
        let unknown = entry["indexIds"].as_array().is_none_or(Vec::is_empty);
        if unknown && let Some(entry) = entry.as_object_mut() {
            entry.remove("indexIds");
        }
    }
    let mut data = json!({
        "commitSeq": seq, "txnId": txn.id, "timeStamp": now, "label": txn.label, "dbId": db, "tableRecords": tables,
    });
    if !txn.subs.is_empty() {
        data["stids"] = json!(txn.subs);
    }
    data.to_string()
}

/// Partitions and versions that an UPSERT names.
pub fn versions_of(data: &str) -> Vec<(i64, i64)> {
    let parsed: Value = serde_json::from_str(data).unwrap_or_default();
    let tables = parsed["tableRecords"].as_object();
    tables
        .into_iter()
        .flat_map(Map::values)
        .flat_map(|table| {
            table["partitionRecords"]
                .as_array()
                .cloned()
                .unwrap_or_default()
        })
        .filter_map(|part| Some((part["partitionId"].as_i64()?, part["version"].as_i64()?)))
        .collect()
}

fn columns(columns: &[Column]) -> Value {
    columns
        .iter()
        .map(|column| {
            json!({
                "name": column.name, "type": {"clazz": "ScalarType", "type": column.kind.to_uppercase()},
                "isKey": column.key, "isAllowNull": true, "visible": true, "uniqueId": column.uid,
            })
        })
        .collect()
}

fn indexes(indexes: &[Secondary]) -> Value {
    indexes
        .iter()
        .map(|index| json!({"i": index.id, "in": index.name, "c": [index.column], "it": "INVERTED", "pt": {}, "ct": ""}))
        .collect()
}

/// ADD_PARTITION (1).
pub fn add_partition(db: i64, table: &Table, partition: &Partition) -> String {
    let temp = if partition.temp { "TEMPORARY " } else { "" };
    let values = match partition.range {
        Some((low, high)) => {
            format!(" VALUES [('{low}'), ('{high}')) (\"version_info\" = \"1\");")
        }
        None => " ".to_owned(),
    };
    let key = table.columns.first().map_or("k", |c| c.name.as_str());
    json!({
        "commitSeq": 0, "dbId": db, "tableId": table.id,
        "partition": {
            "id": partition.id, "nm": partition.name, "st": "NORMAL", "vv": 1, "nv": 2,
            "di": {
                "clazz": "HashDistributionInfo", "distributionColumns": [{"name": key}], "type": "HASH",
                "bucketNum": partition.buckets(), "autoBucket": false,
            },
        },
        "dataProperty": {"storageMedium": "HDD"}, "isInMemory": false, "isTempPartition": partition.temp, "isMutable": true,
        "sql": format!("ADD {temp}PARTITION `{}`{values}", partition.name),
    })
    .to_string()
}

/// CREATE_TABLE (2) of a table or view.
pub fn created(db: i64, database: &str, id: i64, name: &str, is_view: bool, sql: &str) -> String {
    json!({
        "commitSeq": 0, "dbId": db, "dbName": database, "tableId": id, "tableName": name,
        "tableType": if is_view { "VIEW" } else { "OLAP" }, "sql": sql, "properties": {},
    })
    .to_string()
}

/// DROP_PARTITION (3).
pub fn drop_partition(db: i64, table: i64, partition: &Partition, force: bool, now: i64) -> String {
    let temp = if partition.temp { "TEMPORARY " } else { "" };
    let tail = if force { " FORCE" } else { "" };
    json!({
        "dbId": db, "tableId": table, "pid": partition.id, "partitionName": partition.name, "isTempPartition": partition.temp,
        "forceDrop": force, "recycleTime": if force { -1 } else { now },
        "sql": format!("DROP {temp}PARTITION `{}`{tail}", partition.name), "version": partition.visible, "versionTime": now,
    })
    .to_string()
}

/// DROP_TABLE (4) of a table or view.
pub fn drop_table(db: i64, id: i64, name: &str, is_view: bool, force: bool) -> String {
    let kind = if is_view { "VIEW" } else { "TABLE" };
    let tail = if force { " FORCE" } else { "" };
    json!({
        "commitSeq": 0, "dbId": db, "tableId": id, "tableName": name, "isView": is_view,
        "rawSql": format!("DROP {kind} IF EXISTS `{name}`{tail}"),
    })
    .to_string()
}

/// ALTER_JOB (5).
pub fn alter_job(db: i64, table: &Table, job: &AlterJob, state: &str) -> String {
    let mut data = json!({
        "dbId": db, "tableId": table.id, "tableName": table.name, "jobId": job.id, "jobState": state, "rawSql": job.sql,
    });
    match &job.kind {
        AlterKind::SchemaChange { .. } => {
            data["type"] = "SCHEMA_CHANGE".into();
            if job.shadow > 0 {
                data["iim"] = json!({ job.shadow.to_string(): table.base });
            }
            data["rollupIndexId"] = 0.into();
            data["baseIndexId"] = 0.into();
        }
        AlterKind::Rollup { name } => {
            data["type"] = "ROLLUP".into();
            data["rollupIndexId"] = job.shadow.into();
            data["rollUpIndexName"] = name.as_str().into();
            data["baseIndexId"] = table.base.into();
            data["baseIndexName"] = table.name.as_str().into();
        }
    }
    data.to_string()
}

/// MODIFY_TABLE_ADD_OR_DROP_COLUMNS (6).
pub fn columns_changed(db: i64, table: &Table, job: i64, sql: &str) -> String {
    json!({
        "dbId": db, "tableId": table.id, "baseIndexId": table.base,
        "indexSchemaMap": { table.base.to_string(): columns(&table.columns) },
        "indexNameToId": { table.name.as_str(): table.base }, "indexes": indexes(&table.secondary), "jobId": job, "rawSql": sql,
    })
    .to_string()
}

/// MODIFY_TABLE_PROPERTY (9).
pub fn properties(db: i64, table: &Table, changed: &BTreeMap<String, String>) -> String {
    json!({"dbId": db, "tableId": table.id, "tableName": table.name, "properties": changed})
        .to_string()
}

/// BARRIER (10).
pub fn barrier(db: i64, database: &str, table: &Table) -> String {
    json!({"dbId": db, "dbName": database, "tableId": table.id, "tableName": table.name, "binlogType": 0}).to_string()
}

/// REPLACE_PARTITIONS (12).
pub fn replace_partitions(
    db: i64,
    database: &str,
    table: &Table,
    names: (&[String], &[String]),
    (strict, use_temp_name): (bool, bool),
    ids: &[i64],
) -> String {
    json!({
        "dbId": db, "dbName": database, "tblId": table.id, "tblName": table.name, "partitions": names.0,
        "tempPartitions": names.1, "strictRange": strict, "useTempPartitionName": use_temp_name, "version": 0,
        "versionTime": 0, "force": true, "partitionIds": ids,
    })
    .to_string()
}

/// TRUNCATE_TABLE (13).
pub fn truncate(
    db: i64,
    database: &str,
    table: &Table,
    partitions: &[String],
    force: bool,
    old: &BTreeMap<i64, String>,
) -> String {
    let mut tail = if partitions.is_empty() {
        String::new()
    } else {
        format!("PARTITIONS ({})", partitions.join(", "))
    };
    if force {
        tail.push_str(" FORCE");
    }
    let old: Map<String, Value> = old
        .iter()
        .map(|(id, name)| (id.to_string(), name.as_str().into()))
        .collect();
    json!({
        "dbId": db, "db": database, "tblId": table.id, "table": table.name, "isEntireTable": partitions.is_empty(),
        "rawSql": tail, "op": old,
    })
    .to_string()
}

/// What a rename record names.
#[derive(Clone, Copy, Debug)]
pub enum Named {
    /// A table.
    Table,
    /// A rollup by id.
    Rollup(i64),
    /// A partition by id.
    Partition(i64),
}

/// RENAME_TABLE (14), RENAME_ROLLUP (21), RENAME_PARTITION (22).
pub fn renamed(db: i64, table: i64, what: Named, old: &str, new: &str) -> String {
    let mut data = json!({
        "db": db, "tb": table, "ind": -1, "p": -1, "nT": "", "oT": "", "nR": "", "oR": "", "nP": "", "oP": "",
    });
    let letter = match what {
        Named::Table => "T",
        Named::Rollup(id) => {
            data["ind"] = id.into();
            "R"
        }
        Named::Partition(id) => {
            data["p"] = id.into();
            "P"
        }
    };
    data[format!("n{letter}")] = new.into();
    data[format!("o{letter}")] = old.into();
    data.to_string()
}

/// RENAME_COLUMN (15).
pub fn rename_column(db: i64, table: i64, old: &str, new: &str) -> String {
    json!({"dbId": db, "tableId": table, "colName": old, "newColName": new, "indexIdToSchemaVersion": {}}).to_string()
}

/// MODIFY_COMMENT (16) of a table.
pub fn table_comment(db: i64, table: i64, comment: &str) -> String {
    json!({"type": "TABLE", "dbId": db, "tblId": table, "tblComment": comment}).to_string()
}

/// MODIFY_VIEW_DEF (17).
pub fn view_changed(db: i64, view: i64, select: &str) -> String {
    json!({"dbId": db, "tableId": view, "inlineViewDef": select, "newFullSchema": []}).to_string()
}

/// REPLACE_TABLE (18).
pub fn replace_table(db: i64, original: (i64, &str), new: (i64, &str), swap: bool) -> String {
    json!({
        "dbId": db, "origTblId": original.0, "origTblName": original.1, "newTblName": new.0, "actualNewTblName": new.1,
        "swapTable": swap, "isForce": true,
    })
    .to_string()
}

/// MODIFY_TABLE_ADD_OR_DROP_INVERTED_INDICES (19).
pub fn indexes_changed(
    db: i64,
    table: &Table,
    altered: &[Secondary],
    is_drop: bool,
    job: i64,
) -> String {
    json!({
        "dbId": db, "tableId": table.id, "indexSchemaMap": {}, "indexes": indexes(&table.secondary),
        "alterInvertedIndexes": indexes(altered), "isDropInvertedIndex": is_drop, "jobId": job, "rawSql": "",
    })
    .to_string()
}

/// INDEX_CHANGE_JOB (20).
pub fn index_job(
    db: i64,
    table: &Table,
    partition: &Partition,
    index: &Secondary,
    job: i64,
    state: &str,
) -> String {
    json!({
        "jobId": job, "jobState": state, "dbId": db, "tableId": table.id, "tableName": table.name,
        "partitionId": partition.id, "partitionName": partition.name, "isDropOp": false,
        "alterInvertedIndexes": indexes(std::slice::from_ref(index)), "originIndexId": table.base,
    })
    .to_string()
}

/// DROP_ROLLUP (23).
pub fn drop_rollup(db: i64, table: &Table, index: i64, name: &str) -> String {
    json!({
        "ctl": "internal", "dbId": db, "tableId": table.id, "tableName": table.name, "indexId": index, "indexName": name,
        "isView": false, "forceDrop": true, "recycleTime": 0,
    })
    .to_string()
}

/// RECOVER_INFO (24) of a table or of one of its partitions.
pub fn recovered(db: i64, table: (i64, &str), partition: Option<(i64, &str)>) -> String {
    let (id, name) = partition.unwrap_or((-1, ""));
    json!({
        "dbId": db, "newDbName": "", "tableId": table.0, "tableName": table.1, "newTableName": "", "partitionId": id,
        "partitionName": name, "newPartitionName": "",
    })
    .to_string()
}

/// MODIFY_DISTRIBUTION_BUCKET_NUM (25).
pub fn buckets(db: i64, table: &Table) -> String {
    let key = table.columns.first().map_or("k", |c| c.name.as_str());
    json!({
        "dbId": db, "tableId": table.id, "type": "HASH", "autoBucket": false, "bucketNum": table.buckets,
        "columnsName": format!("`{key}`"),
    })
    .to_string()
}
