//! Calls against servers that redirect, die, hang, and answer nonsense.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use crate::fake::{Reaction, Seen, Thrift, client, dead_port, unknown_method, value, value_bytes};
use ccr_doris::error::Refusal;
use ccr_doris::{
    Backend, BackendEndpoint, BeginOutcome, BeginTxn, BinlogPage, BinlogPosition, CommitOutcome,
    CommitTxn, DorisCluster, Error, Frontend, IngestOutcome, IngestRequest, IngestState,
    RestoreSnapshot, Settings, TabletCommit,
};
use ccr_doris_wire::{
    TBeginTxnRequest, TBeginTxnResult, TBinlog, TBinlogType, TCommitTxnRequest, TCommitTxnResult,
    TGetBackendMetaResult, TGetBinlogLagResult, TGetBinlogRequest, TGetBinlogResult,
    TGetMasterTokenResult, TGetMetaResult, TGetSnapshotResult, TIngestBinlogRequest,
    TIngestBinlogResult, TIngestBinlogStatus, TNetworkAddress, TQueryIngestBinlogResult,
    TRestoreSnapshotRequest, TRestoreSnapshotResult, TStatus, TStatusCode, unset,
};
use ccr_schemas::{BackendId, CommitSeq, DbId, PartitionId, TableId, TabletId, TimestampMs, TxnId};
use thrift::protocol::{TBinaryInputProtocol, TInputProtocol, TSerializable};

fn status(code: i32, text: &str) -> Option<TStatus> {
    Some(TStatus {
        status_code: TStatusCode(code),
        error_msgs: (!text.is_empty()).then(|| vec![text.to_owned()]),
    })
}

fn binlogs(code: i32, seqs: &[i64]) -> TGetBinlogResult {
    let records = seqs.iter().map(|seq| TBinlog {
        commit_seq: Some(*seq),
        timestamp: Some(5),
        type_: Some(TBinlogType(4_711)),
        db_id: Some(1),
        table_ids: Some(vec![2]),
        data: Some("{}".to_owned()),
        ..unset()
    });
    TGetBinlogResult {
        status: status(code, ""),
        binlogs: (!seqs.is_empty()).then(|| records.collect()),
        ..unset()
    }
}

fn not_master(host: &str, port: u16) -> TGetBinlogResult {
    TGetBinlogResult {
        status: status(73, "FE is not master"),
        master_address: Some(TNetworkAddress {
            hostname: host.to_owned(),
            port: i32::from(port),
        }),
        ..unset()
    }
}

/// The request inside a call.
fn request<T: TSerializable>(seen: &Seen) -> T {
    let mut input = TBinaryInputProtocol::new(seen.bytes.as_slice(), true);
    input.read_message_begin().unwrap();
    assert_eq!(input.read_field_begin().unwrap().id, Some(1));
    T::read_from_in_protocol(&mut input).unwrap()
}

fn shop() -> BinlogPosition {
    BinlogPosition {
        database: "shop".to_owned(),
        table: None,
        after: CommitSeq(-1),
    }
}

fn begin() -> BeginTxn {
    BeginTxn {
        database: "shop".to_owned(),
        tables: vec![TableId(7)],
        label: "L".to_owned(),
        timeout: Duration::from_millis(600_500),
        sub_txns: 0,
    }
}

fn ingest() -> IngestRequest {
    IngestRequest {
        txn: TxnId(1),
        partition: PartitionId(2),
        tablet: TabletId(3),
        source_tablet: TabletId(4),
        source_version: 5,
        source_host: "src".to_owned(),
        source_http_port: 8040,
    }
}

/// The error names the server and the call.
fn assert_names(error: &Error, port: u16, call: &str) {
    let text = error.to_string();
    assert!(text.contains(&format!("127.0.0.1:{port}")), "{text}");
    assert!(text.contains(call), "{text}");
}

#[tokio::test]
async fn a_page_of_binlogs_over_one_connection() {
    let fe = Thrift::start(|seen, before| match before {
        0 => value(seen, &binlogs(0, &[11, 15])),
        1 => value(seen, &binlogs(62, &[])),
        2 => value(seen, &binlogs(61, &[9])),
        3 => value(seen, &binlogs(63, &[])),
        _ => value(seen, &binlogs(64, &[])),
    })
    .await;
    let client = client(&[(fe.port, 1)]);
    let BinlogPage::Records(records) = client.get_binlog(&shop(), 9_999).await.unwrap() else {
        panic!("records are expected");
    };
    assert_eq!(records[1].commit_seq, CommitSeq(15));
    assert_eq!(records[0].binlog_type, 4_711, "a type nobody knows");
    assert_eq!(records[0].timestamp, TimestampMs(5));
    assert_eq!(
        (records[0].db_id, records[0].table_ids.as_slice()),
        (DbId(1), &[TableId(2)][..])
    );
    for expected in [
        BinlogPage::CaughtUp,
        BinlogPage::TooOld {
            forgotten: CommitSeq(9),
        },
        BinlogPage::NoStream,
        BinlogPage::NoStream,
    ] {
        assert_eq!(client.get_binlog(&shop(), 1).await.unwrap(), expected);
    }
    assert!(fe.seen().iter().all(|seen| seen.connection == 0));
    let asked: TGetBinlogRequest = request(&fe.seen()[0]);
    assert_eq!(asked.num_acquired, Some(255));
    assert_eq!(asked.user_ip.as_deref(), Some("127.0.0.1"));
    assert_eq!(asked.passwd.as_deref(), Some("hidden-password"));
    assert_eq!(
        (asked.token, asked.table_id, asked.prev_commit_seq),
        (None, None, Some(-1))
    );
}

#[tokio::test]
async fn binlogs_that_can_not_be_trusted_are_errors() {
    for (code, seqs) in [(0, &[5, 5][..]), (0, &[6, 5]), (0, &[-1]), (61, &[])] {
        let fe = Thrift::start(move |seen, _| value(seen, &binlogs(code, seqs))).await;
        let error = client(&[(fe.port, 1)])
            .get_binlog(&shop(), 1)
            .await
            .unwrap_err();
        assert!(matches!(error, Error::Protocol { .. }), "{seqs:?}: {error}");
        assert_names(&error, fe.port, "getBinlog");
    }
}

#[tokio::test]
async fn the_master_is_followed_and_remembered() {
    let master = Thrift::start(|seen, _| value(seen, &binlogs(62, &[]))).await;
    let port = master.port;
    let follower =
        Thrift::start(move |seen, _| value(seen, &not_master("fe-internal", port))).await;
    let client = client(&[(follower.port, 1)]);
    for _ in 0..3 {
        assert_eq!(
            client.get_binlog(&shop(), 1).await.unwrap(),
            BinlogPage::CaughtUp
        );
    }
    assert_eq!(follower.seen().len(), 1);
    assert_eq!(master.seen().len(), 3);
}

#[tokio::test]
async fn without_an_address_the_other_fes_are_tried() {
    let master = Thrift::start(|seen, _| value(seen, &binlogs(62, &[]))).await;
    let follower = Thrift::start(|seen, _| value(seen, &not_master("", 0))).await;
    let dead = dead_port().await;
    let client = client(&[(follower.port, dead), (dead, dead), (master.port, dead)]);
    assert_eq!(
        client.get_binlog(&shop(), 1).await.unwrap(),
        BinlogPage::CaughtUp
    );
}

#[tokio::test]
async fn redirects_in_a_circle_end() {
    let port = Arc::new(AtomicU16::new(0));
    let told = Arc::clone(&port);
    let first = Thrift::start(move |seen, _| {
        value(
            seen,
            &not_master("fe-internal", told.load(Ordering::SeqCst)),
        )
    })
    .await;
    let back = first.port;
    let second = Thrift::start(move |seen, _| value(seen, &not_master("127.0.0.1", back))).await;
    port.store(second.port, Ordering::SeqCst);
    let dead = dead_port().await;
    let client = client(&[(second.port, dead), (first.port, dead)]);
    let error = client.get_binlog(&shop(), 1).await.unwrap_err();
    assert!(matches!(error, Error::NoMaster { .. }), "{error}");
    assert!(error.to_string().contains("FE is not master"), "{error}");
    assert!(first.seen().len() + second.seen().len() < 10);
}

#[tokio::test]
async fn a_dead_fe_is_named_and_passed_over() {
    let dead = dead_port().await;
    let error = client(&[(dead, dead)])
        .get_binlog(&shop(), 1)
        .await
        .unwrap_err();
    assert_names(&error, dead, "getBinlog");
    let alive = Thrift::start(|seen, _| value(seen, &binlogs(62, &[]))).await;
    let client = client(&[(dead, dead), (alive.port, dead)]);
    assert_eq!(
        client.get_binlog(&shop(), 1).await.unwrap(),
        BinlogPage::CaughtUp
    );
    assert_eq!(
        client.get_binlog(&shop(), 1).await.unwrap(),
        BinlogPage::CaughtUp
    );
}

#[tokio::test]
async fn a_kept_connection_that_the_server_closed_is_replaced() {
    let fe = Thrift::start(|seen, before| {
        let answer = value_bytes(seen, &binlogs(62, &[]));
        match before {
            0 => Reaction::SendAndClose(answer),
            // Takes the call, then breaks: on the kept connection only.
            2 => Reaction::Close,
            _ => Reaction::Send(answer),
        }
    })
    .await;
    let client = client(&[(fe.port, 1)]);
    for _ in 0..3 {
        assert_eq!(
            client.get_binlog(&shop(), 1).await.unwrap(),
            BinlogPage::CaughtUp
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(fe.seen().len(), 4);
}

#[tokio::test]
async fn a_begin_that_may_have_arrived_is_not_sent_twice() {
    let fe = Thrift::start(|seen, before| match before {
        0 => value(seen, &binlogs(62, &[])),
        _ => Reaction::Close,
    })
    .await;
    let client = client(&[(fe.port, 1)]);
    client.get_binlog(&shop(), 1).await.unwrap();
    let error = client.begin_txn(&begin()).await.unwrap_err();
    assert!(matches!(error, Error::Connection { .. }), "{error}");
    assert_names(&error, fe.port, "beginTxn");
    assert_eq!(fe.methods(), ["getBinlog", "beginTxn"]);
}

#[tokio::test]
async fn a_server_that_hangs_is_left_after_the_bound() {
    let fe = Thrift::start(|seen, before| match before {
        0 => Reaction::Hang,
        _ => value(
            seen,
            &TBeginTxnResult {
                status: status(0, ""),
                txn_id: Some(9),
                ..unset()
            },
        ),
    })
    .await;
    let client = client(&[(fe.port, 1)]);
    let error = client.begin_txn(&begin()).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    assert_names(&error, fe.port, "beginTxn");
    // The connection that hung is not used again: an answer on it could come late.
    let BeginOutcome::Begun { txn, .. } = client.begin_txn(&begin()).await.unwrap() else {
        panic!("begun is expected");
    };
    assert_eq!(txn, TxnId(9));
    assert_ne!(fe.seen()[0].connection, fe.seen()[1].connection);
    let sent: TBeginTxnRequest = request(&fe.seen()[1]);
    assert_eq!((sent.timeout, sent.sub_txn_num), (Some(601), None));
}

#[tokio::test]
async fn a_long_answer_may_last_as_long_as_it_goes_on() {
    let fe = Thrift::start(|seen, before| {
        let answer = value_bytes(seen, &binlogs(0, &[1]));
        let pause = [Duration::from_millis(200), Duration::from_secs(2)][before];
        Reaction::SendSlowly(answer, 4, pause)
    })
    .await;
    // Four pieces take longer than the bound of one.
    let bound = crate::fake::settings().timeouts.call;
    let client = client(&[(fe.port, dead_port().await)]);
    let begin = tokio::time::Instant::now();
    let page = client.get_binlog(&shop(), 1).await.unwrap();
    assert!(matches!(page, BinlogPage::Records(_)) && begin.elapsed() > bound);
    let error = client.get_binlog(&shop(), 1).await.unwrap_err();
    assert!(
        matches!(error, Error::Timeout { .. } | Error::NoMaster { .. }),
        "{error}"
    );
    assert_names(&error, fe.port, "getBinlog");
}

#[tokio::test]
async fn garbage_is_an_error_that_names_the_server() {
    let garbage: [&[u8]; 6] = [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        &[0; 64],
        &[0xff; 64],
        b"\x80\x01\x00\x02\xff\xff\xff\xff",
        b"\x80\x01\x00\x02\x00\x00\x00\x09getBinlog\x00\x00\x00\x01\x00",
        // A list of 2^31-1 elements without one of them.
        b"\x80\x01\x00\x02\x00\x00\x00\x09getBinlog\x00\x00\x00\x01\x0c\x00\x00\x0f\x00\x03\x0c\x7f\xff\xff\xff\x63\x00\x00",
    ];
    for bytes in garbage {
        let fe = Thrift::start(move |_, _| Reaction::SendAndClose(bytes.to_vec())).await;
        let error = client(&[(fe.port, 1)])
            .get_binlog(&shop(), 1)
            .await
            .unwrap_err();
        assert!(
            matches!(error, Error::Protocol { .. }),
            "{bytes:?}: {error}"
        );
        assert_names(&error, fe.port, "getBinlog");
    }
}

#[tokio::test]
async fn an_answer_without_status_or_cut_short_is_an_error() {
    let fe = Thrift::start(|seen, before| {
        let mut bytes = value_bytes(seen, &binlogs(0, &[1]));
        match before {
            0 => value(seen, &TGetBinlogResult { ..unset() }),
            _ => {
                bytes.truncate(bytes.len() - 3);
                Reaction::SendAndClose(bytes)
            }
        }
    })
    .await;
    let dead = dead_port().await;
    let client = client(&[(fe.port, dead)]);
    let error = client.get_binlog(&shop(), 1).await.unwrap_err();
    assert!(error.to_string().contains("no status"), "{error}");
    let error = client.get_binlog(&shop(), 1).await.unwrap_err();
    assert_names(&error, fe.port, "getBinlog");
}

#[tokio::test]
async fn long_answers_are_read_up_to_the_limit() {
    let fe = Thrift::start(|seen, _| {
        let mut page = binlogs(0, &[1]);
        page.binlogs.as_mut().unwrap()[0].data = Some("x".repeat(5_000_000));
        value(seen, &page)
    })
    .await;
    let address = crate::fake::address(&[(fe.port, 1)]);
    let with_limit = |max_message| {
        DorisCluster::with_settings(
            address.clone(),
            Settings {
                max_message,
                ..crate::fake::settings()
            },
        )
    };
    let BinlogPage::Records(records) = with_limit(6_000_000).get_binlog(&shop(), 1).await.unwrap()
    else {
        panic!("records are expected");
    };
    assert_eq!(records[0].data.len(), 5_000_000);
    let error = with_limit(1_000_000)
        .get_binlog(&shop(), 1)
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("limit of 1000000 bytes"),
        "{error}"
    );
}

#[tokio::test]
async fn old_servers_do_not_know_locks() {
    let fe = Thrift::start(|seen, _| unknown_method(seen)).await;
    let client = client(&[(fe.port, 1)]);
    assert_eq!(client.lock_binlog(&shop(), "me").await.unwrap(), None);
    let error = client.get_binlog_lag(&shop()).await.unwrap_err();
    assert_eq!(error.refusal(), Some(Refusal::UnknownMethod));
    assert_eq!(
        fe.seen().iter().filter(|seen| seen.connection == 0).count(),
        2
    );
}

#[tokio::test]
async fn lag_of_new_and_old_servers() {
    let fe = Thrift::start(|seen, before| {
        let lag = match before {
            0 => TGetBinlogLagResult {
                status: status(0, ""),
                lag: Some(0),
                first_commit_seq: Some(-1),
                last_commit_seq: Some(9),
                next_commit_seq: Some(0),
                next_binlog_timestamp: Some(0),
                ..unset()
            },
            1 => TGetBinlogLagResult {
                status: status(0, ""),
                lag: Some(3),
                ..unset()
            },
            _ => TGetBinlogLagResult {
                status: status(63, ""),
                ..unset()
            },
        };
        value(seen, &lag)
    })
    .await;
    let client = client(&[(fe.port, 1)]);
    let lag = client.get_binlog_lag(&shop()).await.unwrap().unwrap();
    assert_eq!(
        (lag.first, lag.last),
        (Some(CommitSeq(-1)), Some(CommitSeq(9)))
    );
    assert_eq!(
        (lag.next, lag.next_at),
        (None, None),
        "zeros mean caught up"
    );
    let lag = client.get_binlog_lag(&shop()).await.unwrap().unwrap();
    assert_eq!((lag.lag, lag.first, lag.last), (3, None, None));
    assert_eq!(client.get_binlog_lag(&shop()).await.unwrap(), None);
}

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

#[tokio::test]
async fn calls_to_one_server_share_a_bounded_number_of_connections() {
    let fe = Thrift::start(|seen, _| value(seen, &binlogs(62, &[]))).await;
    let settings = Settings {
        max_connections: 3,
        ..crate::fake::settings()
    };
    let client = DorisCluster::with_settings(crate::fake::address(&[(fe.port, 1)]), settings);
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let client = client.clone();
        calls.spawn(async move { client.get_binlog(&shop(), 1).await.unwrap() });
    }
    calls.join_all().await;
    assert_eq!(fe.seen().len(), 40);
    assert!(fe.seen().iter().all(|seen| seen.connection < 3));
}

#[tokio::test]
async fn secrets_are_not_shown() {
    let dead = dead_port().await;
    let client = client(&[(dead, dead)]);
    let error = client.get_binlog(&shop(), 1).await.unwrap_err();
    assert!(!format!("{client:?} {error:?} {error}").contains("hidden-password"));
}
