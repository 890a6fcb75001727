//! What a frontend asks of a backend: the agent tasks of Doris, and rows.
//!
//! A backend itself does them; `dorisim_fe::backends::RemoteBackend` sends them over Thrift to one. Every call names its backend by being made on that backend's handle. Ids are chosen by the frontend.
//! Rows are [`crate::Row`], in the order of the columns of the schema they are written with. Data calls (`write_rowset`, `rowsets`, `tablet_stat`) are plain functions; agent tasks are async because
//! injected latency and downloads wait in them. Do not hold a lock of the catalogue across them.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

pub use crate::{Cell, Row, TableSchema};

/// A tablet replica to create.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TabletSpec {
    /// Tablet id.
    pub tablet_id: i64,
    /// Replica id.
    pub replica_id: i64,
    /// Table id.
    pub table_id: i64,
    /// Partition id.
    pub partition_id: i64,
    /// Id of the base index or rollup.
    pub index_id: i64,
    /// Schema of that index.
    pub schema: Arc<TableSchema>,
    /// `binlog.enable` of the table.
    pub binlog_enabled: bool,
    /// First visible version; 1 for a fresh partition, the restored version in restore mode.
    pub initial_version: i64,
    /// Made by a restore job: content arrives with [`BackendApi::move_snapshot`].
    pub in_restore_mode: bool,
    /// Tablet whose rows it is to get, for schema changes, rollups and atomic restores. Until they come, loads may leave holes
    /// between its versions.
    #[serde(default)]
    pub base_tablet: Option<i64>,
}

/// Comparison of a delete condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeleteOp {
    /// `=`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
    /// `IN (...)`
    In,
    /// `NOT IN (...)`
    NotIn,
    /// `IS NULL` (no values)
    IsNull,
    /// `IS NOT NULL` (no values)
    IsNotNull,
}

/// `column op values`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeleteCondition {
    /// Unique id of the column.
    pub column: i32,
    /// Comparison.
    pub op: DeleteOp,
    /// Right side; one value except for IN lists and NULL tests.
    pub values: Vec<Cell>,
}

/// DELETE on duplicate and aggregate tables: hides rows of lower versions that meet all conditions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeletePredicate {
    /// Joined by AND.
    pub conditions: Vec<DeleteCondition>,
}

/// One visible rowset for a scan, oldest first. Merging by key is the reader's work.
#[derive(Clone, Debug)]
pub struct RowsetView {
    /// First version it covers.
    pub start_version: i64,
    /// Last version it covers.
    pub end_version: i64,
    /// Schema the rows were written with; match columns by unique id.
    pub schema: Arc<TableSchema>,
    /// Rows, in the order of writing.
    pub rows: Arc<Vec<Row>>,
    /// Set when the rowset is a DELETE.
    pub delete: Option<Arc<DeletePredicate>>,
}

/// Result of publishing one tablet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishedTablet {
    /// Tablet.
    pub tablet_id: i64,
    /// Partition it belongs to.
    pub partition_id: i64,
    /// Version that is visible now.
    pub version: i64,
    /// Rows that the rowset added.
    pub delta_rows: i64,
    /// False when the version was refused (gap) or the rowset is not there.
    pub ok: bool,
}

/// A snapshot that a backend keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotInfo {
    /// `<store>/snapshot/<yyyyMMddHHmmss>.<seq>.<timeout>`, absolute. The files are below
    /// `<path>/<tablet>/<schema hash>/`.
    pub path: String,
    /// File names without directory: `<tablet>.hdr`, `<rowset>_<n>.dat`, `<rowset>_<n>[_<index>].idx`.
    pub files: Vec<String>,
}

/// One tablet to pull from a backend of another (or the same) cluster.
#[derive(Clone, Debug)]
pub struct RemoteTabletSnapshot {
    /// Destination tablet.
    pub local_tablet_id: i64,
    /// `<snapshot path>/<local tablet>/<local schema hash>` of the destination's own snapshot.
    pub local_snapshot_path: String,
    /// Source tablet.
    pub remote_tablet_id: i64,
    /// Host of the source backend.
    pub remote_host: String,
    /// HTTP port of the source backend.
    pub remote_http_port: u16,
    /// `<source snapshot path>/<remote tablet>/<schema hash>`.
    pub remote_snapshot_path: String,
    /// Token of the source cluster.
    pub remote_token: String,
}

/// State of a tablet replica.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TabletStat {
    /// Highest visible version.
    pub version: i64,
    /// Rows in all visible rowsets, before merging.
    pub rows: i64,
    /// Bytes of all visible segment files.
    pub bytes: i64,
    /// Visible rowsets.
    pub rowsets: usize,
    /// Versions whose binlog is kept.
    pub binlogs: usize,
}

/// State of a local transaction on one tablet, as `query_ingest_binlog` tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalTxnState {
    /// Never heard of, published or cleared.
    NotFound,
    /// Being ingested.
    Prepared,
    /// Ready to publish.
    Committed,
    /// Failed.
    Aborted,
}

/// Why a backend refused.
#[derive(Debug, thiserror::Error)]
pub enum BeError {
    /// The backend is down by an injected fault or was stopped.
    #[error("backend {backend_id} is not alive")]
    Down {
        /// Which one.
        backend_id: i64,
    },
    /// The tablet is not on this backend.
    #[error("tablet {tablet_id} does not exist on backend {backend_id}")]
    TabletMissing {
        /// Which tablet.
        tablet_id: i64,
        /// Which backend.
        backend_id: i64,
    },
    /// A version that the tablet does not have (yet) was asked for.
    #[error("tablet {tablet_id} has version {has}, asked for {asked}")]
    VersionMissing {
        /// Which tablet.
        tablet_id: i64,
        /// Its highest version.
        has: i64,
        /// The wanted version.
        asked: i64,
    },
    /// A version inside a merged rowset was asked for (OLAP_ERR_VERSION_ALREADY_MERGED).
    #[error("version {asked} of tablet {tablet_id} is merged already")]
    VersionMerged {
        /// Which tablet.
        tablet_id: i64,
        /// The wanted version.
        asked: i64,
    },
    /// A snapshot directory or file is not there.
    #[error("snapshot path {path} does not exist on backend {backend_id}")]
    SnapshotMissing {
        /// Which path.
        path: String,
        /// Which backend.
        backend_id: i64,
    },
    /// A download failed after all attempts.
    #[error("download of {url} failed: {reason}")]
    Download {
        /// What was fetched (without token).
        url: String,
        /// Status, text or transport error.
        reason: String,
    },
    /// A refusal known by its number alone: told by a backend over the wire, or injected.
    #[error("{message}")]
    Refused {
        /// Number of a `TStatusCode`, never OK.
        code: i32,
        /// Its text.
        message: String,
    },
    /// An injected failure.
    #[error("{0}")]
    Injected(String),
    /// Stored bytes could not be read back.
    #[error("corrupt rowset file: {0}")]
    Corrupt(String),
    /// More transactions are running than `max_runnings_transactions_per_txn_map` allows.
    #[error("too many transactions: {running}, limit: {limit}")]
    TooManyTransactions {
        /// How many run.
        running: usize,
        /// The limit.
        limit: usize,
    },
    /// The meta store could not be read or written.
    #[error("meta store {path}")]
    MetaStore {
        /// Its file.
        path: String,
        /// Cause.
        #[source]
        source: rusqlite::Error,
    },
    /// File system.
    #[error("file system: {path}")]
    Io {
        /// File or directory.
        path: String,
        /// Cause.
        #[source]
        source: std::io::Error,
    },
}

/// Where a backend listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendAddress {
    /// Backend id.
    pub id: i64,
    /// Host, always loopback.
    pub host: String,
    /// Thrift port of BackendService (`be_port`).
    pub be_port: u16,
    /// `webserver_port`.
    pub http_port: u16,
    /// `heartbeat_service_port`.
    pub heartbeat_port: u16,
    /// `brpc_port`: plan fragments over gRPC.
    pub brpc_port: u16,
}

/// A backend as the frontend drives it.
#[async_trait]
pub trait BackendApi: Send + Sync {
    /// Where it listens.
    fn address(&self) -> &BackendAddress;

    /// False while a fault holds it down.
    fn alive(&self) -> bool;

    /// Alive, and new tablets may be placed there.
    fn takes_tablets(&self) -> bool {
        self.alive()
    }

    /// CREATE of many tablets; the first failure ends it.
    async fn create_tablets(&self, specs: Vec<TabletSpec>) -> Result<(), BeError> {
        for spec in specs {
            self.create_tablet(spec).await?;
        }
        Ok(())
    }

    /// CREATE. Creating a tablet that exists already is a success and changes nothing.
    async fn create_tablet(&self, spec: TabletSpec) -> Result<(), BeError>;

    /// DROP. Unknown tablets are ignored.
    async fn drop_tablets(&self, tablet_ids: &[i64]) -> Result<(), BeError>;

    /// UPDATE_TABLET_META_INFO: each given member is set.
    async fn update_tablet(
        &self,
        tablet_id: i64,
        binlog_enabled: Option<bool>,
        schema: Option<Arc<TableSchema>>,
    ) -> Result<(), BeError>;

    /// UPDATE_TABLET_META_INFO of many tablets: `binlog.enable`.
    async fn set_binlog(&self, tablet_ids: &[i64], enabled: bool) -> Result<(), BeError> {
        for tablet_id in tablet_ids {
            self.update_tablet(*tablet_id, Some(enabled), None).await?;
        }
        Ok(())
    }

    /// Writes one rowset of a transaction and commits it locally. Replicas may share the rows. A second call for the same transaction and
    /// tablet replaces the first. `delete` set: a DELETE rowset, rows must be empty.
    fn write_rowset(
        &self,
        txn_id: i64,
        partition_id: i64,
        tablet_id: i64,
        schema: Arc<TableSchema>,
        rows: Arc<Vec<Row>>,
        delete: Option<DeletePredicate>,
    ) -> Result<(), BeError>;

    /// PUBLISH_VERSION: makes the transaction's rowsets visible at the given version per partition, for every
    /// tablet of the transaction on this backend. Refuses gaps; repeating a publish that was done is `ok`.
    /// Tablets of `expected` (tablets that this backend must have published) without a rowset are `!ok`.
    async fn publish_version(
        &self,
        txn_id: i64,
        partition_versions: &[(i64, i64)],
        expected: &[i64],
    ) -> Result<Vec<PublishedTablet>, BeError>;

    /// CLEAR_TRANSACTION_TASK: forgets what was not published.
    async fn clear_txn(&self, txn_id: i64) -> Result<(), BeError>;

    /// State of a transaction on one tablet.
    fn txn_state(&self, txn_id: i64, tablet_id: i64) -> LocalTxnState;

    /// Tablets of this backend that hold a committed, unpublished rowset of the transaction.
    fn committed_tablets(&self, txn_id: i64) -> Vec<i64>;

    /// The rowsets that a scan at `up_to_version` reads, oldest first.
    fn rowsets(&self, tablet_id: i64, up_to_version: i64) -> Result<Vec<RowsetView>, BeError>;

    /// Schema change and rollup: replaces the whole content of `tablet_id` by one rowset `[0, version]`.
    fn replace_content(
        &self,
        tablet_id: i64,
        version: i64,
        schema: Arc<TableSchema>,
        rows: Arc<Vec<Row>>,
    ) -> Result<(), BeError>;

    /// MAKE_SNAPSHOT at `version`, or at the newest one.
    async fn make_snapshot(
        &self,
        tablet_id: i64,
        version: Option<i64>,
    ) -> Result<SnapshotInfo, BeError>;

    /// MAKE_SNAPSHOT for `tablet_id` with the content of `ref_tablet_id` (atomic restore): what the download then finds under a
    /// known rowset is not fetched again. A reference that is not on this backend is ignored.
    async fn make_snapshot_from(
        &self,
        tablet_id: i64,
        ref_tablet_id: i64,
        version: Option<i64>,
    ) -> Result<SnapshotInfo, BeError> {
        let _ = ref_tablet_id;
        self.make_snapshot(tablet_id, version).await
    }

    /// RELEASE_SNAPSHOT; an unknown path is a success.
    async fn release_snapshot(&self, path: &str) -> Result<(), BeError>;

    /// DOWNLOAD over HTTP from the source backend; returns the local tablet ids that were downloaded.
    async fn download_snapshots(
        &self,
        snapshots: Vec<RemoteTabletSnapshot>,
    ) -> Result<Vec<i64>, BeError>;

    /// MOVE: replaces the tablet's content by the downloaded snapshot. `path` is
    /// `<snapshot path>/<tablet>/<schema hash>`. Repeating it for the same path is a success. Returns the
    /// version that the tablet has afterwards.
    async fn move_snapshot(&self, tablet_id: i64, path: &str) -> Result<i64, BeError>;

    /// [`Self::download_snapshots`] as a task of a job.
    async fn download_for_job(
        &self,
        _job_id: i64,
        snapshots: Vec<RemoteTabletSnapshot>,
    ) -> Result<Vec<i64>, BeError> {
        self.download_snapshots(snapshots).await
    }

    /// [`Self::move_snapshot`] as a task of a job; repeating it for the same job is a success.
    async fn move_for_job(&self, _job_id: i64, tablet_id: i64, path: &str) -> Result<i64, BeError> {
        self.move_snapshot(tablet_id, path).await
    }

    /// GC_BINLOG: tablet id to the highest version that is forgotten. Waits for no answer.
    async fn gc_binlog(&self, up_to: BTreeMap<i64, i64>) -> Result<(), BeError>;

    /// Replicas on this backend.
    fn tablet_count(&self) -> usize;

    /// State of one replica.
    fn tablet_stat(&self, tablet_id: i64) -> Result<TabletStat, BeError>;
}

/// One condition of a DELETE on a duplicate or aggregate table; several are joined by AND.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteWhere {
    /// Column name.
    pub column: String,
    /// Comparison.
    pub op: DeleteOp,
    /// Right side, in any text of the column's type; more than one only for IN lists.
    pub values: Vec<String>,
}
