//! resync, skip: what a person decides where a job can not go on by itself.

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use ccr_schemas::CommitSeq;
use serde::Deserialize;
use serde_json::{Value, json};

use super::jobs::current_status;
use super::{Api, NamedJob, answer, read};
use crate::error::Error;

/// `{"name": "...", "commit_seq": 123}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SkipEvent {
    name: String,
    commit_seq: CommitSeq,
}

pub(super) async fn resync(State(api): State<Api>, body: Bytes) -> Response {
    let NamedJob { name } = match read(&body) {
        Ok(named) => named,
        Err(refusal) => return *refusal,
    };
    answer(start_again(&api, &name).await)
}

async fn start_again(api: &Api, name: &str) -> Result<Value, Error> {
    let job = api.registry.get(name)?;
    // Until the first full sync is done, what stands at the destination is somebody else's.
    let synced = current_status(api, &job).is_some_and(|status| status.committed_offset > 0);
    if !(synced || job.replaces_existing()) {
        return Err(Error::Invalid(format!(
            "job {name} has not finished its first full sync, so tables at the destination may not be its own; delete it and \
             create it again, with allow_table_exists if it may replace them"
        )));
    }
    let job = api.registry.resync(name, api.clock.now_ms()).await?;
    Ok(json!({"incarnation": job.incarnation.0}))
}

pub(super) async fn skip(State(api): State<Api>, body: Bytes) -> Response {
    let wanted: SkipEvent = match read(&body) {
        Ok(wanted) => wanted,
        Err(refusal) => return *refusal,
    };
    answer(leave_out(&api, &wanted).await.map(|()| json!({})))
}

async fn leave_out(api: &Api, wanted: &SkipEvent) -> Result<(), Error> {
    let SkipEvent { name, commit_seq } = wanted;
    let job = api.registry.get(name)?;
    if commit_seq.0 < 0 {
        return Err(Error::Invalid(format!(
            "commit_seq {commit_seq} is not a position; the position to skip stands in `ccr job status {name}`"
        )));
    }
    let applied = current_status(api, &job).map_or(CommitSeq::BEFORE_FIRST, |s| s.applied);
    if *commit_seq <= applied {
        return Err(Error::Invalid(format!(
            "job {name} is past position {commit_seq} (applied up to {applied}), skipping it changes nothing; a table that \
             stands follows again after `ccr job resync {name}`"
        )));
    }
    api.registry.skip(name, *commit_seq).await.map(|_| ())
}
