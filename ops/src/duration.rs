//! Durations in configuration files: `250ms`, `5s`, `10m`, `2h 30m`, `7d`; for optional ones also `never`.
//!
//! For `#[serde(deserialize_with = "ccr_ops::duration::deserialize")]`, so that every setting of every process is written the
//! same way.

use std::time::Duration;

use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// Reads a duration.
///
/// # Errors
/// A text that is not a duration, named with the reason.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).map_err(D::Error::custom)
}

/// The same, with `never` for none.
pub mod or_never {
    use super::{Deserialize, Deserializer, Duration, Error, parse};

    /// Reads a duration or `never`.
    ///
    /// # Errors
    /// A text that is neither, named with the reason.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "never" {
            return Ok(None);
        }
        parse(&text).map(Some).map_err(D::Error::custom)
    }
}

fn parse(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| {
        format!("{text:?} is not a duration ({error}); write it like 250ms, 5s, 10m, 2h or 7d")
    })
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
            ("1h 30m", Some(Duration::from_secs(5400))),
            ("5", None),
            ("s", None),
            ("", None),
            ("-5s", None),
            ("99999999999999999999s", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text).ok(), expected, "{text}");
        }
        let error = parse("soon").unwrap_err();
        assert!(error.contains("\"soon\" is not a duration"), "{error}");
        assert!(error.contains("250ms"), "{error}");
    }

    #[test]
    fn never_is_none_where_it_is_allowed() {
        #[derive(Deserialize)]
        struct Settings {
            #[serde(deserialize_with = "deserialize")]
            pause: Duration,
            #[serde(deserialize_with = "or_never::deserialize")]
            kept: Option<Duration>,
        }
        let read = |text: &str| toml::from_str::<Settings>(text);
        let settings = read("pause = \"20ms\"\nkept = \"never\"").unwrap();
        assert_eq!(settings.pause, Duration::from_millis(20));
        assert_eq!(settings.kept, None);
        let settings = read("pause = \"20ms\"\nkept = \"7d\"").unwrap();
        assert_eq!(settings.kept, Some(Duration::from_secs(604_800)));
        assert!(read("pause = \"never\"\nkept = \"7d\"").is_err());
    }
}
