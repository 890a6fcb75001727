//! Statuses of answers.

use dorisim_wire::TStatusCode;

use super::pb::StatusPb;

/// All is well.
#[must_use]
pub fn ok() -> StatusPb {
    StatusPb {
        status_code: TStatusCode::OK.0,
        error_msgs: Vec::new(),
    }
}

/// A number and its text.
#[must_use]
pub fn of(status_code: i32, text: String) -> StatusPb {
    StatusPb {
        status_code,
        error_msgs: vec![text],
    }
}

/// A text as a backend of Doris writes it: `(host)[NAME]text`.
#[must_use]
pub fn text(host: &str, code: TStatusCode, text: &str) -> String {
    let name = match code {
        TStatusCode::CANCELLED => "CANCELLED",
        TStatusCode::NOT_IMPLEMENTED_ERROR => "NOT_IMPLEMENTED_ERROR",
        TStatusCode::MEM_LIMIT_EXCEEDED => "MEM_LIMIT_EXCEEDED",
        TStatusCode::TIMEOUT => "TIMEOUT",
        TStatusCode::INVALID_ARGUMENT => "INVALID_ARGUMENT",
        TStatusCode::NOT_FOUND => "NOT_FOUND",
        _ => "INTERNAL_ERROR",
    };
    format!("({host})[{name}]{text}")
}
