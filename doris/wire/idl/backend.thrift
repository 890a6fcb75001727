// The BE calls that replication uses.
//
// Written by hand from the wire contract of Doris (master, January 2026).

include "frontend.thrift"

// Own numbering, not that of TStatusCode: 0 is an error, 3 is success.
enum TIngestBinlogStatus {
  ANALYSIS_ERROR = 0,
  UNKNOWN = 1,
  NOT_FOUND = 2,
  OK = 3,
  FAILED = 4,
  DOING = 5,
}

// All fields are demanded by the server.
struct TIngestBinlogRequest {
  1: optional i64 txn_id,
  2: optional i64 remote_tablet_id,
  3: optional i64 binlog_version,
  4: optional string remote_host,
  // HTTP port of the source BE, as decimal text.
  5: optional string remote_port,
  6: optional i64 partition_id,
  7: optional i64 local_tablet_id,
  8: optional frontend.TUniqueId load_id,
}

struct TIngestBinlogResult {
  1: optional frontend.TStatus status,
  2: optional bool is_async,
}

struct TQueryIngestBinlogRequest {
  1: optional i64 txn_id,
  2: optional i64 partition_id,
  3: optional i64 tablet_id,
  4: optional frontend.TUniqueId load_id,
}

struct TQueryIngestBinlogResult {
  1: optional TIngestBinlogStatus status,
  2: optional string err_msg,
}

// On `be_port` of a BE: unframed, strict binary protocol.
service BackendService {
  TIngestBinlogResult ingest_binlog(1: TIngestBinlogRequest ingest_binlog_request),
  TQueryIngestBinlogResult query_ingest_binlog(1: TQueryIngestBinlogRequest query_ingest_binlog_request),
}
