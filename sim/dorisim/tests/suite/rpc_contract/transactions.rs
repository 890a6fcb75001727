//! beginTxn, commitTxn, rollbackTxn, waitingTxnStatus by their tables.

use dorisim::SimConfig;
use dorisim_wire::{TFrontendServiceSyncClient, TStatusCode, TUniqueId, TWaitingTxnStatusRequest};
use serde_json::json;

use crate::checklist_d1::{T, infos};
use crate::common::peer::{Peer, begin_request, code, commit_request, message, rollback_request};

async fn cluster(name: &str) -> (Peer, i64) {
    let mut peer = Peer::start(name, 1).await;
    peer.sql(T).await;
    let id = peer.table_id("t");
    (peer, id)
}

#[tokio::test(flavor = "multi_thread")]
async fn begin_answers_by_the_table() {
    let (mut fe, id) = cluster("begin").await;
    let begun = fe.begin(vec![id], "a:b-c_1");
    assert_eq!(code(&begun.status), TStatusCode::OK);
    assert_eq!((begun.db_id, begun.sub_txn_ids), (fe.meta().id, None));
    // The same request again is recognised by its id.
    let mut request = begin_request(vec![id], "retried");
    request.request_id = Some(TUniqueId::new(1, 2));
    let first = fe.fe.begin_txn(request.clone()).unwrap();
    let again = fe.fe.begin_txn(request.clone()).unwrap();
    assert_eq!(code(&again.status), TStatusCode::OK);
    assert_eq!((again.txn_id, again.db_id), (first.txn_id, None));
    request.request_id = Some(TUniqueId::new(1, 3));
    let other = fe.fe.begin_txn(request).unwrap();
    assert_eq!(code(&other.status), TStatusCode::LABEL_ALREADY_EXISTS);
    for label in ["a b", "x;y", &"\u{e4}".repeat(129)] {
        let refused = fe.begin(vec![id], label);
        assert_eq!(
            code(&refused.status),
            TStatusCode::ANALYSIS_ERROR,
            "{label}"
        );
    }
    fe.begin_ok(vec![id], &"x".repeat(128));
    for timeout in [-1, 259_201] {
        let mut request = begin_request(vec![id], "slow");
        request.timeout = Some(timeout);
        let refused = fe.fe.begin_txn(request).unwrap();
        assert_eq!(code(&refused.status), TStatusCode::ANALYSIS_ERROR);
        assert!(message(&refused.status).contains("Invalid timeout: "));
    }
    // Labels are per database, and free again once aborted or forgotten.
    fe.sql("CREATE DATABASE e").await;
    fe.sql(&T.replace("d.t", "e.t")).await;
    let mut elsewhere = begin_request(Vec::new(), "retried");
    elsewhere.db = Some("e".to_owned());
    assert_eq!(
        code(&fe.fe.begin_txn(elsewhere).unwrap().status),
        TStatusCode::OK
    );
    assert_eq!(fe.rollback(first.txn_id.unwrap()).0, TStatusCode::OK);
    fe.begin_ok(vec![id], "retried");
    fe.sql("ADMIN SET FRONTEND CONFIG (\"disable_load_job\" = \"true\")")
        .await;
    let refused = fe.begin(vec![id], "late");
    assert!(
        message(&refused.status)
            .contains("disable_load_job is set to true, all load jobs are prevented")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_running_transactions_are_refused() {
    let mut fe = Peer::bare(SimConfig {
        name: "many".to_owned(),
        backends: 1,
        frontend: dorisim::fe::FrontendConfig {
            max_running_txns: 2,
            ..dorisim::fe::FrontendConfig::default()
        },
        ..SimConfig::default()
    })
    .await;
    fe.sql("CREATE DATABASE d").await;
    fe.sql(T).await;
    let id = fe.table_id("t");
    fe.begin_ok(vec![id], "l1");
    let second = fe.begin_ok(vec![id], "l2");
    let refused = fe.begin(vec![id], "l3");
    assert_eq!(code(&refused.status), TStatusCode::ANALYSIS_ERROR);
    let db = fe.meta().id.unwrap();
    assert!(message(&refused.status).contains(&format!(
        "current running txns on db {db} is 2, larger than limit 2"
    )));
    fe.rollback(second);
    fe.begin_ok(vec![id], "l3");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_unpublished_transactions_of_a_table_are_refused() {
    let mut fe = Peer::bare(SimConfig {
        name: "publishing".to_owned(),
        backends: 1,
        frontend: dorisim::fe::FrontendConfig {
            max_publishing_txns_per_table: 1,
            ..dorisim::fe::FrontendConfig::default()
        },
        ..SimConfig::default()
    })
    .await;
    fe.sql("CREATE DATABASE d").await;
    fe.sql(T).await;
    let id = fe.table_id("t");
    let stuck = fe.begin_ok(vec![id], "stuck");
    let mut request = commit_request(stuck, infos(&mut fe, "t", &["p1"]));
    request.only_commit = Some(true);
    assert_eq!(
        code(&fe.fe.commit_txn(request).unwrap().status),
        TStatusCode::OK
    );
    let refused = fe.begin(vec![id], "next");
    assert_eq!(code(&refused.status), TStatusCode::ANALYSIS_ERROR);
    let wanted = format!("current committed txns on table {id} is 1, larger than limit 1");
    assert!(message(&refused.status).contains(&wanted));
    fe.begin_ok(Vec::new(), "elsewhere");
}

#[tokio::test(flavor = "multi_thread")]
async fn commit_answers_by_the_table() {
    let (mut fe, id) = cluster("commit").await;
    let empty = fe.begin_ok(vec![id], "empty");
    assert_eq!(
        fe.commit(empty, Vec::new()),
        (TStatusCode::OK, String::new()),
        "changes nothing"
    );
    assert_eq!(fe.commit(empty, Vec::new()).0, TStatusCode::OK, "a repeat");
    let aborted = fe.begin_ok(vec![id], "aborted");
    let mut rollback = rollback_request(aborted);
    rollback.reason = Some("of its own".to_owned());
    fe.fe.rollback_txn(rollback).unwrap();
    let (code_of, text) = fe.commit(aborted, Vec::new());
    assert_eq!(code_of, TStatusCode::ANALYSIS_ERROR);
    assert_eq!(
        text,
        format!(
            "errCode = 2, detailMessage = transaction [{aborted}] is already aborted. abort reason: of its own"
        )
    );
    let strange = fe.begin_ok(vec![id], "strange");
    let mut replicas = infos(&mut fe, "t", &["p1"]);
    replicas[0].backend_id = 99;
    let (_, text) = fe.commit(strange, replicas.clone());
    assert!(
        text.contains(&format!(
            "could not find replica for tablet [{}], backend [99]",
            replicas[0].tablet_id
        )),
        "{text}"
    );
    let mut unknown = replicas.clone();
    unknown
        .iter_mut()
        .for_each(|info| info.tablet_id += 1_000_000);
    assert_eq!(
        fe.commit(strange, unknown).0,
        TStatusCode::OK,
        "unknown tablets are ignored"
    );
    let orphan = fe.begin_ok(vec![id], "orphan");
    fe.sql("DROP TABLE d.t FORCE").await;
    let wanted = format!("errCode = 7, detailMessage = table not found, tableId={id}");
    assert_eq!(
        fe.commit(orphan, replicas),
        (TStatusCode::ANALYSIS_ERROR, wanted.clone())
    );
    assert_eq!(
        fe.rollback(orphan),
        (TStatusCode::ANALYSIS_ERROR, wanted),
        "it dies by its timeout"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn only_commit_does_not_wait_for_publish() {
    let (mut fe, id) = cluster("only").await;
    let txn = fe.begin_ok(vec![id], "only");
    let replicas = infos(&mut fe, "t", &["p1"]);
    let mut request = commit_request(txn, replicas);
    request.only_commit = Some(true);
    // No backend has anything of it, so it can not become visible.
    let answer = fe.fe.commit_txn(request).unwrap();
    assert_eq!(code(&answer.status), TStatusCode::OK);
    let shown = fe
        .last(
            &format!("SHOW TRANSACTION FROM d WHERE id = {txn}"),
            "TransactionStatus",
        )
        .await;
    assert_eq!(shown.as_deref(), Some("COMMITTED"));
    let (_, text) = fe.rollback(txn);
    assert_eq!(
        text,
        format!(
            "errCode = 2, detailMessage = transaction [{txn}] is already COMMITTED, could not abort."
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn rollback_answers_by_the_state() {
    let (mut fe, id) = cluster("rollback").await;
    let open = fe.begin_ok(vec![id], "open");
    assert_eq!(fe.rollback(open).0, TStatusCode::OK);
    assert_eq!(
        fe.rollback(open).1,
        "errCode = 2, detailMessage = transaction not found",
        "ABORTED"
    );
    let reason = fe
        .last(
            &format!("SHOW TRANSACTION FROM d WHERE id = {open}"),
            "Reason",
        )
        .await;
    assert_eq!(reason.as_deref(), Some("system cancel"));
    let visible = fe.begin_ok(vec![id], "visible");
    fe.commit(visible, Vec::new());
    let (code_of, text) = fe.rollback(visible);
    assert_eq!(code_of, TStatusCode::ANALYSIS_ERROR);
    assert_eq!(
        text, "errCode = 2, detailMessage = transaction not found",
        "VISIBLE, without id"
    );
    let (_, text) = fe.rollback(987);
    assert_eq!(
        text, "errCode = 2, detailMessage = transaction [987] not found",
        "unknown"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_txn_status_answers_by_the_state() {
    let (mut fe, id) = cluster("waiting").await;
    let db = fe.meta().id.unwrap();
    let mut waited = |db: i64, txn: Option<i64>, label: Option<&str>| {
        let label = label.map(str::to_owned);
        let request = TWaitingTxnStatusRequest::new(db, txn, label);
        let answer = fe.fe.waiting_txn_status(request).unwrap();
        (
            code(&answer.status),
            message(&answer.status),
            answer.txn_status_id,
        )
    };
    let ok = TStatusCode::OK;
    assert_eq!(
        waited(db, None, Some("never")),
        (ok, String::new(), Some(0))
    );
    let (unknown, text, _) = waited(db, Some(987), None);
    assert_eq!(unknown, TStatusCode::INTERNAL_ERROR);
    assert!(text.contains("txn does not exist: 987"), "{text}");
    let (unknown, ..) = waited(1, Some(987), None);
    assert_eq!(unknown, TStatusCode::INTERNAL_ERROR);
    let visible = fe.begin_ok(vec![id], "v");
    fe.commit(visible, Vec::new());
    let aborted = fe.begin_ok(vec![id], "a");
    let mut rollback = rollback_request(aborted);
    rollback.reason = Some("why".to_owned());
    fe.fe.rollback_txn(rollback).unwrap();
    let mut waited = |txn: Option<i64>, label: Option<&str>| {
        let label = label.map(str::to_owned);
        let request = TWaitingTxnStatusRequest::new(db, txn, label);
        let answer = fe.fe.waiting_txn_status(request).unwrap();
        (
            code(&answer.status),
            message(&answer.status),
            answer.txn_status_id,
        )
    };
    assert_eq!(waited(Some(visible), None), (ok, String::new(), Some(3)));
    assert_eq!(waited(None, Some("v")), (ok, String::new(), Some(3)));
    assert_eq!(
        waited(Some(aborted), None),
        (ok, "why".to_owned(), Some(4)),
        "the reason though it is OK"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prepared_transaction_times_out() {
    let (mut fe, id) = cluster("txn-timeout").await;
    let mut request = begin_request(vec![id], "short");
    request.timeout = Some(10);
    let txn = fe.fe.begin_txn(request).unwrap().txn_id.unwrap();
    fe.sim("clock", &json!({"advance_ms": 11_000})).await;
    fe.sim("gc", &json!({})).await;
    let (_, text) = fe.commit(txn, Vec::new());
    assert!(
        text.contains("is already aborted. abort reason: timeout by txn manager"),
        "{text}"
    );
}
