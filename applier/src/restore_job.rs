//! One restore job of a destination: started, looked at until it ends, and what its end means.

use std::time::Duration;

use ccr_doris::error::Refusal;
use ccr_doris::meter::JobMeter;
use ccr_doris::{Inspect, JobProgress, JobState, RestoreSnapshot, status};
use ccr_ops::{Clock, ErrorKind};

use crate::destination::Destination;
use crate::perform::failure;
use crate::plan::Failure;

/// Doris itself gives a restore job up after a day.
const MAX_RESTORE: Duration = Duration::from_secs(25 * 3600);
/// How long a restore job may be missing in SHOW RESTORE before it counts as lost.
const MAX_MISSING: Duration = Duration::from_secs(10);

/// What one look at a restore job found.
#[derive(Debug)]
pub(crate) enum Look {
    /// It goes on.
    Going {
        /// State, for people.
        text: String,
        /// How much is done, of [`ccr_doris::meter::WHOLE`].
        done: u64,
        /// What goes wrong meanwhile: Doris keeps failed tasks in the row and tries them again.
        trouble: Option<String>,
    },
    /// The destination did not say.
    Unknown(String),
    /// It ended well.
    Finished,
    /// It ended otherwise.
    Failed(Failure),
}

/// A restore job that was started, by this process or by one before.
pub(crate) struct RestoreJob<'a> {
    dest: &'a dyn Destination,
    clock: &'a dyn Clock,
    database: &'a str,
    label: &'a str,
    meter: JobMeter,
    until: Duration,
    missing_since: Option<Duration>,
}

impl<'a> RestoreJob<'a> {
    /// Follows the job of a label.
    pub(crate) fn new(
        dest: &'a dyn Destination,
        clock: &'a dyn Clock,
        database: &'a str,
        label: &'a str,
    ) -> Self {
        Self {
            dest,
            clock,
            database,
            label,
            meter: JobMeter::default(),
            until: clock.monotonic() + MAX_RESTORE,
            missing_since: None,
        }
    }

    /// Looks once.
    pub(crate) async fn look(&mut self) -> Look {
        let now = self.clock.monotonic();
        if now > self.until {
            return Look::Failed(transient(format!(
                "restore job {} has not ended in {} h; look at SHOW RESTORE FROM `{}` at the destination",
                self.label,
                MAX_RESTORE.as_secs() / 3600,
                self.database
            )));
        }
        match self.dest.show_restore(self.database, self.label).await {
            Ok(Some(job)) => {
                self.missing_since = None;
                self.found(job).await
            }
            Ok(None) => self.missing(now),
            Err(error) if error.refusal() == Some(Refusal::UnknownDatabase) => self.missing(now),
            Err(error) => match error.kind() {
                ErrorKind::Unavailable
                | ErrorKind::Throttled
                | ErrorKind::Transient
                | ErrorKind::Conflict => Look::Unknown(failure(&error).text),
                ErrorKind::Fenced | ErrorKind::Invalid | ErrorKind::Corrupt => {
                    Look::Failed(failure(&error))
                }
            },
        }
    }

    async fn found(&mut self, job: JobProgress) -> Look {
        match job.state {
            JobState::Finished => Look::Finished,
            JobState::Cancelled => {
                let text = format!(
                    "restore job {} was cancelled: {}",
                    self.label,
                    job.status.trim()
                );
                Look::Failed(judged(self.dest, status::restore_refusal(&job.status), text).await)
            }
            JobState::Running => Look::Going {
                done: self.meter.read(&job),
                trouble: (!["", "[OK]"].contains(&job.status.trim())).then(|| {
                    format!(
                        "restore job {} has failed tasks: {}",
                        self.label, job.status
                    )
                }),
                text: job.state_text,
            },
        }
    }

    fn missing(&mut self, now: Duration) -> Look {
        let since = *self.missing_since.get_or_insert(now);
        if now.saturating_sub(since) < MAX_MISSING {
            return Look::Unknown(format!("restore job {} is not listed", self.label));
        }
        Look::Failed(transient(format!(
            "restore job {} is not known to the destination",
            self.label
        )))
    }
}

/// Starts a restore job.
///
/// # Errors
/// A [`Failure`] whose kind says whether another attempt may do. An answer that was lost is no failure when the job is there.
pub(crate) async fn start(
    dest: &dyn Destination,
    request: &RestoreSnapshot,
) -> Result<(), Failure> {
    let Err(error) = dest.restore_snapshot(request).await else {
        return Ok(());
    };
    let is_lost = error.kind() == ErrorKind::Unavailable;
    if is_lost && let Ok(Some(_)) = dest.show_restore(&request.database, &request.label).await {
        return Ok(());
    }
    let found = failure(&error);
    match error.refusal() {
        None => Err(found),
        Some(Refusal::Other) => {
            let refusal = status::restore_refusal(&found.text);
            Err(judged(dest, refusal, found.text).await)
        }
        Some(refusal) => Err(judged(dest, refusal, found.text).await),
    }
}

/// What a refusal means here. Too few backends while all are alive is not waited out: there will not be more.
pub(crate) async fn judged(dest: &dyn Destination, refusal: Refusal, text: String) -> Failure {
    let kind = match refusal {
        Refusal::TooFewBackends if all_alive(dest).await => ErrorKind::Transient,
        other => other.kind(),
    };
    Failure {
        kind,
        refusal: Some(refusal),
        text,
    }
}

async fn all_alive(dest: &dyn Destination) -> bool {
    let backends = dest.get_backends().await;
    backends.is_ok_and(|backends| backends.iter().all(|backend| backend.alive))
}

/// Another attempt may do.
pub(crate) fn transient(text: String) -> Failure {
    Failure {
        kind: ErrorKind::Transient,
        refusal: None,
        text,
    }
}
