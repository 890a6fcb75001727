//! The queries of a backend: accepted, started, cancelled, fetched from, forgotten.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::error::{ExecError, plan};
use super::fragment::{self, Request};
use super::peer::Peers;
use super::query::Query;
use super::table_sink::TabletRows;
use super::tablet_write;
use crate::agent::Agent;
use crate::brpc::pb::{ExecPlanFragmentPb, FetchedDataPb, UniqueIdPb};
use crate::brpc::status;
use crate::sync::lock;
use dorisim_model::Row;

/// Queries at one time.
const MAX_QUERIES: usize = 1000;
/// How long a query stays known behind its own limit, for a client that fetches late.
const LATE: Duration = Duration::from_secs(30);
/// How long rows of another backend wait for their fragment.
const UNANNOUNCED: Duration = Duration::from_secs(120);

#[derive(Debug, Default)]
struct Known {
    queries: HashMap<UniqueIdPb, Arc<Query>>,
    /// Fragment instance to its query.
    instances: HashMap<UniqueIdPb, UniqueIdPb>,
}

/// Runs what frontends send.
#[derive(Debug)]
pub struct Executor {
    /// The backend's agent: who it is in its cluster.
    pub(super) agent: Arc<Agent>,
    pub(super) peers: Peers,
    known: Mutex<Known>,
    /// One rowset is written at a time: several senders add to one.
    writes: Mutex<()>,
}

impl Executor {
    /// An executor without queries.
    #[must_use]
    pub fn new(agent: Arc<Agent>) -> Arc<Self> {
        Arc::new(Executor {
            agent,
            peers: Peers::default(),
            known: Mutex::default(),
            writes: Mutex::default(),
        })
    }

    /// `exec_plan_fragment`, and with `park` `exec_plan_fragment_prepare`.
    ///
    /// # Errors
    /// Fragments that can not be read or run here.
    pub fn accept(
        self: &Arc<Self>,
        request: &ExecPlanFragmentPb,
        park: bool,
    ) -> Result<(), ExecError> {
        let request = fragment::decode(request)?;
        let query = self.query(request.query, request.limit + LATE)?;
        {
            let mut known = lock(&self.known);
            for instance in request.fragments.iter().flat_map(|f| &f.instances) {
                known.instances.insert(*instance, request.query);
            }
        }
        if park {
            query.park(request);
        } else {
            self.launch(query, request);
        }
        Ok(())
    }

    /// `exec_plan_fragment_start`
    ///
    /// # Errors
    /// A query that was not prepared.
    pub fn start(self: &Arc<Self>, id: UniqueIdPb) -> Result<(), ExecError> {
        let query = self.find(id);
        let query = query.ok_or_else(|| plan("the query was not prepared here"))?;
        for request in query.unpark() {
            self.launch(Arc::clone(&query), request);
        }
        Ok(())
    }

    /// `cancel_plan_fragment`; a query that is not here is none to cancel.
    pub fn cancel(&self, id: UniqueIdPb, code: i32, why: String) {
        if let Some(query) = self.find(id) {
            query.fail(code, why);
            query.over.cancel();
        }
    }

    /// `fetch_data`: by instance, or by query.
    pub async fn fetch(&self, id: UniqueIdPb) -> FetchedDataPb {
        let found = {
            let known = lock(&self.known);
            let query = known.instances.get(&id).copied().unwrap_or(id);
            known.queries.get(&query).cloned()
        };
        match found {
            Some(query) => query.fetch().await,
            None => FetchedDataPb {
                status: status::of(
                    dorisim_wire::TStatusCode::CANCELLED.0,
                    "the query is not on this backend (any more)".to_owned(),
                ),
                packet_seq: None,
                eos: None,
                row_batch: None,
            },
        }
    }

    /// Rows that another backend sends to an exchange node.
    ///
    /// # Errors
    /// [`ExecError::TooMuch`].
    pub fn take_rows(
        self: &Arc<Self>,
        query: UniqueIdPb,
        node: i32,
        rows: Vec<Row>,
        ended: i32,
    ) -> Result<(), ExecError> {
        self.query(query, UNANNOUNCED)?.deliver(node, rows, ended)
    }

    /// Writes rows of a load into a tablet of this backend.
    ///
    /// # Errors
    /// As `tablet_write`.
    pub fn take_tablet(&self, load: TabletRows) -> Result<(), ExecError> {
        tablet_write::write(self.agent.backend(), &self.writes, load)
    }

    /// True for an instance that was sent here.
    pub(super) fn knows(&self, instance: UniqueIdPb) -> bool {
        lock(&self.known).instances.contains_key(&instance)
    }

    fn find(&self, id: UniqueIdPb) -> Option<Arc<Query>> {
        lock(&self.known).queries.get(&id).cloned()
    }

    /// The query, made when it is new; forgotten when it is over or `within` is.
    fn query(self: &Arc<Self>, id: UniqueIdPb, within: Duration) -> Result<Arc<Query>, ExecError> {
        let query = {
            let mut known = lock(&self.known);
            if let Some(query) = known.queries.get(&id) {
                return Ok(Arc::clone(query));
            }
            if known.queries.len() >= MAX_QUERIES {
                return Err(ExecError::TooMuch {
                    what: "queries at one time",
                    limit: MAX_QUERIES,
                });
            }
            let query = Arc::new(Query::new(id));
            known.queries.insert(id, Arc::clone(&query));
            query
        };
        let executor = Arc::downgrade(self);
        let watched = Arc::clone(&query);
        tokio::spawn(async move {
            if tokio::time::timeout(within, watched.over.cancelled())
                .await
                .is_err()
            {
                let code = dorisim_wire::TStatusCode::TIMEOUT.0;
                watched.fail(code, "the query was not ended in its time".to_owned());
            }
            if let Some(executor) = executor.upgrade() {
                let mut known = lock(&executor.known);
                known.queries.remove(&id);
                known.instances.retain(|_, query| *query != id);
            }
        });
        Ok(query)
    }

    fn launch(self: &Arc<Self>, query: Arc<Query>, request: Request) {
        let executor = Arc::clone(self);
        tokio::spawn(async move { executor.run(query, request).await });
    }
}
