//! FE calls, as the product needs them. Implemented over Thrift by [`crate::cluster::DorisCluster`].

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use ccr_ops::Secret;
use ccr_schemas::{BackendId, CommitSeq, DbId, TableId, TabletId, TimestampMs, TxnId};

use crate::catalog::{BackendMeta, DatabaseMeta};
use crate::error::Error;

/// Position of a binlog query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BinlogPosition {
    /// Database by name.
    pub database: String,
    /// A table's own stream, else the database's.
    pub table: Option<TableId>,
    /// Last position already processed (exclusive).
    pub after: CommitSeq,
}

/// A binlog record as it came, before its JSON is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawBinlog {
    /// Position.
    pub commit_seq: CommitSeq,
    /// `TBinlog.timestamp`.
    pub timestamp: TimestampMs,
    /// Numeric `TBinlogType`; may be one we do not know.
    pub binlog_type: i32,
    /// Database.
    pub db_id: DbId,
    /// Tables named by the record.
    pub table_ids: Vec<TableId>,
    /// JSON; empty on DUMMY.
    pub data: String,
}

/// Answer of getBinlog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BinlogPage {
    /// Records after the position asked for, ascending, at least one.
    Records(Vec<RawBinlog>),
    /// Caught up (TOO_NEW). Also the answer to a position that never existed: compare with [`BinlogLag::last`].
    CaughtUp,
    /// History is lost (TOO_OLD): everything up to here is gone.
    TooOld {
        /// Position of the DUMMY: the newest that is no longer available.
        forgotten: CommitSeq,
    },
    /// The database (or table) has no stream: binlog is off, or nothing was written since it was switched on.
    NoStream,
}

/// Answer of getBinlogLag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BinlogLag {
    /// Records after the position.
    pub lag: i64,
    /// Position of the DUMMY; `None` from old FEs.
    pub first: Option<CommitSeq>,
    /// Newest position.
    pub last: Option<CommitSeq>,
    /// Next position after the one asked for; `None` when caught up.
    pub next: Option<CommitSeq>,
    /// Timestamps of the three.
    pub first_at: Option<TimestampMs>,
    /// See `first_at`.
    pub last_at: Option<TimestampMs>,
    /// See `first_at`.
    pub next_at: Option<TimestampMs>,
}

/// Answer of getSnapshot.
#[derive(Clone)]
pub struct Snapshot {
    /// JSON, gzipped when `compressed`.
    pub job_info: Vec<u8>,
    /// Opaque.
    pub meta: Vec<u8>,
    /// Both are gzipped.
    pub compressed: bool,
    /// When the files may go.
    pub expires_at: Option<TimestampMs>,
    /// Database-level position; `None` from old FEs.
    pub commit_seq: Option<CommitSeq>,
}

/// Request of restoreSnapshot.
#[derive(Clone)]
pub struct RestoreSnapshot {
    /// Destination database, must exist.
    pub database: String,
    /// Label of the restore job.
    pub label: String,
    /// `(name in the snapshot, name here)`; empty restores everything.
    pub tables: Vec<(String, Option<String>)>,
    /// Job info with `extra_info` added.
    pub job_info: Vec<u8>,
    /// As the source gave it.
    pub meta: Vec<u8>,
    /// Both are gzipped.
    pub compressed: bool,
    /// Restore properties, for instance `reserve_replica`.
    pub properties: BTreeMap<String, String>,
    /// Drop tables and views that are not in the snapshot.
    pub clean_tables: bool,
    /// Drop partitions that are not in the snapshot.
    pub clean_partitions: bool,
    /// Restore into staging tables and swap them in at the end.
    pub atomic: bool,
    /// Replace even when the schema differs (with `atomic`).
    pub force_replace: bool,
}

/// Request of beginTxn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BeginTxn {
    /// Destination database.
    pub database: String,
    /// Destination tables.
    pub tables: Vec<TableId>,
    /// Label, a function of the event.
    pub label: String,
    /// Time after which the server aborts an unfinished transaction.
    pub timeout: Duration,
    /// Sub-transactions wanted, 0 for none.
    pub sub_txns: usize,
}

/// Answer of beginTxn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BeginOutcome {
    /// A new transaction.
    Begun {
        /// Its id.
        txn: TxnId,
        /// Sub-transactions, the first equal to `txn`.
        sub_txns: Vec<TxnId>,
    },
    /// The label is taken.
    LabelExists {
        /// Transaction that holds it, read from the server's text.
        txn: Option<TxnId>,
        /// Its state.
        state: LabelState,
    },
}

/// State of the transaction that holds a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelState {
    /// PREPARE: begun, not committed.
    Running,
    /// PRECOMMITTED: first phase done.
    Precommitted,
    /// COMMITTED or VISIBLE: applied.
    Finished,
}

/// A tablet's replica that holds the data of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TabletCommit {
    /// Destination tablet.
    pub tablet: TabletId,
    /// Destination backend.
    pub backend: BackendId,
}

/// Request of commitTxn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitTxn {
    /// Destination database.
    pub database: String,
    /// Transaction.
    pub txn: TxnId,
    /// Replicas that hold the data, of an ordinary transaction.
    pub commits: Vec<TabletCommit>,
    /// The same per sub-transaction; non-empty makes it an explicit transaction.
    pub sub_txns: Vec<SubTxnCommit>,
    /// Answer when committed, do not wait until visible.
    pub only_commit: bool,
}

/// One sub-transaction of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubTxnCommit {
    /// Sub-transaction.
    pub sub_txn: TxnId,
    /// Destination table.
    pub table: TableId,
    /// Replicas that hold the data.
    pub commits: Vec<TabletCommit>,
}

/// Answer of commitTxn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommitOutcome {
    /// Committed and visible (or only committed, when asked so).
    Committed,
    /// Durable; visible later (PUBLISH_TIMEOUT).
    VisibleLater,
    /// The transaction is unknown: lost by a master change, timed out, or forgotten.
    NotFound,
    /// The transaction was aborted.
    Aborted {
        /// The server's reason.
        reason: String,
    },
    /// Some tablets lack replicas: ingest the missing ones in the same transaction and commit again.
    QuorumMissed {
        /// The tablet named by the server.
        tablet: Option<TabletId>,
        /// The server's text.
        text: String,
    },
}

/// Answer of rollbackTxn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RollbackOutcome {
    /// Aborted now or before.
    Aborted,
    /// Already committed: it is applied.
    AlreadyCommitted,
    /// Not found: visible, aborted or unknown. Ask for the state.
    NotFound,
}

/// State of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxnState {
    /// The server does not know it.
    Unknown,
    /// Open.
    Prepare,
    /// First phase done.
    Precommitted,
    /// Durable, not yet visible.
    Committed,
    /// Applied.
    Visible,
    /// Not applied, never will be.
    Aborted,
}

/// FE calls. Each is bounded in time, follows the master, and maps the server's answer to an outcome.
#[async_trait]
pub trait Frontend: Send + Sync + 'static {
    /// Counts connections to frontends that broke or were closed by the other end, and changes of the master, since the client
    /// was made. A change tells that what was read before may not hold: a frontend may have been started again, perhaps on an
    /// older state, or another one answers.
    fn interruptions(&self) -> u64 {
        0
    }

    /// Reads up to `most` (1 to 255) records after a position.
    async fn get_binlog(&self, at: &BinlogPosition, most: usize) -> Result<BinlogPage, Error>;

    /// How far the stream reaches. `None` when there is no stream.
    async fn get_binlog_lag(&self, at: &BinlogPosition) -> Result<Option<BinlogLag>, Error>;

    /// Tells the source that everything below a position is not needed by `holder` any more. Speeds deletion up, does not
    /// prevent it. `None` when the FE is too old to know locks.
    async fn lock_binlog(
        &self,
        at: &BinlogPosition,
        holder: &str,
    ) -> Result<Option<CommitSeq>, Error>;

    /// A finished backup's job info and meta. `None` when the label is unknown, unfinished or expired.
    async fn get_snapshot(&self, database: &str, label: &str) -> Result<Option<Snapshot>, Error>;

    /// Starts a restore job; its progress shows in `SHOW RESTORE`.
    async fn restore_snapshot(&self, request: &RestoreSnapshot) -> Result<(), Error>;

    /// Begins a transaction.
    async fn begin_txn(&self, request: &BeginTxn) -> Result<BeginOutcome, Error>;

    /// Commits a transaction. Repeating it is safe.
    async fn commit_txn(&self, request: &CommitTxn) -> Result<CommitOutcome, Error>;

    /// Rolls a transaction back.
    async fn rollback_txn(
        &self,
        database: &str,
        txn: TxnId,
        reason: &str,
    ) -> Result<RollbackOutcome, Error>;

    /// State of a transaction by id (`SHOW TRANSACTION ... WHERE id`).
    async fn txn_state(&self, database: &str, txn: TxnId) -> Result<TxnState, Error>;

    /// State of a transaction by label (`SHOW TRANSACTION ... WHERE label`), with its id when known.
    async fn label_state(
        &self,
        database: &str,
        label: &str,
    ) -> Result<(TxnState, Option<TxnId>), Error>;

    /// Tables of a database (all, or those asked for; unknown ones are left out). `None` when the database is unknown.
    async fn get_meta(
        &self,
        database: &str,
        tables: Option<&[TableId]>,
    ) -> Result<Option<DatabaseMeta>, Error>;

    /// All backends, also dead ones.
    async fn get_backends(&self) -> Result<Vec<BackendMeta>, Error>;

    /// The cluster's token, with which its BEs hand out snapshot files.
    async fn master_token(&self) -> Result<Secret, Error>;
}
