//! What an applier asks of a producer: records of a database's control topic, JSON.

use serde::{Deserialize, Serialize};

/// A request. The answer is an event of the events topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ProducerRequest {
    /// A snapshot is wanted. Answered by `SnapshotTaken` that names the request. Requests that wait together are answered
    /// by one backup; a snapshot that is not expired, covers the tables and whose `resume_offset` is still in the log may
    /// be announced again instead of taking another.
    Snapshot {
        /// Unique, deterministic for the asking state: `<job>.<incarnation>.<n>`.
        request_id: String,
        /// Tables wanted; empty means the whole database.
        tables: Vec<String>,
        /// Only a snapshot whose tables stand at or after this position will do; -1 for any.
        not_before: i64,
    },
    /// The job is gone or satisfied: the request needs no answer any more.
    Withdraw {
        /// Which.
        request_id: String,
    },
}
