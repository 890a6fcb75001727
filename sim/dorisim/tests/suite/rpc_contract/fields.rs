//! Missing fields, unknown objects, the form of texts.

use dorisim_wire::{
    TCommitTxnRequest, TFrontendServiceSyncClient, TSnapshotType, TStatus, TStatusCode,
};

use super::{As, RPCS, call};
use crate::backup_restore::{Restore, restore_request, snapshot_request};
use crate::common::peer::{
    Peer, begin_request, binlog_request, code, commit_request, lock_request, message,
    rollback_request,
};

async fn cluster(name: &str) -> Peer {
    let mut peer = Peer::start(name, 1).await;
    peer.sql(crate::checklist_d1::T).await;
    peer.sql("CREATE VIEW d.v AS SELECT id FROM d.t").await;
    peer
}

#[tokio::test(flavor = "multi_thread")]
async fn user_passwd_and_db_have_to_be_set() {
    let mut fe = cluster("unset").await;
    let whole = As::user("root", "");
    for rpc in RPCS {
        let expected = if rpc == "getMasterToken" {
            TStatusCode::NOT_AUTHORIZED
        } else {
            TStatusCode::ANALYSIS_ERROR
        };
        let (code, text) = call(
            &mut fe.fe,
            rpc,
            As {
                user: None,
                ..whole
            },
        );
        assert_eq!(code, expected, "{rpc}");
        // The token's call takes what is missing as null.
        let unset = |member: &str| match rpc {
            "getMasterToken" => "(using password: YES)".to_owned(),
            _ => format!("{member} is not set"),
        };
        assert!(text.contains(&unset("user")), "{rpc}: {text}");
        let (code, text) = call(
            &mut fe.fe,
            rpc,
            As {
                passwd: None,
                ..whole
            },
        );
        assert_eq!(code, expected, "{rpc}");
        assert!(text.contains(&unset("passwd")), "{rpc}: {text}");
        if matches!(rpc, "getBackendMeta" | "getMasterToken") {
            continue;
        }
        let (code, text) = call(&mut fe.fe, rpc, As { db: None, ..whole });
        assert_eq!(code, TStatusCode::ANALYSIS_ERROR, "{rpc}");
        assert_eq!(text, "errCode = 2, detailMessage = db is not set", "{rpc}");
    }
}

fn says(status: &Option<TStatus>, wanted: &str) {
    assert_eq!(code(status), TStatusCode::ANALYSIS_ERROR, "{wanted}");
    assert_eq!(
        message(status),
        format!("errCode = 2, detailMessage = {wanted}")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_missing_field_is_named() {
    let mut peer = cluster("fields").await;
    let id = peer.table_id("t");
    let fe = &mut peer.fe;
    let mut begin = begin_request(vec![id], "l");
    begin.table_ids = None;
    says(&fe.begin_txn(begin).unwrap().status, "table ids is not set");
    let mut begin = begin_request(vec![id], "l");
    begin.label = None;
    says(&fe.begin_txn(begin).unwrap().status, "label is not set");
    says(
        &fe.begin_txn(begin_request(vec![id], "")).unwrap().status,
        "empty label in begin request",
    );

    let mut commit = commit_request(1, Vec::new());
    commit.txn_id = None;
    says(&fe.commit_txn(commit).unwrap().status, "txn_id is not set");
    let mut commit = commit_request(1, Vec::new());
    commit.commit_infos = None;
    says(
        &fe.commit_txn(commit.clone()).unwrap().status,
        "commit_infos is not set",
    );
    let commit = TCommitTxnRequest {
        txn_insert: Some(true),
        ..commit
    };
    says(
        &fe.commit_txn(commit).unwrap().status,
        "sub_txn_infos is not set",
    );
    let mut rollback = rollback_request(1);
    rollback.txn_id = None;
    says(
        &fe.rollback_txn(rollback).unwrap().status,
        "txn_id is not set",
    );

    let mut binlog = binlog_request(-1, None);
    binlog.prev_commit_seq = None;
    says(
        &fe.get_binlog(binlog.clone()).unwrap().status,
        "prev_commit_seq is not set",
    );
    says(
        &fe.get_binlog_lag(binlog).unwrap().status,
        "prev_commit_seq is not set",
    );
    let mut lock = lock_request("x", None);
    lock.job_unique_id = None;
    says(
        &fe.lock_binlog(lock).unwrap().status,
        "job_unique_id is not set",
    );

    let mut snapshot = snapshot_request("x");
    snapshot.label_name = None;
    says(
        &fe.get_snapshot(snapshot).unwrap().status,
        "label_name is not set",
    );
    let mut snapshot = snapshot_request("x");
    snapshot.snapshot_name = None;
    says(
        &fe.get_snapshot(snapshot).unwrap().status,
        "snapshot_name is not set",
    );
    let mut snapshot = snapshot_request("x");
    snapshot.snapshot_type = None;
    says(
        &fe.get_snapshot(snapshot.clone()).unwrap().status,
        "snapshot_type is not set",
    );
    snapshot.snapshot_type = Some(TSnapshotType::REMOTE);
    says(
        &fe.get_snapshot(snapshot).unwrap().status,
        "snapshot_type is not LOCAL",
    );

    let info = serde_json::json!({});
    let whole = || restore_request(&Restore::new("r"), b"m".to_vec(), &info);
    let mut restore = whole();
    restore.label_name = None;
    says(
        &fe.restore_snapshot(restore).unwrap().status,
        "label_name is not set",
    );
    let mut restore = whole();
    restore.repo_name = None;
    says(
        &fe.restore_snapshot(restore).unwrap().status,
        "repo_name is not set",
    );
    let mut restore = whole();
    restore.meta = None;
    says(
        &fe.restore_snapshot(restore).unwrap().status,
        "meta is not set",
    );
    let mut restore = whole();
    restore.job_info = None;
    says(
        &fe.restore_snapshot(restore).unwrap().status,
        "job_info is not set",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_databases_and_tables_are_named() {
    let mut peer = cluster("objects").await;
    let id = peer.table_id("t");
    let nodb = As {
        db: Some("nodb"),
        ..As::user("root", "")
    };
    for rpc in [
        "commitTxn",
        "rollbackTxn",
        "getBinlog",
        "getBinlogLag",
        "lockBinlog",
    ] {
        let (code, text) = call(&mut peer.fe, rpc, nodb);
        assert_eq!(code, TStatusCode::ANALYSIS_ERROR, "{rpc}");
        assert!(text.starts_with("errCode = "), "{rpc}: {text}");
        assert!(
            text.contains("unknown database, database=nodb"),
            "{rpc}: {text}"
        );
    }
    let (code, text) = call(
        &mut peer.fe,
        "beginTxn",
        As {
            tables: &[1],
            ..nodb
        },
    );
    assert_eq!(code, TStatusCode::ANALYSIS_ERROR);
    assert!(text.contains("can't find db named: nodb"), "{text}");
    let (_, text) = call(
        &mut peer.fe,
        "beginTxn",
        As {
            tables: &[id, 4_711],
            ..As::user("root", "")
        },
    );
    assert!(
        text.contains("can't find table id: 4711 in db: d"),
        "{text}"
    );
    for rpc in ["getBinlog", "getBinlogLag", "lockBinlog"] {
        let (code, text) = call(
            &mut peer.fe,
            rpc,
            As {
                table: Some("nope"),
                ..As::user("root", "")
            },
        );
        assert_eq!(code, TStatusCode::ANALYSIS_ERROR);
        assert_eq!(
            text, "errCode = 7, detailMessage = table not found, tableName=nope",
            "{rpc}"
        );
        let (_, text) = call(
            &mut peer.fe,
            rpc,
            As {
                table: Some("v"),
                ..As::user("root", "")
            },
        );
        assert_eq!(
            text, "errCode = 7, detailMessage = table type is not OLAP, tableName=v, type=VIEW",
            "{rpc}"
        );
    }
    let (code, text) = call(&mut peer.fe, "getMeta", nodb);
    assert_eq!((code, text.as_str()), (TStatusCode::OK, ""), "not an error");
    let answer = peer
        .fe
        .get_meta(crate::common::peer::meta_request("nodb"))
        .unwrap();
    assert_eq!(answer.db_meta, None);
}
