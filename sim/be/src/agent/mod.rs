//! The agent of a backend: it hears heartbeats, takes tasks in, does them, and tells the master.
//!
//! [`membership`] (which cluster, which master), [`board`] (accepted tasks), `execute` with `publish`, `alter` and `clone` (doing them),
//! [`messenger`] (telling their ends), [`report`] (tasks, disks, tablets).

mod alter;
pub mod board;
mod clone;
pub mod cluster_file;
mod execute;
pub mod expiry;
pub mod membership;
pub mod messenger;
mod publish;
pub mod report;
pub mod schema_pool;
mod work;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dorisim_wire::{
    TAgentResult, TAgentTaskRequest, TBackend, TBackendInfo, THeartbeatResult, TMasterInfo,
    TStatus, TStatusCode,
};
use tokio::sync::watch;

use self::board::{Accepted, Board, Job};
use self::expiry::Expiry;
use self::membership::Membership;
use self::messenger::{Messenger, Patience};
use self::report::Reports;
use self::schema_pool::SchemaPool;
use super::backend::Backend;
use super::sync::lock;
use dorisim_model::backend::BackendApi;
use dorisim_net::agent::{AgentTask, FinishedTask, end};

/// How a backend works for its master. The defaults are those of Doris.
#[derive(Clone, Debug)]
pub struct AgentConfig {
    /// Between task reports (`report_task_interval_seconds`).
    pub task_report: Duration,
    /// Between disk reports (`report_disk_state_interval_seconds`).
    pub disk_report: Duration,
    /// Between tablet reports (`report_tablet_interval_seconds`).
    pub tablet_report: Duration,
    /// How ends of tasks are told.
    pub patience: Patience,
    /// How long a publish waits for the versions before its own (`publish_version_task_timeout_s`).
    pub publish_wait: Duration,
    /// From when on a load that nobody published is named in tablet reports (`pending_data_expire_time_sec`).
    pub txn_expire: Duration,
    /// Tasks that may wait per kind of work; more are refused.
    pub queue_limit: usize,
    /// `be_node_role`.
    pub role: String,
    /// Version text of heartbeats.
    pub version: String,
}

impl Default for AgentConfig {
    fn default() -> Self {
        AgentConfig {
            task_report: Duration::from_secs(10),
            disk_report: Duration::from_secs(30),
            tablet_report: Duration::from_secs(60),
            patience: Patience {
                call: Duration::from_secs(10),
                attempts: 3,
                pause: Duration::from_secs(1),
            },
            publish_wait: Duration::from_secs(8),
            txn_expire: Duration::from_secs(1800),
            queue_limit: 1_000_000,
            role: "mix".to_owned(),
            version: format!("doris-4.0.2-dorisim-{}", env!("CARGO_PKG_VERSION")),
        }
    }
}

/// Partition to version.
type Versions = BTreeMap<i64, i64>;

/// The agent of one backend.
#[derive(Debug)]
pub struct Agent {
    backend: Arc<Backend>,
    config: AgentConfig,
    start_ms: i64,
    membership: Mutex<Membership>,
    joined: watch::Sender<bool>,
    board: Board,
    messenger: Messenger,
    reports: Reports,
    report_version: AtomicI64,
    visible_versions: Mutex<BTreeMap<i64, i64>>,
    schemas: SchemaPool,
    expiry: Expiry,
}

impl Agent {
    /// The agent of `backend`, which may have been in a cluster before.
    pub fn new(backend: Arc<Backend>, config: AgentConfig, membership: Membership) -> Arc<Self> {
        let start_ms = backend.clock().now_ms();
        Arc::new(Agent {
            start_ms,
            membership: Mutex::new(membership),
            joined: watch::Sender::new(false),
            board: Board::new(config.queue_limit),
            messenger: Messenger::new(config.patience),
            reports: Reports::default(),
            report_version: AtomicI64::new(start_ms / 1000 * 100_000),
            visible_versions: Mutex::default(),
            schemas: SchemaPool::default(),
            expiry: Expiry::default(),
            backend,
            config,
        })
    }

    /// The backend it works on.
    pub fn backend(&self) -> &Arc<Backend> {
        &self.backend
    }

    /// Milliseconds since 1970 of its start; fixed for its life.
    pub fn start_ms(&self) -> i64 {
        self.start_ms
    }

    /// What its heartbeats told.
    pub fn membership(&self) -> Membership {
        lock(&self.membership).clone()
    }

    /// Becomes true with the first heartbeat that was taken in.
    pub fn joined(&self) -> watch::Receiver<bool> {
        self.joined.subscribe()
    }

    /// `heartbeat`.
    pub fn heartbeat(&self, info: &TMasterInfo) -> THeartbeatResult {
        let heard = {
            let mut membership = lock(&self.membership);
            let known = membership.cluster_id();
            let heard = membership.hear(info);
            if known != membership.cluster_id() {
                cluster_file::write(self.backend.store(), info.cluster_id);
            }
            if let (Ok(_), Some(master)) = (&heard, membership.master()) {
                self.messenger.set_master(master);
                self.backend
                    .learn(membership.backend_id(), membership.token());
            }
            heard
        };
        match heard {
            Ok(heard) => {
                if heard.new_master {
                    tracing::info!(
                        backend = self.backend.id(),
                        cluster_id = info.cluster_id,
                        epoch = info.epoch,
                        "new master; reporting all"
                    );
                    self.reports.all_due();
                }
                self.joined.send_replace(true);
                THeartbeatResult::new(dorisim_net::agent::status::ok(), self.info())
            }
            Err(refused) => {
                tracing::warn!(error = %refused, "heartbeat refused");
                let status = TStatus::new(TStatusCode::INTERNAL_ERROR, vec![refused.to_string()]);
                THeartbeatResult::new(status, no_info())
            }
        }
    }

    fn info(&self) -> TBackendInfo {
        let address = self.backend.address();
        TBackendInfo {
            be_rpc_port: Some(-1),
            brpc_port: Some(i32::from(address.brpc_port)),
            version: Some(self.config.version.clone()),
            be_start_time: Some(self.start_ms),
            be_node_role: Some(self.config.role.clone()),
            is_shutdown: Some(false),
            arrow_flight_sql_port: Some(-1),
            be_mem: Some(MEMORY_BYTES),
            fragment_executing_count: Some(0),
            fragment_last_active_time: Some(0),
            ..TBackendInfo::new(
                i32::from(address.be_port),
                i32::from(address.http_port),
                None,
                None,
                None,
                None,
                None,
                None,
                None,
                None,
                None,
                None,
            )
        }
    }

    /// The job of a request.
    pub fn job(&self, request: TAgentTaskRequest) -> Job {
        let (task_type, signature) = (request.task_type, request.signature);
        let task = AgentTask::from_wire(request).map(|task| match task {
            AgentTask::Create(mut create) => {
                create.spec.schema = self.schemas.shared(Arc::clone(&create.spec.schema));
                AgentTask::Create(create)
            }
            other => other,
        });
        Job {
            task_type,
            signature,
            task: task.map_err(|error| error.to_string()),
            accepted_ms: self.backend.clock().now_ms(),
        }
    }

    /// `submit_tasks`: OK means accepted.
    pub fn submit(&self, jobs: Vec<Job>) -> TAgentResult {
        let status = if lock(&self.membership).master().is_none() {
            let text = "Have not get FE Master heartbeat yet".to_owned();
            TStatus::new(TStatusCode::CANCELLED, vec![text])
        } else {
            self.accept(jobs)
        };
        TAgentResult::new(status, None, None, None)
    }

    fn accept(&self, jobs: Vec<Job>) -> TStatus {
        let mut full = 0_usize;
        for job in jobs {
            let (task_type, signature) = (job.task_type.0, job.signature);
            match self.board.submit(job) {
                Accepted::Queued => {}
                Accepted::Known => {
                    tracing::debug!(task_type, signature, "task is under way already");
                }
                Accepted::Full => full += 1,
            }
        }
        if full == 0 {
            return dorisim_net::agent::status::ok();
        }
        tracing::warn!(full, "tasks refused: too many are waiting");
        let text = format!("{full} tasks refused: too many are waiting");
        TStatus::new(TStatusCode::TOO_MANY_TASKS, vec![text])
    }

    async fn tell(&self, finished: &FinishedTask) {
        let request = finished.to_wire(self.reporter());
        self.messenger.finish(&request).await;
    }

    /// How it names itself: by the host under which it was registered.
    fn reporter(&self) -> TBackend {
        let mut reporter = end::reporter(self.backend.address());
        if let Some(host) = lock(&self.membership).host() {
            host.clone_into(&mut reporter.host);
        }
        reporter
    }

    fn grow_report_version(&self) -> i64 {
        self.report_version.fetch_add(1, Ordering::AcqRel) + 1
    }

    fn report_version(&self) -> i64 {
        self.report_version.load(Ordering::Acquire)
    }
}

/// Memory that heartbeats tell.
const MEMORY_BYTES: i64 = 8 << 30;

/// What Doris sends beside a refusal: the two required ports as zero.
fn no_info() -> TBackendInfo {
    TBackendInfo::new(
        0, 0, None, None, None, None, None, None, None, None, None, None,
    )
}
