//! Arrays, maps and structs: their making, their sizes, their elements.

use rusqlite::functions::Context;
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Result};

use super::define::{ANY, define, integer, size, text, text_of};
use super::nested::Nested;

/// An argument as an element: text that is an array or a map keeps its shape.
fn nested(value: ValueRef<'_>) -> Nested {
    match value {
        ValueRef::Null => Nested::Null,
        ValueRef::Integer(_) | ValueRef::Real(_) => {
            text_of(value).map_or(Nested::Null, Nested::Bare)
        }
        ValueRef::Text(_) | ValueRef::Blob(_) => {
            let text = text_of(value).unwrap_or_default();
            Nested::parse(&text).unwrap_or(Nested::Quoted(text))
        }
    }
}

/// A value of SQLite for a cell: numbers are numbers again.
fn value_of(value: Option<&Nested>) -> Value {
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

/// Pairs of arguments: keys and values.
fn pairs(ctx: &Context<'_>) -> Nested {
    let pair = |at: usize| (nested(ctx.get_raw(2 * at)), nested(ctx.get_raw(2 * at + 1)));
    Nested::Map((0..ctx.len() / 2).map(pair).collect())
}

pub(super) fn register(connection: &Connection) -> Result<()> {
    define(connection, &["array"], ANY, |ctx| {
        let elements = (0..ctx.len()).map(|at| nested(ctx.get_raw(at)));
        Nested::Array(elements.collect()).to_string()
    })?;
    define(connection, &["map", "named_struct"], ANY, |ctx| {
        pairs(ctx).to_string()
    })?;
    define(connection, &["struct"], ANY, |ctx| {
        let member = |at: usize| {
            let name = Nested::Quoted(format!("col{}", at + 1));
            (name, nested(ctx.get_raw(at)))
        };
        Nested::Map((0..ctx.len()).map(member).collect()).to_string()
    })?;
    let sizes = ["size", "cardinality", "array_size", "map_size"];
    define(connection, &sizes, 1, |ctx| {
        match Nested::parse(&text(ctx, 0)?)? {
            Nested::Array(elements) => Some(size(elements.len())),
            Nested::Map(entries) => Some(size(entries.len())),
            Nested::Null | Nested::Bare(_) | Nested::Quoted(_) => None,
        }
    })?;
    define(connection, &["element_at", "struct_element"], 2, element_at)
}
