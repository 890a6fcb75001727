//! `ccr-applier`: Kafka to destination Doris.

mod args;

use std::process::ExitCode;

use ccr_applier::{ApplierConfig, ApplierService, Deps, metrics};
use ccr_control::process::{self, Prepared, Process, owner};
use ccr_ops::task::BoxError;
use clap::Parser;

use crate::args::Args;

fn main() -> ExitCode {
    let args = Args::parse();
    process::run(&args.process, || prepare(&args), start)
}

fn prepare(args: &Args) -> Result<Prepared<ApplierConfig>, BoxError> {
    metrics::describe();
    let settings = args.settings(std::env::vars())?;
    let mut config = settings.applier;
    if config.owner == ApplierConfig::default().owner {
        config.owner = owner();
    }
    config.validate()?;
    Ok(Prepared {
        prefix: config.prefix.clone(),
        config,
        kafka: settings.kafka,
    })
}

fn start(process: &mut Process, config: ApplierConfig) {
    let service = ApplierService::new(Deps::of(process), config);
    process.spawn("applier", service.run(process.token()));
}
