//! HTTP of a backend: `/api/_binlog/_download`, `/api/_tablet/_download`, `/api/health`;
//! configuration is in [`super::http_config`].

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Query, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use futures::stream;

use super::backend::Backend;
use super::fetch::md5_hex;
use super::http_config::{show_config, update_config};
use super::sync::lock;
use super::tablet::Tablet;
use dorisim_model::IndexFormat;
use dorisim_model::backend::BackendApi;
use dorisim_net::faults::Verdict;
use dorisim_net::listener::Peer;

type Parameters = HashMap<String, String>;

/// The routes of one backend.
pub fn router(backend: Arc<Backend>) -> Router {
    Router::new()
        .route("/api/_binlog/_download", get(binlog_download))
        .route("/api/_tablet/_download", get(tablet_download))
        .route("/api/show_config", get(show_config))
        .route("/api/update_config", post(update_config))
        .route("/api/health", get(health))
        .with_state(backend)
}

/// All routes of the backend's port cut their connection while a fault holds the backend down.
pub fn cut_while_down(router: Router, backend: Arc<Backend>) -> Router {
    router.layer(middleware::from_fn_with_state(backend, refuse_while_down))
}

async fn refuse_while_down(
    State(backend): State<Arc<Backend>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
    next: Next,
) -> Response {
    if backend.alive() {
        return next.run(request).await;
    }
    peer.cut();
    StatusCode::SERVICE_UNAVAILABLE.into_response()
}

/// An answer before faults were applied.
#[derive(Debug)]
enum Answer {
    Text(StatusCode, String),
    Bytes(Bytes),
    File(PathBuf),
}

impl Answer {
    fn error(text: impl Into<String>) -> Self {
        Answer::Text(StatusCode::INTERNAL_SERVER_ERROR, text.into())
    }

    fn not_found(text: impl Into<String>) -> Self {
        Answer::Text(StatusCode::NOT_FOUND, text.into())
    }
}

async fn binlog_download(
    State(backend): State<Arc<Backend>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    method: Method,
    Query(parameters): Query<Parameters>,
) -> Response {
    let name = match parameters.get("method").map(String::as_str) {
        Some("get_binlog_info") => "get_binlog_info",
        Some("get_rowset_meta") => "get_rowset_meta",
        Some("get_segment_file") => "get_segment_file",
        Some("get_segment_index_file") => "get_segment_index_file",
        Some(_) | None => "binlog_download",
    };
    let verdict = backend.faults().before(name, Some(backend.id())).await;
    let answer = binlog_answer(&backend, &parameters);
    finish(&backend, &peer, &method, &parameters, verdict, answer).await
}

fn binlog_answer(backend: &Backend, parameters: &Parameters) -> Answer {
    if !backend.config.binlog_feature.load(Ordering::Relaxed) {
        return Answer::error("binlog feature is not enabled.");
    }
    let method = parameters.get("method").map_or("", String::as_str);
    let served = match method {
        "get_binlog_info" => binlog_info(backend, parameters),
        "get_rowset_meta" => rowset_meta(backend, parameters),
        "get_segment_file" => segment_file(backend, parameters),
        "get_segment_index_file" => segment_index_file(backend, parameters),
        other => Err(Answer::Text(
            StatusCode::NOT_IMPLEMENTED,
            format!("invalid method: {other}"),
        )),
    };
    served.unwrap_or_else(|refusal| refusal)
}

fn binlog_info(backend: &Backend, parameters: &Parameters) -> Result<Answer, Answer> {
    let version_text = required(parameters, "binlog_version")?;
    let tablet = tablet_of(backend, required(parameters, "tablet_id")?)?;
    let missing = || {
        Answer::not_found(format!(
            "get binlog info failed, binlog_version={version_text}"
        ))
    };
    let version: i64 = version_text.parse().map_err(|_| missing())?;
    let tablet = lock(&tablet);
    let entry = tablet.binlog(version).ok_or_else(missing)?;
    let text = format!("{}:{}", entry.rowset_id, entry.num_segments);
    Ok(Answer::Text(StatusCode::OK, text))
}

fn rowset_meta(backend: &Backend, parameters: &Parameters) -> Result<Answer, Answer> {
    let tablet = tablet_of(backend, required(parameters, "tablet_id")?)?;
    let rowset = required(parameters, "rowset_id")?;
    let version_text = required(parameters, "binlog_version")?;
    let missing = || Answer::not_found(format!("get rowset meta failed, rowset_id={rowset}"));
    let version: i64 = version_text.parse().map_err(|_| missing())?;
    let tablet = lock(&tablet);
    let entry = tablet
        .binlog(version)
        .filter(|entry| entry.rowset_id == rowset);
    let meta = Arc::clone(entry.ok_or_else(missing)?);
    drop(tablet);
    Ok(Answer::Bytes(Bytes::from(meta.to_bytes())))
}

fn segment_file(backend: &Backend, parameters: &Parameters) -> Result<Answer, Answer> {
    let tablet = tablet_of(backend, required(parameters, "tablet_id")?)?;
    let rowset = required(parameters, "rowset_id")?;
    let segment = required(parameters, "segment_index")?;
    binlog_file(&tablet, &format!("{rowset}_{segment}.dat"))
}

fn segment_index_file(backend: &Backend, parameters: &Parameters) -> Result<Answer, Answer> {
    let tablet = tablet_of(backend, required(parameters, "tablet_id")?)?;
    let rowset = required(parameters, "rowset_id")?;
    let segment = required(parameters, "segment_index")?;
    let index = required(parameters, "segment_index_id")?;
    let format = lock(&tablet).spec.schema.indexes.format;
    let name = match format {
        IndexFormat::V1 => format!("{rowset}_{segment}_{index}.idx"),
        IndexFormat::V2 | IndexFormat::V3 if index == "-1" => format!("{rowset}_{segment}.idx"),
        IndexFormat::V2 | IndexFormat::V3 => {
            return Err(Answer::error(format!(
                "segment_index_id must be -1 for this tablet, got {index}"
            )));
        }
    };
    binlog_file(&tablet, &name)
}

fn binlog_file(tablet: &Mutex<Tablet>, name: &str) -> Result<Answer, Answer> {
    let dir = lock(tablet).binlog_dir();
    // Names are made of parameters; one with a separator could lead out of the directory.
    if name.contains(['/', '\\']) {
        return Err(Answer::not_found("file not exist."));
    }
    let path = dir.join(name);
    if path.is_file() {
        Ok(Answer::File(path))
    } else {
        Err(Answer::not_found("file not exist."))
    }
}

fn required<'a>(parameters: &'a Parameters, name: &str) -> Result<&'a str, Answer> {
    match parameters.get(name) {
        Some(value) if !value.is_empty() => Ok(value),
        Some(_) | None => Err(Answer::error(format!(
            "parameter {name} not specified in url."
        ))),
    }
}

/// A text that is no number counts as 0, as in C.
fn tablet_of(backend: &Backend, text: &str) -> Result<Arc<Mutex<Tablet>>, Answer> {
    let tablet_id: i64 = text.parse().unwrap_or(0);
    let missing = || format!("tablet is not exist, tablet_id={tablet_id}");
    let found = backend.tablet(tablet_id);
    found.map_err(|_| Answer::error(missing()))
}

async fn tablet_download(
    State(backend): State<Arc<Backend>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    method: Method,
    Query(parameters): Query<Parameters>,
) -> Response {
    let faults = backend.faults();
    let verdict = faults.before("tablet_download", Some(backend.id())).await;
    let answer = tablet_answer(&backend, &parameters);
    finish(&backend, &peer, &method, &parameters, verdict, answer).await
}

fn tablet_answer(backend: &Backend, parameters: &Parameters) -> Answer {
    let token = parameters.get("token").map_or("", String::as_str);
    if !backend.token_matches(token) {
        return Answer::Text(StatusCode::UNAUTHORIZED, "invalid token".to_owned());
    }
    let Some(file) = parameters.get("file").filter(|file| !file.is_empty()) else {
        return Answer::Text(
            StatusCode::OK,
            "parameter file not specified in url.".to_owned(),
        );
    };
    let Ok(path) = Path::new(file).canonicalize() else {
        return Answer::not_found("file not exist.");
    };
    if !path.starts_with(backend.store()) {
        let text = format!("file path is not allowed: {file}");
        return Answer::Text(StatusCode::UNAUTHORIZED, text);
    }
    if path.is_file() {
        return Answer::File(path);
    }
    match list_dir(&path) {
        Ok(text) => Answer::Text(StatusCode::OK, text),
        Err(error) => Answer::error(error.to_string()),
    }
}

fn list_dir(path: &Path) -> std::io::Result<String> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names.join("\n"))
}

async fn health(
    State(backend): State<Arc<Backend>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
) -> Response {
    if !backend.alive() {
        peer.cut();
    }
    axum::Json(serde_json::json!({"status": "OK", "msg": "To Be Added"})).into_response()
}

async fn finish(
    backend: &Backend,
    peer: &Peer,
    method: &Method,
    parameters: &Parameters,
    verdict: Verdict,
    answer: Answer,
) -> Response {
    let mut mangle = Mangle::No;
    match verdict {
        Verdict::Proceed => {}
        Verdict::Fail { code, message } => {
            let status = code
                .and_then(|code| u16::try_from(code).ok())
                .and_then(|code| StatusCode::from_u16(code).ok())
                .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            return (status, message).into_response();
        }
        Verdict::ResetBefore | Verdict::ResetAfter => {
            peer.cut();
            return StatusCode::OK.into_response();
        }
        Verdict::Truncate { bytes } => mangle = Mangle::Truncate(bytes),
        Verdict::Corrupt => mangle = Mangle::Corrupt,
        Verdict::Garbage => return (StatusCode::OK, "\u{0}\u{7}garbage:x:y").into_response(),
    }
    let bytes = match answer {
        Answer::Text(status, text) if status != StatusCode::OK => {
            return (status, text).into_response();
        }
        Answer::Text(_, text) => Bytes::from(text),
        Answer::Bytes(bytes) => bytes,
        Answer::File(path) => match tokio::fs::read(&path).await {
            Ok(bytes) => {
                if method != Method::HEAD && is_limited(parameters) {
                    throttle(backend, bytes.len()).await;
                }
                Bytes::from(bytes)
            }
            // Collected between the lookup and the read.
            Err(_) => return (StatusCode::NOT_FOUND, "file not exist.").into_response(),
        },
    };
    let md5 = parameters
        .get("acquire_md5")
        .is_some_and(|value| !value.is_empty())
        .then(|| md5_hex(&bytes));
    body_response(bytes, md5, method, mangle)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mangle {
    No,
    Truncate(u64),
    Corrupt,
}

/// Content-Length and md5 are those of the true bytes, so that a client can notice what was done to the body.
fn body_response(bytes: Bytes, md5: Option<String>, method: &Method, mangle: Mangle) -> Response {
    let length = bytes.len();
    let body = match mangle {
        Mangle::No => Body::from(bytes),
        Mangle::Corrupt => {
            let mut bad = bytes.to_vec();
            if let Some(byte) = bad.get_mut(length / 2) {
                *byte ^= 0x40;
            }
            Body::from(bad)
        }
        Mangle::Truncate(_) if method == Method::HEAD => Body::from(bytes),
        Mangle::Truncate(kept) => {
            let kept = usize::try_from(kept).unwrap_or(usize::MAX).min(length);
            let parts = [
                Ok(bytes.slice(..kept)),
                Err(std::io::ErrorKind::ConnectionReset),
            ];
            Body::from_stream(stream::iter(
                parts.map(|part| part.map_err(std::io::Error::from)),
            ))
        }
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    if let Some(md5) = md5.and_then(|md5| HeaderValue::from_str(&md5).ok()) {
        headers.insert("Content-MD5", md5);
    }
    response
}

/// All binlog files and the snapshot files that a restore pulls; not those of a clone.
fn is_limited(parameters: &Parameters) -> bool {
    let of_binlog = parameters.contains_key("method");
    of_binlog
        || parameters
            .get("channel")
            .is_some_and(|channel| channel == "ingest_binlog")
}

/// All limited downloads of a backend share `download_binlog_rate_limit_kbs`.
async fn throttle(backend: &Backend, bytes: usize) {
    let limit = backend.config.rate_limit_kbs.load(Ordering::Relaxed);
    let now = backend.clock().monotonic();
    let wait = backend.bandwidth.reserve(bytes, limit, now);
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
}
