//! A restore job and its plan.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::api::{JobView, RestoreRequest};
use crate::jobs::backup_job::BackupMeta;
use crate::jobs::head::JobHead;
use dorisim_model::backend::TabletSpec;
use dorisim_model::{OlapTable, Partition, View};

/// Prefix of the hidden tables of an atomic restore.
pub const ATOMIC_PREFIX: &str = "__doris_atomic_restore_prefix__";

/// States in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum State {
    Pending,
    Creating,
    Snapshoting,
    Download,
    Downloading,
    Commit,
    Committing,
    Finished,
    Cancelled,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Creating => "CREATING",
            Self::Snapshoting => "SNAPSHOTING",
            Self::Download => "DOWNLOAD",
            Self::Downloading => "DOWNLOADING",
            Self::Commit => "COMMIT",
            Self::Committing => "COMMITTING",
            Self::Finished => "FINISHED",
            Self::Cancelled => "CANCELLED",
        }
    }
}

/// One replica that pulls one source tablet.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Pull {
    /// Destination tablet.
    pub local_tablet: i64,
    /// Backend of the destination replica.
    pub backend_id: i64,
    /// Schema hash in its path.
    pub local_schema_hash: i32,
    /// Source tablet.
    pub remote_tablet: i64,
    /// Schema hash in its path.
    pub remote_schema_hash: i32,
    /// Tablet of the table that an atomic restore replaces: what it shares with the snapshot is not fetched.
    #[serde(default)]
    pub ref_tablet: Option<i64>,
}

/// The work of a restore.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Plan {
    /// New tables, under their final names.
    pub tables: Vec<OlapTable>,
    /// New partitions of existing tables.
    pub partitions: Vec<(i64, Partition)>,
    /// Existing tables that are restored into.
    pub existing: Vec<i64>,
    /// (table, partition, version) after the restore, for existing tables.
    pub versions: Vec<(i64, i64, i64)>,
    /// Replicas to create.
    pub creates: Vec<(i64, TabletSpec)>,
    /// Replicas to fill.
    pub pulls: Vec<Pull>,
    /// Views, under their final names.
    pub views: Vec<View>,
}

/// A restore job.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RestoreJob {
    /// Common part.
    pub head: JobHead,
    /// What was asked for.
    pub request: RestoreRequest,
    /// The snapshot.
    pub meta: BackupMeta,
    pub(crate) info: Value,
    pub(crate) state: State,
    pub(crate) plan: Plan,
    /// (tablet, backend) to its local snapshot path.
    #[serde(with = "dorisim_model::tracked::pairs")]
    pub(crate) local_paths: BTreeMap<(i64, i64), String>,
    pub(crate) prepared_ms: i64,
    pub(crate) snapshot_ms: i64,
    pub(crate) download_ms: i64,
}

impl RestoreJob {
    /// Marks it.
    pub fn cancelled(&mut self) {
        self.state = State::Cancelled;
    }

    /// Name of the present state.
    #[must_use]
    pub fn state_name(&self) -> &'static str {
        self.state.name()
    }

    /// True when the table stands aside for one that is being restored.
    #[must_use]
    pub fn replaces(&self, table: &str) -> bool {
        self.request.atomic_restore
            && self.state != State::Pending
            && self.plan.tables.iter().any(|t| t.name == table)
    }

    fn flag(&self, key: &str) -> bool {
        self.request
            .properties
            .get(key)
            .is_some_and(|v| v.eq_ignore_ascii_case("true"))
    }

    /// `clean_tables` of the call or the properties.
    pub(crate) fn cleans_tables(&self) -> bool {
        self.request.clean_tables || self.flag("clean_tables")
    }

    fn content(&self) -> Value {
        let table = |table: &OlapTable| {
            let partitions = table.partitions.values().filter(|p| !p.is_temp);
            let names: Vec<&str> = partitions.map(|p| p.name.as_str()).collect();
            json!({"name": table.name, "partition_names": names})
        };
        let view = |view: &View| json!({"name": view.name});
        json!({
            "name": self.head.label, "database": self.head.db, "backup_time": self.head.create_ms, "content": "ALL",
            "olap_table_list": self.meta.tables.iter().map(table).collect::<Vec<_>>(),
            "view_list": self.meta.views.iter().map(view).collect::<Vec<_>>(),
            "odbc_table_list": [], "odbc_resource_list": [],
        })
    }

    /// As SHOW RESTORE shows it.
    #[must_use]
    pub fn view(&self) -> JobView {
        let replicas = self
            .request
            .properties
            .get("replication_num")
            .and_then(|n| n.parse().ok())
            .unwrap_or(3);
        JobView {
            id: self.head.id,
            label: self.head.label.clone(),
            db: self.head.db.clone(),
            state: self.state.name(),
            objects: Vec::new(),
            content: self.content(),
            create_ms: self.head.create_ms,
            meta_prepared_ms: self.prepared_ms,
            snapshot_ms: self.snapshot_ms,
            transfer_ms: self.download_ms,
            finish_ms: self.head.finish_ms,
            unfinished: String::new(),
            task_error: String::new(),
            status: self.head.status.clone(),
            timeout_s: self.head.timeout_s,
            reserve_replica: self.flag("reserve_replica"),
            replication_num: replicas,
        }
    }
}
