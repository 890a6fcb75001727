//! What does not work on the way of a job, decided from everything that is reported: for `job_status` and `/ready`.
//!
//! `log + stream status + job status -> Problem per part, the ones that explain others first`

use std::time::Duration;

use crate::job::{JobSpec, Wanted};
use crate::problem::{Problem, ProblemKind, ProblemPart};
use crate::registry::JobRegistry;
use crate::status::{JobState, JobStatus, SnapshotStatus, StatusBoard, StreamStatus, TableLane};

/// Producers and appliers report once a second. After this long without a report, nobody works.
pub const SILENCE: Duration = Duration::from_secs(8);
/// The same after a report of a failure: whoever failed may be waiting for its next attempt.
pub const SILENCE_AFTER_FAILURE: Duration = Duration::from_secs(25);

/// What is known of a job.
#[derive(Clone, Debug)]
pub struct Known {
    /// The job.
    pub job: JobSpec,
    /// For how long its definition did not change.
    pub unchanged: Duration,
    /// Its last status, of this incarnation.
    pub status: Option<JobStatus>,
    /// For how long nobody reported on the job.
    pub status_silence: Option<Duration>,
    /// Last status of its stream.
    pub stream: Option<StreamStatus>,
    /// For how long nobody reported on the stream.
    pub stream_silence: Option<Duration>,
    /// What is wrong with the log.
    pub log: Vec<Problem>,
    /// Now, milliseconds since the epoch.
    pub now_ms: i64,
}

impl Known {
    /// Takes what this process knows of a job.
    pub fn of(job: JobSpec, registry: &JobRegistry, board: &StatusBoard, now_ms: i64) -> Self {
        let (source, database) = (&job.source.cluster_name, &job.source.database);
        Self {
            unchanged: registry.unchanged_for(&job.name),
            // The last status may be of an earlier job of the same name.
            status: board
                .job(&job.name)
                .filter(|status| status.incarnation == job.incarnation.0),
            status_silence: board.job_silence(&job.name),
            stream: board.stream(source, database),
            stream_silence: board.stream_silence(source, database),
            log: board.log_problems(),
            now_ms,
            job,
        }
    }

    /// Returns everything that does not work, in the order of the way: log, source, snapshots, job, tables.
    pub fn problems(&self) -> Vec<Problem> {
        let mut all = self.log.clone();
        all.extend(self.source_problem());
        all.extend(self.snapshot_problems());
        if self.job.wanted == Wanted::Running {
            all.extend(self.job_problem());
        }
        if let Some(status) = &self.status {
            all.extend(status.lanes.iter().map(of_table));
        }
        all
    }

    /// Returns what keeps the job's stream from working.
    pub fn source_problem(&self) -> Option<Problem> {
        // A log that cannot be read cannot say whether somebody reports.
        let silent = || {
            let failed = self
                .stream
                .as_ref()
                .is_some_and(|stream| stream.problem.is_some());
            self.silent(self.stream_silence, failed).map(|since_ms| {
                let source = &self.job.source;
                Problem::new(
                    ProblemPart::Producer,
                    ProblemKind::NotReported,
                    format!(
                        "no producer reports on database {} of {}",
                        source.database, source.cluster_name
                    ),
                    since_ms,
                )
            })
        };
        if self.log.is_empty()
            && let Some(problem) = silent()
        {
            return Some(problem);
        }
        of_stream(self.stream.as_ref()?)
    }

    fn snapshot_problems(&self) -> Vec<Problem> {
        self.snapshots()
            .filter_map(|snapshot| snapshot.problem.clone())
            .collect()
    }

    /// Returns how far a backup is that the job waits for: work done and work known.
    pub fn backup_progress(&self) -> Option<(u64, u64)> {
        self.snapshots().find_map(|snapshot| snapshot.progress)
    }

    /// Snapshots that the job has asked for.
    fn snapshots(&self) -> impl Iterator<Item = &SnapshotStatus> {
        let ours = format!("{}.{}.", self.job.name, self.job.incarnation.0);
        let all = self.stream.iter().flat_map(|stream| &stream.snapshots);
        all.filter(move |snapshot| snapshot.request_ids.iter().any(|id| id.starts_with(&ours)))
    }

    /// Returns what keeps the job as a whole from working.
    pub fn job_problem(&self) -> Option<Problem> {
        let status = self.status.as_ref();
        let failed = status.is_some_and(|status| status.last_error.is_some());
        let silence = status.and(self.status_silence);
        if self.log.is_empty()
            && let Some(since_ms) = self.silent(silence, failed)
        {
            return Some(Problem::new(
                ProblemPart::Applier,
                ProblemKind::NotReported,
                format!("no applier reports on job {}", self.job.name),
                since_ms,
            ));
        }
        of_job(status?)
    }

    /// Returns since when nobody reports, when that is too long. Whoever starts or is given a job gets the same time.
    fn silent(&self, silence: Option<Duration>, failed: bool) -> Option<i64> {
        let limit = if failed {
            SILENCE_AFTER_FAILURE
        } else {
            SILENCE
        };
        let silence = silence.unwrap_or(Duration::MAX).min(self.unchanged);
        let silent_ms = i64::try_from(silence.as_millis()).unwrap_or(i64::MAX);
        (silence > limit).then(|| self.now_ms.saturating_sub(silent_ms))
    }
}

/// Returns what keeps a stream from working, as it reports itself.
pub fn of_stream(stream: &StreamStatus) -> Option<Problem> {
    let unexplained = || {
        let error = stream.last_error.clone()?;
        Some(Problem {
            since_ms: None,
            ..Problem::new(ProblemPart::Source, ProblemKind::Failing, error, 0)
        })
    };
    stream.problem.clone().or_else(unexplained)
}

/// Returns what keeps a job from working, as it reports itself.
pub fn of_job(status: &JobStatus) -> Option<Problem> {
    let since = status.stuck_since_ms.unwrap_or(status.at_ms);
    let (kind, what) = match status.state {
        JobState::Paused => return None,
        JobState::Halted => {
            let what = status.last_error.as_ref().unwrap_or(&status.action);
            (ProblemKind::Halted, what)
        }
        JobState::Recovering
        | JobState::AwaitingSnapshot
        | JobState::Restoring
        | JobState::CatchingUp
        | JobState::Applying => (ProblemKind::Failing, status.last_error.as_ref()?),
    };
    Some(Problem::new(ProblemPart::Job, kind, what.clone(), since))
}

fn of_table(lane: &TableLane) -> Problem {
    let what = format!(
        "table {} is halted at {}: {}",
        lane.table, lane.at, lane.reason
    );
    Problem {
        since_ms: lane.since_ms,
        ..Problem::new(ProblemPart::Table, ProblemKind::Halted, what, 0)
    }
}
