//! Functions of numbers and of null, where SQLite has none or another.

use rusqlite::functions::Context;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Result};

use super::define::{ANY, define, integer, text};

fn real(ctx: &Context<'_>, at: usize) -> Option<f64> {
    text(ctx, at)?.trim().parse().ok()
}

pub(super) fn register(connection: &Connection) -> Result<()> {
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
