//! Backup and restore jobs go on by one state per tick.

use crate::api::{JobView, RpcError, SqlError, StatusCode};
use crate::frontend::Frontend;
use crate::jobs::list::Job;

impl Frontend {
    /// Advances every running job by at most one state.
    pub async fn tick_jobs(&self) {
        self.tick_alters().await;
        self.tick_index_jobs();
        self.tick_dynamic_partitions().await;
        let jobs = self.lock().jobs.running();
        for job in jobs {
            let now = self.clock().now_ms();
            if now > job.head().deadline_ms() {
                let text = match &job {
                    Job::Backup(_) => "[TIMEOUT, msg: backup job timeout]".to_owned(),
                    Job::Restore(job) => format!(
                        "[TIMEOUT, msg: restore job with label: {}  timeout.]",
                        job.head.label
                    ),
                };
                self.cancel(job, text).await;
                continue;
            }
            match job {
                Job::Backup(job) => self.step_backup(*job).await,
                Job::Restore(job) => self.step_restore(*job).await,
            }
        }
    }

    /// Ends a job as CANCELLED and removes what it made. `job` is the caller's copy; the stored one may have gone further.
    pub(crate) async fn cancel(&self, job: Job, status: String) {
        let now = self.clock().now_ms();
        let stored = {
            let mut state = self.lock();
            let id = job.head().id;
            let running = state.jobs.running_in(job.head().db_id);
            running
                .filter(|stored| stored.head().id == id)
                .map(|stored| {
                    stored.head_mut().status = status;
                    stored.head_mut().finish_ms = now;
                    match stored {
                        Job::Backup(backup) => backup.cancelled(),
                        Job::Restore(restore) => restore.cancelled(),
                    }
                    stored.clone()
                })
        };
        for ended in stored.into_iter().chain(std::iter::once(job)) {
            match ended {
                Job::Restore(restore) => self.clean_up_restore(&restore).await,
                Job::Backup(_) => {}
            }
        }
    }

    pub(crate) async fn cancel_job(&self, db: &str, restore: bool) -> Result<(), SqlError> {
        let job = {
            let mut state = self.lock();
            let db_id = state.db(db)?.id;
            let kind = |job: &Job| matches!(job, Job::Restore(_)) == restore;
            state.jobs.running_in(db_id).filter(|j| kind(j)).cloned()
        };
        let Some(job) = job else {
            let kind = if restore { "restore" } else { "backup" };
            return Err(SqlError::new(
                5064,
                match kind {
                    "restore" => "No restore is currently running".to_owned(),
                    kind => format!("No {kind} job is currently running"),
                },
            ));
        };
        let text = match &job {
            Job::Backup(_) => "user cancelled".to_owned(),
            Job::Restore(restore) => {
                format!("user cancelled, current state: {}", restore.state_name())
            }
        };
        self.cancel(job, format!("[COMMON_ERROR, msg: {text}]"))
            .await;
        Ok(())
    }

    /// Jobs of a database, oldest first.
    #[must_use]
    pub fn backup_jobs(&self, db: &str) -> Vec<JobView> {
        let state = self.lock();
        let Some(db) = state.catalog.database(db) else {
            return Vec::new();
        };
        state
            .jobs
            .of_db(db.id)
            .filter_map(|job| match job {
                Job::Backup(backup) => Some(backup.view()),
                Job::Restore(_) => None,
            })
            .collect()
    }

    /// Jobs of a database, oldest first.
    #[must_use]
    pub fn restore_jobs(&self, db: &str) -> Vec<JobView> {
        let state = self.lock();
        let Some(db) = state.catalog.database(db) else {
            return Vec::new();
        };
        state
            .jobs
            .of_db(db.id)
            .filter_map(|job| match job {
                Job::Restore(restore) => Some(restore.view()),
                Job::Backup(_) => None,
            })
            .collect()
    }

    /// getSnapshot after authentication.
    pub fn get_snapshot(&self, label: &str) -> Result<crate::api::Snapshot, RpcError> {
        let now = self.clock().now_ms();
        let state = self.lock();
        let job = state.jobs.snapshot(label).ok_or_else(|| {
            RpcError::plain(
                StatusCode::SnapshotNotExist,
                format!("snapshot {label} not exist"),
            )
        })?;
        if now > job.head.deadline_ms() {
            return Err(RpcError::plain(
                StatusCode::SnapshotExpired,
                format!("snapshot {label} is expired"),
            ));
        }
        Ok(job.snapshot())
    }
}
