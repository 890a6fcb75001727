//! Stream loads of a backend that runs alone, for a genuine frontend.
//!
//! The backend parses the body itself, by a plan that the frontend gives it (`at_frontend`). A simulated frontend loads into
//! backends of its own process.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};

use super::at_frontend::Loads;
use super::{errors, two_phase};
use dorisim_be::agent::Agent;
use dorisim_be::exec::Executor;

/// The routes on a backend that runs alone.
pub fn backend_router(agent: Arc<Agent>, executor: Arc<Executor>) -> Router {
    Router::new()
        .route("/api/{db}/{table}/_stream_load", put(load))
        .route("/api/{db}/_stream_load_2pc", put(finish_db))
        .route("/api/{db}/{table}/_stream_load_2pc", put(finish_table))
        .route("/api/_load_error_log", get(error_log))
        .with_state(Loads::new(agent, executor))
}

async fn load(
    State(loads): State<Loads>,
    Path((db, table)): Path<(String, String)>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    // A task of its own: a client that goes away must not leave the transaction open.
    let running = tokio::spawn(async move { loads.load(&db, &table, &head.headers, body).await });
    match running.await {
        Ok(answer) => answer.into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn finish_db(
    State(loads): State<Loads>,
    Path(db): Path<String>,
    headers: HeaderMap,
) -> Response {
    two_phase::answer(loads.finish(&db, &headers).await)
}

async fn finish_table(
    State(loads): State<Loads>,
    Path((db, _table)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    two_phase::answer(loads.finish(&db, &headers).await)
}

async fn error_log(
    State(loads): State<Loads>,
    Query(parameters): Query<HashMap<String, String>>,
) -> Response {
    errors::shown(&loads.errors, &parameters)
}
