//! The crate's one error.

use ccr_ops::ErrorKind;
use ccr_schemas::TopicName;
use thiserror::Error;

use crate::event_log::Offset;

/// What went wrong with the log. Each text names the topic and the next step where there is one.
#[derive(Debug, Error)]
pub enum Error {
    /// The topic does not exist.
    #[error("topic {0} does not exist in the log")]
    UnknownTopic(TopicName),
    /// The topic exists with other settings than wanted.
    #[error(
        "topic {topic} is not as required: {difference}; change it with your Kafka tools, or use another --topic-prefix"
    )]
    TopicMismatch {
        /// Which.
        topic: TopicName,
        /// What differs.
        difference: String,
    },
    /// The wanted offset was deleted by retention.
    #[error("topic {topic}: offset {} was deleted by retention, the oldest kept is {}; the job needs a new snapshot", wanted.0, oldest.0)]
    OffsetGone {
        /// Which.
        topic: TopicName,
        /// What was asked for.
        wanted: Offset,
        /// What is there.
        oldest: Offset,
    },
    /// A record is larger than the log takes.
    #[error(
        "a record of {bytes} bytes for topic {topic} (key {key}) is larger than the limit of {limit}"
    )]
    RecordTooLarge {
        /// Which.
        topic: TopicName,
        /// Key of the record.
        key: String,
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// Commit metadata over the limit.
    #[error("commit metadata of {0} bytes is larger than {max}", max = crate::event_log::MAX_METADATA_BYTES)]
    MetadataTooLarge(usize),
    /// Another member owns the topic now.
    #[error("group {group} gave topic {topic} to another member")]
    Fenced {
        /// Group.
        group: String,
        /// Topic.
        topic: TopicName,
    },
    /// The log cannot be reached.
    #[error("the log cannot be reached while trying to {action}")]
    Unavailable {
        /// What was tried.
        action: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The disk of the embedded log is full. Writing is tried again by whoever wants to write: it goes on when there is room.
    #[error(
        "the disk of the embedded log is full: cannot {action}; free space there; replication resumes by itself"
    )]
    DiskFull {
        /// What was tried, with the file.
        action: String,
        /// SQLite's words.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The file of the embedded log belongs to another process, or is another file now. Nothing more is written.
    #[error(
        "the embedded log does not belong to this process any more: {0}; this process writes nothing more and ends. Make sure that one          process uses the folder, then start it again"
    )]
    LostOwnership(String),
    /// No answer in time.
    #[error("no answer from the log in {seconds} s while trying to {action}")]
    Timeout {
        /// What was tried.
        action: String,
        /// Bound.
        seconds: u64,
    },
    /// Kafka does not let us in, or does not let us do something: a person has to change settings or rights.
    #[error("Kafka refused to {action}: {reason}; {advice}")]
    Refused {
        /// What was tried, with the name of the object.
        action: String,
        /// In Kafka's words.
        reason: String,
        /// The next step.
        advice: String,
    },
    /// Invalid settings.
    #[error("log configuration: {0}")]
    Config(String),
    /// Stored bytes do not check out.
    #[error("the log is damaged: {0}")]
    Corrupt(String),
}

impl Error {
    /// True when a start with the same settings and rights would fail again.
    pub fn is_configuration(&self) -> bool {
        matches!(
            self,
            Self::Config(_) | Self::Refused { .. } | Self::TopicMismatch { .. }
        )
    }

    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Unavailable { .. } | Self::Timeout { .. } | Self::DiskFull { .. } => {
                ErrorKind::Unavailable
            }
            Self::Fenced { .. } | Self::LostOwnership(_) => ErrorKind::Fenced,
            Self::Corrupt(_) => ErrorKind::Corrupt,
            Self::UnknownTopic(_)
            | Self::TopicMismatch { .. }
            | Self::OffsetGone { .. }
            | Self::RecordTooLarge { .. }
            | Self::MetadataTooLarge(_)
            | Self::Refused { .. }
            | Self::Config(_) => ErrorKind::Invalid,
        }
    }
}

/// A position that the log has never reached: it was created again, or it lost records.
pub(crate) fn beyond_the_end(topic: &TopicName, wanted: Offset, end: Offset) -> Error {
    Error::Corrupt(format!(
        "topic {topic} ends at offset {}, before the requested offset {}: the topic was recreated or has lost records; run `ccr job resync` for the jobs that read it",
        end.0, wanted.0
    ))
}
