//! CLONE as a genuine frontend sends it to repair a replica and to move one: the frontend is [`crate::fe_double`], the source
//! another backend of the same cluster. The forms were compared with an FE built from Doris master of January 2026.

use dorisim::be::BackendApi;
use dorisim_wire::{TAgentTaskRequest, TBackend, TCloneReq, TFinishTaskRequest, TTaskType};
use dorisim_wire::{TStatusCode, TStorageMedium};
use reqwest::StatusCode;

use crate::common::rows;
use crate::fe_double::{FeDouble, Rig, bare, quick};
use crate::fe_requests::{
    HASH, PARTITION, TABLE, TABLET, TOKEN, code, create, get, load, publish, with_rows,
};

/// Replica id that the frontend gives the clone.
const REPLICA: i64 = 9_000;

/// The same frontend twice: each backend tells the ends of its tasks to one of its own.
fn frontends() -> [FeDouble; 2] {
    [FeDouble::start(7, TOKEN), FeDouble::start(7, TOKEN)]
}

fn source(rig: &Rig) -> TBackend {
    let address = rig.node.address();
    let (be, http) = (i32::from(address.be_port), i32::from(address.http_port));
    TBackend::new(address.host.clone(), be, http, None, None, None)
}

fn clone(signature: i64, sources: Vec<TBackend>, version: i64) -> TAgentTaskRequest {
    let mut task = bare(TTaskType::CLONE, signature);
    task.clone_req = Some(TCloneReq::new(
        TABLET,
        HASH,
        sources,
        TStorageMedium::HDD,
        version,
        2,
        600,
        REPLICA,
        PARTITION,
        TABLE,
    ));
    task
}

fn version_of(end: &TFinishTaskRequest) -> i64 {
    end.finish_tablet_infos.as_ref().unwrap()[0].version
}

fn ids(rig: &Rig, version: i64) -> Vec<String> {
    let views = rig.node.backend().rowsets(TABLET, version).unwrap();
    let mut ids: Vec<String> = views
        .iter()
        .flat_map(|view| view.rows.iter())
        .map(|row| row[0].clone().unwrap())
        .collect();
    ids.sort();
    ids
}

fn serves_binlog(rig: &Rig, version: i64) -> bool {
    let query = format!("method=get_binlog_info&tablet_id={TABLET}&binlog_version={version}");
    let (status, info) = get(rig, &format!("/api/_binlog/_download?{query}"));
    let Some((rowset, _)) = info.split_once(':').filter(|_| status == StatusCode::OK) else {
        return false;
    };
    let query =
        format!("method=get_segment_file&tablet_id={TABLET}&rowset_id={rowset}&segment_index=0");
    get(rig, &format!("/api/_binlog/_download?{query}")).0 == StatusCode::OK
}

fn load_version(rig: &Rig, double: &FeDouble, version: i64, ids: &[i64]) {
    load(rig, TABLET, version + 9, ids);
    rig.done(double, publish(version + 9, version));
}

#[test]
fn a_missing_replica_is_made_with_rows_binlogs_and_the_replica_id_of_the_task() {
    let [theirs, double] = frontends();
    let from = with_rows(&theirs);
    load_version(&from, &theirs, 3, &[4]);
    let to = Rig::joined(&double);
    let end = to.done(&double, clone(500, vec![source(&from)], 3));
    let info = &end.finish_tablet_infos.as_ref().unwrap()[0];
    assert_eq!(
        (info.tablet_id, info.schema_hash, info.version),
        (TABLET, HASH, 3)
    );
    assert_eq!(info.replica_id, Some(REPLICA));
    assert_eq!(info.partition_id, Some(PARTITION));
    assert_eq!((info.row_count, info.total_version_count), (4, Some(3)));
    assert!(end.copy_size.unwrap() > 0 && end.copy_time_ms.is_some());
    assert!(
        end.report_version.is_some(),
        "a tablet report must know the replica"
    );
    assert_eq!(ids(&to, 3), ["1", "2", "3", "4"]);
    assert!(serves_binlog(&to, 2) && serves_binlog(&to, 3));
    let left = std::fs::read_dir(from.node.backend().store().join("snapshot"));
    assert_eq!(
        left.unwrap().count(),
        0,
        "the snapshot of the source is released"
    );
    // It is a replica like any other from now on.
    load_version(&to, &double, 4, &[5]);
    assert_eq!(ids(&to, 4).len(), 5);
}

#[test]
fn a_replica_that_is_behind_gets_the_versions_that_it_lacks() {
    let [theirs, double] = frontends();
    let from = with_rows(&theirs);
    let to = with_rows(&double);
    let whole = from.node.backend().tablet_stat(TABLET).unwrap().bytes;
    load_version(&from, &theirs, 3, &[4]);
    load_version(&from, &theirs, 4, &[5]);
    let end = to.done(&double, clone(501, vec![source(&from)], 4));
    assert_eq!(version_of(&end), 4);
    assert_eq!(end.report_version, None, "no tablet came or went");
    assert_eq!(ids(&to, 4), ["1", "2", "3", "4", "5"]);
    assert!((2..=4).all(|version| serves_binlog(&to, version)));
    let held = from.node.backend().tablet_stat(TABLET).unwrap().bytes;
    assert!(held > whole);
    // Nothing is lacking any more: nothing is fetched, and no source is asked.
    let again = to.done(&double, clone(502, Vec::new(), 4));
    assert_eq!((version_of(&again), again.copy_size), (4, Some(0)));
}

#[test]
fn versions_that_the_source_has_merged_come_with_all_others() {
    let [theirs, double] = frontends();
    let from = with_rows(&theirs);
    let to = with_rows(&double);
    load_version(&from, &theirs, 3, &[4]);
    let schema = crate::common::schema();
    let merged = rows(&[1, 2, 3, 4]);
    from.node
        .backend()
        .replace_content(TABLET, 3, schema, merged)
        .unwrap();
    let end = to.done(&double, clone(503, vec![source(&from)], 3));
    assert_eq!(version_of(&end), 3);
    assert_eq!(ids(&to, 3), ["1", "2", "3", "4"]);
    assert!(
        serves_binlog(&to, 2),
        "binlogs of a replica outlive what it gets"
    );
}

#[test]
fn the_next_source_is_asked_when_one_fails_and_without_any_the_task_fails() {
    let [theirs, double] = frontends();
    let from = with_rows(&theirs);
    let empty = Rig::joined(&double);
    let stranger = FeDouble::start(8, "token-b");
    let foreign = with_rows(&stranger);
    let to = Rig::joined(&double);
    for (signature, sources) in [
        (504, Vec::new()),
        (505, vec![source(&empty)]),
        (506, vec![source(&foreign)]),
    ] {
        let end = to.run(&double, clone(signature, sources, 2));
        assert_ne!(code(&end), TStatusCode::OK);
        assert!(end.finish_tablet_infos.is_none());
        assert_eq!(to.node.backend().tablet_count(), 0);
    }
    let behind = to.run(&double, clone(507, vec![source(&from)], 9));
    assert_ne!(code(&behind), TStatusCode::OK, "the source has version 2");
    let sources = vec![source(&empty), source(&from)];
    let end = to.done(&double, clone(508, sources, 2));
    assert_eq!(version_of(&end), 2);
}

#[test]
fn a_load_that_waited_behind_a_gap_is_done_when_a_clone_brought_its_version() {
    let [theirs, double] = frontends();
    let from = with_rows(&theirs);
    load_version(&from, &theirs, 3, &[4]);
    load_version(&from, &theirs, 4, &[5]);
    let to = Rig::start(dorisim::be::agent::AgentConfig {
        publish_wait: std::time::Duration::from_millis(50),
        ..quick()
    });
    double.heartbeat(&to);
    to.done(&double, create(TABLET));
    load(&to, TABLET, 77, &[5]);
    let gap = to.run(&double, publish(77, 4));
    assert_ne!(code(&gap), TStatusCode::OK);
    let seen = double.times_ended(TTaskType::PUBLISH_VERSION, 77);
    to.done(&double, clone(509, vec![source(&from)], 4));
    to.submit(vec![publish(77, 4)]);
    for _ in 0..500 {
        if double.times_ended(TTaskType::PUBLISH_VERSION, 77) > seen {
            break;
        }
        to.pause(10);
    }
    assert!(to.node.backend().committed_tablets(77).is_empty());
    assert_eq!(ids(&to, 4), ["1", "2", "3", "4", "5"], "no row twice");
}

#[test]
fn a_clone_is_still_there_after_a_restart_of_the_process() {
    let [theirs, double] = frontends();
    let from = with_rows(&theirs);
    let to = Rig::joined(&double);
    to.done(&double, clone(510, vec![source(&from)], 2));
    let address = to.node.address().clone();
    let store = to.node.backend().store().to_owned();
    let copy = tempfile::tempdir().unwrap();
    let here = copy.path().join("store");
    let copied = std::process::Command::new("cp")
        .args([
            "-r",
            &store.display().to_string(),
            &here.display().to_string(),
        ])
        .status();
    assert!(copied.unwrap().success());
    let (clock, faults) = (to.clock.clone(), to.faults.clone());
    let again = dorisim::be::Backend::open(address, here, TOKEN.to_owned(), clock, faults).unwrap();
    assert_eq!(again.rowsets(TABLET, 2).unwrap()[0].rows.len(), 3);
    assert_eq!(again.tablet_stat(TABLET).unwrap().binlogs, 1);
}
