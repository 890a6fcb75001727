//! get_lag: how far a job is behind, in records and in time, and where the lag lies.

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use ccr_doris::BinlogPosition;
use ccr_schemas::{CommitSeq, TimestampMs};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

use super::jobs::current_status;
use super::{Api, NamedJob, answer, read};
use crate::error::Error;

pub(super) async fn get_lag(State(api): State<Api>, body: Bytes) -> Response {
    let NamedJob { name } = match read(&body) {
        Ok(named) => named,
        Err(refusal) => return *refusal,
    };
    answer(lag_of(&api, &name).await)
}

async fn lag_of(api: &Api, name: &str) -> Result<Value, Error> {
    let job = api.registry.get(name)?;
    let status = current_status(api, &job);
    let applied = status
        .as_ref()
        .map_or(CommitSeq::BEFORE_FIRST, |status| status.applied);
    let in_source = |source| Error::Doris {
        side: "source",
        source,
    };
    let probe = (api.connect)(
        job.source
            .cluster
            .open(&job.source.cluster_name, &api.sealer)?,
    )
    .map_err(in_source)?;
    let at = BinlogPosition {
        database: job.source.database.clone(),
        table: None,
        after: applied,
    };
    let lag = probe.lag(&at).await.map_err(in_source)?;
    let stream = api
        .status
        .stream(&job.source.cluster_name, &job.source.database);
    let next_at = lag.and_then(|lag| lag.next_at);
    let behind_seconds = next_at.map_or(0, |at| ((api.clock.now_ms() - at.0) / 1000).max(0));
    let seq = |seq: Option<CommitSeq>| seq.map_or(0, |seq| seq.0);
    Ok(json!({
        // Nobody knows how far a stream reaches that does not exist.
        "lag": lag.map(|lag| lag.lag),
        "first_commit_seq": seq(lag.and_then(|lag| lag.first)),
        "last_commit_seq": seq(lag.and_then(|lag| lag.last)),
        "next_commit_seq": seq(lag.and_then(|lag| lag.next)),
        "first_binlog_timestamp": plain(lag.and_then(|lag| lag.first_at)),
        "last_binlog_timestamp": plain(lag.and_then(|lag| lag.last_at)),
        "next_binlog_timestamp": plain(next_at),
        "first_binlog_at": rfc3339(lag.and_then(|lag| lag.first_at)),
        "last_binlog_at": rfc3339(lag.and_then(|lag| lag.last_at)),
        "next_binlog_at": rfc3339(next_at),
        "time_interval_secs": behind_seconds,
        "applied_commit_seq": applied,
        "published_commit_seq": stream.as_ref().map(|stream| stream.published),
        "events_waiting_in_log": status
            .as_ref()
            .map(|status| (status.end_offset - status.committed_offset).max(0)),
        "last_apply_lag_ms": status.as_ref().and_then(|status| status.last_apply_lag_ms),
    }))
}

fn instant(at: Option<TimestampMs>) -> Option<OffsetDateTime> {
    let at = at.filter(|at| at.0 > 0)?;
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.0) * 1_000_000).ok()
}

/// `2026-01-31 10:00:00`, in UTC; the epoch when there is none, as scripts expect a time.
fn plain(at: Option<TimestampMs>) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    instant(at)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
        .format(&format)
        .unwrap_or_default()
}

fn rfc3339(at: Option<TimestampMs>) -> Option<String> {
    instant(at).and_then(|at| at.format(&Rfc3339).ok())
}
