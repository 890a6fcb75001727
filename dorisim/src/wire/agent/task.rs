//! Agent tasks: the members of `TAgentTaskRequest` that a backend of ours acts upon.

use std::collections::{BTreeMap, BTreeSet};

use ccr_doris_wire::{
    TAgentServiceVersion, TAgentTaskRequest, TAlterMaterializedViewParam, TAlterTabletReqV2,
    TAlterTabletType, TCheckConsistencyReq, TClearTransactionTaskRequest, TDownloadReq,
    TDropTabletReq, TExpr, TExprNode, TExprNodeType, TGcBinlogReq, TMoveDirReq, TNetworkAddress,
    TPartitionVersionInfo, TPublishVersionRequest, TReleaseSnapshotRequest, TRemoteTabletSnapshot,
    TSlotRef, TSnapshotRequest, TTabletGcBinlogInfo, TTabletMetaInfo, TTaskType,
    TUpdateTabletMetaInfoReq, TVisibleVersionReq,
};

use super::schema::{CreateTablet, binlog_config, column_from_wire, column_to_wire};
use super::{WireError, push::Push};
use crate::be::api::RemoteTabletSnapshot;
use crate::model::Column;

/// DROP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DropTablet {
    /// Which tablet.
    pub tablet_id: i64,
    /// Schema hash of its directory.
    pub schema_hash: i32,
    /// Which replica; a backend that holds another one keeps it.
    pub replica_id: i64,
    /// The whole table or partition goes: nothing is kept in the trash.
    pub of_dropped_table: bool,
}

/// PUBLISH_VERSION. Its signature is the transaction id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishVersion {
    /// Transaction, or sub transaction.
    pub txn_id: i64,
    /// (partition, version).
    pub partitions: Vec<(i64, i64)>,
    /// Tablets of base indexes, for counting rows.
    pub base_tablets: BTreeSet<i64>,
}

/// MAKE_SNAPSHOT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MakeSnapshot {
    /// Which tablet.
    pub tablet_id: i64,
    /// Its schema hash.
    pub schema_hash: i32,
    /// At which version; none: the newest.
    pub version: Option<i64>,
    /// Seconds until the backend may delete it.
    pub timeout_s: i64,
    /// The end lists the files.
    pub list_files: bool,
    /// Tablet whose files may be linked, for atomic restores.
    pub ref_tablet: Option<i64>,
}

/// RELEASE_SNAPSHOT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseSnapshot {
    /// Path as MAKE_SNAPSHOT told it.
    pub path: String,
    /// Tablet of the snapshot.
    pub tablet_id: i64,
    /// The job ended well.
    pub job_completed: bool,
}

/// DOWNLOAD of snapshots that other backends keep.
#[derive(Clone, Debug)]
pub struct Download {
    /// Restore job.
    pub job_id: i64,
    /// What to pull, and the id of the backend that has it.
    pub snapshots: Vec<(RemoteTabletSnapshot, i64)>,
}

/// MOVE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MoveDir {
    /// Which tablet.
    pub tablet_id: i64,
    /// Its schema hash.
    pub schema_hash: i32,
    /// `<snapshot path>/<tablet>/<schema hash>`.
    pub path: String,
    /// Restore job; repeating a move of the same job changes nothing.
    pub job_id: i64,
}

/// One tablet of UPDATE_TABLET_META_INFO; members that are none stay as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TabletMeta {
    /// Which tablet.
    pub tablet_id: i64,
    /// `binlog.enable`.
    pub binlog_enabled: Option<bool>,
    /// Replica id that the backend shall use.
    pub replica_id: Option<i64>,
    /// Partition id that the backend shall use.
    pub partition_id: Option<i64>,
}

/// Where a column of a rollup or materialized view comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RollupColumn {
    /// Column of the new tablet.
    pub name: String,
    /// Column of the base tablet.
    pub origin: String,
    /// It counts values: 1 for a value, 0 for NULL.
    pub counts: bool,
}

/// ALTER: fills a new tablet from an old one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlterTablet {
    /// Tablet that is read.
    pub base_tablet: i64,
    /// Tablet that CREATE made before.
    pub new_tablet: i64,
    /// Schema hash of the old one.
    pub base_schema_hash: i32,
    /// Schema hash of the new one.
    pub new_schema_hash: i32,
    /// Data up to this version is converted.
    pub version: i64,
    /// Makes a rollup, else another form of the same index.
    pub rollup: bool,
    /// Columns of the base index as they are now (light changes do not reach tablets by themselves).
    pub base_columns: Vec<Column>,
    /// Columns of materialized views.
    pub rollup_columns: Vec<RollupColumn>,
}

/// What a frontend asks of a backend.
#[derive(Clone, Debug)]
pub enum AgentTask {
    /// CREATE.
    Create(Box<CreateTablet>),
    /// DROP.
    Drop(DropTablet),
    /// REALTIME_PUSH: a DELETE with conditions.
    Push(Box<Push>),
    /// PUBLISH_VERSION.
    Publish(PublishVersion),
    /// CLEAR_TRANSACTION_TASK: transaction, and its partitions (none: all).
    ClearTransaction(i64, Vec<i64>),
    /// MAKE_SNAPSHOT.
    MakeSnapshot(MakeSnapshot),
    /// RELEASE_SNAPSHOT.
    ReleaseSnapshot(ReleaseSnapshot),
    /// DOWNLOAD.
    Download(Download),
    /// MOVE.
    Move(MoveDir),
    /// UPDATE_TABLET_META_INFO.
    UpdateMeta(Vec<TabletMeta>),
    /// ALTER.
    Alter(Box<AlterTablet>),
    /// GC_BINLOG: tablet to the highest version that is forgotten. Never answered.
    GcBinlog(BTreeMap<i64, i64>),
    /// UPDATE_VISIBLE_VERSION: partition to version. Never answered.
    VisibleVersion(BTreeMap<i64, i64>),
    /// CHECK_CONSISTENCY.
    CheckConsistency {
        /// Which tablet.
        tablet_id: i64,
        /// Its schema hash.
        schema_hash: i32,
        /// Rows up to this version are summed up.
        version: i64,
    },
    /// Any other type: a backend of ours answers OK, or that it does not do such things.
    Other(TTaskType),
}

impl AgentTask {
    /// The number of its type.
    pub fn task_type(&self) -> TTaskType {
        match self {
            AgentTask::Create(_) => TTaskType::CREATE,
            AgentTask::Drop(_) => TTaskType::DROP,
            AgentTask::Push(_) => TTaskType::REALTIME_PUSH,
            AgentTask::Publish(_) => TTaskType::PUBLISH_VERSION,
            AgentTask::ClearTransaction(..) => TTaskType::CLEAR_TRANSACTION_TASK,
            AgentTask::MakeSnapshot(_) => TTaskType::MAKE_SNAPSHOT,
            AgentTask::ReleaseSnapshot(_) => TTaskType::RELEASE_SNAPSHOT,
            AgentTask::Download(_) => TTaskType::DOWNLOAD,
            AgentTask::Move(_) => TTaskType::MOVE,
            AgentTask::UpdateMeta(_) => TTaskType::UPDATE_TABLET_META_INFO,
            AgentTask::Alter(_) => TTaskType::ALTER,
            AgentTask::GcBinlog(_) => TTaskType::GC_BINLOG,
            AgentTask::VisibleVersion(_) => TTaskType::UPDATE_VISIBLE_VERSION,
            AgentTask::CheckConsistency { .. } => TTaskType::CHECK_CONSISTENCY,
            AgentTask::Other(task_type) => *task_type,
        }
    }

    /// The request with its signature.
    pub fn to_wire(&self, signature: i64) -> TAgentTaskRequest {
        let mut request = bare(self.task_type(), signature);
        match self {
            AgentTask::Create(create) => request.create_tablet_req = Some(create.to_wire()),
            AgentTask::Drop(drop) => {
                request.drop_tablet_req = Some(TDropTabletReq::new(
                    drop.tablet_id,
                    drop.schema_hash,
                    drop.replica_id,
                    drop.of_dropped_table,
                ));
            }
            AgentTask::Push(push) => request.push_req = Some(push.to_wire()),
            AgentTask::Publish(publish) => {
                request.publish_version_req = Some(publish_to_wire(publish));
            }
            AgentTask::ClearTransaction(txn_id, partitions) => {
                request.clear_transaction_task_req = Some(TClearTransactionTaskRequest::new(
                    *txn_id,
                    partitions.clone(),
                ));
            }
            AgentTask::MakeSnapshot(make) => request.snapshot_req = Some(make.to_wire()),
            AgentTask::ReleaseSnapshot(release) => {
                request.release_snapshot_req = Some(TReleaseSnapshotRequest::new(
                    release.path.clone(),
                    release.tablet_id,
                    release.job_completed,
                ));
            }
            AgentTask::Download(download) => request.download_req = Some(download.to_wire()),
            AgentTask::Move(dir) => {
                request.move_dir_req = Some(TMoveDirReq::new(
                    dir.tablet_id,
                    dir.schema_hash,
                    dir.path.clone(),
                    dir.job_id,
                    true,
                ));
            }
            AgentTask::UpdateMeta(tablets) => {
                let tablets = tablets.iter().map(meta_to_wire).collect::<Vec<_>>();
                request.update_tablet_meta_info_req =
                    Some(TUpdateTabletMetaInfoReq::new(Some(tablets)));
            }
            AgentTask::Alter(alter) => request.alter_tablet_req_v2 = Some(alter.to_wire()),
            AgentTask::GcBinlog(up_to) => {
                let infos: Vec<_> = up_to
                    .iter()
                    .map(|(tablet, version)| TTabletGcBinlogInfo::new(*tablet, *version))
                    .collect();
                request.gc_binlog_req = Some(TGcBinlogReq::new(Some(infos)));
            }
            AgentTask::VisibleVersion(versions) => {
                request.visible_version_req = Some(TVisibleVersionReq::new(Some(versions.clone())));
            }
            AgentTask::CheckConsistency {
                tablet_id,
                schema_hash,
                version,
            } => {
                let check = TCheckConsistencyReq::new(*tablet_id, *schema_hash, *version, 0);
                request.check_consistency_req = Some(check);
            }
            AgentTask::Other(_) => {}
        }
        request
    }

    /// Reads a request.
    ///
    /// # Errors
    /// The member of its type is missing or has no meaning.
    pub fn from_wire(request: TAgentTaskRequest) -> Result<Self, WireError> {
        let task_type = request.task_type;
        let missing = || WireError::new(format!("task type {} lacks its request", task_type.0));
        Ok(match task_type {
            TTaskType::CREATE => {
                let create = request.create_tablet_req.ok_or_else(missing)?;
                AgentTask::Create(Box::new(CreateTablet::from_wire(&create)?))
            }
            TTaskType::DROP => {
                let drop = request.drop_tablet_req.ok_or_else(missing)?;
                AgentTask::Drop(DropTablet {
                    tablet_id: drop.tablet_id,
                    schema_hash: drop.schema_hash.unwrap_or(0),
                    replica_id: drop.replica_id.unwrap_or(0),
                    of_dropped_table: drop.is_drop_table_or_partition.unwrap_or(false),
                })
            }
            TTaskType::PUSH | TTaskType::REALTIME_PUSH => {
                let push = request.push_req.ok_or_else(missing)?;
                AgentTask::Push(Box::new(Push::from_wire(push)?))
            }
            TTaskType::PUBLISH_VERSION => AgentTask::Publish(publish_from_wire(
                request.publish_version_req.ok_or_else(missing)?,
            )),
            TTaskType::CLEAR_TRANSACTION_TASK => {
                let clear = request.clear_transaction_task_req.ok_or_else(missing)?;
                AgentTask::ClearTransaction(clear.transaction_id, clear.partition_id)
            }
            TTaskType::MAKE_SNAPSHOT => AgentTask::MakeSnapshot(MakeSnapshot::from_wire(
                &request.snapshot_req.ok_or_else(missing)?,
            )),
            TTaskType::RELEASE_SNAPSHOT => {
                let release = request.release_snapshot_req.ok_or_else(missing)?;
                AgentTask::ReleaseSnapshot(ReleaseSnapshot {
                    path: release.snapshot_path,
                    tablet_id: release.tablet_id.unwrap_or(-1),
                    job_completed: release.is_job_completed.unwrap_or(false),
                })
            }
            TTaskType::DOWNLOAD => AgentTask::Download(Download::from_wire(
                request.download_req.ok_or_else(missing)?,
            )?),
            TTaskType::MOVE => {
                let dir = request.move_dir_req.ok_or_else(missing)?;
                AgentTask::Move(MoveDir {
                    tablet_id: dir.tablet_id,
                    schema_hash: dir.schema_hash,
                    path: dir.src,
                    job_id: dir.job_id,
                })
            }
            TTaskType::UPDATE_TABLET_META_INFO => {
                let update = request.update_tablet_meta_info_req.ok_or_else(missing)?;
                let tablets = update.tablet_meta_infos.unwrap_or_default();
                AgentTask::UpdateMeta(tablets.iter().filter_map(meta_from_wire).collect())
            }
            TTaskType::ALTER => AgentTask::Alter(Box::new(AlterTablet::from_wire(
                &request.alter_tablet_req_v2.ok_or_else(missing)?,
            )?)),
            TTaskType::GC_BINLOG => {
                let infos = request.gc_binlog_req.ok_or_else(missing)?;
                let infos = infos.tablet_gc_binlog_infos.unwrap_or_default();
                let pair = |info: TTabletGcBinlogInfo| Some((info.tablet_id?, info.version?));
                AgentTask::GcBinlog(infos.into_iter().filter_map(pair).collect())
            }
            TTaskType::UPDATE_VISIBLE_VERSION => {
                let versions = request.visible_version_req.ok_or_else(missing)?;
                AgentTask::VisibleVersion(versions.partition_version.unwrap_or_default())
            }
            TTaskType::CHECK_CONSISTENCY => {
                let check = request.check_consistency_req.ok_or_else(missing)?;
                AgentTask::CheckConsistency {
                    tablet_id: check.tablet_id,
                    schema_hash: check.schema_hash,
                    version: check.version,
                }
            }
            other => AgentTask::Other(other),
        })
    }
}

/// A request without any member.
pub fn bare(task_type: TTaskType, signature: i64) -> TAgentTaskRequest {
    TAgentTaskRequest {
        protocol_version: TAgentServiceVersion::V1,
        task_type,
        signature,
        priority: None,
        create_tablet_req: None,
        drop_tablet_req: None,
        clone_req: None,
        push_req: None,
        storage_medium_migrate_req: None,
        check_consistency_req: None,
        upload_req: None,
        download_req: None,
        snapshot_req: None,
        release_snapshot_req: None,
        clear_remote_file_req: None,
        publish_version_req: None,
        clear_alter_task_req: None,
        clear_transaction_task_req: None,
        move_dir_req: None,
        alter_tablet_req_v2: None,
        recv_time: None,
        update_tablet_meta_info_req: None,
        compaction_req: None,
        push_cooldown_conf: None,
        push_storage_policy_req: None,
        alter_inverted_index_req: None,
        gc_binlog_req: None,
        clean_trash_req: None,
        visible_version_req: None,
        clean_udf_cache_req: None,
        push_index_policy_req: None,
    }
}

fn publish_to_wire(publish: &PublishVersion) -> TPublishVersionRequest {
    let partitions = publish
        .partitions
        .iter()
        .map(|(partition, version)| TPartitionVersionInfo::new(*partition, *version, 0))
        .collect();
    TPublishVersionRequest::new(
        publish.txn_id,
        partitions,
        false,
        Some(publish.base_tablets.clone()),
    )
}

fn publish_from_wire(request: TPublishVersionRequest) -> PublishVersion {
    let partitions = request.partition_version_infos.iter();
    PublishVersion {
        txn_id: request.transaction_id,
        partitions: partitions
            .map(|info| (info.partition_id, info.version))
            .collect(),
        base_tablets: request.base_tablet_ids.unwrap_or_default(),
    }
}

impl MakeSnapshot {
    fn to_wire(&self) -> TSnapshotRequest {
        TSnapshotRequest {
            tablet_id: self.tablet_id,
            schema_hash: self.schema_hash,
            version: self.version,
            version_hash: None,
            timeout: Some(self.timeout_s),
            missing_version: None,
            list_files: Some(self.list_files),
            preferred_snapshot_version: Some(2),
            is_copy_tablet_task: None,
            start_version: None,
            end_version: None,
            is_copy_binlog: None,
            ref_tablet_id: self.ref_tablet,
        }
    }

    /// Reads the request, also that of the RPC `make_snapshot`.
    pub fn from_wire(request: &TSnapshotRequest) -> Self {
        MakeSnapshot {
            tablet_id: request.tablet_id,
            schema_hash: request.schema_hash,
            version: request.version.filter(|version| *version > 0),
            timeout_s: request.timeout.filter(|s| *s > 0).unwrap_or(172_800),
            list_files: request.list_files.unwrap_or(false),
            ref_tablet: request.ref_tablet_id.filter(|id| *id > 0),
        }
    }
}

impl Download {
    fn to_wire(&self) -> TDownloadReq {
        let snapshots: Vec<_> = self
            .snapshots
            .iter()
            .map(|(snapshot, backend_id)| {
                TRemoteTabletSnapshot::new(
                    snapshot.local_tablet_id,
                    snapshot.local_snapshot_path.clone(),
                    snapshot.remote_tablet_id,
                    *backend_id,
                    TNetworkAddress::new(
                        snapshot.remote_host.clone(),
                        i32::from(snapshot.remote_http_port),
                    ),
                    snapshot.remote_snapshot_path.clone(),
                    snapshot.remote_token.clone(),
                )
            })
            .collect();
        TDownloadReq {
            job_id: self.job_id,
            src_dest_map: BTreeMap::new(),
            broker_addr: TNetworkAddress::new(String::new(), 0),
            broker_prop: None,
            location: None,
            remote_tablet_snapshots: Some(snapshots),
        }
    }

    fn from_wire(request: TDownloadReq) -> Result<Self, WireError> {
        let snapshots = request.remote_tablet_snapshots.ok_or_else(|| {
            WireError::new(format!(
                "download of job {} is not from backends; repositories are not served",
                request.job_id
            ))
        })?;
        Ok(Download {
            job_id: request.job_id,
            snapshots: snapshots
                .into_iter()
                .map(remote_snapshot)
                .collect::<Result<_, _>>()?,
        })
    }
}

fn remote_snapshot(
    snapshot: TRemoteTabletSnapshot,
) -> Result<(RemoteTabletSnapshot, i64), WireError> {
    let missing = |name: &str| WireError::new(format!("remote tablet snapshot lacks {name}"));
    let address = snapshot
        .remote_be_addr
        .ok_or_else(|| missing("remote_be_addr"))?;
    let port = address.port;
    let remote = RemoteTabletSnapshot {
        local_tablet_id: snapshot
            .local_tablet_id
            .ok_or_else(|| missing("local_tablet_id"))?,
        local_snapshot_path: snapshot
            .local_snapshot_path
            .ok_or_else(|| missing("local_snapshot_path"))?,
        remote_tablet_id: snapshot
            .remote_tablet_id
            .ok_or_else(|| missing("remote_tablet_id"))?,
        remote_host: address.hostname,
        remote_http_port: u16::try_from(port)
            .map_err(|_| WireError::new(format!("{port} is no port of a backend")))?,
        remote_snapshot_path: snapshot
            .remote_snapshot_path
            .ok_or_else(|| missing("remote_snapshot_path"))?,
        remote_token: snapshot.remote_token.unwrap_or_default(),
    };
    Ok((remote, snapshot.remote_be_id.unwrap_or(-1)))
}

fn meta_to_wire(meta: &TabletMeta) -> TTabletMetaInfo {
    TTabletMetaInfo {
        tablet_id: Some(meta.tablet_id),
        schema_hash: None,
        partition_id: meta.partition_id,
        is_in_memory: None,
        storage_policy_id: None,
        replica_id: meta.replica_id,
        binlog_config: meta.binlog_enabled.map(binlog_config),
        compaction_policy: None,
        enable_single_replica_compaction: None,
        skip_write_index_on_load: None,
        disable_auto_compaction: None,
    }
}

fn meta_from_wire(info: &TTabletMetaInfo) -> Option<TabletMeta> {
    let binlog = info.binlog_config.as_ref();
    Some(TabletMeta {
        tablet_id: info.tablet_id?,
        binlog_enabled: binlog.and_then(|binlog| binlog.enable),
        replica_id: info.replica_id.filter(|id| *id > 0),
        partition_id: info.partition_id.filter(|id| *id > 0),
    })
}

impl AlterTablet {
    fn to_wire(&self) -> TAlterTabletReqV2 {
        let kind = if self.rollup {
            TAlterTabletType::ROLLUP
        } else {
            TAlterTabletType::SCHEMA_CHANGE
        };
        let parameters = self.rollup_columns.iter().map(rollup_column_to_wire);
        TAlterTabletReqV2 {
            base_tablet_id: self.base_tablet,
            new_tablet_id: self.new_tablet,
            base_schema_hash: self.base_schema_hash,
            new_schema_hash: self.new_schema_hash,
            alter_version: Some(self.version),
            materialized_view_params: Some(parameters.collect()),
            alter_tablet_type: Some(kind),
            columns: Some(self.base_columns.iter().map(column_to_wire).collect()),
        }
    }

    fn from_wire(request: &TAlterTabletReqV2) -> Result<Self, WireError> {
        let columns = request.columns.as_deref().unwrap_or_default();
        let base_columns: Vec<Column> = columns
            .iter()
            .map(column_from_wire)
            .collect::<Result<_, _>>()?;
        let parameters = request.materialized_view_params.as_deref();
        let rollup_columns = parameters
            .unwrap_or_default()
            .iter()
            .filter_map(|parameter| rollup_column(parameter, &base_columns))
            .collect();
        Ok(AlterTablet {
            base_tablet: request.base_tablet_id,
            new_tablet: request.new_tablet_id,
            base_schema_hash: request.base_schema_hash,
            new_schema_hash: request.new_schema_hash,
            version: request.alter_version.unwrap_or(1),
            rollup: request.alter_tablet_type == Some(TAlterTabletType::ROLLUP),
            base_columns,
            rollup_columns,
        })
    }
}

fn rollup_column_to_wire(column: &RollupColumn) -> TAlterMaterializedViewParam {
    let counted = column
        .counts
        .then(|| TExpr::new(vec![TExprNode::new(TExprNodeType::CASE_EXPR, None)]));
    TAlterMaterializedViewParam::new(column.name.clone(), column.origin.clone(), counted)
}

/// By the name of the origin, else by the column of the expression; what can not be found is left to names.
fn rollup_column(
    parameter: &TAlterMaterializedViewParam,
    base_columns: &[Column],
) -> Option<RollupColumn> {
    let nodes = parameter.mv_expr.as_ref().map(|expr| expr.nodes.as_slice());
    let nodes = nodes.unwrap_or_default();
    let by_slot = || {
        let slot = |node: &TExprNode| node.slot_ref.as_ref().and_then(slot_column);
        let unique_id = nodes.iter().find_map(slot)?;
        let column = base_columns
            .iter()
            .find(|column| column.unique_id == unique_id)?;
        Some(column.name.clone())
    };
    Some(RollupColumn {
        name: parameter.column_name.clone(),
        origin: parameter.origin_column_name.clone().or_else(by_slot)?,
        counts: nodes
            .first()
            .is_some_and(|node| node.node_type == TExprNodeType::CASE_EXPR),
    })
}

fn slot_column(slot: &TSlotRef) -> Option<i32> {
    slot.col_unique_id.filter(|id| *id >= 0)
}
