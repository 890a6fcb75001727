//! The accept loop: a connection gets a slot, a place of the reserve, or is closed.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::{DefaultBodyLimit, MatchedPath, Request};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::Bounds;
use super::body::{self, Held};
use super::guard::{self, HostRule, Refusal};
use super::health::{Health, shell};
use crate::names;

/// How long requests under way may go on after the token was cancelled.
const DRAIN: Duration = Duration::from_secs(5);
/// Pause after a connection could not be accepted: usually no file descriptor is free.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Largest head of a request, and the buffer of a connection.
const HEAD_BYTES: usize = 64 << 10;

/// Serves `router` with the routes of [`shell`] next to it until the token is cancelled, then lets requests under way finish
/// for a few seconds. Every request is bounded, judged, counted and timed. `/live`, `/ready` and `/metrics` are answered
/// also while all connections are in use.
///
/// # Errors
/// The listener has no address.
///
/// # Panics
/// When `router` has one of the routes of [`shell`] itself.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    health: Health,
    bounds: Bounds,
    token: CancellationToken,
) -> io::Result<()> {
    let hosts = HostRule::of(listener.local_addr()?, &bounds.allowed_hosts);
    let slots = Arc::new(Semaphore::new(bounds.connections));
    let bounds = Arc::new(bounds);
    let all = bounded(router.merge(shell(health.clone())), &bounds, &hosts);
    let few = bounded(
        shell(health).fallback(async || {
            refused((
                StatusCode::SERVICE_UNAVAILABLE,
                "all connections of this server are in use; try again".to_owned(),
            ))
        }),
        &bounds,
        &hosts,
    );
    let mut reserve = Reserve::new(bounds.reserve);
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = token.cancelled() => break,
            Some(_ended) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                debug!(%error, "connection not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        match Arc::clone(&slots).try_acquire_owned() {
            Ok(slot) => {
                let connection = connection(
                    stream,
                    all.clone(),
                    Kind::Full,
                    bounds.clone(),
                    token.clone(),
                );
                connections.spawn(async move {
                    connection.await;
                    drop(slot);
                });
            }
            Err(_full) => {
                metrics::counter!(names::HTTP_OVERFLOW).increment(1);
                let connection = connection(
                    stream,
                    few.clone(),
                    Kind::Reserve,
                    bounds.clone(),
                    token.clone(),
                );
                reserve.take(connections.spawn(connection));
            }
        }
    }
    drop(listener);
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN, drained).await.is_err() {
        warn!(
            seconds = DRAIN.as_secs(),
            "HTTP requests did not finish in time and were aborted"
        );
    }
    Ok(())
}

/// Connections beyond the slots: a bounded number, the newest are kept.
struct Reserve {
    limit: usize,
    open: VecDeque<AbortHandle>,
}

impl Reserve {
    fn new(limit: usize) -> Self {
        Self {
            limit: limit.max(1),
            open: VecDeque::new(),
        }
    }

    fn take(&mut self, connection: AbortHandle) {
        self.open.retain(|open| !open.is_finished());
        if self.open.len() >= self.limit
            && let Some(oldest) = self.open.pop_front()
        {
            oldest.abort();
        }
        self.open.push_back(connection);
    }
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Every route, request after request.
    Full,
    /// Health and metrics, one request.
    Reserve,
}

async fn connection(
    stream: TcpStream,
    router: Router,
    kind: Kind,
    bounds: Arc<Bounds>,
    token: CancellationToken,
) {
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.head_time)
        .max_buf_size(HEAD_BYTES)
        .keep_alive(kind == Kind::Full)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::pin!(serving);
    let result = tokio::select! {
        biased;
        result = serving.as_mut() => result,
        () = async { tokio::select! {
            () = token.cancelled() => {}
            () = tokio::time::sleep(bounds.age) => {}
        } } => {
            serving.as_mut().graceful_shutdown();
            match tokio::time::timeout(DRAIN, serving).await {
                Ok(result) => result,
                Err(_elapsed) => return,
            }
        }
    };
    if let Err(error) = result {
        debug!(%error, "HTTP connection ended");
    }
}

fn bounded(router: Router, bounds: &Arc<Bounds>, hosts: &HostRule) -> Router {
    let memory = Arc::new(Semaphore::new(bounds.bodies_bytes));
    let (bounds, hosts) = (Arc::clone(bounds), Arc::new(hosts.clone()));
    router
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn(move |request: Request, next: Next| {
            let (bounds, hosts, memory) = (bounds.clone(), hosts.clone(), memory.clone());
            async move { measured(request, next, &bounds, &hosts, &memory).await }
        }))
}

#[allow(
    clippy::disallowed_methods,
    reason = "a duration for a metric; nothing is decided by it"
)]
async fn measured(
    request: Request,
    next: Next,
    bounds: &Bounds,
    hosts: &HostRule,
    memory: &Arc<Semaphore>,
) -> Response {
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned());
    let start = std::time::Instant::now();
    let response = match answer(request, next, bounds, hosts, memory).await {
        Ok(response) => response,
        Err(refusal) => refused(refusal),
    };
    metrics::histogram!(
        names::HTTP_DURATION,
        names::ROUTE => route,
        names::STATUS => response.status().as_str().to_owned()
    )
    .record(start.elapsed());
    response
}

async fn answer(
    request: Request,
    next: Next,
    bounds: &Bounds,
    hosts: &HostRule,
    memory: &Arc<Semaphore>,
) -> Result<Response, Refusal> {
    let (head, body) = request.into_parts();
    let has_body = !body.is_end_stream();
    guard::judge(&head.method, &head.uri, &head.headers, has_body, hosts)?;
    let Held { bytes, room } = body::read(body, bounds, memory).await?;
    let request = Request::from_parts(head, Body::from(bytes));
    let response = tokio::time::timeout(bounds.answer_time, next.run(request)).await;
    drop(room);
    response.map_err(|_elapsed| {
        (
            StatusCode::GATEWAY_TIMEOUT,
            format!(
                "not answered within {} s; the request may still take effect",
                bounds.answer_time.as_secs()
            ),
        )
    })
}

fn refused((status, text): Refusal) -> Response {
    (status, Json(json!({"success": false, "error_msg": text}))).into_response()
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
