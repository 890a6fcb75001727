//! Item 7 of the checklist, and a whole restore: data that comes from a backend of another cluster.

use std::collections::BTreeMap;

use dorisim::be::BackendApi;
use dorisim_wire::{TReleaseSnapshotRequest, TStatusCode, TTaskType};

use crate::common::ids;
use crate::fe_double::{FeDouble, Rig, bare};
use crate::fe_requests::{
    TABLET, TOKEN, code, create, create_as, create_request, download, ingest, load, move_dir,
    publish, snapshot, with_rows,
};

#[test]
fn b38_7_data_enters_by_ingest_binlog_and_is_published() {
    let double = FeDouble::start(7, TOKEN);
    let source = with_rows(&double);
    let other = FeDouble::start(8, "token-b");
    let target = Rig::joined(&other);
    target.done(&other, create(TABLET + 1));
    ingest(&source, &target, 900, TABLET, TABLET + 1, 2);
    let end = target.done(&other, publish(900, 2));
    assert_eq!(end.succ_tablets, Some(BTreeMap::from([(TABLET + 1, 2)])));
    assert_eq!(
        ids(target.node.backend().as_ref(), TABLET + 1, 2),
        [1, 2, 3]
    );
}

#[test]
fn b38_a_whole_restore_between_two_clusters_and_binlogs_after_it() {
    let double = FeDouble::start(7, TOKEN);
    let source = with_rows(&double);
    let backup = source
        .done(&double, snapshot(21, TABLET, Some(2)))
        .snapshot_path
        .unwrap();

    let other = FeDouble::start(8, "token-b");
    let target = Rig::joined(&other);
    target.done(&other, create_as(create_request(TABLET + 1, 2, true)));
    let local = target
        .done(&other, snapshot(22, TABLET + 1, None))
        .snapshot_path
        .unwrap();
    let end = target.done(&other, download(&source, 23, &backup, &local));
    assert_eq!(end.downloaded_tablet_ids, Some(vec![TABLET + 1]));
    let progress = other.progress();
    assert_eq!((progress[0].job_id, progress[0].task_id), (70, 23));
    assert_eq!(progress[0].total_num, Some(1));
    target.done(&other, move_dir(24, &local));
    let be = target.node.backend();
    assert_eq!(ids(be.as_ref(), TABLET + 1, 2), [1, 2, 3]);
    // A repeat of the job's move after its first load must not undo it.
    load(&source, TABLET, 12, &[4]);
    source.done(&double, publish(12, 3));
    ingest(&source, &target, 901, TABLET, TABLET + 1, 3);
    target.done(&other, publish(901, 3));
    target.done(&other, move_dir(25, &local));
    let mut release = bare(TTaskType::RELEASE_SNAPSHOT, 26);
    release.release_snapshot_req = Some(TReleaseSnapshotRequest::new(
        local.clone(),
        TABLET + 1,
        true,
    ));
    target.done(&other, release);
    assert!(!std::path::Path::new(&local).exists());
    assert_eq!(ids(be.as_ref(), TABLET + 1, 3), [1, 2, 3, 4]);
    assert_eq!(
        be.tablet_stat(TABLET + 1).unwrap().binlogs,
        1,
        "a chained replica goes on"
    );
}

#[test]
fn b38_downloads_stop_when_the_master_says_so_or_the_token_is_wrong() {
    let double = FeDouble::start(7, TOKEN);
    let source = with_rows(&double);
    let backup = source
        .done(&double, snapshot(21, TABLET, Some(2)))
        .snapshot_path
        .unwrap();
    let other = FeDouble::start(8, "token-b");
    let target = Rig::joined(&other);
    target.done(&other, create_as(create_request(TABLET + 1, 2, true)));
    let local = target
        .done(&other, snapshot(22, TABLET + 1, None))
        .snapshot_path
        .unwrap();
    let mut stranger = download(&source, 23, &backup, &local);
    let request = stranger.download_req.as_mut().unwrap();
    let remote = &mut request.remote_tablet_snapshots.as_mut().unwrap()[0];
    remote.remote_token = Some("wrong".to_owned());
    assert_eq!(code(&target.run(&other, stranger)), TStatusCode::HTTP_ERROR);
    other.cancel_downloads();
    let end = target.run(&other, download(&source, 24, &backup, &local));
    assert_eq!(code(&end), TStatusCode::CANCELLED);
    assert_eq!(end.downloaded_tablet_ids, Some(Vec::new()));
}
