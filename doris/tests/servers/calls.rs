//! Calls against servers that redirect, die, hang, and answer nonsense.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use crate::fake::{Reaction, Thrift, client, dead_port, unknown_method, value, value_bytes};
use crate::messages::{assert_names, begin, binlogs, not_master, request, shop, status};
use ccr_doris::error::Refusal;
use ccr_doris::{BeginOutcome, BinlogPage, DorisCluster, Error, Frontend, Settings};
use ccr_doris_wire::{
    TBeginTxnRequest, TBeginTxnResult, TGetBinlogLagResult, TGetBinlogRequest, TGetBinlogResult,
    unset,
};
use ccr_schemas::{CommitSeq, DbId, TableId, TimestampMs, TxnId};

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
async fn binlogs_that_cannot_be_trusted_are_errors() {
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
async fn a_connection_that_the_frontend_ended_is_reported_although_the_call_succeeds() {
    let fe = Thrift::start(|seen, before| match before {
        0 => match value(seen, &binlogs(62, &[])) {
            Reaction::Send(bytes) => Reaction::SendAndClose(bytes),
            other => other,
        },
        _ => value(seen, &binlogs(62, &[])),
    })
    .await;
    let client = client(&[(fe.port, 1)]);
    client.get_binlog(&shop(), 1).await.unwrap();
    assert_eq!(client.interruptions(), 0);
    client.get_binlog(&shop(), 1).await.unwrap();
    assert_eq!(client.interruptions(), 1);
    for _ in 0..3 {
        client.get_binlog(&shop(), 1).await.unwrap();
    }
    assert_eq!(client.interruptions(), 1);
    drop(fe);
    client.get_binlog(&shop(), 1).await.unwrap_err();
    assert!(client.interruptions() > 1);
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
    let known = Arc::clone(&port);
    let first = Thrift::start(move |seen, _| {
        value(
            seen,
            &not_master("fe-internal", known.load(Ordering::SeqCst)),
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
