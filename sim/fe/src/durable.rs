//! The lock around the state, which writes what changed before it opens; and how a frontend comes back from a data directory.

use std::collections::BTreeSet;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, MutexGuard};

use tokio::sync::watch;

use super::api::TxnStatus;
use super::frontend::Frontend;
use super::jobs::Job;
use super::state::FeState;
use super::store::{Store, StoreError};
use dorisim_model::TableState;

/// The state and where it is written, if anywhere.
#[derive(Debug)]
pub(super) struct Held {
    state: FeState,
    store: Option<Store>,
}

impl Held {
    pub fn new(state: FeState, store: Option<Store>) -> Self {
        Self { state, store }
    }

    /// Notes that the first start came to its end.
    pub fn set_ready(&self) -> Result<(), StoreError> {
        self.store.as_ref().map_or(Ok(()), Store::set_ready)
    }

    /// Writes nothing from here on; the data directory is free.
    pub fn let_go(&mut self) {
        self.store = None;
    }

    /// What is in memory, and what a new process would read now.
    #[cfg(test)]
    pub fn reread(&mut self, config: &super::api::FrontendConfig) -> (&FeState, FeState) {
        let store = self
            .store
            .as_mut()
            .expect("invariant: tests of disks have one");
        (
            &self.state,
            store.load(config).expect("what was written is read"),
        )
    }

    /// Rows written so far.
    #[cfg(test)]
    pub fn rows_written(&self) -> u64 {
        self.store.as_ref().map_or(0, Store::rows_written)
    }

    fn commit(&mut self) {
        let Some(store) = &mut self.store else { return };
        if let Err(error) = store.commit(&mut self.state) {
            // As in Doris: who can not journal ends, because the next answer would be a promise that it can not keep.
            tracing::error!(%error, "the state can not be written; the process ends");
            std::process::exit(EXIT_NO_JOURNAL);
        }
    }
}

/// Exit code of a process that can not write its state.
const EXIT_NO_JOURNAL: i32 = 74;

/// The locked state. What was changed through it is on disk when it is dropped.
pub(super) struct StateGuard<'a> {
    held: MutexGuard<'a, Held>,
    touched: bool,
}

impl<'a> StateGuard<'a> {
    pub fn new(held: MutexGuard<'a, Held>) -> Self {
        Self {
            held,
            touched: false,
        }
    }
}

impl Deref for StateGuard<'_> {
    type Target = FeState;

    fn deref(&self) -> &FeState {
        &self.held.state
    }
}

impl DerefMut for StateGuard<'_> {
    fn deref_mut(&mut self) -> &mut FeState {
        self.touched = true;
        &mut self.held.state
    }
}

impl Drop for StateGuard<'_> {
    fn drop(&mut self) {
        if self.touched {
            self.held.commit();
        }
    }
}

impl Frontend {
    /// What a start on an old data directory does, before anything is served: what lived in memory only is gone, streams are as after
    /// an image reload, COMMITTED transactions go on to VISIBLE in the order of their commits, unfinished INSERT OVERWRITEs are taken back.
    pub async fn resume(self: &Arc<Self>) {
        self.restart();
        self.resume_backends();
        let mut committed = {
            let mut guard = self.lock();
            let state = &mut *guard;
            free_tables(state);
            let txns = state.txns.txns.values();
            txns.filter(|t| t.status == TxnStatus::Committed)
                .map(|t| (t.commit_seq, t.id))
                .collect::<Vec<_>>()
        };
        committed.sort_unstable();
        for (_, id) in committed {
            let (done, wait) = watch::channel(false);
            let before = {
                let mut state = self.lock();
                let Some(txn) = state.txns.get_mut(id) else {
                    continue;
                };
                txn.done = Some(wait.clone());
                let tables: BTreeSet<i64> = txn.parts.iter().map(|p| p.table_id).collect();
                tables
                    .iter()
                    .filter_map(|t| state.txns.tails.insert(*t, wait.clone()))
                    .collect()
            };
            self.spawn_publish(id, before, done);
        }
        self.roll_back_overwrites().await;
    }

    /// Notes that the first start on a data directory came to its end: later ones make no accounts.
    ///
    /// # Errors
    /// The file can not be written.
    pub fn set_ready(&self) -> Result<(), StoreError> {
        self.held().set_ready()
    }

    /// Gives the data directory back. To be called when nothing can answer any more.
    pub fn close(&self) {
        self.held().let_go();
    }
}

/// A restore job that was planned but not yet noted as planned has its tables in state RESTORE: it is going to plan again.
fn free_tables(state: &mut FeState) {
    let planned: BTreeSet<i64> = state
        .jobs
        .running()
        .iter()
        .flat_map(|job| match job {
            Job::Restore(restore) => {
                let new = restore.plan.tables.iter().map(|t| t.id);
                restore.plan.existing.iter().copied().chain(new).collect()
            }
            Job::Backup(_) => Vec::new(),
        })
        .collect();
    let stuck: Vec<(i64, i64)> = state
        .catalog
        .databases
        .values()
        .flat_map(|db| db.tables.values().map(|t| (db.id, t)))
        .filter(|(_, t)| t.state == TableState::Restore && !planned.contains(&t.id))
        .map(|(db_id, t)| (db_id, t.id))
        .collect();
    for (db_id, table_id) in stuck {
        if let Some(table) = state.table_by_id_mut(db_id, table_id) {
            table.state = TableState::Normal;
        }
    }
}
