// The traffic between a FE and its BEs: agent tasks, their ends, reports.
//
// Written by hand from the wire contract of Doris (master, January 2026). Members that only cloud storage, external
// file systems or the query engine use are left out; readers skip what they do not know.

include "frontend.thrift"
include "plan.thrift"
include "types.thrift"

enum TTaskType {
  CREATE = 0,
  DROP = 1,
  PUSH = 2,
  CLONE = 3,
  STORAGE_MEDIUM_MIGRATE = 4,
  ROLLUP = 5,
  SCHEMA_CHANGE = 6,
  CANCEL_DELETE = 7,
  MAKE_SNAPSHOT = 8,
  RELEASE_SNAPSHOT = 9,
  CHECK_CONSISTENCY = 10,
  UPLOAD = 11,
  DOWNLOAD = 12,
  CLEAR_REMOTE_FILE = 13,
  MOVE = 14,
  REALTIME_PUSH = 15,
  PUBLISH_VERSION = 16,
  CLEAR_ALTER_TASK = 17,
  CLEAR_TRANSACTION_TASK = 18,
  RECOVER_TABLET = 19,
  STREAM_LOAD = 20,
  UPDATE_TABLET_META_INFO = 21,
  ALTER = 22,
  INSTALL_PLUGIN = 23,
  UNINSTALL_PLUGIN = 24,
  COMPACTION = 25,
  STORAGE_MEDIUM_MIGRATE_V2 = 26,
  NOTIFY_UPDATE_STORAGE_POLICY = 27,
  PUSH_COOLDOWN_CONF = 28,
  PUSH_STORAGE_POLICY = 29,
  ALTER_INVERTED_INDEX = 30,
  GC_BINLOG = 31,
  CLEAN_TRASH = 32,
  UPDATE_VISIBLE_VERSION = 33,
  CLEAN_UDF_CACHE = 34,
  PUSH_INDEX_POLICY = 35,
  CALCULATE_DELETE_BITMAP = 1000,
}

enum TStorageType {
  ROW = 0,
  COLUMN = 1,
}

enum TStorageMedium {
  HDD = 0,
  SSD = 1,
  S3 = 2,
  REMOTE_CACHE = 3,
}

enum TIndexType {
  BITMAP = 0,
  INVERTED = 1,
  BLOOMFILTER = 2,
  NGRAM_BF = 3,
  ANN = 4,
}

enum TInvertedIndexFileStorageFormat {
  DEFAULT = 0,
  V1 = 1,
  V2 = 2,
  V3 = 3,
}

enum TAlterTabletType {
  SCHEMA_CHANGE = 1,
  ROLLUP = 2,
  MIGRATION = 3,
}

enum TPushType {
  LOAD = 0,
  DELETE = 1,
  LOAD_DELETE = 2,
  LOAD_V2 = 3,
}

enum TPriority {
  NORMAL = 0,
  HIGH = 1,
}

enum TAgentServiceVersion {
  V1 = 0,
}

// Schemas.

struct TOlapTableIndex {
  1: optional string index_name,
  2: optional list<string> columns,
  3: optional TIndexType index_type,
  4: optional string comment,
  5: optional i64 index_id,
  6: optional map<string, string> properties,
  7: optional list<i32> column_unique_ids,
}

struct TTabletSchema {
  1: required i16 short_key_column_count,
  2: required i32 schema_hash,
  3: required types.TKeysType keys_type,
  4: required TStorageType storage_type,
  5: required list<types.TColumn> columns,
  6: optional double bloom_filter_fpp,
  7: optional list<TOlapTableIndex> indexes,
  8: optional bool is_in_memory,
  9: optional i32 delete_sign_idx,
  10: optional i32 sequence_col_idx,
  13: optional bool disable_auto_compaction,
  14: optional i32 version_col_idx,
  16: optional bool store_row_column,
  17: optional bool enable_single_replica_compaction,
  18: optional bool skip_write_index_on_load,
  19: optional list<i32> cluster_key_uids,
}

struct TBinlogConfig {
  1: optional bool enable,
  2: optional i64 ttl_seconds,
  3: optional i64 max_bytes,
  4: optional i64 max_history_nums,
}

// The tasks.

struct TCreateTabletReq {
  1: required i64 tablet_id,
  2: required TTabletSchema tablet_schema,
  3: optional i64 version,
  4: optional i64 version_hash,
  5: optional TStorageMedium storage_medium,
  6: optional bool in_restore_mode,
  7: optional i64 base_tablet_id,
  8: optional i32 base_schema_hash,
  9: optional i64 table_id,
  10: optional i64 partition_id,
  17: optional i64 replica_id,
  19: optional bool enable_unique_key_merge_on_write,
  20: optional i64 storage_policy_id,
  21: optional TBinlogConfig binlog_config,
  22: optional string compaction_policy,
  23: optional i64 time_series_compaction_goal_size_mbytes,
  24: optional i64 time_series_compaction_file_count_threshold,
  25: optional i64 time_series_compaction_time_threshold_seconds,
  26: optional i64 time_series_compaction_empty_rowsets_threshold,
  27: optional i64 time_series_compaction_level_threshold,
  29: optional TInvertedIndexFileStorageFormat inverted_index_file_storage_format,
}

struct TDropTabletReq {
  1: required i64 tablet_id,
  2: optional i32 schema_hash,
  3: optional i64 replica_id,
  4: optional bool is_drop_table_or_partition,
}

// Where a column of a rollup or materialized view comes from.
struct TAlterMaterializedViewParam {
  1: required string column_name,
  2: optional string origin_column_name,
  3: optional plan.TPlanExpr mv_expr,
}

struct TAlterTabletReqV2 {
  1: required i64 base_tablet_id,
  2: required i64 new_tablet_id,
  3: required i32 base_schema_hash,
  4: required i32 new_schema_hash,
  5: optional i64 alter_version,
  7: optional list<TAlterMaterializedViewParam> materialized_view_params,
  8: optional TAlterTabletType alter_tablet_type,
  // Slots of the expressions, for materialized views.
  9: optional plan.TDescriptorTable desc_tbl,
  // Columns of the base index as they are now.
  10: optional list<types.TColumn> columns,
}

struct TAlterInvertedIndexReq {
  1: required i64 tablet_id,
  2: required i32 schema_hash,
  5: optional bool is_drop_op,
  6: optional list<TOlapTableIndex> alter_inverted_indexes,
  7: optional list<TOlapTableIndex> indexes_desc,
  8: optional list<types.TColumn> columns,
  9: optional i64 job_id,
  10: optional i64 expiration,
  11: optional i32 schema_version,
}

struct TTabletGcBinlogInfo {
  1: optional i64 tablet_id,
  // This version and all before it are forgotten.
  2: optional i64 version,
}

struct TGcBinlogReq {
  1: optional list<TTabletGcBinlogInfo> tablet_gc_binlog_infos,
}

struct TCondition {
  1: required string column_name,
  2: required string condition_op,
  3: required list<string> condition_values,
  4: optional i32 column_unique_id,
}

struct TPushReq {
  1: required i64 tablet_id,
  2: required i32 schema_hash,
  3: required i64 version,
  4: required i64 version_hash,
  5: required i64 timeout,
  6: required TPushType push_type,
  9: optional list<TCondition> delete_conditions,
  11: optional i64 transaction_id,
  12: optional i64 partition_id,
  13: optional bool is_schema_changing,
  16: optional list<types.TColumn> columns_desc,
  18: optional i32 schema_version,
}

struct TCloneReq {
  1: required i64 tablet_id,
  2: required i32 schema_hash,
  3: required list<frontend.TBackend> src_backends,
  4: optional TStorageMedium storage_medium,
  5: optional i64 version,
  7: optional i32 task_version,
  10: optional i32 timeout_s,
  11: optional i64 replica_id,
  12: optional i64 partition_id,
  13: optional i64 table_id,
}

struct TStorageMediumMigrateReq {
  1: required i64 tablet_id,
  2: required i32 schema_hash,
  3: required TStorageMedium storage_medium,
  4: optional string data_dir,
}

struct TCheckConsistencyReq {
  1: required i64 tablet_id,
  2: required i32 schema_hash,
  3: required i64 version,
  4: required i64 version_hash,
}

struct TRemoteTabletSnapshot {
  1: optional i64 local_tablet_id,
  2: optional string local_snapshot_path,
  3: optional i64 remote_tablet_id,
  4: optional i64 remote_be_id,
  // With the HTTP port.
  5: optional frontend.TNetworkAddress remote_be_addr,
  6: optional string remote_snapshot_path,
  7: optional string remote_token,
}

struct TUploadReq {
  1: required i64 job_id,
  2: required map<string, string> src_dest_map,
  3: required frontend.TNetworkAddress broker_addr,
  4: optional map<string, string> broker_prop,
  6: optional string location,
}

struct TDownloadReq {
  1: required i64 job_id,
  2: required map<string, string> src_dest_map,
  3: required frontend.TNetworkAddress broker_addr,
  4: optional map<string, string> broker_prop,
  6: optional string location,
  7: optional list<TRemoteTabletSnapshot> remote_tablet_snapshots,
}

struct TSnapshotRequest {
  1: required i64 tablet_id,
  2: required i32 schema_hash,
  // Honoured when positive.
  3: optional i64 version,
  4: optional i64 version_hash,
  // Seconds.
  5: optional i64 timeout,
  6: optional list<i64> missing_version,
  7: optional bool list_files,
  9: optional i32 preferred_snapshot_version,
  10: optional bool is_copy_tablet_task,
  11: optional i64 start_version,
  12: optional i64 end_version,
  13: optional bool is_copy_binlog,
  14: optional i64 ref_tablet_id,
}

struct TReleaseSnapshotRequest {
  1: required string snapshot_path,
  2: optional i64 tablet_id,
  3: optional bool is_job_completed,
}

struct TClearRemoteFileReq {
  1: required string remote_file_path,
  2: required map<string, string> remote_source_properties,
}

struct TPartitionVersionInfo {
  1: required i64 partition_id,
  2: required i64 version,
  3: required i64 version_hash,
}

struct TMoveDirReq {
  1: required i64 tablet_id,
  2: required i32 schema_hash,
  3: required string src,
  4: required i64 job_id,
  5: required bool overwrite,
}

struct TPublishVersionRequest {
  1: required i64 transaction_id,
  2: required list<TPartitionVersionInfo> partition_version_infos,
  3: optional bool strict_mode,
  4: optional set<i64> base_tablet_ids,
}

struct TVisibleVersionReq {
  1: optional map<i64, i64> partition_version,
}

struct TClearAlterTaskRequest {
  1: required i64 tablet_id,
  2: required i32 schema_hash,
}

struct TClearTransactionTaskRequest {
  1: required i64 transaction_id,
  // Empty: all partitions.
  2: required list<i64> partition_id,
}

struct TTabletMetaInfo {
  1: optional i64 tablet_id,
  2: optional i32 schema_hash,
  3: optional i64 partition_id,
  5: optional bool is_in_memory,
  7: optional i64 storage_policy_id,
  8: optional i64 replica_id,
  9: optional TBinlogConfig binlog_config,
  10: optional string compaction_policy,
  14: optional bool enable_single_replica_compaction,
  15: optional bool skip_write_index_on_load,
  16: optional bool disable_auto_compaction,
}

struct TUpdateTabletMetaInfoReq {
  1: optional list<TTabletMetaInfo> tabletMetaInfos,
}

struct TCompactionReq {
  1: optional i64 tablet_id,
  2: optional i32 schema_hash,
  3: optional string type,
}

struct TCooldownConf {
  1: required i64 tablet_id,
  2: optional i64 cooldown_replica_id,
  3: optional i64 cooldown_term,
}

struct TPushCooldownConfReq {
  1: required list<TCooldownConf> cooldown_confs,
}

struct TPushStoragePolicyReq {
  3: optional list<i64> dropped_storage_policy,
}

struct TCleanTrashReq {
}

struct TCleanUDFCacheReq {
  1: optional string function_signature,
}

struct TPushIndexPolicyReq {
  2: optional list<i64> dropped_index_policys,
}

struct TAgentTaskRequest {
  1: required TAgentServiceVersion protocol_version,
  2: required TTaskType task_type,
  3: required i64 signature,
  4: optional TPriority priority,
  5: optional TCreateTabletReq create_tablet_req,
  6: optional TDropTabletReq drop_tablet_req,
  8: optional TCloneReq clone_req,
  9: optional TPushReq push_req,
  12: optional TStorageMediumMigrateReq storage_medium_migrate_req,
  13: optional TCheckConsistencyReq check_consistency_req,
  14: optional TUploadReq upload_req,
  15: optional TDownloadReq download_req,
  16: optional TSnapshotRequest snapshot_req,
  17: optional TReleaseSnapshotRequest release_snapshot_req,
  18: optional TClearRemoteFileReq clear_remote_file_req,
  19: optional TPublishVersionRequest publish_version_req,
  20: optional TClearAlterTaskRequest clear_alter_task_req,
  21: optional TClearTransactionTaskRequest clear_transaction_task_req,
  22: optional TMoveDirReq move_dir_req,
  24: optional TAlterTabletReqV2 alter_tablet_req_v2,
  // Milliseconds, set by the BE.
  25: optional i64 recv_time,
  26: optional TUpdateTabletMetaInfoReq update_tablet_meta_info_req,
  27: optional TCompactionReq compaction_req,
  30: optional TPushCooldownConfReq push_cooldown_conf,
  31: optional TPushStoragePolicyReq push_storage_policy_req,
  32: optional TAlterInvertedIndexReq alter_inverted_index_req,
  33: optional TGcBinlogReq gc_binlog_req,
  34: optional TCleanTrashReq clean_trash_req,
  35: optional TVisibleVersionReq visible_version_req,
  36: optional TCleanUDFCacheReq clean_udf_cache_req,
  37: optional TPushIndexPolicyReq push_index_policy_req,
}

struct TAgentResult {
  1: required frontend.TStatus status,
  2: optional string snapshot_path,
  3: optional bool allow_incremental_clone,
  4: optional i32 snapshot_version,
}

// What a BE tells its FE.

struct TTabletInfo {
  1: required i64 tablet_id,
  2: required i32 schema_hash,
  3: required i64 version,
  4: required i64 version_hash,
  5: required i64 row_count,
  6: required i64 data_size,
  7: optional TStorageMedium storage_medium,
  // Expired local transactions.
  8: optional list<i64> transaction_ids,
  9: optional i64 total_version_count,
  10: optional i64 path_hash,
  11: optional bool version_miss,
  12: optional bool used,
  13: optional i64 partition_id,
  14: optional bool is_in_memory,
  15: optional i64 replica_id,
  16: optional i64 remote_data_size,
  21: optional i64 visible_version_count,
  22: optional i64 local_index_size,
  23: optional i64 local_segment_size,
  24: optional i64 remote_index_size,
  25: optional i64 remote_segment_size,
}

struct TFinishTaskRequest {
  1: required frontend.TBackend backend,
  2: required TTaskType task_type,
  3: required i64 signature,
  4: required frontend.TStatus task_status,
  5: optional i64 report_version,
  6: optional list<TTabletInfo> finish_tablet_infos,
  7: optional i64 tablet_checksum,
  8: optional i64 request_version,
  9: optional i64 request_version_hash,
  10: optional string snapshot_path,
  11: optional list<i64> error_tablet_ids,
  12: optional list<string> snapshot_files,
  13: optional map<i64, list<string>> tablet_files,
  14: optional list<i64> downloaded_tablet_ids,
  15: optional i64 copy_size,
  16: optional i64 copy_time_ms,
  // Tablet to its version.
  17: optional map<i64, i64> succ_tablets,
  18: optional map<i64, i64> table_id_to_delta_num_rows,
  19: optional map<i64, map<i64, i64>> table_id_to_tablet_id_to_delta_num_rows,
}

struct TTablet {
  1: required list<TTabletInfo> tablet_infos,
}

struct TDisk {
  1: required string root_path,
  2: required i64 disk_total_capacity,
  3: required i64 data_used_capacity,
  // Healthy.
  4: required bool used,
  5: optional i64 disk_available_capacity,
  6: optional i64 path_hash,
  7: optional TStorageMedium storage_medium,
  8: optional i64 remote_used_capacity,
  9: optional i64 trash_used_capacity,
}

// One kind per call: tasks, disks, tablets or index policies.
struct TReportRequest {
  1: required frontend.TBackend backend,
  2: optional i64 report_version,
  3: optional map<TTaskType, set<i64>> tasks,
  4: optional map<i64, TTablet> tablets,
  5: optional map<string, TDisk> disks,
  6: optional bool force_recovery,
  7: optional list<TTablet> tablet_list,
  8: optional i64 tablet_max_compaction_score,
  11: optional i32 num_cores,
  12: optional i32 pipeline_executor_size,
  13: optional map<i64, i64> partitions_version,
  14: optional i64 num_tablets,
  16: optional i64 running_tasks,
}

struct TMasterResult {
  1: required frontend.TStatus status,
}

struct TSnapshotLoaderReportRequest {
  1: required i64 job_id,
  2: required i64 task_id,
  3: required TTaskType task_type,
  4: optional i32 finished_num,
  5: optional i32 total_num,
}

struct TTabletStat {
  1: required i64 tablet_id,
  2: optional i64 data_size,
  3: optional i64 row_count,
  4: optional i64 total_version_count,
  5: optional i64 remote_data_size,
  6: optional i64 visible_version_count,
  7: optional i64 visible_version,
  8: optional i64 local_index_size,
  9: optional i64 local_segment_size,
  10: optional i64 remote_index_size,
  11: optional i64 remote_segment_size,
}

struct TTabletStatResult {
  1: required map<i64, TTabletStat> tablets_stats,
  2: optional list<TTabletStat> tablet_stat_list,
}

struct TDiskTrashInfo {
  1: required string root_path,
  2: required string state,
  3: required i64 trash_used_capacity,
}

struct TPublishTopicRequest {
}

struct TPublishTopicResult {
  1: required frontend.TStatus status,
}

// Methods of Doris' `BackendService` that a FE calls, beside those of replication; the same port serves both.
service AgentService {
  TAgentResult submit_tasks(1: list<TAgentTaskRequest> tasks),
  TAgentResult make_snapshot(1: TSnapshotRequest snapshot_request),
  TAgentResult release_snapshot(1: string snapshot_path),
  TTabletStatResult get_tablet_stat(),
  i64 get_trash_used_capacity(),
  list<TDiskTrashInfo> get_disk_trash_used_capacity(),
  TPublishTopicResult publish_topic_info(1: TPublishTopicRequest topic_request),
}

// Methods of Doris' `FrontendService` that a BE calls; the same port serves both.
service MasterService {
  TMasterResult finishTask(1: TFinishTaskRequest request),
  TMasterResult report(1: TReportRequest request),
  frontend.TStatus snapshotLoaderReport(1: TSnapshotLoaderReportRequest request),
}
