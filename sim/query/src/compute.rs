//! Expressions over rows that stand in no table yet: loads compute columns, filters and generated columns with them.

use super::engine::QueryEngine;
use super::source::{ColumnKind, Named, ResultColumn, ResultSet, SessionInfo, TableRef, Tables};
use dorisim_model::{DataType, DefaultValue, Row, TableSchema};
use dorisim_model::{SqlError, TableScan};

/// Numbers the rows; no column of a load is called so.
const NUMBER: &str = "__dorisim_row";

/// Rows, and how their columns compare.
#[derive(Debug, Clone)]
pub struct Input {
    rows: ResultSet,
}

impl Input {
    /// Fields of a load, see [`field_columns`].
    #[must_use]
    pub fn of_fields(names: &[String], rows: &[Row]) -> Self {
        Self::numbered(field_columns(names, rows), rows)
    }

    /// Rows of known types.
    #[must_use]
    pub fn of_types(columns: &[(String, DataType)], rows: &[Row]) -> Self {
        let columns = columns.iter().map(|(name, data_type)| ResultColumn {
            name: name.clone(),
            kind: ColumnKind::of(data_type),
        });
        Self::numbered(columns.collect(), rows)
    }

    fn numbered(mut columns: Vec<ResultColumn>, rows: &[Row]) -> Self {
        columns.push(ResultColumn {
            name: NUMBER.to_owned(),
            kind: ColumnKind::Integer,
        });
        let rows = rows.iter().enumerate().map(|(number, row)| {
            let mut row = row.clone();
            row.push(Some(number.to_string()));
            row
        });
        Self {
            rows: ResultSet {
                columns,
                rows: rows.collect(),
            },
        }
    }
}

/// Columns of a load's fields. They are text, as in Doris; columns of nothing but numbers compare as numbers and keep their text.
#[must_use]
pub fn field_columns(names: &[String], rows: &[Row]) -> Vec<ResultColumn> {
    let kind = |at: usize| {
        let number = |row: &Row| row[at].as_deref().is_none_or(is_number);
        if rows.iter().all(number) {
            ColumnKind::Large
        } else {
            ColumnKind::Text
        }
    };
    let column = |(at, name): (usize, &String)| ResultColumn {
        name: name.clone(),
        kind: kind(at),
    };
    names.iter().enumerate().map(column).collect()
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits =
        |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    all_digits(whole) && all_digits(fraction)
}

impl Tables for Input {
    fn named(&self, table: &TableRef) -> Result<Named, SqlError> {
        Err(SqlError::unknown_table(&table.name))
    }

    fn scan(&self, table: &TableRef) -> Result<TableScan, SqlError> {
        Err(SqlError::unknown_table(&table.name))
    }

    fn function(&self, _: &str, _: &str) -> Result<ResultSet, SqlError> {
        Ok(self.rows.clone())
    }
}

/// Computes the expressions for every row that passes the filter: the row's number and the values, in the order of rows.
///
/// # Errors
/// An expression that can not be read, or names unknown columns or functions.
pub fn compute(
    engine: &QueryEngine,
    session: &SessionInfo,
    input: &Input,
    expressions: &[&str],
    filter: Option<&str>,
) -> Result<Vec<(usize, Row)>, SqlError> {
    let mut text = format!("SELECT `{NUMBER}`");
    for expression in expressions {
        text.push_str(&format!(", ({expression})"));
    }
    text.push_str(" FROM fields()");
    if let Some(filter) = filter {
        text.push_str(&format!(" WHERE ({filter})"));
    }
    text.push_str(&format!(" ORDER BY `{NUMBER}`"));
    let answer = engine.select(&text, session, input)?;
    let numbered = answer.rows.into_iter().filter_map(|mut row| {
        let values = row.split_off(1);
        let number = row.pop()??.parse().ok()?;
        Some((number, values))
    });
    Ok(numbered.collect())
}

/// Adds the generated columns of a table to rows that are about to be loaded. `columns` names the cells; empty stands for
/// all visible columns that are not generated.
///
/// # Errors
/// As [`compute`].
pub fn add_generated(
    engine: &QueryEngine,
    session: &SessionInfo,
    schema: &TableSchema,
    columns: &mut Vec<String>,
    rows: &mut [Row],
) -> Result<(), SqlError> {
    let generated: Vec<_> = schema
        .visible()
        .filter_map(|column| Some((column.name.clone(), column.generated.clone()?)))
        .collect();
    if generated.is_empty() || rows.is_empty() {
        return Ok(());
    }
    if columns.is_empty() {
        let given = schema.visible().filter(|column| column.generated.is_none());
        columns.extend(given.map(|column| column.name.clone()));
    }
    for (name, expression) in generated {
        if columns
            .iter()
            .any(|column| column.eq_ignore_ascii_case(&name))
        {
            continue;
        }
        let mut typed: Vec<(String, DataType)> = columns
            .iter()
            .map(|name| {
                let data_type = schema
                    .column(name)
                    .map_or(DataType::String, |column| column.data_type.clone());
                (name.clone(), data_type)
            })
            .collect();
        let mut filled = rows.to_vec();
        let left_out = schema.visible().filter(|column| {
            column.generated.is_none() && !columns.iter().any(|name| column.is_named(name))
        });
        for column in left_out {
            typed.push((column.name.clone(), column.data_type.clone()));
            let default = match &column.default {
                Some(DefaultValue::Constant(text)) => text.clone(),
                Some(DefaultValue::CurrentTimestamp(_)) => {
                    Some(dorisim_model::clock::datetime_text(session.now_ms))
                }
                Some(DefaultValue::Function(_)) | None => None,
            };
            for row in &mut filled {
                row.push(default.clone());
            }
        }
        let input = Input::of_types(&typed, &filled);
        for (number, mut values) in compute(engine, session, &input, &[&expression], None)? {
            rows[number].push(values.pop().flatten());
        }
        columns.push(name);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[Option<&str>]) -> Row {
        cells.iter().map(|cell| cell.map(str::to_owned)).collect()
    }

    #[test]
    fn fields_are_text_that_compares_by_value() {
        let engine = QueryEngine::new().unwrap();
        let rows = [
            row(&[Some("007"), Some("a")]),
            row(&[Some("10"), None]),
            row(&[None, Some("b")]),
        ];
        let input = Input::of_fields(&["n".into(), "t".into()], &rows);
        let computed = compute(
            &engine,
            &SessionInfo::default(),
            &input,
            &[
                "n",
                "n + 1",
                "case when upper(t) = 'A' then 'yes' else t end",
            ],
            Some("n > 6 or n is null"),
        )
        .unwrap();
        assert_eq!(
            computed,
            [
                (0, row(&[Some("007"), Some("8"), Some("yes")])),
                (1, row(&[Some("10"), Some("11"), None])),
                (2, row(&[None, None, Some("b")])),
            ]
        );
        let unknown = compute(&engine, &SessionInfo::default(), &input, &["x"], None);
        assert!(unknown.unwrap_err().text.contains("Unknown column 'x'"));
    }
}
