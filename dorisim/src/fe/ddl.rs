//! Statements: dispatch, databases, creation and removal of tables and views, accounts.

use std::collections::BTreeMap;

use futures::future::try_join_all;

use super::api::{SessionCtx, SqlError, StmtOutcome};
use super::build;
use super::frontend::Frontend;
use super::partitions::{self, PartitionSpec};
use super::record;
use super::show_create::{self, Form};
use super::state::FeState;
use crate::be::api::TabletSpec;
use crate::model::catalog::Properties;
use crate::model::{Database, OlapTable, Partition, PartitionItem, PartitionKind, View};
use crate::sql::ast::{self, ObjectName, Statement};

/// (database, object) of a name in a session.
pub(super) fn object<'a>(
    session: &'a SessionCtx,
    name: &'a ObjectName,
) -> Result<(&'a str, &'a str), SqlError> {
    let db = name
        .db_or(session.current_db.as_deref())
        .ok_or_else(|| SqlError::new(1046, "No database selected"))?;
    Ok((db, &name.name))
}

impl Frontend {
    /// Runs DDL, BACKUP, user management and the like. INSERT, DELETE, UPDATE, SELECT, SHOW, BEGIN..COMMIT and CTAS are the
    /// caller's: they end in [`Self::load`], [`Self::delete`], [`Self::scan_table`] and the explicit transaction calls.
    pub async fn execute(
        &self,
        session: &SessionCtx,
        statement: Statement,
    ) -> Result<StmtOutcome, SqlError> {
        let _one_at_a_time = self.ddl.lock().await;
        match statement {
            Statement::CreateDatabase {
                if_not_exists,
                name,
                properties,
            } => self.create_database(if_not_exists, &name, properties)?,
            Statement::DropDatabase {
                if_exists, name, ..
            } => self.drop_database(if_exists, &name).await?,
            Statement::AlterDatabaseProperties { name, properties } => {
                self.alter_database(&name, properties)?
            }
            Statement::RenameDatabase { name, new_name } => {
                let mut state = self.lock();
                if state.catalog.database(&new_name).is_some() {
                    return Err(SqlError::new(
                        1007,
                        format!("Can't create database '{new_name}'; database exists"),
                    ));
                }
                state.db_mut(&name)?.name = new_name;
                state.journal();
            }
            Statement::CreateTable(create) => {
                let (db, _) = object(session, &create.name)?;
                self.create_table(db, &create).await?;
            }
            Statement::CreateTableLike {
                if_not_exists,
                name,
                like,
                ..
            } => {
                let ((db, table), (like_db, like)) =
                    (object(session, &name)?, object(session, &like)?);
                self.create_like(db, table, like_db, like, if_not_exists)
                    .await?;
            }
            Statement::CreateView {
                or_replace,
                if_not_exists,
                name,
                columns,
                comment,
                select,
            } => {
                let (db, view) = object(session, &name)?;
                let columns = columns
                    .into_iter()
                    .map(|(n, c)| (n, c.unwrap_or_default()))
                    .collect();
                self.create_view(
                    db,
                    view,
                    columns,
                    comment,
                    &select,
                    or_replace,
                    if_not_exists,
                )?;
            }
            Statement::AlterView {
                name,
                columns,
                select,
                comment,
            } => {
                let (db, view) = object(session, &name)?;
                let columns = columns
                    .into_iter()
                    .map(|(n, c)| (n, c.unwrap_or_default()))
                    .collect();
                self.alter_view(db, view, columns, select.as_deref(), comment)?;
            }
            Statement::DropTable {
                if_exists, name, ..
            } => {
                let (db, table) = object(session, &name)?;
                self.drop_table(db, table, if_exists).await?;
            }
            Statement::DropView { if_exists, name } => {
                let (db, view) = object(session, &name)?;
                self.drop_view(db, view, if_exists)?;
            }
            Statement::TruncateTable {
                name,
                partitions,
                force,
            } => {
                let (db, table) = object(session, &name)?;
                self.truncate(db, table, &partitions, force).await?;
            }
            Statement::AlterTable { name, clauses } => {
                let (db, table) = object(session, &name)?;
                self.alter_table(db, table, clauses).await?;
            }
            Statement::CreateIndex { table, index, .. } => {
                let (db, table) = object(session, &table)?;
                self.alter_table(db, table, vec![ast::AlterClause::AddIndex { index }])
                    .await?;
            }
            Statement::DropIndex {
                if_exists,
                table,
                index,
            } => {
                let (db, table) = object(session, &table)?;
                self.alter_table(
                    db,
                    table,
                    vec![ast::AlterClause::DropIndex {
                        if_exists,
                        name: index,
                    }],
                )
                .await?;
            }
            Statement::Backup(backup) => self.submit_backup(session, &backup)?,
            Statement::CancelBackup { db } => {
                self.cancel_job(&session_db(session, db)?, false).await?
            }
            Statement::CancelRestore { db } => {
                self.cancel_job(&session_db(session, db)?, true).await?
            }
            Statement::SetPassword { user, password } => {
                let user = user.unwrap_or_else(|| session.user.clone());
                known_user(self.lock().accounts.set_password(&user, &password), &user)?;
            }
            Statement::CreateUser {
                if_not_exists,
                user,
                password,
            } => {
                if !self.lock().accounts.create(&user, &password) && !if_not_exists {
                    return Err(SqlError::analysis(format!("User {user} already exist")));
                }
            }
            Statement::DropUser { if_exists, user } => {
                let done = self.lock().accounts.drop_user(&user);
                known_user(done || if_exists, &user)?;
            }
            Statement::Grant {
                privileges,
                on,
                user,
            } => {
                known_user(self.lock().accounts.grant(&user, &privileges, &on), &user)?;
            }
            Statement::Revoke {
                privileges,
                on,
                user,
            } => {
                known_user(self.lock().accounts.revoke(&user, &privileges, &on), &user)?;
            }
            Statement::AdminSetConfig { settings } => self.lock().settings.extend(settings),
            Statement::Set { .. }
            | Statement::Admin { .. }
            | Statement::NoEffect { .. }
            | Statement::CreateRepository { .. }
            | Statement::DropRepository { .. } => {}
            Statement::Use { db } => {
                self.lock().db(&db)?;
            }
            other => {
                let text = format!("{other:?}");
                let name = text.split([' ', '(', '{']).next().unwrap_or("statement");
                return Err(SqlError::analysis(format!(
                    "{name} is not supported by this simulated frontend"
                )));
            }
        }
        Ok(StmtOutcome::default())
    }

    fn create_database(
        &self,
        if_not_exists: bool,
        name: &str,
        properties: Properties,
    ) -> Result<(), SqlError> {
        show_create::check_properties(&properties)?;
        let mut state = self.lock();
        if state.catalog.database(name).is_some() {
            return if if_not_exists {
                Ok(())
            } else {
                Err(SqlError::new(
                    1007,
                    format!("Can't create database '{name}'; database exists"),
                ))
            };
        }
        let id = state.new_id();
        state.journal();
        state.catalog.databases.insert(
            id,
            Database {
                id,
                name: name.to_owned(),
                properties,
                tables: BTreeMap::new(),
                views: BTreeMap::new(),
            },
        );
        Ok(())
    }

    async fn drop_database(&self, if_exists: bool, name: &str) -> Result<(), SqlError> {
        let gone = {
            let mut state = self.lock();
            let id = match state.db(name) {
                Ok(db) => db.id,
                Err(_) if if_exists => return Ok(()),
                Err(_) => {
                    return Err(SqlError::new(
                        1008,
                        format!("Can't drop database '{name}'; database doesn't exist"),
                    ));
                }
            };
            state.journal();
            state.streams.forget_db(id);
            state.jobs.forget_db(id);
            state.catalog.databases.remove(&id)
        };
        if let Some(db) = gone {
            self.drop_tablets(db.tables.values().flat_map(|t| t.partitions.values()))
                .await;
        }
        Ok(())
    }

    fn alter_database(&self, name: &str, properties: Properties) -> Result<(), SqlError> {
        show_create::check_properties(&properties)?;
        let now = self.clock().now_ms();
        let mut state = self.lock();
        let db = state.db_mut(name)?;
        let id = db.id;
        let switches_on = properties
            .get("binlog.enable")
            .is_some_and(|v| v.eq_ignore_ascii_case("true"));
        if switches_on && let Some(off) = db.tables.values().find(|t| !t.binlog_enabled()) {
            return Err(SqlError::analysis(format!(
                "table[{}] binlog is not enable",
                off.name
            )));
        }
        // The switch is read before the change: the record that turns binlog on for the first time is not in the stream.
        let scope = state.scope(id, &[]);
        let record = record::alter_database(id, name, &properties);
        state.emit_scoped(record, &scope, now, now);
        state.db_mut(name)?.properties.extend(properties);
        Ok(())
    }

    pub(super) async fn create_table(
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
            let properties = database.properties.clone();
            let mut table = build::table(
                state,
                create,
                &properties,
                self.config().default_replication_num,
            )?;
            self.first_partitions(state, &mut table, create)?;
            let binlog = table.binlog_enabled();
            (table, binlog)
        };
        self.make_tablets(&table, table.partitions.values(), binlog)
            .await?;
        self.install(db, table, create.if_not_exists).await
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
        if resolved.is_empty()
            && table.auto_partition.is_none()
            && !table.properties.contains_key("dynamic_partition.enable")
        {
            let kind = &table.partition_kind;
            debug_assert!(
                *kind != PartitionKind::Unpartitioned,
                "an unpartitioned table has one partition"
            );
        }
        let (backends, now) = (self.alive_backends(), self.clock().now_ms());
        for (name, item, mut own) in resolved {
            let replicas =
                show_create::take_replicas(&mut own, "")?.unwrap_or(table.replication_num);
            let spec = PartitionSpec {
                name,
                item,
                temp: false,
                distribution: table.distribution.clone(),
                replicas,
                medium: medium(table, &own),
            };
            let partition = partitions::build(state, spec, &table.indexes, &backends, now)?;
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
                    let record = record::create_table(
                        id,
                        db,
                        &table,
                        &sql,
                        &show_create::record_properties(&table),
                    );
                    database.tables.insert(table.id, table);
                    state.emit(record, now);
                    return Ok(());
                }
            }
        };
        self.drop_tablets(table.partitions.values()).await;
        lost
    }

    async fn create_like(
        &self,
        db: &str,
        name: &str,
        like_db: &str,
        like: &str,
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
                partitions: BTreeMap::new(),
                ..model.clone()
            };
            table.auto_inc_next = table
                .schema
                .columns
                .iter()
                .find_map(|c| c.auto_inc)
                .unwrap_or(1);
            table.indexes.truncate(1);
            for index in &mut table.indexes {
                index.id = state.new_id();
                name.clone_into(&mut index.name);
            }
            for secondary in &mut table.secondary {
                secondary.id = state.new_id();
            }
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
        self.install(db, table, if_not_exists).await
    }

    pub(super) async fn drop_table(
        &self,
        db: &str,
        name: &str,
        if_exists: bool,
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
                    format!("'{db}.{name}' is not TABLE. Use 'DROP VIEW {db}.{name}'"),
                ));
            }
            let (db_id, id) = match database.table(name) {
                Some(table) => (database.id, table.id),
                None if if_exists => return Ok(()),
                None => return Err(SqlError::unknown_table(name)),
            };
            remove_table(&mut state, db_id, id, true, now)
        };
        if let Some(table) = gone {
            self.drop_tablets(table.partitions.values()).await;
        }
        Ok(())
    }

    /// Sends CREATE for every replica of the partitions.
    pub(super) async fn make_tablets(
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
    pub(super) async fn create_all(&self, specs: Vec<(i64, TabletSpec)>) -> Result<(), SqlError> {
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
        for spec in specs {
            backend.create_tablet(spec).await.map_err(|e| {
                SqlError::analysis(format!("Failed to create partition. Error: {e}"))
            })?;
        }
        Ok(())
    }

    /// Sends DROP for every replica of the partitions. A backend that does not answer keeps garbage, as in Doris.
    pub(super) async fn drop_tablets(&self, partitions: impl Iterator<Item = &Partition>) {
        let mut by_backend: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        for tablet in partitions.flat_map(Partition::tablets) {
            for replica in &tablet.replicas {
                by_backend
                    .entry(replica.backend_id)
                    .or_default()
                    .push(tablet.id);
            }
        }
        for (id, tablets) in by_backend {
            if let Some(backend) = self.backend(id)
                && let Err(error) = backend.drop_tablets(&tablets).await
            {
                tracing::debug!(backend_id = id, %error, "tablets were not dropped");
            }
        }
    }
}

/// Takes a table out of the catalogue, journaling DROP_TABLE when asked to.
pub(super) fn remove_table(
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

/// The medium of a partition: its own property, or the table's.
pub(super) fn medium(table: &OlapTable, own: &Properties) -> String {
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

fn known_user(known: bool, user: &str) -> Result<(), SqlError> {
    if known {
        Ok(())
    } else {
        Err(SqlError::analysis(format!(
            "User `{user}`@`%` does not exist."
        )))
    }
}

fn session_db(session: &SessionCtx, db: Option<String>) -> Result<String, SqlError> {
    db.or_else(|| session.current_db.clone())
        .ok_or_else(|| SqlError::new(1046, "No database selected"))
}

/// A view as the catalogue keeps it.
pub(super) fn view(
    id: i64,
    name: &str,
    columns: Vec<(String, String)>,
    comment: String,
    definition: String,
) -> View {
    View {
        id,
        name: name.to_owned(),
        definition,
        columns,
        comment,
    }
}
