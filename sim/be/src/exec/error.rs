//! Why a fragment does not run to its end.

use dorisim_wire::TStatusCode;

use dorisim_model::backend::BeError;
use dorisim_net::agent::status::code_of;

/// What a query or load ends with. The frontend shows the text to its client.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// A plan node, sink, function or type that this backend does not know.
    #[error("{0} is not supported by this backend (dorisim)")]
    NotSupported(String),
    /// A plan that contradicts itself, or lacks something.
    #[error("the plan can not be run: {0}")]
    Plan(String),
    /// A value that an expression can not be computed from.
    #[error("{0}")]
    Value(String),
    /// More than a backend of this kind holds.
    #[error("{what} takes more than {limit}; this backend (dorisim) keeps whole results in memory")]
    TooMuch {
        /// What grew.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// The frontend wants it no more.
    #[error("{0}")]
    Cancelled(String),
    /// The time of the query is over.
    #[error("query timeout after {0} s")]
    Late(u64),
    /// A tablet.
    #[error(transparent)]
    Backend(#[from] BeError),
    /// Another backend.
    #[error("backend {address}: {reason}")]
    Peer {
        /// Its brpc address.
        address: String,
        /// What it said, or how the call failed.
        reason: String,
    },
}

impl ExecError {
    /// The number that goes with the text.
    #[must_use]
    pub fn code(&self) -> TStatusCode {
        match self {
            Self::NotSupported(_) => TStatusCode::NOT_IMPLEMENTED_ERROR,
            Self::Plan(_) | Self::Peer { .. } => TStatusCode::INTERNAL_ERROR,
            Self::Value(_) => TStatusCode::INVALID_ARGUMENT,
            Self::TooMuch { .. } => TStatusCode::MEM_LIMIT_EXCEEDED,
            Self::Cancelled(_) => TStatusCode::CANCELLED,
            Self::Late(_) => TStatusCode::TIMEOUT,
            Self::Backend(error) => code_of(error),
        }
    }
}

/// Shorthand for a plan that can not be run.
pub(super) fn plan(text: impl Into<String>) -> ExecError {
    ExecError::Plan(text.into())
}
