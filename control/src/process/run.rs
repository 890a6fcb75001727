//! The life of a process on Kafka, from its command line to its exit code.

use std::error::Error as StdError;
use std::process::ExitCode;
use std::time::Duration;

use axum::Router;
use ccr_log::{Kafka, KafkaConfig};
use ccr_ops::task::{BoxError, Chain};
use ccr_ops::{Sealer, shutdown};
use tracing::info;

use crate::process::{KafkaSettings, Process, ProcessArgs, owner, read_log_key, start_telemetry};

/// The process failed.
pub const EXIT_FAILED: u8 = 1;
/// Command line or configuration can not work; clap uses the same.
pub const EXIT_USAGE: u8 = 2;
/// How long tasks may take to end.
const STOP_DEADLINE: Duration = Duration::from_secs(30);

/// What a process made of its settings.
#[derive(Debug)]
pub struct Prepared<C> {
    /// Its own configuration.
    pub config: C,
    /// First part of topic names.
    pub prefix: String,
    /// Settings of librdkafka.
    pub kafka: KafkaSettings,
}

/// Runs a process until a signal: `prepare` reads its settings, `start` starts its parts.
pub fn run<C>(
    args: &ProcessArgs,
    prepare: impl FnOnce() -> Result<Prepared<C>, BoxError>,
    start: impl FnOnce(&mut Process, C),
) -> ExitCode {
    // 1. everything fallible and synchronous
    let (prepared, kafka, sealer) = match ready(args, prepare) {
        Ok(ready) => ready,
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
    let result = runtime.block_on(until_stopped(args, prepared, kafka, sealer, start));
    // Threads of the Kafka client may still wait for a broker that is gone.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(exit_code(error.as_ref()), &error),
    }
}

/// [`EXIT_USAGE`] when the log says that a person has to change settings or rights, else [`EXIT_FAILED`].
pub fn exit_code(error: &(dyn StdError + 'static)) -> u8 {
    let mut next = Some(error);
    while let Some(cause) = next {
        let said = cause
            .downcast_ref::<ccr_log::Error>()
            // Stands for what is in it, which therefore is no cause of its own.
            .or_else(|| match cause.downcast_ref::<crate::Error>() {
                Some(crate::Error::Log(log)) => Some(log),
                Some(_) | None => None,
            });
        if let Some(log) = said {
            return if log.is_configuration() {
                EXIT_USAGE
            } else {
                EXIT_FAILED
            };
        }
        next = cause.source();
    }
    EXIT_FAILED
}

fn ready<C>(
    args: &ProcessArgs,
    prepare: impl FnOnce() -> Result<Prepared<C>, BoxError>,
) -> Result<(Prepared<C>, KafkaConfig, Sealer), BoxError> {
    start_telemetry(&args.log, args.log_format)?;
    let prepared = prepare()?;
    let kafka = args
        .kafka
        .config(&prepared.prefix, &prepared.kafka, std::env::vars())?
        .ok_or("no Kafka brokers are named; use --kafka HOST:PORT, CCR_KAFKA, or bootstrap.servers in the file of --kafka-config")?;
    Ok((prepared, kafka, read_log_key(&args.log_key_file)?))
}

async fn until_stopped<C>(
    args: &ProcessArgs,
    prepared: Prepared<C>,
    kafka: KafkaConfig,
    sealer: Sealer,
    start: impl FnOnce(&mut Process, C),
) -> Result<(), BoxError> {
    let token = shutdown::on_signals();
    let log = Kafka::connect(kafka).await?;
    let mut process = Process::start(log, &prepared.prefix, sealer, token).await?;
    if let Some(address) = args.metrics_addr {
        let address = process
            .serve(address, "--metrics-addr", Router::new())
            .await?;
        info!(address = %address, "metrics served");
    }
    start(&mut process, prepared.config);
    process.health.ready("started");
    info!(log = process.log.describe(), owner = owner(), "runs");
    process.ended(STOP_DEADLINE).await?;
    Ok(())
}

fn fail(code: u8, error: &BoxError) -> ExitCode {
    eprintln!("error: {}", Chain(error.as_ref()));
    ExitCode::from(code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::ProcessError;

    #[test]
    fn settings_that_can_not_work_end_with_another_code_than_a_log_that_is_away() {
        let refused = ccr_log::Error::Refused {
            action: "look up topic ccr.jobs".to_owned(),
            reason: "not authorized".to_owned(),
            advice: "rights".to_owned(),
        };
        let error = ProcessError::Topic("jobs", crate::Error::Log(refused));
        assert_eq!(exit_code(&error), EXIT_USAGE);
        let away = ccr_log::Error::Timeout {
            action: "append".to_owned(),
            seconds: 1,
        };
        assert_eq!(
            exit_code(&ProcessError::Topic("jobs", crate::Error::Log(away))),
            EXIT_FAILED
        );
        assert_eq!(exit_code(&std::io::Error::other("x")), EXIT_FAILED);
    }
}
