//! Tables: creation, copies and removal, and the tablets that go with them.

use std::collections::BTreeMap;

use futures::future::try_join_all;

use crate::api::SqlError;
use crate::binlog::record;
use crate::catalog::build;
use crate::catalog::dates;
use crate::catalog::partitions::{self, PartitionSpec};
use crate::catalog::properties;
use crate::catalog::property_values;
use crate::catalog::replicas;
use crate::catalog::show_create::{self, Form};
use crate::ddl::recycle_bin::Dropped;
use crate::frontend::Frontend;
use crate::state::FeState;
use dorisim_model::backend::TabletSpec;
use dorisim_model::catalog::{NEVER_MS, Properties};
use dorisim_model::{
    DataType, IndexState, OlapTable, Partition, PartitionItem, TableState, Tablet,
};
use dorisim_sql::ast;

impl Frontend {
    pub(crate) async fn create_table(
        &self,
        db: &str,
        create: &ast::CreateTable,
    ) -> Result<(), SqlError> {
        let (table, binlog) = {
            let mut guard = self.lock();
            let state = &mut *guard;
            let database = state.db(db)?;
            if database.has_name(&create.name.name) {
                return taken(&create.name.name, create.if_not_exists);
            }
            let hidden = format!(
                "{}{}",
                crate::jobs::restore_job::ATOMIC_PREFIX,
                create.name.name
            );
            if database.table(&hidden).is_some() {
                return Err(SqlError::analysis(format!(
                    "table[{}] is in atomic restore, please cancel the restore operation firstly",
                    create.name.name
                )));
            }
            let properties = database.properties.clone();
            let mut table = build::table(
                state,
                create,
                &properties,
                self.config().default_replication_num,
            )?;
            self.check_generated(&table.schema)?;
            self.first_partitions(state, &mut table, create)?;
            let binlog = table.binlog_enabled();
            (table, binlog)
        };
        self.make_tablets(&table, table.partitions.values(), binlog)
            .await?;
        let name = table.name.clone();
        self.install(db, table, create.if_not_exists).await?;
        self.schedule_table(db, &name).await
    }

    fn first_partitions(
        &self,
        state: &mut FeState,
        table: &mut OlapTable,
        create: &ast::CreateTable,
    ) -> Result<(), SqlError> {
        let types = table.partition_types();
        let resolved = match &create.partition {
            None => vec![(table.name.clone(), PartitionItem::All, Properties::new())],
            Some(by) => partitions::resolve(&table.partition_kind, &types, &by.partitions, &[])?,
        };
        let (backends, now) = (self.alive_backends(), self.clock().now_ms());
        for (name, item, mut own) in resolved {
            let replicas = replicas::take_replicas(&mut own, "")?.unwrap_or(table.replication_num);
            let spec = PartitionSpec {
                name,
                item,
                temp: false,
                distribution: table.distribution.clone(),
                replicas,
                medium: medium(table, &own),
            };
            let mut partition = partitions::build(state, spec, &table.indexes, &backends, now)?;
            set_data_property(&mut partition, &table.properties, &own, now)?;
            table.partitions.insert(partition.id, partition);
        }
        Ok(())
    }

    /// Puts a table whose tablets exist into the catalogue and journals it.
    async fn install(
        &self,
        db: &str,
        table: OlapTable,
        if_not_exists: bool,
    ) -> Result<(), SqlError> {
        let now = self.clock().now_ms();
        let lost = {
            let mut state = self.lock();
            match state.db_mut(db) {
                Err(error) => Err(error),
                Ok(database) if database.has_name(&table.name) => taken(&table.name, if_not_exists),
                Ok(database) => {
                    let id = database.id;
                    let sql = show_create::create_table(&table, Form::Synced);
                    let record =
                        record::create_table(id, db, &table, &sql, &properties::of_record(&table));
                    database.tables.insert(table.id, table);
                    state.emit(record, now);
                    return Ok(());
                }
            }
        };
        self.drop_tablets(table.partitions.values()).await;
        lost
    }

    pub(crate) async fn create_like(
        &self,
        db: &str,
        name: &str,
        like_db: &str,
        like: &str,
        rollups: Option<&[String]>,
        if_not_exists: bool,
    ) -> Result<(), SqlError> {
        let (table, binlog) = {
            let mut guard = self.lock();
            let state = &mut *guard;
            if state.db(db)?.has_name(name) {
                return taken(name, if_not_exists);
            }
            let model = state.table(like_db, like)?.clone();
            let (backends, now) = (self.alive_backends(), self.clock().now_ms());
            let mut table = OlapTable {
                id: state.new_id(),
                name: name.to_owned(),
                partitions: dorisim_model::Tracked::new(),
                ..model.clone()
            };
            table.auto_inc_next = table
                .schema
                .columns
                .iter()
                .find_map(|c| c.auto_inc)
                .unwrap_or(1);
            // `WITH ROLLUP` without names means all of them.
            let base = table.base_index_id();
            table.indexes.retain(|i| {
                let named = rollups.is_some_and(|names| {
                    names.is_empty() || names.iter().any(|n| n.eq_ignore_ascii_case(&i.name))
                });
                i.id == base || (named && i.state == IndexState::Normal)
            });
            for index in &mut table.indexes {
                index.id = state.new_id();
            }
            if let Some(index) = table.indexes.first_mut() {
                name.clone_into(&mut index.name);
            }
            build::number_columns_anew(&mut table);
            table.state = TableState::Normal;
            for secondary in &mut table.secondary {
                secondary.id = state.new_id();
            }
            table.refresh_indexes();
            for old in model.partitions.values().filter(|p| !p.is_temp) {
                let spec = PartitionSpec {
                    name: if old.item == PartitionItem::All {
                        name.to_owned()
                    } else {
                        old.name.clone()
                    },
                    item: old.item.clone(),
                    temp: false,
                    distribution: old.distribution.clone(),
                    replicas: old.replication_num,
                    medium: old.storage_medium.clone(),
                };
                let partition = partitions::build(state, spec, &table.indexes, &backends, now)?;
                table.partitions.insert(partition.id, partition);
            }
            let binlog = table.binlog_enabled();
            (table, binlog)
        };
        self.make_tablets(&table, table.partitions.values(), binlog)
            .await?;
        self.install(db, table, if_not_exists).await?;
        self.schedule_table(db, name).await
    }

    pub(crate) async fn drop_table(
        &self,
        db: &str,
        name: &str,
        if_exists: bool,
        force: bool,
    ) -> Result<(), SqlError> {
        let now = self.clock().now_ms();
        let gone = {
            let mut state = self.lock();
            let database = match state.db(db) {
                Ok(database) => database,
                Err(_) if if_exists => return Ok(()),
                Err(error) => return Err(error),
            };
            if database.view(name).is_some() {
                return Err(SqlError::new(
                    1347,
                    format!("'{db}.{name}' is not TABLE. Use 'DROP VIEW {db}.{name}'."),
                ));
            }
            let (db_id, id) = match database.table(name) {
                Some(table) => (database.id, table.id),
                None if if_exists => return Ok(()),
                None => return Err(SqlError::unknown_table_in(name, db)),
            };
            let of = state.table(db, name)?.state;
            if !force && of != TableState::Normal {
                return Err(SqlError::analysis(format!(
                    "The table [{name}]'s state is {}, cannot be dropped. please cancel the operation on olap table firstly. If you \
                     want to forcibly drop(cannot be recovered), please use \"DROP table FORCE\".",
                    of.as_str()
                )));
            }
            if !force && state.jobs.in_atomic_restore(db_id, name) {
                return Err(SqlError::analysis(format!(
                    "The table [{name}]'s state is in atomic restore, cannot be dropped. please cancel the restore operation on \
                     olap table firstly. If you want to forcibly drop(cannot be recovered), please use \"DROP table FORCE\"."
                )));
            }
            let removed = remove_table(&mut state, db_id, id, true, now);
            if force {
                removed
            } else {
                recycle_table(&mut state, db_id, removed, now);
                None
            }
        };
        if let Some(table) = gone {
            self.drop_tablets(table.partitions.values()).await;
        }
        Ok(())
    }

    /// Sends CREATE for every replica of the partitions.
    pub(crate) async fn make_tablets(
        &self,
        table: &OlapTable,
        partitions: impl Iterator<Item = &Partition>,
        binlog: bool,
    ) -> Result<(), SqlError> {
        let specs: Vec<(i64, TabletSpec)> = partitions
            .flat_map(|p| partitions::tablet_specs(table, p, binlog, false))
            .collect();
        self.create_all(specs).await
    }

    /// Sends CREATE tasks, backends in parallel.
    pub(crate) async fn create_all(&self, specs: Vec<(i64, TabletSpec)>) -> Result<(), SqlError> {
        let mut by_backend: BTreeMap<i64, Vec<TabletSpec>> = BTreeMap::new();
        for (backend, spec) in specs {
            by_backend.entry(backend).or_default().push(spec);
        }
        let mut calls = Vec::with_capacity(by_backend.len());
        for (id, specs) in by_backend {
            calls.push(self.create_on(id, specs));
        }
        try_join_all(calls).await.map(|_| ())
    }

    async fn create_on(&self, id: i64, specs: Vec<TabletSpec>) -> Result<(), SqlError> {
        let backend = self
            .backend(id)
            .ok_or_else(|| SqlError::analysis(format!("backend {id} does not exist")))?;
        backend
            .create_tablets(specs)
            .await
            .map_err(|e| SqlError::analysis(format!("Failed to create partition. Error: {e}")))
    }

    /// Sends DROP for every replica of the partitions. A backend that does not answer keeps garbage, as in Doris.
    pub(crate) async fn drop_tablets(&self, partitions: impl Iterator<Item = &Partition>) {
        self.drop_tablet_list(partitions.flat_map(Partition::tablets))
            .await;
    }

    /// As [`Self::drop_tablets`], for single tablets.
    pub(crate) async fn drop_tablet_list(&self, tablets: impl Iterator<Item = &Tablet>) {
        let mut by_backend: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        for tablet in tablets {
            for replica in &tablet.replicas {
                by_backend
                    .entry(replica.backend_id)
                    .or_default()
                    .push(tablet.id);
            }
        }
        let drops = by_backend.into_iter().map(|(id, tablets)| async move {
            if let Some(backend) = self.backend(id)
                && let Err(error) = backend.drop_tablets(&tablets).await
            {
                tracing::debug!(backend_id = id, %error, "tablets were not dropped");
            }
        });
        futures::future::join_all(drops).await;
    }
}

/// Keeps a table that was taken out of the catalogue.
pub(crate) fn recycle_table(state: &mut FeState, db_id: i64, table: Option<OlapTable>, now: i64) {
    if let Some(table) = table {
        state.bin.put(
            now,
            Dropped::Table {
                db_id,
                table: Box::new(table),
            },
        );
    }
}

/// Takes a table out of the catalogue. `journal`: makes a DROP_TABLE record.
pub(crate) fn remove_table(
    state: &mut FeState,
    db_id: i64,
    id: i64,
    journal: bool,
    now: i64,
) -> Option<OlapTable> {
    let scope = state.scope(db_id, &[id]);
    let table = state
        .catalog
        .databases
        .get_mut(&db_id)?
        .tables
        .remove(&id)?;
    if journal {
        let seq = state.emit_scoped(
            record::drop_table(db_id, id, &table.name, false),
            &scope,
            now,
            now,
        );
        state.streams.note_dropped(db_id, seq, &[], &[id], &[]);
    }
    Some(table)
}

/// Cool-down time and storage policy of a partition: its own, or the table's.
pub(crate) fn set_data_property(
    partition: &mut Partition,
    table: &Properties,
    own: &Properties,
    now: i64,
) -> Result<(), SqlError> {
    let named = |key: &str| own.get(key).or_else(|| table.get(key));
    if let Some(policy) = named("storage_policy") {
        property_values::check_storage_policy(policy)?;
        partition.storage_policy.clone_from(policy);
    }
    // Only SSD cools down.
    let cooldown = named("storage_cooldown_time")
        .filter(|_| partition.storage_medium == "SSD")
        .and_then(|text| DataType::DateTime(0).canonicalize(text).ok().flatten())
        .and_then(|text| dates::to_ms(&text));
    partition.cooldown_ms = cooldown.unwrap_or(NEVER_MS).min(NEVER_MS);
    if partition.cooldown_ms <= now {
        return Err(SqlError::analysis(format!(
            "Cool down time: {} should later than now: {now}",
            partition.cooldown_ms
        )));
    }
    Ok(())
}

/// The medium of a partition: its own property, or the table's.
pub(crate) fn medium(table: &OlapTable, own: &Properties) -> String {
    own.get("storage_medium")
        .or_else(|| table.properties.get("storage_medium"))
        .map_or_else(|| "HDD".to_owned(), |m| m.to_uppercase())
}

fn taken(name: &str, if_not_exists: bool) -> Result<(), SqlError> {
    if if_not_exists {
        Ok(())
    } else {
        Err(SqlError::new(
            1050,
            format!("Table '{name}' already exists"),
        ))
    }
}
