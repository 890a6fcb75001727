//! Rows between frontend and backends. Doris sends them over brpc, which is not simulated: a backend in this process is called, one
//! elsewhere has endpoints of our own below `/sim/data` on its HTTP port ([`crate::be::data_http`]).

use std::sync::{Arc, OnceLock, PoisonError, RwLock, mpsc};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::runtime::{Handle, Runtime, RuntimeFlavor};

use super::node::Node;
use crate::be::api::{
    BackendAddress, BackendApi, BeError, DeletePredicate, LocalTxnState, Row, RowsetView,
    TableSchema, TabletStat,
};
use crate::be::data_http::{
    Content, PATH, Refusal, SchemaOf, SentRowset, Stat, StatOf, TOKEN_HEADER, Version,
    WrittenRowset,
};

/// A backend elsewhere has to answer within this.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// The way to the rows of one backend.
pub(super) enum Rows<'a> {
    /// In this process.
    Local(&'a Arc<dyn BackendApi>),
    /// Over HTTP.
    Remote {
        http: &'a Http,
        address: &'a BackendAddress,
    },
}

impl<'a> Rows<'a> {
    /// The shortest way.
    pub(super) fn of(node: &'a Node, address: &'a BackendAddress, http: &'a Http) -> Self {
        match node.local() {
            Some(local) => Rows::Local(local),
            None => Rows::Remote { http, address },
        }
    }

    pub(super) async fn set_schema(
        &self,
        tablet_id: i64,
        schema: Arc<TableSchema>,
    ) -> Result<(), BeError> {
        match self {
            Rows::Local(local) => local.update_tablet(tablet_id, None, Some(schema)).await,
            Rows::Remote { http, address } => {
                http.ask(address, "set_schema", &SchemaOf { tablet_id, schema })
            }
        }
    }

    pub(super) fn write_rowset(
        &self,
        txn_id: i64,
        partition_id: i64,
        tablet_id: i64,
        schema: Arc<TableSchema>,
        rows: Arc<Vec<Row>>,
        delete: Option<DeletePredicate>,
    ) -> Result<(), BeError> {
        match self {
            Rows::Local(local) => {
                local.write_rowset(txn_id, partition_id, tablet_id, schema, rows, delete)
            }
            Rows::Remote { http, address } => {
                let written = WrittenRowset {
                    txn_id,
                    partition_id,
                    tablet_id,
                    schema,
                    rows,
                    delete,
                };
                http.ask(address, "write_rowset", &written)
            }
        }
    }

    pub(super) fn rowsets(
        &self,
        tablet_id: i64,
        up_to_version: i64,
    ) -> Result<Vec<RowsetView>, BeError> {
        match self {
            Rows::Local(local) => local.rowsets(tablet_id, up_to_version),
            Rows::Remote { http, address } => {
                let asked = Version {
                    tablet_id,
                    version: up_to_version,
                };
                let sent: Vec<SentRowset> = http.ask(address, "rowsets", &asked)?;
                Ok(sent.into_iter().map(RowsetView::from).collect())
            }
        }
    }

    pub(super) fn replace_content(
        &self,
        tablet_id: i64,
        version: i64,
        schema: Arc<TableSchema>,
        rows: Arc<Vec<Row>>,
    ) -> Result<(), BeError> {
        match self {
            Rows::Local(local) => local.replace_content(tablet_id, version, schema, rows),
            Rows::Remote { http, address } => {
                let content = Content {
                    tablet_id,
                    version,
                    schema,
                    rows,
                };
                http.ask(address, "replace_content", &content)
            }
        }
    }

    pub(super) fn tablet_stat(&self, tablet_id: i64) -> Result<TabletStat, BeError> {
        match self {
            Rows::Local(local) => local.tablet_stat(tablet_id),
            Rows::Remote { http, address } => {
                let stat: Stat = http.ask(address, "tablet_stat", &StatOf { tablet_id })?;
                Ok(stat.into())
            }
        }
    }

    /// Known of backends in this process alone.
    pub(super) fn txn_state(&self, txn_id: i64, tablet_id: i64) -> LocalTxnState {
        match self {
            Rows::Local(local) => local.txn_state(txn_id, tablet_id),
            Rows::Remote { .. } => LocalTxnState::NotFound,
        }
    }

    /// Known of backends in this process alone.
    pub(super) fn committed_tablets(&self, txn_id: i64) -> Vec<i64> {
        match self {
            Rows::Local(local) => local.committed_tablets(txn_id),
            Rows::Remote { .. } => Vec::new(),
        }
    }
}

/// A blocking client whose connections live on a thread of their own, so that a caller on any thread may wait.
pub(super) struct Http {
    token: String,
    worker: OnceLock<Option<Worker>>,
}

struct Worker {
    runtime: RwLock<Option<Runtime>>,
    handle: Handle,
    client: reqwest::Client,
}

impl std::fmt::Debug for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Http").finish_non_exhaustive()
    }
}

impl Http {
    /// A client that starts with its first call.
    pub(super) fn new(token: &str) -> Self {
        Http {
            token: token.to_owned(),
            worker: OnceLock::new(),
        }
    }

    /// Asks a backend and waits for its answer.
    fn ask<A: Serialize, R: DeserializeOwned>(
        &self,
        address: &BackendAddress,
        operation: &str,
        argument: &A,
    ) -> Result<R, BeError> {
        let failed = |reason: String| BeError::Download {
            url: format!(
                "http://{}:{}{PATH}/{operation}",
                address.host, address.http_port
            ),
            reason,
        };
        let body = serde_json::to_vec(argument).map_err(|error| failed(error.to_string()))?;
        let worker = self.worker.get_or_init(|| Worker::start().ok());
        let Some(worker) = worker else {
            return Err(failed("no thread for the client".to_owned()));
        };
        let sending = worker
            .client
            .post(format!(
                "http://{}:{}{PATH}/{operation}",
                address.host, address.http_port
            ))
            .header(TOKEN_HEADER, &self.token)
            .timeout(ANSWER_WITHIN)
            .body(body)
            .send();
        let (tell, told) = mpsc::sync_channel(1);
        worker.handle.spawn(async move {
            let answered = async {
                let response = sending.await?;
                let status = response.status();
                Ok::<_, reqwest::Error>((status, response.bytes().await?))
            };
            // Fails when the caller is gone.
            let _ = tell.send(answered.await);
        });
        let answered = without_worker(|| told.recv_timeout(ANSWER_WITHIN * 2));
        let (status, bytes) = answered
            .map_err(|error| failed(error.to_string()))?
            .map_err(|error| failed(error.without_url().to_string()))?;
        if status.is_success() {
            return serde_json::from_slice(&bytes).map_err(|error| failed(error.to_string()));
        }
        match serde_json::from_slice::<Refusal>(&bytes) {
            Ok(refusal) => Err(BeError::Refused {
                code: refusal.code,
                message: refusal.message,
            }),
            Err(_no_refusal) => Err(failed(format!("HTTP status {status}"))),
        }
    }
}

/// Waits without keeping a thread of the present runtime from its other work.
fn without_worker<T>(wait: impl FnOnce() -> T) -> T {
    match Handle::try_current() {
        Ok(handle) if handle.runtime_flavor() == RuntimeFlavor::MultiThread => {
            tokio::task::block_in_place(wait)
        }
        Ok(_) | Err(_) => wait(),
    }
}

impl Worker {
    fn start() -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("sim-rows")
            .enable_all()
            .build()?;
        let client = reqwest::Client::builder()
            .no_proxy()
            .build()
            .map_err(std::io::Error::other)?;
        Ok(Worker {
            handle: runtime.handle().clone(),
            runtime: RwLock::new(Some(runtime)),
            client,
        })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let mut runtime = self.runtime.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = runtime.take() {
            // Not awaited: the thread that drops this may belong to another runtime.
            runtime.shutdown_background();
        }
    }
}
