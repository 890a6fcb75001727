//! Tables and views that another FE wrote.

use std::collections::BTreeMap;

use serde_json::Value;

use super::item::read_item;
use super::shape::{list, read_columns, small_id, text};
use dorisim_model::catalog::{NEVER_MS, Properties};
use dorisim_model::{
    DataType, Distribution, DistributionKind, IndexMeta, IndexState, KeysModel, MaterializedIndex,
    OlapTable, Partition, PartitionItem, PartitionKind, Replica, SecondaryIndex, TableSchema,
    TableState, Tablet, TabletIndexes, Tracked, View,
};

/// Properties that an FE keeps with the others and shows elsewhere, or not at all.
const INNER_PROPERTIES: [&str; 4] = [
    "default.replication_allocation",
    "_auto_bucket",
    "min_load_replica_num",
    "tde_algorithm",
];

/// A table. Errors name what is missing or unknown.
pub fn read_table(json: &Value) -> Result<OlapTable, String> {
    let name = text(&json["name"]);
    let of_table = |what: String| format!("table {name}: {what}");
    let all = text_map(&json["tp"]["properties"]);
    let keys = |kind: &Value| match kind.as_str() {
        Some("UNIQUE_KEYS") => KeysModel::Unique {
            mow: all
                .get("enable_unique_key_merge_on_write")
                .is_some_and(|v| v == "true"),
            sequence_col: all.get("function_column.sequence_col").cloned(),
        },
        Some("AGG_KEYS") => KeysModel::Aggregate,
        Some(_) | None => KeysModel::Duplicate,
    };
    let base_id = json["bid"].as_i64().unwrap_or(-1);
    let mut names: Vec<(String, i64)> = json["inti"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, id)| (name.clone(), id.as_i64().unwrap_or(-1)))
        .collect();
    names.sort_by_key(|(_, id)| (*id != base_id, *id));
    let mut indexes = Vec::new();
    let mut base = None;
    for (index_name, id) in names {
        let meta = &json["itm"][id.to_string()];
        let columns = read_columns(&meta["sc"]).map_err(of_table)?;
        let schema = TableSchema {
            keys: keys(&meta["kt"]),
            schema_hash: small_id(&meta["sh"]),
            schema_version: small_id(&meta["sv"]),
            indexes: TabletIndexes::default(),
            columns,
        };
        let is_base = id == base_id;
        indexes.push(IndexMeta {
            id,
            name: index_name,
            schema_hash: schema.schema_hash,
            columns: if is_base {
                Vec::new()
            } else {
                schema.columns.iter().map(|c| c.name.clone()).collect()
            },
            schema: (!is_base).then(|| schema.clone()),
            state: IndexState::Normal,
            define: meta["dst"]["originStmt"].as_str().map(str::to_owned),
            filter: None,
        });
        if is_base {
            base = Some((schema, small_id(&meta["mcui"])));
        }
    }
    let (schema, largest) = base.ok_or_else(|| of_table("no base index".to_owned()))?;
    let info = &json["pi"];
    let partition_columns = read_columns(&info["pc"]).map_err(of_table)?;
    let types: Vec<DataType> = partition_columns
        .iter()
        .map(|c| c.data_type.clone())
        .collect();
    let column_names = partition_columns.into_iter().map(|c| c.name).collect();
    let partition_kind = match info["Type"].as_str() {
        Some("RANGE") => PartitionKind::Range(column_names),
        Some("LIST") => PartitionKind::List(column_names),
        Some(_) | None => PartitionKind::Unpartitioned,
    };
    let ids: Vec<i64> = indexes.iter().map(|index| index.id).collect();
    let mut partitions = Tracked::new();
    for partition in json["itp"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(_, p)| p)
    {
        let partition = read_partition(partition, info, &types, &ids);
        partitions.insert(partition.id, partition);
    }
    let mut properties: Properties = all
        .iter()
        .filter(|(name, _)| !INNER_PROPERTIES.contains(&name.as_str()))
        .map(|(name, value)| match name.as_str() {
            "storage_medium" => (name.clone(), value.to_ascii_lowercase()),
            _ => (name.clone(), value.clone()),
        })
        .collect();
    let bloom: Vec<String> = list(&json["bfc"]).map(text).collect();
    if !bloom.is_empty() {
        properties.insert("bloom_filter_columns".to_owned(), bloom.join(", "));
    }
    let replicas = all
        .get("default.replication_allocation")
        .and_then(|v| v.rsplit(':').next()?.trim().parse().ok())
        .unwrap_or(1);
    let auto_inc = schema.columns.iter().find_map(|c| c.auto_inc);
    let mut table = OlapTable {
        id: json["id"].as_i64().unwrap_or(-1),
        auto_partition: (info["IsAutoCreatePartitions"] == true).then(|| auto_text(info)),
        partition_kind,
        distribution: read_distribution(&json["di"]),
        properties,
        replication_num: replicas,
        comment: text(&json["comment"]),
        partitions,
        indexes,
        secondary: list(&json["indexes"]["indexes"])
            .map(read_secondary)
            .collect(),
        state: TableState::Normal,
        max_column_unique_id: largest.max(schema.max_unique_id()),
        visible_version: json["ta"]["visibleVersion"].as_i64().unwrap_or(1),
        visible_version_time: json["ta"]["visibleVersionTime"].as_i64().unwrap_or(0),
        auto_inc_next: json["aIncg"]["batchEndId"]
            .as_i64()
            .or(auto_inc)
            .unwrap_or(1),
        schema,
        name,
    };
    table.refresh_indexes();
    Ok(table)
}

/// A view.
pub fn read_view(json: &Value) -> Result<View, String> {
    let columns = list(&json["fullSchema"]);
    Ok(View {
        id: json["id"].as_i64().unwrap_or(-1),
        name: text(&json["name"]),
        definition: text(&json["ivd"]),
        columns: columns
            .map(|c| (text(&c["name"]), text(&c["comment"])))
            .collect(),
        comment: text(&json["comment"]),
    })
}

fn text_map(json: &Value) -> BTreeMap<String, String> {
    json.as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.clone(), text(value)))
        .collect()
}

fn read_secondary(json: &Value) -> SecondaryIndex {
    SecondaryIndex {
        id: json["i"].as_i64().unwrap_or(-1),
        name: text(&json["in"]),
        columns: list(&json["c"]).map(text).collect(),
        kind: text(&json["it"]),
        properties: text_map(&json["pt"]),
        comment: text(&json["ct"]),
    }
}

fn read_distribution(json: &Value) -> Distribution {
    let columns = || {
        list(&json["distributionColumns"])
            .map(|c| text(&c["name"]))
            .collect()
    };
    Distribution {
        kind: match json["type"].as_str() {
            Some("HASH") => DistributionKind::Hash(columns()),
            Some(_) | None => DistributionKind::Random,
        },
        buckets: json["bucketNum"]
            .as_u64()
            .and_then(|n| u32::try_from(n).ok())
            .unwrap_or(1),
        auto: json["autoBucket"] == true,
    }
}

/// The expression of an automatic partition clause.
fn auto_text(info: &Value) -> String {
    let expression = &info["PartitionExprs"][0];
    let name = |slot: &Value| format!("`{}`", text(&slot["col"]));
    if expression["clazz"] != "FunctionCallExpr" {
        return list(&info["PartitionExprs"])
            .map(name)
            .collect::<Vec<_>>()
            .join(", ");
    }
    let arguments: Vec<String> = list(&expression["children"])
        .map(|argument| match argument["clazz"].as_str() {
            Some("SlotRef") => name(argument),
            Some(_) | None => format!("'{}'", text(&argument["v"])),
        })
        .collect();
    format!(
        "{}({})",
        text(&expression["fnn"]["fn"]),
        arguments.join(", ")
    )
}

fn read_partition(json: &Value, info: &Value, types: &[DataType], indexes: &[i64]) -> Partition {
    let id = json["id"].as_i64().unwrap_or(-1);
    let of = |member: &str| &info[member][id.to_string()];
    let data = of("IdToDataProperty");
    let item = of("IdToItem");
    let replicas =
        list(&of("IdToReplicaAllocation")["allocMap"]).filter_map(|pair| pair[1].as_u64());
    let visible = json["vv"].as_i64().unwrap_or(1);
    let rollups = &json["ivr"];
    Partition {
        id,
        name: text(&json["nm"]),
        item: if item.is_null() {
            PartitionItem::All
        } else {
            read_item(item, types)
        },
        is_temp: false,
        visible_version: visible,
        visible_version_time: json["vvt"].as_i64().unwrap_or(0),
        next_version: json["nv"].as_i64().unwrap_or(visible + 1),
        distribution: read_distribution(&json["di"]),
        replication_num: u32::try_from(replicas.sum::<u64>()).unwrap_or(1).max(1),
        storage_medium: data["storageMedium"].as_str().unwrap_or("HDD").to_owned(),
        cooldown_ms: data["cooldownTimeMs"].as_i64().unwrap_or(NEVER_MS),
        storage_policy: text(&data["storagePolicy"]),
        indexes: indexes
            .iter()
            .map(|id| match &json["bi"] {
                base if base["id"].as_i64() == Some(*id) => read_tablets(base, *id),
                _ => read_tablets(&rollups[id.to_string()], *id),
            })
            .collect(),
    }
}

fn read_tablets(json: &Value, id: i64) -> MaterializedIndex {
    let number = |json: &Value, name: &str| json[name].as_i64().unwrap_or(-1);
    let tablets = list(&json["tablets"]).map(|tablet| Tablet {
        id: number(tablet, "id"),
        replicas: list(&tablet["rs"])
            .map(|replica| Replica {
                id: number(replica, "id"),
                backend_id: number(replica, "bid"),
                version: number(replica, "v"),
                bad: false,
            })
            .collect(),
    });
    MaterializedIndex {
        id,
        tablets: tablets.collect(),
    }
}
