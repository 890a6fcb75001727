use std::time::Duration;

use dorisim_wire::{TSnapshotLoaderReportRequest, TStatusCode, TTaskType};

use super::World;
use crate::api::{JobView, MetaRequest, RestoreRequest, StatusCode};
use dorisim_model::backend::BackendApi;

async fn done(read: impl Fn() -> Vec<JobView>) -> JobView {
    for _ in 0..400 {
        if let Some(job) = read().pop().filter(|j| j.finish_ms >= 0) {
            return job;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("job does not end: {:?}", read());
}

async fn backup(w: &World, label: &str, rest: &str) -> (Vec<u8>, serde_json::Value) {
    w.sql(&format!(
        "BACKUP SNAPSHOT d.{label} TO `__keep_on_local__` {rest} PROPERTIES (\"type\" = \"full\")"
    ))
    .await;
    let job = done(|| w.fe.backup_jobs("d")).await;
    assert_eq!((job.state, job.status.as_str()), ("FINISHED", "[OK]"));
    let snapshot = w.fe.get_snapshot(label).unwrap();
    (
        snapshot.meta,
        serde_json::from_slice(&snapshot.job_info).unwrap(),
    )
}

/// What a replication tool adds to job_info.
pub(super) fn with_extra(source: &World, mut info: serde_json::Value) -> Vec<u8> {
    let map: serde_json::Map<_, _> = source
        .backends
        .iter()
        .map(|b| {
            (
                b.address().id.to_string(),
                serde_json::json!({"ip": b.address().host, "port": b.address().http_port}),
            )
        })
        .collect();
    info["extra_info"] =
        serde_json::json!({"be_network_map": map, "token": source.fe.master_token()});
    serde_json::to_vec(&info).unwrap()
}

pub(super) fn request(label: &str, meta: &[u8], job_info: Vec<u8>) -> RestoreRequest {
    RestoreRequest {
        db: "d".to_owned(),
        label: label.to_owned(),
        repo: "__keep_on_local__".to_owned(),
        properties: [("reserve_replica".to_owned(), "true".to_owned())].into(),
        meta: meta.to_vec(),
        job_info,
        ..RestoreRequest::default()
    }
}

pub(super) async fn source() -> World {
    let w = World::new(2).await;
    w.sql("CREATE TABLE a (k INT, v INT) UNIQUE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 3 PROPERTIES (\"replication_num\" = \"2\")").await;
    w.sql("CREATE TABLE b (k INT NOT NULL, v VARCHAR(9)) DUPLICATE KEY(k) PARTITION BY RANGE(k) (PARTITION p1 VALUES LESS THAN (10), PARTITION p2 VALUES LESS THAN (20)) DISTRIBUTED BY RANDOM BUCKETS 2").await;
    w.sql("CREATE VIEW v AS SELECT k FROM a").await;
    w.insert("a", &[&["1", "10"], &["2", "20"], &["3", "30"]])
        .await;
    w.insert("a", &[&["2", "21"]]).await;
    w.insert("b", &[&["5", "x"], &["15", "y"]]).await;
    w
}

#[tokio::test]
async fn a_snapshot_restores_into_another_cluster() {
    let (src, dst) = (source().await, World::new(2).await);
    let (meta, info) = backup(&src, "s1", "").await;
    assert_eq!(info["backup_objects"]["a"]["partitions"]["a"]["version"], 3);
    assert_eq!(info["new_backup_objects"]["views"][0]["name"], "v");
    let barriers: Vec<i64> = src
        .records()
        .iter()
        .filter(|r| r.kind == 10)
        .map(|r| r.commit_seq)
        .collect();
    let seqs: Vec<i64> = info["table_commit_seq_map"]
        .as_object()
        .unwrap()
        .values()
        .map(|v| v.as_i64().unwrap())
        .collect();
    assert_eq!(barriers, seqs);
    assert!(src.fe.get_snapshot("s1").unwrap().commit_seq < barriers[0]);
    src.insert("a", &[&["4", "40"]]).await;

    dst.fe
        .restore_snapshot(request("r1", &meta, with_extra(&src, info)))
        .unwrap();
    let job = done(|| dst.fe.restore_jobs("d")).await;
    assert_eq!((job.state, job.status.as_str()), ("FINISHED", "[OK]"));
    assert_eq!(dst.rows("a"), ["1,10", "2,21", "3,30"]);
    assert_eq!(dst.rows("b"), ["15,y", "5,x"]);
    dst.fe.with_catalog(|c| {
        let table = c.table("d", "a").unwrap();
        assert!(table.is_set("is_being_synced"));
        assert_eq!(table.partitions.values().next().unwrap().visible_version, 3);
        let view = c.database("d").unwrap().view("v").unwrap();
        assert_eq!(
            view.definition,
            "SELECT `internal`.`d`.`a`.`k` FROM `internal`.`d`.`a`"
        );
    });
    // the restored table takes loads, with versions going on
    dst.insert("a", &[&["9", "90"]]).await;
    assert_eq!(dst.rows("a").len(), 4);
}

#[tokio::test]
async fn existing_tables_keep_their_id_and_aliases_get_new_ones() {
    let (src, dst) = (source().await, World::new(2).await);
    let (meta, info) = backup(&src, "s1", "ON (a)").await;
    let extra = with_extra(&src, info);
    let id_of = |name: &str| dst.fe.with_catalog(|c| c.table("d", name).map(|t| t.id));
    dst.fe
        .restore_snapshot(request("r1", &meta, extra.clone()))
        .unwrap();
    done(|| dst.fe.restore_jobs("d")).await;
    let first = id_of("a").unwrap();
    dst.insert("a", &[&["7", "70"]]).await;
    dst.fe
        .restore_snapshot(request("r2", &meta, extra.clone()))
        .unwrap();
    assert_eq!(done(|| dst.fe.restore_jobs("d")).await.status, "[OK]");
    assert_eq!((id_of("a"), dst.rows("a").len()), (Some(first), 3));

    let mut alias = request("r3", &meta, extra.clone());
    alias.table_refs = vec![("a".to_owned(), Some("copy".to_owned()))];
    dst.fe.restore_snapshot(alias.clone()).unwrap();
    assert_eq!(done(|| dst.fe.restore_jobs("d")).await.status, "[OK]");
    assert_eq!(dst.rows("copy").len(), 3);
    // an alias onto an existing table always mismatches: its name is part of the signature
    dst.fe.restore_snapshot(alias).unwrap();
    let job = done(|| dst.fe.restore_jobs("d")).await;
    assert_eq!(job.state, "CANCELLED");
    assert!(
        job.status
            .contains("Table copy already exist but with different schema"),
        "{}",
        job.status
    );

    let mut atomic = request("r4", &meta, extra);
    atomic.atomic_restore = true;
    atomic.clean_tables = true;
    dst.fe.restore_snapshot(atomic).unwrap();
    assert_eq!(done(|| dst.fe.restore_jobs("d")).await.status, "[OK]");
    assert!(
        id_of("a").is_some_and(|id| id != first),
        "atomic restore changes the id"
    );
    assert_eq!(id_of("copy"), None, "cleaned");
}

#[tokio::test]
async fn jobs_are_refused_and_fail_with_their_texts() {
    let (src, dst) = (source().await, World::new(2).await);
    assert_eq!(
        src.try_sql("BACKUP SNAPSHOT d.x TO `__keep_on_local__` ON (nope)")
            .await
            .unwrap_err()
            .code,
        1051
    );
    let error = src
        .try_sql("BACKUP SNAPSHOT d.x TO `__keep_on_local__` ON (b PARTITION (zz))")
        .await
        .unwrap_err();
    assert_eq!(error.text, "Unknown partition zz in tableb");
    assert_eq!(
        src.fe.get_snapshot("x").unwrap_err().code,
        StatusCode::SnapshotNotExist
    );
    src.sql("BACKUP SNAPSHOT d.s0 TO `__keep_on_local__`").await;
    let error = src
        .try_sql("BACKUP SNAPSHOT d.x TO `__keep_on_local__`")
        .await
        .unwrap_err();
    assert!(error.text.starts_with("Can only run one backup or restore job of a database at same time , current running: label = s0"), "{error}");
    done(|| src.fe.backup_jobs("d")).await;
    let (meta, info) = backup(&src, "s1", "ON (a)").await;

    let error = dst
        .fe
        .restore_snapshot(request("r", &meta, serde_json::to_vec(&info).unwrap()))
        .unwrap_err();
    assert_eq!(error.text, "Invalid job extra info empty");
    let mut wrong: serde_json::Value =
        serde_json::from_slice(&with_extra(&src, info.clone())).unwrap();
    wrong["extra_info"]["token"] = "wrong".into();
    dst.fe
        .restore_snapshot(request("r", &meta, serde_json::to_vec(&wrong).unwrap()))
        .unwrap();
    let job = done(|| dst.fe.restore_jobs("d")).await;
    assert_eq!(job.state, "CANCELLED", "{}", job.status);
    assert_eq!(
        dst.backends[0].tablet_count() + dst.backends[1].tablet_count(),
        0,
        "nothing is left behind"
    );

    let mut bad = request("r", &meta, with_extra(&src, info.clone()));
    bad.properties.insert("frob".to_owned(), "1".to_owned());
    assert!(
        dst.fe
            .restore_snapshot(bad)
            .unwrap_err()
            .text
            .starts_with("Unknown restore job properties")
    );
    let mut missing = request("r", &meta, with_extra(&src, info));
    missing.table_refs = vec![("zz".to_owned(), None)];
    assert_eq!(
        dst.fe.restore_snapshot(missing).unwrap_err().text,
        "Table zz does not exist in snapshot s1"
    );

    src.clock.advance(86_400_001);
    assert_eq!(
        src.fe.get_snapshot("s1").unwrap_err().code,
        StatusCode::SnapshotExpired
    );
}

#[tokio::test]
async fn meta_lists_temp_partitions_unmarked_and_dropped_ids() {
    let w = source().await;
    w.sql("ALTER TABLE b ADD TEMPORARY PARTITION tp VALUES LESS THAN (10)")
        .await;
    w.sql("ALTER TABLE b DROP PARTITION p2").await;
    let meta =
        w.fe.get_meta(&MetaRequest {
            db: Some("d".to_owned()),
            ..MetaRequest::default()
        })
        .unwrap();
    let b = meta.tables.iter().find(|t| t.name == "b").unwrap();
    let ranges: Vec<&str> = b.partitions.iter().map(|p| p.range.as_str()).collect();
    assert_eq!(
        (ranges.len(), ranges[0]),
        (2, ranges[1]),
        "same text, unmarked"
    );
    assert_eq!(meta.dropped.unwrap().partitions.len(), 1);
    assert!(
        w.fe.get_meta(&MetaRequest {
            db: Some("zz".to_owned()),
            ..MetaRequest::default()
        })
        .is_none()
    );
}

#[tokio::test]
async fn a_cancelled_restore_leaves_nothing() {
    let (src, dst) = (source().await, World::new(2).await);
    let (meta, info) = backup(&src, "s1", "").await;
    dst.fe
        .restore_snapshot(request("r1", &meta, with_extra(&src, info)))
        .unwrap();
    assert!(
        dst.try_sql("CANCEL BACKUP FROM d").await.is_err(),
        "the running job is a restore"
    );
    dst.sql("CANCEL RESTORE FROM d").await;
    let job = dst.fe.restore_jobs("d").pop().unwrap();
    assert_eq!(job.state, "CANCELLED");
    assert!(
        job.status
            .starts_with("[COMMON_ERROR, msg: user cancelled, current state: "),
        "{}",
        job.status
    );
    assert!(
        dst.fe
            .get_meta(&MetaRequest {
                db: Some("d".to_owned()),
                ..MetaRequest::default()
            })
            .unwrap()
            .tables
            .is_empty()
    );
}

#[tokio::test]
async fn rollups_are_restored_and_shadows_are_not() {
    let (src, dst) = (World::new(1).await, World::new(1).await);
    src.sql("CREATE TABLE t (k INT NOT NULL, v INT, s VARCHAR(9)) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 2")
        .await;
    src.sql("ALTER TABLE t ADD ROLLUP r (s, k)").await;
    super::alters::settle(&src).await;
    src.insert("t", &[&["1", "2", "a"], &["2", "3", "b"]]).await;
    // A schema change that does not end while the backup runs.
    let held = super::alters::hold(&src);
    src.sql("ALTER TABLE t MODIFY COLUMN v BIGINT").await;
    super::alters::waiting(&src).await;
    let (meta, info) = backup(&src, "s1", "ON (t)").await;
    let indexes = info["backup_objects"]["t"]["partitions"]["t"]["indexes"]
        .as_object()
        .unwrap();
    assert_eq!(indexes.keys().collect::<Vec<_>>(), ["r", "t"]);
    dst.fe
        .restore_snapshot(request("r1", &meta, with_extra(&src, info)))
        .unwrap();
    assert_eq!(done(|| dst.fe.restore_jobs("d")).await.status, "[OK]");
    assert_eq!(dst.rows("t"), ["1,2,a", "2,3,b"]);
    dst.insert("t", &[&["3", "4", "c"]]).await;
    assert_eq!(
        super::rollups::index_rows(&dst, "t", "r"),
        ["a,1", "b,2", "c,3"]
    );
    src.fe.rollback_txn("d", None, held, None).await.unwrap();
    super::alters::settle(&src).await;
    assert_eq!(src.rows("t"), ["1,2,a", "2,3,b"]);
}

#[tokio::test]
async fn a_report_of_a_download_costs_the_same_whatever_the_size_of_its_job() {
    let source = source().await;
    let (meta, info) = backup(&source, "s", "").await;
    let mut took = Vec::new();
    for padding in [1, 300_000] {
        let mut target = World::new(1).await;
        // Nothing goes on: the job stays where it is.
        for daemon in &mut target.daemons {
            daemon.abort();
        }
        let mut info = info.clone();
        info["padding"] = vec![0; padding].into();
        let job_id = target
            .fe
            .restore_snapshot(request("r", &meta, with_extra(&source, info)))
            .unwrap();
        let report = TSnapshotLoaderReportRequest::new(job_id, 1, TTaskType::DOWNLOAD, 0, 1);
        let begin = target.clock.monotonic();
        for _ in 0..200 {
            let status = target.fe.snapshot_loader_report(&report);
            assert_eq!(status.status_code, TStatusCode::OK);
        }
        took.push((target.clock.monotonic() - begin).as_secs_f64());
    }
    // A copy of the larger job alone takes thousands of times as long as a look at the smaller one.
    assert!(took[1] < took[0] * 50.0, "{took:?}");
}
