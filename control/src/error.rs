//! The crate's one error.

use ccr_ops::ErrorKind;
use thiserror::Error;

/// What went wrong with a job definition, its storage, or the API.
#[derive(Debug, Error)]
pub enum Error {
    /// The log.
    #[error(transparent)]
    Log(#[from] ccr_log::Error),
    /// The job does not exist.
    #[error("job {0} not exist")]
    UnknownJob(String),
    /// The name is taken.
    #[error("job {0} already exist")]
    JobExists(String),
    /// The definition can not work.
    #[error("{0}")]
    Invalid(String),
    /// A cluster refused or is away.
    #[error("{side} cluster")]
    Doris {
        /// `source` or `destination`.
        side: &'static str,
        /// Why.
        #[source]
        source: ccr_doris::Error,
    },
    /// A stored record can not be read.
    #[error("cannot read record {key} of topic {topic}")]
    Decode {
        /// Topic.
        topic: String,
        /// Key.
        key: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// Sealing.
    #[error(transparent)]
    Seal(#[from] ccr_ops::secret::SealError),
}

impl Error {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Log(error) => error.kind(),
            Self::Doris { source, .. } => source.kind(),
            Self::Decode { .. } => ErrorKind::Corrupt,
            Self::UnknownJob(_) | Self::JobExists(_) | Self::Invalid(_) | Self::Seal(_) => {
                ErrorKind::Invalid
            }
        }
    }
}
