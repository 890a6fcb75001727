//! Server text and status code -> meaning. The only place where server texts are matched.
//!
//! Texts are matched by "contains", because FEs put prefixes (`errCode = 2, detailMessage = `) and suffixes around them.
//! Read in Doris master (January 2026), 4.0.1 and master of November 2024.

use ccr_doris_wire::{TIngestBinlogStatus, TStatus, TStatusCode};
use ccr_schemas::{TabletId, TxnId};

use crate::backend::{IngestOutcome, IngestState};
use crate::error::Refusal;
use crate::frontend::{CommitOutcome, LabelState, RollbackOutcome, TxnState};

/// Longest server text that is kept; restore errors repeat the whole statement.
const MAX_TEXT: usize = 2_000;

/// The texts of a status in one line, cut to a length that fits a log.
pub fn text_of(status: &TStatus) -> String {
    let joined = status
        .error_msgs
        .as_deref()
        .unwrap_or_default()
        .iter()
        .map(|text| text.trim())
        .filter(|text| !text.is_empty())
        .collect::<Vec<_>>()
        .join("; ");
    cut(&joined)
}

/// Cuts a text to a length that fits a log.
pub fn cut(text: &str) -> String {
    if text.len() <= MAX_TEXT {
        return text.to_owned();
    }
    let end = (0..=MAX_TEXT)
        .rev()
        .find(|end| text.is_char_boundary(*end))
        .unwrap_or(0);
    format!("{} ...", &text[..end])
}

/// Meaning of a refusal by a FE call.
pub fn refusal(code: TStatusCode, text: &str) -> Refusal {
    match code {
        TStatusCode::NOT_AUTHORIZED => Refusal::AccessDenied,
        TStatusCode::NOT_IMPLEMENTED_ERROR => Refusal::UnknownMethod,
        TStatusCode::BINLOG_DISABLE => Refusal::FeatureOff,
        TStatusCode::OBTAIN_LOCK_FAILED => Refusal::LockTimeout,
        TStatusCode::TOO_MANY_TASKS => Refusal::TooManyRequests,
        TStatusCode::ALREADY_EXIST | TStatusCode::LABEL_ALREADY_EXISTS => Refusal::AlreadyExists,
        _ => text_refusal(text),
    }
}

/// Meaning of a MySQL error packet. An FE of January 2026 sends 1105 for nearly every refusal, so that the text decides.
pub fn sql_refusal(code: u16, text: &str) -> Refusal {
    match code {
        1044 | 1045 | 1142 | 1143 | 1227 | 1370 => Refusal::AccessDenied,
        1049 => Refusal::UnknownDatabase,
        1051 | 1146 => Refusal::UnknownTable,
        1054 => Refusal::UnknownColumn,
        1007 | 1050 | 1060 | 1061 => Refusal::AlreadyExists,
        1040 | 1203 | 1226 => Refusal::TooManyRequests,
        1205 => Refusal::LockTimeout,
        // 1105, 5064 and others are general: the text says it.
        _ => text_refusal(text),
    }
}

/// `(text core, meaning)`, first match wins.
const TEXTS: &[(&str, Refusal)] = &[
    (
        "Can only run one backup or restore job",
        Refusal::BackupBusy,
    ),
    (
        "Another backup or restore job is being submitted",
        Refusal::BackupBusy,
    ),
    ("Failed to find enough backend", Refusal::TooFewBackends),
    (
        "should be less than the number of available backends",
        Refusal::TooFewBackends,
    ),
    ("is in restore process", Refusal::TableBusy),
    ("atomic restore state", Refusal::TableBusy),
    ("state is not NORMAL", Refusal::TableBusy),
    ("is not NORMAL", Refusal::TableBusy),
    ("current running txns on db", Refusal::TooManyRequests),
    ("current committed txns on table", Refusal::TooManyRequests),
    ("Reach limit of connections", Refusal::TooManyRequests),
    ("write lock timeout", Refusal::LockTimeout),
    ("get lock timeout", Refusal::LockTimeout),
    ("lock failed", Refusal::LockTimeout),
    ("no enough space", Refusal::NoSpace),
    ("exceed capacity limit", Refusal::NoSpace),
    ("Access denied", Refusal::AccessDenied),
    ("command denied to user", Refusal::AccessDenied),
    ("Permission denied: user", Refusal::AccessDenied),
    ("enable feature binlog is false", Refusal::FeatureOff),
    ("binlog feature is not enabled", Refusal::FeatureOff),
    ("Invalid method name", Refusal::UnknownMethod),
    ("unknown database", Refusal::UnknownDatabase),
    ("Unknown database", Refusal::UnknownDatabase),
    ("can't find db named", Refusal::UnknownDatabase),
    ("can't find table id", Refusal::UnknownTable),
    ("table not found", Refusal::UnknownTable),
    ("unknown table", Refusal::UnknownTable),
    ("Unknown table", Refusal::UnknownTable),
    ("Unknown partition", Refusal::UnknownPartition),
    ("does not have partition named", Refusal::UnknownPartition),
    ("partition does not exist", Refusal::UnknownPartition),
    ("Unknown column", Refusal::UnknownColumn),
    ("Column does not exist", Refusal::UnknownColumn),
    ("already exist", Refusal::AlreadyExists),
    ("Duplicate partition name", Refusal::AlreadyExists),
];

/// As `TEXTS`, for texts about a restore: of the call that starts it, or of SHOW RESTORE when its job was cancelled
/// (`RestoreJob`, `RestoreCommand` and the download tasks of a BE).
const RESTORE_TEXTS: &[(&str, Refusal)] = &[
    ("meta and job info failed", Refusal::SnapshotRefused),
    // An FE of another line takes the bytes of the meta for a length.
    ("Java heap space", Refusal::SnapshotRefused),
    ("Unknown restore job properties", Refusal::SnapshotRefused),
    ("with colocate group", Refusal::SnapshotRefused),
    ("Only support restore OLAP table", Refusal::SnapshotRefused),
    (
        "but a different type of backup meta",
        Refusal::SnapshotRefused,
    ),
    (
        "should be same as type of remote table",
        Refusal::SnapshotRefused,
    ),
    ("binlog<Row> enabled", Refusal::SnapshotRefused),
    ("with temp partitions", Refusal::TableBusy),
    ("Failed to create replicas", Refusal::BackendAway),
    ("create replicas timeout", Refusal::BackendAway),
    ("BAD_CONNECTION", Refusal::BackendAway),
    ("Connection refused", Refusal::BackendAway),
    ("connect to server", Refusal::BackendAway),
    ("Timeout was reached", Refusal::BackendAway),
    ("error sending request", Refusal::BackendAway),
];

/// Returns the meaning of a refusal to restore, or of the reason for which a restore job was cancelled.
pub fn restore_refusal(text: &str) -> Refusal {
    match RESTORE_TEXTS.iter().find(|(core, _)| text.contains(core)) {
        Some((_, meaning)) => *meaning,
        None => text_refusal(text),
    }
}

fn text_refusal(text: &str) -> Refusal {
    if let Some((_, meaning)) = TEXTS.iter().find(|(core, _)| text.contains(core)) {
        return *meaning;
    }
    // ``Table `t` does not exist`` and its kin: the object's kind is in front, its name in between.
    if text.contains("does not exist") || text.contains("doesn't exist") {
        for (kind, meaning) in [
            ("artition", Refusal::UnknownPartition),
            ("olumn", Refusal::UnknownColumn),
            ("able", Refusal::UnknownTable),
            ("atabase", Refusal::UnknownDatabase),
        ] {
            if text.contains(kind) {
                return meaning;
            }
        }
    }
    Refusal::Other
}

/// Who holds a label: `Label [L] has already been used, relate to txn [N], status [S].` The numeric id is in the text alone.
pub fn label_holder(text: &str, job_status: Option<&str>) -> (Option<TxnId>, LabelState) {
    let txn = bracketed_after(text, "relate to txn [").and_then(|id| id.parse().ok());
    let state = job_status
        .filter(|status| !status.is_empty())
        .or_else(|| bracketed_after(text, "status ["));
    let state = match state {
        Some("FINISHED" | "COMMITTED" | "VISIBLE") => LabelState::Finished,
        Some("PRECOMMITTED") => LabelState::Precommitted,
        // PREPARE, RUNNING, and whatever is not known: the safe reading is "not applied yet, ask".
        Some(_) | None => LabelState::Running,
    };
    (txn.map(TxnId), state)
}

/// The outcome of commitTxn; `None` when the status is a refusal of another kind.
pub fn commit_outcome(code: TStatusCode, text: &str) -> Option<CommitOutcome> {
    match code {
        TStatusCode::OK => return Some(CommitOutcome::Committed),
        TStatusCode::PUBLISH_TIMEOUT => return Some(CommitOutcome::VisibleLater),
        _ => {}
    }
    if text.contains("data will be visible later") {
        Some(CommitOutcome::VisibleLater)
    } else if text.contains("is already aborted") {
        let reason = text
            .split_once("abort reason:")
            .map_or(text, |(_, reason)| reason);
        Some(CommitOutcome::Aborted {
            reason: reason.trim().to_owned(),
        })
    } else if is_txn_not_found(text) {
        Some(CommitOutcome::NotFound)
    } else if text.contains("succ replica num") || text.contains("load required replica num") {
        let tablet = text
            .split_once("cause tablet ")
            .and_then(|(_, rest)| leading_number(rest))
            .map(TabletId);
        Some(CommitOutcome::QuorumMissed {
            tablet,
            text: text.to_owned(),
        })
    } else {
        None
    }
}

/// The outcome of rollbackTxn; `None` when the status is a refusal of another kind.
pub fn rollback_outcome(code: TStatusCode, text: &str) -> Option<RollbackOutcome> {
    if code == TStatusCode::OK || text.contains("is already aborted") {
        Some(RollbackOutcome::Aborted)
    } else if text.contains("is already COMMITTED") || text.contains("is already VISIBLE") {
        Some(RollbackOutcome::AlreadyCommitted)
    } else if is_txn_not_found(text) {
        // Also the answer for a transaction that is visible: only the state tells.
        Some(RollbackOutcome::NotFound)
    } else {
        None
    }
}

/// `transaction [N] not found`, `transaction not found`, `txn does not exist: N`.
pub fn is_txn_not_found(text: &str) -> bool {
    text.contains("transaction not found")
        || text.contains("txn does not exist")
        || text
            .split("transaction [")
            .skip(1)
            .any(|rest| after_number(rest).is_some_and(|rest| rest.starts_with("] not found")))
}

/// `SHOW TRANSACTION` of an id or label that the server does not know (any more).
pub fn is_unknown_in_show_transaction(text: &str) -> bool {
    text.contains("transaction with id") && text.contains("does not exist")
        || text.contains("transaction with label") && text.contains("does not exist")
        || is_txn_not_found(text)
}

/// Column `TransactionStatus`.
pub fn txn_state(text: &str) -> TxnState {
    match text.trim() {
        "PREPARE" => TxnState::Prepare,
        "PRECOMMITTED" => TxnState::Precommitted,
        "COMMITTED" => TxnState::Committed,
        "VISIBLE" => TxnState::Visible,
        "ABORTED" => TxnState::Aborted,
        _ => TxnState::Unknown,
    }
}

/// The outcome of ingest_binlog.
pub fn ingest_outcome(code: TStatusCode, text: &str, is_async: bool) -> IngestOutcome {
    match code {
        TStatusCode::OK if is_async => IngestOutcome::Queued,
        TStatusCode::OK => IngestOutcome::Done,
        TStatusCode::TABLET_MISSING => IngestOutcome::TabletMissing,
        TStatusCode::HTTP_ERROR | TStatusCode::NETWORK_ERROR => IngestOutcome::SourceUnreachable {
            text: text.to_owned(),
        },
        _ if SOURCE_TEXTS.iter().any(|core| text.contains(core)) => {
            IngestOutcome::SourceUnreachable {
                text: text.to_owned(),
            }
        }
        _ => IngestOutcome::Failed {
            text: text.to_owned(),
        },
    }
}

/// Texts of the source BE, repeated by the destination BE.
const SOURCE_TEXTS: &[&str] = &[
    "get binlog info failed",
    "get rowset meta failed",
    "file not exist",
    "tablet is not exist",
];

/// Returns the state that query_ingest_binlog reports.
pub fn ingest_state(status: Option<TIngestBinlogStatus>, text: &str) -> IngestState {
    match status {
        Some(TIngestBinlogStatus::OK) => IngestState::Done,
        Some(TIngestBinlogStatus::DOING) => IngestState::Doing,
        Some(TIngestBinlogStatus::NOT_FOUND) => IngestState::NotFound,
        // Unset, 0 and unknown numbers are errors: success has its own number.
        Some(_) | None => IngestState::Failed {
            text: text.to_owned(),
        },
    }
}

fn bracketed_after<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (_, rest) = text.rsplit_once(prefix)?;
    let (inside, _) = rest.split_once(']')?;
    Some(inside)
}

fn leading_number(text: &str) -> Option<i64> {
    let rest = after_number(text)?;
    text[..text.len() - rest.len()].parse().ok()
}

/// What follows the digits at the start; `None` without digits.
fn after_number(text: &str) -> Option<&str> {
    let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
    (rest.len() < text.len()).then_some(rest)
}

#[cfg(test)]
mod tests;
