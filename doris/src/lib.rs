//! One client for Apache Doris, used for the source and for destinations.
//!
//! `binlog stream -> frontend -> binlog (typed records)` and `frontend (txn, restore), backend (ingest), sql (DDL) -> Doris`
//!
//! Read in this order: [`cluster`] (how a cluster is reached), [`frontend`] and [`backend`] (calls and their outcomes),
//! [`sql`] and [`inspect`] (statements and questions), [`binlog`] (records), [`ddl`] (statements as text), [`status`] (the
//! one place where server texts are matched).

pub mod backend;
mod backend_calls;
pub mod binlog;
pub mod catalog;
pub mod cluster;
pub mod ddl;
pub mod digest;
pub mod error;
pub mod frontend;
mod frontend_calls;
pub mod frontends;
pub mod hosts;
pub mod inspect;
mod master;
pub mod meter;
pub mod metrics;
mod mysql;
mod rpc;
pub mod sql;
pub mod status;

pub use backend::{Backend, BackendEndpoint, IngestOutcome, IngestRequest, IngestState};
pub use catalog::{
    BackendMeta, DatabaseMeta, IndexMeta, PartitionMeta, ReplicaMeta, TableMeta, TabletMeta,
};
pub use cluster::{ClusterAddress, DorisCluster, Settings, Timeouts};
pub use digest::TableDigest;
pub use error::Error;
pub use frontend::{
    BeginOutcome, BeginTxn, BinlogLag, BinlogPage, BinlogPosition, CommitOutcome, CommitTxn,
    Frontend, LabelState, RawBinlog, RestoreSnapshot, RollbackOutcome, Snapshot, SubTxnCommit,
    TabletCommit, TxnState,
};
pub use frontends::{FrontendList, FrontendMemory};
pub use inspect::{ColumnInfo, Inspect, JobProgress, JobState, ListedTxn, TxnPhase};
pub use sql::{Row, SqlSession};
