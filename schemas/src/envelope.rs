//! The envelope: the position of an event in the source stream, and what may be done with it.

use serde::{Deserialize, Serialize};

use crate::event::Event;
use crate::id::{CommitSeq, DbId, Timeline, TimestampMs};

/// Version of the envelope that this code writes. A reader refuses a larger major version by name.
pub const SCHEMA_VERSION: i32 = 1;

/// One record of an events topic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    /// Version of this layout, [`SCHEMA_VERSION`] when written by this code.
    pub schema_version: i32,
    /// Name of the source cluster as in topic names.
    pub source: String,
    /// Id of the source database. A different id under the same name is another database: the reader stops.
    pub db_id: DbId,
    /// Name of the source database at the time of the event.
    pub db_name: String,
    /// History that the position belongs to. It grows with each [`Event::TimelineChanged`]; an event of a smaller timeline
    /// than one that was read is left over from a producer that has lost its stream.
    #[serde(default)]
    pub timeline: Timeline,
    /// Position of the event, on its timeline. For events of our own (see [`Event::is_chained`]) the position they were made at.
    pub commit_seq: CommitSeq,
    /// Position of the chained event before this one: the chain has no holes although the numbers have.
    /// For events of our own equal to `commit_seq`.
    pub prev_commit_seq: CommitSeq,
    /// `TBinlog.timestamp`: finish time of a transaction, else the source FE's clock when it added the record.
    /// Zero where the source gave none.
    pub source_at: TimestampMs,
    /// When the producer first saw the record, by its own clock.
    pub seen_at: TimestampMs,
    /// Numeric `TBinlogType` the event was made from; -1 for events of our own.
    pub binlog_type: i32,
    /// How a target may repeat the event. Decided once by the producer, so that all targets agree.
    pub replay: Replay,
    /// What happened.
    pub event: Event,
    /// The source's own JSON, for every type but UPSERT, so that a newer applier can read the event again.
    pub raw: Option<String>,
}

/// How an event is repeated on a destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Replay {
    /// Begin, ingest, commit: the destination's BEs pull the rowsets.
    Transaction,
    /// By SQL, after mapping of names.
    Sql,
    /// Only by a snapshot of the table: the change cannot be expressed by a statement.
    Snapshot {
        /// Why a statement is not enough, for people.
        reason: String,
    },
    /// Nothing to do on any target; counted and shown, never silent.
    Skip {
        /// Why there is nothing to do, for people.
        reason: String,
    },
    /// Not understood or not supported: the table (or the stream, when no table is named) stops by policy.
    Halt {
        /// What is not supported, for people, with the next step.
        reason: String,
    },
    /// An event of our own: steers the applier, has no counterpart at the destination.
    Control,
}
