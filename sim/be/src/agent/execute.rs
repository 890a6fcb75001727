//! Doing one task.

use dorisim_wire::{TStatusCode, TTabletInfo, TTaskType};

use super::Agent;
use super::board::Job;
use crate::rowset::encode_segment;
use crate::sync::lock;
use dorisim_model::backend::{BackendApi, BeError};
use dorisim_net::agent::{
    AgentTask, CreateTablet, Download, DropTablet, FinishDetail, FinishedTask, MakeSnapshot, Push,
    TabletMeta, TaskFailure,
};

/// What became of a task.
#[derive(Debug)]
pub(super) enum Executed {
    /// Its end is told.
    Ended(FinishedTask),
    /// Nothing is told: the type is never answered, or a fault swallowed the answer.
    Silent,
    /// It has to wait for another task.
    Again,
}

/// The end of a task before its type and signature are put to it.
pub(super) struct Done {
    pub(super) outcome: Result<(), TaskFailure>,
    pub(super) detail: FinishDetail,
    pub(super) report_version: Option<i64>,
}

impl Done {
    pub(super) fn ok() -> Self {
        Done::with(FinishDetail::None)
    }

    pub(super) fn with(detail: FinishDetail) -> Self {
        Done {
            outcome: Ok(()),
            detail,
            report_version: None,
        }
    }

    pub(super) fn failed(code: TStatusCode, message: impl Into<String>) -> Self {
        Done {
            outcome: Err(TaskFailure {
                code: code.0,
                message: message.into(),
            }),
            ..Done::ok()
        }
    }

    pub(super) fn refused(error: &BeError) -> Self {
        Done {
            outcome: Err(TaskFailure::from(error)),
            ..Done::ok()
        }
    }

    pub(super) fn at(mut self, report_version: i64) -> Self {
        self.report_version = Some(report_version);
        self
    }
}

/// A backend that is down by a fault, or whose answer a fault takes, says nothing.
pub(super) fn ended(result: Result<Done, BeError>) -> Option<Done> {
    match result {
        Ok(done) => Some(done),
        Err(BeError::Down { .. }) => None,
        Err(error) => Some(Done::refused(&error)),
    }
}

impl Agent {
    /// Does a task; errors become its end.
    pub(super) async fn execute(&self, job: &Job) -> Executed {
        let done = match &job.task {
            // The frontend demands the report version of failed creates and pushes too.
            Err(reason) => {
                Some(Done::failed(TStatusCode::INVALID_ARGUMENT, reason).at(self.report_version()))
            }
            Ok(AgentTask::Publish(publish)) => match self.publish(publish, job.accepted_ms).await {
                Some(Ok(done)) => Some(done),
                Some(Err(super::publish::Wait)) => return Executed::Again,
                None => None,
            },
            Ok(task) => self.execute_task(task, job.signature).await,
        };
        match done {
            Some(done) => Executed::Ended(FinishedTask {
                task_type: job.task_type,
                signature: job.signature,
                outcome: done.outcome,
                report_version: done.report_version,
                detail: done.detail,
            }),
            None => Executed::Silent,
        }
    }

    async fn execute_task(&self, task: &AgentTask, signature: i64) -> Option<Done> {
        let backend = &self.backend;
        match task {
            AgentTask::Create(create) => self.create(create).await,
            AgentTask::Drop(drop) => ended(self.drop_tablet(drop).await),
            AgentTask::Push(push) => ended(self.push(push)),
            // Publishes may have to wait and were taken apart before.
            AgentTask::Publish(_) => None,
            AgentTask::ClearTransaction(txn_id, _) if *txn_id <= 0 => Some(Done::ok()),
            AgentTask::ClearTransaction(txn_id, _) => {
                ended(backend.clear_txn(*txn_id).await.map(|()| Done::ok()))
            }
            AgentTask::MakeSnapshot(make) => ended(self.make_snapshot(make).await),
            AgentTask::ReleaseSnapshot(release) => {
                let released = backend.release_snapshot(&release.path).await;
                ended(released.map(|()| Done::ok()))
            }
            AgentTask::Download(download) => self.download(download, signature).await,
            AgentTask::Move(dir) if backend.tablet(dir.tablet_id).is_err() => Some(Done::failed(
                TStatusCode::INVALID_ARGUMENT,
                "Could not find tablet",
            )),
            AgentTask::Move(dir) => {
                let moved = backend.move_snapshot(dir.tablet_id, &dir.path).await;
                ended(moved.map(|_version| Done::ok()))
            }
            AgentTask::UpdateMeta(tablets) => {
                let done = self.update_meta(tablets).await;
                done.filter(|_| signature != -1)
            }
            AgentTask::Alter(alter) => ended(self.alter(alter)),
            AgentTask::Clone(clone) => ended(self.clone_tablet(clone).await),
            AgentTask::GcBinlog(up_to) => {
                if let Err(error) = backend.gc_binlog(up_to.clone()).await {
                    tracing::info!(%error, "binlogs not collected; nothing asks again");
                }
                None
            }
            AgentTask::VisibleVersion(versions) => {
                let mut known = lock(&self.visible_versions);
                for (partition, version) in versions {
                    let held = known.entry(*partition).or_default();
                    *held = (*held).max(*version);
                }
                None
            }
            AgentTask::CheckConsistency {
                tablet_id, version, ..
            } => ended(self.checksum(*tablet_id, *version)),
            AgentTask::Other(task_type) => other(*task_type),
        }
    }

    async fn create(&self, create: &CreateTablet) -> Option<Done> {
        let spec = create.spec.clone();
        let (tablet_id, version) = (spec.tablet_id, spec.initial_version);
        let is_shadow = spec.base_tablet.is_some() && !spec.in_restore_mode;
        let is_new = self.backend.tablet(tablet_id).is_err();
        let created = self.backend.create_tablet(spec).await;
        let created = created.and_then(|()| match self.backend.tablet(tablet_id) {
            Ok(tablet) if is_shadow && is_new => lock(&tablet).await_fill(&self.backend.meta),
            Ok(_) | Err(_) => Ok(()),
        });
        let created = created.map(|()| {
            self.grow_report_version();
            let info = self
                .tablet_info(tablet_id)
                .map(|info| TTabletInfo { version, ..info });
            Done::with(FinishDetail::Created(info.map(Box::new)))
        });
        // The frontend demands the report version of failures too.
        ended(created).map(|done| done.at(self.report_version()))
    }

    async fn drop_tablet(&self, drop: &DropTablet) -> Result<Done, BeError> {
        let held = self.backend.tablet(drop.tablet_id);
        let held = held.map(|tablet| lock(&tablet).spec.replica_id);
        let done = match held {
            Err(_) => Done::failed(
                TStatusCode::NOT_FOUND,
                format!("could not find tablet {}", drop.tablet_id),
            ),
            Ok(replica) if drop.replica_id != 0 && replica != drop.replica_id => Done::failed(
                TStatusCode::ABORTED,
                format!("replica_id not match({replica} vs {})", drop.replica_id),
            ),
            Ok(_) => {
                self.backend.drop_tablets(&[drop.tablet_id]).await?;
                Done::ok()
            }
        };
        let gone = bare_info(drop.tablet_id, drop.schema_hash);
        Ok(Done {
            detail: FinishDetail::Tablets(vec![gone]),
            ..done
        })
    }

    fn push(&self, push: &Push) -> Result<Done, BeError> {
        let tablet = self.backend.tablet(push.tablet_id)?;
        let (schema, partition_id) = {
            let tablet = lock(&tablet);
            (
                std::sync::Arc::clone(&tablet.spec.schema),
                tablet.spec.partition_id,
            )
        };
        let predicate = Some(push.predicate.clone());
        self.backend.write_rowset(
            push.txn_id,
            partition_id,
            push.tablet_id,
            schema,
            std::sync::Arc::default(),
            predicate,
        )?;
        self.grow_report_version();
        let info = self.tablet_info(push.tablet_id);
        let done = Done::with(FinishDetail::Tablets(info.into_iter().collect()));
        Ok(done.at(self.report_version()))
    }

    async fn make_snapshot(&self, make: &MakeSnapshot) -> Result<Done, BeError> {
        let made = self.backend.snapshot(make).await?.info;
        Ok(Done::with(FinishDetail::Snapshot {
            path: made.path,
            files: Some(if make.list_files {
                made.files
            } else {
                Vec::new()
            }),
        }))
    }

    async fn download(&self, download: &Download, signature: i64) -> Option<Done> {
        let total = i32::try_from(download.snapshots.len()).unwrap_or(i32::MAX);
        let mut begun = Vec::with_capacity(download.snapshots.len());
        let mut stopped = None;
        for (finished, (snapshot, _)) in (0..).zip(&download.snapshots) {
            let messenger = &self.messenger;
            if messenger
                .is_cancelled(download.job_id, signature, finished, total)
                .await
            {
                stopped = Some(Done::failed(TStatusCode::CANCELLED, "Cancelled"));
                break;
            }
            let tablet_id = snapshot.local_tablet_id;
            if self.backend.tablet(tablet_id).is_err() {
                let text = format!("failed to get local tablet: {tablet_id}");
                stopped = Some(Done::failed(TStatusCode::RUNTIME_ERROR, text));
                break;
            }
            begun.push(tablet_id);
            let one = vec![snapshot.clone()];
            let done = self.backend.download_snapshots(one).await;
            match ended(done.map(|_| Done::ok()))? {
                Done {
                    outcome: Ok(()), ..
                } => {}
                failed => {
                    stopped = Some(failed);
                    break;
                }
            }
        }
        Some(Done {
            detail: FinishDetail::Downloaded(begun),
            ..stopped.unwrap_or_else(Done::ok)
        })
    }

    /// Tablets that are not there are named, the others are changed all the same.
    async fn update_meta(&self, tablets: &[TabletMeta]) -> Option<Done> {
        let mut done = Done::ok();
        for meta in tablets {
            let updated = self
                .backend
                .update_tablet(meta.tablet_id, meta.binlog_enabled, None)
                .await;
            match updated {
                Ok(()) => {}
                Err(BeError::Down { .. }) => return None,
                Err(BeError::TabletMissing { .. }) => {
                    done = Done::failed(TStatusCode::NOT_FOUND, "tablet not found");
                    continue;
                }
                Err(error) => {
                    done = Done::refused(&error);
                    continue;
                }
            }
            if let Ok(tablet) = self.backend.tablet(meta.tablet_id) {
                let mut tablet = lock(&tablet);
                if let Some(replica_id) = meta.replica_id {
                    tablet.spec.replica_id = replica_id;
                }
                if let Some(partition_id) = meta.partition_id {
                    let partitions = &self.backend.partitions;
                    partitions.remove(tablet.spec.partition_id, meta.tablet_id);
                    partitions.add(partition_id, meta.tablet_id);
                    tablet.spec.partition_id = partition_id;
                }
                if let Err(error) = tablet.update(None, None, &self.backend.meta) {
                    done = Done::refused(&error);
                }
            }
        }
        Some(done)
    }

    fn checksum(&self, tablet_id: i64, version: i64) -> Result<Done, BeError> {
        let mut sum = crc32fast::Hasher::new();
        for view in self.backend.rowsets(tablet_id, version)? {
            sum.update(&encode_segment(&view.rows));
        }
        Ok(Done::with(FinishDetail::Checksum {
            checksum: i64::from(sum.finalize()),
            version,
        }))
    }

    /// State of a tablet as reports tell it.
    pub(super) fn tablet_info(&self, tablet_id: i64) -> Option<TTabletInfo> {
        let tablet = self.backend.tablet(tablet_id).ok()?;
        let tablet = lock(&tablet);
        let stat = tablet.stat();
        let versions = tablet.version_count();
        let spec = &tablet.spec;
        Some(TTabletInfo {
            version: tablet.version,
            row_count: stat.rows,
            data_size: stat.bytes,
            storage_medium: Some(dorisim_wire::TStorageMedium::HDD),
            total_version_count: Some(versions),
            path_hash: Some(self.path_hash()),
            version_miss: Some(false),
            used: Some(true),
            partition_id: Some(spec.partition_id),
            is_in_memory: Some(false),
            replica_id: Some(spec.replica_id),
            remote_data_size: Some(0),
            visible_version_count: Some(versions),
            local_segment_size: Some(stat.bytes),
            ..bare_info(tablet_id, spec.schema.schema_hash)
        })
    }
}

/// The required members alone.
fn bare_info(tablet_id: i64, schema_hash: i32) -> TTabletInfo {
    TTabletInfo {
        tablet_id,
        schema_hash,
        version: 0,
        version_hash: 0,
        row_count: 0,
        data_size: 0,
        storage_medium: None,
        transaction_ids: None,
        total_version_count: None,
        path_hash: None,
        version_miss: None,
        used: None,
        partition_id: None,
        is_in_memory: None,
        replica_id: None,
        remote_data_size: None,
        visible_version_count: None,
        local_index_size: None,
        local_segment_size: None,
        remote_index_size: None,
        remote_segment_size: None,
    }
}

/// Types that have nothing to do here are done at once. Copies to repositories would have, so they are refused: an OK would
/// make the frontend believe in data that is not there.
fn other(task_type: TTaskType) -> Option<Done> {
    match task_type {
        TTaskType::UPLOAD => Some(Done::failed(
            TStatusCode::NOT_IMPLEMENTED_ERROR,
            format!("task type {} is not done by dorisim", task_type.0),
        )),
        TTaskType::COMPACTION
        | TTaskType::PUSH_COOLDOWN_CONF
        | TTaskType::PUSH_STORAGE_POLICY
        | TTaskType::CLEAN_TRASH
        | TTaskType::CLEAN_UDF_CACHE
        | TTaskType::PUSH_INDEX_POLICY => None,
        _ => Some(Done::with(FinishDetail::Tablets(Vec::new()))),
    }
}
