// Columns and their types, as tasks and plans name them.
//
// Written by hand from the wire contract of Doris (master, January 2026).

enum TPrimitiveType {
  INVALID_TYPE = 0,
  NULL_TYPE = 1,
  BOOLEAN = 2,
  TINYINT = 3,
  SMALLINT = 4,
  INT = 5,
  BIGINT = 6,
  FLOAT = 7,
  DOUBLE = 8,
  DATE = 9,
  DATETIME = 10,
  BINARY = 11,
  DECIMAL_DEPRACTED = 12,
  CHAR = 13,
  LARGEINT = 14,
  VARCHAR = 15,
  HLL = 16,
  DECIMALV2 = 17,
  BITMAP = 19,
  ARRAY = 20,
  MAP = 21,
  STRUCT = 22,
  STRING = 23,
  ALL = 24,
  QUANTILE_STATE = 25,
  DATEV2 = 26,
  DATETIMEV2 = 27,
  TIMEV2 = 28,
  DECIMAL32 = 29,
  DECIMAL64 = 30,
  DECIMAL128I = 31,
  JSONB = 32,
  UNSUPPORTED = 33,
  VARIANT = 34,
  LAMBDA_FUNCTION = 35,
  AGG_STATE = 36,
  DECIMAL256 = 37,
  IPV4 = 38,
  IPV6 = 39,
  VARBINARY = 43,
  TIMESTAMPTZ = 44,
}

enum TKeysType {
  PRIMARY_KEYS = 0,
  DUP_KEYS = 1,
  UNIQUE_KEYS = 2,
  AGG_KEYS = 3,
}

enum TAggregationType {
  SUM = 0,
  MAX = 1,
  MIN = 2,
  REPLACE = 3,
  HLL_UNION = 4,
  NONE = 5,
  BITMAP_UNION = 6,
  REPLACE_IF_NOT_NULL = 7,
  QUANTILE_UNION = 8,
}

struct TColumnType {
  1: required TPrimitiveType type,
  2: optional i32 len,
  3: optional i32 index_len,
  4: optional i32 precision,
  5: optional i32 scale,
  6: optional i32 variant_max_subcolumns_count,
}

struct TColumn {
  1: required string column_name,
  2: required TColumnType column_type,
  // Absent on keys.
  3: optional TAggregationType aggregation_type,
  4: optional bool is_key,
  5: optional bool is_allow_null,
  6: optional string default_value,
  7: optional bool is_bloom_filter_column,
  // Absent means true.
  9: optional bool visible,
  // Item of an array, key and value of a map, members of a struct.
  10: optional list<TColumn> children_column,
  11: optional i32 col_unique_id,
  13: optional bool has_ngram_bf_index,
  14: optional i32 gram_size,
  15: optional i32 gram_bf_size,
  // Name of the function, for aggregate states.
  16: optional string aggregation,
  17: optional bool result_is_nullable,
  18: optional bool is_auto_increment,
  19: optional i32 cluster_key_id,
  20: optional i32 be_exec_version,
  23: optional bool is_on_update_current_timestamp,
}
