//! Which FE a call goes to: the master, found and remembered.
//!
//! An FE that is not the master answers NOT_MASTER, with the master's address or (4.0.1 and later, and during an election)
//! without. Then the FEs are asked by SQL. Every call makes a bounded number of attempts.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ccr_doris_wire::{TNetworkAddress, TStatus, TStatusCode};
use thrift::protocol::TSerializable;

use crate::cluster::DorisCluster;
use crate::error::Error;
use crate::frontends::{FrontendList, Known};
use crate::hosts::Endpoint;
use crate::mysql::{Kind, Statement};
use crate::rpc::{Call, Failure, Repeat};
use crate::sql::Row;
use crate::status;

/// Attempts of one call, redirects and other FEs included.
const MAX_ATTEMPTS: usize = 8;

/// The master as last seen.
#[derive(Debug, Default)]
pub(crate) struct MasterMemory {
    thrift: Mutex<Option<Endpoint>>,
    query: Mutex<Option<Endpoint>>,
    /// Who answered a call last, also while it is not known who is the master now.
    last: Mutex<Option<Endpoint>>,
    known: Mutex<Known>,
}

impl MasterMemory {
    fn get(slot: &Mutex<Option<Endpoint>>) -> Option<Endpoint> {
        slot.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Remembers who answered a call; a change is worth a line in the log. True when it is another one than before.
    fn answered(&self, endpoint: &Endpoint) -> bool {
        let mut slot = self.thrift.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.as_ref() == Some(endpoint) {
            return false;
        }
        tracing::info!(master = %endpoint, "master FE found");
        *slot = Some(endpoint.clone());
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let before = last.replace(endpoint.clone());
        before.is_some_and(|before| before != *endpoint)
    }

    /// What the cluster said of itself.
    pub(crate) fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(slot: &Mutex<Option<Endpoint>>, endpoint: Option<Endpoint>) {
        *slot.lock().unwrap_or_else(PoisonError::into_inner) = endpoint;
    }
}

/// Both ports of a master.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Master {
    thrift: Endpoint,
    query: Endpoint,
}

/// An answer of a FE.
pub(crate) trait Answer: TSerializable + Send {
    /// Its status.
    fn status(&self) -> Option<&TStatus>;
    /// Where the master is, as this FE sees it.
    fn master(&self) -> Option<&TNetworkAddress>;
}

macro_rules! answers {
    ($($name:ident),*) => {$(
        impl Answer for ccr_doris_wire::$name {
            fn status(&self) -> Option<&TStatus> {
                self.status.as_ref()
            }

            fn master(&self) -> Option<&TNetworkAddress> {
                self.master_address.as_ref()
            }
        }
    )*};
}

answers!(
    TBeginTxnResult,
    TCommitTxnResult,
    TRollbackTxnResult,
    TGetBinlogResult,
    TGetBinlogLagResult,
    TLockBinlogResult,
    TGetSnapshotResult,
    TRestoreSnapshotResult,
    TGetMasterTokenResult,
    TGetMetaResult,
    TGetBackendMetaResult
);

/// An answer of the master, with its status taken apart.
pub(crate) struct Answered<A> {
    pub value: A,
    pub code: TStatusCode,
    pub text: String,
    pub endpoint: Endpoint,
    pub call: &'static str,
}

impl<A> Answered<A> {
    /// The error for a status that the caller has no use for.
    pub(crate) fn refused(&self) -> Error {
        Error::Refused {
            call: self.call.to_owned(),
            address: self.endpoint.to_string(),
            code: i64::from(self.code.0),
            cause: status::refusal(self.code, &self.text),
            text: self.text.clone(),
        }
    }

    /// The error for an answer that lacks something.
    pub(crate) fn unreadable(&self, what: &str) -> Error {
        Error::Protocol {
            call: self.call.to_owned(),
            address: self.endpoint.to_string(),
            text: what.to_owned(),
        }
    }
}

/// What was tried in one call.
#[derive(Default)]
struct Trace {
    tried: BTreeSet<Endpoint>,
    unreachable: BTreeSet<Endpoint>,
    asked: bool,
    last: Option<Error>,
}

impl DorisCluster {
    /// Calls the master.
    pub(crate) async fn frontend_call<Q, A>(
        &self,
        call: Call,
        build: &(dyn Fn(&str) -> Q + Send + Sync),
    ) -> Result<Answered<A>, Error>
    where
        Q: TSerializable + Send,
        A: Answer,
    {
        let mut trace = Trace::default();
        let remembered = MasterMemory::get(&self.master().thrift);
        let mut next = remembered.or_else(|| self.untried(&trace));
        for _ in 0..MAX_ATTEMPTS {
            let Some(endpoint) = next.take() else { break };
            trace.tried.insert(endpoint.clone());
            match self.pool().call::<Q, A>(&endpoint, call, build).await {
                Ok(answer) => {
                    let Some(status) = answer.status() else {
                        return Err(no_status(call, &endpoint));
                    };
                    let (code, text) = (status.status_code, status::text_of(status));
                    if code != TStatusCode::NOT_MASTER {
                        if self.master().answered(&endpoint) {
                            self.interrupted().note();
                        }
                        self.learn_again();
                        return Ok(Answered {
                            value: answer,
                            code,
                            text,
                            endpoint,
                            call: call.method,
                        });
                    }
                    self.forget_master();
                    let reported = answer
                        .master()
                        .and_then(|master| Endpoint::reported(&master.hostname, master.port))
                        .map(|reported| self.reach(&reported))
                        .filter(|reported| {
                            *reported != endpoint && !trace.unreachable.contains(reported)
                        });
                    trace.last = Some(Error::Refused {
                        call: call.method.to_owned(),
                        address: endpoint.to_string(),
                        code: i64::from(code.0),
                        cause: status::refusal(code, &text),
                        text,
                    });
                    next = match reported {
                        Some(reported) => Some(reported),
                        None => self.elsewhere(&mut trace).await,
                    };
                }
                Err(Failure { error, sent }) => {
                    let may_repeat = !sent || call.repeat == Repeat::Safe;
                    match error {
                        Error::Connection { .. } | Error::Timeout { .. } => {
                            self.forget_master();
                            trace.unreachable.insert(endpoint);
                            if !may_repeat {
                                return Err(error);
                            }
                            trace.last = Some(error);
                            next = self.elsewhere(&mut trace).await;
                        }
                        Error::Refused { .. } | Error::NoMaster { .. } | Error::Protocol { .. } => {
                            return Err(error);
                        }
                    }
                }
            }
        }
        Err(trace.into_error())
    }

    /// Runs a statement on the master.
    pub(crate) async fn statement(
        &self,
        database: Option<&str>,
        sql: &str,
        kind: Kind,
    ) -> Result<Vec<Row>, Error> {
        let mut trace = Trace::default();
        for _ in 0..MAX_ATTEMPTS {
            let endpoint = match MasterMemory::get(&self.master().query) {
                Some(endpoint) => endpoint,
                None => self.find_master(&mut trace).await?.query,
            };
            trace.tried.insert(endpoint.clone());
            let statement = Statement {
                endpoint: &endpoint,
                database,
                sql,
                kind,
            };
            let Failure { error, sent } = match self.sessions().run(statement).await {
                Ok(rows) => {
                    self.learn_again();
                    return Ok(rows);
                }
                Err(failure) => failure,
            };
            match error {
                Error::Connection { .. } | Error::Timeout { .. } => {
                    self.forget_master();
                    let again = trace.unreachable.insert(endpoint);
                    if (sent && kind == Kind::Execute) || !again {
                        return Err(error);
                    }
                    trace.last = Some(error);
                }
                Error::Refused { .. } | Error::NoMaster { .. } | Error::Protocol { .. } => {
                    return Err(error);
                }
            }
        }
        Err(trace.into_error())
    }

    /// The next FE worth trying: the one the FEs call master, else one that was not tried.
    async fn elsewhere(&self, trace: &mut Trace) -> Option<Endpoint> {
        if !std::mem::replace(&mut trace.asked, true)
            && let Ok(master) = self.find_master(&mut Trace::default()).await
            && !trace.tried.contains(&master.thrift)
        {
            return Some(master.thrift);
        }
        self.untried(trace)
    }

    fn untried(&self, trace: &Trace) -> Option<Endpoint> {
        self.address()
            .frontends
            .iter()
            .map(|frontend| frontend.thrift())
            .find(|endpoint| !trace.tried.contains(endpoint))
    }

    /// Asks the FEs one after the other who is the master, and remembers the answer.
    async fn find_master(&self, trace: &mut Trace) -> Result<Master, Error> {
        for frontend in &self.candidates() {
            let query = frontend.query();
            if trace.unreachable.contains(&query) {
                continue;
            }
            let itself = Master {
                thrift: frontend.thrift(),
                query: query.clone(),
            };
            trace.tried.insert(query.clone());
            let statement = Statement {
                endpoint: &query,
                database: None,
                sql: "SHOW FRONTENDS",
                kind: Kind::Query,
            };
            let found = match self.sessions().run(statement).await {
                Ok(rows) => match self.learn(FrontendList::of(&rows)) {
                    Ok(()) => self.master_of(&rows, &itself),
                    Err(text) => {
                        trace.last = Some(Error::Protocol {
                            call: statement.sql.to_owned(),
                            address: query.to_string(),
                            text,
                        });
                        trace.unreachable.insert(query);
                        None
                    }
                },
                Err(Failure { error, .. }) => match error {
                    // Not allowed to ask: FEs hand statements on to the master themselves.
                    Error::Refused { .. } => Some(itself),
                    Error::Connection { .. }
                    | Error::Timeout { .. }
                    | Error::NoMaster { .. }
                    | Error::Protocol { .. } => {
                        trace.unreachable.insert(query);
                        trace.last = Some(error);
                        None
                    }
                },
            };
            if let Some(master) = found.filter(|master| !trace.unreachable.contains(&master.query))
            {
                MasterMemory::set(&self.master().thrift, Some(master.thrift.clone()));
                MasterMemory::set(&self.master().query, Some(master.query.clone()));
                return Ok(master);
            }
        }
        Err(std::mem::take(trace).into_error())
    }

    /// The master among the rows of SHOW FRONTENDS. A lone FE is reached as it was; nothing needs to be mapped.
    fn master_of(&self, rows: &[Row], asked: &Master) -> Option<Master> {
        let column = |row: &Row, name: &str| row.get(name).cloned().flatten();
        if rows.len() <= 1 || rows.iter().all(|row| !row.contains_key("IsMaster")) {
            return Some(asked.clone());
        }
        let row = rows.iter().find(|row| {
            column(row, "IsMaster").is_some_and(|is| is.eq_ignore_ascii_case("true"))
        })?;
        let endpoint = |port: &str| {
            let port = column(row, port)?.trim().parse().ok()?;
            let reported = Endpoint::reported(&column(row, "Host")?, port)?;
            Some(self.reach(&reported))
        };
        Some(Master {
            thrift: endpoint("RpcPort")?,
            query: endpoint("QueryPort")?,
        })
    }

    /// Asks the FEs who they are, and takes in what they say.
    pub(crate) async fn ask_frontends(&self) -> Result<(), Error> {
        self.find_master(&mut Trace::default()).await.map(|_| ())
    }

    fn forget_master(&self) {
        MasterMemory::set(&self.master().thrift, None);
        MasterMemory::set(&self.master().query, None);
    }
}

impl Trace {
    /// One server: what it said. Several: that none led to a master, and what the last one said.
    fn into_error(self) -> Error {
        match self.last {
            Some(error @ (Error::Connection { .. } | Error::Timeout { .. }))
                if self.tried.len() <= 1 =>
            {
                error
            }
            last => Error::NoMaster {
                tried: self
                    .tried
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join(", "),
                last: last.map_or_else(|| "none was tried".to_owned(), |error| with_source(&error)),
            },
        }
    }
}

/// An error with its source in one line: where it becomes text inside another one.
fn with_source(error: &Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

fn no_status(call: Call, endpoint: &Endpoint) -> Error {
    Error::Protocol {
        call: call.method.to_owned(),
        address: endpoint.to_string(),
        text: "the answer has no status".to_owned(),
    }
}
