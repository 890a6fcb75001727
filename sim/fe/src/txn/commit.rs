//! From commit to visible: quorum, versions, publish in order of commits per table, the UPSERT record.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::sync::watch;

use crate::api::{CommitTxn, Committed, RpcError, SqlError, SubTxn, TxnKey, TxnStatus, WaitedTxn};
use crate::frontend::Frontend;
use crate::state::{FeState, resolve_db};
use crate::txn::table::{Txn, TxnPart};
use dorisim_model::{MaterializedIndex, TableState};

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

    /// waitingTxnStatus: polls until final, at most 30 s.
    pub async fn waiting_txn_status(&self, db_id: i64, key: TxnKey) -> Result<WaitedTxn, RpcError> {
        let deadline = self.clock().monotonic() + Duration::from_secs(30);
        loop {
            let found = {
                let state = self.lock();
                if !state.catalog.databases.contains_key(&db_id) {
                    return Err(RpcError {
                        code: crate::api::StatusCode::InternalError,
                        err_code: Some(2),
                        text: format!("Unknown database '{db_id}'"),
                    });
                }
                let txn = state.txns.find(db_id, &key);
                txn.map(|t| (t.status, t.reason.clone()))
            };
            let Some((status, reason)) = found else {
                return match key {
                    TxnKey::Id(id) => Err(RpcError {
                        code: crate::api::StatusCode::InternalError,
                        err_code: Some(2),
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
                        crate::api::StatusCode::Incomplete,
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
    pub(crate) async fn clear_on_backends(&self, ids: &[i64]) {
        for backend in self.backend_list() {
            for id in ids {
                if let Err(error) = backend.clear_txn(*id).await {
                    tracing::debug!(txn_id = id, %error, "a backend could not forget a transaction");
                }
            }
        }
    }

    /// Aborts transactions whose timeout has passed.
    pub async fn abort_timed_out(&self) {
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
pub(crate) fn be_ids(txn: &Txn) -> Vec<i64> {
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
    let commit_seq = state.journal();
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
        txn.commit_seq = commit_seq;
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
        // A load that never knew of an index being built leaves it to the job.
        let written = |index: &MaterializedIndex| {
            !table.is_shadow(index.id)
                || index
                    .tablets
                    .iter()
                    .any(|t| reported.iter().any(|(id, _)| *id == t.id))
        };
        let indexes: Vec<&MaterializedIndex> =
            partition.indexes.iter().filter(|i| written(i)).collect();
        for tablet in indexes.iter().flat_map(|i| &i.tablets) {
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
            index_ids: indexes.iter().map(|i| i.id).collect(),
        });
    }
    Ok(parts)
}

/// A commit's outcome where it goes back to a statement.
pub(crate) fn sql_error(error: RpcError) -> SqlError {
    SqlError::analysis(error.text)
}
