//! Functions of text, and the patterns of REGEXP and MATCH.

use base64::Engine as _;
use regex::Regex;
use rusqlite::functions::Context;
use rusqlite::{Connection, Error, Result};
use sha1::{Digest, Sha1};

use super::functions::{ANY, define, integer, size, text};
use super::nested::Nested;

pub(super) fn register(connection: &Connection) -> Result<()> {
    patterns(connection)?;
    search(connection)?;
    shape(connection)?;
    codes(connection)
}

fn pattern(text: &str) -> std::result::Result<Regex, Error> {
    regex::RegexBuilder::new(text)
        .size_limit(1 << 20)
        .build()
        .map_err(|error| {
            Error::UserFunctionError(
                format!("Invalid regex expression: {text}. Detail: {error}").into(),
            )
        })
}

fn fallible<T, F>(connection: &Connection, name: &str, arguments: i32, function: F) -> Result<()>
where
    T: rusqlite::functions::SqlFnOutput,
    F: Fn(&Context<'_>) -> Result<T> + Send + 'static,
{
    use rusqlite::functions::FunctionFlags;
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function(name, arguments, flags, function)
}

fn patterns(connection: &Connection) -> Result<()> {
    // `x REGEXP y` arrives as regexp(y, x).
    fallible(connection, "regexp", 2, |ctx| {
        let (Some(wanted), Some(whole)) = (text(ctx, 0), text(ctx, 1)) else {
            return Ok(None);
        };
        Ok(Some(pattern(&wanted)?.is_match(&whole)))
    })?;
    fallible(connection, "regexp_extract", 3, |ctx| {
        let (Some(whole), Some(wanted), Some(group)) =
            (text(ctx, 0), text(ctx, 1), integer(ctx, 2))
        else {
            return Ok(None);
        };
        let group = usize::try_from(group).unwrap_or(usize::MAX);
        let pattern = pattern(&wanted)?;
        let found = pattern.captures(&whole).and_then(|c| c.get(group));
        Ok(Some(
            found.map_or_else(String::new, |m| m.as_str().to_owned()),
        ))
    })?;
    fallible(connection, "regexp_extract_all", 2, |ctx| {
        let (Some(whole), Some(wanted)) = (text(ctx, 0), text(ctx, 1)) else {
            return Ok(None);
        };
        let pattern = pattern(&wanted)?;
        let found: Vec<String> = pattern
            .captures_iter(&whole)
            .filter_map(|c| c.get(1).map(|m| format!("'{}'", m.as_str())))
            .collect();
        Ok(Some(if found.is_empty() {
            String::new()
        } else {
            format!("[{}]", found.join(","))
        }))
    })?;
    for (name, all) in [("regexp_replace", true), ("regexp_replace_one", false)] {
        fallible(connection, name, 3, move |ctx| {
            let (Some(whole), Some(wanted), Some(by)) = (text(ctx, 0), text(ctx, 1), text(ctx, 2))
            else {
                return Ok(None);
            };
            // Groups are `\1` in Doris, `${1}` here.
            let mut replacement = by.replace('$', "$$");
            for group in 0..10 {
                replacement = replacement.replace(&format!("\\{group}"), &format!("${{{group}}}"));
            }
            let limit = if all { 0 } else { 1 };
            Ok(Some(
                pattern(&wanted)?
                    .replacen(&whole, limit, replacement.as_str())
                    .into_owned(),
            ))
        })?;
    }
    fallible(connection, "regexp_count", 2, |ctx| {
        let (Some(whole), Some(wanted)) = (text(ctx, 0), text(ctx, 1)) else {
            return Ok(None);
        };
        Ok(Some(size(pattern(&wanted)?.find_iter(&whole).count())))
    })?;
    // `c MATCH_ANY 'x y'` arrives as matched('MATCH_ANY', c, 'x y'): words without their case.
    fallible(connection, "matched", 3, |ctx| {
        let (Some(how), Some(whole), Some(wanted)) = (text(ctx, 0), text(ctx, 1), text(ctx, 2))
        else {
            return Ok(None);
        };
        if how == "MATCH_REGEXP" {
            let pattern = pattern(&wanted)?;
            return Ok(Some(
                words(&whole).iter().any(|word| pattern.is_match(word)),
            ));
        }
        Ok(Some(matches(&how, &words(&whole), &words(&wanted))))
    })
}

fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

fn matches(how: &str, whole: &[String], wanted: &[String]) -> bool {
    let phrase = |exact: bool| {
        wanted.is_empty()
            || whole.windows(wanted.len()).any(|run| {
                run.iter().zip(wanted).enumerate().all(|(at, (a, b))| {
                    a == b || !exact && at + 1 == wanted.len() && a.starts_with(b.as_str())
                })
            })
    };
    match how {
        "MATCH_ALL" => wanted.iter().all(|word| whole.contains(word)),
        "MATCH_PHRASE" | "MATCH_PHRASE_EDGE" => phrase(true),
        "MATCH_PHRASE_PREFIX" => phrase(false),
        _ => wanted.iter().any(|word| whole.contains(word)),
    }
}

fn search(connection: &Connection) -> Result<()> {
    define(connection, &["tokenize"], 2, |ctx| {
        let found = words(&text(ctx, 0)?).into_iter();
        let tokens = found
            .map(|word| serde_json::json!({ "token": word }))
            .collect();
        Some(serde_json::Value::Array(tokens).to_string())
    })?;
    define(connection, &["instr"], 2, |ctx| {
        let (whole, part) = (text(ctx, 0)?, text(ctx, 1)?);
        Some(found(&whole, &part, 0))
    })?;
    define(connection, &["locate", "position"], 3, |ctx| {
        let (part, whole) = (text(ctx, 0)?, text(ctx, 1)?);
        let skipped = usize::try_from(integer(ctx, 2)?).ok()?.checked_sub(1)?;
        Some(found(&whole, &part, skipped))
    })?;
    define(connection, &["position"], 2, |ctx| {
        Some(found(&text(ctx, 1)?, &text(ctx, 0)?, 0))
    })?;
    define(connection, &["find_in_set"], 2, |ctx| {
        let (wanted, list) = (text(ctx, 0)?, text(ctx, 1)?);
        Some(
            list.split(',')
                .position(|part| part == wanted)
                .map_or(0, |at| size(at) + 1),
        )
    })?;
    define(connection, &["field"], ANY, |ctx| {
        let wanted = text(ctx, 0)?;
        let at = (1..ctx.len()).position(|at| text(ctx, at).as_ref() == Some(&wanted));
        Some(at.map_or(0, |at| size(at) + 1))
    })?;
    define(connection, &["elt"], ANY, |ctx| {
        let at = usize::try_from(integer(ctx, 0)?)
            .ok()
            .filter(|at| *at > 0)?;
        text(ctx, at)
    })?;
    define(connection, &["strcmp"], 2, |ctx| {
        Some(match text(ctx, 0)?.cmp(&text(ctx, 1)?) {
            std::cmp::Ordering::Less => -1,
            std::cmp::Ordering::Equal => 0,
            std::cmp::Ordering::Greater => 1,
        })
    })?;
    define(connection, &["substring_index"], 3, |ctx| {
        let (whole, by, count) = (text(ctx, 0)?, text(ctx, 1)?, integer(ctx, 2)?);
        if by.is_empty() || count == 0 {
            return Some(String::new());
        }
        let parts: Vec<&str> = whole.split(&by).collect();
        let taken = usize::try_from(count.unsigned_abs()).ok()?.min(parts.len());
        Some(if count > 0 {
            parts[..taken].join(&by)
        } else {
            parts[parts.len() - taken..].join(&by)
        })
    })?;
    define(connection, &["null_or_empty"], 1, |ctx| {
        text(ctx, 0).is_none_or(|text| text.is_empty())
    })?;
    define(connection, &["not_null_or_empty"], 1, |ctx| {
        text(ctx, 0).is_some_and(|text| !text.is_empty())
    })
}

/// Position in characters from 1, 0 when there is none behind `skipped` characters.
fn found(whole: &str, part: &str, skipped: usize) -> i64 {
    let start = whole
        .char_indices()
        .nth(skipped)
        .map_or(whole.len(), |(at, _)| at);
    whole[start..]
        .find(part)
        .map_or(0, |at| size(whole[..start + at].chars().count()) + 1)
}

fn shape(connection: &Connection) -> Result<()> {
    define(connection, &["upper"], 1, |ctx| {
        text(ctx, 0).map(|t| t.to_uppercase())
    })?;
    define(connection, &["lower"], 1, |ctx| {
        text(ctx, 0).map(|t| t.to_lowercase())
    })?;
    define(connection, &["initcap"], 1, |ctx| {
        let mut inside = false;
        let letters = text(ctx, 0)?;
        Some(
            letters
                .chars()
                .map(|c| {
                    let first = !inside;
                    inside = c.is_alphanumeric();
                    if first {
                        c.to_uppercase().collect::<String>()
                    } else {
                        c.to_lowercase().collect()
                    }
                })
                .collect::<String>(),
        )
    })?;
    define(connection, &["space"], 1, |ctx| {
        let count = usize::try_from(integer(ctx, 0)?.clamp(0, 1_000_000)).ok()?;
        Some(" ".repeat(count))
    })?;
    define(connection, &["append_trailing_char_if_absent"], 2, |ctx| {
        let (mut whole, last) = (text(ctx, 0)?, text(ctx, 1)?);
        if !whole.ends_with(&last) {
            whole.push_str(&last);
        }
        Some(whole)
    })?;
    define(connection, &["sub_replace"], ANY, |ctx| {
        let (whole, by) = (text(ctx, 0)?, text(ctx, 1)?);
        let from = usize::try_from(integer(ctx, 2)?).ok()?;
        let length = match ctx.len() {
            3 => by.chars().count(),
            _ => usize::try_from(integer(ctx, 3)?).ok()?,
        };
        let head: String = whole.chars().take(from).collect();
        let tail: String = whole.chars().skip(from + length).collect();
        Some(head + &by + &tail)
    })?;
    // As many letters as thousands, three digits at most: facts from answers of Doris.
    define(connection, &["format_number"], 1, |ctx| {
        let value: f64 = text(ctx, 0)?.trim().parse().ok()?;
        let units = ["", "K", "M", "B", "T", "Q"];
        let (mut part, mut unit) = (value.abs(), 0);
        while part >= 1000.0 && unit + 1 < units.len() {
            part /= 1000.0;
            unit += 1;
        }
        let places = if part == 0.0 || (part > 1.0 && part < 10.0) {
            2
        } else {
            usize::from(part > 10.0 && part < 100.0)
        };
        let sign = if value < 0.0 { "-" } else { "" };
        Some(format!("{sign}{part:.places$}{}", units[unit]))
    })?;
    define(connection, &["money_format"], 1, |ctx| {
        let value = crate::model::DataType::Decimal(76, 2)
            .canonicalize(text(ctx, 0)?.trim())
            .ok()??;
        let digits = value.trim_start_matches('-');
        let (whole, fraction) = digits.split_once('.')?;
        let mut grouped = String::new();
        for (at, digit) in whole.chars().enumerate() {
            if at > 0 && (whole.len() - at).is_multiple_of(3) {
                grouped.push(',');
            }
            grouped.push(digit);
        }
        let sign = if value.starts_with('-') { "-" } else { "" };
        Some(format!("{sign}{grouped}.{fraction}"))
    })?;
    define(connection, &["split_by_regexp"], 2, |ctx| {
        let whole = text(ctx, 0)?;
        let pattern = pattern(&text(ctx, 1)?).ok()?;
        let parts = pattern
            .split(&whole)
            .map(|part| Nested::Quoted(part.to_owned()));
        Some(Nested::Array(parts.collect()).to_string())
    })
}

fn codes(connection: &Connection) -> Result<()> {
    define(connection, &["ascii"], 1, |ctx| {
        text(ctx, 0).map(|t| t.bytes().next().map_or(0, i64::from))
    })?;
    define(connection, &["ord"], 1, |ctx| {
        text(ctx, 0).map(|t| t.chars().next().map_or(0, |c| i64::from(u32::from(c))))
    })?;
    define(connection, &["hex"], 1, |ctx| {
        use rusqlite::types::ValueRef;
        match ctx.get_raw(0) {
            ValueRef::Integer(number) => Some(format!("{number:X}")),
            ValueRef::Null => None,
            ValueRef::Real(_) | ValueRef::Text(_) | ValueRef::Blob(_) => {
                text(ctx, 0).map(|t| hex::encode_upper(t.as_bytes()))
            }
        }
    })?;
    define(connection, &["unhex"], 1, |ctx| {
        let bytes = hex::decode(text(ctx, 0)?).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    })?;
    define(connection, &["to_base64"], 1, |ctx| {
        text(ctx, 0).map(|t| base64::engine::general_purpose::STANDARD.encode(t))
    })?;
    define(connection, &["from_base64"], 1, |ctx| {
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(text(ctx, 0)?)
            .ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    })?;
    define(connection, &["sha", "sha1"], 1, |ctx| {
        text(ctx, 0).map(|t| hex::encode(Sha1::digest(t.as_bytes())))
    })?;
    define(connection, &["md5sum"], ANY, |ctx| {
        use md5::Digest as _;
        let whole: String = (0..ctx.len()).filter_map(|at| text(ctx, at)).collect();
        Some(hex::encode(md5::Md5::digest(whole.as_bytes())))
    })
}

#[cfg(test)]
mod tests {
    use super::{matches, words};

    #[test]
    fn words_are_matched_without_case_and_in_order_when_asked() {
        let whole = words("The quick Brown-fox");
        for (how, wanted, hit) in [
            ("MATCH_ANY", "slow fox", true),
            ("MATCH_ALL", "slow fox", false),
            ("MATCH_ALL", "fox quick", true),
            ("MATCH_PHRASE", "brown fox", true),
            ("MATCH_PHRASE", "fox brown", false),
            ("MATCH_PHRASE_PREFIX", "quick bro", true),
        ] {
            assert_eq!(matches(how, &whole, &words(wanted)), hit, "{how} {wanted}");
        }
    }
}
