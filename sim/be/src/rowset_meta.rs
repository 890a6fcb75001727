//! The meta of a rowset: what `get_rowset_meta` hands out, what a snapshot header lists, what the meta store keeps.
//!
//! On the wire it is `RowsetMetaPB`. Its standard members say what those of Doris say; the exact schema and conditions, which our
//! segments need, travel as JSON in members that Doris does not know.

use std::sync::Arc;

use prost::Message;

use super::pb::{RowsetMetaPb, RowsetStatePb, UniqueIdPb};
use super::pb_schema::{delete_pb, schema_pb};
use dorisim_model::backend::{BeError, DeletePredicate, TableSchema};

/// Names one life of a tablet: a tablet that is made again under its id has another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TabletUid {
    /// Upper half.
    pub hi: i64,
    /// Lower half.
    pub lo: i64,
}

impl std::fmt::Display for TabletUid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}-{:016x}", self.hi, self.lo)
    }
}

impl From<TabletUid> for UniqueIdPb {
    fn from(uid: TabletUid) -> Self {
        UniqueIdPb {
            hi: uid.hi,
            lo: uid.lo,
        }
    }
}

impl From<UniqueIdPb> for TabletUid {
    fn from(pb: UniqueIdPb) -> Self {
        TabletUid {
            hi: pb.hi,
            lo: pb.lo,
        }
    }
}

/// How far a rowset is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowsetState {
    /// Complete, belongs to an unpublished transaction.
    Committed,
    /// Published, or put in place by a snapshot or a schema change.
    Visible,
}

/// What is known of a rowset without opening its files.
#[derive(Clone, Debug, PartialEq)]
pub struct RowsetMeta {
    /// 48 hex digits.
    pub rowset_id: String,
    /// Tablet it belongs to.
    pub tablet_id: i64,
    /// That tablet's unique id.
    pub tablet_uid: TabletUid,
    /// Partition of that tablet.
    pub partition_id: i64,
    /// Schema hash of that tablet.
    pub tablet_schema_hash: i32,
    /// State.
    pub state: RowsetState,
    /// First version; 0 while the rowset is not published.
    pub start_version: i64,
    /// Last version; 0 while the rowset is not published.
    pub end_version: i64,
    /// Segment files.
    pub num_segments: u32,
    /// Rows in all segments.
    pub num_rows: u64,
    /// Bytes of all segments.
    pub data_size: u64,
    /// Bytes of all index files.
    pub index_size: u64,
    /// Transaction that wrote it; -1 for none.
    pub txn_id: i64,
    /// The load that wrote it.
    pub load_id: (i64, i64),
    /// Seconds since 1970.
    pub creation_time: i64,
    /// Schema of the rows.
    pub schema: Arc<TableSchema>,
    /// Set on DELETE rowsets.
    pub delete: Option<Arc<DeletePredicate>>,
    /// Rowset that this one was copied from, if it was.
    pub source_rowset_id: Option<String>,
    /// Tablet that this one was copied from, if it was.
    pub source_tablet_id: Option<i64>,
}

impl RowsetMeta {
    /// A serialised `RowsetMetaPB`: the bytes of `get_rowset_meta`.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.to_pb().encode_to_vec()
    }

    /// Reads what [`RowsetMeta::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`BeError::Corrupt`] for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BeError> {
        let pb = RowsetMetaPb::decode(bytes).map_err(unreadable)?;
        Self::from_pb(pb)
    }

    /// The message, with the schema of the rows.
    pub fn to_pb(&self) -> RowsetMetaPb {
        let json = serde_json::to_vec(self.schema.as_ref());
        RowsetMetaPb {
            tablet_schema: Some(schema_pb(&self.schema)),
            sim_schema: Some(json.expect("invariant: a schema has string keys only")),
            ..self.to_lean_pb()
        }
    }

    /// The message without the schema of the rows.
    pub fn to_lean_pb(&self) -> RowsetMetaPb {
        let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let delete = self.delete.as_deref();
        RowsetMetaPb {
            rowset_id: 0,
            partition_id: Some(self.partition_id),
            tablet_id: Some(self.tablet_id),
            txn_id: Some(self.txn_id),
            tablet_schema_hash: Some(self.tablet_schema_hash),
            rowset_type: Some(1),
            rowset_state: Some(match self.state {
                RowsetState::Committed => RowsetStatePb::Committed.into(),
                RowsetState::Visible => RowsetStatePb::Visible.into(),
            }),
            start_version: Some(self.start_version),
            end_version: Some(self.end_version),
            num_rows: Some(number(self.num_rows)),
            total_disk_size: Some(number(self.data_size + self.index_size)),
            data_disk_size: Some(number(self.data_size)),
            index_disk_size: Some(number(self.index_size)),
            delete_predicate: delete.map(|delete| delete_pb(delete, &self.schema)),
            empty: Some(self.num_rows == 0),
            load_id: Some(UniqueIdPb {
                hi: self.load_id.0,
                lo: self.load_id.1,
            }),
            creation_time: Some(self.creation_time),
            tablet_uid: Some(self.tablet_uid.into()),
            num_segments: Some(i64::from(self.num_segments)),
            rowset_id_v2: Some(self.rowset_id.clone()),
            newest_write_timestamp: Some(self.creation_time),
            tablet_schema: None,
            segments_overlap_pb: Some(if self.num_segments > 1 { 1 } else { 2 }),
            source_tablet_id: self.source_tablet_id,
            source_rowset_id: self.source_rowset_id.clone(),
            sim_schema: None,
            sim_delete: delete.map(|delete| {
                serde_json::to_vec(delete).expect("invariant: conditions have string keys only")
            }),
            sim_schema_key: None,
        }
    }

    /// Reads a message that has its schema.
    ///
    /// # Errors
    /// [`BeError::Corrupt`] when the schema is not there: the rowset is not one of a simulated backend.
    pub fn from_pb(pb: RowsetMetaPb) -> Result<Self, BeError> {
        let Some(json) = &pb.sim_schema else {
            return Err(unreadable(
                "no simulated backend wrote this rowset, its segments can not be read here",
            ));
        };
        let schema: TableSchema = serde_json::from_slice(json).map_err(unreadable)?;
        Self::from_lean_pb(pb, Arc::new(schema))
    }

    /// Reads a message whose schema is known from elsewhere.
    ///
    /// # Errors
    /// [`BeError::Corrupt`] when a member is missing.
    pub fn from_lean_pb(pb: RowsetMetaPb, schema: Arc<TableSchema>) -> Result<Self, BeError> {
        fn need<T>(member: Option<T>, name: &str) -> Result<T, BeError> {
            member.ok_or_else(|| unreadable(format!("{name} is missing")))
        }
        let size = |member: Option<i64>| {
            member
                .and_then(|bytes| u64::try_from(bytes).ok())
                .unwrap_or(0)
        };
        let delete = pb
            .sim_delete
            .as_deref()
            .map(serde_json::from_slice::<DeletePredicate>)
            .transpose()
            .map_err(unreadable)?;
        if pb.delete_predicate.is_some() && delete.is_none() {
            return Err(unreadable("the conditions of the DELETE are missing"));
        }
        let segments = need(pb.num_segments, "num_segments")?;
        let load_id = pb.load_id.unwrap_or(UniqueIdPb { hi: 0, lo: 0 });
        let visible = Some(i32::from(RowsetStatePb::Visible));
        Ok(RowsetMeta {
            rowset_id: need(pb.rowset_id_v2, "rowset_id_v2")?,
            tablet_id: need(pb.tablet_id, "tablet_id")?,
            tablet_uid: need(pb.tablet_uid, "tablet_uid")?.into(),
            partition_id: need(pb.partition_id, "partition_id")?,
            tablet_schema_hash: need(pb.tablet_schema_hash, "tablet_schema_hash")?,
            state: if pb.rowset_state == visible {
                RowsetState::Visible
            } else {
                RowsetState::Committed
            },
            start_version: need(pb.start_version, "start_version")?,
            end_version: need(pb.end_version, "end_version")?,
            num_segments: u32::try_from(segments).map_err(unreadable)?,
            num_rows: size(pb.num_rows),
            data_size: size(pb.data_disk_size),
            index_size: size(pb.index_disk_size),
            txn_id: pb.txn_id.unwrap_or(-1),
            load_id: (load_id.hi, load_id.lo),
            creation_time: pb.creation_time.unwrap_or(0),
            schema,
            delete: delete.map(Arc::new),
            source_rowset_id: pb.source_rowset_id,
            source_tablet_id: pb.source_tablet_id,
        })
    }

    /// File name of a segment.
    pub fn segment_name(&self, segment: u32) -> String {
        segment_name(&self.rowset_id, segment)
    }

    /// Names of all files: segments, each with its index files behind it.
    pub fn file_names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for segment in 0..self.num_segments {
            names.push(self.segment_name(segment));
            names.extend(self.schema.indexes.file_names(&self.rowset_id, segment));
        }
        names
    }
}

/// `<rowset id>_<segment>.dat`
pub fn segment_name(rowset_id: &str, segment: u32) -> String {
    format!("{rowset_id}_{segment}.dat")
}

fn unreadable(reason: impl std::fmt::Display) -> BeError {
    BeError::Corrupt(format!("failed to parse rowset meta: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use dorisim_model::backend::{DeleteCondition, DeleteOp};
    use dorisim_model::{Column, DataType, KeysModel};

    fn meta() -> RowsetMeta {
        let mut key = Column::new("k", DataType::Decimal(20, 4));
        key.is_key = true;
        key.unique_id = 3;
        let value = Column::new("v", DataType::parse("map<int,array<varchar(9)>>").unwrap());
        let condition = |op: DeleteOp, values: &[&str]| DeleteCondition {
            column: 3,
            op,
            values: values.iter().map(|v| Some((*v).to_owned())).collect(),
        };
        RowsetMeta {
            rowset_id: "02".repeat(24),
            tablet_id: 7,
            tablet_uid: TabletUid { hi: -1, lo: 2 },
            partition_id: 5,
            tablet_schema_hash: 77,
            state: RowsetState::Visible,
            start_version: 4,
            end_version: 4,
            num_segments: 2,
            num_rows: 9,
            data_size: 100,
            index_size: 11,
            txn_id: 13,
            load_id: (1, -1),
            creation_time: 1_700_000_000,
            schema: Arc::new(TableSchema {
                columns: vec![key, value],
                keys: KeysModel::Aggregate,
                schema_hash: 77,
                schema_version: 2,
                indexes: Default::default(),
            }),
            delete: Some(Arc::new(DeletePredicate {
                conditions: vec![
                    condition(DeleteOp::Lt, &["5"]),
                    condition(DeleteOp::NotIn, &["1", "2"]),
                    condition(DeleteOp::IsNotNull, &[]),
                ],
            })),
            source_rowset_id: Some("03".repeat(24)),
            source_tablet_id: Some(8),
        }
    }

    #[test]
    fn a_meta_reads_back_what_was_written() {
        assert_eq!(RowsetMeta::from_bytes(&meta().to_bytes()).unwrap(), meta());
    }

    #[test]
    fn members_are_those_of_doris() {
        let pb = meta().to_pb();
        let schema = pb.tablet_schema.unwrap();
        assert_eq!((schema.keys_type, schema.sort_col_num), (Some(2), Some(1)));
        assert_eq!(schema.next_column_unique_id, Some(4));
        let [key, value] = schema.column.as_slice() else {
            panic!("two columns");
        };
        assert_eq!(
            (key.r#type.as_str(), key.precision, key.frac),
            ("DECIMAL128I", Some(20), Some(4))
        );
        assert_eq!(value.r#type, "MAP");
        let parts: Vec<&str> = value
            .children_columns
            .iter()
            .map(|c| c.r#type.as_str())
            .collect();
        assert_eq!(parts, ["INT", "ARRAY"]);
        assert_eq!(
            value.children_columns[1].children_columns[0].length,
            Some(11)
        );
        let delete = pb.delete_predicate.unwrap();
        let told: Vec<_> = delete
            .sub_predicates_v2
            .iter()
            .map(|sub| {
                (
                    sub.op.as_deref().unwrap(),
                    sub.cond_value.as_deref().unwrap(),
                )
            })
            .collect();
        assert_eq!(told, [("<<", "5"), ("IS", "NOT NULL")]);
        assert_eq!(delete.in_predicates[0].values, ["1", "2"]);
        assert_eq!(delete.in_predicates[0].is_not_in, Some(true));
    }

    #[test]
    fn metas_of_others_and_damaged_ones_are_refused() {
        let mut foreign = meta().to_pb();
        foreign.sim_schema = None;
        let refused = RowsetMeta::from_bytes(&foreign.encode_to_vec()).unwrap_err();
        assert!(
            refused.to_string().contains("failed to parse rowset meta"),
            "{refused}"
        );
        let bytes = meta().to_bytes();
        for cut in 0..bytes.len() {
            assert!(RowsetMeta::from_bytes(&bytes[..cut]).is_err(), "cut {cut}");
        }
        assert!(RowsetMeta::from_bytes(b"garbage:x:y").is_err());
    }
}
