//! Stream load: a frontend redirects to a backend (`redirect`); the backend reads the headers (`settings`), makes rows of the
//! body (`rows`) and answers (`answer`); one that runs [`alone`] does it by the plan of a genuine frontend (`at_frontend`);
//! `errors` keeps what it refused, `two_phase` is the second phase.

pub mod alone;
mod answer;
mod at_frontend;
mod auth;
mod errors;
mod receive;
mod redirect;
mod refusal;
mod rows;
mod settings;
mod two_phase;

pub use redirect::redirect_router;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use md5::{Digest, Md5};
use tokio::sync::Semaphore;

use self::answer::{LoadAnswer, Status};
use self::auth::Login;
use self::errors::ErrorLogs;
use self::refusal::Refusal;
use self::rows::Prepared;
use self::settings::{Head, Merge, Settings};
use dorisim_be::{Backend, BackendApi};
use dorisim_fe::{
    Frontend, LoadError, LoadRequest, LoadResult, LoadSource, LoadState, SqlError, TxnStatus,
};
use dorisim_model::OlapTable;
use dorisim_model::clock::SimClock;
use dorisim_net::faults::{Faults, Verdict};
use dorisim_net::listener::Peer;
use dorisim_query::{QueryEngine, SessionInfo};
use dorisim_sql::load::Rejections;

/// Bodies that all loads of a cluster may hold at a time, in MiB.
const MEMORY_MIB: usize = 1_024;

/// What the loads of a cluster share.
#[derive(Debug)]
pub struct LoadShared {
    engine: QueryEngine,
    memory: Arc<Semaphore>,
    count: AtomicU64,
}

impl LoadShared {
    /// Nothing loaded yet.
    ///
    /// # Errors
    /// The query engine can not be opened.
    pub fn new() -> Result<Arc<Self>, SqlError> {
        Ok(Arc::new(Self {
            engine: QueryEngine::new()?,
            memory: Arc::new(Semaphore::new(MEMORY_MIB)),
            count: AtomicU64::new(0),
        }))
    }
}

/// The loading side of one backend.
#[derive(Clone)]
pub struct Loader {
    frontend: Arc<Frontend>,
    place: Place,
    shared: Arc<LoadShared>,
    errors: Arc<ErrorLogs>,
}

/// Where loads arrive.
#[derive(Clone)]
struct Place {
    /// The backend whose faults apply.
    backend_id: i64,
    http_port: u16,
    faults: Arc<Faults>,
    clock: Arc<SimClock>,
}

impl Loader {
    /// Loads through `frontend`, under the faults of `backend`.
    #[must_use]
    pub fn new(frontend: Arc<Frontend>, backend: Arc<Backend>, shared: Arc<LoadShared>) -> Self {
        let place = Place {
            backend_id: backend.id(),
            http_port: backend.address().http_port,
            faults: Arc::clone(backend.faults()),
            clock: Arc::clone(backend.clock()),
        };
        Self {
            frontend,
            place,
            shared,
            errors: Arc::default(),
        }
    }

    /// A label for a load that brought none, of the form of a UUID.
    fn made_label(&self) -> String {
        let number = self.shared.count.fetch_add(1, Ordering::Relaxed);
        let now = self.frontend.clock().now_ms();
        let hex = hex::encode(Md5::digest(format!(
            "{now}/{number}/{}",
            self.place.http_port
        )));
        let parts = [0..8, 8..12, 12..16, 16..20, 20..32];
        parts.map(|part| &hex[part]).join("-")
    }

    /// The load failed: what it began is aborted, and the answer says why.
    async fn refuse(&self, answer: &mut LoadAnswer, refusal: &Refusal) {
        let reason = refusal.to_string();
        if answer.txn_id > 0 {
            self.frontend
                .abort_stream_load(answer.txn_id, &reason)
                .await;
        }
        answer.status = Status::Fail(reason);
    }

    fn since(&self, start: Instant) -> u64 {
        let elapsed = self
            .place
            .clock
            .monotonic()
            .saturating_duration_since(start);
        u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
    }
}

/// The routes on a backend.
pub fn load_router(loader: Loader) -> Router {
    Router::new()
        .route("/api/{db}/{table}/_stream_load", put(load))
        .route("/api/{db}/_stream_load_2pc", put(two_phase::finish_db))
        .route(
            "/api/{db}/{table}/_stream_load_2pc",
            put(two_phase::finish_table),
        )
        .route("/api/_load_error_log", get(errors::error_log))
        .with_state(loader)
}

async fn load(
    State(loader): State<Loader>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path((db, table)): Path<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let place = &loader.place;
    let backend = Some(place.backend_id);
    let verdict = place.faults.before("stream_load", backend).await;
    let refused = |text: &str| {
        let mut answer = LoadAnswer::new(String::new());
        answer.status = Status::Fail(text.to_owned());
        answer.into_response()
    };
    match &verdict {
        Verdict::Fail { message, .. } => return refused(message),
        Verdict::ResetBefore => {
            peer.cut();
            return StatusCode::OK.into_response();
        }
        Verdict::Garbage => return "\u{0}garbage".into_response(),
        Verdict::Proceed | Verdict::ResetAfter | Verdict::Truncate { .. } | Verdict::Corrupt => {}
    }
    // A task of its own: a client that goes away must not leave the transaction open.
    let running = tokio::spawn(async move { run(&loader, &db, &table, &headers, body).await });
    let answer = match running.await {
        Ok(answer) => answer.into_response(),
        Err(error) => refused(&format!("[INTERNAL_ERROR]the load ended: {error}")),
    };
    if verdict == Verdict::ResetAfter {
        peer.cut();
    }
    answer
}

async fn run(
    loader: &Loader,
    db: &str,
    table: &str,
    headers: &HeaderMap,
    body: Body,
) -> LoadAnswer {
    let started = loader.place.clock.monotonic();
    let label = settings::text(headers, "label").unwrap_or_else(|| loader.made_label());
    let mut answer = LoadAnswer::new(label);
    answer.two_phase = settings::text(headers, "two_phase_commit").as_deref() == Some("true");
    if let Err(refusal) = attempt(loader, db, table, headers, body, &mut answer).await {
        loader.refuse(&mut answer, &refusal).await;
    }
    answer.times.total = loader.since(started);
    answer
}

/// The load itself; fills the answer on the way.
async fn attempt(
    loader: &Loader,
    db: &str,
    table: &str,
    headers: &HeaderMap,
    body: Body,
    answer: &mut LoadAnswer,
) -> Result<(), Refusal> {
    let frontend = &loader.frontend;
    let now = || loader.place.clock.monotonic();
    if Login::of(headers).is_none() {
        return Err(Refusal::new(
            "NOT_AUTHORIZED",
            "no valid Basic authorization",
        ));
    }
    let head = Head::of(headers)?;
    answer.comment.clone_from(&head.comment);
    if head.group_commit {
        answer.group_commit = true;
        answer.label = format!("group_commit_{}", loader.made_label().replace('-', "_"));
    }
    authorized(frontend, headers, db, Some(table))?;
    let target = target(frontend, db, table)?;
    let start = now();
    match frontend.begin_stream_load(db, table, &answer.label, head.timeout_s) {
        Ok(id) => answer.txn_id = id,
        Err(error) => return refused(error, answer),
    }
    answer.times.begin = loader.since(start);
    let start = now();
    let settings = Settings::of(headers, &head)?;
    answer.times.plan = loader.since(start);
    let start = now();
    let (bytes, received, memory) = receive::receive(&loader.shared.memory, &head, body).await?;
    answer.bytes = received;
    answer.times.receive = loader.since(start);
    let start = now();
    let shared = Arc::clone(&loader.shared);
    let session = SessionInfo {
        db: Some(db.to_owned()),
        now_ms: frontend.clock().now_ms(),
        ..SessionInfo::default()
    };
    let (of_body, of_rows) = (head.clone(), settings.clone());
    let working = tokio::task::spawn_blocking(move || {
        rows::prepare(
            &shared.engine,
            &session,
            &target,
            &of_body,
            &of_rows,
            &bytes,
        )
    });
    let prepared = working
        .await
        .map_err(|error| Refusal::new("INTERNAL_ERROR", format!("reading the body: {error}")))??;
    answer.times.write = loader.since(start);
    let (request, rejected) = request(db, table, &head, settings, prepared, answer);
    let result = commit(loader, request, rejected, answer).await;
    drop(memory);
    result
}

/// Hands the rows over, and tells what became of them.
async fn commit(
    loader: &Loader,
    request: LoadRequest,
    mut rejected: Rejections,
    answer: &mut LoadAnswer,
) -> Result<(), Refusal> {
    let start = loader.place.clock.monotonic();
    let db = request.db.clone();
    let loaded = loader.frontend.load(request).await;
    answer.times.commit = loader.since(start);
    let result = finished(loaded, &mut rejected, answer);
    answer.filtered = rejected.count;
    answer.total = answer.loaded + answer.filtered + answer.unselected;
    if result.is_err() {
        answer.loaded = 0;
    }
    answer.first_error = rejected.first();
    if let Some(text) = rejected.log() {
        let name = loader.errors.keep(&db, &answer.label, answer.txn_id, text);
        let port = loader.place.http_port;
        answer.error_url = Some(format!(
            "http://127.0.0.1:{port}/api/_load_error_log?file={name}"
        ));
    }
    result
}

/// The table as it is now.
fn target(frontend: &Frontend, db: &str, table: &str) -> Result<OlapTable, Refusal> {
    frontend.with_catalog(|catalog| {
        let found = catalog
            .database(db)
            .ok_or_else(|| Refusal::not_found(format!("unknown database, database={db}")))?;
        found.table(table).cloned().ok_or_else(|| {
            Refusal::not_found(match found.view(table) {
                Some(_) => format!("table type is not OLAP, tableName={table}, type=VIEW"),
                None => format!("table not found, tableName={table}"),
            })
        })
    })
}

/// What goes to the frontend, and what was rejected before.
fn request(
    db: &str,
    table: &str,
    head: &Head,
    settings: Settings,
    prepared: Prepared,
    answer: &mut LoadAnswer,
) -> (LoadRequest, Rejections) {
    answer.unselected = prepared.unselected;
    answer.loaded = prepared.rows.len() as u64;
    let request = LoadRequest {
        label: Some(answer.label.clone()),
        partitions: settings.partitions,
        temp_partitions: settings.temp_partitions,
        delete: settings.merge == Merge::Delete,
        partial_update: prepared.partial,
        max_filter_ratio: settings.max_filter_ratio,
        two_phase: head.two_phase,
        begun: Some(answer.txn_id),
        refused_before: prepared.rejected.count,
        source: LoadSource::StreamLoad,
        timeout_s: head.timeout_s,
        ..LoadRequest::insert(db, table, prepared.columns, prepared.rows)
    };
    (request, prepared.rejected)
}

fn finished(
    loaded: Result<LoadResult, LoadError>,
    rejected: &mut Rejections,
    answer: &mut LoadAnswer,
) -> Result<(), Refusal> {
    let mut reject = |reasons: Vec<String>, filtered: u64| {
        let more = filtered.saturating_sub(reasons.len() as u64);
        for reason in reasons {
            rejected.add(|| reason, String::new);
        }
        rejected.count += more;
    };
    match loaded {
        Ok(done) => {
            reject(done.errors, done.filtered);
            answer.loaded = done.loaded;
            answer.status = match done.state {
                LoadState::Visible | LoadState::Precommitted => Status::Success,
                LoadState::Committed => Status::PublishTimeout(
                    "[PUBLISH_TIMEOUT]transaction commit successfully, BUT data will be visible later"
                        .to_owned(),
                ),
            };
            Ok(())
        }
        Err(LoadError::TooManyFiltered {
            filtered, errors, ..
        }) => {
            reject(errors, filtered);
            answer.loaded = answer.loaded.saturating_sub(filtered);
            Err(Refusal::new("DATA_QUALITY_ERROR", "too many filtered rows"))
        }
        Err(error) => refused(error, answer),
    }
}

/// A refusal of the frontend. A used label is an answer of its own, and another's transaction stays.
fn refused(error: LoadError, answer: &mut LoadAnswer) -> Result<(), Refusal> {
    match error {
        LoadError::LabelUsed { status, .. } => {
            let job = match status {
                TxnStatus::Prepare => "RUNNING",
                TxnStatus::Precommitted => "PRECOMMITTED",
                TxnStatus::Committed | TxnStatus::Visible | TxnStatus::Aborted => "FINISHED",
            };
            let text =
                format!("[LABEL_ALREADY_EXISTS]TStatus: errCode = 2, detailMessage = {error}");
            answer.status = Status::LabelExists(job, text);
            Ok(())
        }
        LoadError::TooManyFiltered { .. } => {
            Err(Refusal::new("DATA_QUALITY_ERROR", error.to_string()))
        }
        LoadError::Sql(error) => Err(error.into()),
    }
}

/// Password and LOAD privilege.
fn authorized(
    frontend: &Frontend,
    headers: &HeaderMap,
    db: &str,
    table: Option<&str>,
) -> Result<(), Refusal> {
    let Some(login) = Login::of(headers) else {
        return Err(Refusal::new(
            "INTERNAL_ERROR",
            "no valid Basic authorization",
        ));
    };
    if !login.is_right(frontend) {
        return Err(Refusal::analysis(login.denial()));
    }
    if !frontend.has_privilege(login.account(), "LOAD", Some(db), table) {
        return Err(Refusal::analysis(
            "Access denied; you need (at least one of) the (priv predicate: OR, Admin_priv,Load_priv) privilege(s) for this operation",
        ));
    }
    Ok(())
}
