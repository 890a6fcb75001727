// The heartbeat that a FE sends to a BE.
//
// Written by hand from the wire contract of Doris (master, January 2026).

include "frontend.thrift"

struct TFrontendInfo {
  1: optional frontend.TNetworkAddress coordinator_address,
  2: optional i64 process_uuid,
}

struct TCloudClusterInfo {
  1: optional bool isStandby,
}

struct TMasterInfo {
  1: required frontend.TNetworkAddress network_address,
  2: required i32 cluster_id,
  3: required i64 epoch,
  4: optional string token,
  5: optional string backend_ip,
  6: optional i32 http_port,
  7: optional i64 heartbeat_flags,
  8: optional i64 backend_id,
  9: optional list<TFrontendInfo> frontend_infos,
  10: optional string meta_service_endpoint,
  11: optional string cloud_unique_id,
  12: optional i64 tablet_report_inactive_duration_ms,
  13: optional string auth_token,
  14: optional TCloudClusterInfo cloud_cluster_info,
}

struct TBackendInfo {
  1: required i32 be_port,
  2: required i32 http_port,
  3: optional i32 be_rpc_port,
  4: optional i32 brpc_port,
  5: optional string version,
  6: optional i64 be_start_time,
  7: optional string be_node_role,
  8: optional bool is_shutdown,
  9: optional i32 arrow_flight_sql_port,
  10: optional i64 be_mem,
  1000: optional i64 fragment_executing_count,
  1001: optional i64 fragment_last_active_time,
}

struct THeartbeatResult {
  1: required frontend.TStatus status,
  2: required TBackendInfo backend_info,
}

// On `heartbeat_service_port` of a BE.
service HeartbeatService {
  THeartbeatResult heartbeat(1: TMasterInfo master_info),
}
