//! ALTER: the rows of one tablet in the columns of another.

use std::sync::Arc;

use ccr_doris_wire::TStatusCode;

use super::Agent;
use super::execute::Done;
use crate::be::api::{BackendApi, BeError};
use crate::be::backend::lock;
use crate::be::merge::merge;
use crate::model::projection::{Misfit, project};
use crate::model::{Column, TableSchema};
use crate::wire::agent::{AlterTablet, FinishDetail};

impl Agent {
    /// Fills the new tablet. Values that do not fit the new types fail the task.
    pub(super) fn alter(&self, alter: &AlterTablet) -> Result<Done, BeError> {
        let base = self.backend.tablet(alter.base_tablet)?;
        let target = self.backend.tablet(alter.new_tablet)?;
        let from = from_schema(&lock(&base).spec.schema, alter);
        let to = Arc::clone(&lock(&target).spec.schema);
        let views = self.backend.rowsets(alter.base_tablet, alter.version)?;
        let rows = merge(&from, &views);
        let rows = match project(&from, &with_origins(&to, &from, alter), &rows, Misfit::Fail) {
            Ok(rows) => rows,
            Err(reason) => {
                let failed = Done::failed(TStatusCode::DATA_QUALITY_ERROR, reason);
                return Ok(failed.at(self.report_version()));
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

/// Light changes of columns do not reach tablets by themselves: the task brings the columns of now.
fn from_schema(held: &TableSchema, alter: &AlterTablet) -> TableSchema {
    let mut schema = held.clone();
    if !alter.base_columns.is_empty() {
        schema.columns.clone_from(&alter.base_columns);
    }
    schema
}

/// The target's columns under the ids of the columns that they come from: by expression, by name, by id.
fn with_origins(to: &TableSchema, from: &TableSchema, alter: &AlterTablet) -> TableSchema {
    let mut to = to.clone();
    for column in &mut to.columns {
        let defined = alter
            .rollup_columns
            .iter()
            .find(|defined| column.is_named(&defined.name));
        match defined {
            Some(defined) => {
                column.generated = Some(if defined.counts {
                    format!("CASE WHEN `{0}` IS NULL THEN 0 ELSE 1 END", defined.origin)
                } else {
                    format!("`{}`", defined.origin)
                });
                // The expression counts, not a column that has the same id by chance.
                column.unique_id = i32::MIN;
            }
            None => column.unique_id = origin(column, from),
        }
    }
    to
}

/// A name that both have is the same column; schema changes may renumber.
fn origin(column: &Column, from: &TableSchema) -> i32 {
    let same_name = from.column(&column.name);
    same_name.map_or(column.unique_id, |same| same.unique_id)
}
