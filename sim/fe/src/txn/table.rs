//! Transactions and labels: who may begin, commit and roll back, and with which words it is refused.
//!
//! Pure data; versions and backends are [`crate::txn::commit`]'s business.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::api::{
    BeginRefused, FrontendConfig, LoadSource, RpcError, StatusCode, SubTxn, TxnKey, TxnStatus,
    TxnView,
};
use dorisim_model::Tracked;

/// The partition of a committed transaction, with the version it got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TxnPart {
    /// Table.
    pub table_id: i64,
    /// Partition.
    pub partition_id: i64,
    /// Version.
    pub version: i64,
    /// Transaction id that the backends know: the sub transaction, or the transaction itself.
    pub be_txn_id: i64,
    /// Sub transaction, -1 without.
    pub stid: i64,
    /// Range text at commit.
    pub range: String,
    /// Temporary partition.
    pub is_temp: bool,
    /// Successful replicas: (tablet, backend).
    pub replicas: Vec<(i64, i64)>,
    /// Indexes of the table that the load wrote: the finished ones, and shadows that it knew.
    pub index_ids: Vec<i64>,
}

/// A transaction.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Txn {
    /// Id.
    pub id: i64,
    /// Database.
    pub db_id: i64,
    /// Label.
    pub label: String,
    /// State.
    pub status: TxnStatus,
    /// Who began it.
    pub source: LoadSource,
    /// Tables.
    pub table_ids: Vec<i64>,
    /// Key of idempotence.
    pub request_id: Option<(i64, i64)>,
    /// Ids given out; the first equals `id`.
    pub sub_txn_ids: Vec<i64>,
    /// Times in epoch milliseconds, -1 when not reached.
    pub prepare_ms: i64,
    /// Committed.
    pub commit_ms: i64,
    /// Journal id of the commit: the order of commits. 0 before.
    pub commit_seq: i64,
    /// Visible or aborted.
    pub finish_ms: i64,
    /// Milliseconds.
    pub timeout_ms: i64,
    /// Why it was aborted.
    pub reason: String,
    /// What it writes, once committed.
    pub parts: Vec<TxnPart>,
    /// What became visible: (transaction id of the backends, partition, version).
    #[serde(default)]
    pub published: Vec<(i64, i64, i64)>,
    /// True when it has sub transactions.
    pub explicit: bool,
    /// Statements of an explicit transaction or the one of a precommitted load, waiting for COMMIT.
    pub pending: Vec<SubTxn>,
    /// Rows of `pending`.
    pub pending_rows: u64,
    /// Becomes true when visible.
    #[serde(skip)]
    pub done: Option<watch::Receiver<bool>>,
}

impl Txn {
    fn is_final(&self) -> bool {
        matches!(self.status, TxnStatus::Visible | TxnStatus::Aborted)
    }

    /// As SHOW TRANSACTION shows it.
    #[must_use]
    pub fn view(&self) -> TxnView {
        TxnView {
            id: self.id,
            label: self.label.clone(),
            status: self.status,
            source_type: match self.source {
                LoadSource::Insert => "INSERT_STREAMING",
                LoadSource::StreamLoad | LoadSource::Rpc => "BACKEND_STREAMING",
            },
            prepare_ms: self.prepare_ms,
            commit_ms: self.commit_ms,
            finish_ms: self.finish_ms,
            reason: self.reason.clone(),
            timeout_ms: self.timeout_ms,
            table_ids: self.table_ids.clone(),
        }
    }
}

/// A transaction to begin.
#[derive(Debug, Clone)]
pub struct NewTxn {
    /// Database.
    pub db_id: i64,
    /// Label.
    pub label: String,
    /// Tables.
    pub table_ids: Vec<i64>,
    /// Who begins it.
    pub source: LoadSource,
    /// Seconds.
    pub timeout_s: Option<i64>,
    /// Key of idempotence.
    pub request_id: Option<(i64, i64)>,
}

/// What beginning came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begun {
    /// A new one.
    New(i64),
    /// The same request again.
    Repeated(i64),
}

/// `stream_load_default_timeout_second`: three days.
const DEFAULT_TIMEOUT_S: i64 = 259_200;

/// All transactions of the cluster.
#[derive(Debug)]
pub struct TxnTable {
    pub(crate) txns: Tracked<i64, Txn>,
    pub(crate) labels: HashMap<(i64, String), Vec<i64>>,
    next_id: i64,
    keep_num: usize,
    keep_ms: i64,
    max_running: usize,
    max_publishing: usize,
    running: HashMap<i64, usize>,
    /// Finished ones, oldest first: (finish time, id).
    finished: std::collections::VecDeque<(i64, i64)>,
    /// By table: becomes true when the newest committed transaction is visible.
    pub tails: HashMap<i64, watch::Receiver<bool>>,
}

impl TxnTable {
    /// Empty.
    #[must_use]
    pub fn new(config: &FrontendConfig) -> Self {
        Self {
            txns: Tracked::new(),
            labels: HashMap::new(),
            next_id: 1_000,
            keep_num: config.label_keep_num,
            keep_ms: i64::try_from(config.label_keep.as_millis()).unwrap_or(i64::MAX),
            max_running: config.max_running_txns,
            max_publishing: config.max_publishing_txns_per_table,
            running: HashMap::new(),
            finished: std::collections::VecDeque::new(),
            tails: HashMap::new(),
        }
    }

    /// True while a load into the table that began before transaction `before` is neither visible nor aborted.
    #[must_use]
    pub fn loading_before(&self, table_id: i64, before: i64) -> bool {
        self.txns.range(..before).any(|(_, t)| {
            t.table_ids.contains(&table_id)
                && match t.status {
                    TxnStatus::Prepare | TxnStatus::Precommitted | TxnStatus::Committed => true,
                    TxnStatus::Visible | TxnStatus::Aborted => false,
                }
        })
    }

    /// Committed transactions on the table that are not visible yet.
    fn unpublished_txns(&self, table_id: i64) -> usize {
        // The tail becomes true with the newest one of the table.
        if self.tails.get(&table_id).is_none_or(|tail| *tail.borrow()) {
            return 0;
        }
        let committed =
            |t: &&Txn| t.status == TxnStatus::Committed && t.table_ids.contains(&table_id);
        self.txns.values().filter(committed).count()
    }

    /// Parts of committed transactions on the table that are not visible yet.
    pub fn unpublished(&self, table_id: i64) -> impl Iterator<Item = &TxnPart> {
        self.txns
            .values()
            .filter(|t| t.status == TxnStatus::Committed)
            .flat_map(|t| &t.parts)
            .filter(move |p| p.table_id == table_id)
    }

    /// The newest id.
    #[must_use]
    pub fn last_id(&self) -> i64 {
        self.next_id
    }

    /// New ids come after this one.
    pub fn go_on_after(&mut self, id: i64) {
        self.next_id = id;
    }

    /// Finds labels, counts and the order of ends anew, from transactions that were read from disk.
    pub fn index_all(&mut self) {
        self.labels.clear();
        self.running.clear();
        let mut finished = Vec::new();
        for txn in self.txns.values() {
            let key = (txn.db_id, txn.label.clone());
            self.labels.entry(key).or_default().push(txn.id);
            match txn.status {
                TxnStatus::Prepare | TxnStatus::Precommitted => {
                    *self.running.entry(txn.db_id).or_default() += 1;
                }
                TxnStatus::Committed => {}
                TxnStatus::Visible | TxnStatus::Aborted => finished.push((txn.finish_ms, txn.id)),
            }
        }
        finished.sort_unstable();
        self.finished = finished.into();
    }

    /// A fresh transaction id, also for sub transactions.
    pub fn new_id(&mut self) -> i64 {
        self.next_id += 1;
        self.next_id
    }

    /// The transaction that backends know under this id: its own, or one of a sub transaction.
    #[must_use]
    pub fn of_backend(&self, be_txn_id: i64) -> Option<&Txn> {
        self.txns.get(&be_txn_id).or_else(|| {
            self.txns.values().find(|t| {
                t.sub_txn_ids.contains(&be_txn_id)
                    || t.pending.iter().any(|sub| sub.id == be_txn_id)
            })
        })
    }

    /// Transactions of a database that ended, or that have not, the newest first.
    #[must_use]
    pub fn list(&self, db_id: i64, ended: bool) -> Vec<TxnView> {
        let mut found: Vec<TxnView> = self
            .txns
            .values()
            .filter(|txn| txn.db_id == db_id && txn.is_final() == ended)
            .map(Txn::view)
            .collect();
        found.sort_by_key(|txn| std::cmp::Reverse(txn.id));
        found
    }

    /// Transaction by id.
    #[must_use]
    pub fn get(&self, id: i64) -> Option<&Txn> {
        self.txns.get(&id)
    }

    /// Transaction by id, to change it.
    pub fn get_mut(&mut self, id: i64) -> Option<&mut Txn> {
        self.txns.get_mut(&id)
    }

    /// Transaction of a database by id or (newest one) by label.
    #[must_use]
    pub fn find(&self, db_id: i64, key: &TxnKey) -> Option<&Txn> {
        let id = match key {
            TxnKey::Id(id) => *id,
            TxnKey::Label(label) => *self.labels.get(&(db_id, label.clone()))?.iter().max()?,
        };
        self.txns.get(&id).filter(|t| t.db_id == db_id)
    }

    /// beginTxn.
    pub fn begin(&mut self, new: NewTxn, now_ms: i64) -> Result<Begun, BeginRefused> {
        let refuse = |error| {
            Err(BeginRefused {
                error,
                job_status: None,
            })
        };
        let pattern_ok = !new.label.is_empty()
            && new.label.chars().count() <= 128
            && new
                .label
                .chars()
                .all(|c| c.is_ascii_digit() || c.is_alphabetic() || "-_:".contains(c));
        if !pattern_ok {
            return refuse(RpcError::analysis(format!(
                "Label format error. regex: ^[\\-_A-Za-z0-9:\\p{{L}}]{{1,128}}$, label: {}",
                new.label
            )));
        }
        let timeout_s = new.timeout_s.unwrap_or(DEFAULT_TIMEOUT_S);
        let bound = if timeout_s < 1 {
            Some("higher than Config.min_load_timeout_second: 1".to_owned())
        } else if timeout_s > DEFAULT_TIMEOUT_S {
            let bound = "lower than Config.max_stream_load_timeout_second";
            Some(format!("{bound}: {DEFAULT_TIMEOUT_S}"))
        } else {
            None
        };
        if let Some(bound) = bound {
            return refuse(RpcError::analysis(format!(
                "Invalid timeout: {timeout_s}. Timeout should be {bound}"
            )));
        }
        let key = (new.db_id, new.label.clone());
        let holder = self
            .labels
            .get(&key)
            .into_iter()
            .flatten()
            .filter_map(|id| self.txns.get(id))
            .find(|t| t.status != TxnStatus::Aborted);
        if let Some(holder) = holder {
            let open = matches!(holder.status, TxnStatus::Prepare | TxnStatus::Precommitted);
            if open && new.request_id.is_some() && holder.request_id == new.request_id {
                return Ok(Begun::Repeated(holder.id));
            }
            return Err(BeginRefused {
                error: RpcError {
                    code: StatusCode::LabelAlreadyExists,
                    err_code: Some(2),
                    text: format!(
                        "Label [{}] has already been used, relate to txn [{}], status [{}].",
                        new.label, holder.id, holder.status
                    ),
                },
                job_status: Some(match holder.status {
                    TxnStatus::Prepare => "RUNNING",
                    TxnStatus::Precommitted => "PRECOMMITTED",
                    TxnStatus::Committed | TxnStatus::Visible | TxnStatus::Aborted => "FINISHED",
                }),
            });
        }
        let running = self.running.get(&new.db_id).copied().unwrap_or(0);
        if running >= self.max_running {
            return refuse(RpcError::analysis(format!(
                "current running txns on db {} is {running}, larger than limit {}",
                new.db_id, self.max_running
            )));
        }
        for table in &new.table_ids {
            let committed = self.unpublished_txns(*table);
            if committed >= self.max_publishing {
                return refuse(RpcError::analysis(format!(
                    "current committed txns on table {table} is {committed}, larger than limit {}",
                    self.max_publishing
                )));
            }
        }
        let id = self.new_id();
        self.txns.insert(
            id,
            Txn {
                id,
                db_id: new.db_id,
                label: new.label,
                status: TxnStatus::Prepare,
                source: new.source,
                table_ids: new.table_ids,
                request_id: new.request_id,
                sub_txn_ids: Vec::new(),
                prepare_ms: now_ms,
                commit_ms: -1,
                commit_seq: 0,
                finish_ms: -1,
                timeout_ms: timeout_s * 1000,
                reason: String::new(),
                parts: Vec::new(),
                published: Vec::new(),
                explicit: false,
                pending: Vec::new(),
                pending_rows: 0,
                done: None,
            },
        );
        self.labels.entry(key).or_default().push(id);
        *self.running.entry(new.db_id).or_default() += 1;
        Ok(Begun::New(id))
    }

    /// Notes that a running transaction reached COMMITTED.
    pub fn note_committed(&mut self, id: i64) {
        if let Some(txn) = self.txns.get(&id) {
            let db_id = txn.db_id;
            self.leave_running(db_id);
        }
    }

    fn leave_running(&mut self, db_id: i64) {
        if let Some(count) = self.running.get_mut(&db_id) {
            *count = count.saturating_sub(1);
        }
    }

    /// Notes the final state of a transaction and forgets the oldest finished ones beyond the limits.
    pub fn note_finished(&mut self, id: i64, now_ms: i64) {
        self.finished.push_back((now_ms, id));
        while self.finished.len() > self.keep_num
            || self
                .finished
                .front()
                .is_some_and(|(at, _)| now_ms - at > self.keep_ms)
        {
            let Some((_, old)) = self.finished.pop_front() else {
                break;
            };
            self.forget(old);
        }
    }

    fn forget(&mut self, id: i64) {
        if let Some(txn) = self.txns.remove(&id) {
            let key = (txn.db_id, txn.label);
            if let Some(ids) = self.labels.get_mut(&key) {
                ids.retain(|other| *other != id);
                if ids.is_empty() {
                    self.labels.remove(&key);
                }
            }
        }
    }

    /// Forgets a finished transaction by label, as an FE does whose limits are small (a fault of tests).
    pub fn forget_label(&mut self, db_id: i64, label: &str) -> bool {
        let key = (db_id, label.to_owned());
        let ids: Vec<i64> = self.labels.get(&key).cloned().unwrap_or_default();
        let finished: Vec<i64> = ids
            .into_iter()
            .filter(|id| self.txns.get(id).is_some_and(Txn::is_final))
            .collect();
        finished.iter().for_each(|id| self.forget(*id));
        !finished.is_empty()
    }

    /// rollbackTxn: the decision and its effect.
    pub fn abort(&mut self, id: i64, reason: &str, now_ms: i64) -> Result<(), RpcError> {
        let Some(txn) = self.txns.get_mut(&id) else {
            return Err(RpcError::analysis(format!("transaction [{id}] not found")));
        };
        match txn.status {
            TxnStatus::Prepare | TxnStatus::Precommitted => {}
            TxnStatus::Committed => {
                return Err(RpcError::analysis(format!(
                    "transaction [{id}] is already COMMITTED, could not abort."
                )));
            }
            TxnStatus::Visible | TxnStatus::Aborted => {
                return Err(RpcError::analysis("transaction not found"));
            }
        }
        txn.status = TxnStatus::Aborted;
        reason.clone_into(&mut txn.reason);
        txn.finish_ms = now_ms;
        let db_id = txn.db_id;
        self.leave_running(db_id);
        self.note_finished(id, now_ms);
        Ok(())
    }

    /// Open transactions older than their timeout.
    #[must_use]
    pub fn timed_out(&self, now_ms: i64) -> Vec<i64> {
        self.txns
            .values()
            .filter(|t| matches!(t.status, TxnStatus::Prepare | TxnStatus::Precommitted))
            .filter(|t| now_ms - t.prepare_ms > t.timeout_ms)
            .map(|t| t.id)
            .collect()
    }

    /// Restart or master switch: PREPARE transactions were never persisted. Returns their ids.
    pub fn forget_prepared(&mut self) -> Vec<i64> {
        let gone: Vec<(i64, i64)> = self
            .txns
            .values()
            .filter(|t| t.status == TxnStatus::Prepare)
            .map(|t| (t.id, t.db_id))
            .collect();
        for (id, db_id) in &gone {
            self.leave_running(*db_id);
            self.forget(*id);
        }
        gone.into_iter().map(|(id, _)| id).collect()
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
