//! Calls of the backends: an ingest pulls a rowset from another cluster's backend.

use async_trait::async_trait;
use ccr_doris::{Backend, BackendEndpoint, Error, IngestOutcome, IngestRequest, IngestState};

use super::Client;
use crate::net::Fate;
use crate::world::{State, World};

/// Pulls fail for no lasting reason, so many out of a thousand, where the network is bad at all.
const PULLS_FAIL: u64 = 8;

/// A backend at work on an ingest. It goes on when its caller goes away.
struct AtWork<'a> {
    world: &'a World,
    cluster: String,
    backend: i64,
    request: IngestRequest,
    ended: bool,
}

impl AtWork<'_> {
    fn end(&mut self) -> IngestOutcome {
        self.ended = true;
        let (cluster, backend, request) =
            (self.cluster.clone(), self.backend, self.request.clone());
        self.world
            .with(|state, _| pull(state, &cluster, backend, &request))
    }
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        if !self.ended && !self.world.is_closed() {
            self.end();
        }
    }
}

/// The backend's work, done.
fn pull(state: &mut State, cluster: &str, backend: i64, request: &IngestRequest) -> IngestOutcome {
    let key = (request.txn.0, request.tablet.0, backend);
    state.ingests.remove(&key);
    let here = state.clusters.get(cluster);
    let has_tablet = here.is_some_and(|here| {
        here.databases
            .values()
            .flat_map(|database| database.tables.values())
            .flat_map(|table| table.partitions.values())
            .flat_map(|partition| partition.all_tablets())
            .any(|tablet| {
                tablet.id == request.tablet.0
                    && tablet.replicas.iter().any(|r| r.backend == backend)
            })
    });
    if !has_tablet {
        return IngestOutcome::TabletMissing;
    }
    let troubled = state.net.weather.refused > 0;
    let (host, port) = (&request.source_host, request.source_http_port);
    let source = state.clusters.values().find_map(|cluster| {
        let node = cluster.backend_at(host, port)?;
        Some((cluster, node))
    });
    let unreachable = |text: &str| IngestOutcome::SourceUnreachable {
        text: format!("{host}:{port}: {text}"),
    };
    let rowset = match source {
        None => return unreachable("error sending request"),
        Some((_, node)) if !node.alive => return unreachable("connection refused"),
        Some((source, node)) => {
            source
                .storage
                .pull(request.source_tablet.0, request.source_version, node.id)
        }
    };
    let Some(rowset) = rowset else {
        return unreachable("404 get binlog info failed");
    };
    if troubled && state.net.permille(PULLS_FAIL) {
        return unreachable("connection reset while downloading");
    }
    if let Some(here) = state.clusters.get_mut(cluster) {
        here.ingested(request.txn.0, request.tablet.0, backend, rowset);
    }
    IngestOutcome::Done
}

#[async_trait]
impl Backend for Client {
    async fn ingest(
        &self,
        backend: &BackendEndpoint,
        request: &IngestRequest,
    ) -> Result<IngestOutcome, Error> {
        const CALL: &str = "ingest";
        let strike = self.process.enter(CALL).await;
        let (fate, node, work_ms) = self.world().with(|state, now| {
            let node = state.clusters.get(&self.cluster).and_then(|cluster| {
                let mut nodes = cluster.backends.values();
                let node =
                    nodes.find(|node| node.host == backend.host && node.be_port == backend.port)?;
                node.alive.then_some(node.id)
            });
            let work_ms = state.net.work_ms();
            (state.net.fate(&self.cluster, now), node, work_ms)
        });
        let answer = match (fate, node) {
            (Fate::Refused { after_ms }, _) => {
                self.world().sleep_ms(after_ms).await;
                Err(self.connection(CALL, "connection refused"))
            }
            (_, None) => {
                self.world().sleep_ms(1).await;
                Err(self.connection(CALL, "connection refused"))
            }
            (Fate::RequestLost { after_ms }, _) => {
                self.world().sleep_ms(after_ms).await;
                self.world().reach("net: request lost: ingest");
                Err(self.gave_up(CALL, after_ms))
            }
            (
                Fate::Delivered {
                    out_ms,
                    back_ms,
                    answer_lost,
                    ..
                },
                Some(node),
            ) => {
                self.world().sleep_ms(out_ms).await;
                self.begin(node, request);
                let mut work = AtWork {
                    world: self.world(),
                    cluster: self.cluster.clone(),
                    backend: node,
                    request: request.clone(),
                    ended: false,
                };
                self.process.leave(strike).await;
                if answer_lost {
                    self.world().reach("net: answer lost: ingest");
                    // The backend is still at work when the caller gives up.
                    work.ended = true;
                    self.finish_later(node, request, back_ms);
                    self.world().sleep_ms(back_ms.min(60)).await;
                    Err(self.gave_up(CALL, back_ms))
                } else {
                    self.world().sleep_ms(work_ms).await;
                    let outcome = work.end();
                    self.world().note(
                        &self.process.name,
                        format_args!(
                            "ingest txn {} tablet {} <- {}:{} -> {outcome:?}",
                            request.txn,
                            request.tablet,
                            request.source_tablet,
                            request.source_version
                        ),
                    );
                    self.world().sleep_ms(back_ms).await;
                    Ok(outcome)
                }
            }
        };
        self.process.leave(strike).await;
        answer
    }

    async fn query_ingest(
        &self,
        _backend: &BackendEndpoint,
        _request: &IngestRequest,
    ) -> Result<IngestState, Error> {
        Ok(IngestState::NotFound)
    }
}

impl Client {
    fn begin(&self, node: i64, request: &IngestRequest) {
        let key = (request.txn.0, request.tablet.0, node);
        let twice = self.world().with(|state, _| !state.ingests.insert(key));
        if twice {
            self.world().violation(format!(
                "two ingests of tablet {} in transaction {} run at once on backend {node}",
                request.tablet, request.txn
            ));
        }
    }

    fn finish_later(&self, node: i64, request: &IngestRequest, after_ms: i64) {
        let (process, cluster, request) =
            (self.process.clone(), self.cluster.clone(), request.clone());
        // Belongs to the backend, so it outlives the caller.
        tokio::spawn(async move {
            process.world.sleep_ms(after_ms + 100).await;
            if !process.world.is_closed() {
                process
                    .world
                    .with(|state, _| pull(state, &cluster, node, &request));
            }
        });
    }
}
