//! One stream: owned through a consumer group, lived again and again.
//!
//! `join -> Assigned -> life { locate -> tail -> enrich -> publish, beside them ticker, lock and snapshot desk } -> Revoked`

use std::time::Duration;

use ccr_control::{ProducerRequest, StatusBoard};
use ccr_doris::error::Refusal;
use ccr_log::{Committed, GroupReader, Offset, ReaderEvent, Record};
use ccr_ops::retry::policy;
use ccr_ops::{Backoff, ErrorKind};
use ccr_schemas::topic::producer_group;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::context::Context;
use crate::enrich::{Enricher, Own, survey};
use crate::error::Error;
use crate::locate::locate;
use crate::metrics as names;
use crate::plan::{Input, Located, State, Step, step};
use crate::publish::publish;
use crate::snapshot::Desk;
use crate::tail;

/// Pages and batches between two parts of a life; each is bounded itself.
const QUEUE: usize = 4;
/// Pause between two statuses.
const STATUS_INTERVAL: Duration = Duration::from_secs(1);

/// Runs a stream until told to stop, whenever this process is the one to do it.
pub(crate) async fn run(
    ctx: &Context,
    status: &StatusBoard,
    token: &CancellationToken,
) -> Result<(), Error> {
    ctx.ensure_topics().await?;
    let group = producer_group(&ctx.config.prefix, &ctx.key.source, &ctx.key.database);
    let mut reader = ctx.log.join(&group, &ctx.topics.control).await?;
    let result = tokio::select! {
        biased;
        // 1. stop
        () = token.cancelled() => Ok(()),
        // 2. work
        result = serve(ctx, status, reader.as_mut()) => result,
    };
    reader.close().await;
    result
}

async fn serve(
    ctx: &Context,
    status: &StatusBoard,
    reader: &mut dyn GroupReader,
) -> Result<(), Error> {
    loop {
        match reader.next().await? {
            ReaderEvent::Assigned { committed } => {
                info!(stream = %ctx.key, "stream is ours");
                own(ctx, status, reader, committed).await?;
                info!(stream = %ctx.key, "stream went to another producer");
            }
            // Standing by.
            ReaderEvent::Revoked | ReaderEvent::Record(_) | ReaderEvent::CaughtUp { .. } => {}
        }
    }
}

/// Owns the stream until it is revoked.
async fn own(
    ctx: &Context,
    status: &StatusBoard,
    reader: &mut dyn GroupReader,
    committed: Option<Committed>,
) -> Result<(), Error> {
    let (low, _) = ctx.log.watermarks(&ctx.topics.control).await?;
    let from = committed.map_or(low, |at| at.offset.max(low));
    reader.seek(from).await?;
    let desk = Desk::new(from);
    let mut answered = desk.answered();
    let lives = lives(ctx, status, &desk);
    tokio::pin!(lives);
    loop {
        tokio::select! {
            biased;
            // 1. who owns the stream, and what is asked of it
            event = reader.next() => match event {
                Ok(ReaderEvent::Revoked) => return Ok(()),
                Ok(ReaderEvent::Record(record)) => take_request(ctx, &desk, &record),
                Ok(ReaderEvent::Assigned { .. } | ReaderEvent::CaughtUp { .. }) => {}
                Err(ccr_log::Error::OffsetGone { oldest, .. }) => {
                    warn!(stream = %ctx.key, "requests were deleted by retention before they were read");
                    reader.seek(oldest).await?;
                }
                Err(error) => wait_for_log(ctx, error).await?,
            },
            // 2. requests that are answered durably
            Ok(()) = answered.changed() => {
                let offset = *answered.borrow_and_update();
                let position = Committed { offset, metadata: String::new() };
                match reader.commit(position).await {
                    Ok(()) => {}
                    Err(ccr_log::Error::Fenced { .. }) => return Ok(()),
                    // The next answer, or the next start, commits again.
                    Err(error) => debug!(stream = %ctx.key, error = %error, "requests not committed"),
                }
            }
            // 3. the stream itself
            result = &mut lives => return result,
        }
    }
}

async fn wait_for_log(ctx: &Context, error: ccr_log::Error) -> Result<(), Error> {
    match error.kind() {
        ErrorKind::Transient | ErrorKind::Unavailable | ErrorKind::Throttled => {
            debug!(stream = %ctx.key, error = %error, "requests can not be read, trying on");
            ctx.clock.sleep(policy(error.kind()).initial).await;
            Ok(())
        }
        ErrorKind::Conflict | ErrorKind::Fenced | ErrorKind::Invalid | ErrorKind::Corrupt => {
            Err(error.into())
        }
    }
}

fn take_request(ctx: &Context, desk: &Desk, record: &Record) {
    let Some(value) = &record.value else {
        return;
    };
    match serde_json::from_slice::<ProducerRequest>(value) {
        Ok(request) => desk.ask(record.offset, request, ctx.clock.monotonic()),
        Err(error) => {
            error!(stream = %ctx.key, offset = record.offset.0, error = %error,
                   "request can not be read and is left out");
        }
    }
    desk.delivered(Offset(record.offset.0 + 1));
}

/// Lives until told to stop: whatever ends a life, the next one begins by reading back what the log holds.
async fn lives(ctx: &Context, status: &StatusBoard, desk: &Desk) -> Result<(), Error> {
    let mut backoff: Option<(ErrorKind, Backoff)> = None;
    let reporting = tick_status(ctx, status);
    let living = async {
        loop {
            let began = ctx.clock.monotonic();
            let Err(error) = life(ctx, desk).await else {
                continue;
            };
            let kind = error.kind();
            metrics::counter!(names::ERRORS, "component" => "producer", "kind" => kind.as_str())
                .increment(1);
            if kind == ErrorKind::Fenced {
                return Err(error);
            }
            let halted = matches!(error, Error::Halted(_));
            let lived_well = ctx.clock.monotonic() > began + Duration::from_secs(60);
            let seed = ctx.clock.now_ms().unsigned_abs();
            let waits = match &mut backoff {
                Some((same, waits)) if *same == kind && !lived_well => waits,
                other => &mut other.insert((kind, Backoff::new(policy(kind), seed))).1,
            };
            let delay = waits.next_delay().unwrap_or(ctx.config.halt_retry);
            let action = if halted { "halted" } else { "restarting" };
            error!(stream = %ctx.key, error = %error.chain(), retry_in_ms = delay.as_millis(), "stream {action}");
            ctx.report.failing(action, error.chain());
            ctx.clock.sleep(delay).await;
        }
    };
    tokio::select! {
        biased;
        result = living => result,
        () = reporting => Ok(()),
    }
}

/// One life: from the log's tail to the first failure.
pub(crate) async fn life(ctx: &Context, desk: &Desk) -> Result<(), Error> {
    let log_tail = locate(ctx).await?;
    let stream = tail::source_end(
        ctx,
        log_tail
            .end
            .as_ref()
            .map_or(ccr_schemas::CommitSeq::BEFORE_FIRST, |end| end.position),
    )
    .await?;
    // Asked after the stream's end, so that the catalogue is at least as new.
    let (db_id, surveyed) = survey(ctx).await?;
    let located = Located {
        log: log_tail.end,
        db_id,
        stream,
        now: ctx.clock.monotonic(),
    };
    let rules = ctx.config.rules();
    let first: Step = step(&rules, State::Locating, Input::Located(located));
    let position = match &first.state {
        State::Following(following) => following.settle.released(),
        State::Halted(reason) => return Err(Error::Halted(reason.clone())),
        State::Locating => return Ok(()),
    };
    let is_fresh = log_tail.catalog.is_none();
    let catalog = log_tail.catalog.unwrap_or(surveyed);
    info!(stream = %ctx.key, position = position.0, "following");
    ctx.report.published(position, 0);
    ctx.report.well("following");
    desk.remember(log_tail.snapshots);
    let enricher = Enricher::new(ctx, db_id, position, catalog, is_fresh);
    let (items_in, items_out) = mpsc::channel(QUEUE);
    let (own_in, own_out) = mpsc::channel(QUEUE);
    let (batches_in, batches_out) = mpsc::channel(QUEUE);
    tokio::try_join!(
        tail::follow(ctx, &rules, first, items_in),
        enricher.run(items_out, own_out, batches_in),
        publish(ctx, batches_out),
        beat(ctx, own_in.clone()),
        lock(ctx),
        desk.serve(ctx, own_in),
    )?;
    Ok(())
}

/// Heartbeats while nothing is published.
async fn beat(ctx: &Context, own: mpsc::Sender<Own>) -> Result<(), Error> {
    let mut last = ctx.report.published_position();
    loop {
        ctx.clock.sleep(ctx.config.heartbeat_interval).await;
        let position = ctx.report.published_position();
        if position == last {
            // A full queue means that the stream is not idle.
            let _ = own.try_send(Own::Heartbeat);
        }
        last = position;
    }
}

/// Tells the source now and then what is durable here, when that is wanted: see the setting for what it costs.
async fn lock(ctx: &Context) -> Result<(), Error> {
    let Some(interval) = ctx.config.lock_interval else {
        return Ok(());
    };
    let (source, database) = (&ctx.key.source, &ctx.key.database);
    let holder = format!("ccr_{}_{source}_{database}", ctx.config.prefix);
    loop {
        let at = tail::position(ctx, ctx.report.published_position());
        // A negative position would lock the newest record.
        if at.after.0 >= 0 {
            metrics::counter!(names::SOURCE_CALLS, "call" => "lock_binlog").increment(1);
            match ctx.source.lock_binlog(&at, &holder).await {
                Ok(Some(_)) => {}
                Ok(None) => return Ok(()),
                Err(error) if error.refusal() == Some(Refusal::UnknownMethod) => return Ok(()),
                Err(error) => {
                    debug!(stream = %ctx.key, error = %error, "position not acknowledged")
                }
            }
        }
        ctx.clock.sleep(interval).await;
    }
}

/// Writes the status once a second. A log that is away is told by the stream itself.
async fn tick_status(ctx: &Context, status: &StatusBoard) {
    loop {
        let now = ctx.clock.now_ms();
        let facts = ctx.report.status(&ctx.key, &ctx.config.owner, now);
        if let Err(error) = status.report_stream(facts).await {
            debug!(stream = %ctx.key, error = %error, "status not written");
        }
        ctx.clock.sleep(STATUS_INTERVAL).await;
    }
}
