//! Late readers of dropped data, and jobs as clients see them: Thrift, MySQL and HTTP over real sockets.

use std::time::Duration;

use crate::common::{backend_client, cluster, spec};
use dorisim::SimCluster;
use dorisim::model::backend::BackendApi;
use dorisim_wire::{TBackendServiceSyncClient, TIngestBinlogRequest, TStatusCode, TUniqueId};

const TARGET: i64 = 200;

async fn sql(cluster: &SimCluster, text: &str) -> Vec<Vec<Option<String>>> {
    cluster
        .sql(text)
        .await
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

async fn source() -> SimCluster {
    let source = cluster("source").await;
    for text in [
        "CREATE DATABASE d PROPERTIES (\"binlog.enable\" = \"true\")",
        "CREATE TABLE d.t (id BIGINT NOT NULL, v STRING) DUPLICATE KEY(id) PARTITION BY RANGE(id) \
         (PARTITION p1 VALUES LESS THAN (10), PARTITION p2 VALUES LESS THAN (20), PARTITION p3 VALUES LESS THAN (30)) \
         DISTRIBUTED BY HASH(id) BUCKETS 1",
        "INSERT INTO d.t VALUES (1, 'a'), (11, 'b'), (21, 'c')",
    ] {
        sql(&source, text).await;
    }
    source
}

fn tablet(source: &SimCluster, partition: &str) -> i64 {
    source.frontend().with_catalog(|c| {
        let table = c.table("d", "t").unwrap();
        let partition = table.partition(partition, false).unwrap();
        partition.tablets().next().unwrap().id
    })
}

/// A target asks for version 2 of a source tablet.
fn ingest(source: &SimCluster, target: &SimCluster, txn: i64, remote: i64) -> TStatusCode {
    let from = &source.backend_addresses()[0];
    let request = TIngestBinlogRequest::new(
        txn,
        remote,
        2,
        from.host.clone(),
        from.http_port.to_string(),
        5,
        TARGET,
        TUniqueId::new(-1, -1),
    );
    let port = target.backend_addresses()[0].be_port;
    let result = backend_client(port).ingest_binlog(request).unwrap();
    result.status.unwrap().status_code
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_ingest_succeeds_after_a_drop_without_force_alone() {
    let (source, target) = (source().await, cluster("target").await);
    target.backends()[0]
        .create_tablet(spec(TARGET))
        .await
        .unwrap();
    let (dropped, truncated, forced) = (
        tablet(&source, "p1"),
        tablet(&source, "p2"),
        tablet(&source, "p3"),
    );
    sql(&source, "ALTER TABLE d.t DROP PARTITION p1").await;
    sql(&source, "TRUNCATE TABLE d.t PARTITION (p2)").await;
    sql(&source, "ALTER TABLE d.t DROP PARTITION p3 FORCE").await;
    assert_eq!(ingest(&source, &target, 1, dropped), TStatusCode::OK);
    assert_eq!(ingest(&source, &target, 2, truncated), TStatusCode::OK);
    assert_eq!(
        ingest(&source, &target, 3, forced),
        TStatusCode::HTTP_ERROR,
        "as for a tablet that never was"
    );
    assert_eq!(ingest(&source, &target, 4, 4_711), TStatusCode::HTTP_ERROR);
    let bin = sql(&source, "SHOW CATALOG RECYCLE BIN").await;
    let names: Vec<&str> = bin.iter().map(|row| row[1].as_deref().unwrap()).collect();
    assert_eq!(names, ["p1", "p2"]);
    // A day later the bin is emptied.
    source.clock().advance(86_401_000);
    source.frontend().gc_now().await;
    assert_eq!(
        ingest(&source, &target, 5, dropped),
        TStatusCode::HTTP_ERROR
    );
}

/// The State column of the last row, once it is final.
async fn final_state(cluster: &SimCluster, show: &str, column: usize) -> String {
    for _ in 0..200 {
        let rows = sql(cluster, show).await;
        let state = rows.last().and_then(|r| r[column].clone());
        if let Some(state) = state.filter(|s| matches!(s.as_str(), "FINISHED" | "CANCELLED")) {
            return state;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{show}: not final");
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_shown_paused_and_cancelled() {
    let source = source().await;
    let columns = "SHOW ALTER TABLE COLUMN FROM d";
    let pause =
        |on: bool| format!("ADMIN SET FRONTEND CONFIG (\"dorisim_pause_alter_jobs\" = \"{on}\")");
    sql(&source, &pause(true)).await;
    sql(&source, "ALTER TABLE d.t MODIFY COLUMN v VARCHAR(20)").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let rows = sql(&source, columns).await;
    assert_eq!(rows[0][9].as_deref(), Some("PENDING"));
    sql(&source, "CANCEL ALTER TABLE COLUMN FROM d.t").await;
    assert_eq!(final_state(&source, columns, 9).await, "CANCELLED");
    sql(&source, &pause(false)).await;
    sql(&source, "ALTER TABLE d.t MODIFY COLUMN v VARCHAR(20)").await;
    assert_eq!(final_state(&source, columns, 9).await, "FINISHED");
    let values = sql(&source, "SELECT v FROM d.t ORDER BY id").await;
    assert_eq!(values.len(), 3);

    sql(&source, "ALTER TABLE d.t ADD ROLLUP r (v, id)").await;
    let rollups = "SHOW ALTER TABLE ROLLUP FROM d";
    assert_eq!(final_state(&source, rollups, 8).await, "FINISHED");
    let all = sql(&source, "DESC d.t ALL").await;
    let fields: Vec<(&str, &str)> = all
        .iter()
        .map(|row| {
            (
                row[0].as_deref().unwrap_or_default(),
                row[2].as_deref().unwrap_or_default(),
            )
        })
        .collect();
    assert_eq!(
        fields,
        [("t", "id"), ("", "v"), ("", ""), ("r", "v"), ("", "id")]
    );

    sql(&source, "CREATE INDEX i ON d.t (v) USING INVERTED").await;
    sql(&source, "BUILD INDEX i ON d.t").await;
    let built = "SHOW BUILD INDEX FROM d";
    assert_eq!(final_state(&source, built, 7).await, "FINISHED");
    assert_eq!(sql(&source, built).await.len(), 3, "one per partition");
}
