//! `/sim/...` of a frontend's HTTP port: faults, counters, clock, master switch. Not part of Doris.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

use super::shared::FrontendHttp;
use dorisim_net::faults::{Rule, RuleId};

/// The admin routes.
pub fn router() -> Router<Arc<FrontendHttp>> {
    Router::new()
        .route(
            "/sim/faults",
            get(list_faults).post(add_fault).delete(clear_faults),
        )
        .route("/sim/faults/{id}", delete(remove_fault))
        .route("/sim/counters", get(counters))
        .route("/sim/clock", get(clock).post(move_clock))
        .route("/sim/gc", post(collect_binlogs))
        .route("/sim/master", get(master).post(switch_master))
}

async fn list_faults(State(http): State<Arc<FrontendHttp>>) -> Response {
    Json(http.faults.rules()).into_response()
}

/// Takes the body as text, so that a refusal can say what a rule looks like.
async fn add_fault(State(http): State<Arc<FrontendHttp>>, body: String) -> Response {
    match serde_json::from_str::<Rule>(&body) {
        Ok(rule) => match rule.flaw() {
            Some(flaw) => refusal(&flaw),
            None => Json(json!({"id": http.faults.add(rule)})).into_response(),
        },
        Err(error) => refusal(&format!(
            "not a rule: {error}; a rule looks like {}",
            r#"{"call":"ingest_binlog","effect":"latency","ms":20} or {"call":"commitTxn","effect":"fail","code":6,"times":1}"#
        )),
    }
}

async fn clear_faults(State(http): State<Arc<FrontendHttp>>) -> Response {
    http.faults.clear();
    Json(json!({})).into_response()
}

async fn remove_fault(State(http): State<Arc<FrontendHttp>>, Path(id): Path<u64>) -> Response {
    let removed = http.faults.remove(RuleId(id));
    let status = if removed {
        StatusCode::OK
    } else {
        StatusCode::NOT_FOUND
    };
    (status, Json(json!({"removed": removed}))).into_response()
}

async fn counters(State(http): State<Arc<FrontendHttp>>) -> Response {
    Json(http.faults.counters()).into_response()
}

async fn clock(State(http): State<Arc<FrontendHttp>>) -> Response {
    let clock = http.frontend.clock();
    Json(json!({"now_ms": clock.now_ms(), "offset_ms": clock.offset_ms()})).into_response()
}

#[derive(Debug, Deserialize)]
struct MoveClock {
    advance_ms: i64,
}

async fn move_clock(State(http): State<Arc<FrontendHttp>>, body: String) -> Response {
    match serde_json::from_str::<MoveClock>(&body) {
        Ok(moved) => {
            http.frontend.clock().advance(moved.advance_ms);
            clock(State(http)).await
        }
        Err(error) => refusal(&format!("{error}; send {{\"advance_ms\": 86400000}}")),
    }
}

async fn collect_binlogs(State(http): State<Arc<FrontendHttp>>) -> Response {
    http.frontend.gc_now().await;
    http.frontend.abort_timed_out().await;
    Json(json!({})).into_response()
}

async fn master(State(http): State<Arc<FrontendHttp>>) -> Response {
    Json(json!({"master": http.roles.master()})).into_response()
}

#[derive(Debug, Deserialize)]
struct SwitchMaster {
    index: usize,
}

async fn switch_master(State(http): State<Arc<FrontendHttp>>, body: String) -> Response {
    match serde_json::from_str::<SwitchMaster>(&body) {
        Ok(wanted) if wanted.index < http.roles.frontends().len() => {
            http.roles.set_master(wanted.index);
            http.frontend.forget_memory();
            master(State(http)).await
        }
        Ok(_) => refusal("there is no frontend of that index"),
        Err(error) => refusal(&format!("{error}; send {{\"index\": 1}}")),
    }
}

pub(super) fn refusal(text: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({"error": text}))).into_response()
}
