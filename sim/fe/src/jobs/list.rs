//! The list of backup and restore jobs: one running per database, the last ten remembered.

use serde::{Deserialize, Serialize};

use crate::api::SqlError;
use crate::jobs::backup_job::BackupJob;
use crate::jobs::head::JobHead;
use crate::jobs::restore_job::RestoreJob;
use dorisim_model::Tracked;

/// A job.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Job {
    /// BACKUP SNAPSHOT.
    Backup(Box<BackupJob>),
    /// restoreSnapshot.
    Restore(Box<RestoreJob>),
}

impl Job {
    /// Common part.
    #[must_use]
    pub fn head(&self) -> &JobHead {
        match self {
            Self::Backup(job) => &job.head,
            Self::Restore(job) => &job.head,
        }
    }

    pub(crate) fn head_mut(&mut self) -> &mut JobHead {
        match self {
            Self::Backup(job) => &mut job.head,
            Self::Restore(job) => &mut job.head,
        }
    }

    /// Finished or cancelled.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.head().finish_ms >= 0
    }
}

/// All jobs by id, which grows: oldest first.
#[derive(Debug, Default, Serialize)]
pub struct Jobs {
    pub(crate) jobs: Tracked<i64, Job>,
}

impl Jobs {
    /// Takes a job in when nothing runs in its database; forgets the oldest beyond `keep`.
    pub fn submit(&mut self, job: Job, keep: usize) -> Result<(), SqlError> {
        let db_id = job.head().db_id;
        if let Some(running) = self.of_db(db_id).find(|j| !j.is_done()) {
            return Err(SqlError::new(
                5064,
                format!(
                    "Can only run one backup or restore job of a database at same time , current running: label = {} jobId = {}, \
                     to run label = {}",
                    running.head().label,
                    running.head().id,
                    job.head().label
                ),
            ));
        }
        self.jobs.insert(job.head().id, job);
        let of_db: Vec<i64> = self.of_db(db_id).map(|j| j.head().id).collect();
        for old in of_db.iter().take(of_db.len().saturating_sub(keep.max(1))) {
            self.jobs.remove(old);
        }
        Ok(())
    }

    /// The jobs that run.
    pub fn all_running(&self) -> impl Iterator<Item = &Job> {
        self.jobs.values().filter(|j| !j.is_done())
    }

    /// Copies of the jobs that run, which can be large: a restore has its whole plan.
    #[must_use]
    pub fn running(&self) -> Vec<Job> {
        self.all_running().cloned().collect()
    }

    /// True while that job runs.
    #[must_use]
    pub fn is_running(&self, id: i64) -> bool {
        self.jobs.get(&id).is_some_and(|job| !job.is_done())
    }

    /// Puts back a job that was worked on; false when it was cancelled or forgotten meanwhile.
    pub fn put_back(&mut self, job: Job) -> bool {
        let id = job.head().id;
        let kept = self.jobs.get(&id).is_some_and(|j| !j.is_done());
        if kept {
            self.jobs.insert(id, job);
        }
        kept
    }

    /// True while a restore that swaps in at its end works on this table of the database.
    #[must_use]
    pub fn in_atomic_restore(&self, db_id: i64, table: &str) -> bool {
        self.of_db(db_id).any(|job| match job {
            Job::Restore(restore) => !job.is_done() && restore.replaces(table),
            Job::Backup(_) => false,
        })
    }

    /// The running job of a database.
    pub fn running_in(&mut self, db_id: i64) -> Option<&mut Job> {
        self.jobs
            .find_mut(|j| j.head().db_id == db_id && !j.is_done())
    }

    /// Jobs of a database.
    pub fn of_db(&self, db_id: i64) -> impl Iterator<Item = &Job> {
        self.jobs.values().filter(move |j| j.head().db_id == db_id)
    }

    /// The newest finished backup of that label, whatever its database.
    #[must_use]
    pub fn snapshot(&self, label: &str) -> Option<&BackupJob> {
        self.jobs
            .values()
            .filter_map(|job| match job {
                Job::Backup(backup) if backup.head.label == label && backup.is_finished() => {
                    Some(backup.as_ref())
                }
                Job::Backup(_) | Job::Restore(_) => None,
            })
            .max_by_key(|b| b.head.id)
    }

    /// DROP DATABASE.
    pub fn forget_db(&mut self, db_id: i64) {
        self.jobs.retain(|_, j| j.head().db_id != db_id);
    }
}
