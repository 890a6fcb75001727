//! What runs for as long as the backend does: workers, reports.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Agent;
use super::board::Lane;
use super::execute::Executed;
use super::report::Kind;

/// Pause before a task that has to wait for another one is looked at again.
const AGAIN_AFTER: Duration = Duration::from_millis(5);

impl Agent {
    /// Starts workers and reports; they end with `stop`.
    pub fn start(self: &Arc<Self>, runtime: &tokio::runtime::Handle, stop: &CancellationToken) {
        for (lane, workers) in Lane::ALL {
            for _ in 0..workers {
                let agent = Arc::clone(self);
                let stop = stop.clone();
                runtime.spawn(async move {
                    tokio::select! {
                        biased;
                        () = stop.cancelled() => {}
                        () = agent.work(lane) => {}
                    }
                });
            }
        }
        for kind in Kind::ALL {
            let agent = Arc::clone(self);
            let stop = stop.clone();
            runtime.spawn(async move {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => {}
                    () = agent.report_forever(kind) => {}
                }
            });
        }
    }

    async fn work(&self, lane: Lane) {
        loop {
            let job = self.board.next(lane).await;
            let (task_type, signature) = (job.task_type, job.signature);
            match self.execute(&job).await {
                Executed::Ended(finished) => self.tell(&finished).await,
                Executed::Silent => {}
                Executed::Again => {
                    tokio::time::sleep(AGAIN_AFTER).await;
                    self.board.again(job);
                    continue;
                }
            }
            self.board.forget(task_type, signature);
        }
    }
}
