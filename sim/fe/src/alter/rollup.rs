//! Rollups and synchronous materialized views: their columns, their jobs, and their end.

use crate::alter::job::{AlterJob, AlterKind, AlterState};
use crate::api::{SessionCtx, SqlError};
use crate::binlog::record::{self, Names};
use crate::catalog::rollup_schema::{rollup_meta, rollup_schema};
use crate::catalog::view_query::{view_meta, view_query, view_schema};
use crate::frontend::Frontend;
use crate::state::FeState;
use dorisim_model::{IndexMeta, IndexState, MaterializedIndex, OlapTable, TableState};
use dorisim_sql::ast::RollupDef;

impl Frontend {
    /// ALTER TABLE ADD ROLLUP: a job whose PENDING state makes no record.
    pub(crate) fn add_rollup(
        &self,
        db: &str,
        table: &str,
        def: &RollupDef,
    ) -> Result<(), SqlError> {
        let now = self.clock().now_ms();
        let mut guard = self.lock();
        let state = &mut *guard;
        let found = state.table(db, table)?;
        let from = match &def.base {
            None => None,
            Some(name) => found
                .indexes
                .iter()
                .find(|i| i.name.eq_ignore_ascii_case(name)),
        };
        let schema = from.map_or(&found.schema, |i| found.index_schema(i.id));
        rollup_schema(schema, def)?;
        free_name(state, db, table, &def.name)?;
        let base = state.table(db, table)?.schema.clone();
        let mut meta = rollup_meta(state.new_id(), &base, def)?;
        meta.state = IndexState::Shadow;
        let columns: Vec<String> = def.columns.iter().map(|c| format!("`{c}`")).collect();
        let raw = format!(
            "ALTER TABLE `{db}`.`{table}` ADD ROLLUP `{}` ({})",
            def.name,
            columns.join(", ")
        );
        state.journal();
        submit(state, db, table, meta, raw, now)?;
        Ok(())
    }

    /// CREATE MATERIALIZED VIEW (synchronous): as a rollup, with a record of the PENDING state.
    pub(crate) fn create_sync_view(
        &self,
        session: &SessionCtx,
        name: &str,
        select: &str,
    ) -> Result<(), SqlError> {
        let query = view_query(select)?;
        let now = self.clock().now_ms();
        let (db, table) = match query.table.rsplit_once('.') {
            Some((db, table)) => (db.rsplit('.').next().unwrap_or(db).to_owned(), table),
            None => (
                session
                    .current_db
                    .clone()
                    .ok_or_else(|| SqlError::new(1046, "No database selected"))?,
                query.table.as_str(),
            ),
        };
        let mut guard = self.lock();
        let state = &mut *guard;
        let found = state.table(&db, table)?;
        if found.state != TableState::Normal {
            return Err(SqlError::analysis(format!(
                "Table[{table}]'s state({}) is not NORMAL. Do not allow doing ALTER ops",
                found.state.as_str()
            )));
        }
        let base = found.schema.clone();
        let schema = view_schema(&base, &query)?;
        free_name(state, &db, table, name)?;
        self.check_view(&base, &schema, query.filter.as_deref())?;
        let raw = format!("CREATE MATERIALIZED VIEW {name} AS {select}");
        let meta = view_meta(state.new_id(), name, raw.clone(), &query, schema);
        let job = submit(state, &db, table, meta, raw, now)?;
        state.emit(record::alter_job(&job), now);
        Ok(())
    }

    /// ALTER TABLE DROP ROLLUP a, b and DROP MATERIALIZED VIEW.
    pub(crate) async fn drop_rollups(
        &self,
        db: &str,
        table: &str,
        names: &[(String, bool)],
    ) -> Result<(), SqlError> {
        let now = self.clock().now_ms();
        let gone: Vec<MaterializedIndex> = {
            let mut guard = self.lock();
            let state = &mut *guard;
            let db_id = state.db(db)?.id;
            let found = state.table_mut(db, table)?;
            let mut dropped: Vec<IndexMeta> = Vec::new();
            for (name, if_exists) in names {
                let index = found
                    .indexes
                    .iter()
                    .skip(1)
                    .find(|i| i.name.eq_ignore_ascii_case(name));
                match index {
                    Some(index) => dropped.push(index.clone()),
                    None if *if_exists => {}
                    None => {
                        return Err(SqlError::analysis(format!(
                            "errCode = 7, detailMessage = Materialized view [{name}] does not exist in table [{table}]"
                        )));
                    }
                }
            }
            let Some(first) = dropped.first() else {
                return Ok(());
            };
            let record = record::drop_rollup(db_id, found, first);
            let is_dropped = |id: i64| dropped.iter().any(|d| d.id == id);
            found.indexes.retain(|i| !is_dropped(i.id));
            let mut gone = Vec::new();
            for partition in found.partitions.values_mut() {
                let (out, kept) = std::mem::take(&mut partition.indexes)
                    .into_iter()
                    .partition::<Vec<_>, _>(|i| is_dropped(i.id));
                partition.indexes = kept;
                gone.extend(out);
            }
            // One journal entry for the whole list: the records share a commit seq, so all but the first are lost.
            let first = first.id;
            let seq = state.emit(record, now);
            state.streams.note_dropped(db_id, seq, &[], &[], &[first]);
            gone
        };
        self.drop_tablet_list(gone.iter().flat_map(|i| &i.tablets))
            .await;
        Ok(())
    }

    /// ALTER TABLE RENAME ROLLUP.
    pub(crate) fn rename_rollup(
        &self,
        db: &str,
        table: &str,
        old: &str,
        new: &str,
    ) -> Result<(), SqlError> {
        let now = self.clock().now_ms();
        let mut guard = self.lock();
        let state = &mut *guard;
        free_name(state, db, table, new)?;
        let db_id = state.db(db)?.id;
        let found = state.table_mut(db, table)?;
        let table_id = found.id;
        let index = found
            .indexes
            .iter_mut()
            .skip(1)
            .find(|i| i.name.eq_ignore_ascii_case(old))
            .ok_or_else(|| SqlError::analysis(format!("Rollup index[{old}] does not exists")))?;
        new.clone_into(&mut index.name);
        let names = Names {
            index: Some(index.id),
            rollup: Some((old, new)),
            ..Names::default()
        };
        state.emit(record::table_info(21, db_id, table_id, &names), now);
        Ok(())
    }
}

fn free_name(state: &FeState, db: &str, table: &str, name: &str) -> Result<(), SqlError> {
    let found = state.table(db, table)?;
    let pending = state.alters.running();
    let taken = found
        .indexes
        .iter()
        .any(|i| i.name.eq_ignore_ascii_case(name))
        || pending
            .iter()
            .filter(|j| j.table_id == found.id)
            .any(|j| j.targets().iter().any(|(i, _)| i.name == name));
    if taken {
        return Err(SqlError::analysis(format!(
            "Rollup index[{name}] already exists"
        )));
    }
    Ok(())
}

fn submit(
    state: &mut FeState,
    db: &str,
    table: &str,
    meta: IndexMeta,
    raw_sql: String,
    now: i64,
) -> Result<AlterJob, SqlError> {
    let db_id = state.db(db)?.id;
    let id = state.new_id();
    let found: &mut OlapTable = state.table_mut(db, table)?;
    found.state = TableState::Rollup;
    let job = AlterJob {
        id,
        db_id,
        table_id: found.id,
        table: table.to_owned(),
        raw_sql,
        kind: AlterKind::Rollup {
            index: Box::new(meta),
            base_id: found.base_index_id(),
            base_name: table.to_owned(),
        },
        state: AlterState::Pending,
        txn_id: -1,
        create_ms: now,
        finish_ms: -1,
        message: String::new(),
    };
    state.alters.submit(job.clone());
    Ok(job)
}
