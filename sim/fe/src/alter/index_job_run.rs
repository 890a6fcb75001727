//! BUILD INDEX, and the clean-up behind a dropped inverted index: one job per partition, WAITING_TXN then FINISHED.
//!
//! Secondary indexes are metadata here, so a job has nothing to write but its records.

use crate::alter::index_job::{IndexJob, IndexJobState};
use crate::api::SqlError;
use crate::binlog::record;
use crate::frontend::Frontend;
use crate::state::FeState;
use dorisim_model::SecondaryIndex;

/// Finished jobs that are remembered.
const KEPT: usize = 10_000;

/// One job per partition, each with its WAITING_TXN record. `partitions` empty: all but temporary ones.
pub fn submit(
    state: &mut FeState,
    db_id: i64,
    table_id: i64,
    partitions: &[String],
    index: &SecondaryIndex,
    is_drop: bool,
    now: i64,
) {
    let Some(table) = state.table_by_id_mut(db_id, table_id) else {
        return;
    };
    let (name, origin_index) = (table.name.clone(), table.base_index_id());
    let (schema, present) = (table.schema.clone(), table.secondary.clone());
    let places: Vec<(i64, String)> = table
        .partitions
        .values()
        .filter(|p| {
            !p.is_temp
                && (partitions.is_empty()
                    || partitions.iter().any(|n| n.eq_ignore_ascii_case(&p.name)))
        })
        .map(|p| (p.id, p.name.clone()))
        .collect();
    for partition in places {
        let job = IndexJob {
            id: state.new_id(),
            db_id,
            table: (table_id, name.clone()),
            partition,
            origin_index,
            indexes: vec![index.clone()],
            is_drop,
            watershed: state.txns.new_id(),
            state: IndexJobState::WaitingTxn,
            create_ms: now,
            finish_ms: -1,
            message: String::new(),
            schema: schema.clone(),
            present: present.clone(),
        };
        state.emit(record::index_job(&job), now);
        let jobs = &mut state.index_jobs.jobs;
        if jobs.len() >= KEPT
            && let Some(old) = jobs.values().find(|j| j.state != IndexJobState::WaitingTxn)
        {
            let old = old.id;
            jobs.remove(&old);
        }
        jobs.insert(job.id, job);
    }
}

impl Frontend {
    /// BUILD INDEX.
    pub(crate) fn build_index(
        &self,
        db: &str,
        table: &str,
        index: &str,
        partitions: &[String],
    ) -> Result<(), SqlError> {
        let now = self.clock().now_ms();
        let mut guard = self.lock();
        let state = &mut *guard;
        let db_id = state.db(db)?.id;
        let found = state.table(db, table)?;
        let table_id = found.id;
        let index = found
            .secondary
            .iter()
            .find(|i| i.name.eq_ignore_ascii_case(index))
            .cloned()
            .ok_or_else(|| {
                SqlError::analysis(format!("index[{index}] does not exist in table[{table}]"))
            })?;
        if let Some(missing) = partitions
            .iter()
            .find(|n| found.partition(n, false).is_none())
        {
            return Err(SqlError::analysis(format!(
                "Partition[{missing}] does not exist"
            )));
        }
        submit(state, db_id, table_id, partitions, &index, false, now);
        Ok(())
    }

    /// CANCEL BUILD INDEX ON t [(job, ...)]; no ids: all of the table.
    pub(crate) fn cancel_index_jobs(
        &self,
        db: &str,
        table: &str,
        ids: &[i64],
    ) -> Result<(), SqlError> {
        let table_id = self.lock().table(db, table)?.id;
        let fits = |j: &IndexJob| j.table.0 == table_id && (ids.is_empty() || ids.contains(&j.id));
        self.end_index_jobs(fits, IndexJobState::Cancelled, "user cancelled");
        Ok(())
    }

    /// Finishes jobs whose older loads have ended, and gives up those of partitions that are gone.
    pub(crate) fn tick_index_jobs(&self) {
        let (mut done, mut gone) = (Vec::new(), Vec::new());
        {
            let state = self.lock();
            for job in state.index_jobs.jobs.values() {
                if job.state != IndexJobState::WaitingTxn {
                    continue;
                }
                let db = state.catalog.databases.get(&job.db_id);
                let table = db.and_then(|d| d.tables.get(&job.table.0));
                if table.is_none_or(|t| !t.partitions.contains_key(&job.partition.0)) {
                    gone.push(job.id);
                } else if !state.txns.loading_before(job.table.0, job.watershed) {
                    done.push(job.id);
                }
            }
        }
        if !done.is_empty() {
            self.end_index_jobs(|j| done.contains(&j.id), IndexJobState::Finished, "");
        }
        if !gone.is_empty() {
            let text = "partition does not exist";
            self.end_index_jobs(|j| gone.contains(&j.id), IndexJobState::Cancelled, text);
        }
    }

    fn end_index_jobs(&self, fits: impl Fn(&IndexJob) -> bool, to: IndexJobState, message: &str) {
        let now = self.clock().now_ms();
        let mut guard = self.lock();
        let state = &mut *guard;
        let jobs = &mut state.index_jobs.jobs;
        let ending: Vec<i64> = jobs
            .values()
            .filter(|j| j.state == IndexJobState::WaitingTxn && fits(j))
            .map(|j| j.id)
            .collect();
        let mut ended = Vec::new();
        for id in ending {
            if let Some(job) = jobs.get_mut(&id) {
                job.state = to;
                job.finish_ms = now;
                message.clone_into(&mut job.message);
                ended.push(job.clone());
            }
        }
        for job in ended {
            state.emit(record::index_job(&job), now);
        }
    }

    /// Index jobs of a database, oldest first.
    #[must_use]
    pub fn index_jobs(&self, db: &str) -> Vec<IndexJob> {
        let state = self.lock();
        let Some(db) = state.catalog.database(db) else {
            return Vec::new();
        };
        state.index_jobs.of_db(db.id).cloned().collect()
    }
}
