//! `ccr`: cross-cluster replication for Apache Doris.

use std::process::ExitCode;

use ccr_cli::args::{Args, Command};
use ccr_cli::commands;
use ccr_control::process::exit_code;
use clap::Parser;

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start the async runtime: {error}");
            return ExitCode::from(commands::EXIT_INTERNAL);
        }
    };
    let result = runtime.block_on(async {
        match args.command {
            Command::Standalone(ref standalone) => commands::standalone(&args, standalone).await,
            Command::Job(ref job) => commands::job(job).await,
            Command::Verify(ref verify) => commands::verify(&args, verify).await,
            Command::Keygen => commands::keygen(),
        }
    });
    // Threads of client libraries may still wait for a server that is gone: the process does not wait for them.
    runtime.shutdown_background();
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(exit_code(error.as_ref()))
        }
    }
}
