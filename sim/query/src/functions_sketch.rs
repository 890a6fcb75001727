//! BITMAP, HLL and quantile states: sorted lists of their members, with commas between.

use std::collections::BTreeSet;

use rusqlite::functions::Context;
use rusqlite::{Connection, Result};

use super::define::{ANY, define, integer, size, text};
use super::nested::Nested;

/// A list of members: in order of numbers where they are numbers.
pub(super) type Members = BTreeSet<(u128, String)>;

pub(super) fn members(text: &str) -> Members {
    text.split(',')
        .map(str::trim)
        .filter(|member| !member.is_empty())
        .map(|member| (member.parse().unwrap_or(u128::MAX), member.to_owned()))
        .collect()
}

pub(super) fn joined(members: &Members) -> String {
    let members: Vec<&str> = members.iter().map(|(_, member)| member.as_str()).collect();
    members.join(",")
}

fn set(ctx: &Context<'_>, at: usize) -> Option<Members> {
    text(ctx, at).map(|text| members(&text))
}

pub(super) fn register(connection: &Connection) -> Result<()> {
    making(connection)?;
    define(connection, &["bitmap_count", "hll_cardinality"], 1, |ctx| {
        Some(set(ctx, 0).map_or(0, |members| size(members.len())))
    })?;
    define(connection, &["bitmap_to_string"], 1, |ctx| {
        set(ctx, 0).map(|members| joined(&members))
    })?;
    define(connection, &["bitmap_to_array"], 1, |ctx| {
        let members = set(ctx, 0)?
            .into_iter()
            .map(|(_, member)| Nested::Bare(member));
        Some(Nested::Array(members.collect()).to_string())
    })?;
    define(connection, &["bitmap_contains"], 2, |ctx| {
        let wanted = text(ctx, 1)?;
        Some(set(ctx, 0)?.iter().any(|(_, member)| *member == wanted))
    })?;
    define(connection, &["bitmap_has_any"], 2, |ctx| {
        Some(!set(ctx, 0)?.is_disjoint(&set(ctx, 1)?))
    })?;
    define(connection, &["bitmap_has_all"], 2, |ctx| {
        Some(set(ctx, 1)?.is_subset(&set(ctx, 0)?))
    })?;
    define(connection, &["bitmap_min"], 1, |ctx| {
        set(ctx, 0)?.first().map(|(_, m)| m.clone())
    })?;
    define(connection, &["bitmap_max"], 1, |ctx| {
        set(ctx, 0)?.last().map(|(_, m)| m.clone())
    })?;
    combining(connection)
}

fn making(connection: &Connection) -> Result<()> {
    define(
        connection,
        &["to_bitmap", "to_bitmap_with_check"],
        1,
        |ctx| {
            Some(
                integer(ctx, 0)
                    .filter(|n| *n >= 0)
                    .map_or_else(String::new, |n| n.to_string()),
            )
        },
    )?;
    for name in ["bitmap_hash", "bitmap_hash64"] {
        define(connection, &[name], 1, |ctx| {
            Some(
                text(ctx, 0)
                    .map_or_else(String::new, |t| crc32fast::hash(t.as_bytes()).to_string()),
            )
        })?;
    }
    define(connection, &["hll_hash"], 1, |ctx| {
        Some(text(ctx, 0).map_or_else(String::new, |t| crc32fast::hash(t.as_bytes()).to_string()))
    })?;
    define(connection, &["to_quantile_state"], ANY, |ctx| text(ctx, 0))?;
    define(connection, &["bitmap_empty", "hll_empty"], 0, |_| {
        String::new()
    })?;
    define(connection, &["bitmap_from_string"], 1, |ctx| {
        set(ctx, 0).map(|m| joined(&m))
    })?;
    define(connection, &["bitmap_from_array"], 1, |ctx| {
        let elements = Nested::elements(&text(ctx, 0)?)?;
        let cells: Vec<String> = elements.iter().filter_map(Nested::cell).collect();
        Some(joined(&members(&cells.join(","))))
    })
}

fn combining(connection: &Connection) -> Result<()> {
    type Two = fn(&Members, &Members) -> Members;
    // Of any number of bitmaps. A NULL makes an intersection NULL, the others leave it out.
    let many: [(&str, Two, bool); 3] = [
        ("bitmap_and", |a, b| a & b, false),
        ("bitmap_or", |a, b| a | b, true),
        ("bitmap_xor", |a, b| a ^ b, true),
    ];
    for (name, combine, skips_null) in many {
        let fold = move |ctx: &Context<'_>| {
            let mut all = Vec::new();
            for at in 0..ctx.len() {
                match set(ctx, at) {
                    Some(members) => all.push(members),
                    None if skips_null => {}
                    None => return None,
                }
            }
            all.into_iter().reduce(|a, b| combine(&a, &b))
        };
        define(connection, &[name], ANY, move |ctx| {
            fold(ctx).map(|members| joined(&members))
        })?;
        let counted = format!("{name}_count");
        define(connection, &[&counted], ANY, move |ctx| {
            fold(ctx).map(|members| size(members.len()))
        })?;
    }
    let two: [(&str, Two); 3] = [
        ("bitmap_not", |a, b| a - b),
        ("bitmap_and_not", |a, b| a - b),
        ("bitmap_andnot", |a, b| a - b),
    ];
    for (name, combine) in two {
        define(connection, &[name], 2, move |ctx| {
            Some(joined(&combine(&set(ctx, 0)?, &set(ctx, 1)?)))
        })?;
        let counted = format!("{name}_count");
        define(connection, &[&counted], 2, move |ctx| {
            Some(size(combine(&set(ctx, 0)?, &set(ctx, 1)?).len()))
        })?;
    }
    Ok(())
}
