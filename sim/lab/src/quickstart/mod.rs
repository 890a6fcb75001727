//! The whole product on three simulated clusters, in one command.
//!
//! `clusters -> stack (log, producer, applier, API) -> first load -> jobs -> full sync -> live load and DDL -> comparison`

pub mod clusters;
mod plot;
mod script;
mod tpch;
mod view;
mod waits;
mod watch;

pub use view::lag_quantiles;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use ccr_control::process::{KafkaSettings, owner};
use ccr_doris::{BinlogPosition, Frontend};
use ccr_ops::{Clock, Sealer, SystemClock};
use ccr_producer::ProducerConfig;
use ccr_schemas::CommitSeq;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::args::QuickstartArgs;
use crate::compare::{self, Comparison};
use ccr_cli::stack::{LogChoice, Stack, StackConfig};
pub use clusters::Cluster;
use clusters::{Clusters, Target};
use view::View;
use waits::Waiting;
use watch::Watch;

/// Rows per load.
const ROWS_PER_BATCH: usize = 400;
/// Columns of the plot of the lag.
const PLOT_WIDTH: usize = 72;

/// What the run shows, before it begins.
const INTRODUCTION: &str = "\
Cross-cluster replication for Apache Doris, on three simulated clusters of this process:

    source ---> producer ---> log ---> applier `main`    (all tables)
                                 \\---> applier `branch`  (four tables, in another database)

It takes about a minute. At the end every row of every table is compared.
";

/// What to do after the run.
const NEXT: &str = "
Try next:
  ./x quickstart --keep        leaves everything running and prints how to reach it
  ./x quickstart --corrupt     changes a row of `main` past the product: the comparison finds it (exit code 3)
  ./x quickstart --scale 0.1   loads ten times as many rows
";

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

/// Runs it: everything is started, loaded, changed and compared.
pub async fn run(args: &QuickstartArgs, token: CancellationToken) -> Result<Verdict> {
    if !(args.scale > 0.0 && args.scale <= 1.0) {
        bail!("--scale must be above 0 and at most 1, not {}", args.scale);
    }
    let clock = SystemClock::shared();
    let data = tempfile::tempdir().context("making a folder for the log")?;

    eprintln!("{INTRODUCTION}");
    let clusters = Clusters::start().await?;
    let view = Arc::new(View::new(clusters.targets.len()));
    let watch = Watch::new(Arc::clone(&view), clusters.targets.len());
    let stack = start_stack(args, data.path(), &clock, &token).await?;
    view.note(&format!("log: {}", stack.log.describe()));

    view.step("1 of 4: create the eight TPC-H tables and load a first part");
    let (first, rest) = tpch::batches(args.scale, ROWS_PER_BATCH);
    watch.expect_rows(first.iter().chain(&rest).map(|batch| batch.rows).sum());
    clusters.create_tables().await?;
    for batch in &first {
        clusters.load(batch).await?;
        watch.loaded(batch.rows);
        stop_if(&token)?;
    }

    view.step("2 of 4: create the jobs `main` and `branch`, which sync in full");
    let api = stack
        .api_address
        .context("the stack was started without its API")?;
    for target in &clusters.targets {
        create_job(&format!("http://{api}"), &clusters, target).await?;
    }
    let looking = watch.begin(
        &clusters.targets,
        Arc::clone(&stack.status),
        Arc::clone(&clock),
    );
    let wait = Waiting {
        stack: &stack,
        targets: &clusters.targets,
        clock: clock.as_ref(),
        deadline: clock.monotonic() + Duration::from_secs(args.patience),
        token: &token,
    };
    wait.for_full_sync().await?;

    view.step("3 of 4: load the rest while tables are created, changed, renamed and dropped");
    let script = script::statements();
    let mut next = 0;
    for (i, batch) in rest.iter().enumerate() {
        while next < script.len() && script[next].at * rest.len() <= i * 100 {
            watch.statement(script[next].sql);
            clusters.sql(script[next].sql).await?;
            next += 1;
        }
        clusters.load(batch).await?;
        watch.loaded(batch.rows);
        stop_if(&token)?;
    }
    for statement in &script[next..] {
        watch.statement(statement.sql);
        clusters.sql(statement.sql).await?;
    }
    wait.for_position(source_end(&clusters).await?).await?;
    drop(looking);
    view.close_table();

    if args.corrupt {
        let sql = "UPDATE nation SET n_name = 'ATLANTIS' WHERE n_nationkey = 7";
        view.note(&format!("--corrupt, at `main` and past the product: {sql}"));
        clusters.targets[0].sql(sql).await?;
    }
    view.step("4 of 4: compare every row of every table");
    let comparisons = compare_all(&clusters).await?;
    view.result(&compare::render(&comparisons));
    view.result(&summary(&stack, &clusters));
    view.result(&lag_plot(&clusters, &watch.lag_over_time()));
    let verdict = Verdict { comparisons };
    view.result(if verdict.all_equal() {
        "all tables are equal"
    } else {
        "TABLES DIFFER (exit code 3)"
    });
    if args.keep {
        view.result(&clusters.describe(&api.to_string()));
        token.cancelled().await;
    } else {
        view.result(NEXT);
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
    let producer = ProducerConfig {
        schema_registry: args.log.schema_registry.clone(),
        ..ProducerConfig::new(owner())
    };
    let prefix = args.log.topic_prefix.as_ref().unwrap_or(&producer.prefix);
    let log = LogChoice::of(&args.log, prefix, &KafkaSettings::default(), data)?;
    let prefix = match &log {
        LogChoice::Kafka(_) => format!("{prefix}-quickstart-{:x}", clock.now_ms()),
        LogChoice::Embedded(_) => prefix.clone(),
    };
    let sealer =
        Sealer::from_base64(Sealer::generate_key().expose()).context("using a fresh log key")?;
    Stack::start(
        StackConfig {
            prefix,
            producer_config: producer,
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

/// The lag of each target from the creation of its job to the end.
fn lag_plot(clusters: &Clusters, lags: &[Vec<Option<i64>>]) -> String {
    let top = lags.iter().flatten().flatten().max().copied().unwrap_or(0);
    let mut out = format!("lag over time, up to {top} ms (`·`: not known, before the full sync)\n");
    for (target, lag) in clusters.targets.iter().zip(lags) {
        out.push_str(&format!(
            "  {:<8} {}\n",
            target.job,
            plot::columns(lag, PLOT_WIDTH, top)
        ));
    }
    out
}
