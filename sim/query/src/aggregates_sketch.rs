//! Aggregates over bitmaps, HLL and quantile states.

use rusqlite::functions::{Aggregate, Context, FunctionFlags, WindowAggregate};
use rusqlite::types::Value;
use rusqlite::{Connection, Result};

use super::define::{size, text_of};
use super::functions_sketch::{Members, joined, members};

/// What is made of the states of a group.
type Finish = fn(&[String]) -> Value;

struct Collected(Finish);

impl Aggregate<Vec<String>, Value> for Collected {
    fn init(&self, _: &mut Context<'_>) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn step(&self, ctx: &mut Context<'_>, states: &mut Vec<String>) -> Result<()> {
        states.extend(text_of(ctx.get_raw(0)));
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, states: Option<Vec<String>>) -> Result<Value> {
        Ok((self.0)(&states.unwrap_or_default()))
    }
}

impl WindowAggregate<Vec<String>, Value> for Collected {
    fn value(&self, states: Option<&mut Vec<String>>) -> Result<Value> {
        Ok((self.0)(states.map_or(&[][..], |states| states)))
    }

    /// Rows leave a window in the order in which they entered.
    fn inverse(&self, ctx: &mut Context<'_>, states: &mut Vec<String>) -> Result<()> {
        if text_of(ctx.get_raw(0)).is_some() && !states.is_empty() {
            states.remove(0);
        }
        Ok(())
    }
}

pub(super) fn register(connection: &Connection) -> Result<()> {
    let union: Finish = |states| Value::Text(joined(&united(states)));
    let count: Finish = |states| Value::Integer(size(united(states).len()));
    let intersection: Finish = |states| {
        let sets = states.iter().map(|text| members(text));
        let all = sets.reduce(|all, one| &all & &one).unwrap_or_default();
        Value::Text(joined(&all))
    };
    let all = [
        ("bitmap_union", union),
        ("bitmap_agg", union),
        ("hll_union", union),
        ("hll_raw_agg", union),
        ("quantile_union", union),
        ("bitmap_union_count", count),
        ("bitmap_union_int", count),
        ("hll_union_agg", count),
        ("bitmap_intersect", intersection),
    ];
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    for (name, finish) in all {
        connection.create_window_function(name, 1, flags, Collected(finish))?;
    }
    Ok(())
}

fn united(states: &[String]) -> Members {
    states.iter().flat_map(|text| members(text)).collect()
}
