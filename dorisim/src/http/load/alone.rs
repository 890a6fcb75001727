//! Stream loads of a backend in another process: it passes them on to the master, below [`PATH`] and with the token of the cluster.
//!
//! In Doris the backend parses the body itself, by a plan that the frontend gives it, and so it is here at a genuine frontend (`at_frontend`). A simulated
//! one does it for its backends; clients see no difference.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use futures::TryStreamExt;

use super::at_frontend::Loads;
use super::{Loader, errors, load_router, two_phase};
use crate::be::agent::Agent;
use crate::be::api::BackendApi;
use crate::be::backend::lock;
use crate::be::data_http::TOKEN_HEADER;
use crate::be::exec::Executor;
use crate::fe::Frontend;

/// Where a frontend takes them.
pub const PATH: &str = "/sim/load";
/// Header with the HTTP port of the backend that the load came to.
const PORT_HEADER: &str = "x-dorisim-backend-http-port";
/// Limit of the question what a master is.
const ASKED: std::time::Duration = std::time::Duration::from_secs(5);
/// Masters whose answer is kept.
const KEPT_MASTERS: usize = 16;
/// What belongs to one connection, or is made anew for the next one.
const OF_ONE_CONNECTION: [HeaderName; 5] = [
    header::HOST,
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::EXPECT,
    header::CONTENT_LENGTH,
];

/// Port of the backend that passed a load on.
pub(super) fn port_of(headers: &HeaderMap) -> Option<u16> {
    headers.get(PORT_HEADER)?.to_str().ok()?.parse().ok()
}

/// The routes on a frontend.
pub fn frontend_router<S: Clone + Send + Sync + 'static>(loader: Loader) -> Router<S> {
    let frontend = Arc::clone(&loader.frontend);
    let loads = load_router(loader).layer(from_fn_with_state(frontend, require_token));
    Router::new().nest(PATH, loads).with_state(())
}

async fn require_token(
    State(frontend): State<Arc<Frontend>>,
    request: Request,
    next: Next,
) -> Response {
    let token = request
        .headers()
        .get(TOKEN_HEADER)
        .and_then(|token| token.to_str().ok());
    if token == Some(frontend.master_token()) {
        next.run(request).await
    } else {
        StatusCode::UNAUTHORIZED.into_response()
    }
}

/// The routes on a backend that runs alone.
pub fn backend_router(agent: Arc<Agent>, executor: Arc<Executor>) -> Router {
    let passer = Passer {
        loads: Loads::new(Arc::clone(&agent), executor),
        agent,
        client: reqwest::Client::new(),
        simulated: Arc::default(),
    };
    Router::new()
        .route("/api/{db}/{table}/_stream_load", put(load))
        .route("/api/{db}/_stream_load_2pc", put(finish_db))
        .route("/api/{db}/{table}/_stream_load_2pc", put(finish_table))
        .route("/api/_http_stream", put(pass_on))
        .route("/api/_load_error_log", get(error_log))
        .with_state(passer)
}

async fn load(
    State(passer): State<Passer>,
    Path((db, table)): Path<(String, String)>,
    request: Request,
) -> Response {
    if passer.master_is_simulated().await {
        return pass_on(State(passer), request).await;
    }
    let (head, body) = request.into_parts();
    // A task of its own: a client that goes away must not leave the transaction open.
    let running =
        tokio::spawn(async move { passer.loads.load(&db, &table, &head.headers, body).await });
    match running.await {
        Ok(answer) => answer.into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn finish_db(
    State(passer): State<Passer>,
    Path(db): Path<String>,
    request: Request,
) -> Response {
    finish(passer, &db, request).await
}

async fn finish_table(
    State(passer): State<Passer>,
    Path((db, _table)): Path<(String, String)>,
    request: Request,
) -> Response {
    finish(passer, &db, request).await
}

async fn finish(passer: Passer, db: &str, request: Request) -> Response {
    if passer.master_is_simulated().await {
        return pass_on(State(passer), request).await;
    }
    two_phase::answer(passer.loads.finish(db, request.headers()).await)
}

async fn error_log(
    State(passer): State<Passer>,
    Query(parameters): Query<HashMap<String, String>>,
    request: Request,
) -> Response {
    if passer.master_is_simulated().await {
        return pass_on(State(passer), request).await;
    }
    errors::shown(&passer.loads.errors, &parameters)
}

#[derive(Clone)]
struct Passer {
    agent: Arc<Agent>,
    client: reqwest::Client,
    loads: Loads,
    /// Masters that were asked what they are, by address.
    simulated: Arc<Mutex<HashMap<String, bool>>>,
}

async fn pass_on(State(passer): State<Passer>, request: Request) -> Response {
    match passer.pass_on(request).await {
        Ok(answer) => answer,
        Err(reason) => {
            let body = serde_json::json!({
                "TxnId": -1,
                "Label": "",
                "Status": "Fail",
                "Message": format!("[INTERNAL_ERROR]{reason}"),
            });
            axum::Json(body).into_response()
        }
    }
}

impl Passer {
    /// True when the master takes passed-on loads: without the token it answers 401 there, which a genuine one does not.
    async fn master_is_simulated(&self) -> bool {
        let membership = self.agent.membership();
        let (Some(master), Some(port)) = (membership.master(), membership.master_http_port())
        else {
            return true;
        };
        let address = format!("{}:{port}", master.host);
        let known = lock(&self.simulated).get(&address).copied();
        if let Some(known) = known {
            return known;
        }
        let url = format!("http://{address}{PATH}/api/_load_error_log");
        let asked = self.client.get(url).timeout(ASKED).send().await;
        let Ok(answered) = asked else { return true };
        let simulated = answered.status() == StatusCode::UNAUTHORIZED;
        let mut all = lock(&self.simulated);
        if all.len() >= KEPT_MASTERS {
            all.clear();
        }
        all.insert(address, simulated);
        simulated
    }

    async fn pass_on(&self, request: Request) -> Result<Response, String> {
        let membership = self.agent.membership();
        let (Some(master), Some(port), Some(token)) = (
            membership.master(),
            membership.master_http_port(),
            membership.token(),
        ) else {
            return Err("this backend has had no heartbeat of a master yet".to_owned());
        };
        let path = request.uri().path_and_query().map_or("/", |p| p.as_str());
        let url = format!("http://{}:{port}{PATH}{path}", master.host);
        let (head, body) = request.into_parts();
        let mut headers = head.headers;
        let length = headers.remove(header::CONTENT_LENGTH);
        for name in OF_ONE_CONNECTION {
            headers.remove(name);
        }
        let mut sent = self
            .client
            .request(head.method, url)
            .headers(headers)
            .header(TOKEN_HEADER, token)
            .header(PORT_HEADER, self.agent.backend().address().http_port)
            .body(reqwest::Body::wrap_stream(body.into_data_stream()));
        if let Some(length) = length {
            sent = sent.header(header::CONTENT_LENGTH, length);
        }
        let unreachable = |error: reqwest::Error| {
            let address = format!("{}:{port}", master.host);
            format!(
                "the master at {address} took no load: {}",
                error.without_url()
            )
        };
        let answered = sent.send().await.map_err(unreachable)?;
        let mut answer = Response::builder().status(answered.status());
        if let Some(kind) = answered.headers().get(header::CONTENT_TYPE) {
            answer = answer.header(header::CONTENT_TYPE, kind);
        }
        let body = Body::from_stream(answered.bytes_stream().map_err(std::io::Error::other));
        answer.body(body).map_err(|error| error.to_string())
    }
}
