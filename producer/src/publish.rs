//! Events -> log. One append at a time, each as large as what waits: a hole cannot arise, and the log's fsync is shared.

use std::convert::Infallible;
use std::time::Duration;

use ccr_log::{NewRecord, Offset};
use ccr_schemas::{CommitSeq, EventKind};
use tokio::sync::{mpsc, oneshot};

use crate::checkpoint::Kept;
use crate::context::Context;
use crate::error::Error;
use crate::metrics as names;

/// Encoded events that belong together.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// In order.
    pub records: Vec<NewRecord>,
    /// Bytes of their values.
    pub bytes: usize,
    /// What they are.
    pub kinds: Vec<EventKind>,
    /// Position after them.
    pub position: Option<CommitSeq>,
    /// When the first of them was first seen, by the monotonic clock.
    pub seen: Option<Duration>,
    /// What a restart needs, when they changed it.
    pub kept: Kept,
    /// Notified when they are durable.
    pub durable: Vec<oneshot::Sender<Offset>>,
}

impl Batch {
    fn merge(&mut self, other: Self) {
        self.records.extend(other.records);
        self.bytes += other.bytes;
        self.kinds.extend(other.kinds);
        self.position = other.position.or(self.position);
        self.seen = self.seen.or(other.seen);
        self.kept.merge(other.kept);
        self.durable.extend(other.durable);
    }
}

/// Appends what comes as long as it is let. The first failure ends the stream's run: what is durable is
/// read back from the log before anything else is written.
pub(crate) async fn publish(
    ctx: &Context,
    mut batches: mpsc::Receiver<Batch>,
) -> Result<Infallible, Error> {
    while let Some(mut batch) = batches.recv().await {
        while batch.records.len() < ctx.config.append_records
            && batch.bytes < ctx.config.append_bytes
        {
            match batches.try_recv() {
                Ok(more) => batch.merge(more),
                Err(_) => break,
            }
        }
        append(ctx, batch).await?;
    }
    Err(Error::Ended("the task that encodes events ended"))
}

async fn append(ctx: &Context, batch: Batch) -> Result<(), Error> {
    let started = ctx.clock.monotonic();
    let count = batch.records.len();
    let last = ctx.log.append(&ctx.topics.events, batch.records).await?;
    let now = ctx.clock.monotonic();
    batch.kept.append(ctx).await?;
    if let Some(position) = batch.position {
        ctx.report.published(position, count as u64);
    }
    for kind in batch.kinds {
        metrics::counter!(names::EVENTS_PUBLISHED, "event" => kind.as_str()).increment(1);
    }
    metrics::histogram!(names::APPEND_RECORDS).record(count as f64);
    metrics::histogram!(names::APPEND_DURATION).record((now - started).as_secs_f64());
    if let Some(seen) = batch.seen {
        metrics::histogram!(names::PUBLISH_DELAY).record(now.saturating_sub(seen).as_secs_f64());
    }
    for waiting in batch.durable {
        // Nobody waits any more: the announcement is in the log all the same.
        let _ = waiting.send(last);
    }
    Ok(())
}
