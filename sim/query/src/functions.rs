//! Doris' functions, registered in SQLite where it has none or means something else by the name.
//!
//! There are those that replication, its tests and the clients of `cargo xtask drivers` call, and few more. An unknown function
//! is refused.

use md5::{Digest, Md5};
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Error, Result};

use super::dates::Moment;
use super::define::{ANY, define, integer, moment, size, text};
use super::numbers::{compare, compare_moments};
use super::{
    aggregates, aggregates_sketch, functions_nested, functions_number, functions_sketch, like,
};
use dorisim_model::DataType;

/// Makes all functions and collations known to `connection`.
pub(super) fn register(connection: &Connection) -> Result<()> {
    connection.create_collation("exact_number", compare)?;
    connection.create_collation("moment", compare_moments)?;
    aggregates::register(connection)?;
    aggregates_sketch::register(connection)?;
    strings(connection)?;
    conversions(connection)?;
    calendar(connection)?;
    functions_number::register(connection)?;
    functions_nested::register(connection)?;
    functions_sketch::register(connection)
}

fn strings(connection: &Connection) -> Result<()> {
    define(connection, &["crc32"], 1, |ctx| {
        text(ctx, 0).map(|text| i64::from(crc32fast::hash(text.as_bytes())))
    })?;
    define(connection, &["md5"], 1, |ctx| {
        text(ctx, 0).map(|text| hex::encode(Md5::digest(text.as_bytes())))
    })?;
    define(connection, &["concat"], ANY, |ctx| {
        (0..ctx.len())
            .map(|at| text(ctx, at))
            .collect::<Option<Vec<_>>>()
            .map(|parts| parts.concat())
    })?;
    define(connection, &["concat_ws"], ANY, |ctx| {
        let separator = text(ctx, 0)?;
        let mut parts = Vec::new();
        for part in (1..ctx.len()).filter_map(|at| text(ctx, at)) {
            match super::nested::Nested::elements(&part) {
                Some(elements) => parts.extend(elements.iter().filter_map(|e| e.cell())),
                None => parts.push(part),
            }
        }
        Some(parts.join(&separator))
    })?;
    define(connection, &["length"], 1, |ctx| {
        text(ctx, 0).map(|text| size(text.len()))
    })?;
    define(connection, &["char_length", "character_length"], 1, |ctx| {
        text(ctx, 0).map(|text| size(text.chars().count()))
    })?;
    define(connection, &["strleft"], 2, |ctx| {
        let count = usize::try_from(integer(ctx, 1)?).unwrap_or(0);
        text(ctx, 0).map(|text| text.chars().take(count).collect::<String>())
    })?;
    define(connection, &["strright"], 2, |ctx| {
        let count = usize::try_from(integer(ctx, 1)?).unwrap_or(0);
        text(ctx, 0).map(|text| {
            let skipped = text.chars().count().saturating_sub(count);
            text.chars().skip(skipped).collect::<String>()
        })
    })?;
    define(connection, &["reverse"], 1, |ctx| {
        text(ctx, 0).map(|text| text.chars().rev().collect::<String>())
    })?;
    define(connection, &["repeat"], 2, |ctx| {
        let count = usize::try_from(integer(ctx, 1)?.clamp(0, 1_000_000)).unwrap_or(0);
        text(ctx, 0).map(|text| text.repeat(count))
    })?;
    define(connection, &["locate"], 2, |ctx| {
        Some(position(&text(ctx, 1)?, &text(ctx, 0)?))
    })?;
    define(connection, &["lpad"], 3, |ctx| pad(ctx, true))?;
    define(connection, &["rpad"], 3, |ctx| pad(ctx, false))?;
    define(connection, &["starts_with"], 2, |ctx| {
        Some(text(ctx, 0)?.starts_with(&text(ctx, 1)?))
    })?;
    define(connection, &["ends_with"], 2, |ctx| {
        Some(text(ctx, 0)?.ends_with(&text(ctx, 1)?))
    })?;
    define(connection, &["split_part"], 3, |ctx| {
        let part = usize::try_from(integer(ctx, 2)?).ok()?.checked_sub(1)?;
        text(ctx, 0)?
            .split(&text(ctx, 1)?)
            .nth(part)
            .map(str::to_owned)
    })?;
    define(connection, &["lower", "lcase"], 1, |ctx| {
        Some(text(ctx, 0)?.to_lowercase())
    })?;
    define(connection, &["upper", "ucase"], 1, |ctx| {
        Some(text(ctx, 0)?.to_uppercase())
    })?;
    define(connection, &["hex"], 1, |ctx| match ctx.get_raw(0) {
        ValueRef::Integer(number) => Some(format!("{number:X}")),
        _ => Some(hex::encode_upper(text(ctx, 0)?)),
    })?;
    define(connection, &["instr"], 2, |ctx| {
        Some(position(&text(ctx, 0)?, &text(ctx, 1)?))
    })?;
    // SQLite hands over (pattern, text[, escape]).
    define(connection, &["like"], 2, |ctx| {
        Some(like::matches(&text(ctx, 0)?, &text(ctx, 1)?, '\\'))
    })?;
    define(connection, &["like"], 3, |ctx| {
        let escape = text(ctx, 2)?.chars().next().unwrap_or('\\');
        Some(like::matches(&text(ctx, 0)?, &text(ctx, 1)?, escape))
    })
}

/// Position of the first occurrence in characters, from 1; 0 when there is none.
fn position(text: &str, part: &str) -> i64 {
    text.find(part)
        .map_or(0, |at| size(text[..at].chars().count()) + 1)
}

fn pad(ctx: &Context<'_>, left: bool) -> Option<String> {
    let (text, wanted, filler) = (text(ctx, 0)?, integer(ctx, 1)?, text(ctx, 2)?);
    let wanted = usize::try_from(wanted.min(1_000_000)).ok()?;
    let length = text.chars().count();
    if length >= wanted {
        return Some(text.chars().take(wanted).collect());
    }
    if filler.is_empty() {
        return Some(String::new());
    }
    let padding: String = filler.chars().cycle().take(wanted - length).collect();
    Some(if left {
        padding + &text
    } else {
        text + &padding
    })
}

fn conversions(connection: &Connection) -> Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    // `CAST(x AS type)` arrives as doris_cast(x, 'type').
    // With `enable_strict_cast` a value that does not fit ends the query.
    for (name, strict) in [("doris_cast", false), ("doris_cast_strict", true)] {
        connection.create_scalar_function(name, 2, flags, move |ctx| {
            let declared = text(ctx, 1).unwrap_or_default();
            let Some(value) = text(ctx, 0) else {
                return Ok(Value::Null);
            };
            let refused = |reason: String| Error::UserFunctionError(reason.into());
            match cast(&value, &declared).map_err(refused)? {
                Value::Null if strict => Err(refused(unfit(&value, &declared))),
                cast => Ok(cast),
            }
        })?;
    }
    define(connection, &["div"], 2, |ctx| {
        integer(ctx, 0)?.checked_div(integer(ctx, 1)?)
    })?;
    define(connection, &["pmod"], 2, |ctx| {
        integer(ctx, 0)?.checked_rem_euclid(integer(ctx, 1)?)
    })?;
    define(connection, &["bitand"], 2, |ctx| {
        Some(integer(ctx, 0)? & integer(ctx, 1)?)
    })?;
    define(connection, &["bitor"], 2, |ctx| {
        Some(integer(ctx, 0)? | integer(ctx, 1)?)
    })?;
    define(connection, &["bitxor"], 2, |ctx| {
        Some(integer(ctx, 0)? ^ integer(ctx, 1)?)
    })
}

/// What a strict cast says of a value that does not fit.
fn unfit(value: &str, declared: &str) -> String {
    match DataType::parse(declared) {
        Ok(DataType::Decimal(precision, scale)) if value.trim().parse::<f64>().is_ok() => {
            format!(
                "[ARITHMETIC_OVERFLOW_ERRROR]Arithmetic overflow when converting value {value} to type Decimal({precision}, {scale})"
            )
        }
        _ => format!(
            "[INVALID_ARGUMENT]parse {} fail, string: '{value}'",
            declared.to_ascii_lowercase()
        ),
    }
}

fn cast(value: &str, declared: &str) -> std::result::Result<Value, String> {
    // VARCHAR and CHAR of CAST do not refuse what is too long.
    let declared = match declared
        .split('(')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_uppercase()
        .as_str()
    {
        "CHAR" | "VARCHAR" | "STRING" | "TEXT" => return Ok(Value::Text(value.to_owned())),
        "SIGNED" | "UNSIGNED" => "BIGINT".to_owned(),
        _ => declared.to_owned(),
    };
    let data_type = DataType::parse(&declared)?;
    let cell = match data_type.canonicalize(value) {
        Ok(cell) => cell,
        Err(_) if data_type.is_integer() => value
            .trim()
            .parse::<f64>()
            .ok()
            .map(|real| format!("{:.0}", real.trunc()))
            .and_then(|whole| data_type.canonicalize(&whole).ok().flatten()),
        Err(_) => None,
    };
    let Some(cell) = cell else {
        return Ok(Value::Null);
    };
    Ok(match data_type {
        DataType::Float | DataType::Double => cell.parse().map_or(Value::Null, Value::Real),
        _ if data_type.is_integer() || data_type == DataType::Boolean => cell
            .parse()
            .map_or(Value::Text(cell.clone()), Value::Integer),
        _ => Value::Text(cell),
    })
}

fn calendar(connection: &Connection) -> Result<()> {
    // `INTERVAL n unit` arrives as two arguments.
    define(connection, &["date_add", "adddate"], 3, |ctx| {
        moved(ctx, 1, None)
    })?;
    define(connection, &["date_sub", "subdate"], 3, |ctx| {
        moved(ctx, -1, None)
    })?;
    define(connection, &["adddate", "date_add"], 2, |ctx| {
        moved(ctx, 1, Some("day"))
    })?;
    define(connection, &["subdate", "date_sub"], 2, |ctx| {
        moved(ctx, -1, Some("day"))
    })?;
    for unit in ["year", "month", "week", "day", "hour", "minute", "second"] {
        let plural = format!("{unit}s");
        define(connection, &[&format!("{plural}_add")], 2, move |ctx| {
            moved(ctx, 1, Some(unit))
        })?;
        define(connection, &[&format!("{plural}_sub")], 2, move |ctx| {
            moved(ctx, -1, Some(unit))
        })?;
    }
    // TIMESTAMPDIFF(unit, a, b) with the unit as text.
    define(connection, &["timestampdiff"], 3, |ctx| {
        let (from, to) = (moment(ctx, 1)?, moment(ctx, 2)?);
        let micros = (to.days - from.days) * 86_400_000_000 + (to.micros - from.micros);
        let seconds = match text(ctx, 0)?.as_str() {
            "second" => 1,
            "minute" => 60,
            "hour" => 3600,
            "day" => 86_400,
            _ => return None,
        };
        Some(micros / 1_000_000 / seconds)
    })?;
    define(connection, &["datediff"], 2, |ctx| {
        Some(moment(ctx, 0)?.days - moment(ctx, 1)?.days)
    })?;
    define(connection, &["to_date", "date"], 1, |ctx| {
        Some(moment(ctx, 0)?.date_text())
    })?;
    define(connection, &["year"], 1, |ctx| {
        Some(moment(ctx, 0)?.civil().0)
    })?;
    define(connection, &["month"], 1, |ctx| {
        Some(moment(ctx, 0)?.civil().1)
    })?;
    define(connection, &["day", "dayofmonth"], 1, |ctx| {
        Some(moment(ctx, 0)?.civil().2)
    })?;
    define(connection, &["hour"], 1, |ctx| Some(moment(ctx, 0)?.hour()))?;
    define(connection, &["minute"], 1, |ctx| {
        Some(moment(ctx, 0)?.minute())
    })?;
    define(connection, &["second"], 1, |ctx| {
        Some(moment(ctx, 0)?.second())
    })?;
    define(connection, &["dayofweek"], 1, |ctx| {
        Some((moment(ctx, 0)?.days + 4).rem_euclid(7) + 1)
    })?;
    define(connection, &["date_trunc"], 2, |ctx| {
        Some(moment(ctx, 0)?.truncated(&text(ctx, 1)?)?.text())
    })?;
    define(connection, &["date_format"], 2, |ctx| {
        Some(moment(ctx, 0)?.format(&text(ctx, 1)?))
    })?;
    define(connection, &["unix_timestamp"], 1, |ctx| {
        Some(moment(ctx, 0)?.unix_seconds())
    })?;
    define(connection, &["from_unixtime"], 1, |ctx| {
        Some(Moment::from_ms(integer(ctx, 0)?.checked_mul(1000)?).text())
    })?;
    define(connection, &["from_unixtime"], 2, |ctx| {
        Some(Moment::from_ms(integer(ctx, 0)?.checked_mul(1000)?).format(&text(ctx, 1)?))
    })
}

/// A date stays a date as long as it is moved by days or more.
fn moved(ctx: &Context<'_>, sign: i64, unit: Option<&str>) -> Option<String> {
    let start = text(ctx, 0)?;
    let unit = match unit {
        Some(unit) => unit.to_owned(),
        None => text(ctx, 2)?,
    };
    let end = Moment::parse(&start)?.plus(integer(ctx, 1)?.checked_mul(sign)?, &unit)?;
    let whole_days =
        ["year", "quarter", "month", "week", "day"].contains(&unit.to_ascii_lowercase().as_str());
    Some(if whole_days && !start.trim().contains([' ', 'T', ':']) {
        end.date_text()
    } else {
        end.text()
    })
}
