//! AGG_STATE: a state is the list of the rows it was made of, as JSON. `f_state` makes one, `f_union` joins, `f_merge` finishes.

use rusqlite::functions::{Aggregate, Context, FunctionFlags};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Result};
use serde_json::Value as Json;

use super::aggregates_more::{Finish, number};
use super::functions::{ANY, define, text, text_of};

/// The state of all rows of two states; `None` when one is none.
#[must_use]
pub fn union_of_states(a: &str, b: &str) -> Option<String> {
    let (mut a, b) = (rows(a)?, rows(b)?);
    a.extend(b);
    Some(Json::Array(a).to_string())
}

fn rows(state: &str) -> Option<Vec<Json>> {
    match serde_json::from_str(state).ok()? {
        Json::Array(rows) => Some(rows),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Object(_) => None,
    }
}

fn json(value: ValueRef<'_>) -> Json {
    match value {
        ValueRef::Null => Json::Null,
        ValueRef::Integer(number) => number.into(),
        ValueRef::Real(number) => number.into(),
        ValueRef::Text(_) | ValueRef::Blob(_) => text_of(value).map_or(Json::Null, Json::String),
    }
}

fn value(json: &Json) -> Value {
    match json {
        Json::Null | Json::Array(_) | Json::Object(_) => Value::Null,
        Json::Bool(flag) => Value::Integer(i64::from(*flag)),
        Json::Number(number) => match number.as_i64() {
            Some(number) => Value::Integer(number),
            None => number.as_f64().map_or(Value::Null, Value::Real),
        },
        Json::String(text) => Value::Text(text.clone()),
    }
}

/// Joins states; finishes them when there is a function to do so.
struct Joined(Option<Finish>);

impl Aggregate<Vec<Json>, Option<Value>> for Joined {
    fn init(&self, _: &mut Context<'_>) -> Result<Vec<Json>> {
        Ok(Vec::new())
    }

    fn step(&self, ctx: &mut Context<'_>, all: &mut Vec<Json>) -> Result<()> {
        if let Some(state) = text(ctx, 0) {
            all.extend(rows(&state).unwrap_or_default());
        }
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, all: Option<Vec<Json>>) -> Result<Option<Value>> {
        let all = all.unwrap_or_default();
        let Some(finish) = self.0 else {
            return Ok(Some(Value::Text(Json::Array(all).to_string())));
        };
        let cells = |row: &Json| match row {
            Json::Array(cells) => cells.iter().map(value).collect(),
            other => vec![value(other)],
        };
        let rows: Vec<Vec<Value>> = all.iter().map(cells).collect();
        Ok(Some(finish(&rows)))
    }
}

/// `f_state`, `f_union` and `f_merge` of an aggregate.
pub(super) fn register(connection: &Connection, name: &str, finish: Finish) -> Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    define(connection, &[&format!("{name}_state")], ANY, |ctx| {
        let row = (0..ctx.len()).map(|at| json(ctx.get_raw(at))).collect();
        Some(Json::Array(vec![Json::Array(row)]).to_string())
    })?;
    let union = format!("{name}_union");
    // `bitmap_union` and its like are aggregates of their own.
    if !["bitmap_union", "hll_union", "quantile_union"].contains(&union.as_str()) {
        connection.create_aggregate_function(union.as_str(), 1, flags, Joined(None))?;
    }
    let merge = format!("{name}_merge");
    connection.create_aggregate_function(merge.as_str(), 1, flags, Joined(Some(finish)))
}

/// The aggregates that SQLite computes itself, over collected rows.
pub(super) const PLAIN: [(&str, Finish); 6] = [
    ("sum", |rows| total(rows).map_or(Value::Null, shown)),
    ("count", |rows| {
        let known = rows
            .iter()
            .filter(|row| row.first().is_none_or(|v| *v != Value::Null));
        i64::try_from(known.count()).map_or(Value::Null, Value::Integer)
    }),
    ("min", |rows| {
        numbers(rows)
            .into_iter()
            .reduce(f64::min)
            .map_or(Value::Null, shown)
    }),
    ("max", |rows| {
        numbers(rows)
            .into_iter()
            .reduce(f64::max)
            .map_or(Value::Null, shown)
    }),
    ("avg", |rows| {
        let numbers = numbers(rows);
        #[allow(clippy::cast_precision_loss)] // no group has that many rows
        let count = numbers.len() as f64;
        match total(rows) {
            Some(sum) => Value::Real(sum / count),
            None => Value::Null,
        }
    }),
    ("group_concat", |rows| {
        let texts: Vec<String> = rows
            .iter()
            .filter_map(|row| text_of(row.first()?.into()))
            .collect();
        if texts.is_empty() {
            Value::Null
        } else {
            Value::Text(texts.join(", "))
        }
    }),
];

fn numbers(rows: &[Vec<Value>]) -> Vec<f64> {
    rows.iter().filter_map(|row| number(row.first()?)).collect()
}

fn total(rows: &[Vec<Value>]) -> Option<f64> {
    numbers(rows).into_iter().reduce(|a, b| a + b)
}

#[allow(clippy::cast_possible_truncation)] // whole numbers below 2^53
fn shown(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() < 9e15 {
        Value::Integer(number as i64)
    } else {
        Value::Real(number)
    }
}
