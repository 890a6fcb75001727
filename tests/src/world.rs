//! A source, some targets, and the product's HTTP API seen by a user.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use ccr_cli::stack::{Stack, StackConfig};
use ccr_doris::{BinlogPosition, Frontend, Inspect, SqlSession};
use ccr_lab::Cluster;
use ccr_ops::SystemClock;
use ccr_schemas::{CommitSeq, TableId};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// Source database of all tests.
pub const DATABASE: &str = "shop";
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// Simulated clusters.
#[derive(Debug)]
pub struct World {
    /// Where tests write.
    pub source: Cluster,
    /// Where it must arrive.
    pub targets: Vec<Cluster>,
}

impl World {
    /// A source with an empty database (binlog on) and so many targets.
    pub async fn start(targets: usize) -> Result<Self> {
        let source = Cluster::start("source", 3).await?;
        source
            .client
            .execute(
                None,
                &format!("CREATE DATABASE {DATABASE} PROPERTIES (\"binlog.enable\" = \"true\")"),
            )
            .await?;
        let mut world = Self {
            source,
            targets: Vec::new(),
        };
        for i in 0..targets {
            world
                .targets
                .push(Cluster::start(&format!("target{i}"), 2).await?);
        }
        Ok(world)
    }

    /// Runs a statement at the source.
    pub async fn sql(&self, sql: &str) -> Result<()> {
        self.source
            .client
            .execute(Some(DATABASE), sql)
            .await
            .with_context(|| format!("at the source: {sql}"))
    }

    /// Body of `create_ccr` for a database job to one target.
    pub fn database_job(&self, name: &str, target: usize) -> Value {
        json!({
            "name": name,
            "src": self.source.endpoint(DATABASE),
            "dest": self.targets[target].endpoint(DATABASE),
        })
    }

    /// Body of `create_ccr` for one table, under another name at the target.
    pub fn table_job(&self, name: &str, target: usize, table: &str, there: &str) -> Value {
        let mut body = self.database_job(name, target);
        body["src"]["table"] = json!(table);
        body["dest"]["table"] = json!(there);
        body
    }

    /// Id of a table at the source.
    pub async fn table_id(&self, name: &str) -> Result<TableId> {
        let tables = self.source.client.table_ids(DATABASE).await?;
        let found = tables.into_iter().find(|(found, _)| found == name);
        found
            .map(|(_, id)| id)
            .with_context(|| format!("the source has no table {name}"))
    }

    /// Newest position of the source.
    pub async fn source_end(&self) -> Result<CommitSeq> {
        let at = BinlogPosition {
            database: DATABASE.to_owned(),
            table: None,
            after: CommitSeq::BEFORE_FIRST,
        };
        let lag = self.source.client.get_binlog_lag(&at).await?;
        Ok(lag
            .and_then(|lag| lag.last)
            .unwrap_or(CommitSeq::BEFORE_FIRST))
    }
}

/// Everything in this process, on the embedded log in a folder.
pub async fn embedded_stack(folder: &Path) -> Result<(Stack, Api)> {
    let stack = Stack::start(StackConfig::local(folder)?, &CancellationToken::new()).await?;
    let address = stack.api_address.context("the stack has no API")?;
    Ok((stack, Api::at(address)))
}

/// The HTTP API of a running process.
#[derive(Clone, Debug)]
pub struct Api {
    base: String,
    http: reqwest::Client,
}

impl Api {
    /// At an address.
    pub fn at(address: SocketAddr) -> Self {
        Self {
            base: format!("http://{address}"),
            http: reqwest::Client::new(),
        }
    }

    /// One operator; the answer as JSON.
    pub async fn post(&self, operator: &str, body: &Value) -> Result<Value> {
        let response = self
            .http
            .post(format!("{}/{operator}", self.base))
            .json(body)
            .timeout(Duration::from_secs(30))
            .send()
            .await?;
        response.json().await.context("answer is not JSON")
    }

    /// One operator with a raw body; status and text.
    pub async fn post_raw(&self, operator: &str, body: &str) -> Result<(u16, String)> {
        let response = self
            .http
            .post(format!("{}/{operator}", self.base))
            .body(body.to_owned())
            .timeout(Duration::from_secs(30))
            .send()
            .await?;
        Ok((response.status().as_u16(), response.text().await?))
    }

    /// A path by GET; status and text.
    pub async fn get_raw(&self, path: &str) -> Result<(u16, String)> {
        let response = self
            .http
            .get(format!("{}/{path}", self.base))
            .timeout(Duration::from_secs(30))
            .send()
            .await?;
        Ok((response.status().as_u16(), response.text().await?))
    }

    /// Creates a job, or fails with the API's words.
    pub async fn create(&self, body: &Value) -> Result<()> {
        let answer = self.post("create_ccr", body).await?;
        if answer["success"] != json!(true) {
            bail!("create_ccr: {}", answer["error_msg"]);
        }
        Ok(())
    }

    /// `status` of a job.
    pub async fn status(&self, job: &str) -> Result<Value> {
        Ok(self.post("job_status", &json!({ "name": job })).await?["status"].clone())
    }

    /// Waits until a job has applied everything up to a position.
    pub async fn wait_applied(&self, job: &str, end: CommitSeq, patience: Duration) -> Result<()> {
        self.wait_until(job, patience, |status| {
            status["commit_seq"].as_i64().is_some_and(|at| at >= end.0)
        })
        .await
        .with_context(|| format!("waiting for position {end}"))
    }

    /// Waits until a job has applied everything up to a position, and fails when a table did not follow.
    pub async fn wait_following(
        &self,
        job: &str,
        end: CommitSeq,
        patience: Duration,
    ) -> Result<()> {
        self.wait_applied(job, end, patience).await?;
        let status = self.status(job).await?;
        let halted = &status["tables_not_following"];
        if *halted != json!([]) {
            bail!("tables of job {job} do not follow: {halted:#}");
        }
        Ok(())
    }

    /// Waits until a job's status fits.
    pub async fn wait_until(
        &self,
        job: &str,
        patience: Duration,
        fits: impl Fn(&Value) -> bool,
    ) -> Result<()> {
        let clock = SystemClock::shared();
        let deadline = clock.monotonic() + patience;
        let mut last = Value::Null;
        loop {
            // The process may be down for a moment: tests kill it.
            if let Ok(status) = self.status(job).await {
                if fits(&status) {
                    return Ok(());
                }
                last = status;
            }
            if clock.monotonic() > deadline {
                bail!("job {job} is not there after {patience:?}; last status: {last:#}");
            }
            clock.sleep(LOOK_INTERVAL).await;
        }
    }
}
