//! Bodies of the packets that a server sends and `mysql_common` cannot write: OK, EOF, definitions of columns, rows.

use bytes::BufMut;
use mysql_common::constants::{ColumnType, StatusFlags};
use mysql_common::io::BufMutExt;
use mysql_common::packets::{Column, ErrPacket, ServerError, SqlState};
use mysql_common::proto::MySerialize;
use mysql_common::value::Value;

use crate::service::{Refusal, Row};

/// Header of a NULL in a text row.
const NULL: u8 = 0xfb;

fn status(more: bool) -> u16 {
    if more {
        StatusFlags::SERVER_MORE_RESULTS_EXISTS.bits()
    } else {
        0
    }
}

/// OK packet; `more`: another result comes after it.
pub(crate) fn ok(affected_rows: u64, info: &str, more: bool) -> Vec<u8> {
    let mut body = vec![0];
    body.put_lenenc_int(affected_rows);
    body.put_lenenc_int(0); // last insert id
    body.put_u16_le(status(more));
    body.put_u16_le(0); // warnings
    if !info.is_empty() {
        // The protocol's description has it without a length, servers and clients agree on one.
        body.put_lenenc_str(info.as_bytes());
    }
    body
}

/// EOF packet; `more`: another result comes after it.
pub(crate) fn eof(more: bool) -> Vec<u8> {
    let mut body = vec![0xfe, 0, 0];
    body.put_u16_le(status(more));
    body
}

/// ERR packet.
pub(crate) fn error(refusal: &Refusal) -> Vec<u8> {
    let mut body = Vec::new();
    let state = SqlState::new(refusal.state());
    let error = ServerError::new(refusal.code, Some(state), refusal.message.as_bytes());
    ErrPacket::Error(error).serialize(&mut body);
    body
}

/// Number of columns, the first packet of a result.
pub(crate) fn count(columns: usize) -> Vec<u8> {
    let mut body = Vec::new();
    body.put_lenenc_int(u64::try_from(columns).unwrap_or(u64::MAX));
    body
}

/// First packet of the answer to COM_STMT_PREPARE.
pub(crate) fn prepared(id: u32, columns: u16, parameters: u16) -> Vec<u8> {
    let mut body = vec![0];
    body.put_u32_le(id);
    body.put_u16_le(columns);
    body.put_u16_le(parameters);
    body.put_u8(0);
    body.put_u16_le(0); // warnings
    body
}

/// Definition of a column. `mysql_common` 0.37 writes the display length in front of the character set, clients read them the
/// other way round.
pub(crate) fn definition(column: &Column) -> Vec<u8> {
    let mut body = Vec::new();
    let names = [
        b"def".as_slice(),
        column.schema_ref(),
        column.table_ref(),
        column.org_table_ref(),
        column.name_ref(),
        column.org_name_ref(),
    ];
    for name in names {
        body.put_lenenc_str(name);
    }
    body.put_u8(0x0c); // bytes of the rest
    body.put_u16_le(column.character_set());
    body.put_u32_le(column.column_length());
    body.put_u8(column.column_type() as u8);
    body.put_u16_le(column.flags().bits());
    body.put_u8(column.decimals());
    body.put_u16_le(0);
    body
}

/// Row of the text protocol.
pub(crate) fn text_row(row: &Row) -> Vec<u8> {
    let mut body = Vec::new();
    for cell in row {
        match cell {
            Some(text) => body.put_lenenc_str(text.as_bytes()),
            None => body.put_u8(NULL),
        }
    }
    body
}

/// Row of the binary protocol. A cell that is no value of its column's type becomes NULL.
pub(crate) fn binary_row(columns: &[Column], row: &Row) -> Vec<u8> {
    // The bitmap of NULLs begins at its third bit.
    let mut nulls = vec![0_u8; (columns.len() + 7 + 2) / 8];
    let mut values = Vec::new();
    for (at, (column, cell)) in columns.iter().zip(row).enumerate() {
        let value = cell
            .as_deref()
            .and_then(|text| binary(column.column_type(), text));
        match value {
            Some(value) => values.extend(value),
            None => {
                if let Some(byte) = nulls.get_mut((at + 2) / 8) {
                    *byte |= 1 << ((at + 2) % 8);
                }
            }
        }
    }
    let mut body = vec![0];
    body.extend(nulls);
    body.extend(values);
    body
}

/// A value by its type: integers and floats in little endian, moments in their own form, the rest as text.
fn binary(column_type: ColumnType, text: &str) -> Option<Vec<u8>> {
    let mut value = Vec::new();
    match column_type {
        ColumnType::MYSQL_TYPE_TINY => value.put_i8(text.parse().ok()?),
        ColumnType::MYSQL_TYPE_SHORT => value.put_i16_le(text.parse().ok()?),
        ColumnType::MYSQL_TYPE_LONG => value.put_i32_le(text.parse().ok()?),
        ColumnType::MYSQL_TYPE_LONGLONG => value.put_i64_le(text.parse().ok()?),
        ColumnType::MYSQL_TYPE_FLOAT => value.put_f32_le(text.parse().ok()?),
        ColumnType::MYSQL_TYPE_DOUBLE => value.put_f64_le(text.parse().ok()?),
        ColumnType::MYSQL_TYPE_DATE | ColumnType::MYSQL_TYPE_DATETIME => {
            moment(text)?.serialize(&mut value);
        }
        _ => value.put_lenenc_str(text.as_bytes()),
    }
    Some(value)
}

/// `yyyy-mm-dd[ hh:mm:ss[.f]]`.
fn moment(text: &str) -> Option<Value> {
    let (date, time) = text.split_once(' ').unwrap_or((text, ""));
    let mut date = date.split('-');
    let year = date.next()?.parse().ok()?;
    let (month, day) = (date.next()?.parse().ok()?, date.next()?.parse().ok()?);
    let (seconds, fraction) = time.split_once('.').unwrap_or((time, ""));
    let mut time = seconds.split(':').filter(|part| !part.is_empty());
    let mut next = || time.next().map_or(Some(0), |part| part.parse().ok());
    let (hour, minute, second) = (next()?, next()?, next()?);
    let micros = format!("{fraction:0<6}").get(..6)?.parse().ok()?;
    Some(Value::Date(year, month, day, hour, minute, second, micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_have_a_form_of_their_own() {
        let cell = |text| binary(ColumnType::MYSQL_TYPE_DATETIME, text);
        assert_eq!(cell("2024-02-29"), Some(vec![4, 0xe8, 7, 2, 29]));
        assert_eq!(
            cell("2024-02-29 01:02:03.5"),
            Some(vec![11, 0xe8, 7, 2, 29, 1, 2, 3, 0x20, 0xa1, 7, 0])
        );
        assert_eq!(cell("never"), None);
    }

    #[test]
    fn a_cell_that_is_not_of_its_type_is_null() {
        let columns = [
            Column::new(ColumnType::MYSQL_TYPE_TINY),
            Column::new(ColumnType::MYSQL_TYPE_VAR_STRING),
            Column::new(ColumnType::MYSQL_TYPE_TINY),
        ];
        let row = vec![Some("-7".into()), None, Some("x".into())];
        assert_eq!(binary_row(&columns, &row), [0, 0b11000, 0xf9]);
    }

    #[test]
    fn a_definition_has_the_character_set_before_the_length() {
        let column = Column::new(ColumnType::MYSQL_TYPE_NEWDECIMAL)
            .with_name(b"p")
            .with_character_set(33)
            .with_column_length(20)
            .with_decimals(2);
        let wanted = b"\x03def\0\0\0\x01p\0\x0c\x21\0\x14\0\0\0\xf6\0\0\x02\0\0";
        assert_eq!(definition(&column), wanted);
    }

    #[test]
    fn an_error_carries_number_and_state() {
        let refusal = Refusal::new(1045, "no");
        assert_eq!(error(&refusal), b"\xff\x15\x04#28000no");
    }
}
