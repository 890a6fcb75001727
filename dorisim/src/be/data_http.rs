//! Rows of a backend over HTTP, for a frontend in another process: below [`PATH`], guarded by the token of the cluster.
//!
//! This stands for the brpc of Doris and is a protocol of our own: JSON in, JSON out, 409 with a [`Refusal`] when the backend refuses.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::api::{BackendApi, BeError, DeletePredicate, Row, RowsetView, TableSchema, TabletStat};
use super::backend::Backend;
use crate::wire::agent::status::code_of;

/// Where the endpoints are.
pub const PATH: &str = "/sim/data";
/// Header with the token of the cluster.
pub const TOKEN_HEADER: &str = "x-dorisim-token";
/// Largest body: a rowset of a load.
const MAX_BODY: usize = 1 << 30;

/// `write_rowset`: [`BackendApi::write_rowset`].
#[derive(Debug, Serialize, Deserialize)]
pub struct WrittenRowset {
    /// Transaction.
    pub txn_id: i64,
    /// Partition.
    pub partition_id: i64,
    /// Tablet.
    pub tablet_id: i64,
    /// Schema of the rows.
    pub schema: Arc<TableSchema>,
    /// The rows.
    pub rows: Arc<Vec<Row>>,
    /// Set for a DELETE.
    pub delete: Option<DeletePredicate>,
}

/// `rowsets`: [`BackendApi::rowsets`].
#[derive(Debug, Serialize, Deserialize)]
pub struct Version {
    /// Tablet.
    pub tablet_id: i64,
    /// Highest version that is read.
    pub version: i64,
}

/// Answer of `rowsets`: a [`RowsetView`].
#[derive(Debug, Serialize, Deserialize)]
pub struct SentRowset {
    start_version: i64,
    end_version: i64,
    schema: Arc<TableSchema>,
    rows: Arc<Vec<Row>>,
    delete: Option<Arc<DeletePredicate>>,
}

impl From<SentRowset> for RowsetView {
    fn from(sent: SentRowset) -> Self {
        RowsetView {
            start_version: sent.start_version,
            end_version: sent.end_version,
            schema: sent.schema,
            rows: sent.rows,
            delete: sent.delete,
        }
    }
}

impl From<RowsetView> for SentRowset {
    fn from(view: RowsetView) -> Self {
        SentRowset {
            start_version: view.start_version,
            end_version: view.end_version,
            schema: view.schema,
            rows: view.rows,
            delete: view.delete,
        }
    }
}

/// `replace_content`: [`BackendApi::replace_content`].
#[derive(Debug, Serialize, Deserialize)]
pub struct Content {
    /// Tablet.
    pub tablet_id: i64,
    /// Version that the content has afterwards.
    pub version: i64,
    /// Schema of the rows.
    pub schema: Arc<TableSchema>,
    /// The rows.
    pub rows: Arc<Vec<Row>>,
}

/// `set_schema`: the schema that loads bring along.
#[derive(Debug, Serialize, Deserialize)]
pub struct SchemaOf {
    /// Tablet.
    pub tablet_id: i64,
    /// Its schema from now on.
    pub schema: Arc<TableSchema>,
}

/// `tablet_stat`: [`BackendApi::tablet_stat`].
#[derive(Debug, Serialize, Deserialize)]
pub struct StatOf {
    /// Tablet.
    pub tablet_id: i64,
}

/// Answer of `tablet_stat`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Stat {
    version: i64,
    rows: i64,
    bytes: i64,
    rowsets: usize,
    binlogs: usize,
}

impl From<TabletStat> for Stat {
    fn from(stat: TabletStat) -> Self {
        Stat {
            version: stat.version,
            rows: stat.rows,
            bytes: stat.bytes,
            rowsets: stat.rowsets,
            binlogs: stat.binlogs,
        }
    }
}

impl From<Stat> for TabletStat {
    fn from(stat: Stat) -> Self {
        TabletStat {
            version: stat.version,
            rows: stat.rows,
            bytes: stat.bytes,
            rowsets: stat.rowsets,
            binlogs: stat.binlogs,
        }
    }
}

/// Why the backend refused.
#[derive(Debug, Serialize, Deserialize)]
pub struct Refusal {
    /// A `TStatusCode`.
    pub code: i32,
    /// Text.
    pub message: String,
}

/// The routes.
pub fn router(backend: Arc<Backend>) -> Router {
    Router::new()
        .route(&format!("{PATH}/{{operation}}"), post(answer))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(backend)
}

async fn answer(
    State(backend): State<Arc<Backend>>,
    Path(operation): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let token = headers
        .get(TOKEN_HEADER)
        .and_then(|token| token.to_str().ok());
    if !token.is_some_and(|token| backend.token_matches(token)) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let api = backend.as_ref();
    match operation.as_str() {
        "write_rowset" => with(&body, |w: WrittenRowset| {
            api.write_rowset(
                w.txn_id,
                w.partition_id,
                w.tablet_id,
                w.schema,
                w.rows,
                w.delete,
            )
        }),
        "rowsets" => with(&body, |asked: Version| {
            let views = api.rowsets(asked.tablet_id, asked.version)?;
            Ok(views.into_iter().map(SentRowset::from).collect::<Vec<_>>())
        }),
        "replace_content" => with(&body, |content: Content| {
            api.replace_content(
                content.tablet_id,
                content.version,
                content.schema,
                content.rows,
            )
        }),
        "tablet_stat" => with(&body, |asked: StatOf| {
            api.tablet_stat(asked.tablet_id).map(Stat::from)
        }),
        "set_schema" => match serde_json::from_slice::<SchemaOf>(&body) {
            Ok(set) => told(
                api.update_tablet(set.tablet_id, None, Some(set.schema))
                    .await,
            ),
            Err(error) => malformed(&error),
        },
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

fn with<A: DeserializeOwned, R: Serialize>(
    body: &[u8],
    work: impl FnOnce(A) -> Result<R, BeError>,
) -> Response {
    match serde_json::from_slice(body) {
        Ok(argument) => told(work(argument)),
        Err(error) => malformed(&error),
    }
}

fn told<R: Serialize>(result: Result<R, BeError>) -> Response {
    match result {
        Ok(value) => axum::Json(value).into_response(),
        Err(error) => {
            let refusal = Refusal {
                code: code_of(&error).0,
                message: error.to_string(),
            };
            (StatusCode::CONFLICT, axum::Json(refusal)).into_response()
        }
    }
}

fn malformed(error: &serde_json::Error) -> Response {
    (StatusCode::BAD_REQUEST, error.to_string()).into_response()
}
