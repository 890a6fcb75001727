//! `/sim/...` of a frontend's HTTP port, the part that changes what the cluster remembers and how it behaves: records, lateness, publish
//! delay, restart, labels, settings. Not part of Doris.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::admin::refusal;
use super::shared::FrontendHttp;

/// The routes of this part.
pub fn router() -> Router<Arc<FrontendHttp>> {
    Router::new()
        .route("/sim/record", post(write_record))
        .route("/sim/late", post(delay_records))
        .route("/sim/publish", get(publish).post(delay_publish))
        .route("/sim/restart", post(restart))
        .route("/sim/label", post(forget_label))
        .route("/sim/settings", get(settings).post(set_settings))
        .route("/sim/roles", post(set_roles))
        .route("/sim/disk", post(fill_disk))
        .route("/sim/backend", post(switch_backend))
}

/// Reads a body; the refusal of a wrong one shows a right one.
fn read<T: DeserializeOwned>(body: &str, example: &Value) -> Result<T, String> {
    serde_json::from_str(body).map_err(|error| format!("{error}; send {example}"))
}

#[derive(Debug, Deserialize)]
struct WriteRecord {
    db: String,
    table: Option<String>,
    #[serde(rename = "type")]
    kind: i32,
    data: Value,
    #[serde(default)]
    late_ms: u64,
}

/// A record of any type and content. `late_ms`: readers see it only after that time, its successors before it.
async fn write_record(State(http): State<Arc<FrontendHttp>>, body: String) -> Response {
    let example = json!({"db": "d", "table": "t", "type": 3, "data": {"partitionName": "p"}});
    let record: WriteRecord = match read(&body, &example) {
        Ok(record) => record,
        Err(text) => return refusal(&text),
    };
    if record.late_ms > 0 {
        let delay = Duration::from_millis(record.late_ms);
        http.frontend.delay_next_binlogs(1, delay);
    }
    let table = record.table.as_deref();
    let written = http
        .frontend
        .write_record(&record.db, table, record.kind, record.data);
    match written {
        Some(seq) => Json(json!({"commit_seq": seq})).into_response(),
        None => {
            http.frontend.delay_next_binlogs(0, Duration::ZERO);
            let text = format!("there is no {}.{}", record.db, table.unwrap_or("*"));
            (StatusCode::NOT_FOUND, Json(json!({"error": text}))).into_response()
        }
    }
}

#[derive(Debug, Deserialize)]
struct DelayRecords {
    records: u32,
    delay_ms: u64,
}

async fn delay_records(State(http): State<Arc<FrontendHttp>>, body: String) -> Response {
    match read::<DelayRecords>(&body, &json!({"records": 1, "delay_ms": 500})) {
        Ok(late) => {
            let delay = Duration::from_millis(late.delay_ms);
            http.frontend.delay_next_binlogs(late.records, delay);
            Json(json!({})).into_response()
        }
        Err(text) => refusal(&text),
    }
}

async fn publish(State(http): State<Arc<FrontendHttp>>) -> Response {
    let delay = u64::try_from(http.frontend.publish_delay().as_millis()).unwrap_or(u64::MAX);
    Json(json!({"delay_ms": delay})).into_response()
}

#[derive(Debug, Deserialize)]
struct DelayPublish {
    delay_ms: u64,
}

async fn delay_publish(State(http): State<Arc<FrontendHttp>>, body: String) -> Response {
    match read::<DelayPublish>(&body, &json!({"delay_ms": 6000})) {
        Ok(wanted) => {
            let delay = Duration::from_millis(wanted.delay_ms);
            http.frontend.set_publish_delay(delay);
            publish(State(http)).await
        }
        Err(text) => refusal(&text),
    }
}

async fn restart(State(http): State<Arc<FrontendHttp>>) -> Response {
    http.frontend.restart();
    Json(json!({})).into_response()
}

#[derive(Debug, Deserialize)]
struct ForgetLabel {
    db: String,
    label: String,
}

async fn forget_label(State(http): State<Arc<FrontendHttp>>, body: String) -> Response {
    match read::<ForgetLabel>(&body, &json!({"db": "d", "label": "load_1"})) {
        Ok(wanted) => {
            let forgotten = http.frontend.forget_label(&wanted.db, &wanted.label);
            Json(json!({"forgotten": forgotten})).into_response()
        }
        Err(text) => refusal(&text),
    }
}

async fn settings(State(http): State<Arc<FrontendHttp>>) -> Response {
    Json(http.frontend.settings()).into_response()
}

async fn set_settings(State(http): State<Arc<FrontendHttp>>, body: String) -> Response {
    let example = json!({"dorisim_record_quirks": "no_old_names,unknown_fields"});
    match read::<BTreeMap<String, String>>(&body, &example) {
        Ok(wanted) => {
            http.frontend.set_settings(wanted);
            settings(State(http)).await
        }
        Err(text) => refusal(&text),
    }
}

#[derive(Debug, Deserialize)]
struct SetRoles {
    tell_master: Option<bool>,
    master_known: Option<bool>,
}

/// What followers say of the master: `tell_master` in every answer (as before autumn 2025), `master_known` off: host "" and port 0.
async fn set_roles(State(http): State<Arc<FrontendHttp>>, body: String) -> Response {
    use std::sync::atomic::Ordering::Relaxed;
    match read::<SetRoles>(&body, &json!({"tell_master": true, "master_known": true})) {
        Ok(wanted) => {
            if let Some(tell) = wanted.tell_master {
                http.roles.tell_master.store(tell, Relaxed);
            }
            if let Some(known) = wanted.master_known {
                http.roles.master_known.store(known, Relaxed);
            }
            let tell = http.roles.tell_master.load(Relaxed);
            let known = http.roles.master_known.load(Relaxed);
            Json(json!({"tell_master": tell, "master_known": known})).into_response()
        }
        Err(text) => refusal(&text),
    }
}

#[derive(Debug, Deserialize)]
struct FillDisk {
    backend: i64,
}

/// The answer's id names the rule to delete when there shall be space again.
async fn fill_disk(State(http): State<Arc<FrontendHttp>>, body: String) -> Response {
    match read::<FillDisk>(&body, &json!({"backend": 10002})) {
        Ok(wanted) => Json(json!({"id": http.faults.disk_full(wanted.backend)})).into_response(),
        Err(text) => refusal(&text),
    }
}

#[derive(Debug, Deserialize)]
struct SwitchBackend {
    backend: i64,
    up: bool,
}

/// Takes a backend down, or removes every rule that holds it down.
async fn switch_backend(State(http): State<Arc<FrontendHttp>>, body: String) -> Response {
    match read::<SwitchBackend>(&body, &json!({"backend": 10002, "up": false})) {
        Ok(wanted) => {
            if wanted.up {
                http.faults.backend_up(wanted.backend);
            } else if !http.faults.is_down(wanted.backend) {
                http.faults.backend_down(wanted.backend);
            }
            let alive = !http.faults.is_down(wanted.backend);
            Json(json!({"backend": wanted.backend, "up": alive})).into_response()
        }
        Err(text) => refusal(&text),
    }
}
