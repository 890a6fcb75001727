//! `ccr-producer`: source Doris to Kafka.

mod args;

use std::process::ExitCode;

use ccr_control::process::{self, Prepared, Process, owner};
use ccr_ops::task::BoxError;
use ccr_producer::{Deps, ProducerConfig, ProducerService, metrics};
use clap::Parser;

use crate::args::Args;

fn main() -> ExitCode {
    let args = Args::parse();
    process::run(&args.process, || prepare(&args), start)
}

fn prepare(args: &Args) -> Result<Prepared<ProducerConfig>, BoxError> {
    metrics::describe();
    let settings = args.settings(std::env::vars())?;
    let mut config = settings.producer;
    if config.owner == ProducerConfig::default().owner {
        config.owner = owner();
    }
    config.validate()?;
    Ok(Prepared {
        prefix: config.prefix.clone(),
        config,
        kafka: settings.kafka,
    })
}

fn start(process: &mut Process, config: ProducerConfig) {
    let service = ProducerService::new(Deps::of(process), config);
    process.spawn("producer", service.run(process.token()));
}
