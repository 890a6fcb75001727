//! Column definitions as Doris writes them.
//!
//! The protocol library knows a type and a name per column; drivers also read length, scale and the original name. So the
//! definitions are written here and put in the place of the library's, packet by packet.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use opensrv_mysql::{Column, ColumnFlags, ColumnType};

use dorisim_query::{ColumnKind, ResultColumn};

/// utf8_general_ci, for every column.
const CHARSET: u16 = 33;

/// Definition packets that the next answer needs, in order.
#[derive(Debug, Clone, Default)]
pub(super) struct Definitions(Arc<Mutex<VecDeque<Vec<u8>>>>);

impl Definitions {
    /// Announces the columns of the next answer.
    pub(super) fn expect(&self, columns: &[ResultColumn]) {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        queue.clear();
        queue.extend(columns.iter().map(packet));
    }

    pub(super) fn is_set(&self) -> bool {
        !self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_empty()
    }

    /// Given a definition of the library, the body to send instead.
    pub(super) fn replace(&self, body: &[u8]) -> Option<Vec<u8>> {
        body.starts_with(b"\x03def\x00").then_some(())?;
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front()
    }
}

/// What the library has to know to write the values.
pub(super) fn columns(columns: &[ResultColumn]) -> Vec<Column> {
    let define = |column: &ResultColumn| Column {
        table: String::new(),
        column: column.name.clone(),
        coltype: encoding(column.kind),
        colflags: ColumnFlags::empty(),
    };
    columns.iter().map(define).collect()
}

/// How the library writes values of the kind in the binary protocol. Dates are written as strings of their bytes, which is the
/// same on the wire.
fn encoding(kind: ColumnKind) -> ColumnType {
    match kind {
        ColumnKind::TinyInt | ColumnKind::Boolean => ColumnType::MYSQL_TYPE_TINY,
        ColumnKind::SmallInt => ColumnType::MYSQL_TYPE_SHORT,
        ColumnKind::Int => ColumnType::MYSQL_TYPE_LONG,
        ColumnKind::Integer => ColumnType::MYSQL_TYPE_LONGLONG,
        ColumnKind::Float => ColumnType::MYSQL_TYPE_FLOAT,
        ColumnKind::Double => ColumnType::MYSQL_TYPE_DOUBLE,
        ColumnKind::Large
        | ColumnKind::Decimal(..)
        | ColumnKind::Date
        | ColumnKind::DateTime(_)
        | ColumnKind::Text
        | ColumnKind::String
        | ColumnKind::Json => ColumnType::MYSQL_TYPE_VAR_STRING,
    }
}

/// MySQL type, display length and decimals of a kind (`PrimitiveType.toMysqlType`, `MysqlSerializer` of the frontend).
fn announced(kind: ColumnKind) -> (ColumnType, u32, u8) {
    match kind {
        ColumnKind::Boolean => (ColumnType::MYSQL_TYPE_TINY, 1, 0),
        ColumnKind::TinyInt => (ColumnType::MYSQL_TYPE_TINY, 4, 0),
        ColumnKind::SmallInt => (ColumnType::MYSQL_TYPE_SHORT, 6, 0),
        ColumnKind::Int => (ColumnType::MYSQL_TYPE_LONG, 11, 0),
        ColumnKind::Integer => (ColumnType::MYSQL_TYPE_LONGLONG, 20, 0),
        ColumnKind::Float => (ColumnType::MYSQL_TYPE_FLOAT, 12, 31),
        ColumnKind::Double => (ColumnType::MYSQL_TYPE_DOUBLE, 22, 31),
        ColumnKind::Decimal(precision, scale) => {
            let point = if scale > 0 { 2 } else { 1 };
            (
                ColumnType::MYSQL_TYPE_NEWDECIMAL,
                u32::from(precision) + point,
                scale,
            )
        }
        ColumnKind::Date => (ColumnType::MYSQL_TYPE_DATE, 10, 0),
        ColumnKind::DateTime(scale) => (ColumnType::MYSQL_TYPE_DATETIME, 19, scale),
        ColumnKind::Large | ColumnKind::Text => (ColumnType::MYSQL_TYPE_STRING, 255, 0),
        ColumnKind::String => (ColumnType::MYSQL_TYPE_BLOB, 255, 0),
        ColumnKind::Json => (ColumnType::MYSQL_TYPE_JSON, 255, 0),
    }
}

fn packet(column: &ResultColumn) -> Vec<u8> {
    let (kind, length, decimals) = announced(column.kind);
    let mut body = Vec::with_capacity(32 + 2 * column.name.len());
    for text in ["def", "", "", "", &column.name, &column.name] {
        counted(&mut body, text);
    }
    body.push(0x0c);
    body.extend(CHARSET.to_le_bytes());
    body.extend(length.to_le_bytes());
    body.push(kind as u8);
    body.extend([0, 0, decimals, 0, 0]);
    body
}

/// A text behind its length. Names are shorter than 64 KiB: the statement that holds them was one packet, longer ones are cut.
fn counted(body: &mut Vec<u8>, text: &str) {
    let bytes = &text.as_bytes()[..text.len().min(0xffff)];
    match u8::try_from(bytes.len()) {
        Ok(length @ 0..=250) => body.push(length),
        Ok(_) | Err(_) => {
            body.push(0xfc);
            body.extend(u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_le_bytes());
        }
    }
    body.extend(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_carry_type_length_and_scale() {
        let column = |kind| ResultColumn {
            name: "price".into(),
            kind,
        };
        let tail = |kind| {
            let packet = packet(&column(kind));
            packet[packet.len() - 12..].to_vec()
        };
        assert_eq!(
            tail(ColumnKind::Decimal(18, 2)),
            [33, 0, 20, 0, 0, 0, 246, 0, 0, 2, 0, 0]
        );
        assert_eq!(
            tail(ColumnKind::DateTime(3)),
            [33, 0, 19, 0, 0, 0, 12, 0, 0, 3, 0, 0]
        );
        assert_eq!(tail(ColumnKind::Boolean)[2..7], [1, 0, 0, 0, 1]);
        assert_eq!(tail(ColumnKind::Json)[6], 245);
    }

    #[test]
    fn only_definitions_are_replaced_and_each_once() {
        let definitions = Definitions::default();
        definitions.expect(&[ResultColumn {
            name: "a".into(),
            kind: ColumnKind::Int,
        }]);
        assert_eq!(definitions.replace(&[1]), None);
        let replaced = definitions.replace(b"\x03def\x00\x00").unwrap();
        assert!(replaced.starts_with(b"\x03def\x00\x00\x00\x01a\x01a\x0c"));
        assert_eq!(definitions.replace(b"\x03def\x00\x00"), None);
    }
}
