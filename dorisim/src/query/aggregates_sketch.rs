//! Aggregates that look at all values of a group at once.

use rusqlite::functions::{Aggregate, Context, FunctionFlags, WindowAggregate};
use rusqlite::types::Value;
use rusqlite::{Connection, Result};

use super::functions::{ANY, text_of};
use super::functions_nested::{nested, value_of};
use super::functions_sketch::{Members, joined, members};
use super::nested::Nested;
use super::states;

/// What is made of the rows of a group; rows are the arguments.
pub(super) type Finish = fn(&[Vec<Value>]) -> Value;

struct Collected(Finish);

impl Aggregate<Vec<Vec<Value>>, Value> for Collected {
    fn init(&self, _: &mut Context<'_>) -> Result<Vec<Vec<Value>>> {
        Ok(Vec::new())
    }

    fn step(&self, ctx: &mut Context<'_>, rows: &mut Vec<Vec<Value>>) -> Result<()> {
        rows.push(
            (0..ctx.len())
                .map(|at| ctx.get(at).unwrap_or(Value::Null))
                .collect(),
        );
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, rows: Option<Vec<Vec<Value>>>) -> Result<Value> {
        Ok((self.0)(&rows.unwrap_or_default()))
    }
}

impl WindowAggregate<Vec<Vec<Value>>, Value> for Collected {
    fn value(&self, rows: Option<&mut Vec<Vec<Value>>>) -> Result<Value> {
        Ok((self.0)(rows.map_or(&[][..], |rows| rows)))
    }

    /// Rows leave a window in the order in which they entered.
    fn inverse(&self, _: &mut Context<'_>, rows: &mut Vec<Vec<Value>>) -> Result<()> {
        if !rows.is_empty() {
            rows.remove(0);
        }
        Ok(())
    }
}

/// Makes an aggregate known that can also be asked over a window.
pub(super) fn collected(connection: &Connection, names: &[&str], finish: Finish) -> Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    for name in names {
        connection.create_window_function(*name, ANY, flags, Collected(finish))?;
        states::register(connection, name, finish)?;
    }
    Ok(())
}

pub(super) fn register(connection: &Connection) -> Result<()> {
    let all: [(&[&str], Finish); 17] = [
        (&["collect_list", "array_agg", "group_array"], |rows| {
            Value::Text(Nested::Array(column(rows)).to_string())
        }),
        (&["collect_set", "group_uniq_array"], |rows| {
            let mut kept: Vec<Nested> = Vec::new();
            for element in column(rows) {
                if !kept.iter().any(|known| known.same(&element)) {
                    kept.push(element);
                }
            }
            Value::Text(Nested::Array(kept).to_string())
        }),
        (&["map_agg"], |rows| {
            let pairs = rows.iter().filter_map(|row| match row.as_slice() {
                [key, value, ..] => Some((nested(key.into()), nested(value.into()))),
                _ => None,
            });
            Value::Text(Nested::Map(pairs.collect()).to_string())
        }),
        (
            &["bitmap_union", "hll_union", "hll_raw_agg", "quantile_union"],
            |rows| Value::Text(joined(&united(rows))),
        ),
        (
            &["bitmap_union_count", "hll_union_agg", "bitmap_union_int"],
            |rows| count(united(rows).len()),
        ),
        (&["bitmap_agg"], |rows| Value::Text(joined(&united(rows)))),
        (&["bitmap_intersect"], |rows| {
            let mut sets = texts(rows).into_iter().map(|text| members(&text));
            let first = sets.next().unwrap_or_default();
            Value::Text(joined(&sets.fold(first, |all, one| &all & &one)))
        }),
        (&["group_bitmap"], |rows| count(united(rows).len())),
        (&["stddev", "stddev_pop", "std"], |rows| {
            spread(rows, 0, true)
        }),
        (&["stddev_samp"], |rows| spread(rows, 1, true)),
        (&["variance", "var_pop", "variance_pop"], |rows| {
            spread(rows, 0, false)
        }),
        (&["var_samp", "variance_samp"], |rows| {
            spread(rows, 1, false)
        }),
        (
            &["percentile", "percentile_approx", "percentile_cont"],
            |rows| {
                let part = rows.first().and_then(|row| number(row.get(1)?));
                part.and_then(|part| percentile(&sorted(rows), part))
                    .map_or(Value::Null, Value::Real)
            },
        ),
        (&["median"], |rows| {
            percentile(&sorted(rows), 0.5).map_or(Value::Null, Value::Real)
        }),
        (&["max_by"], |rows| by(rows, |a, b| a.order(b))),
        (&["min_by"], |rows| by(rows, |a, b| b.order(a))),
        (&["count_if"], |rows| {
            let yes = rows
                .iter()
                .filter(|row| row.first().and_then(number) == Some(1.0));
            count(yes.count())
        }),
    ];
    for (names, finish) in all {
        collected(connection, names, finish)?;
    }
    for (name, finish) in states::PLAIN {
        states::register(connection, name, finish)?;
    }
    Ok(())
}

#[allow(clippy::cast_possible_wrap)] // no group has that many rows
fn count(rows: usize) -> Value {
    Value::Integer(rows as i64)
}

/// First arguments that are not NULL.
fn column(rows: &[Vec<Value>]) -> Vec<Nested> {
    rows.iter()
        .filter_map(|row| row.first())
        .filter(|value| **value != Value::Null)
        .map(|value| nested(value.into()))
        .collect()
}

fn texts(rows: &[Vec<Value>]) -> Vec<String> {
    rows.iter()
        .filter_map(|row| text_of(row.first()?.into()))
        .collect()
}

fn united(rows: &[Vec<Value>]) -> Members {
    texts(rows).iter().flat_map(|text| members(text)).collect()
}

pub(super) fn number(value: &Value) -> Option<f64> {
    text_of(value.into())?.trim().parse().ok()
}

fn sorted(rows: &[Vec<Value>]) -> Vec<f64> {
    let mut numbers: Vec<f64> = rows.iter().filter_map(|row| number(row.first()?)).collect();
    numbers.sort_by(f64::total_cmp);
    numbers
}

/// The value below which `part` of the sorted numbers lie, between neighbours in proportion.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)] // places in a list
pub(super) fn percentile(sorted: &[f64], part: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = part.clamp(0.0, 1.0) * last as f64;
    let (low, high) = (place.floor() as usize, place.ceil() as usize);
    Some(sorted[low] + (sorted[high] - sorted[low]) * place.fract())
}

#[allow(clippy::cast_precision_loss)] // no group has that many rows
fn spread(rows: &[Vec<Value>], less: usize, root: bool) -> Value {
    let numbers = sorted(rows);
    let Some(divisor) = numbers.len().checked_sub(less).filter(|n| *n > 0) else {
        return Value::Null;
    };
    let mean = numbers.iter().sum::<f64>() / numbers.len() as f64;
    let squares: f64 = numbers.iter().map(|n| (n - mean).powi(2)).sum();
    let variance = squares / divisor as f64;
    Value::Real(if root { variance.sqrt() } else { variance })
}

/// The first argument of the row whose second argument comes last.
fn by(rows: &[Vec<Value>], order: fn(&Nested, &Nested) -> std::cmp::Ordering) -> Value {
    let known = rows.iter().filter_map(|row| match row.as_slice() {
        [value, key, ..] if *key != Value::Null => Some((value, nested(key.into()))),
        _ => None,
    });
    known
        .max_by(|(_, a), (_, b)| order(a, b))
        .map_or(Value::Null, |(value, _)| {
            value_of(Some(&nested(value.into())))
        })
}

#[cfg(test)]
mod tests {
    use super::percentile;

    #[test]
    fn percentiles_lie_between_neighbours() {
        let numbers = [1.0, 2.0, 4.0];
        assert_eq!(percentile(&numbers, 0.5), Some(2.0));
        assert_eq!(percentile(&numbers, 0.75), Some(3.0));
        assert_eq!(percentile(&[], 0.5), None);
    }
}
