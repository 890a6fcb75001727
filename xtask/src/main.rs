//! Repository tasks. `cargo xtask --help`.

mod check;
mod drivers;
mod gen_files;
mod genuine;
mod imports;
mod kafka;
mod lines;
mod promises;
mod run;
mod simulate;
mod test;
mod words;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Tasks of this repository.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", max_term_width = 110)]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// All tests that need no server, then those on a real Apache Kafka (Java 17 and Maven Central are needed for it).
    Test(test::TestArgs),
    /// Formatting, lints, docs, generated files, import rules, file lengths, banned words.
    Check(check::CheckArgs),
    /// Make the generated files again: Thrift code (needs the Thrift compiler 0.17) and golden bytes.
    Gen(gen_files::GenArgs),
    /// Producers, appliers, the log and a model of Doris in one thread with one clock: a seed decides everything that happens.
    Simulate(simulate::SimulateArgs),
    /// Public MySQL drivers, the mariadb command line and curl against dorisim; fetches them from PyPI, Debian and Maven Central.
    Drivers(drivers::DriversArgs),
    /// End-to-end tests of the product on a genuine Doris frontend, which must be there already; see docs/genuine.md.
    Genuine(genuine::GenuineArgs),
    /// Apache Kafka for tests and for trying out.
    #[command(subcommand)]
    Kafka(kafka::KafkaTask),
}

fn main() -> ExitCode {
    let result = match Args::parse().task {
        Task::Test(args) => test::test(&args),
        Task::Check(args) => check::check(&args),
        Task::Gen(args) => gen_files::generate(&args),
        Task::Simulate(args) => simulate::simulate(&args),
        Task::Drivers(args) => drivers::drivers(&args),
        Task::Genuine(args) => genuine::genuine(&args),
        Task::Kafka(task) => kafka::kafka(&task),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}
