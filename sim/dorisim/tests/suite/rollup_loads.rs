//! Loads while a rollup is built.

use dorisim::SimCluster;
use dorisim::be::BackendApi;
use dorisim::faults::{Effect, Rule};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};

use crate::mysql::{cluster, root};

/// State of the rollup of table `t`.
async fn state(conn: &mut Conn) -> String {
    let row: Option<Row> = conn
        .query_first("SHOW ALTER TABLE ROLLUP FROM d WHERE TableName = \"t\"")
        .await
        .unwrap();
    row.unwrap().get("State").unwrap()
}

async fn until(what: &str, mut reached: impl AsyncFnMut() -> bool) {
    for _ in 0..1_000 {
        if reached().await {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("not reached: {what}");
}

/// Rows that the rollup `r` holds.
fn rows_of_rollup(sim: &SimCluster) -> usize {
    let tablets: Vec<(i64, i64, i64)> = sim.frontend().with_catalog(|catalog| {
        let table = catalog.database("d").unwrap().table("t").unwrap();
        let index = table.indexes.iter().find(|i| i.name == "r").unwrap().id;
        let mut found = Vec::new();
        for partition in table.partitions.values() {
            let version = partition.visible_version;
            let tablets = partition.indexes.iter().filter(|i| i.id == index);
            for tablet in tablets.flat_map(|i| &i.tablets) {
                found.push((tablet.id, tablet.replicas[0].backend_id, version));
            }
        }
        found
    });
    let rows = |(tablet, backend, version): &(i64, i64, i64)| {
        let backends = sim.backends().iter();
        let backend = backends.clone().find(|b| b.id() == *backend).unwrap();
        let views = backend.rowsets(*tablet, *version).unwrap();
        views.iter().map(|view| view.rows.len()).sum::<usize>()
    };
    tablets.iter().map(rows).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_is_visible_at_once_although_the_new_tablets_missed_the_one_before() {
    let sim = cluster("rollup-loads").await;
    let mut conn = root(&sim).await;
    for sql in [
        "CREATE DATABASE d",
        "USE d",
        "CREATE TABLE t (k INT, v INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1 PROPERTIES (\"replication_num\" = \"1\")",
    ] {
        conn.query_drop(sql).await.unwrap();
    }
    // An older load that is not over keeps the job from taking over.
    let mut older = root(&sim).await;
    for sql in ["USE d", "BEGIN", "INSERT INTO t VALUES (1, 1)"] {
        older.query_drop(sql).await.unwrap();
    }
    let held = sim
        .faults()
        .add(Rule::always("task.create_tablet", Effect::Hold));
    let before = sim.faults().count("task.create_tablet");
    conn.query_drop("ALTER TABLE t ADD ROLLUP r (v, k)")
        .await
        .unwrap();
    until("tablets of the rollup are being made", async || {
        sim.faults().count("task.create_tablet") > before
    })
    .await;
    conn.query_drop("INSERT INTO t VALUES (2, 2)")
        .await
        .unwrap();
    assert_eq!(state(&mut conn).await, "PENDING");
    sim.faults().remove(held);
    until("loads write the rollup", async || {
        state(&mut conn).await == "WAITING_TXN"
    })
    .await;
    conn.query_drop("INSERT INTO t VALUES (3, 3)")
        .await
        .unwrap();
    let row: Row = conn.query_first("SHOW LAST INSERT").await.unwrap().unwrap();
    let status: String = row.get("TransactionStatus").unwrap();
    assert_eq!(status, "VISIBLE");
    assert_eq!(state(&mut conn).await, "WAITING_TXN");
    older.query_drop("COMMIT").await.unwrap();
    until("the rollup is there", async || {
        state(&mut conn).await == "FINISHED"
    })
    .await;
    assert_eq!(rows_of_rollup(&sim), 3);
    conn.query_drop("INSERT INTO t VALUES (4, 4)")
        .await
        .unwrap();
    assert_eq!(rows_of_rollup(&sim), 4);
}
