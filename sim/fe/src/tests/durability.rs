//! A frontend that ends and is opened again over the same backends.

use std::sync::Arc;
use std::time::Duration;

use super::alters::{job_records, settle};
use super::jobs::{request, source, with_extra};
use super::{World, cells};
use crate::api::{Binlog, BinlogReply, LoadRequest, LoadState, StreamKey, TxnKey, TxnStatus};

const PARTITIONED: &str = "CREATE TABLE t (k INT NOT NULL, v INT) DUPLICATE KEY(k) PARTITION BY RANGE(k) \
     (PARTITION p1 VALUES LESS THAN (10), PARTITION p2 VALUES LESS THAN (20)) DISTRIBUTED BY HASH(k) BUCKETS 2";

/// The table's stream; empty when there is none.
fn of_table(w: &World, table: &str) -> Vec<Arc<Binlog>> {
    let key = StreamKey {
        db: "d".to_owned(),
        table: Some(table.to_owned()),
        ..StreamKey::default()
    };
    match w.fe.get_binlog(&key, -1, 255).unwrap() {
        BinlogReply::Records(records) => records,
        BinlogReply::TooNew | BinlogReply::NotFoundTable => Vec::new(),
        other => panic!("{other:?}"),
    }
}

fn status(w: &World, label: &str) -> Option<TxnStatus> {
    let key = TxnKey::Label(label.to_owned());
    w.fe.transaction("d", &key).map(|t| t.status)
}

async fn visible(w: &World, label: &str) {
    for _ in 0..1_000 {
        if status(w, label) == Some(TxnStatus::Visible) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{label} is {:?}", status(w, label));
}

fn labelled(label: &str, row: [&str; 2]) -> LoadRequest {
    LoadRequest {
        label: Some(label.to_owned()),
        ..LoadRequest::insert("d", "t", Vec::new(), cells(&[&row]))
    }
}

#[tokio::test]
async fn a_new_process_knows_what_a_restart_leaves() {
    let mut w = World::new(2).await;
    w.sql(PARTITIONED).await;
    w.insert("t", &[&["1", "1"], &["11", "2"]]).await;
    w.sql(
        "ALTER TABLE t ADD PARTITION p3 VALUES LESS THAN (30); CREATE TABLE u LIKE t; DROP TABLE u",
    )
    .await;
    let (before, live) = (w.records(), of_table(&w, "t"));
    w.reopen().await;
    assert_eq!(w.records(), before);
    let after = of_table(&w, "t");
    assert_eq!(after.len(), live.len() + 1, "CREATE_TABLE has come in");
    assert_eq!((after[0].kind, &after[1..]), (2, &live[..]));
    assert_eq!(w.rows("t"), ["1,1", "11,2"]);
    // The same as what is imitated without a new process.
    w.fe.restart();
    assert_eq!(
        (w.records(), of_table(&w, "t"), w.fe.recycle_bin().len()),
        (before.clone(), after, 1)
    );
    w.insert("t", &[&["21", "3"]]).await;
    let newest = w.records().last().unwrap().commit_seq;
    assert!(newest > before.last().unwrap().commit_seq);
    assert_eq!(w.rows("t"), ["1,1", "11,2", "21,3"]);
}

#[tokio::test]
async fn committed_transactions_become_visible_in_the_order_of_their_commits() {
    let mut w = World::new(2).await;
    w.sql(PARTITIONED).await;
    w.fe.set_publish_delay(Duration::from_secs(600));
    let mut loads = Vec::new();
    for (n, label) in ["a", "b", "c"].iter().enumerate() {
        let fe = Arc::clone(&w.fe);
        let request = labelled(label, ["5", &n.to_string()]);
        loads.push(tokio::spawn(async move { fe.load(request).await }));
        while status(&w, label) != Some(TxnStatus::Committed) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    assert!(w.rows("t").is_empty());
    for load in loads {
        load.abort();
    }
    w.reopen().await;
    for label in ["a", "b", "c"] {
        visible(&w, label).await;
    }
    assert_eq!(w.rows("t"), ["5,0", "5,1", "5,2"]);
    let order: Vec<String> = w
        .records()
        .iter()
        .filter(|r| r.kind == 0)
        .map(|r| {
            let data: serde_json::Value = serde_json::from_str(r.data.as_deref().unwrap()).unwrap();
            data["label"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(order, ["a", "b", "c"]);
    let refused = w.fe.load(labelled("b", ["6", "6"])).await.unwrap_err();
    assert!(
        refused.to_string().contains("status [VISIBLE]"),
        "{refused}"
    );
}

#[tokio::test]
async fn only_what_was_prepared_is_forgotten() {
    let mut w = World::new(1).await;
    w.sql(PARTITIONED).await;
    let two_phase = LoadRequest {
        two_phase: true,
        ..labelled("second_phase", ["1", "1"])
    };
    let loaded = w.fe.load(two_phase).await.unwrap();
    assert_eq!(loaded.state, LoadState::Precommitted);
    let open = w.fe.begin_explicit("d", Some("open".to_owned())).unwrap();
    w.fe.rollback_explicit(open).await.unwrap();
    let prepared =
        w.fe.begin_explicit("d", Some("prepared".to_owned()))
            .unwrap();
    w.reopen().await;
    assert_eq!(status(&w, "second_phase"), Some(TxnStatus::Precommitted));
    assert_eq!(status(&w, "open"), Some(TxnStatus::Aborted));
    assert_eq!(status(&w, "prepared"), None, "the label is free");
    let again =
        w.fe.begin_explicit("d", Some("prepared".to_owned()))
            .unwrap();
    assert!(again > prepared, "ids are not given out twice");
    w.fe.finish_two_phase("d", TxnKey::Id(loaded.txn_id), true)
        .await
        .unwrap();
    visible(&w, "second_phase").await;
    assert_eq!(w.rows("t"), ["1,1"]);
}

#[tokio::test]
async fn a_schema_change_outlives_processes_that_end_at_any_moment() {
    let mut w = World::new(2).await;
    w.sql(PARTITIONED).await;
    w.insert("t", &[&["1", "7"], &["11", "8"]]).await;
    let pause =
        |on: bool| format!("ADMIN SET FRONTEND CONFIG (\"dorisim_pause_alter_jobs\" = \"{on}\")");
    w.sql(&pause(true)).await;
    w.sql("ALTER TABLE t MODIFY COLUMN v VARCHAR(20)").await;
    w.reopen().await;
    assert_eq!(w.fe.lock().alters.running().len(), 1);
    w.sql(&pause(false)).await;
    let mut ends = 0;
    while !w.fe.lock().alters.running().is_empty() {
        w.reopen().await;
        ends += 1;
        assert!(ends < 500, "the job does not end");
        tokio::time::sleep(Duration::from_millis(ends)).await;
    }
    settle(&w).await;
    w.insert("t", &[&["2", "nine"]]).await;
    assert_eq!(w.rows("t"), ["1,7", "11,8", "2,nine"]);
    let states: Vec<String> = job_records(&w).into_iter().map(|(_, s, _)| s).collect();
    assert_eq!(states, ["PENDING", "WAITING_TXN", "FINISHED"]);
}

#[tokio::test]
async fn backup_and_restore_outlive_processes_that_end_at_any_moment() {
    let (mut src, mut dst) = (source().await, World::new(2).await);
    dst.sql("CREATE TABLE b (k INT NOT NULL, v VARCHAR(9)) DUPLICATE KEY(k) PARTITION BY RANGE(k) (PARTITION p1 VALUES LESS THAN (10)) \
             DISTRIBUTED BY RANDOM BUCKETS 2")
        .await;
    src.sql("BACKUP SNAPSHOT d.s TO `__keep_on_local__` PROPERTIES (\"type\" = \"full\")")
        .await;
    // Longer and longer, so that every step comes to its end in some process.
    let life = |n: u64| Duration::from_millis(1 + n);
    for n in 0.. {
        if src.fe.backup_jobs("d")[0].finish_ms >= 0 {
            assert!(n > 1);
            break;
        }
        assert!(n < 200, "{:?}", src.fe.backup_jobs("d"));
        src.reopen().await;
        tokio::time::sleep(life(n)).await;
    }
    src.reopen().await;
    let snapshot = src.fe.get_snapshot("s").unwrap();
    let info = serde_json::from_slice(&snapshot.job_info).unwrap();
    dst.fe
        .restore_snapshot(request("r", &snapshot.meta, with_extra(&src, info)))
        .unwrap();
    for n in 0.. {
        if dst.fe.restore_jobs("d")[0].finish_ms >= 0 {
            assert!(n > 1);
            break;
        }
        assert!(n < 200, "{:?}", dst.fe.restore_jobs("d"));
        dst.reopen().await;
        tokio::time::sleep(life(n)).await;
    }
    let job = &dst.fe.restore_jobs("d")[0];
    assert_eq!((job.state, job.status.as_str()), ("FINISHED", "[OK]"));
    dst.reopen().await;
    for table in ["a", "b"] {
        assert_eq!(dst.rows(table), src.rows(table), "{table}");
    }
    dst.insert("b", &[&["7", "z"]]).await;
}
