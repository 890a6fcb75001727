//! The log as the rest of the product sees it. Topics have exactly one partition.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use ccr_schemas::TopicName;

use crate::error::Error;

/// Position of a record in a topic. Strictly increasing, may have holes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offset(pub i64);

/// How a topic is cleaned up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopicKind {
    /// Kept for a time. `None`: no limit.
    Retained(Option<Duration>),
    /// The last record of each key is kept.
    Compacted,
}

/// What a topic must be like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSpec {
    /// Name.
    pub name: TopicName,
    /// Clean-up.
    pub kind: TopicKind,
}

/// A record to append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRecord {
    /// Ordering unit, or the compaction key.
    pub key: String,
    /// Payload; `None` is a tombstone, for compacted topics only.
    pub value: Option<Bytes>,
    /// Small facts for tools that do not decode the payload.
    pub headers: Vec<(String, String)>,
}

/// A record as read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its offset.
    pub offset: Offset,
    /// When it was appended, milliseconds since the epoch by the writer's clock.
    pub appended_at_ms: i64,
    /// Key.
    pub key: String,
    /// Payload; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// Headers.
    pub headers: Vec<(String, String)>,
}

/// A group's durable position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Next offset to read.
    pub offset: Offset,
    /// What the reader wrote next to it, at most [`MAX_METADATA_BYTES`].
    pub metadata: String,
}

/// Longest metadata string of a commit.
pub const MAX_METADATA_BYTES: usize = 2048;

/// Largest record (key, value and headers together) that every log takes.
pub const MAX_RECORD_BYTES: usize = 8 * 1024 * 1024 - 16 * 1024;

/// Something in the log that does not work.
#[derive(Debug)]
pub struct LogProblem {
    /// Since when, milliseconds since the epoch.
    pub since_ms: i64,
    /// What, with the next step.
    pub error: Error,
}

/// What a reader reports to a group member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReaderEvent {
    /// This member now owns the topic. Nothing is delivered until [`GroupReader::seek`] was called.
    Assigned {
        /// The group's durable position, `None` when the group never committed.
        committed: Option<Committed>,
    },
    /// This member does not own the topic any more. Whatever it has not committed belongs to somebody else now; commits
    /// from here on are refused with [`Error::Fenced`].
    Revoked,
    /// The next record.
    Record(Record),
    /// Everything that was in the topic up to here has been delivered.
    CaughtUp {
        /// Next offset to be written.
        end: Offset,
    },
}

/// An ordered, durable log.
///
/// Cloned as `Arc<dyn EventLog>`. Every call is bounded in time; a call that runs out answers [`Error::Timeout`].
#[async_trait]
pub trait EventLog: Send + Sync + 'static {
    /// Creates the topic, or verifies that an existing one is as wanted. Never relies on auto-creation.
    ///
    /// # Errors
    /// [`Error::TopicMismatch`] when it exists with other settings; [`Error::Unavailable`], [`Error::Timeout`].
    async fn ensure_topic(&self, spec: &TopicSpec) -> Result<(), Error>;

    /// Appends in order and returns when all records are durable, with the offset of the last one. On error any prefix
    /// of the batch may have been written (and, after a retry, twice): readers drop repeats by position.
    ///
    /// # Errors
    /// [`Error::RecordTooLarge`] names the record; [`Error::Unavailable`], [`Error::Timeout`], [`Error::UnknownTopic`].
    async fn append(&self, topic: &TopicName, records: Vec<NewRecord>) -> Result<Offset, Error>;

    /// First offset still kept and next offset to be written.
    ///
    /// # Errors
    /// [`Error::UnknownTopic`], [`Error::Unavailable`], [`Error::Timeout`].
    async fn watermarks(&self, topic: &TopicName) -> Result<(Offset, Offset), Error>;

    /// Up to `most` records from `from` on, without a group. An empty answer means that nothing is there (yet).
    ///
    /// # Errors
    /// [`Error::OffsetGone`] when `from` was deleted by retention; [`Error::UnknownTopic`], [`Error::Unavailable`],
    /// [`Error::Timeout`].
    async fn read_range(
        &self,
        topic: &TopicName,
        from: Offset,
        most: usize,
    ) -> Result<Vec<Record>, Error>;

    /// The last record of every key; keys whose last record is a tombstone are left out. Bounded by two minutes.
    ///
    /// # Errors
    /// As [`EventLog::read_range`].
    async fn read_compacted(&self, topic: &TopicName) -> Result<BTreeMap<String, Record>, Error>;

    /// Joins a group on one topic. Of all members exactly one is assigned at a time.
    ///
    /// # Errors
    /// [`Error::UnknownTopic`], [`Error::Unavailable`], [`Error::Timeout`].
    async fn join(&self, group: &str, topic: &TopicName) -> Result<Box<dyn GroupReader>, Error>;

    /// A group's durable position, seen from outside.
    ///
    /// # Errors
    /// [`Error::UnknownTopic`], [`Error::Unavailable`], [`Error::Timeout`].
    async fn committed(&self, group: &str, topic: &TopicName) -> Result<Option<Committed>, Error>;

    /// What does not work in the log now, as far as this process has met it: for health and statuses that cannot be written to
    /// the log itself. Empty when nothing is known.
    fn problems(&self) -> Vec<LogProblem> {
        Vec::new()
    }

    /// Waits until this process must not use the log any more, and returns why: [`Error::LostOwnership`]. The process ends
    /// then. Cancel-safe.
    async fn lost(&self) -> Error {
        std::future::pending().await
    }

    /// What this log is, for people: `embedded /path` or `kafka host:port`.
    fn describe(&self) -> String;
}

/// One member of a group. Dropped or closed, another member takes over.
#[async_trait]
pub trait GroupReader: Send {
    /// The next event. Cancel-safe. Waits until there is one; records are buffered up to a bounded number of bytes.
    ///
    /// # Errors
    /// [`Error::OffsetGone`] when the position asked for was deleted by retention (never silently skipped);
    /// [`Error::Unavailable`] when the log is away: call again.
    async fn next(&mut self) -> Result<ReaderEvent, Error>;

    /// Starts or restarts delivery at `offset`. Records buffered before are dropped.
    ///
    /// # Errors
    /// [`Error::Fenced`] when not assigned; [`Error::Unavailable`], [`Error::Timeout`].
    async fn seek(&mut self, offset: Offset) -> Result<(), Error>;

    /// Makes a position durable, fenced by the group's generation.
    ///
    /// # Errors
    /// [`Error::Fenced`] when this member does not own the topic any more; [`Error::MetadataTooLarge`];
    /// [`Error::Unavailable`], [`Error::Timeout`].
    async fn commit(&mut self, position: Committed) -> Result<(), Error>;

    /// Leaves the group, within a bounded time.
    async fn close(self: Box<Self>);
}

/// A log shared by the tasks of a process.
pub type SharedLog = Arc<dyn EventLog>;
