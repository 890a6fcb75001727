//! BACKUP SNAPSHOT to `__keep_on_local__`: barriers, snapshots on the backends, job info and an opaque meta.

use std::collections::BTreeMap;

use futures::StreamExt;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::api::{JobView, SessionCtx, Snapshot, SqlError};
use super::commit::Backend;
use super::frontend::Frontend;
use super::image;
use super::jobs::{Job, JobHead, bracketed, check_label, timeout_s};
use super::record;
use super::state::gson;
use dorisim_model::backend::{BeError, SnapshotInfo};
use dorisim_model::{OlapTable, View};
use dorisim_sql::ast;

/// The built-in repository for snapshots that stay on the backends.
pub const KEEP_ON_LOCAL: &str = "__keep_on_local__";
/// FE meta version that job infos carry.
const META_VERSION: i32 = 140;
/// Member of a meta with our objects as they are.
const OWN_MEMBER: &str = "dorisim";
/// Default of `max_backup_tablets_per_job`.
const MAX_TABLETS: usize = 300_000;
/// Snapshot tasks in flight.
const SNAPSHOTS_AT_ONCE: usize = 16;

/// States in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum State {
    Pending,
    Snapshoting,
    UploadSnapshot,
    Uploading,
    SaveMeta,
    UploadInfo,
    Finished,
    Cancelled,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Snapshoting => "SNAPSHOTING",
            Self::UploadSnapshot => "UPLOAD_SNAPSHOT",
            Self::Uploading => "UPLOADING",
            Self::SaveMeta => "SAVE_META",
            Self::UploadInfo => "UPLOAD_INFO",
            Self::Finished => "FINISHED",
            Self::Cancelled => "CANCELLED",
        }
    }
}

/// What a snapshot holds, in the form that travels as opaque `meta`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct BackupMeta {
    /// Tables with the partitions that were backed up.
    pub tables: Vec<OlapTable>,
    /// Views.
    pub views: Vec<View>,
}

impl BackupMeta {
    /// Four bytes of length (big endian), then the JSON of an FE: objects by name. What that form can not say of our objects travels in
    /// a member that an FE passes over.
    #[must_use]
    pub fn to_bytes(&self, db_id: i64, db: &str) -> Vec<u8> {
        let tables = self.tables.iter();
        let tables = tables.map(|t| (t.name.clone(), image::table_json(t, db_id, db)));
        let views = self.views.iter();
        let views = views.map(|v| (v.name.clone(), image::view_json(v, db)));
        let by_name: Map<String, Value> = tables.chain(views).collect();
        let json = gson(&json!({"tblNameMap": by_name, "resourceNameMap": {}, OWN_MEMBER: self}));
        let mut bytes = u32::try_from(json.len())
            .unwrap_or(0)
            .to_be_bytes()
            .to_vec();
        bytes.extend(json.into_bytes());
        bytes
    }

    /// Reads what [`Self::to_bytes`] or an FE wrote.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (length, json) = bytes.split_at_checked(4)?;
        let length = u32::from_be_bytes(length.try_into().ok()?) as usize;
        let mut json: Value = serde_json::from_slice(json.get(..length)?).ok()?;
        if json.get(OWN_MEMBER).is_some() {
            return serde_json::from_value(json[OWN_MEMBER].take()).ok();
        }
        Self::of_frontend(&json)
            .inspect_err(|error| tracing::warn!(%error, "the meta of a snapshot can not be read"))
            .ok()
    }

    fn of_frontend(json: &Value) -> Result<Self, String> {
        let mut meta = Self::default();
        let objects = json["tblNameMap"].as_object();
        let objects = objects.ok_or_else(|| "no tblNameMap".to_owned())?;
        for object in objects.values() {
            match object["clazz"].as_str() {
                Some("OlapTable") => meta.tables.push(image::read_table(object)?),
                Some("View") => meta.views.push(image::read_view(object)?),
                class => return Err(format!("an object of class {class:?}")),
            }
        }
        Ok(meta)
    }
}

/// A tablet's snapshot.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct TabletSnapshot {
    backend_id: i64,
    path: String,
    files: Vec<String>,
}

/// A backup job.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BackupJob {
    /// Common part.
    pub head: JobHead,
    /// (table, partitions); empty: the whole database.
    objects: Vec<(String, Vec<String>)>,
    state: State,
    snapshot_ms: i64,
    upload_ms: i64,
    meta: BackupMeta,
    db_seq: i64,
    /// `content` = `metadata_only`: tables without their rows.
    metadata_only: bool,
    table_seqs: BTreeMap<i64, i64>,
    tablets: BTreeMap<i64, TabletSnapshot>,
    job_info: Vec<u8>,
}

impl BackupJob {
    /// Its snapshot can be had.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.state == State::Finished
    }

    /// Marks it.
    pub fn cancelled(&mut self) {
        self.state = State::Cancelled;
    }

    /// The snapshot.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            meta: self.meta.to_bytes(self.head.db_id, &self.head.db),
            job_info: self.job_info.clone(),
            expired_at: self.head.deadline_ms(),
            commit_seq: self.db_seq,
        }
    }

    /// As SHOW BACKUP shows it.
    #[must_use]
    pub fn view(&self) -> JobView {
        JobView {
            id: self.head.id,
            label: self.head.label.clone(),
            db: self.head.db.clone(),
            state: self.state.name(),
            objects: self
                .objects
                .iter()
                .map(|(t, _)| format!("{}.{t}", self.head.db))
                .collect(),
            content: Value::Null,
            create_ms: self.head.create_ms,
            meta_prepared_ms: -1,
            snapshot_ms: self.snapshot_ms,
            transfer_ms: self.upload_ms,
            finish_ms: self.head.finish_ms,
            unfinished: String::new(),
            task_error: String::new(),
            status: self.head.status.clone(),
            timeout_s: self.head.timeout_s,
            reserve_replica: false,
            replication_num: 0,
        }
    }

    fn info(&self) -> Vec<u8> {
        let files_of = |tablet: i64| {
            self.tablets
                .get(&tablet)
                .map(|s| s.files.clone())
                .unwrap_or_default()
        };
        let mut objects = Map::new();
        for table in &self.meta.tables {
            let mut partitions = Map::new();
            for partition in table.partitions.values() {
                let mut indexes = Map::new();
                for index in &partition.indexes {
                    let meta = table.indexes.iter().find(|i| i.id == index.id);
                    let order: Vec<i64> = index.tablets.iter().map(|t| t.id).collect();
                    let tablets: Map<String, Value> = order
                        .iter()
                        .map(|id| (id.to_string(), json!(files_of(*id))))
                        .collect();
                    let name = meta.map(|m| m.name.clone()).unwrap_or_default();
                    let hash = meta.map_or(0, |m| m.schema_hash);
                    indexes.insert(name, json!({"id": index.id, "schema_hash": hash, "tablets": tablets, "tablets_order": order}));
                }
                partitions.insert(
                    partition.name.clone(),
                    json!({"id": partition.id, "version": partition.visible_version, "indexes": indexes}),
                );
            }
            objects.insert(
                table.name.clone(),
                json!({"id": table.id, "partitions": partitions}),
            );
        }
        let views: Vec<Value> = self
            .meta
            .views
            .iter()
            .map(|v| json!({"id": v.id, "name": v.name}))
            .collect();
        let by_tablet = |value: &dyn Fn(&TabletSnapshot) -> Value| -> Map<String, Value> {
            self.tablets
                .iter()
                .map(|(id, s)| (id.to_string(), value(s)))
                .collect()
        };
        let info = json!({
            "name": self.head.label, "database": self.head.db, "id": self.head.db_id, "backup_time": self.head.create_ms,
            "content": if self.metadata_only { "METADATA_ONLY" } else { "ALL" }, "backup_objects": objects,
            "new_backup_objects": {"views": views, "odbc_tables": [], "odbc_resources": []},
            "backup_result": "succeed", "meta_version": META_VERSION,
            "major_version": 3, "minor_version": 1, "patch_version": 0, "is_force_replication_allocation": false,
            "tablet_be_map": by_tablet(&|s| json!(s.backend_id)),
            "tablet_snapshot_path_map": by_tablet(&|s| json!(s.path)),
            "table_commit_seq_map": self.table_seqs.iter().map(|(t, s)| (t.to_string(), json!(s))).collect::<Map<_, _>>(),
            "tblalias": {},
        });
        gson(&info).into_bytes()
    }
}

impl Frontend {
    pub(super) fn submit_backup(
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
                .filter(|name| !listed(name) && !name.starts_with(super::restore::ATOMIC_PREFIX))
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

    pub(super) async fn step_backup(&self, mut job: BackupJob) {
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
    backend: Backend,
    tablet: i64,
    version: i64,
) -> (i64, i64, Result<SnapshotInfo, BeError>) {
    (
        backend.address().id,
        tablet,
        backend.make_snapshot(tablet, Some(version)).await,
    )
}
