//! The parts put together in one process.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use ccr_applier::{ApplierConfig, ApplierService};
use ccr_control::probe::SqlProbe;
use ccr_control::process::{KafkaSettings, Process, owner};
use ccr_control::{Api, JobRegistry, StatusBoard};
use ccr_log::SharedLog;
use ccr_log::embedded::Embedded;
use ccr_log::kafka::{Kafka, KafkaConfig};
use ccr_ops::{Clock, Sealer, SystemClock};
use ccr_producer::{ProducerConfig, ProducerService};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::args::LogArgs;
use crate::key_file::FreshKey;

/// How long parts may take to finish what they are doing.
const STOP_DEADLINE: Duration = Duration::from_secs(30);

/// Which log.
#[derive(Clone, Debug)]
pub enum LogChoice {
    /// One SQLite file.
    Embedded(PathBuf),
    /// Apache Kafka.
    Kafka(Box<KafkaConfig>),
}

impl LogChoice {
    /// From the command line and the settings of Kafka; the embedded log lies in `data_dir`.
    pub fn of(
        args: &LogArgs,
        prefix: &str,
        settings: &KafkaSettings,
        data_dir: &Path,
    ) -> Result<Self> {
        let kafka = args.kafka.config(prefix, settings, std::env::vars())?;
        match kafka {
            Some(config) => Ok(Self::Kafka(Box::new(config))),
            None if !args.kafka.kafka_options.is_empty()
                || args.kafka.kafka_config.is_some()
                || !settings.0.is_empty() =>
            {
                bail!(
                    "Kafka settings are given, but no brokers: use --kafka HOST:PORT, or bootstrap.servers in the file of --kafka-config or in [kafka] of --config"
                )
            }
            None => Ok(Self::Embedded(data_dir.join("log.sqlite"))),
        }
    }
}

/// What a process runs.
#[derive(Clone, Debug)]
pub struct StackConfig {
    /// The log.
    pub log: LogChoice,
    /// Prefix of topics and groups.
    pub prefix: String,
    /// Log key.
    pub sealer: Sealer,
    /// The log key once more when it is in no file yet: it is written before the first job can be created.
    pub fresh_key: Option<FreshKey>,
    /// Run the producer.
    pub producer: bool,
    /// Its settings; the prefix is the one above.
    pub producer_config: ProducerConfig,
    /// Run the applier.
    pub applier: bool,
    /// Its settings; the prefix is the one above.
    pub applier_config: ApplierConfig,
    /// Serve the HTTP API there.
    pub listen: Option<SocketAddr>,
    /// Names by which the API is reached besides its own address.
    pub allow_hosts: Vec<String>,
}

impl StackConfig {
    /// Every part in one process, with the API on a free port of this machine.
    pub fn new(log: LogChoice, sealer: Sealer) -> Self {
        Self {
            log,
            prefix: "ccr".to_owned(),
            sealer,
            fresh_key: None,
            producer: true,
            producer_config: ProducerConfig::new(owner()),
            applier: true,
            applier_config: ApplierConfig {
                owner: owner(),
                ..ApplierConfig::default()
            },
            listen: Some(([127, 0, 0, 1], 0).into()),
            allow_hosts: Vec::new(),
        }
    }

    /// Every part in one process, on the embedded log in a folder, with a key of its own.
    pub fn local(folder: &Path) -> Result<Self> {
        let sealer = Sealer::from_base64(Sealer::generate_key().expose())?;
        Ok(Self::new(
            LogChoice::Embedded(folder.join("log.sqlite")),
            sealer,
        ))
    }
}

/// A running process.
#[derive(Debug)]
pub struct Stack {
    /// Jobs.
    pub registry: Arc<JobRegistry>,
    /// Statuses.
    pub status: Arc<StatusBoard>,
    /// Where the API listens.
    pub api_address: Option<SocketAddr>,
    /// The log.
    pub log: LogHandle,
    process: Process,
}

/// The log of a stack, with a `Debug`.
#[derive(Clone)]
pub struct LogHandle(pub SharedLog);

impl std::fmt::Debug for LogHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.describe())
    }
}

impl LogHandle {
    /// For people.
    pub fn describe(&self) -> String {
        self.0.describe()
    }
}

impl Stack {
    /// Opens the log and starts the parts. They end when `token` is cancelled.
    pub async fn start(config: StackConfig, token: &CancellationToken) -> Result<Self> {
        let log = open_log(&config.log, &SystemClock::shared()).await?;
        let mut process = Process::start(
            log.clone(),
            &config.prefix,
            config.sealer.clone(),
            token.child_token(),
        )
        .await?;
        if let Some(key) = &config.fresh_key {
            key.save(process.registry.list().keys().map(String::as_str))?;
        }
        if config.producer {
            start_producer(&mut process, &config);
        }
        if config.applier {
            start_applier(&mut process, &config);
        }
        let mut api_address = None;
        if let Some(listen) = config.listen {
            let embedded = matches!(config.log, LogChoice::Embedded(_));
            process.alone = embedded && config.producer && config.applier;
            process.bounds.allowed_hosts = config.allow_hosts;
            let api = api(&process);
            let address = process.serve(listen, "--listen", api.router()).await?;
            api_address = Some(address);
        }
        process.health.ready("started");
        Ok(Self {
            registry: process.registry.clone(),
            status: process.status.clone(),
            api_address,
            log: LogHandle(log),
            process,
        })
    }

    /// Waits until the parts have ended: after the token was cancelled, or one of them failed.
    pub async fn ended(self) -> Result<()> {
        Ok(self.process.ended(STOP_DEADLINE).await?)
    }

    /// Stops all parts, within a deadline.
    pub async fn stop(self) {
        self.process.token().cancel();
        match self.process.ended(STOP_DEADLINE).await {
            Ok(()) => info!("stopped"),
            Err(error) => error!(error = %error, "stopped; the next start resumes from the log"),
        }
    }
}

fn start_producer(process: &mut Process, config: &StackConfig) {
    ccr_producer::metrics::describe();
    let service = ProducerService::new(
        ccr_producer::Deps::of(process),
        ProducerConfig {
            prefix: config.prefix.clone(),
            ..config.producer_config.clone()
        },
    );
    process.spawn("producer", service.run(process.token()));
}

fn start_applier(process: &mut Process, config: &StackConfig) {
    ccr_applier::metrics::describe();
    let service = ApplierService::new(
        ccr_applier::Deps::of(process),
        ApplierConfig {
            prefix: config.prefix.clone(),
            ..config.applier_config.clone()
        },
    );
    process.spawn("applier", service.run(process.token()));
}

fn api(process: &Process) -> Api {
    Api {
        registry: process.registry.clone(),
        status: process.status.clone(),
        installation: process.installation.clone(),
        sealer: process.sealer.clone(),
        clock: process.clock.clone(),
        connect: {
            let installation = process.installation.clone();
            Arc::new(move |address| Ok(Arc::new(SqlProbe(installation.client(address))) as Arc<_>))
        },
    }
}

async fn open_log(choice: &LogChoice, clock: &Arc<dyn Clock>) -> Result<SharedLog> {
    match choice {
        LogChoice::Embedded(path) => Embedded::open(path, clock.clone())
            .with_context(|| format!("opening the embedded log {}", path.display())),
        LogChoice::Kafka(config) => Kafka::connect((**config).clone())
            .await
            .context("connecting to Kafka"),
    }
}
