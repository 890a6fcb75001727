//! Prepared statements: parameters go into the text as literals.

use dorisim_model::SqlError;
use dorisim_mysql::Value;
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
pub(super) fn literal(parameter: Value) -> String {
    match parameter {
        Value::NULL => "NULL".to_owned(),
        Value::Bytes(bytes) => quoted(&String::from_utf8_lossy(&bytes)),
        Value::Int(value) => value.to_string(),
        Value::UInt(value) => value.to_string(),
        Value::Float(value) => value.to_string(),
        Value::Double(value) => value.to_string(),
        Value::Date(year, month, day, hour, minute, second, micros) => {
            let mut text = format!("{year:04}-{month:02}-{day:02}");
            if (hour, minute, second, micros) != (0, 0, 0, 0) {
                text += &format!(" {hour:02}:{minute:02}:{second:02}");
            }
            if micros != 0 {
                text += &format!(".{micros:06}");
            }
            quoted(&text)
        }
        Value::Time(negative, days, hours, minutes, seconds, _) => {
            let sign = if negative { "-" } else { "" };
            let hours = u64::from(days) * 24 + u64::from(hours);
            quoted(&format!("{sign}{hours:02}:{minutes:02}:{seconds:02}"))
        }
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
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
    fn dates_are_literals() {
        let date = |second, micros| literal(Value::Date(2024, 2, 29, 0, 0, second, micros));
        assert_eq!(date(0, 0), "'2024-02-29'");
        assert_eq!(date(3, 4), "'2024-02-29 00:00:03.000004'");
        let time = Value::Time(true, 1, 2, 3, 4, 0);
        assert_eq!(literal(time), "'-26:03:04'");
    }
}
