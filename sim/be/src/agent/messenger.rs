//! What a backend tells its master: ends of tasks, reports, progress of downloads.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use dorisim_wire::{
    TFinishTaskRequest, TMasterResult, TReportRequest, TSnapshotLoaderReportRequest, TStatus,
    TStatusCode, TTaskType,
};

use super::membership::Master;
use dorisim_net::client::{CallError, Pool};

/// How calls to the master are made.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Limit of one call.
    pub call: Duration,
    /// How often the end of a task is told before it is given up; the task report makes up for that.
    pub attempts: u32,
    /// Pause between attempts.
    pub pause: Duration,
}

/// The calling side towards the master.
#[derive(Debug)]
pub struct Messenger {
    patience: Patience,
    master: RwLock<Option<(Master, Arc<Pool>)>>,
}

impl Messenger {
    /// Knows no master yet.
    pub fn new(patience: Patience) -> Self {
        Messenger {
            patience,
            master: RwLock::default(),
        }
    }

    /// Talks to this master from now on.
    pub fn set_master(&self, told: &Master) {
        let known = self.master.read().unwrap_or_else(PoisonError::into_inner);
        if known.as_ref().is_some_and(|(master, _)| master == told) {
            return;
        }
        drop(known);
        let pool = Arc::new(Pool::new(&told.host, told.port));
        *self.master.write().unwrap_or_else(PoisonError::into_inner) = Some((told.clone(), pool));
    }

    fn pool(&self) -> Option<Arc<Pool>> {
        let master = self.master.read().unwrap_or_else(PoisonError::into_inner);
        master.as_ref().map(|(_, pool)| Arc::clone(pool))
    }

    /// Tells the end of a task. After errors of transport it is told again, to whoever is the master by then.
    pub async fn finish(&self, request: &TFinishTaskRequest) {
        let (task_type, signature) = (request.task_type.0, request.signature);
        for attempt in 1..=self.patience.attempts {
            let Some(pool) = self.pool() else {
                tracing::warn!(task_type, signature, "no master to tell the end of a task");
                return;
            };
            let answered: Result<TMasterResult, CallError> =
                pool.call("finishTask", request, self.patience.call).await;
            match answered {
                Ok(result) => {
                    if result.status.status_code != TStatusCode::OK {
                        let texts = result.status.error_msgs.unwrap_or_default();
                        tracing::info!(
                            task_type,
                            signature,
                            ?texts,
                            "master refused the end of a task"
                        );
                    }
                    return;
                }
                Err(error) => {
                    let error = error.text();
                    tracing::info!(
                        task_type,
                        signature,
                        attempt,
                        error,
                        "end of a task not told"
                    );
                }
            }
            if attempt < self.patience.attempts {
                tokio::time::sleep(self.patience.pause).await;
            }
        }
        tracing::warn!(
            task_type,
            signature,
            "end of a task given up; the master sends the task again after the next task report"
        );
    }

    /// Sends a report. A lost one is made up by the next. False: the master refused it.
    pub async fn report(&self, request: &TReportRequest, kind: &str) -> bool {
        let Some(pool) = self.pool() else {
            return true;
        };
        let answered: Result<TMasterResult, CallError> =
            pool.call("report", request, self.patience.call).await;
        match answered {
            Ok(result) if result.status.status_code == TStatusCode::OK => true,
            Ok(result) => {
                let texts = result.status.error_msgs.unwrap_or_default();
                tracing::info!(kind, ?texts, "master refused a report");
                false
            }
            Err(error) => {
                let error = error.text();
                tracing::info!(kind, error, "report not told");
                true
            }
        }
    }

    /// Tells the progress of a download. True: the master wants it to stop; a call that fails wants nothing.
    pub async fn is_cancelled(&self, job: i64, task: i64, finished: i32, total: i32) -> bool {
        let Some(pool) = self.pool() else {
            return false;
        };
        let request =
            TSnapshotLoaderReportRequest::new(job, task, TTaskType::DOWNLOAD, finished, total);
        let answered: Result<TStatus, CallError> = pool
            .call("snapshotLoaderReport", &request, self.patience.call)
            .await;
        answered.is_ok_and(|status| status.status_code == TStatusCode::CANCELLED)
    }
}
