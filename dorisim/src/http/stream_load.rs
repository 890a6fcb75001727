//! Stream load: the frontend redirects with 307 to a backend, the backend loads.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::put;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::FrontendHttp;
use super::listener::Peer;
use crate::be::{Backend, BackendApi};
use crate::clock::SimClock;
use crate::faults::Verdict;
use crate::fe::{
    Frontend, LoadError, LoadRequest, LoadResult, LoadSource, LoadState, TxnKey, TxnStatus,
};
use crate::sql::load::{LoadOptions, ParsedRows, parse_csv, parse_json, unescape_separator};

/// Largest body, `streaming_load_max_mb` of Doris.
const MAX_BODY: usize = 10 << 30;

/// The routes on a frontend.
pub fn redirect_router() -> Router<Arc<FrontendHttp>> {
    Router::new()
        .route("/api/{db}/{table}/_stream_load", put(redirect))
        .route("/api/{db}/_stream_load_2pc", put(redirect))
        .route("/api/{db}/{table}/_stream_load_2pc", put(redirect))
}

async fn redirect(
    State(http): State<Arc<FrontendHttp>>,
    headers: HeaderMap,
    uri: axum::http::Uri,
) -> Response {
    let Some((user, password)) = basic_auth(&headers) else {
        return unauthorized();
    };
    if http.frontend.password_of(account_name(&user)).as_ref() != Some(&password) {
        return unauthorized();
    }
    let Some(port) = http.next_backend_port() else {
        let body = fail("No backend load available.");
        return axum::Json(body).into_response();
    };
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    // As Doris does it: the credentials stand in the address, because clients drop the header on a redirect.
    let location = format!(
        "http://{}:{}@{}:{port}{path}",
        percent(&user),
        percent(&password),
        http.roles.host()
    );
    (
        StatusCode::TEMPORARY_REDIRECT,
        [(header::LOCATION, location)],
    )
        .into_response()
}

/// What the loading side needs.
#[derive(Clone)]
pub struct Loader {
    /// The frontend that takes the rows.
    pub frontend: Arc<Frontend>,
    /// The backend whose faults apply.
    pub backend: Arc<Backend>,
}

/// The routes on a backend.
pub fn load_router(loader: Loader) -> Router {
    Router::new()
        .route("/api/{db}/{table}/_stream_load", put(load))
        .route("/api/{db}/_stream_load_2pc", put(finish_db))
        .route("/api/{db}/{table}/_stream_load_2pc", put(finish_table))
        .with_state(loader)
}

async fn load(
    State(loader): State<Loader>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path((db, table)): Path<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let faults = loader.backend.faults();
    let id = loader.backend.address().id;
    let verdict = faults.before("stream_load", Some(id)).await;
    match &verdict {
        Verdict::Fail { message, .. } => return axum::Json(fail(message)).into_response(),
        Verdict::ResetBefore => {
            peer.cut();
            return StatusCode::OK.into_response();
        }
        Verdict::Garbage => return "\u{0}garbage".into_response(),
        Verdict::Proceed | Verdict::ResetAfter | Verdict::Truncate { .. } | Verdict::Corrupt => {}
    }
    let started = loader.backend.clock().monotonic();
    let bytes = match to_bytes(body, MAX_BODY).await {
        Ok(bytes) => bytes,
        Err(error) => return axum::Json(fail(&error.to_string())).into_response(),
    };
    let answer = run(&loader, &db, &table, &headers, bytes, started).await;
    if verdict == Verdict::ResetAfter {
        peer.cut();
    }
    pretty(&answer)
}

async fn run(
    loader: &Loader,
    db: &str,
    table: &str,
    headers: &HeaderMap,
    body: Bytes,
    started: Instant,
) -> Value {
    if let Err(text) = authorize(&loader.frontend, headers, db, Some(table)) {
        return fail(&text);
    }
    let length = body.len();
    let two_phase = flag(headers, "two_phase_commit");
    let request = match prepare(&loader.frontend, db, table, headers, &body, two_phase) {
        Ok(prepared) => prepared,
        Err(text) => return fail(&text),
    };
    let (request, unread) = request;
    let total = request.rows.len() as u64 + unread.len() as u64;
    let label = request.label.clone();
    let result = if too_many(&unread, total, request.max_filter_ratio) {
        Err(LoadError::TooManyFiltered {
            total,
            filtered: unread.len() as u64,
            errors: unread.clone(),
            txn_id: -1,
        })
    } else {
        loader.frontend.load(request).await
    };
    let mut answer = match result {
        Ok(done) => loaded(&done, &unread),
        Err(error) => refused(&error, label.as_deref()),
    };
    let clock = loader.backend.clock();
    finish_answer(&mut answer, two_phase, length, clock, started);
    Value::Object(answer)
}

fn too_many(unread: &[String], total: u64, ratio: f64) -> bool {
    unread.len() as f64 > total as f64 * ratio
}

/// The request and the lines that could not be read.
fn prepare(
    frontend: &Frontend,
    db: &str,
    table: &str,
    headers: &HeaderMap,
    body: &[u8],
    two_phase: bool,
) -> Result<(LoadRequest, Vec<String>), String> {
    let visible = frontend
        .with_catalog(|catalog| {
            let table = catalog.table(db, table)?;
            let names = table.schema.visible().map(|column| column.name.clone());
            Some(names.collect::<Vec<_>>())
        })
        .ok_or_else(|| {
            format!(
                "[ANALYSIS_ERROR]TStatus: errCode = 7, detailMessage = unknown table, table={table}"
            )
        })?;
    let format = text(headers, "format").unwrap_or_else(|| "csv".to_owned());
    let options = options(headers, &format)?;
    let delete = match text(headers, "merge_type").as_deref() {
        None => false,
        Some(kind) if kind.eq_ignore_ascii_case("append") => false,
        Some(kind) if kind.eq_ignore_ascii_case("delete") => true,
        Some(other) => {
            return Err(format!(
                "[NOT_IMPLEMENTED_ERROR]merge_type {other} is not simulated"
            ));
        }
    };
    let ParsedRows {
        columns,
        rows,
        errors,
    } = if format.eq_ignore_ascii_case("json") {
        parse_json(body, &options, &visible)
    } else {
        parse_csv(body, &options, &visible)
    }
    .map_err(|error| error.to_string())?;
    let ratio = text(headers, "max_filter_ratio");
    let temporary = text(headers, "temporary_partitions");
    let partitions = temporary.clone().or_else(|| text(headers, "partitions"));
    let request = LoadRequest {
        columns,
        rows,
        label: text(headers, "label"),
        partitions: partitions.map_or_else(Vec::new, |list| names(&list)),
        temp_partitions: temporary.is_some(),
        delete,
        partial_update: flag(headers, "partial_columns"),
        max_filter_ratio: ratio.and_then(|ratio| ratio.parse().ok()).unwrap_or(0.0),
        two_phase,
        source: LoadSource::StreamLoad,
        timeout_s: text(headers, "timeout").and_then(|seconds| seconds.parse().ok()),
        ..LoadRequest::insert(db, table, Vec::new(), Vec::new())
    };
    Ok((request, errors))
}

fn options(headers: &HeaderMap, format: &str) -> Result<LoadOptions, String> {
    let skip_lines = match format.to_ascii_lowercase().as_str() {
        "csv" | "json" => text(headers, "skip_lines")
            .and_then(|n| n.parse().ok())
            .unwrap_or(0),
        "csv_with_names" => 1,
        "csv_with_names_and_types" => 2,
        other => {
            return Err(format!(
                "[INTERNAL_ERROR]unknown data format, format={other}"
            ));
        }
    };
    let separator = |name: &str, default: &str| {
        text(headers, name).map_or_else(|| default.to_owned(), |text| unescape_separator(&text))
    };
    let quote = |name: &str| text(headers, name).and_then(|text| text.chars().next());
    let columns = text(headers, "columns").map_or_else(Vec::new, |list| names(&list));
    if let Some(derived) = columns.iter().find(|column| column.contains('=')) {
        return Err(format!(
            "[NOT_IMPLEMENTED_ERROR]derived column `{derived}` is not simulated"
        ));
    }
    let jsonpaths = match text(headers, "jsonpaths") {
        None => Vec::new(),
        Some(paths) => serde_json::from_str(&paths)
            .map_err(|_| format!("[INVALID_JSON_PATH]Invalid json path: {paths}"))?,
    };
    Ok(LoadOptions {
        column_separator: separator("column_separator", "\t"),
        line_delimiter: separator("line_delimiter", "\n"),
        enclose: quote("enclose"),
        escape: quote("escape"),
        trim_double_quotes: flag(headers, "trim_double_quotes"),
        skip_lines,
        columns,
        strip_outer_array: flag(headers, "strip_outer_array"),
        read_json_by_line: flag(headers, "read_json_by_line"),
        jsonpaths,
        json_root: text(headers, "json_root"),
    })
}

fn loaded(done: &LoadResult, unread: &[String]) -> Map<String, Value> {
    let status = match done.state {
        LoadState::Visible | LoadState::Precommitted => "Success",
        LoadState::Committed => "Publish Timeout",
    };
    let filtered = done.filtered + unread.len() as u64;
    fields(json!({
        "TxnId": done.txn_id,
        "Label": done.label,
        "Comment": "",
        "Status": status,
        "Message": "OK",
        "NumberTotalRows": done.loaded + filtered,
        "NumberLoadedRows": done.loaded,
        "NumberFilteredRows": filtered,
        "NumberUnselectedRows": 0,
    }))
}

fn refused(error: &LoadError, label: Option<&str>) -> Map<String, Value> {
    let mut answer = fields(json!({
        "TxnId": -1,
        "Label": label.unwrap_or(""),
        "Comment": "",
        "Status": "Fail",
        "NumberTotalRows": 0,
        "NumberLoadedRows": 0,
        "NumberFilteredRows": 0,
        "NumberUnselectedRows": 0,
    }));
    match error {
        LoadError::LabelUsed { status, .. } => {
            let job = match status {
                TxnStatus::Prepare | TxnStatus::Precommitted => "RUNNING",
                TxnStatus::Committed | TxnStatus::Visible | TxnStatus::Aborted => "FINISHED",
            };
            answer.insert("Status".to_owned(), json!("Label Already Exists"));
            answer.insert("ExistingJobStatus".to_owned(), json!(job));
            answer.insert(
                "Message".to_owned(),
                json!(format!(
                    "[LABEL_ALREADY_EXISTS]TStatus: errCode = 2, detailMessage = {error}"
                )),
            );
        }
        LoadError::TooManyFiltered {
            total,
            filtered,
            errors,
            txn_id,
        } => {
            answer.insert("TxnId".to_owned(), json!(txn_id));
            answer.insert(
                "Message".to_owned(),
                json!("[DATA_QUALITY_ERROR]too many filtered rows"),
            );
            answer.insert("NumberTotalRows".to_owned(), json!(total));
            answer.insert("NumberLoadedRows".to_owned(), json!(total - filtered));
            answer.insert("NumberFilteredRows".to_owned(), json!(filtered));
            answer.insert("FirstErrorMsg".to_owned(), json!(errors.first()));
        }
        LoadError::Sql(error) => {
            answer.insert(
                "Message".to_owned(),
                json!(format!("[ANALYSIS_ERROR]TStatus: {error}")),
            );
        }
    }
    answer
}

fn finish_answer(
    answer: &mut Map<String, Value>,
    two_phase: bool,
    length: usize,
    clock: &SimClock,
    started: Instant,
) {
    let elapsed = clock
        .monotonic()
        .saturating_duration_since(started)
        .as_millis();
    let elapsed = u64::try_from(elapsed).unwrap_or(u64::MAX);
    answer.insert("TwoPhaseCommit".to_owned(), json!(two_phase.to_string()));
    answer.insert("LoadBytes".to_owned(), json!(length));
    answer.insert("LoadTimeMs".to_owned(), json!(elapsed));
    for part in [
        "BeginTxnTimeMs",
        "StreamLoadPutTimeMs",
        "ReadDataTimeMs",
        "WriteDataTimeMs",
        "ReceiveDataTimeMs",
        "CommitAndPublishTimeMs",
    ] {
        answer.insert(part.to_owned(), json!(0));
    }
}

async fn finish_db(
    State(loader): State<Loader>,
    Path(db): Path<String>,
    headers: HeaderMap,
) -> Response {
    pretty(&finish(&loader, &db, &headers).await)
}

async fn finish_table(
    State(loader): State<Loader>,
    Path((db, _table)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    pretty(&finish(&loader, &db, &headers).await)
}

async fn finish(loader: &Loader, db: &str, headers: &HeaderMap) -> Value {
    let answer = |status: &str, text: &str| json!({"status": status, "msg": text});
    if let Err(text) = authorize(&loader.frontend, headers, db, None) {
        return answer("Fail", &text);
    }
    let key = match (text(headers, "txn_id"), text(headers, "label")) {
        (Some(id), _) => match id.parse() {
            Ok(id) => TxnKey::Id(id),
            Err(_) => return answer("ANALYSIS_ERROR", &format!("convert txn_id [{id}] failed")),
        },
        (None, Some(label)) => TxnKey::Label(label),
        (None, None) => return answer("INTERNAL_ERROR", "transaction id or label must be set"),
    };
    let operation = text(headers, "txn_operation").unwrap_or_default();
    let commit = match operation.to_ascii_lowercase().as_str() {
        "commit" => true,
        "abort" => false,
        _ => {
            return answer(
                "INTERNAL_ERROR",
                "transaction operation should be 'commit' or 'abort'",
            );
        }
    };
    match loader
        .frontend
        .finish_two_phase(db, key.clone(), commit)
        .await
    {
        Ok(()) => {
            let shown = match key {
                TxnKey::Id(id) => format!("transaction [{id}]"),
                TxnKey::Label(label) => format!("label [{label}]"),
            };
            answer("Success", &format!("{shown} {operation} successfully."))
        }
        Err(error) => answer("ANALYSIS_ERROR", &error.to_string()),
    }
}

fn authorize(
    frontend: &Frontend,
    headers: &HeaderMap,
    db: &str,
    table: Option<&str>,
) -> Result<(), String> {
    let Some((user, password)) = basic_auth(headers) else {
        return Err(
            "no valid Basic authorization; a redirect drops it unless the client trusts the target (curl --location-trusted)"
                .to_owned(),
        );
    };
    let name = account_name(&user);
    if frontend.password_of(name).as_ref() != Some(&password) {
        return Err(format!(
            "[ANALYSIS_ERROR]TStatus: errCode = 2, detailMessage = Access denied for user '{user}' (using password: YES)"
        ));
    }
    if !frontend.has_privilege(name, "LOAD", Some(db), table) {
        return Err("[ANALYSIS_ERROR]TStatus: errCode = 2, detailMessage = Access denied; you need (at least one of) the (LOAD) privilege(s) for this operation".to_owned());
    }
    Ok(())
}

fn basic_auth(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let decoded = STANDARD.decode(value.strip_prefix("Basic ")?.trim()).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

fn account_name(user: &str) -> &str {
    user.split('@').next().unwrap_or(user)
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = String::from_utf8(headers.get(name)?.as_bytes().to_vec()).ok()?;
    (!value.is_empty()).then_some(value)
}

fn flag(headers: &HeaderMap, name: &str) -> bool {
    text(headers, name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

fn names(list: &str) -> Vec<String> {
    list.split(',')
        .map(|name| name.trim().trim_matches('`').to_owned())
        .filter(|name| !name.is_empty())
        .collect()
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

fn unauthorized() -> Response {
    let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"\"")];
    (
        StatusCode::UNAUTHORIZED,
        challenge,
        axum::Json(fail("Access denied")),
    )
        .into_response()
}

fn fail(message: &str) -> Value {
    json!({
        "TxnId": -1,
        "Label": "",
        "Status": "Fail",
        "Message": message,
        "NumberTotalRows": 0,
        "NumberLoadedRows": 0,
        "NumberFilteredRows": 0,
        "NumberUnselectedRows": 0,
        "LoadBytes": 0,
        "LoadTimeMs": 0,
    })
}

fn fields(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Map::new()
        }
    }
}

fn pretty(value: &Value) -> Response {
    let body = serde_json::to_string_pretty(value).unwrap_or_default();
    ([(header::CONTENT_TYPE, "application/json")], body + "\n").into_response()
}
