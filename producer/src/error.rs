//! The crate's one error.

use ccr_ops::ErrorKind;
use ccr_schemas::codec::CodecError;
use thiserror::Error;

use crate::plan::HaltReason;

/// What went wrong with a stream or with the service.
#[derive(Debug, Error)]
pub enum Error {
    /// The source cluster.
    #[error("source cluster, database {database}")]
    Source {
        /// Database.
        database: String,
        /// Why.
        #[source]
        source: ccr_doris::Error,
    },
    /// The source has no such database.
    #[error("the source cluster has no database {0}; create it, or delete the jobs that follow it")]
    UnknownDatabase(String),
    /// The log.
    #[error(transparent)]
    Log(#[from] ccr_log::Error),
    /// An event can not be written or read.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// Going on would mean guessing.
    #[error("{0}")]
    Halted(HaltReason),
    /// The password of a job can not be opened.
    #[error("password of source cluster {cluster}")]
    Seal {
        /// Source cluster name.
        cluster: String,
        /// Why.
        #[source]
        source: ccr_ops::secret::SealError,
    },
    /// A snapshot could not be taken.
    #[error("snapshot of database {database}: {what}")]
    Snapshot {
        /// Database.
        database: String,
        /// What failed, with the next step.
        what: String,
    },
    /// Another producer owns the stream now.
    #[error("another producer took over the stream of {source_name}.{database}")]
    Fenced {
        /// Source cluster name.
        source_name: String,
        /// Database.
        database: String,
    },
    /// Settings that can not work.
    #[error("setting {field}: {problem}")]
    Config {
        /// Path of the field.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The Schema Registry.
    #[error("the schema registry did not take the schema of events; check --schema-registry")]
    SchemaRegistry {
        /// Why.
        #[source]
        source: ccr_log::Error,
    },
    /// Jobs and statuses.
    #[error(transparent)]
    Control(#[from] ccr_control::Error),
}

impl Error {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Source { source, .. } => source.kind(),
            Self::Log(source) => source.kind(),
            Self::Control(source) => source.kind(),
            Self::Codec(_) => ErrorKind::Corrupt,
            Self::Snapshot { .. } => ErrorKind::Transient,
            Self::SchemaRegistry { source } => source.kind(),
            Self::Fenced { .. } => ErrorKind::Fenced,
            Self::UnknownDatabase(_)
            | Self::Halted(_)
            | Self::Seal { .. }
            | Self::Config { .. } => ErrorKind::Invalid,
        }
    }

    /// The error and everything behind it in one line, for statuses.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut next = std::error::Error::source(self);
        while let Some(source) = next {
            text.push_str(": ");
            text.push_str(&source.to_string());
            next = source.source();
        }
        text
    }
}
