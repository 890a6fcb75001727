//! What the value of each table property may be, and its spelling as Doris prints it later.

use crate::api::SqlError;
use dorisim_model::catalog::Properties;

/// What a hidden property of the cluster's configuration gives a table that names nothing.
pub(crate) const DEFAULT_COMPRESSION: &str = "ZSTD";
/// Settings of time series compaction: name, smallest and largest value, default.
pub const TIME_SERIES: [(&str, i64, i64, i64); 5] = [
    (
        "time_series_compaction_goal_size_mbytes",
        10,
        i64::MAX,
        1024,
    ),
    (
        "time_series_compaction_file_count_threshold",
        10,
        i64::MAX,
        2000,
    ),
    (
        "time_series_compaction_time_threshold_seconds",
        60,
        i64::MAX,
        3600,
    ),
    (
        "time_series_compaction_empty_rowsets_threshold",
        2,
        i64::MAX,
        5,
    ),
    ("time_series_compaction_level_threshold", 1, 2, 1),
];

/// Properties whose value is `true` or `false`.
const SWITCHES: [&str; 15] = [
    "binlog.enable",
    "disable_auto_compaction",
    "enable_duplicate_without_keys_by_default",
    "enable_mow_light_delete",
    "enable_single_replica_compaction",
    "enable_unique_key_merge_on_write",
    "enable_unique_key_skip_bitmap_column",
    "in_memory",
    "is_being_synced",
    "light_schema_change",
    "skip_write_index_on_load",
    "store_row_column",
    "variant_enable_flatten_nested",
    "_auto_bucket",
    "mutable",
];

/// A whole number of a property.
fn number(key: &str, value: &str) -> Result<i64, SqlError> {
    value
        .trim()
        .parse()
        .map_err(|_| SqlError::analysis(format!("Invalid {key} format: {value}")))
}

fn aligned(size: i64) -> i64 {
    size.saturating_add(4095) / 4096 * 4096
}

/// The value as it is kept: spelling and size that Doris prints later.
///
/// # Errors
/// A value that the property can not have.
pub fn canonical(key: &str, value: &str) -> Result<String, SqlError> {
    let refuse = |text: String| Err(SqlError::analysis(text));
    if SWITCHES.contains(&key) {
        let lower = value.trim().to_ascii_lowercase();
        return match lower.as_str() {
            "true" | "false" => Ok(lower),
            // Anything else than true is false.
            _ if key == "binlog.enable" => Ok("false".to_owned()),
            _ => refuse(format!("{key} must be `true` or `false`")),
        };
    }
    if let Some((_, least, most, _)) = TIME_SERIES.iter().find(|(name, ..)| *name == key) {
        let given = number(key, value)?;
        if *most < i64::MAX && !(*least..=*most).contains(&given) {
            return refuse(format!(
                "{key} can not be less than {least} or greater than {most}:{value}"
            ));
        }
        if given < *least {
            return refuse(format!("{key} can not be less than {least}:{value}"));
        }
        return Ok(given.to_string());
    }
    match key {
        "storage_medium" => match value.to_ascii_lowercase().as_str() {
            medium @ ("hdd" | "ssd") => Ok(medium.to_owned()),
            _ => refuse(format!("Invalid storage medium: {value}")),
        },
        "storage_format" => match value.to_ascii_uppercase().as_str() {
            "V1" => refuse(
                "Storage format V1 has been deprecated since version 0.14, please use V2 instead"
                    .to_owned(),
            ),
            "DEFAULT" => Ok("V2".to_owned()),
            format @ ("V2" | "V3") => Ok(format.to_owned()),
            _ => refuse(format!("unknown storage format: {value}")),
        },
        "inverted_index_storage_format" => match value.to_ascii_uppercase().as_str() {
            "DEFAULT" => Ok("V2".to_owned()),
            format @ ("V1" | "V2" | "V3") => Ok(format.to_owned()),
            _ => refuse(format!("unknown inverted index storage format: {value}")),
        },
        "compression" => match value.to_ascii_uppercase().as_str() {
            "DEFAULT_COMPRESSION" => Ok(DEFAULT_COMPRESSION.to_owned()),
            name @ ("NO_COMPRESSION" | "LZ4" | "LZ4F" | "LZ4HC" | "ZLIB" | "ZSTD" | "SNAPPY") => {
                Ok(name.to_owned())
            }
            _ => refuse(format!("unknown compression type: {value}")),
        },
        "storage_type" if !value.eq_ignore_ascii_case("column") => {
            refuse(format!("Invalid storage type: {value}"))
        }
        "compaction_policy" if !matches!(value, "size_based" | "time_series") => {
            refuse("compaction_policy must be time_series or size_based".to_owned())
        }
        "auto_analyze_policy" if !matches!(value, "enable" | "disable" | "base_on_catalog") => {
            refuse(
                "Table auto analyze policy only support for enable or disable or base_on_catalog"
                    .to_owned(),
            )
        }
        "group_commit_interval_ms" | "group_commit_data_bytes" => {
            let given = number(key, value)?;
            if given < 0 {
                return refuse(format!("{key} can not be less than 0:{value}"));
            }
            Ok(given.to_string())
        }
        "row_store_page_size" => match value.trim().parse::<i64>() {
            Err(_) => refuse(format!("Invalid row store page size: {value}")),
            Ok(size) if size <= 0 => refuse("Row store page size should larger than 0.".to_owned()),
            Ok(size) => Ok(aligned(size).to_string()),
        },
        "storage_page_size" => match value.trim().parse::<i64>() {
            Err(_) => refuse(format!("Invalid storage page size: {value}")),
            Ok(size) if !(4096..=10_485_760).contains(&size) => {
                refuse("Storage page size must be between 4KB and 10MB.".to_owned())
            }
            Ok(size) => Ok(aligned(size).to_string()),
        },
        "storage_dict_page_size" => match value.trim().parse::<i64>() {
            Err(_) => refuse(format!("Invalid storage dict page size: {value}")),
            Ok(size) if !(0..=104_857_600).contains(&size) => {
                refuse("Storage dict page size must be between 0 and 100MB.".to_owned())
            }
            Ok(size) => Ok(aligned(size).to_string()),
        },
        "bloom_filter_fpp" => match value.trim().parse::<f64>() {
            Err(_) => refuse("Bloom filter fpp is not Double".to_owned()),
            Ok(fpp) if !(0.0001..=0.05).contains(&fpp) => {
                refuse("Bloom filter fpp should in [1.0E-4, 0.05]".to_owned())
            }
            Ok(fpp) => Ok(fpp.to_string()),
        },
        "min_load_replica_num" => match value.trim().parse::<i16>() {
            Err(_) => refuse(format!("For input string: \"{value}\"")),
            Ok(n) if n != -1 && n <= 0 => {
                refuse("min_load_replica_num should > 0 or =-1".to_owned())
            }
            Ok(n) => Ok(n.to_string()),
        },
        "partition.retention_count" => match value.trim().parse::<i32>() {
            Err(_) => refuse("partition.retention_count format error".to_owned()),
            Ok(n) if n <= 0 => refuse("partition.retention_count should be > 0".to_owned()),
            Ok(n) => Ok(n.to_string()),
        },
        "binlog.ttl_seconds" | "binlog.max_bytes" | "binlog.max_history_nums" => {
            Ok(number(key, value)?.to_string())
        }
        _ => Ok(value.to_owned()),
    }
}

/// All values as they are kept.
///
/// # Errors
/// The first value that a property can not have.
pub fn canonicalize(properties: &Properties) -> Result<Properties, SqlError> {
    properties
        .iter()
        .map(|(key, value)| Ok((key.clone(), canonical(key, value)?)))
        .collect()
}

/// Refuses every storage policy: none exists here, because `CREATE STORAGE POLICY` is refused.
pub fn check_storage_policy(name: &str) -> Result<(), SqlError> {
    if name.is_empty() {
        return Ok(());
    }
    Err(SqlError::analysis(format!(
        "Storage policy does not exist. name: {name}"
    )))
}
