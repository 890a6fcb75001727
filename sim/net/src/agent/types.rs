//! Column types between the model and the wire: a [`TColumnType`] with the columns of its parts as children.

use dorisim_wire::{TColumn, TColumnType, TPrimitiveType};

use super::WireError;
use dorisim_model::DataType;

/// `len` of STRING and the types that are stored like it.
const STRING_LENGTH: i32 = i32::MAX - 4;

/// The wire form of a type without its children.
pub fn column_type(data_type: &DataType) -> TColumnType {
    let (primitive, len, index_len, precision, scale) = match data_type {
        DataType::Boolean => (TPrimitiveType::BOOLEAN, -1, 1, 0, 0),
        DataType::TinyInt => (TPrimitiveType::TINYINT, -1, 1, 0, 0),
        DataType::SmallInt => (TPrimitiveType::SMALLINT, -1, 2, 0, 0),
        DataType::Int => (TPrimitiveType::INT, -1, 4, 0, 0),
        DataType::BigInt => (TPrimitiveType::BIGINT, -1, 8, 0, 0),
        DataType::LargeInt => (TPrimitiveType::LARGEINT, -1, 16, 0, 0),
        DataType::Float => (TPrimitiveType::FLOAT, -1, 4, 0, 0),
        DataType::Double => (TPrimitiveType::DOUBLE, -1, 8, 0, 0),
        DataType::Decimal(precision, scale) => {
            let (primitive, bytes) = match precision {
                0..=9 => (TPrimitiveType::DECIMAL32, 4),
                10..=18 => (TPrimitiveType::DECIMAL64, 8),
                19..=38 => (TPrimitiveType::DECIMAL128I, 16),
                39.. => (TPrimitiveType::DECIMAL256, 32),
            };
            (
                primitive,
                -1,
                bytes,
                i32::from(*precision),
                i32::from(*scale),
            )
        }
        DataType::Date => (TPrimitiveType::DATEV2, -1, 4, 0, 0),
        DataType::DateTime(scale) => (TPrimitiveType::DATETIMEV2, -1, 8, 18, i32::from(*scale)),
        DataType::Char(length) => {
            let length = clamp(*length);
            (TPrimitiveType::CHAR, length, length, 0, 0)
        }
        DataType::Varchar(length) => (TPrimitiveType::VARCHAR, clamp(*length), 20, 0, 0),
        DataType::String => (TPrimitiveType::STRING, STRING_LENGTH, 20, 0, 0),
        DataType::Json => (TPrimitiveType::JSONB, STRING_LENGTH, 16, 0, 0),
        DataType::Variant => (TPrimitiveType::VARIANT, STRING_LENGTH, 16, 0, 0),
        DataType::Array(_) => (TPrimitiveType::ARRAY, -1, 16, 0, 0),
        DataType::Map(..) => (TPrimitiveType::MAP, -1, 16, 0, 0),
        DataType::Struct(_) => (TPrimitiveType::STRUCT, -1, 16, 0, 0),
        DataType::Bitmap => (TPrimitiveType::BITMAP, -1, 16, 0, 0),
        DataType::Hll => (TPrimitiveType::HLL, 16_385, 16, 0, 0),
        DataType::QuantileState => (TPrimitiveType::QUANTILE_STATE, -1, 16, 0, 0),
        DataType::Ipv4 => (TPrimitiveType::IPV4, -1, 4, 0, 0),
        DataType::Ipv6 => (TPrimitiveType::IPV6, -1, 16, 0, 0),
        DataType::AggState(_) => (TPrimitiveType::AGG_STATE, STRING_LENGTH, 16, 0, 0),
    };
    TColumnType::new(primitive, len, index_len, precision, scale, None)
}

fn clamp(length: u32) -> i32 {
    i32::try_from(length).unwrap_or(i32::MAX)
}

/// Names and types of the parts of a nested type, in the order of `children_column`.
pub fn parts(data_type: &DataType) -> Vec<(&str, &DataType)> {
    match data_type {
        DataType::Array(item) => vec![("item", item)],
        DataType::Map(key, value) => vec![("key", key), ("value", value)],
        DataType::Struct(fields) => fields
            .iter()
            .map(|(name, part)| (name.as_str(), part))
            .collect(),
        DataType::Boolean
        | DataType::TinyInt
        | DataType::SmallInt
        | DataType::Int
        | DataType::BigInt
        | DataType::LargeInt
        | DataType::Float
        | DataType::Double
        | DataType::Decimal(..)
        | DataType::Date
        | DataType::DateTime(_)
        | DataType::Char(_)
        | DataType::Varchar(_)
        | DataType::String
        | DataType::Json
        | DataType::Variant
        | DataType::Bitmap
        | DataType::Hll
        | DataType::QuantileState
        | DataType::Ipv4
        | DataType::Ipv6
        | DataType::AggState(_) => Vec::new(),
    }
}

/// The type of a column of the wire. Types of older clusters become those that replaced them, and states of
/// aggregate functions are kept as text.
///
/// # Errors
/// Unknown types; nested types without their parts.
pub fn data_type(column: &TColumn) -> Result<DataType, WireError> {
    let wire = &column.column_type;
    let length = || wire.len.and_then(|len| u32::try_from(len).ok());
    let small = |value: Option<i32>| value.and_then(|value| u8::try_from(value).ok());
    let child = |i: usize| {
        let children = column.children_column.as_deref().unwrap_or_default();
        let child = children.get(i).ok_or_else(|| {
            WireError::new(format!(
                "column {}: type {} lacks its part {i}",
                column.column_name, wire.type_.0
            ))
        })?;
        data_type(child).map(Box::new)
    };
    Ok(match wire.type_ {
        TPrimitiveType::BOOLEAN => DataType::Boolean,
        TPrimitiveType::TINYINT => DataType::TinyInt,
        TPrimitiveType::SMALLINT => DataType::SmallInt,
        TPrimitiveType::INT => DataType::Int,
        TPrimitiveType::BIGINT => DataType::BigInt,
        TPrimitiveType::LARGEINT => DataType::LargeInt,
        TPrimitiveType::FLOAT => DataType::Float,
        TPrimitiveType::DOUBLE => DataType::Double,
        TPrimitiveType::DECIMAL32
        | TPrimitiveType::DECIMAL64
        | TPrimitiveType::DECIMAL128I
        | TPrimitiveType::DECIMAL256
        | TPrimitiveType::DECIMALV2
        | TPrimitiveType::DECIMAL_DEPRACTED => DataType::Decimal(
            small(wire.precision).unwrap_or(27),
            small(wire.scale).unwrap_or(9),
        ),
        TPrimitiveType::DATE | TPrimitiveType::DATEV2 => DataType::Date,
        TPrimitiveType::DATETIME => DataType::DateTime(0),
        TPrimitiveType::DATETIMEV2 | TPrimitiveType::TIMESTAMPTZ => {
            DataType::DateTime(small(wire.scale).unwrap_or(0).min(6))
        }
        TPrimitiveType::CHAR => DataType::Char(length().unwrap_or(1)),
        TPrimitiveType::VARCHAR => {
            DataType::Varchar(length().unwrap_or(dorisim_model::types::MAX_VARCHAR))
        }
        TPrimitiveType::STRING
        | TPrimitiveType::AGG_STATE
        | TPrimitiveType::VARBINARY
        | TPrimitiveType::BINARY
        | TPrimitiveType::TIMEV2 => DataType::String,
        TPrimitiveType::JSONB => DataType::Json,
        TPrimitiveType::VARIANT => DataType::Variant,
        TPrimitiveType::ARRAY => DataType::Array(child(0)?),
        TPrimitiveType::MAP => DataType::Map(child(0)?, child(1)?),
        TPrimitiveType::STRUCT => {
            let children = column.children_column.as_deref().unwrap_or_default();
            let field = |child: &TColumn| Ok((child.column_name.clone(), data_type(child)?));
            DataType::Struct(
                children
                    .iter()
                    .map(|child| field(child))
                    .collect::<Result<_, WireError>>()?,
            )
        }
        TPrimitiveType::BITMAP => DataType::Bitmap,
        TPrimitiveType::HLL => DataType::Hll,
        TPrimitiveType::QUANTILE_STATE => DataType::QuantileState,
        TPrimitiveType::IPV4 => DataType::Ipv4,
        TPrimitiveType::IPV6 => DataType::Ipv6,
        other => {
            return Err(WireError::new(format!(
                "column {}: no column has type {}",
                column.column_name, other.0
            )));
        }
    })
}
