//! From COMMITTED to VISIBLE: publish in the order of commits per table, then the UPSERT record.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;

use crate::api::{LoadSource, TxnStatus};
use crate::binlog::record;
use crate::frontend::Frontend;
use crate::state::FeState;
use crate::txn::table::{Txn, TxnPart};
use dorisim_model::backend::PublishedTablet;

impl Frontend {
    pub(crate) fn spawn_publish(
        &self,
        txn_id: i64,
        before: Vec<watch::Receiver<bool>>,
        done: watch::Sender<bool>,
    ) {
        let Some(me) = self.me() else { return };
        tokio::spawn(async move {
            for mut earlier in before {
                // An error means its sender is gone, which happens only when it is done or the cluster ends.
                let _ = earlier.wait_for(|done| *done).await;
            }
            me.publish(txn_id).await;
            done.send_replace(true);
        });
    }

    async fn publish(&self, txn_id: i64) {
        let delay = self.publish_delay();
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let mut pause = Duration::from_millis(5);
        for attempt in 1_u32.. {
            let gate = self.publish_gate.read().await;
            let parts = match self.lock().txns.get(txn_id) {
                Some(txn) if txn.status == TxnStatus::Committed => txn.parts.clone(),
                _ => return,
            };
            let outcome = self.publish_once(&parts).await;
            if self.finish_publish(txn_id, &outcome, attempt >= PATIENT_ATTEMPTS) {
                return;
            }
            drop(gate);
            if self.stopping() {
                return;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(MAX_PAUSE);
        }
    }

    /// One publish task per backend and sub transaction; the answers by (backend, transaction).
    async fn publish_once(&self, parts: &[TxnPart]) -> HashMap<i64, Vec<PublishedTablet>> {
        // Sub transactions of one partition have to be published in order, therefore backends in parallel, transactions in turn.
        let mut tasks: BTreeMap<i64, Vec<PublishTask>> = BTreeMap::new();
        for part in parts {
            let by_backend: BTreeSet<i64> = part.replicas.iter().map(|(_, be)| *be).collect();
            for backend in by_backend {
                let tablets = part
                    .replicas
                    .iter()
                    .filter(|(_, be)| *be == backend)
                    .map(|(tablet, _)| *tablet);
                let list = tasks.entry(backend).or_default();
                let at = list
                    .iter()
                    .position(|(id, ..)| *id == part.be_txn_id)
                    .unwrap_or_else(|| {
                        list.push((part.be_txn_id, Vec::new(), Vec::new()));
                        list.len() - 1
                    });
                list[at].1.push((part.partition_id, part.version));
                list[at].2.extend(tablets);
            }
        }
        let mut calls = Vec::with_capacity(tasks.len());
        for (backend_id, list) in tasks {
            calls.push(self.publish_on(backend_id, list));
        }
        futures::future::join_all(calls).await.into_iter().collect()
    }

    async fn publish_on(
        &self,
        backend_id: i64,
        list: Vec<PublishTask>,
    ) -> (i64, Vec<PublishedTablet>) {
        let mut answers = Vec::new();
        let Some(backend) = self.backend(backend_id) else {
            return (backend_id, answers);
        };
        for (txn_id, versions, expected) in list {
            match backend.publish_version(txn_id, &versions, &expected).await {
                Ok(published) => answers.extend(published),
                Err(error) => {
                    tracing::debug!(backend_id, txn_id, %error, "publish failed, will be repeated");
                    break;
                }
            }
        }
        (backend_id, answers)
    }

    /// Makes the transaction visible when enough replicas published; false: try again.
    fn finish_publish(
        &self,
        txn_id: i64,
        outcome: &HashMap<i64, Vec<PublishedTablet>>,
        patient: bool,
    ) -> bool {
        let mut ok: BTreeMap<(i64, i64), i64> = BTreeMap::new();
        let mut delta: BTreeMap<i64, i64> = BTreeMap::new();
        for (backend, tablets) in outcome {
            for tablet in tablets.iter().filter(|t| t.ok) {
                ok.insert((tablet.tablet_id, *backend), tablet.version);
                delta.insert(tablet.tablet_id, tablet.delta_rows);
            }
        }
        let now = self.clock().now_ms();
        let mut guard = self.lock();
        let state = &mut *guard;
        let Some(txn) = state.txns.get(txn_id).cloned() else {
            return true;
        };
        for part in &txn.parts {
            let Some(table) = state.table_by_id_mut(txn.db_id, part.table_id) else {
                continue;
            };
            let Some(partition) = table.partitions.get(&part.partition_id) else {
                continue;
            };
            // A shadow that misses a version is filled by its job.
            let finished = partition.indexes.iter().filter(|i| !table.is_shadow(i.id));
            for tablet in finished.flat_map(|i| &i.tablets) {
                let good = tablet
                    .replicas
                    .iter()
                    .filter(|r| {
                        ok.get(&(tablet.id, r.backend_id))
                            .is_some_and(|v| *v >= part.version)
                    })
                    .count();
                let needed = if patient {
                    tablet.replicas.len() / 2 + 1
                } else {
                    tablet.replicas.len()
                };
                let reported = part
                    .replicas
                    .iter()
                    .filter(|(t, _)| *t == tablet.id)
                    .count();
                if good < needed.min(reported) {
                    return false;
                }
            }
        }
        for part in &txn.parts {
            let Some(table) = state.table_by_id_mut(txn.db_id, part.table_id) else {
                continue;
            };
            let Some(partition) = table.partitions.get_mut(&part.partition_id) else {
                continue;
            };
            partition.visible_version = partition.visible_version.max(part.version);
            partition.visible_version_time = now;
            for tablet in partition.tablets_mut() {
                let id = tablet.id;
                for replica in &mut tablet.replicas {
                    if let Some(version) = ok.get(&(id, replica.backend_id)) {
                        replica.version = replica.version.max(*version);
                    }
                }
            }
        }
        make_visible(state, &txn, &delta, now);
        drop(guard);
        // Backends that have not answered learn the rest from their next publish or tablet report.
        let of_backends: Vec<i64> = txn.parts.iter().map(|p| p.be_txn_id).collect();
        let backends: BTreeSet<i64> = txn
            .parts
            .iter()
            .flat_map(|p| p.replicas.iter().map(|(_, be)| *be))
            .collect();
        let backends: Vec<i64> = backends.into_iter().collect();
        self.nodes()
            .queue()
            .remove_publishes(&backends, &of_backends);
        true
    }
}

/// Publish attempts after which a quorum of replicas is enough.
const PATIENT_ATTEMPTS: u32 = 3;

/// Longest pause between publish attempts.
const MAX_PAUSE: Duration = Duration::from_millis(500);

/// (transaction, (partition, version) list, expected tablets).
type PublishTask = (i64, Vec<(i64, i64)>, Vec<i64>);

fn make_visible(state: &mut FeState, txn: &Txn, delta: &BTreeMap<i64, i64>, now: i64) {
    let mut tables = serde_json::Map::new();
    for table_id in &txn.table_ids {
        let parts: Vec<&TxnPart> = txn
            .parts
            .iter()
            .filter(|p| p.table_id == *table_id)
            .collect();
        let Some(table) = state.table_by_id_mut(txn.db_id, *table_id) else {
            continue;
        };
        table.next_version(now);
        let written: BTreeSet<i64> = parts
            .iter()
            .flat_map(|p| p.replicas.iter().map(|(t, _)| *t))
            .collect();
        let mut entry = json!({
            "partitionRecords": parts.iter().map(|p| json!({
                "partitionId": p.partition_id,
                "range": p.range,
                "version": p.version,
                "isTempPartition": p.is_temp,
                "stid": p.stid,
            })).collect::<Vec<_>>(),
        });
        // Tablets that got no row are not in it; without any it is unset.
        let rows: serde_json::Map<String, serde_json::Value> = delta
            .iter()
            .filter(|(tablet, rows)| **rows != 0 && written.contains(tablet))
            .map(|(tablet, rows)| (tablet.to_string(), json!(rows)))
            .collect();
        if !rows.is_empty() {
            entry["deltaRows"] = rows.into();
        }
        // The index list comes from the planner; a transaction begun over Thrift never had one.
        if txn.source != LoadSource::Rpc {
            let known: BTreeSet<i64> = parts.iter().flat_map(|p| p.index_ids.clone()).collect();
            let mut ids: Vec<i64> = table.indexes.iter().map(|i| i.id).collect();
            ids.retain(|id| known.contains(id));
            ids.extend(
                known
                    .iter()
                    .filter(|id| !table.indexes.iter().any(|i| i.id == **id)),
            );
            entry["indexIds"] = ids.into();
        }
        tables.insert(table_id.to_string(), entry);
    }
    let mut table_ids = txn.table_ids.clone();
    table_ids.sort_unstable();
    table_ids.dedup();
    let stids: Option<Vec<i64>> = txn.explicit.then(|| {
        let mut ids: Vec<i64> = Vec::new();
        for part in &txn.parts {
            if !ids.contains(&part.stid) {
                ids.push(part.stid);
            }
        }
        ids
    });
    if !txn.parts.is_empty() {
        let record = record::upsert(txn.db_id, table_ids, txn.id, &txn.label, now, tables, stids);
        let scope = state.scope(txn.db_id, &record.table_ids);
        state.emit_scoped(record, &scope, now, now);
    }
    if let Some(txn) = state.txns.get_mut(txn.id) {
        txn.status = TxnStatus::Visible;
        txn.finish_ms = now;
        txn.published = txn
            .parts
            .iter()
            .map(|p| (p.be_txn_id, p.partition_id, p.version))
            .collect();
        txn.parts = Vec::new();
        txn.done = None;
    }
    state.txns.note_finished(txn.id, now);
}
