//! Prepared statements: parameters go into the text as literals.

use opensrv_mysql::{ParamValue, ValueInner};

use dorisim_model::SqlError;
use dorisim_sql::{TokenKind, tokenize};

/// Byte positions of the `?` of a statement.
pub(super) fn places(text: &str) -> Result<Vec<usize>, SqlError> {
    let tokens = tokenize(text).map_err(|error| SqlError::analysis(error.message))?;
    Ok(tokens
        .iter()
        .filter(|token| token.kind == TokenKind::Symbol("?"))
        .map(|token| token.start)
        .collect())
}

/// The statement with a literal at each place.
pub(super) fn fill(text: &str, places: &[usize], literals: &[String]) -> String {
    let mut filled = String::with_capacity(text.len() + 16 * literals.len());
    let mut from = 0;
    for (place, literal) in places.iter().zip(literals) {
        filled.push_str(&text[from..*place]);
        filled.push_str(literal);
        from = place + 1;
    }
    filled.push_str(&text[from..]);
    filled
}

/// A parameter as a literal of the dialect.
pub(super) fn literal(parameter: ParamValue<'_>) -> String {
    match parameter.value.into_inner() {
        ValueInner::NULL => "NULL".to_owned(),
        ValueInner::Bytes(bytes) => quoted(&String::from_utf8_lossy(bytes)),
        ValueInner::Int(value) => value.to_string(),
        ValueInner::UInt(value) => value.to_string(),
        ValueInner::Double(value) => value.to_string(),
        ValueInner::Date(bytes) | ValueInner::Datetime(bytes) => quoted(&moment(bytes)),
        ValueInner::Time(bytes) => quoted(&time(bytes)),
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

fn byte(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at).copied().unwrap_or(0)
}

/// Year (2 bytes), month, day, hour, minute, second, microseconds (4 bytes); the tail may be missing.
fn moment(bytes: &[u8]) -> String {
    let year = u16::from_le_bytes([byte(bytes, 0), byte(bytes, 1)]);
    let date = format!("{year:04}-{:02}-{:02}", byte(bytes, 2), byte(bytes, 3));
    if bytes.len() < 7 {
        return date;
    }
    let base = format!(
        "{date} {:02}:{:02}:{:02}",
        byte(bytes, 4),
        byte(bytes, 5),
        byte(bytes, 6)
    );
    if bytes.len() < 11 {
        return base;
    }
    let micros = u32::from_le_bytes([
        byte(bytes, 7),
        byte(bytes, 8),
        byte(bytes, 9),
        byte(bytes, 10),
    ]);
    format!("{base}.{micros:06}")
}

/// Sign, days (4 bytes), hours, minutes, seconds.
fn time(bytes: &[u8]) -> String {
    let days = u32::from_le_bytes([
        byte(bytes, 1),
        byte(bytes, 2),
        byte(bytes, 3),
        byte(bytes, 4),
    ]);
    let hours = u64::from(days) * 24 + u64::from(byte(bytes, 5));
    let sign = if byte(bytes, 0) == 1 { "-" } else { "" };
    format!(
        "{sign}{hours:02}:{:02}:{:02}",
        byte(bytes, 6),
        byte(bytes, 7)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn question_marks_in_strings_are_no_places() {
        let text = "select '?' , ? from t where a = ? -- ?";
        let places = places(text).unwrap();
        assert_eq!(places.len(), 2);
        let filled = fill(text, &places, &["1".into(), quoted("it's \\ ?")]);
        assert_eq!(
            filled,
            "select '?' , 1 from t where a = 'it''s \\\\ ?' -- ?"
        );
    }

    #[test]
    fn binary_dates() {
        assert_eq!(moment(&[0xe8, 0x07, 2, 29]), "2024-02-29");
        assert_eq!(
            moment(&[0xe8, 0x07, 2, 29, 1, 2, 3, 4, 0, 0, 0]),
            "2024-02-29 01:02:03.000004"
        );
    }
}
