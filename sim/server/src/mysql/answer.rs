//! What a statement answers, and how it goes over the wire.

use opensrv_mysql::ErrorKind;

use dorisim_fe::{SqlError, StmtOutcome};
use dorisim_model::Cell;
use dorisim_query::{ColumnKind, ResultSet};

/// Success of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// An OK packet.
    Done(StmtOutcome),
    /// Rows.
    Rows(ResultSet),
}

impl Answer {
    /// An OK packet that says nothing.
    #[must_use]
    pub fn nothing() -> Self {
        Self::Done(StmtOutcome::default())
    }

    /// The rows; none for an OK packet.
    #[must_use]
    pub fn into_rows(self) -> ResultSet {
        match self {
            Self::Done(_) => ResultSet::default(),
            Self::Rows(rows) => rows,
        }
    }
}

/// A cell as the binary protocol wants it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum BinaryCell {
    Null,
    /// The library narrows it to the column's width.
    Integer(isize),
    Float(f32),
    Double(f64),
    Bytes(Vec<u8>),
}

pub(super) fn binary_cell(cell: &Cell, kind: ColumnKind) -> BinaryCell {
    let Some(text) = cell else {
        return BinaryCell::Null;
    };
    match kind {
        ColumnKind::TinyInt
        | ColumnKind::SmallInt
        | ColumnKind::Int
        | ColumnKind::Integer
        | ColumnKind::Boolean => text.parse().map_or(BinaryCell::Null, BinaryCell::Integer),
        ColumnKind::Float => text.parse().map_or(BinaryCell::Null, BinaryCell::Float),
        ColumnKind::Double => text.parse().map_or(BinaryCell::Null, BinaryCell::Double),
        ColumnKind::Date | ColumnKind::DateTime(_) => {
            moment(text).map_or(BinaryCell::Null, BinaryCell::Bytes)
        }
        ColumnKind::Decimal(..)
        | ColumnKind::Large
        | ColumnKind::Text
        | ColumnKind::String
        | ColumnKind::Json => BinaryCell::Bytes(text.clone().into_bytes()),
    }
}

/// `yyyy-mm-dd[ hh:mm:ss[.f]]` as the binary protocol has it, without the length in front: 4, 7 or 11 bytes.
fn moment(text: &str) -> Option<Vec<u8>> {
    let (date, time) = text
        .split_once(' ')
        .map_or((text, None), |(d, t)| (d, Some(t)));
    let mut parts = date.split('-');
    let mut bytes = parts.next()?.parse::<u16>().ok()?.to_le_bytes().to_vec();
    bytes.push(parts.next()?.parse().ok()?);
    bytes.push(parts.next()?.parse().ok()?);
    let Some(time) = time else {
        return Some(bytes);
    };
    let (seconds, fraction) = time.split_once('.').unwrap_or((time, ""));
    for part in seconds.split(':') {
        bytes.push(part.parse().ok()?);
    }
    if !fraction.is_empty() {
        let micros: u32 = format!("{fraction:0<6}").get(..6)?.parse().ok()?;
        bytes.extend(micros.to_le_bytes());
    }
    Some(bytes)
}

/// The error packet's number; numbers the library does not know become 1105.
pub(super) fn error_kind(error: &SqlError) -> ErrorKind {
    match error.code {
        1044 => ErrorKind::ER_DBACCESS_DENIED_ERROR,
        1045 => ErrorKind::ER_ACCESS_DENIED_ERROR,
        1046 => ErrorKind::ER_NO_DB_ERROR,
        1049 => ErrorKind::ER_BAD_DB_ERROR,
        1050 => ErrorKind::ER_TABLE_EXISTS_ERROR,
        1051 => ErrorKind::ER_BAD_TABLE_ERROR,
        1054 => ErrorKind::ER_BAD_FIELD_ERROR,
        1007 => ErrorKind::ER_DB_CREATE_EXISTS,
        1008 => ErrorKind::ER_DB_DROP_EXISTS,
        1064 => ErrorKind::ER_PARSE_ERROR,
        1136 => ErrorKind::ER_WRONG_VALUE_COUNT_ON_ROW,
        1142 => ErrorKind::ER_TABLEACCESS_DENIED_ERROR,
        1146 => ErrorKind::ER_NO_SUCH_TABLE,
        1227 => ErrorKind::ER_SPECIFIC_ACCESS_DENIED_ERROR,
        _ => ErrorKind::ER_UNKNOWN_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_travel_in_their_own_form() {
        let cell = |text: &str, kind| binary_cell(&Some(text.to_owned()), kind);
        assert_eq!(
            cell("2024-02-29", ColumnKind::Date),
            BinaryCell::Bytes(vec![0xe8, 7, 2, 29])
        );
        assert_eq!(
            cell("2024-02-29 01:02:03.5", ColumnKind::DateTime(1)),
            BinaryCell::Bytes(vec![0xe8, 7, 2, 29, 1, 2, 3, 0x20, 0xa1, 7, 0])
        );
        assert_eq!(cell("-7", ColumnKind::TinyInt), BinaryCell::Integer(-7));
    }
}
