//! Waits for the targets, with an end.

use std::time::Duration;

use anyhow::{Result, bail};
use ccr_cli::stack::Stack;
use ccr_control::{JobState, JobStatus};
use ccr_ops::Clock;
use ccr_schemas::CommitSeq;
use tokio_util::sync::CancellationToken;

use super::clusters::Target;
use super::stop_if;

/// How often the targets are looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// Whom to wait for, and until when.
#[derive(Clone, Copy)]
pub struct Waiting<'a> {
    /// Where the jobs run.
    pub stack: &'a Stack,
    /// The targets, one job each.
    pub targets: &'a [Target],
    /// Clock of the deadline.
    pub clock: &'a dyn Clock,
    /// Monotonic time at which waiting ends.
    pub deadline: Duration,
    /// Ends waiting early.
    pub token: &'a CancellationToken,
}

impl Waiting<'_> {
    /// Waits until each job has restored its first snapshot.
    ///
    /// # Errors
    /// A halted job, the deadline or a signal.
    pub async fn for_full_sync(self) -> Result<()> {
        loop {
            let mut waiting = Vec::new();
            for target in self.targets {
                let status = self.stack.status.job(target.job);
                match status.as_ref().map(|status| status.state) {
                    Some(JobState::CatchingUp | JobState::Applying) => {}
                    Some(JobState::Halted) => {
                        bail!("job {} halted: {}", target.job, why(status.as_ref()))
                    }
                    None
                    | Some(
                        JobState::Recovering
                        | JobState::AwaitingSnapshot
                        | JobState::Restoring
                        | JobState::Paused,
                    ) => waiting.push(format!("{}: {}", target.job, why(status.as_ref()))),
                }
            }
            if waiting.is_empty() {
                return Ok(());
            }
            self.pause("the full sync is not finished", &waiting)
                .await?;
        }
    }

    /// Waits until each job has applied the event at a position.
    ///
    /// # Errors
    /// A halted job or table, the deadline or a signal.
    pub async fn for_position(self, end: CommitSeq) -> Result<()> {
        loop {
            let mut behind = Vec::new();
            for target in self.targets {
                let status = self.stack.status.job(target.job);
                if status.as_ref().is_some_and(|status| {
                    status.state == JobState::Halted || !status.lanes.is_empty()
                }) {
                    bail!("job {} halted: {}", target.job, why(status.as_ref()));
                }
                let applied = status
                    .as_ref()
                    .map_or(CommitSeq::BEFORE_FIRST, |status| status.applied);
                if applied < end {
                    let why = why(status.as_ref());
                    behind.push(format!("{} is at {applied} of {end}: {why}", target.job));
                }
            }
            if behind.is_empty() {
                return Ok(());
            }
            self.pause("the targets have not caught up", &behind)
                .await?;
        }
    }

    async fn pause(self, what: &str, waiting: &[String]) -> Result<()> {
        stop_if(self.token)?;
        if self.clock.monotonic() > self.deadline {
            bail!(
                "{what} after the time of --patience: {}",
                waiting.join("; ")
            );
        }
        self.clock.sleep(LOOK_INTERVAL).await;
        Ok(())
    }
}

/// Why a job is not further than it is.
fn why(status: Option<&JobStatus>) -> String {
    let Some(status) = status else {
        return "it has reported nothing yet".to_owned();
    };
    let lanes = status
        .lanes
        .iter()
        .map(|lane| format!("table {} at {}: {}", lane.table, lane.at, lane.reason));
    let parts: Vec<String> = status.last_error.iter().cloned().chain(lanes).collect();
    if parts.is_empty() {
        format!("no error, it is {}", status.action)
    } else {
        parts.join("; ")
    }
}
