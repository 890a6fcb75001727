//! Item 5 of the checklist: what agent tasks do and what their ends tell.

use std::collections::BTreeMap;

use dorisim::be::BackendApi;
use dorisim_wire::{
    TBinlogConfig, TDropTabletReq, TGcBinlogReq, TPrimitiveType, TReleaseSnapshotRequest,
    TStatusCode, TTabletGcBinlogInfo, TTabletMetaInfo, TTaskType, TUpdateTabletMetaInfoReq,
};
use reqwest::StatusCode;

use crate::common::ids;
use crate::fe_double::{FeDouble, Rig, bare};
use crate::fe_requests::{
    HASH, PARTITION, TABLET, TOKEN, code, column, create, create_as, create_request, get, load,
    publish, snapshot, with_rows,
};

#[test]
fn b38_5_create_names_a_report_version_and_may_be_repeated() {
    let double = FeDouble::start(7, TOKEN);
    let rig = Rig::joined(&double);
    let first = rig.done(&double, create(TABLET));
    let seconds = rig.clock.now_ms() / 1000;
    let version = first.report_version.unwrap();
    assert!(
        (seconds - 60..=seconds).contains(&(version / 100_000)),
        "{version}"
    );
    let info = &first.finish_tablet_infos.as_ref().unwrap()[0];
    assert_eq!((info.tablet_id, info.version), (TABLET, 1));
    assert!(info.path_hash.is_some());
    assert_eq!(first.backend.host, "127.0.0.1");
    assert_eq!(first.backend.be_port, i32::from(rig.node.address().be_port));
    let second = rig.done(&double, create(TABLET + 1));
    assert!(second.report_version > Some(version), "it grows");
    let accepted = rig.submit(vec![create(TABLET)]);
    assert_eq!(accepted.status.status_code, TStatusCode::OK);
    rig.done(&double, create(TABLET + 2));
    assert_eq!(rig.node.backend().tablet_count(), 3);
}

#[test]
fn b38_5_a_task_that_can_not_be_read_fails_with_a_report_version() {
    let double = FeDouble::start(7, TOKEN);
    let rig = Rig::joined(&double);
    let mut request = create_request(TABLET, 1, false);
    request.tablet_schema.columns[1].column_type.type_ = TPrimitiveType(99);
    let end = rig.run(&double, create_as(request));
    assert_eq!(code(&end), TStatusCode::INVALID_ARGUMENT);
    assert!(end.report_version.is_some(), "the frontend demands it");
    let missing = rig.run(&double, bare(TTaskType::MOVE, 3));
    assert_eq!(code(&missing), TStatusCode::INVALID_ARGUMENT);
}

#[test]
fn b38_5_drop_removes_and_minds_the_replica() {
    let double = FeDouble::start(7, TOKEN);
    let rig = with_rows(&double);
    let drop = |signature, tablet, replica| {
        let mut task = bare(TTaskType::DROP, signature);
        task.drop_tablet_req = Some(TDropTabletReq::new(tablet, HASH, replica, true));
        task
    };
    let other = rig.run(&double, drop(1, TABLET, 4711));
    assert_eq!(code(&other), TStatusCode::ABORTED);
    assert_eq!(rig.node.backend().tablet_count(), 1);
    rig.done(&double, drop(2, TABLET, TABLET + 1000));
    assert_eq!(rig.node.backend().tablet_count(), 0);
    assert_eq!(
        code(&rig.run(&double, drop(3, 4711, 0))),
        TStatusCode::NOT_FOUND
    );
}

#[test]
fn b38_5_snapshots_lie_where_doris_puts_them_and_refusals_have_its_numbers() {
    let double = FeDouble::start(7, TOKEN);
    let rig = with_rows(&double);
    let made = rig.done(&double, snapshot(31, TABLET, Some(2)));
    let path = made.snapshot_path.unwrap();
    let root = rig.node.backend().store().join("snapshot");
    let name = path.strip_prefix(&format!("{}/", root.display())).unwrap();
    let parts: Vec<&str> = name.split('.').collect();
    assert_eq!((parts.len(), parts[0].len()), (3, 14), "{name}");
    let files = made.snapshot_files.unwrap();
    assert!(files.contains(&format!("{TABLET}.hdr")));
    assert!(
        files.iter().any(|file| file.ends_with("_0.dat")),
        "{files:?}"
    );
    for file in &files {
        assert!(
            root.join(name)
                .join(format!("{TABLET}/{HASH}/{file}"))
                .is_file()
        );
    }
    let unknown = rig.run(&double, snapshot(32, 4711, None));
    assert_eq!(code(&unknown).0, 72);
    let release = |signature| {
        let mut task = bare(TTaskType::RELEASE_SNAPSHOT, signature);
        let request = TReleaseSnapshotRequest::new(path.clone(), TABLET, true);
        task.release_snapshot_req = Some(request);
        task
    };
    rig.done(&double, release(33));
    assert!(!root.join(name).exists());
    rig.done(&double, release(34));
}

#[test]
fn b38_5_alter_fills_the_new_tablet_below_the_loads_of_meanwhile() {
    let double = FeDouble::start(7, TOKEN);
    let rig = with_rows(&double);
    let mut shadow = create_request(TABLET + 1, 1, false);
    shadow.base_tablet_id = Some(TABLET);
    shadow.tablet_schema.columns = vec![
        column("id", TPrimitiveType::LARGEINT, true, 0),
        column("w", TPrimitiveType::INT, false, 2),
        column("v", TPrimitiveType::STRING, false, 1),
    ];
    shadow.tablet_schema.columns[1].default_value = Some("9".to_owned());
    rig.done(&double, create_as(shadow));
    // A load during the job writes both; the shadow has no version 2 yet.
    load(&rig, TABLET, 12, &[4]);
    let be = rig.node.backend();
    let new_schema =
        std::sync::Arc::clone(&be.tablet(TABLET + 1).unwrap().lock().unwrap().spec.schema);
    let row = vec![Some("4".to_owned()), Some("7".to_owned()), None];
    be.write_rowset(
        12,
        PARTITION,
        TABLET + 1,
        new_schema,
        vec![row].into(),
        None,
    )
    .unwrap();
    let both = rig.done(&double, publish(12, 3)).succ_tablets.unwrap();
    assert_eq!(both, BTreeMap::from([(TABLET, 3), (TABLET + 1, 3)]));
    let mut task = bare(TTaskType::ALTER, 41);
    let request = dorisim_wire::TAlterTabletReqV2::new(
        TABLET,
        TABLET + 1,
        HASH,
        HASH,
        2,
        None,
        dorisim_wire::TAlterTabletType::SCHEMA_CHANGE,
        None,
        None,
    );
    task.alter_tablet_req_v2 = Some(request);
    let end = rig.done(&double, task);
    assert!(end.report_version.is_some());
    let views = be.rowsets(TABLET + 1, 3).unwrap();
    let spans: Vec<_> = views
        .iter()
        .map(|view| (view.start_version, view.end_version))
        .collect();
    assert_eq!(spans, [(0, 2), (3, 3)]);
    assert_eq!(ids(be.as_ref(), TABLET + 1, 3), [1, 2, 3, 4]);
    let row = &views[0].rows[1];
    let texts: Vec<_> = row.iter().map(Option::as_deref).collect();
    assert_eq!(texts, [Some("2"), Some("9"), Some("v2")]);
    let merged = rig.run(&double, snapshot(42, TABLET + 1, Some(1)));
    assert_eq!(code(&merged).0, 45);
}

#[test]
fn b38_5_meta_updates_switch_binlogs_and_answer_by_signature() {
    let double = FeDouble::start(7, TOKEN);
    let rig = with_rows(&double);
    let update = |signature, enable| {
        let binlog = TBinlogConfig::new(enable, 1, 2, 3);
        let info = TTabletMetaInfo::new(
            TABLET, HASH, None, None, None, None, binlog, None, None, None, None,
        );
        let mut task = bare(TTaskType::UPDATE_TABLET_META_INFO, signature);
        let request = TUpdateTabletMetaInfoReq::new(vec![info]);
        task.update_tablet_meta_info_req = Some(request);
        task
    };
    rig.done(&double, update(51, false));
    load(&rig, TABLET, 12, &[4]);
    rig.done(&double, publish(12, 3));
    let be = rig.node.backend();
    assert_eq!(
        be.tablet_stat(TABLET).unwrap().binlogs,
        1,
        "only version 2 has one"
    );
    // The same signature -1 three times: all are done, none is told.
    rig.submit(vec![update(-1, true), update(-1, true), update(-1, true)]);
    rig.done(&double, update(52, true));
    assert_eq!(rig.faults.count("task.update_tablet"), 5);
    assert_eq!(
        double.times_ended(TTaskType::UPDATE_TABLET_META_INFO, -1),
        0
    );
}

#[test]
fn b38_5_gc_binlog_forgets_and_is_never_answered() {
    let double = FeDouble::start(7, TOKEN);
    let rig = with_rows(&double);
    let mut task = bare(TTaskType::GC_BINLOG, -1);
    let info = TTabletGcBinlogInfo::new(TABLET, 2);
    task.gc_binlog_req = Some(TGcBinlogReq::new(vec![info]));
    assert_eq!(rig.submit(vec![task]).status.status_code, TStatusCode::OK);
    let be = rig.node.backend();
    for _ in 0..500 {
        if be.tablet_stat(TABLET).unwrap().binlogs == 0 {
            break;
        }
        rig.pause(10);
    }
    assert_eq!(be.tablet_stat(TABLET).unwrap().binlogs, 0);
    let query = format!("method=get_binlog_info&tablet_id={TABLET}&binlog_version=2");
    let (status, _) = get(&rig, &format!("/api/_binlog/_download?{query}"));
    assert_eq!(status, StatusCode::NOT_FOUND);
    rig.done(&double, create(TABLET + 1));
    assert_eq!(double.times_ended(TTaskType::GC_BINLOG, -1), 0);
}

#[test]
fn b38_5_types_without_work_here_are_done_and_copies_are_refused() {
    let double = FeDouble::start(7, TOKEN);
    let rig = Rig::joined(&double);
    for task_type in [
        TTaskType::STORAGE_MEDIUM_MIGRATE,
        TTaskType::CLEAR_ALTER_TASK,
        TTaskType::CLEAR_REMOTE_FILE,
        TTaskType::ALTER_INVERTED_INDEX,
    ] {
        rig.done(&double, bare(task_type, 61));
    }
    let end = rig.run(&double, bare(TTaskType::UPLOAD, 61));
    assert_eq!(code(&end), TStatusCode::NOT_IMPLEMENTED_ERROR);
}
