//! Readiness of a process, and the routes that answer whatever else happens: `/live`, `/ready`, `/metrics`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, body::Body};
use serde::Serialize;
use serde_json::json;

use crate::{names, telemetry};

/// Conditions that must hold before a process is ready. Shared; a part sets its own condition by name.
#[derive(Clone, Debug, Default)]
pub struct Health {
    conditions: Arc<Mutex<BTreeMap<String, Option<NotReady>>>>,
}

/// Why a condition does not hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NotReady {
    /// What does not work. Shown to whoever asks: no secrets.
    pub what: String,
    /// Since when, milliseconds since the epoch, when it is known.
    pub since_ms: Option<i64>,
    /// What a person can do.
    pub next_step: Option<String>,
}

impl From<String> for NotReady {
    fn from(what: String) -> Self {
        Self {
            what,
            ..Self::default()
        }
    }
}

impl From<&str> for NotReady {
    fn from(what: &str) -> Self {
        Self::from(what.to_owned())
    }
}

impl Health {
    /// Notes that the condition holds.
    pub fn ready(&self, condition: &str) {
        self.set(condition, None);
    }

    /// Notes that the condition does not hold (yet).
    pub fn not_ready(&self, condition: &str, why: impl Into<NotReady>) {
        self.set(condition, Some(why.into()));
    }

    /// Replaces every condition whose name begins with `group` and a colon by those given, which do not hold.
    pub fn replace(&self, group: &str, failing: BTreeMap<String, NotReady>) {
        let prefix = format!("{group}:");
        let gone: Vec<String> = self
            .lock()
            .keys()
            .filter(|name| name.starts_with(&prefix))
            .filter(|name| !failing.contains_key(&name[prefix.len()..]))
            .cloned()
            .collect();
        for name in gone {
            gauge(&name, true);
            self.lock().remove(&name);
        }
        for (name, why) in failing {
            self.not_ready(&format!("{prefix}{name}"), why);
        }
    }

    /// Returns the conditions that do not hold, with the reasons. Empty means ready.
    pub fn reasons(&self) -> BTreeMap<String, NotReady> {
        self.lock()
            .iter()
            .filter_map(|(name, why)| Some((name.clone(), why.clone()?)))
            .collect()
    }

    fn set(&self, condition: &str, why: Option<NotReady>) {
        gauge(condition, why.is_none());
        self.lock().insert(condition.to_owned(), why);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Option<NotReady>>> {
        self.conditions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn gauge(condition: &str, holds: bool) {
    metrics::gauge!(names::READY, names::CONDITION => condition.to_owned()).set(if holds {
        1.0
    } else {
        0.0
    });
}

/// `GET /live` and `/livez` (the process runs), `GET /ready` and `/readyz` (200, or 503 with what does not work),
/// `GET /metrics`.
pub fn shell(health: Health) -> Router {
    Router::new()
        .route("/live", get(async || "live\n"))
        .route("/livez", get(async || "live\n"))
        .route("/ready", get(ready))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics_text))
        .with_state(health)
}

async fn ready(State(health): State<Health>) -> Response {
    let failing = health.reasons();
    let status = if failing.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let reasons: BTreeMap<&str, &str> = failing
        .iter()
        .map(|(name, why)| (name.as_str(), why.what.as_str()))
        .collect();
    let problems: Vec<_> = failing
        .iter()
        .map(|(name, why)| {
            json!({"condition": name, "what": why.what, "since_ms": why.since_ms, "next_step": why.next_step})
        })
        .collect();
    (
        status,
        Json(json!({"ready": failing.is_empty(), "reasons": reasons, "problems": problems})),
    )
        .into_response()
}

async fn metrics_text() -> Response<Body> {
    (
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4")],
        telemetry::render(),
    )
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_of_conditions_is_replaced_as_a_whole() {
        let health = Health::default();
        health.not_ready("started", "starting");
        let failing = |names: &[&str]| {
            names
                .iter()
                .map(|name| ((*name).to_owned(), "x".into()))
                .collect()
        };
        health.replace("work", failing(&["a", "b"]));
        health.replace("work", failing(&["b", "c"]));
        let names: Vec<_> = health.reasons().into_keys().collect();
        assert_eq!(names, ["started", "work:b", "work:c"]);
        health.replace("work", BTreeMap::new());
        health.ready("started");
        assert!(health.reasons().is_empty());
    }
}
