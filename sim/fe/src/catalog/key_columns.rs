//! Which columns are the key of a new table.

use crate::api::SqlError;
use dorisim_model::{Column, DataType};
use dorisim_sql::ast::KeysModel;

/// Most key columns of a duplicate table that names none (`shortkey_max_column_count`).
const MOST: usize = 3;
/// Most bytes of them (`shortkey_maxsize_bytes`).
const MOST_BYTES: u32 = 36;

/// Bytes of a column in the short key; `None` when it can not be part of one.
fn short_key_bytes(data_type: &DataType) -> Option<u32> {
    Some(match data_type {
        DataType::Boolean | DataType::TinyInt => 1,
        DataType::SmallInt => 2,
        DataType::Int | DataType::Date | DataType::Ipv4 => 4,
        DataType::BigInt | DataType::DateTime(_) => 8,
        DataType::LargeInt | DataType::Ipv6 => 16,
        DataType::Decimal(0..=9, _) => 4,
        DataType::Decimal(10..=18, _) => 8,
        DataType::Decimal(19..=38, _) => 16,
        DataType::Decimal(..) => 32,
        DataType::Char(length) => *length,
        DataType::Varchar(_) => 20,
        DataType::Float
        | DataType::Double
        | DataType::String
        | DataType::Json
        | DataType::Variant
        | DataType::Array(_)
        | DataType::Map(..)
        | DataType::Struct(_)
        | DataType::Bitmap
        | DataType::Hll
        | DataType::QuantileState
        | DataType::AggState(_) => return None,
    })
}

/// The key of a duplicate table that names none: the first columns as long as they fit, none behind a VARCHAR.
pub(crate) fn default_keys(columns: &[Column]) -> Vec<String> {
    let mut keys = Vec::new();
    let mut bytes = 0;
    for column in columns {
        let Some(size) = short_key_bytes(&column.data_type) else {
            break;
        };
        bytes += size;
        if keys.len() >= MOST || bytes > MOST_BYTES {
            if keys.is_empty() {
                keys.push(column.name.clone());
            }
            break;
        }
        keys.push(column.name.clone());
        if matches!(column.data_type, DataType::Varchar(_)) {
            break;
        }
    }
    keys
}

/// Refuses the first versions of DATE, DATETIME and DECIMAL, which new tables can not have.
pub(crate) fn check_version(type_text: &str) -> Result<(), SqlError> {
    let lower = type_text.trim().to_ascii_lowercase();
    let text = if lower.starts_with("datev1") || lower.starts_with("datetimev1") {
        "Disable to create table with `DATE` type columns, please use `DATEV2`."
    } else if lower.starts_with("decimalv2") {
        "Disable to create table with `DECIMAL` type columns,please use `DECIMALV3`."
    } else {
        return Ok(());
    };
    Err(SqlError::analysis(text))
}

/// Refuses keys that are not the first columns, or that Doris can not have as keys.
pub(crate) fn check(
    model: &KeysModel,
    keys: &[String],
    columns: &[Column],
) -> Result<(), SqlError> {
    let refuse = |text: String| Err(SqlError::analysis(text));
    for (at, name) in keys.iter().enumerate() {
        if !columns.iter().any(|column| column.is_named(name)) {
            return refuse(format!("Key column[{name}] doesn't exist."));
        }
        let Some(column) = columns.get(at) else {
            return refuse(
                "The number of key columns should be less than the number of columns.".to_owned(),
            );
        };
        if !column.is_named(name) {
            return refuse(format!(
                "Key columns should be a ordered prefix of the schema. KeyColumns[{at}] (starts from zero) is {name}, but \
                 corresponding column is {} in the previous columns declaration.",
                column.name
            ));
        }
        match &column.data_type {
            DataType::Float | DataType::Double => {
                return refuse(
                    "Float or double can not used as a key, use decimal instead.".to_owned(),
                );
            }
            DataType::String => {
                return refuse(format!(
                    "String Type should not be used in key column[{}]",
                    column.name
                ));
            }
            DataType::Array(_) => {
                return refuse(
                    "Array can only be used in the non-key column of the duplicate table at present."
                        .to_owned(),
                );
            }
            DataType::Bitmap | DataType::Hll | DataType::QuantileState => {
                return refuse(format!(
                    "Key column can not set complex type:{}",
                    column.name
                ));
            }
            _ => {}
        }
    }
    let values = columns.iter().skip(keys.len());
    let aggregated = values.clone().find(|column| column.aggregation.is_some());
    match (model, aggregated) {
        (KeysModel::Duplicate, Some(column)) => refuse(format!(
            "DUP_KEYS table should not specify aggregate type for non-key column[{}]",
            column.name
        )),
        (KeysModel::Unique, Some(column)) => refuse(format!(
            "UNIQUE_KEYS table should not specify aggregate type for non-key column[{}]",
            column.name
        )),
        (KeysModel::Duplicate | KeysModel::Unique | KeysModel::Aggregate, _) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(types: &[&str]) -> Vec<Column> {
        types
            .iter()
            .enumerate()
            .map(|(at, ty)| Column::new(format!("c{at}"), DataType::parse(ty).unwrap()))
            .collect()
    }

    #[test]
    fn a_key_that_nobody_names_is_short() {
        let keys = |types: &[&str]| default_keys(&columns(types)).len();
        assert_eq!(keys(&["varchar(50)", "int", "datetime"]), 1);
        assert_eq!(keys(&["int", "int", "int", "int"]), 3);
        assert_eq!(keys(&["largeint", "largeint", "bigint"]), 2);
        assert_eq!(keys(&["char(255)", "int"]), 1);
        assert_eq!(keys(&["int", "double"]), 1);
        assert_eq!(keys(&["double"]), 0);
    }

    #[test]
    fn keys_are_refused_with_their_texts() {
        let refused = |model, keys: &[&str], types: &[&str]| {
            let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
            check(&model, &keys, &columns(types)).unwrap_err().text
        };
        assert_eq!(
            refused(KeysModel::Duplicate, &["x"], &["int"]),
            "Key column[x] doesn't exist."
        );
        assert_eq!(
            refused(KeysModel::Unique, &["c1"], &["int", "int"]),
            "Key columns should be a ordered prefix of the schema. KeyColumns[0] (starts from zero) is c1, but corresponding \
             column is c0 in the previous columns declaration."
        );
        assert_eq!(
            refused(KeysModel::Duplicate, &["c0"], &["bitmap"]),
            "Key column can not set complex type:c0"
        );
        assert_eq!(
            refused(KeysModel::Duplicate, &["c0"], &["double"]),
            "Float or double can not used as a key, use decimal instead."
        );
    }
}
