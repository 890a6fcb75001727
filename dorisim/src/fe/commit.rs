//! From commit to visible: quorum, versions, publish in order of commits per table, the UPSERT record.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;

use super::api::{
    CommitTxn, Committed, LoadSource, RpcError, SqlError, SubTxn, TxnKey, TxnStatus, WaitedTxn,
};
use super::frontend::Frontend;
use super::record;
use super::state::FeState;
use super::txn::{Txn, TxnPart};
use crate::be::api::PublishedTablet;
use crate::model::TableState;

/// Publish attempts after which a quorum of replicas is enough.
const PATIENT_ATTEMPTS: u32 = 3;
/// Longest pause between publish attempts.
const MAX_PAUSE: Duration = Duration::from_millis(500);

/// (transaction, (partition, version) list, expected tablets).
type PublishTask = (i64, Vec<(i64, i64)>, Vec<i64>);

/// What a commit under the lock led to.
enum Step {
    /// Publish has to be started.
    Start {
        before: Vec<watch::Receiver<bool>>,
        done: watch::Sender<bool>,
        wait: watch::Receiver<bool>,
    },
    /// Committed earlier.
    Wait(watch::Receiver<bool>),
    /// Visible already.
    Visible,
}

impl Frontend {
    /// commitTxn after authentication.
    pub async fn commit_txn(&self, request: CommitTxn) -> Result<Committed, RpcError> {
        let only_commit = request.only_commit && request.sub_txns.is_none();
        let budget = request
            .rpc_timeout_ms
            .filter(|ms| *ms > 0)
            .map_or(self.config().publish_wait, |ms| {
                Duration::from_millis(ms.unsigned_abs() / 2)
            });
        let now = self.clock().now_ms();
        let step = {
            let mut state = self.lock();
            let db_id = resolve_db(&state, &request.db, request.db_id)?;
            commit_under_lock(&mut state, db_id, &request, now)?
        };
        let mut wait = match step {
            Step::Visible => return Ok(Committed::Done),
            Step::Wait(wait) => wait,
            Step::Start { before, done, wait } => {
                self.spawn_publish(request.txn_id, before, done);
                wait
            }
        };
        if only_commit {
            return Ok(Committed::Done);
        }
        match tokio::time::timeout(budget, wait.wait_for(|done| *done)).await {
            Ok(_) => Ok(Committed::Done),
            Err(_) => Ok(Committed::VisibleLater),
        }
    }

    fn spawn_publish(
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
            let parts = match self.lock().txns.get(txn_id) {
                Some(txn) if txn.status == TxnStatus::Committed => txn.parts.clone(),
                _ => return,
            };
            let outcome = self.publish_once(&parts).await;
            if self.finish_publish(txn_id, &outcome, attempt >= PATIENT_ATTEMPTS) {
                return;
            }
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
            for tablet in partition.tablets() {
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
        true
    }

    /// waitingTxnStatus: polls until final, at most 30 s.
    pub async fn waiting_txn_status(&self, db_id: i64, key: TxnKey) -> Result<WaitedTxn, RpcError> {
        let deadline = self.clock().monotonic() + Duration::from_secs(30);
        loop {
            let found = self
                .lock()
                .txns
                .find(db_id, &key)
                .map(|t| (t.status, t.reason.clone()));
            let Some((status, reason)) = found else {
                return match key {
                    TxnKey::Id(id) => Err(RpcError {
                        code: super::api::StatusCode::InternalError,
                        err_code: None,
                        text: format!("txn does not exist: {id}"),
                    }),
                    TxnKey::Label(_) => Ok(WaitedTxn {
                        status_id: 0,
                        reason: None,
                    }),
                };
            };
            match status {
                TxnStatus::Visible => {
                    return Ok(WaitedTxn {
                        status_id: 3,
                        reason: None,
                    });
                }
                TxnStatus::Aborted => {
                    return Ok(WaitedTxn {
                        status_id: 4,
                        reason: Some(reason),
                    });
                }
                TxnStatus::Prepare | TxnStatus::Precommitted | TxnStatus::Committed => {}
            }
            if self.clock().monotonic() >= deadline {
                return match status {
                    TxnStatus::Committed => Ok(WaitedTxn {
                        status_id: 2,
                        reason: None,
                    }),
                    TxnStatus::Prepare
                    | TxnStatus::Precommitted
                    | TxnStatus::Visible
                    | TxnStatus::Aborted => Err(RpcError::plain(
                        super::api::StatusCode::Incomplete,
                        format!("Operation is timeout, txn status is {status}"),
                    )),
                };
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// rollbackTxn after authentication.
    pub async fn rollback_txn(
        &self,
        db: &str,
        db_id: Option<i64>,
        txn_id: i64,
        reason: Option<&str>,
    ) -> Result<(), RpcError> {
        let now = self.clock().now_ms();
        let ids = {
            let mut state = self.lock();
            let db_id = resolve_db(&state, db, db_id)?;
            let txn = state
                .txns
                .get(txn_id)
                .filter(|t| t.db_id == db_id)
                .ok_or_else(|| RpcError::analysis(format!("transaction [{txn_id}] not found")))?;
            require_tables(&state, txn)?;
            let ids = be_ids(txn);
            state
                .txns
                .abort(txn_id, reason.unwrap_or("system cancel"), now)?;
            state.journal();
            ids
        };
        self.clear_on_backends(&ids).await;
        Ok(())
    }

    /// Tells all backends to forget what was written under these transaction ids.
    pub(super) async fn clear_on_backends(&self, ids: &[i64]) {
        for backend in self.backend_list() {
            for id in ids {
                if let Err(error) = backend.clear_txn(*id).await {
                    tracing::debug!(txn_id = id, %error, "a backend could not forget a transaction");
                }
            }
        }
    }

    /// Aborts transactions whose timeout has passed.
    pub(super) async fn abort_timed_out(&self) {
        let now = self.clock().now_ms();
        let cleared: Vec<i64> = {
            let mut state = self.lock();
            let ids = state.txns.timed_out(now);
            ids.iter()
                .flat_map(|id| {
                    let be = state.txns.get(*id).map(be_ids).unwrap_or_default();
                    let aborted = state.txns.abort(*id, "timeout by txn manager", now).is_ok();
                    if aborted { be } else { Vec::new() }
                })
                .collect()
        };
        if !cleared.is_empty() {
            self.clear_on_backends(&cleared).await;
        }
    }
}

/// Ids under which backends know a transaction.
pub(super) fn be_ids(txn: &Txn) -> Vec<i64> {
    let mut ids = vec![txn.id];
    ids.extend(
        txn.sub_txn_ids
            .iter()
            .chain(txn.pending.iter().map(|p| &p.id))
            .copied()
            .filter(|id| *id != txn.id),
    );
    ids.dedup();
    ids
}

/// Database of a request: by positive id, else by name.
pub(super) fn resolve_db(state: &FeState, db: &str, db_id: Option<i64>) -> Result<i64, RpcError> {
    if let Some(id) = db_id.filter(|id| *id > 0) {
        return match state.catalog.databases.contains_key(&id) {
            true => Ok(id),
            false => Err(RpcError::meta_not_found(format!(
                "unknown database, databaseId={id}"
            ))),
        };
    }
    state
        .catalog
        .database(db)
        .map(|d| d.id)
        .ok_or_else(|| RpcError::meta_not_found(format!("unknown database, database={db}")))
}

fn require_tables(state: &FeState, txn: &Txn) -> Result<(), RpcError> {
    let db = state.catalog.databases.get(&txn.db_id);
    match txn
        .table_ids
        .iter()
        .find(|id| !db.is_some_and(|d| d.tables.contains_key(id)))
    {
        Some(gone) => Err(RpcError::meta_not_found(format!(
            "table not found, tableId={gone}"
        ))),
        None => Ok(()),
    }
}

fn commit_under_lock(
    state: &mut FeState,
    db_id: i64,
    request: &CommitTxn,
    now: i64,
) -> Result<Step, RpcError> {
    let id = request.txn_id;
    let txn = state
        .txns
        .get(id)
        .filter(|t| t.db_id == db_id)
        .ok_or_else(|| RpcError::analysis(format!("transaction [{id}] not found")))?
        .clone();
    match txn.status {
        TxnStatus::Visible => return Ok(Step::Visible),
        TxnStatus::Committed => {
            return Ok(txn.done.map_or(Step::Visible, Step::Wait));
        }
        TxnStatus::Aborted => {
            return Err(RpcError::analysis(format!(
                "transaction [{id}] is already aborted. abort reason: {}",
                txn.reason
            )));
        }
        TxnStatus::Prepare | TxnStatus::Precommitted => {}
    }
    if state
        .settings
        .get("disable_load_job")
        .is_some_and(|v| v == "true")
    {
        return Err(RpcError::analysis(
            "disable_load_job is set to true, all load jobs are prevented",
        ));
    }
    require_tables(state, &txn)?;
    let explicit = request.sub_txns.is_some();
    let subs: Vec<SubTxn> = match &request.sub_txns {
        Some(subs) => subs.clone(),
        None => vec![SubTxn {
            id,
            table_id: -1,
            commit_infos: request.commit_infos.clone(),
        }],
    };
    let mut parts = Vec::new();
    for sub in &subs {
        parts.extend(touched(state, &txn, sub, explicit)?);
    }
    // Nothing is refused from here on: versions are given out in the order of commits.
    for part in &mut parts {
        if let Some(partition) = state
            .table_by_id_mut(db_id, part.table_id)
            .and_then(|t| t.partitions.get_mut(&part.partition_id))
        {
            part.version = partition.next_version;
            partition.next_version += 1;
        }
    }
    state.journal();
    let (done, wait) = watch::channel(false);
    let tables: BTreeSet<i64> = parts.iter().map(|p| p.table_id).collect();
    let before = tables
        .iter()
        .filter_map(|t| state.txns.tails.insert(*t, wait.clone()))
        .filter(|earlier| !*earlier.borrow())
        .collect();
    state.txns.note_committed(id);
    if let Some(txn) = state.txns.get_mut(id) {
        txn.status = TxnStatus::Committed;
        txn.commit_ms = now;
        txn.parts = parts;
        txn.explicit = explicit;
        txn.done = Some(wait.clone());
        txn.pending.clear();
    }
    Ok(Step::Start { before, done, wait })
}

/// The partitions that a (sub) transaction touched, after the checks of a commit.
fn touched(
    state: &mut FeState,
    txn: &Txn,
    sub: &SubTxn,
    explicit: bool,
) -> Result<Vec<TxnPart>, RpcError> {
    let mut by_partition: BTreeMap<(i64, i64), Vec<(i64, i64)>> = BTreeMap::new();
    for (tablet, backend) in &sub.commit_infos {
        // Tablets that the FE does not know are ignored, as in Doris.
        if let Some(home) = state.home_of(txn.db_id, &txn.table_ids, *tablet) {
            by_partition
                .entry(home)
                .or_default()
                .push((*tablet, *backend));
        }
    }
    let Some(db) = state.catalog.databases.get(&txn.db_id) else {
        return Err(RpcError::meta_not_found(format!(
            "unknown database, databaseId={}",
            txn.db_id
        )));
    };
    let mut parts = Vec::new();
    for ((table_id, partition_id), replicas) in by_partition {
        let Some(table) = db.tables.get(&table_id) else {
            continue;
        };
        let Some(partition) = table.partitions.get(&partition_id) else {
            continue;
        };
        if table.state == TableState::Restore {
            return Err(RpcError::analysis(format!(
                "Table {} is in restore process. Can not load into it",
                table.name
            )));
        }
        let reported: BTreeSet<(i64, i64)> = replicas.iter().copied().collect();
        for tablet in partition.tablets() {
            if let Some((t, b)) = reported.iter().find(|(t, b)| {
                *t == tablet.id && !tablet.replicas.iter().any(|r| r.backend_id == *b)
            }) {
                return Err(RpcError::analysis(format!(
                    "could not find replica for tablet [{t}], backend [{b}]"
                )));
            }
            let good = tablet
                .replicas
                .iter()
                .filter(|r| reported.contains(&(tablet.id, r.backend_id)))
                .count();
            let needed = tablet.replicas.len() / 2 + 1;
            if good < needed {
                return Err(RpcError::analysis(format!(
                    "Failed to commit txn {}, cause tablet {} succ replica num {good} < load required replica num {needed}. \
                     table {}, partition: [ id={partition_id}, commit version {}, visible version {} ], this tablet detail: \
                     {} replicas. Please try again later.",
                    txn.id,
                    tablet.id,
                    table_id,
                    partition.next_version - 1,
                    partition.visible_version,
                    tablet.replicas.len()
                )));
            }
        }
        parts.push(TxnPart {
            table_id,
            partition_id,
            version: 0,
            be_txn_id: sub.id,
            stid: if explicit { sub.id } else { -1 },
            range: table.range_text(partition),
            is_temp: partition.is_temp,
            replicas,
        });
    }
    Ok(parts)
}

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
            "deltaRows": delta.iter().filter(|(t, _)| written.contains(t))
                .map(|(t, rows)| (t.to_string(), json!(rows))).collect::<serde_json::Map<_, _>>(),
        });
        // The index list comes from the planner; a transaction begun over Thrift never had one.
        if txn.source != LoadSource::Rpc {
            entry["indexIds"] = table
                .indexes
                .iter()
                .map(|i| i.id)
                .collect::<Vec<_>>()
                .into();
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
        txn.parts = Vec::new();
        txn.done = None;
    }
    state.txns.note_finished(txn.id, now);
}

/// A commit's outcome where it goes back to a statement.
pub(super) fn sql_error(error: RpcError) -> SqlError {
    SqlError::analysis(error.text)
}

/// A backend handle.
pub(super) type Backend = Arc<dyn crate::be::api::BackendApi>;
