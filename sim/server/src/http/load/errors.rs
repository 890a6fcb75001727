//! Error logs of a backend: what `ErrorURL` points to.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::Loader;

/// Logs kept per backend; the oldest go first.
const KEPT_LOGS: usize = 200;

/// The logs, by the name in the URL. Each is bounded by what [`dorisim_sql::load::Rejections`] keeps.
#[derive(Debug, Default)]
pub(super) struct ErrorLogs(Mutex<Logs>);

#[derive(Debug, Default)]
struct Logs {
    count: u64,
    kept: VecDeque<(String, String)>,
}

impl ErrorLogs {
    /// Keeps a log and names it, as `LoadPathMgr` does.
    pub(super) fn keep(&self, db: &str, label: &str, txn_id: i64, text: String) -> String {
        let mut logs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let shard = logs.count % 1_024;
        logs.count += 1;
        let name = format!(
            "__shard_{shard}/error_log_{db}_{label}_{txn_id:x}_{:x}",
            logs.count
        );
        if logs.kept.len() >= KEPT_LOGS {
            logs.kept.pop_front();
        }
        logs.kept.push_back((name.clone(), text));
        name
    }

    fn get(&self, name: &str) -> Option<String> {
        let logs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = logs.kept.iter().find(|(kept, _)| kept == name);
        found.map(|(_, text)| text.clone())
    }
}

/// `GET` and `HEAD /api/_load_error_log?file=...`.
pub(super) async fn error_log(
    State(loader): State<Loader>,
    Query(parameters): Query<HashMap<String, String>>,
) -> Response {
    shown(&loader.errors, &parameters)
}

/// The log that the parameters name.
pub(super) fn shown(logs: &ErrorLogs, parameters: &HashMap<String, String>) -> Response {
    let Some(name) = parameters.get("file").filter(|name| !name.is_empty()) else {
        let text = "parameter file not specified in url.";
        return (StatusCode::OK, text).into_response();
    };
    match logs.get(name) {
        Some(text) => ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response(),
        None => (
            StatusCode::NOT_FOUND,
            format!("[NOT_FOUND]no error log {name}; the oldest are removed"),
        )
            .into_response(),
    }
}
