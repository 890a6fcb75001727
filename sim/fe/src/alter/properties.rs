//! ALTER TABLE SET: [`decide`] says what a list of properties means for a table, [`Frontend::set_properties`] does it and makes the record.

use crate::alter::schema_change::submit_schema_change;
use crate::api::SqlError;
use crate::binlog::record::{self, Names};
use crate::catalog::properties;
use crate::catalog::property_values::{self, TIME_SERIES};
use crate::catalog::replicas::enough_backends;
use crate::catalog::replicas::{allocation, take_replicas};
use crate::dynamic;
use crate::dynamic::partition::DynamicPartition;
use crate::frontend::Frontend;
use dorisim_model::catalog::Properties;
use dorisim_model::column::{self, ROW_STORE_COL};
use dorisim_model::{
    Aggregation, DataType, DistributionKind, KeysModel, OlapTable, PartitionItem, PartitionKind,
};

/// What ALTER TABLE SET is about.
#[derive(Debug, Clone, PartialEq)]
enum Change {
    /// Nothing changes, nothing is journaled.
    Nothing,
    /// Properties that are kept as they are, and journaled.
    Plain(Properties),
    /// The whole `binlog.*` after the change.
    Binlog(Properties),
    /// `dynamic_partition.*`: all of them, and those of the statement.
    Dynamic { all: Properties, logged: Properties },
    /// Replicas of partitions to come.
    DefaultReplicas { replicas: u32, logged: Properties },
    /// Replicas of a table without partitions.
    Replicas(u32),
    /// Kept without a record: colocation, and `light_schema_change` switched on.
    Unrecorded(Properties),
    /// Hash to random distribution.
    Random,
    /// Rewrites the data under new properties, and with a row store column if asked for.
    Rewrite {
        changed: Properties,
        row_store: bool,
    },
}

fn refuse<T>(text: impl Into<String>) -> Result<T, SqlError> {
    Err(SqlError::analysis(text))
}

/// Properties that can be set by themselves, with a MODIFY_TABLE_PROPERTY record.
const PLAIN: [&str; 11] = [
    "min_load_replica_num",
    "is_being_synced",
    "compaction_policy",
    "group_commit_interval_ms",
    "group_commit_data_bytes",
    "enable_mow_light_delete",
    "enable_single_replica_compaction",
    "disable_auto_compaction",
    "skip_write_index_on_load",
    "auto_analyze_policy",
    "storage_medium",
];

/// Properties that nothing changes once the table is there, and what Doris says about it.
const FIXED: [(&str, &str); 14] = [
    ("tablet_type", "Alter tablet type not supported"),
    (
        "enable_unique_key_merge_on_write",
        "Can not change UNIQUE KEY to Merge-On-Write mode",
    ),
    (
        "enable_duplicate_without_keys_by_default",
        "Can not change enable_duplicate_without_keys_by_default",
    ),
    (
        "inverted_index_storage_format",
        "Property inverted_index_storage_format is not allowed to change",
    ),
    (
        "storage_vault_name",
        "You can not modify storage vault name",
    ),
    ("storage_vault_id", "You can not modify storage vault id"),
    (
        "estimate_partition_size",
        "You can not modify estimate partition size",
    ),
    (
        "enable_unique_key_skip_bitmap_column",
        "You can not modify property 'enable_unique_key_skip_bitmap_column'.",
    ),
    (
        "storage_page_size",
        "You can not modify storage_page_size|storage_dict_page_size property.",
    ),
    (
        "storage_dict_page_size",
        "You can not modify storage_page_size|storage_dict_page_size property.",
    ),
    // Doris lets these through the first check and refuses them as unknown.
    ("compression", "Unknown table property: [compression]"),
    (
        "variant_enable_flatten_nested",
        "Unknown table property: [variant_enable_flatten_nested]",
    ),
    (
        "storage_cooldown_time",
        "Unknown table property: [storage_cooldown_time]",
    ),
    (
        "row_store_page_size",
        "Unknown table property: [row_store_page_size]",
    ),
];

/// Replicas live on backends; more of them than backends is refused. `alive`: their number.
fn decide(
    table: &OlapTable,
    db: &str,
    db_binlog: bool,
    given: &Properties,
    alive: usize,
) -> Result<Change, SqlError> {
    let Some((key, value)) = given.iter().next() else {
        return refuse("Properties is not set");
    };
    let all_in = |prefix: &str| given.keys().all(|k| k.starts_with(prefix));
    if given.len() > 1 && !all_in(dynamic::partition::PREFIX) && !all_in("binlog.") {
        return refuse(
            "Can only set one table property(without dynamic partition && binlog) at a time",
        );
    }
    if let Some((_, text)) = FIXED.iter().find(|(name, _)| name == key) {
        return refuse(*text);
    }
    if all_in("binlog.") {
        return binlog(table, db_binlog, given);
    }
    if all_in(dynamic::partition::PREFIX) {
        return dynamic(table, db, given);
    }
    let alone = |value: String| Properties::from([(key.clone(), value)]);
    match key.as_str() {
        "colocate_with" => Ok(Change::Unrecorded(given.clone())),
        "distribution_type" => random(table, value),
        "storage_type" if value.eq_ignore_ascii_case("column") => Ok(Change::Nothing),
        "storage_type" => refuse("Can only change storage type to COLUMN"),
        "storage_format" if value.eq_ignore_ascii_case("v2") => Ok(Change::Nothing),
        "storage_format" => refuse("Property storage_format should be v2"),
        "in_memory" if value.eq_ignore_ascii_case("true") => {
            refuse("Not support set 'in_memory'='true' now!")
        }
        "in_memory" => Ok(Change::Nothing),
        "light_schema_change" => light(table, &property_values::canonical(key, value)?),
        "bloom_filter_columns" | "bloom_filter_fpp" => bloom_filter(table, key, value),
        "store_row_column" | "row_store_columns" => row_store(table, key, value),
        "storage_policy" => {
            property_values::check_storage_policy(value)?;
            Ok(Change::Plain(given.clone()))
        }
        "partition.retention_count" => {
            let auto_range = table.auto_partition.is_some()
                && matches!(table.partition_kind, PartitionKind::Range(_));
            let value = property_values::canonical(key, value)?;
            if !auto_range {
                return refuse(
                    "Only AUTO RANGE PARTITION table could set partition.retention_count",
                );
            }
            Ok(Change::Plain(alone(value)))
        }
        "replication_num" | "replication_allocation" => {
            let replicas = take_replicas(&mut given.clone(), "")?.unwrap_or(1);
            if table.partition_kind != PartitionKind::Unpartitioned {
                return refuse(
                    "This is a partitioned table, you should specify partitions with MODIFY PARTITION clause. If you want to set \
                     default replication number, please use 'default.replication_num' instead of 'replication_num' to escape misleading.",
                );
            }
            enough_backends(replicas, alive, "HDD")?;
            Ok(Change::Replicas(replicas))
        }
        "default.replication_num" | "default.replication_allocation" => {
            let replicas = take_replicas(&mut given.clone(), "default.")?.unwrap_or(1);
            Ok(Change::DefaultReplicas {
                replicas,
                logged: Properties::from([(
                    "default.replication_allocation".to_owned(),
                    allocation(replicas),
                )]),
            })
        }
        "file_cache_ttl_seconds" => {
            refuse("modifying property [file_cache_ttl_seconds] is forbidden")
        }
        name if PLAIN.contains(&name) || TIME_SERIES.iter().any(|(n, ..)| *n == name) => {
            let value =
                property_values::canonical(name, value).map_err(|error| wording(name, error))?;
            check_plain(table, name, &value)?;
            Ok(Change::Plain(alone(value)))
        }
        _ => refuse(format!("Unknown table property: [{key}]")),
    }
}

/// ALTER words some refusals otherwise than CREATE TABLE.
fn wording(name: &str, error: SqlError) -> SqlError {
    match name {
        "compaction_policy" => {
            SqlError::analysis("Table compaction policy only support for time_series or size_based")
        }
        "enable_mow_light_delete"
        | "enable_single_replica_compaction"
        | "disable_auto_compaction"
        | "skip_write_index_on_load" => {
            SqlError::analysis(format!("Property {name} should be set to true or false"))
        }
        _ => error,
    }
}

fn check_plain(table: &OlapTable, name: &str, value: &str) -> Result<(), SqlError> {
    let mow = matches!(table.schema.keys, KeysModel::Unique { mow: true, .. });
    match name {
        "skip_write_index_on_load" if value == "true" => {
            refuse("Property skip_write_index_on_load is forbidden now")
        }
        "compaction_policy" if value == "time_series" && table.schema.keys.is_unique() => {
            refuse("Time series compaction policy is not supported for unique key table")
        }
        "enable_single_replica_compaction" if value == "true" && mow => refuse(
            "enable_single_replica_compaction property is not supported for merge-on-write table",
        ),
        "enable_mow_light_delete" if !mow => refuse(
            "enable_mow_light_delete property is only supported for unique merge-on-write table",
        ),
        "min_load_replica_num"
            if value
                .parse::<i64>()
                .is_ok_and(|n| n > i64::from(table.replication_num)) =>
        {
            refuse(format!(
                "Failed to check min load replica num [{value}]  <= default replica num [{}]",
                table.replication_num
            ))
        }
        _ => Ok(()),
    }
}

fn binlog(table: &OlapTable, db_binlog: bool, given: &Properties) -> Result<Change, SqlError> {
    let changed = property_values::canonicalize(given)?;
    let mut all: Properties = table
        .properties
        .iter()
        .filter(|(key, _)| key.starts_with("binlog."))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if let Some(unknown) = changed.keys().find(|key| !all.contains_key(*key)) {
        return refuse(format!("Unknown table property: [{unknown}]"));
    }
    let before = all.clone();
    all.extend(changed);
    if all == before {
        return Ok(Change::Nothing);
    }
    if db_binlog && !properties::is_on(&all, "binlog.enable") {
        return refuse("db binlog is enable, but table binlog is disable");
    }
    Ok(Change::Binlog(all))
}

fn dynamic(table: &OlapTable, db: &str, given: &Properties) -> Result<Change, SqlError> {
    dynamic::check::check_names(given)?;
    if table.properties.contains_key("partition.retention_count") {
        return refuse(
            "Can not use partition.retention_count and dynamic_partition properties at the same time",
        );
    }
    let mut logged = given.clone();
    if let Some(replicas) = take_replicas(&mut logged, dynamic::partition::PREFIX)? {
        let key = format!("{}replication_allocation", dynamic::partition::PREFIX);
        logged.insert(key, allocation(replicas));
    }
    let all = if DynamicPartition::of(table).is_some() {
        let mut all = dynamic::partition::own(&table.properties);
        all.extend(logged.clone());
        all
    } else {
        dynamic::check::complete(table, &logged).map_err(|_| {
            SqlError::analysis(format!(
                "Table {db}.{} is not a dynamic partition table. Use command `HELP ALTER TABLE` to see how to change a normal \
                 table to a dynamic partition table.",
                table.name
            ))
        })?
    };
    let all = dynamic::check::analyze(table, &all)?;
    Ok(Change::Dynamic { all, logged })
}

fn random(table: &OlapTable, kind: &str) -> Result<Change, SqlError> {
    if !kind.eq_ignore_ascii_case("random") {
        return refuse("Can only change distribution type from HASH to RANDOM");
    }
    if table.properties.contains_key("colocate_with") {
        return refuse("Cannot change distribution type of colocate table.");
    }
    let replaced = table.schema.columns.iter().find_map(|c| {
        c.aggregation
            .filter(|a| matches!(a, Aggregation::Replace | Aggregation::ReplaceIfNotNull))
    });
    match (&table.schema.keys, replaced) {
        (KeysModel::Unique { .. }, _) => {
            return refuse("Cannot change distribution type of unique keys table.");
        }
        (KeysModel::Aggregate, Some(kind)) => {
            return refuse(format!(
                "Cannot change distribution type of aggregate keys table which has value columns with {} type.",
                kind.as_str()
            ));
        }
        (KeysModel::Aggregate | KeysModel::Duplicate, _) => {}
    }
    if table.distribution.kind == DistributionKind::Random {
        return refuse(format!("Table {} is not hash distributed", table.name));
    }
    Ok(Change::Random)
}

fn light(table: &OlapTable, value: &str) -> Result<Change, SqlError> {
    match (table.is_set("light_schema_change"), value) {
        (true, "true") | (false, "false") => Ok(Change::Nothing),
        (true, _) => refuse("Can not alter light_schema_change from true to false currently"),
        (false, _) => Ok(Change::Unrecorded(Properties::from([(
            "light_schema_change".to_owned(),
            "true".to_owned(),
        )]))),
    }
}

fn bloom_filter(table: &OlapTable, key: &str, value: &str) -> Result<Change, SqlError> {
    let no_change = || refuse("Bloom filter index has no change");
    let had = table
        .properties
        .get("bloom_filter_columns")
        .filter(|v| !v.is_empty());
    let mut changed = Properties::new();
    if key == "bloom_filter_columns" {
        let names = properties::check_bloom_filter(value, &table.schema)?.join(", ");
        if had == Some(&names) || (had.is_none() && names.is_empty()) {
            return no_change();
        }
        changed.insert(key.to_owned(), names);
    } else {
        let fpp = property_values::canonical(key, value)?;
        let before = table.properties.get(key).map_or("0.05", String::as_str);
        if had.is_none() || before == fpp {
            return no_change();
        }
        changed.insert(key.to_owned(), fpp);
    }
    Ok(Change::Rewrite {
        changed,
        row_store: false,
    })
}

fn row_store(table: &OlapTable, key: &str, value: &str) -> Result<Change, SqlError> {
    if key == "store_row_column" && value.eq_ignore_ascii_case("false") {
        return refuse("Can not alter store_row_column from true to false currently");
    }
    if key == "row_store_columns"
        && let Some(missing) = value
            .split(',')
            .map(str::trim)
            .find(|n| table.schema.column(n).is_none())
    {
        return refuse(format!(
            "Column does not exist in table. Invalid columns: {missing}"
        ));
    }
    Ok(Change::Rewrite {
        changed: Properties::from([(key.to_owned(), value.to_owned())]),
        row_store: table.schema.column(ROW_STORE_COL).is_none(),
    })
}

impl Frontend {
    /// ALTER TABLE SET.
    pub(crate) async fn set_properties(
        &self,
        db: &str,
        name: &str,
        given: Properties,
    ) -> Result<(), SqlError> {
        let (now, alive) = (self.clock().now_ms(), self.alive_backends().len());
        let (replicas, on) = {
            let mut guard = self.lock();
            let state = &mut *guard;
            let (db_id, db_binlog) = (state.db(db)?.id, state.db(db)?.binlog_enabled());
            let table = state.table(db, name)?;
            let change = decide(table, db, db_binlog, &given, alive)?;
            // The switch is read before the change.
            let scope = state.scope(db_id, &[table.id]);
            let mut switched = (Vec::new(), None);
            let table = state.table_mut(db, name)?;
            let record = match change {
                Change::Nothing => None,
                Change::Unrecorded(changed) => {
                    table.properties.extend(changed);
                    table
                        .properties
                        .retain(|k, v| k != "colocate_with" || !v.is_empty());
                    state.journal();
                    None
                }
                Change::Plain(changed) => {
                    table.properties.extend(changed.clone());
                    table
                        .properties
                        .retain(|k, v| k != "storage_policy" || !v.is_empty());
                    let policy = changed.get("storage_policy");
                    if let Some(policy) = policy {
                        for partition in table.partitions.values_mut() {
                            partition.storage_policy.clone_from(policy);
                        }
                    }
                    Some(record::modify_property(db_id, table, &changed))
                }
                Change::Binlog(all) => {
                    let on = properties::is_on(&all, "binlog.enable");
                    if on != table.binlog_enabled() {
                        switched = (homes(table), Some(on));
                    }
                    table.properties.extend(all.clone());
                    Some(record::modify_property(db_id, table, &all))
                }
                Change::Dynamic { all, logged } => {
                    table.properties.extend(all);
                    Some(record::modify_property(db_id, table, &logged))
                }
                Change::DefaultReplicas { replicas, logged } => {
                    table.replication_num = replicas;
                    Some(record::modify_property(db_id, table, &logged))
                }
                Change::Replicas(replicas) => {
                    table.replication_num = replicas;
                    let of_all = table
                        .partitions
                        .values_mut()
                        .find(|p| !p.is_temp && p.item == PartitionItem::All);
                    let mut changed = Vec::new();
                    if let Some(partition) = of_all {
                        partition.replication_num = replicas;
                        changed.push(partition.clone());
                    }
                    let logged = Properties::from([(
                        "default.replication_allocation".to_owned(),
                        allocation(replicas),
                    )]);
                    let what = record::ModifiedPartitions {
                        replicas: true,
                        table_properties: logged,
                    };
                    Some(record::modify_partitions(db_id, table.id, &changed, &what))
                }
                Change::Random => {
                    table.distribution.kind = DistributionKind::Random;
                    for partition in table.partitions.values_mut() {
                        partition.distribution.kind = DistributionKind::Random;
                    }
                    Some(record::table_info(26, db_id, table.id, &Names::default()))
                }
                Change::Rewrite { changed, row_store } => {
                    let list: Vec<String> = changed
                        .iter()
                        .map(|(k, v)| format!("\"{k}\" = \"{v}\""))
                        .collect();
                    let mut after = table.clone_shape();
                    after.properties.extend(changed);
                    if row_store {
                        after.max_column_unique_id += 1;
                        after.schema.columns.push(dorisim_model::Column {
                            unique_id: after.max_column_unique_id,
                            ..column::hidden(ROW_STORE_COL, DataType::String, false, Some(""))
                        });
                    }
                    after.schema.schema_version += 1;
                    let raw = format!(
                        "ALTER TABLE `{db}`.`{name}` PROPERTIES ({})",
                        list.join(", ")
                    );
                    return submit_schema_change(state, db_id, name, after, raw, now);
                }
            };
            if let Some(record) = record {
                state.emit_scoped(record, &scope, now, now);
            }
            switched
        };
        if on.is_some() {
            self.update_tablets(replicas, on, None).await;
        }
        Ok(())
    }
}

/// (backend, tablet) of every replica.
fn homes(table: &OlapTable) -> Vec<(i64, i64)> {
    table
        .partitions
        .values()
        .flat_map(|p| p.tablets())
        .flat_map(|t| t.replicas.iter().map(|r| (r.backend_id, t.id)))
        .collect()
}
