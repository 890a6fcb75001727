//! One row per text or code that matters.

use ccr_ops::ErrorKind;

use super::*;

const PREFIX: &str = "errCode = 2, detailMessage = ";

#[test]
fn fe_refusals() {
    for (code, text, meaning) in [
        (
            2,
            "Access denied for user 'root@null' (using password: YES)",
            Refusal::AccessDenied,
        ),
        (
            2,
            "Access denied; you need (at least one of) the (LOAD) privilege(s) for this operation",
            Refusal::AccessDenied,
        ),
        (38, "", Refusal::AccessDenied),
        (
            2,
            "unknown database, database=shop",
            Refusal::UnknownDatabase,
        ),
        (2, "can't find db named: shop", Refusal::UnknownDatabase),
        (
            2,
            "can't find table id: 5 in db: shop",
            Refusal::UnknownTable,
        ),
        (2, "table not found, tableId=7", Refusal::UnknownTable),
        (2, "table not found, tableName=t", Refusal::UnknownTable),
        (2, "unknown table, table=t", Refusal::UnknownTable),
        (
            2,
            "get tableList write lock timeout, tableList=(1)",
            Refusal::LockTimeout,
        ),
        (74, "", Refusal::LockTimeout),
        (
            2,
            "Table t is in restore process. Can not load into it",
            Refusal::TableBusy,
        ),
        (
            2,
            "Table [t], Partition [p] is in restore process. Can not load into it",
            Refusal::TableBusy,
        ),
        (
            2,
            "current running txns on db 1 is 10000, larger than limit 10000",
            Refusal::TooManyRequests,
        ),
        (
            2,
            "current committed txns on table 1 is 500",
            Refusal::TooManyRequests,
        ),
        (16, "", Refusal::TooManyRequests),
        (
            2,
            "Can only run one backup or restore job of a database at same time , current running: label = L jobId = J, to run label = L2",
            Refusal::BackupBusy,
        ),
        (
            2,
            "Another backup or restore job is being submitted. Please wait and try again",
            Refusal::BackupBusy,
        ),
        (6, "(be1)[INTERNAL_ERROR]no enough space", Refusal::NoSpace),
        (4, "enable feature binlog is false", Refusal::FeatureOff),
        (60, "", Refusal::FeatureOff),
        (6, "", Refusal::Other),
        (2, "something new", Refusal::Other),
        (9999, "something new", Refusal::Other),
    ] {
        assert_eq!(
            refusal(TStatusCode(code), &format!("{PREFIX}{text}")),
            meaning,
            "{code} {text}"
        );
    }
}

#[test]
fn sql_refusals() {
    for (code, text, meaning) in [
        (1045, "Access denied for user 'x'", Refusal::AccessDenied),
        (
            1227,
            "Access denied; you need the (ADMIN) privilege(s)",
            Refusal::AccessDenied,
        ),
        (1049, "Unknown database 'd'", Refusal::UnknownDatabase),
        (1051, "Unknown table 'x'", Refusal::UnknownTable),
        (1146, "Table 'd.x' doesn't exist", Refusal::UnknownTable),
        (1050, "Table 'x' already exists", Refusal::AlreadyExists),
        (
            1054,
            "Unknown column 'c' in 'table list'",
            Refusal::UnknownColumn,
        ),
        (
            5064,
            "Unknown partition p in tablet",
            Refusal::UnknownPartition,
        ),
        (
            5064,
            "Another backup or restore job is being submitted. Please wait and try again",
            Refusal::BackupBusy,
        ),
        (
            1105,
            "errCode = 2, detailMessage = Table[t]'s state is not NORMAL. Do not allow doing ALTER ops",
            Refusal::TableBusy,
        ),
        (
            1105,
            "errCode = 2, detailMessage = Table [t] does not exist in db",
            Refusal::UnknownTable,
        ),
        (
            1105,
            "errCode = 2, detailMessage = Partition [p] does not exist",
            Refusal::UnknownPartition,
        ),
        (
            1105,
            "errCode = 2, detailMessage = Column[c] does not exist in table",
            Refusal::UnknownColumn,
        ),
        (
            1105,
            "errCode = 2, detailMessage = Duplicate partition name p",
            Refusal::AlreadyExists,
        ),
        // As an FE built from master of January 2026 sends them: the number says nothing.
        (
            1105,
            "errCode = 2, detailMessage = ALTER TABLE command denied to user 'u'@'127.0.0.1' for table 'd: t'",
            Refusal::AccessDenied,
        ),
        (
            1105,
            "errCode = 2, detailMessage = LOAD command denied to user 'u'@'127.0.0.1' for table 'd.t'",
            Refusal::AccessDenied,
        ),
        (
            1105,
            "errCode = 2, detailMessage = Permission denied: user ['u'@'%'] does not have privilege for [priv predicate: OR, \
             Admin_priv,Select_priv] command on [internal].[d].[t].[k]",
            Refusal::AccessDenied,
        ),
        (
            1105,
            "errCode = 2, detailMessage = Access denied for user 'u' to database 'd'",
            Refusal::AccessDenied,
        ),
        (
            1105,
            "errCode = 2, detailMessage = Unknown database 'd'",
            Refusal::UnknownDatabase,
        ),
        (
            1105,
            "errCode = 2, detailMessage = Unknown table 't' in d",
            Refusal::UnknownTable,
        ),
        (
            1105,
            "errCode = 2, detailMessage = errCode = 7, detailMessage = table not found, tableName=t",
            Refusal::UnknownTable,
        ),
        (
            1105,
            "errCode = 2, detailMessage = Table 't' already exists",
            Refusal::AlreadyExists,
        ),
        (1064, "Syntax error", Refusal::Other),
    ] {
        assert_eq!(sql_refusal(code, text), meaning, "{code} {text}");
    }
}

#[test]
fn labels() {
    let text = |status: &str| {
        format!(
            "{PREFIX}Label [ccr_j_i_1_99] has already been used, relate to txn [4711], status [{status}]."
        )
    };
    for (status, job_status, state) in [
        ("PREPARE", None, LabelState::Running),
        ("PREPARE", Some("RUNNING"), LabelState::Running),
        (
            "PRECOMMITTED",
            Some("PRECOMMITTED"),
            LabelState::Precommitted,
        ),
        ("PRECOMMITTED", None, LabelState::Precommitted),
        ("COMMITTED", None, LabelState::Finished),
        ("VISIBLE", Some(""), LabelState::Finished),
        ("VISIBLE", Some("FINISHED"), LabelState::Finished),
    ] {
        assert_eq!(
            label_holder(&text(status), job_status),
            (Some(TxnId(4711)), state),
            "{status}"
        );
    }
    assert_eq!(
        label_holder("", Some("FINISHED")),
        (None, LabelState::Finished)
    );
    assert_eq!(
        label_holder("relate to txn [x], status [", None),
        (None, LabelState::Running)
    );
}

#[test]
fn commits() {
    let outcome = |code, text: &str| commit_outcome(TStatusCode(code), &format!("{PREFIX}{text}"));
    assert_eq!(outcome(0, ""), Some(CommitOutcome::Committed));
    assert_eq!(outcome(14, ""), Some(CommitOutcome::VisibleLater));
    assert_eq!(
        outcome(
            2,
            "transaction commit successfully, BUT data will be visible later"
        ),
        Some(CommitOutcome::VisibleLater)
    );
    assert_eq!(
        outcome(2, "transaction [77] not found"),
        Some(CommitOutcome::NotFound)
    );
    assert_eq!(
        outcome(
            2,
            "transaction [77] is already aborted. abort reason: timeout by txn manager"
        ),
        Some(CommitOutcome::Aborted {
            reason: "timeout by txn manager".to_owned()
        })
    );
    let quorum = "Failed to commit txn 8, cause tablet 10116 succ replica num 1 < load required replica num 2. table 1, partition: [ id=2 ]";
    assert!(matches!(
        outcome(2, quorum),
        Some(CommitOutcome::QuorumMissed {
            tablet: Some(TabletId(10116)),
            ..
        })
    ));
    assert_eq!(outcome(2, "table not found, tableId=7"), None);
    assert_eq!(
        outcome(2, "could not find replica for tablet [1], backend [2]"),
        None
    );
}

#[test]
fn rollbacks() {
    for (code, text, expected) in [
        (0, "", Some(RollbackOutcome::Aborted)),
        (
            2,
            "transaction [7] is already COMMITTED, could not abort.",
            Some(RollbackOutcome::AlreadyCommitted),
        ),
        (
            2,
            "transaction [7] is already VISIBLE, could not abort.",
            Some(RollbackOutcome::AlreadyCommitted),
        ),
        (
            2,
            "transaction [7] is already aborted, abort reason: x",
            Some(RollbackOutcome::Aborted),
        ),
        (2, "transaction not found", Some(RollbackOutcome::NotFound)),
        (
            2,
            "transaction [7] not found",
            Some(RollbackOutcome::NotFound),
        ),
        (2, "table not found, tableId=1", None),
        (2, "transaction [x] not found", None),
    ] {
        assert_eq!(
            rollback_outcome(TStatusCode(code), &format!("{PREFIX}{text}")),
            expected,
            "{text}"
        );
    }
}

#[test]
fn show_transaction() {
    assert!(is_unknown_in_show_transaction(
        "transaction with id 4 does not exist"
    ));
    assert!(is_unknown_in_show_transaction(
        "transaction with label a does not exist"
    ));
    assert!(!is_unknown_in_show_transaction("Unknown database 'x'"));
    assert_eq!(txn_state("VISIBLE"), TxnState::Visible);
    assert_eq!(txn_state("NEW STATE"), TxnState::Unknown);
}

#[test]
fn ingests() {
    for (code, text, is_async, expected) in [
        (0, "", false, IngestOutcome::Done),
        (0, "", true, IngestOutcome::Queued),
        (
            72,
            "tablet 5 not found",
            false,
            IngestOutcome::TabletMissing,
        ),
        (
            71,
            "x",
            false,
            IngestOutcome::SourceUnreachable {
                text: "x".to_owned(),
            },
        ),
        (
            6,
            "(h)[E]get binlog info failed, binlog_version=7",
            false,
            IngestOutcome::SourceUnreachable {
                text: "(h)[E]get binlog info failed, binlog_version=7".to_owned(),
            },
        ),
        (
            6,
            "no enough space",
            false,
            IngestOutcome::Failed {
                text: "no enough space".to_owned(),
            },
        ),
    ] {
        assert_eq!(ingest_outcome(TStatusCode(code), text, is_async), expected);
    }
    assert_eq!(
        ingest_state(Some(TIngestBinlogStatus(3)), ""),
        IngestState::Done
    );
    assert_eq!(
        ingest_state(Some(TIngestBinlogStatus(5)), ""),
        IngestState::Doing
    );
    assert_eq!(
        ingest_state(Some(TIngestBinlogStatus(2)), ""),
        IngestState::NotFound
    );
    for status in [Some(0), Some(1), Some(4), Some(99), None] {
        let state = ingest_state(status.map(TIngestBinlogStatus), "why");
        assert_eq!(
            state,
            IngestState::Failed {
                text: "why".to_owned()
            },
            "{status:?}"
        );
    }
}

#[test]
fn why_a_restore_was_cancelled_tells_whether_it_passes() {
    for (text, meaning, kind) in [
        (
            "[COMMON_ERROR, msg: Failed to find enough backend, please check the replication num,replication tag and storage medium \
             and avail capacity of backends or maybe all be on same host.]",
            Refusal::TooFewBackends,
            ErrorKind::Unavailable,
        ),
        (
            "[COMMON_ERROR, msg: replication num should be less than the number of available backends. replication num is 3, \
             available backend num is 2]",
            Refusal::TooFewBackends,
            ErrorKind::Unavailable,
        ),
        (
            "[COMMON_ERROR, msg: Failed to create replicas for restore: TIMEDOUT, unfinished marks: (backendId = 10002, tabletId = 1)]",
            Refusal::BackendAway,
            ErrorKind::Unavailable,
        ),
        (
            "[COMMON_ERROR, msg: disk /d1 on backend 10002 exceed capacity limit]",
            Refusal::NoSpace,
            ErrorKind::Throttled,
        ),
        (
            "[COMMON_ERROR, msg: Table t's state is not NORMAL: SCHEMA_CHANGE]",
            Refusal::TableBusy,
            ErrorKind::Throttled,
        ),
        (
            "[COMMON_ERROR, msg: Not support to restore to local table t with colocate group.]",
            Refusal::SnapshotRefused,
            ErrorKind::Invalid,
        ),
        (
            "deserialize meta and job info failed, command: RESTORE",
            Refusal::SnapshotRefused,
            ErrorKind::Invalid,
        ),
        (
            "[COMMON_ERROR, msg: user cancelled, current state: DOWNLOADING]",
            Refusal::Other,
            ErrorKind::Transient,
        ),
        (
            "[COMMON_ERROR, msg: Table orders already exist but with different schema]",
            Refusal::AlreadyExists,
            ErrorKind::Conflict,
        ),
    ] {
        let found = restore_refusal(text);
        assert_eq!((found, found.kind()), (meaning, kind), "{text}");
    }
}

#[test]
fn long_texts_are_cut_between_characters() {
    let status = TStatus {
        status_code: TStatusCode::INTERNAL_ERROR,
        error_msgs: Some(vec![String::new(), "ä".repeat(5_000), "b".to_owned()]),
    };
    let text = text_of(&status);
    assert!(text.len() <= MAX_TEXT + 4 && text.ends_with(" ..."));
    assert_eq!(
        text_of(&TStatus {
            status_code: TStatusCode::OK,
            error_msgs: None
        }),
        ""
    );
}
