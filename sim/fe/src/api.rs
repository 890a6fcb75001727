//! What callers hand to the frontend and get back: plain structs, no wire types.

use std::time::Duration;

pub use crate::api_rpc::*;
pub use crate::backends::AgentSettings;
use dorisim_model::Row;
pub use dorisim_model::backend::{DeleteOp, DeleteWhere};
pub use dorisim_model::{SqlError, TableScan};

/// Who asks, and where they are.
#[derive(Debug, Clone, Default)]
pub struct SessionCtx {
    /// User name without host.
    pub user: String,
    /// Database of `USE`.
    pub current_db: Option<String>,
}

/// A statement's success.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StmtOutcome {
    /// Rows of the OK packet.
    pub affected_rows: u64,
    /// Text of the OK packet.
    pub info: String,
}

/// Status codes of Doris that the frontend answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum StatusCode {
    /// Success.
    Ok = 0,
    /// Anything a user got wrong.
    AnalysisError = 2,
    /// A surprise inside the FE.
    InternalError = 6,
    /// Committed, not yet visible.
    PublishTimeout = 14,
    /// The label is in use.
    LabelAlreadyExists = 15,
    /// Wrong password (getMasterToken).
    NotAuthorized = 38,
    /// waitingTxnStatus: still PREPARE.
    Incomplete = 44,
    /// The position is below the stream's head.
    BinlogTooOld = 61,
    /// Nothing after the position.
    BinlogTooNew = 62,
    /// No stream of the database.
    BinlogNotFoundDb = 63,
    /// No stream of the table.
    BinlogNotFoundTable = 64,
    /// No local snapshot of that label.
    SnapshotNotExist = 70,
    /// This FE is not the master.
    NotMaster = 73,
    /// The snapshot's time is over.
    SnapshotExpired = 75,
}

/// A refusal of an RPC. `text` is the core; the wire adds `errCode = N, detailMessage = ` where `err_code` is set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code:?}: {text}")]
pub struct RpcError {
    /// Code of the status.
    pub code: StatusCode,
    /// Number in the text's prefix (2, or 7 for missing metadata); `None`: no prefix.
    pub err_code: Option<u8>,
    /// Core of the text; empty means no message at all.
    pub text: String,
}

impl RpcError {
    /// ANALYSIS_ERROR with prefix 2.
    pub fn analysis(text: impl Into<String>) -> Self {
        Self {
            code: StatusCode::AnalysisError,
            err_code: Some(2),
            text: text.into(),
        }
    }

    /// ANALYSIS_ERROR with prefix 7 (metadata not found).
    pub fn meta_not_found(text: impl Into<String>) -> Self {
        Self {
            code: StatusCode::AnalysisError,
            err_code: Some(7),
            text: text.into(),
        }
    }

    /// A code without prefix.
    pub fn plain(code: StatusCode, text: impl Into<String>) -> Self {
        Self {
            code,
            err_code: None,
            text: text.into(),
        }
    }

    /// The text as it stands in `error_msgs`; `None` when the status carries none.
    #[must_use]
    pub fn message(&self) -> Option<String> {
        if self.text.is_empty() {
            return None;
        }
        Some(match self.err_code {
            Some(n) => format!("errCode = {n}, detailMessage = {}", self.text),
            None => self.text.clone(),
        })
    }
}

/// Settings of a frontend. Times are those of tests; the real ones stand in the comments.
#[derive(Debug, Clone)]
pub struct FrontendConfig {
    /// ClusterId of SHOW FRONTENDS.
    pub cluster_id: i32,
    /// Token that opens the backends' download endpoints.
    pub token: String,
    /// `enable_feature_binlog`.
    pub binlog_feature: bool,
    /// Backup and restore jobs advance one state per tick (real: 3 s).
    pub job_tick: Duration,
    /// Binlog GC (real: 15 s).
    pub gc_interval: Duration,
    /// `commitTxn` waits for publish at most this long when the caller gives no timeout (real: 5 s).
    pub publish_wait: Duration,
    /// `label_num_threshold` per database.
    pub label_keep_num: usize,
    /// `streaming_label_keep_max_second` and `label_keep_max_second` in one.
    pub label_keep: Duration,
    /// `max_running_txn_num_per_db`.
    pub max_running_txns: usize,
    /// `max_publishing_txn_num_per_table`.
    pub max_publishing_txns_per_table: usize,
    /// `max_backup_restore_job_num_per_db`.
    pub jobs_kept_per_db: usize,
    /// Replicas of a table that names no number.
    pub default_replication_num: u32,
    /// How backends are driven.
    pub agent: AgentSettings,
}

impl Default for FrontendConfig {
    fn default() -> Self {
        Self {
            cluster_id: 10_001,
            token: "dorisim-cluster-token".to_owned(),
            binlog_feature: true,
            job_tick: Duration::from_millis(50),
            gc_interval: Duration::from_secs(15),
            publish_wait: Duration::from_secs(5),
            label_keep_num: 200_000,
            label_keep: Duration::from_secs(43_200),
            max_running_txns: 10_000,
            max_publishing_txns_per_table: 500,
            jobs_kept_per_db: 10,
            default_replication_num: 1,
            agent: AgentSettings::default(),
        }
    }
}

/// Where a load comes from; shown as LoadJobSourceType.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum LoadSource {
    /// INSERT, UPDATE, DELETE.
    Insert,
    /// Stream load.
    StreamLoad,
    /// `beginTxn` over Thrift.
    Rpc,
}

/// Rows to load in one transaction into one table.
#[derive(Debug, Clone)]
pub struct LoadRequest {
    /// Database.
    pub db: String,
    /// Table.
    pub table: String,
    /// Names of the cells, hidden columns allowed; empty: all visible columns in order. Columns left out get their default.
    pub columns: Vec<String>,
    /// Cells in any text of the type; the frontend makes them canonical and refuses what does not fit.
    pub rows: Vec<Row>,
    /// Label; `None`: a made-up one.
    pub label: Option<String>,
    /// Only into these partitions; empty: by value.
    pub partitions: Vec<String>,
    /// The partitions are temporary ones.
    pub temp_partitions: bool,
    /// Every row is a deletion (unique tables): sets the delete sign.
    pub delete: bool,
    /// Unique tables with partial update: columns left out keep the present value.
    pub partial_update: bool,
    /// Share of rows that may be bad before the load fails, 0.0..=1.0.
    pub max_filter_ratio: f64,
    /// Stop after PRECOMMITTED (`two_phase_commit`).
    pub two_phase: bool,
    /// Part of an explicit transaction begun by [`super::Frontend::begin_explicit`].
    pub explicit_txn: Option<i64>,
    /// The load's own transaction, begun before its rows were read by [`super::Frontend::begin_stream_load`].
    pub begun: Option<i64>,
    /// Rows refused before these: they count for `max_filter_ratio`.
    pub refused_before: u64,
    /// Source.
    pub source: LoadSource,
    /// Timeout of the transaction in seconds.
    pub timeout_s: Option<i64>,
}

impl LoadRequest {
    /// A plain INSERT of full rows.
    #[must_use]
    pub fn insert(
        db: impl Into<String>,
        table: impl Into<String>,
        columns: Vec<String>,
        rows: Vec<Row>,
    ) -> Self {
        Self {
            db: db.into(),
            table: table.into(),
            columns,
            rows,
            label: None,
            partitions: Vec::new(),
            temp_partitions: false,
            delete: false,
            partial_update: false,
            max_filter_ratio: 0.0,
            two_phase: false,
            explicit_txn: None,
            begun: None,
            refused_before: 0,
            source: LoadSource::Insert,
            timeout_s: None,
        }
    }
}

/// How far a load came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadState {
    /// Visible.
    Visible,
    /// Committed; publish takes longer than the wait.
    Committed,
    /// Waits for the second phase, or for COMMIT of its explicit transaction.
    Precommitted,
}

/// A finished load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadResult {
    /// Transaction.
    pub txn_id: i64,
    /// Its label.
    pub label: String,
    /// Rows written.
    pub loaded: u64,
    /// Rows refused.
    pub filtered: u64,
    /// Reasons of the first refused rows.
    pub errors: Vec<String>,
    /// State reached.
    pub state: LoadState,
}

/// Why a load failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The label belongs to a transaction that is not aborted.
    #[error("Label [{label}] has already been used, relate to txn [{txn_id}], status [{status}].")]
    LabelUsed {
        /// The label.
        label: String,
        /// The transaction.
        txn_id: i64,
        /// PREPARE, PRECOMMITTED, COMMITTED, VISIBLE.
        status: TxnStatus,
    },
    /// Too many bad rows; the transaction was aborted.
    #[error("too many filtered rows")]
    TooManyFiltered {
        /// Rows seen.
        total: u64,
        /// Rows refused.
        filtered: u64,
        /// Reasons of the first ones.
        errors: Vec<String>,
        /// Aborted transaction.
        txn_id: i64,
    },
    /// Anything else.
    #[error(transparent)]
    Sql(#[from] SqlError),
}

/// State of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum TxnStatus {
    /// Open.
    Prepare,
    /// First phase done.
    Precommitted,
    /// Durable.
    Committed,
    /// Readable.
    Visible,
    /// Given up.
    Aborted,
}

impl TxnStatus {
    /// The FE's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prepare => "PREPARE",
            Self::Precommitted => "PRECOMMITTED",
            Self::Committed => "COMMITTED",
            Self::Visible => "VISIBLE",
            Self::Aborted => "ABORTED",
        }
    }

    /// The number of waitingTxnStatus.
    #[must_use]
    pub fn number(self) -> i32 {
        match self {
            Self::Prepare => 1,
            Self::Committed => 2,
            Self::Visible => 3,
            Self::Aborted => 4,
            Self::Precommitted => 5,
        }
    }
}

impl std::fmt::Display for TxnStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a frontend reaches a backend.
pub type BackendHandle = std::sync::Arc<dyn dorisim_model::backend::BackendApi>;
