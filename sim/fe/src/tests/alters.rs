use std::time::Duration;

use super::{World, cells};
use crate::MetaRequest;
use crate::api::{BeginTxn, LoadRequest};
use dorisim_model::backend::BackendApi;

/// Waits until no schema change, rollup or index job runs.
pub(super) async fn settle(w: &World) {
    for _ in 0..2_000 {
        let idle = {
            let state = w.fe.lock();
            state.alters.running().is_empty() && !state.index_jobs.are_running()
        };
        if idle {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("a job does not end");
}

/// (type, jobState, JSON) of the job records.
pub(super) fn job_records(w: &World) -> Vec<(i32, String, serde_json::Value)> {
    w.records()
        .iter()
        .filter(|r| matches!(r.kind, 5 | 20))
        .map(|r| {
            let data: serde_json::Value = serde_json::from_str(r.data.as_deref().unwrap()).unwrap();
            let state = data["jobState"].as_str().unwrap().to_owned();
            (r.kind, state, data)
        })
        .collect()
}

const TWO: &str = "CREATE TABLE t (k INT NOT NULL, v INT, s VARCHAR(9)) DUPLICATE KEY(k) PARTITION BY RANGE(k) \
     (PARTITION p1 VALUES LESS THAN (10), PARTITION p2 VALUES LESS THAN (100)) DISTRIBUTED BY HASH(k) BUCKETS 2";

#[tokio::test]
async fn a_heavy_schema_change_keeps_rows_and_changes_ids() {
    let w = World::new(2).await;
    w.sql(TWO).await;
    w.insert("t", &[&["1", "2", "7"], &["11", "-", "8"]]).await;
    let shape = |w: &World| {
        w.fe.with_catalog(|c| {
            let t = c.table("d", "t").unwrap();
            let tablets: Vec<i64> = t
                .partitions
                .values()
                .flat_map(|p| p.tablets().map(|t| t.id))
                .collect();
            (t.id, t.base_index_id(), tablets)
        })
    };
    let (table, index, tablets) = shape(&w);
    w.sql("ALTER TABLE t MODIFY COLUMN v BIGINT NULL, MODIFY COLUMN s INT NULL AFTER k")
        .await;
    settle(&w).await;
    assert_eq!(w.rows("t"), ["1,7,2", "11,8,-"]);
    let (same, new_index, new_tablets) = shape(&w);
    assert_eq!(table, same);
    assert_ne!(index, new_index);
    assert_eq!(new_tablets.len(), tablets.len());
    assert!(new_tablets.iter().all(|id| !tablets.contains(id)));
    assert!(
        tablets
            .iter()
            .all(|id| w.backends.iter().all(|b| b.tablet(*id).is_err()))
    );
    let records = job_records(&w);
    let states: Vec<&str> = records.iter().map(|(_, s, _)| s.as_str()).collect();
    assert_eq!(states, ["PENDING", "WAITING_TXN", "FINISHED"]);
    for (_, _, data) in &records {
        assert_eq!(data["type"], "SCHEMA_CHANGE");
        assert_eq!(
            data["iim"],
            serde_json::json!({new_index.to_string(): index})
        );
        assert_eq!(
            data["rawSql"],
            "ALTER TABLE `d`.`t` MODIFY COLUMN `v` BIGINT NULL COMMENT \"\", \nMODIFY COLUMN `s` INT NULL COMMENT \"\" AFTER `k`"
        );
    }
    let request = MetaRequest {
        db: Some("d".to_owned()),
        ..Default::default()
    };
    let dropped = w.fe.get_meta(&request).unwrap().dropped.unwrap();
    assert!(dropped.indexes.iter().any(|(id, _)| *id == index));
    w.insert("t", &[&["12", "3", "3000000000"]]).await;
    assert_eq!(w.rows("t").last().unwrap(), "12,3,3000000000");
}

/// A transaction that keeps jobs of the table in WAITING_TXN until it is rolled back.
pub(super) fn hold(w: &World) -> i64 {
    let id = w.fe.with_catalog(|c| c.table("d", "t").unwrap().id);
    let begun = w.fe.begin_txn(BeginTxn {
        db: "d".to_owned(),
        label: "holds".to_owned(),
        table_ids: vec![id],
        ..BeginTxn::default()
    });
    begun.unwrap().txn_id
}

pub(super) async fn waiting(w: &World) {
    for _ in 0..2_000 {
        let jobs = w.fe.lock().alters.running();
        if jobs.iter().all(|j| j.state.as_str() == "WAITING_TXN") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("the job does not reach WAITING_TXN");
}

pub(super) fn last_upsert(w: &World) -> serde_json::Value {
    let record = w.records().iter().rfind(|r| r.kind == 0).cloned().unwrap();
    serde_json::from_str(record.data.as_deref().unwrap()).unwrap()
}

#[tokio::test]
async fn loads_during_a_schema_change_write_both_indexes() {
    let w = World::new(1).await;
    w.sql(TWO).await;
    w.insert("t", &[&["1", "2", "a"]]).await;
    let held = hold(&w);
    w.sql("ALTER TABLE t ORDER BY (k, s, v)").await;
    waiting(&w).await;
    w.insert("t", &[&["2", "3", "b"]]).await;
    let table = w.fe.with_catalog(|c| c.table("d", "t").unwrap().clone());
    assert_eq!(table.state.as_str(), "SCHEMA_CHANGE");
    assert_eq!(table.indexes[1].name, "__doris_shadow_t");
    let ids: Vec<i64> = table.indexes.iter().map(|i| i.id).collect();
    assert_eq!(
        last_upsert(&w)["tableRecords"][table.id.to_string()]["indexIds"],
        serde_json::json!(ids)
    );
    let request = MetaRequest {
        db: Some("d".to_owned()),
        ..Default::default()
    };
    let meta = w.fe.get_meta(&request).unwrap();
    let names: Vec<String> = meta.tables[0].partitions[0]
        .indexes
        .iter()
        .map(|i| i.name.clone())
        .collect();
    assert_eq!(names, ["t", "__doris_shadow_t"]);
    let error = w
        .try_sql("ALTER TABLE t ADD COLUMN x INT")
        .await
        .unwrap_err();
    assert!(error.text.contains("SCHEMA_CHANGE"), "{error}");
    assert!(w.try_sql("DROP TABLE t").await.is_err());
    assert_eq!(w.rows("t"), ["1,2,a", "2,3,b"]);
    w.fe.rollback_txn("d", None, held, None).await.unwrap();
    settle(&w).await;
    assert_eq!(w.rows("t"), ["1,a,2", "2,b,3"]);
    w.insert("t", &[&["3", "c", "4"]]).await;
    assert_eq!(w.rows("t"), ["1,a,2", "2,b,3", "3,c,4"]);
}

#[tokio::test]
async fn a_cancelled_change_leaves_nothing() {
    let w = World::new(1).await;
    w.sql(TWO).await;
    w.insert("t", &[&["1", "2", "a"]]).await;
    let tablets = w.backends[0].tablet_count();
    let held = hold(&w);
    w.sql("ALTER TABLE t MODIFY COLUMN v BIGINT").await;
    waiting(&w).await;
    assert_eq!(w.backends[0].tablet_count(), 2 * tablets);
    w.sql("CANCEL ALTER TABLE COLUMN FROM t").await;
    assert_eq!(w.backends[0].tablet_count(), tablets);
    assert_eq!(job_records(&w).last().unwrap().1, "CANCELLED");
    w.fe.rollback_txn("d", None, held, None).await.unwrap();
    // A value that does not fit cancels too.
    w.sql("ALTER TABLE t MODIFY COLUMN s INT").await;
    settle(&w).await;
    assert_eq!(job_records(&w).last().unwrap().1, "CANCELLED");
    let jobs = w.fe.alter_jobs("d", true);
    assert!(jobs[1].message.contains("does not fit"), "{jobs:?}");
    assert_eq!(w.rows("t"), ["1,2,a"]);
    w.insert("t", &[&["2", "3", "b"]]).await;
}

#[tokio::test]
async fn keys_are_added_and_dropped() {
    let w = World::new(1).await;
    w.sql("CREATE TABLE t (k INT NOT NULL, v BIGINT SUM) AGGREGATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1")
        .await;
    w.insert("t", &[&["1", "2"], &["2", "5"]]).await;
    w.sql("ALTER TABLE t ADD COLUMN d INT KEY DEFAULT \"7\"")
        .await;
    settle(&w).await;
    assert_eq!(w.rows("t"), ["1,7,2", "2,7,5"]);
    w.insert("t", &[&["1", "8", "1"]]).await;
    w.sql("ALTER TABLE t DROP COLUMN d").await;
    settle(&w).await;
    assert_eq!(w.rows("t"), ["1,3", "2,5"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn loads_go_on_while_columns_are_rewritten_again_and_again() {
    let w = std::sync::Arc::new(World::new(1).await);
    w.sql(TWO).await;
    let writer = {
        let w = std::sync::Arc::clone(&w);
        tokio::spawn(async move {
            for i in 0..60 {
                let key = i.to_string();
                let columns = vec!["k".to_owned(), "v".to_owned()];
                let rows = cells(&[&[key.as_str(), "1"]]);
                w.fe.load(LoadRequest::insert("d", "t", columns, rows))
                    .await
                    .unwrap();
            }
        })
    };
    let reader = {
        let w = std::sync::Arc::clone(&w);
        tokio::spawn(async move {
            let mut seen = 0;
            for _ in 0..200 {
                let rows = w.rows("t").len();
                assert!(rows >= seen, "{rows} rows after {seen}");
                seen = rows;
                tokio::task::yield_now().await;
            }
        })
    };
    for order in ["k, s, v", "k, v, s", "k, s, v"] {
        let before = w.rows("t").len();
        w.sql(&format!("ALTER TABLE t ORDER BY ({order})")).await;
        settle(&w).await;
        assert!(w.rows("t").len() >= before, "rows are lost");
    }
    writer.await.unwrap();
    reader.await.unwrap();
    assert_eq!(w.rows("t").len(), 60);
    assert!(
        w.fe.alter_jobs("d", true)
            .iter()
            .all(|j| j.state == "FINISHED")
    );
}
