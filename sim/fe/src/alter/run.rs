//! Schema change and rollup jobs at work: PENDING makes tablets, WAITING_TXN waits for older loads, converts the rows and hands over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::alter::job::{AlterJob, AlterKind, AlterState, AlterView, TIMEOUT_S};
use crate::api::SqlError;
use crate::binlog::record;
use crate::catalog::partitions;
use crate::frontend::Frontend;
use crate::state::FeState;
use dorisim_model::backend::TabletSpec;
use dorisim_model::projection::Misfit;
use dorisim_model::{
    IndexState, MaterializedIndex, OlapTable, Partition, Replica, TableSchema, TableState, Tablet,
};

/// Setting of ADMIN SET FRONTEND CONFIG that holds schema changes and rollups where they are.
pub const PAUSED: &str = "dorisim_pause_alter_jobs";

/// How long a hand-over waits for publishes that are under way.
const GATE_PATIENCE: Duration = Duration::from_millis(100);

/// Why a job does not go on.
enum Stop {
    /// The next tick may find it better.
    Later,
    /// For good.
    Cancel(String),
}

/// One tablet to fill from another one.
struct Fill {
    from: Tablet,
    to: Tablet,
    from_schema: Arc<TableSchema>,
    to_schema: Arc<TableSchema>,
    /// Condition of a materialized view that is filled from the base index.
    filter: Option<String>,
    version: i64,
}

impl Frontend {
    /// Advances every schema change and rollup job by at most one state.
    pub(crate) async fn tick_alters(&self) {
        let jobs = {
            let state = self.lock();
            if state.settings.get(PAUSED).is_some_and(|v| v == "true") {
                return;
            }
            state.alters.running()
        };
        for job in jobs {
            let _one_at_a_time = self.ddl.lock().await;
            // Cancelled while this round went on.
            if self.lock().alters.running_mut(job.id).is_none() {
                continue;
            }
            let age = self.clock().now_ms().saturating_sub(job.create_ms);
            let outcome = match job.state {
                _ if age > TIMEOUT_S * 1000 => Err(Stop::Cancel("Timeout".to_owned())),
                AlterState::Pending => self.make_shadows(&job).await,
                AlterState::WaitingTxn { watershed } => self.hand_over(&job, watershed).await,
                AlterState::Finished | AlterState::Cancelled => Ok(()),
            };
            match outcome {
                Ok(()) | Err(Stop::Later) => {}
                Err(Stop::Cancel(reason)) => self.cancel_alter(job.id, &reason).await,
            }
        }
    }

    /// Makes the new tablets and lets loads write them from now on.
    async fn make_shadows(&self, job: &AlterJob) -> Result<(), Stop> {
        let (made, specs) = {
            let mut guard = self.lock();
            lay_out(&mut guard, job)?
        };
        if let Err(error) = self.create_all(specs).await {
            let tablets: Vec<Tablet> = made.into_iter().flat_map(|(_, i)| i.tablets).collect();
            self.drop_tablet_list(tablets.iter()).await;
            return Err(Stop::Cancel(error.text));
        }
        let now = self.clock().now_ms();
        let mut guard = self.lock();
        let state = &mut *guard;
        let watershed = state.txns.new_id();
        let Some(table) = state.table_by_id_mut(job.db_id, job.table_id) else {
            return Err(Stop::Cancel(gone(job)));
        };
        for (mut meta, _) in job.targets() {
            meta.state = IndexState::Shadow;
            table.indexes.push(meta);
        }
        for (partition, index) in made {
            if let Some(partition) = table.partitions.get_mut(&partition) {
                partition.indexes.push(index);
            }
        }
        set_state(state, job.id, AlterState::WaitingTxn { watershed }, now);
        Ok(())
    }

    /// Converts the rows and lets the new indexes take over, with no publish in between.
    async fn hand_over(&self, job: &AlterJob, watershed: i64) -> Result<(), Stop> {
        // A publish may hang in a slow backend; whoever waits behind this lock would hang with it.
        let gate = tokio::time::timeout(GATE_PATIENCE, self.publish_gate.write()).await;
        let Ok(_nothing_is_published) = gate else {
            return Err(Stop::Later);
        };
        let fills = {
            let state = self.lock();
            if state.txns.loading_before(job.table_id, watershed) {
                return Err(Stop::Later);
            }
            plan(&state, job)?
        };
        for fill in &fills {
            self.fill(fill)?;
        }
        let now = self.clock().now_ms();
        let old = {
            let mut guard = self.lock();
            let state = &mut *guard;
            let Some(table) = state.table_by_id_mut(job.db_id, job.table_id) else {
                return Err(Stop::Cancel(gone(job)));
            };
            let (old, tablets) = exchange(table, job);
            let seq = set_state(state, job.id, AlterState::Finished, now);
            state.streams.note_dropped(job.db_id, seq, &[], &[], &old);
            tablets
        };
        self.drop_tablet_list(old.iter()).await;
        Ok(())
    }

    fn fill(&self, fill: &Fill) -> Result<(), Stop> {
        let mut targets = Vec::new();
        for replica in &fill.to.replicas {
            let Some(backend) = self.backend(replica.backend_id) else {
                return Err(Stop::Later);
            };
            backend.tablet_stat(fill.to.id).map_err(|_| Stop::Later)?;
            targets.push(backend);
        }
        // Also without rows: a tablet that waits for them takes part in the versions of its partition only afterwards.
        let rows = self
            .merged_rows(&fill.from_schema, &fill.from, fill.version)
            .map_err(|_| Stop::Later)?;
        let filter = fill.filter.as_deref();
        let rows = self
            .materialize(
                &fill.from_schema,
                &fill.to_schema,
                filter,
                &rows,
                Misfit::Fail,
            )
            .map_err(|reason| Stop::Cancel(format!("schema change failed: {reason}")))?;
        let rows = Arc::new(rows);
        for backend in targets {
            backend
                .replace_content(
                    fill.to.id,
                    fill.version,
                    Arc::clone(&fill.to_schema),
                    Arc::clone(&rows),
                )
                .map_err(|_| Stop::Later)?;
        }
        Ok(())
    }

    /// Schema changes (`columns`) or rollups of a database, oldest first.
    #[must_use]
    pub fn alter_jobs(&self, db: &str, columns: bool) -> Vec<AlterView> {
        let state = self.lock();
        let Some(db) = state.catalog.database(db) else {
            return Vec::new();
        };
        state
            .alters
            .of_db(db.id)
            .filter(|job| job.is_schema_change() == columns)
            .flat_map(AlterJob::views)
            .collect()
    }

    /// CANCEL ALTER TABLE, or a job that failed.
    pub(crate) async fn cancel_alter(&self, id: i64, reason: &str) {
        let now = self.clock().now_ms();
        let tablets = {
            let mut guard = self.lock();
            let state = &mut *guard;
            let Some(job) = state.alters.running_mut(id).map(|job| {
                reason.clone_into(&mut job.message);
                job.clone()
            }) else {
                return;
            };
            let mut tablets = Vec::new();
            if let Some(table) = state.table_by_id_mut(job.db_id, job.table_id) {
                let ids: Vec<i64> = job.targets().iter().map(|(i, _)| i.id).collect();
                table.indexes.retain(|i| !ids.contains(&i.id));
                for partition in table.partitions.values_mut() {
                    let (out, kept) = std::mem::take(&mut partition.indexes)
                        .into_iter()
                        .partition::<Vec<_>, _>(|i| ids.contains(&i.id));
                    partition.indexes = kept;
                    tablets.extend(out.into_iter().flat_map(|i| i.tablets));
                }
            }
            set_state(state, id, AlterState::Cancelled, now);
            tablets
        };
        self.drop_tablet_list(tablets.iter()).await;
    }

    /// CANCEL ALTER TABLE COLUMN|ROLLUP|MATERIALIZED VIEW FROM t.
    pub(crate) async fn cancel_alters_of(
        &self,
        db: &str,
        table: &str,
        kind: &str,
    ) -> Result<(), SqlError> {
        let ids: Vec<i64> = {
            let state = self.lock();
            let id = state.table(db, table)?.id;
            let jobs = state.alters.running();
            jobs.iter()
                .filter(|j| j.table_id == id && j.is_schema_change() == (kind == "COLUMN"))
                .map(|j| j.id)
                .collect()
        };
        if ids.is_empty() {
            return Err(SqlError::analysis(format!(
                "Table[{table}] is not under {}.",
                if kind == "COLUMN" {
                    "SCHEMA_CHANGE"
                } else {
                    "ROLLUP"
                }
            )));
        }
        for id in ids {
            self.cancel_alter(id, "user cancelled").await;
        }
        Ok(())
    }
}

fn gone(job: &AlterJob) -> String {
    format!("table {} does not exist", job.table)
}

/// Moves a job on and journals it. The table is free again when its last job is over.
fn set_state(state: &mut FeState, id: i64, next: AlterState, now: i64) -> i64 {
    let Some(job) = state.alters.running_mut(id) else {
        return state.journal();
    };
    job.state = next;
    match next {
        AlterState::Pending => {}
        AlterState::WaitingTxn { watershed } => job.txn_id = watershed,
        AlterState::Finished | AlterState::Cancelled => job.finish_ms = now,
    }
    let job = job.clone();
    if !state.alters.is_altered(job.table_id)
        && let Some(table) = state.table_by_id_mut(job.db_id, job.table_id)
    {
        table.state = TableState::Normal;
    }
    state.emit(record::alter_job(&job), now)
}

/// A new index of one partition, by the partition's id.
type Made = (i64, MaterializedIndex);

/// What a job makes first: indexes of partitions, and the CREATE tasks of their replicas by backend.
type LaidOut = (Vec<Made>, Vec<(i64, TabletSpec)>);

/// Ids and replicas of the new tablets: on the backends of the tablets they are made from.
fn lay_out(state: &mut FeState, job: &AlterJob) -> Result<LaidOut, Stop> {
    let Some(table) = state
        .table_by_id_mut(job.db_id, job.table_id)
        .map(|t| t.clone())
    else {
        return Err(Stop::Cancel(gone(job)));
    };
    let targets = job.targets();
    let mut shape = OlapTable {
        partitions: dorisim_model::Tracked::new(),
        ..table.clone()
    };
    shape.indexes.extend(targets.iter().map(|(i, _)| i.clone()));
    let (mut made, mut specs) = (Vec::new(), Vec::new());
    for partition in table.partitions.values() {
        for (meta, origin) in &targets {
            let old: Vec<&Tablet> = partition
                .indexes
                .iter()
                .filter(|i| i.id == *origin)
                .flat_map(|i| &i.tablets)
                .collect();
            let origins: Vec<i64> = old.iter().map(|tablet| tablet.id).collect();
            let tablets = old
                .into_iter()
                .map(|old| Tablet {
                    id: state.new_id(),
                    replicas: old
                        .replicas
                        .iter()
                        .map(|r| Replica {
                            id: state.new_id(),
                            backend_id: r.backend_id,
                            version: partition.visible_version,
                            bad: false,
                        })
                        .collect(),
                })
                .collect();
            let index = MaterializedIndex {
                id: meta.id,
                tablets,
            };
            let shell = Partition {
                indexes: vec![index.clone()],
                ..partition.clone()
            };
            let made_of: BTreeMap<i64, i64> = index
                .tablets
                .iter()
                .map(|tablet| tablet.id)
                .zip(origins)
                .collect();
            let binlog = table.binlog_enabled();
            for (backend, mut spec) in partitions::tablet_specs(&shape, &shell, binlog, false) {
                // Loads that the tablet does not know leave holes between its versions until its rows come.
                spec.base_tablet = made_of.get(&spec.tablet_id).copied();
                specs.push((backend, spec));
            }
            made.push((partition.id, index));
        }
    }
    Ok((made, specs))
}

/// What has to be filled, or `Later` while a committed load that does not know the new tablets is unpublished.
fn plan(state: &FeState, job: &AlterJob) -> Result<Vec<Fill>, Stop> {
    let table = state
        .catalog
        .databases
        .get(&job.db_id)
        .and_then(|d| d.tables.get(&job.table_id))
        .ok_or_else(|| Stop::Cancel(gone(job)))?;
    let targets = job.targets();
    for part in state.txns.unpublished(table.id) {
        if targets.iter().any(|(i, _)| !part.index_ids.contains(&i.id)) {
            return Err(Stop::Later);
        }
    }
    let mut fills = Vec::new();
    for partition in table.partitions.values() {
        for (meta, origin) in &targets {
            let of = |id: i64| {
                let found = partition.indexes.iter().find(|i| i.id == id);
                found.map(|i| i.tablets.clone()).unwrap_or_default()
            };
            let from_schema = Arc::new(table.index_schema(*origin).clone());
            let to_schema = Arc::new(table.index_schema(meta.id).clone());
            for (from, to) in of(*origin).into_iter().zip(of(meta.id)) {
                fills.push(Fill {
                    from,
                    to,
                    from_schema: Arc::clone(&from_schema),
                    to_schema: Arc::clone(&to_schema),
                    filter: meta.filter.clone().filter(|_| !job.is_schema_change()),
                    version: partition.visible_version,
                });
            }
        }
    }
    Ok(fills)
}

/// Lets the new indexes take over; ids and tablets of the indexes whose place they took.
fn exchange(table: &mut OlapTable, job: &AlterJob) -> (Vec<i64>, Vec<Tablet>) {
    let ids: BTreeSet<i64> = job.targets().iter().map(|(i, _)| i.id).collect();
    for partition in table.partitions.values_mut() {
        let version = partition.visible_version;
        for index in partition.indexes.iter_mut().filter(|i| ids.contains(&i.id)) {
            for replica in index.tablets.iter_mut().flat_map(|t| &mut t.replicas) {
                replica.version = version;
            }
        }
    }
    match &job.kind {
        AlterKind::Rollup { index, .. } => {
            for meta in table.indexes.iter_mut().filter(|i| i.id == index.id) {
                meta.state = IndexState::Normal;
            }
            (Vec::new(), Vec::new())
        }
        AlterKind::SchemaChange {
            schema,
            max_unique_id,
            pairs,
            attached,
        } => {
            let mut old = Vec::new();
            for (meta, origin) in pairs {
                let is_base = table.base_index_id() == *origin;
                table.indexes.retain(|i| i.id != meta.id);
                for slot in table.indexes.iter_mut().filter(|i| i.id == *origin) {
                    slot.id = meta.id;
                    slot.schema_hash = meta.schema_hash;
                    slot.columns.clone_from(&meta.columns);
                    slot.schema = if is_base { None } else { meta.schema.clone() };
                }
                for partition in table.partitions.values_mut() {
                    let Some(at) = partition.indexes.iter().position(|i| i.id == meta.id) else {
                        continue;
                    };
                    let new = partition.indexes.remove(at);
                    if let Some(slot) = partition.indexes.iter_mut().find(|i| i.id == *origin) {
                        old.extend(std::mem::replace(slot, new).tablets);
                    }
                }
            }
            table.schema = schema.as_ref().clone();
            table.max_column_unique_id = *max_unique_id;
            if let Some(indexes) = &attached.indexes {
                table.secondary.clone_from(indexes);
            }
            table.properties.extend(attached.properties.clone());
            table.refresh_indexes();
            (pairs.iter().map(|(_, origin)| *origin).collect(), old)
        }
    }
}
