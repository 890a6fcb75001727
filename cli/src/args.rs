//! Command line. Doc comments are the help text.

use std::net::SocketAddr;
use std::path::PathBuf;

use ccr_control::process::{KafkaArgs, LogFormat};
use clap::{Parser, Subcommand, ValueEnum};

use crate::settings::Setting;

/// Cross-cluster replication for Apache Doris.
///
/// One process replicates a database of one Doris cluster to others: `ccr standalone`.
#[derive(Debug, Parser)]
#[command(name = "ccr", version, max_term_width = 110)]
pub struct Args {
    /// Log filter for stderr, for instance `info`, `debug`, `warn,ccr_applier=debug`.
    #[arg(long, global = true, env = "CCR_LOG", default_value = "warn")]
    pub log: String,
    /// Format of log lines.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run producer, applier and HTTP API in one process; ready for `POST /create_ccr`. Without --kafka or --kafka-config
    /// the event log is a file.
    ///
    /// Every setting of `ccr-producer` and `ccr-applier` is one of this process, in the sections `[producer]`, `[applier]` and `[kafka]` of
    /// the file of --config, in variables (CCR_PRODUCER__SETTLE=50ms, CCR_APPLIER__COMMIT_INTERVAL=100ms), or by
    /// --set producer.settle=50ms; the later ones win. Unknown names are refused. `ccr-producer --help` and `ccr-applier --help` name the usual ones.
    Standalone(StandaloneArgs),
    /// Create, watch, pause, resume, resync and delete jobs of a running process.
    Job(JobArgs),
    /// Compare every row of a job's tables on both clusters, while it runs.
    ///
    /// Each cluster counts its own rows and sums their hashes, so that no rows are transferred. A destination that is some seconds behind
    /// counts as equal: it has what the source had a moment ago. A table that differs is checked again until it is equal, until nothing
    /// has changed for three checks, or until --patience seconds have passed.
    ///
    /// Exit code 0: all tables are equal. 3: a table differs. 4: a table kept changing and was never equal. 1: a table cannot be read.
    ///
    /// Each check reads every column of every table once on both clusters: for large databases choose tables (--table) or a quiet hour.
    Verify(VerifyArgs),
    /// Print a new log key (base64). Producers and appliers encrypt secrets in the log with it.
    Keygen,
}

/// Where the event log is.
#[derive(Clone, Debug, clap::Args)]
pub struct LogArgs {
    /// Apache Kafka instead of the embedded log.
    #[command(flatten)]
    pub kafka: KafkaArgs,
    /// First part of every topic name and consumer group; default `ccr`.
    #[arg(long, env = "CCR_TOPIC_PREFIX")]
    pub topic_prefix: Option<String>,
    /// Confluent-compatible schema registry; without it events carry their schema's fingerprint.
    #[arg(long, env = "CCR_SCHEMA_REGISTRY", value_name = "URL")]
    pub schema_registry: Option<String>,
}

/// `ccr standalone`.
#[derive(Clone, Debug, clap::Args)]
pub struct StandaloneArgs {
    /// Address of the HTTP API. It has no authentication: keep it on a trusted network.
    #[arg(long, env = "CCR_LISTEN", default_value = "127.0.0.1:9190")]
    pub listen: SocketAddr,
    /// Name by which the HTTP API is reached besides its own address, for instance that of a proxy in front of it; can be
    /// repeated. On a loopback address other names are refused.
    #[arg(
        long = "allow-host",
        env = "CCR_ALLOW_HOST",
        value_name = "NAME",
        value_delimiter = ','
    )]
    pub allow_hosts: Vec<String>,
    /// Folder of the embedded log and of the log key; created when missing.
    #[arg(long, env = "CCR_DATA_DIR", default_value = "ccr-data")]
    pub data_dir: PathBuf,
    /// The log.
    #[command(flatten)]
    pub log: LogArgs,
    /// TOML file with the sections `[producer]`, `[applier]` and `[kafka]`.
    #[arg(long, env = "CCR_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// One setting, for instance `producer.settle=50ms`; can be repeated.
    #[arg(long, value_name = "FIELD=VALUE")]
    pub set: Vec<Setting>,
    /// File with the log key (see `ccr keygen`); default: `log.key` in the data folder, made at the first start and never while the
    /// log has jobs. All processes on one Kafka must be given the same key.
    #[arg(long, env = "CCR_LOG_KEY_FILE", value_name = "FILE")]
    pub log_key_file: Option<PathBuf>,
    /// Parts to run; the embedded log needs all of them in one process.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Role::Api, Role::Producer, Role::Applier])]
    pub roles: Vec<Role>,
}

/// Parts of a standalone process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// HTTP API.
    Api,
    /// Source to log.
    Producer,
    /// Log to destinations.
    Applier,
}

/// `ccr verify`.
#[derive(Clone, Debug, clap::Args)]
pub struct VerifyArgs {
    /// JSON file (`-` for stdin) with the body of `POST /create_ccr`: the two clusters, the database, the tables.
    pub file: PathBuf,
    /// Only this table; can be repeated.
    #[arg(long = "table", value_name = "NAME")]
    pub tables: Vec<String>,
    /// Stop re-checking tables that differ after this many seconds.
    #[arg(long, default_value_t = 120)]
    pub patience: u64,
    /// Seconds between two checks of a table that differs; choose more than the usual lag.
    #[arg(long, default_value_t = 5)]
    pub pause: u64,
    /// Number of tables compared in parallel.
    #[arg(long, default_value_t = 2)]
    pub parallel: usize,
    /// Max seconds per query.
    #[arg(long, default_value_t = 3600)]
    pub query_timeout: u64,
    /// Write the findings as JSON to this file, too.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// `ccr job`.
#[derive(Clone, Debug, clap::Args)]
pub struct JobArgs {
    /// Address of the HTTP API.
    #[arg(long, env = "CCR_API", default_value = "http://127.0.0.1:9190")]
    pub api: String,
    /// What to do.
    #[command(subcommand)]
    pub verb: JobVerb,
}

/// `ccr job` verbs.
#[derive(Clone, Debug, Subcommand)]
pub enum JobVerb {
    /// Create a job from a JSON file (`-` for stdin) with the body of `POST /create_ccr`.
    Create {
        /// The file.
        file: PathBuf,
    },
    /// List the names of all jobs.
    List,
    /// Print the state of a job as JSON.
    Status {
        /// The job.
        name: String,
    },
    /// Print how far a job is behind, as JSON.
    Lag {
        /// The job.
        name: String,
    },
    /// Stop a job after its current actions; its position is kept.
    Pause {
        /// The job.
        name: String,
    },
    /// Resume a paused job, or retry a first sync that halted.
    Resume {
        /// The job.
        name: String,
    },
    /// Re-sync the named tables of a job, halted or not, from a snapshot of each while its other tables continue. Without a table:
    /// re-sync the whole job from a new snapshot. The tables at the destination stay readable until they are replaced. Without a
    /// table, a job of a whole database that alone writes to the destination database also deletes there what the source does not
    /// have.
    Resync {
        /// The job.
        name: String,
        /// Names of tables at the source; none means all.
        tables: Vec<String>,
    },
    /// Skip the event at which a job halted. What the event changed at the source is then missing at the destination. A halted
    /// table needs `resync` instead.
    Skip {
        /// The job.
        name: String,
        /// Position of the event, as the job's status names it.
        commit_seq: i64,
    },
    /// Delete a job. Tables at the destination stay.
    Delete {
        /// The job.
        name: String,
    },
}
