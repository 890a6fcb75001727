//! End-to-end lag: source commit to visible at the target, at 100 transactions per second and 1 ms RPC latency.

use std::time::Duration;

use anyhow::{Context, Result};
use ccr_ops::SystemClock;
use serde_json::json;

use super::Measured;
use super::pair::{Pair, delay, insert};
use crate::quickstart::lag_quantiles;

const INTERVAL: Duration = Duration::from_millis(10);

pub(super) async fn run(time: Duration) -> Result<Vec<Measured>> {
    let pair = Pair::start().await?;
    delay(
        &pair.target,
        &["beginTxn", "commitTxn", "getMeta", "ingest_binlog"],
        1,
    );
    delay(&pair.source, &["getBinlog", "getMeta"], 1);
    pair.job("lag", json!({})).await?;
    let clock = SystemClock::shared();
    let start = clock.monotonic();
    let mut written = 0_u32;
    while clock.monotonic().saturating_sub(start) < time {
        written += 1;
        insert(&pair.source, u64::from(written)).await?;
        let due = start + INTERVAL * written;
        clock.sleep(due.saturating_sub(clock.monotonic())).await;
    }
    let took = clock.monotonic().saturating_sub(start);
    pair.applied("lag").await?;
    let (p50, p99) = lag_quantiles(&ccr_ops::telemetry::render(), &["lag"])
        .context("the applier recorded no replication lag")?;
    pair.stop().await;
    Ok(vec![
        Measured::new(
            "lag",
            "transactions written per second",
            f64::from(written) / took.as_secs_f64(),
            "txn/s",
        ),
        Measured::new(
            "lag",
            "source commit to visible at the target, p50",
            p50 * 1000.0,
            "ms",
        ),
        Measured::new(
            "lag",
            "source commit to visible at the target, p99",
            p99 * 1000.0,
            "ms",
        ),
    ])
}
