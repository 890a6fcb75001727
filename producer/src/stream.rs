//! One stream: owned through a consumer group, run again and again.
//!
//! `join -> Assigned -> run { locate -> tail -> enrich -> publish, beside them ticker, lock and snapshot desk } -> Revoked`

use std::convert::Infallible;
use std::time::Duration;

use ccr_control::{Problem, ProducerRequest, StatusBoard, StreamState};
use ccr_doris::error::Refusal;
use ccr_log::{Committed, GroupReader, Offset, ReaderEvent, Record};
use ccr_ops::retry::policy;
use ccr_ops::{Backoff, ErrorKind};
use ccr_schemas::topic::producer_group;
use ccr_schemas::{CommitSeq, Timeline};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::context::Context;
use crate::enrich::{Begin, Enricher, Own};
use crate::error::Error;
use crate::locate::locate;
use crate::metrics as names;
use crate::missing_stream::watch_switch;
use crate::plan::catalog::Catalog;
use crate::plan::{Input, Located, State, Step, step};
use crate::publish::publish;
use crate::report::Concern;
use crate::snapshot::Desk;
use crate::survey::{survey, survey_at};
use crate::tail;

/// Pages and batches between two parts of a run; each is bounded itself.
const QUEUE: usize = 4;
/// Pause between two statuses.
pub(crate) const STATUS_INTERVAL: Duration = Duration::from_secs(1);
/// Longest pause before a source that contradicts the log is asked again.
const CONTRADICTION_RETRY: Duration = Duration::from_secs(5);
/// Pause behind the beginning of a timeline: a source that changes its mind without end must not fill the log.
const TIMELINE_PAUSE: Duration = Duration::from_secs(1);

/// Runs a stream until it has to stop, whenever this process is the one to do it.
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
        result = serve(ctx, status, reader.as_mut()) => never(result),
    };
    reader.close().await;
    result
}

async fn serve(
    ctx: &Context,
    status: &StatusBoard,
    reader: &mut dyn GroupReader,
) -> Result<Infallible, Error> {
    loop {
        match reader.next().await? {
            ReaderEvent::Assigned { committed } => {
                info!(stream = %ctx.key, "stream assigned");
                own(ctx, status, reader, committed).await?;
                info!(stream = %ctx.key, "stream revoked: another producer runs it");
            }
            // Another producer owns the stream.
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
    let runs = runs(ctx, status, &desk);
    tokio::pin!(runs);
    loop {
        tokio::select! {
            biased;
            // 1. who owns the stream, and what is asked of it
            event = reader.next() => match event {
                Ok(ReaderEvent::Revoked) => return Ok(()),
                Ok(ReaderEvent::Record(record)) => {
                    ctx.report.well(Concern::Requests);
                    take_request(ctx, &desk, &record);
                }
                Ok(ReaderEvent::Assigned { .. } | ReaderEvent::CaughtUp { .. }) => {
                    ctx.report.well(Concern::Requests);
                }
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
            result = &mut runs => return never(result),
        }
    }
}

async fn wait_for_log(ctx: &Context, error: ccr_log::Error) -> Result<(), Error> {
    match error.kind() {
        ErrorKind::Transient | ErrorKind::Unavailable | ErrorKind::Throttled => {
            debug!(stream = %ctx.key, error = %error, "cannot read requests, retrying");
            let problem = Problem::of_log(&error, ctx.clock.now_ms());
            ctx.report.trouble(Concern::Requests, problem);
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
                   "cannot read a request, skipping it");
        }
    }
    desk.delivered(Offset(record.offset.0 + 1));
}

/// Runs the stream again and again while this process owns it: whatever ends a run, the next one begins by reading back
/// what the log holds.
async fn runs(ctx: &Context, status: &StatusBoard, desk: &Desk) -> Result<Infallible, Error> {
    tokio::select! {
        biased;
        result = run_again(ctx, desk) => result,
        never = report_status(ctx, status) => match never {},
    }
}

async fn run_again(ctx: &Context, desk: &Desk) -> Result<Infallible, Error> {
    let mut backoff: Option<(ErrorKind, Backoff)> = None;
    let mut doubt = None;
    loop {
        let began = ctx.clock.monotonic();
        if doubt.is_none() {
            ctx.report.enter(StreamState::Starting, "starting");
        }
        let error = match run_once(ctx, desk, doubt).await {
            Ok(TimelineBegun) => {
                doubt = None;
                ctx.clock.sleep(TIMELINE_PAUSE).await;
                continue;
            }
            Err(error) => error,
        };
        let kind = error.kind();
        count(kind);
        let ran_well = ctx.clock.monotonic() > began + Duration::from_secs(60);
        let seed = ctx.clock.now_ms().unsigned_abs();
        let waits = match &mut backoff {
            Some((same, waits)) if *same == kind && !ran_well => waits,
            other => &mut other.insert((kind, Backoff::new(policy(kind), seed))).1,
        };
        let mut delay = waits.next_delay().unwrap_or(ctx.config.halt_retry);
        let is_known = doubt.is_some();
        let (state, action) = if let Error::Contradiction { since, .. } = &error {
            doubt = Some(*since);
            delay = delay.min(CONTRADICTION_RETRY);
            (StreamState::Halted, "halted")
        } else {
            doubt = None;
            match kind {
                ErrorKind::Invalid | ErrorKind::Corrupt => (StreamState::Halted, "halted"),
                ErrorKind::Transient
                | ErrorKind::Unavailable
                | ErrorKind::Throttled
                | ErrorKind::Conflict
                | ErrorKind::Fenced => (StreamState::Retrying, "restarting"),
            }
        };
        if is_known && doubt.is_some() {
            debug!(stream = %ctx.key, error = %error.chain(), "source and log still contradict each other");
        } else {
            error!(stream = %ctx.key, error = %error.chain(), retry_in_ms = delay.as_millis(), "stream {action}");
        }
        let problem = error.problem(ctx.clock.now_ms());
        ctx.report.failed(state, action, problem);
        ctx.clock.sleep(delay).await;
    }
}

/// The one good end of a run: a new timeline is durable in the log, and the next run follows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimelineBegun;

/// One run: from the log's tail to the first failure. `doubt`: since when earlier runs have found source and log to
/// contradict each other.
pub(crate) async fn run_once(
    ctx: &Context,
    desk: &Desk,
    doubt: Option<Duration>,
) -> Result<TimelineBegun, Error> {
    let log_tail = locate(ctx).await?;
    let after = log_tail.end.as_ref().map(|end| end.position);
    let stream = tail::source_end(ctx, after.unwrap_or(CommitSeq::BEFORE_FIRST)).await?;
    let (db_id, _) = survey(ctx).await?;
    let timeline = log_tail.end.as_ref().map(|end| end.timeline);
    let timeline = timeline.unwrap_or(Timeline::FIRST);
    let located = Located {
        log: log_tail.end,
        db_id,
        stream,
        at: ctx.now(),
        doubt,
    };
    let rules = ctx.config.rules();
    let first: Step = step(&rules, State::Locating, Input::Located(located));
    let position = match &first.state {
        State::Following(following) => following.settle.released(),
        State::Replacing(replacing) => replacing.published,
        State::Halted(reason) => {
            let since = doubt.unwrap_or_else(|| ctx.clock.monotonic());
            let reason = *reason;
            return Err(Error::Contradiction { reason, since });
        }
        State::Locating | State::Replaced => {
            return Err(Error::Ended("the stream has no start position"));
        }
    };
    let catalog_is_fresh = log_tail.catalog.is_none();
    let catalog = match (log_tail.catalog, &first.state) {
        (Some(catalog), _) => catalog,
        // Nothing is published that needs names.
        (None, State::Replacing(_)) => Catalog::default(),
        (None, _) => survey_at(ctx, position).await?,
    };
    if doubt.is_none() {
        info!(stream = %ctx.key, position = position.0, timeline = timeline.0, "following");
    }
    ctx.report.published(position, 0);
    // A doubtful source is not followed before it has agreed.
    if matches!(first.state, State::Following(_)) && doubt.is_none() {
        ctx.report.enter(StreamState::Following, "following");
    }
    desk.begin(ctx, timeline, log_tail.snapshots);
    ctx.report.lost(log_tail.lost_up_to);
    let enricher = Enricher::new(
        ctx,
        Begin {
            db_id,
            timeline,
            position,
            catalog,
            catalog_is_fresh,
        },
    );
    let (items_in, items_out) = mpsc::channel(QUEUE);
    let (own_in, own_out) = mpsc::channel(QUEUE);
    let (batches_in, batches_out) = mpsc::channel(QUEUE);
    // None of the parts but the first ends without an error, so that no run goes on without one of them.
    tokio::select! {
        biased;
        result = tail::follow(ctx, &rules, first, items_in) => result.map(|()| TimelineBegun),
        result = enricher.run(items_out, own_out, batches_in) => never(result),
        result = publish(ctx, batches_out) => never(result),
        result = beat(ctx, own_in.clone()) => never(result),
        result = lock(ctx) => never(result),
        result = watch_switch(ctx) => never(result),
        result = desk.serve(ctx, own_in) => never(result),
    }
}

fn never<T>(result: Result<Infallible, Error>) -> Result<T, Error> {
    match result {
        Err(error) => Err(error),
        Ok(never) => match never {},
    }
}

fn count(kind: ErrorKind) {
    metrics::counter!(names::ERRORS, "component" => "producer", "kind" => kind.as_str())
        .increment(1);
}

/// Heartbeats while nothing is published.
async fn beat(ctx: &Context, own: mpsc::Sender<Own>) -> Result<Infallible, Error> {
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
async fn lock(ctx: &Context) -> Result<Infallible, Error> {
    let Some(interval) = ctx.config.lock_interval else {
        return std::future::pending().await;
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
                // The FE is too old for locks.
                Ok(None) => return std::future::pending().await,
                Err(error) if error.refusal() == Some(Refusal::UnknownMethod) => {
                    return std::future::pending().await;
                }
                Err(error) => {
                    debug!(stream = %ctx.key, error = %error, "position not acknowledged")
                }
            }
        }
        ctx.clock.sleep(interval).await;
    }
}

/// Writes the status once a second. A log that is away is reported by the stream itself.
pub(crate) async fn report_status(ctx: &Context, status: &StatusBoard) -> Infallible {
    loop {
        let now = ctx.clock.now_ms();
        let facts = ctx.report.status(&ctx.key, &ctx.config.owner, now);
        if let Err(error) = status.report_stream(facts).await {
            debug!(stream = %ctx.key, error = %error, "status not written");
        }
        ctx.clock.sleep(STATUS_INTERVAL).await;
    }
}
