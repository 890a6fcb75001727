//! Rows of a result as the MySQL protocol sends them, and batches of them.

use dorisim_wire::plan::TResultBatch;
use thrift::protocol::{TBinaryOutputProtocol, TSerializable};

use super::error::ExecError;
use dorisim_model::{Cell, DataType, Row};

/// How rows are written.
#[derive(Clone, Debug)]
pub enum Format {
    /// As answers to `COM_QUERY`.
    Text,
    /// As answers to `COM_STMT_EXECUTE`, by the types of the columns.
    Binary(Vec<DataType>),
}

/// NULL in a row of text.
const NULL: u8 = 0xfb;
/// Longest packet of MySQL.
const MAX_ROW: usize = (1 << 24) - 1;

/// One row.
///
/// # Errors
/// [`ExecError::TooMuch`] when it does not go into one packet.
pub fn encode(row: &Row, format: &Format) -> Result<Vec<u8>, ExecError> {
    let mut bytes = Vec::new();
    match format {
        Format::Text => {
            for cell in row {
                match cell {
                    Some(text) => push_text(&mut bytes, text),
                    None => bytes.push(NULL),
                }
            }
        }
        Format::Binary(types) => binary(&mut bytes, row, types),
    }
    if bytes.len() > MAX_ROW {
        return Err(ExecError::TooMuch {
            what: "bytes of one row",
            limit: MAX_ROW,
        });
    }
    Ok(bytes)
}

fn push_text(bytes: &mut Vec<u8>, text: &str) {
    let length = text.len();
    match length {
        ..=250 => bytes.push(length.to_le_bytes()[0]),
        251..=0xffff => {
            bytes.push(0xfc);
            bytes.extend(&length.to_le_bytes()[..2]);
        }
        0x1_0000..=0xff_ffff => {
            bytes.push(0xfd);
            bytes.extend(&length.to_le_bytes()[..3]);
        }
        _ => {
            bytes.push(0xfe);
            bytes.extend((length as u64).to_le_bytes());
        }
    }
    bytes.extend(text.as_bytes());
}

fn binary(bytes: &mut Vec<u8>, row: &[Cell], types: &[DataType]) {
    bytes.push(0);
    let mut nulls = vec![0_u8; (row.len() + 9) / 8];
    for (at, cell) in row.iter().enumerate() {
        if cell.is_none() {
            nulls[(at + 2) / 8] |= 1 << ((at + 2) % 8);
        }
    }
    bytes.extend(nulls);
    for (cell, data_type) in row.iter().zip(types) {
        let Some(text) = cell else { continue };
        match data_type {
            DataType::Boolean | DataType::TinyInt => integer(bytes, text, 1),
            DataType::SmallInt => integer(bytes, text, 2),
            DataType::Int => integer(bytes, text, 4),
            DataType::BigInt => integer(bytes, text, 8),
            DataType::Float => bytes.extend(text.parse::<f32>().unwrap_or(0.0).to_le_bytes()),
            DataType::Double => bytes.extend(text.parse::<f64>().unwrap_or(0.0).to_le_bytes()),
            DataType::Date => moment(bytes, text, false),
            DataType::DateTime(_) => moment(bytes, text, true),
            _ => push_text(bytes, text),
        }
    }
}

fn integer(bytes: &mut Vec<u8>, text: &str, width: usize) {
    let value: i64 = text.parse().unwrap_or(0);
    bytes.extend(&value.to_le_bytes()[..width]);
}

fn moment(bytes: &mut Vec<u8>, text: &str, with_time: bool) {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let parts: Vec<u32> = whole
        .split(['-', ' ', ':'])
        .map(|part| part.parse().unwrap_or(0))
        .collect();
    let part = |at: usize| parts.get(at).copied().unwrap_or(0);
    let micros: u32 = format!("{fraction:0<6}").parse().unwrap_or(0);
    let length = match (with_time, micros) {
        (false, _) => 4,
        (true, 0) => 7,
        (true, _) => 11,
    };
    bytes.push(length);
    bytes.extend(&part(0).to_le_bytes()[..2]);
    for at in 1..=if with_time { 5 } else { 2 } {
        bytes.push(part(at).to_le_bytes()[0]);
    }
    if length == 11 {
        bytes.extend(micros.to_le_bytes());
    }
}

/// A `TResultBatch` in binary Thrift.
#[must_use]
pub fn batch(rows: Vec<Vec<u8>>, number: i64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let written = TResultBatch::new(rows, false, number)
        .write_to_out_protocol(&mut TBinaryOutputProtocol::new(&mut bytes, true));
    if let Err(error) = written {
        // Into memory: only rows of more than 2 GiB fail.
        tracing::warn!(%error, "a result batch was not written");
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_rows_have_lengths_and_nulls() {
        let row = vec![Some("ab".to_owned()), None, Some("x".repeat(300))];
        let bytes = encode(&row, &Format::Text).unwrap();
        assert_eq!(&bytes[..4], b"\x02ab\xfb");
        assert_eq!(&bytes[4..7], [0xfc, 0x2c, 0x01]);
        assert!(encode(&vec![Some("x".repeat(MAX_ROW))], &Format::Text).is_err());
    }

    #[test]
    fn binary_rows_have_a_bitmap_and_typed_values() {
        let types = vec![
            DataType::Int,
            DataType::String,
            DataType::Date,
            DataType::DateTime(3),
        ];
        let cell = |text: &str| Some(text.to_owned());
        let row = vec![
            cell("-2"),
            None,
            cell("2024-02-03"),
            cell("2024-02-03 04:05:06.007"),
        ];
        let bytes = encode(&row, &Format::Binary(types)).unwrap();
        let date = [0xe8, 0x07, 2, 3];
        let mut expected = vec![0, 0b1000, 0xfe, 0xff, 0xff, 0xff, 4];
        expected.extend(date);
        expected.push(11);
        expected.extend(date);
        expected.extend([4, 5, 6]);
        expected.extend(7000_u32.to_le_bytes());
        assert_eq!(bytes, expected);
    }
}
