//! Backup and restore jobs: one running per database, the last ten remembered, one state per tick.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::api::{JobView, RpcError, SqlError, StatusCode};
use super::backup::BackupJob;
use super::frontend::Frontend;
use super::restore::RestoreJob;
use dorisim_model::Tracked;

/// A job.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Job {
    /// BACKUP SNAPSHOT.
    Backup(Box<BackupJob>),
    /// restoreSnapshot.
    Restore(Box<RestoreJob>),
}

/// What all jobs have.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JobHead {
    /// Id.
    pub id: i64,
    /// Database.
    pub db_id: i64,
    /// Its name at submission.
    pub db: String,
    /// Label.
    pub label: String,
    /// Epoch milliseconds.
    pub create_ms: i64,
    /// Finished or cancelled, -1 before.
    pub finish_ms: i64,
    /// `[OK]` or `[CODE, msg: text]`.
    pub status: String,
    /// Seconds.
    pub timeout_s: i64,
}

impl JobHead {
    /// A job just submitted.
    #[must_use]
    pub fn new(id: i64, db_id: i64, db: &str, label: &str, now_ms: i64, timeout_s: i64) -> Self {
        Self {
            id,
            db_id,
            db: db.to_owned(),
            label: label.to_owned(),
            create_ms: now_ms,
            finish_ms: -1,
            status: "[OK]".to_owned(),
            timeout_s,
        }
    }

    /// `createTime + timeout`.
    #[must_use]
    pub fn deadline_ms(&self) -> i64 {
        self.create_ms
            .saturating_add(self.timeout_s.saturating_mul(1000))
    }
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

    fn head_mut(&mut self) -> &mut JobHead {
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
    pub(super) jobs: Tracked<i64, Job>,
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
    pub(super) async fn cancel(&self, job: Job, status: String) {
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

    pub(super) async fn cancel_job(&self, db: &str, restore: bool) -> Result<(), SqlError> {
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
    pub fn get_snapshot(&self, label: &str) -> Result<super::api::Snapshot, RpcError> {
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

/// Names as Java prints a set of them.
pub(super) fn bracketed(names: &[&String]) -> String {
    let names: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
    format!("[{}]", names.join(", "))
}

/// Labels of jobs follow the pattern of other labels.
pub(super) fn check_label(label: &str) -> Result<(), String> {
    let fine = (1..=128).contains(&label.len())
        && label
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b':'));
    if fine {
        return Ok(());
    }
    Err(format!(
        "Incorrect label name '{label}'. Label regex: '^[-_A-Za-z0-9:]{{1,128}}$'"
    ))
}

/// `timeout` of a job's properties in seconds.
pub(super) fn timeout_s(properties: &BTreeMap<String, String>) -> Result<i64, SqlError> {
    let Some(text) = properties.get("timeout") else {
        return Ok(86_400);
    };
    match text.parse::<i64>() {
        Ok(seconds) if seconds >= 600 => Ok(seconds),
        Ok(_) => Err(SqlError::new(5064, "timeout must be at least 10 min")),
        Err(_) => Err(SqlError::new(
            5064,
            format!("Invalid timeout format: {text}"),
        )),
    }
}
