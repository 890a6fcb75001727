//! Events of our own: they steer readers and have no counterpart at the source.

use serde::{Deserialize, Serialize};

use super::{BackendAddress, TableRef};
use crate::id::{CommitSeq, Timeline, TimestampMs};

/// The source forgot a span of its history before it was read; or, when the envelope's own position is above `up_to`, it
/// showed the record at `up_to` only after later ones had been published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Last position that was read (exclusive lower end of the span).
    pub after: CommitSeq,
    /// Position up to which the source has forgotten (inclusive upper end), where the chain goes on; or the late record.
    pub up_to: CommitSeq,
}

/// A snapshot that any number of targets can restore.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SnapshotTaken {
    /// Label of the backup, unique per source cluster.
    pub label: String,
    /// Tables in the snapshot.
    pub tables: Vec<SnapshotTable>,
    /// Views in the snapshot.
    pub views: Vec<TableRef>,
    /// The snapshot covers the whole database.
    pub whole_database: bool,
    /// Database-level position of the snapshot.
    pub commit_seq: CommitSeq,
    /// Offset in the events topic from which a reader finds every event that is not in the snapshot.
    pub resume_offset: i64,
    /// First offset of the snapshot's chunks in the snapshots topic.
    pub chunks_offset: i64,
    /// Number of chunks.
    pub chunk_count: i32,
    /// Lower-case hex SHA-256 over job info followed by meta, as they are in the chunks.
    pub sha256: String,
    /// Job info and meta are gzipped, as the source gave them.
    pub compressed: bool,
    /// When the source's BEs may delete the files.
    pub expires_at: TimestampMs,
    /// Backends that hold the files, for `extra_info.be_network_map`.
    pub backends: Vec<BackendAddress>,
    /// The source cluster's download token, sealed with the key that producers and appliers share. Never in the clear.
    pub sealed_token: String,
    /// Requests this snapshot answers (see the control topic).
    pub request_ids: Vec<String>,
}

/// A table inside a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotTable {
    /// The table.
    pub table: TableRef,
    /// Events of this table up to here are contained in the snapshot.
    pub commit_seq: CommitSeq,
    /// Names of the partitions taken.
    pub partitions: Vec<String>,
}

/// Heartbeat: the producer runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Producer's clock.
    pub at: TimestampMs,
    /// Newest position the source reported.
    pub source_end: CommitSeq,
}

/// The source does not have the history any more that was published: it was restored from a backup, another frontend with
/// an older journal took over, its binlog was switched off and on, or the database was created again. What was published
/// before says nothing about the present source, so a reader of the timeline before needs a snapshot taken after this
/// event. The envelope has the new timeline and the position at which its chain begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimelineChanged {
    /// The timeline that ended.
    pub previous: Timeline,
    /// Last position published on it.
    pub published: CommitSeq,
    /// How the producer noticed it, for people.
    pub reason: String,
}
