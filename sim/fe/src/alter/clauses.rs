//! ALTER TABLE: the clauses that change a table as a whole, and its columns.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::alter;
use crate::api::SqlError;
use crate::binlog::record::{self, Names};
use crate::catalog::build;
use crate::ddl::table::{recycle_table, remove_table};
use crate::dynamic;
use crate::frontend::Frontend;
use crate::state::FeState;
use dorisim_model::{DistributionKind, PartitionKind, TableSchema, TableState};
use dorisim_sql::ast::{self, AlterClause};

impl Frontend {
    /// Runs the clauses in order. Neighbouring column changes are one job with one record, as in Doris.
    pub(crate) async fn alter_table(
        &self,
        db: &str,
        table: &str,
        clauses: Vec<AlterClause>,
    ) -> Result<(), SqlError> {
        alter::conflict::check(&clauses)?;
        self.alterable(db, table)?;
        let mut name = table.to_owned();
        let mut columns = Vec::new();
        // So are lists of indexes and of comments of columns.
        let (mut indexes, mut comments) = (Vec::new(), Vec::new());
        // A list of rollups is dropped in one step.
        let mut rollups = Vec::new();
        for clause in clauses {
            if is_column_change(&clause) {
                columns.push(clause);
                continue;
            }
            self.flush_columns(db, &name, &mut columns).await?;
            match clause {
                AlterClause::RenameTable { new_name } => {
                    self.rename_table(db, &name, &new_name)?;
                    name = new_name;
                }
                AlterClause::ReplaceWithTable { other, swap, force } => {
                    self.replace_table(db, &name, &other, swap, force).await?
                }
                AlterClause::RenameColumn {
                    name: old,
                    new_name,
                } => self.rename_column(db, &name, &old, &new_name).await?,
                AlterClause::ModifyComment { comment } => {
                    self.modify_comment(db, &name, comment)?
                }
                AlterClause::ModifyColumnComment { column, comment } => {
                    comments.push((column, comment));
                }
                AlterClause::SetProperties { properties } => {
                    self.set_properties(db, &name, properties).await?
                }
                AlterClause::ModifyDistribution { distribution } => {
                    self.modify_distribution(db, &name, &distribution)?
                }
                AlterClause::AddIndex { .. } | AlterClause::DropIndex { .. } => {
                    indexes.push(clause);
                }
                AlterClause::AddPartition {
                    temp,
                    partition,
                    distribution,
                } => {
                    self.by_hand(db, &name, temp)?;
                    self.add_partition(db, &name, temp, partition, distribution.as_ref())
                        .await?;
                }
                AlterClause::AddPartitions {
                    temp,
                    step,
                    properties,
                } => {
                    self.by_hand(db, &name, temp)?;
                    self.add_partitions(db, &name, temp, &step, properties)
                        .await?
                }
                AlterClause::DropPartition {
                    temp,
                    if_exists,
                    name: partition,
                    force,
                } => {
                    self.by_hand(db, &name, temp)?;
                    self.drop_partition(db, &name, temp, &partition, if_exists, force)
                        .await?;
                }
                AlterClause::RenamePartition {
                    name: old,
                    new_name,
                } => self.rename_partition(db, &name, &old, &new_name)?,
                AlterClause::ReplacePartition {
                    partitions,
                    temp_partitions,
                    force,
                    properties,
                } => {
                    self.replace_partitions(
                        db,
                        &name,
                        partitions,
                        temp_partitions,
                        force,
                        &properties,
                    )
                    .await?;
                }
                AlterClause::ModifyPartition {
                    partitions,
                    temp,
                    properties,
                } => {
                    self.modify_partitions(db, &name, &partitions, temp, properties)?;
                }
                AlterClause::EnableFeature {
                    feature,
                    properties,
                } => {
                    self.enable_feature(db, &name, &feature, &properties)
                        .await?
                }
                AlterClause::AddRollup { rollup } => self.add_rollup(db, &name, &rollup)?,
                AlterClause::DropRollup {
                    if_exists,
                    name: rollup,
                } => rollups.push((rollup, if_exists)),
                AlterClause::RenameRollup {
                    name: old,
                    new_name,
                } => self.rename_rollup(db, &name, &old, &new_name)?,
                AlterClause::ModifyColumn { .. }
                | AlterClause::OrderBy { .. }
                | AlterClause::AddColumn { .. }
                | AlterClause::AddColumns { .. }
                | AlterClause::DropColumn { .. } => {}
            }
        }
        if !rollups.is_empty() {
            self.drop_rollups(db, &name, &rollups).await?;
        }
        if !indexes.is_empty() {
            self.change_indexes(db, &name, indexes)?;
        }
        if !comments.is_empty() {
            self.modify_column_comments(db, &name, comments)?;
        }
        self.flush_columns(db, &name, &mut columns).await
    }

    /// Partitions of a table with a scheduler are its matter.
    fn by_hand(&self, db: &str, table: &str, temp: bool) -> Result<(), SqlError> {
        if temp {
            return Ok(());
        }
        dynamic::check::allows_by_hand(self.lock().table(db, table)?)
    }

    fn alterable(&self, db: &str, table: &str) -> Result<(), SqlError> {
        alter_allowed(&self.lock(), db, table)
    }

    pub(crate) async fn update_tablets(
        &self,
        replicas: Vec<(i64, i64)>,
        binlog: Option<bool>,
        schema: Option<Arc<TableSchema>>,
    ) {
        let mut by_backend: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        for (backend_id, tablet) in replicas {
            by_backend.entry(backend_id).or_default().push(tablet);
        }
        for (backend_id, tablets) in by_backend {
            let Some(backend) = self.backend(backend_id) else {
                continue;
            };
            if let Some(enabled) = binlog
                && let Err(error) = backend.set_binlog(&tablets, enabled).await
            {
                tracing::debug!(backend_id, %error, "tablet meta was not updated");
            }
            for tablet in tablets.iter().filter(|_| schema.is_some()) {
                if let Err(error) = backend.update_tablet(*tablet, None, schema.clone()).await {
                    tracing::debug!(backend_id, tablet, %error, "tablet meta was not updated");
                }
            }
        }
    }

    fn rename_table(&self, db: &str, old: &str, new: &str) -> Result<(), SqlError> {
        let now = self.clock().now_ms();
        let mut state = self.lock();
        let database = state.db_mut(db)?;
        if old == new && database.table(old).is_some() {
            return Err(SqlError::analysis("Same table name"));
        }
        if database.has_name(new) {
            return Err(SqlError::analysis(format!(
                "Table name[{new}] is already used"
            )));
        }
        let db_id = database.id;
        let table = database
            .table_mut(old)
            .ok_or_else(|| SqlError::unknown_table(old))?;
        let id = table.id;
        table.rename(new);
        state.emit(
            record::table_info(
                14,
                db_id,
                id,
                &Names {
                    table: Some((old, new)),
                    ..Names::default()
                },
            ),
            now,
        );
        Ok(())
    }

    async fn replace_table(
        &self,
        db: &str,
        original: &str,
        other: &str,
        swap: bool,
        force: bool,
    ) -> Result<(), SqlError> {
        let now = self.clock().now_ms();
        let gone = {
            let mut guard = self.lock();
            let state = &mut *guard;
            let db_id = state.db(db)?.id;
            let (orig, new) = (state.table(db, original)?.id, state.table(db, other)?.id);
            if orig == new {
                return Err(SqlError::analysis(
                    "Old table name and new table name cannot be same",
                ));
            }
            let scope = state.scope(db_id, &[orig]);
            let record = record::replace_table(db_id, (orig, original), (new, other), swap, force);
            let seq = state.emit_scoped(record, &scope, now, now);
            if let Some(table) = state.table_by_id_mut(db_id, new) {
                table.rename(original);
            }
            if swap {
                if let Some(table) = state.table_by_id_mut(db_id, orig) {
                    table.rename(other);
                }
                None
            } else {
                state.streams.note_dropped(db_id, seq, &[], &[orig], &[]);
                let removed = remove_table(state, db_id, orig, false, now);
                if force {
                    removed
                } else {
                    recycle_table(state, db_id, removed, now);
                    None
                }
            }
        };
        if let Some(table) = gone {
            self.drop_tablets(table.partitions.values()).await;
        }
        Ok(())
    }

    fn modify_comment(&self, db: &str, name: &str, text: String) -> Result<(), SqlError> {
        let now = self.clock().now_ms();
        let mut state = self.lock();
        let db_id = state.db(db)?.id;
        let table = state.table_mut(db, name)?;
        let id = table.id;
        table.comment.clone_from(&text);
        state.emit(record::table_comment(db_id, id, &text), now);
        Ok(())
    }

    /// Comments of any number of columns are one record.
    fn modify_column_comments(
        &self,
        db: &str,
        name: &str,
        comments: Vec<(String, String)>,
    ) -> Result<(), SqlError> {
        let now = self.clock().now_ms();
        let mut state = self.lock();
        let db_id = state.db(db)?.id;
        let table = state.table(db, name)?;
        let mut texts = BTreeMap::new();
        for (column, text) in comments {
            let Some(found) = table.schema.column(&column) else {
                return Err(SqlError::analysis(format!("Unknown column: {column}")));
            };
            if texts.insert(found.name.clone(), text).is_some() {
                return Err(SqlError::analysis(format!("Duplicate column: {column}")));
            }
        }
        let table = state.table_mut(db, name)?;
        for column in &mut table.schema.columns {
            if let Some(text) = texts.get(&column.name) {
                column.comment.clone_from(text);
            }
        }
        let id = table.id;
        state.emit(record::column_comments(db_id, id, &texts), now);
        Ok(())
    }

    fn modify_distribution(
        &self,
        db: &str,
        name: &str,
        clause: &ast::Distribution,
    ) -> Result<(), SqlError> {
        let now = self.clock().now_ms();
        let mut state = self.lock();
        let db_id = state.db(db)?.id;
        let table = state.table_mut(db, name)?;
        if table.partition_kind == PartitionKind::Unpartitioned {
            return Err(SqlError::analysis(
                "Only support change partitioned table's distribution.",
            ));
        }
        if table.properties.contains_key("colocate_with") {
            return Err(SqlError::analysis(
                "Cannot change default bucket number of colocate table.",
            ));
        }
        let changed = build::distribution(Some(clause), &table.schema)?;
        match (&changed.kind, &table.distribution.kind) {
            (DistributionKind::Random, DistributionKind::Random) => {
                return Err(SqlError::analysis("not implemented"));
            }
            (DistributionKind::Hash(new), DistributionKind::Hash(old)) if new == old => {}
            (DistributionKind::Hash(new), DistributionKind::Hash(old)) => {
                return Err(SqlError::analysis(format!(
                    "Cannot assign hash distribution with different distribution cols. new is: {new:?} default is: {old:?}"
                )));
            }
            (DistributionKind::Hash(_), DistributionKind::Random)
            | (DistributionKind::Random, DistributionKind::Hash(_)) => {
                return Err(SqlError::analysis(
                    "Cannot change distribution type when modify default distribution bucket num",
                ));
            }
        }
        table.distribution = changed;
        let record = record::bucket_num(db_id, table);
        state.emit(record, now);
        Ok(())
    }
}

fn is_column_change(clause: &AlterClause) -> bool {
    matches!(
        clause,
        AlterClause::ModifyColumn { .. }
            | AlterClause::OrderBy { .. }
            | AlterClause::AddColumn { .. }
            | AlterClause::AddColumns { .. }
            | AlterClause::DropColumn { .. }
    )
}

/// ALTER, TRUNCATE and new rollups want a table that no job works on.
pub(crate) fn alter_allowed(state: &FeState, db: &str, table: &str) -> Result<(), SqlError> {
    let (db_id, found) = (state.db(db)?.id, state.table(db, table)?);
    if state.jobs.in_atomic_restore(db_id, table) {
        return Err(SqlError::analysis(format!(
            "Table[{table}] is in atomic restore state. Do not allow doing ALTER ops"
        )));
    }
    if found.state == TableState::Normal {
        return Ok(());
    }
    Err(SqlError::analysis(format!(
        "Table[{table}]'s state({}) is not NORMAL. Do not allow doing ALTER ops",
        found.state.as_str()
    )))
}
