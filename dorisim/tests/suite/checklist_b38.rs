//! What a genuine frontend demands of a backend, item by item. The frontend is [`crate::fe_double`]; requests are built from the
//! structs of the wire alone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ccr_doris_wire::{
    TAgentServiceSyncClient, TAgentTaskRequest, TAggregationType, TBackendServiceSyncClient,
    TBinlogConfig, TClearTransactionTaskRequest, TColumn, TColumnType, TCreateTabletReq,
    TDownloadReq, TDropTabletReq, TFinishTaskRequest, TGcBinlogReq, TIngestBinlogRequest,
    TKeysType, TMoveDirReq, TNetworkAddress, TPartitionVersionInfo, TPrimitiveType,
    TPublishTopicRequest, TPublishVersionRequest, TReleaseSnapshotRequest, TRemoteTabletSnapshot,
    TSnapshotRequest, TStatusCode, TStorageMedium, TStorageType, TTabletGcBinlogInfo,
    TTabletMetaInfo, TTabletSchema, TTaskType, TUniqueId, TUpdateTabletMetaInfoReq,
};
use dorisim::be::BackendApi;
use dorisim::faults::{Effect, Rule};
use reqwest::StatusCode;

use crate::common::{self, backend_client, ids, rows, schema};
use crate::fe_double::{FeDouble, Rig, bare, quick};

const TABLE: i64 = 1;
const PARTITION: i64 = 5;
const TABLET: i64 = 100;
const HASH: i32 = 77;
const TOKEN: &str = "token-a";

fn column(name: &str, primitive: TPrimitiveType, is_key: bool, unique_id: i32) -> TColumn {
    TColumn {
        column_name: name.to_owned(),
        column_type: TColumnType::new(primitive, 64, None, 0, 0, None),
        aggregation_type: Some(TAggregationType::NONE),
        is_key: Some(is_key),
        is_allow_null: Some(true),
        default_value: None,
        is_bloom_filter_column: None,
        visible: Some(true),
        children_column: None,
        col_unique_id: Some(unique_id),
        has_ngram_bf_index: None,
        gram_size: None,
        gram_bf_size: None,
        aggregation: None,
        result_is_nullable: None,
        is_auto_increment: Some(false),
        cluster_key_id: Some(-1),
        be_exec_version: None,
        is_on_update_current_timestamp: None,
    }
}

fn tablet_schema(columns: Vec<TColumn>) -> TTabletSchema {
    TTabletSchema {
        short_key_column_count: 1,
        schema_hash: HASH,
        keys_type: TKeysType::DUP_KEYS,
        storage_type: TStorageType::COLUMN,
        columns,
        bloom_filter_fpp: None,
        indexes: None,
        is_in_memory: None,
        delete_sign_idx: Some(-1),
        sequence_col_idx: Some(-1),
        disable_auto_compaction: None,
        version_col_idx: Some(-1),
        store_row_column: None,
        enable_single_replica_compaction: None,
        skip_write_index_on_load: None,
        cluster_key_uids: None,
    }
}

fn create_request(tablet: i64, version: i64, restore: bool) -> TCreateTabletReq {
    let columns = vec![
        column("id", TPrimitiveType::BIGINT, true, 0),
        column("v", TPrimitiveType::STRING, false, 1),
    ];
    TCreateTabletReq {
        tablet_id: tablet,
        tablet_schema: tablet_schema(columns),
        version: Some(version),
        version_hash: None,
        storage_medium: Some(TStorageMedium::HDD),
        in_restore_mode: restore.then_some(true),
        base_tablet_id: None,
        base_schema_hash: None,
        table_id: Some(TABLE),
        partition_id: Some(PARTITION),
        replica_id: Some(tablet + 1000),
        enable_unique_key_merge_on_write: Some(false),
        storage_policy_id: None,
        binlog_config: Some(TBinlogConfig::new(true, 86_400, i64::MAX, i64::MAX)),
        compaction_policy: Some("size_based".to_owned()),
        time_series_compaction_goal_size_mbytes: None,
        time_series_compaction_file_count_threshold: None,
        time_series_compaction_time_threshold_seconds: None,
        time_series_compaction_empty_rowsets_threshold: None,
        time_series_compaction_level_threshold: None,
        inverted_index_file_storage_format: None,
    }
}

fn create(tablet: i64) -> TAgentTaskRequest {
    create_as(create_request(tablet, 1, false))
}

fn create_as(request: TCreateTabletReq) -> TAgentTaskRequest {
    let mut task = bare(TTaskType::CREATE, request.tablet_id);
    task.create_tablet_req = Some(request);
    task
}

fn publish(txn: i64, version: i64) -> TAgentTaskRequest {
    let partition = TPartitionVersionInfo::new(PARTITION, version, 0);
    let base = BTreeSet::from([TABLET, TABLET + 1]);
    let mut task = bare(TTaskType::PUBLISH_VERSION, txn);
    let request = TPublishVersionRequest::new(txn, vec![partition], false, base);
    task.publish_version_req = Some(request);
    task
}

fn snapshot(signature: i64, tablet: i64, version: Option<i64>) -> TAgentTaskRequest {
    let mut task = bare(TTaskType::MAKE_SNAPSHOT, signature);
    task.snapshot_req = Some(TSnapshotRequest::new(
        tablet, HASH, version, None, 600, None, true, 2, None, None, None, None, None,
    ));
    task
}

fn code(end: &TFinishTaskRequest) -> TStatusCode {
    end.task_status.status_code
}

/// Commits rows on a tablet, as a load would, without publishing.
fn load(rig: &Rig, tablet: i64, txn: i64, ids: &[i64]) {
    let be = rig.node.backend();
    be.write_rowset(txn, PARTITION, tablet, schema(), rows(ids), None)
        .unwrap();
}

/// A backend with one tablet whose version 2 has three rows and a binlog.
fn with_rows(double: &FeDouble) -> Rig {
    let rig = Rig::joined(double);
    rig.done(double, create(TABLET));
    load(&rig, TABLET, 11, &[1, 2, 3]);
    rig.done(double, publish(11, 2));
    rig
}

#[test]
fn b38_1_heartbeat_tells_ports_role_version_and_a_fixed_start() {
    let double = FeDouble::start(7, TOKEN);
    let rig = Rig::start(quick());
    let first = double.heartbeat(&rig);
    assert_eq!(first.status.status_code, TStatusCode::OK);
    let info = &first.backend_info;
    let address = rig.node.address();
    assert_eq!(info.be_port, i32::from(address.be_port));
    assert_eq!(info.http_port, i32::from(address.http_port));
    assert_eq!(info.be_rpc_port, Some(-1));
    assert_eq!(info.brpc_port, Some(i32::from(address.brpc_port)));
    assert_eq!(info.be_node_role.as_deref(), Some("mix"));
    assert_eq!(info.is_shutdown, Some(false));
    assert!(info.version.as_deref().unwrap().starts_with("doris-"));
    assert!(info.be_mem.unwrap() > 0);
    let second = double.heartbeat(&rig).backend_info;
    assert_eq!(second.be_start_time, info.be_start_time);
    assert!(
        info.be_start_time.unwrap() > 1_000_000_000_000,
        "milliseconds"
    );
}

#[test]
fn b38_1_heartbeat_of_another_cluster_token_or_older_master_is_refused() {
    let double = FeDouble::start(7, TOKEN);
    double.set_epoch(5);
    let rig = Rig::joined(&double);
    let refused = |info| {
        let result = rig.heartbeat(info);
        assert_eq!(result.status.status_code, TStatusCode::INTERNAL_ERROR);
        assert_eq!(result.backend_info.be_port, 0);
        result.status.error_msgs.unwrap().join("")
    };
    let mut stranger = double.master_info(1);
    stranger.cluster_id = 8;
    assert!(refused(stranger).starts_with("invalid cluster id. ignore."));
    let mut liar = double.master_info(1);
    liar.token = Some("token-b".to_owned());
    let text = refused(liar);
    assert!(text.contains("token") && !text.contains(TOKEN), "{text}");
    let newer = FeDouble::start(7, TOKEN);
    newer.set_epoch(5);
    assert!(refused(newer.master_info(1)).contains("epoch is not greater"));
    newer.set_epoch(6);
    assert_eq!(newer.heartbeat(&rig).status.status_code, TStatusCode::OK);
    assert!(refused(double.master_info(1)).contains("epoch is not greater"));
}

#[test]
fn b38_1_heartbeat_of_a_new_master_moves_reports_and_ends_of_tasks() {
    let (old, new) = (FeDouble::start(7, TOKEN), FeDouble::start(7, TOKEN));
    let rig = Rig::joined(&old);
    rig.done(&old, create(TABLET));
    new.set_epoch(2);
    assert_eq!(new.heartbeat(&rig).status.status_code, TStatusCode::OK);
    new.report("disks", |report| report.disks.is_some());
    let tablets = new.report("tablets", |report| report.tablets.is_some());
    assert_eq!(
        tablets.tablets.unwrap().into_keys().collect::<Vec<_>>(),
        [TABLET]
    );
    rig.done(&new, create(TABLET + 1));
    assert_eq!(old.times_ended(TTaskType::CREATE, TABLET + 1), 0);
}

#[test]
fn b38_2_tasks_before_the_first_heartbeat_are_refused() {
    let rig = Rig::start(quick());
    let result = rig.submit(vec![create(TABLET)]);
    assert_eq!(result.status.status_code, TStatusCode::CANCELLED);
    assert_eq!(rig.node.backend().tablet_count(), 0);
}

#[test]
fn b38_2_the_pull_calls_are_answered() {
    let double = FeDouble::start(7, TOKEN);
    let rig = with_rows(&double);
    let mut client = rig.client();
    let stats = client.get_tablet_stat().unwrap();
    let stat = &stats.tablets_stats[&TABLET];
    assert_eq!((stat.row_count, stat.visible_version), (Some(3), Some(2)));
    assert_eq!(stats.tablet_stat_list.unwrap().len(), 1);
    assert_eq!(client.get_trash_used_capacity().unwrap(), 0);
    let trash = client.get_disk_trash_used_capacity().unwrap();
    assert_eq!(trash[0].trash_used_capacity, 0);
    let topic = client
        .publish_topic_info(TPublishTopicRequest::new())
        .unwrap();
    assert_eq!(topic.status.status_code, TStatusCode::OK);
    let request = TSnapshotRequest::new(
        TABLET, HASH, None, None, 600, None, None, None, None, None, None, None, None,
    );
    let made = client.make_snapshot(request).unwrap();
    assert_eq!(made.status.status_code, TStatusCode::OK);
    let path = made.snapshot_path.unwrap();
    assert!(std::path::Path::new(&path).is_dir());
    let released = client.release_snapshot(path.clone()).unwrap();
    assert_eq!(released.status.status_code, TStatusCode::OK);
    assert!(!std::path::Path::new(&path).exists());
}

#[test]
fn b38_2_unknown_methods_are_exceptions_and_the_connection_goes_on() {
    let double = FeDouble::start(7, TOKEN);
    let rig = Rig::joined(&double);
    // A frontend's method at a backend.
    let mut wrong = common::frontend_client(rig.node.address().be_port);
    let error =
        ccr_doris_wire::TFrontendServiceSyncClient::get_binlog(&mut wrong, ccr_doris_wire::unset())
            .unwrap_err();
    let thrift::Error::Application(error) = error else {
        panic!("{error}");
    };
    assert_eq!(error.kind, thrift::ApplicationErrorKind::UnknownMethod);
    assert!(rig.client().get_tablet_stat().is_ok());
}

fn get(rig: &Rig, path_and_query: &str) -> (StatusCode, String) {
    let url = format!(
        "http://127.0.0.1:{}{path_and_query}",
        rig.node.address().http_port
    );
    rig.block_on(async {
        let answer = reqwest::get(url).await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    })
}

#[test]
fn b38_3_both_download_endpoints_serve_and_the_token_of_the_heartbeat_guards() {
    let double = FeDouble::start(7, TOKEN);
    let rig = with_rows(&double);
    let query = format!("method=get_binlog_info&tablet_id={TABLET}&binlog_version=2");
    let (status, text) = get(&rig, &format!("/api/_binlog/_download?{query}"));
    assert_eq!(status, StatusCode::OK);
    assert!(
        text.split_once(':')
            .is_some_and(|(id, count)| id.len() == 48 && count == "1")
    );
    let made = rig
        .done(&double, snapshot(21, TABLET, None))
        .snapshot_path
        .unwrap();
    let listing = |token: &str| {
        let query = format!("token={token}&file={made}/{TABLET}/{HASH}");
        get(&rig, &format!("/api/_tablet/_download?{query}"))
    };
    assert_eq!(listing("wrong").0, StatusCode::UNAUTHORIZED);
    assert_eq!(listing("").0, StatusCode::UNAUTHORIZED);
    let (status, names) = listing(TOKEN);
    assert_eq!(status, StatusCode::OK);
    assert!(
        names.lines().any(|name| name == format!("{TABLET}.hdr")),
        "{names}"
    );
}

#[test]
fn b38_4_a_tablet_has_its_ids_its_version_and_a_binlog_per_version() {
    let double = FeDouble::start(7, TOKEN);
    let rig = with_rows(&double);
    load(&rig, TABLET, 12, &[]);
    rig.done(&double, publish(12, 3));
    double.set_epoch(2);
    double.heartbeat(&rig);
    let report = double.report("the tablet at version 3", |report| {
        let tablets = report.tablets.as_ref();
        tablets.is_some_and(|tablets| {
            tablets
                .get(&TABLET)
                .is_some_and(|tablet| tablet.tablet_infos[0].version == 3)
        })
    });
    let info = &report.tablets.unwrap()[&TABLET].tablet_infos[0];
    assert_eq!(info.schema_hash, HASH);
    assert_eq!(info.replica_id, Some(TABLET + 1000));
    assert_eq!(info.partition_id, Some(PARTITION));
    assert_eq!((info.row_count, info.total_version_count), (3, Some(2)));
    assert_eq!((info.used, info.version_miss), (Some(true), Some(false)));
    assert_eq!(rig.node.backend().tablet_stat(TABLET).unwrap().binlogs, 2);
}

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
fn b38_5_publish_names_every_tablet_of_its_partitions() {
    let double = FeDouble::start(7, TOKEN);
    let rig = with_rows(&double);
    // A second tablet of the partition, for which the transaction has no rowset.
    rig.done(&double, create(TABLET + 1));
    load(&rig, TABLET, 12, &[4]);
    let end = rig.done(&double, publish(12, 3));
    assert_eq!(end.succ_tablets, Some(BTreeMap::from([(TABLET, 3)])));
    assert_eq!(end.error_tablet_ids, Some(vec![TABLET + 1]));
    assert!(end.report_version.is_some());
    let rows = end.table_id_to_tablet_id_to_delta_num_rows.unwrap();
    assert_eq!(
        rows,
        BTreeMap::from([(TABLE, BTreeMap::from([(TABLET, 1)]))])
    );
    assert_eq!(ids(rig.node.backend().as_ref(), TABLET, 3), [1, 2, 3, 4]);
}

#[test]
fn b38_5_a_publish_waits_for_the_version_before_it() {
    let double = FeDouble::start(7, TOKEN);
    let rig = with_rows(&double);
    load(&rig, TABLET, 12, &[4]);
    load(&rig, TABLET, 13, &[5]);
    rig.submit(vec![publish(13, 4)]);
    rig.done(&double, create(TABLET + 50));
    assert_eq!(double.times_ended(TTaskType::PUBLISH_VERSION, 13), 0);
    rig.done(&double, publish(12, 3));
    let late = double.end_of(TTaskType::PUBLISH_VERSION, 13);
    assert_eq!(code(&late), TStatusCode::OK);
    assert_eq!(late.succ_tablets.unwrap()[&TABLET], 4);
    assert_eq!(ids(rig.node.backend().as_ref(), TABLET, 4), [1, 2, 3, 4, 5]);
}

#[test]
fn b38_5_a_publish_over_a_gap_fails_in_the_end_and_succeeds_when_sent_again() {
    let double = FeDouble::start(7, TOKEN);
    let mut config = quick();
    config.publish_wait = Duration::from_millis(50);
    let rig = Rig::start(config);
    double.heartbeat(&rig);
    rig.done(&double, create(TABLET));
    load(&rig, TABLET, 12, &[1]);
    load(&rig, TABLET, 13, &[2]);
    let refused = rig.run(&double, publish(13, 3));
    assert_eq!(code(&refused), TStatusCode::INTERNAL_ERROR);
    assert_eq!(refused.error_tablet_ids, Some(vec![TABLET]));
    assert_eq!(refused.succ_tablets, Some(BTreeMap::new()));
    rig.done(&double, publish(12, 2));
    let be = rig.node.backend();
    for _ in 0..500 {
        if be.tablet_stat(TABLET).unwrap().version == 3 {
            break;
        }
        // Ignored while the first one is not forgotten, which it is only after its end was told.
        rig.submit(vec![publish(13, 3)]);
        rig.pause(10);
    }
    assert_eq!(ids(be.as_ref(), TABLET, 3), [1, 2]);
}

#[test]
fn b38_5_clear_transaction_forgets_and_odd_ids_are_answered() {
    let double = FeDouble::start(7, TOKEN);
    let rig = with_rows(&double);
    load(&rig, TABLET, 12, &[4]);
    let clear = |txn| {
        let mut task = bare(TTaskType::CLEAR_TRANSACTION_TASK, txn);
        task.clear_transaction_task_req = Some(TClearTransactionTaskRequest::new(txn, vec![]));
        task
    };
    rig.done(&double, clear(12));
    assert!(rig.node.backend().committed_tablets(12).is_empty());
    rig.done(&double, clear(-7));
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
    let request = ccr_doris_wire::TAlterTabletReqV2::new(
        TABLET,
        TABLET + 1,
        HASH,
        HASH,
        2,
        None,
        ccr_doris_wire::TAlterTabletType::SCHEMA_CHANGE,
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
    for task_type in [TTaskType::CLONE, TTaskType::UPLOAD] {
        let end = rig.run(&double, bare(task_type, 61));
        assert_eq!(code(&end), TStatusCode::NOT_IMPLEMENTED_ERROR);
    }
}

#[test]
fn b38_5_a_task_that_is_under_way_is_not_done_twice() {
    let double = FeDouble::start(7, TOKEN);
    let rig = Rig::joined(&double);
    let hold = rig
        .faults
        .add(Rule::always("task.create_tablet", Effect::Hold));
    for _ in 0..3 {
        let accepted = rig.submit(vec![create(TABLET), create(TABLET)]);
        assert_eq!(accepted.status.status_code, TStatusCode::OK);
    }
    rig.faults.remove(hold);
    double.end_of(TTaskType::CREATE, TABLET);
    rig.done(&double, create(TABLET + 1));
    assert_eq!(double.times_ended(TTaskType::CREATE, TABLET), 1);
    assert_eq!(rig.faults.count("task.create_tablet"), 2);
}

#[test]
fn b38_5_the_end_of_a_task_is_told_again_after_errors_of_transport() {
    let double = FeDouble::start(7, TOKEN);
    let rig = Rig::joined(&double);
    double.report("tablets", |report| report.tablets.is_some());
    double.cut_next(2);
    rig.done(&double, create(TABLET));
    assert_eq!(double.times_ended(TTaskType::CREATE, TABLET), 1);
    // Three attempts and no more.
    double.cut_next(3);
    rig.submit(vec![create(TABLET + 1)]);
    for _ in 0..1000 {
        if rig.node.backend().tablet_count() == 2 {
            break;
        }
        rig.pause(10);
    }
    rig.pause(200);
    rig.done(&double, create(TABLET + 2));
    assert_eq!(double.times_ended(TTaskType::CREATE, TABLET + 1), 0);
}

#[test]
fn b38_6_disks_are_reported_first_then_tasks_and_all_tablets() {
    let double = FeDouble::start(7, TOKEN);
    let rig = Rig::joined(&double);
    double.report("tasks", |report| report.tasks.is_some());
    double.report("tablets", |report| report.tablets.is_some());
    let reports = double.reports();
    let disks = reports[0].disks.as_ref().expect("disks come first");
    let (root, disk) = disks.first_key_value().unwrap();
    assert_eq!(root, &rig.node.backend().store().display().to_string());
    assert!(disk.used && disk.disk_available_capacity.unwrap() > 0);
    assert!(reports[0].num_cores.unwrap() > 0);
    for report in &reports {
        let kinds = [
            report.tasks.is_some(),
            report.disks.is_some(),
            report.tablets.is_some(),
        ];
        assert_eq!(kinds.iter().filter(|set| **set).count(), 1, "{report:?}");
        assert_eq!(
            report.backend.be_port,
            i32::from(rig.node.address().be_port)
        );
    }
}

#[test]
fn b38_6_reports_repeat_and_their_version_grows_with_every_tablet() {
    let double = FeDouble::start(7, TOKEN);
    let mut config = quick();
    config.task_report = Duration::from_millis(20);
    config.disk_report = Duration::from_millis(20);
    config.tablet_report = Duration::from_millis(20);
    let rig = Rig::start(config);
    double.heartbeat(&rig);
    let first = double.report("tablets", |report| report.tablets.is_some());
    let created = rig.done(&double, create(TABLET)).report_version.unwrap();
    assert!(created > first.report_version.unwrap());
    let later = double.report("the new tablet", |report| {
        report
            .tablets
            .as_ref()
            .is_some_and(|tablets| tablets.contains_key(&TABLET))
    });
    assert!(
        later.report_version.unwrap() >= created,
        "a report that knows the tablet is not older"
    );
    let hold = rig
        .faults
        .add(Rule::always("task.create_tablet", Effect::Hold));
    rig.submit(vec![create(TABLET + 1), create(TABLET + 2)]);
    let signatures = BTreeSet::from([TABLET + 1, TABLET + 2]);
    double.report("both waiting tasks", |report| {
        let tasks = report.tasks.as_ref();
        tasks.is_some_and(|tasks| tasks.get(&TTaskType::CREATE) == Some(&signatures))
    });
    rig.faults.remove(hold);
    double.end_of(TTaskType::CREATE, TABLET + 1);
    double.end_of(TTaskType::CREATE, TABLET + 2);
    let seen = double.reports().len();
    let idle = |after: usize| {
        let reports = double.reports();
        let mut tasks = reports[after..]
            .iter()
            .filter_map(|report| report.tasks.as_ref());
        tasks.any(BTreeMap::is_empty)
    };
    for _ in 0..500 {
        if idle(seen) {
            break;
        }
        rig.pause(10);
    }
    assert!(idle(seen), "ended tasks leave the report");
}

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

fn ingest(source: &Rig, target: &Rig, txn: i64, from: i64, to: i64, version: i64) {
    let address = source.node.address();
    let request = TIngestBinlogRequest::new(
        txn,
        from,
        version,
        address.host.clone(),
        address.http_port.to_string(),
        PARTITION,
        to,
        TUniqueId::new(-1, -1),
    );
    let result = backend_client(target.node.address().be_port)
        .ingest_binlog(request)
        .unwrap();
    let status = result.status.unwrap();
    assert_eq!(
        status.status_code,
        TStatusCode::OK,
        "{:?}",
        status.error_msgs
    );
}

fn download(source: &Rig, signature: i64, from: &str, to: &str) -> TAgentTaskRequest {
    let address = source.node.address();
    let remote = TRemoteTabletSnapshot::new(
        TABLET + 1,
        format!("{to}/{}/{HASH}", TABLET + 1),
        TABLET,
        10_002,
        TNetworkAddress::new(address.host.clone(), i32::from(address.http_port)),
        format!("{from}/{TABLET}/{HASH}"),
        TOKEN.to_owned(),
    );
    let mut task = bare(TTaskType::DOWNLOAD, signature);
    task.download_req = Some(TDownloadReq {
        job_id: 70,
        src_dest_map: BTreeMap::new(),
        broker_addr: TNetworkAddress::new(String::new(), 0),
        broker_prop: None,
        location: None,
        remote_tablet_snapshots: Some(vec![remote]),
    });
    task
}

fn move_dir(signature: i64, path: &str) -> TAgentTaskRequest {
    let src = format!("{path}/{}/{HASH}", TABLET + 1);
    let mut task = bare(TTaskType::MOVE, signature);
    task.move_dir_req = Some(TMoveDirReq::new(TABLET + 1, HASH, src, 70, true));
    task
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
