//! Snapshots on request: one backup at a time per database, shared by all targets.
//!
//! `control topic -> Desk { decide -> take | reuse } -> snapshots topic (chunks) -> SnapshotTaken -> events topic`

pub mod job_info;
pub mod payload;
pub mod plan;
mod statements;
mod take;

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ccr_control::ProducerRequest;
use ccr_log::Offset;
use ccr_ops::ErrorKind;
use ccr_schemas::TimestampMs;
use ccr_schemas::event::SnapshotTaken;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tracing::{error, info, warn};

use self::plan::{Bounds, Decision, Kept, Present, Request, Scope, answers, decide};
use crate::context::Context;
use crate::enrich::Own;
use crate::error::Error;
use crate::metrics as names;

/// Requests that may wait; a sane installation has one per job.
const MAX_REQUESTS: usize = 10_000;
/// Snapshots remembered; a source keeps ten per database.
const MAX_KEPT: usize = 8;
/// A request that fails this often is dropped; whoever needs it asks again.
const MAX_FAILURES: u32 = 20;
/// First pause after a failure; doubles up to [`MAX_RETRY`].
const FIRST_RETRY: Duration = Duration::from_secs(2);
const MAX_RETRY: Duration = Duration::from_secs(60);

/// Where requests wait. Outlives the lives of its stream.
pub(crate) struct Desk {
    state: Mutex<State>,
    wake: Notify,
    answered: watch::Sender<Offset>,
}

struct State {
    requests: Vec<Request>,
    kept: Vec<Kept>,
    delivered: Offset,
}

impl Desk {
    /// An empty desk; requests are read from this offset on.
    pub(crate) fn new(from: Offset) -> Self {
        Self {
            state: Mutex::new(State {
                requests: Vec::new(),
                kept: Vec::new(),
                delivered: from,
            }),
            wake: Notify::new(),
            answered: watch::channel(from).0,
        }
    }

    /// Tells the offset below which every request is answered durably.
    pub(crate) fn answered(&self) -> watch::Receiver<Offset> {
        self.answered.subscribe()
    }

    /// Takes a request in. A request that waits already stays where it is.
    pub(crate) fn ask(&self, offset: Offset, request: ProducerRequest, now: Duration) {
        let mut state = self.lock();
        match request {
            ProducerRequest::Snapshot {
                request_id,
                tables,
                not_before,
            } => {
                if state.requests.iter().any(|r| r.id == request_id) {
                    return;
                }
                if state.requests.len() >= MAX_REQUESTS {
                    error!(
                        request_id,
                        "too many snapshot requests wait, this one is left out; ask again"
                    );
                    return;
                }
                info!(request_id, not_before, "snapshot asked for");
                state.requests.push(Request {
                    offset,
                    id: request_id,
                    tables: tables.into_iter().collect(),
                    not_before,
                    asked_at: now,
                    retry_at: None,
                    failures: 0,
                });
            }
            ProducerRequest::Withdraw { request_id } => {
                state.requests.retain(|r| r.id != request_id);
            }
        }
        drop(state);
        self.wake.notify_one();
    }

    /// Everything below this offset was taken in.
    pub(crate) fn delivered(&self, next: Offset) {
        self.lock().delivered = next;
        self.tell_answered();
    }

    /// Snapshots found in the log at a start.
    pub(crate) fn remember(&self, snapshots: Vec<(SnapshotTaken, TimestampMs)>) {
        let mut state = self.lock();
        for (snapshot, at) in snapshots {
            state.keep(snapshot, at);
        }
    }

    /// Answers requests until dropped. Only a log that fails ends it: then the whole life of the stream ends.
    pub(crate) async fn serve(&self, ctx: &Context, own: mpsc::Sender<Own>) -> Result<(), Error> {
        let bounds = Bounds {
            reuse: ctx.config.snapshot_reuse,
            margin: ctx.config.snapshot_margin,
            coalesce: ctx.config.coalesce,
        };
        loop {
            let now = present(ctx).await?;
            let decision = {
                let state = self.lock();
                decide(&state.requests, &state.kept, &bounds, &now)
            };
            match decision {
                Decision::Idle => {
                    // Nobody waits: what went wrong for those who withdrew is over.
                    ctx.report.snapshot(None, None);
                    self.wake.notified().await;
                }
                Decision::WaitUntil(at) => {
                    let pause = at
                        .saturating_sub(now.monotonic)
                        .max(Duration::from_millis(1));
                    tokio::select! {
                        biased;
                        // 1. something else came
                        () = self.wake.notified() => {}
                        // 2. the moment
                        () = ctx.clock.sleep(pause) => {}
                    }
                }
                Decision::Reuse { snapshot, requests } => {
                    let again = self.lock().kept.get(snapshot).cloned();
                    if let Some(known) = again {
                        metrics::counter!(names::SNAPSHOTS, "outcome" => "reused").increment(1);
                        self.announce(ctx, &own, known.snapshot, &requests).await;
                    }
                }
                Decision::Take { scope, requests } => {
                    self.take(ctx, &own, scope, &requests).await?;
                }
            }
        }
    }

    async fn take(
        &self,
        ctx: &Context,
        own: &mpsc::Sender<Own>,
        scope: Scope,
        requests: &[String],
    ) -> Result<(), Error> {
        let started = ctx.clock.monotonic();
        let failure = match take::take(ctx, &scope).await {
            Ok(snapshot) => {
                metrics::counter!(names::SNAPSHOTS, "outcome" => "taken").increment(1);
                let seconds = (ctx.clock.monotonic() - started).as_secs();
                info!(stream = %ctx.key, label = snapshot.label, tables = snapshot.tables.len(),
                      chunks = snapshot.chunk_count, seconds, "snapshot taken");
                self.announce(ctx, own, snapshot, requests).await;
                ctx.report.snapshot(None, None);
                // A request that a snapshot of this moment does not answer names a position the source never reached.
                Error::Snapshot {
                    database: ctx.key.database.clone(),
                    what: "the position asked for lies beyond the source's newest".to_owned(),
                }
            }
            Err(Error::Log(error)) => return Err(error.into()),
            Err(error) => error,
        };
        let left = self.fail(requests, &failure, ctx.clock.monotonic());
        if !left.is_empty() {
            metrics::counter!(names::SNAPSHOTS, "outcome" => "failed").increment(1);
            warn!(stream = %ctx.key, error = %failure.chain(), requests = left.len(), "snapshot failed");
            ctx.report.snapshot(None, Some(failure.chain()));
        }
        self.tell_answered();
        Ok(())
    }

    /// Puts the announcement into the stream, waits until it is durable, and strikes the requests it answers.
    async fn announce(
        &self,
        ctx: &Context,
        own: &mpsc::Sender<Own>,
        mut snapshot: SnapshotTaken,
        requests: &[String],
    ) {
        let answered: BTreeSet<String> = self
            .lock()
            .requests
            .iter()
            .filter(|request| requests.contains(&request.id) && answers(&snapshot, request))
            .map(|request| request.id.clone())
            .collect();
        snapshot.request_ids = answered.iter().cloned().collect();
        let label = snapshot.label.clone();
        let (tell, durable) = oneshot::channel();
        if own
            .send(Own::Snapshot(Box::new(snapshot.clone()), tell))
            .await
            .is_err()
            || durable.await.is_err()
        {
            // The life of the stream ends; the requests still wait for the next one.
            return;
        }
        info!(stream = %ctx.key, label, requests = answered.len(), "snapshot announced");
        let mut state = self.lock();
        state.requests.retain(|r| !answered.contains(&r.id));
        state.keep(snapshot, TimestampMs(ctx.clock.now_ms()));
        drop(state);
        self.tell_answered();
    }

    /// Marks requests that still wait as failed; those that failed too often are dropped.
    fn fail(&self, requests: &[String], failure: &Error, now: Duration) -> Vec<String> {
        let mut state = self.lock();
        let mut left = Vec::new();
        for request in &mut state.requests {
            if !requests.contains(&request.id) {
                continue;
            }
            request.failures += 1;
            // What failed together is tried one by one, at once: one bad table must not hold up the others.
            let pause = if requests.len() > 1 {
                Duration::ZERO
            } else {
                FIRST_RETRY
                    .saturating_mul(1 << request.failures.min(10))
                    .min(MAX_RETRY)
            };
            request.retry_at = Some(now + pause);
            left.push(request.id.clone());
        }
        let lasting = failure.kind() != ErrorKind::Unavailable;
        state.requests.retain(|request| {
            let dropped = lasting && request.failures >= MAX_FAILURES;
            if dropped {
                error!(request_id = request.id, error = %failure.chain(),
                       "snapshot request failed too often and is dropped; whoever needs it asks again");
            }
            !dropped
        });
        left
    }

    fn tell_answered(&self) {
        let state = self.lock();
        let offset = state
            .requests
            .iter()
            .map(|request| request.offset)
            .min()
            .unwrap_or(state.delivered);
        drop(state);
        self.answered.send_if_modified(|known| {
            let moved = offset > *known;
            if moved {
                *known = offset;
            }
            moved
        });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// An announcement made again keeps the moment of the first.
    fn keep(&mut self, snapshot: SnapshotTaken, at: TimestampMs) {
        let given = snapshot.request_ids.iter().cloned();
        let known = self
            .kept
            .iter_mut()
            .find(|known| known.snapshot.label == snapshot.label);
        if let Some(known) = known {
            known.given.extend(given);
            return;
        }
        self.kept.push(Kept {
            given: given.collect(),
            snapshot,
            taken_at: at,
        });
        if self.kept.len() > MAX_KEPT {
            self.kept.remove(0);
        }
    }
}

async fn present(ctx: &Context) -> Result<Present, Error> {
    let (oldest_event, _) = ctx.log.watermarks(&ctx.topics.events).await?;
    let (oldest_chunk, _) = ctx.log.watermarks(&ctx.topics.snapshots).await?;
    Ok(Present {
        monotonic: ctx.clock.monotonic(),
        wall: TimestampMs(ctx.clock.now_ms()),
        oldest_event: oldest_event.0,
        oldest_chunk: oldest_chunk.0,
    })
}
