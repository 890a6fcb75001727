//! The crate's one error.

use ccr_ops::ErrorKind;
use thiserror::Error;

/// What went wrong with a call to Doris. Names the call, the address and the object.
#[derive(Debug, Error)]
pub enum Error {
    /// No connection, or it broke. The effect of the call is unknown.
    #[error("{call} at {address}: connection failed")]
    Connection {
        /// RPC or statement.
        call: String,
        /// Server.
        address: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No answer in time. The effect of the call is unknown.
    #[error("{call} at {address}: no answer in {seconds} s")]
    Timeout {
        /// RPC or statement.
        call: String,
        /// Server.
        address: String,
        /// Bound.
        seconds: u64,
    },
    /// The server answered with an error of which nobody needs the details. The call had no effect.
    #[error("{call} at {address} was refused ({code}): {text}")]
    Refused {
        /// RPC or statement (secrets and long texts removed).
        call: String,
        /// Server.
        address: String,
        /// Numeric status or MySQL error code.
        code: i64,
        /// What it means for the caller.
        cause: Refusal,
        /// The server's text.
        text: String,
    },
    /// None of the FEs is, or leads to, a master.
    #[error("no master FE found among {tried}; last answer: {last}")]
    NoMaster {
        /// Addresses tried.
        tried: String,
        /// Last answer.
        last: String,
    },
    /// The answer cannot be read.
    #[error("{call} at {address}: unreadable answer: {text}")]
    Protocol {
        /// RPC or statement.
        call: String,
        /// Server.
        address: String,
        /// What is wrong with it.
        text: String,
    },
}

/// Meaning of a refusal. Found from code and text in [`crate::status`] only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// Wrong password or missing privilege.
    AccessDenied,
    /// Database does not exist.
    UnknownDatabase,
    /// Table does not exist (any more).
    UnknownTable,
    /// Partition does not exist.
    UnknownPartition,
    /// Column does not exist.
    UnknownColumn,
    /// The object exists already.
    AlreadyExists,
    /// One backup or restore job per database at a time.
    BackupBusy,
    /// Table or partition is being restored or altered: wait.
    TableBusy,
    /// Too many transactions or tasks: back off.
    TooManyRequests,
    /// A lock was not obtained in time: repeat.
    LockTimeout,
    /// The server does not know the method (an old version).
    UnknownMethod,
    /// `enable_feature_binlog` is off.
    FeatureOff,
    /// Disk full.
    NoSpace,
    /// Not enough backends for the replicas. It passes when one is only away, and lasts when there are too few:
    /// [`crate::Frontend::get_backends`] tells.
    TooFewBackends,
    /// A backend, of this cluster or of the one that files are read from, cannot be reached.
    BackendAway,
    /// The server cannot read a snapshot, or can never restore it over what is there: another attempt fails the same way.
    SnapshotRefused,
    /// Anything else.
    Other,
}

impl Refusal {
    /// Returns what the caller should do.
    pub fn kind(self) -> ErrorKind {
        match self {
            Self::AccessDenied
            | Self::UnknownDatabase
            | Self::UnknownMethod
            | Self::FeatureOff
            | Self::SnapshotRefused => ErrorKind::Invalid,
            Self::UnknownTable
            | Self::UnknownPartition
            | Self::UnknownColumn
            | Self::AlreadyExists => ErrorKind::Conflict,
            Self::BackupBusy | Self::TableBusy | Self::TooManyRequests | Self::NoSpace => {
                ErrorKind::Throttled
            }
            Self::TooFewBackends | Self::BackendAway => ErrorKind::Unavailable,
            Self::LockTimeout | Self::Other => ErrorKind::Transient,
        }
    }
}

impl Error {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Connection { .. } | Self::Timeout { .. } | Self::NoMaster { .. } => {
                ErrorKind::Unavailable
            }
            Self::Protocol { .. } => ErrorKind::Transient,
            Self::Refused { cause, .. } => cause.kind(),
        }
    }

    /// The refusal's meaning, when it is one.
    pub fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Refused { cause, .. } => Some(*cause),
            Self::Connection { .. }
            | Self::Timeout { .. }
            | Self::NoMaster { .. }
            | Self::Protocol { .. } => None,
        }
    }
}
