//! OLAP_SCAN_NODE: the visible rows of tablets at their versions, merged by the key model.

use std::sync::Arc;

use dorisim_wire::plan::TOlapScanNode;

use super::error::{ExecError, plan};
use super::types::Slot;
use crate::Backend;
use crate::sync::lock;
use dorisim_model::backend::BackendApi;
use dorisim_model::merge::merge;
use dorisim_model::{Column, DefaultValue, Row, TableSchema};
use dorisim_net::agent::schema::column_from_wire;

/// Cells that one scan may give.
const MAX_CELLS: usize = 50_000_000;

/// The columns of a table as the frontend knows them now, in the key model of the tablet.
///
/// # Errors
/// Types that are not known.
pub(super) fn schema_now(
    known: &TableSchema,
    told: Option<&Vec<dorisim_wire::TColumn>>,
) -> Result<TableSchema, ExecError> {
    let told = told.map(Vec::as_slice).unwrap_or_default();
    let columns: Vec<Column> = told
        .iter()
        .map(|column| {
            let column = column_from_wire(column).map_err(|error| plan(error.to_string()))?;
            Ok(with_typed_default(column))
        })
        .collect::<Result<_, ExecError>>()?;
    let mut schema = known.clone();
    if columns.is_empty() {
        return Ok(schema);
    }
    schema.columns = columns;
    Ok(schema)
}

/// A frontend tells a default as it was written: `1.5` of a DECIMAL(18, 4), whose cells are `1.5000`.
fn with_typed_default(mut column: Column) -> Column {
    if let Some(DefaultValue::Constant(Some(text))) = &column.default
        && let Ok(cell) = column.data_type.canonicalize(text)
    {
        column.default = Some(DefaultValue::Constant(cell));
    }
    column
}

/// Rows of the slots.
pub(super) fn scan(
    backend: &Backend,
    node: &TOlapScanNode,
    slots: &[Slot],
    ranges: &[(i64, i64)],
) -> Result<Vec<Row>, ExecError> {
    let mut found = Vec::new();
    for (tablet_id, version) in ranges {
        let known = {
            let tablet = backend.tablet(*tablet_id)?;
            let tablet = lock(&tablet);
            Arc::clone(&tablet.spec.schema)
        };
        let schema = schema_now(&known, node.columns_desc.as_ref())?;
        let places: Vec<usize> = slots
            .iter()
            .map(|slot| place(&schema, slot))
            .collect::<Result<_, _>>()?;
        let views = backend.rowsets(*tablet_id, *version)?;
        for row in merge(&schema, &views) {
            let cells = places.iter().map(|at| row.get(*at).cloned().flatten());
            found.push(cells.collect());
        }
        if found.len().saturating_mul(slots.len().max(1)) > MAX_CELLS {
            return Err(ExecError::TooMuch {
                what: "cells of a scan",
                limit: MAX_CELLS,
            });
        }
    }
    Ok(found)
}

fn place(schema: &TableSchema, slot: &Slot) -> Result<usize, ExecError> {
    let by_id = schema
        .columns
        .iter()
        .position(|column| slot.unique_id >= 0 && column.unique_id == slot.unique_id);
    by_id
        .or_else(|| schema.position(&slot.name))
        .ok_or_else(|| ExecError::NotSupported(format!("column {} of a scan", slot.name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use dorisim_model::DataType;

    #[test]
    fn defaults_of_old_rows_are_spelled_by_their_type() {
        let told = Column {
            default: Some(DefaultValue::Constant(Some("1.5".to_owned()))),
            ..Column::new("c", DataType::Decimal(18, 4))
        };
        let typed = with_typed_default(told);
        assert_eq!(
            typed.default,
            Some(DefaultValue::Constant(Some("1.5000".to_owned())))
        );
    }
}
