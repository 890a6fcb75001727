//! Rowsets of one tablet to the rows that a reader sees: projected to a schema, deletes obeyed, merged by the key model.

use std::cmp::Ordering;
use std::collections::HashMap;

use crate::backend::{DeleteOp, DeletePredicate, RowsetView};
use crate::{Aggregation, Cell, Column, DataType, KeysModel, Row, TableSchema};

/// Order of two rows by their keys, which stand first.
pub fn compare_keys(a: &Row, b: &Row, keys: &[&DataType]) -> Ordering {
    for (i, ty) in keys.iter().enumerate() {
        let order = ty.compare(&a[i], &b[i]);
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

/// Rows of one tablet in today's schema, merged.
pub fn merge(schema: &TableSchema, views: &[RowsetView]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let keys = schema.key_columns().count();
    let mut by_key: HashMap<Vec<Cell>, usize> = HashMap::new();
    let mut live: Vec<bool> = Vec::new();
    let key_types: Vec<&DataType> = schema.key_columns().map(|c| &c.data_type).collect();
    for (at, view) in views.iter().enumerate() {
        if view.delete.is_some() {
            continue;
        }
        let first = rows.len();
        let later: Vec<&DeletePredicate> = views[at + 1..]
            .iter()
            .filter_map(|v| v.delete.as_deref())
            .collect();
        let places: Vec<Option<usize>> = schema
            .columns
            .iter()
            .map(|c| {
                view.schema
                    .columns
                    .iter()
                    .position(|old| old.unique_id == c.unique_id)
            })
            .collect();
        for old in view.rows.iter() {
            let row: Row = places
                .iter()
                .zip(&schema.columns)
                .map(|(place, column)| match place {
                    Some(i) => old.get(*i).cloned().flatten(),
                    None => Column::value_in_old_rows(column),
                })
                .collect();
            if later
                .iter()
                .any(|predicate| matches(schema, &row, predicate))
            {
                continue;
            }
            if schema.keys == KeysModel::Duplicate {
                rows.push(row);
                live.push(true);
                continue;
            }
            match by_key.get(&row[..keys]) {
                Some(at) => {
                    let alive = combine(schema, &mut rows[*at], row);
                    live[*at] = alive.unwrap_or(live[*at]);
                }
                None => {
                    by_key.insert(row[..keys].to_vec(), rows.len());
                    live.push(!is_deleted(schema, &row));
                    rows.push(row);
                }
            }
        }
        // Segments are sorted: rows of one load come in the order of their keys.
        if schema.keys == KeysModel::Duplicate {
            rows[first..].sort_by(|a, b| compare_keys(a, b, &key_types));
        }
    }
    let mut live = live.into_iter();
    rows.retain(|_| live.next().unwrap_or(true));
    rows
}

fn is_deleted(schema: &TableSchema, row: &Row) -> bool {
    schema
        .delete_sign()
        .is_some_and(|i| row[i].as_deref() == Some("1"))
}

/// Merges a later row of the same key into `old`. Unique tables: whether the row lives now, `None` when the old one stays.
fn combine(schema: &TableSchema, old: &mut Row, new: Row) -> Option<bool> {
    if schema.keys.is_unique() {
        if let Some(i) = schema.sequence()
            && schema.columns[i].data_type.compare(&new[i], &old[i]) == Ordering::Less
        {
            return None;
        }
        *old = new;
        return Some(!is_deleted(schema, old));
    }
    for ((column, old), new) in schema.columns.iter().zip(old.iter_mut()).zip(new) {
        if let Some(aggregation) = column.aggregation {
            let before = old.take();
            *old = aggregate(aggregation, &column.data_type, before, new);
        }
    }
    None
}

fn aggregate(aggregation: Aggregation, ty: &DataType, old: Cell, new: Cell) -> Cell {
    match aggregation {
        Aggregation::Replace => new,
        // States are lists of the rows they were made of.
        Aggregation::Generic => match (&old, &new) {
            (Some(a), Some(b)) => union_of_states(a, b).or(new),
            (None, _) | (Some(_), None) => new.or(old),
        },
        Aggregation::ReplaceIfNotNull => new.or(old),
        Aggregation::Min | Aggregation::Max | Aggregation::Sum if old.is_none() => new,
        Aggregation::Min | Aggregation::Max | Aggregation::Sum if new.is_none() => old,
        Aggregation::Min => {
            if ty.compare(&new, &old) == Ordering::Less {
                new
            } else {
                old
            }
        }
        Aggregation::Max => {
            if ty.compare(&new, &old) == Ordering::Greater {
                new
            } else {
                old
            }
        }
        Aggregation::Sum => sum(
            ty,
            old.as_deref().unwrap_or("0"),
            new.as_deref().unwrap_or("0"),
        ),
        // The sketches are texts here: sorted sets of their members.
        Aggregation::HllUnion | Aggregation::BitmapUnion | Aggregation::QuantileUnion => {
            let members: std::collections::BTreeSet<&str> = old
                .iter()
                .chain(new.iter())
                .flat_map(|text| text.split(','))
                .map(str::trim)
                .filter(|m| !m.is_empty())
                .collect();
            Some(members.into_iter().collect::<Vec<_>>().join(","))
        }
    }
}

/// All rows of two states of an AGG_STATE column, which are lists in JSON; `None` when one is none.
fn union_of_states(a: &str, b: &str) -> Option<String> {
    let mut all: Vec<serde_json::Value> = serde_json::from_str(a).ok()?;
    let more: Vec<serde_json::Value> = serde_json::from_str(b).ok()?;
    all.extend(more);
    serde_json::to_string(&all).ok()
}

fn sum(ty: &DataType, a: &str, b: &str) -> Cell {
    if let DataType::Decimal(_, scale) = ty {
        let unscaled = |text: &str| -> i128 {
            let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
            format!("{whole}{fraction:0<width$}", width = usize::from(*scale))
                .parse()
                .unwrap_or(0)
        };
        let total = unscaled(a).wrapping_add(unscaled(b));
        let digits = format!(
            "{:0>width$}",
            total.unsigned_abs(),
            width = usize::from(*scale) + 1
        );
        let (whole, fraction) = digits.split_at(digits.len() - usize::from(*scale));
        let sign = if total < 0 { "-" } else { "" };
        return Some(if *scale == 0 {
            format!("{sign}{whole}")
        } else {
            format!("{sign}{whole}.{fraction}")
        });
    }
    if matches!(ty, DataType::Float | DataType::Double) {
        let number = |text: &str| text.parse::<f64>().unwrap_or(0.0);
        return ty
            .canonicalize(&(number(a) + number(b)).to_string())
            .ok()
            .flatten();
    }
    let number = |text: &str| text.parse::<i128>().unwrap_or(0);
    let total = number(a).wrapping_add(number(b));
    // Overflow wraps at the width of the type, as in Doris' storage.
    let wrapped = match ty {
        DataType::TinyInt => i128::from(total as i8),
        DataType::SmallInt => i128::from(total as i16),
        DataType::Int => i128::from(total as i32),
        DataType::BigInt => i128::from(total as i64),
        _ => total,
    };
    Some(wrapped.to_string())
}

fn matches(schema: &TableSchema, row: &Row, predicate: &DeletePredicate) -> bool {
    predicate.conditions.iter().all(|condition| {
        let Some(i) = schema
            .columns
            .iter()
            .position(|c| c.unique_id == condition.column)
        else {
            return false;
        };
        let (cell, ty) = (&row[i], &schema.columns[i].data_type);
        match condition.op {
            DeleteOp::IsNull => return cell.is_none(),
            DeleteOp::IsNotNull => return cell.is_some(),
            DeleteOp::Eq
            | DeleteOp::Ne
            | DeleteOp::Lt
            | DeleteOp::Le
            | DeleteOp::Gt
            | DeleteOp::Ge
            | DeleteOp::In
            | DeleteOp::NotIn => {}
        }
        if cell.is_none() {
            return false;
        }
        let first = condition
            .values
            .first()
            .map_or(Ordering::Less, |v| ty.compare(cell, v));
        let listed = || {
            condition
                .values
                .iter()
                .any(|v| ty.compare(cell, v) == Ordering::Equal)
        };
        match condition.op {
            DeleteOp::Eq => first == Ordering::Equal,
            DeleteOp::Ne => first != Ordering::Equal,
            DeleteOp::Lt => first == Ordering::Less,
            DeleteOp::Le => first != Ordering::Greater,
            DeleteOp::Gt => first == Ordering::Greater,
            DeleteOp::Ge => first != Ordering::Less,
            DeleteOp::In => listed(),
            DeleteOp::NotIn => !listed(),
            DeleteOp::IsNull | DeleteOp::IsNotNull => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_keep_their_type() {
        assert_eq!(
            sum(&DataType::Decimal(9, 2), "-1.50", "0.25").as_deref(),
            Some("-1.25")
        );
        assert_eq!(
            sum(&DataType::Int, "2147483647", "1").as_deref(),
            Some("-2147483648")
        );
        assert_eq!(
            sum(&DataType::Double, "0.5", "0.25").as_deref(),
            Some("0.75")
        );
    }

    #[test]
    fn aggregation_treats_null_as_nothing() {
        let cell = |t: &str| Some(t.to_owned());
        assert_eq!(
            aggregate(Aggregation::Max, &DataType::Int, None, cell("3")),
            cell("3")
        );
        assert_eq!(
            aggregate(Aggregation::Min, &DataType::Int, cell("3"), cell("20")),
            cell("3")
        );
        assert_eq!(
            aggregate(Aggregation::Replace, &DataType::Int, cell("3"), None),
            None
        );
        assert_eq!(
            aggregate(
                Aggregation::ReplaceIfNotNull,
                &DataType::Int,
                cell("3"),
                None
            ),
            cell("3")
        );
    }
}
