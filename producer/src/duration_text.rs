//! Durations in configuration files: `250ms`, `5s`, `10m`, `2h`, `7d`; for optional ones also `never`.

use std::time::Duration;

use serde::{Deserialize, Deserializer};

/// Reads a duration.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).ok_or_else(|| serde::de::Error::custom(expected(&text)))
}

/// The same, with `never` for none.
pub(crate) mod optional {
    use super::{Deserialize, Deserializer, Duration, expected, parse};

    /// Reads a duration or `never`.
    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "never" {
            return Ok(None);
        }
        let parsed = parse(&text);
        parsed
            .map(Some)
            .ok_or_else(|| serde::de::Error::custom(expected(&text)))
    }
}

fn expected(text: &str) -> String {
    format!("{text:?} is no duration; write it like 250ms, 5s, 10m, 2h or 7d")
}

fn parse(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let seconds = |each: u64| number.checked_mul(each).map(Duration::from_secs);
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => seconds(1),
        "m" => seconds(60),
        "h" => seconds(3600),
        "d" => seconds(24 * 3600),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_required() {
        let cases = [
            ("250ms", Some(Duration::from_millis(250))),
            ("0s", Some(Duration::ZERO)),
            ("7d", Some(Duration::from_secs(604_800))),
            ("5", None),
            ("s", None),
            ("", None),
            ("-5s", None),
            ("1.5s", None),
            ("99999999999999999999s", None),
            ("18446744073709551615h", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text), expected, "{text}");
        }
    }
}
