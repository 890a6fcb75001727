//! Dynamic partitions: the properties, and which partitions a table should have at a moment. `dynamic_check` says what
//! the properties may be, `dynamic_run` makes and drops partitions.
//!
//! Rules and texts were read in Doris master of January 2026.

use crate::catalog::dates;
use crate::catalog::replicas::{allocation, take_replicas};
use dorisim_model::catalog::Properties;
use dorisim_model::clock::datetime_text;
use dorisim_model::{Bound, DataType, OlapTable, PartitionItem};

/// What all names begin with.
pub const PREFIX: &str = "dynamic_partition.";
/// Storage policy of the partitions to come.
pub const STORAGE_POLICY: &str = "dynamic_partition.storage_policy";
/// `dynamic_partition.start` that drops nothing.
pub(crate) const NO_START: i64 = i32::MIN as i64;
/// `max_dynamic_partition_num`.
pub(crate) const MOST: i64 = 500;

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
    pub(crate) fn parse(text: &str) -> Option<Self> {
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
pub(crate) fn periods(text: &str) -> Vec<(String, String)> {
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

/// The `dynamic_partition.*` of a list.
#[must_use]
pub fn own(properties: &Properties) -> Properties {
    properties
        .iter()
        .filter(|(key, _)| key.starts_with(PREFIX))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
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
