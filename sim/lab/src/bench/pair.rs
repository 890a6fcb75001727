//! A simulated source and target with a stack between them, for measurements.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use ccr_control::{JobState, JobStatus};
use ccr_doris::{BinlogPosition, Frontend, SqlSession};
use ccr_ops::SystemClock;
use ccr_schemas::CommitSeq;
use dorisim::faults::{Effect, Rule};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::quickstart::Cluster;
use ccr_cli::stack::{Stack, StackConfig};

pub(super) const DATABASE: &str = "bench";
const PATIENCE: Duration = Duration::from_secs(120);

/// The parts.
pub(super) struct Pair {
    pub(super) source: Cluster,
    pub(super) target: Cluster,
    pub(super) stack: Stack,
    _folder: TempDir,
}

impl Pair {
    /// With an empty table `t`.
    pub(super) async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let source = Cluster::start("source", 1).await?;
        let target = Cluster::start("target", 1).await?;
        make_table(&source).await?;
        let stack = Stack::start(
            StackConfig::local(folder.path())?,
            &CancellationToken::new(),
        )
        .await?;
        Ok(Self {
            source,
            target,
            stack,
            _folder: folder,
        })
    }

    /// Creates a job and waits until it follows.
    pub(super) async fn job(&self, name: &str, options: Value) -> Result<()> {
        let answer = self
            .post(
                "create_ccr",
                json!({
                    "name": name,
                    "src": self.source.endpoint(DATABASE),
                    "dest": self.target.endpoint(DATABASE),
                    "options": options,
                }),
            )
            .await?;
        if answer["success"] != json!(true) {
            bail!("job refused: {}", answer["error_msg"]);
        }
        self.until(name, |status| {
            matches!(status.state, JobState::Applying | JobState::CatchingUp)
        })
        .await
    }

    pub(super) async fn post(&self, operator: &str, body: Value) -> Result<Value> {
        let api = self.stack.api_address.context("the stack has no API")?;
        post(&format!("http://{api}"), operator, &body).await
    }

    /// Waits until everything the source has is applied.
    pub(super) async fn applied(&self, name: &str) -> Result<()> {
        let end = source_end(&self.source).await?;
        self.until(name, |status| status.applied >= end).await
    }

    pub(super) async fn until(&self, name: &str, fits: impl Fn(&JobStatus) -> bool) -> Result<()> {
        let clock = SystemClock::shared();
        let deadline = clock.monotonic() + PATIENCE;
        loop {
            let status = self.stack.status.job(name);
            if status.as_ref().is_some_and(&fits) {
                return Ok(());
            }
            if clock.monotonic() > deadline {
                bail!("job {name} did not get there: {status:?}");
            }
            clock.sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until everything the source has is in the log.
    pub(super) async fn published(&self, name: &str) -> Result<()> {
        let end = source_end(&self.source).await?;
        let job = self.stack.registry.get(name)?;
        let clock = SystemClock::shared();
        let deadline = clock.monotonic() + PATIENCE;
        loop {
            let stream = self
                .stack
                .status
                .stream(&job.source.cluster_name, &job.source.database);
            if stream.as_ref().is_some_and(|s| s.published >= end) {
                return Ok(());
            }
            if clock.monotonic() > deadline {
                bail!("the producer did not get to {end}: {stream:?}");
            }
            clock.sleep(Duration::from_millis(20)).await;
        }
    }

    pub(super) async fn stop(self) {
        self.stack.stop().await;
        self.source.sim.shutdown().await;
        self.target.sim.shutdown().await;
    }
}

/// Makes calls to a cluster slower.
pub(super) fn delay(cluster: &Cluster, calls: &[&str], ms: u64) {
    for call in calls {
        cluster
            .sim
            .faults()
            .add(Rule::always(call, Effect::Latency { ms }));
    }
}

pub(super) async fn make_table(source: &Cluster) -> Result<()> {
    source
        .client
        .execute(
            None,
            &format!("CREATE DATABASE {DATABASE} PROPERTIES (\"binlog.enable\" = \"true\")"),
        )
        .await?;
    source
        .client
        .execute(
            Some(DATABASE),
            "CREATE TABLE t (id BIGINT NOT NULL, v VARCHAR(64)) DUPLICATE KEY(id) \
             DISTRIBUTED BY HASH(id) BUCKETS 1 PROPERTIES (\"replication_num\" = \"1\")",
        )
        .await?;
    insert(source, 0).await
}

pub(super) async fn insert(source: &Cluster, id: u64) -> Result<()> {
    source
        .client
        .execute(
            Some(DATABASE),
            &format!("INSERT INTO t VALUES ({id}, 'row')"),
        )
        .await?;
    Ok(())
}

pub(super) async fn source_end(source: &Cluster) -> Result<CommitSeq> {
    let at = BinlogPosition {
        database: DATABASE.to_owned(),
        table: None,
        after: CommitSeq::BEFORE_FIRST,
    };
    source
        .client
        .get_binlog_lag(&at)
        .await?
        .and_then(|lag| lag.last)
        .context("the source has no binlog stream")
}

pub(super) async fn post(api: &str, operator: &str, body: &Value) -> Result<Value> {
    reqwest::Client::new()
        .post(format!("{api}/{operator}"))
        .json(body)
        .timeout(Duration::from_secs(60))
        .send()
        .await
        .with_context(|| format!("asking {api}/{operator}"))?
        .json()
        .await
        .with_context(|| format!("reading the answer of {api}/{operator}"))
}
