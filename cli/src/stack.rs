//! The parts put together in one process.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use ccr_applier::{ApplierConfig, ApplierService};
use ccr_control::probe::SqlProbe;
use ccr_control::{Api, JobRegistry, StatusBoard};
use ccr_doris::DorisCluster;
use ccr_log::SharedLog;
use ccr_log::embedded::Embedded;
use ccr_log::kafka::{Kafka, KafkaConfig};
use ccr_ops::task::Chain;
use ccr_ops::{Clock, Sealer, SystemClock};
use ccr_producer::{ProducerConfig, ProducerService};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::args::LogArgs;

/// How long parts may take to finish what they are doing.
const STOP_DEADLINE: Duration = Duration::from_secs(20);

/// Which log.
#[derive(Clone, Debug)]
pub enum LogChoice {
    /// One SQLite file.
    Embedded(PathBuf),
    /// Apache Kafka.
    Kafka(Box<KafkaConfig>),
}

impl LogChoice {
    /// From the command line; the embedded log lies in `data_dir`.
    pub fn of(args: &LogArgs, data_dir: &Path) -> Result<Self> {
        let Some(bootstrap) = &args.kafka else {
            return Ok(Self::Embedded(data_dir.join("log.sqlite")));
        };
        let mut config = KafkaConfig::new(bootstrap.clone());
        for option in &args.kafka_options {
            config.set_option(option)?;
        }
        Ok(Self::Kafka(Box::new(config)))
    }
}

/// What a process runs.
#[derive(Clone, Debug)]
pub struct StackConfig {
    /// The log.
    pub log: LogChoice,
    /// Prefix of topics and groups.
    pub prefix: String,
    /// Schema registry.
    pub schema_registry: Option<String>,
    /// Log key.
    pub sealer: Sealer,
    /// Run the producer.
    pub producer: bool,
    /// Run the applier.
    pub applier: bool,
    /// Serve the HTTP API there.
    pub listen: Option<SocketAddr>,
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
    token: CancellationToken,
    tasks: JoinSet<()>,
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
        let token = token.child_token();
        let clock = SystemClock::shared();
        let log = open_log(&config.log, &clock).await?;
        let registry = JobRegistry::open(log.clone(), &config.prefix)
            .await
            .context("opening the jobs topic")?;
        let status = StatusBoard::open(log.clone(), &config.prefix)
            .await
            .context("opening the status topic")?;
        let owner = format!("{}:{}", host_name(), std::process::id());
        let mut tasks = JoinSet::new();
        {
            let (registry, status) = (registry.clone(), status.clone());
            let (a, b) = (token.clone(), token.clone());
            tasks.spawn(async move { registry.run(a).await });
            tasks.spawn(async move { status.run(b).await });
        }
        let mut stack = Self {
            registry,
            status,
            api_address: None,
            log: LogHandle(log),
            token,
            tasks,
        };
        if config.producer {
            stack.start_producer(&config, &clock, &owner).await?;
        }
        if config.applier {
            stack.start_applier(&config, &clock, &owner);
        }
        if let Some(listen) = config.listen {
            stack.start_api(listen, &config, clock).await?;
        }
        Ok(stack)
    }

    async fn start_producer(
        &mut self,
        config: &StackConfig,
        clock: &Arc<dyn Clock>,
        owner: &str,
    ) -> Result<()> {
        let mut settings = ProducerConfig {
            prefix: config.prefix.clone(),
            owner: owner.to_owned(),
            ..ProducerConfig::default()
        };
        settings.schema_registry.clone_from(&config.schema_registry);
        let service = ProducerService::new(
            ccr_producer::Deps {
                log: self.log.0.clone(),
                registry: self.registry.clone(),
                status: self.status.clone(),
                sealer: config.sealer.clone(),
                clock: clock.clone(),
                connect: ccr_producer::connect_doris(),
            },
            settings,
        );
        let token = self.token.clone();
        self.tasks.spawn(async move {
            if let Err(error) = service.run(token.clone()).await {
                error!(error = %Chain(&error), "producer ended");
                token.cancel();
            }
        });
        Ok(())
    }

    fn start_applier(&mut self, config: &StackConfig, clock: &Arc<dyn Clock>, owner: &str) {
        let service = ApplierService::new(
            ccr_applier::Deps {
                log: self.log.0.clone(),
                registry: self.registry.clone(),
                status: self.status.clone(),
                sealer: config.sealer.clone(),
                clock: clock.clone(),
                connect: ccr_applier::Connect::new(|address| {
                    Ok(Arc::new(DorisCluster::new(address.clone())))
                }),
            },
            ApplierConfig {
                prefix: config.prefix.clone(),
                owner: owner.to_owned(),
                ..ApplierConfig::default()
            },
        );
        let token = self.token.clone();
        self.tasks.spawn(async move {
            if let Err(error) = service.run(token.clone()).await {
                error!(error = %Chain(&error), "applier ended");
                token.cancel();
            }
        });
    }

    async fn start_api(
        &mut self,
        listen: SocketAddr,
        config: &StackConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<()> {
        let listener = TcpListener::bind(listen)
            .await
            .with_context(|| format!("listening on {listen} for the HTTP API (--listen)"))?;
        self.api_address = Some(listener.local_addr()?);
        let api = Api {
            registry: self.registry.clone(),
            status: self.status.clone(),
            sealer: config.sealer.clone(),
            clock,
            connect: Arc::new(|address| {
                Ok(Arc::new(SqlProbe(DorisCluster::new(address))) as Arc<_>)
            }),
        };
        let token = self.token.clone();
        self.tasks.spawn(async move {
            let stop = token.clone();
            if let Err(error) = ccr_ops::http::serve(listener, api.router(), stop).await {
                error!(error = %error, "HTTP API ended");
                token.cancel();
            }
        });
        Ok(())
    }

    /// Stops all parts, within a deadline.
    pub async fn stop(mut self) {
        self.token.cancel();
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_DEADLINE, all).await.is_err() {
            error!(
                seconds = STOP_DEADLINE.as_secs(),
                "parts did not finish in time and are abandoned; the next start goes on from the log"
            );
        }
        info!("stopped");
    }
}

async fn open_log(choice: &LogChoice, clock: &Arc<dyn Clock>) -> Result<SharedLog> {
    match choice {
        LogChoice::Embedded(path) => Embedded::open(path, clock.clone())
            .with_context(|| format!("opening the embedded log {}", path.display())),
        LogChoice::Kafka(config) => Kafka::connect((**config).clone())
            .await
            .with_context(|| format!("connecting to Kafka at {}", config.bootstrap)),
    }
}

fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map(|name| name.trim().to_owned())
        .unwrap_or_else(|_| "localhost".to_owned())
}
