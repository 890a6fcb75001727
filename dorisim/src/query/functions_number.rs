//! Functions of numbers and of null, where SQLite has none or another.

use rusqlite::functions::Context;
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Result};

use super::functions::{ANY, define, integer, text};

fn real(ctx: &Context<'_>, at: usize) -> Option<f64> {
    text(ctx, at)?.trim().parse().ok()
}

pub(super) fn register(connection: &Connection) -> Result<()> {
    define(connection, &["positive"], 1, |ctx| value(ctx, 0))?;
    define(connection, &["negative"], 1, |ctx| match ctx.get_raw(0) {
        ValueRef::Integer(number) => Value::Integer(number.saturating_neg()),
        _ => real(ctx, 0).map_or(Value::Null, |number| Value::Real(-number)),
    })?;
    define(connection, &["cbrt"], 1, |ctx| real(ctx, 0).map(f64::cbrt))?;
    define(connection, &["e"], 0, |_| std::f64::consts::E)?;
    define(connection, &["fmod"], 2, |ctx| {
        Some(real(ctx, 0)? % real(ctx, 1).filter(|by| *by != 0.0)?)
    })?;
    define(connection, &["bitnot"], 1, |ctx| {
        integer(ctx, 0).map(|n| !n)
    })?;
    define(connection, &["bit_shift_left"], 2, |ctx| {
        integer(ctx, 0)?.checked_shl(u32::try_from(integer(ctx, 1)?).ok()?)
    })?;
    define(connection, &["bit_shift_right"], 2, |ctx| {
        integer(ctx, 0)?.checked_shr(u32::try_from(integer(ctx, 1)?).ok()?)
    })?;
    define(connection, &["bit_count"], 1, |ctx| {
        integer(ctx, 0).map(|n| i64::from(n.count_ones()))
    })?;
    define(connection, &["bin"], 1, |ctx| {
        integer(ctx, 0).map(|n| format!("{n:b}"))
    })?;
    define(connection, &["conv"], 3, |ctx| {
        let (from, to) = (integer(ctx, 1)?, integer(ctx, 2)?);
        let from = u32::try_from(from)
            .ok()
            .filter(|base| (2..=36).contains(base))?;
        let to = u64::try_from(to)
            .ok()
            .filter(|base| (2..=36).contains(base))?;
        let mut rest = u64::from_str_radix(text(ctx, 0)?.trim(), from).ok()?;
        let mut digits = Vec::new();
        loop {
            let digit = u32::try_from(rest % to).ok()?;
            digits.push(char::from_digit(digit, 36)?.to_ascii_uppercase());
            rest /= to;
            if rest == 0 {
                return Some(digits.iter().rev().collect::<String>());
            }
        }
    })?;
    define(connection, &["truncate"], ANY, |ctx| {
        let places = if ctx.len() > 1 { integer(ctx, 1)? } else { 0 };
        let places = i32::try_from(places.clamp(-15, 15)).ok()?;
        let scale = 10_f64.powi(places);
        Some((real(ctx, 0)? * scale).trunc() / scale)
    })?;
    define(connection, &["isnull", "is_null"], 1, |ctx| {
        ctx.get_raw(0) == ValueRef::Null
    })?;
    define(
        connection,
        &["nullable", "non_nullable", "ignore_"],
        1,
        |ctx| value(ctx, 0),
    )?;
    define(connection, &["is_not_null_pred"], 1, |ctx| {
        ctx.get_raw(0) != ValueRef::Null
    })?;
    define(connection, &["is_null_pred"], 1, |ctx| {
        ctx.get_raw(0) == ValueRef::Null
    })?;
    define(connection, &["nvl2"], 3, |ctx| {
        value(
            ctx,
            if ctx.get_raw(0) == ValueRef::Null {
                2
            } else {
                1
            },
        )
    })?;
    define(connection, &["sleep"], 1, |_| true)?;
    // Rows of COUNT(DISTINCT a, b): none when one is NULL.
    define(connection, &["distinct_key"], ANY, |ctx| {
        let cells: Option<Vec<String>> = (0..ctx.len()).map(|at| text(ctx, at)).collect();
        cells.map(|cells| {
            cells
                .iter()
                .map(|cell| format!("{}:{cell}", cell.len()))
                .collect::<String>()
        })
    })
}

/// An argument as it came.
pub(super) fn value(ctx: &Context<'_>, at: usize) -> Value {
    ctx.get(at).unwrap_or(Value::Null)
}
