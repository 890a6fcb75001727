//! Functions: the frequent ones here, all others by the engine that answers SELECT at a simulated frontend.

use super::cast;
use super::error::ExecError;
use super::expr::truth;
use dorisim_model::{Cell, DataType, Row};
use dorisim_query::{Input, QueryEngine, SessionInfo, compute};

/// The function applied to each row; `columns` are its arguments.
///
/// # Errors
/// Functions that nobody here knows.
pub(super) fn call(
    name: &str,
    types: &[&DataType],
    columns: &[Vec<Cell>],
    rows: usize,
    data_type: &DataType,
) -> Result<Vec<Cell>, ExecError> {
    let each = |of: &dyn Fn(&[&Cell]) -> Cell| -> Vec<Cell> {
        (0..rows)
            .map(|row| {
                let cells: Vec<&Cell> = columns.iter().map(|column| &column[row]).collect();
                of(&cells)
            })
            .collect()
    };
    Ok(match (name, columns.len()) {
        ("if", 3) => each(&|cells| {
            let chosen = if truth(cells[0]) == Some(true) { 1 } else { 2 };
            cells[chosen].clone()
        }),
        ("coalesce" | "ifnull" | "nvl", 1..) => each(&|cells| {
            let mut set = cells.iter().filter(|cell| cell.is_some());
            set.next().and_then(|cell| (*cell).clone())
        }),
        ("concat", 1..) => each(&|cells| {
            let parts: Option<Vec<&str>> = cells.iter().map(|cell| cell.as_deref()).collect();
            parts.map(|parts| parts.concat())
        }),
        ("non_nullable" | "nullable" | "assert_true", 1..) => each(&|cells| cells[0].clone()),
        _ => by_engine(name, types, columns, rows, data_type)?,
    })
}

fn by_engine(
    name: &str,
    types: &[&DataType],
    columns: &[Vec<Cell>],
    rows: usize,
    data_type: &DataType,
) -> Result<Vec<Cell>, ExecError> {
    let unknown = |text: String| ExecError::NotSupported(format!("function {name} ({text})"));
    let named: Vec<(String, DataType)> = types
        .iter()
        .enumerate()
        .map(|(at, data_type)| (format!("a{at}"), (*data_type).clone()))
        .collect();
    let given: Vec<Row> = (0..rows)
        .map(|row| columns.iter().map(|column| column[row].clone()).collect())
        .collect();
    let arguments: Vec<&str> = named.iter().map(|(name, _)| name.as_str()).collect();
    let text = match (name, arguments.as_slice()) {
        ("like" | "regexp" | "rlike", [value, pattern]) => format!("{value} {name} {pattern}"),
        _ => format!("{name}({})", arguments.join(", ")),
    };
    let engine = QueryEngine::new().map_err(|error| unknown(error.to_string()))?;
    let input = Input::of_types(&named, &given);
    let computed = compute(&engine, &SessionInfo::default(), &input, &[&text], None)
        .map_err(|error| unknown(error.to_string()))?;
    let cells: Vec<Cell> = computed
        .into_iter()
        .map(|(_, mut values)| values.pop().flatten())
        .map(|cell| cast::cast(&cell, &DataType::String, data_type))
        .collect();
    if cells.len() == rows {
        Ok(cells)
    } else {
        Err(unknown("it gave another number of rows".to_owned()))
    }
}
