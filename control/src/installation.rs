//! Facts that belong to the installation and outlast jobs and processes: the compacted installation topic.
//!
//! `former:<job>` what a deleted job made at its destination · `cluster:<name>` the FEs of a cluster, as it names them

use std::collections::BTreeMap;
use std::sync::Arc;

use ccr_doris::cluster::FrontendAddress;
use ccr_doris::{ClusterAddress, DorisCluster, FrontendMemory, Settings};
use ccr_log::SharedLog;
use ccr_ops::Clock;
use ccr_schemas::TopicName;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::error::Error;
use crate::job::{JobSpec, TableFilter};
use crate::view::CompactedView;

/// Deleted jobs that are remembered; of more, the oldest are forgotten.
const MAX_FORMER_JOBS: usize = 1000;
/// Lists of FEs on their way to the log.
const MAX_LEARNED: usize = 64;

/// One record of the topic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Fact {
    FormerJob(FormerJob),
    Cluster(KnownCluster),
}

/// A cluster as it was last seen, by whoever asked it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct KnownCluster {
    /// `(host, MySQL port, Thrift port)` as the cluster names its FEs. Empty for a lone FE, which is reached as the job names it.
    frontends: Vec<(String, u16, u16)>,
    /// When it was learned, milliseconds since the epoch.
    learned_at_ms: i64,
}

/// A job that was deleted. The tables that it made are still at its destination.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FormerJob {
    /// Its name.
    pub name: String,
    /// Source: cluster name and database.
    pub source: (String, String),
    /// Destination: cluster name and database.
    pub dest: (String, String),
    /// Which tables it followed, by their names at the source.
    pub tables: TableFilter,
    /// Names at the destination where they differ.
    pub table_names: BTreeMap<String, String>,
    /// When it was deleted, milliseconds since the epoch.
    pub deleted_at_ms: i64,
}

impl FormerJob {
    /// Of a job that is being deleted.
    pub fn of(job: &JobSpec, now_ms: i64) -> Self {
        Self {
            name: job.name.clone(),
            source: ends(&job.source.cluster_name, &job.source.database),
            dest: ends(&job.dest.cluster_name, &job.dest.database),
            tables: job.tables.clone(),
            table_names: job.dest.table_names.clone(),
            deleted_at_ms: now_ms,
        }
    }

    /// Returns whether it made a table of this name at the destination out of this source table of the given job.
    fn made(&self, job: &JobSpec, source_table: &str, dest_table: &str) -> bool {
        let named = self
            .table_names
            .get(source_table)
            .map_or(source_table, String::as_str);
        self.source == ends(&job.source.cluster_name, &job.source.database)
            && self.dest == ends(&job.dest.cluster_name, &job.dest.database)
            && self.tables.takes(source_table)
            && named == dest_table
    }
}

fn ends(cluster: &str, database: &str) -> (String, String) {
    (cluster.to_owned(), database.to_owned())
}

/// The facts, kept up to date.
pub struct Installation {
    view: CompactedView<Fact>,
    clock: Arc<dyn Clock>,
    /// What clients learned, on its way to the log.
    learned: mpsc::Sender<(String, Vec<FrontendAddress>)>,
    to_write: Mutex<mpsc::Receiver<(String, Vec<FrontendAddress>)>>,
}

impl std::fmt::Debug for Installation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Installation")
            .field("view", &self.view)
            .finish_non_exhaustive()
    }
}

impl Installation {
    /// Opens the topic, creating it when missing.
    ///
    /// # Errors
    /// [`Error::Log`].
    pub async fn open(
        log: SharedLog,
        prefix: &str,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, Error> {
        let (learned, to_write) = mpsc::channel(MAX_LEARNED);
        let topic = TopicName::installation(prefix);
        Ok(Arc::new(Self {
            view: CompactedView::open(log, topic, clock.clone()).await?,
            clock,
            learned,
            to_write: Mutex::new(to_write),
        }))
    }

    /// Follows what other processes write, and writes what clients of this process learn, until told to stop.
    pub async fn run(&self, clock: &dyn Clock, token: CancellationToken) {
        let writing = async {
            let mut to_write = self.to_write.lock().await;
            while let Some((cluster, frontends)) = to_write.recv().await {
                if let Err(error) = self.remember_frontends(&cluster, &frontends).await {
                    debug!(cluster, %error, "frontends not remembered");
                }
            }
        };
        tokio::select! {
            biased;
            () = self.view.run(clock, token) => {}
            () = writing => {}
        }
    }

    /// Returns a client of a cluster. When the address tells the cluster's id, the client finds the cluster also by the FEs
    /// that any process has learned, and tells which ones it learns.
    pub fn client(self: &Arc<Self>, address: ClusterAddress) -> DorisCluster {
        let Some(id) = &address.cluster_id else {
            return DorisCluster::new(address);
        };
        let memory = ClusterMemory {
            installation: Arc::clone(self),
            cluster: format!("c{id}"),
        };
        DorisCluster::remembering(address, Settings::default(), Arc::new(memory))
    }

    /// Writes the FEs of a cluster, unless they are the same as before.
    ///
    /// # Errors
    /// [`Error::Log`].
    pub async fn remember_frontends(
        &self,
        cluster: &str,
        frontends: &[FrontendAddress],
    ) -> Result<(), Error> {
        if self.known_frontends(cluster).as_deref() == Some(frontends) {
            return Ok(());
        }
        let fact = Fact::Cluster(KnownCluster {
            frontends: frontends
                .iter()
                .map(|fe| (fe.host.clone(), fe.query_port, fe.thrift_port))
                .collect(),
            learned_at_ms: self.clock.now_ms(),
        });
        self.view.put(&cluster_key(cluster), &fact).await
    }

    /// Returns the FEs of a cluster as it named them; `None` when nobody has asked it.
    pub fn known_frontends(&self, cluster: &str) -> Option<Vec<FrontendAddress>> {
        match self.view.current().get(&cluster_key(cluster))? {
            Fact::Cluster(known) => {
                let all = known.frontends.iter();
                let address =
                    |(host, query_port, thrift_port): &(String, u16, u16)| FrontendAddress {
                        host: host.clone(),
                        query_port: *query_port,
                        thrift_port: *thrift_port,
                    };
                Some(all.map(address).collect())
            }
            Fact::FormerJob(_) => None,
        }
    }

    /// Remembers a job that is being deleted.
    ///
    /// # Errors
    /// [`Error::Log`].
    pub async fn remember_job(&self, former: FormerJob) -> Result<(), Error> {
        let mut known = self.former_jobs();
        known.sort_by_key(|job| job.deleted_at_ms);
        let excess = (known.len() + 1).saturating_sub(MAX_FORMER_JOBS);
        for job in known.iter().take(excess) {
            self.view.remove(&former_key(&job.name)).await?;
        }
        let key = former_key(&former.name);
        self.view.put(&key, &Fact::FormerJob(former)).await
    }

    /// Forgets deleted jobs: what they made belongs to another job now.
    ///
    /// # Errors
    /// [`Error::Log`].
    pub async fn forget_jobs(&self, names: &[String]) -> Result<(), Error> {
        for name in names {
            self.view.remove(&former_key(name)).await?;
        }
        Ok(())
    }

    /// Returns the deleted job that made the table, if one did.
    pub fn maker_of(
        &self,
        job: &JobSpec,
        source_table: &str,
        dest_table: &str,
    ) -> Option<FormerJob> {
        self.former_jobs()
            .into_iter()
            .find(|former| former.made(job, source_table, dest_table))
    }

    /// Reads what other processes wrote.
    ///
    /// # Errors
    /// [`Error::Log`].
    pub async fn catch_up(&self) -> Result<(), Error> {
        while self.view.refresh().await? {}
        Ok(())
    }

    fn former_jobs(&self) -> Vec<FormerJob> {
        let facts = self.view.current();
        facts
            .values()
            .filter_map(|fact| match fact {
                Fact::FormerJob(job) => Some(job.clone()),
                Fact::Cluster(_) => None,
            })
            .collect()
    }
}

/// The FEs of one cluster in the installation topic.
struct ClusterMemory {
    installation: Arc<Installation>,
    cluster: String,
}

impl FrontendMemory for ClusterMemory {
    fn recall(&self) -> Vec<FrontendAddress> {
        let known = self.installation.known_frontends(&self.cluster);
        known.unwrap_or_default()
    }

    fn learned(&self, frontends: &[FrontendAddress]) {
        let known = self.installation.known_frontends(&self.cluster);
        if known.as_deref() == Some(frontends) {
            return;
        }
        let news = (self.cluster.clone(), frontends.to_vec());
        // A queue that is full means that the log is away: the next answer of the cluster says it again.
        if self.installation.learned.try_send(news).is_err() {
            debug!(cluster = self.cluster, "frontends not remembered now");
        }
    }
}

fn cluster_key(cluster: &str) -> String {
    format!("cluster:{cluster}")
}

fn former_key(job: &str) -> String {
    format!("former:{job}")
}
