//! CAST between cells. What does not fit becomes NULL, as in the non-strict mode of Doris.

use dorisim_model::{Cell, DataType};

/// `cell` of type `from` as `to`.
pub(super) fn cast(cell: &Cell, from: &DataType, to: &DataType) -> Cell {
    let text = cell.as_deref()?;
    match to {
        DataType::Char(n) | DataType::Varchar(n) => Some(shortened(text, *n)),
        DataType::TinyInt
        | DataType::SmallInt
        | DataType::Int
        | DataType::BigInt
        | DataType::LargeInt => {
            let plain = match from {
                DataType::Float | DataType::Double => whole(text)?,
                DataType::Date | DataType::DateTime(_) => {
                    let digits = text.split('.').next().unwrap_or(text);
                    digits.chars().filter(char::is_ascii_digit).collect()
                }
                _ => text.to_owned(),
            };
            to.canonicalize(&plain).ok().flatten()
        }
        DataType::Json if !matches!(from, DataType::Json) && !is_text(from) => {
            Some(text.to_owned())
        }
        _ => to.canonicalize(text).ok().flatten(),
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Char(_) | DataType::Varchar(_) | DataType::String | DataType::Variant
    )
}

/// The whole part of a floating number.
fn whole(text: &str) -> Option<String> {
    let value: f64 = text.parse().ok()?;
    value.is_finite().then(|| format!("{:.0}", value.trunc()))
}

/// A text of at most so many characters.
fn shortened(text: &str, length: u32) -> String {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if text.len() <= length {
        return text.to_owned();
    }
    text.chars().take(length).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_null() {
        let to =
            |text: &str, from: &DataType, to: &DataType| cast(&Some(text.to_owned()), from, to);
        let text = DataType::String;
        assert_eq!(to("12", &text, &DataType::Int).as_deref(), Some("12"));
        assert_eq!(to("300", &text, &DataType::TinyInt), None);
        assert_eq!(to("x", &text, &DataType::Date), None);
        let double = DataType::Double;
        assert_eq!(to("-2.9", &double, &DataType::Int).as_deref(), Some("-2"));
        let day = to("2024-02-03", &DataType::Date, &DataType::BigInt);
        assert_eq!(day.as_deref(), Some("20240203"));
        let short = to("abcd", &text, &DataType::Varchar(2));
        assert_eq!(short.as_deref(), Some("ab"));
    }
}
