//! Exact numbers kept as text: sums, comparison, and the text of floating point values.

use std::cmp::Ordering;

use dorisim_model::DataType;

/// Order of two decimal or integer texts by value.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    DataType::Decimal(76, 38).compare(&Some(a.trim().to_owned()), &Some(b.trim().to_owned()))
}

/// Order of two dates or date-times: missing time counts as midnight.
pub(super) fn compare_moments(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.trim(), b.trim());
    let common = a.len().min(b.len());
    match a.as_bytes()[..common].cmp(&b.as_bytes()[..common]) {
        Ordering::Equal => {
            let tail = |text: &str| {
                text.as_bytes()[common..]
                    .iter()
                    .any(|byte| byte.is_ascii_digit() && *byte != b'0')
            };
            tail(a).cmp(&tail(b))
        }
        other => other,
    }
}

/// The text Doris prints for a DOUBLE.
pub(super) fn double_text(value: f64) -> String {
    DataType::Double
        .canonicalize(&value.to_string())
        .ok()
        .flatten()
        .unwrap_or_else(|| value.to_string())
}

/// The text Doris prints for a FLOAT.
pub(super) fn float_text(value: f64) -> String {
    DataType::Float
        .canonicalize(&value.to_string())
        .ok()
        .flatten()
        .unwrap_or_else(|| value.to_string())
}

/// A sum that stays exact as long as its parts are.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Sum {
    /// Units of 10^-scale.
    units: i128,
    scale: u32,
    /// Set once a floating point value, or one too large, took part.
    inexact: Option<f64>,
}

impl Sum {
    pub(super) fn add_integer(&mut self, value: i64) {
        self.add_units(i128::from(value), 0);
    }

    pub(super) fn add_real(&mut self, value: f64) {
        let so_far = self.as_f64();
        self.inexact = Some(so_far + value);
    }

    /// Text that is no number counts as zero, as in arithmetic on strings.
    pub(super) fn add_text(&mut self, text: &str) {
        match parse_units(text.trim()) {
            Some((units, scale)) => self.add_units(units, scale),
            None => self.add_real(text.trim().parse().unwrap_or(0.0)),
        }
    }

    fn add_units(&mut self, units: i128, scale: u32) {
        if let Some(sum) = &mut self.inexact {
            *sum += to_f64(units, scale);
            return;
        }
        let wanted = self.scale.max(scale);
        let own = rescale(self.units, wanted - self.scale);
        let other = rescale(units, wanted - scale);
        match own
            .zip(other)
            .and_then(|(own, other)| own.checked_add(other))
        {
            Some(sum) => (self.units, self.scale) = (sum, wanted),
            None => self.inexact = Some(self.as_f64() + to_f64(units, scale)),
        }
    }

    fn as_f64(&self) -> f64 {
        self.inexact
            .unwrap_or_else(|| to_f64(self.units, self.scale))
    }

    /// The sum over a number of values: cut off after at least four digits when it has a fraction, else a real number.
    #[allow(clippy::cast_precision_loss)] // no group has that many rows
    pub(super) fn average(&self, values: usize) -> Total {
        let scale = self.scale.max(4);
        let cut = || {
            let units = rescale(self.units, scale - self.scale)?;
            units.checked_div(i128::try_from(values).ok()?)
        };
        match self.inexact {
            None if self.scale > 0 => match cut() {
                Some(units) => Total::Exact(units_text(units, scale)),
                None => Total::Real(self.as_f64() / values as f64),
            },
            Some(_) | None => Total::Real(self.as_f64() / values as f64),
        }
    }

    /// The sum: a floating point number, or the exact text and whether it is an integer.
    pub(super) fn total(&self) -> Total {
        match self.inexact {
            Some(value) => Total::Real(value),
            None if self.scale == 0 => match i64::try_from(self.units) {
                Ok(value) => Total::Integer(value),
                Err(_) => Total::Exact(self.units.to_string()),
            },
            None => Total::Exact(units_text(self.units, self.scale)),
        }
    }
}

/// A finished sum.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Total {
    Integer(i64),
    Real(f64),
    Exact(String),
}

#[allow(clippy::cast_precision_loss)] // the loss is what "inexact" means
fn to_f64(units: i128, scale: u32) -> f64 {
    units as f64 / 10_f64.powi(i32::try_from(scale).unwrap_or(i32::MAX))
}

fn rescale(units: i128, by: u32) -> Option<i128> {
    10_i128
        .checked_pow(by)
        .and_then(|factor| units.checked_mul(factor))
}

fn parse_units(text: &str) -> Option<(i128, u32)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = format!("{whole}{fraction}");
    Some((digits.parse().ok()?, u32::try_from(fraction.len()).ok()?))
}

fn units_text(units: i128, scale: u32) -> String {
    let scale = scale as usize;
    let digits = format!("{:0>width$}", units.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    format!("{}{whole}.{fraction}", if units < 0 { "-" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_decimals_are_exact() {
        let mut sum = Sum::default();
        for text in ["0.1", "0.20", "-5", "99999999999999999.99"] {
            sum.add_text(text);
        }
        assert_eq!(sum.total(), Total::Exact("99999999999999995.29".into()));
        assert_eq!(
            sum.average(3),
            Total::Exact("33333333333333331.7633".into())
        );
        sum.add_real(0.5);
        assert!(matches!(sum.total(), Total::Real(_)));
    }

    #[test]
    fn sums_of_integers_leave_64_bits_without_loss() {
        let mut sum = Sum::default();
        sum.add_integer(i64::MAX);
        assert_eq!(sum.total(), Total::Integer(i64::MAX));
        sum.add_integer(1);
        assert_eq!(sum.total(), Total::Exact("9223372036854775808".into()));
    }

    #[test]
    fn moments_compare_with_and_without_time() {
        assert_eq!(
            compare_moments("2024-01-01", "2024-01-01 00:00:00"),
            Ordering::Equal
        );
        assert_eq!(
            compare_moments("2024-01-01", "2024-01-01 00:00:01"),
            Ordering::Less
        );
        assert_eq!(
            compare_moments("2024-01-02", "2024-01-01 23:00:00"),
            Ordering::Greater
        );
        assert_eq!(compare("10.50", "9.9"), Ordering::Greater);
        assert_eq!(compare("5", "5.00"), Ordering::Equal);
    }
}
