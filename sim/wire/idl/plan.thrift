// Plan fragments that a FE sends to a BE inside `exec_plan_fragment`, and how their end is told.
//
// Written by hand from the wire contract of Doris (master, January 2026). Only what a BE of ours reads; readers skip the rest.

include "frontend.thrift"
include "types.thrift"

// Types. Expressions bear names of ours: agent tasks have trimmed ones under the names of Doris.

struct TScalarType {
  1: required types.TPrimitiveType type,
  2: optional i32 len,
  3: optional i32 precision,
  4: optional i32 scale,
}

struct TStructField {
  1: required string name,
}

enum TTypeNodeType {
  SCALAR = 0,
  ARRAY = 1,
  MAP = 2,
  STRUCT = 3,
  VARIANT = 4,
}

struct TTypeNode {
  1: required TTypeNodeType type,
  2: optional TScalarType scalar_type,
  3: optional list<TStructField> struct_fields,
}

struct TTypeDesc {
  1: optional list<TTypeNode> types,
}

struct TFunctionName {
  1: optional string db_name,
  2: required string function_name,
}

struct TFunction {
  1: required TFunctionName name,
  3: required list<TTypeDesc> arg_types,
  4: required TTypeDesc ret_type,
}

// Expressions.

enum TPlanExprKind {
  AGG_EXPR = 0,
  ARITHMETIC_EXPR = 1,
  BINARY_PRED = 2,
  BOOL_LITERAL = 3,
  CASE_EXPR = 4,
  CAST_EXPR = 5,
  COMPOUND_PRED = 6,
  DATE_LITERAL = 7,
  FLOAT_LITERAL = 8,
  INT_LITERAL = 9,
  DECIMAL_LITERAL = 10,
  IN_PRED = 11,
  IS_NULL_PRED = 12,
  LIKE_PRED = 13,
  LITERAL_PRED = 14,
  NULL_LITERAL = 15,
  SLOT_REF = 16,
  STRING_LITERAL = 17,
  TUPLE_IS_NULL_PRED = 18,
  INFO_FUNC = 19,
  FUNCTION_CALL = 20,
  ARRAY_LITERAL = 21,
  COMPUTE_FUNCTION_CALL = 22,
  LARGE_INT_LITERAL = 23,
  BLOOM_PRED = 24,
  JSON_LITERAL = 25,
  BITMAP_PRED = 26,
  MATCH_PRED = 27,
  MAP_LITERAL = 28,
  STRUCT_LITERAL = 29,
  SCHEMA_CHANGE_EXPR = 30,
  LAMBDA_FUNCTION_EXPR = 31,
  LAMBDA_FUNCTION_CALL_EXPR = 32,
  COLUMN_REF = 33,
  IPV4_LITERAL = 34,
  IPV6_LITERAL = 35,
  NULL_AWARE_IN_PRED = 36,
  NULL_AWARE_BINARY_PRED = 37,
  TIMEV2_LITERAL = 38,
  VIRTUAL_SLOT_REF = 39,
  VARBINARY_LITERAL = 40,
  TRY_CAST_EXPR = 41,
  SEARCH_EXPR = 42,
}

enum TExprOpcode {
  INVALID_OPCODE = 0,
  COMPOUND_NOT = 1,
  COMPOUND_AND = 2,
  COMPOUND_OR = 3,
  CAST = 4,
  EQ = 9,
  NE = 10,
  LT = 11,
  LE = 12,
  GT = 13,
  GE = 14,
  ADD = 53,
  SUBTRACT = 54,
  MULTIPLY = 55,
  DIVIDE = 56,
  INT_DIVIDE = 57,
  MOD = 58,
  BITAND = 59,
  BITOR = 60,
  BITXOR = 61,
  BITNOT = 62,
  EQ_FOR_NULL = 65,
}

struct TAggregateExpr {
  1: required bool is_merge_agg,
}

struct TBoolLiteral {
  1: required bool value,
}

struct TCaseExpr {
  1: required bool has_case_expr,
  2: required bool has_else_expr,
}

struct TTextLiteral {
  1: required string value,
}

struct TFloatLiteral {
  1: required double value,
}

struct TIntLiteral {
  1: required i64 value,
}

struct TBinaryLiteral {
  1: required binary value,
}

struct TInPredicate {
  1: required bool is_not_in,
}

struct TIsNullPredicate {
  1: required bool is_not_null,
}

struct TPlanSlotRef {
  1: required i32 slot_id,
  2: required i32 tuple_id,
  3: optional i32 col_unique_id,
}

struct TColumnRef {
  1: optional i32 column_id,
  2: optional string column_name,
}

// Literals that are one text have one struct here; Doris names one each.
struct TPlanExprNode {
  1: required TPlanExprKind node_type,
  2: required TTypeDesc type,
  3: optional TExprOpcode opcode,
  4: required i32 num_children,
  5: optional TAggregateExpr agg_expr,
  6: optional TBoolLiteral bool_literal,
  7: optional TCaseExpr case_expr,
  8: optional TTextLiteral date_literal,
  9: optional TFloatLiteral float_literal,
  10: optional TIntLiteral int_literal,
  11: optional TInPredicate in_predicate,
  12: optional TIsNullPredicate is_null_pred,
  15: optional TPlanSlotRef slot_ref,
  16: optional TBinaryLiteral string_literal,
  19: optional TTextLiteral decimal_literal,
  22: optional TTextLiteral large_int_literal,
  26: optional TFunction fn,
  29: optional bool is_nullable,
  30: optional TTextLiteral json_literal,
  34: optional TIntLiteral ipv4_literal,
  35: optional TTextLiteral ipv6_literal,
  36: optional string label,
}

struct TPlanExpr {
  1: required list<TPlanExprNode> nodes,
}

// Descriptors.

struct TSlotDescriptor {
  1: required i32 id,
  2: required i32 parent,
  3: required TTypeDesc slotType,
  4: required i32 columnPos,
  8: required string colName,
  9: required i32 slotIdx,
  11: optional i32 col_unique_id,
  12: optional bool is_key,
  14: optional bool is_auto_increment,
  16: optional string col_default_value,
}

struct TTupleDescriptor {
  1: required i32 id,
}

struct TDescriptorTable {
  1: optional list<TSlotDescriptor> slotDescriptors,
  2: required list<TTupleDescriptor> tupleDescriptors,
}

// Plan nodes.

enum TPlanNodeType {
  OLAP_SCAN_NODE = 0,
  MYSQL_SCAN_NODE = 1,
  CSV_SCAN_NODE = 2,
  SCHEMA_SCAN_NODE = 3,
  HASH_JOIN_NODE = 4,
  MERGE_JOIN_NODE = 5,
  AGGREGATION_NODE = 6,
  PRE_AGGREGATION_NODE = 7,
  SORT_NODE = 8,
  EXCHANGE_NODE = 9,
  MERGE_NODE = 10,
  SELECT_NODE = 11,
  CROSS_JOIN_NODE = 12,
  META_SCAN_NODE = 13,
  ANALYTIC_EVAL_NODE = 14,
  OLAP_REWRITE_NODE = 15,
  KUDU_SCAN_NODE = 16,
  BROKER_SCAN_NODE = 17,
  EMPTY_SET_NODE = 18,
  UNION_NODE = 19,
  ES_SCAN_NODE = 20,
  ES_HTTP_SCAN_NODE = 21,
  REPEAT_NODE = 22,
  ASSERT_NUM_ROWS_NODE = 23,
  INTERSECT_NODE = 24,
  EXCEPT_NODE = 25,
  ODBC_SCAN_NODE = 26,
  TABLE_FUNCTION_NODE = 27,
  DATA_GEN_SCAN_NODE = 28,
  FILE_SCAN_NODE = 29,
  JDBC_SCAN_NODE = 30,
  TEST_EXTERNAL_SCAN_NODE = 31,
  PARTITION_SORT_NODE = 32,
  GROUP_COMMIT_SCAN_NODE = 33,
  MATERIALIZATION_NODE = 34,
  REC_CTE_NODE = 35,
  REC_CTE_SCAN_NODE = 36,
}

struct TSortInfo {
  1: required list<TPlanExpr> ordering_exprs,
  2: required list<bool> is_asc_order,
  3: required list<bool> nulls_first,
}

struct TOlapScanNode {
  1: required i32 tuple_id,
  6: optional types.TKeysType keyType,
  7: optional string table_name,
  8: optional list<types.TColumn> columns_desc,
  17: optional i32 schema_version,
}

struct TUnionNode {
  1: required i32 tuple_id,
  2: required list<list<TPlanExpr>> result_expr_lists,
  3: required list<list<TPlanExpr>> const_expr_lists,
}

struct TExchangeNode {
  1: required list<i32> input_row_tuples,
  2: optional TSortInfo sort_info,
  3: optional i64 offset,
}

struct TSortNode {
  1: required TSortInfo sort_info,
  2: required bool use_top_n,
  3: optional i64 offset,
}

struct TAggregationNode {
  1: optional list<TPlanExpr> grouping_exprs,
  2: required list<TPlanExpr> aggregate_functions,
  3: required i32 intermediate_tuple_id,
  4: required i32 output_tuple_id,
  5: required bool need_finalize,
  // Set: the limit of the node is one of the groups in this order, which partial results may ignore.
  10: optional TSortInfo agg_sort_info_by_group_key,
}

enum TJoinOp {
  INNER_JOIN = 0,
  LEFT_OUTER_JOIN = 1,
  LEFT_SEMI_JOIN = 2,
  RIGHT_OUTER_JOIN = 3,
  FULL_OUTER_JOIN = 4,
  CROSS_JOIN = 5,
  MERGE_JOIN = 6,
  RIGHT_SEMI_JOIN = 7,
  LEFT_ANTI_JOIN = 8,
  RIGHT_ANTI_JOIN = 9,
  NULL_AWARE_LEFT_ANTI_JOIN = 10,
  NULL_AWARE_LEFT_SEMI_JOIN = 11,
}

struct TEqJoinCondition {
  1: required TPlanExpr left,
  2: required TPlanExpr right,
  3: optional TExprOpcode opcode,
}

struct THashJoinNode {
  1: required TJoinOp join_op,
  2: required list<TEqJoinCondition> eq_join_conjuncts,
  3: optional list<TPlanExpr> other_join_conjuncts,
  5: optional TPlanExpr vother_join_conjunct,
  9: optional list<i32> vintermediate_tuple_id_list,
  11: optional bool is_mark,
  13: optional list<TPlanExpr> mark_join_conjuncts,
}

struct TNestedLoopJoinNode {
  1: required TJoinOp join_op,
  4: optional list<i32> vintermediate_tuple_id_list,
  7: optional bool is_mark,
  8: optional list<TPlanExpr> join_conjuncts,
  9: optional list<TPlanExpr> mark_join_conjuncts,
}

struct TUserIdentity {
  1: optional string username,
  2: optional string host,
  3: optional bool is_domain,
}

struct TSchemaScanNode {
  1: required i32 tuple_id,
  2: required string table_name,
  3: optional string db,
  5: optional string wild,
  // The frontend that knows, and its Thrift port.
  7: optional string ip,
  8: optional i32 port,
  11: optional TUserIdentity current_user_ident,
  14: optional string catalog,
}

enum TAssertion {
  EQ = 0,
  NE = 1,
  LT = 2,
  LE = 3,
  GT = 4,
  GE = 5,
}

struct TAssertNumRowsNode {
  1: optional i64 desired_num_rows,
  3: optional TAssertion assertion,
}

struct TMaterializationNode {
  1: optional i32 tuple_id,
  2: optional i32 intermediate_tuple_id,
  4: optional list<TPlanExpr> fetch_expr_lists,
  5: optional list<list<types.TColumn>> column_descs_lists,
  6: optional list<list<i32>> slot_locs_lists,
}

// How the fields of a body become the columns of a table.
struct TFileScanRangeParams {
  // Fields of the body.
  4: optional i32 src_tuple_id,
  5: optional i32 dest_tuple_id,
  10: optional map<i32, TPlanExpr> expr_of_dest_slot,
  11: optional map<i32, TPlanExpr> default_value_of_src_slot,
  12: optional map<i32, i32> dest_sid_to_src_sid_without_trans,
  // A value that becomes NULL refuses its row.
  13: optional bool strict_mode,
  16: optional TPlanExpr pre_filter_exprs,
  20: optional list<TPlanExpr> pre_filter_exprs_list,
}

struct TFileScanRange {
  2: optional TFileScanRangeParams params,
}

struct TExternalScanRange {
  1: optional TFileScanRange file_scan_range,
}

struct TPlanNode {
  1: required i32 node_id,
  2: required TPlanNodeType node_type,
  3: required i32 num_children,
  4: required i64 limit,
  5: required list<i32> row_tuples,
  7: optional list<TPlanExpr> conjuncts,
  11: optional THashJoinNode hash_join_node,
  12: optional TAggregationNode agg_node,
  13: optional TSortNode sort_node,
  15: optional TExchangeNode exchange_node,
  18: optional TOlapScanNode olap_scan_node,
  22: optional TSchemaScanNode schema_scan_node,
  28: optional TUnionNode union_node,
  32: optional TAssertNumRowsNode assert_num_rows_node,
  38: optional TMaterializationNode materialization_node,
  40: optional TPlanExpr vconjunct,
  46: optional TNestedLoopJoinNode nested_loop_join_node,
  101: optional list<TPlanExpr> projections,
  102: optional i32 output_tuple_id,
  104: optional list<list<TPlanExpr>> intermediate_projections_list,
  105: optional list<i32> intermediate_output_tuple_id_list,
}

struct TPlan {
  1: required list<TPlanNode> nodes,
}

// Sinks.

enum TDataSinkType {
  DATA_STREAM_SINK = 0,
  RESULT_SINK = 1,
  DATA_SPLIT_SINK = 2,
  MYSQL_TABLE_SINK = 3,
  EXPORT_SINK = 4,
  OLAP_TABLE_SINK = 5,
  MEMORY_SCRATCH_SINK = 6,
  ODBC_TABLE_SINK = 7,
  RESULT_FILE_SINK = 8,
  JDBC_TABLE_SINK = 9,
  MULTI_CAST_DATA_STREAM_SINK = 10,
  GROUP_COMMIT_OLAP_TABLE_SINK = 11,
  GROUP_COMMIT_BLOCK_SINK = 12,
  HIVE_TABLE_SINK = 13,
  ICEBERG_TABLE_SINK = 14,
  DICTIONARY_SINK = 15,
  BLACKHOLE_SINK = 16,
}

enum TPartitionType {
  UNPARTITIONED = 0,
  RANDOM = 1,
  HASH_PARTITIONED = 2,
  RANGE_PARTITIONED = 3,
  LIST_PARTITIONED = 4,
  BUCKET_SHFFULE_HASH_PARTITIONED = 5,
  OLAP_TABLE_SINK_HASH_PARTITIONED = 6,
  HIVE_TABLE_SINK_HASH_PARTITIONED = 7,
  HIVE_TABLE_SINK_UNPARTITIONED = 8,
}

struct TDataPartition {
  1: required TPartitionType type,
  2: optional list<TPlanExpr> partition_exprs,
}

struct TPlanFragmentDestination {
  1: required frontend.TUniqueId fragment_instance_id,
  2: required frontend.TNetworkAddress server,
  3: optional frontend.TNetworkAddress brpc_server,
}

struct TDataStreamSink {
  1: required i32 dest_node_id,
  2: required TDataPartition output_partition,
  4: optional list<TPlanExpr> output_exprs,
  5: optional i32 output_tuple_id,
  6: optional list<TPlanExpr> conjuncts,
}

struct TMultiCastDataStreamSink {
  1: optional list<TDataStreamSink> sinks,
  2: optional list<list<TPlanFragmentDestination>> destinations,
}

enum TResultSinkType {
  MYSQL_PROTOCOL = 0,
  ARROW_FLIGHT_PROTOCOL = 1,
  FILE = 2,
}

struct TResultSink {
  1: optional TResultSinkType type,
}

struct TOlapTableIndexTablets {
  1: required i64 index_id,
  2: required list<i64> tablets,
}

struct TOlapTablePartition {
  1: required i64 id,
  2: optional TPlanExprNode start_key,
  3: optional TPlanExprNode end_key,
  4: required i32 num_buckets,
  5: required list<TOlapTableIndexTablets> indexes,
  6: optional list<TPlanExprNode> start_keys,
  7: optional list<TPlanExprNode> end_keys,
  8: optional list<list<TPlanExprNode>> in_keys,
  9: optional bool is_mutable,
  10: optional bool is_default_partition,
  11: optional i64 load_tablet_idx,
  12: optional i32 total_replica_num,
  13: optional i32 load_required_replica_num,
}

struct TOlapTablePartitionParam {
  1: required i64 db_id,
  2: required i64 table_id,
  3: required i64 version,
  5: optional list<string> distributed_columns,
  6: required list<TOlapTablePartition> partitions,
  7: optional list<string> partition_columns,
  8: optional list<TPlanExpr> partition_function_exprs,
  9: optional bool enable_automatic_partition,
  10: optional TPartitionType partition_type,
  11: optional bool enable_auto_detect_overwrite,
  12: optional i64 overwrite_group_id,
  13: optional bool partitions_is_fake,
}

struct TOlapTableIndexSchema {
  1: required i64 id,
  2: required list<string> columns,
  3: required i32 schema_hash,
  4: optional list<types.TColumn> columns_desc,
  6: optional TPlanExpr where_clause,
}

enum TUniqueKeyUpdateMode {
  UPSERT = 0,
  UPDATE_FIXED_COLUMNS = 1,
  UPDATE_FLEXIBLE_COLUMNS = 2,
}

struct TOlapTableSchemaParam {
  1: required i64 db_id,
  2: required i64 table_id,
  3: required i64 version,
  4: required list<TSlotDescriptor> slot_descs,
  5: required TTupleDescriptor tuple_desc,
  6: required list<TOlapTableIndexSchema> indexes,
  8: optional bool is_partial_update,
  9: optional list<string> partial_update_input_columns,
  10: optional bool is_strict_mode,
  11: optional string auto_increment_column,
  12: optional i32 auto_increment_column_unique_id,
  14: optional TUniqueKeyUpdateMode unique_key_update_mode,
}

struct TTabletLocation {
  1: required i64 tablet_id,
  2: required list<i64> node_ids,
}

struct TOlapTableLocationParam {
  4: required list<TTabletLocation> tablets,
}

struct TNodeInfo {
  1: required i64 id,
  3: required string host,
  4: required i32 async_internal_port,
}

struct TPaloNodesInfo {
  2: required list<TNodeInfo> nodes,
}

struct TOlapTableSink {
  1: required frontend.TUniqueId load_id,
  2: required i64 txn_id,
  3: required i64 db_id,
  4: required i64 table_id,
  5: required i32 tuple_id,
  6: required i32 num_replicas,
  8: optional string db_name,
  9: optional string table_name,
  10: required TOlapTableSchemaParam schema,
  11: required TOlapTablePartitionParam partition,
  12: required TOlapTableLocationParam location,
  13: required TPaloNodesInfo nodes_info,
  16: optional bool load_to_single_tablet,
}

struct TDataSink {
  1: required TDataSinkType type,
  2: optional TDataStreamSink stream_sink,
  3: optional TResultSink result_sink,
  7: optional TOlapTableSink olap_table_sink,
  12: optional TMultiCastDataStreamSink multi_cast_stream_sink,
}

// Fragments.

struct TPlanFragment {
  2: optional TPlan plan,
  4: optional list<TPlanExpr> output_exprs,
  5: optional TDataSink output_sink,
}

struct TPaloScanRange {
  3: required string version,
  5: required i64 tablet_id,
}

struct TScanRange {
  4: optional TPaloScanRange palo_scan_range,
  8: optional TExternalScanRange ext_scan_range,
}

struct TScanRangeParams {
  1: required TScanRange scan_range,
}

struct TQueryGlobals {
  1: required string now_string,
  2: optional i64 timestamp_ms,
  3: optional string time_zone,
}

enum TQueryType {
  SELECT = 0,
  LOAD = 1,
  EXTERNAL = 2,
}

struct TQueryOptions {
  14: optional i32 query_timeout,
  15: optional bool is_report_success,
  18: optional TQueryType query_type,
  63: optional i32 execution_timeout,
  67: optional bool mysql_row_binary_format,
  75: optional bool enable_insert_strict,
  114: optional bool enable_parallel_result_sink,
  166: optional bool enable_strict_cast,
}

struct TPipelineInstanceParams {
  1: required frontend.TUniqueId fragment_instance_id,
  3: required map<i32, list<TScanRangeParams>> per_node_scan_ranges,
  4: optional i32 sender_id,
  6: optional i32 backend_num,
}

struct TPipelineFragmentParams {
  2: required frontend.TUniqueId query_id,
  3: optional i32 fragment_id,
  4: required map<i32, i32> per_exch_num_senders,
  5: optional TDescriptorTable desc_tbl,
  7: list<TPlanFragmentDestination> destinations,
  10: optional frontend.TNetworkAddress coord,
  11: optional TQueryGlobals query_globals,
  12: optional TQueryOptions query_options,
  13: optional string import_label,
  18: optional i64 backend_id,
  19: optional bool need_wait_execution_trigger,
  23: optional TPlanFragment fragment,
  24: list<TPipelineInstanceParams> local_params,
  29: optional map<i32, TFileScanRangeParams> file_scan_params,
}

struct TPipelineFragmentParamsList {
  1: optional list<TPipelineFragmentParams> params_list,
  2: optional TDescriptorTable desc_tbl,
  4: optional frontend.TNetworkAddress coord,
  5: optional TQueryGlobals query_globals,
  8: optional TQueryOptions query_options,
  11: optional frontend.TUniqueId query_id,
}

// Rows of a result, inside `fetch_data`.
struct TResultBatch {
  1: required list<binary> rows,
  2: required bool is_compressed,
  3: required i64 packet_seq,
}

// The end of a fragment.

enum FrontendServiceVersion {
  V1 = 0,
}

struct TErrorTabletInfo {
  1: optional i64 tabletId,
  2: optional string msg,
}

struct TReportExecStatusParams {
  1: required FrontendServiceVersion protocol_version,
  2: optional frontend.TUniqueId query_id,
  3: optional i32 backend_num,
  4: optional frontend.TUniqueId fragment_instance_id,
  5: optional frontend.TStatus status,
  6: optional bool done,
  9: optional list<string> error_log,
  11: optional map<string, string> load_counters,
  12: optional string tracking_url,
  14: optional list<frontend.TTabletCommitInfo> commitInfos,
  15: optional i64 loaded_rows,
  16: optional i64 backend_id,
  17: optional i64 loaded_bytes,
  18: optional list<TErrorTabletInfo> errorTabletInfos,
  19: optional i32 fragment_id,
  20: optional TQueryType query_type,
  29: optional i64 txn_id,
  30: optional string label,
  33: optional string first_error_msg,
}

struct TReportExecStatusResult {
  1: optional frontend.TStatus status,
}

// What a load asks its frontend for.

struct TAutoIncrementRangeRequest {
  1: optional i64 db_id,
  2: optional i64 table_id,
  3: optional i64 column_id,
  4: optional i64 length,
  5: optional i64 lower_bound,
}

struct TAutoIncrementRangeResult {
  1: optional frontend.TStatus status,
  2: optional i64 start,
  3: optional i64 length,
}

struct TNullableStringLiteral {
  1: optional string value,
  2: optional bool is_null,
}

struct TCreatePartitionRequest {
  1: optional i64 txn_id,
  2: optional i64 db_id,
  3: optional i64 table_id,
  4: optional list<list<TNullableStringLiteral>> partitionValues,
  5: optional string be_endpoint,
  7: optional frontend.TUniqueId query_id,
}

struct TCreatePartitionResult {
  1: optional frontend.TStatus status,
  2: optional list<TOlapTablePartition> partitions,
  3: optional list<TTabletLocation> tablets,
  4: optional list<TNodeInfo> nodes,
}

// What a scan of information_schema asks its frontend for.

struct TGetDbsParams {
  1: optional string pattern,
  4: optional TUserIdentity current_user_ident,
  5: optional string catalog,
}

struct TGetDbsResult {
  1: optional list<string> dbs,
  2: optional list<string> catalogs,
}

struct TGetTablesParams {
  1: optional string db,
  2: optional string pattern,
  5: optional TUserIdentity current_user_ident,
  7: optional string catalog,
}

struct TTableStatus {
  1: required string name,
  2: required string type,
  3: required string comment,
  4: optional string engine,
  5: optional i64 last_check_time,
  6: optional i64 create_time,
  8: optional i64 update_time,
  10: optional string collation,
  11: optional i64 rows,
  12: optional i64 avg_row_length,
  13: optional i64 data_length,
  14: optional i64 index_length,
}

struct TListTableStatusResult {
  1: required list<TTableStatus> tables,
}
