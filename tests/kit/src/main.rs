//! `ccr-simulate`: runs seeds, one after the other.

use std::collections::BTreeMap;
use std::process::ExitCode;

use ccr_test_kit::sim::known::Known;
use ccr_test_kit::sim::run::{Report, run};
use ccr_test_kit::sim::scenario::Scenario;
use clap::Parser;

/// Runs the product against a model of Doris; a seed decides everything that happens.
#[derive(Debug, Parser)]
#[command(max_term_width = 110)]
struct Args {
    /// Number of seeds.
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// First seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Print the whole trace.
    #[arg(long)]
    trace: bool,
    /// Lines of the trace shown for a seed that fails.
    #[arg(long, default_value_t = 40)]
    tail: usize,
    /// Let defects happen that are known and not mended.
    #[arg(long)]
    known: bool,
    /// Go on after a seed that fails.
    #[arg(long)]
    all: bool,
    /// Print what was reached, and how often.
    #[arg(long)]
    reached: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let mut reached: BTreeMap<String, u64> = BTreeMap::new();
    let (mut failed, mut virtual_ms) = (Vec::new(), 0);
    for seed in args.from..args.from + args.seeds {
        let avoided = if args.known {
            Known::none_avoided()
        } else {
            Known::all_avoided()
        };
        let report = run(&Scenario::new(seed, avoided), args.trace);
        virtual_ms += report.virtual_ms;
        for (point, count) in &report.reached {
            *reached.entry(point.clone()).or_default() += count;
        }
        if !report.violations.is_empty() {
            show(&report, args.tail);
            failed.push(seed);
            if !args.all {
                break;
            }
        }
    }
    if args.reached {
        for (point, count) in &reached {
            println!("{count:>9} {point}");
        }
    }
    println!(
        "{} seeds from {}, {} of them failed {failed:?}, {} virtual minutes",
        args.seeds,
        args.from,
        failed.len(),
        virtual_ms / 60_000
    );
    if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn show(report: &Report, tail: usize) {
    println!(
        "\nseed {} failed after {} virtual ms:",
        report.seed, report.virtual_ms
    );
    for violation in &report.violations {
        println!("  {violation}");
    }
    let skipped = report.tail.len().saturating_sub(tail);
    for line in report.tail.iter().skip(skipped) {
        println!("{line}");
    }
    println!(
        "again: ./x simulate --from {} --seeds 1 --trace\n",
        report.seed
    );
}
