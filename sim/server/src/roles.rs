//! Which frontend of the cluster is the master.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use dorisim_wire::TNetworkAddress;

/// Ports of one frontend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrontendPorts {
    /// `query_port`.
    pub query: u16,
    /// `rpc_port`.
    pub thrift: u16,
    /// `http_port`.
    pub http: u16,
}

/// The frontends of a cluster; all share one state, but only the master's ports serve.
#[derive(Debug)]
pub struct Roles {
    host: String,
    frontends: Vec<FrontendPorts>,
    master: AtomicUsize,
    /// Answers with NOT_MASTER name the master (2023-10 to autumn 2025). getBinlog always does.
    pub tell_master: AtomicBool,
    /// The present master is known; off: hostname "" and port 0 are told.
    pub master_known: AtomicBool,
}

impl Roles {
    /// The first frontend is the master.
    pub fn new(host: String, frontends: Vec<FrontendPorts>) -> Self {
        Roles {
            host,
            frontends,
            master: AtomicUsize::new(0),
            tell_master: AtomicBool::new(false),
            master_known: AtomicBool::new(true),
        }
    }

    /// Host of all frontends.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// All frontends.
    pub fn frontends(&self) -> &[FrontendPorts] {
        &self.frontends
    }

    /// Index of the master.
    pub fn master(&self) -> usize {
        self.master.load(Ordering::Acquire)
    }

    /// Makes another frontend the master; indexes beyond the last one are ignored.
    pub fn set_master(&self, index: usize) {
        if index < self.frontends.len() {
            self.master.store(index, Ordering::Release);
        }
    }

    /// What NOT_MASTER answers carry: `always` for getBinlog.
    pub fn master_address(&self, always: bool) -> Option<TNetworkAddress> {
        if !always && !self.tell_master.load(Ordering::Relaxed) {
            return None;
        }
        let known = self.master_known.load(Ordering::Relaxed);
        match self.frontends.get(self.master()) {
            Some(ports) if known => Some(TNetworkAddress::new(
                self.host.clone(),
                i32::from(ports.thrift),
            )),
            Some(_) | None => Some(TNetworkAddress::new(String::new(), 0)),
        }
    }
}
