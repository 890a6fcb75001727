//! job_progress, features: what scripts of ccr-syncer ask beside the status.

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use serde_json::{Value, json};

use super::jobs::{SyncState, current_status};
use super::{Api, NamedJob, answer, ok, read, read_nothing};
use crate::job::JobSpec;
use crate::status::JobStatus;

pub(super) async fn job_progress(State(api): State<Api>, body: Bytes) -> Response {
    let NamedJob { name } = match read(&body) {
        Ok(named) => named,
        Err(refusal) => return *refusal,
    };
    answer(
        api.registry
            .get(&name)
            .map(|job| json!({"job_progress": progress(&job, current_status(&api, &job))})),
    )
}

fn progress(job: &JobSpec, status: Option<JobStatus>) -> Value {
    let applied = status.as_ref().map_or(-1, |status| status.applied.0);
    let state = SyncState::of(job, status.as_ref());
    json!({
        "job_name": job.name,
        "sync_state": state.number(),
        "sync_state_name": state.name(),
        "sub_sync_state": {"state": -1, "binlog_type": -1},
        "prev_commit_seq": applied,
        "commit_seq": applied,
        // A full sync begins with a job, and with each resync: never by itself.
        "full_sync_start_at": job.resync.map_or(job.created_at_ms, |resync| resync.at_ms),
    })
}

/// Switches of ccr-syncer by name, with what is done here in their place. They can not be switched.
pub(super) async fn features(body: Bytes) -> Response {
    if let Err(refusal) = read_nothing(&body) {
        return *refusal;
    }
    const FEATURES: [(&str, bool); 4] = [
        // A heavy schema change brings its table, not the database.
        ("feature_schema_change_partial_sync", true),
        // A table of another shape is replaced by one that was restored aside.
        ("feature_replace_not_matched_with_alias", true),
        ("feature_txn_insert", true),
        ("feature_skip_rollup_binlogs", false),
    ];
    let flags: Vec<Value> = FEATURES
        .iter()
        .map(|(feature, value)| json!({"feature": feature, "value": value}))
        .collect();
    ok(json!({ "flags": flags }))
}
