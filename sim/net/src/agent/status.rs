//! Refusals of a backend to and from `TStatus`.

use dorisim_wire::{TStatus, TStatusCode};

use dorisim_model::backend::BeError;

/// OK without messages.
pub fn ok() -> TStatus {
    TStatus::new(TStatusCode::OK, None)
}

/// The code that Doris' backends answer for a refusal.
pub fn code_of(error: &BeError) -> TStatusCode {
    match error {
        BeError::TabletMissing { .. } => TStatusCode::TABLET_MISSING,
        BeError::VersionMerged { .. } => TStatusCode::OLAP_ERR_VERSION_ALREADY_MERGED,
        BeError::SnapshotMissing { .. } => TStatusCode::NOT_FOUND,
        BeError::Download { .. } => TStatusCode::HTTP_ERROR,
        BeError::Corrupt(_) | BeError::MetaStore { .. } => TStatusCode::CORRUPTION,
        BeError::Io { .. } => TStatusCode::IO_ERROR,
        BeError::Refused { code, .. } => TStatusCode(*code),
        // Doris has a code below zero for too many transactions; on the wire all of those are INTERNAL_ERROR.
        BeError::Down { .. }
        | BeError::VersionMissing { .. }
        | BeError::TooManyTransactions { .. }
        | BeError::Injected(_) => TStatusCode::INTERNAL_ERROR,
    }
}

/// The status of a refusal.
pub fn status_of(error: &BeError) -> TStatus {
    TStatus::new(code_of(error), vec![error.to_string()])
}

/// Nothing for OK, else the refusal that a backend meant. Codes without a variant of their own become
/// [`BeError::Refused`].
pub fn refusal(status: &TStatus, tablet_id: i64, backend_id: i64) -> Option<BeError> {
    let message = || status.error_msgs.clone().unwrap_or_default().join("; ");
    Some(match status.status_code {
        TStatusCode::OK => return None,
        TStatusCode::TABLET_MISSING => BeError::TabletMissing {
            tablet_id,
            backend_id,
        },
        TStatusCode::OLAP_ERR_VERSION_ALREADY_MERGED => BeError::VersionMerged {
            tablet_id,
            asked: -1,
        },
        other => BeError::Refused {
            code: other.0,
            message: message(),
        },
    })
}
