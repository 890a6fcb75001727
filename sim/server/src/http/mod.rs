//! HTTP of the simulated cluster: [`load`] (stream load), [`admin`]
//! (faults, counters, clock), [`switches`] (records, delays, restart, settings).

pub mod admin;
pub mod load;
mod shared;
pub mod switches;

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;

pub use shared::FrontendHttp;

/// All routes of a frontend's HTTP port.
pub fn router(http: Arc<FrontendHttp>) -> Router {
    Router::new()
        .route("/api/health", get(health))
        .route("/api/bootstrap", get(bootstrap))
        .merge(load::redirect_router())
        .merge(admin::router())
        .merge(switches::router())
        .with_state(http)
}

async fn health(State(http): State<Arc<FrontendHttp>>) -> Response {
    let backends = http.frontend.backends();
    let alive = backends.iter().filter(|backend| backend.alive).count();
    let data = json!({"online_backend_num": alive, "total_backend_num": backends.len()});
    Json(json!({"msg": "success", "code": 0, "data": data, "count": 0})).into_response()
}

async fn bootstrap() -> Response {
    Json(json!({"msg": "success", "code": 0, "data": null, "count": 0})).into_response()
}
