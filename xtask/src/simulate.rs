//! `cargo xtask simulate`: the product against a model of Doris, in one thread, as a seed decides.

use anyhow::Result;

use crate::run::{cargo, run};

/// Options of `simulate`.
#[derive(Debug, clap::Args)]
pub struct SimulateArgs {
    /// Number of seeds.
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// First seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Print the whole trace of each seed.
    #[arg(long)]
    trace: bool,
    /// Go on after a seed that fails.
    #[arg(long)]
    all: bool,
    /// Print what was reached, and how often.
    #[arg(long)]
    reached: bool,
}

/// Builds the simulation and runs the seeds.
pub fn simulate(args: &SimulateArgs) -> Result<()> {
    let mut command = cargo();
    command.args([
        "run",
        "--package",
        "ccr-test-kit",
        "--bin",
        "ccr-simulate",
        "--",
    ]);
    command.args([
        "--seeds",
        &args.seeds.to_string(),
        "--from",
        &args.from.to_string(),
    ]);
    for (wanted, flag) in [
        (args.trace, "--trace"),
        (args.all, "--all"),
        (args.reached, "--reached"),
    ] {
        if wanted {
            command.arg(flag);
        }
    }
    run(&mut command)
}
