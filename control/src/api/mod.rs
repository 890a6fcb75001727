//! The HTTP API. Bodies and answers are those of ccr-syncer, with more fields, so that its users' scripts go on working.
//!
//! Every answer is JSON: `{"success":true, ...}` or `{"success":false,"error_msg":"..."}` with status 200, as scripts expect.
//! Only a body that is not JSON gets status 400 with plain text.

mod compat;
mod create;
mod jobs;
mod lag;
mod restart;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use ccr_ops::{Clock, Sealer};
use serde::Deserialize;
use serde_json::{Value, json};
use tracing::warn;

use crate::error::Error;
use crate::installation::Installation;
use crate::probe::ConnectProbe;
use crate::registry::JobRegistry;
use crate::status::StatusBoard;

/// What the API works with.
#[derive(Clone)]
pub struct Api {
    /// Jobs.
    pub registry: Arc<JobRegistry>,
    /// Statuses.
    pub status: Arc<StatusBoard>,
    /// What outlasts jobs.
    pub installation: Arc<Installation>,
    /// Seals passwords before they enter the log.
    pub sealer: Sealer,
    /// Time of creation.
    pub clock: Arc<dyn Clock>,
    /// Reaches clusters.
    pub connect: ConnectProbe,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api").finish_non_exhaustive()
    }
}

impl Api {
    /// The routes. Each operator is reachable by POST; those that take nothing also by GET.
    pub fn router(self) -> Router {
        Router::new()
            .route("/version", get(version).post(version))
            .route("/list_jobs", get(jobs::list).post(jobs::list))
            .route("/create_ccr", post(create::create))
            .route("/job_status", post(jobs::status).get(jobs::status))
            .route("/get_lag", post(lag::get_lag).get(lag::get_lag))
            .route("/pause", post(jobs::pause))
            .route("/resume", post(jobs::resume))
            .route("/resync", post(restart::resync))
            .route("/skip", post(restart::skip))
            .route("/delete", post(jobs::delete))
            .route("/force_fullsync", post(restart::resync))
            .route(
                "/job_progress",
                post(compat::job_progress).get(compat::job_progress),
            )
            .route("/features", get(compat::features).post(compat::features))
            .with_state(self)
    }
}

async fn version(body: Bytes) -> Response {
    if let Err(refusal) = read_nothing(&body) {
        return *refusal;
    }
    ok(json!({"version": env!("CARGO_PKG_VERSION"), "product": "ccr"}))
}

/// `{"name": "..."}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NamedJob {
    name: String,
}

/// Refuses members of a body that takes none; an empty body is fine.
fn read_nothing(body: &Bytes) -> Result<(), Box<Response>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Nothing {}
    if body.is_empty() {
        return Ok(());
    }
    read::<Nothing>(body).map(|_| ())
}

/// Reads a body; what is not JSON is told with the parser's position, and nothing of the body (it may hold passwords).
fn read<T: for<'de> Deserialize<'de>>(body: &Bytes) -> Result<T, Box<Response>> {
    let value: Value = serde_json::from_slice(body).map_err(|error| {
        let text = format!(
            "request body is not JSON (line {}, column {}); send Content-Type: application/json",
            error.line(),
            error.column()
        );
        Box::new((StatusCode::BAD_REQUEST, text).into_response())
    })?;
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        // The parser's words may repeat a value, and a value may be a password: they go to the caller only.
        warn!(member = path, "request body does not fit");
        let text = match path.as_str() {
            "." => format!("request body: {}", error.inner()),
            path => format!("request body, {path}: {}", error.inner()),
        };
        Box::new(refusal(&text))
    })
}

fn ok(mut answer: Value) -> Response {
    if let Some(map) = answer.as_object_mut() {
        map.insert("success".to_owned(), Value::Bool(true));
    }
    axum::Json(answer).into_response()
}

fn failed(error: &Error) -> Response {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    warn!(error = %text, "request refused");
    refusal(&text)
}

fn refusal(text: &str) -> Response {
    axum::Json(json!({"success": false, "error_msg": text})).into_response()
}

fn answer(result: Result<Value, Error>) -> Response {
    match result {
        Ok(value) => ok(value),
        Err(error) => failed(&error),
    }
}
