//! Rows of one set of columns in the shape of another: rollups and indexes that a schema change builds.

use super::{Cell, Column, Row, TableSchema};

/// Where a column of the target comes from.
enum Source {
    /// Position in the given row; converted when the types differ.
    At(usize),
    /// 1 for a value, 0 for NULL: what a materialized `count(x)` sums up.
    CountAt(usize),
    /// A column that old rows do not have.
    Constant(Cell),
}

/// What to do with a value that the target's type can not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misfit {
    /// The whole projection fails with the reason.
    Fail,
    /// The cell becomes NULL.
    Null,
}

/// Projects rows; columns are paired by their unique ids, those of materialized views by their expression.
///
/// # Errors
/// The reason, when a value does not fit and `misfit` says so.
pub fn project(
    from: &TableSchema,
    to: &TableSchema,
    rows: &[Row],
    misfit: Misfit,
) -> Result<Vec<Row>, String> {
    let sources: Vec<Source> = to.columns.iter().map(|c| source(from, c)).collect();
    rows.iter()
        .map(|row| {
            sources
                .iter()
                .zip(&to.columns)
                .map(|(source, column)| cell(from, column, source, row, misfit))
                .collect()
        })
        .collect()
}

/// Positions and expressions of the columns of a materialized view that are more than a column of the base or its count.
#[must_use]
pub fn expressions<'a>(from: &TableSchema, to: &'a TableSchema) -> Vec<(usize, &'a str)> {
    let computed = |(at, column): (usize, &'a Column)| {
        let known = from.columns.iter().any(|c| c.unique_id == column.unique_id);
        let text = column.generated.as_deref()?;
        (!known && defined_by(from, column).is_none()).then_some((at, text))
    };
    to.columns.iter().enumerate().filter_map(computed).collect()
}

fn source(from: &TableSchema, column: &Column) -> Source {
    let place = from
        .columns
        .iter()
        .position(|c| c.unique_id == column.unique_id);
    match place {
        Some(i) => Source::At(i),
        None => {
            let constant = || Source::Constant(column.value_in_old_rows());
            defined_by(from, column).unwrap_or_else(constant)
        }
    }
}

/// The source of a column of a materialized view: its expression is a column, or the CASE of a count over a column.
fn defined_by(from: &TableSchema, column: &Column) -> Option<Source> {
    let expression = column.generated.as_deref()?;
    let name = expression.split('`').nth(1)?;
    let at = from.position(name)?;
    if expression == format!("`{name}`") {
        return Some(Source::At(at));
    }
    let counted = format!("CASE WHEN `{name}` IS NULL THEN 0 ELSE 1 END");
    (expression == counted).then_some(Source::CountAt(at))
}

fn cell(
    from: &TableSchema,
    column: &Column,
    source: &Source,
    row: &Row,
    misfit: Misfit,
) -> Result<Cell, String> {
    match source {
        Source::Constant(cell) => Ok(cell.clone()),
        Source::CountAt(i) => Ok(Some(
            if row.get(*i).is_some_and(Option::is_some) {
                "1"
            } else {
                "0"
            }
            .to_owned(),
        )),
        Source::At(i) => {
            let value = row.get(*i).cloned().flatten();
            if from.columns[*i].data_type == column.data_type {
                return Ok(value);
            }
            match column.data_type.parse_cell(value.as_deref()) {
                Ok(cell) => Ok(cell),
                Err(_) if misfit == Misfit::Null => Ok(None),
                Err(reason) => Err(format!("column {}: {reason}", column.name)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DataType, KeysModel};

    fn schema(columns: &[(&str, DataType, i32)]) -> TableSchema {
        TableSchema {
            columns: columns
                .iter()
                .map(|(name, ty, unique_id)| Column {
                    unique_id: *unique_id,
                    ..Column::new(*name, ty.clone())
                })
                .collect(),
            keys: KeysModel::Duplicate,
            schema_hash: 1,
            schema_version: 0,
            indexes: Default::default(),
        }
    }

    #[test]
    fn values_are_converted_reordered_and_counted() {
        let from = schema(&[("k", DataType::Int, 0), ("v", DataType::Varchar(9), 1)]);
        let mut to = schema(&[
            ("v", DataType::BigInt, 1),
            ("k", DataType::String, 0),
            ("n", DataType::BigInt, 9),
        ]);
        to.columns[2].generated = Some("CASE WHEN `v` IS NULL THEN 0 ELSE 1 END".to_owned());
        let cell = |text: &str| Some(text.to_owned());
        let rows = vec![vec![cell("1"), cell("007")], vec![cell("2"), None]];
        assert_eq!(
            project(&from, &to, &rows, Misfit::Fail).unwrap(),
            [
                vec![cell("7"), cell("1"), cell("1")],
                vec![None, cell("2"), cell("0")]
            ]
        );
        let bad = vec![vec![cell("1"), cell("x")]];
        assert!(project(&from, &to, &bad, Misfit::Fail).is_err());
        assert_eq!(project(&from, &to, &bad, Misfit::Null).unwrap()[0][0], None);
    }
}
