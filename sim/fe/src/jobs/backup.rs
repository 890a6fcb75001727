//! BACKUP SNAPSHOT to `__keep_on_local__`: barriers, snapshots on the backends, job info and an opaque meta.

use std::collections::BTreeMap;

use futures::StreamExt;

use crate::api::BackendHandle;
use crate::api::{SessionCtx, SqlError};
use crate::binlog::record;
use crate::frontend::Frontend;
use crate::jobs::backup_job::{BackupJob, BackupMeta, KEEP_ON_LOCAL, State, TabletSnapshot};
use crate::jobs::head::{JobHead, bracketed, check_label, timeout_s};
use crate::jobs::list::Job;
use dorisim_model::backend::{BeError, SnapshotInfo};
use dorisim_sql::ast;

/// Default of `max_backup_tablets_per_job`.
const MAX_TABLETS: usize = 300_000;
/// Snapshot tasks in flight.
const SNAPSHOTS_AT_ONCE: usize = 16;

impl Frontend {
    pub(crate) fn submit_backup(
        &self,
        session: &SessionCtx,
        backup: &ast::Backup,
    ) -> Result<(), SqlError> {
        let db = backup
            .db
            .as_deref()
            .or(session.current_db.as_deref())
            .ok_or_else(|| SqlError::new(1046, "No database selected"))?;
        if backup.repository != KEEP_ON_LOCAL {
            return Err(SqlError::new(
                5064,
                format!("Repository {} does not exist", backup.repository),
            ));
        }
        let unknown: Vec<&String> = backup
            .properties
            .keys()
            .filter(|k| !matches!(k.as_str(), "type" | "timeout" | "content"))
            .collect();
        if !unknown.is_empty() {
            return Err(SqlError::new(
                5064,
                format!("Unknown backup job properties: {}", bracketed(&unknown)),
            ));
        }
        check_label(&backup.label).map_err(|text| SqlError::new(5064, text))?;
        if let Some(kind) = backup
            .properties
            .get("type")
            .filter(|k| !k.eq_ignore_ascii_case("full"))
        {
            return Err(SqlError::new(
                5064,
                format!("Invalid backup job type: {kind}"),
            ));
        }
        let content = backup.properties.get("content");
        let metadata_only = match content.map(|c| c.to_ascii_lowercase()).as_deref() {
            None | Some("all") => false,
            Some("metadata_only") => true,
            Some(other) => {
                return Err(SqlError::new(
                    5064,
                    format!("Invalid backup job content:{other}"),
                ));
            }
        };
        let timeout = timeout_s(&backup.properties)?;
        let now = self.clock().now_ms();
        let mut state = self.lock();
        let database = state.db(db)?;
        let db_id = database.id;
        let listed = |name: &str| backup.tables.iter().any(|t| t.table == name);
        let objects: Vec<(String, Vec<String>)> = if backup.tables.is_empty() || backup.exclude {
            let tables = database.tables.values().map(|t| t.name.clone());
            tables
                .chain(database.views.values().map(|v| v.name.clone()))
                .filter(|name| {
                    !listed(name) && !name.starts_with(crate::jobs::restore_job::ATOMIC_PREFIX)
                })
                .map(|name| (name, Vec::new()))
                .collect()
        } else {
            backup
                .tables
                .iter()
                .map(|t| (t.table.clone(), t.partitions.clone()))
                .collect()
        };
        let ignore_temp = state
            .settings
            .get("ignore_backup_tmp_partitions")
            .is_some_and(|v| v == "true");
        let database = state.db(db)?;
        for (name, partitions) in &objects {
            if database.view(name).is_some() {
                continue;
            }
            let table = database
                .table(name)
                .ok_or_else(|| SqlError::unknown_table(name))?;
            if let Some(missing) = partitions
                .iter()
                .find(|p| table.partition(p, false).is_none())
            {
                return Err(SqlError::new(
                    5064,
                    format!("Unknown partition {missing} in table{name}"),
                ));
            }
            if !ignore_temp && table.partitions.values().any(|p| p.is_temp) {
                return Err(SqlError::new(
                    5064,
                    format!("Do not support backup table {name} with temp partitions"),
                ));
            }
        }
        // The position of the whole snapshot: a barrier that enters no stream.
        let db_seq = state.journal();
        let id = state.new_id();
        state.journal();
        let job = BackupJob {
            head: JobHead::new(id, db_id, db, &backup.label, now, timeout),
            objects,
            state: State::Pending,
            snapshot_ms: -1,
            upload_ms: -1,
            meta: BackupMeta::default(),
            db_seq,
            metadata_only,
            table_seqs: BTreeMap::new(),
            tablets: BTreeMap::new(),
            job_info: Vec::new(),
        };
        state
            .jobs
            .submit(Job::Backup(Box::new(job)), self.config().jobs_kept_per_db)
    }

    pub(crate) async fn step_backup(&self, mut job: BackupJob) {
        let failed = match job.state {
            State::Pending => self
                .prepare_backup(&mut job)
                .map(|()| job.state = State::Snapshoting),
            State::Snapshoting => self.make_snapshots(&mut job).await.map(|()| {
                job.snapshot_ms = self.clock().now_ms();
                job.state = State::UploadSnapshot;
            }),
            State::UploadSnapshot => {
                job.state = State::Uploading;
                Ok(())
            }
            State::Uploading => {
                job.upload_ms = self.clock().now_ms();
                job.state = State::SaveMeta;
                Ok(())
            }
            State::SaveMeta => {
                job.job_info = job.info();
                job.state = State::UploadInfo;
                Ok(())
            }
            State::UploadInfo => {
                job.head.finish_ms = self.clock().now_ms();
                job.state = State::Finished;
                Ok(())
            }
            State::Finished | State::Cancelled => Ok(()),
        };
        if let Err(status) = failed {
            self.cancel(Job::Backup(Box::new(job)), status).await;
            return;
        }
        let mut state = self.lock();
        state.journal();
        state.jobs.put_back(Job::Backup(Box::new(job)));
    }

    /// Barriers and a copy of the catalogue, under one lock: everything visible before a table's barrier is in the snapshot.
    fn prepare_backup(&self, job: &mut BackupJob) -> Result<(), String> {
        let now = self.clock().now_ms();
        let mut guard = self.lock();
        let state = &mut *guard;
        let db_id = job.head.db_id;
        for (name, partitions) in &job.objects {
            let Some(db) = state.catalog.databases.get(&db_id) else {
                return Err(format!("[NOT_FOUND, msg: database {db_id} does not exist]"));
            };
            if let Some(view) = db.view(name) {
                job.meta.views.push(view.clone());
                continue;
            }
            let mut table = db
                .table(name)
                .cloned()
                .ok_or_else(|| format!("[NOT_FOUND, msg: table {name} does not exist]"))?;
            table.partitions.retain(|_, p| {
                !p.is_temp
                    && (partitions.is_empty()
                        || partitions.iter().any(|n| n.eq_ignore_ascii_case(&p.name)))
            });
            table.drop_shadows();
            let seq = state.emit(record::barrier(db_id, &job.head.db, table.id, name), now);
            job.table_seqs.insert(table.id, seq);
            job.meta.tables.push(table);
        }
        Ok(())
    }

    async fn make_snapshots(&self, job: &mut BackupJob) -> Result<(), String> {
        let mut wanted = Vec::new();
        if job.metadata_only {
            return Ok(());
        }
        let involved: usize = job
            .meta
            .tables
            .iter()
            .flat_map(|t| t.partitions.values())
            .map(|p| p.tablets().count())
            .sum();
        let limit = self.settings();
        let limit = limit
            .get("max_backup_tablets_per_job")
            .and_then(|v| v.parse().ok());
        let limit = limit.unwrap_or(MAX_TABLETS);
        if involved > limit {
            return Err(format!(
                "[COMMON_ERROR, msg: the num involved tablets {involved} exceeds the limit {limit}, which might cause the FE OOM, change \
                 config `max_backup_tablets_per_job` to change this limitation]"
            ));
        }
        for partition in job.meta.tables.iter().flat_map(|t| t.partitions.values()) {
            for tablet in partition.tablets() {
                let replica = tablet
                    .replicas
                    .iter()
                    .filter(|r| r.version >= partition.visible_version && !r.bad)
                    .find_map(|r| self.backend(r.backend_id).filter(|b| b.alive()))
                    .ok_or_else(|| {
                        format!(
                            "[COMMON_ERROR, msg: failed to choose replica to make snapshot for tablet {}. visible version: {}]",
                            tablet.id, partition.visible_version
                        )
                    })?;
                wanted.push((replica, tablet.id, partition.visible_version));
            }
        }
        let mut calls = Vec::with_capacity(wanted.len());
        for (backend, tablet, version) in wanted {
            calls.push(snapshot_one(backend, tablet, version));
        }
        let mut results = futures::stream::iter(calls).buffer_unordered(SNAPSHOTS_AT_ONCE);
        while let Some((backend_id, tablet, result)) = results.next().await {
            let snapshot =
                result.map_err(|e| format!("[COMMON_ERROR, msg: make snapshot failed, {e}]"))?;
            job.tablets.insert(
                tablet,
                TabletSnapshot {
                    backend_id,
                    path: snapshot.path,
                    files: snapshot.files,
                },
            );
        }
        Ok(())
    }
}

async fn snapshot_one(
    backend: BackendHandle,
    tablet: i64,
    version: i64,
) -> (i64, i64, Result<SnapshotInfo, BeError>) {
    (
        backend.address().id,
        tablet,
        backend.make_snapshot(tablet, Some(version)).await,
    )
}
