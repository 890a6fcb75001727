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
            .map(|job| describe(&job, current_status(&api, &job))),
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

fn describe(job: &JobSpec, status: Option<JobStatus>) -> Value {
    let state = match (job.wanted, status.as_ref().map(|status| status.state)) {
        (Wanted::Paused, _) => "paused",
        (Wanted::Running, Some(JobState::Halted)) => "halted",
        (Wanted::Running, _) => "running",
    };
    let mut out = json!({
        "name": job.name,
        "state": state,
        "progress_state": progress_state(job, status.as_ref().map(|status| status.state)),
        "commit_seq": status.as_ref().map_or(-1, |status| status.applied.0),
        "source": {"cluster": job.source.cluster_name, "database": job.source.database},
        "dest": {"database": job.dest.database},
    });
    if let (Some(out), Some(status)) = (out.as_object_mut(), status) {
        out.insert("last_error".into(), json!(status.last_error));
        out.insert("stuck_since".into(), json!(status.stuck_since_ms));
        out.insert("action".into(), json!(status.action));
        out.insert("lag_ms".into(), json!(status.lag_ms));
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

/// State names that scripts of ccr-syncer know.
pub(super) fn progress_state(job: &JobSpec, state: Option<JobState>) -> &'static str {
    let table_job = job.tables.include.len() == 1;
    match (state, table_job) {
        (
            None | Some(JobState::Recovering | JobState::AwaitingSnapshot | JobState::Restoring),
            false,
        ) => "DBFullSync",
        (Some(JobState::CatchingUp), false) => "DBTablesIncrementalSync",
        (Some(JobState::Applying | JobState::Paused | JobState::Halted), false) => {
            "DBIncrementalSync"
        }
        (
            None | Some(JobState::Recovering | JobState::AwaitingSnapshot | JobState::Restoring),
            true,
        ) => "TableFullSync",
        (
            Some(JobState::CatchingUp | JobState::Applying | JobState::Paused | JobState::Halted),
            true,
        ) => "TableIncrementalSync",
    }
}
