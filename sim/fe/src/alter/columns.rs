//! ALTER TABLE: columns added, dropped, modified and renamed; [`crate::alter::column_change`] decides whether data has to be rewritten.

use std::sync::Arc;

use crate::alter::column_change::change_column;
use crate::alter::index::no_temporary;
use crate::alter::job::light_change;
use crate::alter::schema_change::submit_schema_change;
use crate::api::SqlError;
use crate::binlog::record;
use crate::frontend::Frontend;
use dorisim_model::{DistributionKind, KeysModel, PartitionKind};
use dorisim_sql::ast::AlterClause;

impl Frontend {
    pub(crate) async fn flush_columns(
        &self,
        db: &str,
        name: &str,
        clauses: &mut Vec<AlterClause>,
    ) -> Result<(), SqlError> {
        if clauses.is_empty() {
            return Ok(());
        }
        let clauses = std::mem::take(clauses);
        let now = self.clock().now_ms();
        {
            let mut guard = self.lock();
            let state = &mut *guard;
            let db_id = state.db(db)?.id;
            let table = state.table(db, name)?;
            no_temporary(table)?;
            let before = table.clone_shape();
            let mut changed = table.clone_shape();
            let mut texts = Vec::new();
            let mut heavy = !table.is_set("light_schema_change");
            for clause in &clauses {
                let change = change_column(&mut changed, clause)?;
                texts.extend(change.texts);
                heavy |= change.heavy;
            }
            changed.schema.schema_version += 1;
            if heavy {
                let raw = format!("ALTER TABLE `{db}`.`{name}` {}", texts.join(", \n"));
                submit_schema_change(state, db_id, name, changed, raw, now)?;
                return Ok(());
            }
            let touched = before.indexes.iter().enumerate().filter(|(at, i)| {
                *at == 0
                    || changed
                        .indexes
                        .iter()
                        .any(|c| c.id == i.id && c.schema != i.schema)
            });
            let touched: Vec<_> = touched.map(|(_, i)| i).collect();
            let ids: Vec<i64> = touched.iter().map(|i| i.id).collect();
            let old = touched
                .into_iter()
                .map(|i| (i.id, before.index_schema(i.id).clone()))
                .collect();
            let job_id = state.new_id();
            let target = state.table_mut(db, name)?;
            target.schema = changed.schema;
            target.indexes = changed.indexes;
            target.max_column_unique_id = changed.max_column_unique_id;
            let raw = format!("ALTER TABLE `{db}`.`{name}` {}", texts.join(", \n"));
            let record = record::alter_columns(db_id, target, &old, job_id, &raw);
            let job = light_change(target, &ids, (db_id, job_id), &raw, now);
            state.alters.submit(job);
            state.emit(record, now);
        }
        self.push_schema(db, name).await;
        Ok(())
    }

    /// Tells the tablets' backends of the present schema. A backend that misses it serves old rowsets just as well.
    pub(crate) async fn push_schema(&self, db: &str, name: &str) {
        let (schema, replicas) = {
            let state = self.lock();
            let Ok(table) = state.table(db, name) else {
                return;
            };
            // Rollups keep the columns they have.
            let base = table.base_index_id();
            let replicas: Vec<(i64, i64)> = table
                .partitions
                .values()
                .flat_map(|p| p.indexes.iter().filter(|i| i.id == base))
                .flat_map(|i| &i.tablets)
                .flat_map(|t| t.replicas.iter().map(|r| (r.backend_id, t.id)))
                .collect();
            (Arc::new(table.schema.clone()), replicas)
        };
        self.update_tablets(replicas, None, Some(schema)).await;
    }

    pub(crate) async fn rename_column(
        &self,
        db: &str,
        name: &str,
        old: &str,
        new: &str,
    ) -> Result<(), SqlError> {
        let now = self.clock().now_ms();
        {
            let mut state = self.lock();
            let db_id = state.db(db)?.id;
            let table = state.table_mut(db, name)?;
            if table.schema.column(new).is_some() && !old.eq_ignore_ascii_case(new) {
                return Err(SqlError::analysis(format!(
                    "Column name[{new}] is already used"
                )));
            }
            let position = table
                .schema
                .position(old)
                .ok_or_else(|| SqlError::analysis(format!("Column[{old}] does not exists")))?;
            let fix = |list: &mut Vec<String>| {
                for n in list.iter_mut().filter(|n| n.eq_ignore_ascii_case(old)) {
                    new.clone_into(n);
                }
            };
            match &mut table.partition_kind {
                PartitionKind::Range(columns) | PartitionKind::List(columns) => fix(columns),
                PartitionKind::Unpartitioned => {}
            }
            let distributions = table.partitions.values_mut().map(|p| &mut p.distribution);
            for distribution in distributions.chain(std::iter::once(&mut table.distribution)) {
                if let DistributionKind::Hash(columns) = &mut distribution.kind {
                    fix(columns);
                }
            }
            if let KeysModel::Unique {
                sequence_col: Some(column),
                ..
            } = &mut table.schema.keys
                && column.eq_ignore_ascii_case(old)
            {
                new.clone_into(column);
            }
            let renamed = table.schema.columns[position].unique_id;
            for index in &mut table.indexes {
                fix(&mut index.columns);
                for column in index.schema.iter_mut().flat_map(|s| &mut s.columns) {
                    if let Some(text) = &mut column.generated {
                        *text = text.replace(&format!("`{old}`"), &format!("`{new}`"));
                    }
                    if column.unique_id == renamed && column.is_named(old) {
                        new.clone_into(&mut column.name);
                    }
                }
            }
            new.clone_into(&mut table.schema.columns[position].name);
            table.schema.schema_version += 1;
            let record = record::rename_column(db_id, table, old, new);
            state.emit(record, now);
        }
        self.push_schema(db, name).await;
        Ok(())
    }
}
