//! The protobuf messages of Doris that leave a backend (`olap_file.proto`): numbers and types as there, members that nobody here
//! knows left out.
//!
//! Members above 20000 are ours: the exact schema that our segment files need, and what our meta store adds.

use std::collections::HashMap;

use prost::Message;

/// `PUniqueId`
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct UniqueIdPb {
    /// Upper half.
    #[prost(int64, required, tag = "1")]
    pub hi: i64,
    /// Lower half.
    #[prost(int64, required, tag = "2")]
    pub lo: i64,
}

/// `RowsetStatePB`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum RowsetStatePb {
    /// Being written.
    Prepared = 0,
    /// Complete, not published.
    Committed = 1,
    /// Published.
    Visible = 2,
}

/// `RowsetMetaPB`
#[derive(Clone, PartialEq, Message)]
pub struct RowsetMetaPb {
    /// Number of old formats; 0.
    #[prost(int64, required, tag = "1")]
    pub rowset_id: i64,
    /// Partition.
    #[prost(int64, optional, tag = "2")]
    pub partition_id: Option<i64>,
    /// Tablet.
    #[prost(int64, optional, tag = "3")]
    pub tablet_id: Option<i64>,
    /// Transaction.
    #[prost(int64, optional, tag = "4")]
    pub txn_id: Option<i64>,
    /// Schema hash of the tablet.
    #[prost(int32, optional, tag = "5")]
    pub tablet_schema_hash: Option<i32>,
    /// `RowsetTypePB`: BETA_ROWSET is 1.
    #[prost(int32, optional, tag = "6")]
    pub rowset_type: Option<i32>,
    /// State.
    #[prost(enumeration = "RowsetStatePb", optional, tag = "7")]
    pub rowset_state: Option<i32>,
    /// First version.
    #[prost(int64, optional, tag = "8")]
    pub start_version: Option<i64>,
    /// Last version.
    #[prost(int64, optional, tag = "9")]
    pub end_version: Option<i64>,
    /// Rows.
    #[prost(int64, optional, tag = "11")]
    pub num_rows: Option<i64>,
    /// Data and index bytes.
    #[prost(int64, optional, tag = "12")]
    pub total_disk_size: Option<i64>,
    /// Bytes of the segments.
    #[prost(int64, optional, tag = "13")]
    pub data_disk_size: Option<i64>,
    /// Bytes of the index files.
    #[prost(int64, optional, tag = "14")]
    pub index_disk_size: Option<i64>,
    /// DELETE.
    #[prost(message, optional, tag = "16")]
    pub delete_predicate: Option<DeletePredicatePb>,
    /// No rows.
    #[prost(bool, optional, tag = "17")]
    pub empty: Option<bool>,
    /// Load.
    #[prost(message, optional, tag = "18")]
    pub load_id: Option<UniqueIdPb>,
    /// Seconds since 1970.
    #[prost(int64, optional, tag = "20")]
    pub creation_time: Option<i64>,
    /// Unique id of the tablet.
    #[prost(message, optional, tag = "21")]
    pub tablet_uid: Option<UniqueIdPb>,
    /// Segment files.
    #[prost(int64, optional, tag = "22")]
    pub num_segments: Option<i64>,
    /// 48 hex digits.
    #[prost(string, optional, tag = "23")]
    pub rowset_id_v2: Option<String>,
    /// Seconds since 1970.
    #[prost(int64, optional, tag = "26")]
    pub newest_write_timestamp: Option<i64>,
    /// Schema of the rows.
    #[prost(message, optional, tag = "28")]
    pub tablet_schema: Option<TabletSchemaPb>,
    /// `SegmentsOverlapPB`: 1 overlapping, 2 not.
    #[prost(int32, optional, tag = "51")]
    pub segments_overlap_pb: Option<i32>,
    /// Tablet that this rowset was copied from.
    #[prost(int64, optional, tag = "53")]
    pub source_tablet_id: Option<i64>,
    /// Rowset that this rowset was copied from.
    #[prost(string, optional, tag = "54")]
    pub source_rowset_id: Option<String>,
    /// Ours: the schema as our segments need it, JSON.
    #[prost(bytes = "vec", optional, tag = "20001")]
    pub sim_schema: Option<Vec<u8>>,
    /// Ours: the conditions of a DELETE, JSON.
    #[prost(bytes = "vec", optional, tag = "20002")]
    pub sim_delete: Option<Vec<u8>>,
    /// Ours, inside the meta store only: key of the schema.
    #[prost(string, optional, tag = "20003")]
    pub sim_schema_key: Option<String>,
}

/// `DeletePredicatePB`
#[derive(Clone, PartialEq, Message)]
pub struct DeletePredicatePb {
    /// Unused, but required.
    #[prost(int32, required, tag = "1")]
    pub version: i32,
    /// IN and NOT IN.
    #[prost(message, repeated, tag = "3")]
    pub in_predicates: Vec<InPredicatePb>,
    /// All others.
    #[prost(message, repeated, tag = "4")]
    pub sub_predicates_v2: Vec<DeleteSubPredicatePb>,
}

/// `DeleteSubPredicatePB`
#[derive(Clone, PartialEq, Message)]
pub struct DeleteSubPredicatePb {
    /// Column.
    #[prost(int32, optional, tag = "1")]
    pub column_unique_id: Option<i32>,
    /// Column.
    #[prost(string, optional, tag = "2")]
    pub column_name: Option<String>,
    /// `=`, `!=`, `<<`, `<=`, `>>`, `>=`, `IS`.
    #[prost(string, optional, tag = "3")]
    pub op: Option<String>,
    /// Right side; `NULL` or `NOT NULL` after `IS`.
    #[prost(string, optional, tag = "4")]
    pub cond_value: Option<String>,
}

/// `InPredicatePB`
#[derive(Clone, PartialEq, Message)]
pub struct InPredicatePb {
    /// Column.
    #[prost(string, optional, tag = "1")]
    pub column_name: Option<String>,
    /// NOT IN.
    #[prost(bool, optional, tag = "2")]
    pub is_not_in: Option<bool>,
    /// List.
    #[prost(string, repeated, tag = "3")]
    pub values: Vec<String>,
    /// Column.
    #[prost(int32, optional, tag = "4")]
    pub column_unique_id: Option<i32>,
}

/// `ColumnPB`
#[derive(Clone, PartialEq, Message)]
pub struct ColumnPb {
    /// Stable id.
    #[prost(int32, required, tag = "1")]
    pub unique_id: i32,
    /// Name.
    #[prost(string, optional, tag = "2")]
    pub name: Option<String>,
    /// Name of the field type.
    #[prost(string, required, tag = "3")]
    pub r#type: String,
    /// Member of the key.
    #[prost(bool, optional, tag = "4")]
    pub is_key: Option<bool>,
    /// Aggregation.
    #[prost(string, optional, tag = "5")]
    pub aggregation: Option<String>,
    /// NULL allowed.
    #[prost(bool, optional, tag = "6")]
    pub is_nullable: Option<bool>,
    /// Default as text.
    #[prost(bytes = "vec", optional, tag = "7")]
    pub default_value: Option<Vec<u8>>,
    /// Of decimals.
    #[prost(int32, optional, tag = "8")]
    pub precision: Option<i32>,
    /// Scale of decimals and times.
    #[prost(int32, optional, tag = "9")]
    pub frac: Option<i32>,
    /// Bytes of a value.
    #[prost(int32, optional, tag = "10")]
    pub length: Option<i32>,
    /// Bytes in the short key.
    #[prost(int32, optional, tag = "11")]
    pub index_length: Option<i32>,
    /// False for hidden columns.
    #[prost(bool, optional, tag = "16")]
    pub visible: Option<bool>,
    /// Of ARRAY, MAP and STRUCT.
    #[prost(message, repeated, tag = "17")]
    pub children_columns: Vec<ColumnPb>,
    /// AUTO_INCREMENT.
    #[prost(bool, optional, tag = "22")]
    pub is_auto_increment: Option<bool>,
}

/// `TabletIndexPB`
#[derive(Clone, PartialEq, Message)]
pub struct TabletIndexPb {
    /// Id.
    #[prost(int64, optional, tag = "1")]
    pub index_id: Option<i64>,
    /// Name.
    #[prost(string, optional, tag = "2")]
    pub index_name: Option<String>,
    /// `IndexType`: BITMAP 0, INVERTED 1, BLOOMFILTER 2, NGRAM_BF 3, ANN 4.
    #[prost(int32, optional, tag = "3")]
    pub index_type: Option<i32>,
    /// Columns.
    #[prost(int32, repeated, packed = "false", tag = "4")]
    pub col_unique_id: Vec<i32>,
    /// Properties.
    #[prost(map = "string, string", tag = "5")]
    pub properties: HashMap<String, String>,
}

/// `TabletSchemaPB`
#[derive(Clone, PartialEq, Message)]
pub struct TabletSchemaPb {
    /// `KeysType`: DUP_KEYS 0, UNIQUE_KEYS 1, AGG_KEYS 2.
    #[prost(int32, optional, tag = "1")]
    pub keys_type: Option<i32>,
    /// Columns.
    #[prost(message, repeated, tag = "2")]
    pub column: Vec<ColumnPb>,
    /// Columns of the short key.
    #[prost(int32, optional, tag = "3")]
    pub num_short_key_columns: Option<i32>,
    /// 1024.
    #[prost(int32, optional, tag = "4")]
    pub num_rows_per_row_block: Option<i32>,
    /// `CompressKind`: COMPRESS_LZ4 is 2.
    #[prost(int32, optional, tag = "5")]
    pub compress_kind: Option<i32>,
    /// Next unique id of a column.
    #[prost(uint32, optional, tag = "7")]
    pub next_column_unique_id: Option<u32>,
    /// Position of the delete sign or -1.
    #[prost(int32, optional, tag = "9")]
    pub delete_sign_idx: Option<i32>,
    /// Position of the sequence column or -1.
    #[prost(int32, optional, tag = "10")]
    pub sequence_col_idx: Option<i32>,
    /// `SortType`: LEXICAL is 0.
    #[prost(int32, optional, tag = "11")]
    pub sort_type: Option<i32>,
    /// Key columns.
    #[prost(int32, optional, tag = "12")]
    pub sort_col_num: Option<i32>,
    /// Version of the schema.
    #[prost(int32, optional, tag = "14")]
    pub schema_version: Option<i32>,
    /// Secondary indexes.
    #[prost(message, repeated, tag = "16")]
    pub index: Vec<TabletIndexPb>,
    /// Position of the version column or -1.
    #[prost(int32, optional, tag = "17")]
    pub version_col_idx: Option<i32>,
    /// `InvertedIndexStorageFormatPB`: V1 0, V2 1, V3 2.
    #[prost(int32, optional, tag = "25")]
    pub inverted_index_storage_format: Option<i32>,
}

/// `BinlogConfigPB`
#[derive(Clone, PartialEq, Message)]
pub struct BinlogConfigPb {
    /// Switch.
    #[prost(bool, optional, tag = "1")]
    pub enable: Option<bool>,
}

/// `TabletMetaPB`
#[derive(Clone, PartialEq, Message)]
pub struct TabletMetaPb {
    /// Table.
    #[prost(int64, optional, tag = "1")]
    pub table_id: Option<i64>,
    /// Partition.
    #[prost(int64, optional, tag = "2")]
    pub partition_id: Option<i64>,
    /// Tablet.
    #[prost(int64, optional, tag = "3")]
    pub tablet_id: Option<i64>,
    /// Schema hash.
    #[prost(int32, optional, tag = "4")]
    pub schema_hash: Option<i32>,
    /// `TabletStatePB`: PB_RUNNING is 1.
    #[prost(int32, optional, tag = "8")]
    pub tablet_state: Option<i32>,
    /// Schema.
    #[prost(message, optional, tag = "9")]
    pub schema: Option<TabletSchemaPb>,
    /// Visible rowsets.
    #[prost(message, repeated, tag = "10")]
    pub rs_metas: Vec<RowsetMetaPb>,
    /// Made by a restore.
    #[prost(bool, optional, tag = "13")]
    pub in_restore_mode: Option<bool>,
    /// Unique id of this tablet.
    #[prost(message, optional, tag = "14")]
    pub tablet_uid: Option<UniqueIdPb>,
    /// Replica.
    #[prost(int64, optional, tag = "21")]
    pub replica_id: Option<i64>,
    /// Merge on write.
    #[prost(bool, optional, tag = "24")]
    pub enable_unique_key_merge_on_write: Option<bool>,
    /// Binlog.
    #[prost(message, optional, tag = "27")]
    pub binlog_config: Option<BinlogConfigPb>,
    /// Ours: version without counting rowsets.
    #[prost(int64, optional, tag = "20001")]
    pub sim_version: Option<i64>,
    /// Ours: index or rollup.
    #[prost(int64, optional, tag = "20002")]
    pub sim_index_id: Option<i64>,
    /// Ours: key of the schema in the meta store.
    #[prost(string, optional, tag = "20003")]
    pub sim_schema_key: Option<String>,
    /// Ours: snapshot that was moved in last.
    #[prost(string, optional, tag = "20004")]
    pub sim_loaded_from: Option<String>,
    /// Ours: the exact schema as JSON, in headers of snapshots.
    #[prost(bytes = "vec", optional, tag = "20005")]
    pub sim_schema: Option<Vec<u8>>,
}

/// `RowsetBinlogMetasPB`: `rowset_binlog_metas.pb` of a snapshot for a clone.
#[derive(Clone, PartialEq, Message)]
pub struct RowsetBinlogMetasPb {
    /// One per version.
    #[prost(message, repeated, tag = "1")]
    pub rowset_binlog_metas: Vec<RowsetBinlogMetaPb>,
}

/// `RowsetBinlogMetaPB`: a binlog with its entries of the meta store.
#[derive(Clone, PartialEq, Message)]
pub struct RowsetBinlogMetaPb {
    /// 48 hex digits.
    #[prost(string, optional, tag = "1")]
    pub rowset_id: Option<String>,
    /// Version.
    #[prost(int64, optional, tag = "2")]
    pub version: Option<i64>,
    /// Segment files.
    #[prost(int64, optional, tag = "3")]
    pub num_segments: Option<i64>,
    /// Key of the [`BinlogMetaEntryPb`].
    #[prost(string, optional, tag = "4")]
    pub meta_key: Option<String>,
    /// The [`BinlogMetaEntryPb`].
    #[prost(bytes = "vec", optional, tag = "5")]
    pub meta: Option<Vec<u8>>,
    /// Key of the [`RowsetMetaPb`].
    #[prost(string, optional, tag = "6")]
    pub data_key: Option<String>,
    /// The [`RowsetMetaPb`], with its schema.
    #[prost(bytes = "vec", optional, tag = "7")]
    pub data: Option<Vec<u8>>,
}

/// `BinlogMetaEntryPB`
#[derive(Clone, PartialEq, Message)]
pub struct BinlogMetaEntryPb {
    /// Version.
    #[prost(int64, optional, tag = "1")]
    pub version: Option<i64>,
    /// Tablet.
    #[prost(int64, optional, tag = "2")]
    pub tablet_id: Option<i64>,
    /// Number of old formats; 0.
    #[prost(int64, optional, tag = "3")]
    pub rowset_id: Option<i64>,
    /// Segment files.
    #[prost(int64, optional, tag = "4")]
    pub num_segments: Option<i64>,
    /// Seconds since 1970.
    #[prost(int64, optional, tag = "5")]
    pub creation_time: Option<i64>,
    /// 48 hex digits.
    #[prost(string, optional, tag = "6")]
    pub rowset_id_v2: Option<String>,
}

impl BinlogMetaEntryPb {
    /// The entry of a rowset whose files are kept.
    pub fn of(meta: &super::rowset_meta::RowsetMeta) -> Self {
        BinlogMetaEntryPb {
            version: Some(meta.end_version),
            tablet_id: Some(meta.tablet_id),
            rowset_id: Some(0),
            num_segments: Some(i64::from(meta.num_segments)),
            creation_time: Some(meta.creation_time),
            rowset_id_v2: Some(meta.rowset_id.clone()),
        }
    }
}
