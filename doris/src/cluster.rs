//! How a cluster is reached, and the client of it.
//!
//! `DorisCluster -> master (which FE) -> rpc (Thrift) | mysql (statements) -> Doris`

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ccr_ops::{Clock, Secret, SystemClock};

use crate::frontends::FrontendMemory;
use crate::hosts::{self, Endpoint};
use crate::master::MasterMemory;
use crate::mysql::Sessions;
use crate::rpc::Pool;

/// Address and account of a cluster.
#[derive(Clone, Debug)]
pub struct ClusterAddress {
    /// FEs, any of them; the master is found from there.
    pub frontends: Vec<FrontendAddress>,
    /// Numeric id of the cluster, when it is known: an FE of another cluster is not used.
    pub cluster_id: Option<String>,
    /// Account.
    pub user: String,
    /// Its password.
    pub password: Secret,
    /// Host (or `host:port`) as the cluster names it -> as it is reached from here.
    pub host_mapping: BTreeMap<String, String>,
}

/// One FE.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FrontendAddress {
    /// Host.
    pub host: String,
    /// MySQL port (`query_port`).
    pub query_port: u16,
    /// Thrift port (`rpc_port`).
    pub thrift_port: u16,
}

impl FrontendAddress {
    /// Where it takes Thrift calls.
    pub(crate) fn thrift(&self) -> Endpoint {
        Endpoint::new(&self.host, self.thrift_port)
    }

    /// Where it takes statements.
    pub(crate) fn query(&self) -> Endpoint {
        Endpoint::new(&self.host, self.query_port)
    }
}

/// Bounds in time. Those of calls are for one attempt, and there for the first byte of the answer and for each further piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Opening a connection.
    pub connect: Duration,
    /// A FE call or a query.
    pub call: Duration,
    /// commitTxn, which waits for locks and for visibility.
    pub commit: Duration,
    /// getSnapshot and restoreSnapshot, which carry the snapshot's whole catalog.
    pub snapshot: Duration,
    /// ingest_binlog, which lasts as long as the download when the BE works synchronously.
    pub ingest: Duration,
    /// The whole of an answer that keeps coming.
    pub answer: Duration,
    /// A statement without a result; CREATE and TRUNCATE wait for tablets.
    pub statement: Duration,
}

impl Timeouts {
    /// Default of [`Timeouts::connect`].
    pub const DEFAULT_CONNECT: Duration = Duration::from_secs(10);
    /// Default of [`Timeouts::call`].
    pub const DEFAULT_CALL: Duration = Duration::from_secs(30);
    /// Default of [`Timeouts::commit`].
    pub const DEFAULT_COMMIT: Duration = Duration::from_secs(33);
    /// Default of [`Timeouts::snapshot`].
    pub const DEFAULT_SNAPSHOT: Duration = Duration::from_secs(300);
    /// Default of [`Timeouts::ingest`].
    pub const DEFAULT_INGEST: Duration = Duration::from_secs(600);
    /// Default of [`Timeouts::answer`].
    pub const DEFAULT_ANSWER: Duration = Duration::from_secs(600);
    /// Default of [`Timeouts::statement`].
    pub const DEFAULT_STATEMENT: Duration = Duration::from_secs(120);
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Self::DEFAULT_CONNECT,
            call: Self::DEFAULT_CALL,
            commit: Self::DEFAULT_COMMIT,
            snapshot: Self::DEFAULT_SNAPSHOT,
            ingest: Self::DEFAULT_INGEST,
            answer: Self::DEFAULT_ANSWER,
            statement: Self::DEFAULT_STATEMENT,
        }
    }
}

/// Bounds of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// In time.
    pub timeouts: Timeouts,
    /// Thrift connections, and therefore calls at a time, per server; at least 1. Further calls wait.
    pub max_connections: usize,
    /// MySQL sessions per FE; at least 1. Further statements wait.
    pub max_sessions: usize,
    /// Longest answer in bytes. A page of binlogs and a snapshot have no bound of their own.
    pub max_message: usize,
}

impl Settings {
    /// Default of [`Settings::max_connections`].
    pub const DEFAULT_MAX_CONNECTIONS: usize = 64;
    /// Default of [`Settings::max_sessions`].
    pub const DEFAULT_MAX_SESSIONS: usize = 8;
    /// Default of [`Settings::max_message`]: the longest text that Thrift can carry.
    pub const DEFAULT_MAX_MESSAGE: usize = 2 * 1024 * 1024 * 1024;
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            timeouts: Timeouts::default(),
            max_connections: Self::DEFAULT_MAX_CONNECTIONS,
            max_sessions: Self::DEFAULT_MAX_SESSIONS,
            max_message: Self::DEFAULT_MAX_MESSAGE,
        }
    }
}

/// A client of one cluster: [`crate::Frontend`], [`crate::Backend`] and [`crate::SqlSession`] in one, cheap to clone. Clones
/// share connections and what is known about the master.
#[derive(Clone)]
pub struct DorisCluster {
    inner: Arc<Inner>,
}

struct Inner {
    address: ClusterAddress,
    settings: Settings,
    pool: Pool,
    sessions: Sessions,
    master: MasterMemory,
    memory: Option<Arc<dyn FrontendMemory>>,
    clock: Arc<dyn Clock>,
    interruptions: Interruptions,
}

/// How often what the cluster was asked before became doubtful: see [`crate::Frontend::interruptions`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Interruptions(Arc<AtomicU64>);

impl Interruptions {
    /// One more.
    pub(crate) fn note(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }

    /// So far.
    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

impl DorisCluster {
    /// A client with default bounds. Does not connect: the first call does.
    pub fn new(address: ClusterAddress) -> Self {
        Self::with_settings(address, Settings::default())
    }

    /// A client with bounds.
    pub fn with_settings(address: ClusterAddress, settings: Settings) -> Self {
        Self::with_clock(address, settings, SystemClock::shared())
    }

    /// A client with bounds and a clock, by which calls are measured.
    pub fn with_clock(address: ClusterAddress, settings: Settings, clock: Arc<dyn Clock>) -> Self {
        Self::build(address, settings, clock, None)
    }

    /// A client that finds the cluster also by the FEs that were learned before, and tells which ones it learns.
    pub fn remembering(
        address: ClusterAddress,
        settings: Settings,
        memory: Arc<dyn FrontendMemory>,
    ) -> Self {
        Self::build(address, settings, SystemClock::shared(), Some(memory))
    }

    fn build(
        address: ClusterAddress,
        settings: Settings,
        clock: Arc<dyn Clock>,
        memory: Option<Arc<dyn FrontendMemory>>,
    ) -> Self {
        let settings = Settings {
            max_connections: settings.max_connections.max(1),
            max_sessions: settings.max_sessions.max(1),
            ..settings
        };
        let interruptions = Interruptions::default();
        Self {
            inner: Arc::new(Inner {
                pool: Pool::new(settings, Arc::clone(&clock), interruptions.clone()),
                sessions: Sessions::new(
                    &address,
                    settings,
                    Arc::clone(&clock),
                    interruptions.clone(),
                ),
                master: MasterMemory::default(),
                memory,
                clock,
                interruptions,
                address,
                settings,
            }),
        }
    }

    /// How the cluster is reached.
    pub fn address(&self) -> &ClusterAddress {
        &self.inner.address
    }

    /// Bounds in time.
    pub fn timeouts(&self) -> &Timeouts {
        &self.inner.settings.timeouts
    }

    /// Maps an address reported by the cluster to the one that is reachable from here.
    pub fn reach(&self, reported: &Endpoint) -> Endpoint {
        hosts::map(&self.inner.address.host_mapping, reported)
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.inner.pool
    }

    pub(crate) fn sessions(&self) -> &Sessions {
        &self.inner.sessions
    }

    pub(crate) fn master(&self) -> &MasterMemory {
        &self.inner.master
    }

    pub(crate) fn memory(&self) -> Option<&dyn FrontendMemory> {
        self.inner.memory.as_deref()
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.inner.clock
    }

    pub(crate) fn interrupted(&self) -> &Interruptions {
        &self.inner.interruptions
    }
}

impl fmt::Debug for DorisCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DorisCluster")
            .field("address", &self.inner.address)
            .finish_non_exhaustive()
    }
}
