//! A backup job and the meta of its snapshot.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::api::{JobView, Snapshot};
use crate::binlog::gson_text::gson;
use crate::image;
use crate::jobs::head::JobHead;
use dorisim_model::{OlapTable, View};

/// The built-in repository for snapshots that stay on the backends.
pub const KEEP_ON_LOCAL: &str = "__keep_on_local__";

/// FE meta version that job infos carry.
const META_VERSION: i32 = 140;

/// Member of a meta with our objects as they are.
const OWN_MEMBER: &str = "dorisim";

/// States in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum State {
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
pub(crate) struct TabletSnapshot {
    pub(crate) backend_id: i64,
    pub(crate) path: String,
    pub(crate) files: Vec<String>,
}

/// A backup job.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BackupJob {
    /// Common part.
    pub head: JobHead,
    /// (table, partitions); empty: the whole database.
    pub(crate) objects: Vec<(String, Vec<String>)>,
    pub(crate) state: State,
    pub(crate) snapshot_ms: i64,
    pub(crate) upload_ms: i64,
    pub(crate) meta: BackupMeta,
    pub(crate) db_seq: i64,
    /// `content` = `metadata_only`: tables without their rows.
    pub(crate) metadata_only: bool,
    pub(crate) table_seqs: BTreeMap<i64, i64>,
    pub(crate) tablets: BTreeMap<i64, TabletSnapshot>,
    pub(crate) job_info: Vec<u8>,
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

    /// The job info that travels with the snapshot.
    pub(crate) fn info(&self) -> Vec<u8> {
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
