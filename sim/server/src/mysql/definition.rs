//! Column definitions as Doris sends them: drivers read type, display length and scale.

use dorisim_mysql::{Column, ColumnType};
use dorisim_query::{ColumnKind, ResultColumn};

/// `utf8_general_ci`, for every column.
const CHARSET: u16 = 33;

/// Definitions of the columns of an answer.
pub(super) fn columns(columns: &[ResultColumn]) -> Vec<Column> {
    columns.iter().map(column).collect()
}

/// Definition of a column.
pub(super) fn column(column: &ResultColumn) -> Column {
    let (kind, length, decimals) = announced(column.kind);
    Column::new(kind)
        .with_name(column.name.as_bytes())
        .with_org_name(column.name.as_bytes())
        .with_character_set(CHARSET)
        .with_column_length(length)
        .with_decimals(decimals)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_carry_type_length_and_scale() {
        let defined = |kind| {
            let name = "price".to_owned();
            let column = column(&ResultColumn { name, kind });
            (
                column.column_type(),
                column.column_length(),
                column.decimals(),
            )
        };
        assert_eq!(
            defined(ColumnKind::Decimal(18, 2)),
            (ColumnType::MYSQL_TYPE_NEWDECIMAL, 20, 2)
        );
        assert_eq!(
            defined(ColumnKind::DateTime(3)),
            (ColumnType::MYSQL_TYPE_DATETIME, 19, 3)
        );
        assert_eq!(
            defined(ColumnKind::Boolean),
            (ColumnType::MYSQL_TYPE_TINY, 1, 0)
        );
    }
}
