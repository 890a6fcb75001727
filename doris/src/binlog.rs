//! Raw binlog records -> typed records, one variant per type.
//!
//! `RawBinlog -> decode -> (BARRIER unwrapped) -> Binlog { Record }`
//!
//! A type that is not known is a [`Record::Unknown`], not an error; a record of a known type that cannot be read is an error.

mod indexes;
mod lenient;
mod partitions;
mod tables;

use ccr_schemas::{CommitSeq, DbId, TableId, TimestampMs};
use serde::de::DeserializeOwned;
use thiserror::Error;

pub use indexes::{AlterJob, DropRollup, Index, IndexChangeJob, ModifyIndexes};
pub use partitions::{
    AddPartition, AddedPartition, DistributionInfo, DropPartition, ModifyBucketNum,
    ModifyPartition, ModifyPartitions, ReplacePartitions, TruncateTable, TruncatedPart, Upsert,
    UpsertPartition, UpsertTable,
};
pub use tables::{
    AlterDatabaseProperty, Barrier, Column, CreateTable, DropTable, ModifyColumns, ModifyComment,
    ModifyTableProperty, ModifyViewDef, RecoverInfo, RenameColumn, ReplaceTable, TableInfo,
};

use crate::frontend::RawBinlog;

/// How deep BARRIERs may be wrapped into each other. Doris wraps once.
const MAX_WRAPPING: usize = 4;

/// A binlog record that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binlog {
    /// Position. Of a wrapped record: that of the wrapper.
    pub commit_seq: CommitSeq,
    /// When.
    pub timestamp: TimestampMs,
    /// Database.
    pub db_id: DbId,
    /// Tables as the stream names them; those of the record when the stream names none.
    pub table_ids: Vec<TableId>,
    /// What happened.
    pub record: Record,
}

/// What a record says. The variant's doc names the number of its `TBinlogType`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// 0.
    Upsert(Upsert),
    /// 1.
    AddPartition(AddPartition),
    /// 2.
    CreateTable(CreateTable),
    /// 3.
    DropPartition(DropPartition),
    /// 4.
    DropTable(DropTable),
    /// 5.
    AlterJob(AlterJob),
    /// 6: MODIFY_TABLE_ADD_OR_DROP_COLUMNS.
    ModifyColumns(ModifyColumns),
    /// 7: head of a stream; has no data.
    Dummy,
    /// 8.
    AlterDatabaseProperty(AlterDatabaseProperty),
    /// 9.
    ModifyTableProperty(ModifyTableProperty),
    /// 10, without an inner record.
    Barrier(Barrier),
    /// 11.
    ModifyPartitions(ModifyPartitions),
    /// 12.
    ReplacePartitions(ReplacePartitions),
    /// 13.
    TruncateTable(TruncateTable),
    /// 14.
    RenameTable(TableInfo),
    /// 15.
    RenameColumn(RenameColumn),
    /// 16.
    ModifyComment(ModifyComment),
    /// 17.
    ModifyViewDef(ModifyViewDef),
    /// 18.
    ReplaceTable(ReplaceTable),
    /// 19: MODIFY_TABLE_ADD_OR_DROP_INVERTED_INDICES.
    ModifyIndexes(ModifyIndexes),
    /// 20.
    IndexChangeJob(IndexChangeJob),
    /// 21.
    RenameRollup(TableInfo),
    /// 22.
    RenamePartition(TableInfo),
    /// 23.
    DropRollup(DropRollup),
    /// 24.
    RecoverInfo(RecoverInfo),
    /// 25: MODIFY_DISTRIBUTION_BUCKET_NUM.
    ModifyBucketNum(ModifyBucketNum),
    /// 26: MODIFY_DISTRIBUTION_TYPE, hash to random.
    ModifyDistributionType(TableInfo),
    /// A number this release does not know, bare or inside a BARRIER.
    Unknown {
        /// The number.
        binlog_type: i32,
    },
}

/// Why a record of a known type cannot be read.
#[derive(Debug, Error)]
pub enum BinlogError {
    /// The JSON is broken, or lacks what replication needs.
    #[error("cannot read binlog record {commit_seq} (type {binlog_type})")]
    Json {
        /// Position.
        commit_seq: CommitSeq,
        /// Type; of the inner record when wrapped.
        binlog_type: i32,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// BARRIERs inside BARRIERs without end.
    #[error("binlog record {commit_seq} is wrapped more than {MAX_WRAPPING} times")]
    WrappedTooDeep {
        /// Position.
        commit_seq: CommitSeq,
    },
}

/// Reads a record.
///
/// # Errors
/// [`BinlogError`] when the type is known but the record cannot be read.
pub fn decode(raw: &RawBinlog) -> Result<Binlog, BinlogError> {
    let record = decode_record(raw.commit_seq, raw.binlog_type, &raw.data, MAX_WRAPPING)?;
    let table_ids = if raw.table_ids.is_empty() {
        record.table_ids()
    } else {
        raw.table_ids.clone()
    };
    Ok(Binlog {
        commit_seq: raw.commit_seq,
        timestamp: raw.timestamp,
        db_id: raw.db_id,
        table_ids,
        record,
    })
}

fn decode_record(
    commit_seq: CommitSeq,
    binlog_type: i32,
    data: &str,
    unwraps_left: usize,
) -> Result<Record, BinlogError> {
    let failed = |source| BinlogError::Json {
        commit_seq,
        binlog_type,
        source,
    };
    let record = match binlog_type {
        0 => Record::Upsert(read(data).map_err(failed)?),
        1 => Record::AddPartition(read(data).map_err(failed)?),
        2 => Record::CreateTable(read(data).map_err(failed)?),
        3 => Record::DropPartition(read(data).map_err(failed)?),
        4 => Record::DropTable(read(data).map_err(failed)?),
        5 => Record::AlterJob(read(data).map_err(failed)?),
        6 => Record::ModifyColumns(read(data).map_err(failed)?),
        7 => Record::Dummy,
        8 => Record::AlterDatabaseProperty(read(data).map_err(failed)?),
        9 => Record::ModifyTableProperty(read(data).map_err(failed)?),
        10 => {
            let barrier: Barrier = read(data).map_err(failed)?;
            // The number 0 means both "nothing inside" and for UPSERT, so presence decides.
            match barrier.binlog.as_deref() {
                None | Some("") => Record::Barrier(barrier),
                Some(_) if unwraps_left == 0 => {
                    return Err(BinlogError::WrappedTooDeep { commit_seq });
                }
                Some(inner) => {
                    decode_record(commit_seq, barrier.binlog_type, inner, unwraps_left - 1)?
                }
            }
        }
        11 => Record::ModifyPartitions(read(data).map_err(failed)?),
        12 => Record::ReplacePartitions(read(data).map_err(failed)?),
        13 => Record::TruncateTable(read(data).map_err(failed)?),
        14 => Record::RenameTable(read(data).map_err(failed)?),
        15 => Record::RenameColumn(read(data).map_err(failed)?),
        16 => Record::ModifyComment(read(data).map_err(failed)?),
        17 => Record::ModifyViewDef(read(data).map_err(failed)?),
        18 => Record::ReplaceTable(read(data).map_err(failed)?),
        19 => Record::ModifyIndexes(read(data).map_err(failed)?),
        20 => Record::IndexChangeJob(read(data).map_err(failed)?),
        21 => Record::RenameRollup(read(data).map_err(failed)?),
        22 => Record::RenamePartition(read(data).map_err(failed)?),
        23 => Record::DropRollup(read(data).map_err(failed)?),
        24 => Record::RecoverInfo(read(data).map_err(failed)?),
        25 => Record::ModifyBucketNum(read(data).map_err(failed)?),
        26 => Record::ModifyDistributionType(read(data).map_err(failed)?),
        unknown => Record::Unknown {
            binlog_type: unknown,
        },
    };
    Ok(record)
}

/// Reads JSON, first as it is; only when that fails without the null members that some releases write.
fn read<T: DeserializeOwned>(data: &str) -> Result<T, serde_json::Error> {
    let first = match serde_json::from_str(data) {
        Ok(record) => return Ok(record),
        Err(error) => error,
    };
    let Ok(mut value) = serde_json::from_str::<serde_json::Value>(data) else {
        return Err(first);
    };
    lenient::without_nulls(&mut value);
    serde_json::from_value(value).map_err(|_| first)
}

impl Record {
    /// Tables the record itself names.
    pub fn table_ids(&self) -> Vec<TableId> {
        match self {
            Self::Upsert(r) => r.table_records.keys().copied().collect(),
            Self::AddPartition(r) => vec![r.table_id],
            Self::CreateTable(r) => vec![r.table_id],
            Self::DropPartition(r) => vec![r.table_id],
            Self::DropTable(r) => vec![r.table_id],
            Self::AlterJob(r) => vec![r.table_id],
            Self::ModifyColumns(r) => vec![r.table_id],
            Self::ModifyTableProperty(r) => vec![r.table_id],
            Self::Barrier(r) if r.table_id.0 > 0 => vec![r.table_id],
            Self::ModifyPartitions(r) => {
                let mut ids: Vec<_> = r.infos.iter().map(|info| info.table_id).collect();
                ids.dedup();
                ids
            }
            Self::ReplacePartitions(r) => vec![r.table_id],
            Self::TruncateTable(r) => vec![r.table_id],
            Self::RenameTable(r)
            | Self::RenameRollup(r)
            | Self::RenamePartition(r)
            | Self::ModifyDistributionType(r) => vec![r.table_id],
            Self::RenameColumn(r) => vec![r.table_id],
            Self::ModifyComment(r) => vec![r.table_id],
            Self::ModifyViewDef(r) => vec![r.view_id],
            Self::ReplaceTable(r) => vec![r.original_id, r.replacement_id],
            Self::ModifyIndexes(r) => vec![r.table_id],
            Self::IndexChangeJob(r) => vec![r.table_id],
            Self::DropRollup(r) => vec![r.table_id],
            Self::RecoverInfo(r) => vec![r.table_id],
            Self::ModifyBucketNum(r) => vec![r.table_id],
            Self::Dummy
            | Self::AlterDatabaseProperty(_)
            | Self::Barrier(_)
            | Self::Unknown { .. } => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
