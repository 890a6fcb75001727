//! States in order, one job per database, expiry, memory of jobs, cancelling, the snapshot itself.

use dorisim::{SimConfig, fe::FrontendConfig};
use dorisim_wire::{TFrontendServiceSyncClient, TStatusCode};
use serde_json::json;
use std::time::Duration;

use super::{
    Restore, SHOW_BACKUP, SHOW_RESTORE, backup, gunzip, gzip, info_with_extra, job_info, pair,
    restore, restore_request, restored, rows, snapshot, snapshot_request, submit,
};
use crate::common::peer::{Peer, code, message};

/// Slow ticks, so that a poller sees every state.
async fn slow(name: &str) -> Peer {
    let mut peer = Peer::bare(SimConfig {
        name: name.to_owned(),
        backends: 1,
        frontend: FrontendConfig {
            job_tick: Duration::from_millis(150),
            ..FrontendConfig::default()
        },
        ..SimConfig::default()
    })
    .await;
    peer.sql("CREATE DATABASE d PROPERTIES (\"binlog.enable\" = \"true\")")
        .await;
    peer
}

/// Every state that polling sees until the end.
async fn seen(peer: &mut Peer, show: &str) -> Vec<String> {
    let mut states: Vec<String> = Vec::new();
    for _ in 0..1_000 {
        let state = peer.last(show, "State").await.unwrap();
        let end = state == "FINISHED" || state == "CANCELLED";
        if states.last() != Some(&state) {
            states.push(state);
        }
        if end {
            return states;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{show}: {states:?}");
}

/// A tick may come before the first look, so PENDING may be over by then.
fn in_order(seen: &[String], documented: &[&str]) {
    let seen: Vec<&str> = seen.iter().map(String::as_str).collect();
    assert_eq!(documented[0], "PENDING");
    let from = usize::from(seen[0] != "PENDING");
    assert_eq!(seen, documented[from..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_and_restore_go_through_the_documented_states_in_order() {
    let (mut source, mut target) = (slow("states-source").await, slow("states-target").await);
    source.sql(super::T).await;
    source.sql("INSERT INTO d.t VALUES (1, 'one')").await;
    source
        .sql("BACKUP SNAPSHOT d.s TO `__keep_on_local__`")
        .await;
    assert_eq!(
        source.last(SHOW_BACKUP, "FinishedTime").await.as_deref(),
        Some("\\N")
    );
    in_order(
        &seen(&mut source, SHOW_BACKUP).await,
        &[
            "PENDING",
            "SNAPSHOTING",
            "UPLOAD_SNAPSHOT",
            "UPLOADING",
            "SAVE_META",
            "UPLOAD_INFO",
            "FINISHED",
        ],
    );
    assert_eq!(
        source.last(SHOW_BACKUP, "Status").await.as_deref(),
        Some("[OK]")
    );
    assert_ne!(
        source.last(SHOW_BACKUP, "FinishedTime").await.as_deref(),
        Some("\\N")
    );

    let snap = snapshot(&mut source, "s");
    let info = info_with_extra(&mut source, &snap).await;
    let request = restore_request(&Restore::new("r"), snap.meta.unwrap(), &info);
    assert_eq!(submit(&mut target, request).0, TStatusCode::OK);
    assert_eq!(
        target.last(SHOW_RESTORE, "FinishedTime").await.as_deref(),
        Some("\\N")
    );
    in_order(
        &seen(&mut target, SHOW_RESTORE).await,
        &[
            "PENDING",
            "CREATING",
            "SNAPSHOTING",
            "DOWNLOAD",
            "DOWNLOADING",
            "COMMIT",
            "COMMITTING",
            "FINISHED",
        ],
    );
    for column in [
        "MetaPreparedTime",
        "SnapshotFinishedTime",
        "DownloadFinishedTime",
        "FinishedTime",
    ] {
        assert_ne!(
            target.last(SHOW_RESTORE, column).await.as_deref(),
            Some("\\N"),
            "{column}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_job_of_a_database_runs_at_a_time() {
    let (mut source, mut other) = (slow("single").await, slow("single-other").await);
    source.sql(super::T).await;
    backup(&mut source, "first", "").await;
    let snap = snapshot(&mut source, "first");
    source
        .sql("BACKUP SNAPSHOT d.second TO `__keep_on_local__`")
        .await;
    let id = source.last(SHOW_BACKUP, "JobId").await.unwrap();
    let running = format!(
        "Can only run one backup or restore job of a database at same time , current running: label = second jobId = {id}, \
         to run label = third"
    );
    let (number, text) = source
        .refused("BACKUP SNAPSHOT d.third TO `__keep_on_local__`")
        .await;
    assert_eq!(number, 1105);
    assert!(text.contains(&running), "{text}");
    // Backups and restores count together.
    let info = info_with_extra(&mut other, &snap).await;
    let request = restore_request(&Restore::new("third"), snap.meta.unwrap(), &info);
    let (status, text) = submit(&mut source, request);
    assert_eq!(status, TStatusCode::ANALYSIS_ERROR);
    assert!(text.contains(&running), "{text}");
    assert!(text.contains(", command: "), "{text}");
    // Another database is free.
    source.sql("CREATE DATABASE e").await;
    source
        .sql("CREATE TABLE e.t (id INT) DUPLICATE KEY(id) DISTRIBUTED BY HASH(id) BUCKETS 1")
        .await;
    source
        .sql("BACKUP SNAPSHOT e.x TO `__keep_on_local__`")
        .await;
    source.wait_for(SHOW_BACKUP, "State", &["FINISHED"]).await;
    source
        .wait_for("SHOW BACKUP FROM e", "State", &["FINISHED"])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_are_found_by_label_until_they_expire_or_are_forgotten() {
    let (mut source, _target) = pair("expiry").await;
    let missing = source.fe.get_snapshot(snapshot_request("s")).unwrap();
    assert_eq!(code(&missing.status), TStatusCode::SNAPSHOT_NOT_EXIST);
    assert_eq!(message(&missing.status), "snapshot s not exist");
    assert_eq!((missing.meta, missing.job_info), (None, None));
    let before = source.sim_get("clock").await["now_ms"].as_i64().unwrap();
    source
        .sql("BACKUP SNAPSHOT d.s TO `__keep_on_local__` PROPERTIES (\"timeout\" = \"700\")")
        .await;
    source.wait_for(SHOW_BACKUP, "State", &["FINISHED"]).await;
    let snap = snapshot(&mut source, "s");
    let life = snap.expired_at.unwrap() - before;
    assert!(
        (700_000..760_000).contains(&life),
        "created + timeout: {life}"
    );
    // Any database may be named: labels are of the whole cluster.
    source.sql("CREATE DATABASE e").await;
    let mut elsewhere = snapshot_request("s");
    elsewhere.db = Some("e".to_owned());
    let found = source.fe.get_snapshot(elsewhere).unwrap();
    assert_eq!(code(&found.status), TStatusCode::OK);
    // The same label again replaces it.
    source.sql("INSERT INTO d.t VALUES (3, 'three')").await;
    source
        .sql("BACKUP SNAPSHOT d.s TO `__keep_on_local__` PROPERTIES (\"timeout\" = \"700\")")
        .await;
    source.wait_for(SHOW_BACKUP, "State", &["FINISHED"]).await;
    let newer = snapshot(&mut source, "s");
    assert!(newer.commit_seq > snap.commit_seq);
    assert_eq!(source.sql(SHOW_BACKUP).await.len(), 2);

    source.sim("clock", &json!({"advance_ms": 800_000})).await;
    let expired = source.fe.get_snapshot(snapshot_request("s")).unwrap();
    assert_eq!(code(&expired.status), TStatusCode::SNAPSHOT_EXPIRED);
    assert_eq!(message(&expired.status), "snapshot s is expired");
    assert_eq!(expired.meta, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_jobs_are_remembered_and_the_eleventh_forgets_the_first_snapshot() {
    let mut source = Peer::bare(SimConfig {
        name: "ten".to_owned(),
        backends: 1,
        frontend: FrontendConfig {
            job_tick: Duration::from_millis(5),
            ..FrontendConfig::default()
        },
        ..SimConfig::default()
    })
    .await;
    source.sql("CREATE DATABASE d").await;
    source
        .sql("CREATE TABLE d.t (id INT) DUPLICATE KEY(id) DISTRIBUTED BY HASH(id) BUCKETS 1")
        .await;
    for i in 0..10 {
        backup(&mut source, &format!("s{i}"), "").await;
    }
    snapshot(&mut source, "s0");
    backup(&mut source, "s10", "").await;
    assert_eq!(source.sql(SHOW_BACKUP).await.len(), 10);
    let gone = source.fe.get_snapshot(snapshot_request("s0")).unwrap();
    assert_eq!(code(&gone.status), TStatusCode::SNAPSHOT_NOT_EXIST);
    snapshot(&mut source, "s1");
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_jobs_say_so_and_leave_nothing() {
    let (mut source, mut target) = (slow("cancel-source").await, slow("cancel-target").await);
    source.sql(super::T).await;
    source
        .sql("BACKUP SNAPSHOT d.s TO `__keep_on_local__`")
        .await;
    source.sql("CANCEL BACKUP FROM d").await;
    assert_eq!(
        source.last(SHOW_BACKUP, "State").await.as_deref(),
        Some("CANCELLED")
    );
    let status = source.last(SHOW_BACKUP, "Status").await.unwrap();
    assert!(status.contains("user cancelled"), "{status}");
    let gone = source.fe.get_snapshot(snapshot_request("s")).unwrap();
    assert_eq!(code(&gone.status), TStatusCode::SNAPSHOT_NOT_EXIST);
    let (_, text) = source.refused("CANCEL BACKUP FROM d").await;
    assert!(
        text.contains("No backup job is currently running"),
        "{text}"
    );

    backup(&mut source, "s2", "").await;
    let snap = snapshot(&mut source, "s2");
    let info = info_with_extra(&mut source, &snap).await;
    let request = restore_request(&Restore::new("r"), snap.meta.unwrap(), &info);
    assert_eq!(submit(&mut target, request).0, TStatusCode::OK);
    target
        .wait_for(
            SHOW_RESTORE,
            "State",
            &["SNAPSHOTING", "DOWNLOAD", "DOWNLOADING"],
        )
        .await;
    target.sql("CANCEL RESTORE FROM d").await;
    let (state, status) = restored(&mut target).await;
    assert_eq!(state, "CANCELLED");
    assert!(
        status.contains("user cancelled, current state: "),
        "{status}"
    );
    assert!(target.find_table("t").is_none());
    for _ in 0..100 {
        if target.sim.backends()[0].tablet_ids().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(
        target.sim.backends()[0].tablet_ids().is_empty(),
        "nothing is left behind"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn job_info_has_the_documented_members() {
    let (mut source, _target) = pair("info").await;
    let before = source.newest();
    backup(&mut source, "s", "").await;
    let snap = snapshot(&mut source, "s");
    let info = job_info(&snap);
    let (t, u) = (source.table("t"), source.table("u"));
    assert_eq!(
        (&info["name"], &info["database"], &info["content"]),
        (&json!("s"), &json!("d"), &json!("ALL"))
    );
    assert_eq!(info["id"], json!(source.meta().id.unwrap()));
    assert_eq!(info["backup_result"], "succeed");
    for number in [
        "backup_time",
        "meta_version",
        "major_version",
        "minor_version",
        "patch_version",
    ] {
        assert!(info[number].is_i64(), "{number}");
    }
    assert_eq!(info["is_force_replication_allocation"], json!(false));
    assert_eq!(info["tblalias"], json!({}));
    assert_eq!(info.get("extra_info"), None, "the tool adds it");
    let views = &info["new_backup_objects"]["views"];
    assert_eq!(
        (views.as_array().unwrap().len(), &views[0]["name"]),
        (1, &json!("w"))
    );
    let object = &info["backup_objects"]["t"];
    assert_eq!(object["id"], json!(t.id.unwrap()));
    let p1 = t
        .partitions
        .unwrap()
        .into_iter()
        .find(|p| p.name.as_deref() == Some("p1"))
        .unwrap();
    assert_eq!(object["partitions"]["p1"]["id"], json!(p1.id.unwrap()));
    assert_eq!(
        object["partitions"]["p1"]["version"],
        json!(p1.visible_version.unwrap())
    );
    let index = &object["partitions"]["p1"]["indexes"]["t"];
    let tablets: Vec<i64> = p1.indexes.unwrap()[0]
        .tablets
        .clone()
        .unwrap()
        .iter()
        .map(|t| t.id.unwrap())
        .collect();
    assert_eq!(index["tablets_order"], json!(tablets));
    assert!(index["schema_hash"].is_i64());
    for tablet in tablets {
        let key = tablet.to_string();
        let files = index["tablets"][&key].as_array().unwrap();
        assert!(
            files.iter().any(|f| f.as_str().unwrap().ends_with(".hdr")),
            "{files:?}"
        );
        assert!(info["tablet_be_map"][&key].is_i64());
        let path = info["tablet_snapshot_path_map"][&key].as_str().unwrap();
        assert!(
            path.starts_with('/') && path.contains("/snapshot/") && path.ends_with(".86400"),
            "{path}"
        );
    }
    // One barrier per table gives its position; the database's own comes before all of them.
    let barriers: Vec<i64> = source
        .records(before)
        .iter()
        .filter(|r| r.kind == 10)
        .map(|r| r.seq)
        .collect();
    let seqs = info["table_commit_seq_map"].as_object().unwrap();
    let mut told: Vec<i64> = seqs.values().map(|v| v.as_i64().unwrap()).collect();
    told.sort_unstable();
    assert_eq!((told, seqs.len()), (barriers.clone(), 2), "no views");
    assert!(seqs.contains_key(&u.id.unwrap().to_string()));
    let position = snap.commit_seq.unwrap();
    assert!(
        before < position && position < barriers[0],
        "{before} {position} {barriers:?}"
    );
    let meta = snap.meta.unwrap();
    let length = u32::from_be_bytes(meta[..4].try_into().unwrap()) as usize;
    assert_eq!(length, meta.len() - 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_snapshots_travel_both_ways() {
    let (mut source, mut target) = pair("gzip").await;
    backup(&mut source, "s", "").await;
    let plain = snapshot(&mut source, "s");
    assert_eq!(plain.compressed, None, "unset means plain");
    let mut request = snapshot_request("s");
    request.enable_compress = Some(true);
    let packed = source.fe.get_snapshot(request).unwrap();
    assert_eq!(packed.compressed, Some(true));
    assert_eq!(
        gunzip(packed.meta.as_ref().unwrap()),
        plain.meta.clone().unwrap()
    );
    assert_eq!(
        gunzip(packed.job_info.as_ref().unwrap()),
        plain.job_info.clone().unwrap()
    );

    let info = info_with_extra(&mut source, &plain).await;
    let mut request = restore_request(&Restore::new("r"), packed.meta.clone().unwrap(), &info);
    request.job_info = Some(gzip(info.to_string().as_bytes()));
    let (status, text) = submit(&mut target, request.clone());
    assert_eq!(status, TStatusCode::ANALYSIS_ERROR);
    assert!(text.contains("The request is compressed, but the config `enable_restore_snapshot_rpc_compressed` is not enabled."), "{text}");
    request.compressed = Some(true);
    target
        .sql("ADMIN SET FRONTEND CONFIG (\"enable_restore_snapshot_rpc_compression\" = \"false\")")
        .await;
    let (_, text) = submit(&mut target, request.clone());
    assert!(
        text.contains("The request is compressed, but the config"),
        "{text}"
    );
    target
        .sql("ADMIN SET FRONTEND CONFIG (\"enable_restore_snapshot_rpc_compression\" = \"true\")")
        .await;
    let mut broken = request.clone();
    broken.meta = Some(b"\x1f\x8bnot gzip".to_vec());
    let (status, text) = submit(&mut target, broken);
    assert_eq!(status, TStatusCode::ANALYSIS_ERROR);
    assert!(
        text.contains("decompress meta and job info failed"),
        "{text}"
    );
    assert_eq!(submit(&mut target, request).0, TStatusCode::OK);
    assert_eq!(restored(&mut target).await.0, "FINISHED");
    assert_eq!(rows(&mut target, "t").await, ["1,one", "11,eleven"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_a_database_can_be_backed_up() {
    let (mut source, mut target) = pair("parts").await;
    backup(&mut source, "one", "ON (`t`)").await;
    let snap = snapshot(&mut source, "one");
    let info = job_info(&snap);
    assert_eq!(
        info["backup_objects"]
            .as_object()
            .unwrap()
            .keys()
            .collect::<Vec<_>>(),
        ["t"]
    );
    backup(&mut source, "part", "ON (`t` PARTITION (`p2`))").await;
    let snap = snapshot(&mut source, "part");
    let info = job_info(&snap);
    let partitions = info["backup_objects"]["t"]["partitions"]
        .as_object()
        .unwrap();
    assert_eq!(partitions.keys().collect::<Vec<_>>(), ["p2"]);
    let end = restore(&mut source, &mut target, &snap, &Restore::new("r")).await;
    assert_eq!(end.0, "FINISHED", "{}", end.1);
    assert_eq!(rows(&mut target, "t").await, ["11,eleven"]);
    assert_eq!(target.table("t").partitions.unwrap().len(), 1);
    backup(&mut source, "but", "EXCLUDE (`t`, `w`)").await;
    let info = job_info(&snapshot(&mut source, "but"));
    assert_eq!(
        info["backup_objects"]
            .as_object()
            .unwrap()
            .keys()
            .collect::<Vec<_>>(),
        ["u"]
    );

    source
        .sql("BACKUP SNAPSHOT d.bare TO `__keep_on_local__` ON (t) PROPERTIES (\"content\" = \"metadata_only\")")
        .await;
    source.wait_for(SHOW_BACKUP, "State", &["FINISHED"]).await;
    let info = job_info(&snapshot(&mut source, "bare"));
    assert_eq!(info["content"], "METADATA_ONLY");
    assert_eq!(info["tablet_snapshot_path_map"], json!({}));
    let tablets = info["backup_objects"]["t"]["partitions"]["p1"]["indexes"]["t"]["tablets"]
        .as_object()
        .unwrap();
    assert!(
        tablets.values().all(|files| *files == json!([])),
        "{tablets:?}"
    );
}
