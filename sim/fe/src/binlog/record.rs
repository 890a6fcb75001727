//! The JSON of binlog records, one builder per type (forms read in Doris master, January 2026).
//!
//! Every record carries a few members that readers have to ignore, as the real ones do.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::alter::index_job::IndexJob;
use crate::alter::job::{AlterJob, AlterKind, TIMEOUT_S};
use crate::binlog::gson;
use crate::state::Record;
use dorisim_model::catalog::Properties;
use dorisim_model::{
    DistributionKind, IndexMeta, OlapTable, Partition, PartitionItem, SecondaryIndex, TableSchema,
};

pub(crate) fn table_record(kind: i32, db_id: i64, table_id: i64, data: Value) -> Record {
    Record {
        kind,
        db_id,
        table_ids: vec![table_id],
        data,
    }
}

/// UPSERT (0).
pub fn upsert(
    db_id: i64,
    table_ids: Vec<i64>,
    txn_id: i64,
    label: &str,
    now_ms: i64,
    tables: Map<String, Value>,
    stids: Option<Vec<i64>>,
) -> Record {
    let mut data = json!({
        "commitSeq": 0, "txnId": txn_id, "timeStamp": now_ms, "label": label, "dbId": db_id, "tableRecords": tables,
    });
    if let Some(stids) = stids {
        data["stids"] = stids.into();
    }
    Record {
        kind: 0,
        db_id,
        table_ids,
        data,
    }
}

fn data_property(partition: &Partition) -> Value {
    json!({
        "storageMedium": partition.storage_medium, "cooldownTimeMs": partition.cooldown_ms,
        "storagePolicy": partition.storage_policy, "isMutable": true,
    })
}

/// The clause of ADD_PARTITION; without BUCKETS, as Doris prints it.
#[must_use]
pub fn add_partition_sql(table: &OlapTable, partition: &Partition) -> String {
    let keyword = if partition.is_temp {
        "ADD TEMPORARY PARTITION"
    } else {
        "ADD PARTITION"
    };
    let head = format!("{keyword} `{}`", partition.name);
    let values = partition.item.values_sql(&table.partition_types());
    let version = partition.visible_version;
    match partition.item {
        PartitionItem::Range { .. } | PartitionItem::List(_) => {
            format!("{head} {values} (\"version_info\" = \"{version}\");")
        }
        PartitionItem::ListDefault => format!("{head} (\"version_info\" = \"{version}\");"),
        PartitionItem::All => format!("{head} "),
    }
}

/// ADD_PARTITION (1).
pub fn add_partition(db_id: i64, table: &OlapTable, partition: &Partition) -> Record {
    let types = table.partition_types();
    let mut data = json!({
        "commitSeq": 0, "dbId": db_id, "tableId": table.id, "partition": gson::partition(table, partition),
    });
    data["range"] = gson::range(&partition.item, &types);
    data["listPartitionItem"] = gson::list_item(&partition.item, &types);
    data["dataProperty"] = data_property(partition);
    data["replicaAlloc"] = gson::replica_allocation(partition.replication_num);
    data["isInMemory"] = false.into();
    data["isTempPartition"] = partition.is_temp.into();
    data["isMutable"] = true.into();
    data["sql"] = add_partition_sql(table, partition).into();
    table_record(1, db_id, table.id, data)
}

/// CREATE_TABLE (2) of an OLAP table; `sql` is the synced form of its DDL.
pub fn create_table(
    db_id: i64,
    db: &str,
    table: &OlapTable,
    sql: &str,
    properties: &Properties,
) -> Record {
    table_record(
        2,
        db_id,
        table.id,
        json!({
            "commitSeq": 0, "dbId": db_id, "dbName": db, "tableId": table.id, "tableName": table.name, "tableType": "OLAP",
            "sql": sql, "properties": properties,
        }),
    )
}

/// DROP_PARTITION (3). `version`: that of the table and its time; 0 when the partition had no data.
pub fn drop_partition(
    db_id: i64,
    table_id: i64,
    partition: &Partition,
    force: bool,
    version: (i64, i64),
    now_ms: i64,
) -> Record {
    let temp = if partition.is_temp { "TEMPORARY " } else { "" };
    let tail = if force { " FORCE" } else { "" };
    table_record(
        3,
        db_id,
        table_id,
        json!({
            "dbId": db_id, "tableId": table_id, "pid": partition.id, "partitionName": partition.name,
            "isTempPartition": partition.is_temp, "forceDrop": force, "recycleTime": if force || partition.is_temp { -1 } else { now_ms },
            "sql": format!("DROP {temp}PARTITION `{}`{tail}", partition.name),
            "version": version.0, "versionTime": version.1,
        }),
    )
}

/// DROP_TABLE (4).
pub fn drop_table(db_id: i64, id: i64, name: &str, is_view: bool) -> Record {
    let kind = if is_view { "VIEW" } else { "TABLE" };
    table_record(
        4,
        db_id,
        id,
        json!({
            "commitSeq": 0, "dbId": db_id, "tableId": id, "tableName": name, "isView": is_view,
            "rawSql": format!("DROP {kind} IF EXISTS `{name}`"),
        }),
    )
}

/// ALTER_JOB (5).
pub fn alter_job(job: &AlterJob) -> Record {
    let mut data = json!({
        "dbId": job.db_id, "tableId": job.table_id, "tableName": job.table, "jobId": job.id,
        "jobState": job.state.as_str(), "rawSql": job.raw_sql,
    });
    match &job.kind {
        AlterKind::SchemaChange { pairs, .. } => {
            data["type"] = "SCHEMA_CHANGE".into();
            data["iim"] = pairs
                .iter()
                .map(|(shadow, origin)| (shadow.id.to_string(), json!(origin)))
                .collect::<Map<_, _>>()
                .into();
            data["rollupIndexId"] = 0.into();
            data["baseIndexId"] = 0.into();
        }
        AlterKind::Rollup {
            index,
            base_id,
            base_name,
        } => {
            data["type"] = "ROLLUP".into();
            data["rollupIndexId"] = index.id.into();
            data["rollUpIndexName"] = index.name.as_str().into();
            data["baseIndexId"] = (*base_id).into();
            data["baseIndexName"] = base_name.as_str().into();
            // Empty for a rollup, unset for a materialized view.
            data["rawSql"] = "".into();
            if index.define.is_some()
                && let Some(object) = data.as_object_mut()
            {
                object.remove("rawSql");
            }
        }
    }
    table_record(5, job.db_id, job.table_id, data)
}

/// MODIFY_TABLE_ADD_OR_DROP_COLUMNS (6). `old`: columns before, by index, of the base and of every rollup that changed.
pub fn alter_columns(
    db_id: i64,
    table: &OlapTable,
    old: &BTreeMap<i64, TableSchema>,
    job_id: i64,
    raw_sql: &str,
) -> Record {
    let now = |id: i64, old: &TableSchema| {
        let known = |unique: i32| old.columns.iter().any(|c| c.unique_id == unique);
        gson::columns(table.index_schema(id), |unique| !known(unique))
    };
    let new: Map<String, Value> = old
        .iter()
        .map(|(id, old)| (id.to_string(), now(*id, old)))
        .collect();
    let old: Map<String, Value> = old
        .iter()
        .map(|(id, schema)| (id.to_string(), gson::columns(schema, |_| false)))
        .collect();
    table_record(
        6,
        db_id,
        table.id,
        json!({
            "dbId": db_id, "tableId": table.id, "baseIndexId": table.base_index_id(),
            "indexSchemaMap": new, "oldIndexSchemaMap": old,
            "indexNameToId": table.indexes.iter().map(|i| (i.name.clone(), json!(i.id))).collect::<Map<_, _>>(),
            "indexes": gson::indexes(&table.secondary), "jobId": job_id, "rawSql": raw_sql,
        }),
    )
}

/// ALTER_DATABASE_PROPERTY (8).
pub fn alter_database(db_id: i64, db: &str, properties: &Properties) -> Record {
    Record {
        kind: 8,
        db_id,
        table_ids: Vec::new(),
        data: json!({"dbId": db_id, "dbName": db, "properties": properties}),
    }
}

/// MODIFY_TABLE_PROPERTY (9). Catalogue and database are unset for internal tables.
pub fn modify_property(db_id: i64, table: &OlapTable, properties: &Properties) -> Record {
    let list: Vec<String> = properties
        .iter()
        .map(|(k, v)| format!("\"{k}\" = \"{v}\""))
        .collect();
    table_record(
        9,
        db_id,
        table.id,
        json!({
            "dbId": db_id, "tableId": table.id, "tableName": table.name,
            "properties": properties, "sql": format!("SET ({} )", list.join(" ,")),
        }),
    )
}

/// BARRIER (10), plain form.
pub fn barrier(db_id: i64, db: &str, table_id: i64, table: &str) -> Record {
    table_record(
        10,
        db_id,
        table_id,
        json!({
            "dbId": db_id, "dbName": db, "tableId": table_id, "tableName": table, "binlogType": 0,
        }),
    )
}

/// What a MODIFY_PARTITIONS is about, besides the data property that it always carries.
#[derive(Debug, Clone, Default)]
pub struct ModifiedPartitions {
    /// The replica number was named; it is unset in the record otherwise.
    pub replicas: bool,
    /// Properties of the table that changed with the partition.
    pub table_properties: Properties,
}

/// MODIFY_PARTITIONS (11).
pub fn modify_partitions(
    db_id: i64,
    table_id: i64,
    partitions: &[Partition],
    what: &ModifiedPartitions,
) -> Record {
    let alloc = |p: &Partition| {
        if what.replicas {
            gson::replica_allocation(p.replication_num)
        } else {
            json!({"allocMap": {}})
        }
    };
    table_record(
        11,
        db_id,
        table_id,
        json!({"infos": partitions.iter().map(|p| json!({
        "dbId": db_id, "tableId": table_id, "partitionId": p.id, "dataProperty": data_property(p), "isInMemory": false,
        "replicaAlloc": alloc(p), "storagePolicy": p.storage_policy, "tableProperties": what.table_properties,
    })).collect::<Vec<_>>()}),
    )
}

/// What REPLACE_PARTITIONS carries.
#[derive(Debug, Clone)]
pub struct ReplacedPartitions {
    /// Names of the replaced ones.
    pub partitions: Vec<String>,
    /// Names of the temporary ones.
    pub temp_partitions: Vec<String>,
    /// Ranges had to be equal.
    pub strict_range: bool,
    /// The temporary names stay.
    pub use_temp_name: bool,
    /// FORCE.
    pub force: bool,
    /// Ids of the replaced ones.
    pub ids: Vec<i64>,
    /// Version of the table from now on, and since when it has it.
    pub version: (i64, i64),
}

/// REPLACE_PARTITIONS (12).
pub fn replace_partitions(
    db_id: i64,
    db: &str,
    table: &OlapTable,
    r: &ReplacedPartitions,
) -> Record {
    table_record(
        12,
        db_id,
        table.id,
        json!({
            "dbId": db_id, "dbName": db, "tblId": table.id, "tblName": table.name, "partitions": r.partitions,
            "tempPartitions": r.temp_partitions, "strictRange": r.strict_range, "useTempPartitionName": r.use_temp_name,
            "version": r.version.0, "versionTime": r.version.1, "force": r.force, "partitionIds": r.ids,
        }),
    )
}

/// TRUNCATE_TABLE (13).
pub fn truncate(
    db_id: i64,
    db: &str,
    table: &OlapTable,
    entire: bool,
    raw_sql: &str,
    old: &BTreeMap<i64, String>,
) -> Record {
    table_record(
        13,
        db_id,
        table.id,
        json!({
            "dbId": db_id, "db": db, "tblId": table.id, "table": table.name, "isEntireTable": entire, "rawSql": raw_sql,
            "op": old.iter().map(|(id, name)| (id.to_string(), json!(name))).collect::<Map<_, _>>(),
        }),
    )
}

/// The shared payload of renames.
#[derive(Debug, Clone, Default)]
pub struct Names<'a> {
    /// Partition id, if one is renamed.
    pub partition: Option<i64>,
    /// Index id, if one is renamed.
    pub index: Option<i64>,
    /// (old, new) of the table.
    pub table: Option<(&'a str, &'a str)>,
    /// (old, new) of the rollup.
    pub rollup: Option<(&'a str, &'a str)>,
    /// (old, new) of the partition.
    pub partition_name: Option<(&'a str, &'a str)>,
}

/// MODIFY_DISTRIBUTION_TYPE
const DISTRIBUTION_TYPE: i32 = 26;

/// RENAME_TABLE (14), RENAME_ROLLUP (21), RENAME_PARTITION (22), MODIFY_DISTRIBUTION_TYPE (26).
pub fn table_info(kind: i32, db_id: i64, table_id: i64, names: &Names<'_>) -> Record {
    let (old_t, new_t) = names.table.unwrap_or(("", ""));
    let (old_r, new_r) = names.rollup.unwrap_or(("", ""));
    let (old_p, new_p) = names.partition_name.unwrap_or(("", ""));
    let mut data = json!({
        "db": db_id, "tb": table_id, "ind": names.index.unwrap_or(-1), "p": names.partition.unwrap_or(-1),
    });
    // Where nothing is renamed there are no old names.
    for (kind_of, old, new) in [
        ("T", old_t, new_t),
        ("R", old_r, new_r),
        ("P", old_p, new_p),
    ] {
        data[format!("n{kind_of}")] = new.into();
        if kind != DISTRIBUTION_TYPE {
            data[format!("o{kind_of}")] = old.into();
        }
    }
    table_record(kind, db_id, table_id, data)
}

/// RENAME_COLUMN (15).
pub fn rename_column(db_id: i64, table: &OlapTable, old: &str, new: &str) -> Record {
    let versions: Map<String, Value> = table
        .indexes
        .iter()
        .map(|i| (i.id.to_string(), json!(table.schema.schema_version)))
        .collect();
    table_record(
        15,
        db_id,
        table.id,
        json!({
            "dbId": db_id, "tableId": table.id, "colName": old, "newColName": new, "indexIdToSchemaVersion": versions,
        }),
    )
}

/// MODIFY_COMMENT (16) of a table.
pub fn table_comment(db_id: i64, table_id: i64, text: &str) -> Record {
    let data = json!({"type": "TABLE", "dbId": db_id, "tblId": table_id, "tblComment": text});
    table_record(16, db_id, table_id, data)
}

/// MODIFY_COMMENT (16) of columns.
pub fn column_comments(db_id: i64, table_id: i64, texts: &BTreeMap<String, String>) -> Record {
    let data = json!({"type": "COLUMN", "dbId": db_id, "tblId": table_id, "colToComment": texts});
    table_record(16, db_id, table_id, data)
}

/// REPLACE_TABLE (18): `newTblName` is the number of the new table, not its name.
pub fn replace_table(
    db_id: i64,
    original: (i64, &str),
    new: (i64, &str),
    swap: bool,
    force: bool,
) -> Record {
    table_record(
        18,
        db_id,
        original.0,
        json!({
            "dbId": db_id, "origTblId": original.0, "origTblName": original.1, "newTblName": new.0, "actualNewTblName": new.1,
            "swapTable": swap, "isForce": force,
        }),
    )
}

/// MODIFY_TABLE_ADD_OR_DROP_INVERTED_INDICES (19).
pub fn alter_indexes(
    db_id: i64,
    table: &OlapTable,
    changed: &[SecondaryIndex],
    is_drop: bool,
    job_id: i64,
    raw_sql: &str,
) -> Record {
    table_record(
        19,
        db_id,
        table.id,
        json!({
            "dbId": db_id, "tableId": table.id, "indexSchemaMap": {table.base_index_id().to_string(): gson::columns(&table.schema, |_| false)},
            "indexes": gson::indexes(&table.secondary), "alterInvertedIndexes": gson::indexes(changed),
            "isDropInvertedIndex": is_drop, "jobId": job_id, "rawSql": raw_sql,
        }),
    )
}

/// DROP_ROLLUP (23). A rollup goes for good, a materialized view does not say so.
pub fn drop_rollup(db_id: i64, table: &OlapTable, index: &IndexMeta) -> Record {
    table_record(
        23,
        db_id,
        table.id,
        json!({
            "ctl": "internal", "dbId": db_id, "tableId": table.id, "tableName": table.name,
            "indexId": index.id, "indexName": index.name, "isView": false, "forceDrop": index.define.is_none(), "recycleTime": 0,
        }),
    )
}

/// What RECOVER_INFO names.
#[derive(Debug, Clone, Copy)]
pub struct Recovered<'a> {
    /// Id and name of the table.
    pub table: (i64, &'a str),
    /// New name of a recovered table; empty when a partition came back, unset when the table keeps its name.
    pub new_table: Option<&'a str>,
    /// Id and name of a recovered partition; unset when the table itself came back.
    pub partition: Option<(i64, &'a str)>,
    /// New name of a recovered partition; as for the table.
    pub new_partition: Option<&'a str>,
}

/// RECOVER_INFO (24).
pub fn recover(db_id: i64, r: &Recovered<'_>) -> Record {
    let (partition_id, partition_name) = r.partition.unwrap_or((-1, ""));
    let mut data =
        json!({"dbId": db_id, "newDbName": "", "tableId": r.table.0, "tableName": r.table.1});
    if let Some(name) = r.new_table {
        data["newTableName"] = name.into();
    }
    data["partitionId"] = partition_id.into();
    data["partitionName"] = partition_name.into();
    if let Some(name) = r.new_partition {
        data["newPartitionName"] = name.into();
    }
    table_record(24, db_id, r.table.0, data)
}

/// INDEX_CHANGE_JOB (20).
pub fn index_job(job: &IndexJob) -> Record {
    table_record(
        20,
        job.db_id,
        job.table.0,
        json!({
            "jobId": job.id, "jobState": job.state.as_str(), "dbId": job.db_id, "tableId": job.table.0,
            "tableName": job.table.1, "partitionId": job.partition.0, "partitionName": job.partition.1,
            "errMsg": job.message, "createTimeMs": job.create_ms, "finishedTimeMs": job.finish_ms,
            "watershedTxnId": job.watershed, "isDropOp": job.is_drop,
            "alterInvertedIndexes": gson::indexes(&job.indexes), "originIndexId": job.origin_index,
            "invertedIndexBatchTask": {}, "timeoutMs": TIMEOUT_S * 1000, "clsname": "",
            "sv": job.schema.schema_version, "cols": gson::columns(&job.schema, |_| false), "idxs": gson::indexes(&job.present),
        }),
    )
}

/// MODIFY_DISTRIBUTION_BUCKET_NUM (25).
pub fn bucket_num(db_id: i64, table: &OlapTable) -> Record {
    let d = &table.distribution;
    let (kind, columns) = match &d.kind {
        DistributionKind::Hash(columns) => {
            let quoted: Vec<String> = columns.iter().map(|c| format!("`{c}`")).collect();
            ("HASH", quoted.join(","))
        }
        DistributionKind::Random => ("RANDOM", String::new()),
    };
    table_record(
        25,
        db_id,
        table.id,
        json!({
            "dbId": db_id, "tableId": table.id, "type": kind, "autoBucket": d.auto, "bucketNum": d.buckets, "columnsName": columns,
        }),
    )
}
