//! What backends call on the frontend: finishTask, report, snapshotLoaderReport.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use dorisim_wire::{
    TFinishTaskRequest, TMasterResult, TReportRequest, TSnapshotLoaderReportRequest, TStatus,
    TStatusCode, TTabletInfo, TTaskType,
};

use super::RemoteBackend;
use super::node::Node;
use super::queue::{accepted, refused};
use super::report::{Differences, KnownReplica, Reported, differences};
use crate::api::TxnStatus;
use crate::ddl::recycle_bin::Dropped;
use crate::frontend::Frontend;
use crate::jobs::list::Job;
use crate::state::FeState;
use dorisim_model::{OlapTable, Partition, Replica};
use dorisim_net::agent::{AgentTask, DropTablet, PublishVersion, TabletMeta};

impl Frontend {
    /// finishTask: the end of an agent task. Every frontend takes it, as in Doris.
    pub async fn finish_task(&self, request: TFinishTaskRequest) -> TMasterResult {
        let backend = &request.backend;
        let Some(node) = self.nodes().reporter(&backend.host, backend.be_port).await else {
            tracing::warn!(
                host = backend.host,
                be_port = backend.be_port,
                "an unknown backend finished a task; was it dropped?"
            );
            return refused(TStatusCode::CANCELLED, "backend not exist.".to_owned());
        };
        // A tablet report made before the task must not be held against its tablet.
        if let Some(version) = request.report_version {
            node.saw_report_version(version);
        }
        self.nodes().queue().finish(node.id, request)
    }

    /// report: tasks, disks or tablets of a backend.
    pub async fn report(self: &Arc<Self>, request: TReportRequest) -> TMasterResult {
        let (host, be_port) = (&request.backend.host, request.backend.be_port);
        let Some(node) = self.nodes().reporter(host, be_port).await else {
            let text = format!("backend[{host}:{be_port}] does not exist.");
            return refused(TStatusCode::INTERNAL_ERROR, text);
        };
        if let Some(running) = request.running_tasks {
            node.live_mut().running_tasks = running;
        }
        let tablets = tablets_of(&request);
        if let Some(tablets) = tablets {
            self.tablet_report(&node, &request, &tablets);
        } else if let Some(disks) = &request.disks {
            let mut live = node.live_mut();
            let placeable = live.takes_tablets();
            live.disks_told(disks, request.num_cores);
            let changed = placeable != live.takes_tablets();
            drop(live);
            if changed {
                self.nodes().note_change();
            }
        } else if let Some(tasks) = &request.tasks {
            self.task_report(&node, tasks);
        } else {
            // Index policies have nothing to compare with; without any member Doris refuses.
            let text = "unknown report type".to_owned();
            return refused(TStatusCode::INTERNAL_ERROR, text);
        }
        accepted()
    }

    /// snapshotLoaderReport: how far a download is. CANCELLED tells the backend to stop.
    pub fn snapshot_loader_report(&self, request: &TSnapshotLoaderReportRequest) -> TStatus {
        if self.lock().jobs.is_running(request.job_id) {
            return TStatus::new(TStatusCode::OK, None);
        }
        let text = format!("job {} is not running", request.job_id);
        TStatus::new(TStatusCode::CANCELLED, vec![text])
    }

    /// Tasks that the backend lost are sent again.
    fn task_report(self: &Arc<Self>, node: &Arc<Node>, tasks: &BTreeMap<TTaskType, BTreeSet<i64>>) {
        let age = self.config().agent.resend_wait;
        let now = self.clock().monotonic();
        let lost = self.nodes().queue().lost(node.id, tasks, age, now);
        if !lost.is_empty() {
            tracing::info!(
                backend = node.id,
                tasks = lost.len(),
                "tasks are sent again"
            );
            self.send_to(node, lost);
        }
    }

    fn tablet_report(
        self: &Arc<Self>,
        node: &Arc<Node>,
        request: &TReportRequest,
        tablets: &BTreeMap<i64, TTabletInfo>,
    ) {
        let version = request.report_version.unwrap_or(0);
        if version < node.report_version() {
            // Something was created since; the next report knows it.
            tracing::debug!(backend = node.id, version, "tablet report is out of date");
            return;
        }
        node.saw_report_version(version);
        let now = self.clock().now_ms();
        let (known, elsewhere) = {
            let state = self.lock();
            (
                known_replicas(&state, node.id),
                tablets_without_table(&state),
            )
        };
        let channel = Arc::clone(self.nodes().channel());
        let found = differences(
            &known,
            |tablet| elsewhere.contains(&tablet) || channel.is_young(tablet),
            Reported {
                tablets,
                partitions: request.partitions_version.as_ref(),
            },
        );
        // A tablet that was created meanwhile is no difference.
        if version < node.report_version() {
            return;
        }
        let first = std::mem::replace(&mut node.live_mut().tablet_report_ms, now) == 0;
        if first {
            self.nodes().note_change();
        }
        self.apply(node.id, &known, &found);
        let tasks = self.tasks_for(&found);
        if !tasks.is_empty() {
            self.send_to(node, tasks);
        }
        self.repair(node, &known, &found.behind_others);
    }

    /// Changes of the catalogue.
    fn apply(&self, backend_id: i64, known: &HashMap<i64, KnownReplica>, found: &Differences) {
        let mut changes: Vec<(i64, ReplicaChange)> = Vec::new();
        for (tablet, version) in &found.raised {
            changes.push((*tablet, ReplicaChange::Raise(*version)));
        }
        for (tablet, fault) in &found.bad {
            tracing::warn!(backend = backend_id, tablet, ?fault, "replica is bad");
            changes.push((*tablet, ReplicaChange::Bad(true)));
        }
        for tablet in &found.healed {
            changes.push((*tablet, ReplicaChange::Bad(false)));
        }
        if !changes.is_empty() {
            self.change_replicas(backend_id, known, changes);
        }
    }

    /// Changes replicas of one backend; those whose table is gone are passed over.
    pub(super) fn change_replicas(
        &self,
        backend_id: i64,
        known: &HashMap<i64, KnownReplica>,
        changes: Vec<(i64, ReplicaChange)>,
    ) {
        let mut state = self.lock();
        for (tablet, change) in changes {
            let Some(place) = known.get(&tablet) else {
                continue;
            };
            let replica = state
                .table_by_id_mut(place.db_id, place.table_id)
                .and_then(|table| table.partitions.get_mut(&place.partition_id))
                .and_then(|partition| partition.tablets_mut().find(|t| t.id == tablet))
                .and_then(|tablet| {
                    tablet
                        .replicas
                        .iter_mut()
                        .find(|r| r.backend_id == backend_id)
                });
            if let Some(replica) = replica {
                change.apply(replica);
            }
        }
    }

    /// Tasks that set the backend right.
    fn tasks_for(&self, found: &Differences) -> Vec<dorisim_wire::TAgentTaskRequest> {
        let channel = self.nodes().channel();
        let mut tasks = Vec::new();
        for (tablet_id, schema_hash, replica_id) in &found.unknown {
            let drop = DropTablet {
                tablet_id: *tablet_id,
                schema_hash: *schema_hash,
                replica_id: *replica_id,
                of_dropped_table: false,
            };
            tasks.push(AgentTask::Drop(drop).to_wire(*tablet_id));
        }
        if !found.renamed.is_empty() {
            let metas = found
                .renamed
                .iter()
                .map(|(tablet_id, replica_id, partition_id)| TabletMeta {
                    tablet_id: *tablet_id,
                    binlog_enabled: None,
                    replica_id: Some(*replica_id),
                    partition_id: Some(*partition_id),
                })
                .collect();
            // Nobody waits for it: -1 asks for no answer.
            tasks.push(AgentTask::UpdateMeta(metas).to_wire(-1));
        }
        if !found.behind.is_empty() {
            let versions = AgentTask::VisibleVersion(found.behind.clone());
            tasks.push(versions.to_wire(channel.signature()));
        }
        let state = self.lock();
        for (txn_id, partitions) in &found.transactions {
            match state.txns.of_backend(*txn_id) {
                None => tasks.push(clear(*txn_id, partitions)),
                Some(txn) => match txn.status {
                    TxnStatus::Aborted => tasks.push(clear(*txn_id, partitions)),
                    TxnStatus::Visible => {
                        let versions: Vec<(i64, i64)> = txn
                            .published
                            .iter()
                            .filter(|(id, partition, _)| {
                                id == txn_id && partitions.contains(partition)
                            })
                            .map(|(_, partition, version)| (*partition, *version))
                            .collect();
                        if !versions.is_empty() {
                            tasks.push(publish_again(*txn_id, versions));
                        }
                    }
                    TxnStatus::Prepare | TxnStatus::Precommitted | TxnStatus::Committed => {}
                },
            }
        }
        tasks
    }

    /// Sends tasks without waiting for anything.
    fn send_to(self: &Arc<Self>, node: &Arc<Node>, tasks: Vec<dorisim_wire::TAgentTaskRequest>) {
        let Some(address) = node.address() else {
            return;
        };
        let channel = Arc::clone(self.nodes().channel());
        let backend = RemoteBackend::new(Arc::clone(node), address, channel);
        tokio::spawn(async move { backend.resend(tasks).await });
    }
}

/// What a report changes of a replica.
#[derive(Debug, Clone, Copy)]
pub(super) enum ReplicaChange {
    Raise(i64),
    Bad(bool),
}

impl ReplicaChange {
    fn apply(self, replica: &mut Replica) {
        match self {
            ReplicaChange::Raise(version) => replica.version = replica.version.max(version),
            ReplicaChange::Bad(bad) => replica.bad = bad,
        }
    }
}

fn clear(txn_id: i64, partitions: &BTreeSet<i64>) -> dorisim_wire::TAgentTaskRequest {
    AgentTask::ClearTransaction(txn_id, partitions.iter().copied().collect()).to_wire(txn_id)
}

fn publish_again(txn_id: i64, partitions: Vec<(i64, i64)>) -> dorisim_wire::TAgentTaskRequest {
    let publish = PublishVersion {
        txn_id,
        partitions,
        base_tablets: BTreeSet::new(),
    };
    AgentTask::Publish(publish).to_wire(txn_id)
}

/// Tablets of a report; `None` when it is about something else.
fn tablets_of(request: &TReportRequest) -> Option<BTreeMap<i64, TTabletInfo>> {
    let first = |tablet: &dorisim_wire::TTablet| {
        let info = tablet.tablet_infos.first()?.clone();
        Some((info.tablet_id, info))
    };
    if let Some(tablets) = &request.tablets {
        return Some(tablets.values().filter_map(first).collect());
    }
    let list = request.tablet_list.as_ref()?;
    Some(list.iter().filter_map(first).collect())
}

fn known_replicas(state: &FeState, backend_id: i64) -> HashMap<i64, KnownReplica> {
    let mut known = HashMap::new();
    for db in state.catalog.databases.values() {
        for table in db.tables.values() {
            for partition in table.partitions.values() {
                let on_backend = partition.tablets().filter_map(|tablet| {
                    let replica = tablet
                        .replicas
                        .iter()
                        .find(|r| r.backend_id == backend_id)?;
                    Some((tablet.id, replica))
                });
                for (tablet, replica) in on_backend {
                    let replica = KnownReplica {
                        db_id: db.id,
                        table_id: table.id,
                        partition_id: partition.id,
                        replica_id: replica.id,
                        version: replica.version,
                        visible_version: partition.visible_version,
                        bad: replica.bad,
                    };
                    known.insert(tablet, replica);
                }
            }
        }
    }
    known
}

/// Tablets of the recycle bin and of running restores.
fn tablets_without_table(state: &FeState) -> HashSet<i64> {
    let mut ids = HashSet::new();
    let mut of_partition = |partition: &Partition| ids.extend(partition.tablets().map(|t| t.id));
    let of_table = |table: &OlapTable, each: &mut dyn FnMut(&Partition)| {
        table.partitions.values().for_each(each);
    };
    for (_, dropped) in state.bin.entries.values() {
        match dropped {
            Dropped::Database(db) => {
                for table in db.tables.values() {
                    of_table(table, &mut of_partition);
                }
            }
            Dropped::Table { table, .. } => of_table(table, &mut of_partition),
            Dropped::Partition { partition, .. } => of_partition(partition),
        }
    }
    for job in state.jobs.all_running() {
        match job {
            Job::Backup(_) => {}
            Job::Restore(job) => {
                for table in &job.plan.tables {
                    of_table(table, &mut of_partition);
                }
                for (_, partition) in &job.plan.partitions {
                    of_partition(partition);
                }
            }
        }
    }
    ids
}
