//! Plain structs of the frontend to and from the structs of the wire.

use std::collections::BTreeMap;

use dorisim_wire as wire;
use wire::{TBinlog, TBinlogType, TStatus, TStatusCode};

use dorisim_fe as fe;

/// OK without messages.
pub fn ok() -> TStatus {
    TStatus::new(TStatusCode::OK, None)
}

/// A code and, unless empty, one message.
pub fn status(code: TStatusCode, message: Option<String>) -> TStatus {
    TStatus::new(code, message.map(|message| vec![message]))
}

/// The status of a refusal.
pub fn refusal(error: &fe::RpcError) -> TStatus {
    status(TStatusCode(error.code as i32), error.message())
}

/// One record.
pub fn binlog(record: &fe::Binlog) -> TBinlog {
    let table_ids = (!record.table_ids.is_empty()).then(|| record.table_ids.clone());
    // A DUMMY is no record: what is kept for the references of records is unset.
    let is_record = record.belong.is_none();
    TBinlog::new(
        record.commit_seq,
        record.timestamp,
        TBinlogType(record.kind),
        record.db_id,
        table_ids,
        record.data.clone(),
        record.belong,
        is_record.then_some(record.table_ref),
        is_record.then_some(record.remove_enable_cache),
    )
}

/// The result of getBinlog, by the decision table: 61 carries the DUMMY, 62 to 64 carry nothing.
pub fn binlog_result(reply: &fe::BinlogReply) -> wire::TGetBinlogResult {
    let (code, records) = match reply {
        fe::BinlogReply::Records(records) => (
            TStatusCode::OK,
            Some(records.iter().map(|record| binlog(record)).collect()),
        ),
        fe::BinlogReply::TooOld(dummy) => (
            TStatusCode::BINLOG_TOO_OLD_COMMIT_SEQ,
            Some(vec![binlog(dummy)]),
        ),
        fe::BinlogReply::TooNew => (TStatusCode::BINLOG_TOO_NEW_COMMIT_SEQ, None),
        fe::BinlogReply::NotFoundDb => (TStatusCode::BINLOG_NOT_FOUND_DB, None),
        fe::BinlogReply::NotFoundTable => (TStatusCode::BINLOG_NOT_FOUND_TABLE, None),
    };
    wire::TGetBinlogResult::new(status(code, None), None, records, None, None, None)
}

/// A result of beginTxn with every field unset. The generated default sets fields to zero, which a client can not
/// tell from an answer.
pub fn nothing_begun() -> wire::TBeginTxnResult {
    wire::TBeginTxnResult::new(None, None, None, None, None, None)
}

/// A refusal of getBinlogLag.
pub fn no_lag(status: TStatus, master: Option<wire::TNetworkAddress>) -> wire::TGetBinlogLagResult {
    wire::TGetBinlogLagResult::new(status, None, master, None, None, None, None, None, None)
}

/// The result of getBinlogLag.
pub fn lag_result(lag: &fe::BinlogLag) -> wire::TGetBinlogLagResult {
    wire::TGetBinlogLagResult {
        status: Some(ok()),
        lag: Some(lag.lag),
        master_address: None,
        first_commit_seq: Some(lag.first_commit_seq),
        last_commit_seq: Some(lag.last_commit_seq),
        first_binlog_timestamp: Some(lag.first_timestamp),
        last_binlog_timestamp: Some(lag.last_timestamp),
        next_commit_seq: Some(lag.next_commit_seq),
        next_binlog_timestamp: Some(lag.next_timestamp),
    }
}

/// (tablet, backend) pairs.
pub fn commit_infos(infos: &[wire::TTabletCommitInfo]) -> Vec<(i64, i64)> {
    infos
        .iter()
        .map(|info| (info.tablet_id, info.backend_id))
        .collect()
}

/// A sub transaction; missing ids can not match anything.
pub fn sub_txn(info: &wire::TSubTxnInfo) -> fe::SubTxn {
    fe::SubTxn {
        id: info.sub_txn_id.unwrap_or(-1),
        table_id: info.table_id.unwrap_or(-1),
        commit_infos: commit_infos(info.tablet_commit_infos.as_deref().unwrap_or_default()),
    }
}

/// What getMeta asks for.
pub fn meta_request(db: &wire::TGetMetaDB) -> fe::MetaRequest {
    let selector = |table: &wire::TGetMetaTable| match (table.id, &table.name) {
        (Some(id), _) => Some(fe::TableSelector::Id(id)),
        (None, Some(name)) => Some(fe::TableSelector::Name(name.clone())),
        (None, None) => None,
    };
    fe::MetaRequest {
        db_id: db.id,
        db: db.name.clone(),
        tables: db
            .tables
            .as_ref()
            .map(|tables| tables.iter().filter_map(selector).collect()),
    }
}

/// The answer of getMeta.
pub fn db_meta(meta: fe::DbMeta) -> wire::TGetMetaDBMeta {
    let tables: Vec<_> = meta.tables.into_iter().map(table_meta).collect();
    let ids = |pairs: &[(i64, i64)]| pairs.iter().map(|(id, _)| *id).collect::<Vec<_>>();
    let map = |pairs: &[(i64, i64)]| pairs.iter().copied().collect::<BTreeMap<_, _>>();
    let dropped = meta.dropped.as_ref();
    wire::TGetMetaDBMeta {
        id: Some(meta.id),
        name: Some(meta.name),
        tables: unset_if_empty(tables),
        dropped_partitions: dropped.map(|dropped| ids(&dropped.partitions)),
        dropped_tables: dropped.map(|dropped| ids(&dropped.tables)),
        dropped_indexes: dropped.map(|dropped| ids(&dropped.indexes)),
        dropped_partition_map: dropped.map(|dropped| map(&dropped.partitions)),
        dropped_table_map: dropped.map(|dropped| map(&dropped.tables)),
        dropped_index_map: dropped.map(|dropped| map(&dropped.indexes)),
    }
}

fn table_meta(table: fe::TableMeta) -> wire::TGetMetaTableMeta {
    let partitions = table.partitions.into_iter().map(partition_meta).collect();
    wire::TGetMetaTableMeta {
        id: Some(table.id),
        name: Some(table.name),
        // Never filled in by Doris.
        in_trash: None,
        partitions: unset_if_empty(partitions),
        type_: Some(table.kind.to_owned()),
    }
}

fn partition_meta(partition: fe::PartitionMeta) -> wire::TGetMetaPartitionMeta {
    wire::TGetMetaPartitionMeta {
        id: Some(partition.id),
        name: Some(partition.name),
        key: None,
        range: Some(partition.range),
        visible_version: Some(partition.visible_version),
        is_temp: None,
        indexes: unset_if_empty(partition.indexes.into_iter().map(index_meta).collect()),
    }
}

fn index_meta(index: fe::IndexTablets) -> wire::TGetMetaIndexMeta {
    let replica = |replica: &dorisim_model::Replica| {
        wire::TGetMetaReplicaMeta::new(replica.id, replica.backend_id, replica.version)
    };
    let tablets = index
        .tablets
        .iter()
        .map(|tablet| {
            let replicas = tablet.replicas.iter().map(replica).collect();
            wire::TGetMetaTabletMeta::new(tablet.id, unset_if_empty(replicas))
        })
        .collect();
    wire::TGetMetaIndexMeta::new(index.id, index.name, unset_if_empty(tablets))
}

fn unset_if_empty<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

/// A backend of getBackendMeta.
pub fn backend(info: &fe::BackendInfo) -> wire::TBackend {
    let address = &info.address;
    wire::TBackend::new(
        address.host.clone(),
        i32::from(address.be_port),
        i32::from(address.http_port),
        i32::from(address.brpc_port),
        info.alive,
        address.id,
    )
}

/// What restoreSnapshot asks for, blobs still as they came.
pub fn restore_request(
    request: wire::TRestoreSnapshotRequest,
    meta: Vec<u8>,
    job_info: Vec<u8>,
) -> fe::RestoreRequest {
    let refs = request.table_refs.unwrap_or_default();
    fe::RestoreRequest {
        db: request.db.unwrap_or_default(),
        label: request.label_name.unwrap_or_default(),
        repo: request.repo_name.unwrap_or_default(),
        table_refs: refs
            .into_iter()
            .filter_map(|table| Some((table.table?, table.alias_name)))
            .collect(),
        properties: request.properties.unwrap_or_default(),
        meta,
        job_info,
        clean_tables: request.clean_tables.unwrap_or(false),
        clean_partitions: request.clean_partitions.unwrap_or(false),
        atomic_restore: request.atomic_restore.unwrap_or(false),
        force_replace: request.force_replace.unwrap_or(false),
    }
}
