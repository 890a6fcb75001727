//! Partition items, their `range` text and which of them a row belongs to.
//!
//! The range text is the key by which partitions of two clusters are matched; its form was read in Doris master, January 2026.

use std::cmp::Ordering;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::{Cell, DataType};

/// How a table is partitioned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PartitionKind {
    /// One partition named like the table.
    Unpartitioned,
    /// By ranges of the named columns.
    Range(Vec<String>),
    /// By lists of values of the named columns.
    List(Vec<String>),
}

impl PartitionKind {
    /// The partition columns.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        match self {
            Self::Unpartitioned => &[],
            Self::Range(columns) | Self::List(columns) => columns,
        }
    }
}

/// One component of a range bound.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Bound {
    /// A value in canonical text.
    Value(String),
    /// The smallest value of the type (shown as that value).
    Min,
    /// MAXVALUE.
    Max,
}

/// `MAXVALUE` among the values of a list; it equals no row.
pub const MAX_OF_LIST: &str = "MAXVALUE";

/// What a partition holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PartitionItem {
    /// Everything (unpartitioned table).
    All,
    /// `[lower, upper)`; one component per partition column.
    Range {
        /// Inclusive.
        lower: Vec<Bound>,
        /// Exclusive.
        upper: Vec<Bound>,
    },
    /// Tuples of values.
    List(Vec<Vec<Cell>>),
    /// The default partition of a list table.
    ListDefault,
}

/// A value of a list in DDL.
pub fn key_sql(cell: &Cell, ty: &DataType) -> String {
    match cell.as_deref() {
        None => "NULL".to_owned(),
        Some(MAX_OF_LIST) => MAX_OF_LIST.to_owned(),
        Some(value) => quoted_key(value, ty),
    }
}

/// A value of a partition key in DDL: dates stand in single quotes, everything else in double ones.
fn quoted_key(value: &str, ty: &DataType) -> String {
    match ty {
        DataType::Date | DataType::DateTime(_) => format!("'{value}'"),
        DataType::Boolean if value == "1" => "\"true\"".to_owned(),
        DataType::Boolean if value == "0" => "\"false\"".to_owned(),
        _ => format!("\"{value}\""),
    }
}

impl PartitionItem {
    /// The text of getMeta and UPSERT. `types` are those of the partition columns.
    #[must_use]
    pub fn range_text(&self, types: &[DataType]) -> String {
        let names = types
            .iter()
            .map(DataType::primitive_name)
            .collect::<Vec<_>>()
            .join(", ");
        let key = |keys: String| format!("types: [{names}]; keys: [{keys}]; ");
        match self {
            Self::All => String::new(),
            Self::Range { lower, upper } => {
                format!(
                    "[{}..{})",
                    key(bound_text(lower, types)),
                    key(bound_text(upper, types))
                )
            }
            Self::List(values) => {
                let mut text = String::from("[");
                for (i, tuple) in values.iter().enumerate() {
                    let keys = tuple
                        .iter()
                        .map(|c| c.as_deref().unwrap_or("NULL"))
                        .collect::<Vec<_>>()
                        .join(", ");
                    let _ = write!(text, "{}{}", if i == 0 { "" } else { ", " }, key(keys));
                }
                text.push(']');
                text
            }
            Self::ListDefault => format!("[{}]", key("default key".to_owned())),
        }
    }

    /// The `VALUES ...` clause of DDL; empty for unpartitioned and default list items.
    #[must_use]
    pub fn values_sql(&self, types: &[DataType]) -> String {
        let bounds = |bounds: &[Bound]| {
            bounds
                .iter()
                .zip(types)
                .map(|(b, ty)| match b {
                    Bound::Value(v) => quoted_key(v, ty),
                    Bound::Min => quoted_key(&ty.minimum_text(), ty),
                    Bound::Max => "MAXVALUE".to_owned(),
                })
                .collect::<Vec<_>>()
                .join(", ")
        };
        match self {
            Self::All | Self::ListDefault => String::new(),
            Self::Range { lower, upper } => {
                format!("VALUES [({}), ({}))", bounds(lower), bounds(upper))
            }
            Self::List(values) => {
                let tuples: Vec<String> = values
                    .iter()
                    .map(|tuple| {
                        let inner: Vec<String> = tuple
                            .iter()
                            .zip(types)
                            .map(|(c, ty)| key_sql(c, ty))
                            .collect();
                        format!("({})", inner.join(", "))
                    })
                    .collect();
                format!("VALUES IN ({})", tuples.join(","))
            }
        }
    }

    /// True when a row with these values of the partition columns belongs here.
    #[must_use]
    pub fn contains(&self, key: &[Cell], types: &[DataType]) -> bool {
        match self {
            Self::All | Self::ListDefault => true,
            Self::Range { lower, upper } => {
                compare_key(key, lower, types) != Ordering::Less
                    && compare_key(key, upper, types) == Ordering::Less
            }
            Self::List(values) => values.iter().any(|tuple| tuple.as_slice() == key),
        }
    }

    /// True when both items share a value.
    #[must_use]
    pub fn overlaps(&self, other: &Self, types: &[DataType]) -> bool {
        match (self, other) {
            (Self::Range { lower: a, upper: b }, Self::Range { lower: c, upper: d }) => {
                compare_bounds(a, d, types) == Ordering::Less
                    && compare_bounds(c, b, types) == Ordering::Less
            }
            (Self::List(a), Self::List(b)) => a.iter().any(|tuple| b.contains(tuple)),
            (Self::ListDefault, Self::ListDefault) | (Self::All, Self::All) => true,
            (Self::All | Self::Range { .. } | Self::List(_) | Self::ListDefault, _) => false,
        }
    }
}

fn bound_text(bounds: &[Bound], types: &[DataType]) -> String {
    bounds
        .iter()
        .zip(types)
        .map(|(bound, ty)| match bound {
            Bound::Value(v) => v.clone(),
            Bound::Min => ty.minimum_text(),
            Bound::Max => "MAXVALUE".to_owned(),
        })
        .collect::<Vec<_>>()
        .join(", ")
}

fn compare_key(key: &[Cell], bounds: &[Bound], types: &[DataType]) -> Ordering {
    for ((cell, bound), ty) in key.iter().zip(bounds).zip(types) {
        let order = match bound {
            Bound::Value(v) => ty.compare(cell, &Some(v.clone())),
            // NULL sorts with the minimum.
            Bound::Min => ty
                .compare(cell, &Some(ty.minimum_text()))
                .max(Ordering::Equal),
            Bound::Max => Ordering::Less,
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

/// The order of two bounds of one table.
#[must_use]
pub fn compare_bounds(a: &[Bound], b: &[Bound], types: &[DataType]) -> Ordering {
    for ((a, b), ty) in a.iter().zip(b).zip(types) {
        let order = match (a, b) {
            (Bound::Max, Bound::Max) | (Bound::Min, Bound::Min) => Ordering::Equal,
            (Bound::Max, Bound::Min | Bound::Value(_)) => Ordering::Greater,
            (Bound::Min | Bound::Value(_), Bound::Max) => Ordering::Less,
            (Bound::Value(a), Bound::Value(b)) => ty.compare(&Some(a.clone()), &Some(b.clone())),
            (Bound::Min, Bound::Value(b)) => ty.compare(&Some(ty.minimum_text()), &Some(b.clone())),
            (Bound::Value(a), Bound::Min) => ty.compare(&Some(a.clone()), &Some(ty.minimum_text())),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Bound {
        Bound::Value(text.to_owned())
    }

    #[test]
    fn range_texts() {
        let date = [DataType::Date];
        let item = PartitionItem::Range {
            lower: vec![value("2024-03-01")],
            upper: vec![value("2024-04-01")],
        };
        assert_eq!(
            item.range_text(&date),
            "[types: [DATEV2]; keys: [2024-03-01]; ..types: [DATEV2]; keys: [2024-04-01]; )"
        );
        let open = PartitionItem::Range {
            lower: vec![Bound::Min],
            upper: vec![Bound::Max],
        };
        assert_eq!(
            open.range_text(&date),
            "[types: [DATEV2]; keys: [0000-01-01]; ..types: [DATEV2]; keys: [MAXVALUE]; )"
        );
        assert!(
            open.range_text(&[DataType::Int])
                .contains("keys: [-2147483648]")
        );
        let two = PartitionItem::Range {
            lower: vec![value("10"), value("2024-03-01")],
            upper: vec![value("20"), Bound::Max],
        };
        assert_eq!(
            two.range_text(&[DataType::Int, DataType::Date]),
            "[types: [INT, DATEV2]; keys: [10, 2024-03-01]; ..types: [INT, DATEV2]; keys: [20, MAXVALUE]; )"
        );
    }

    #[test]
    fn list_texts() {
        let cell = |text: &str| Some(text.to_owned());
        let item = PartitionItem::List(vec![vec![cell("1")], vec![cell("2")]]);
        assert_eq!(
            item.range_text(&[DataType::Int]),
            "[types: [INT]; keys: [1]; , types: [INT]; keys: [2]; ]"
        );
        let several = PartitionItem::List(vec![vec![cell("1"), cell("bj")]]);
        assert_eq!(
            several.range_text(&[DataType::Int, DataType::Varchar(9)]),
            "[types: [INT, VARCHAR]; keys: [1, bj]; ]"
        );
        assert_eq!(
            PartitionItem::List(vec![vec![None]]).range_text(&[DataType::Int]),
            "[types: [INT]; keys: [NULL]; ]"
        );
        assert_eq!(
            PartitionItem::ListDefault.range_text(&[DataType::Int]),
            "[types: [INT]; keys: [default key]; ]"
        );
        assert_eq!(PartitionItem::All.range_text(&[]), "");
    }

    #[test]
    fn rows_find_their_partition() {
        let types = [DataType::Int];
        let low = PartitionItem::Range {
            lower: vec![Bound::Min],
            upper: vec![value("10")],
        };
        let high = PartitionItem::Range {
            lower: vec![value("10")],
            upper: vec![Bound::Max],
        };
        let key = |text: &str| vec![Some(text.to_owned())];
        assert!(low.contains(&[None], &types) && !high.contains(&[None], &types));
        assert!(low.contains(&key("9"), &types) && !low.contains(&key("10"), &types));
        assert!(high.contains(&key("10"), &types) && high.contains(&key("2147483647"), &types));
        assert!(!low.overlaps(&high, &types) && low.overlaps(&low, &types));
    }
}
