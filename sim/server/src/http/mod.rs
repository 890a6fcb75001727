//! HTTP of the simulated cluster: [`listener`] (connections that faults can cut), [`load`] (stream load), [`admin`]
//! (faults, counters, clock), [`switches`] (records, delays, restart, settings).

pub mod admin;
pub mod load;
pub mod switches;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;

use crate::roles::Roles;
use dorisim_fe::Frontend;
use dorisim_net::faults::Faults;

/// What the HTTP port of a frontend serves from.
pub struct FrontendHttp {
    /// The frontend.
    pub frontend: Arc<Frontend>,
    /// Frontends of the cluster.
    pub roles: Arc<Roles>,
    /// Faults of the cluster.
    pub faults: Arc<Faults>,
    next_backend: AtomicUsize,
}

impl FrontendHttp {
    /// The state of [`router`].
    pub fn new(frontend: Arc<Frontend>, roles: Arc<Roles>, faults: Arc<Faults>) -> Self {
        FrontendHttp {
            frontend,
            roles,
            faults,
            next_backend: AtomicUsize::new(0),
        }
    }

    /// HTTP port of the next living backend, in turn.
    fn next_backend_port(&self) -> Option<u16> {
        let alive: Vec<u16> = self
            .frontend
            .backends()
            .iter()
            .filter(|backend| backend.alive)
            .map(|backend| backend.address.http_port)
            .collect();
        let turn = self.next_backend.fetch_add(1, Ordering::Relaxed);
        alive.get(turn.checked_rem(alive.len())?).copied()
    }
}

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
