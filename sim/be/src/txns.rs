//! Local transactions of one backend: what was written or ingested and waits for its publish.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::rowset::Rowset;
use dorisim_model::backend::{BeError, LocalTxnState};

/// State of a transaction on one tablet.
#[derive(Debug)]
enum LocalTxn {
    /// An ingest is under way; only the newest attempt may finish it.
    Prepared { attempt: u64 },
    /// The rowset waits for its publish.
    Committed { rowset: Arc<Rowset> },
    /// The last attempt failed.
    Aborted,
}

/// Names an ingest attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt(u64);

/// How a commit ended.
#[derive(Debug)]
pub enum CommitOutcome {
    /// The rowset is held.
    Held,
    /// A concurrent attempt was first; its rowset stays, this one is handed back for deletion.
    AlreadyExists(Arc<Rowset>),
    /// The transaction was cleared meanwhile; the rowset is handed back for deletion.
    Gone(Arc<Rowset>),
}

/// Doris spreads transactions over this many maps by the low bits of their ids; the limit counts within one.
const MAPS: i64 = 1024;

/// All local transactions, by transaction id, then by tablet.
#[derive(Debug, Default)]
pub struct LocalTxns {
    next_attempt: u64,
    by_txn: HashMap<i64, BTreeMap<i64, LocalTxn>>,
}

impl LocalTxns {
    /// Refuses when more than `limit` transactions are in the map that this one belongs to.
    ///
    /// # Errors
    /// [`BeError::TooManyTransactions`].
    pub fn admit(&self, txn_id: i64, limit: usize) -> Result<(), BeError> {
        if self.by_txn.len() <= limit {
            return Ok(());
        }
        let same_map = |other: &&i64| (**other ^ txn_id) & (MAPS - 1) == 0;
        let running = self.by_txn.keys().filter(same_map).count();
        if running > limit {
            return Err(BeError::TooManyTransactions { running, limit });
        }
        Ok(())
    }

    /// Begins an ingest. A committed result of an earlier attempt is given up and returned for deletion.
    pub fn prepare(&mut self, txn_id: i64, tablet_id: i64) -> (Attempt, Option<Arc<Rowset>>) {
        self.next_attempt += 1;
        let attempt = self.next_attempt;
        let entry = LocalTxn::Prepared { attempt };
        let old = self
            .by_txn
            .entry(txn_id)
            .or_default()
            .insert(tablet_id, entry);
        (Attempt(attempt), old.and_then(committed_rowset))
    }

    /// Ends an ingest with success.
    pub fn commit(&mut self, txn_id: i64, tablet_id: i64, rowset: Arc<Rowset>) -> CommitOutcome {
        let Some(tablets) = self.by_txn.get_mut(&txn_id) else {
            return CommitOutcome::Gone(rowset);
        };
        match tablets.get_mut(&tablet_id) {
            Some(LocalTxn::Committed { .. }) => CommitOutcome::AlreadyExists(rowset),
            Some(entry) => {
                *entry = LocalTxn::Committed { rowset };
                CommitOutcome::Held
            }
            None => CommitOutcome::Gone(rowset),
        }
    }

    /// Ends an ingest with failure: whatever the transaction has on this tablet is lost.
    pub fn abort(&mut self, txn_id: i64, tablet_id: i64, attempt: Attempt) -> Option<Arc<Rowset>> {
        let entry = self.by_txn.get_mut(&txn_id)?.get_mut(&tablet_id)?;
        match entry {
            LocalTxn::Prepared { attempt: current } if *current != attempt.0 => None,
            LocalTxn::Prepared { .. } | LocalTxn::Committed { .. } | LocalTxn::Aborted => {
                committed_rowset(std::mem::replace(entry, LocalTxn::Aborted))
            }
        }
    }

    /// Holds a rowset that was written locally; an earlier one of the same transaction and tablet is returned.
    pub fn hold(
        &mut self,
        txn_id: i64,
        tablet_id: i64,
        rowset: Arc<Rowset>,
    ) -> Option<Arc<Rowset>> {
        self.by_txn
            .entry(txn_id)
            .or_default()
            .insert(tablet_id, LocalTxn::Committed { rowset })
            .and_then(committed_rowset)
    }

    /// Every transaction with its tablets.
    pub fn open(&self) -> Vec<(i64, Vec<i64>)> {
        let of_txn = |(txn, tablets): (&i64, &BTreeMap<i64, LocalTxn>)| {
            (*txn, tablets.keys().copied().collect())
        };
        self.by_txn.iter().map(of_txn).collect()
    }

    /// Committed rowsets of a transaction, by tablet.
    pub fn committed(&self, txn_id: i64) -> Vec<(i64, Arc<Rowset>)> {
        let Some(tablets) = self.by_txn.get(&txn_id) else {
            return Vec::new();
        };
        tablets
            .iter()
            .filter_map(|(tablet, entry)| match entry {
                LocalTxn::Committed { rowset } => Some((*tablet, Arc::clone(rowset))),
                LocalTxn::Prepared { .. } | LocalTxn::Aborted => None,
            })
            .collect()
    }

    /// Committed rowsets of all transactions.
    pub fn held(&self) -> impl Iterator<Item = &Arc<Rowset>> {
        let entries = self.by_txn.values().flat_map(BTreeMap::values);
        entries.filter_map(|entry| match entry {
            LocalTxn::Committed { rowset } => Some(rowset),
            LocalTxn::Prepared { .. } | LocalTxn::Aborted => None,
        })
    }

    /// Forgets one tablet of a transaction after its publish.
    pub fn finish(&mut self, txn_id: i64, tablet_id: i64) {
        if let Some(tablets) = self.by_txn.get_mut(&txn_id) {
            tablets.remove(&tablet_id);
            if tablets.is_empty() {
                self.by_txn.remove(&txn_id);
            }
        }
    }

    /// Forgets a transaction; its rowsets are returned for deletion.
    pub fn clear(&mut self, txn_id: i64) -> Vec<Arc<Rowset>> {
        let tablets = self.by_txn.remove(&txn_id).unwrap_or_default();
        tablets.into_values().filter_map(committed_rowset).collect()
    }

    /// What `query_ingest_binlog` tells.
    pub fn state(&self, txn_id: i64, tablet_id: i64) -> LocalTxnState {
        match self
            .by_txn
            .get(&txn_id)
            .and_then(|tablets| tablets.get(&tablet_id))
        {
            None => LocalTxnState::NotFound,
            Some(LocalTxn::Prepared { .. }) => LocalTxnState::Prepared,
            Some(LocalTxn::Committed { .. }) => LocalTxnState::Committed,
            Some(LocalTxn::Aborted) => LocalTxnState::Aborted,
        }
    }
}

fn committed_rowset(entry: LocalTxn) -> Option<Arc<Rowset>> {
    match entry {
        LocalTxn::Committed { rowset } => Some(rowset),
        LocalTxn::Prepared { .. } | LocalTxn::Aborted => None,
    }
}
