//! list_jobs, job_status, pause, resume, delete.

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::{Api, NamedJob, answer, ok, read, read_nothing};
use crate::diagnosis::Known;
use crate::error::Error;
use crate::installation::FormerJob;
use crate::job::{JobSpec, Wanted};
use crate::problem::{ProblemKind, ProblemPart};
use crate::status::{JobState, JobStatus};

pub(super) async fn list(State(api): State<Api>, body: Bytes) -> Response {
    if let Err(refusal) = read_nothing(&body) {
        return *refusal;
    }
    ok(json!({"jobs": api.registry.list().keys().collect::<Vec<_>>()}))
}

pub(super) async fn status(State(api): State<Api>, body: Bytes) -> Response {
    let NamedJob { name } = match read(&body) {
        Ok(named) => named,
        Err(refusal) => return *refusal,
    };
    answer(
        api.registry
            .get(&name)
            .map(|job| Known::of(job, &api.registry, &api.status, api.clock.now_ms()))
            .map(|known| json!({ "status": describe(&known) })),
    )
}

pub(super) async fn pause(State(api): State<Api>, body: Bytes) -> Response {
    set_wanted(&api, &body, Wanted::Paused).await
}

pub(super) async fn resume(State(api): State<Api>, body: Bytes) -> Response {
    set_wanted(&api, &body, Wanted::Running).await
}

async fn set_wanted(api: &Api, body: &Bytes, wanted: Wanted) -> Response {
    let NamedJob { name } = match read(body) {
        Ok(named) => named,
        Err(refusal) => return *refusal,
    };
    answer(
        api.registry
            .set_wanted(&name, wanted)
            .await
            .map(|_| json!({})),
    )
}

pub(super) async fn delete(State(api): State<Api>, body: Bytes) -> Response {
    let NamedJob { name } = match read(&body) {
        Ok(named) => named,
        Err(refusal) => return *refusal,
    };
    answer(remove(&api, &name).await.map(|()| json!({})))
}

async fn remove(api: &Api, name: &str) -> Result<(), Error> {
    let job = api.registry.get(name)?;
    // What it was allowed to replace and has not replaced is not its own.
    let status = current_status(api, &job);
    let synced = status.is_some_and(|status| status.committed_offset > 0);
    if !job.options.allow_table_exists || job.resync.is_some() || synced {
        let former = FormerJob::of(&job, api.clock.now_ms());
        api.installation.remember_job(former).await?;
    }
    api.registry.delete(name).await?;
    api.status.forget_job(name).await
}

/// The last status, unless it was written by an earlier job of the same name.
pub(super) fn current_status(api: &Api, job: &JobSpec) -> Option<JobStatus> {
    api.status
        .job(&job.name)
        .filter(|status| status.incarnation == job.incarnation.0)
}

fn describe(known: &Known) -> Value {
    let mut out = head(known);
    if let (Some(out), Some(status)) = (out.as_object_mut(), &known.status) {
        out.append(&mut body(status));
        let open = known.job.table_resyncs.open(&status.resyncs_done);
        let names: Vec<&str> = open.map(|(_, request)| request.name.as_str()).collect();
        out.insert("resyncing".to_owned(), json!(names));
        if status.state == JobState::AwaitingSnapshot {
            out.insert("progress".to_owned(), json!(known.backup_progress()));
        }
    }
    out
}

/// What is known of every job, also of one that nobody has reported on.
fn head(known: &Known) -> Value {
    let (job, status) = (&known.job, known.status.as_ref());
    let problems = known.problems();
    // For scripts that know no `problems`: the job's own error, else what keeps its events away.
    let of_all = problems
        .iter()
        .find(|problem| problem.part != ProblemPart::Table);
    let error = status.and_then(|status| status.last_error.clone());
    let since = status.and_then(|status| status.stuck_since_ms);
    let state = match (job.wanted, status.map(|status| status.state)) {
        (Wanted::Paused, _) => "paused",
        (Wanted::Running, Some(JobState::Halted)) => "halted",
        (Wanted::Running, _) => "running",
    };
    json!({
        "name": job.name,
        "state": state,
        "progress_state": SyncState::of(job, status).name(),
        "commit_seq": status.map_or(-1, |status| status.applied.0),
        "source": source(known),
        "dest": {"database": job.dest.database},
        "last_error": error.or_else(|| of_all.map(|problem| problem.what.clone())),
        "stuck_since": since.or_else(|| of_all.and_then(|problem| problem.since_ms)),
        "lag_ms": lag_ms(known),
        "problems": problems,
    })
}

fn source(known: &Known) -> Value {
    let source = &known.job.source;
    let stream = known.stream.as_ref();
    json!({
        "cluster": source.cluster_name,
        "database": source.database,
        "state": stream.map(|stream| stream.state),
        "problem": known.source_problem(),
        "snapshots": stream.map_or(&[][..], |stream| &stream.snapshots),
        "action": stream.map(|stream| &stream.action),
        "published": stream.map(|stream| stream.published),
        "end": stream.map(|stream| stream.source_end),
        "end_at_ms": stream.and_then(|stream| stream.source_end_at_ms),
        "owner": stream.map(|stream| &stream.owner),
        "reported_at_ms": stream.map(|stream| stream.at_ms),
    })
}

/// The lag, if it is known: an applier that has applied the whole log is behind all the same when the log stands still.
fn lag_ms(known: &Known) -> Option<i64> {
    let lag = known.status.as_ref()?.lag_at(known.now_ms)?;
    let blind = !known.log.is_empty()
        || known.source_problem().is_some()
        || known
            .job_problem()
            .is_some_and(|problem| problem.kind == ProblemKind::NotReported);
    (lag > 0 || !blind).then_some(lag)
}

fn body(status: &JobStatus) -> Map<String, Value> {
    let tables: Vec<Value> = status
        .lanes
        .iter()
        .map(|lane| {
            json!({"table": lane.table, "at": lane.at, "reason": lane.reason, "since_ms": lane.since_ms})
        })
        .collect();
    let log = json!({"committed_offset": status.committed_offset, "end_offset": status.end_offset});
    [
        ("action", json!(status.action)),
        ("progress", json!(status.progress)),
        ("events_applied", json!(status.events_applied)),
        ("skipped", json!(status.skipped)),
        ("log", log),
        ("tables_not_following", json!(tables)),
        ("tables_not_at_source", json!(status.leftovers)),
        ("phase", json!(status.state)),
        ("owner", json!(status.owner)),
        ("reported_at_ms", json!(status.at_ms)),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

/// States that scripts of ccr-syncer know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SyncState {
    DatabaseFull,
    DatabaseTables,
    Database,
    TableFull,
    Table,
}

impl SyncState {
    pub(super) fn of(job: &JobSpec, status: Option<&JobStatus>) -> Self {
        let is_table_job = job.tables.include.len() == 1;
        match (status.map(|status| status.state), is_table_job) {
            (
                None
                | Some(JobState::Recovering | JobState::AwaitingSnapshot | JobState::Restoring),
                false,
            ) => Self::DatabaseFull,
            (Some(JobState::CatchingUp), false) => Self::DatabaseTables,
            (Some(JobState::Applying | JobState::Paused | JobState::Halted), false) => {
                Self::Database
            }
            (
                None
                | Some(JobState::Recovering | JobState::AwaitingSnapshot | JobState::Restoring),
                true,
            ) => Self::TableFull,
            (
                Some(
                    JobState::CatchingUp | JobState::Applying | JobState::Paused | JobState::Halted,
                ),
                true,
            ) => Self::Table,
        }
    }

    /// As `job_status` shows it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::DatabaseFull => "DBFullSync",
            Self::DatabaseTables => "DBTablesIncrementalSync",
            Self::Database => "DBIncrementalSync",
            Self::TableFull => "TableFullSync",
            Self::Table => "TableIncrementalSync",
        }
    }

    /// As `job_progress` shows it; read in the sources of October 2024.
    pub(super) fn number(self) -> i64 {
        match self {
            Self::DatabaseFull => 0,
            Self::DatabaseTables => 1,
            Self::Database => 3,
            Self::TableFull => 500,
            Self::Table => 501,
        }
    }
}
