//! HTTP shell: health and metrics next to whatever routes a process has, served with bounds.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::{names, telemetry};

/// Largest request body, unless a router sets its own.
pub const MAX_BODY_BYTES: usize = 1 << 20;
/// Longest time to answer one request, reading its body included.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// How long requests under way may go on after the token was cancelled.
const DRAIN: Duration = Duration::from_secs(5);

/// Conditions that must hold before a process is ready. Shared; a part sets its own condition by name.
#[derive(Clone, Debug, Default)]
pub struct Health {
    conditions: Arc<Mutex<BTreeMap<String, Option<String>>>>,
}

impl Health {
    /// The condition holds.
    pub fn ready(&self, condition: &str) {
        self.set(condition, None);
    }

    /// The condition does not hold (yet). The reason is shown to whoever asks: no secrets.
    pub fn not_ready(&self, condition: &str, reason: impl Into<String>) {
        self.set(condition, Some(reason.into()));
    }

    /// The reasons why this process is not ready, by condition. Empty means ready.
    pub fn reasons(&self) -> BTreeMap<String, String> {
        self.conditions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .filter_map(|(name, reason)| Some((name.clone(), reason.clone()?)))
            .collect()
    }

    fn set(&self, condition: &str, reason: Option<String>) {
        metrics::gauge!(names::READY, names::CONDITION => condition.to_owned())
            .set(if reason.is_none() { 1.0 } else { 0.0 });
        self.conditions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(condition.to_owned(), reason);
    }
}

/// `GET /live` (the process runs), `GET /ready` (200, or 503 with the reasons), `GET /metrics`.
pub fn shell(health: Health) -> Router {
    Router::new()
        .route("/live", get(async || "live\n"))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics_text))
        .with_state(health)
}

/// `router` with the routes of [`shell`] next to its own.
///
/// # Panics
/// When `router` has one of these routes itself.
pub fn with_shell(router: Router, health: Health) -> Router {
    router.merge(shell(health))
}

/// Serves until the token is cancelled, then lets requests under way finish for a few seconds. Every request is bounded
/// in body size and time, counted and timed.
///
/// # Errors
/// The listener failed.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    token: CancellationToken,
) -> io::Result<()> {
    serve_within(listener, router, token, REQUEST_TIMEOUT).await
}

async fn serve_within(
    listener: TcpListener,
    router: Router,
    token: CancellationToken,
    timeout: Duration,
) -> io::Result<()> {
    let router = router
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(from_fn(move |request, next| {
            bounded(request, next, timeout)
        }));
    let server = axum::serve(listener, router)
        .with_graceful_shutdown(token.clone().cancelled_owned())
        .into_future();
    let drained = async {
        token.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        biased;
        result = server => result,
        () = drained => {
            warn!(seconds = DRAIN.as_secs(), "HTTP requests did not finish in time and are dropped");
            Ok(())
        }
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "a duration for a metric; nothing is decided by it"
)]
async fn bounded(request: Request, next: Next, timeout: Duration) -> Response {
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned());
    let start = std::time::Instant::now();
    let response = match tokio::time::timeout(timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_elapsed) => (
            StatusCode::GATEWAY_TIMEOUT,
            Json(json!({
                "success": false,
                "error_msg": format!("not answered within {} s; the request may still take effect", timeout.as_secs()),
            })),
        )
            .into_response(),
    };
    metrics::histogram!(
        names::HTTP_DURATION,
        names::ROUTE => route,
        names::STATUS => response.status().as_str().to_owned()
    )
    .record(start.elapsed());
    response
}

async fn ready(State(health): State<Health>) -> Response {
    let reasons = health.reasons();
    let status = if reasons.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (
        status,
        Json(json!({"ready": reasons.is_empty(), "reasons": reasons})),
    )
        .into_response()
}

async fn metrics_text() -> Response {
    (
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4")],
        telemetry::render(),
    )
        .into_response()
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::routing::post;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::task::JoinHandle;

    use super::*;

    struct Server {
        address: SocketAddr,
        token: CancellationToken,
        task: JoinHandle<io::Result<()>>,
    }

    async fn start(health: Health, timeout: Duration) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let address = listener.local_addr().expect("address");
        let token = CancellationToken::new();
        let router = Router::new()
            .route("/echo", post(async |body: String| body))
            .route(
                "/slow",
                get(async || tokio::time::sleep(Duration::from_secs(30)).await),
            );
        let task = tokio::spawn(serve_within(
            listener,
            with_shell(router, health),
            token.clone(),
            timeout,
        ));
        Server {
            address,
            token,
            task,
        }
    }

    /// Status line and everything after it.
    async fn ask(address: SocketAddr, request: String) -> (u16, String) {
        let mut stream = TcpStream::connect(address).await.expect("connect");
        // The server may answer and close before it has read a body that is too long.
        let _ = stream.write_all(request.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8(answer).expect("text");
        let status = answer
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .expect("status");
        (status, answer)
    }

    async fn get_path(address: SocketAddr, path: &str) -> (u16, String) {
        ask(
            address,
            format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"),
        )
        .await
    }

    #[tokio::test]
    async fn readiness_follows_its_conditions_and_liveness_does_not() {
        let health = Health::default();
        health.ready("log");
        health.not_ready("source", "fe1:9020 refuses connections");
        let server = start(health.clone(), REQUEST_TIMEOUT).await;
        let (status, body) = get_path(server.address, "/ready").await;
        assert_eq!(status, 503);
        assert!(
            body.contains(r#""source":"fe1:9020 refuses connections""#),
            "{body}"
        );
        assert!(!body.contains("\"log\""), "{body}");
        assert_eq!(get_path(server.address, "/live").await.0, 200);
        health.ready("source");
        assert_eq!(get_path(server.address, "/ready").await.0, 200);
    }

    #[tokio::test]
    async fn metrics_are_text_and_requests_are_counted_by_route() {
        telemetry::metrics().expect("metrics");
        let server = start(Health::default(), REQUEST_TIMEOUT).await;
        get_path(server.address, "/live").await;
        let (status, body) = get_path(server.address, "/metrics").await;
        assert_eq!(status, 200);
        assert!(body.contains("text/plain; version=0.0.4"), "{body}");
        assert!(
            body.contains(r#"ccr_http_request_duration_seconds_count{route="/live",status="200"}"#),
            "{body}"
        );
    }

    #[tokio::test]
    async fn bodies_and_times_are_bounded() {
        let server = start(Health::default(), Duration::from_millis(100)).await;
        let post = |body: &str| {
            format!(
                "POST /echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            )
        };
        assert_eq!(ask(server.address, post("hello")).await.0, 200);
        let long = "x".repeat(MAX_BODY_BYTES + 1);
        assert_eq!(ask(server.address, post(&long)).await.0, 413);
        let (status, body) = get_path(server.address, "/slow").await;
        assert_eq!(status, 504);
        assert!(body.contains("\"success\":false"), "{body}");
        // A body that never comes.
        let stuck =
            "POST /echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 9\r\n\r\n";
        assert_eq!(ask(server.address, stuck.to_owned()).await.0, 504);
    }

    #[tokio::test]
    async fn cancelling_ends_the_server() {
        let server = start(Health::default(), REQUEST_TIMEOUT).await;
        assert_eq!(get_path(server.address, "/live").await.0, 200);
        server.token.cancel();
        let ended = tokio::time::timeout(Duration::from_secs(5), server.task).await;
        assert!(matches!(ended, Ok(Ok(Ok(())))), "{ended:?}");
        assert!(TcpStream::connect(server.address).await.is_err());
    }
}
