//! More functions of text: masks, trimming of sets, URLs, counting, and addresses of networks.

use std::net::{Ipv4Addr, Ipv6Addr};

use rusqlite::types::Value;
use rusqlite::{Connection, Result};
use sha2::Digest as _;

use super::functions::{ANY, define, integer, size, text};
use super::functions_nested::{array, given};
use super::nested::Nested;

pub(super) fn register(connection: &Connection) -> Result<()> {
    shapes(connection)?;
    masks(connection)?;
    urls(connection)?;
    searches(connection)?;
    addresses(connection)
}

fn shapes(connection: &Connection) -> Result<()> {
    let sides = [
        ("trim_in", true, true),
        ("ltrim_in", true, false),
        ("rtrim_in", false, true),
    ];
    for (name, left, right) in sides {
        for arguments in [1, 2] {
            define(connection, &[name], arguments, move |ctx| {
                let whole = text(ctx, 0)?;
                let set = if ctx.len() > 1 {
                    text(ctx, 1)?
                } else {
                    " ".to_owned()
                };
                let mut rest = whole.as_str();
                if left {
                    rest = rest.trim_start_matches(|c| set.contains(c));
                }
                if right {
                    rest = rest.trim_end_matches(|c| set.contains(c));
                }
                Some(rest.to_owned())
            })?;
        }
    }
    define(connection, &["translate"], 3, |ctx| {
        let (whole, from, to) = (text(ctx, 0)?, text(ctx, 1)?, text(ctx, 2)?);
        let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
        Some(
            whole
                .chars()
                .filter_map(|c| match from.iter().position(|known| *known == c) {
                    Some(at) => to.get(at).copied(),
                    None => Some(c),
                })
                .collect::<String>(),
        )
    })?;
    define(connection, &["overlay"], 4, |ctx| {
        let (whole, at, length) = (text(ctx, 0)?, integer(ctx, 1)?, integer(ctx, 2)?);
        let part = text(ctx, 3)?;
        let chars: Vec<char> = whole.chars().collect();
        let Some(start) = usize::try_from(at)
            .ok()
            .filter(|at| (1..=chars.len()).contains(at))
        else {
            return Some(whole);
        };
        let end = usize::try_from(length).map_or(chars.len(), |n| (start - 1 + n).min(chars.len()));
        let head: String = chars[..start - 1].iter().collect();
        let tail: String = chars[end..].iter().collect();
        Some(head + &part + &tail)
    })?;
    define(connection, &["replace_empty"], 3, |ctx| {
        Some(text(ctx, 0)?.replace(&text(ctx, 1)?, &text(ctx, 2)?))
    })?;
    define(connection, &["format_round"], 2, |ctx| {
        let (number, places) = (text(ctx, 0)?.trim().parse::<f64>().ok()?, integer(ctx, 1)?);
        let places = usize::try_from(places)
            .ok()
            .filter(|places| *places <= 1024)?;
        let scale = 10_f64.powi(i32::try_from(places.min(15)).ok()?);
        let near = format!("{:.6}", number * scale)
            .parse::<f64>()
            .ok()?
            .round()
            / scale;
        let shown = format!("{near:.places$}");
        let (whole, fraction) = shown.split_once('.').unwrap_or((&shown, ""));
        let digits = whole.trim_start_matches('-');
        let mut grouped = String::new();
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                grouped.push(',');
            }
            grouped.push(digit);
        }
        let sign = if whole.starts_with('-') { "-" } else { "" };
        Some(match fraction {
            "" => format!("{sign}{grouped}"),
            fraction => format!("{sign}{grouped}.{fraction}"),
        })
    })?;
    define(connection, &["make_set"], ANY, |ctx| {
        let bits = integer(ctx, 0)?;
        let kept: Vec<_> = (1..ctx.len().min(65))
            .filter(|at| bits >> (at - 1) & 1 == 1)
            .filter_map(|at| text(ctx, at))
            .collect();
        Some(kept.join(","))
    })?;
    define(connection, &["unhex_null"], 1, |ctx| {
        let bytes = hex::decode(text(ctx, 0)?)
            .ok()
            .filter(|bytes| !bytes.is_empty())?;
        String::from_utf8(bytes).ok()
    })?;
    define(connection, &["sha2"], 2, |ctx| {
        let bytes = text(ctx, 0)?.into_bytes();
        Some(match integer(ctx, 1)? {
            224 => hex::encode(sha2::Sha224::digest(bytes)),
            256 | 0 => hex::encode(sha2::Sha256::digest(bytes)),
            384 => hex::encode(sha2::Sha384::digest(bytes)),
            512 => hex::encode(sha2::Sha512::digest(bytes)),
            _ => return None,
        })
    })?;
    define(connection, &["is_uuid"], 1, |ctx| {
        let whole = text(ctx, 0)?;
        let inner = whole
            .strip_prefix('{')
            .and_then(|w| w.strip_suffix('}'))
            .unwrap_or(&whole);
        let dashes = inner.len() == 36
            && [8, 13, 18, 23]
                .iter()
                .all(|at| inner.as_bytes()[*at] == b'-');
        let digits: String = inner.chars().filter(|c| *c != '-').collect();
        Some(
            (dashes || inner.len() == 32)
                && digits.len() == 32
                && digits.bytes().all(|b| b.is_ascii_hexdigit()),
        )
    })
}

/// `X` for capitals, `x` for small letters, `n` for digits.
fn masked(c: char, by: &[String; 3]) -> String {
    match c {
        'A'..='Z' => by[0].clone(),
        'a'..='z' => by[1].clone(),
        '0'..='9' => by[2].clone(),
        other => other.to_string(),
    }
}

fn masks(connection: &Connection) -> Result<()> {
    let usual = || ["X".to_owned(), "x".to_owned(), "n".to_owned()];
    define(connection, &["mask"], ANY, move |ctx| {
        let mut by = usual();
        for (at, mask) in by.iter_mut().enumerate() {
            if ctx.len() > at + 1 {
                *mask = text(ctx, at + 1)?.chars().take(1).collect();
            }
        }
        Some(
            text(ctx, 0)?
                .chars()
                .map(|c| masked(c, &by))
                .collect::<String>(),
        )
    })?;
    for (name, first) in [("mask_first_n", true), ("mask_last_n", false)] {
        define(connection, &[name], ANY, move |ctx| {
            let whole = text(ctx, 0)?;
            let length = whole.chars().count();
            let wanted = if ctx.len() > 1 {
                usize::try_from(integer(ctx, 1)?).ok()?
            } else {
                length
            };
            let by = usual();
            let inside = |at: usize| {
                if first {
                    at < wanted
                } else {
                    at + wanted >= length
                }
            };
            let chars = whole.chars().enumerate();
            Some(
                chars
                    .map(|(at, c)| {
                        if inside(at) {
                            masked(c, &by)
                        } else {
                            c.to_string()
                        }
                    })
                    .collect::<String>(),
            )
        })?;
    }
    define(connection, &["digital_masking"], 1, |ctx| {
        let whole = text(ctx, 0)?;
        let chars: Vec<char> = whole.chars().collect();
        let head: String = chars.iter().take(3).collect();
        let tail: String = chars[chars.len().saturating_sub(4)..].iter().collect();
        Some(format!("{head}****{tail}"))
    })
}

/// The parts of a URL that `parse_url` knows.
fn url_part(url: &str, part: &str) -> Option<String> {
    let trimmed = url.trim();
    let (protocol, rest) = trimmed.split_once("://")?;
    let (rest, reference) = match rest.split_once('#') {
        Some((rest, reference)) => (rest, Some(reference)),
        None => (rest, None),
    };
    let (before, query) = match rest.split_once('?') {
        Some((before, query)) => (before, Some(query)),
        None => (rest, None),
    };
    let (authority, path) = before
        .find('/')
        .map_or((before, ""), |at| before.split_at(at));
    let (user, host_port) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    let (host, port) = match host_port.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (host_port, None),
    };
    let file = || match query {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    match part.to_ascii_uppercase().as_str() {
        "PROTOCOL" => Some(protocol.to_owned()),
        "HOST" => Some(host.to_owned()),
        "PORT" => port.map(str::to_owned),
        "PATH" => Some(path.to_owned()),
        "QUERY" => query.map(str::to_owned),
        "REF" => reference.map(str::to_owned),
        "AUTHORITY" => Some(authority.to_owned()),
        "USERINFO" => user.map(str::to_owned),
        "FILE" => Some(file()),
        _ => None,
    }
}

fn urls(connection: &Connection) -> Result<()> {
    define(connection, &["parse_url"], 2, |ctx| {
        url_part(&text(ctx, 0)?, &text(ctx, 1)?)
    })?;
    define(connection, &["parse_url"], 3, |ctx| {
        let (url, wanted) = (text(ctx, 0)?, text(ctx, 2)?);
        let query = url_part(&url, &text(ctx, 1)?)?;
        query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find(|(name, _)| *name == wanted)
            .map(|(_, value)| value.to_owned())
    })?;
    define(connection, &["extract_url_parameter"], 2, |ctx| {
        let (url, wanted) = (text(ctx, 0)?, text(ctx, 1)?);
        let query = url.split_once('?').map_or("", |(_, query)| query);
        let query = query.split('#').next().unwrap_or_default();
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        Some(
            pairs
                .find(|(name, _)| *name == wanted)
                .map_or_else(String::new, |(_, v)| v.to_owned()),
        )
    })?;
    define(connection, &["url_decode"], 1, |ctx| {
        let whole = text(ctx, 0)?;
        let (mut bytes, mut at) = (Vec::new(), 0);
        let source = whole.as_bytes();
        while let Some(byte) = source.get(at) {
            let code = (*byte == b'%')
                .then(|| {
                    whole
                        .get(at + 1..at + 3)
                        .and_then(|hex| u8::from_str_radix(hex, 16).ok())
                })
                .flatten();
            match (code, byte) {
                (Some(code), _) => {
                    bytes.push(code);
                    at += 2;
                }
                (None, b'+') => bytes.push(b' '),
                (None, byte) => bytes.push(*byte),
            }
            at += 1;
        }
        Some(String::from_utf8_lossy(&bytes).into_owned())
    })?;
    define(connection, &["url_encode"], 1, |ctx| {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(byte);
        let whole = text(ctx, 0)?;
        Some(
            whole
                .as_bytes()
                .iter()
                .map(|byte| {
                    if plain(byte) {
                        char::from(*byte).to_string()
                    } else {
                        format!("%{byte:02X}")
                    }
                })
                .collect::<String>(),
        )
    })
}

fn searches(connection: &Connection) -> Result<()> {
    define(connection, &["count_substrings"], ANY, |ctx| {
        let (whole, part) = (text(ctx, 0)?, text(ctx, 1)?);
        let start = if ctx.len() > 2 { integer(ctx, 2)? } else { 1 };
        let skipped = usize::try_from(start)
            .ok()
            .filter(|start| *start > 0)
            .map(|start| start - 1);
        let rest: String = match skipped {
            Some(skipped) => whole.chars().skip(skipped).collect(),
            None => return Some(0),
        };
        Some(if part.is_empty() {
            0
        } else {
            size(rest.matches(&part).count())
        })
    })?;
    define(connection, &["multi_search_all_positions"], 2, |ctx| {
        let whole = text(ctx, 0)?;
        given(
            array(ctx, 1)?
                .iter()
                .map(|part| {
                    let at = part.cell().and_then(|part| whole.find(&part));
                    Nested::Bare(at.map_or(0, |at| at + 1).to_string())
                })
                .collect(),
        )
    })?;
    define(connection, &["multi_match_any"], 2, |ctx| {
        let whole = text(ctx, 0)?;
        let found = array(ctx, 1)?
            .iter()
            .filter_map(Nested::cell)
            .any(|pattern| {
                regex::Regex::new(&pattern).is_ok_and(|pattern| pattern.is_match(&whole))
            });
        Some(i64::from(found))
    })?;
    define(connection, &["split_by_regexp"], 3, |ctx| {
        let (whole, pattern) = (text(ctx, 0)?, text(ctx, 1)?);
        let pattern = regex::Regex::new(&pattern).ok()?;
        let limit = usize::try_from(integer(ctx, 2)?)
            .ok()
            .filter(|limit| *limit > 0);
        let parts: Vec<_> = match limit {
            Some(limit) => pattern.split(&whole).take(limit).collect(),
            None => pattern.split(&whole).collect(),
        };
        given(
            parts
                .into_iter()
                .map(|part| Nested::Quoted(part.to_owned()))
                .collect(),
        )
    })?;
    define(connection, &["strip_null_value"], 1, |ctx| {
        text(ctx, 0).filter(|value| value != "null")
    })
}

/// Four bytes as a number.
fn ipv4_number(text: &str) -> Option<i64> {
    text.trim()
        .parse::<Ipv4Addr>()
        .ok()
        .map(|address| i64::from(u32::from(address)))
}

/// First and last address of a network.
fn range_of(address: u128, prefix: i64, width: u32) -> Option<(u128, u128)> {
    let prefix = u32::try_from(prefix)
        .ok()
        .filter(|prefix| *prefix <= width)?;
    let host = width - prefix;
    let hosts = if host == 128 {
        u128::MAX
    } else {
        (1_u128 << host) - 1
    };
    Some((address & !hosts, address | hosts))
}

fn addresses(connection: &Connection) -> Result<()> {
    let shown = |number: i64| {
        u32::try_from(number)
            .ok()
            .map(|number| Ipv4Addr::from(number).to_string())
    };
    define(
        connection,
        &["ipv4_num_to_string", "inet_ntoa"],
        1,
        move |ctx| shown(integer(ctx, 0)?),
    )?;
    define(
        connection,
        &[
            "ipv4_string_to_num_or_null",
            "inet_aton",
            "ipv4_string_to_num",
        ],
        1,
        |ctx| ipv4_number(&text(ctx, 0)?),
    )?;
    define(connection, &["ipv4_string_to_num_or_default"], 1, |ctx| {
        ipv4_number(&text(ctx, 0).unwrap_or_default()).unwrap_or(0)
    })?;
    define(connection, &["is_ipv4_string"], 1, |ctx| {
        Some(text(ctx, 0)?.parse::<Ipv4Addr>().is_ok())
    })?;
    define(connection, &["is_ipv6_string"], 1, |ctx| {
        Some(text(ctx, 0)?.parse::<Ipv6Addr>().is_ok())
    })?;
    define(connection, &["to_ipv4", "to_ipv4_or_null"], 1, |ctx| {
        text(ctx, 0)?
            .trim()
            .parse::<Ipv4Addr>()
            .ok()
            .map(|a| a.to_string())
    })?;
    define(connection, &["to_ipv4_or_default"], 1, |ctx| {
        let read = text(ctx, 0).and_then(|text| text.trim().parse::<Ipv4Addr>().ok());
        read.unwrap_or(Ipv4Addr::UNSPECIFIED).to_string()
    })?;
    define(connection, &["to_ipv6", "to_ipv6_or_null"], 1, |ctx| {
        text(ctx, 0)?
            .trim()
            .parse::<Ipv6Addr>()
            .ok()
            .map(|a| a.to_string())
    })?;
    define(connection, &["to_ipv6_or_default"], 1, |ctx| {
        let read = text(ctx, 0).and_then(|text| text.trim().parse::<Ipv6Addr>().ok());
        read.unwrap_or(Ipv6Addr::UNSPECIFIED).to_string()
    })?;
    define(connection, &["ipv4_to_ipv6"], 1, |ctx| {
        let address: Ipv4Addr = text(ctx, 0)?.parse().ok()?;
        Some(address.to_ipv6_mapped().to_string())
    })?;
    define(connection, &["is_ip_address_in_range"], 2, |ctx| {
        let (address, network) = (text(ctx, 0)?, text(ctx, 1)?);
        let (base, prefix) = network.split_once('/')?;
        let prefix = prefix.parse::<i64>().ok()?;
        if let (Ok(address), Ok(base)) = (address.parse::<Ipv4Addr>(), base.parse::<Ipv4Addr>()) {
            let (low, high) = range_of(u32::from(base).into(), prefix, 32)?;
            return Some((low..=high).contains(&u32::from(address).into()));
        }
        if let (Ok(address), Ok(base)) = (address.parse::<Ipv6Addr>(), base.parse::<Ipv6Addr>()) {
            let (low, high) = range_of(u128::from(base), prefix, 128)?;
            return Some((low..=high).contains(&u128::from(address)));
        }
        Some(false)
    })?;
    let ends = |low: String, high: String| {
        let named = |name: &str, address: String| {
            (Nested::Quoted(name.to_owned()), Nested::Quoted(address))
        };
        Value::Text(Nested::Map(vec![named("min", low), named("max", high)]).to_string())
    };
    define(connection, &["ipv4_cidr_to_range"], 2, move |ctx| {
        let address: Ipv4Addr = text(ctx, 0)?.parse().ok()?;
        let (low, high) = range_of(u32::from(address).into(), integer(ctx, 1)?, 32)?;
        let shown = |n: u128| u32::try_from(n).map(|n| Ipv4Addr::from(n).to_string());
        Some(ends(shown(low).ok()?, shown(high).ok()?))
    })?;
    define(connection, &["ipv6_cidr_to_range"], 2, move |ctx| {
        let address: Ipv6Addr = text(ctx, 0)?.parse().ok()?;
        let (low, high) = range_of(u128::from(address), integer(ctx, 1)?, 128)?;
        Some(ends(
            Ipv6Addr::from(low).to_string(),
            Ipv6Addr::from(high).to_string(),
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_url() {
        let url = "http://user@www.example.com:80/path?query=abc#here";
        for (part, wanted) in [
            ("HOST", Some("www.example.com")),
            ("port", Some("80")),
            ("QUERY", Some("query=abc")),
            ("REF", Some("here")),
            ("FILE", Some("/path?query=abc")),
            ("USERINFO", Some("user")),
            ("nothing", None),
        ] {
            assert_eq!(url_part(url, part).as_deref(), wanted, "{part}");
        }
    }

    #[test]
    fn networks_have_ends() {
        assert_eq!(
            range_of(0xC0A8_0105, 24, 32),
            Some((0xC0A8_0100, 0xC0A8_01FF))
        );
        assert_eq!(range_of(1, 0, 128), Some((0, u128::MAX)));
        assert_eq!(range_of(1, 33, 32), None);
    }
}
