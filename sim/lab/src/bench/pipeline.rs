//! Transactions per second on one table at a far target: 5 ms per RPC, 20 ms per ingest. Next to one at a time.

use anyhow::Result;
use ccr_ops::SystemClock;
use serde_json::json;

use super::Measured;
use super::pair::{Pair, delay, insert};

/// Transactions of the run with many in flight, so many that starting the job does not count.
const MANY: u64 = 1_500;
/// Transactions of the run with one at a time.
const FEW: u64 = 200;
const IN_FLIGHT: usize = 32;

pub(super) async fn run() -> Result<Vec<Measured>> {
    let many = rate(IN_FLIGHT, MANY).await?;
    let one = rate(1, FEW).await?;
    Ok(vec![
        Measured::new(
            "pipeline",
            format!("transactions on one table, {IN_FLIGHT} in flight"),
            many,
            "txn/s",
        ),
        Measured::new(
            "pipeline",
            "transactions on one table, one at a time",
            one,
            "txn/s",
        ),
        Measured::new("pipeline", "ratio", many / one, "x"),
    ])
}

/// Rate at which a backlog is worked off.
async fn rate(in_flight: usize, transactions: u64) -> Result<f64> {
    let pair = Pair::start().await?;
    pair.job("far", json!({ "transactions_in_flight": in_flight }))
        .await?;
    pair.post("pause", json!({"name": "far"})).await?;
    pair.until("far", |status| {
        status.state == ccr_control::JobState::Paused
    })
    .await?;
    for id in 1..=transactions {
        insert(&pair.source, id).await?;
    }
    delay(&pair.target, &["beginTxn", "commitTxn", "getMeta"], 5);
    delay(&pair.target, &["ingest_binlog"], 25);
    // The events are in the log before the clock starts: it is the applier that is measured.
    pair.published("far").await?;
    let clock = SystemClock::shared();
    let start = clock.monotonic();
    pair.post("resume", json!({"name": "far"})).await?;
    pair.applied("far").await?;
    let took = clock.monotonic().saturating_sub(start);
    pair.stop().await;
    #[allow(clippy::cast_precision_loss, reason = "a few hundred")]
    Ok(transactions as f64 / took.as_secs_f64())
}
