//! `ccr-lab`: the product on simulated clusters, for a first look and for numbers.

use std::process::ExitCode;

use anyhow::{Context, Result};
use ccr_cli::commands::{EXIT_DIFFERENT, EXIT_INTERNAL};
use ccr_control::process::{exit_code, start_telemetry};
use ccr_lab::args::{Args, BenchArgs, Command, QuickstartArgs};
use ccr_lab::{bench, quickstart};
use clap::Parser;

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: the async runtime cannot start: {error}");
            return ExitCode::from(EXIT_INTERNAL);
        }
    };
    let result = runtime.block_on(async {
        start_telemetry(&args.log, args.log_format)?;
        match &args.command {
            Command::Quickstart(quickstart) => show(quickstart).await,
            Command::Bench(bench) => measure(bench).await,
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

/// Exit code 0 only if every table is equal.
async fn show(args: &QuickstartArgs) -> Result<ExitCode> {
    let verdict = quickstart::run(args, ccr_ops::shutdown::on_signals()).await?;
    Ok(if verdict.all_equal() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(EXIT_DIFFERENT)
    })
}

async fn measure(args: &BenchArgs) -> Result<ExitCode> {
    let results = bench::run(args).await?;
    print!("{}", bench::render(&results));
    if let Some(path) = &args.json {
        std::fs::write(path, serde_json::to_vec_pretty(&results)?)
            .with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}
