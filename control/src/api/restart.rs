//! resync, skip: what a person decides where a job can not go on by itself.

use std::collections::BTreeSet;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use ccr_schemas::{CommitSeq, TableId};
use serde::Deserialize;
use serde_json::{Value, json};

use super::jobs::current_status;
use super::{Api, answer, read};
use crate::error::Error;
use crate::job::JobSpec;

/// Names that a refusal of an unknown table tells.
const NEAR: usize = 5;

/// `{"name": "...", "commit_seq": 123}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SkipEvent {
    name: String,
    commit_seq: CommitSeq,
}

/// `{"name": "..."}`, or with `"table": "..."` or `"tables": [...]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SyncAgain {
    name: String,
    #[serde(default)]
    table: Option<String>,
    #[serde(default)]
    tables: BTreeSet<String>,
}

pub(super) async fn resync(State(api): State<Api>, body: Bytes) -> Response {
    let SyncAgain {
        name,
        table,
        mut tables,
    } = match read(&body) {
        Ok(wanted) => wanted,
        Err(refusal) => return *refusal,
    };
    // Scripts of ccr-syncer name no table by an empty text.
    tables.extend(table.filter(|table| !table.is_empty()));
    if tables.is_empty() {
        answer(start_again(&api, &name).await)
    } else {
        answer(sync_tables(&api, &name, &tables).await)
    }
}

async fn start_again(api: &Api, name: &str) -> Result<Value, Error> {
    let job = api.registry.get(name)?;
    // Until the first full sync is done, what stands at the destination is somebody else's.
    let is_synced = current_status(api, &job).is_some_and(|status| status.synced);
    if !(is_synced || job.replaces_existing()) {
        return Err(Error::Invalid(format!(
            "job {name} has not finished its first full sync, so tables at the destination may not be its own; let it try again \
             with `ccr job resume {name}`, or delete it and create it again, with allow_table_exists if it may replace them"
        )));
    }
    let job = api.registry.resync(name, api.clock.now_ms()).await?;
    Ok(json!({"incarnation": job.incarnation.0}))
}

/// Has single tables synced again; the others go on.
async fn sync_tables(api: &Api, name: &str, wanted: &BTreeSet<String>) -> Result<Value, Error> {
    let job = api.registry.get(name)?;
    let Some(status) = current_status(api, &job).filter(|status| status.synced) else {
        return Err(Error::Invalid(format!(
            "job {name} has not finished its full sync, which brings all of its tables; wait for it, see `ccr job status {name}`"
        )));
    };
    let tables = source_tables(api, &job).await?;
    let mut found = Vec::new();
    for table in wanted {
        if !job.tables.takes(table) {
            return Err(Error::Invalid(format!(
                "table {table:?} is not among the tables of job {name}; see its `tables`"
            )));
        }
        match tables.iter().find(|(other, _)| other == table) {
            Some((_, id)) => found.push((*id, table.clone())),
            None => {
                let taken = tables.iter().map(|(table, _)| table.as_str());
                let taken = taken.filter(|table| job.tables.takes(table));
                return Err(unknown_table(&job, table, taken));
            }
        }
    }
    let now = api.clock.now_ms();
    api.registry
        .resync_tables(name, found, &status.resyncs_done, now)
        .await?;
    Ok(json!({"tables": wanted}))
}

async fn source_tables(api: &Api, job: &JobSpec) -> Result<Vec<(String, TableId)>, Error> {
    let refused = |source| Error::Doris {
        side: "source",
        source,
    };
    let source = &job.source;
    let address = source.cluster.open(&source.cluster_name, &api.sealer)?;
    let probe = (api.connect)(address).map_err(refused)?;
    probe.table_ids(&job.source.database).await.map_err(refused)
}

fn unknown_table<'a>(job: &JobSpec, table: &str, known: impl Iterator<Item = &'a str>) -> Error {
    let mut near: Vec<(f64, &str)> = known
        .map(|other| {
            let (a, b) = (other.to_lowercase(), table.to_lowercase());
            (strsim::jaro_winkler(&a, &b), other)
        })
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    let names: Vec<String> = near
        .iter()
        .take(NEAR)
        .map(|(_, name)| format!("{name:?}"))
        .collect();
    let names = match names.is_empty() {
        true => "it has none".to_owned(),
        false => format!("the nearest names are {}", names.join(", ")),
    };
    Error::Invalid(format!(
        "source database {:?} has no table {table:?} of job {}; {names}",
        job.source.database, job.name
    ))
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
            "commit_seq {commit_seq} is not a position; `ccr job status {name}` shows the position to skip"
        )));
    }
    let applied = current_status(api, &job).map_or(CommitSeq::BEFORE_FIRST, |s| s.applied);
    if *commit_seq <= applied {
        return Err(Error::Invalid(format!(
            "job {name} is past position {commit_seq} (applied up to {applied}), skipping it changes nothing; a halted \
             table follows again after `ccr job resync {name} TABLE`"
        )));
    }
    api.registry.skip(name, *commit_seq).await.map(|_| ())
}
