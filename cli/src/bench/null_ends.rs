//! Producer and applier alone: the other end answers at once.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use ccr_log::embedded::Embedded;
use ccr_ops::SystemClock;
use ccr_producer::bench::{NullSource, measure};

use super::Measured;

/// Events of a run: enough for seconds, few enough for a laptop's disk.
const TRANSACTIONS: u64 = 200_000;

pub(super) async fn producer(_time: Duration) -> Result<Vec<Measured>> {
    let folder = tempfile::tempdir()?;
    let clock = SystemClock::shared();
    let log = Embedded::open(folder.path().join("log.sqlite"), clock.clone())
        .context("opening an embedded log")?;
    let what = NullSource {
        transactions: TRANSACTIONS,
        tables: 10,
        tablets: 10,
    };
    let measured = measure(log, clock, what).await?;
    #[allow(clippy::cast_precision_loss, reason = "a few hundred thousand")]
    let events = measured.events as f64;
    Ok(vec![Measured::new(
        "producer",
        "events published, null source, embedded log",
        events / measured.seconds,
        "events/s",
    )])
}

pub(super) async fn applier(_time: Duration) -> Result<Vec<Measured>> {
    bail!("not built yet")
}
