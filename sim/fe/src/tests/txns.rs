use std::time::{Duration, Instant};

use super::{World, cells};
use crate::api::{
    BeginTxn, CommitTxn, Committed, LoadRequest, MetaRequest, StatusCode, StreamKey, TxnKey,
    TxnStatus,
};
use dorisim_model::backend::BackendApi;

async fn table(w: &World, buckets: u32) -> (i64, i64, Vec<i64>) {
    w.sql(&format!(
        "CREATE TABLE t (k INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS {buckets}"
    ))
    .await;
    let meta =
        w.fe.get_meta(&MetaRequest {
            db: Some("d".to_owned()),
            ..MetaRequest::default()
        })
        .unwrap();
    let table = &meta.tables[0];
    let partition = &table.partitions[0];
    (
        table.id,
        partition.id,
        partition.indexes[0].tablets.iter().map(|t| t.id).collect(),
    )
}

fn begin(w: &World, label: &str, tables: Vec<i64>) -> i64 {
    let request = BeginTxn {
        db: "d".to_owned(),
        label: label.to_owned(),
        table_ids: tables,
        ..BeginTxn::default()
    };
    w.fe.begin_txn(request).unwrap().txn_id
}

fn write(w: &World, txn: i64, partition: i64, tablets: &[i64]) -> Vec<(i64, i64)> {
    let schema =
        w.fe.with_catalog(|c| std::sync::Arc::new(c.table("d", "t").unwrap().schema.clone()));
    let backend = &w.backends[0];
    for tablet in tablets {
        let rows = std::sync::Arc::new(cells(&[&["1"]]));
        backend
            .write_rowset(
                txn,
                partition,
                *tablet,
                std::sync::Arc::clone(&schema),
                rows,
                None,
            )
            .unwrap();
    }
    tablets.iter().map(|t| (*t, backend.address().id)).collect()
}

fn commit(txn_id: i64, commit_infos: Vec<(i64, i64)>) -> CommitTxn {
    CommitTxn {
        db: "d".to_owned(),
        txn_id,
        commit_infos,
        ..CommitTxn::default()
    }
}

#[tokio::test]
async fn begin_checks_database_and_tables() {
    let w = World::new(1).await;
    let refused = |request| w.fe.begin_txn(request).unwrap_err().error;
    let request = |db: &str, tables| BeginTxn {
        db: db.to_owned(),
        label: "l".to_owned(),
        table_ids: tables,
        ..BeginTxn::default()
    };
    assert_eq!(
        refused(request("nope", vec![])).text,
        "can't find db named: nope"
    );
    assert_eq!(
        refused(BeginTxn {
            by_token: true,
            ..request("nope", vec![])
        })
        .text,
        "unknown database, database=nope"
    );
    assert_eq!(
        refused(request("d", vec![5])).text,
        "can't find table id: 5 in db: d"
    );
    let begun =
        w.fe.begin_txn(BeginTxn {
            sub_txn_num: 3,
            ..request("d", vec![])
        })
        .unwrap();
    assert_eq!(
        (begun.sub_txn_ids.len(), begun.sub_txn_ids[0]),
        (3, begun.txn_id)
    );
}

#[tokio::test]
async fn commit_needs_a_quorum_of_every_tablet_and_repeats_are_harmless() {
    let w = World::new(1).await;
    let (table_id, partition, tablets) = table(&w, 2).await;
    let txn = begin(&w, "l1", vec![table_id]);
    let infos = write(&w, txn, partition, &tablets);
    let error =
        w.fe.commit_txn(commit(txn, infos[..1].to_vec()))
            .await
            .unwrap_err();
    assert!(
        error
            .text
            .contains("succ replica num 0 < load required replica num 1"),
        "{error}"
    );
    let error =
        w.fe.commit_txn(commit(txn, vec![infos[0], (tablets[1], 77)]))
            .await
            .unwrap_err();
    assert!(
        error.text.contains(&format!(
            "could not find replica for tablet [{}], backend [77]",
            tablets[1]
        )),
        "{error}"
    );
    assert_eq!(
        w.fe.commit_txn(commit(txn, infos.clone())).await.unwrap(),
        Committed::Done
    );
    assert_eq!(
        w.fe.commit_txn(commit(txn, Vec::new())).await.unwrap(),
        Committed::Done
    );
    assert_eq!(w.rows("t"), ["1", "1"]);
    assert_eq!(
        w.fe.commit_txn(commit(999_999, infos))
            .await
            .unwrap_err()
            .text,
        "transaction [999999] not found"
    );
    assert_eq!(
        w.fe.rollback_txn("d", None, txn, None)
            .await
            .unwrap_err()
            .text,
        "transaction not found"
    );
    // no planner was there: no indexIds
    let last = w.records().pop().unwrap();
    assert!(!last.data.as_deref().unwrap().contains("indexIds"));
}

#[tokio::test]
async fn aborted_and_lost_transactions_can_not_commit() {
    let w = World::new(1).await;
    let (table_id, ..) = table(&w, 1).await;
    let txn = begin(&w, "l1", vec![table_id]);
    w.fe.rollback_txn("d", None, txn, Some("because"))
        .await
        .unwrap();
    let error = w.fe.commit_txn(commit(txn, Vec::new())).await.unwrap_err();
    assert_eq!(
        error.text,
        format!("transaction [{txn}] is already aborted. abort reason: because")
    );
    let txn = begin(&w, "l1", vec![table_id]);
    w.fe.forget_memory();
    assert_eq!(
        w.fe.commit_txn(commit(txn, Vec::new()))
            .await
            .unwrap_err()
            .text,
        format!("transaction [{txn}] not found")
    );
    let txn = begin(&w, "l1", vec![table_id]);
    w.sql("DROP TABLE t").await;
    assert_eq!(
        w.fe.rollback_txn("d", None, txn, None)
            .await
            .unwrap_err()
            .text,
        format!("table not found, tableId={table_id}")
    );
}

#[tokio::test]
async fn a_slow_publish_answers_visible_later_and_becomes_visible_in_order() {
    let w = World::new(1).await;
    let (table_id, partition, tablets) = table(&w, 1).await;
    w.fe.set_publish_delay(Duration::from_millis(100));
    let mut ids = Vec::new();
    for i in 0..3 {
        let txn = begin(&w, &format!("l{i}"), vec![table_id]);
        let infos = write(&w, txn, partition, &tablets);
        let request = CommitTxn {
            rpc_timeout_ms: Some(2),
            ..commit(txn, infos)
        };
        assert_eq!(
            w.fe.commit_txn(request).await.unwrap(),
            Committed::VisibleLater
        );
        let error = w.fe.rollback_txn("d", None, txn, None).await.unwrap_err();
        assert_eq!(
            error.text,
            format!("transaction [{txn}] is already COMMITTED, could not abort.")
        );
        ids.push(txn);
    }
    let db_id =
        w.fe.get_meta(&MetaRequest {
            db: Some("d".to_owned()),
            ..MetaRequest::default()
        })
        .unwrap()
        .id;
    for id in &ids {
        assert_eq!(
            w.fe.waiting_txn_status(db_id, TxnKey::Id(*id))
                .await
                .unwrap()
                .status_id,
            3
        );
    }
    assert_eq!(w.rows("t").len(), 3);
    let seen: Vec<i64> = w
        .records()
        .iter()
        .filter(|r| r.kind == 0)
        .map(|r| {
            serde_json::from_str::<serde_json::Value>(r.data.as_deref().unwrap()).unwrap()["txnId"]
                .as_i64()
                .unwrap()
        })
        .collect();
    assert_eq!(seen, ids);
    let unknown =
        w.fe.waiting_txn_status(db_id, TxnKey::Id(1))
            .await
            .unwrap_err();
    assert_eq!(
        (unknown.code, unknown.text.as_str()),
        (StatusCode::InternalError, "txn does not exist: 1")
    );
}

#[tokio::test]
async fn old_open_transactions_are_aborted_and_the_stream_collected() {
    let w = World::new(1).await;
    let (table_id, ..) = table(&w, 1).await;
    w.insert("t", &[&["1"]]).await;
    let request = BeginTxn {
        db: "d".to_owned(),
        label: "x".to_owned(),
        table_ids: vec![table_id],
        timeout_s: Some(60),
        ..BeginTxn::default()
    };
    let txn = w.fe.begin_txn(request).unwrap().txn_id;
    w.clock.advance(90_000_000);
    w.fe.abort_timed_out().await;
    let view = w.fe.transaction("d", &TxnKey::Id(txn)).unwrap();
    assert_eq!(
        (view.status, view.reason.as_str()),
        (TxnStatus::Aborted, "timeout by txn manager")
    );
    let tablet = w.fe.with_catalog(|c| {
        c.table("d", "t")
            .unwrap()
            .partitions
            .values()
            .next()
            .unwrap()
            .tablets()
            .next()
            .unwrap()
            .id
    });
    assert_eq!(w.backends[0].tablet_stat(tablet).unwrap().binlogs, 1);
    w.fe.gc_now().await;
    let key = StreamKey {
        db: "d".to_owned(),
        ..StreamKey::default()
    };
    assert!(matches!(
        w.fe.get_binlog(&key, -1, 1).unwrap(),
        crate::api::BinlogReply::TooOld(_)
    ));
    assert_eq!(
        w.backends[0].tablet_stat(tablet).unwrap().binlogs,
        0,
        "the backend was told"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundreds_of_transactions_per_second() {
    let w = World::new(1).await;
    w.sql("CREATE TABLE t (k INT, v INT) UNIQUE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 2")
        .await;
    #[allow(clippy::disallowed_methods)] // measures the machine, not the simulation
    let started = Instant::now();
    let loads = (0..300).map(|i| {
        let row = cells(&[&[i.to_string().as_str(), "1"]]);
        w.fe.load(LoadRequest::insert("d", "t", Vec::new(), row))
    });
    for result in futures::future::join_all(loads).await {
        result.unwrap();
    }
    assert_eq!(w.rows("t").len(), 300);
    let took = started.elapsed();
    assert!(
        took < Duration::from_secs(3),
        "300 transactions took {took:?}"
    );
}
