//! Keeps `/ready` up to date: the log, and the streams and jobs that this process works on.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use ccr_ops::Clock;
use ccr_ops::http::{Health, NotReady};
use tokio_util::sync::CancellationToken;

use crate::diagnosis::Known;
use crate::job::Wanted;
use crate::problem::Problem;
use crate::{JobRegistry, StatusBoard};

/// Time between two looks.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// What is looked at, and where the result goes.
pub(super) struct Readiness {
    pub(super) registry: Arc<JobRegistry>,
    pub(super) board: Arc<StatusBoard>,
    pub(super) health: Health,
    pub(super) clock: Arc<dyn Clock>,
    /// Name of this process in statuses.
    pub(super) owner: String,
    /// No other process works on the log.
    pub(super) alone: bool,
}

impl Readiness {
    /// Looks once a second until told to stop.
    pub(super) async fn run(self, stop: CancellationToken) -> Result<(), Infallible> {
        loop {
            self.look();
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                () = self.clock.sleep(LOOK_INTERVAL) => {}
            }
        }
    }

    fn look(&self) {
        let mut failing = Failing::default();
        let log = self.board.log_problems();
        failing.log(&log);
        for job in self.registry.list().values() {
            let now_ms = self.clock.now_ms();
            let known = Known::of(job.clone(), &self.registry, &self.board, now_ms);
            failing.add(&known, &self.owner, self.alone);
        }
        self.health.replace("log", failing.log);
        self.health.replace("stream", failing.streams);
        self.health.replace("job", failing.jobs);
    }
}

/// What does not work here, by name.
#[derive(Debug, Default, PartialEq, Eq)]
struct Failing {
    log: BTreeMap<String, NotReady>,
    streams: BTreeMap<String, NotReady>,
    jobs: BTreeMap<String, NotReady>,
}

impl Failing {
    fn log(&mut self, problems: &[Problem]) {
        for (n, problem) in problems.iter().enumerate() {
            self.log.insert(n.to_string(), not_ready(problem));
        }
    }

    /// Takes the problems of a stream and of a job, where this process is the one that works on them.
    fn add(&mut self, known: &Known, owner: &str, alone: bool) {
        let job = &known.job;
        let here = |of: Option<&String>| of.map_or(alone, |of| of == owner);
        if here(known.stream.as_ref().map(|stream| &stream.owner))
            && let Some(problem) = known.source_problem()
        {
            let stream = format!("{}.{}", job.source.cluster_name, job.source.database);
            self.streams.insert(stream, not_ready(&problem));
        }
        if job.wanted == Wanted::Running
            && here(known.status.as_ref().map(|status| &status.owner))
            && let Some(problem) = known.job_problem()
        {
            self.jobs.insert(job.name.clone(), not_ready(&problem));
        }
    }
}

fn not_ready(problem: &Problem) -> NotReady {
    NotReady {
        what: problem.what.clone(),
        since_ms: problem.since_ms,
        next_step: Some(problem.next_step.clone()),
    }
}

#[cfg(test)]
mod tests {
    use ccr_log::Embedded;
    use ccr_ops::SystemClock;
    use ccr_schemas::CommitSeq;

    use super::*;
    use crate::problem::{ProblemKind, ProblemPart};
    use crate::status::{StreamState, StreamStatus};
    use crate::{JobSpec, JobState, JobStatus};

    const JOB: &str = r#"{"name": "j1", "incarnation": "i1", "version": 1, "wanted": "running",
        "source": {"cluster_name": "c77", "database": "sales",
                   "cluster": {"frontends": [], "user": "u", "sealed_password": ""}},
        "dest": {"database": "sales", "cluster": {"frontends": [], "user": "u", "sealed_password": ""}},
        "tables": {}, "options": {}, "created_at_ms": 0}"#;

    fn stream(owner: &str, problem: Option<Problem>) -> StreamStatus {
        StreamStatus {
            source: "c77".to_owned(),
            database: "sales".to_owned(),
            read: CommitSeq(1),
            published: CommitSeq(1),
            source_end: CommitSeq(1),
            source_end_at_ms: None,
            state: StreamState::Following,
            problem,
            snapshots: Vec::new(),
            events_published: 0,
            last_error: None,
            action: String::new(),
            at_ms: 1,
            owner: owner.to_owned(),
        }
    }

    fn status(owner: &str, state: JobState, error: Option<&str>) -> JobStatus {
        JobStatus {
            job: "j1".to_owned(),
            incarnation: "i1".to_owned(),
            state,
            applied: CommitSeq(1),
            committed_offset: 1,
            end_offset: 1,
            events_applied: 0,
            skipped: BTreeMap::new(),
            lag_ms: None,
            oldest_pending_at_ms: None,
            last_apply_lag_ms: None,
            lanes: Vec::new(),
            last_error: error.map(str::to_owned),
            stuck_since_ms: None,
            action: String::new(),
            progress: None,
            synced: false,
            resyncs_done: Default::default(),
            leftovers: Vec::new(),
            at_ms: 1,
            owner: owner.to_owned(),
        }
    }

    #[tokio::test]
    async fn a_process_is_ready_while_what_it_works_on_works() {
        let log = Embedded::in_memory().unwrap();
        let readiness = Readiness {
            registry: JobRegistry::open(log.clone(), "ccr").await.unwrap(),
            board: StatusBoard::open(log, "ccr").await.unwrap(),
            health: Health::default(),
            clock: SystemClock::shared(),
            owner: "here:1".to_owned(),
            alone: false,
        };
        let job: JobSpec = serde_json::from_str(JOB).unwrap();
        readiness.registry.create(&job).await.unwrap();
        let away = || {
            let what = "fe1 refuses connections";
            Some(Problem::new(
                ProblemPart::Source,
                ProblemKind::Unreachable,
                what,
                5,
            ))
        };
        let halted = Some("no table t");
        for (stream, status, expected) in [
            (
                stream("here:1", None),
                status("here:1", JobState::Applying, None),
                vec![],
            ),
            (
                stream("here:1", away()),
                status("here:1", JobState::Halted, halted),
                vec!["job:j1", "stream:c77.sales"],
            ),
            (
                stream("there:1", away()),
                status("there:1", JobState::Halted, halted),
                vec![],
            ),
            (
                stream("here:1", None),
                status(
                    "here:1",
                    JobState::Applying,
                    Some("be1 refuses connections"),
                ),
                vec!["job:j1"],
            ),
            (
                stream("here:1", None),
                status("here:1", JobState::Paused, Some("of before the pause")),
                vec![],
            ),
        ] {
            readiness.board.report_stream(stream).await.unwrap();
            readiness.board.report_job(status).await.unwrap();
            readiness.look();
            let names: Vec<_> = readiness.health.reasons().into_keys().collect();
            assert_eq!(names, expected);
        }
        readiness.registry.delete("j1").await.unwrap();
        let dead = stream("here:1", away());
        readiness.board.report_stream(dead).await.unwrap();
        readiness.look();
        assert!(readiness.health.reasons().is_empty());
    }
}
