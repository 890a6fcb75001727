//! Repair of replicas: a backend that lost a tablet or lacks versions of it clones them from one that has all.
//!
//! Doris may choose another backend for the new replica; here a replica stays where it is.

use std::collections::HashMap;
use std::sync::Arc;

use dorisim_wire::TTaskType;

use super::RemoteBackend;
use super::master::ReplicaChange;
use super::node::Node;
use super::queue::TaskKey;
use super::report::KnownReplica;
use crate::frontend::Frontend;
use crate::state::FeState;
use dorisim_model::IndexState;
use dorisim_net::agent::{CloneSource, CloneTablet};

/// Clones that one report leads to; the next report leads to more.
const CLONES: usize = 100;

impl Frontend {
    /// Has these tablets of a backend cloned, one after the other. Those without a source wait for a later report.
    pub(super) fn repair(
        self: &Arc<Self>,
        node: &Arc<Node>,
        known: &HashMap<i64, KnownReplica>,
        tablets: &[i64],
    ) {
        let Some(address) = node.address() else {
            return;
        };
        let nodes = self.nodes().nodes();
        let source = |backend_id: i64| {
            let other = nodes.iter().find(|other| other.id == backend_id)?;
            let address = other.live().alive.then(|| other.address()).flatten()?;
            Some(CloneSource {
                host: address.host,
                be_port: address.be_port,
                http_port: address.http_port,
            })
        };
        let under_way = self.nodes().queue().listed();
        let is_new = |tablet: &&i64| {
            let key = TaskKey {
                backend: node.id,
                kind: TTaskType::CLONE,
                signature: **tablet,
            };
            !under_way.contains_key(&key)
        };
        let clones: Vec<CloneTablet> = {
            let state = self.lock();
            let wanted = tablets.iter().filter(is_new);
            wanted
                .filter_map(|tablet| plan(&state, node.id, *tablet, known.get(tablet)?, source))
                .take(CLONES)
                .collect()
        };
        if clones.is_empty() {
            return;
        }
        let channel = Arc::clone(self.nodes().channel());
        let backend = RemoteBackend::new(Arc::clone(node), address, channel);
        let (frontend, backend_id) = (Arc::clone(self), node.id);
        let known: HashMap<i64, KnownReplica> = clones
            .iter()
            .filter_map(|clone| Some((clone.tablet_id, *known.get(&clone.tablet_id)?)))
            .collect();
        tokio::spawn(async move {
            for clone in clones {
                let tablet_id = clone.tablet_id;
                match backend.clone_tablet(clone).await {
                    Ok(version) => {
                        tracing::info!(
                            backend = backend_id,
                            tablet_id,
                            version,
                            "replica repaired"
                        );
                        let changes = [ReplicaChange::Raise(version), ReplicaChange::Bad(false)];
                        let changes = changes.map(|change| (tablet_id, change)).to_vec();
                        frontend.change_replicas(backend_id, &known, changes);
                    }
                    Err(error) => {
                        tracing::warn!(backend = backend_id, tablet_id, %error, "replica not repaired; the next tablet report tries again");
                    }
                }
            }
        });
    }
}

/// The clone of one replica from all that are good. Shadows are left to their job, restores to theirs.
fn plan(
    state: &FeState,
    backend_id: i64,
    tablet_id: i64,
    known: &KnownReplica,
    source: impl Fn(i64) -> Option<CloneSource>,
) -> Option<CloneTablet> {
    let database = state.catalog.databases.get(&known.db_id)?;
    let table = database.tables.get(&known.table_id)?;
    let partition = table.partitions.get(&known.partition_id)?;
    let index = partition
        .indexes
        .iter()
        .find(|index| index.tablets.iter().any(|tablet| tablet.id == tablet_id))?;
    let meta = table.indexes.iter().find(|meta| meta.id == index.id)?;
    if meta.state == IndexState::Shadow {
        return None;
    }
    let tablet = index.tablets.iter().find(|tablet| tablet.id == tablet_id)?;
    let version = partition.visible_version;
    let sources: Vec<CloneSource> = tablet
        .replicas
        .iter()
        .filter(|r| r.backend_id != backend_id && !r.bad && r.version >= version)
        .filter_map(|r| source(r.backend_id))
        .collect();
    (!sources.is_empty()).then(|| CloneTablet {
        tablet_id,
        schema_hash: meta.schema.as_ref().unwrap_or(&table.schema).schema_hash,
        sources,
        version,
        replica_id: known.replica_id,
        partition_id: partition.id,
        table_id: table.id,
        timeout_s: Some(TIMEOUT_S),
    })
}

/// Seconds until the source may delete the snapshot of a clone (`min_clone_task_timeout_sec` is 180).
const TIMEOUT_S: i64 = 180;
