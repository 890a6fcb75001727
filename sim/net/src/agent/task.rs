//! Agent tasks: the members of `TAgentTaskRequest` that a backend of ours acts upon.

use std::collections::{BTreeMap, BTreeSet};

use dorisim_wire::{
    TAgentServiceVersion, TAgentTaskRequest, TCheckConsistencyReq, TClearTransactionTaskRequest,
    TDropTabletReq, TGcBinlogReq, TMoveDirReq, TPartitionVersionInfo, TPublishVersionRequest,
    TReleaseSnapshotRequest, TTabletGcBinlogInfo, TTabletMetaInfo, TTaskType,
    TUpdateTabletMetaInfoReq, TVisibleVersionReq,
};

use super::alter::AlterTablet;
use super::clone::CloneTablet;
use super::schema::{CreateTablet, binlog_config};
use super::snapshot::{Download, MakeSnapshot, ReleaseSnapshot};
use super::{WireError, push::Push};

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
    /// CLONE.
    Clone(Box<CloneTablet>),
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
            AgentTask::Clone(_) => TTaskType::CLONE,
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
            AgentTask::Clone(clone) => request.clone_req = Some(clone.to_wire()),
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
                request.alter_tablet_req_v2.ok_or_else(missing)?,
            )?)),
            TTaskType::CLONE => AgentTask::Clone(Box::new(CloneTablet::from_wire(
                &request.clone_req.ok_or_else(missing)?,
            ))),
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
