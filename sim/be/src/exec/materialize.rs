//! Late materialization: a top-N sorts row ids and fetches the other columns of the few rows that are left.
//!
//! A row id here is the whole row as JSON, so nothing has to be fetched, from whichever backend it came.

use std::collections::BTreeMap;

use dorisim_wire::plan::TMaterializationNode;

use super::batch::Batch;
use super::error::{ExecError, plan};
use super::expr::Expr;
use super::types::Descriptors;
use dorisim_model::{Cell, Row, TableSchema};

/// What the names of row id columns begin with.
const ROW_ID: &str = "__DORIS_GLOBAL_ROWID_COL__";

/// True for the column that stands for a whole row.
pub(super) fn is_row_id(column: &str) -> bool {
    column.starts_with(ROW_ID)
}

/// The row by column names.
pub(super) fn row_id(schema: &TableSchema, row: &Row) -> String {
    let named = schema.columns.iter().map(|column| column.name.as_str());
    let cells: BTreeMap<&str, &Cell> = named.zip(row).collect();
    // Texts alone always have a JSON form.
    serde_json::to_string(&cells).unwrap_or_default()
}

/// Puts the fetched columns where the output tuple wants them; the others keep their order, row ids go.
pub(super) fn run(
    node: &TMaterializationNode,
    batch: Batch,
    descriptors: &Descriptors,
) -> Result<Batch, ExecError> {
    let tuple = node.tuple_id.ok_or_else(|| plan("no output tuple"))?;
    let layout = descriptors.layout(&[tuple])?;
    let ids = node.fetch_expr_lists.as_deref().unwrap_or_default();
    let ids = Expr::compile_all(ids, &batch.layout)?;
    let columns = node.column_descs_lists.as_deref().unwrap_or_default();
    let places = node.slot_locs_lists.as_deref().unwrap_or_default();
    if columns.len() != ids.len() || places.len() != ids.len() {
        return Err(plan("fetched columns do not fit the row ids"));
    }
    let id_cells: Vec<Vec<Cell>> = ids
        .iter()
        .map(|id| id.eval(&batch.rows))
        .collect::<Result<_, _>>()?;
    let id_places: Vec<Option<usize>> = ids.iter().map(Expr::slot).collect();
    let mut rows = Vec::with_capacity(batch.rows.len());
    for (at, given) in batch.rows.iter().enumerate() {
        let mut row: Vec<Option<Cell>> = vec![None; layout.width()];
        for (cells, (columns, places)) in id_cells.iter().zip(columns.iter().zip(places)) {
            let fetched: BTreeMap<String, Cell> = match &cells[at] {
                Some(text) => serde_json::from_str(text)
                    .map_err(|_| plan("a row id of another kind of backend"))?,
                None => BTreeMap::new(),
            };
            for (column, place) in columns.iter().zip(places) {
                let cell = fetched.get(&column.column_name).cloned().flatten();
                let slot = usize::try_from(*place).ok().and_then(|p| row.get_mut(p));
                *slot.ok_or_else(|| plan("a fetched column has no place"))? = Some(cell);
            }
        }
        let kept = given.iter().enumerate();
        let mut kept = kept.filter(|(place, _)| !id_places.contains(&Some(*place)));
        let filled = row.into_iter().map(|cell| match cell {
            Some(cell) => cell,
            None => kept.next().and_then(|(_, cell)| cell.clone()),
        });
        rows.push(filled.collect());
    }
    Ok(Batch { rows, layout })
}
