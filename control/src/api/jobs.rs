//! list_jobs, job_status, pause, resume, delete.

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use serde_json::{Value, json};

use super::{Api, NamedJob, answer, ok, read};
use crate::error::Error;
use crate::job::{JobSpec, Wanted};
use crate::status::{JobState, JobStatus};

pub(super) async fn list(State(api): State<Api>) -> Response {
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
            .map(|job| describe(&job, current_status(&api, &job), api.clock.now_ms())),
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
    api.registry.delete(name).await?;
    api.status.forget_job(name).await
}

/// The last status, unless it was written by an earlier job of the same name.
pub(super) fn current_status(api: &Api, job: &JobSpec) -> Option<JobStatus> {
    api.status
        .job(&job.name)
        .filter(|status| status.incarnation == job.incarnation.0)
}

fn describe(job: &JobSpec, status: Option<JobStatus>, now_ms: i64) -> Value {
    let state = match (job.wanted, status.as_ref().map(|status| status.state)) {
        (Wanted::Paused, _) => "paused",
        (Wanted::Running, Some(JobState::Halted)) => "halted",
        (Wanted::Running, _) => "running",
    };
    let mut out = json!({
        "name": job.name,
        "state": state,
        "progress_state": SyncState::of(job, status.as_ref()).name(),
        "commit_seq": status.as_ref().map_or(-1, |status| status.applied.0),
        "source": {"cluster": job.source.cluster_name, "database": job.source.database},
        "dest": {"database": job.dest.database},
    });
    if let (Some(out), Some(status)) = (out.as_object_mut(), status) {
        out.insert("last_error".into(), json!(status.last_error));
        out.insert("stuck_since".into(), json!(status.stuck_since_ms));
        out.insert("action".into(), json!(status.action));
        out.insert("lag_ms".into(), json!(status.lag_at(now_ms)));
        out.insert("progress".into(), json!(status.progress));
        out.insert("events_applied".into(), json!(status.events_applied));
        out.insert("skipped".into(), json!(status.skipped));
        out.insert(
            "log".into(),
            json!({"committed_offset": status.committed_offset, "end_offset": status.end_offset}),
        );
        out.insert(
            "tables_not_following".into(),
            status
                .lanes
                .iter()
                .map(|lane| json!({"table": lane.table, "at": lane.at, "reason": lane.reason}))
                .collect(),
        );
        out.insert("phase".into(), json!(status.state));
        out.insert("owner".into(), json!(status.owner));
        out.insert("reported_at_ms".into(), json!(status.at_ms));
    }
    json!({ "status": out })
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
