//! A job of BUILD INDEX, and the list of them. `index_job_run` drives them.

use serde::{Deserialize, Serialize};

use dorisim_model::{SecondaryIndex, TableSchema, Tracked};

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum IndexJobState {
    /// Loads that began before the watershed have to end.
    WaitingTxn,
    /// Done.
    Finished,
    /// Given up.
    Cancelled,
}

impl IndexJobState {
    /// The FE's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WaitingTxn => "WAITING_TXN",
            Self::Finished => "FINISHED",
            Self::Cancelled => "CANCELLED",
        }
    }
}

/// A job of one partition.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct IndexJob {
    /// Id.
    pub id: i64,
    /// Database.
    pub db_id: i64,
    /// Table and its name.
    pub table: (i64, String),
    /// Partition and its name.
    pub partition: (i64, String),
    /// Base index.
    pub origin_index: i64,
    /// Indexes that are built or removed.
    pub indexes: Vec<SecondaryIndex>,
    /// Removes the index.
    pub is_drop: bool,
    /// Transactions with smaller ids did not know of the change.
    pub watershed: i64,
    /// How far it is.
    pub state: IndexJobState,
    /// Epoch milliseconds.
    pub create_ms: i64,
    /// Epoch milliseconds, -1 while it runs.
    pub finish_ms: i64,
    /// Reason of a cancellation.
    pub message: String,
    /// Columns of the table when the job began.
    pub schema: TableSchema,
    /// Indexes of the table when the job began.
    pub present: Vec<SecondaryIndex>,
}

/// All jobs by id, which grows: oldest first.
#[derive(Debug, Default, Serialize)]
pub struct IndexJobs {
    pub(crate) jobs: Tracked<i64, IndexJob>,
}

impl IndexJobs {
    /// Jobs of a database.
    pub fn of_db(&self, db_id: i64) -> impl Iterator<Item = &IndexJob> {
        self.jobs.values().filter(move |j| j.db_id == db_id)
    }

    /// True while one runs.
    #[must_use]
    pub fn are_running(&self) -> bool {
        self.jobs
            .values()
            .any(|j| j.state == IndexJobState::WaitingTxn)
    }
}
