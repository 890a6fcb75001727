//! Rows of a load into one tablet of this backend: the schema that the load knows, rows of several senders, columns that a partial update leaves.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use super::error::ExecError;
use super::table_sink::TabletRows;
use crate::Backend;
use crate::sync::lock;
use dorisim_model::backend::{BackendApi, RowsetView};
use dorisim_model::merge::merge;
use dorisim_model::{Cell, Column, DefaultValue, Row, TableSchema};

/// Writes the rows. Several senders of one load add to each other; `turn` keeps them apart.
///
/// # Errors
/// The tablet is not here, or the store refuses; a partial update of a key that is new, where a column needs a value.
pub fn write(backend: &Backend, turn: &Mutex<()>, load: TabletRows) -> Result<(), ExecError> {
    let _alone = lock(turn);
    let tablet = backend.tablet(load.tablet_id)?;
    let (mut schema, version) = {
        let tablet = lock(&tablet);
        (tablet.spec.schema.as_ref().clone(), tablet.version)
    };
    let ids = |columns: &[Column]| -> BTreeSet<i32> {
        columns.iter().map(|column| column.unique_id).collect()
    };
    let changed = ids(&schema.columns) != ids(&load.columns);
    schema.columns.clone_from(load.columns.as_ref());
    schema.schema_version = load.schema_version;
    let schema = Arc::new(schema);
    if changed {
        // A column that was added or dropped without a task: loads tell of it.
        lock(&tablet).update(None, Some(Arc::clone(&schema)), &backend.meta)?;
    }
    let held = backend.txns().committed(load.txn_id);
    let held = held.into_iter().find(|(id, _)| *id == load.tablet_id);
    let held = held.map(|(_, rowset)| rowset.view()).transpose()?;
    let mut rows = load.rows;
    if !load.kept.is_empty() {
        let mut views = backend.rowsets(load.tablet_id, version)?;
        views.extend(held.clone());
        rows = Arc::new(completed(&schema, &views, &load.kept, &rows)?);
    }
    if let Some(held) = held {
        let mut both = held.rows.as_ref().clone();
        both.extend(rows.iter().cloned());
        rows = Arc::new(both);
    }
    backend.write_rowset(
        load.txn_id,
        load.partition_id,
        load.tablet_id,
        schema,
        rows,
        None,
    )?;
    Ok(())
}

/// The rows with the kept cells of those that are there; a new key gets defaults.
fn completed(
    schema: &TableSchema,
    views: &[RowsetView],
    kept: &[usize],
    rows: &[Row],
) -> Result<Vec<Row>, ExecError> {
    let keys = schema.key_columns().count();
    let there = merge(schema, views);
    let there: HashMap<&[Cell], &Row> = there.iter().map(|row| (&row[..keys], row)).collect();
    let sign = schema.delete_sign();
    rows.iter()
        .map(|row| {
            let mut row = row.clone();
            let old = there.get(&row[..keys]).copied();
            let deletes = sign.is_some_and(|at| row[at].as_deref() == Some("1"));
            for at in kept {
                let column = &schema.columns[*at];
                row[*at] = match (old, &column.default) {
                    (_, _) if Some(*at) == sign => Some("0".to_owned()),
                    (Some(old), _) => old[*at].clone(),
                    (None, Some(DefaultValue::Constant(text))) => text.clone(),
                    (None, Some(DefaultValue::CurrentTimestamp(_) | DefaultValue::Function(_)))
                    | (None, None) => None,
                };
                if row[*at].is_none() && !column.nullable && !deletes {
                    return Err(ExecError::Value(format!(
                        "the unmentioned column `{}` should have default value or be nullable for newly inserted rows in partial update",
                        column.name
                    )));
                }
            }
            Ok(row)
        })
        .collect()
}
