//! What the RPC side hands to the frontend and gets back: transactions, binlog, meta, snapshots, jobs.

use std::sync::Arc;

use crate::api::{RpcError, TxnStatus};

/// A transaction as SHOW TRANSACTION shows it. Times are epoch milliseconds, -1 when not reached.
#[derive(Debug, Clone)]
pub struct TxnView {
    /// Id.
    pub id: i64,
    /// Label.
    pub label: String,
    /// State.
    pub status: TxnStatus,
    /// `INSERT_STREAMING`, `BACKEND_STREAMING`.
    pub source_type: &'static str,
    /// Begun.
    pub prepare_ms: i64,
    /// Committed.
    pub commit_ms: i64,
    /// Visible or aborted.
    pub finish_ms: i64,
    /// Reason of the abort.
    pub reason: String,
    /// Timeout in milliseconds.
    pub timeout_ms: i64,
    /// Tables.
    pub table_ids: Vec<i64>,
}

/// How a caller names a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TxnKey {
    /// By id.
    Id(i64),
    /// By label (the newest one that has it).
    Label(String),
}

/// beginTxn.
#[derive(Debug, Clone, Default)]
pub struct BeginTxn {
    /// Database.
    pub db: String,
    /// Tables, by id.
    pub table_ids: Vec<i64>,
    /// Label.
    pub label: String,
    /// Seconds.
    pub timeout_s: Option<i64>,
    /// Key of idempotence.
    pub request_id: Option<(i64, i64)>,
    /// Wanted sub transactions.
    pub sub_txn_num: i64,
    /// A token was given: table existence is not checked.
    pub by_token: bool,
}

/// Answer of beginTxn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BegunTxn {
    /// Id.
    pub txn_id: i64,
    /// Unset for a repeated request.
    pub db_id: Option<i64>,
    /// First one equals `txn_id`; empty unless asked for.
    pub sub_txn_ids: Vec<i64>,
}

/// Refusal of beginTxn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BeginRefused {
    /// Status.
    pub error: RpcError,
    /// With LABEL_ALREADY_EXISTS.
    pub job_status: Option<&'static str>,
}

/// One sub transaction of commitTxn.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SubTxn {
    /// Id given out by beginTxn.
    pub id: i64,
    /// Table.
    pub table_id: i64,
    /// (tablet, backend) of every successful replica.
    pub commit_infos: Vec<(i64, i64)>,
}

/// commitTxn.
#[derive(Debug, Clone, Default)]
pub struct CommitTxn {
    /// Database by name; `db_id` wins when positive.
    pub db: String,
    /// Database by id.
    pub db_id: Option<i64>,
    /// Transaction.
    pub txn_id: i64,
    /// (tablet, backend) of every successful replica.
    pub commit_infos: Vec<(i64, i64)>,
    /// `Some`: `txn_insert` was true.
    pub sub_txns: Option<Vec<SubTxn>>,
    /// Do not wait for publish.
    pub only_commit: bool,
    /// Half of it is waited.
    pub rpc_timeout_ms: Option<i64>,
}

/// Answer of commitTxn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committed {
    /// Visible (or `only_commit`).
    Done,
    /// PUBLISH_TIMEOUT: durable, visible later.
    VisibleLater,
}

/// The text of PUBLISH_TIMEOUT.
pub const VISIBLE_LATER: &str = "transaction commit successfully, BUT data will be visible later";

/// Answer of waitingTxnStatus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitedTxn {
    /// 0 unknown, else [`TxnStatus::number`].
    pub status_id: i32,
    /// Reason of an abort, in `error_msgs` although the code is OK.
    pub reason: Option<String>,
}

/// Which stream is asked for: `table_id` if set and not negative, else `table`, else the database's.
#[derive(Debug, Clone, Default)]
pub struct StreamKey {
    /// Database by name.
    pub db: String,
    /// Table by name.
    pub table: Option<String>,
    /// Table by id.
    pub table_id: Option<i64>,
}

/// One record of a stream.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Binlog {
    /// Journal id.
    pub commit_seq: i64,
    /// Epoch milliseconds.
    pub timestamp: i64,
    /// Number of the type.
    pub kind: i32,
    /// Database.
    pub db_id: i64,
    /// Tables; empty means unset.
    pub table_ids: Vec<i64>,
    /// JSON; `None` on the DUMMY.
    pub data: Option<String>,
    /// Only on the DUMMY: -1 or the table id.
    pub belong: Option<i64>,
    /// Number of table streams that hold it.
    pub table_ref: i64,
    /// Set for types 8 and 9.
    pub remove_enable_cache: bool,
}

/// Answer of getBinlog when the request itself is fine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BinlogReply {
    /// 0: the next records.
    Records(Vec<Arc<Binlog>>),
    /// 61: exactly the DUMMY.
    TooOld(Arc<Binlog>),
    /// 62.
    TooNew,
    /// 63.
    NotFoundDb,
    /// 64.
    NotFoundTable,
}

/// Answer of getBinlogLag.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BinlogLag {
    /// Records after the position.
    pub lag: i64,
    /// Of the DUMMY.
    pub first_commit_seq: i64,
    /// Of the newest record.
    pub last_commit_seq: i64,
    /// Of the DUMMY, ms.
    pub first_timestamp: i64,
    /// Of the newest record, ms.
    pub last_timestamp: i64,
    /// First after the position, 0 when caught up.
    pub next_commit_seq: i64,
    /// Its time, 0 when caught up.
    pub next_timestamp: i64,
}

/// Which tables getMeta asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TableSelector {
    /// By id.
    Id(i64),
    /// By name.
    Name(String),
}

/// getMeta.
#[derive(Debug, Clone, Default)]
pub struct MetaRequest {
    /// Wins over the name.
    pub db_id: Option<i64>,
    /// By name.
    pub db: Option<String>,
    /// `None`: all tables. Unknown ones are left out.
    pub tables: Option<Vec<TableSelector>>,
}

/// Answer of getMeta.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DbMeta {
    /// Id.
    pub id: i64,
    /// Name.
    pub name: String,
    /// Tables, in no particular order.
    pub tables: Vec<TableMeta>,
    /// Dropped id to commit seq; `None` when the binlog feature is off.
    pub dropped: Option<DroppedIds>,
}

/// Ids dropped within the kept history.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DroppedIds {
    /// Partitions: (id, commit seq).
    pub partitions: Vec<(i64, i64)>,
    /// Tables.
    pub tables: Vec<(i64, i64)>,
    /// Indexes.
    pub indexes: Vec<(i64, i64)>,
}

/// A table of getMeta.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableMeta {
    /// Id.
    pub id: i64,
    /// Name.
    pub name: String,
    /// `OLAP`.
    pub kind: &'static str,
    /// Partitions, temporary ones unmarked among them.
    pub partitions: Vec<PartitionMeta>,
}

/// A partition of getMeta.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionMeta {
    /// Id.
    pub id: i64,
    /// Name.
    pub name: String,
    /// Range text.
    pub range: String,
    /// Version.
    pub visible_version: i64,
    /// (index id, name, tablets in bucket order with their replicas).
    pub indexes: Vec<IndexTablets>,
}

/// An index of getMeta.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexTablets {
    /// Id.
    pub id: i64,
    /// Name.
    pub name: String,
    /// In bucket order.
    pub tablets: Vec<dorisim_model::Tablet>,
}

/// A backend as the frontend knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendInfo {
    /// Address and ports.
    pub address: dorisim_model::backend::BackendAddress,
    /// Heartbeat fine.
    pub alive: bool,
}

/// A local snapshot.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Opaque.
    pub meta: Vec<u8>,
    /// JSON.
    pub job_info: Vec<u8>,
    /// Epoch milliseconds.
    pub expired_at: i64,
    /// Position of the database.
    pub commit_seq: i64,
}

/// restoreSnapshot, blobs already decompressed.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
pub struct RestoreRequest {
    /// Destination database.
    pub db: String,
    /// Label of the job.
    pub label: String,
    /// Must be `__keep_on_local__`.
    pub repo: String,
    /// (table or view, alias); empty means everything.
    pub table_refs: Vec<(String, Option<String>)>,
    /// Properties.
    pub properties: std::collections::BTreeMap<String, String>,
    /// From getSnapshot.
    pub meta: Vec<u8>,
    /// From getSnapshot, with `extra_info`.
    pub job_info: Vec<u8>,
    /// Drop tables and views that are not in the snapshot.
    pub clean_tables: bool,
    /// Drop partitions that are not in the snapshot.
    pub clean_partitions: bool,
    /// Swap in at the end.
    pub atomic_restore: bool,
    /// With `atomic_restore`: also over another schema.
    pub force_replace: bool,
}

/// A backup or restore job as SHOW BACKUP / SHOW RESTORE shows it. Times are epoch milliseconds, -1 when not reached.
#[derive(Debug, Clone)]
pub struct JobView {
    /// Id.
    pub id: i64,
    /// Label.
    pub label: String,
    /// Database.
    pub db: String,
    /// State name.
    pub state: &'static str,
    /// Tables of a backup, each with its database.
    pub objects: Vec<String>,
    /// What a restore brings, as `RestoreObjs` shows it.
    pub content: serde_json::Value,
    /// Created.
    pub create_ms: i64,
    /// Restore: metadata ready.
    pub meta_prepared_ms: i64,
    /// Snapshots made.
    pub snapshot_ms: i64,
    /// Backup: upload done. Restore: download done.
    pub transfer_ms: i64,
    /// Finished or cancelled.
    pub finish_ms: i64,
    /// Tasks still open, as text.
    pub unfinished: String,
    /// Errors of tasks.
    pub task_error: String,
    /// `[OK]` or `[CODE, msg: text]`.
    pub status: String,
    /// Seconds.
    pub timeout_s: i64,
    /// Restore: replicas reserved from the snapshot.
    pub reserve_replica: bool,
    /// Restore: replicas per tablet otherwise.
    pub replication_num: u32,
}
