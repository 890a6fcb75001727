//! Arithmetic on cells.

use super::error::ExecError;
use dorisim_model::{Cell, DataType};

/// An operation with one or two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `DIV`
    IntDivide,
    /// `%`
    Mod,
    /// `&`
    BitAnd,
    /// `|`
    BitOr,
    /// `^`
    BitXor,
    /// `~`
    BitNot,
    /// `-x`
    Negative,
}

impl Operation {
    /// By the name of the function in a plan.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "add" => Self::Add,
            "subtract" => Self::Subtract,
            "multiply" => Self::Multiply,
            "divide" => Self::Divide,
            "int_divide" => Self::IntDivide,
            "mod" | "fmod" => Self::Mod,
            "bitand" => Self::BitAnd,
            "bitor" => Self::BitOr,
            "bitxor" => Self::BitXor,
            "bitnot" => Self::BitNot,
            "negative" => Self::Negative,
            _ => return None,
        })
    }
}

/// A decimal without its point, and the digits behind it.
fn unscaled(text: &str) -> Option<(i128, u32)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let value = format!("{whole}{fraction}").parse().ok()?;
    Some((value, u32::try_from(fraction.len()).ok()?))
}

/// The text of a decimal.
pub(super) fn scaled(value: i128, scale: u32) -> String {
    let scale = scale as usize;
    let digits = format!("{:0>width$}", value.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let sign = if value < 0 { "-" } else { "" };
    if scale == 0 {
        format!("{sign}{whole}")
    } else {
        format!("{sign}{whole}.{fraction}")
    }
}

fn overflow(data_type: &DataType) -> ExecError {
    ExecError::Value(format!("Arithmetic overflow, result type is {data_type}"))
}

/// The result of an operation, as a value of `data_type`; NULL for a division by zero.
///
/// # Errors
/// Overflows.
pub(super) fn compute(
    how: Operation,
    a: Option<&str>,
    b: Option<&str>,
    data_type: &DataType,
) -> Result<Cell, ExecError> {
    let unary = matches!(how, Operation::BitNot | Operation::Negative);
    let (Some(a), Some(b)) = (a, if unary { Some("0") } else { b }) else {
        return Ok(None);
    };
    match data_type {
        DataType::Float | DataType::Double => Ok(floating(how, a, b, data_type)),
        DataType::Decimal(_, scale) => decimal(how, a, b, u32::from(*scale), data_type),
        _ => integer(how, a, b, data_type),
    }
}

fn floating(how: Operation, a: &str, b: &str, data_type: &DataType) -> Cell {
    let (a, b): (f64, f64) = (a.parse().ok()?, b.parse().ok()?);
    let result = match how {
        Operation::Add => a + b,
        Operation::Subtract => a - b,
        Operation::Multiply => a * b,
        Operation::Negative => -a,
        Operation::Divide | Operation::IntDivide | Operation::Mod if b == 0.0 => return None,
        Operation::Divide => a / b,
        Operation::IntDivide => (a / b).trunc(),
        Operation::Mod => a % b,
        Operation::BitAnd | Operation::BitOr | Operation::BitXor | Operation::BitNot => {
            return None;
        }
    };
    data_type.canonicalize(&result.to_string()).ok().flatten()
}

fn integer(how: Operation, a: &str, b: &str, data_type: &DataType) -> Result<Cell, ExecError> {
    let (Ok(a), Ok(b)) = (a.parse::<i128>(), b.parse::<i128>()) else {
        return Ok(None);
    };
    let result = match how {
        Operation::Add => a.checked_add(b),
        Operation::Subtract => a.checked_sub(b),
        Operation::Multiply => a.checked_mul(b),
        Operation::Negative => a.checked_neg(),
        Operation::Divide | Operation::IntDivide | Operation::Mod if b == 0 => return Ok(None),
        Operation::Divide | Operation::IntDivide => a.checked_div(b),
        Operation::Mod => a.checked_rem(b),
        Operation::BitAnd => Some(a & b),
        Operation::BitOr => Some(a | b),
        Operation::BitXor => Some(a ^ b),
        Operation::BitNot => Some(!a),
    };
    let result = result.ok_or_else(|| overflow(data_type))?;
    // Integers wrap at the width of their type, as in Doris.
    let wrapped = match data_type {
        DataType::TinyInt => i128::from(result as i8),
        DataType::SmallInt => i128::from(result as i16),
        DataType::Int => i128::from(result as i32),
        DataType::BigInt => i128::from(result as i64),
        _ => result,
    };
    Ok(Some(wrapped.to_string()))
}

fn decimal(
    how: Operation,
    a: &str,
    b: &str,
    scale: u32,
    data_type: &DataType,
) -> Result<Cell, ExecError> {
    let (Some((a, sa)), Some((b, sb))) = (unscaled(a), unscaled(b)) else {
        return Ok(None);
    };
    let widen = |value: i128, by: u32| 10_i128.checked_pow(by).and_then(|p| value.checked_mul(p));
    let common = sa.max(sb);
    let same = || Some((widen(a, common - sa)?, widen(b, common - sb)?));
    let result = match how {
        Operation::Add => same().and_then(|(a, b)| Some((a.checked_add(b)?, common))),
        Operation::Subtract => same().and_then(|(a, b)| Some((a.checked_sub(b)?, common))),
        Operation::Multiply => a.checked_mul(b).map(|product| (product, sa + sb)),
        Operation::Negative => a.checked_neg().map(|a| (a, sa)),
        Operation::Divide | Operation::IntDivide | Operation::Mod if b == 0 => return Ok(None),
        // One digit more than is kept, to round by.
        Operation::Divide => widen(a, (scale + 1 + sb).saturating_sub(sa))
            .and_then(|a| Some((a.checked_div(b)?, scale + 1))),
        Operation::IntDivide => same().and_then(|(a, b)| Some((a.checked_div(b)?, 0))),
        Operation::Mod => same().and_then(|(a, b)| Some((a.checked_rem(b)?, common))),
        Operation::BitAnd | Operation::BitOr | Operation::BitXor | Operation::BitNot => {
            return Ok(None);
        }
    };
    let (value, digits) = result.ok_or_else(|| overflow(data_type))?;
    data_type
        .canonicalize(&scaled(value, digits))
        .map_err(|_| overflow(data_type))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact_and_integers_wrap() {
        let run = |how, a, b, ty: &DataType| compute(how, Some(a), Some(b), ty).unwrap();
        let money = DataType::Decimal(18, 2);
        assert_eq!(
            run(Operation::Add, "0.10", "0.2", &money).as_deref(),
            Some("0.30")
        );
        let fine = DataType::Decimal(38, 4);
        assert_eq!(
            run(Operation::Divide, "-2.00", "3", &fine).as_deref(),
            Some("-0.6667")
        );
        assert_eq!(run(Operation::Divide, "1", "0", &fine), None);
        let small = DataType::TinyInt;
        assert_eq!(
            run(Operation::Add, "127", "1", &small).as_deref(),
            Some("-128")
        );
        let huge = "9".repeat(38);
        let ty = DataType::Decimal(38, 0);
        assert!(compute(Operation::Multiply, Some(&huge), Some("9"), &ty).is_err());
    }
}
