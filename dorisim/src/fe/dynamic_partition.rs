//! Dynamic partitions: the properties, and which partitions a table should have at a moment. `dynamic_run` makes and drops them.
//!
//! Rules and texts were read in Doris master of January 2026.

use super::api::SqlError;
use super::dates;
use super::show_create::{allocation, take_replicas};
use crate::clock::datetime_text;
use crate::model::catalog::Properties;
use crate::model::{Bound, DataType, OlapTable, PartitionItem, PartitionKind};

/// What all names begin with.
pub const PREFIX: &str = "dynamic_partition.";
/// Storage policy of the partitions to come.
pub const STORAGE_POLICY: &str = "dynamic_partition.storage_policy";
/// `dynamic_partition.start` that drops nothing.
const NO_START: i64 = i32::MIN as i64;
/// `max_dynamic_partition_num`.
const MOST: i64 = 500;

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

/// `dynamic_partition.time_unit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// HOUR.
    Hour,
    /// DAY.
    Day,
    /// WEEK.
    Week,
    /// MONTH.
    Month,
    /// YEAR.
    Year,
}

impl Unit {
    fn parse(text: &str) -> Option<Self> {
        Some(match text.to_ascii_uppercase().as_str() {
            "HOUR" => Self::Hour,
            "DAY" => Self::Day,
            "WEEK" => Self::Week,
            "MONTH" => Self::Month,
            "YEAR" => Self::Year,
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Hour => "HOUR",
            Self::Day => "DAY",
            Self::Week => "WEEK",
            Self::Month => "MONTH",
            Self::Year => "YEAR",
        }
    }
}

/// A partition that should exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Name.
    pub name: String,
    /// Range.
    pub item: PartitionItem,
    /// `HDD` or `SSD`; unset: the table's.
    pub medium: Option<String>,
    /// When an SSD partition moves to HDD, as `yyyy-MM-dd HH:mm:ss` in UTC.
    pub cooldown: Option<String>,
}

/// The settings of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DynamicPartition {
    /// The scheduler works on the table.
    pub enable: bool,
    /// Length of a partition.
    pub unit: Unit,
    /// Partitions that end before `now + start` are dropped; `i32::MIN`: none.
    pub start: i64,
    /// Partitions are made up to `now + end`.
    pub end: i64,
    /// Of the names.
    pub prefix: String,
    /// Per partition.
    pub buckets: u32,
    /// Per tablet; unset: the table's number.
    pub replicas: Option<u32>,
    /// Also those of the past.
    pub history: bool,
    /// At most this many of the past; -1: no bound.
    pub history_num: i64,
    /// The newest ones are on SSD.
    pub hot: i64,
    /// Periods that are never dropped, as text; `NULL`: none.
    pub reserved: String,
    /// Storage policy, may be empty.
    pub policy: String,
    /// Medium, may be empty.
    pub medium: String,
    /// Time zone as written.
    pub zone: String,
    /// 1 (Monday) to 7.
    pub week_day: i64,
    /// 1 to 28.
    pub month_day: i64,
}

impl DynamicPartition {
    /// The settings of a table; `None` when it has none.
    #[must_use]
    pub fn of(table: &OlapTable) -> Option<Self> {
        Self::read(&table.properties)
    }

    fn read(properties: &Properties) -> Option<Self> {
        let text = |name: &str| properties.get(&format!("{PREFIX}{name}")).cloned();
        let number = |name: &str, or: i64| text(name).and_then(|v| v.parse().ok()).unwrap_or(or);
        let mut own = properties.clone();
        Some(Self {
            enable: text("enable")?.eq_ignore_ascii_case("true"),
            unit: Unit::parse(&text("time_unit")?)?,
            start: number("start", NO_START),
            end: number("end", 0),
            prefix: text("prefix").unwrap_or_default(),
            buckets: u32::try_from(number("buckets", 10)).unwrap_or(10),
            replicas: take_replicas(&mut own, PREFIX).ok().flatten(),
            history: text("create_history_partition")
                .is_some_and(|v| v.eq_ignore_ascii_case("true")),
            history_num: number("history_partition_num", -1),
            hot: number("hot_partition_num", 0),
            reserved: text("reserved_history_periods").unwrap_or_else(|| "NULL".to_owned()),
            policy: text("storage_policy").unwrap_or_default(),
            medium: text("storage_medium").unwrap_or_default(),
            zone: text("time_zone").unwrap_or_else(|| "Etc/UTC".to_owned()),
            week_day: number("start_day_of_week", 1),
            month_day: number("start_day_of_month", 1),
        })
    }

    /// What SHOW CREATE TABLE prints of them.
    #[must_use]
    pub fn shown(&self, table_replicas: u32) -> Vec<(String, String)> {
        let mut out = vec![
            ("enable", self.enable.to_string()),
            ("time_unit", self.unit.name().to_owned()),
            ("time_zone", self.zone.clone()),
            ("start", self.start.to_string()),
            ("end", self.end.to_string()),
            ("prefix", self.prefix.clone()),
            (
                "replication_allocation",
                allocation(self.replicas.unwrap_or(table_replicas)),
            ),
            ("buckets", self.buckets.to_string()),
            ("create_history_partition", self.history.to_string()),
            ("history_partition_num", self.history_num.to_string()),
            ("hot_partition_num", self.hot.to_string()),
            ("reserved_history_periods", self.reserved.clone()),
            ("storage_policy", self.policy.clone()),
        ];
        if !self.medium.is_empty() {
            out.push(("storage_medium", self.medium.clone()));
        }
        match self.unit {
            Unit::Week => out.push(("start_day_of_week", self.week_day.to_string())),
            Unit::Month => out.push(("start_day_of_month", self.month_day.to_string())),
            Unit::Hour | Unit::Day | Unit::Year => {}
        }
        out.into_iter()
            .map(|(name, value)| (format!("{PREFIX}{name}"), value))
            .collect()
    }

    /// `StartOf` of SHOW DYNAMIC PARTITION TABLES.
    #[must_use]
    pub fn start_of(&self) -> String {
        const DAYS: [&str; 7] = [
            "MONDAY",
            "TUESDAY",
            "WEDNESDAY",
            "THURSDAY",
            "FRIDAY",
            "SATURDAY",
            "SUNDAY",
        ];
        match self.unit {
            Unit::Week => usize::try_from(self.week_day - 1)
                .ok()
                .and_then(|i| DAYS.get(i))
                .map_or_else(|| "\\N".to_owned(), |d| (*d).to_owned()),
            Unit::Month => {
                let ending = match self.month_day {
                    1 | 21 => "st",
                    2 | 22 => "nd",
                    3 | 23 => "rd",
                    _ => "th",
                };
                format!("{}{ending}", self.month_day)
            }
            Unit::Hour | Unit::Day | Unit::Year => "\\N".to_owned(),
        }
    }

    /// `TimeUnit` of SHOW DYNAMIC PARTITION TABLES.
    #[must_use]
    pub fn unit_name(&self) -> &'static str {
        self.unit.name()
    }

    /// Start of the period `offset` periods from now, as `yyyy-MM-dd HH:mm:ss` of the table's time zone.
    fn border(&self, now_ms: i64, offset: i64) -> Option<String> {
        let now = datetime_text(now_ms + offset_ms(&self.zone));
        match self.unit {
            Unit::Hour => dates::add(&dates::truncate(&now, "HOUR")?, offset, "HOUR"),
            Unit::Day => dates::add(&dates::truncate(&now, "DAY")?, offset, "DAY"),
            Unit::Year => dates::add(&dates::truncate(&now, "YEAR")?, offset, "YEAR"),
            Unit::Week => {
                let monday = dates::truncate(&now, "WEEK")?;
                let week = dates::add(&monday, offset, "WEEK")?;
                dates::add(&week, self.week_day - 1, "DAY")
            }
            Unit::Month => {
                let day: i64 = now.get(8..10)?.parse().ok()?;
                let real = if day < self.month_day {
                    offset - 1
                } else {
                    offset
                };
                let month = dates::add(&dates::truncate(&now, "MONTH")?, real, "MONTH")?;
                dates::add(&month, self.month_day - 1, "DAY")
            }
        }
    }

    /// The bound of a border in the type of the partition column.
    fn bound(border: &str, ty: &DataType) -> Option<Bound> {
        let text = if ty.is_integer() {
            border.get(..10)?.replace('-', "")
        } else {
            border.to_owned()
        };
        ty.canonicalize(&text).ok().flatten().map(Bound::Value)
    }

    fn first(&self) -> i64 {
        if !self.history {
            return 0;
        }
        match self.history_num {
            -1 => self.start,
            n => self.start.max(-n),
        }
    }

    /// Partitions that should exist now, oldest first.
    #[must_use]
    pub fn wanted(&self, now_ms: i64, ty: &DataType) -> Vec<Wanted> {
        let mut out = Vec::new();
        for offset in self.first().max(-MOST * 2)..=self.end {
            let (Some(lower), Some(upper)) =
                (self.border(now_ms, offset), self.border(now_ms, offset + 1))
            else {
                continue;
            };
            let (Some(from), Some(to)) = (Self::bound(&lower, ty), Self::bound(&upper, ty)) else {
                continue;
            };
            let (medium, cooldown) = self.medium_of(now_ms, offset);
            out.push(Wanted {
                name: format!("{}{}", self.prefix, name_of(&lower, self.unit)),
                item: PartitionItem::Range {
                    lower: vec![from],
                    upper: vec![to],
                },
                medium,
                cooldown,
            });
        }
        out
    }

    fn medium_of(&self, now_ms: i64, offset: i64) -> (Option<String>, Option<String>) {
        if self.hot <= 0 || self.medium.eq_ignore_ascii_case("ssd") {
            let named = Some(self.medium.to_uppercase()).filter(|m| !m.is_empty());
            return (named, None);
        }
        if offset + self.hot <= 0 {
            return (Some("HDD".to_owned()), None);
        }
        (
            Some("SSD".to_owned()),
            self.border(now_ms, offset + self.hot),
        )
    }

    /// Ranges that are kept: from `now + start` on, and the reserved periods. `None`: nothing is ever dropped.
    #[must_use]
    pub fn kept(&self, now_ms: i64, ty: &DataType) -> Option<Vec<PartitionItem>> {
        if self.start == NO_START {
            return None;
        }
        let from = Self::bound(&self.border(now_ms, self.start)?, ty)?;
        let mut kept = vec![PartitionItem::Range {
            lower: vec![from],
            upper: vec![Bound::Max],
        }];
        for (from, to) in periods(&self.reserved) {
            // The upper end belongs to the period: one step beyond it is outside.
            let after = dates::add(&to, 1, if to.len() > 10 { "SECOND" } else { "DAY" })?;
            if let (Some(lower), Some(upper)) = (Self::bound(&from, ty), Self::bound(&after, ty)) {
                kept.push(PartitionItem::Range {
                    lower: vec![lower],
                    upper: vec![upper],
                });
            }
        }
        Some(kept)
    }
}

/// `[a,b],[c,d]` as pairs.
fn periods(text: &str) -> Vec<(String, String)> {
    text.split("],[")
        .filter_map(|pair| {
            let (from, to) = pair.trim_matches(['[', ']']).split_once(',')?;
            Some((from.trim().to_owned(), to.trim().to_owned()))
        })
        .collect()
}

/// Name of a partition behind the prefix, by its lower border.
fn name_of(border: &str, unit: Unit) -> String {
    let digits: String = border.chars().filter(char::is_ascii_digit).collect();
    let keep = match unit {
        Unit::Year => 4,
        Unit::Month => 6,
        Unit::Day => 8,
        Unit::Hour => 10,
        Unit::Week => return dates::week_name(border),
    };
    digits.chars().take(keep).collect()
}

/// Milliseconds east of UTC of the zones that are known; others count as UTC.
fn offset_ms(zone: &str) -> i64 {
    let hours = |text: &str| -> Option<i64> {
        let (hour, minute) = text.split_once(':')?;
        let (hour, minute): (i64, i64) = (hour.parse().ok()?, minute.parse().ok()?);
        Some((hour * 60 + minute) * 60_000)
    };
    match zone {
        "Asia/Shanghai" | "PRC" | "CST" | "Asia/Chongqing" | "Asia/Hong_Kong" => 8 * 3_600_000,
        _ => match (zone.strip_prefix('+'), zone.strip_prefix('-')) {
            (Some(east), _) => hours(east).unwrap_or(0),
            (_, Some(west)) => -hours(west).unwrap_or(0),
            (None, None) => 0,
        },
    }
}

fn refuse<T>(code: u16, text: impl Into<String>) -> Result<T, SqlError> {
    Err(SqlError::new(code, text))
}

/// The `dynamic_partition.*` of a list.
#[must_use]
pub fn own(properties: &Properties) -> Properties {
    properties
        .iter()
        .filter(|(key, _)| key.starts_with(PREFIX))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    /// 2024-05-15 10:20:30 UTC, a Wednesday.
    const NOW: i64 = 1_715_768_430_000;

    fn settings(unit: &str, more: &[(&str, &str)]) -> DynamicPartition {
        let mut properties = Properties::new();
        for (name, value) in [
            ("enable", "true"),
            ("time_unit", unit),
            ("start", "-2"),
            ("end", "1"),
            ("prefix", "p"),
            ("buckets", "4"),
        ]
        .iter()
        .chain(more)
        {
            properties.insert(format!("{PREFIX}{name}"), (*value).to_owned());
        }
        DynamicPartition::read(&properties).unwrap()
    }

    fn names(dynamic: &DynamicPartition, now: i64, ty: &DataType) -> Vec<String> {
        dynamic
            .wanted(now, ty)
            .into_iter()
            .map(|w| w.name)
            .collect()
    }

    #[test]
    fn partitions_are_named_by_their_unit() {
        let date = DataType::Date;
        assert_eq!(
            names(&settings("DAY", &[]), NOW, &date),
            ["p20240515", "p20240516"]
        );
        assert_eq!(
            names(&settings("HOUR", &[]), NOW, &DataType::DateTime(0)),
            ["p2024051510", "p2024051511"]
        );
        assert_eq!(
            names(&settings("MONTH", &[]), NOW, &date),
            ["p202405", "p202406"]
        );
        assert_eq!(
            names(&settings("YEAR", &[]), NOW, &date),
            ["p2024", "p2025"]
        );
        // 2024-05-13 is in week 20 of a calendar whose weeks begin on Sunday.
        assert_eq!(
            names(&settings("WEEK", &[]), NOW, &date),
            ["p2024_20", "p2024_21"]
        );
    }

    #[test]
    fn history_start_days_and_zones_move_the_borders() {
        let date = DataType::Date;
        let history = settings("DAY", &[("create_history_partition", "true")]);
        assert_eq!(
            names(&history, NOW, &date),
            ["p20240513", "p20240514", "p20240515", "p20240516"]
        );
        let late = settings("MONTH", &[("start_day_of_month", "20")]);
        assert_eq!(
            late.wanted(NOW, &date)[0]
                .item
                .range_text(&[DataType::Date]),
            "[types: [DATEV2]; keys: [2024-04-20]; ..types: [DATEV2]; keys: [2024-05-20]; )"
        );
        let evening = NOW + 8 * 3_600_000;
        let east = settings("DAY", &[("time_zone", "+08:00")]);
        assert_eq!(names(&east, evening, &date)[0], "p20240516");
        assert_eq!(
            settings("DAY", &[]).wanted(NOW, &DataType::Int)[0]
                .item
                .range_text(&[DataType::Int]),
            "[types: [INT]; keys: [20240515]; ..types: [INT]; keys: [20240516]; )"
        );
    }

    #[test]
    fn hot_partitions_are_on_ssd_until_they_cool_down() {
        let hot = settings(
            "DAY",
            &[
                ("hot_partition_num", "1"),
                ("create_history_partition", "true"),
            ],
        );
        let media: Vec<_> = hot
            .wanted(NOW, &DataType::Date)
            .into_iter()
            .map(|w| (w.medium.unwrap(), w.cooldown))
            .collect();
        assert_eq!(media[0], ("HDD".to_owned(), None));
        assert_eq!(
            media[2],
            ("SSD".to_owned(), Some("2024-05-16 00:00:00".to_owned()))
        );
    }

    #[test]
    fn what_is_reserved_is_kept() {
        let dynamic = settings(
            "DAY",
            &[("reserved_history_periods", "[2024-01-01,2024-01-02]")],
        );
        let types = [DataType::Date];
        let kept = dynamic.kept(NOW, &types[0]).unwrap();
        let day = |from: &str, to: &str| PartitionItem::Range {
            lower: vec![Bound::Value(from.to_owned())],
            upper: vec![Bound::Value(to.to_owned())],
        };
        let stays = |item: PartitionItem| kept.iter().any(|k| k.overlaps(&item, &types));
        assert!(stays(day("2024-05-13", "2024-05-14")));
        assert!(!stays(day("2024-05-12", "2024-05-13")));
        assert!(stays(day("2024-01-02", "2024-01-03")));
        assert!(!stays(day("2024-01-03", "2024-01-04")));
        assert!(
            settings("DAY", &[("start", "-2147483648")])
                .kept(NOW, &types[0])
                .is_none()
        );
    }

    #[test]
    fn the_last_days_of_a_year_are_in_week_53() {
        assert_eq!(dates::week_name("2019-12-30"), "2019_53");
        assert_eq!(dates::week_name("2024-01-01"), "2024_01");
    }
}
