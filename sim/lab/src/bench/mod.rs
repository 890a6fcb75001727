//! Numbers of this build. Each is a count, a ratio or a quantile of something the product does; see `docs/benchmarks.md`.

mod codec;
mod lag;
mod memory;
mod null_ends;
mod pair;
mod pipeline;

use std::time::Duration;

use anyhow::{Context, Result};
use ccr_ops::SystemClock;
use serde::Serialize;

use crate::args::{BenchArgs, BenchName};

/// One number.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measured {
    /// Which benchmark.
    pub bench: &'static str,
    /// What was measured.
    pub what: String,
    /// The number.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
}

impl Measured {
    fn new(bench: &'static str, what: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self {
            bench,
            what: what.into(),
            value,
            unit,
        }
    }
}

const ALL: [BenchName; 6] = [
    BenchName::Codec,
    BenchName::Producer,
    BenchName::Applier,
    BenchName::Pipeline,
    BenchName::Lag,
    BenchName::Memory,
];

/// Runs what was asked for, one after the other.
pub async fn run(args: &BenchArgs) -> Result<Vec<Measured>> {
    let chosen = if args.only.is_empty() {
        ALL.to_vec()
    } else {
        args.only.clone()
    };
    let time = Duration::from_secs(args.seconds.max(1));
    let mut results = Vec::new();
    for name in chosen {
        eprintln!("measuring {name:?} ...");
        let measured = match name {
            BenchName::Codec => codec::run(time),
            BenchName::Producer => null_ends::producer(time).await,
            BenchName::Applier => null_ends::applier(time).await,
            BenchName::Pipeline => pipeline::run().await,
            BenchName::Lag => lag::run(time).await,
            BenchName::Memory => memory::run(time).await,
        };
        results.extend(measured.with_context(|| format!("benchmark {name:?}"))?);
    }
    Ok(results)
}

/// For people.
pub fn render(results: &[Measured]) -> String {
    let mut out = format!("{:<10} {:<58} {:>14}  unit\n", "bench", "what", "value");
    for result in results {
        out.push_str(&format!(
            "{:<10} {:<58} {:>14.1}  {}\n",
            result.bench, result.what, result.value, result.unit
        ));
    }
    out
}

/// Calls `work` until the time is over; calls per second.
fn per_second(time: Duration, mut work: impl FnMut() -> Result<()>) -> Result<f64> {
    let clock = SystemClock::shared();
    let start = clock.monotonic();
    let mut calls = 0_u32;
    loop {
        for _ in 0..100 {
            work()?;
        }
        calls += 100;
        let took = clock.monotonic().saturating_sub(start);
        if took >= time {
            return Ok(f64::from(calls) / took.as_secs_f64());
        }
    }
}
