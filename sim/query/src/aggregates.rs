//! Aggregates: exact sums, bit operations, concatenation.

use rusqlite::functions::{Aggregate, Context, FunctionFlags, WindowAggregate};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Result};

use super::define::text_of;
use super::numbers::{Sum, Total};

pub(super) fn register(connection: &Connection) -> Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_window_function("sum", 1, flags, ExactSum(sum_of))?;
    connection.create_window_function("sum0", 1, flags, ExactSum(sum0_of))?;
    connection.create_window_function("avg", 1, flags, ExactSum(average_of))?;
    for (name, operation) in [("bit_xor", Bits::Xor), ("group_bit_xor", Bits::Xor)] {
        connection.create_aggregate_function(name, 1, flags, operation)?;
    }
    for (name, operation) in [("bit_or", Bits::Or), ("group_bit_or", Bits::Or)] {
        connection.create_aggregate_function(name, 1, flags, operation)?;
    }
    for (name, operation) in [("bit_and", Bits::And), ("group_bit_and", Bits::And)] {
        connection.create_aggregate_function(name, 1, flags, operation)?;
    }
    connection.create_aggregate_function("group_concat", 1, flags, Concatenation)?;
    connection.create_aggregate_function("group_concat", 2, flags, Concatenation)
}

/// How the sum of a group is told.
struct ExactSum(fn(Option<&Summed>) -> Value);

/// A sum and how many values are in it.
type Summed = (Sum, usize);

/// As a sum, but zero for no values.
fn sum0_of(summed: Option<&Summed>) -> Value {
    match sum_of(summed) {
        Value::Null => Value::Integer(0),
        sum => sum,
    }
}

/// Averages of decimals are decimals of at least four digits, cut off; others are real numbers.
fn average_of(summed: Option<&Summed>) -> Value {
    match summed.filter(|(_, values)| *values > 0) {
        Some((sum, values)) => match sum.average(*values) {
            Total::Integer(value) => Value::Integer(value),
            Total::Real(value) => Value::Real(value),
            Total::Exact(text) => Value::Text(text),
        },
        None => Value::Null,
    }
}

fn sum_of(summed: Option<&Summed>) -> Value {
    match summed
        .filter(|(_, values)| *values > 0)
        .map(|(sum, _)| sum.total())
    {
        None => Value::Null,
        Some(Total::Integer(value)) => Value::Integer(value),
        Some(Total::Real(value)) => Value::Real(value),
        Some(Total::Exact(text)) => Value::Text(text),
    }
}

impl Aggregate<Summed, Value> for ExactSum {
    fn init(&self, _: &mut Context<'_>) -> Result<Summed> {
        Ok((Sum::default(), 0))
    }

    fn step(&self, ctx: &mut Context<'_>, (sum, values): &mut Summed) -> Result<()> {
        match ctx.get_raw(0) {
            ValueRef::Null => return Ok(()),
            ValueRef::Integer(value) => sum.add_integer(value),
            ValueRef::Real(value) => sum.add_real(value),
            ValueRef::Text(text) | ValueRef::Blob(text) => {
                sum.add_text(&String::from_utf8_lossy(text));
            }
        }
        *values += 1;
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, summed: Option<Summed>) -> Result<Value> {
        Ok((self.0)(summed.as_ref()))
    }
}

impl WindowAggregate<Summed, Value> for ExactSum {
    fn value(&self, summed: Option<&mut Summed>) -> Result<Value> {
        Ok((self.0)(summed.as_deref()))
    }

    fn inverse(&self, ctx: &mut Context<'_>, (sum, values): &mut Summed) -> Result<()> {
        match ctx.get_raw(0) {
            ValueRef::Null => return Ok(()),
            ValueRef::Integer(value) => sum.add_integer(value.saturating_neg()),
            ValueRef::Real(value) => sum.add_real(-value),
            ValueRef::Text(text) | ValueRef::Blob(text) => {
                let text = String::from_utf8_lossy(text);
                match text.trim().strip_prefix('-') {
                    Some(positive) => sum.add_text(positive),
                    None => sum.add_text(&format!("-{}", text.trim())),
                }
            }
        }
        *values = values.saturating_sub(1);
        Ok(())
    }
}

#[derive(Clone, Copy)]
enum Bits {
    Xor,
    Or,
    And,
}

impl Aggregate<Option<i64>, i64> for Bits {
    fn init(&self, _: &mut Context<'_>) -> Result<Option<i64>> {
        Ok(None)
    }

    fn step(&self, ctx: &mut Context<'_>, bits: &mut Option<i64>) -> Result<()> {
        let value = match ctx.get_raw(0) {
            ValueRef::Integer(value) => value,
            other => match text_of(other).and_then(|text| text.parse().ok()) {
                Some(value) => value,
                None => return Ok(()),
            },
        };
        *bits = Some(match (*bits, self) {
            (None, Self::Xor | Self::Or | Self::And) => value,
            (Some(bits), Self::Xor) => bits ^ value,
            (Some(bits), Self::Or) => bits | value,
            (Some(bits), Self::And) => bits & value,
        });
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, bits: Option<Option<i64>>) -> Result<i64> {
        Ok(bits.flatten().unwrap_or(match self {
            Self::Xor | Self::Or => 0,
            Self::And => -1,
        }))
    }
}

/// Doris joins with `, ` unless told otherwise.
struct Concatenation;

impl Aggregate<Option<String>, Option<String>> for Concatenation {
    fn init(&self, _: &mut Context<'_>) -> Result<Option<String>> {
        Ok(None)
    }

    fn step(&self, ctx: &mut Context<'_>, joined: &mut Option<String>) -> Result<()> {
        let Some(text) = text_of(ctx.get_raw(0)) else {
            return Ok(());
        };
        match joined {
            None => *joined = Some(text),
            Some(joined) => {
                let separator = if ctx.len() > 1 {
                    text_of(ctx.get_raw(1))
                } else {
                    None
                };
                joined.push_str(separator.as_deref().unwrap_or(", "));
                joined.push_str(&text);
            }
        }
        Ok(())
    }

    fn finalize(
        &self,
        _: &mut Context<'_>,
        joined: Option<Option<String>>,
    ) -> Result<Option<String>> {
        Ok(joined.flatten())
    }
}
