//! Command line. Doc comments are the help text.

use std::path::PathBuf;

use ccr_cli::args::LogArgs;
use ccr_control::process::LogFormat;
use clap::{Parser, Subcommand, ValueEnum};

/// Shows and measures the product on simulated clusters of Apache Doris. Nothing has to be installed.
#[derive(Debug, Parser)]
#[command(name = "ccr-lab", version, max_term_width = 110)]
pub struct Args {
    /// What is logged to stderr, for instance `info`, `debug`, `warn,ccr_applier=debug`.
    #[arg(long, global = true, env = "CCR_LOG", default_value = "warn")]
    pub log: String,
    /// How it is logged.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the whole product on three simulated clusters: full sync, live replication, DDL, comparison of every row.
    ///
    /// Exit codes: 0 when every table is equal, 3 when one is not, 1 when the run failed, 2 when the command line is wrong.
    Quickstart(QuickstartArgs),
    /// Measure this build: events per second, transactions per second, lag, memory.
    Bench(BenchArgs),
}

/// `ccr-lab quickstart`.
#[derive(Clone, Debug, clap::Args)]
pub struct QuickstartArgs {
    /// Size of the TPC-H data; 1.0 is one gigabyte.
    #[arg(long, default_value_t = 0.01)]
    pub scale: f64,
    /// The log.
    #[command(flatten)]
    pub log: LogArgs,
    /// Leave everything running at the end, and print for each cluster a mysql line and for each job a ccr line.
    #[arg(long)]
    pub keep: bool,
    /// Change one row of the first destination behind the product's back before comparing, to see that it is noticed.
    #[arg(long)]
    pub corrupt: bool,
    /// Give up when the targets have not caught up after this many seconds.
    #[arg(long, default_value_t = 300)]
    pub patience: u64,
}

/// `ccr-lab bench`.
#[derive(Clone, Debug, clap::Args)]
pub struct BenchArgs {
    /// Only these; default all.
    #[arg(value_enum)]
    pub only: Vec<BenchName>,
    /// Write the results to this file as JSON, besides the table on stdout.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Seconds per measurement.
    #[arg(long, default_value_t = 5)]
    pub seconds: u64,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BenchName {
    /// Events encoded and decoded per second.
    Codec,
    /// Events per second of the producer with a source that answers at once.
    Producer,
    /// Events per second of the applier with a destination that answers at once.
    Applier,
    /// Transactions per second on one table with 5 ms RPC and 20 ms ingest, next to one at a time.
    Pipeline,
    /// End-to-end lag at 100 transactions per second.
    Lag,
    /// Resident memory of one database replicated to three targets.
    Memory,
}
