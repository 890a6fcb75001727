//! Why a load is refused: the backend's name of the status, and a text.

use std::fmt;

use dorisim_model::SqlError;

/// A refusal; shown as `[NAME]text`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) name: &'static str,
    pub(super) text: String,
}

impl Refusal {
    pub(super) fn new(name: &'static str, text: impl Into<String>) -> Self {
        Self {
            name,
            text: text.into(),
        }
    }

    pub(super) fn invalid(text: impl Into<String>) -> Self {
        Self::new("INVALID_ARGUMENT", text)
    }

    /// A refusal of the frontend, as it comes over Thrift.
    pub(super) fn analysis(text: impl fmt::Display) -> Self {
        Self::new(
            "ANALYSIS_ERROR",
            format!("TStatus: errCode = 2, detailMessage = {text}"),
        )
    }

    /// A database or table that is not there.
    pub(super) fn not_found(text: impl fmt::Display) -> Self {
        Self::new(
            "NOT_FOUND",
            format!("TStatus: errCode = 7, detailMessage = {text}"),
        )
    }
}

impl From<SqlError> for Refusal {
    fn from(error: SqlError) -> Self {
        Self::analysis(error.text)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}]{}", self.name, self.text)
    }
}
