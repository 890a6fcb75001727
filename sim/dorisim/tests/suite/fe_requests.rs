//! Requests as a frontend sends them, built from the structs of the wire alone.

use std::collections::{BTreeMap, BTreeSet};

use dorisim::be::BackendApi;
use dorisim_wire::{
    TAgentTaskRequest, TAggregationType, TBackendServiceSyncClient, TBinlogConfig, TColumn,
    TColumnType, TCreateTabletReq, TDownloadReq, TFinishTaskRequest, TIngestBinlogRequest,
    TKeysType, TMoveDirReq, TNetworkAddress, TPartitionVersionInfo, TPrimitiveType,
    TPublishVersionRequest, TRemoteTabletSnapshot, TSnapshotRequest, TStatusCode, TStorageMedium,
    TStorageType, TTabletSchema, TTaskType, TUniqueId,
};
use reqwest::StatusCode;

use crate::common::{backend_client, rows, schema};
use crate::fe_double::{FeDouble, Rig, bare};

pub const TABLE: i64 = 1;
pub const PARTITION: i64 = 5;
pub const TABLET: i64 = 100;
pub const HASH: i32 = 77;
pub const TOKEN: &str = "token-a";

pub fn column(name: &str, primitive: TPrimitiveType, is_key: bool, unique_id: i32) -> TColumn {
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

pub fn tablet_schema(columns: Vec<TColumn>) -> TTabletSchema {
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

pub fn create_request(tablet: i64, version: i64, restore: bool) -> TCreateTabletReq {
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

pub fn create(tablet: i64) -> TAgentTaskRequest {
    create_as(create_request(tablet, 1, false))
}

pub fn create_as(request: TCreateTabletReq) -> TAgentTaskRequest {
    let mut task = bare(TTaskType::CREATE, request.tablet_id);
    task.create_tablet_req = Some(request);
    task
}

pub fn publish(txn: i64, version: i64) -> TAgentTaskRequest {
    let partition = TPartitionVersionInfo::new(PARTITION, version, 0);
    let base = BTreeSet::from([TABLET, TABLET + 1]);
    let mut task = bare(TTaskType::PUBLISH_VERSION, txn);
    let request = TPublishVersionRequest::new(txn, vec![partition], false, base);
    task.publish_version_req = Some(request);
    task
}

pub fn snapshot(signature: i64, tablet: i64, version: Option<i64>) -> TAgentTaskRequest {
    let mut task = bare(TTaskType::MAKE_SNAPSHOT, signature);
    task.snapshot_req = Some(TSnapshotRequest::new(
        tablet, HASH, version, None, 600, None, true, 2, None, None, None, None, None,
    ));
    task
}

pub fn code(end: &TFinishTaskRequest) -> TStatusCode {
    end.task_status.status_code
}

/// Commits rows on a tablet, as a load would, without publishing.
pub fn load(rig: &Rig, tablet: i64, txn: i64, ids: &[i64]) {
    let be = rig.node.backend();
    be.write_rowset(txn, PARTITION, tablet, schema(), rows(ids), None)
        .unwrap();
}

/// A backend with one tablet whose version 2 has three rows and a binlog.
pub fn with_rows(double: &FeDouble) -> Rig {
    let rig = Rig::joined(double);
    rig.done(double, create(TABLET));
    load(&rig, TABLET, 11, &[1, 2, 3]);
    rig.done(double, publish(11, 2));
    rig
}

pub fn get(rig: &Rig, path_and_query: &str) -> (StatusCode, String) {
    let url = format!(
        "http://127.0.0.1:{}{path_and_query}",
        rig.node.address().http_port
    );
    rig.block_on(async {
        let answer = reqwest::get(url).await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    })
}

pub fn ingest(source: &Rig, target: &Rig, txn: i64, from: i64, to: i64, version: i64) {
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

pub fn download(source: &Rig, signature: i64, from: &str, to: &str) -> TAgentTaskRequest {
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

pub fn move_dir(signature: i64, path: &str) -> TAgentTaskRequest {
    let src = format!("{path}/{}/{HASH}", TABLET + 1);
    let mut task = bare(TTaskType::MOVE, signature);
    task.move_dir_req = Some(TMoveDirReq::new(TABLET + 1, HASH, src, 70, true));
    task
}
