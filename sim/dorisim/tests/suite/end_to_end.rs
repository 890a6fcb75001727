//! Statement → binlog → ingest → commit at a second cluster, by raw Thrift as a replication tool would do it.

use crate::common::{FrontendClient, backend_client, frontend_client};
use dorisim::{SimCluster, SimConfig};
use dorisim_wire::{
    TBackendServiceSyncClient, TBeginTxnRequest, TBinlog, TBinlogType, TCommitTxnRequest,
    TFrontendServiceSyncClient, TGetBinlogRequest, TGetMetaDB, TGetMetaRequest, TGetMetaTableMeta,
    TGetSnapshotRequest, TIngestBinlogRequest, TRestoreSnapshotRequest, TSnapshotType, TStatusCode,
    TTabletCommitInfo, TUniqueId,
};
use serde_json::Value;

const DDL: &str = "CREATE TABLE d.t (id BIGINT NOT NULL, v VARCHAR(32), n DECIMAL(9, 2)) \
    UNIQUE KEY(id) DISTRIBUTED BY HASH(id) BUCKETS 3 PROPERTIES (\"replication_num\" = \"2\")";

async fn start(name: &str) -> SimCluster {
    let cluster = SimCluster::start(SimConfig {
        name: name.to_owned(),
        backends: 2,
        password: "secret".to_owned(),
        ..SimConfig::default()
    })
    .await
    .unwrap();
    cluster
        .sql("CREATE DATABASE d PROPERTIES (\"binlog.enable\" = \"true\")")
        .await
        .unwrap();
    cluster.sql(DDL).await.unwrap();
    cluster
}

fn text(value: &str) -> Option<String> {
    Some(value.to_owned())
}

fn binlog_request(prev: i64) -> TGetBinlogRequest {
    TGetBinlogRequest::new(
        None,
        text("root"),
        text("secret"),
        text("d"),
        None,
        None,
        text("127.0.0.1"),
        None,
        prev,
        255,
        None,
    )
}

fn meta(client: &mut FrontendClient) -> TGetMetaTableMeta {
    let db = TGetMetaDB::new(None, text("d"), None, None);
    let request = TGetMetaRequest::new(None, text("root"), text("secret"), None, None, db);
    let answer = client.get_meta(request).unwrap();
    assert_eq!(answer.status.unwrap().status_code, TStatusCode::OK);
    let mut tables = answer.db_meta.unwrap().tables.unwrap();
    assert_eq!(tables.len(), 1);
    tables.remove(0)
}

/// All records after `prev`.
fn records(client: &mut FrontendClient, prev: i64) -> Vec<TBinlog> {
    let answer = client.get_binlog(binlog_request(prev)).unwrap();
    assert_eq!(answer.status.unwrap().status_code, TStatusCode::OK);
    answer.binlogs.unwrap()
}

/// Applies one UPSERT to the destination.
fn replicate(source: &SimCluster, target: &SimCluster, upsert: &TBinlog) {
    let data: Value = serde_json::from_str(upsert.data.as_deref().unwrap()).unwrap();
    let from = meta(&mut frontend_client(source.thrift_port()));
    let mut fe = frontend_client(target.thrift_port());
    let to = meta(&mut fe);
    let label = format!("copy_{}", upsert.commit_seq.unwrap());
    let begun = fe
        .begin_txn(TBeginTxnRequest::new(
            None,
            text("root"),
            text("secret"),
            text("d"),
            vec![to.id.unwrap()],
            text("127.0.0.1"),
            text(&label),
            None,
            None,
            None,
            None,
            None,
            None,
        ))
        .unwrap();
    let status = begun.status.unwrap();
    assert_eq!(status.status_code, TStatusCode::OK, "{status:?}");
    let txn = begun.txn_id.unwrap();

    let mut infos = Vec::new();
    let records = &data["tableRecords"][from.id.unwrap().to_string()]["partitionRecords"];
    for record in records.as_array().unwrap() {
        let partition = |table: &TGetMetaTableMeta, range: &str| {
            let all = table.partitions.clone().unwrap();
            all.into_iter()
                .find(|p| p.range.as_deref() == Some(range))
                .unwrap()
        };
        let range = record["range"].as_str().unwrap();
        let (left, right) = (partition(&from, range), partition(&to, range));
        let left_tablets = left.indexes.unwrap().remove(0).tablets.unwrap();
        let right_tablets = right.indexes.unwrap().remove(0).tablets.unwrap();
        for (left, right_tablet) in left_tablets.into_iter().zip(right_tablets) {
            let holder = left.replicas.unwrap()[0].backend_id.unwrap();
            let holder = source
                .backend_addresses()
                .into_iter()
                .find(|be| be.id == holder)
                .unwrap();
            for replica in right_tablet.replicas.unwrap() {
                let be = target
                    .backend_addresses()
                    .into_iter()
                    .find(|be| Some(be.id) == replica.backend_id)
                    .unwrap();
                let result = backend_client(be.be_port)
                    .ingest_binlog(TIngestBinlogRequest::new(
                        txn,
                        left.id.unwrap(),
                        record["version"].as_i64().unwrap(),
                        holder.host.clone(),
                        holder.http_port.to_string(),
                        right.id.unwrap(),
                        right_tablet.id.unwrap(),
                        TUniqueId::new(-1, -1),
                    ))
                    .unwrap();
                let status = result.status.unwrap();
                assert_eq!(status.status_code, TStatusCode::OK, "{status:?}");
                infos.push(TTabletCommitInfo::new(
                    right_tablet.id.unwrap(),
                    be.id,
                    None,
                ));
            }
        }
    }
    let committed = fe
        .commit_txn(TCommitTxnRequest::new(
            None,
            text("root"),
            text("secret"),
            text("d"),
            text("127.0.0.1"),
            txn,
            infos,
            None,
            None,
            None,
            None,
            None,
            None,
            None,
        ))
        .unwrap();
    let status = committed.status.unwrap();
    assert_eq!(status.status_code, TStatusCode::OK, "{status:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_statements_arrive_at_the_second_cluster() {
    let (source, target) = (start("e2e-source").await, start("e2e-target").await);
    source
        .sql("INSERT INTO d.t VALUES (1, 'one', 1.10), (2, NULL, 2.20), (3, 'three', NULL)")
        .await
        .unwrap();
    source
        .sql("INSERT INTO d.t VALUES (2, 'two', 2.50), (4, 'four', 4.00)")
        .await
        .unwrap();
    source.sql("DELETE FROM d.t WHERE id = 3").await.unwrap();

    let mut fe = frontend_client(source.thrift_port());
    let all = records(&mut fe, -1);
    let upserts: Vec<_> = all
        .iter()
        .filter(|record| record.type_ == Some(TBinlogType::UPSERT))
        .collect();
    assert_eq!(upserts.len(), 3);
    for upsert in &upserts {
        replicate(&source, &target, upsert);
    }
    let query = "SELECT id, v, n FROM d.t ORDER BY id";
    let wanted = source.sql(query).await.unwrap();
    assert_eq!(wanted.len(), 3);
    assert_eq!(wanted[1], [text("2"), text("two"), text("2.50")]);
    assert_eq!(target.sql(query).await.unwrap(), wanted);

    let last = all.last().unwrap().commit_seq.unwrap();
    let end = fe.get_binlog(binlog_request(last)).unwrap();
    assert_eq!(
        end.status.unwrap().status_code,
        TStatusCode::BINLOG_TOO_NEW_COMMIT_SEQ
    );
    assert_eq!(end.binlogs, None);
    assert!(source.faults().count("get_segment_file") > 0);
    assert_eq!(target.counters()["commitTxn"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_passwords_and_followers_are_refused() {
    let cluster = SimCluster::start(SimConfig {
        name: "followers".to_owned(),
        frontends: 2,
        backends: 1,
        password: "secret".to_owned(),
        ..SimConfig::default()
    })
    .await
    .unwrap();
    cluster
        .sql("CREATE DATABASE d PROPERTIES (\"binlog.enable\" = \"true\")")
        .await
        .unwrap();
    let mut master = frontend_client(cluster.frontends()[0].thrift);
    let mut follower = frontend_client(cluster.frontends()[1].thrift);

    let mut wrong = binlog_request(-1);
    wrong.passwd = text("guess");
    let status = master.get_binlog(wrong).unwrap().status.unwrap();
    assert_eq!(status.status_code, TStatusCode::ANALYSIS_ERROR);
    let message = status.error_msgs.unwrap().join("");
    assert!(
        message.contains("Access denied for user 'root@127.0.0.1' (using password: YES)"),
        "{message}"
    );

    let mut incomplete = binlog_request(-1);
    incomplete.prev_commit_seq = None;
    let status = master.get_binlog(incomplete).unwrap().status.unwrap();
    assert_eq!(
        status.error_msgs.unwrap(),
        ["errCode = 2, detailMessage = prev_commit_seq is not set"]
    );

    let refused = follower.get_binlog(binlog_request(-1)).unwrap();
    assert_eq!(refused.status.unwrap().status_code, TStatusCode::NOT_MASTER);
    let told = refused.master_address.unwrap();
    assert_eq!(told.port, i32::from(cluster.frontends()[0].thrift));
    let lag = follower.get_binlog_lag(binlog_request(-1)).unwrap();
    assert_eq!(lag.status.unwrap().status_code, TStatusCode::NOT_MASTER);
    assert_eq!(lag.master_address, None, "only getBinlog tells it");
    let mut stale = binlog_request(-1);
    stale.allow_follower_read = Some(true);
    assert_ne!(
        follower
            .get_binlog(stale)
            .unwrap()
            .status
            .unwrap()
            .status_code,
        TStatusCode::NOT_MASTER
    );

    cluster.switch_master(1);
    let status = master
        .get_binlog(binlog_request(-1))
        .unwrap()
        .status
        .unwrap();
    assert_eq!(status.status_code, TStatusCode::NOT_MASTER);
    let status = follower
        .get_binlog(binlog_request(-1))
        .unwrap()
        .status
        .unwrap();
    assert_ne!(status.status_code, TStatusCode::NOT_MASTER);
}

/// Polls a SHOW statement until its last row's state is an end state.
async fn job_end(cluster: &SimCluster, show: &str, state_column: usize) -> Vec<Option<String>> {
    for _ in 0..400 {
        let rows = cluster.sql(show).await.unwrap();
        if let Some(row) = rows.last()
            && matches!(row[state_column].as_deref(), Some("FINISHED" | "CANCELLED"))
        {
            return row.clone();
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("{show} came to no end");
}

fn snapshot_request(label: &str) -> TGetSnapshotRequest {
    TGetSnapshotRequest::new(
        None,
        text("root"),
        text("secret"),
        text("d"),
        None,
        None,
        text(label),
        text(label),
        TSnapshotType::LOCAL,
        None,
    )
}

/// Carries table `t` to the target by backup and restore; tells the commit seq of the snapshot.
async fn copy_by_snapshot(source: &SimCluster, target: &SimCluster, label: &str) -> i64 {
    restore_from(source, target, label, false).await
}

/// As [`copy_by_snapshot`], also as an atomic restore.
async fn restore_from(source: &SimCluster, target: &SimCluster, label: &str, atomic: bool) -> i64 {
    source
        .sql(&format!(
            "BACKUP SNAPSHOT `d`.`{label}` TO `__keep_on_local__` ON (`t`) PROPERTIES (\"type\" = \"full\")"
        ))
        .await
        .unwrap();
    let backup = job_end(source, "SHOW BACKUP FROM d", 3).await;
    assert_eq!(backup[3].as_deref(), Some("FINISHED"), "{backup:?}");

    let snapshot = frontend_client(source.thrift_port())
        .get_snapshot(snapshot_request(label))
        .unwrap();
    assert_eq!(snapshot.status.unwrap().status_code, TStatusCode::OK);
    let mut info: Value = serde_json::from_slice(&snapshot.job_info.unwrap()).unwrap();
    let network: serde_json::Map<String, Value> = source
        .backend_addresses()
        .iter()
        .map(|be| {
            (
                be.id.to_string(),
                serde_json::json!({"ip": be.host, "port": be.http_port}),
            )
        })
        .collect();
    let token = source.frontend().config().token.clone();
    info["extra_info"] = serde_json::json!({"be_network_map": network, "token": token});
    let restore = TRestoreSnapshotRequest::new(
        None,
        text("root"),
        text("secret"),
        text("d"),
        None,
        None,
        text(&format!("{label}_r")),
        text("__keep_on_local__"),
        None,
        std::collections::BTreeMap::from([("reserve_replica".to_owned(), "true".to_owned())]),
        snapshot.meta.unwrap(),
        serde_json::to_vec(&info).unwrap(),
        false,
        false,
        atomic,
        None,
        false,
    );
    let accepted = frontend_client(target.thrift_port())
        .restore_snapshot(restore)
        .unwrap();
    let status = accepted.status.unwrap();
    assert_eq!(status.status_code, TStatusCode::OK, "{status:?}");
    let restored = job_end(target, "SHOW RESTORE FROM d", 4).await;
    assert_eq!(restored[4].as_deref(), Some("FINISHED"), "{restored:?}");
    snapshot.commit_seq.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_is_restored_and_increments_go_on_from_it() {
    let (source, target) = (start("full-source").await, start("full-target").await);
    target.sql("DROP TABLE d.t FORCE").await.unwrap();
    source
        .sql("INSERT INTO d.t VALUES (1, 'one', 1.00), (2, 'two', 2.00)")
        .await
        .unwrap();
    let snapshot_seq = copy_by_snapshot(&source, &target, "snap_1").await;
    let mut fe = frontend_client(source.thrift_port());
    let missing = fe
        .get_snapshot(snapshot_request("snap_2"))
        .unwrap()
        .status
        .unwrap();
    assert_eq!(missing.status_code, TStatusCode::SNAPSHOT_NOT_EXIST);
    assert!(
        source.faults().count("tablet_download") > 0,
        "files come over HTTP"
    );

    source
        .sql("INSERT INTO d.t VALUES (2, 'changed', 2.50), (3, 'three', 3.00)")
        .await
        .unwrap();
    let after = records(&mut fe, snapshot_seq);
    let upserts: Vec<_> = after
        .iter()
        .filter(|record| record.type_ == Some(TBinlogType::UPSERT))
        .collect();
    assert_eq!(upserts.len(), 1, "the snapshot holds the first insert");
    replicate(&source, &target, upserts[0]);
    let query = "SELECT id, v, n FROM d.t ORDER BY id";
    let rows = target.sql(query).await.unwrap();
    assert_eq!(rows.len(), 3);
    assert_eq!(rows, source.sql(query).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_over_the_same_version_brings_other_rows() {
    let (source, target) = (start("same-source").await, start("same-target").await);
    // Both partitions are at version 2 afterwards.
    for (cluster, word) in [(&source, "new"), (&target, "old")] {
        cluster
            .sql(&format!("INSERT INTO d.t VALUES (1, '{word}', 1.00)"))
            .await
            .unwrap();
    }
    let query = "SELECT v FROM d.t";
    assert_eq!(target.sql(query).await.unwrap(), [[text("old")]]);
    copy_by_snapshot(&source, &target, "same_1").await;
    assert_eq!(target.sql(query).await.unwrap(), [[text("new")]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_fetches_what_is_new_alone_also_an_atomic_one() {
    let (source, target) = (start("link-source").await, start("link-target").await);
    target.sql("DROP TABLE d.t FORCE").await.unwrap();
    source
        .sql("INSERT INTO d.t VALUES (1, 'one', 1.00), (2, 'two', 2.00), (3, 'three', 3.00)")
        .await
        .unwrap();
    let mut calls = Vec::new();
    for (label, atomic) in [("l_1", false), ("l_2", false), ("l_3", true)] {
        let before = source.faults().count("tablet_download");
        restore_from(&source, &target, label, atomic).await;
        calls.push(source.faults().count("tablet_download") - before);
    }
    // Two replicas of three tablets: a listing, HEAD and GET of each header, HEAD and GET of each segment.
    let files = calls[0] - 2 * 3 * 3;
    assert!(files > 0 && files % 4 == 0, "{calls:?}");
    assert_eq!(calls[1], calls[0] - files / 2, "the GETs are saved");
    assert_eq!(calls[2], calls[1], "from the tablets of the replaced table");
    let query = "SELECT id, v, n FROM d.t ORDER BY id";
    let rows = target.sql(query).await.unwrap();
    assert_eq!(rows.len(), 3);
    assert_eq!(rows, source.sql(query).await.unwrap());
}
