//! All ingests of one transaction: every tablet on every destination replica, a window per backend, another source replica
//! when one can not deliver, only what failed again and never twice at once for a replica.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ccr_doris::hosts::{self, Endpoint};
use ccr_doris::{BackendEndpoint, Error, IngestOutcome, IngestRequest, IngestState};
use ccr_ops::Clock;
use ccr_schemas::event::{BackendAddress, RowsetsCommitted};
use ccr_schemas::{BackendId, TxnId};
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::Semaphore;

use crate::destination::Destination;
use crate::error::full_text;
use crate::plan::Outcome;
use crate::plan::action::{Begun, Held};
use crate::plan::mapping::{Dest, IngestPart, IngestPlan, TabletPair};

/// Rounds over the source replicas before a transaction's ingest is reported incomplete.
const ROUNDS: usize = 3;
/// How long a queued ingest is asked for.
const MOST_POLLS: u32 = 7200;

/// Ingests for one job.
pub struct Ingester {
    dest: Arc<dyn Destination>,
    clock: Arc<dyn Clock>,
    /// Source backend -> as destination backends reach it, in the forms of [`ccr_doris::hosts::map`].
    host_mapping: BTreeMap<String, String>,
    per_backend: usize,
    poll_interval: Duration,
    backends: Mutex<Backends>,
}

#[derive(Default)]
struct Backends {
    known: BTreeMap<BackendId, Known>,
}

#[derive(Clone)]
struct Known {
    endpoint: BackendEndpoint,
    alive: bool,
    window: Arc<Semaphore>,
}

enum Replica {
    Held,
    TabletMissing(String),
    /// `lost`: the answer of a call is unknown, it may still run.
    Failed {
        text: String,
        unreachable: bool,
        lost: bool,
    },
}

impl Ingester {
    /// For a job.
    pub fn new(
        dest: Arc<dyn Destination>,
        clock: Arc<dyn Clock>,
        host_mapping: BTreeMap<String, String>,
        per_backend: usize,
        poll_interval: Duration,
    ) -> Self {
        Self {
            dest,
            clock,
            host_mapping,
            per_backend: per_backend.clamp(1, 1024),
            poll_interval,
            backends: Mutex::default(),
        }
    }

    /// Ingests what is not held yet.
    ///
    /// # Errors
    /// The destination's backends can not be listed.
    pub async fn ingest(
        &self,
        begun: &Begun,
        plan: &IngestPlan,
        event: &RowsetsCommitted,
        held: &BTreeSet<Held>,
    ) -> Result<Outcome, Error> {
        self.know_backends(plan).await?;
        let mut calls = FuturesUnordered::new();
        for part in &plan.parts {
            let sub = part.sub_txn.unwrap_or(0);
            let txn = match part.sub_txn {
                None => begun.txn,
                Some(position) => begun.sub_txns.get(position).copied().unwrap_or(begun.txn),
            };
            for (n, pair) in part.tablets.iter().enumerate() {
                for (r, backend) in pair.dest_backends.iter().enumerate() {
                    let replica = (sub, pair.dest, *backend);
                    if !held.contains(&replica) {
                        let first = n + r + usize::try_from(part.version).unwrap_or(0);
                        calls.push(async move {
                            let done = self.replica(txn, part, pair, *backend, event, first).await;
                            (replica, done)
                        });
                    }
                }
            }
        }
        let mut held = held.clone();
        let mut tablet_missing = false;
        let mut first_text = None;
        let mut unreachable = BTreeSet::new();
        let mut failed = false;
        let mut restart = false;
        while let Some((replica, done)) = calls.next().await {
            match done {
                Replica::Held => {
                    held.insert(replica);
                }
                Replica::TabletMissing(text) => {
                    tablet_missing = true;
                    failed = true;
                    first_text.get_or_insert(text);
                }
                Replica::Failed {
                    text,
                    unreachable: away,
                    lost,
                } => {
                    restart |= lost;
                    if away {
                        unreachable.insert(replica.2);
                    } else {
                        failed = true;
                    }
                    first_text.get_or_insert(text);
                }
            }
        }
        drop(calls);
        // A dead destination backend does not stop the others: the majority of each tablet is enough to commit.
        if !failed && (unreachable.is_empty() || quorum(plan, &held)) {
            return Ok(Outcome::Ingested(held));
        }
        if !unreachable.is_empty() {
            self.forget_backends();
        }
        Ok(Outcome::IngestIncomplete {
            held,
            tablet_missing,
            restart,
            text: first_text.unwrap_or_default(),
        })
    }

    async fn replica(
        &self,
        txn: TxnId,
        part: &IngestPart,
        pair: &TabletPair,
        backend: Dest<BackendId>,
        event: &RowsetsCommitted,
        first: usize,
    ) -> Replica {
        let Some(known) = self.known(backend) else {
            return Replica::TabletMissing(format!(
                "destination backend {} is not known",
                backend.0
            ));
        };
        if !known.alive {
            return Replica::Failed {
                text: format!("destination backend {} is not alive", backend.0),
                unreachable: true,
                lost: false,
            };
        }
        let sources: Vec<_> = pair
            .source_backends
            .iter()
            .filter_map(|id| event.backends.iter().find(|address| address.id == *id))
            .map(|address| reached(&self.host_mapping, address))
            .collect();
        if sources.is_empty() {
            return Replica::Failed {
                text: format!(
                    "source tablet {}: the event names no backend that holds version {}",
                    pair.source, part.version
                ),
                unreachable: false,
                lost: false,
            };
        }
        let Ok(_permit) = known.window.acquire().await else {
            return Replica::Failed {
                text: "stopping".to_owned(),
                unreachable: false,
                lost: false,
            };
        };
        let mut last = String::new();
        let mut lost = false;
        for attempt in 0..ROUNDS * sources.len() {
            if attempt > 0 && attempt % sources.len() == 0 {
                self.clock.sleep(Duration::from_millis(100)).await;
            }
            let endpoint = &sources[(first + attempt) % sources.len()];
            let request = IngestRequest {
                txn,
                partition: part.partition.0,
                tablet: pair.dest.0,
                source_tablet: pair.source,
                source_version: part.version,
                source_host: endpoint.host.clone(),
                source_http_port: endpoint.port,
            };
            match self.once(&known.endpoint, &request).await {
                Ok(IngestOutcome::Done) => return Replica::Held,
                Ok(IngestOutcome::TabletMissing) => {
                    return Replica::TabletMissing(format!(
                        "destination tablet {} is not on backend {}",
                        pair.dest.0, backend.0
                    ));
                }
                Ok(IngestOutcome::SourceUnreachable { text } | IngestOutcome::Failed { text }) => {
                    last = text;
                }
                Ok(IngestOutcome::Queued) => {
                    last = "queued for too long".to_owned();
                    lost = true;
                    break;
                }
                // The call may still run: never a second one for the replica in the same transaction.
                Err(error) => {
                    last = full_text(&error);
                    lost = true;
                    break;
                }
            }
        }
        Replica::Failed {
            text: format!(
                "ingest of source tablet {} version {} into tablet {} on {}:{}: {last}",
                pair.source, part.version, pair.dest.0, known.endpoint.host, known.endpoint.port
            ),
            unreachable: lost,
            lost,
        }
    }

    async fn once(
        &self,
        endpoint: &BackendEndpoint,
        request: &IngestRequest,
    ) -> Result<IngestOutcome, Error> {
        let answer = self.dest.ingest(endpoint, request).await?;
        if answer != IngestOutcome::Queued {
            return Ok(answer);
        }
        for _ in 0..MOST_POLLS {
            self.clock.sleep(self.poll_interval).await;
            match self.dest.query_ingest(endpoint, request).await? {
                IngestState::Done => return Ok(IngestOutcome::Done),
                IngestState::Doing => {}
                IngestState::NotFound => {
                    return Ok(IngestOutcome::Failed {
                        text: "the queued ingest is not known any more".to_owned(),
                    });
                }
                IngestState::Failed { text } => return Ok(IngestOutcome::Failed { text }),
            }
        }
        Ok(IngestOutcome::Queued)
    }

    fn known(&self, backend: Dest<BackendId>) -> Option<Known> {
        let backends = self.backends.lock().unwrap_or_else(PoisonError::into_inner);
        backends.known.get(&backend.0).cloned()
    }

    fn forget_backends(&self) {
        let mut backends = self.backends.lock().unwrap_or_else(PoisonError::into_inner);
        for known in backends.known.values_mut() {
            known.alive = false;
        }
    }

    async fn know_backends(&self, plan: &IngestPlan) -> Result<(), Error> {
        let complete = {
            let backends = self.backends.lock().unwrap_or_else(PoisonError::into_inner);
            plan.parts
                .iter()
                .flat_map(|part| &part.tablets)
                .flat_map(|pair| &pair.dest_backends)
                .all(|id| backends.known.get(&id.0).is_some_and(|known| known.alive))
        };
        if complete {
            return Ok(());
        }
        let listed = self.dest.get_backends().await?;
        let mut backends = self.backends.lock().unwrap_or_else(PoisonError::into_inner);
        let mut fresh = BTreeMap::new();
        for backend in listed {
            let window = backends.known.get(&backend.id).map_or_else(
                || Arc::new(Semaphore::new(self.per_backend)),
                |k| k.window.clone(),
            );
            fresh.insert(
                backend.id,
                Known {
                    endpoint: BackendEndpoint {
                        host: backend.host,
                        port: backend.be_port,
                    },
                    alive: backend.alive,
                    window,
                },
            );
        }
        backends.known = fresh;
        Ok(())
    }
}

/// Returns where destination backends reach the HTTP port of a source backend.
pub(crate) fn reached(mapping: &BTreeMap<String, String>, backend: &BackendAddress) -> Endpoint {
    let port = u16::try_from(backend.http_port).unwrap_or_default();
    hosts::map(mapping, &Endpoint::new(backend.host.clone(), port))
}

/// Every tablet is held by a majority of its replicas.
fn quorum(plan: &IngestPlan, held: &BTreeSet<Held>) -> bool {
    plan.parts.iter().all(|part| {
        part.tablets.iter().all(|pair| {
            let have = pair
                .dest_backends
                .iter()
                .filter(|backend| held.contains(&(part.sub_txn.unwrap_or(0), pair.dest, **backend)))
                .count();
            have > pair.dest_backends.len() / 2
        })
    })
}
