//! Properties of a new table: checked, completed with the defaults, and as they are kept.

use crate::api::SqlError;
use crate::catalog::properties::{self, NewTable, is_on};
use crate::catalog::property_values;
use crate::catalog::replicas::take_replicas;
use crate::dynamic;
use dorisim_model::catalog::Properties;
use dorisim_model::{KeysModel, OlapTable, PartitionKind, TableSchema};
use dorisim_sql::ast;

/// Properties of a new table as they are kept, and its replica number.
pub fn properties(
    create: &ast::CreateTable,
    db: &Properties,
    default_replicas: u32,
    schema: &TableSchema,
) -> Result<(Properties, u32), SqlError> {
    let mut properties = property_values::canonicalize(&create.properties)?;
    let replicas = match take_replicas(&mut properties, "")? {
        Some(n) => n,
        None => take_replicas(&mut db.clone(), "")?.unwrap_or(default_replicas),
    };
    if is_on(&properties, "is_being_synced") {
        properties::erase_for_sync(&mut properties);
    }
    check_new(create, &properties, schema, replicas)?;
    for gone in ["_auto_bucket", "version_info", "in_memory"] {
        properties.remove(gone);
    }
    if let Some(list) = properties.get("bloom_filter_columns") {
        let names = properties::check_bloom_filter(list, schema)?.join(", ");
        properties.insert("bloom_filter_columns".to_owned(), names);
    }
    for (key, value) in db.iter().filter(|(k, _)| k.starts_with("binlog.")) {
        let mine = properties
            .entry(key.clone())
            .or_insert_with(|| value.clone());
        if key == "binlog.enable" && value == "true" && mine != "true" {
            return Err(SqlError::analysis(
                "Cannot create table with binlog disabled when database binlog enable",
            ));
        }
    }
    let mut default = |key: &str, value: &str| {
        properties
            .entry(key.to_owned())
            .or_insert_with(|| value.to_owned());
    };
    default("min_load_replica_num", "-1");
    default("is_being_synced", "false");
    default("storage_medium", "hdd");
    default("storage_format", "V2");
    default("inverted_index_storage_format", "V3");
    default("light_schema_change", "true");
    default("disable_auto_compaction", "false");
    default("enable_single_replica_compaction", "false");
    default("group_commit_interval_ms", "10000");
    default("group_commit_data_bytes", "134217728");
    default("binlog.enable", "false");
    default("binlog.ttl_seconds", "86400");
    default("binlog.max_bytes", "9223372036854775807");
    default("binlog.max_history_nums", "9223372036854775807");
    if let KeysModel::Unique { mow, .. } = schema.keys {
        default(
            "enable_unique_key_merge_on_write",
            if mow { "true" } else { "false" },
        );
        if mow {
            default("enable_mow_light_delete", "false");
        }
    }
    Ok((properties, replicas))
}

fn check_new(
    create: &ast::CreateTable,
    properties: &Properties,
    schema: &TableSchema,
    replicas: u32,
) -> Result<(), SqlError> {
    let kind = match &create.partition {
        None => PartitionKind::Unpartitioned,
        Some(by) => match by.kind {
            ast::PartitionKind::Range => PartitionKind::Range(by.columns.clone()),
            ast::PartitionKind::List => PartitionKind::List(by.columns.clone()),
        },
    };
    if kind == PartitionKind::Unpartitioned && !dynamic::partition::own(properties).is_empty() {
        return Err(SqlError::analysis(
            "Only support dynamic partition properties on range partition table",
        ));
    }
    properties::check_new(
        properties,
        &NewTable {
            schema,
            partition: &kind,
            auto_partition: create.partition.as_ref().is_some_and(|by| by.auto),
            replicas,
            random: create
                .distribution
                .as_ref()
                .is_none_or(|d| d.hash_columns.is_empty()),
        },
    )
}

/// Checks and completes `dynamic_partition.*` of a new table.
pub fn settle_dynamic(table: &mut OlapTable) -> Result<(), SqlError> {
    let given = dynamic::partition::own(&table.properties);
    if given.is_empty() {
        return Ok(());
    }
    dynamic::check::check_names(&given)?;
    let all = dynamic::check::complete(table, &given)?;
    let all = dynamic::check::analyze(table, &all)?;
    table
        .properties
        .retain(|key, _| !key.starts_with(dynamic::partition::PREFIX));
    table.properties.extend(all);
    Ok(())
}
