//! How functions are registered in SQLite, and how they read their arguments.

use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Result};

use super::dates::Moment;
use super::numbers::double_text;

/// Any number of arguments.
pub(super) const ANY: i32 = -1;

/// The text of a value as Doris' implicit cast gives it; `None` is NULL.
pub(super) fn text_of(value: ValueRef<'_>) -> Option<String> {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(value) => Some(value.to_string()),
        ValueRef::Real(value) => Some(literal_text(value)),
        ValueRef::Text(text) | ValueRef::Blob(text) => {
            Some(String::from_utf8_lossy(text).into_owned())
        }
    }
}

/// The text of a real number inside an expression: most come from decimal literals, which keep their digits.
fn literal_text(value: f64) -> String {
    let short = value.to_string();
    let digits = short.bytes().filter(u8::is_ascii_digit).count();
    if digits <= 15 && value.is_finite() {
        return short;
    }
    double_text(value)
}

pub(super) fn text(ctx: &Context<'_>, at: usize) -> Option<String> {
    (at < ctx.len()).then(|| text_of(ctx.get_raw(at))).flatten()
}

pub(super) fn integer(ctx: &Context<'_>, at: usize) -> Option<i64> {
    if at >= ctx.len() {
        return None;
    }
    match ctx.get_raw(at) {
        ValueRef::Integer(value) => Some(value),
        #[allow(clippy::cast_possible_truncation)] // as a cast to BIGINT does
        ValueRef::Real(value) => Some(value as i64),
        ValueRef::Text(_) | ValueRef::Blob(_) => text(ctx, at)?.trim().parse().ok(),
        ValueRef::Null => None,
    }
}

pub(super) fn define<T, F>(
    connection: &Connection,
    names: &[&str],
    arguments: i32,
    function: F,
) -> Result<()>
where
    T: rusqlite::functions::SqlFnOutput,
    F: Fn(&Context<'_>) -> T + Send + Clone + 'static,
{
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    for name in names {
        let function = function.clone();
        connection.create_scalar_function(*name, arguments, flags, move |ctx| Ok(function(ctx)))?;
    }
    Ok(())
}

pub(super) fn size(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

pub(super) fn moment(ctx: &Context<'_>, at: usize) -> Option<Moment> {
    Moment::parse(&text(ctx, at)?)
}
