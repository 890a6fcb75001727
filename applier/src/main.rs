//! `ccr-applier`: Kafka to destination Doris.

mod args;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use ccr_applier::{ApplierConfig, ApplierService, Deps, connect_doris, metrics};
use ccr_control::{JobRegistry, StatusBoard};
use ccr_log::kafka::{Kafka, KafkaConfig};
use ccr_ops::http::Health;
use ccr_ops::task::{Chain, Outcome};
use ccr_ops::{OnError, Sealer, Supervisor, SystemClock, http, shutdown, telemetry};
use clap::Parser;
use tracing::info;

use crate::args::{Args, LogFormat};

/// The process failed.
const EXIT_FAILED: u8 = 1;
/// Command line or configuration can not work; clap uses the same.
const EXIT_USAGE: u8 = 2;
/// How long tasks may take to end.
const STOP_DEADLINE: Duration = Duration::from_secs(30);

/// Everything that can fail before something runs.
struct Prepared {
    config: ApplierConfig,
    kafka: KafkaConfig,
    sealer: Sealer,
}

fn main() -> ExitCode {
    let args = Args::parse();
    // 1. everything fallible and synchronous
    let prepared = match prepare(&args) {
        Ok(prepared) => prepared,
        Err(error) => return fail(EXIT_USAGE, &error),
    };
    // 2. the runtime
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(EXIT_FAILED, &error.into()),
    };
    let result = runtime.block_on(run(&args, prepared));
    // Threads of the Kafka client may still wait for a broker that is gone.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(EXIT_FAILED, &error),
    }
}

fn fail(code: u8, error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::from(code)
}

fn prepare(args: &Args) -> Result<Prepared> {
    telemetry::init(&args.log, args.log_format == LogFormat::Json)?;
    metrics::describe();
    let settings = args.settings(std::env::vars())?;
    let config = args.applier(&settings.applier, owner());
    let mut kafka = KafkaConfig::new(&args.kafka);
    for (key, value) in &settings.kafka {
        kafka.set(key, value)?;
    }
    for option in &args.kafka_options {
        kafka.set_option(option)?;
    }
    let path = args.log_key_file.display();
    let key = std::fs::read_to_string(&args.log_key_file)
        .with_context(|| format!("log key {path}; make one with `ccr keygen > {path}`"))?;
    let sealer = Sealer::from_base64(&key).with_context(|| format!("log key {path}"))?;
    Ok(Prepared {
        config,
        kafka,
        sealer,
    })
}

async fn run(args: &Args, prepared: Prepared) -> Result<()> {
    let token = shutdown::on_signals();
    let log = Kafka::connect(prepared.kafka).await?;
    let registry = JobRegistry::open(log.clone(), &prepared.config.prefix).await?;
    let status = StatusBoard::open(log.clone(), &prepared.config.prefix).await?;
    let health = Health::default();
    let mut tasks = Supervisor::new(token.clone());
    if let Some(address) = args.metrics_addr {
        let listener = tokio::net::TcpListener::bind(address)
            .await
            .with_context(|| format!("--metrics-addr {address}"))?;
        info!(address = %listener.local_addr()?, "metrics served");
        let serving = http::serve(listener, http::shell(health.clone()), token.clone());
        tasks.spawn("http", OnError::Report, serving);
    }
    let owner = prepared.config.owner.clone();
    let service = ApplierService::new(
        Deps {
            log: log.clone(),
            registry: registry.clone(),
            status: Arc::clone(&status),
            sealer: prepared.sealer,
            clock: SystemClock::shared(),
            connect: connect_doris(),
        },
        prepared.config,
    );
    let following = token.clone();
    tasks.spawn("jobs", OnError::StopAll, async move {
        registry.run(following).await;
        Ok::<(), std::io::Error>(())
    });
    tasks.spawn("applier", OnError::StopAll, service.run(token.clone()));
    health.ready("started");
    info!(log = log.describe(), owner, "applier runs");
    let mut failed = None;
    for exit in tasks.join_all(STOP_DEADLINE).await {
        if let Some(problem) = problem(&exit.outcome) {
            failed.get_or_insert(format!("task {}: {problem}", exit.name));
        }
    }
    match failed {
        Some(text) => bail!(text),
        None => Ok(()),
    }
}

/// Why a task did not end as it should.
fn problem(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Finished => None,
        Outcome::Failed(error) => Some(Chain(error.as_ref()).to_string()),
        Outcome::Panicked(message) => Some(format!("panicked: {message}")),
        Outcome::Aborted => Some("did not stop in time".to_owned()),
    }
}

/// `host:pid`, for people.
fn owner() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .or_else(|_| std::env::var("HOSTNAME"))
        .unwrap_or_default();
    format!("{}:{}", host.trim(), std::process::id())
}
