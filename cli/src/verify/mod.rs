//! `ccr verify`: are the copies right? Each cluster counts and sums its own tables; the sums are compared.
//!
//! Everything is looked at once; what is not equal is looked at again, round by round, until it is, until neither side has
//! moved for some rounds, or until the patience is over. `judge` decides, `report` tells.

mod judge;
mod report;

use std::time::Duration;

use anyhow::{Context, Result};
use ccr_control::JobRequest;
use ccr_doris::ddl::ObjectName;
use ccr_doris::error::Refusal;
use ccr_doris::{ColumnInfo, DorisCluster, Inspect, Settings, TableDigest, Timeouts};
use ccr_ops::SystemClock;
use futures::StreamExt;
use indicatif::{ProgressBar, ProgressStyle};

use self::judge::{Content, Judge, Look, Verdict};
pub use self::report::{Finding, Outcome, headline, summary};
use crate::args::VerifyArgs;

/// Tables that a running job is just making; they are nobody's yet.
const STAGING: &str = "__ccr_";

/// Both sides of a job.
struct Sides<'a> {
    source: (DorisCluster, &'a str),
    dest: (DorisCluster, &'a str),
}

/// A table or view that both sides should have.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Object {
    name: String,
    dest_name: String,
    is_view: bool,
}

/// An object that is not decided yet.
struct Open {
    object: Object,
    judge: Judge,
    /// Why the last look failed.
    failed: Option<String>,
}

/// Compares everything a job replicates. Findings come in the order of names.
///
/// # Errors
/// The list of tables cannot be read on one of the sides.
pub async fn run(args: &VerifyArgs, request: &JobRequest) -> Result<Vec<Finding>> {
    request.check()?;
    let sides = Sides {
        source: (connect(args, &request.src), &request.src.database),
        dest: (connect(args, &request.dest), &request.dest.database),
    };
    let mut open: Vec<Open> = objects(args, request, &sides)
        .await?
        .into_iter()
        .map(|object| Open {
            object,
            judge: Judge::default(),
            failed: None,
        })
        .collect();
    let clock = SystemClock::shared();
    let ends = clock.monotonic() + Duration::from_secs(args.patience);
    let mut findings = Vec::new();
    let bar = ProgressBar::new(open.len() as u64);
    if let Ok(style) = ProgressStyle::with_template("[{bar:30}] {pos} of {len}  {elapsed}  {msg}") {
        bar.set_style(style);
    }
    loop {
        let last = clock.monotonic() >= ends;
        let round: Vec<(Open, Verdict)> = futures::stream::iter(open)
            .map(|one| look(&sides, one, &bar))
            .buffer_unordered(args.parallel.max(1))
            .collect()
            .await;
        open = Vec::new();
        for (one, verdict) in round {
            let undecided = verdict == Verdict::Moving || one.failed.is_some();
            if undecided && !last {
                open.push(one);
                continue;
            }
            bar.inc(1);
            findings.push(finding(&sides, one, &verdict).await);
        }
        if open.is_empty() {
            break;
        }
        bar.set_message(format!("checking {} again", open.len()));
        clock.sleep(Duration::from_secs(args.pause)).await;
    }
    bar.finish_and_clear();
    findings.sort_by(|a, b| a.object.cmp(&b.object));
    Ok(findings)
}

fn connect(args: &VerifyArgs, end: &ccr_control::job_request::Endpoint) -> DorisCluster {
    let long = Duration::from_secs(args.query_timeout);
    let timeouts = Timeouts {
        call: long,
        answer: long,
        ..Timeouts::default()
    };
    let settings = Settings {
        timeouts,
        ..Settings::default()
    };
    DorisCluster::with_settings(end.address(), settings)
}

/// What the job replicates, and what the destination has beyond it.
async fn objects(
    args: &VerifyArgs,
    request: &JobRequest,
    sides: &Sides<'_>,
) -> Result<Vec<Object>> {
    if !request.src.table.is_empty() {
        return Ok(vec![Object {
            name: request.src.table.clone(),
            dest_name: request.dest.table.clone(),
            is_view: false,
        }]);
    }
    let mut all = Vec::new();
    for (what, (cluster, database)) in [("source", &sides.source), ("destination", &sides.dest)] {
        let context = || format!("listing the tables of the {what}'s database {database:?}");
        let names = cluster.objects(database).await.with_context(context)?;
        let views = cluster.views(database).await.with_context(context)?;
        for name in names {
            let object = Object {
                is_view: views.contains(&name),
                dest_name: name.clone(),
                name,
            };
            let wanted = request.tables.takes(&object.name)
                && (args.tables.is_empty() || args.tables.contains(&object.name));
            if wanted && !object.name.starts_with(STAGING) && !all.contains(&object) {
                all.push(object);
            }
        }
    }
    Ok(all)
}

async fn look(sides: &Sides<'_>, mut one: Open, bar: &ProgressBar) -> (Open, Verdict) {
    bar.set_message(one.object.name.clone());
    match both(sides, &one.object).await {
        Ok(look) => {
            one.failed = None;
            let verdict = one.judge.add(look);
            (one, verdict)
        }
        Err(error) => {
            one.failed = Some(format!("{error:#}"));
            (one, Verdict::Moving)
        }
    }
}

async fn both(sides: &Sides<'_>, object: &Object) -> Result<Look> {
    let (source, source_db) = &sides.source;
    let (dest, dest_db) = &sides.dest;
    let at_source = content(source, source_db, &object.name, object.is_view)
        .await
        .with_context(|| format!("source {source_db}.{}", object.name))?;
    let at_dest = content(dest, dest_db, &object.dest_name, object.is_view)
        .await
        .with_context(|| format!("destination {dest_db}.{}", object.dest_name))?;
    Ok(Look {
        source: at_source,
        dest: at_dest,
    })
}

/// One side; `None` when the table is not there (any more).
async fn content(
    cluster: &DorisCluster,
    database: &str,
    name: &str,
    is_view: bool,
) -> Result<Option<Content>, ccr_doris::Error> {
    let gone = |error: ccr_doris::Error| match error.refusal() {
        Some(Refusal::UnknownTable | Refusal::UnknownDatabase) => Ok(None),
        Some(_) | None => Err(error),
    };
    let columns = match cluster.visible_columns(database, name).await {
        Ok(columns) => columns,
        Err(error) => return gone(error),
    };
    let digest = if is_view {
        TableDigest::default()
    } else {
        match digest(cluster, database, name, None, &columns).await {
            Ok(digest) => digest,
            Err(error) => return gone(error),
        }
    };
    Ok(Some(Content { columns, digest }))
}

async fn digest(
    cluster: &DorisCluster,
    database: &str,
    name: &str,
    partition: Option<&str>,
    columns: &[ColumnInfo],
) -> Result<TableDigest, ccr_doris::Error> {
    cluster
        .digest(&ObjectName::new(database, name), partition, columns)
        .await
}

async fn finding(sides: &Sides<'_>, one: Open, verdict: &Verdict) -> Finding {
    let names = (one.object.name.as_str(), one.object.dest_name.as_str());
    if let Some(reason) = one.failed {
        return Finding::unread(names, reason);
    }
    let mut finding = Finding::new(names, one.judge.last(), verdict);
    if finding.result == Outcome::Different
        && let Some(Look {
            source: Some(source),
            dest: Some(dest),
        }) = one.judge.last()
        && source.columns == dest.columns
        && !one.object.is_view
    {
        // The partitions are a hint only: the difference itself is reported in any case.
        match partitions(sides, &one.object, &source.columns).await {
            Ok(partitions) => finding.partitions = partitions,
            Err(error) => tracing::warn!(table = %one.object.name, error = %format!("{error:#}"),
                                         "cannot compare partitions"),
        }
    }
    finding
}

/// Partitions that differ, each with both numbers of rows.
async fn partitions(
    sides: &Sides<'_>,
    object: &Object,
    columns: &[ColumnInfo],
) -> Result<Vec<String>> {
    let (source, source_db) = &sides.source;
    let (dest, dest_db) = &sides.dest;
    let here = source.partitions(source_db, &object.name).await?;
    let there = dest.partitions(dest_db, &object.dest_name).await?;
    let mut different = Vec::new();
    for name in &here {
        if !there.contains(name) {
            different.push(format!("{name}: missing at the destination"));
            continue;
        }
        let ours = digest(source, source_db, &object.name, Some(name), columns).await?;
        let theirs = digest(dest, dest_db, &object.dest_name, Some(name), columns).await?;
        if ours != theirs {
            let (n, m) = (ours.rows, theirs.rows);
            different.push(format!("{name}: {n} rows, {m} at the destination"));
        }
    }
    for name in there.iter().filter(|name| !here.contains(name)) {
        different.push(format!("{name}: only at the destination"));
    }
    Ok(different)
}
