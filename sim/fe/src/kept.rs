//! What a data directory keeps of the state.

use serde::{Deserialize, Serialize};

use crate::accounts::Account;
use crate::alter::index_job::IndexJob;
use crate::alter::job::AlterJob;
use crate::api::DroppedIds;
use crate::backends::RegisteredBackend;
use crate::binlog::stream::Stream;
use crate::ddl::recycle_bin::Dropped;
use crate::jobs::list::Job;
use crate::txn::table::Txn;
use dorisim_model::{Database, Tracked};

/// Numbers that only grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counters {
    pub next_id: i64,
    pub journal: i64,
    pub next_backend: usize,
    pub next_txn: i64,
}

/// The maps that have rows, see [`crate::state::FeState::kept`]. Saving and loading name every one of them.
pub(crate) struct Kept<'a> {
    pub databases: &'a mut Tracked<i64, Database>,
    pub db_streams: &'a mut Tracked<i64, Stream>,
    /// With the database's id.
    pub table_streams: &'a mut Tracked<i64, (i64, Stream)>,
    pub dropped: &'a mut Tracked<i64, DroppedIds>,
    pub txns: &'a mut Tracked<i64, Txn>,
    pub jobs: &'a mut Tracked<i64, Job>,
    pub alters: &'a mut Tracked<i64, AlterJob>,
    pub index_jobs: &'a mut Tracked<i64, IndexJob>,
    /// With the time of the drop, in milliseconds.
    pub bin: &'a mut Tracked<i64, (i64, Dropped)>,
    pub users: &'a mut Tracked<String, Account>,
    pub backends: &'a mut Tracked<i64, RegisteredBackend>,
    pub settings: &'a mut Tracked<String, String>,
}
