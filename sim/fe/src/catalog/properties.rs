//! Table properties: which are known, how they fit a new table and each other, and how SHOW CREATE TABLE prints them.
//! `property_values` says what each may be by itself.
//!
//! Names, order, conditions and texts were read in Doris master of January 2026.

use crate::api::SqlError;
use crate::catalog::property_values::{DEFAULT_COMPRESSION, TIME_SERIES};
use crate::catalog::replicas::allocation;
use crate::catalog::show_create::Form;
use crate::dynamic;
use crate::dynamic::partition::DynamicPartition;
use dorisim_model::catalog::Properties;
use dorisim_model::{DataType, KeysModel, OlapTable, PartitionKind, TableSchema};

/// Where the block of `dynamic_partition.*` stands in [`ORDER`].
const DYNAMIC: &str = "dynamic_partition.*";
/// Where `sequence_mapping.*` stands in [`ORDER`].
const MAPPINGS: &str = "sequence_mapping.*";

/// What SHOW CREATE TABLE prints behind `replication_allocation`, in this order.
const ORDER: [&str; 45] = [
    "min_load_replica_num",
    "bloom_filter_columns",
    "is_being_synced",
    "_auto_bucket",
    "colocate_with",
    DYNAMIC,
    "partition.retention_count",
    "storage_medium",
    "storage_format",
    "inverted_index_storage_format",
    "compression",
    "estimate_partition_size",
    "enable_unique_key_merge_on_write",
    "enable_unique_key_skip_bitmap_column",
    "light_schema_change",
    "storage_policy",
    "function_column.sequence_col",
    "function_column.sequence_type",
    MAPPINGS,
    "row_store_columns",
    "store_row_column",
    "row_store_page_size",
    "storage_page_size",
    "storage_dict_page_size",
    "skip_write_index_on_load",
    "compaction_policy",
    "time_series_compaction_goal_size_mbytes",
    "time_series_compaction_file_count_threshold",
    "time_series_compaction_time_threshold_seconds",
    "time_series_compaction_empty_rowsets_threshold",
    "time_series_compaction_level_threshold",
    "disable_auto_compaction",
    "variant_enable_flatten_nested",
    "binlog.enable",
    "binlog.ttl_seconds",
    "binlog.max_bytes",
    "binlog.max_history_nums",
    "enable_single_replica_compaction",
    "group_commit_interval_ms",
    "group_commit_data_bytes",
    "enable_mow_light_delete",
    "enable_duplicate_without_keys_by_default",
    "in_atomic_restore",
    "storage_vault_id",
    "storage_vault_name",
];

/// Known properties that SHOW CREATE TABLE never prints.
const SILENT: [&str; 14] = [
    "auto_analyze_policy",
    "bloom_filter_fpp",
    "data_base_time_ms",
    "disable_load",
    "disable_query",
    "file_cache_ttl_seconds",
    "in_memory",
    "mutable",
    "schema_version",
    "short_key",
    "storage_cooldown_time",
    "storage_type",
    "tablet_type",
    "version_info",
];

/// `storage_page_size` that is not printed.
const PAGE_SIZE: i64 = 65_536;
/// `storage_dict_page_size` that is not printed.
const DICT_PAGE_SIZE: i64 = 262_144;
/// `row_store_page_size` of a table that names none.
const ROW_STORE_PAGE_SIZE: i64 = 16_384;

/// True when a property is on.
#[must_use]
pub fn is_on(properties: &Properties, key: &str) -> bool {
    properties
        .get(key)
        .is_some_and(|v| v.eq_ignore_ascii_case("true"))
}

/// What a new table is, besides its properties.
#[derive(Debug, Clone, Copy)]
pub struct NewTable<'a> {
    /// Columns and key model.
    pub schema: &'a TableSchema,
    /// How it is partitioned.
    pub partition: &'a PartitionKind,
    /// Partitions are made by loads.
    pub auto_partition: bool,
    /// Replicas per tablet.
    pub replicas: u32,
    /// `DISTRIBUTED BY RANDOM`.
    pub random: bool,
}

/// Refuses properties that do not fit the new table or each other, and names that nobody knows.
///
/// # Errors
/// Doris' text.
pub fn check_new(properties: &Properties, table: &NewTable<'_>) -> Result<(), SqlError> {
    let refuse = |text: String| Err(SqlError::analysis(text));
    let on = |key: &str| is_on(properties, key);
    let mow = matches!(table.schema.keys, KeysModel::Unique { mow: true, .. });
    let unknown: Vec<String> = properties
        .iter()
        .filter(|(key, _)| !is_known(key))
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    if !unknown.is_empty() {
        return refuse(format!("Unknown properties: {{{}}}", unknown.join(", ")));
    }
    if let Some(n) = properties.get("min_load_replica_num")
        && n.parse::<i64>()
            .is_ok_and(|n| n > i64::from(table.replicas))
    {
        return refuse(format!(
            "Failed to check min load replica num [{n}]  <= default replica num [{}]",
            table.replicas
        ));
    }
    let light = properties
        .get("light_schema_change")
        .is_none_or(|v| v == "true");
    let has_variant = table
        .schema
        .columns
        .iter()
        .any(|c| c.data_type == DataType::Variant);
    if !light && has_variant {
        return refuse(
            "Variant type rely on light schema change,  please use light_schema_change = true."
                .to_owned(),
        );
    }
    check_compaction(properties, table.schema.keys.is_unique())?;
    if on("in_memory") {
        return refuse("Not support set 'in_memory'='true' now!".to_owned());
    }
    if on("skip_write_index_on_load") {
        return refuse("Property skip_write_index_on_load is forbidden now.".to_owned());
    }
    if on("enable_mow_light_delete") && !mow {
        return refuse(
            "enable_mow_light_delete property is only supported for unique merge-on-write table"
                .to_owned(),
        );
    }
    if on("enable_single_replica_compaction") && mow {
        return refuse(
            "enable_single_replica_compaction property is not supported for merge-on-write table"
                .to_owned(),
        );
    }
    if properties.contains_key("enable_unique_key_merge_on_write") && !table.schema.keys.is_unique()
    {
        return refuse(
            "enable_unique_key_merge_on_write property only support unique key table".to_owned(),
        );
    }
    if on("store_row_column") && table.schema.keys == KeysModel::Aggregate {
        return refuse("Aggregate table can't support row column now".to_owned());
    }
    if on("store_row_column") && !light {
        return refuse(
            "Row store column rely on light schema change, enable light schema change first"
                .to_owned(),
        );
    }
    if let Some(list) = properties.get("row_store_columns") {
        let missing: Vec<&str> = list
            .split(',')
            .map(str::trim)
            .filter(|name| table.schema.column(name).is_none())
            .collect();
        if !missing.is_empty() {
            return refuse(format!(
                "Column does not exist in table. Invalid columns: {}",
                missing.join(", ")
            ));
        }
    }
    if let Some(list) = properties.get("bloom_filter_columns") {
        check_bloom_filter(list, table.schema)?;
    }
    if properties.contains_key("partition.retention_count")
        && !(table.auto_partition && matches!(table.partition, PartitionKind::Range(_)))
    {
        return refuse(
            "Only AUTO RANGE PARTITION table could set partition.retention_count".to_owned(),
        );
    }
    let policy = properties.get("storage_policy").filter(|p| !p.is_empty());
    if let Some(policy) = policy.filter(|_| mow) {
        return refuse(format!(
            "Can not create UNIQUE KEY table that enables Merge-On-write with storage policy({policy})"
        ));
    }
    if properties.contains_key("colocate_with") && table.random {
        return refuse("Random distribution for colocate table is unsupported".to_owned());
    }
    Ok(())
}

fn is_known(key: &str) -> bool {
    ORDER.contains(&key)
        || SILENT.contains(&key)
        || key.starts_with("dynamic_partition.")
        || key.starts_with("sequence_mapping.")
        || key.starts_with("default.replication_")
}

fn check_compaction(properties: &Properties, unique: bool) -> Result<(), SqlError> {
    let time_series = properties
        .get("compaction_policy")
        .is_some_and(|p| p == "time_series");
    if time_series && unique {
        return Err(SqlError::analysis(
            "Time series compaction policy is not supported for unique key table",
        ));
    }
    let has_setting = TIME_SERIES
        .iter()
        .any(|(name, ..)| properties.contains_key(*name));
    if has_setting && !time_series {
        return Err(SqlError::analysis(
            "only time series compaction policy support for time series config",
        ));
    }
    Ok(())
}

/// Columns of `bloom_filter_columns`, with the table's spelling.
///
/// # Errors
/// A column that does not exist, is named twice, or is of a type or kind that has no bloom filter.
pub fn check_bloom_filter(list: &str, schema: &TableSchema) -> Result<Vec<String>, SqlError> {
    let mut names: Vec<String> = Vec::new();
    for name in list.split(',').map(str::trim).filter(|n| !n.is_empty()) {
        let Some(column) = schema.visible().find(|c| c.is_named(name)) else {
            return Err(SqlError::analysis(format!(
                "Bloom filter column does not exist in table. invalid column: {name}"
            )));
        };
        let fits = match &column.data_type {
            DataType::SmallInt
            | DataType::Int
            | DataType::BigInt
            | DataType::LargeInt
            | DataType::Decimal(..)
            | DataType::Date
            | DataType::DateTime(_)
            | DataType::Char(_)
            | DataType::Varchar(_)
            | DataType::String
            | DataType::Variant
            | DataType::Ipv4
            | DataType::Ipv6 => true,
            DataType::Boolean
            | DataType::TinyInt
            | DataType::Float
            | DataType::Double
            | DataType::Json
            | DataType::Array(_)
            | DataType::Map(..)
            | DataType::Struct(_)
            | DataType::Bitmap
            | DataType::Hll
            | DataType::QuantileState
            | DataType::AggState(_) => false,
        };
        if !fits {
            return Err(SqlError::analysis(format!(
                "{} is not supported in bloom filter index. invalid column: {name}",
                column.data_type.primitive_name()
            )));
        }
        if schema.keys == KeysModel::Aggregate && !column.is_key {
            return Err(SqlError::analysis(format!(
                "Bloom filter index should only be used in columns of UNIQUE_KEYS/DUP_KEYS table or key columns of \
                 AGG_KEYS table. invalid column: {name}"
            )));
        }
        if names.contains(&column.name) {
            return Err(SqlError::analysis(format!(
                "Reduplicated bloom filter column: {name}"
            )));
        }
        names.push(column.name.clone());
    }
    Ok(names)
}

/// The properties that CREATE TABLE shows, in Doris' order.
#[must_use]
pub fn shown(table: &OlapTable, form: Form) -> Vec<(String, String)> {
    let mut out: Vec<(String, String)> = vec![(
        "replication_allocation".to_owned(),
        allocation(table.replication_num),
    )];
    let mut push = |key: &str, value: String| out.push((key.to_owned(), value));
    for key in ORDER {
        match key {
            DYNAMIC => {
                if let Some(dynamic) = DynamicPartition::of(table) {
                    for (key, value) in dynamic.shown(table.replication_num) {
                        push(&key, value);
                    }
                }
            }
            MAPPINGS => {
                let mapped = table.properties.iter();
                for (key, value) in mapped.filter(|(k, _)| k.starts_with("sequence_mapping.")) {
                    push(key, value.clone());
                }
            }
            key => {
                if let Some(value) = shown_value(table, form, key) {
                    push(key, value);
                }
            }
        }
    }
    out
}

/// A single property as printed; `None` where Doris prints nothing.
fn shown_value(table: &OlapTable, form: Form, key: &str) -> Option<String> {
    let kept = table.properties.get(key).cloned();
    let on = |key: &str| is_on(&table.properties, key);
    let time_series = table
        .properties
        .get("compaction_policy")
        .is_some_and(|p| p == "time_series");
    if let Some((.., default)) = TIME_SERIES.iter().find(|(name, ..)| *name == key) {
        return time_series.then(|| kept.unwrap_or_else(|| default.to_string()));
    }
    let by_rows = on("store_row_column") || table.properties.contains_key("row_store_columns");
    match key {
        "is_being_synced" if form == Form::Synced => Some("true".to_owned()),
        "_auto_bucket" => (form == Form::Synced && table.distribution.auto).then(|| "true".into()),
        // Printed when on only.
        "light_schema_change"
        | "skip_write_index_on_load"
        | "variant_enable_flatten_nested"
        | "enable_unique_key_skip_bitmap_column"
        | "enable_duplicate_without_keys_by_default"
        | "in_atomic_restore" => on(key).then(|| "true".into()),
        "compaction_policy" => time_series.then(|| "time_series".into()),
        "compression" => kept.filter(|v| v != DEFAULT_COMPRESSION),
        "store_row_column" => {
            (by_rows && !table.properties.contains_key("row_store_columns")).then(|| "true".into())
        }
        "row_store_page_size" => {
            by_rows.then(|| kept.unwrap_or_else(|| ROW_STORE_PAGE_SIZE.to_string()))
        }
        "storage_page_size" => kept.filter(|v| *v != PAGE_SIZE.to_string()),
        "storage_dict_page_size" => kept.filter(|v| *v != DICT_PAGE_SIZE.to_string()),
        "storage_policy" | "estimate_partition_size" | "colocate_with" | "bloom_filter_columns" => {
            kept.filter(|v| !v.is_empty())
        }
        // The mapped column says everything.
        "function_column.sequence_type"
            if table
                .properties
                .contains_key("function_column.sequence_col") =>
        {
            None
        }
        _ => kept,
    }
}

/// The `properties` member of a CREATE_TABLE record: what is shown, and what is only kept.
#[must_use]
pub fn of_record(table: &OlapTable) -> Properties {
    let mut all = table.properties.clone();
    all.extend(shown(table, Form::Shown));
    if let Some(replicas) = all.remove("replication_allocation") {
        all.insert("default.replication_allocation".to_owned(), replicas);
    }
    if let Some(medium) = all.get_mut("storage_medium") {
        medium.make_ascii_uppercase();
    }
    let sort_columns = table.schema.key_columns().count().to_string();
    let auto = table.distribution.auto.to_string();
    let defaults = OF_RECORD.into_iter().chain([
        ("data_sort.col_num", sort_columns.as_str()),
        ("_auto_bucket", auto.as_str()),
    ]);
    for (key, value) in defaults {
        all.entry(key.to_owned())
            .or_insert_with(|| value.to_owned());
    }
    for (key, .., default) in TIME_SERIES {
        all.entry(key.to_owned())
            .or_insert_with(|| default.to_string());
    }
    all
}

/// What a CREATE_TABLE record says of every table although SHOW CREATE TABLE does not.
const OF_RECORD: [(&str, &str); 14] = [
    ("compaction_policy", "size_based"),
    ("compression", DEFAULT_COMPRESSION),
    ("data_sort.sort_type", "LEXICAL"),
    ("enable_mow_light_delete", "false"),
    ("enable_unique_key_merge_on_write", "false"),
    ("file_cache_ttl_seconds", "0"),
    ("in_memory", "false"),
    ("row_store_page_size", "16384"),
    ("skip_write_index_on_load", "false"),
    ("storage_dict_page_size", "262144"),
    ("storage_page_size", "65536"),
    ("store_row_column", "false"),
    ("tde_algorithm", "PLAINTEXT"),
    ("variant_enable_flatten_nested", "false"),
];

/// What `is_being_synced` erases: the target of a replication decides on these itself.
pub fn erase_for_sync(properties: &mut Properties) {
    for key in [
        "colocate_with",
        "storage_policy",
        dynamic::partition::STORAGE_POLICY,
    ] {
        properties.remove(key);
    }
}
