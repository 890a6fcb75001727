//! Cells and rows as the simulated storage holds them.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// One cell. Columns of every Doris type map onto these few shapes; the column's declared type decides
/// how the cell is shown and compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// SQL NULL.
    Null,
    /// BOOLEAN (0 or 1), TINYINT .. LARGEINT.
    Int(i128),
    /// FLOAT and DOUBLE.
    Float(f64),
    /// DECIMAL: `unscaled` divided by ten to the power of `scale`.
    Decimal {
        /// All digits without the point.
        unscaled: i128,
        /// Digits behind the point.
        scale: u8,
    },
    /// Everything else in its canonical text: CHAR, VARCHAR, STRING, DATE (`2026-01-31`), DATETIME
    /// (`2026-01-31 10:00:00[.ffffff]`), JSON, ARRAY, MAP, STRUCT, VARIANT, BITMAP, HLL.
    Text(Arc<str>),
}

/// The cells of one row, in the order of the columns of the schema it was written with.
pub type Row = Vec<Value>;

impl Value {
    /// A text cell.
    pub fn text(text: impl AsRef<str>) -> Self {
        Value::Text(Arc::from(text.as_ref()))
    }

    /// True for SQL NULL.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    fn rank(&self) -> u8 {
        match self {
            Value::Null => 0,
            Value::Int(_) | Value::Float(_) | Value::Decimal { .. } => 1,
            Value::Text(_) => 2,
        }
    }

    fn as_f64(&self) -> f64 {
        match self {
            Value::Int(number) => *number as f64,
            Value::Float(number) => *number,
            Value::Decimal { unscaled, scale } => *unscaled as f64 / 10f64.powi(i32::from(*scale)),
            Value::Null | Value::Text(_) => f64::NAN,
        }
    }

    /// Total order for sorting and key comparison: NULL first, numbers by value, then text by bytes.
    pub fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Value::Int(a), Value::Int(b)) => a.cmp(b),
            (Value::Text(a), Value::Text(b)) => a.cmp(b),
            (
                Value::Decimal {
                    unscaled: a,
                    scale: x,
                },
                Value::Decimal {
                    unscaled: b,
                    scale: y,
                },
            ) if x == y => a.cmp(b),
            (a, b) if a.rank() == b.rank() && a.rank() == 1 => a.as_f64().total_cmp(&b.as_f64()),
            (a, b) => a.rank().cmp(&b.rank()),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Value::Int(i128::from(number))
    }
}

/// The text form that the MySQL text protocol shows (NULL as `\N`).
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("\\N"),
            Value::Int(number) => write!(f, "{number}"),
            Value::Float(number) => write!(f, "{number}"),
            Value::Decimal { unscaled, scale: 0 } => write!(f, "{unscaled}"),
            Value::Decimal { unscaled, scale } => {
                let sign = if *unscaled < 0 { "-" } else { "" };
                let digits = unscaled.unsigned_abs().to_string();
                let scale = usize::from(*scale);
                let padded = format!("{digits:0>width$}", width = scale + 1);
                let (whole, fraction) = padded.split_at(padded.len() - scale);
                write!(f, "{sign}{whole}.{fraction}")
            }
            Value::Text(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_show_their_scale() {
        let shown = |unscaled, scale| Value::Decimal { unscaled, scale }.to_string();
        assert_eq!(shown(12345, 2), "123.45");
        assert_eq!(shown(-5, 3), "-0.005");
        assert_eq!(shown(7, 0), "7");
    }

    #[test]
    fn null_sorts_before_everything_and_numbers_by_value() {
        assert_eq!(Value::Null.order(&Value::from(-9)), Ordering::Less);
        assert_eq!(Value::Float(1.5).order(&Value::from(2)), Ordering::Less);
        let decimal = Value::Decimal {
            unscaled: 150,
            scale: 2,
        };
        assert_eq!(decimal.order(&Value::Float(1.5)), Ordering::Equal);
    }
}
