//! Loads at a frontend: every one of them, master or not, says which backend takes the rows.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::put;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::auth::Login;
use super::settings::text;
use crate::http::shared::FrontendHttp;

/// The routes on a frontend.
pub fn redirect_router() -> Router<Arc<FrontendHttp>> {
    Router::new()
        .route("/api/{db}/{table}/_stream_load", put(stream_load))
        .route("/api/{db}/{table}/_load", put(mini_load))
        .route("/api/{db}/_stream_load_2pc", put(two_phase))
        .route("/api/{db}/{table}/_stream_load_2pc", put(two_phase))
}

async fn stream_load(
    State(http): State<Arc<FrontendHttp>>,
    Path((db, table)): Path<(String, String)>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    if let Some(mode) = text(&headers, "group_commit")
        && !["async_mode", "sync_mode", "off_mode"].contains(&mode.to_ascii_lowercase().as_str())
    {
        return failed(
            "Header `group_commit` can only be `sync_mode`, `async_mode` or `off_mode`.",
        );
    }
    let login = match login(&http, &headers) {
        Ok(login) => login,
        Err(refusal) => return refusal.into_response(),
    };
    if !headers.contains_key(header::EXPECT) {
        return failed("There is no 100-continue header");
    }
    let may = http
        .frontend
        .has_privilege(login.account(), "LOAD", Some(&db), Some(&table));
    if !may {
        return failed(
            "Access denied; you need (at least one of) the Admin_priv,Load_priv privilege(s) for this operation",
        );
    }
    redirect(&http, &login, &uri)
}

async fn mini_load() -> Response {
    Json(json!({
        "msg": "Not Found",
        "code": 404,
        "data": "The mini load operation has been disabled by default, if you need to add disable_mini_load=false in fe.conf.",
        "count": 0,
    }))
    .into_response()
}

async fn two_phase(
    State(http): State<Arc<FrontendHttp>>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let login = match login(&http, &headers) {
        Ok(login) => login,
        Err(refusal) => return refusal.into_response(),
    };
    if text(&headers, "txn_id").is_none() && text(&headers, "label").is_none() {
        return failed("No transaction id or label selected.");
    }
    if text(&headers, "txn_operation").is_none() {
        return failed("No transaction operation('commit' or 'abort') selected.");
    }
    redirect(&http, &login, &uri)
}

fn login(http: &FrontendHttp, headers: &HeaderMap) -> Result<Login, Json<Value>> {
    // The status is 200: clients read the code of the body.
    let unauthorized =
        |text: String| Json(json!({"msg": "Unauthorized", "code": 401, "data": text, "count": 0}));
    match Login::of(headers) {
        None => Err(unauthorized("Need auth information.".to_owned())),
        Some(login) if login.is_right(&http.frontend) => Ok(login),
        Some(login) => Err(unauthorized(login.denial())),
    }
}

fn redirect(http: &FrontendHttp, login: &Login, uri: &Uri) -> Response {
    let Some(port) = http.next_backend_port() else {
        return failed("No backend load available.");
    };
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    // As Doris does it: the credentials stand in the address, because clients drop the header on a redirect.
    let location = format!(
        "http://{}:{}@{}:{port}{path}",
        percent(&login.user),
        percent(&login.password),
        http.roles.host()
    );
    let to = [(header::LOCATION, location)];
    (StatusCode::TEMPORARY_REDIRECT, to).into_response()
}

fn failed(text: &str) -> Response {
    Json(json!({"status": "FAILED", "msg": text})).into_response()
}

fn percent(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}
