//! Statements on columns, rollups, secondary indexes and properties, and the jobs that some of them start.

use ccr_doris::error::Refusal;

use super::catalog::{Column, Index, Secondary, TableState};
use super::cluster::{Cluster, Due, Refused};
use super::jobs::{AlterJob, AlterKind, AlterState};
use super::records::{self, Named};
use super::stmt::Stmt;

fn exists(what: &str) -> Refused {
    Refused::new(Refusal::AlreadyExists, format!("{what} already exists"))
}

fn no_column(name: &str) -> Refused {
    Refused::new(Refusal::UnknownColumn, format!("Unknown column '{name}'"))
}

impl Cluster {
    pub(super) fn on_shape(
        &mut self,
        database: &str,
        stmt: &Stmt,
        now: i64,
    ) -> Result<(), Refused> {
        match stmt {
            Stmt::AddColumn {
                table,
                column,
                kind,
            } => {
                let sql = format!(
                    "ALTER TABLE `{database}`.`{table}` ADD COLUMN `{column}` {kind} NULL COMMENT \"\""
                );
                self.change_columns(database, table, &sql, now, |columns, next_uid| {
                    if columns.iter().any(|c| c.name == *column) {
                        return Err(exists(column));
                    }
                    columns.push(Column {
                        name: column.clone(),
                        kind: kind.clone(),
                        key: false,
                        uid: *next_uid,
                    });
                    *next_uid += 1;
                    Ok(())
                })
            }
            Stmt::DropColumn { table, column } => {
                let sql = format!("ALTER TABLE `{database}`.`{table}` DROP COLUMN `{column}`");
                self.change_columns(database, table, &sql, now, |columns, _| {
                    let at = columns.iter().position(|c| c.name == *column && !c.key);
                    columns.remove(at.ok_or_else(|| no_column(column))?);
                    Ok(())
                })
            }
            Stmt::RenameColumn { table, old, new } => {
                let id = self.changeable(database, table)?;
                let found = self.table_mut(database, id)?;
                if found.columns.iter().any(|c| c.name == *new) {
                    return Err(exists(new));
                }
                let column = found.columns.iter_mut().find(|c| c.name == *old);
                new.clone_into(&mut column.ok_or_else(|| no_column(old))?.name);
                for index in found.secondary.iter_mut().filter(|i| i.column == *old) {
                    new.clone_into(&mut index.column);
                }
                let data = records::rename_column(self.database_id(database), id, old, new);
                self.emit(database, 15, vec![id], &data, now);
                Ok(())
            }
            Stmt::ModifyColumn {
                table,
                column,
                kind,
            } => {
                let id = self.changeable(database, table)?;
                let found = self.table(database, id)?;
                if !found.columns.iter().any(|c| c.name == *column && !c.key) {
                    return Err(no_column(column));
                }
                let sql = format!(
                    "ALTER TABLE `{database}`.`{table}` MODIFY COLUMN `{column}` {kind} NULL"
                );
                let kind = AlterKind::SchemaChange {
                    column: column.clone(),
                    kind: kind.clone(),
                };
                self.start_alter(database, id, kind, &sql, now)
            }
            Stmt::AddRollup { table, name } => {
                let id = self.changeable(database, table)?;
                let found = self.table(database, id)?;
                if found.indexes.iter().any(|i| i.name == *name) {
                    return Err(exists(name));
                }
                let kind = AlterKind::Rollup { name: name.clone() };
                self.start_alter(database, id, kind, "", now)
            }
            Stmt::DropRollup { table, name } => self.drop_rollup(database, table, name, now),
            Stmt::RenameRollup { table, old, new } => {
                let id = self.changeable(database, table)?;
                let found = self.table_mut(database, id)?;
                if found.indexes.iter().any(|i| i.name == *new) {
                    return Err(exists(new));
                }
                let base = found.base;
                let index = found
                    .indexes
                    .iter_mut()
                    .find(|i| i.name == *old && i.id != base)
                    .ok_or_else(|| {
                        Refused::other(format!("rollup index [{old}] does not exist"))
                    })?;
                new.clone_into(&mut index.name);
                let what = Named::Rollup(index.id);
                let data = records::renamed(self.database_id(database), id, what, old, new);
                self.emit(database, 21, vec![id], &data, now);
                Ok(())
            }
            Stmt::AddIndex {
                table,
                name,
                column,
            } => {
                let id = self.changeable(database, table)?;
                let new = Secondary {
                    id: self.new_id(),
                    name: name.clone(),
                    column: column.clone(),
                };
                let job = self.new_id();
                let found = self.table_mut(database, id)?;
                if found
                    .secondary
                    .iter()
                    .any(|i| i.name == *name || i.column == *column)
                {
                    return Err(exists(name));
                }
                if !found.columns.iter().any(|c| c.name == *column) {
                    return Err(no_column(column));
                }
                found.secondary.push(new.clone());
                let changed = found.clone();
                let db = self.database_id(database);
                let data = records::indexes_changed(db, &changed, &[new], false, job);
                self.emit(database, 19, vec![id], &data, now);
                Ok(())
            }
            Stmt::DropIndexes { table, names } => {
                let id = self.changeable(database, table)?;
                let job = self.new_id();
                let found = self.table_mut(database, id)?;
                let (gone, kept): (Vec<_>, Vec<_>) = found
                    .secondary
                    .iter()
                    .cloned()
                    .partition(|i| names.contains(&i.name));
                if gone.len() != names.len() {
                    return Err(Refused::other("index does not exist"));
                }
                found.secondary = kept;
                let changed = found.clone();
                let db = self.database_id(database);
                let data = records::indexes_changed(db, &changed, &gone, true, job);
                self.emit(database, 19, vec![id], &data, now);
                Ok(())
            }
            Stmt::BuildIndex { table, name } => self.build_index(database, table, name, now),
            Stmt::SetProperties { table, properties } => {
                let id = self.changeable(database, table)?;
                let found = self.table_mut(database, id)?;
                found.properties.extend(properties.clone());
                let changed = found.clone();
                let data = records::properties(self.database_id(database), &changed, properties);
                self.emit(database, 9, vec![id], &data, now);
                Ok(())
            }
            Stmt::TableComment { table, comment } => {
                let id = self.changeable(database, table)?;
                comment.clone_into(&mut self.table_mut(database, id)?.comment);
                let data = records::table_comment(self.database_id(database), id, comment);
                self.emit(database, 16, vec![id], &data, now);
                Ok(())
            }
            Stmt::Buckets { table, buckets } => {
                let id = self.changeable(database, table)?;
                let found = self.table_mut(database, id)?;
                found.buckets = *buckets;
                let changed = found.clone();
                let data = records::buckets(self.database_id(database), &changed);
                self.emit(database, 25, vec![id], &data, now);
                Ok(())
            }
            _ => Err(Refused::other("not a statement on the shape of a table")),
        }
    }

    fn change_columns(
        &mut self,
        database: &str,
        table: &str,
        sql: &str,
        now: i64,
        change: impl FnOnce(&mut Vec<Column>, &mut i64) -> Result<(), Refused>,
    ) -> Result<(), Refused> {
        let id = self.changeable(database, table)?;
        let job = self.new_id();
        let found = self.table_mut(database, id)?;
        change(&mut found.columns, &mut found.next_uid)?;
        let changed = found.clone();
        let data = records::columns_changed(self.database_id(database), &changed, job, sql);
        self.emit(database, 6, vec![id], &data, now);
        Ok(())
    }

    fn drop_rollup(
        &mut self,
        database: &str,
        table: &str,
        name: &str,
        now: i64,
    ) -> Result<(), Refused> {
        let id = self.changeable(database, table)?;
        let found = self.table_mut(database, id)?;
        let base = found.base;
        let at = found
            .indexes
            .iter()
            .position(|i| i.name == name && i.id != base)
            .ok_or_else(|| Refused::other(format!("rollup index [{name}] does not exist")))?;
        let gone = found.indexes.remove(at);
        let mut tablets = Vec::new();
        for partition in found.partitions.values_mut() {
            let removed = partition.tablets.remove(&gone.id).unwrap_or_default();
            tablets.extend(removed.iter().map(|tablet| tablet.id));
        }
        let changed = found.clone();
        // An index has no recycle bin.
        self.storage.drop_tablets(&tablets);
        let data = records::drop_rollup(self.database_id(database), &changed, gone.id, name);
        let seq = self.journal();
        self.emit_at(database, seq, 23, vec![id], &data, now);
        self.database_mut(database)?
            .stream
            .dropped_indexes
            .insert(gone.id, seq);
        Ok(())
    }

    fn build_index(
        &mut self,
        database: &str,
        table: &str,
        name: &str,
        now: i64,
    ) -> Result<(), Refused> {
        let id = self.changeable(database, table)?;
        let found = self.table(database, id)?.clone();
        let index = found.secondary.iter().find(|i| i.name == name);
        let index = index.ok_or_else(|| Refused::other(format!("index {name} does not exist")))?;
        let db = self.database_id(database);
        for partition in found.partitions.values() {
            let job = self.new_id();
            let data = records::index_job(db, &found, partition, index, job, "WAITING_TXN");
            self.emit(database, 20, vec![id], &data, now);
            let delay = self.alter_delay();
            let due = Due::IndexBuilt(database.to_owned(), id, partition.id, name.to_owned());
            self.due_at(now + delay, due);
        }
        Ok(())
    }

    pub(super) fn index_built(
        &mut self,
        database: &str,
        table: i64,
        partition: i64,
        index: &str,
        now: i64,
    ) {
        let Ok(found) = self.table(database, table).cloned() else {
            return;
        };
        let (Some(partition), Some(index)) = (
            found.partitions.get(&partition),
            found.secondary.iter().find(|i| i.name == index),
        ) else {
            return;
        };
        let job = self.new_id();
        let db = self.database_id(database);
        let data = records::index_job(db, &found, partition, index, job, "FINISHED");
        self.emit(database, 20, vec![table], &data, now);
    }

    fn alter_delay(&mut self) -> i64 {
        let (low, high) = self.policy.alter_ms;
        self.rng.within(low, high)
    }

    fn start_alter(
        &mut self,
        database: &str,
        table: i64,
        kind: AlterKind,
        sql: &str,
        now: i64,
    ) -> Result<(), Refused> {
        let id = self.new_id();
        let job = AlterJob {
            id,
            database: database.to_owned(),
            table,
            kind,
            state: AlterState::Pending,
            shadow: 0,
            sql: sql.to_owned(),
        };
        self.table_mut(database, table)?.state = TableState::Altering(id);
        // Rollups of ALTER TABLE begin without a record.
        if matches!(job.kind, AlterKind::SchemaChange { .. }) {
            self.tell_alter(&job, "PENDING", now);
        }
        self.alters.insert(id, job);
        let delay = self.alter_delay();
        self.due_at(now + delay, Due::Alter(id));
        Ok(())
    }

    fn tell_alter(&mut self, job: &AlterJob, state: &str, now: i64) -> i64 {
        let seq = self.journal();
        let db = self.database_id(&job.database);
        if let Ok(table) = self.table(&job.database, job.table) {
            let data = records::alter_job(db, table, job, state);
            self.emit_at(&job.database, seq, 5, vec![job.table], &data, now);
        }
        seq
    }

    pub(super) fn step_alter(&mut self, id: i64, now: i64) {
        let Some(mut job) = self.alters.remove(&id) else {
            return;
        };
        let Ok(table) = self.table(&job.database, job.table).cloned() else {
            return;
        };
        match job.state {
            AlterState::Pending => {
                job.shadow = self.new_id();
                job.state = AlterState::WaitingTxn;
                let name = match &job.kind {
                    AlterKind::SchemaChange { .. } => format!("__doris_shadow_{}", table.name),
                    AlterKind::Rollup { name } => name.clone(),
                };
                let mut made = Vec::new();
                for partition in table.partitions.values() {
                    let tablets =
                        self.make_tablets(partition.buckets(), table.replicas, partition.visible);
                    made.push((partition.id, tablets));
                }
                let Ok(changed) = self.table_mut(&job.database, job.table) else {
                    return;
                };
                changed.indexes.push(Index {
                    id: job.shadow,
                    name,
                    shadow: true,
                });
                for (partition, tablets) in made {
                    if let Some(partition) = changed.partitions.get_mut(&partition) {
                        partition.tablets.insert(job.shadow, tablets);
                    }
                }
                self.tell_alter(&job, "WAITING_TXN", now);
                self.alters.insert(id, job);
                let delay = self.alter_delay();
                self.due_at(now + delay, Due::Alter(id));
            }
            AlterState::WaitingTxn => {
                if self.has_committed(job.table, None) {
                    self.alters.insert(id, job);
                    self.due_at(now + 5, Due::Alter(id));
                    return;
                }
                self.finish_alter(&job, now);
            }
        }
    }

    /// The new index takes over with everything that the base index holds.
    fn finish_alter(&mut self, job: &AlterJob, now: i64) {
        let Ok(changed) = self.table_mut(&job.database, job.table) else {
            return;
        };
        let base = changed.base;
        let mut tablets = Vec::new();
        for partition in changed.partitions.values_mut() {
            let from = partition.tablets.get(&base).cloned().unwrap_or_default();
            let into = partition.tablets.entry(job.shadow).or_default();
            for (new, old) in into.iter_mut().zip(&from) {
                new.rowsets.clone_from(&old.rowsets);
            }
            for replica in into.iter_mut().flat_map(|tablet| &mut tablet.replicas) {
                replica.version = partition.visible;
            }
        }
        changed.state = TableState::Normal;
        let name = changed.name.clone();
        match &job.kind {
            AlterKind::SchemaChange { column, kind } => {
                if let Some(column) = changed.columns.iter_mut().find(|c| c.name == *column) {
                    kind.clone_into(&mut column.kind);
                }
                for partition in changed.partitions.values_mut() {
                    let gone = partition.tablets.remove(&base).unwrap_or_default();
                    tablets.extend(gone.iter().map(|tablet| tablet.id));
                }
                // The record still tells which index was replaced.
                let seq = self.tell_alter(job, "FINISHED", now);
                if let Ok(changed) = self.table_mut(&job.database, job.table) {
                    changed.indexes.retain(|index| index.id != base);
                    changed.base = job.shadow;
                }
                if let Ok(found) = self.database_mut(&job.database) {
                    found.stream.dropped_indexes.insert(base, seq);
                }
            }
            AlterKind::Rollup { .. } => {
                self.tell_alter(job, "FINISHED", now);
            }
        }
        if let Ok(changed) = self.table_mut(&job.database, job.table) {
            let schema_change = matches!(job.kind, AlterKind::SchemaChange { .. });
            if let Some(index) = changed.indexes.iter_mut().find(|i| i.id == job.shadow) {
                index.shadow = false;
                if schema_change {
                    index.name = name;
                }
            }
            if schema_change {
                changed.indexes.sort_by_key(|index| index.id != job.shadow);
            }
        }
        self.storage.drop_tablets(&tablets);
    }
}
