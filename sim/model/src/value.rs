//! Canonical texts of values, and their order.
//!
//! Every cell is kept as the text Doris would print over the MySQL protocol. Two equal values have equal texts, so comparing and
//! hashing texts is comparing values; ordering needs the type.

use std::cmp::Ordering;

use super::{Cell, DataType};

impl DataType {
    /// The canonical text of `text` read as a value of this type.
    ///
    /// # Errors
    /// A text saying what does not fit (out of range, not a number, too long).
    pub fn canonicalize(&self, text: &str) -> Result<Cell, String> {
        let bad = || format!("value '{text}' does not fit type {self}");
        let int = |min: i128, max: i128| -> Result<Cell, String> {
            let value = parse_int(text.trim()).ok_or_else(bad)?;
            if (min..=max).contains(&value) {
                Ok(Some(value.to_string()))
            } else {
                Err(bad())
            }
        };
        match self {
            Self::Boolean => match text.trim().to_ascii_lowercase().as_str() {
                "1" | "true" => Ok(Some("1".to_owned())),
                "0" | "false" => Ok(Some("0".to_owned())),
                _ => parse_int(text.trim())
                    .map(|v| Some(u8::from(v != 0).to_string()))
                    .ok_or_else(bad),
            },
            Self::TinyInt => int(i8::MIN.into(), i8::MAX.into()),
            Self::SmallInt => int(i16::MIN.into(), i16::MAX.into()),
            Self::Int => int(i32::MIN.into(), i32::MAX.into()),
            Self::BigInt => int(i64::MIN.into(), i64::MAX.into()),
            Self::LargeInt => int(i128::MIN, i128::MAX),
            Self::Float => {
                let value: f32 = text.trim().parse().map_err(|_| bad())?;
                Ok(Some(real_text(value.into(), 7)))
            }
            Self::Double => {
                let value: f64 = text.trim().parse().map_err(|_| bad())?;
                Ok(Some(real_text(value, 16)))
            }
            Self::Decimal(precision, scale) => decimal_text(text.trim(), *precision, *scale)
                .map(Some)
                .ok_or_else(bad),
            Self::Date => parse_datetime(text).map(|t| Some(t.date())).ok_or_else(bad),
            Self::DateTime(scale) => parse_datetime(text)
                .map(|t| Some(t.text(*scale)))
                .ok_or_else(bad),
            Self::Char(n) | Self::Varchar(n) => {
                if text.len() > *n as usize {
                    Err(format!(
                        "the length of input is too long than schema. input str: [{text}] schema length: {n}; actual length: {}",
                        text.len()
                    ))
                } else {
                    Ok(Some(text.to_owned()))
                }
            }
            Self::Json => super::json_text::compact(text).map(Some).ok_or_else(bad),
            Self::Array(_) | Self::Map(..) if text.trim().eq_ignore_ascii_case("null") => Ok(None),
            Self::Array(_) | Self::Map(..) => Ok(Some(
                super::nested_text::canonical(text, self).unwrap_or_else(|| text.to_owned()),
            )),
            Self::String
            | Self::Variant
            | Self::Struct(_)
            | Self::Bitmap
            | Self::Hll
            | Self::QuantileState
            | Self::Ipv4
            | Self::Ipv6
            | Self::AggState(_) => Ok(Some(text.to_owned())),
        }
    }

    /// Reads a field of a load or a literal: `None` stays NULL, everything else is canonicalised.
    ///
    /// # Errors
    /// As [`Self::canonicalize`].
    pub fn parse_cell(&self, text: Option<&str>) -> Result<Cell, String> {
        text.map_or(Ok(None), |text| self.canonicalize(text))
    }

    /// The order of two cells of this type; NULL is smallest, as in Doris' storage.
    #[must_use]
    pub fn compare(&self, a: &Cell, b: &Cell) -> Ordering {
        let (Some(a), Some(b)) = (a, b) else {
            return a.is_some().cmp(&b.is_some());
        };
        if self.is_integer() || matches!(self, Self::Boolean) {
            return parse_int(a).cmp(&parse_int(b));
        }
        match self {
            Self::Decimal(..) => compare_decimal(a, b),
            Self::Float | Self::Double => {
                let read = |text: &str| text.parse::<f64>().unwrap_or(f64::NAN);
                read(a).total_cmp(&read(b))
            }
            Self::Boolean
            | Self::TinyInt
            | Self::SmallInt
            | Self::Int
            | Self::BigInt
            | Self::LargeInt
            | Self::Date
            | Self::DateTime(_)
            | Self::Char(_)
            | Self::Varchar(_)
            | Self::String
            | Self::Json
            | Self::Variant
            | Self::Array(_)
            | Self::Map(..)
            | Self::Struct(_)
            | Self::Bitmap
            | Self::Hll
            | Self::QuantileState
            | Self::Ipv4
            | Self::Ipv6
            | Self::AggState(_) => a.cmp(b),
        }
    }

    /// The smallest value, as an open lower bound of a range shows it.
    #[must_use]
    pub fn minimum_text(&self) -> String {
        match self {
            Self::TinyInt => i8::MIN.to_string(),
            Self::SmallInt => i16::MIN.to_string(),
            Self::Int => i32::MIN.to_string(),
            Self::BigInt => i64::MIN.to_string(),
            Self::LargeInt => i128::MIN.to_string(),
            Self::Boolean => "0".to_owned(),
            Self::Date => "0000-01-01".to_owned(),
            Self::DateTime(scale) => parse_datetime("0000-01-01")
                .map(|t| t.text(*scale))
                .unwrap_or_default(),
            Self::Float | Self::Double | Self::Decimal(..) => "-999999999".to_owned(),
            Self::Char(_)
            | Self::Varchar(_)
            | Self::String
            | Self::Json
            | Self::Variant
            | Self::Array(_)
            | Self::Map(..)
            | Self::Struct(_)
            | Self::Bitmap
            | Self::Hll
            | Self::QuantileState
            | Self::Ipv4
            | Self::Ipv6
            | Self::AggState(_) => String::new(),
        }
    }
}

/// The text of FLOAT (7 digits) and DOUBLE (16 digits): as `%.<digits>g`, with `NaN`, `Infinity` and `-Infinity`.
fn real_text(value: f64, digits: usize) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let scientific = format!("{value:.*e}", digits - 1);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let short = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    match usize::try_from(exponent) {
        Ok(places) if places >= digits => format!("{}e+{exponent:02}", short(mantissa)),
        Ok(places) => short(&format!("{value:.*}", digits - 1 - places)),
        Err(_) if exponent < -4 => format!("{}e-{:02}", short(mantissa), -exponent),
        Err(_) => {
            let places = digits - 1 + usize::try_from(-exponent).unwrap_or(0);
            short(&format!("{value:.places$}"))
        }
    }
}

/// An integer, also written as `12.0` (truncated to its whole part).
fn parse_int(text: &str) -> Option<i128> {
    if let Ok(value) = text.parse::<i128>() {
        return Some(value);
    }
    let (whole, fraction) = text.split_once('.')?;
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    whole.parse().ok()
}

/// Rounds half away from zero to `scale` digits; `None` when not a number or more than `precision` digits.
fn decimal_text(text: &str, precision: u8, scale: u8) -> Option<String> {
    let plain;
    let text = if text.contains(['e', 'E']) {
        plain = format!("{:.20}", text.parse::<f64>().ok()?);
        plain.as_str()
    } else {
        text
    };
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty()
        || !whole
            .bytes()
            .chain(fraction.bytes())
            .all(|b| b.is_ascii_digit())
    {
        return None;
    }
    let scale = usize::from(scale);
    let mut all: Vec<u8> = whole
        .bytes()
        .chain(fraction.bytes().chain(std::iter::repeat(b'0')).take(scale))
        .collect();
    if fraction.as_bytes().get(scale).is_some_and(|d| *d >= b'5') {
        let mut i = all.len();
        loop {
            if i == 0 {
                all.insert(0, b'1');
                break;
            }
            i -= 1;
            if all[i] == b'9' {
                all[i] = b'0';
            } else {
                all[i] += 1;
                break;
            }
        }
    }
    let split = all.len() - scale;
    let whole: String = all[..split].iter().map(|b| char::from(*b)).collect();
    let whole = whole.trim_start_matches('0');
    if whole.len() + scale > usize::from(precision) {
        return None;
    }
    let fraction: String = all[split..].iter().map(|b| char::from(*b)).collect();
    let zero = whole.is_empty() && fraction.bytes().all(|b| b == b'0');
    let sign = if negative && !zero { "-" } else { "" };
    let whole = if whole.is_empty() { "0" } else { whole };
    Some(if scale == 0 {
        format!("{sign}{whole}")
    } else {
        format!("{sign}{whole}.{fraction}")
    })
}

fn compare_decimal(a: &str, b: &str) -> Ordering {
    let split = |text: &str| -> (bool, String, String) {
        let (negative, digits) = text
            .strip_prefix('-')
            .map_or((false, text), |rest| (true, rest));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        (
            negative,
            whole.trim_start_matches('0').to_owned(),
            fraction.trim_end_matches('0').to_owned(),
        )
    };
    let ((na, wa, fa), (nb, wb, fb)) = (split(a), split(b));
    match (na, nb) {
        (false, true) => return Ordering::Greater,
        (true, false) => return Ordering::Less,
        (false, false) | (true, true) => {}
    }
    let magnitude = wa
        .len()
        .cmp(&wb.len())
        .then_with(|| wa.cmp(&wb))
        .then_with(|| fa.cmp(&fb));
    if na { magnitude.reverse() } else { magnitude }
}

/// A point of local time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Moment {
    date: (u32, u32, u32),
    time: (u32, u32, u32),
    micros: u32,
}

impl Moment {
    fn date(self) -> String {
        format!("{:04}-{:02}-{:02}", self.date.0, self.date.1, self.date.2)
    }

    fn text(self, scale: u8) -> String {
        let base = format!(
            "{} {:02}:{:02}:{:02}",
            self.date(),
            self.time.0,
            self.time.1,
            self.time.2
        );
        if scale == 0 {
            return base;
        }
        let digits = format!("{:06}", self.micros);
        format!("{base}.{}", &digits[..usize::from(scale.min(6))])
    }
}

fn parse_datetime(text: &str) -> Option<Moment> {
    let text = text.trim();
    let (date, rest) = match text.find([' ', 'T']) {
        Some(at) => (&text[..at], text[at + 1..].trim()),
        None => (text, ""),
    };
    let number = |part: &str| part.parse::<u32>().ok();
    let date = if date.bytes().all(|b| b.is_ascii_digit()) && (date.len() == 8 || date.len() == 14)
    {
        (
            number(&date[..4])?,
            number(&date[4..6])?,
            number(&date[6..8])?,
        )
    } else {
        let mut parts = date.split(['-', '/']);
        (
            number(parts.next()?)?,
            number(parts.next()?)?,
            number(parts.next()?)?,
        )
    };
    let rest = if rest.is_empty() && text.len() == 14 && text.bytes().all(|b| b.is_ascii_digit()) {
        format!("{}:{}:{}", &text[8..10], &text[10..12], &text[12..14])
    } else {
        rest.to_owned()
    };
    let (clock, fraction) = rest.split_once('.').unwrap_or((&rest, ""));
    let mut parts = clock.split(':').filter(|p| !p.is_empty());
    let mut next = || parts.next().map_or(Some(0), number);
    let time = (next()?, next()?, next()?);
    let fraction: String = fraction
        .chars()
        .take_while(char::is_ascii_digit)
        .chain(std::iter::repeat('0'))
        .take(6)
        .collect();
    let leap = date.0 % 4 == 0 && (date.0 % 100 != 0 || date.0 % 400 == 0);
    let days = match date.1 {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let valid = date.0 <= 9999
        && (1..=12).contains(&date.1)
        && (1..=days).contains(&date.2)
        && time.0 < 24
        && time.1 < 60
        && time.2 < 60;
    valid.then_some(Moment {
        date,
        time,
        micros: number(&fraction)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canon(ty: &str, text: &str) -> Option<String> {
        DataType::parse(ty)
            .unwrap()
            .canonicalize(text)
            .ok()
            .flatten()
    }

    #[test]
    fn texts_become_canonical() {
        assert_eq!(canon("int", "+7").as_deref(), Some("7"));
        assert_eq!(canon("tinyint", "200"), None);
        assert_eq!(canon("decimal(9,2)", "1.005").as_deref(), Some("1.01"));
        assert_eq!(canon("decimal(9,2)", "-0.001").as_deref(), Some("0.00"));
        assert_eq!(canon("decimal(4,2)", "99.995"), None);
        assert_eq!(canon("decimal(10,0)", "9.5").as_deref(), Some("10"));
        assert_eq!(canon("date", "2024-2-9").as_deref(), Some("2024-02-09"));
        assert_eq!(canon("date", "2023-02-29"), None);
        assert_eq!(
            canon("datetime", "20240102030405").as_deref(),
            Some("2024-01-02 03:04:05")
        );
        assert_eq!(
            canon("datetime(3)", "2024-01-02T03:04:05.1239").as_deref(),
            Some("2024-01-02 03:04:05.123")
        );
        assert_eq!(canon("boolean", "TRUE").as_deref(), Some("1"));
        assert_eq!(canon("double", "2.0").as_deref(), Some("2"));
        assert_eq!(canon("varchar(2)", "abc"), None);
    }

    #[test]
    fn order_follows_the_type() {
        let ty = DataType::parse("decimal(9,2)").unwrap();
        let cell = |text: &str| Some(text.to_owned());
        assert_eq!(ty.compare(&cell("-10.00"), &cell("-9.00")), Ordering::Less);
        assert_eq!(ty.compare(&cell("10.50"), &cell("9.99")), Ordering::Greater);
        assert_eq!(
            DataType::Int.compare(&cell("10"), &cell("9")),
            Ordering::Greater
        );
        assert_eq!(DataType::Int.compare(&None, &cell("9")), Ordering::Less);
    }
}
