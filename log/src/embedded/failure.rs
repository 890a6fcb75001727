//! Why a statement on the file failed. One failure may answer many callers, so it can be cloned; [`Error`] cannot.

use std::path::Path;
use std::sync::Arc;

use rusqlite::ErrorCode;

use crate::error::Error;

/// What went wrong, apart from who asked and for what.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// Stored bytes do not check out.
    Damaged(String),
    /// No space is left for the file.
    Full(Arc<rusqlite::Error>),
    /// This process does not own the file any more.
    Lost(String),
    /// Anything else, which may pass.
    Failed(Arc<dyn std::error::Error + Send + Sync>),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        match &error {
            rusqlite::Error::SqliteFailure(failure, _) => match failure.code {
                ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => {
                    Self::Damaged(format!("SQLite reports: {error}"))
                }
                // A row is where this process has written none: its index lies, or somebody else has written.
                ErrorCode::ConstraintViolation => Self::Damaged(format!(
                    "a row exists that this process has not written: {error}"
                )),
                ErrorCode::DiskFull => Self::Full(Arc::new(error)),
                _ => Self::Failed(Arc::new(error)),
            },
            // The types of our columns are fixed: another type, text that is no text and missing rows are changed bytes.
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::Utf8Error(..)
            | rusqlite::Error::QueryReturnedNoRows => {
                Self::Damaged(format!("a row has an impossible value: {error}"))
            }
            _ => Self::Failed(Arc::new(error)),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(Arc::new(error))
    }
}

impl Failure {
    /// Returns the error for a caller who wanted to `action` (a verb and an object) on the file at `path`.
    pub(super) fn at(&self, path: &Path, action: &str) -> Error {
        let path = path.display();
        match self {
            Self::Damaged(what) => Error::Corrupt(format!(
                "{what} (file {path}, while trying to {action}); bytes of the file have changed. If an events topic or a consumer group \
                 is named, run `ccr job resync` for the jobs of that topic or group. If none is named, or that fails as well, stop \
                 ccr, move {path}* away, start ccr and create the jobs again"
            )),
            Self::Full(source) => Error::DiskFull {
                action: format!("{action} in {path}"),
                source: Box::new(Arc::clone(source)),
            },
            Self::Lost(reason) => Error::LostOwnership(format!("{path}: {reason}")),
            Self::Failed(source) => Error::Unavailable {
                action: format!("{action} in {path}"),
                source: Box::new(Arc::clone(source)),
            },
        }
    }
}
