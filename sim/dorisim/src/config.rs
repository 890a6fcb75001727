//! What a simulated cluster is made of.

use std::path::PathBuf;
use std::time::Duration;

use dorisim_be::agent::AgentConfig;
use dorisim_fe::FrontendConfig;

/// A further account.
#[derive(Clone)]
pub struct SimUser {
    /// Name without host.
    pub name: String,
    /// Password in clear.
    pub password: String,
    /// Privileges such as `SELECT_PRIV`, granted on `*.*`.
    pub privileges: Vec<String>,
}

impl std::fmt::Debug for SimUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SimUser")
            .field("name", &self.name)
            .field("privileges", &self.privileges)
            .finish_non_exhaustive()
    }
}

/// What a cluster is made of. `SimConfig::default()` is one frontend and three backends on free ports.
#[derive(Clone)]
pub struct SimConfig {
    /// Name for logs; it also makes the default cluster id and token unlike those of other clusters.
    pub name: String,
    /// Frontends; the first is the master at start.
    pub frontends: usize,
    /// Backends.
    pub backends: usize,
    /// ClusterId of SHOW FRONTENDS; none: made from the name.
    pub cluster_id: Option<i32>,
    /// Token of the download endpoints; none: made from the name.
    pub token: Option<String>,
    /// Password of `root` and `admin`; empty by default.
    pub password: String,
    /// Further accounts.
    pub users: Vec<SimUser>,
    /// Directory that keeps everything over restarts; none: one that goes with the cluster. Accounts and passwords of this value count
    /// for a new directory only.
    pub data_dir: Option<PathBuf>,
    /// MySQL port of the first frontend; 0 is any free one.
    pub query_port: u16,
    /// Thrift port of the first frontend; 0 is any free one.
    pub thrift_port: u16,
    /// HTTP port of the first frontend; 0 is any free one.
    pub http_port: u16,
    /// Every publish is delayed by this.
    pub publish_delay: Duration,
    /// Rows of a segment file on the backends.
    pub rows_per_segment: usize,
    /// `ingest_binlog_work_pool_size` of the backends: -1 works inside the RPC.
    pub ingest_pool_size: i32,
    /// Seed of faults with a probability.
    pub seed: u64,
    /// How the backends work for their frontend.
    pub agent: AgentConfig,
    /// Frontend settings; cluster id and token are overwritten by the fields above.
    pub frontend: FrontendConfig,
}

impl Default for SimConfig {
    fn default() -> Self {
        SimConfig {
            name: "sim".to_owned(),
            frontends: 1,
            backends: 3,
            cluster_id: None,
            token: None,
            password: String::new(),
            users: Vec::new(),
            data_dir: None,
            query_port: 0,
            thrift_port: 0,
            http_port: 0,
            publish_delay: Duration::ZERO,
            rows_per_segment: 100_000,
            ingest_pool_size: -1,
            seed: 1,
            agent: AgentConfig {
                task_report: Duration::from_secs(2),
                disk_report: Duration::from_secs(5),
                tablet_report: Duration::from_secs(30),
                ..AgentConfig::default()
            },
            frontend: FrontendConfig::default(),
        }
    }
}

impl std::fmt::Debug for SimConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SimConfig")
            .field("name", &self.name)
            .field("frontends", &self.frontends)
            .field("backends", &self.backends)
            .field("cluster_id", &self.cluster_id)
            .field("data_dir", &self.data_dir)
            .finish_non_exhaustive()
    }
}
