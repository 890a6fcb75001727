//! Functions of JSON.

use rusqlite::functions::Context;
use rusqlite::types::Value;
use rusqlite::{Connection, Result};
use serde_json::Value as Json;

use super::functions::{ANY, define, size, text};

/// One step of a path such as `$.a."b c"[0]`.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    At(usize),
}

/// `$.a.b[0]`; a path without `$` is a single key.
fn steps(path: &str) -> Option<Vec<Step>> {
    let Some(mut rest) = path.trim().strip_prefix('$') else {
        return Some(vec![Step::Key(path.to_owned())]);
    };
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(behind) = rest.strip_prefix('[') {
            let end = behind.find(']')?;
            steps.push(Step::At(behind[..end].trim().parse().ok()?));
            rest = &behind[end + 1..];
        } else if let Some(behind) = rest.strip_prefix(".\"") {
            let end = behind.find('"')?;
            steps.push(Step::Key(behind[..end].to_owned()));
            rest = &behind[end + 1..];
        } else {
            let behind = rest.strip_prefix('.')?;
            let end = behind.find(['.', '[']).unwrap_or(behind.len());
            steps.push(Step::Key(behind[..end].to_owned()));
            rest = &behind[end..];
        }
    }
    Some(steps)
}

fn walk<'a>(value: &'a Json, path: &str) -> Option<&'a Json> {
    steps(path)?
        .iter()
        .try_fold(value, |value, step| match step {
            Step::Key(key) => value.get(key),
            // A scalar is an array of one, as MySQL has it.
            Step::At(0) if !value.is_array() => Some(value),
            Step::At(at) => value.get(at),
        })
}

fn json(ctx: &Context<'_>, at: usize) -> Option<Json> {
    serde_json::from_str(&text(ctx, at)?).ok()
}

/// The value at the path of the second argument.
fn at_path(ctx: &Context<'_>) -> Option<Json> {
    walk(&json(ctx, 0)?, &text(ctx, 1)?).cloned()
}

fn plain(value: &Json) -> Option<String> {
    match value {
        Json::Null => None,
        Json::String(text) => Some(text.clone()),
        other @ (Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_)) => {
            Some(other.to_string())
        }
    }
}

pub(super) fn register(connection: &Connection) -> Result<()> {
    reading(connection)?;
    define(connection, &["json_valid"], 1, |ctx| {
        text(ctx, 0).map(|text| serde_json::from_str::<Json>(&text).is_ok())
    })?;
    define(connection, &["json_type", "jsonb_type"], ANY, |ctx| {
        let value = if ctx.len() > 1 {
            at_path(ctx)?
        } else {
            json(ctx, 0)?
        };
        Some(match value {
            Json::Null => "null",
            Json::Bool(_) => "bool",
            Json::Number(number) if number.is_f64() => "double",
            Json::Number(number) => match number.as_i64() {
                Some(n) if i32::try_from(n).is_ok() => "int",
                _ => "bigint",
            },
            Json::String(_) => "string",
            Json::Array(_) => "array",
            Json::Object(_) => "object",
        })
    })?;
    define(connection, &["json_length"], ANY, |ctx| {
        let value = if ctx.len() > 1 {
            at_path(ctx)?
        } else {
            json(ctx, 0)?
        };
        Some(match value {
            Json::Array(elements) => size(elements.len()),
            Json::Object(entries) => size(entries.len()),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => 1,
        })
    })?;
    define(connection, &["json_keys"], ANY, |ctx| {
        let value = if ctx.len() > 1 {
            at_path(ctx)?
        } else {
            json(ctx, 0)?
        };
        let keys: Vec<String> = value.as_object()?.keys().cloned().collect();
        Some(
            super::nested::Nested::Array(
                keys.into_iter()
                    .map(super::nested::Nested::Quoted)
                    .collect(),
            )
            .to_string(),
        )
    })?;
    define(connection, &["json_contains"], ANY, |ctx| {
        let whole = json(ctx, 0)?;
        let within = match text(ctx, 2) {
            Some(path) => walk(&whole, &path)?.clone(),
            None => whole,
        };
        Some(contains(&within, &json(ctx, 1)?))
    })?;
    define(connection, &["json_unquote"], 1, |ctx| {
        let whole = text(ctx, 0)?;
        Some(match serde_json::from_str::<Json>(&whole) {
            Ok(Json::String(text)) => text,
            _ => whole,
        })
    })?;
    define(connection, &["json_quote"], 1, |ctx| {
        text(ctx, 0).map(|text| Json::String(text).to_string())
    })?;
    for name in [
        "json_parse",
        "jsonb_parse",
        "json_parse_error_to_null",
        "to_json",
        "parse_to_variant",
    ] {
        define(connection, &[name], 1, |ctx| {
            let whole = text(ctx, 0)?;
            json(ctx, 0).map_or(Some(whole), |json| Some(json.to_string()))
        })?;
    }
    Ok(())
}

fn contains(whole: &Json, part: &Json) -> bool {
    match (whole, part) {
        (Json::Array(elements), Json::Array(wanted)) => wanted
            .iter()
            .all(|part| elements.iter().any(|element| contains(element, part))),
        (Json::Array(elements), part) => elements.iter().any(|element| contains(element, part)),
        (Json::Object(entries), Json::Object(wanted)) => wanted
            .iter()
            .all(|(key, part)| entries.get(key).is_some_and(|value| contains(value, part))),
        (whole, part) => whole == part,
    }
}

fn reading(connection: &Connection) -> Result<()> {
    define(connection, &["json_extract", "jsonb_extract"], ANY, |ctx| {
        let whole = json(ctx, 0)?;
        if ctx.len() == 2 {
            return Some(walk(&whole, &text(ctx, 1)?)?.to_string());
        }
        let found = (1..ctx.len())
            .filter_map(|at| walk(&whole, &text(ctx, at)?).cloned())
            .collect();
        Some(Json::Array(found).to_string())
    })?;
    define(
        connection,
        &[
            "get_json_string",
            "json_extract_string",
            "jsonb_extract_string",
            "json_value",
        ],
        2,
        |ctx| at_path(ctx).as_ref().and_then(plain),
    )?;
    define(
        connection,
        &[
            "get_json_int",
            "get_json_bigint",
            "json_extract_int",
            "json_extract_bigint",
            "jsonb_extract_int",
            "jsonb_extract_bigint",
        ],
        2,
        |ctx| match at_path(ctx)? {
            Json::Number(number) => number.as_i64(),
            Json::Bool(flag) => Some(i64::from(flag)),
            Json::String(text) => text.trim().parse().ok(),
            Json::Null | Json::Array(_) | Json::Object(_) => None,
        },
    )?;
    define(
        connection,
        &[
            "get_json_double",
            "json_extract_double",
            "jsonb_extract_double",
        ],
        2,
        |ctx| match at_path(ctx)? {
            Json::Number(number) => number.as_f64(),
            Json::String(text) => text.trim().parse().ok(),
            Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => None,
        },
    )?;
    define(
        connection,
        &["get_json_bool", "json_extract_bool", "jsonb_extract_bool"],
        2,
        |ctx| at_path(ctx)?.as_bool(),
    )?;
    define(
        connection,
        &["json_extract_isnull", "jsonb_extract_isnull"],
        2,
        |ctx| Some(at_path(ctx)?.is_null()),
    )?;
    define(
        connection,
        &["json_exists_path", "jsonb_exists_path"],
        2,
        |ctx| Some(walk(&json(ctx, 0)?, &text(ctx, 1)?).is_some()),
    )?;
    define(connection, &["json_array_element"], 2, |ctx| {
        at_path(ctx).as_ref().and_then(plain).map(Value::Text)
    })
}

#[cfg(test)]
mod tests {
    use super::walk;

    #[test]
    fn paths_find_members_and_elements() {
        let value: serde_json::Value =
            serde_json::from_str(r#"{"a":{"b c":[1,{"d":true}]},"e":5}"#).unwrap();
        for (path, wanted) in [
            ("$.e", "5"),
            ("e", "5"),
            ("$.a.\"b c\"[0]", "1"),
            ("$.a.\"b c\"[1].d", "true"),
            ("$.e[0]", "5"),
        ] {
            assert_eq!(walk(&value, path).unwrap().to_string(), wanted, "{path}");
        }
        for path in ["$.x", "$.a[1]", "$.a.\"b c\"[2]", "$.a.\"b"] {
            assert!(walk(&value, path).is_none(), "{path}");
        }
    }
}
