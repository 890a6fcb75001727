//! Transactions, snapshots and ingest: what is sent, and what the answers mean.

use crate::fake::{Reaction, Thrift, client, dead_port, value};
use crate::messages::{assert_names, begin, ingest, request, status};
use ccr_doris::error::Refusal;
use ccr_doris::{
    Backend, BackendEndpoint, BeginOutcome, BeginTxn, CommitOutcome, CommitTxn, Error, Frontend,
    IngestOutcome, IngestState, RestoreSnapshot, TabletCommit,
};
use ccr_doris_wire::{
    TBeginTxnResult, TCommitTxnRequest, TCommitTxnResult, TGetBackendMetaResult,
    TGetMasterTokenResult, TGetMetaResult, TGetSnapshotResult, TIngestBinlogRequest,
    TIngestBinlogResult, TIngestBinlogStatus, TQueryIngestBinlogResult, TRestoreSnapshotRequest,
    TRestoreSnapshotResult, unset,
};
use ccr_schemas::{BackendId, TableId, TabletId, TimestampMs, TxnId};

#[tokio::test]
async fn transactions() {
    let fe = Thrift::start(|seen, before| {
        let taken = "Label [L] has already been used, relate to txn [77], status [VISIBLE].";
        match before {
            0 => value(
                seen,
                &TBeginTxnResult {
                    status: status(15, taken),
                    job_status: Some("FINISHED".to_owned()),
                    ..unset()
                },
            ),
            1 => value(
                seen,
                &TBeginTxnResult {
                    status: status(0, ""),
                    txn_id: Some(8),
                    ..unset()
                },
            ),
            2 => value(
                seen,
                &TBeginTxnResult {
                    status: status(
                        2,
                        "errCode = 7, detailMessage = can't find table id: 7 in db: shop",
                    ),
                    ..unset()
                },
            ),
            3 => value(
                seen,
                &TCommitTxnResult {
                    status: status(2, "errCode = 2, detailMessage = transaction [8] not found"),
                    ..unset()
                },
            ),
            _ => value(
                seen,
                &TCommitTxnResult {
                    status: status(2, "table not found, tableId=7"),
                    ..unset()
                },
            ),
        }
    })
    .await;
    let client = client(&[(fe.port, 1)]);
    assert_eq!(
        client.begin_txn(&begin()).await.unwrap(),
        BeginOutcome::LabelExists {
            txn: Some(TxnId(77)),
            state: ccr_doris::LabelState::Finished
        }
    );
    let with_subs = BeginTxn {
        sub_txns: 2,
        ..begin()
    };
    let error = client.begin_txn(&with_subs).await.unwrap_err();
    assert!(error.to_string().contains("sub-transactions"), "{error}");
    let error = client.begin_txn(&begin()).await.unwrap_err();
    assert_eq!(error.refusal(), Some(Refusal::UnknownTable));
    let commit = CommitTxn {
        database: "shop".to_owned(),
        txn: TxnId(8),
        commits: vec![TabletCommit {
            tablet: TabletId(3),
            backend: BackendId(4),
        }],
        sub_txns: Vec::new(),
        only_commit: false,
    };
    assert_eq!(
        client.commit_txn(&commit).await.unwrap(),
        CommitOutcome::NotFound
    );
    let error = client.commit_txn(&commit).await.unwrap_err();
    assert_eq!(error.refusal(), Some(Refusal::UnknownTable));
    let sent: TCommitTxnRequest = request(&fe.seen()[3]);
    assert_eq!(sent.commit_infos.unwrap()[0].backend_id, 4);
    assert_eq!(
        (
            sent.txn_insert,
            sent.only_commit,
            sent.token,
            sent.auth_code
        ),
        (None, None, None, None)
    );
}

#[tokio::test]
async fn snapshots_and_meta() {
    let fe = Thrift::start(|seen, before| match before {
        0 => value(
            seen,
            &TGetSnapshotResult {
                status: status(70, "snapshot L not exist"),
                ..unset()
            },
        ),
        1 => value(
            seen,
            &TGetSnapshotResult {
                status: status(0, ""),
                meta: Some(vec![0x1f, 0x8b, 0xff]),
                job_info: Some(vec![0x1f, 0x8b]),
                compressed: Some(true),
                expired_at: Some(99),
                ..unset()
            },
        ),
        2 => value(
            seen,
            &TRestoreSnapshotResult {
                status: status(0, ""),
                ..unset()
            },
        ),
        3 => value(
            seen,
            &TGetMetaResult {
                status: status(0, ""),
                ..unset()
            },
        ),
        4 => value(
            seen,
            &TGetMetaResult {
                status: status(6, ""),
                ..unset()
            },
        ),
        5 => value(
            seen,
            &TGetBackendMetaResult {
                status: status(0, ""),
                ..unset()
            },
        ),
        _ => value(
            seen,
            &TGetMasterTokenResult {
                status: status(38, "no"),
                ..unset()
            },
        ),
    })
    .await;
    let client = client(&[(fe.port, 1)]);
    assert!(client.get_snapshot("shop", "L").await.unwrap().is_none());
    let snapshot = client.get_snapshot("shop", "L").await.unwrap().unwrap();
    assert_eq!(snapshot.meta, [0x1f, 0x8b, 0xff], "bytes that are no text");
    assert!(snapshot.compressed);
    assert_eq!(
        (snapshot.expires_at, snapshot.commit_seq),
        (Some(TimestampMs(99)), None)
    );
    let restore = RestoreSnapshot {
        database: "copy".to_owned(),
        label: "L_r".to_owned(),
        tables: vec![("a".to_owned(), None)],
        job_info: snapshot.job_info,
        meta: snapshot.meta,
        compressed: true,
        properties: std::collections::BTreeMap::new(),
        clean_tables: false,
        clean_partitions: false,
        atomic: true,
        force_replace: false,
    };
    client.restore_snapshot(&restore).await.unwrap();
    let sent: TRestoreSnapshotRequest = request(&fe.seen()[2]);
    assert_eq!(
        sent.properties.unwrap().len(),
        0,
        "unset would be a null pointer"
    );
    assert_eq!(sent.repo_name.as_deref(), Some("__keep_on_local__"));
    assert_eq!(client.get_meta("none", None).await.unwrap(), None);
    let error = client
        .get_meta("shop", Some(&[TableId(1)]))
        .await
        .unwrap_err();
    assert_eq!(error.refusal(), Some(Refusal::Other));
    assert!(client.get_backends().await.unwrap().is_empty());
    let error = client.master_token().await.unwrap_err();
    assert_eq!(error.refusal(), Some(Refusal::AccessDenied));
}

#[tokio::test]
async fn ingest_on_backends() {
    let be = Thrift::start(|seen, before| match before {
        0 => value(
            seen,
            &TIngestBinlogResult {
                status: status(0, ""),
                is_async: Some(false),
            },
        ),
        1 => value(
            seen,
            &TIngestBinlogResult {
                status: status(72, "tablet 3 not found"),
                is_async: None,
            },
        ),
        2 => value(
            seen,
            &TQueryIngestBinlogResult {
                status: Some(TIngestBinlogStatus(5)),
                err_msg: None,
            },
        ),
        _ => Reaction::Hang,
    })
    .await;
    let client = client(&[(1, 1)]);
    let backend = BackendEndpoint {
        host: "fe-internal".to_owned(),
        port: be.port,
    };
    assert_eq!(
        client.ingest(&backend, &ingest()).await.unwrap(),
        IngestOutcome::Done
    );
    assert_eq!(
        client.ingest(&backend, &ingest()).await.unwrap(),
        IngestOutcome::TabletMissing
    );
    assert_eq!(
        client.query_ingest(&backend, &ingest()).await.unwrap(),
        IngestState::Doing
    );
    let error = client.ingest(&backend, &ingest()).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    assert_names(&error, be.port, "ingest_binlog");
    let sent: TIngestBinlogRequest = request(&be.seen()[0]);
    assert_eq!(sent.remote_port.as_deref(), Some("8040"));
    assert!(sent.load_id.is_some());
    let dead = dead_port().await;
    let nobody = BackendEndpoint {
        host: "127.0.0.1".to_owned(),
        port: dead,
    };
    let error = client.ingest(&nobody, &ingest()).await.unwrap_err();
    assert_names(&error, dead, "ingest_binlog");
}
