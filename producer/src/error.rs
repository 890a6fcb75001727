//! The crate's one error.

use std::time::Duration;

use ccr_control::{Problem, ProblemKind, ProblemPart};
use ccr_ops::ErrorKind;
use ccr_ops::task::Chain;
use ccr_schemas::codec::CodecError;
use thiserror::Error;

use crate::plan::Contradiction;

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
    /// An event cannot be written or read.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The source does not have the history that was published.
    #[error("source and log contradict each other: {reason} ({})", reason.meaning())]
    Contradiction {
        /// What the source says.
        reason: Contradiction,
        /// Since when, by the monotonic clock.
        since: Duration,
    },
    /// A part of a stream ended although the stream goes on. A programming error; the stream is started again.
    #[error("{0}; the stream is started again, please report this")]
    Ended(&'static str),
    /// The password of a job cannot be opened.
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
    /// Tables of which a snapshot is wanted do not exist at the source.
    #[error("snapshot of database {database}: the source has no table {tables}")]
    MissingTables {
        /// Database.
        database: String,
        /// Their names.
        tables: String,
    },
    /// Settings that cannot work.
    #[error("setting {field}: {problem}")]
    Config {
        /// Path of the field.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The Schema Registry.
    #[error("the schema registry did not accept the schema of events; check --schema-registry")]
    SchemaRegistry {
        /// Why.
        #[source]
        source: ccr_log::Error,
    },
}

impl Error {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Source { source, .. } => source.kind(),
            Self::Log(source) => source.kind(),
            Self::Codec(_) => ErrorKind::Corrupt,
            Self::Snapshot { .. } | Self::MissingTables { .. } => ErrorKind::Transient,
            Self::SchemaRegistry { source } => source.kind(),
            Self::Ended(_) => ErrorKind::Transient,
            Self::UnknownDatabase(_)
            | Self::Contradiction { .. }
            | Self::Seal { .. }
            | Self::Config { .. } => ErrorKind::Invalid,
        }
    }

    /// What it means for the status, since `now_ms`.
    pub fn problem(&self, now_ms: i64) -> Problem {
        let of = |part, kind| Problem::new(part, kind, self.chain(), now_ms);
        match self {
            Self::Source { source, .. } => {
                let cause = Problem::of_cluster(ProblemPart::Source, source, now_ms);
                Problem {
                    what: self.chain(),
                    ..cause
                }
            }
            Self::UnknownDatabase(_) => of(ProblemPart::Source, ProblemKind::DatabaseMissing),
            Self::Log(source) | Self::SchemaRegistry { source } => Problem {
                what: self.chain(),
                ..Problem::of_log(source, now_ms)
            },
            Self::Codec(_) => of(ProblemPart::Log, ProblemKind::Damaged),
            Self::Contradiction { .. } => of(ProblemPart::Source, ProblemKind::WentBack).advise(
                "check that the job's source address names the right cluster; if this lasts, the jobs of this stream halt, and \
                 `ccr job resync JOB` repairs each of them",
            ),
            Self::Seal { .. } | Self::Config { .. } => {
                of(ProblemPart::Producer, ProblemKind::Configuration)
            }
            Self::Snapshot { .. } => of(ProblemPart::Snapshot, ProblemKind::Failing),
            Self::MissingTables { .. } => of(ProblemPart::Snapshot, ProblemKind::Failing).advise(
                "create the tables at the source (the snapshot is then taken by itself), or delete the job and create it without them",
            ),
            Self::Ended(_) => of(ProblemPart::Producer, ProblemKind::Failing),
        }
    }

    /// Returns the error and everything behind it in one line, for statuses and logs.
    pub fn chain(&self) -> String {
        Chain(self).to_string()
    }
}
