//! What producers and appliers report, records of the status topic, JSON, keyed `job:<name>` or `stream:<source>.<db>`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ccr_log::SharedLog;
use ccr_ops::{Clock, SystemClock};
use ccr_schemas::{CommitSeq, TopicName};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::problem::Problem;
use crate::table_resync::ResyncsDone;
use crate::view::CompactedView;

/// Where a job stands. Written by the applier that runs it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobStatus {
    /// Job.
    pub job: String,
    /// Incarnation of the job.
    pub incarnation: String,
    /// State.
    pub state: JobState,
    /// Position proved applied at the destination: every event up to here (of lanes that are not halted).
    pub applied: CommitSeq,
    /// Next offset of the events topic that is committed.
    pub committed_offset: i64,
    /// Next offset to be written in the events topic, as last seen.
    pub end_offset: i64,
    /// Events applied since the process started.
    pub events_applied: u64,
    /// Events skipped, by reason, since the process started.
    pub skipped: BTreeMap<String, u64>,
    /// Age of the oldest event that is not applied when this was written, milliseconds; 0 when everything is applied.
    /// `None` while it is not known, as before the first snapshot is restored. See [`JobStatus::lag_at`].
    #[serde(default)]
    pub lag_ms: Option<i64>,
    /// When the source made the oldest event that is not applied, milliseconds since the epoch; `None` when there is none, or
    /// it is not known.
    #[serde(default)]
    pub oldest_pending_at_ms: Option<i64>,
    /// Age of the newest applied event when it was applied: source timestamp to effect, milliseconds. `None` before the first.
    #[serde(default)]
    pub last_apply_lag_ms: Option<i64>,
    /// Tables that do not simply follow.
    pub lanes: Vec<TableLane>,
    /// Last error, with the next step.
    pub last_error: Option<String>,
    /// Since when the job makes no progress, milliseconds since the epoch.
    pub stuck_since_ms: Option<i64>,
    /// What it is doing, for people: `restoring sales (42 of 80 tablets)`.
    pub action: String,
    /// Work done and work known, for a progress bar, when there is one.
    pub progress: Option<(u64, u64)>,
    /// The first full sync of this incarnation is in place: the destination's tables are the job's own.
    #[serde(default)]
    pub synced: bool,
    /// Requests to sync single tables again that are done: see [`TableResyncs`](crate::TableResyncs).
    #[serde(default)]
    pub resyncs_done: ResyncsDone,
    /// Tables and views that the first full sync found in the destination database and the source does not have. The job
    /// leaves them alone.
    #[serde(default)]
    pub leftovers: Vec<String>,
    /// When this was written.
    pub at_ms: i64,
    /// Which process wrote it.
    pub owner: String,
}

impl JobStatus {
    /// After how long without a report what the job does is not known, milliseconds.
    pub const SILENCE_MS: i64 = 10_000;

    /// Age of the oldest event that is not applied, milliseconds; it grows while that event waits. `None` when it is not known:
    /// the job does not read events yet, or nobody has reported for longer than [`Self::SILENCE_MS`].
    pub fn lag_at(&self, now_ms: i64) -> Option<i64> {
        if let Some(at) = self.oldest_pending_at_ms {
            return Some((now_ms - at).max(0));
        }
        match self.state {
            JobState::Recovering
            | JobState::AwaitingSnapshot
            | JobState::Restoring
            | JobState::Paused
            | JobState::Halted => None,
            JobState::CatchingUp | JobState::Applying => {
                (now_ms - self.at_ms <= Self::SILENCE_MS).then_some(0)
            }
        }
    }
}

/// State of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Reading back what was done before.
    Recovering,
    /// A snapshot was asked for.
    AwaitingSnapshot,
    /// The snapshot is being restored.
    Restoring,
    /// Reading on from a snapshot; tables are at different positions.
    CatchingUp,
    /// Following.
    Applying,
    /// Stopped by wish.
    Paused,
    /// Stopped by an error that needs a person.
    Halted,
}

/// A table that waits or stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableLane {
    /// Source name.
    pub table: String,
    /// Position it stopped at: this event is not applied.
    pub at: CommitSeq,
    /// Why, with the next step.
    pub reason: String,
    /// Since when, milliseconds since the epoch; `None` when it is not known.
    #[serde(default)]
    pub since_ms: Option<i64>,
}

/// State of a stream. Written by the producer that owns it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StreamStatus {
    /// Source cluster name.
    pub source: String,
    /// Database.
    pub database: String,
    /// Newest position read.
    pub read: CommitSeq,
    /// Newest position durable in the log.
    pub published: CommitSeq,
    /// Newest position the source reported.
    pub source_end: CommitSeq,
    /// When `source_end` was learned, milliseconds since the epoch; `None` before the source answered.
    #[serde(default)]
    pub source_end_at_ms: Option<i64>,
    /// What the stream does.
    #[serde(default)]
    pub state: StreamState,
    /// What keeps the stream from working; `None` while it works.
    #[serde(default)]
    pub problem: Option<Problem>,
    /// Snapshots that were asked for and are not yet announced: the one being taken first, then those that wait for
    /// another attempt.
    #[serde(default)]
    pub snapshots: Vec<SnapshotStatus>,
    /// Events published since the process started.
    pub events_published: u64,
    /// Last error, as text; see `problem` for what it means.
    pub last_error: Option<String>,
    /// What it is doing.
    pub action: String,
    /// When this was written.
    pub at_ms: i64,
    /// Which process wrote it.
    pub owner: String,
}

/// State of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamState {
    /// Finding its position in the log and at the source.
    #[default]
    Starting,
    /// Publishing what the source has.
    Following,
    /// A failure ended the last run; the next one begins by itself.
    Retrying,
    /// A person must act; the source is looked at again now and then.
    Halted,
}

/// A snapshot that was asked for and is not yet announced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotStatus {
    /// Source tables; empty means the whole database.
    pub tables: Vec<String>,
    /// Ids of the requests that it answers, `<job>.<incarnation>.<n>`.
    pub request_ids: Vec<String>,
    /// When the first of the requests came, milliseconds since the epoch.
    pub since_ms: i64,
    /// What is being done: `backup ccr_snapshot_1 of sales (SNAPSHOTING)`.
    pub action: String,
    /// Work done and work known, when there are numbers.
    pub progress: Option<(u64, u64)>,
    /// Attempts that failed since `since_ms`.
    pub failures: u32,
    /// Why the last attempt failed; `None` when none has failed.
    pub problem: Option<Problem>,
    /// When the next attempt begins, milliseconds since the epoch; `None` while one is under way.
    pub next_attempt_at_ms: Option<i64>,
}

/// One record of the status topic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum StatusRecord {
    Job(Box<JobStatus>),
    Stream(Box<StreamStatus>),
}

/// Writes and reads statuses.
#[derive(Debug)]
pub struct StatusBoard {
    view: CompactedView<StatusRecord>,
}

impl StatusBoard {
    /// Opens the status topic, creating it when missing.
    ///
    /// # Errors
    /// [`Error::Log`].
    pub async fn open(log: SharedLog, prefix: &str) -> Result<Arc<Self>, Error> {
        Self::with_clock(log, prefix, SystemClock::shared()).await
    }

    /// The same with a clock, by which the silence of whoever should report is measured.
    ///
    /// # Errors
    /// [`Error::Log`].
    pub async fn with_clock(
        log: SharedLog,
        prefix: &str,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, Error> {
        Ok(Arc::new(Self {
            view: CompactedView::open(log, TopicName::status(prefix), clock).await?,
        }))
    }

    /// Follows what other processes report until told to stop.
    pub async fn run(&self, clock: &dyn Clock, token: CancellationToken) {
        self.view.run(clock, token).await;
    }

    /// Writes the state of a job. This process shows it even when the log does not take it.
    ///
    /// # Errors
    /// [`Error::Log`].
    pub async fn report_job(&self, status: JobStatus) -> Result<(), Error> {
        let key = job_key(&status.job);
        self.view
            .put_volatile(&key, &StatusRecord::Job(Box::new(status)))
            .await
    }

    /// Writes the state of a stream. This process shows it even when the log does not take it.
    ///
    /// # Errors
    /// [`Error::Log`].
    pub async fn report_stream(&self, status: StreamStatus) -> Result<(), Error> {
        let key = stream_key(&status.source, &status.database);
        self.view
            .put_volatile(&key, &StatusRecord::Stream(Box::new(status)))
            .await
    }

    /// Forgets a job's status.
    ///
    /// # Errors
    /// [`Error::Log`].
    pub async fn forget_job(&self, job: &str) -> Result<(), Error> {
        self.view.remove(&job_key(job)).await
    }

    /// Last status of a job.
    pub fn job(&self, job: &str) -> Option<JobStatus> {
        match self.view.current().get(&job_key(job)) {
            Some(StatusRecord::Job(status)) => Some((**status).clone()),
            Some(StatusRecord::Stream(_)) | None => None,
        }
    }

    /// Returns for how long nobody reported on a job, as far as this process can tell; `None` when nobody ever did.
    pub fn job_silence(&self, job: &str) -> Option<Duration> {
        self.view.silent_for(&job_key(job))
    }

    /// Returns for how long nobody reported on a stream, as far as this process can tell; `None` when nobody ever did.
    pub fn stream_silence(&self, source: &str, database: &str) -> Option<Duration> {
        self.view.silent_for(&stream_key(source, database))
    }

    /// Returns what this process knows to be wrong with the log. Empty when it works.
    pub fn log_problems(&self) -> Vec<Problem> {
        self.view.log_problems()
    }

    /// Last status of a stream.
    pub fn stream(&self, source: &str, database: &str) -> Option<StreamStatus> {
        match self.view.current().get(&stream_key(source, database)) {
            Some(StatusRecord::Stream(status)) => Some((**status).clone()),
            Some(StatusRecord::Job(_)) | None => None,
        }
    }
}

fn job_key(job: &str) -> String {
    format!("job:{job}")
}

fn stream_key(source: &str, database: &str) -> String {
    format!("stream:{source}.{database}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(state: JobState, oldest: Option<i64>) -> JobStatus {
        JobStatus {
            job: "j".to_owned(),
            incarnation: "i".to_owned(),
            state,
            applied: CommitSeq(1),
            committed_offset: 1,
            end_offset: 1,
            events_applied: 1,
            skipped: BTreeMap::new(),
            lag_ms: None,
            oldest_pending_at_ms: oldest,
            last_apply_lag_ms: None,
            lanes: Vec::new(),
            last_error: None,
            stuck_since_ms: None,
            action: String::new(),
            progress: None,
            synced: false,
            resyncs_done: Default::default(),
            leftovers: Vec::new(),
            at_ms: 1_000,
            owner: String::new(),
        }
    }

    #[test]
    fn lag_grows_while_an_event_waits_is_zero_when_none_does_and_unknown_when_nobody_knows() {
        assert_eq!(status(JobState::Applying, None).lag_at(1_500), Some(0));
        assert_eq!(
            status(JobState::Applying, Some(400)).lag_at(1_500),
            Some(1_100)
        );
        assert_eq!(
            status(JobState::Applying, Some(400)).lag_at(99_000),
            Some(98_600)
        );
        assert_eq!(
            status(JobState::Halted, Some(400)).lag_at(9_000),
            Some(8_600)
        );
        for unknown in [
            JobState::Recovering,
            JobState::AwaitingSnapshot,
            JobState::Restoring,
            JobState::Paused,
            JobState::Halted,
        ] {
            assert_eq!(status(unknown, None).lag_at(1_500), None, "{unknown:?}");
        }
        // Whoever reported is silent: what came since is not known.
        assert_eq!(status(JobState::Applying, None).lag_at(99_000), None);
    }

    #[test]
    fn a_status_without_the_later_fields_is_read() {
        let mut json = serde_json::to_value(status(JobState::Applying, None)).unwrap();
        let fields = json.as_object_mut().unwrap();
        for later in ["lag_ms", "oldest_pending_at_ms", "last_apply_lag_ms"] {
            fields.remove(later);
        }
        let read: JobStatus = serde_json::from_value(json).unwrap();
        assert_eq!(read.lag_ms, None);
    }
}
