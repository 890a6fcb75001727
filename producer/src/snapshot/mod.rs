//! Snapshots on request: one backup at a time per database, shared by all targets.
//!
//! `control topic -> Desk { decide -> take | reuse } -> snapshots topic (chunks) -> SnapshotTaken -> events topic`

pub mod job_info;
pub mod payload;
pub mod plan;
mod statements;
mod take;

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ccr_control::{Problem, ProblemPart, ProducerRequest, SnapshotStatus};
use ccr_log::Offset;
use ccr_ops::ErrorKind;
use ccr_schemas::event::SnapshotTaken;
use ccr_schemas::{Timeline, TimestampMs};
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
/// A request that fails for so long is dropped; whoever needs it asks again.
const MAX_FAILING: Duration = Duration::from_secs(3600);
/// Failures for want of a table that are not worth a warning: a table that is renamed or dropped after the event that asks
/// for its snapshot is explained by a later event, and its request is withdrawn.
const EXPECTED_FAILURES: u32 = 4;
/// First pause after a failure; doubles up to the longest.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// Longest pause after the source refused to begin a backup: asking again costs it nothing, and the reason, a temporary
/// partition for instance, may be gone in a moment.
const MAX_RETRY_OF_REFUSED: Duration = Duration::from_secs(4);
/// Longest pause after a backup that began and failed.
const MAX_RETRY: Duration = Duration::from_secs(60);

/// Where requests wait. Outlives the runs of its stream.
pub(crate) struct Desk {
    state: Mutex<State>,
    wake: Notify,
    answered: watch::Sender<Offset>,
}

struct State {
    requests: Vec<Request>,
    kept: Vec<Kept>,
    delivered: Offset,
    /// Timeline of the snapshots that are kept.
    timeline: Timeline,
    /// What is being taken, and for whom.
    taking: Option<(Scope, Vec<String>)>,
    /// Why the last attempt for a request failed.
    problems: BTreeMap<String, Problem>,
}

impl Desk {
    /// An empty desk; requests are read from this offset on.
    pub(crate) fn new(from: Offset) -> Self {
        Self {
            state: Mutex::new(State {
                requests: Vec::new(),
                kept: Vec::new(),
                delivered: from,
                timeline: Timeline::FIRST,
                taking: None,
                problems: BTreeMap::new(),
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
                        "too many snapshot requests are waiting; this one is dropped, the applier asks again"
                    );
                    return;
                }
                info!(request_id, not_before, "snapshot requested");
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

    /// Takes over the snapshots that a run of the stream found in the log. Those of another timeline show a history that the
    /// source does not have any more.
    pub(crate) fn begin(
        &self,
        ctx: &Context,
        timeline: Timeline,
        snapshots: Vec<(SnapshotTaken, TimestampMs)>,
    ) {
        let mut state = self.lock();
        state.taking = None;
        if state.timeline != timeline {
            state.timeline = timeline;
            state.kept.clear();
            ctx.report.forget_losses();
        }
        for (snapshot, at) in snapshots {
            state.keep(snapshot, at);
        }
    }

    /// Answers requests until dropped. Only a log that fails ends it: then the whole run of the stream ends.
    pub(crate) async fn serve(
        &self,
        ctx: &Context,
        own: mpsc::Sender<Own>,
    ) -> Result<Infallible, Error> {
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
            self.show(ctx);
            match decision {
                Decision::Idle => self.wake.notified().await,
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
        self.lock().taking = Some((scope.clone(), requests.to_vec()));
        self.show(ctx);
        let taken = take::take(ctx, &scope).await;
        self.lock().taking = None;
        let failure = match taken {
            Ok(snapshot) => {
                metrics::counter!(names::SNAPSHOTS, "outcome" => "taken").increment(1);
                let seconds = (ctx.clock.monotonic() - started).as_secs();
                info!(stream = %ctx.key, label = snapshot.label, tables = snapshot.tables.len(),
                      chunks = snapshot.chunk_count, seconds, "snapshot taken");
                self.announce(ctx, own, snapshot, requests).await;
                // A request that a snapshot of this moment does not answer names a position the source never reached.
                Error::Snapshot {
                    database: ctx.key.database.clone(),
                    what: "the requested position is beyond the newest one of the source"
                        .to_owned(),
                }
            }
            Err(Error::Log(error)) => return Err(error.into()),
            Err(error) => error,
        };
        let left = self.fail(ctx, requests, &failure);
        if !left.is_empty() {
            metrics::counter!(names::SNAPSHOTS, "outcome" => "failed").increment(1);
            let failures = left.iter().map(|(_, failures)| *failures).min();
            let is_early = failures.is_some_and(|failures| failures < EXPECTED_FAILURES);
            if is_early && matches!(failure, Error::MissingTables { .. }) {
                info!(stream = %ctx.key, error = %failure.chain(), requests = left.len(),
                      "snapshot postponed: a later event may drop or rename the table");
            } else if failures.is_some_and(u32::is_power_of_two) {
                warn!(stream = %ctx.key, error = %failure.chain(), requests = left.len(), "snapshot failed");
            }
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
            // The run of the stream ends; the requests still wait for the next one.
            return;
        }
        info!(stream = %ctx.key, label, requests = answered.len(), "snapshot announced");
        let mut state = self.lock();
        state.requests.retain(|r| !answered.contains(&r.id));
        state.keep(snapshot, TimestampMs(ctx.clock.now_ms()));
        drop(state);
        self.tell_answered();
    }

    /// Marks requests that still wait as failed; those that failed too often are dropped. Returns each with its failures.
    fn fail(&self, ctx: &Context, requests: &[String], failure: &Error) -> Vec<(String, u32)> {
        let now = ctx.clock.monotonic();
        let mut problem = failure.problem(ctx.clock.now_ms());
        problem.part = ProblemPart::Snapshot;
        let mut guard = self.lock();
        let state = &mut *guard;
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
                    .min(longest_pause(failure))
            };
            request.retry_at = Some(now + pause);
            let before = state.problems.get(&request.id);
            let problem = problem.clone().continuing(before);
            state.problems.insert(request.id.clone(), problem);
            left.push((request.id.clone(), request.failures));
        }
        let lasting = failure.kind() != ErrorKind::Unavailable;
        state.requests.retain(|request| {
            let dropped = lasting
                && requests.contains(&request.id)
                && now.saturating_sub(request.asked_at) >= MAX_FAILING;
            if dropped {
                error!(request_id = request.id, error = %failure.chain(),
                       "snapshot request failed for too long and is dropped; the applier asks again");
            }
            !dropped
        });
        left
    }

    /// Shows what is being taken, and what waits for another attempt.
    fn show(&self, ctx: &Context) {
        let (now, now_ms) = (ctx.clock.monotonic(), ctx.clock.now_ms());
        let mut guard = self.lock();
        let State {
            requests,
            problems,
            taking,
            ..
        } = &mut *guard;
        problems.retain(|id, _| requests.iter().any(|request| request.id == *id));
        let of_request = |request: &Request| SnapshotStatus {
            tables: request.tables.iter().cloned().collect(),
            request_ids: vec![request.id.clone()],
            since_ms: now_ms - millis(now.saturating_sub(request.asked_at)),
            action: "waiting for the next attempt".to_owned(),
            progress: None,
            failures: request.failures,
            problem: problems.get(&request.id).cloned(),
            next_attempt_at_ms: request
                .retry_at
                .map(|at| now_ms + millis(at.saturating_sub(now))),
        };
        let (taken, waiting): (Vec<&Request>, Vec<&Request>) =
            requests.iter().partition(|request| {
                taking
                    .as_ref()
                    .is_some_and(|(_, ids)| ids.contains(&request.id))
            });
        let mut shown = Vec::new();
        if let (Some((scope, _)), Some(first)) = (&*taking, taken.first()) {
            let each: Vec<SnapshotStatus> =
                taken.iter().map(|request| of_request(request)).collect();
            shown.push(SnapshotStatus {
                tables: match scope {
                    Scope::Database => Vec::new(),
                    Scope::Tables(tables) => tables.iter().cloned().collect(),
                },
                request_ids: taken.iter().map(|request| request.id.clone()).collect(),
                since_ms: each.iter().map(|one| one.since_ms).min().unwrap_or(now_ms),
                action: "starting a backup".to_owned(),
                failures: each.iter().map(|one| one.failures).max().unwrap_or(0),
                problem: each.iter().find_map(|one| one.problem.clone()),
                next_attempt_at_ms: None,
                ..of_request(first)
            });
        }
        let failed = waiting.iter().filter(|request| request.failures > 0);
        shown.extend(failed.map(|request| of_request(request)));
        ctx.report.snapshots(shown);
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

/// Returns the longest pause after a failure.
fn longest_pause(failure: &Error) -> Duration {
    match failure {
        Error::Source { .. } | Error::MissingTables { .. } | Error::UnknownDatabase(_) => {
            MAX_RETRY_OF_REFUSED
        }
        Error::Log(_)
        | Error::Codec(_)
        | Error::Contradiction { .. }
        | Error::Ended(_)
        | Error::Seal { .. }
        | Error::Snapshot { .. }
        | Error::Config { .. }
        | Error::SchemaRegistry { .. } => MAX_RETRY,
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

async fn present(ctx: &Context) -> Result<Present, Error> {
    let (oldest_event, _) = ctx.log.watermarks(&ctx.topics.events).await?;
    let (oldest_chunk, _) = ctx.log.watermarks(&ctx.topics.snapshots).await?;
    Ok(Present {
        monotonic: ctx.clock.monotonic(),
        wall: TimestampMs(ctx.clock.now_ms()),
        oldest_event: oldest_event.0,
        oldest_chunk: oldest_chunk.0,
        lost_up_to: ctx.report.lost_up_to(),
    })
}
