//! The backends as the frontend drives them, over the interfaces of Doris: heartbeats, agent tasks, their ends, reports.
//!
//! Reading order: [`node`] (what is known of one), [`heartbeat`], [`queue`] (tasks under way), [`remote`] (sends them; a
//! [`BackendApi`] for the rest of the frontend), `master` (what backends call), [`report`]
//! (what a tablet report leads to), `repair` (clones), `system` (ALTER SYSTEM).

pub mod heartbeat;
mod master;
pub mod node;
pub mod queue;
pub mod remote;
mod repair;
pub mod report;
mod system;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};

pub use node::{Disk, Live, Node, RegisteredBackend};
pub use queue::AgentTaskQueue;
pub use remote::RemoteBackend;

use dorisim_model::backend::BackendApi;
use dorisim_model::clock::SimClock;

/// How the frontend drives its backends. Times are those of tests; the real ones stand in the comments.
#[derive(Debug, Clone)]
pub struct AgentSettings {
    /// `heartbeat_interval_second` (real: 10 s).
    pub heartbeat_interval: Duration,
    /// A heartbeat without an answer is missed (as in Doris: 5 s).
    pub heartbeat_timeout: Duration,
    /// `max_backend_heartbeat_failure_tolerance_count`.
    pub heartbeat_tolerance: u32,
    /// A backend has to take tasks within this.
    pub submit_timeout: Duration,
    /// `agent_task_resend_wait_time_ms` (real: 5 s).
    pub resend_wait: Duration,
    /// `tablet_create_timeout_second`, per tablet.
    pub create_timeout: Duration,
    /// `max_create_table_timeout_second` (real: 3600 s).
    pub create_timeout_max: Duration,
    /// One attempt of a publish; the next one asks again.
    pub publish_timeout: Duration,
    /// Snapshots, downloads, moves (real: the timeout of their job).
    pub job_task_timeout: Duration,
    /// Tasks that Doris does not wait for (DROP, CLEAR_TRANSACTION_TASK, RELEASE_SNAPSHOT) are waited for so long, so that what
    /// they do is seen after the statement.
    pub courtesy_wait: Duration,
    /// Tablets younger than this are neither dropped as unknown nor marked as missing.
    pub young_tablet: Duration,
}

impl Default for AgentSettings {
    fn default() -> Self {
        AgentSettings {
            heartbeat_interval: Duration::from_millis(500),
            heartbeat_timeout: Duration::from_secs(5),
            heartbeat_tolerance: 1,
            submit_timeout: Duration::from_secs(10),
            resend_wait: Duration::from_secs(2),
            create_timeout: Duration::from_secs(2),
            create_timeout_max: Duration::from_secs(300),
            publish_timeout: Duration::from_secs(2),
            job_task_timeout: Duration::from_secs(120),
            courtesy_wait: Duration::from_secs(5),
            young_tablet: Duration::from_secs(60),
        }
    }
}

/// How often and how long a report waits for the answer to a heartbeat.
const HEARTBEAT_LOOKS: u32 = 50;
/// One such wait.
const HEARTBEAT_LOOK: Duration = Duration::from_millis(20);

/// How backends find the master.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MasterAddress {
    /// Host.
    pub host: String,
    /// `rpc_port`.
    pub thrift_port: u16,
    /// `http_port`.
    pub http_port: u16,
    /// Grows with every master; backends ignore an older one.
    pub epoch: i64,
}

/// What sending and finishing tasks share.
#[derive(Debug)]
pub struct Channel {
    /// Tasks under way.
    pub queue: Arc<AgentTaskQueue>,
    /// Settings.
    pub settings: AgentSettings,
    /// Token of the cluster, for the rows of backends elsewhere.
    pub token: String,
    clock: Arc<SimClock>,
    next_signature: AtomicI64,
    /// When tablets were created, by id.
    created: Mutex<HashMap<i64, Instant>>,
}

impl Channel {
    /// A signature that no other task of this cluster has.
    pub fn signature(&self) -> i64 {
        self.next_signature.fetch_add(1, Ordering::Relaxed)
    }

    /// Now, for ages.
    pub fn now(&self) -> Instant {
        self.clock.monotonic()
    }

    /// Notes that these tablets are about to be created.
    fn note_created(&self, tablets: impl Iterator<Item = i64>) {
        let now = self.now();
        let mut created = self.created.lock().unwrap_or_else(PoisonError::into_inner);
        created.retain(|_, at| now.saturating_duration_since(*at) < self.settings.young_tablet);
        created.extend(tablets.map(|tablet| (tablet, now)));
    }

    /// True for tablets that were created a moment ago.
    fn is_young(&self, tablet: i64) -> bool {
        let created = self.created.lock().unwrap_or_else(PoisonError::into_inner);
        created.get(&tablet).is_some_and(|at| {
            self.now().saturating_duration_since(*at) < self.settings.young_tablet
        })
    }
}

/// All registered backends.
#[derive(Debug)]
pub struct Backends {
    channel: Arc<Channel>,
    nodes: RwLock<BTreeMap<i64, Arc<Node>>>,
    master: RwLock<Option<MasterAddress>>,
    /// Asks for a round of heartbeats at once.
    beat: Notify,
    /// Counts changes of what backends are.
    changed: watch::Sender<u64>,
}

impl Backends {
    /// No backends.
    #[must_use]
    pub fn new(settings: AgentSettings, token: &str, clock: Arc<SimClock>) -> Self {
        let next_signature = AtomicI64::new(clock.now_ms());
        Backends {
            channel: Arc::new(Channel {
                queue: Arc::default(),
                settings,
                token: token.to_owned(),
                clock,
                next_signature,
                created: Mutex::default(),
            }),
            nodes: RwLock::default(),
            master: RwLock::default(),
            beat: Notify::new(),
            changed: watch::Sender::new(0),
        }
    }

    /// Tasks under way.
    #[must_use]
    pub fn queue(&self) -> &Arc<AgentTaskQueue> {
        &self.channel.queue
    }

    /// What sending tasks needs.
    pub(super) fn channel(&self) -> &Arc<Channel> {
        &self.channel
    }

    /// A round of heartbeats at once.
    pub fn beat_now(&self) {
        self.beat.notify_one();
    }

    /// Who the master is; heartbeats begin with it.
    pub fn set_master(&self, host: &str, thrift_port: u16, http_port: u16) {
        let mut master = self.master.write().unwrap_or_else(PoisonError::into_inner);
        // Real time grows over restarts of the frontend too.
        let clock = &self.channel.clock;
        let now = clock.now_ms() - clock.offset_ms();
        let epoch = master.as_ref().map_or(now, |m| now.max(m.epoch + 1));
        *master = Some(MasterAddress {
            host: host.to_owned(),
            thrift_port,
            http_port,
            epoch,
        });
        drop(master);
        self.beat.notify_one();
    }

    /// Who the master is; `None` as long as nobody said so.
    #[must_use]
    pub fn master(&self) -> Option<MasterAddress> {
        self.master
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// All backends, by id.
    #[must_use]
    pub fn nodes(&self) -> Vec<Arc<Node>> {
        self.nodes
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect()
    }

    /// The backend that names itself so.
    #[must_use]
    pub fn by_address(&self, host: &str, be_port: i32) -> Option<Arc<Node>> {
        let port = u16::try_from(be_port).ok()?;
        self.nodes
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .find(|node| node.host == host && node.live().be_port == Some(port))
            .cloned()
    }

    /// As [`Self::by_address`]. A backend that was just asked for its ports may report before its answer was read: that is waited for.
    pub async fn reporter(&self, host: &str, be_port: i32) -> Option<Arc<Node>> {
        let mut changes = self.changed.subscribe();
        for _ in 0..HEARTBEAT_LOOKS {
            let found = self.by_address(host, be_port);
            let asked =
                |node: &Arc<Node>| node.host == host && node.beating.load(Ordering::Acquire);
            if found.is_some() || !self.nodes().iter().any(asked) {
                return found;
            }
            // An error means the end of the frontend; the end of the wait is a reason to look again.
            let _ = tokio::time::timeout(HEARTBEAT_LOOK, changes.changed()).await;
        }
        None
    }

    /// Takes a backend in; its first heartbeat goes out at once.
    fn add(&self, registered: &RegisteredBackend, local: Option<Arc<dyn BackendApi>>) {
        let node = Arc::new(Node::new(registered, local));
        self.nodes
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(node.id, node);
        self.beat.notify_one();
    }

    fn remove(&self, id: i64) {
        self.nodes
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&id);
        self.channel.queue.remove_backend(id);
        self.note_change();
    }

    /// What is known of a backend now.
    #[must_use]
    pub fn live(&self, id: i64) -> Option<Live> {
        self.get(id).map(|node| node.live().clone())
    }

    fn get(&self, id: i64) -> Option<Arc<Node>> {
        self.nodes
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&id)
            .cloned()
    }

    fn note_change(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    /// Waits until this many backends can take tablets and have told which they hold; false when `within` is over.
    pub async fn wait_usable(&self, count: usize, within: Duration) -> bool {
        let mut changes = self.changed.subscribe();
        let enough = changes.wait_for(|_| {
            let nodes = self.nodes();
            let usable = nodes.iter().filter(|node| {
                let live = node.live();
                live.takes_tablets() && live.tablet_report_ms > 0
            });
            usable.count() >= count
        });
        matches!(tokio::time::timeout(within, enough).await, Ok(Ok(_)))
    }
}
