//! Statements: dispatch, databases, creation and removal of tables and views, accounts.

use std::collections::BTreeMap;

use crate::api::{SessionCtx, SqlError, StmtOutcome};
use crate::binlog::record;
use crate::catalog::property_values;
use crate::ddl::recycle_bin::Dropped;
use crate::frontend::Frontend;
use crate::frontend_config;
use dorisim_model::catalog::Properties;
use dorisim_model::{Database, View};
use dorisim_sql::ast::{self, ObjectName, Statement};

/// (database, object) of a name in a session.
pub(crate) fn object<'a>(
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
                if_exists,
                name,
                force,
            } => self.drop_database(if_exists, &name, force).await?,
            Statement::RecoverDatabase { name, id, new_name } => {
                self.recover_database(&name, id, new_name)?
            }
            Statement::RecoverTable { name, id, new_name } => {
                let (db, table) = object(session, &name)?;
                self.recover_table(db, table, id, new_name)?;
            }
            Statement::RecoverPartition {
                name,
                id,
                new_name,
                table,
            } => {
                let (db, table) = object(session, &table)?;
                self.recover_partition(db, table, &name, id, new_name)?;
            }
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
                with_rollup,
            } => {
                let ((db, table), (like_db, like)) =
                    (object(session, &name)?, object(session, &like)?);
                self.create_like(
                    db,
                    table,
                    like_db,
                    like,
                    with_rollup.as_deref(),
                    if_not_exists,
                )
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
                if_exists,
                name,
                force,
            } => {
                let (db, table) = object(session, &name)?;
                self.drop_table(db, table, if_exists, force).await?;
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
                self.alter_table(
                    db,
                    table,
                    vec![ast::AlterClause::AddIndex { index, alone: true }],
                )
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
                        alone: true,
                        if_exists,
                        name: index,
                    }],
                )
                .await?;
            }
            Statement::CreateMaterializedView { name, select, .. } => {
                self.create_sync_view(session, &name, &select)?
            }
            Statement::DropMaterializedView {
                if_exists,
                name,
                table,
            } => {
                let (db, table) = object(session, &table)?;
                self.alter_table(
                    db,
                    table,
                    vec![ast::AlterClause::DropRollup { if_exists, name }],
                )
                .await?;
            }
            Statement::BuildIndex {
                table,
                index,
                partitions,
            } => {
                let (db, table) = object(session, &table)?;
                self.build_index(db, table, &index, &partitions)?;
            }
            Statement::CancelBuildIndex { table, jobs } => {
                let (db, table) = object(session, &table)?;
                self.cancel_index_jobs(db, table, &jobs)?;
            }
            Statement::CancelAlter { kind, table } => {
                let (db, table) = object(session, &table)?;
                self.cancel_alters_of(db, table, &kind).await?;
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
                    return Err(SqlError::analysis(format!(
                        "User '{user}'@'%' already exist"
                    )));
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
            Statement::AlterSystem(change) => self.alter_system(change)?,
            Statement::AdminSetConfig { settings } => {
                for name in settings.keys() {
                    frontend_config::check_settable(name)?;
                }
                self.lock().settings.extend(settings);
            }
            Statement::CreateFunction {
                if_not_exists,
                name,
                signature,
                text,
            } => {
                let (db, _) = object(session, &name)?;
                let mut state = self.lock();
                let functions = &mut state.db_mut(db)?.functions;
                if functions.contains_key(&signature) {
                    if if_not_exists {
                        return Ok(StmtOutcome::default());
                    }
                    return Err(SqlError::analysis("function already exists"));
                }
                functions.insert(signature, text);
                state.journal();
            }
            Statement::DropFunction {
                if_exists,
                name,
                signature,
            } => {
                let (db, _) = object(session, &name)?;
                let mut state = self.lock();
                if state.db_mut(db)?.functions.remove(&signature).is_none() && !if_exists {
                    return Err(SqlError::analysis(format!(
                        "Unknown function, function={signature}"
                    )));
                }
                state.journal();
            }
            Statement::Set { .. } | Statement::NoEffect { .. } => {}
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
        let properties = property_values::canonicalize(&properties)?;
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
                tables: dorisim_model::Tracked::new(),
                views: BTreeMap::new(),
                functions: BTreeMap::new(),
            },
        );
        Ok(())
    }

    async fn drop_database(
        &self,
        if_exists: bool,
        name: &str,
        force: bool,
    ) -> Result<(), SqlError> {
        let now = self.clock().now_ms();
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
            let removed = state.catalog.databases.remove(&id);
            match removed {
                Some(db) if !force => {
                    state.bin.put(now, Dropped::Database(db));
                    None
                }
                removed => removed,
            }
        };
        if let Some(db) = gone {
            self.drop_tablets(db.tables.values().flat_map(|t| t.partitions.values()))
                .await;
        }
        Ok(())
    }

    fn alter_database(&self, name: &str, properties: Properties) -> Result<(), SqlError> {
        let properties = property_values::canonicalize(&properties)?;
        let now = self.clock().now_ms();
        let mut state = self.lock();
        let db = state.db_mut(name)?;
        let id = db.id;
        let switches_on = properties
            .get("binlog.enable")
            .is_some_and(|v| v.eq_ignore_ascii_case("true"));
        let switches_on = switches_on && !db.binlog_enabled();
        if switches_on && let Some(off) = db.tables.values().find(|t| !t.binlog_enabled()) {
            return Err(SqlError::analysis(format!(
                "binlog is not enable in table[{}] in db [{name}]",
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
}

fn known_user(known: bool, user: &str) -> Result<(), SqlError> {
    if known {
        Ok(())
    } else {
        Err(SqlError::analysis(format!(
            "user '{user}'@'%' does not exist"
        )))
    }
}

fn session_db(session: &SessionCtx, db: Option<String>) -> Result<String, SqlError> {
    db.or_else(|| session.current_db.clone())
        .ok_or_else(|| SqlError::new(1046, "No database selected"))
}

/// A view as the catalogue keeps it.
pub(crate) fn view(
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
