//! Functions of arrays, maps and structs.

use rusqlite::functions::Context;
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Result};

use super::functions::{ANY, define, integer, size, text};
use super::nested::Nested;

/// An argument as an element: text that is an array or a map keeps its shape.
pub(super) fn nested(value: ValueRef<'_>) -> Nested {
    match value {
        ValueRef::Null => Nested::Null,
        ValueRef::Integer(_) | ValueRef::Real(_) => {
            super::functions::text_of(value).map_or(Nested::Null, Nested::Bare)
        }
        ValueRef::Text(_) | ValueRef::Blob(_) => {
            let text = super::functions::text_of(value).unwrap_or_default();
            Nested::parse(&text).unwrap_or(Nested::Quoted(text))
        }
    }
}

/// A value of SQLite for a cell: numbers are numbers again.
pub(super) fn value_of(value: Option<&Nested>) -> Value {
    match value {
        None | Some(Nested::Null) => Value::Null,
        Some(Nested::Bare(text)) => match text.parse::<i64>() {
            Ok(number) => Value::Integer(number),
            Err(_) => Value::Text(text.clone()),
        },
        Some(Nested::Quoted(text)) => Value::Text(text.clone()),
        Some(other @ (Nested::Array(_) | Nested::Map(_))) => Value::Text(other.to_string()),
    }
}

pub(super) fn array(ctx: &Context<'_>, at: usize) -> Option<Vec<Nested>> {
    Nested::elements(&text(ctx, at)?)
}

fn entries(ctx: &Context<'_>, at: usize) -> Option<Vec<(Nested, Nested)>> {
    Nested::entries(&text(ctx, at)?)
}

pub(super) fn given(elements: Vec<Nested>) -> Option<String> {
    Some(Nested::Array(elements).to_string())
}

fn holds(elements: &[Nested], wanted: &Nested) -> bool {
    elements.iter().any(|element| element.same(wanted))
}

pub(super) fn distinct(elements: Vec<Nested>) -> Vec<Nested> {
    let mut kept: Vec<Nested> = Vec::new();
    for element in elements {
        if !holds(&kept, &element) {
            kept.push(element);
        }
    }
    kept
}

/// Index of the `at`-th element from 1, from the end when negative.
fn index(length: usize, at: i64) -> Option<usize> {
    let index = if at > 0 {
        usize::try_from(at).ok()? - 1
    } else {
        length.checked_sub(usize::try_from(at.checked_neg()?).ok()?)?
    };
    (index < length).then_some(index)
}

/// `a[i]`, `m[k]`, `v['path']`.
fn element_at(ctx: &Context<'_>) -> Value {
    let Some(whole) = text(ctx, 0).as_deref().and_then(Nested::parse) else {
        return Value::Null;
    };
    match whole {
        Nested::Array(elements) => {
            let at = integer(ctx, 1).and_then(|at| index(elements.len(), at));
            value_of(at.and_then(|at| elements.get(at)))
        }
        Nested::Map(entries) => {
            let key = nested(ctx.get_raw(1));
            let found = entries.iter().find(|(name, _)| name.same(&key));
            value_of(found.map(|(_, value)| value))
        }
        Nested::Null | Nested::Bare(_) | Nested::Quoted(_) => Value::Null,
    }
}

pub(super) fn register(connection: &Connection) -> Result<()> {
    making(connection)?;
    asking(connection)?;
    changing(connection)?;
    reducing(connection)?;
    maps(connection)
}

fn making(connection: &Connection) -> Result<()> {
    define(connection, &["array"], ANY, |ctx| {
        given((0..ctx.len()).map(|at| nested(ctx.get_raw(at))).collect())
    })?;
    define(connection, &["array_range", "sequence"], ANY, |ctx| {
        let (from, to) = if ctx.len() == 1 {
            (0, integer(ctx, 0)?)
        } else {
            (integer(ctx, 0)?, integer(ctx, 1)?)
        };
        let step = if ctx.len() > 2 { integer(ctx, 2)? } else { 1 };
        let step = usize::try_from(step).ok().filter(|step| *step > 0)?;
        let numbers = (from..to).step_by(step).take(1_000_000);
        given(numbers.map(|n| Nested::Bare(n.to_string())).collect())
    })?;
    define(connection, &["array_repeat"], 2, |ctx| {
        let count = usize::try_from(integer(ctx, 1)?.clamp(0, 1_000_000)).ok()?;
        given(vec![nested(ctx.get_raw(0)); count])
    })?;
    define(connection, &["array_with_constant"], 2, |ctx| {
        let count = usize::try_from(integer(ctx, 0)?.clamp(0, 1_000_000)).ok()?;
        given(vec![nested(ctx.get_raw(1)); count])
    })?;
    define(
        connection,
        &["split_by_string", "split_by_char"],
        2,
        |ctx| {
            let (whole, by) = (text(ctx, 0)?, text(ctx, 1)?);
            let parts: Vec<String> = match by.as_str() {
                "" => whole.chars().map(String::from).collect(),
                _ => whole.split(&by).map(str::to_owned).collect(),
            };
            given(parts.into_iter().map(Nested::Quoted).collect())
        },
    )
}

fn asking(connection: &Connection) -> Result<()> {
    define(
        connection,
        &["size", "cardinality", "array_size", "map_size"],
        1,
        |ctx| {
            Some(match Nested::parse(&text(ctx, 0)?)? {
                Nested::Array(elements) => size(elements.len()),
                Nested::Map(entries) => size(entries.len()),
                Nested::Null | Nested::Bare(_) | Nested::Quoted(_) => return None,
            })
        },
    )?;
    define(connection, &["element_at", "struct_element"], 2, element_at)?;
    define(connection, &["array_contains"], 2, |ctx| {
        Some(holds(&array(ctx, 0)?, &nested(ctx.get_raw(1))))
    })?;
    define(connection, &["array_position"], 2, |ctx| {
        let wanted = nested(ctx.get_raw(1));
        let at = array(ctx, 0)?.iter().position(|e| e.same(&wanted));
        Some(at.map_or(0, |at| size(at) + 1))
    })?;
    define(connection, &["countequal"], 2, |ctx| {
        let wanted = nested(ctx.get_raw(1));
        Some(size(
            array(ctx, 0)?.iter().filter(|e| e.same(&wanted)).count(),
        ))
    })?;
    define(connection, &["arrays_overlap"], 2, |ctx| {
        let (a, b) = (array(ctx, 0)?, array(ctx, 1)?);
        Some(a.iter().any(|element| holds(&b, element)))
    })?;
    define(connection, &["array_contains_all"], 2, |ctx| {
        let (a, b) = (array(ctx, 0)?, array(ctx, 1)?);
        Some(b.iter().all(|element| holds(&a, element)))
    })?;
    define(connection, &["array_join"], ANY, |ctx| {
        let separator = text(ctx, 1)?;
        let filler = text(ctx, 2);
        let cells = array(ctx, 0)?;
        let cells: Vec<String> = cells
            .iter()
            .filter_map(|e| e.cell().or_else(|| filler.clone()))
            .collect();
        Some(cells.join(&separator))
    })
}

fn changing(connection: &Connection) -> Result<()> {
    define(connection, &["array_distinct"], 1, |ctx| {
        given(distinct(array(ctx, 0)?))
    })?;
    define(connection, &["array_sort"], 1, |ctx| {
        let mut elements = array(ctx, 0)?;
        elements.sort_by(Nested::order);
        given(elements)
    })?;
    define(connection, &["array_reverse_sort"], 1, |ctx| {
        let mut elements = array(ctx, 0)?;
        elements.sort_by(|a, b| b.order(a));
        given(elements)
    })?;
    define(connection, &["array_compact"], 1, |ctx| {
        let mut elements = array(ctx, 0)?;
        elements.dedup_by(|a, b| a.same(b));
        given(elements)
    })?;
    define(connection, &["array_remove"], 2, |ctx| {
        let wanted = nested(ctx.get_raw(1));
        let mut elements = array(ctx, 0)?;
        elements.retain(|e| !e.same(&wanted));
        given(elements)
    })?;
    define(connection, &["array_pushback", "array_append"], 2, |ctx| {
        let mut elements = array(ctx, 0)?;
        elements.push(nested(ctx.get_raw(1)));
        given(elements)
    })?;
    define(
        connection,
        &["array_pushfront", "array_prepend"],
        2,
        |ctx| {
            let mut elements = array(ctx, 0)?;
            elements.insert(0, nested(ctx.get_raw(1)));
            given(elements)
        },
    )?;
    define(connection, &["array_popback"], 1, |ctx| {
        let mut elements = array(ctx, 0)?;
        elements.pop();
        given(elements)
    })?;
    define(connection, &["array_popfront"], 1, |ctx| {
        given(array(ctx, 0)?.into_iter().skip(1).collect())
    })?;
    // `a[from:length]` arrives as element_at(a, from, length).
    for (name, arguments) in [("array_slice", ANY), ("element_at", 3)] {
        define(connection, &[name], arguments, slice)?;
    }
    define(connection, &["array_concat"], ANY, |ctx| {
        let mut all = Vec::new();
        for at in 0..ctx.len() {
            all.extend(array(ctx, at)?);
        }
        given(all)
    })?;
    define(connection, &["array_union"], ANY, |ctx| {
        let mut all = Vec::new();
        for at in 0..ctx.len() {
            all.extend(array(ctx, at)?);
        }
        given(distinct(all))
    })?;
    define(connection, &["array_intersect"], ANY, |ctx| {
        let mut kept = array(ctx, 0)?;
        for at in 1..ctx.len() {
            let other = array(ctx, at)?;
            kept.retain(|element| holds(&other, element));
        }
        given(distinct(kept))
    })?;
    define(connection, &["array_except"], 2, |ctx| {
        let (mut a, b) = (array(ctx, 0)?, array(ctx, 1)?);
        a.retain(|element| !holds(&b, element));
        given(distinct(a))
    })
}

/// Elements from a place on, at most so many.
fn slice(ctx: &Context<'_>) -> Option<String> {
    let elements = array(ctx, 0)?;
    let from = index(elements.len(), integer(ctx, 1)?).unwrap_or(elements.len());
    let length = match ctx.len() {
        2 => elements.len(),
        _ => usize::try_from(integer(ctx, 2)?).unwrap_or(0),
    };
    given(elements.into_iter().skip(from).take(length).collect())
}

fn reducing(connection: &Connection) -> Result<()> {
    let numbers = |ctx: &Context<'_>| -> Option<Vec<f64>> {
        let numbers: Vec<f64> = array(ctx, 0)?.iter().filter_map(Nested::number).collect();
        (!numbers.is_empty()).then_some(numbers)
    };
    #[allow(clippy::cast_possible_truncation)] // whole numbers below 2^53
    let shown = |number: f64| {
        if number.fract() == 0.0 && number.abs() < 9e15 {
            Value::Integer(number as i64)
        } else {
            Value::Real(number)
        }
    };
    define(connection, &["array_sum"], 1, move |ctx| {
        numbers(ctx).map(|n| shown(n.iter().sum()))
    })?;
    define(connection, &["array_product"], 1, move |ctx| {
        numbers(ctx).map(|n| shown(n.iter().product()))
    })?;
    #[allow(clippy::cast_precision_loss)] // lengths are small
    define(connection, &["array_avg"], 1, move |ctx| {
        numbers(ctx).map(|n| n.iter().sum::<f64>() / n.len() as f64)
    })?;
    define(connection, &["array_min"], 1, |ctx| {
        let elements = array(ctx, 0);
        let known = elements.iter().flatten().filter(|e| **e != Nested::Null);
        value_of(known.min_by(|a, b| a.order(b)))
    })?;
    define(connection, &["array_max"], 1, |ctx| {
        let elements = array(ctx, 0);
        let known = elements.iter().flatten().filter(|e| **e != Nested::Null);
        value_of(known.max_by(|a, b| a.order(b)))
    })
}

fn maps(connection: &Connection) -> Result<()> {
    define(connection, &["map"], ANY, |ctx| {
        let pairs = (0..ctx.len() / 2)
            .map(|at| (nested(ctx.get_raw(2 * at)), nested(ctx.get_raw(2 * at + 1))))
            .collect();
        Some(Nested::Map(pairs).to_string())
    })?;
    define(connection, &["named_struct"], ANY, |ctx| {
        let pairs = (0..ctx.len() / 2)
            .map(|at| (nested(ctx.get_raw(2 * at)), nested(ctx.get_raw(2 * at + 1))))
            .collect();
        Some(Nested::Map(pairs).to_string())
    })?;
    define(connection, &["struct"], ANY, |ctx| {
        let pairs = (0..ctx.len())
            .map(|at| {
                let name = Nested::Quoted(format!("col{}", at + 1));
                (name, nested(ctx.get_raw(at)))
            })
            .collect();
        Some(Nested::Map(pairs).to_string())
    })?;
    define(connection, &["map_keys"], 1, |ctx| {
        given(entries(ctx, 0)?.into_iter().map(|(key, _)| key).collect())
    })?;
    define(connection, &["map_values"], 1, |ctx| {
        given(
            entries(ctx, 0)?
                .into_iter()
                .map(|(_, value)| value)
                .collect(),
        )
    })?;
    define(connection, &["map_contains_key"], 2, |ctx| {
        let wanted = nested(ctx.get_raw(1));
        Some(entries(ctx, 0)?.iter().any(|(key, _)| key.same(&wanted)))
    })?;
    define(connection, &["map_contains_value"], 2, |ctx| {
        let wanted = nested(ctx.get_raw(1));
        Some(
            entries(ctx, 0)?
                .iter()
                .any(|(_, value)| value.same(&wanted)),
        )
    })?;
    define(connection, &["str_to_map"], ANY, |ctx| {
        let whole = text(ctx, 0)?;
        let pair = text(ctx, 1).unwrap_or_else(|| ",".to_owned());
        let colon = text(ctx, 2).unwrap_or_else(|| ":".to_owned());
        let pairs = whole.split(&pair).map(|part| {
            let (key, value) = part.split_once(&colon).unwrap_or((part, ""));
            (
                Nested::Quoted(key.to_owned()),
                Nested::Quoted(value.to_owned()),
            )
        });
        Some(Nested::Map(pairs.collect()).to_string())
    })?;
    // The rows of `LATERAL VIEW explode(x)`, as JSON for json_each.
    define(connection, &["explode_rows"], 2, |ctx| {
        let how = text(ctx, 0)?;
        let json = |value: &Nested| match value {
            Nested::Bare(text) => serde_json::from_str(text)
                .unwrap_or_else(|_| serde_json::Value::String(text.clone())),
            Nested::Null => serde_json::Value::Null,
            other @ (Nested::Quoted(_) | Nested::Array(_) | Nested::Map(_)) => {
                serde_json::Value::String(other.cell().unwrap_or_default())
            }
        };
        let rows: Vec<serde_json::Value> = match how.as_str() {
            "bitmap" => text(ctx, 1)?
                .split(',')
                .filter(|part| !part.is_empty())
                .map(|part| serde_json::from_str(part).unwrap_or_else(|_| part.into()))
                .collect(),
            "numbers" => (0..integer(ctx, 1)?.clamp(0, 1_000_000))
                .map(Into::into)
                .collect(),
            "map" => {
                return Some(
                    serde_json::Value::Object(
                        entries(ctx, 1)?
                            .iter()
                            .map(|(key, value)| (key.cell().unwrap_or_default(), json(value)))
                            .collect(),
                    )
                    .to_string(),
                );
            }
            _ => array(ctx, 1)?.iter().map(json).collect(),
        };
        Some(serde_json::Value::Array(rows).to_string())
    })
}
