//! ALTER TABLE: light schema changes - columns added, dropped and renamed without rewriting data.

use std::sync::Arc;

use super::api::SqlError;
use super::build;
use super::frontend::Frontend;
use super::record;
use super::show_create::column_sql;
use crate::model::{Aggregation, Column, DistributionKind, KeysModel, OlapTable, PartitionKind};
use crate::sql::ast::{self, AlterClause, ColumnPosition};

impl Frontend {
    pub(super) async fn flush_columns(
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
            let old = record::columns_json(table);
            let mut changed = table.clone_shape();
            let mut texts = Vec::new();
            for clause in &clauses {
                texts.extend(change_column(&mut changed, clause)?);
            }
            changed.schema.schema_version += 1;
            let job_id = state.new_id();
            let target = state.table_mut(db, name)?;
            target.schema = changed.schema;
            target.max_column_unique_id = changed.max_column_unique_id;
            let raw = format!("ALTER TABLE `{db}`.`{name}` {}", texts.join(", "));
            let record = record::alter_columns(db_id, target, &old, job_id, &raw);
            state.emit(record, now);
        }
        self.push_schema(db, name).await;
        Ok(())
    }

    /// Tells the tablets' backends of the present schema. A backend that misses it serves old rowsets just as well.
    async fn push_schema(&self, db: &str, name: &str) {
        let (schema, replicas) = {
            let state = self.lock();
            let Ok(table) = state.table(db, name) else {
                return;
            };
            let replicas: Vec<(i64, i64)> = table
                .partitions
                .values()
                .flat_map(|p| {
                    p.tablets()
                        .flat_map(|t| t.replicas.iter().map(|r| (r.backend_id, t.id)))
                })
                .collect();
            (Arc::new(table.schema.clone()), replicas)
        };
        self.update_tablets(replicas, None, Some(schema)).await;
    }

    pub(super) async fn rename_column(
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
            new.clone_into(&mut table.schema.columns[position].name);
            table.schema.schema_version += 1;
            let record = record::rename_column(db_id, table, old, new);
            state.emit(record, now);
        }
        self.push_schema(db, name).await;
        Ok(())
    }
}

/// Applies one clause to the schema; returns the texts of the record's `rawSql`.
fn change_column(table: &mut OlapTable, clause: &AlterClause) -> Result<Vec<String>, SqlError> {
    match clause {
        AlterClause::AddColumn {
            column, position, ..
        } => Ok(vec![add_column(table, column, position.as_ref())?]),
        AlterClause::AddColumns { columns, .. } => {
            columns.iter().map(|c| add_column(table, c, None)).collect()
        }
        AlterClause::DropColumn { name, .. } => {
            let at = table
                .schema
                .position(name)
                .ok_or_else(|| SqlError::analysis(format!("Column does not exists: {name}")))?;
            let column = &table.schema.columns[at];
            let needed = table
                .partition_kind
                .columns()
                .iter()
                .any(|c| column.is_named(c))
                || matches!(&table.distribution.kind, DistributionKind::Hash(columns) if columns.iter().any(|c| column.is_named(c)))
                || matches!(&table.schema.keys, KeysModel::Unique { sequence_col: Some(c), .. } if column.is_named(c));
            if needed || !column.visible {
                return Err(SqlError::analysis(format!(
                    "Column {name} is needed by the table and can not be dropped"
                )));
            }
            if column.is_key {
                return Err(SqlError::analysis(
                    "dropping a key column rewrites data, which this simulated frontend does not support",
                ));
            }
            let text = format!("DROP COLUMN `{}`", column.name);
            table.schema.columns.remove(at);
            Ok(vec![text])
        }
        _ => Err(SqlError::analysis("not a change of columns")),
    }
}

fn add_column(
    table: &mut OlapTable,
    def: &ast::ColumnDef,
    position: Option<&ColumnPosition>,
) -> Result<String, SqlError> {
    let schema = &mut table.schema;
    if schema.column(&def.name).is_some() {
        return Err(SqlError::analysis(format!(
            "Can not add column which already exists in base table: {}",
            def.name
        )));
    }
    let mut column: Column = build::column(def)?;
    if !column.nullable
        && column.default.is_none()
        && !column.data_type.is_numeric()
        && column.generated.is_none()
    {
        return Err(SqlError::analysis(format!(
            "Column {} is not nullable and needs a default",
            def.name
        )));
    }
    if column.is_key {
        return Err(SqlError::analysis(
            "adding a key column rewrites data, which this simulated frontend does not support",
        ));
    }
    column.aggregation = match schema.keys {
        KeysModel::Duplicate => None,
        KeysModel::Unique { mow, .. } => (!mow).then_some(Aggregation::Replace),
        KeysModel::Aggregate => match column.aggregation {
            Some(aggregation) => Some(aggregation),
            None => {
                return Err(SqlError::analysis(
                    "adding a key column rewrites data, which this simulated frontend does not support",
                ));
            }
        },
    };
    table.max_column_unique_id += 1;
    column.unique_id = table.max_column_unique_id;
    let keys = schema.columns.iter().filter(|c| c.is_key).count();
    let at = match position {
        None => schema
            .columns
            .iter()
            .position(|c| !c.visible)
            .unwrap_or(schema.columns.len()),
        Some(ColumnPosition::First) => keys,
        Some(ColumnPosition::After(name)) => {
            let after = schema
                .position(name)
                .ok_or_else(|| SqlError::analysis(format!("Column[{name}] does not found")))?;
            (after + 1).max(keys)
        }
    };
    let mut text = format!(
        "ADD COLUMN {}",
        column_sql(&column, schema.keys.is_unique())
    );
    if column.comment.is_empty() {
        text.push_str(" COMMENT \"\"");
    }
    match position {
        None => {}
        Some(ColumnPosition::First) => text.push_str(" FIRST"),
        Some(ColumnPosition::After(name)) => text.push_str(&format!(" AFTER `{name}`")),
    }
    schema.columns.insert(at, column);
    Ok(text)
}

impl OlapTable {
    /// The table without its partitions: cheap to copy and to change tentatively.
    fn clone_shape(&self) -> Self {
        Self {
            id: self.id,
            name: self.name.clone(),
            schema: self.schema.clone(),
            partition_kind: self.partition_kind.clone(),
            auto_partition: self.auto_partition.clone(),
            distribution: self.distribution.clone(),
            properties: self.properties.clone(),
            replication_num: self.replication_num,
            comment: self.comment.clone(),
            partitions: std::collections::BTreeMap::new(),
            indexes: self.indexes.clone(),
            secondary: self.secondary.clone(),
            state: self.state,
            max_column_unique_id: self.max_column_unique_id,
            auto_inc_next: self.auto_inc_next,
        }
    }
}
