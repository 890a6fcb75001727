//! What a statement answers, and how it goes over the wire.

use opensrv_mysql::{Column, ColumnFlags, ColumnType, ErrorKind};

use crate::fe::{SqlError, StmtOutcome};
use crate::model::Cell;
use crate::query::{ColumnKind, ResultColumn, ResultSet};

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

/// Column definitions. In the binary protocol dates and decimals travel as text, which every client accepts.
pub(super) fn columns(columns: &[ResultColumn], binary: bool) -> Vec<Column> {
    let define = |column: &ResultColumn| Column {
        table: String::new(),
        column: column.name.clone(),
        coltype: match column.kind {
            ColumnKind::Integer | ColumnKind::Boolean => ColumnType::MYSQL_TYPE_LONGLONG,
            ColumnKind::Float | ColumnKind::Double => ColumnType::MYSQL_TYPE_DOUBLE,
            ColumnKind::Decimal if !binary => ColumnType::MYSQL_TYPE_NEWDECIMAL,
            ColumnKind::Date if !binary => ColumnType::MYSQL_TYPE_DATE,
            ColumnKind::DateTime if !binary => ColumnType::MYSQL_TYPE_DATETIME,
            ColumnKind::Decimal
            | ColumnKind::Date
            | ColumnKind::DateTime
            | ColumnKind::Large
            | ColumnKind::Text => ColumnType::MYSQL_TYPE_VAR_STRING,
        },
        colflags: ColumnFlags::empty(),
    };
    columns.iter().map(define).collect()
}

/// A cell as the binary protocol wants it.
pub(super) enum BinaryCell {
    Null,
    Integer(i64),
    Double(f64),
    Text(String),
}

pub(super) fn binary_cell(cell: &Cell, kind: ColumnKind) -> BinaryCell {
    let Some(text) = cell else {
        return BinaryCell::Null;
    };
    match kind {
        ColumnKind::Integer | ColumnKind::Boolean => {
            text.parse().map_or(BinaryCell::Null, BinaryCell::Integer)
        }
        ColumnKind::Float | ColumnKind::Double => {
            text.parse().map_or(BinaryCell::Null, BinaryCell::Double)
        }
        ColumnKind::Decimal
        | ColumnKind::Date
        | ColumnKind::DateTime
        | ColumnKind::Large
        | ColumnKind::Text => BinaryCell::Text(text.clone()),
    }
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
