//! A backend on the other side of a socket: agent tasks over Thrift. Rows go to backends of this process alone, by a call;
//! Doris sends them by plans over brpc, which a simulated frontend does not make.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dorisim_wire::{TAgentResult, TAgentTaskRequest, TFinishTaskRequest, TStatusCode, TTaskType};
use tokio::sync::mpsc;

use super::Channel;
use super::node::Node;
use super::queue::{Keep, TaskKey, Waiting, status_text};
use dorisim_model::backend::{
    BackendAddress, BackendApi, BeError, DeletePredicate, LocalTxnState, PublishedTablet,
    RemoteTabletSnapshot, Row, RowsetView, SnapshotInfo, TableSchema, TabletSpec, TabletStat,
};
use dorisim_net::agent::{
    AgentTask, CloneTablet, CreateTablet, Download, DropTablet, MakeSnapshot, MoveDir,
    PublishVersion, ReleaseSnapshot, TabletMeta,
};
use dorisim_net::client::CallError;

/// Tasks of one `submit_tasks`; more are sent when these have ended.
const BATCH: usize = 1000;
/// `remote_be_id` of a download whose source is known by address alone.
const UNKNOWN_BACKEND: i64 = -1;
/// Seconds until the backend may delete a snapshot that nobody released: a day, as jobs last at most.
const SNAPSHOT_TIMEOUT_S: i64 = 86_400;

/// A registered backend that answered a heartbeat. Made anew when its ports change.
#[derive(Debug)]
pub struct RemoteBackend {
    node: Arc<Node>,
    address: BackendAddress,
    channel: Arc<Channel>,
}

/// How a batch of tasks is waited for.
#[derive(Debug, Clone, Copy)]
struct Wait {
    keep: Keep,
    within: Duration,
    /// Tasks that did not end in time stay in the queue, to be sent again.
    stay: bool,
}

impl RemoteBackend {
    /// The backend at its present address.
    #[must_use]
    pub fn new(node: Arc<Node>, address: BackendAddress, channel: Arc<Channel>) -> Self {
        RemoteBackend {
            node,
            address,
            channel,
        }
    }

    fn down(&self) -> BeError {
        BeError::Down {
            backend_id: self.address.id,
        }
    }

    /// Hands tasks over. OK means that the backend will do them.
    async fn submit(&self, requests: &[TAgentTaskRequest]) -> Result<(), BeError> {
        let Some(pool) = self.node.agent() else {
            return Err(self.down());
        };
        let within = self.channel.settings.submit_timeout;
        let answered: Result<TAgentResult, CallError> =
            pool.call_with_list("submit_tasks", requests, within).await;
        match answered {
            Ok(result) if result.status.status_code == TStatusCode::OK => Ok(()),
            Ok(result) => Err(BeError::Refused {
                code: result.status.status_code.0,
                message: status_text(&result.status),
            }),
            Err(error) => {
                let text = error.text();
                tracing::debug!(
                    backend = self.address.id,
                    error = text,
                    "tasks were not taken"
                );
                if let CallError::Connect { .. } = error {
                    // Nobody listens: no need to wait for the next heartbeat to say so.
                    let mut live = self.node.live_mut();
                    live.missed(&text, 1);
                }
                Err(self.down())
            }
        }
    }

    /// Sends tasks that nobody answers.
    async fn send(&self, task: &AgentTask) -> Result<(), BeError> {
        self.submit(&[task.to_wire(-1)]).await
    }

    /// Sends tasks and waits for their ends, in batches. The first failure ends it.
    async fn run(
        &self,
        tasks: Vec<(i64, AgentTask)>,
        wait: Wait,
    ) -> Result<Vec<TFinishTaskRequest>, BeError> {
        let mut ends = Vec::with_capacity(tasks.len());
        for batch in tasks.chunks(BATCH) {
            self.run_batch(batch, wait, &mut ends).await?;
        }
        Ok(ends)
    }

    async fn run_batch(
        &self,
        batch: &[(i64, AgentTask)],
        wait: Wait,
        ends: &mut Vec<TFinishTaskRequest>,
    ) -> Result<(), BeError> {
        let (waiter, mut told) = mpsc::channel(batch.len().max(1));
        let now = self.channel.now();
        let (mut keys, mut requests) = (Vec::new(), Vec::new());
        for (signature, task) in batch {
            let key = TaskKey {
                backend: self.address.id,
                kind: task.task_type(),
                signature: *signature,
            };
            let request = task.to_wire(*signature);
            let queue = &self.channel.queue;
            queue.add(key, &request, wait.keep, waiter.clone(), now);
            keys.push(key);
            requests.push(request);
        }
        drop(waiter);
        let waiting = Waiting::new(Arc::clone(&self.channel.queue), keys);
        self.submit(&requests).await?;
        drop(requests);
        let deadline = tokio::time::Instant::now() + wait.within;
        for _ in batch {
            match tokio::time::timeout_at(deadline, told.recv()).await {
                Ok(Some(end)) if end.task_status.status_code == TStatusCode::OK => ends.push(end),
                // A publish tells which tablets it did even when it failed.
                Ok(Some(end)) if end.task_type == TTaskType::PUBLISH_VERSION => {
                    ends.push(end);
                    waiting.leave_in_queue();
                    return Ok(());
                }
                Ok(Some(end)) if wait.keep == Keep::Unlisted => {
                    let text = status_text(&end.task_status);
                    tracing::debug!(backend = self.address.id, text, "a task failed");
                }
                Ok(Some(end)) => {
                    return Err(BeError::Refused {
                        code: end.task_status.status_code.0,
                        message: status_text(&end.task_status),
                    });
                }
                // The backend was dropped, or another attempt took the place of this one.
                Ok(None) => return Err(self.down()),
                Err(_elapsed) => {
                    if wait.stay {
                        waiting.leave_in_queue();
                    }
                    return Err(BeError::Refused {
                        code: TStatusCode::TIMEOUT.0,
                        message: format!(
                            "backend {} did not finish its tasks within {:?}",
                            self.address.id, wait.within
                        ),
                    });
                }
            }
        }
        Ok(())
    }

    /// One task of a job, known by a fresh signature.
    async fn run_one(&self, task: AgentTask) -> Result<TFinishTaskRequest, BeError> {
        let wait = Wait {
            keep: Keep::Resent,
            within: self.channel.settings.job_task_timeout,
            stay: false,
        };
        let ends = self
            .run(vec![(self.channel.signature(), task)], wait)
            .await?;
        ends.into_iter().next().ok_or_else(|| self.down())
    }

    /// Tasks that Doris does not wait for. An end that does not come is no failure.
    async fn run_unlisted(&self, tasks: Vec<(i64, AgentTask)>) -> Result<(), BeError> {
        let wait = Wait {
            keep: Keep::Unlisted,
            within: self.channel.settings.courtesy_wait,
            stay: false,
        };
        match self.run(tasks, wait).await {
            Ok(_) => Ok(()),
            Err(BeError::Refused { code, .. }) if code == TStatusCode::TIMEOUT.0 => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Where rows go.
    fn rows(&self) -> Result<&Arc<dyn BackendApi>, BeError> {
        if !self.alive() {
            return Err(self.down());
        }
        self.node.local().ok_or_else(|| BeError::Refused {
            code: TStatusCode::NOT_IMPLEMENTED_ERROR.0,
            message: format!(
                "backend {} runs in another process: a simulated frontend moves no rows there",
                self.address.id
            ),
        })
    }

    async fn snapshot(
        &self,
        tablet_id: i64,
        ref_tablet: Option<i64>,
        version: Option<i64>,
    ) -> Result<SnapshotInfo, BeError> {
        let make = MakeSnapshot {
            tablet_id,
            schema_hash: 0,
            version,
            timeout_s: SNAPSHOT_TIMEOUT_S,
            list_files: true,
            ref_tablet,
            missing_versions: None,
            copy_binlogs: false,
        };
        let end = self.run_one(AgentTask::MakeSnapshot(make)).await?;
        let path = end.snapshot_path.ok_or_else(|| BeError::Refused {
            code: TStatusCode::INTERNAL_ERROR.0,
            message: format!("the snapshot of tablet {tablet_id} came without its path"),
        })?;
        Ok(SnapshotInfo {
            path,
            files: end.snapshot_files.unwrap_or_default(),
        })
    }

    /// CLONE, told by the tablet's id. Answers the version that the replica has then.
    pub(super) async fn clone_tablet(&self, clone: CloneTablet) -> Result<i64, BeError> {
        let tablet_id = clone.tablet_id;
        let wait = Wait {
            keep: Keep::Resent,
            within: self.channel.settings.job_task_timeout,
            stay: false,
        };
        let task = AgentTask::Clone(Box::new(clone));
        let ends = self.run(vec![(tablet_id, task)], wait).await?;
        let infos = ends.into_iter().filter_map(|end| end.finish_tablet_infos);
        let version = infos.flatten().map(|info| info.version).next();
        version.ok_or_else(|| BeError::Refused {
            code: TStatusCode::INTERNAL_ERROR.0,
            message: format!("the clone of tablet {tablet_id} ended without its state"),
        })
    }

    /// Sends tasks again, or such that nobody waits for.
    pub(super) async fn resend(&self, requests: Vec<TAgentTaskRequest>) {
        for batch in requests.chunks(BATCH) {
            if let Err(error) = self.submit(batch).await {
                tracing::debug!(backend = self.address.id, %error, "tasks were not taken");
                return;
            }
        }
    }
}

#[async_trait]
impl BackendApi for RemoteBackend {
    fn address(&self) -> &BackendAddress {
        &self.address
    }

    fn alive(&self) -> bool {
        self.node.live().alive
    }

    fn takes_tablets(&self) -> bool {
        self.node.live().takes_tablets() && !self.node.decommissioned()
    }

    async fn create_tablet(&self, spec: TabletSpec) -> Result<(), BeError> {
        self.create_tablets(vec![spec]).await
    }

    async fn create_tablets(&self, specs: Vec<TabletSpec>) -> Result<(), BeError> {
        let settings = &self.channel.settings;
        let count = u32::try_from(specs.len()).unwrap_or(u32::MAX);
        let within = settings
            .create_timeout
            .saturating_mul(count)
            .min(settings.create_timeout_max);
        let wait = Wait {
            keep: Keep::Once,
            within,
            stay: false,
        };
        self.channel
            .note_created(specs.iter().map(|spec| spec.tablet_id));
        let create = |spec: TabletSpec| {
            let signature = spec.tablet_id;
            let create = CreateTablet { spec };
            (signature, AgentTask::Create(Box::new(create)))
        };
        self.run(specs.into_iter().map(create).collect(), wait)
            .await
            .map(|_| ())
    }

    async fn drop_tablets(&self, tablet_ids: &[i64]) -> Result<(), BeError> {
        let drop = |tablet_id: &i64| {
            let drop = DropTablet {
                tablet_id: *tablet_id,
                schema_hash: 0,
                // 0: whichever replica is there.
                replica_id: 0,
                of_dropped_table: true,
            };
            (*tablet_id, AgentTask::Drop(drop))
        };
        self.run_unlisted(tablet_ids.iter().map(drop).collect())
            .await
    }

    async fn update_tablet(
        &self,
        tablet_id: i64,
        binlog_enabled: Option<bool>,
        schema: Option<Arc<TableSchema>>,
    ) -> Result<(), BeError> {
        if let Some(enabled) = binlog_enabled {
            self.set_binlog(&[tablet_id], enabled).await?;
        }
        match schema {
            // Doris has no task for it: loads bring the schema along.
            Some(schema) => {
                self.rows()?
                    .update_tablet(tablet_id, None, Some(schema))
                    .await
            }
            None => Ok(()),
        }
    }

    async fn set_binlog(&self, tablet_ids: &[i64], enabled: bool) -> Result<(), BeError> {
        let meta = |tablet_id: &i64| TabletMeta {
            tablet_id: *tablet_id,
            binlog_enabled: Some(enabled),
            replica_id: None,
            partition_id: None,
        };
        for batch in tablet_ids.chunks(BATCH) {
            let tablets = batch.iter().map(meta).collect();
            self.run_one(AgentTask::UpdateMeta(tablets)).await?;
        }
        Ok(())
    }

    fn write_rowset(
        &self,
        txn_id: i64,
        partition_id: i64,
        tablet_id: i64,
        schema: Arc<TableSchema>,
        rows: Arc<Vec<Row>>,
        delete: Option<DeletePredicate>,
    ) -> Result<(), BeError> {
        self.rows()?
            .write_rowset(txn_id, partition_id, tablet_id, schema, rows, delete)
    }

    async fn publish_version(
        &self,
        txn_id: i64,
        partition_versions: &[(i64, i64)],
        expected: &[i64],
    ) -> Result<Vec<PublishedTablet>, BeError> {
        let publish = PublishVersion {
            txn_id,
            partitions: partition_versions.to_vec(),
            base_tablets: expected.iter().copied().collect(),
        };
        let wait = Wait {
            keep: Keep::Resent,
            within: self.channel.settings.publish_timeout,
            stay: true,
        };
        let ends = self
            .run(vec![(txn_id, AgentTask::Publish(publish))], wait)
            .await?;
        Ok(ends.into_iter().flat_map(published).collect())
    }

    async fn clear_txn(&self, txn_id: i64) -> Result<(), BeError> {
        let task = AgentTask::ClearTransaction(txn_id, Vec::new());
        self.run_unlisted(vec![(txn_id, task)]).await
    }

    fn txn_state(&self, txn_id: i64, tablet_id: i64) -> LocalTxnState {
        self.rows().map_or(LocalTxnState::NotFound, |rows| {
            rows.txn_state(txn_id, tablet_id)
        })
    }

    fn committed_tablets(&self, txn_id: i64) -> Vec<i64> {
        self.rows()
            .map_or_else(|_| Vec::new(), |rows| rows.committed_tablets(txn_id))
    }

    fn rowsets(&self, tablet_id: i64, up_to_version: i64) -> Result<Vec<RowsetView>, BeError> {
        self.rows()?.rowsets(tablet_id, up_to_version)
    }

    fn replace_content(
        &self,
        tablet_id: i64,
        version: i64,
        schema: Arc<TableSchema>,
        rows: Arc<Vec<Row>>,
    ) -> Result<(), BeError> {
        self.rows()?
            .replace_content(tablet_id, version, schema, rows)
    }

    async fn make_snapshot(
        &self,
        tablet_id: i64,
        version: Option<i64>,
    ) -> Result<SnapshotInfo, BeError> {
        self.snapshot(tablet_id, None, version).await
    }

    async fn make_snapshot_from(
        &self,
        tablet_id: i64,
        ref_tablet_id: i64,
        version: Option<i64>,
    ) -> Result<SnapshotInfo, BeError> {
        self.snapshot(tablet_id, Some(ref_tablet_id), version).await
    }

    async fn release_snapshot(&self, path: &str) -> Result<(), BeError> {
        let release = ReleaseSnapshot {
            path: path.to_owned(),
            tablet_id: -1,
            job_completed: true,
        };
        let task = AgentTask::ReleaseSnapshot(release);
        self.run_unlisted(vec![(self.channel.signature(), task)])
            .await
    }

    async fn download_snapshots(
        &self,
        snapshots: Vec<RemoteTabletSnapshot>,
    ) -> Result<Vec<i64>, BeError> {
        let job_id = self.channel.signature();
        self.download_for_job(job_id, snapshots).await
    }

    async fn download_for_job(
        &self,
        job_id: i64,
        snapshots: Vec<RemoteTabletSnapshot>,
    ) -> Result<Vec<i64>, BeError> {
        let asked: Vec<i64> = snapshots.iter().map(|s| s.local_tablet_id).collect();
        let download = Download {
            job_id,
            snapshots: snapshots
                .into_iter()
                .map(|snapshot| (snapshot, UNKNOWN_BACKEND))
                .collect(),
        };
        let end = self.run_one(AgentTask::Download(download)).await?;
        let done = end.downloaded_tablet_ids.unwrap_or_default();
        match asked.iter().find(|tablet| !done.contains(tablet)) {
            None => Ok(done),
            Some(tablet) => Err(BeError::Refused {
                code: TStatusCode::INTERNAL_ERROR.0,
                message: format!(
                    "tablet {tablet} is not among the downloaded ones of backend {}",
                    self.address.id
                ),
            }),
        }
    }

    async fn move_snapshot(&self, tablet_id: i64, path: &str) -> Result<i64, BeError> {
        let job_id = self.channel.signature();
        self.move_for_job(job_id, tablet_id, path).await
    }

    async fn move_for_job(&self, job_id: i64, tablet_id: i64, path: &str) -> Result<i64, BeError> {
        let schema_hash = path.rsplit('/').next().and_then(|hash| hash.parse().ok());
        let dir = MoveDir {
            tablet_id,
            schema_hash: schema_hash.unwrap_or(0),
            path: path.to_owned(),
            job_id,
        };
        self.run_one(AgentTask::Move(dir)).await?;
        // The end of a move tells no version; the restored metadata has it.
        Ok(0)
    }

    async fn gc_binlog(&self, up_to: BTreeMap<i64, i64>) -> Result<(), BeError> {
        self.send(&AgentTask::GcBinlog(up_to)).await
    }

    fn tablet_count(&self) -> usize {
        self.node.local().map_or(0, |local| local.tablet_count())
    }

    fn tablet_stat(&self, tablet_id: i64) -> Result<TabletStat, BeError> {
        self.rows()?.tablet_stat(tablet_id)
    }
}

/// What the end of a publish says about each tablet.
fn published(end: TFinishTaskRequest) -> Vec<PublishedTablet> {
    let deltas: BTreeMap<i64, i64> = end
        .table_id_to_tablet_id_to_delta_num_rows
        .unwrap_or_default()
        .into_values()
        .flatten()
        .collect();
    let tablet = |tablet_id: i64, version: i64, ok: bool| PublishedTablet {
        tablet_id,
        // Not told; the transaction knows it.
        partition_id: 0,
        version,
        delta_rows: deltas.get(&tablet_id).copied().unwrap_or(0),
        ok,
    };
    let succeeded = end.succ_tablets.unwrap_or_default();
    let failed = end.error_tablet_ids.unwrap_or_default();
    succeeded
        .iter()
        .map(|(id, version)| tablet(*id, *version, true))
        .chain(failed.iter().map(|id| tablet(*id, -1, false)))
        .collect()
}
