//! restoreSnapshot: the job and its states; what is decided before is in [`crate::jobs::restore_plan`].

use std::collections::BTreeMap;

use futures::StreamExt;
use serde_json::Value;

use crate::api::{RestoreRequest, RpcError};
use crate::ddl::table::remove_table;
use crate::frontend::Frontend;
use crate::jobs::backup_job::{BackupMeta, KEEP_ON_LOCAL};
use crate::jobs::head::{JobHead, bracketed, check_label, timeout_s};
use crate::jobs::list::Job;
use crate::jobs::restore_job::{ATOMIC_PREFIX, Plan, Pull, RestoreJob, State};
use crate::jobs::restore_plan;
use crate::state::{FeState, resolve_db};
use dorisim_model::TableState;
use dorisim_model::backend::RemoteTabletSnapshot;

/// Tablets per download task (`restore_download_snapshot_batch_size`).
const DOWNLOAD_BATCH: usize = 10;
/// Tasks in flight.
const TASKS_AT_ONCE: usize = 8;

const KNOWN_PROPERTIES: [&str; 15] = [
    "allow_load",
    "replication_num",
    "replication_allocation",
    "reserve_replica",
    "reserve_colocate",
    "reserve_dynamic_partition_enable",
    "timeout",
    "meta_version",
    "is_being_synced",
    "clean_tables",
    "clean_partitions",
    "atomic_restore",
    "force_replace",
    "backup_timestamp",
    "storage_vault_name",
];

impl Frontend {
    /// restoreSnapshot after authentication: the job's id.
    pub fn restore_snapshot(&self, mut request: RestoreRequest) -> Result<i64, RpcError> {
        if request.repo != KEEP_ON_LOCAL {
            return Err(RpcError::analysis(format!(
                "Repository {} does not exist",
                request.repo
            )));
        }
        let unknown: Vec<&String> = request
            .properties
            .keys()
            .filter(|k| !KNOWN_PROPERTIES.contains(&k.as_str()))
            .collect();
        if !unknown.is_empty() {
            return Err(RpcError::analysis(format!(
                "Unknown restore job properties: {}",
                bracketed(&unknown)
            )));
        }
        for key in [
            "allow_load",
            "reserve_replica",
            "reserve_colocate",
            "reserve_dynamic_partition_enable",
            "clean_tables",
            "clean_partitions",
            "atomic_restore",
            "force_replace",
            "is_being_synced",
        ] {
            if let Some(value) = request
                .properties
                .get(key)
                .filter(|v| !matches!(v.to_ascii_lowercase().as_str(), "true" | "false"))
            {
                return Err(RpcError::analysis(format!(
                    "Invalid boolean property {key} value: {value}"
                )));
            }
        }
        let timeout = timeout_s(&request.properties).map_err(|e| RpcError::analysis(e.text))?;
        let unreadable = || RpcError::analysis("deserialize meta and job info failed");
        let info: Value = serde_json::from_slice(&request.job_info).map_err(|_| unreadable())?;
        let mut meta = BackupMeta::from_bytes(&request.meta).ok_or_else(unreadable)?;
        check_extra_info(&info).map_err(RpcError::analysis)?;
        let snapshot = info["name"].as_str().unwrap_or_default().to_owned();
        restore_plan::select(&mut meta, &request.table_refs, &snapshot)
            .map_err(RpcError::analysis)?;
        let is_set = |request: &RestoreRequest, key: &str| {
            request
                .properties
                .get(key)
                .is_some_and(|v| v.eq_ignore_ascii_case("true"))
        };
        request.atomic_restore |= is_set(&request, "atomic_restore");
        request.force_replace |= is_set(&request, "force_replace");
        request.clean_partitions |= is_set(&request, "clean_partitions");
        // Held by the job in parsed form.
        request.meta.clear();
        request.job_info.clear();
        check_label(&request.label).map_err(RpcError::analysis)?;
        let now = self.clock().now_ms();
        let mut state = self.lock();
        let db_id = resolve_db(&state, &request.db, None)?;
        let id = state.new_id();
        state.journal();
        let job = RestoreJob {
            head: JobHead::new(id, db_id, &request.db, &request.label, now, timeout),
            request,
            meta,
            info,
            state: State::Pending,
            plan: Plan::default(),
            local_paths: BTreeMap::new(),
            prepared_ms: -1,
            snapshot_ms: -1,
            download_ms: -1,
        };
        state
            .jobs
            .submit(Job::Restore(Box::new(job)), self.config().jobs_kept_per_db)
            .map_err(|e| RpcError::analysis(e.text))?;
        Ok(id)
    }

    pub(crate) async fn step_restore(&self, mut job: RestoreJob) {
        let now = self.clock().now_ms();
        let step = match job.state {
            State::Pending => self.plan_restore(&mut job).map(|()| {
                job.prepared_ms = now;
                State::Creating
            }),
            State::Creating => {
                let created = self.create_all(job.plan.creates.clone()).await;
                created
                    .map(|()| State::Snapshoting)
                    .map_err(|e| format!("[COMMON_ERROR, msg: {}]", e.text))
            }
            State::Snapshoting => self.local_snapshots(&mut job).await.map(|()| {
                job.snapshot_ms = now;
                State::Download
            }),
            State::Download => Ok(State::Downloading),
            State::Downloading => self.download(&job).await.map(|()| {
                job.download_ms = now;
                State::Commit
            }),
            State::Commit => self.move_all(&job).await.map(|()| State::Committing),
            State::Committing => {
                self.finish_restore(job).await;
                return;
            }
            State::Finished | State::Cancelled => return,
        };
        match step {
            Ok(next) => {
                job.state = next;
                let kept = {
                    let mut state = self.lock();
                    state.journal();
                    let kept = state.jobs.put_back(Job::Restore(Box::new(job.clone())));
                    if kept && next == State::Snapshoting {
                        show_unfinished(&mut state, &job);
                    }
                    kept
                };
                // Cancelled while this step ran: what the step made goes, too.
                if !kept {
                    self.clean_up_restore(&job).await;
                }
            }
            Err(status) => self.cancel(Job::Restore(Box::new(job)), status).await,
        }
    }

    fn plan_restore(&self, job: &mut RestoreJob) -> Result<(), String> {
        let (backends, now) = (self.alive_backends(), self.clock().now_ms());
        let mut state = self.lock();
        job.plan = restore_plan::plan(
            &mut state,
            job.head.db_id,
            &job.request,
            &job.meta,
            &backends,
            now,
        )
        .map_err(|text| format!("[COMMON_ERROR, msg: {text}]"))?;
        for id in &job.plan.existing {
            if let Some(table) = state.table_by_id_mut(job.head.db_id, *id) {
                table.state = TableState::Restore;
            }
        }
        Ok(())
    }

    async fn local_snapshots(&self, job: &mut RestoreJob) -> Result<(), String> {
        let tasks: Vec<_> = job
            .plan
            .pulls
            .iter()
            .map(|p| (p.local_tablet, p.ref_tablet, p.backend_id))
            .collect();
        let mut calls = Vec::with_capacity(tasks.len());
        for (tablet, like, backend) in tasks {
            calls.push(self.local_snapshot(tablet, like, backend));
        }
        let mut results = futures::stream::iter(calls).buffer_unordered(TASKS_AT_ONCE);
        let mut paths = BTreeMap::new();
        while let Some(result) = results.next().await {
            let (key, path) =
                result.map_err(|e| format!("[COMMON_ERROR, msg: make snapshot failed, {e}]"))?;
            paths.insert(key, path);
        }
        drop(results);
        job.local_paths = paths;
        Ok(())
    }

    /// Destination backends pull from source backends over HTTP.
    async fn download(&self, job: &RestoreJob) -> Result<(), String> {
        let mut by_backend: BTreeMap<i64, Vec<RemoteTabletSnapshot>> = BTreeMap::new();
        for pull in &job.plan.pulls {
            by_backend
                .entry(pull.backend_id)
                .or_default()
                .push(remote_snapshot(job, pull)?);
        }
        let mut calls = Vec::new();
        for (backend, list) in by_backend {
            for chunk in list.chunks(DOWNLOAD_BATCH) {
                calls.push(self.download_batch(job.head.id, backend, chunk.to_vec()));
            }
        }
        let mut results = futures::stream::iter(calls).buffer_unordered(TASKS_AT_ONCE);
        while let Some(result) = results.next().await {
            result.map_err(|e| format!("[COMMON_ERROR, msg: download snapshot failed, {e}]"))?;
        }
        Ok(())
    }

    async fn move_all(&self, job: &RestoreJob) -> Result<(), String> {
        let mut calls = Vec::with_capacity(job.plan.pulls.len());
        for pull in &job.plan.pulls {
            calls.push(self.move_one(
                job.head.id,
                pull.backend_id,
                pull.local_tablet,
                local_path(job, pull)?,
            ));
        }
        let mut results = futures::stream::iter(calls).buffer_unordered(TASKS_AT_ONCE);
        while let Some(result) = results.next().await {
            result.map_err(|e| format!("[COMMON_ERROR, msg: move snapshot failed, {e}]"))?;
        }
        Ok(())
    }

    async fn local_snapshot(
        &self,
        tablet: i64,
        like: Option<i64>,
        id: i64,
    ) -> Result<((i64, i64), String), String> {
        let backend = self
            .backend(id)
            .ok_or_else(|| format!("backend {id} is gone"))?;
        let made = match like {
            Some(like) => backend.make_snapshot_from(tablet, like, None).await,
            None => backend.make_snapshot(tablet, None).await,
        };
        let made = made.map_err(|e| e.to_string())?;
        Ok(((tablet, id), made.path))
    }

    async fn download_batch(
        &self,
        job_id: i64,
        id: i64,
        batch: Vec<RemoteTabletSnapshot>,
    ) -> Result<(), String> {
        let backend = self
            .backend(id)
            .ok_or_else(|| format!("backend {id} is gone"))?;
        backend
            .download_for_job(job_id, batch)
            .await
            .map(|_| ())
            .map_err(|e| e.to_string())
    }

    async fn move_one(
        &self,
        job_id: i64,
        id: i64,
        tablet: i64,
        path: String,
    ) -> Result<(), String> {
        let backend = self
            .backend(id)
            .ok_or_else(|| format!("backend {id} is gone"))?;
        backend
            .move_for_job(job_id, tablet, &path)
            .await
            .map(|_| ())
            .map_err(|e| e.to_string())
    }

    pub(crate) async fn release(&self, paths: Vec<(i64, String)>) {
        for (id, path) in paths {
            if let Some(backend) = self.backend(id)
                && let Err(error) = backend.release_snapshot(&path).await
            {
                tracing::debug!(backend_id = id, %error, "a local snapshot was not released");
            }
        }
    }

    /// A cancelled restore removes what it created.
    pub(crate) async fn clean_up_restore(&self, job: &RestoreJob) {
        {
            let mut state = self.lock();
            let (db_id, now) = (job.head.db_id, self.clock().now_ms());
            for id in &job.plan.existing {
                if let Some(table) = state.table_by_id_mut(db_id, *id) {
                    table.state = TableState::Normal;
                }
            }
            for table in &job.plan.tables {
                remove_table(&mut state, db_id, table.id, false, now);
            }
        }
        let made = job
            .plan
            .tables
            .iter()
            .flat_map(|t| t.partitions.values())
            .chain(job.plan.partitions.iter().map(|(_, p)| p));
        self.drop_tablets(made).await;
        self.release(
            job.local_paths
                .iter()
                .map(|((_, be), path)| (*be, path.clone()))
                .collect(),
        )
        .await;
    }
}

/// New tables are in the catalogue as soon as their tablets are there: empty, in state RESTORE, and hidden behind a prefix when they are to
/// take another one's place.
fn show_unfinished(state: &mut FeState, job: &RestoreJob) {
    let Some(db) = state.catalog.databases.get_mut(&job.head.db_id) else {
        return;
    };
    for table in &job.plan.tables {
        let mut table = table.clone();
        table.state = TableState::Restore;
        if job.request.atomic_restore {
            table.name = format!("{ATOMIC_PREFIX}{}", table.name);
        }
        db.tables.insert(table.id, table);
    }
}

fn local_path(job: &RestoreJob, pull: &Pull) -> Result<String, String> {
    let path = job
        .local_paths
        .get(&(pull.local_tablet, pull.backend_id))
        .ok_or_else(|| format!("no local snapshot of tablet {}", pull.local_tablet))?;
    Ok(format!(
        "{path}/{}/{}",
        pull.local_tablet, pull.local_schema_hash
    ))
}

/// What a replication tool has to add to the info of a snapshot.
fn check_extra_info(info: &Value) -> Result<(), String> {
    let extra = &info["extra_info"];
    let missing = if !extra.is_object() {
        "Invalid job extra info empty"
    } else if !extra["be_network_map"].is_object() {
        "Invalid job extra info be network map"
    } else if extra["token"].as_str().is_none_or(str::is_empty) {
        "Invalid job extra info token"
    } else {
        return Ok(());
    };
    Err(missing.to_owned())
}

fn remote_snapshot(job: &RestoreJob, pull: &Pull) -> Result<RemoteTabletSnapshot, String> {
    let tablet = pull.remote_tablet;
    let wrong = |text: String| format!("[COMMON_ERROR, msg: {text}]");
    let backend = job.info["tablet_be_map"][tablet.to_string()].as_i64();
    let backend =
        backend.ok_or_else(|| wrong(format!("failed to get remote be of tablet: {tablet}")))?;
    let address = &job.info["extra_info"]["be_network_map"][backend.to_string()];
    let no_address = || wrong(format!("failed to get remote address of be: {backend}"));
    let host = address["ip"].as_str().ok_or_else(no_address)?;
    let port = address["port"]
        .as_u64()
        .and_then(|p| u16::try_from(p).ok())
        .ok_or_else(no_address)?;
    let path = job.info["tablet_snapshot_path_map"][tablet.to_string()].as_str();
    let path = path.ok_or_else(|| {
        wrong(format!(
            "failed to get remote snapshot path of tablet: {tablet}"
        ))
    })?;
    Ok(RemoteTabletSnapshot {
        local_tablet_id: pull.local_tablet,
        local_snapshot_path: local_path(job, pull).map_err(wrong)?,
        remote_tablet_id: tablet,
        remote_host: host.to_owned(),
        remote_http_port: port,
        remote_snapshot_path: format!("{path}/{tablet}/{}", pull.remote_schema_hash),
        remote_token: job.info["extra_info"]["token"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
    })
}
