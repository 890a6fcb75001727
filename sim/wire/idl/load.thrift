// A stream load of a BE at its FE: a transaction, a plan for the body, the end.
//
// Written by hand from the wire contract of Doris (master, January 2026). Only what a BE of ours sets and reads.

include "frontend.thrift"
include "plan.thrift"

struct TLoadTxnBeginRequest {
  2: required string user,
  3: required string passwd,
  4: required string db,
  5: required string tbl,
  6: optional string user_ip,
  7: required string label,
  10: optional i64 timeout,
  11: optional frontend.TUniqueId request_id,
  12: optional string token,
  15: optional i64 backend_id,
}

struct TLoadTxnBeginResult {
  1: required frontend.TStatus status,
  2: optional i64 txnId,
  // Of the transaction that has the label.
  3: optional string job_status,
  4: optional i64 db_id,
}

enum TMergeType {
  APPEND = 0,
  MERGE = 1,
  DELETE = 2,
}

struct TStreamLoadPutRequest {
  2: required string user,
  3: required string passwd,
  4: required string db,
  5: required string tbl,
  6: optional string user_ip,
  7: required frontend.TUniqueId loadId,
  8: required i64 txnId,
  // FILE_STREAM is 2.
  9: required i32 fileType,
  // CSV is 0, JSON 9.
  10: required i32 formatType,
  12: optional string columns,
  13: optional string where,
  14: optional string columnSeparator,
  15: optional string partitions,
  17: optional bool negative,
  18: optional i32 timeout,
  19: optional bool strictMode,
  20: optional string timezone,
  22: optional bool isTempPartition,
  23: optional bool strip_outer_array,
  24: optional string jsonpaths,
  26: optional string json_root,
  27: optional TMergeType merge_type,
  28: optional string delete_condition,
  29: optional string sequence_col,
  30: optional bool num_as_string,
  31: optional bool fuzzy_parse,
  32: optional string line_delimiter,
  33: optional bool read_json_by_line,
  34: optional string token,
  36: optional double max_filter_ratio,
  37: optional bool load_to_single_tablet,
  39: optional string hidden_columns,
  45: optional bool partial_update,
  48: optional i64 backend_id,
  50: optional string label,
  57: optional plan.TUniqueKeyUpdateMode unique_key_update_mode,
}

struct TStreamLoadPutResult {
  1: required frontend.TStatus status,
  3: optional plan.TPipelineFragmentParams pipeline_params,
}

struct TLoadTxnCommitRequest {
  2: required string user,
  3: required string passwd,
  4: required string db,
  5: required string tbl,
  6: optional string user_ip,
  7: required i64 txnId,
  8: required bool sync,
  9: optional list<frontend.TTabletCommitInfo> commitInfos,
  12: optional i64 thrift_rpc_timeout_ms,
  13: optional string token,
  14: optional i64 db_id,
  20: optional i64 backendId,
}

struct TLoadTxnCommitResult {
  1: required frontend.TStatus status,
}

struct TLoadTxnRollbackRequest {
  2: required string user,
  3: required string passwd,
  4: required string db,
  5: required string tbl,
  6: optional string user_ip,
  7: required i64 txnId,
  8: optional string reason,
  11: optional string token,
  12: optional i64 db_id,
}

struct TLoadTxnRollbackResult {
  1: required frontend.TStatus status,
}

struct TLoadTxn2PCRequest {
  2: required string user,
  3: required string passwd,
  4: optional string db,
  5: optional string user_ip,
  6: optional i64 txnId,
  7: optional string operation,
  9: optional string token,
  10: optional i64 thrift_rpc_timeout_ms,
  11: optional string label,
}

struct TLoadTxn2PCResult {
  1: required frontend.TStatus status,
}
