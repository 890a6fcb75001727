//! Everything that a run shares: time, clusters, the network and the trace.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::doris::Cluster;
use crate::net::Net;
use crate::time::{EPOCH_MS, Timers};
use crate::trace::Trace;

/// A replica's part of a transaction: (sub-)transaction, tablet, backend.
pub type Ingest = (i64, i64, i64);

/// What happened in a run that explains why a job may need a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fact {
    /// A destination forgot finished transactions.
    LabelsForgotten,
    /// The source forgot records that may not have been read.
    HistoryLost,
    /// The source showed a record long after later ones.
    RecordLate,
    /// No table bore a name that a job follows.
    NameMissing,
    /// A backend was down.
    BackendDown,
}

/// What a run shares, behind one lock.
#[derive(Debug)]
pub struct State {
    /// Clusters by name.
    pub clusters: BTreeMap<String, Cluster>,
    /// The network between processes and clusters.
    pub net: Net,
    /// What happened.
    pub trace: Trace,
    /// What must not happen and did.
    pub violations: Vec<String>,
    /// Ingests that a backend works on.
    pub ingests: BTreeSet<Ingest>,
    /// Names by which jobs follow single tables.
    pub followed: Vec<String>,
    /// What explains complaints.
    pub facts: BTreeSet<Fact>,
    closed: bool,
}

/// A run's world.
#[derive(Debug)]
pub struct World {
    /// Time.
    pub timers: Arc<Timers>,
    state: Mutex<State>,
}

impl World {
    /// A world of these clusters.
    pub fn new(clusters: Vec<Cluster>, net: Net, prints: bool) -> Arc<Self> {
        let clusters = clusters
            .into_iter()
            .map(|cluster| (cluster.name.clone(), cluster))
            .collect();
        Arc::new(Self {
            timers: Arc::default(),
            state: Mutex::new(State {
                clusters,
                net,
                trace: Trace::new(prints),
                violations: Vec::new(),
                ingests: BTreeSet::new(),
                followed: Vec::new(),
                facts: BTreeSet::new(),
                closed: false,
            }),
        })
    }

    /// Looks at the state, or changes it, as of now.
    pub fn with<T>(&self, work: impl FnOnce(&mut State, i64) -> T) -> T {
        let now = self.timers.now_ms();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.advance(now);
        work(&mut state, now)
    }

    /// Notes a line of the trace.
    pub fn note(&self, actor: &str, what: std::fmt::Arguments<'_>) {
        let now = self.timers.now_ms();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.trace.note(now - EPOCH_MS, actor, what);
    }

    /// Counts that a point was reached.
    pub fn reach(&self, point: &str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.trace.reach(point);
    }

    /// Notes and counts something that goes wrong.
    pub fn blow(&self, what: &str, about: std::fmt::Arguments<'_>) {
        self.note("chaos", format_args!("{what} {about}"));
        self.reach(&format!("chaos: {what}"));
    }

    /// Notes what must not happen.
    pub fn violation(&self, what: String) {
        self.note("VIOLATION", format_args!("{what}"));
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.violations.push(what);
    }

    /// The run is over: what is dropped from now on has no effect any more.
    pub fn close(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.closed = true;
    }

    /// True when the run is over.
    pub fn is_closed(&self) -> bool {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .closed
    }

    /// Waits.
    pub async fn sleep_ms(&self, ms: i64) {
        let ms = u64::try_from(ms).unwrap_or(0);
        self.timers.sleep(Duration::from_millis(ms)).await;
    }
}

impl State {
    /// Lets everything happen that is due.
    fn advance(&mut self, now: i64) {
        let due: Vec<String> = self
            .clusters
            .iter()
            .filter(|(_, cluster)| cluster.next_due().is_some_and(|at| at <= now))
            .map(|(name, _)| name.clone())
            .collect();
        for name in due {
            if let Some(mut cluster) = self.clusters.remove(&name) {
                cluster.advance(now, &self.clusters);
                self.clusters.insert(name, cluster);
            }
        }
        for cluster in self.clusters.values_mut() {
            for point in cluster.take_reached() {
                self.trace.reach(point);
            }
            for violation in std::mem::take(&mut cluster.violations) {
                self.trace
                    .note(now - EPOCH_MS, "VIOLATION", format_args!("{violation}"));
                self.violations.push(violation);
            }
        }
    }
}
