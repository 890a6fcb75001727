//! The whole product on three simulated clusters, in one command.
//!
//! `clusters -> stack (log, producer, applier, API) -> first load -> jobs -> full sync -> live load and DDL -> comparison`

pub mod clusters;
mod script;
mod tpch;
mod view;

pub use view::lag_quantiles;

use std::time::Duration;

use anyhow::{Context, Result, bail};
use ccr_control::JobStatus;
use ccr_doris::{BinlogPosition, Frontend};
use ccr_ops::{Clock, Sealer, SystemClock};
use ccr_schemas::CommitSeq;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::args::QuickstartArgs;
use crate::compare::{self, Comparison};
use ccr_cli::stack::{LogChoice, Stack, StackConfig};
pub use clusters::Cluster;
use clusters::{Clusters, Target};
use view::View;

/// Rows per load.
const ROWS_PER_BATCH: usize = 400;
/// How often targets are looked at while waiting.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// What came out.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// One per target and table.
    pub comparisons: Vec<Comparison>,
}

impl Verdict {
    /// Something was compared, and all of it is equal.
    pub fn all_equal(&self) -> bool {
        !self.comparisons.is_empty() && self.comparisons.iter().all(Comparison::equal)
    }
}

/// Runs the show.
pub async fn run(args: &QuickstartArgs, token: CancellationToken) -> Result<Verdict> {
    if !(args.scale > 0.0 && args.scale <= 1.0) {
        bail!("--scale must be above 0 and at most 1, not {}", args.scale);
    }
    let view = View::new();
    let clock = SystemClock::shared();
    let data = tempfile::tempdir().context("making a folder for the log")?;

    view.step("starting a source and two destinations (simulated Doris clusters)");
    let clusters = Clusters::start().await?;
    let stack = start_stack(args, data.path(), &clock, &token).await?;
    view.note(&format!("log: {}", stack.log.describe()));

    view.step("creating the eight TPC-H tables and loading a first part");
    let (first, rest) = tpch::batches(args.scale, ROWS_PER_BATCH);
    clusters.create_tables().await?;
    let bar = view.rows("first load", first.iter().map(|batch| batch.rows).sum());
    for batch in &first {
        clusters.load(batch).await?;
        bar.inc(batch.rows);
        stop_if(&token)?;
    }
    bar.finish();

    view.step(
        "creating two jobs: `main` (everything) and `branch` (four tables, another database name)",
    );
    let api = stack
        .api_address
        .context("the stack was started without its API")?;
    for target in &clusters.targets {
        create_job(&format!("http://{api}"), &clusters, target).await?;
    }
    let patience = Duration::from_secs(args.patience);
    let deadline = clock.monotonic() + patience;
    wait_for_full_sync(&view, &stack, &clusters, clock.as_ref(), deadline, &token).await?;

    view.step("live: loading the rest while tables change shape");
    let script = script::statements();
    let bar = view.rows("live load", rest.iter().map(|batch| batch.rows).sum());
    let mut next = 0;
    for (i, batch) in rest.iter().enumerate() {
        while next < script.len() && script[next].at * rest.len() <= i * 100 {
            view.note(script[next].sql);
            clusters.sql(script[next].sql).await?;
            next += 1;
        }
        clusters.load(batch).await?;
        bar.inc(batch.rows);
        stop_if(&token)?;
    }
    for statement in &script[next..] {
        view.note(statement.sql);
        clusters.sql(statement.sql).await?;
    }
    bar.finish();

    let end = source_end(&clusters).await?;
    wait_for_position(
        &view,
        &stack,
        &clusters,
        end,
        clock.as_ref(),
        deadline,
        &token,
    )
    .await?;

    if args.corrupt {
        let sql = "UPDATE nation SET n_name = 'ATLANTIS' WHERE n_nationkey = 7";
        view.note(&format!("behind the product's back at `main`: {sql}"));
        clusters.targets[0].sql(sql).await?;
    }
    view.step("comparing every row of every table");
    let comparisons = compare_all(&clusters).await?;
    view.result(&compare::render(&comparisons));
    view.result(&summary(&stack, &clusters));
    let verdict = Verdict { comparisons };
    view.result(if verdict.all_equal() {
        "all tables are equal"
    } else {
        "TABLES DIFFER (exit code 3)"
    });
    if args.keep {
        view.result(&clusters.describe(&api.to_string()));
        token.cancelled().await;
    }
    stack.stop().await;
    clusters.stop().await;
    Ok(verdict)
}

fn stop_if(token: &CancellationToken) -> Result<()> {
    if token.is_cancelled() {
        bail!("stopped by a signal");
    }
    Ok(())
}

async fn start_stack(
    args: &QuickstartArgs,
    data: &std::path::Path,
    clock: &std::sync::Arc<dyn Clock>,
    token: &CancellationToken,
) -> Result<Stack> {
    // Each run has topics of its own on a shared Kafka: what an earlier run left there is another source's history.
    let log = LogChoice::of(&args.log, data)?;
    let prefix = match &log {
        LogChoice::Kafka(_) => format!("{}-quickstart-{:x}", args.log.topic_prefix, clock.now_ms()),
        LogChoice::Embedded(_) => args.log.topic_prefix.clone(),
    };
    let sealer =
        Sealer::from_base64(Sealer::generate_key().expose()).context("using a fresh log key")?;
    Stack::start(
        StackConfig {
            prefix,
            schema_registry: args.log.schema_registry.clone(),
            ..StackConfig::new(log, sealer)
        },
        token,
    )
    .await
}

async fn create_job(api: &str, clusters: &Clusters, target: &Target) -> Result<()> {
    let body = json!({
        "name": target.job,
        "src": clusters.source.endpoint(tpch::DATABASE),
        "dest": target.cluster.endpoint(target.database),
        "tables": {"include": target.tables},
    });
    let answer: serde_json::Value = reqwest::Client::new()
        .post(format!("{api}/create_ccr"))
        .json(&body)
        .timeout(Duration::from_secs(60))
        .send()
        .await
        .context("asking the API to create a job")?
        .json()
        .await
        .context("reading the API's answer")?;
    if answer["success"] != json!(true) {
        bail!("job {} was refused: {}", target.job, answer["error_msg"]);
    }
    Ok(())
}

async fn wait_for_full_sync(
    view: &View,
    stack: &Stack,
    clusters: &Clusters,
    clock: &dyn Clock,
    deadline: Duration,
    token: &CancellationToken,
) -> Result<()> {
    use ccr_control::JobState as S;
    let bars: Vec<_> = clusters
        .targets
        .iter()
        .map(|target| view.sync(&format!("full sync of {}", target.job)))
        .collect();
    loop {
        let mut waiting = false;
        for (target, bar) in clusters.targets.iter().zip(&bars) {
            let status = stack.status.job(target.job);
            if let Some(status) = &status {
                bar.show(&status.action, status.progress);
            }
            match status.as_ref().map(|status| status.state) {
                Some(S::CatchingUp | S::Applying) => bar.done(),
                Some(S::Halted) => bail!("job {} halted: {}", target.job, why(status.as_ref())),
                None | Some(S::Recovering | S::AwaitingSnapshot | S::Restoring | S::Paused) => {
                    waiting = true;
                }
            }
        }
        if !waiting {
            return Ok(());
        }
        pause(clock, deadline, token, || {
            "the full sync is not finished".to_owned()
        })
        .await?;
    }
}

async fn source_end(clusters: &Clusters) -> Result<CommitSeq> {
    let at = BinlogPosition {
        database: tpch::DATABASE.to_owned(),
        table: None,
        after: CommitSeq::BEFORE_FIRST,
    };
    clusters
        .source
        .client
        .get_binlog_lag(&at)
        .await
        .context("asking the source for its newest position")?
        .and_then(|lag| lag.last)
        .context("the source has no binlog stream although its tables were loaded")
}

async fn wait_for_position(
    view: &View,
    stack: &Stack,
    clusters: &Clusters,
    end: CommitSeq,
    clock: &dyn Clock,
    deadline: Duration,
    token: &CancellationToken,
) -> Result<()> {
    let bars: Vec<_> = clusters
        .targets
        .iter()
        .map(|target| view.sync(&format!("{} catching up", target.job)))
        .collect();
    loop {
        let mut behind = Vec::new();
        for (target, bar) in clusters.targets.iter().zip(&bars) {
            let status = stack.status.job(target.job);
            let applied = status
                .as_ref()
                .map_or(CommitSeq::BEFORE_FIRST, |status| status.applied);
            bar.show(&format!("position {applied} of {end}"), None);
            let problem = status.as_ref().filter(|status| {
                status.state == ccr_control::JobState::Halted || !status.lanes.is_empty()
            });
            if problem.is_some() {
                bail!("job {} stopped: {}", target.job, why(status.as_ref()));
            }
            if applied < end {
                behind.push(format!(
                    "{} is at {applied} of {end}: {}",
                    target.job,
                    why(status.as_ref())
                ));
            } else {
                bar.done();
            }
        }
        if behind.is_empty() {
            return Ok(());
        }
        pause(clock, deadline, token, || behind.join("; ")).await?;
    }
}

async fn pause(
    clock: &dyn Clock,
    deadline: Duration,
    token: &CancellationToken,
    state: impl Fn() -> String,
) -> Result<()> {
    stop_if(token)?;
    if clock.monotonic() > deadline {
        bail!("giving up (--patience): {}", state());
    }
    clock.sleep(LOOK_INTERVAL).await;
    Ok(())
}

fn why(status: Option<&JobStatus>) -> String {
    let Some(status) = status else {
        return "nothing was reported yet".to_owned();
    };
    let lanes = status
        .lanes
        .iter()
        .map(|lane| format!("table {} at {}: {}", lane.table, lane.at, lane.reason));
    let parts: Vec<String> = status.last_error.iter().cloned().chain(lanes).collect();
    if parts.is_empty() {
        format!("no error, it is {}", status.action)
    } else {
        parts.join("; ")
    }
}

async fn compare_all(clusters: &Clusters) -> Result<Vec<Comparison>> {
    let mut out = Vec::new();
    for table in clusters.source.tables(tpch::DATABASE).await? {
        let source = compare::digest(&clusters.source.client, tpch::DATABASE, &table).await?;
        for target in clusters.targets.iter().filter(|t| t.takes(&table)) {
            let dest = compare::digest(&target.cluster.client, target.database, &table).await;
            out.push(Comparison {
                target: target.job.to_owned(),
                table: table.clone(),
                source,
                dest: dest.map_err(|error| format!("{error:#}")),
            });
        }
    }
    // A table that should be gone, or never arrived, is a difference as well.
    for target in &clusters.targets {
        let here = clusters.source.tables(tpch::DATABASE).await?;
        for table in target.cluster.tables(target.database).await? {
            if !here.contains(&table) {
                out.push(Comparison {
                    target: target.job.to_owned(),
                    table,
                    source: compare::Digest::default(),
                    dest: Err("the table does not exist at the source".to_owned()),
                });
            }
        }
    }
    out.sort_by(|a, b| (&a.target, &a.table).cmp(&(&b.target, &b.table)));
    Ok(out)
}

fn summary(stack: &Stack, clusters: &Clusters) -> String {
    let mut out = String::new();
    if let Some(stream) = clusters
        .targets
        .first()
        .and_then(|target| stack.registry.get(target.job).ok())
        .and_then(|job| {
            stack
                .status
                .stream(&job.source.cluster_name, &job.source.database)
        })
    {
        out.push_str(&format!("events published: {}\n", stream.events_published));
    }
    for target in &clusters.targets {
        if let Some(status) = stack.status.job(target.job) {
            let skipped: u64 = status.skipped.values().sum();
            out.push_str(&format!(
                "{}: {} events applied, {skipped} skipped {:?}\n",
                target.job, status.events_applied, status.skipped
            ));
        }
    }
    let jobs: Vec<&str> = clusters.targets.iter().map(|target| target.job).collect();
    out.push_str(&match view::lag_quantiles(&ccr_ops::telemetry::render(), &jobs) {
        Some((p50, p99)) => format!(
            "replication lag (source commit to visible at the target): p50 {:.0} ms, p99 {:.0} ms\n",
            p50 * 1000.0,
            p99 * 1000.0
        ),
        None => "replication lag: not measured\n".to_owned(),
    });
    out
}
