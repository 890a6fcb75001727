//! The crate's one error.

use ccr_ops::ErrorKind;
use ccr_schemas::TopicName;
use thiserror::Error;

use crate::plan::checkpoint::CheckpointError;

/// What ends an applier, or a run of one of its jobs. Each text names the object and the next step.
#[derive(Debug, Error)]
pub enum Error {
    /// The log.
    #[error(transparent)]
    Log(#[from] ccr_log::Error),
    /// The destination.
    #[error("destination")]
    Doris(#[from] ccr_doris::Error),
    /// Jobs or statuses.
    #[error(transparent)]
    Control(#[from] ccr_control::Error),
    /// Sealing.
    #[error(transparent)]
    Seal(#[from] ccr_ops::secret::SealError),
    /// The committed metadata can not be used.
    #[error("job {job}: {source}")]
    Checkpoint {
        /// Job.
        job: String,
        /// Why.
        #[source]
        source: CheckpointError,
    },
    /// A record can not be read. Nothing is skipped.
    #[error(
        "topic {topic}, offset {offset}: the record can not be read; run a version that knows it, or repair the topic"
    )]
    Decode {
        /// Topic.
        topic: TopicName,
        /// Offset.
        offset: i64,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A configuration that can not work.
    #[error("configuration: {0}")]
    Config(String),
}

impl Error {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Log(error) => error.kind(),
            Self::Doris(error) => error.kind(),
            Self::Control(error) => error.kind(),
            Self::Seal(_) | Self::Checkpoint { .. } | Self::Config(_) => ErrorKind::Invalid,
            Self::Decode { .. } => ErrorKind::Corrupt,
        }
    }

    /// The error with its causes, for status and logs.
    pub fn full_text(&self) -> String {
        full_text(self)
    }
}

/// An error with its causes in one line.
pub fn full_text(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
