//! One registered backend: what its heartbeats and disk reports told.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use dorisim_wire::{TBackendInfo, TDisk};
use serde::{Deserialize, Serialize};

use dorisim_model::backend::{BackendAddress, BackendApi};
use dorisim_net::client::Pool;

/// A backend as the frontend keeps it for good: what ALTER SYSTEM said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisteredBackend {
    /// Id.
    pub id: i64,
    /// Host as it was added; the backend names itself by it in reports.
    pub host: String,
    /// `heartbeat_service_port`.
    pub heartbeat_port: u16,
    /// Leaves the cluster: gets no new tablets.
    pub decommissioned: bool,
    /// Tags; `location` is always there.
    pub tags: BTreeMap<String, String>,
    /// `disable_query` and `disable_load` of MODIFY BACKEND.
    pub disabled: Disabled,
}

/// What MODIFY BACKEND switched off. Shown, not obeyed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disabled {
    /// `disable_query`.
    pub query: bool,
    /// `disable_load`.
    pub load: bool,
}

impl RegisteredBackend {
    /// A backend just added.
    #[must_use]
    pub fn new(id: i64, host: &str, heartbeat_port: u16) -> Self {
        RegisteredBackend {
            id,
            host: host.to_owned(),
            heartbeat_port,
            decommissioned: false,
            tags: BTreeMap::from([("location".to_owned(), "default".to_owned())]),
            disabled: Disabled::default(),
        }
    }
}

/// A data directory of a backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// Bytes.
    pub total: i64,
    /// Bytes of tablets.
    pub data_used: i64,
    /// Bytes that are free.
    pub available: i64,
    /// Bytes of the trash.
    pub trash: i64,
    /// Healthy.
    pub used: bool,
}

/// What a backend told, and how it is since.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Live {
    /// Thrift port; `None` before the first heartbeat.
    pub be_port: Option<u16>,
    /// HTTP port.
    pub http_port: Option<u16>,
    /// brpc port.
    pub brpc_port: Option<u16>,
    /// Arrow Flight SQL port, -1: off.
    pub arrow_flight_port: Option<i32>,
    /// Version text.
    pub version: String,
    /// Start of its process, epoch milliseconds.
    pub start_ms: i64,
    /// Last good heartbeat, epoch milliseconds.
    pub last_update_ms: i64,
    /// Since when it has been alive without a break, epoch milliseconds.
    pub live_since_ms: i64,
    /// Answers heartbeats.
    pub alive: bool,
    /// Heartbeats missed in a row.
    pub failures: u32,
    /// Why the last one failed.
    pub error: String,
    /// `mix` or `computation`.
    pub role: String,
    /// Bytes of memory.
    pub memory: i64,
    /// Cores, by the disk report.
    pub cores: i32,
    /// Data directories, by the disk report.
    pub disks: BTreeMap<String, Disk>,
    /// Tasks that it says are running.
    pub running_tasks: i64,
    /// Last tablet report that was taken in, epoch milliseconds; 0: none.
    pub tablet_report_ms: i64,
}

/// What a heartbeat changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Change {
    /// Came alive or died.
    pub life: bool,
    /// Other ports than before.
    pub ports: bool,
    /// The process is another one than before.
    pub restarted: bool,
}

impl Live {
    /// A good heartbeat.
    pub fn heard(&mut self, info: &TBackendInfo, now_ms: i64) -> Change {
        if info.is_shutdown == Some(true) {
            return self.missed("backend is shutting down", 0);
        }
        let ports = (
            u16::try_from(info.be_port).ok(),
            u16::try_from(info.http_port).ok(),
            info.brpc_port.and_then(|port| u16::try_from(port).ok()),
        );
        let start_ms = info.be_start_time.unwrap_or(0);
        let change = Change {
            life: !self.alive,
            ports: ports != (self.be_port, self.http_port, self.brpc_port),
            restarted: self.start_ms > 0 && start_ms != self.start_ms,
        };
        if change.life {
            self.live_since_ms = now_ms;
        }
        (self.be_port, self.http_port, self.brpc_port) = ports;
        self.arrow_flight_port = info.arrow_flight_sql_port;
        self.version = info.version.clone().unwrap_or_default();
        self.role = info
            .be_node_role
            .clone()
            .unwrap_or_else(|| "mix".to_owned());
        self.memory = info.be_mem.unwrap_or(self.memory);
        self.start_ms = start_ms;
        self.last_update_ms = now_ms;
        self.alive = true;
        self.failures = 0;
        self.error.clear();
        change
    }

    /// A missed heartbeat; dead after `tolerance` of them.
    pub fn missed(&mut self, error: &str, tolerance: u32) -> Change {
        self.failures = self.failures.saturating_add(1);
        error.clone_into(&mut self.error);
        let dies = self.alive && self.failures >= tolerance;
        if dies {
            self.alive = false;
        }
        Change {
            life: dies,
            ..Change::default()
        }
    }

    /// A disk report; directories that it does not name are gone.
    pub fn disks_told(&mut self, disks: &BTreeMap<String, TDisk>, cores: Option<i32>) {
        self.disks = disks
            .iter()
            .map(|(path, disk)| {
                let disk = Disk {
                    total: disk.disk_total_capacity,
                    data_used: disk.data_used_capacity,
                    available: disk.disk_available_capacity.unwrap_or(0),
                    trash: disk.trash_used_capacity.unwrap_or(0),
                    used: disk.used,
                };
                (path.clone(), disk)
            })
            .collect();
        self.cores = cores.unwrap_or(self.cores);
    }

    /// Tablets can be placed there.
    #[must_use]
    pub fn takes_tablets(&self) -> bool {
        self.alive && self.disks.values().any(|disk| disk.used)
    }
}

/// A registered backend while the frontend runs.
pub struct Node {
    /// Id.
    pub id: i64,
    /// Host as it was added.
    pub host: String,
    /// `heartbeat_service_port`.
    pub heartbeat_port: u16,
    /// Connections for heartbeats.
    pub heartbeat: Pool,
    /// A heartbeat is under way.
    pub beating: AtomicBool,
    decommissioned: AtomicBool,
    live: RwLock<Live>,
    agent: RwLock<Option<Arc<Pool>>>,
    report_version: AtomicI64,
    /// The backend itself, when it runs in this process: queries and loads reach it by calls.
    local: Option<Arc<dyn BackendApi>>,
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node")
            .field("id", &self.id)
            .field("host", &self.host)
            .field("heartbeat_port", &self.heartbeat_port)
            .finish_non_exhaustive()
    }
}

impl Node {
    /// A backend that was not heard of yet.
    pub fn new(registered: &RegisteredBackend, local: Option<Arc<dyn BackendApi>>) -> Self {
        Node {
            id: registered.id,
            host: registered.host.clone(),
            heartbeat_port: registered.heartbeat_port,
            heartbeat: Pool::new(&registered.host, registered.heartbeat_port),
            beating: AtomicBool::new(false),
            decommissioned: AtomicBool::new(registered.decommissioned),
            live: RwLock::default(),
            agent: RwLock::default(),
            report_version: AtomicI64::new(0),
            local,
        }
    }

    /// What is known of it now.
    pub fn live(&self) -> RwLockReadGuard<'_, Live> {
        self.live.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// To change what is known.
    pub fn live_mut(&self) -> RwLockWriteGuard<'_, Live> {
        self.live.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The backend in this process, if it is one.
    pub fn local(&self) -> Option<&Arc<dyn BackendApi>> {
        self.local.as_ref()
    }

    /// Where it listens; `None` before its first heartbeat.
    pub fn address(&self) -> Option<BackendAddress> {
        let live = self.live();
        Some(BackendAddress {
            id: self.id,
            host: self.host.clone(),
            be_port: live.be_port?,
            http_port: live.http_port?,
            heartbeat_port: self.heartbeat_port,
            brpc_port: live.brpc_port.unwrap_or(0),
        })
    }

    /// Connections to its `be_port`; `None` before its first heartbeat.
    pub fn agent(&self) -> Option<Arc<Pool>> {
        self.agent
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// New connections from now on: other ports, another process, or none that works.
    pub fn renew_agent(&self) {
        let port = self.live().be_port;
        let pool = port.map(|port| Arc::new(Pool::new(&self.host, port)));
        *self.agent.write().unwrap_or_else(PoisonError::into_inner) = pool;
    }

    /// Newest version of its tablet reports that the frontend has seen.
    pub fn report_version(&self) -> i64 {
        self.report_version.load(Ordering::Acquire)
    }

    /// A report or a finished task told a version.
    pub fn saw_report_version(&self, version: i64) {
        self.report_version.fetch_max(version, Ordering::AcqRel);
    }

    /// Gets no new tablets.
    pub fn decommissioned(&self) -> bool {
        self.decommissioned.load(Ordering::Relaxed)
    }

    /// DECOMMISSION BACKEND and its CANCEL.
    pub fn set_decommissioned(&self, on: bool) {
        self.decommissioned.store(on, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(start_ms: i64, be_port: i32) -> TBackendInfo {
        TBackendInfo {
            be_port,
            http_port: 8040,
            be_rpc_port: Some(-1),
            brpc_port: Some(8060),
            version: Some("v".to_owned()),
            be_start_time: Some(start_ms),
            be_node_role: Some("mix".to_owned()),
            is_shutdown: Some(false),
            arrow_flight_sql_port: Some(-1),
            be_mem: Some(1 << 30),
            fragment_executing_count: None,
            fragment_last_active_time: None,
        }
    }

    #[test]
    fn a_backend_dies_after_its_tolerance_and_comes_back() {
        let mut live = Live::default();
        assert!(!live.missed("refused", 1).life, "it never lived");
        let born = live.heard(&info(5, 9060), 10);
        assert!(born.life && born.ports && !born.restarted);
        assert!(!live.heard(&info(5, 9060), 20).life);
        assert!(!live.missed("late", 2).life);
        assert!(live.alive);
        assert!(live.missed("late", 2).life);
        assert_eq!(
            (live.alive, live.failures, live.error.as_str()),
            (false, 2, "late")
        );
        let back = live.heard(&info(6, 9061), 50);
        assert!(back.life && back.ports && back.restarted);
        assert_eq!(
            (live.failures, live.live_since_ms, live.last_update_ms),
            (0, 50, 50)
        );
    }

    #[test]
    fn shutting_down_is_dead_at_once() {
        let mut live = Live::default();
        live.heard(&info(5, 9060), 10);
        let mut last = info(5, 9060);
        last.is_shutdown = Some(true);
        assert!(live.heard(&last, 20).life);
        assert!(!live.alive);
    }

    #[test]
    fn tablets_need_a_healthy_disk() {
        let mut live = Live::default();
        live.heard(&info(5, 9060), 10);
        assert!(!live.takes_tablets());
        let disk = |used| TDisk::new("/d".to_owned(), 100, 10, used, 90, None, None, None, None);
        live.disks_told(&BTreeMap::from([("/d".to_owned(), disk(false))]), Some(4));
        assert!(!live.takes_tablets());
        live.disks_told(&BTreeMap::from([("/d".to_owned(), disk(true))]), None);
        assert!(live.takes_tablets());
        assert_eq!(live.cores, 4);
    }
}
