//! What `dynamic_partition.*` may be, and what is filled in where nothing was said.

use crate::api::SqlError;
use crate::catalog::dates;
use crate::catalog::replicas::{allocation, take_replicas};
use crate::dynamic::partition::{
    DynamicPartition, MOST, NO_START, PREFIX, STORAGE_POLICY, Unit, own, periods,
};
use dorisim_model::catalog::Properties;
use dorisim_model::{DataType, OlapTable, PartitionKind};

const NAMES: [&str; 17] = [
    "enable",
    "time_unit",
    "time_zone",
    "start",
    "end",
    "prefix",
    "buckets",
    "replication_num",
    "replication_allocation",
    "create_history_partition",
    "history_partition_num",
    "hot_partition_num",
    "reserved_history_periods",
    "storage_policy",
    "storage_medium",
    "start_day_of_week",
    "start_day_of_month",
];

fn refuse<T>(code: u16, text: impl Into<String>) -> Result<T, SqlError> {
    Err(SqlError::new(code, text))
}

/// Refuses names of `dynamic_partition.*` that nobody knows.
///
/// # Errors
/// Doris' text with the names.
pub fn check_names(properties: &Properties) -> Result<(), SqlError> {
    let unknown: Vec<&str> = properties
        .keys()
        .filter(|key| {
            key.strip_prefix(PREFIX)
                .is_some_and(|name| !NAMES.contains(&name))
        })
        .map(String::as_str)
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    refuse(
        1105,
        format!(
            "Invalid dynamic partition properties: {}",
            unknown.join(", ")
        ),
    )
}

/// What a table must be and which settings it must name to get dynamic partitions; fills in the defaults.
///
/// # Errors
/// Doris' text.
pub fn complete(table: &OlapTable, given: &Properties) -> Result<Properties, SqlError> {
    let single =
        matches!(&table.partition_kind, PartitionKind::Range(columns) if columns.len() == 1);
    if !single {
        return refuse(
            1105,
            "Dynamic partition only support single-column range partition",
        );
    }
    let mut all = own(given);
    for name in ["time_unit", "prefix", "end"] {
        let key = format!("{PREFIX}{name}");
        if all.get(&key).is_none_or(String::is_empty) {
            return refuse(1105, format!("Must assign {key} properties"));
        }
    }
    let buckets = table.distribution.buckets.to_string();
    for (name, value) in [
        ("enable", "true"),
        ("start", "-2147483648"),
        ("buckets", buckets.as_str()),
        ("time_zone", "Etc/UTC"),
        ("create_history_partition", "false"),
        ("history_partition_num", "-1"),
        ("reserved_history_periods", "NULL"),
    ] {
        all.entry(format!("{PREFIX}{name}"))
            .or_insert_with(|| value.to_owned());
    }
    Ok(all)
}

/// Checks every setting; the settings as they are kept.
///
/// # Errors
/// Doris' texts.
pub fn analyze(table: &OlapTable, all: &Properties) -> Result<Properties, SqlError> {
    let text = |name: &str| all.get(&format!("{PREFIX}{name}")).map(String::as_str);
    let types = table.partition_types();
    if let Some(value) = text("time_unit") {
        let Some(unit) = Unit::parse(value) else {
            return refuse(
                5065,
                format!("Unsupported time unit {value}. Expect HOUR/DAY/WEEK/MONTH/YEAR."),
            );
        };
        let column = table
            .partition_kind
            .columns()
            .first()
            .map_or("", String::as_str);
        match types.first() {
            Some(DataType::Date) if unit == Unit::Hour => {
                return refuse(
                    1105,
                    format!(
                        "{PREFIX}time_unit could not be HOUR when type of partition column {column} is DATE or DATEV2"
                    ),
                );
            }
            Some(ty) if ty.is_integer() && unit == Unit::Hour => {
                return refuse(
                    1105,
                    format!(
                        "{PREFIX}time_unit could not be HOUR when type of partition column {column} is Integer"
                    ),
                );
            }
            Some(DataType::Date | DataType::DateTime(_)) => {}
            Some(ty) if ty.is_integer() => {}
            _ => {
                return refuse(
                    1105,
                    "Dynamic Partition Only Support DATE, DATETIME and INTEGER Type Now.",
                );
            }
        }
        let other_unit = table
            .auto_partition
            .as_deref()
            .and_then(|e| e.split(['\'', '"']).nth(1))
            .is_some_and(|auto| !auto.eq_ignore_ascii_case(value));
        if other_unit {
            return refuse(
                1105,
                "If support auto partition and dynamic partition at same time, they must have the same interval unit.",
            );
        }
    }
    if let Some(prefix) = text("prefix")
        && !prefix.starts_with(|c: char| c.is_alphabetic() || c == '_')
    {
        return refuse(5069, format!("Invalid dynamic partition prefix: {prefix}."));
    }
    match text("buckets").map(|b| (b, b.parse::<i64>())) {
        Some((value, Err(_))) => {
            return refuse(5067, format!("Invalid dynamic partition buckets {value}"));
        }
        Some((_, Ok(n))) if n <= 0 => {
            return refuse(5067, "Dynamic partition buckets must greater than 0");
        }
        Some((_, Ok(_))) | None => {}
    }
    if let Some(policy) = text("storage_policy").filter(|name| !name.is_empty()) {
        return refuse(1105, format!("{STORAGE_POLICY}: {policy} doesn't exist."));
    }
    let enabled = text("enable").unwrap_or("true");
    if !enabled.eq_ignore_ascii_case("true") && !enabled.eq_ignore_ascii_case("false") {
        return refuse(
            5068,
            format!("Invalid dynamic partition enable: {enabled}. Expected true or false"),
        );
    }
    check_extent(table, &text, enabled.eq_ignore_ascii_case("true"))?;
    for (name, least, most) in [("start_day_of_month", 1, 28), ("start_day_of_week", 1, 7)] {
        match text(name).map(str::parse::<i64>) {
            Some(Err(_)) => return refuse(1105, format!("Invalid properties: {PREFIX}{name}")),
            Some(Ok(n)) if !(least..=most).contains(&n) => {
                return refuse(
                    1105,
                    format!("{PREFIX}{name} should between {least} and {most}"),
                );
            }
            Some(Ok(_)) | None => {}
        }
    }
    match text("hot_partition_num").map(str::parse::<i64>) {
        Some(Err(_)) => return refuse(1105, format!("Invalid {PREFIX}hot_partition_num value")),
        Some(Ok(n)) if n < 0 => {
            return refuse(
                1105,
                format!("{PREFIX}hot_partition_num must larger than 0."),
            );
        }
        Some(Ok(_)) | None => {}
    }
    if let Some(medium) = text("storage_medium")
        && !matches!(medium.to_ascii_uppercase().as_str(), "SSD" | "HDD")
    {
        return refuse(
            1105,
            format!("invalid storage medium: {medium}. Should be SSD or HDD"),
        );
    }
    check_reserved(text("reserved_history_periods").unwrap_or("NULL"))?;
    let mut kept = all.clone();
    if let Some(n) = take_replicas(&mut kept, PREFIX)? {
        kept.insert(format!("{PREFIX}replication_allocation"), allocation(n));
    }
    kept.retain(|key, value| key != STORAGE_POLICY || !value.is_empty());
    Ok(kept)
}

fn check_extent<'a>(
    table: &OlapTable,
    text: &impl Fn(&str) -> Option<&'a str>,
    enabled: bool,
) -> Result<(), SqlError> {
    let mut start = NO_START;
    if let Some(value) = text("start") {
        start = match value.parse::<i64>() {
            Err(_) => return refuse(5066, format!("Invalid dynamic partition start {value}")),
            Ok(n) if n >= 0 => return refuse(5066, "Dynamic partition start must less than 0"),
            Ok(n) => n,
        };
    }
    let mut end = 0;
    if let Some(value) = text("end") {
        end = match value.parse::<i64>() {
            _ if value.is_empty() => return refuse(5066, "Dynamic partition end is empty"),
            Err(_) => return refuse(5066, format!("Invalid dynamic partition end {value}")),
            Ok(n) if n < 0 || (n == 0 && table.auto_partition.is_none()) => {
                return refuse(5066, "Dynamic partition end must greater than 0");
            }
            Ok(n) => n,
        };
    }
    let history = text("create_history_partition").unwrap_or("false");
    if !history.eq_ignore_ascii_case("true") && !history.eq_ignore_ascii_case("false") {
        return refuse(
            5074,
            format!(
                "Invalid dynamic partition create_history_partition: {history}. Expected true or false"
            ),
        );
    }
    let number = match text("history_partition_num").map(str::parse::<i64>) {
        Some(Err(_)) => {
            return refuse(
                1105,
                format!("Invalid properties: {PREFIX}history_partition_num"),
            );
        }
        Some(Ok(n)) if n < -1 => {
            return refuse(5075, "Dynamic history partition num must greater than 0");
        }
        Some(Ok(n)) => n,
        None => -1,
    };
    let first = if history.eq_ignore_ascii_case("true") {
        let first = if number == -1 {
            start
        } else {
            start.max(-number)
        };
        if first == NO_START {
            return refuse(
                1105,
                "Provide start or history_partition_num property when create_history_partition=true. Otherwise set create_history_partition=false",
            );
        }
        first
    } else {
        0
    };
    if enabled && end - first > MOST {
        return refuse(
            1105,
            format!(
                "Too many dynamic partitions: {}. Limit: {MOST}",
                end - first
            ),
        );
    }
    Ok(())
}

fn check_reserved(text: &str) -> Result<(), SqlError> {
    if text.is_empty() {
        return refuse(5076, "Dynamic reserved history periods is empty.");
    }
    if text == "NULL" {
        return Ok(());
    }
    let pairs = periods(text);
    let fine =
        |date: &String| matches!(date.len(), 10 | 19) && dates::truncate(date, "SECOND").is_some();
    let whole = text.starts_with('[')
        && text.ends_with(']')
        && pairs.len() == text.split("],[").count()
        && pairs.iter().all(|(from, to)| fine(from) && fine(to));
    if !whole {
        return refuse(
            5077,
            format!(
                "Invalid \" {PREFIX}reserved_history_periods \" value {text}. It must be like \"[yyyy-MM-dd,yyyy-MM-dd],[...,...]\" \
                 while time_unit is DAY/WEEK/MONTH or \"[yyyy-MM-dd HH:mm:ss,yyyy-MM-dd HH:mm:ss],[...,...]\" while time_unit is HOUR."
            ),
        );
    }
    match pairs.iter().find(|(from, to)| from > to) {
        Some((from, to)) => refuse(
            5079,
            format!("The first date is larger than the second date, [{from},{to}] is invalid."),
        ),
        None => Ok(()),
    }
}

/// What ADD and DROP PARTITION by hand answer on a table whose partitions the scheduler makes.
///
/// # Errors
/// Doris' text.
pub fn allows_by_hand(table: &OlapTable) -> Result<(), SqlError> {
    let scheduled = DynamicPartition::of(table).is_some_and(|d| d.enable);
    if scheduled && !table.is_set("is_being_synced") {
        return refuse(
            1105,
            format!(
                "Cannot add/drop partition on a Dynamic Partition Table, Use command `ALTER TABLE {} SET \
                 (\"dynamic_partition.enable\" = \"false\")` firstly.",
                table.name
            ),
        );
    }
    Ok(())
}
