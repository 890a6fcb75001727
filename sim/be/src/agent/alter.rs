//! ALTER: the rows of one tablet in the columns of another.

use std::sync::Arc;

use dorisim_wire::TStatusCode;
use dorisim_wire::plan::TDescriptorTable;

use super::Agent;
use super::execute::Done;
use crate::exec::ExecError;
use crate::exec::expr::{Expr, filter};
use crate::exec::types::Layout;
use crate::sync::lock;
use dorisim_model::backend::{BackendApi, BeError};
use dorisim_model::merge::merge;
use dorisim_model::projection::{Misfit, project};
use dorisim_model::{Cell, Column, Row, TableSchema};
use dorisim_net::agent::alter::WHERE_SIGN;
use dorisim_net::agent::{AlterTablet, DefinedColumn, FinishDetail};

impl Agent {
    /// Fills the new tablet. Values that do not fit the new types fail the task, and expressions that can not be computed here.
    pub(super) fn alter(&self, alter: &AlterTablet) -> Result<Done, BeError> {
        let base = self.backend.tablet(alter.base_tablet)?;
        let target = self.backend.tablet(alter.new_tablet)?;
        let from = from_schema(&lock(&base).spec.schema, alter);
        let to = Arc::clone(&lock(&target).spec.schema);
        let views = self.backend.rowsets(alter.base_tablet, alter.version)?;
        let rows = merge(&from, &views);
        let rows = match converted(&from, &to, alter, rows) {
            Ok(rows) => rows,
            Err((code, reason)) => {
                tracing::info!(
                    base_tablet = alter.base_tablet,
                    new_tablet = alter.new_tablet,
                    reason,
                    "rows of an ALTER not converted"
                );
                return Ok(Done::failed(code, reason).at(self.report_version()));
            }
        };
        self.backend
            .replace_content(alter.new_tablet, alter.version, to, Arc::new(rows))?;
        self.grow_report_version();
        let info = self.tablet_info(alter.new_tablet);
        let done = Done::with(FinishDetail::Tablets(info.into_iter().collect()));
        Ok(done.at(self.report_version()))
    }
}

type Failure = (TStatusCode, String);

/// The rows that meet the WHERE, in the columns of the new tablet.
fn converted(
    from: &TableSchema,
    to: &TableSchema,
    alter: &AlterTablet,
    rows: Vec<Row>,
) -> Result<Vec<Row>, Failure> {
    let compute = |error: ExecError| (TStatusCode::NOT_IMPLEMENTED_ERROR, error.to_string());
    let unfit = |reason: String| (TStatusCode::DATA_QUALITY_ERROR, reason);
    let slots = alter.slots.as_ref().map(|table| Slots::of(table, from));
    let slots = slots.unwrap_or_default();
    let mut wide: Vec<Row> = rows.into_iter().map(|row| slots.before(row)).collect();
    let compiled = |column: &DefinedColumn| {
        let tree = column.expression.as_ref();
        tree.map(|tree| Expr::compile(tree, &slots.layout))
            .transpose()
    };
    for column in &alter.defined {
        if column.name == WHERE_SIGN
            && let Some(condition) = compiled(column).map_err(compute)?
        {
            wide = filter(&[condition], wide).map_err(compute)?;
        }
    }
    let mut computed: Vec<(usize, Vec<Cell>)> = Vec::new();
    for column in &alter.defined {
        let Some(at) = to.columns.iter().position(|c| c.is_named(&column.name)) else {
            continue;
        };
        if let Some(expression) = compiled(column).map_err(compute)? {
            let cells = expression.eval(&wide).map_err(compute)?;
            let target = &to.columns[at];
            let fit = |cell: Cell| {
                let parsed = target.data_type.parse_cell(cell.as_deref());
                parsed.map_err(|reason| unfit(format!("column {}: {reason}", target.name)))
            };
            let cells: Result<_, Failure> = cells.into_iter().map(fit).collect();
            computed.push((at, cells?));
        }
    }
    let width = slots.layout.width();
    let narrow: Vec<Row> = wide
        .into_iter()
        .map(|mut row| row.split_off(width))
        .collect();
    let to = with_origins(to, from, alter);
    let mut rows = project(from, &to, &narrow, Misfit::Fail).map_err(unfit)?;
    for (at, cells) in computed {
        for (row, cell) in rows.iter_mut().zip(cells) {
            row[at] = cell;
        }
    }
    Ok(rows)
}

/// The slots of a request and the columns of the base that they are.
#[derive(Default)]
struct Slots {
    layout: Layout,
    places: Vec<Option<usize>>,
}

impl Slots {
    fn of(table: &TDescriptorTable, from: &TableSchema) -> Self {
        let mut slots = Slots::default();
        for slot in table.slot_descriptors.iter().flatten() {
            slots.layout.push(slot.id);
            let named = |column: &Column| column.is_named(&slot.col_name);
            slots.places.push(from.columns.iter().position(named));
        }
        slots
    }

    /// The row with the cells of all slots in front of it.
    fn before(&self, row: Row) -> Row {
        let cell = |place: &Option<usize>| place.and_then(|at| row.get(at).cloned().flatten());
        let mut wide: Row = self.places.iter().map(cell).collect();
        wide.extend(row);
        wide
    }
}

/// Light changes of columns do not reach tablets by themselves: the task brings the columns of now.
fn from_schema(held: &TableSchema, alter: &AlterTablet) -> TableSchema {
    let mut schema = held.clone();
    if !alter.base_columns.is_empty() {
        schema.columns.clone_from(&alter.base_columns);
    }
    schema
}

/// The target's columns under the ids of the columns that they come from: by the name of the origin, by name, by id.
fn with_origins(to: &TableSchema, from: &TableSchema, alter: &AlterTablet) -> TableSchema {
    let mut to = to.clone();
    for column in &mut to.columns {
        let mut defined = alter.defined.iter();
        match defined.find(|defined| column.is_named(&defined.name)) {
            Some(DefinedColumn {
                expression: None,
                origin: Some(origin),
                ..
            }) => {
                column.generated = Some(format!("`{origin}`"));
                // The name counts, not a column that has the same id by chance.
                column.unique_id = i32::MIN;
            }
            // Computed: no column that has the same id by chance is taken for it.
            Some(DefinedColumn {
                expression: Some(_),
                ..
            }) => {
                column.generated = None;
                column.unique_id = i32::MIN;
            }
            Some(_) | None => column.unique_id = origin(column, from),
        }
    }
    to
}

/// A name that both have is the same column; schema changes may renumber.
fn origin(column: &Column, from: &TableSchema) -> i32 {
    let same_name = from.column(&column.name);
    same_name.map_or(column.unique_id, |same| same.unique_id)
}
