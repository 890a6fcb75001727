//! Statements on tables and views.

use std::collections::BTreeMap;

use ccr_doris::error::Refusal;

use super::catalog::{Column, Index, Partition, Secondary, Table, TableState, View};
use super::cluster::{Cluster, Due, Refused};
use super::print;
use super::records::{self, Named};
use super::stmt::{Stmt, TableDef};

impl Cluster {
    /// Runs a statement in a database.
    pub fn execute(&mut self, database: &str, stmt: &Stmt, now: i64) -> Result<(), Refused> {
        match stmt {
            Stmt::CreateDatabase(name) => {
                self.create_database(name, false);
                Ok(())
            }
            Stmt::Nothing => Ok(()),
            Stmt::CreateTable(def) => self.create_table(database, def, now),
            Stmt::CreateLike { name, like } => self.create_like(database, name, like, now),
            Stmt::DropTable {
                name,
                if_exists,
                force,
            } => self.drop_table(database, name, (*if_exists, *force), now),
            Stmt::CreateView { name, select } => self.create_view(database, name, select, now),
            Stmt::AlterView { name, select } => self.alter_view(database, name, select, now),
            Stmt::DropView { name, if_exists } => self.drop_view(database, name, *if_exists, now),
            Stmt::Truncate {
                table,
                partitions,
                force,
            } => self.truncate(database, table, partitions, *force, now),
            Stmt::RenameTable { table, new } => self.rename_table(database, table, new, now),
            Stmt::ReplaceTable { table, with, swap } => {
                self.replace_table(database, (table, with), *swap, now)
            }
            Stmt::AddPartition { .. }
            | Stmt::DropPartition { .. }
            | Stmt::ReplacePartition { .. }
            | Stmt::RenamePartition { .. }
            | Stmt::RecoverPartition { .. } => self.on_partitions(database, stmt, now),
            Stmt::AddColumn { .. }
            | Stmt::DropColumn { .. }
            | Stmt::RenameColumn { .. }
            | Stmt::ModifyColumn { .. }
            | Stmt::AddRollup { .. }
            | Stmt::DropRollup { .. }
            | Stmt::RenameRollup { .. }
            | Stmt::AddIndex { .. }
            | Stmt::DropIndexes { .. }
            | Stmt::BuildIndex { .. }
            | Stmt::SetProperties { .. }
            | Stmt::TableComment { .. }
            | Stmt::Buckets { .. } => self.on_shape(database, stmt, now),
            Stmt::RecoverTable(name) => self.recover_table(database, name, now),
            Stmt::CancelRestore(of) => self.cancel_restore(of),
            Stmt::Backup { label, objects } => self.start_backup(database, label, objects, now),
        }
    }

    /// Id of a table that may be changed now.
    pub(super) fn changeable(&self, database: &str, name: &str) -> Result<i64, Refused> {
        let found = self.database(database)?;
        let table = found
            .table_named(name)
            .ok_or_else(|| Refused::no_table(name))?;
        match table.state {
            TableState::Normal => Ok(table.id),
            TableState::Altering(_) | TableState::Restoring(_) => Err(Refused::new(
                Refusal::TableBusy,
                format!("Table[{name}]'s state is not NORMAL. Do not allow doing ALTER ops"),
            )),
        }
    }

    pub(super) fn table_mut(&mut self, database: &str, id: i64) -> Result<&mut Table, Refused> {
        self.database_mut(database)?
            .tables
            .get_mut(&id)
            .ok_or_else(|| Refused::new(Refusal::UnknownTable, format!("table {id} is gone")))
    }

    pub(super) fn table(&self, database: &str, id: i64) -> Result<&Table, Refused> {
        self.database(database)?
            .tables
            .get(&id)
            .ok_or_else(|| Refused::new(Refusal::UnknownTable, format!("table {id} is gone")))
    }

    fn absent(&self, database: &str, name: &str) -> Result<(), Refused> {
        if self.database(database)?.has(name) {
            return Err(Refused::new(
                Refusal::AlreadyExists,
                format!("Table '{name}' already exists"),
            ));
        }
        Ok(())
    }

    /// Tells the stream of a new table by the statement that makes the same one elsewhere.
    fn created(&mut self, database: &str, table: Table, now: i64) -> Result<(), Refused> {
        let sql = print::create_table(&table);
        let (id, name) = (table.id, table.name.clone());
        let found = self.database_mut(database)?;
        found.tables.insert(id, table);
        let data = records::created(found.id, database, id, &name, false, &sql);
        self.emit(database, 2, vec![id], &data, now);
        Ok(())
    }

    fn create_table(&mut self, database: &str, def: &TableDef, now: i64) -> Result<(), Refused> {
        self.absent(database, &def.name)?;
        if def.replicas > self.alive_backends() {
            return Err(Refused::other(
                "Failed to find enough backend, please check the replication num",
            ));
        }
        let table = self.build(def);
        self.created(database, table, now)
    }

    fn build(&mut self, def: &TableDef) -> Table {
        let (id, base) = (self.new_id(), self.new_id());
        let columns: Vec<Column> = def
            .columns
            .iter()
            .zip(0_i64..)
            .map(|((name, kind, key), uid)| Column {
                name: name.clone(),
                kind: kind.clone(),
                key: *key,
                uid,
            })
            .collect();
        let secondary = def
            .secondary
            .iter()
            .map(|(name, column)| Secondary {
                id: self.new_id(),
                name: name.clone(),
                column: column.clone(),
            })
            .collect();
        let wanted: Vec<(String, Option<(i64, i64)>)> = match &def.partitions {
            None => vec![(def.name.clone(), None)],
            Some(some) => some
                .iter()
                .map(|(name, low, high)| (name.clone(), Some((*low, *high))))
                .collect(),
        };
        let mut table = Table {
            id,
            name: def.name.clone(),
            next_uid: i64::try_from(columns.len()).unwrap_or(0),
            columns,
            partitioned: def.partitions.is_some(),
            partitions: BTreeMap::new(),
            base,
            indexes: vec![Index {
                id: base,
                name: def.name.clone(),
                shadow: false,
            }],
            secondary,
            buckets: def.buckets,
            replicas: def.replicas,
            comment: def.comment.clone(),
            properties: BTreeMap::new(),
            state: TableState::Normal,
        };
        for (name, range) in wanted {
            let partition = self.build_partition(&table, &name, range, false, def.buckets);
            table.partitions.insert(partition.id, partition);
        }
        table
    }

    pub(super) fn build_partition(
        &mut self,
        table: &Table,
        name: &str,
        range: Option<(i64, i64)>,
        temp: bool,
        buckets: usize,
    ) -> Partition {
        let id = self.new_id();
        let tablets = table
            .indexes
            .iter()
            .map(|index| (index.id, self.make_tablets(buckets, table.replicas, 1)))
            .collect();
        Partition {
            id,
            name: name.to_owned(),
            range,
            temp,
            visible: 1,
            next: 2,
            tablets,
        }
    }

    fn create_like(
        &mut self,
        database: &str,
        name: &str,
        like: &str,
        now: i64,
    ) -> Result<(), Refused> {
        self.absent(database, name)?;
        let model = self
            .database(database)?
            .table_named(like)
            .ok_or_else(|| Refused::no_table(like))?;
        let mut def = print::definition(model);
        name.clone_into(&mut def.name);
        self.create_table(database, &def, now)
    }

    fn drop_table(
        &mut self,
        database: &str,
        name: &str,
        (if_exists, force): (bool, bool),
        now: i64,
    ) -> Result<(), Refused> {
        let found = self.database(database)?;
        let Some(table) = found.table_named(name) else {
            return if if_exists {
                Ok(())
            } else {
                Err(Refused::no_table(name))
            };
        };
        let id = table.id;
        if matches!(table.state, TableState::Restoring(_)) {
            return Err(Refused::new(
                Refusal::TableBusy,
                format!("table {name} is in restore process"),
            ));
        }
        if !force && self.has_committed(id, None) {
            return Err(Refused::new(
                Refusal::TableBusy,
                format!(
                    "There are still some transactions in the COMMITTED state waiting to be completed. The table [{name}] cannot be dropped"
                ),
            ));
        }
        let db = found.id;
        self.alters.retain(|_, job| job.table != id);
        self.remove_table(database, id, force, now)?;
        let data = records::drop_table(db, id, name, false, force);
        let seq = self.journal();
        self.emit_at(database, seq, 4, vec![id], &data, now);
        self.database_mut(database)?
            .stream
            .dropped_tables
            .insert(id, seq);
        Ok(())
    }

    /// Takes a table away: into the recycle bin, or for good.
    pub(super) fn remove_table(
        &mut self,
        database: &str,
        id: i64,
        force: bool,
        now: i64,
    ) -> Result<(), Refused> {
        let (at_once, kept) = (self.policy.drops_rowsets_at_once, self.policy.bin_ms);
        let Some(mut table) = self.database_mut(database)?.tables.remove(&id) else {
            return Ok(());
        };
        table.state = TableState::Normal;
        if force || at_once {
            self.storage.drop_tablets(&table.tablet_ids());
        }
        if !force {
            self.database_mut(database)?
                .binned_tables
                .insert(id, (table, now + kept));
            self.due_at(now + kept, Due::Erase(database.to_owned()));
        }
        Ok(())
    }

    /// Empties the recycle bin of what is too old.
    pub(super) fn erase(&mut self, database: &str, now: i64) {
        let Some(found) = self.databases.get_mut(database) else {
            return;
        };
        let mut tablets = Vec::new();
        found.binned_tables.retain(|_, (table, until)| {
            if *until <= now {
                tablets.extend(table.tablet_ids());
            }
            *until > now
        });
        found.binned_partitions.retain(|_, binned| {
            if binned.until_ms <= now {
                tablets.extend(binned.partition.all_tablets().map(|tablet| tablet.id));
            }
            binned.until_ms > now
        });
        self.storage.drop_tablets(&tablets);
    }

    fn recover_table(&mut self, database: &str, name: &str, now: i64) -> Result<(), Refused> {
        self.absent(database, name)?;
        let found = self.database_mut(database)?;
        let newest = found
            .binned_tables
            .iter()
            .rfind(|(_, (table, _))| table.name == name)
            .map(|(id, _)| *id);
        let Some((table, _)) = newest.and_then(|id| found.binned_tables.remove(&id)) else {
            return Err(Refused::no_table(name));
        };
        let (id, db) = (table.id, found.id);
        found.tables.insert(id, table);
        found.stream.dropped_tables.remove(&id);
        let data = records::recovered(db, (id, name), None);
        self.emit(database, 24, vec![id], &data, now);
        Ok(())
    }

    fn create_view(
        &mut self,
        database: &str,
        name: &str,
        select: &str,
        now: i64,
    ) -> Result<(), Refused> {
        self.absent(database, name)?;
        let id = self.new_id();
        let found = self.database_mut(database)?;
        found.views.insert(
            id,
            View {
                id,
                name: name.to_owned(),
                select: select.to_owned(),
                comment: String::new(),
            },
        );
        let sql = format!("CREATE VIEW `{name}` AS {select};");
        let data = records::created(found.id, database, id, name, true, &sql);
        self.emit(database, 2, vec![id], &data, now);
        Ok(())
    }

    fn alter_view(
        &mut self,
        database: &str,
        name: &str,
        select: &str,
        now: i64,
    ) -> Result<(), Refused> {
        let found = self.database_mut(database)?;
        let db = found.id;
        let view = found
            .views
            .values_mut()
            .find(|view| view.name == name)
            .ok_or_else(|| Refused::no_table(name))?;
        select.clone_into(&mut view.select);
        let id = view.id;
        let data = records::view_changed(db, id, select);
        self.emit(database, 17, vec![id], &data, now);
        Ok(())
    }

    fn drop_view(
        &mut self,
        database: &str,
        name: &str,
        if_exists: bool,
        now: i64,
    ) -> Result<(), Refused> {
        let found = self.database_mut(database)?;
        let Some(id) = found.view_named(name).map(|view| view.id) else {
            return if if_exists {
                Ok(())
            } else {
                Err(Refused::no_table(name))
            };
        };
        found.views.remove(&id);
        let data = records::drop_table(found.id, id, name, true, false);
        let seq = self.journal();
        self.emit_at(database, seq, 4, vec![id], &data, now);
        self.database_mut(database)?
            .stream
            .dropped_tables
            .insert(id, seq);
        Ok(())
    }

    fn rename_table(
        &mut self,
        database: &str,
        name: &str,
        new: &str,
        now: i64,
    ) -> Result<(), Refused> {
        let view = self
            .database(database)?
            .view_named(name)
            .map(|view| view.id);
        if view.is_some() {
            return Err(Refused::other("a view can not be renamed"));
        }
        let id = self.changeable(database, name)?;
        self.absent(database, new)?;
        self.table_mut(database, id)?.rename(new);
        let data = records::renamed(self.database_id(database), id, Named::Table, name, new);
        self.emit(database, 14, vec![id], &data, now);
        Ok(())
    }

    fn replace_table(
        &mut self,
        database: &str,
        (name, with): (&str, &str),
        swap: bool,
        now: i64,
    ) -> Result<(), Refused> {
        let original = self.changeable(database, name)?;
        let replacement = self.changeable(database, with)?;
        if original == replacement {
            return Err(Refused::other("a table can not replace itself"));
        }
        let seq = self.journal();
        self.table_mut(database, original)?.rename(with);
        if !swap {
            // By force, as it is the default: nothing of it can come back.
            self.remove_table(database, original, true, now)?;
            self.database_mut(database)?
                .stream
                .dropped_tables
                .insert(original, seq);
        }
        self.table_mut(database, replacement)?.rename(name);
        let data = records::replace_table(
            self.database_id(database),
            (original, name),
            (replacement, with),
            swap,
        );
        self.emit_at(database, seq, 18, vec![original], &data, now);
        Ok(())
    }

    fn truncate(
        &mut self,
        database: &str,
        name: &str,
        partitions: &[String],
        force: bool,
        now: i64,
    ) -> Result<(), Refused> {
        let id = self.changeable(database, name)?;
        let table = self.table(database, id)?.clone();
        let mut old = Vec::new();
        if partitions.is_empty() {
            old.extend(table.partitions.values().filter(|p| !p.temp).cloned());
        }
        for wanted in partitions {
            let partition = table.partition_named(wanted, false).ok_or_else(|| {
                Refused::new(
                    Refusal::UnknownPartition,
                    format!("Unknown partition {wanted} in table {name}"),
                )
            })?;
            old.push(partition.clone());
        }
        let mut names = BTreeMap::new();
        let mut tablets = Vec::new();
        let mut new = Vec::new();
        for partition in &old {
            names.insert(partition.id, partition.name.clone());
            tablets.extend(partition.all_tablets().map(|tablet| tablet.id));
            new.push(self.build_partition(
                &table,
                &partition.name,
                partition.range,
                false,
                partition.buckets(),
            ));
        }
        // Data of a truncated partition is gone for loads that wait, also without FORCE, where the source collects at once.
        if force || self.policy.drops_rowsets_at_once {
            self.storage.drop_tablets(&tablets);
        }
        let found = self.table_mut(database, id)?;
        for partition in &old {
            found.partitions.remove(&partition.id);
        }
        for partition in new {
            found.partitions.insert(partition.id, partition);
        }
        let table = found.clone();
        let seq = self.journal();
        let db = self.database_id(database);
        let data = records::truncate(db, database, &table, partitions, force, &names);
        self.emit_at(database, seq, 13, vec![id], &data, now);
        let stream = &mut self.database_mut(database)?.stream;
        stream
            .dropped_partitions
            .extend(names.keys().map(|id| (*id, seq)));
        Ok(())
    }
}
