//! How a frontend comes back from a data directory.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::watch;

use crate::api::TxnStatus;
use crate::frontend::Frontend;
use crate::jobs::list::Job;
use crate::state::FeState;
use crate::store::StoreError;
use dorisim_model::TableState;

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
