//! The three simulated clusters.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use ccr_doris::cluster::FrontendAddress;
use ccr_doris::{ClusterAddress, DorisCluster, SqlSession};
use ccr_ops::Secret;
use dorisim::{SimCluster, SimConfig};
use reqwest::Response;
use reqwest::header::LOCATION;
use serde_json::{Value, json};

use super::tpch::{Batch, DATABASE, TABLES};

const USER: &str = "root";
const PASSWORD: &str = "quickstart";
const LOAD_TIMEOUT: Duration = Duration::from_secs(60);

/// One simulated cluster and a client of it.
#[derive(Debug)]
pub struct Cluster {
    /// The cluster.
    pub sim: SimCluster,
    /// A client.
    pub client: DorisCluster,
}

/// A destination and its job.
#[derive(Debug)]
pub struct Target {
    /// Job name.
    pub job: &'static str,
    /// Destination database.
    pub database: &'static str,
    /// Tables followed; empty means all.
    pub tables: Vec<&'static str>,
    /// The cluster.
    pub cluster: Cluster,
}

/// All three.
#[derive(Debug)]
pub struct Clusters {
    /// Where data is written.
    pub source: Cluster,
    /// Where it is replicated.
    pub targets: Vec<Target>,
    http: reqwest::Client,
}

impl Clusters {
    /// Starts them on free ports.
    pub async fn start() -> Result<Self> {
        Ok(Self {
            source: Cluster::start("source", 3).await?,
            targets: vec![
                Target {
                    job: "main",
                    database: DATABASE,
                    tables: Vec::new(),
                    cluster: Cluster::start("main", 2).await?,
                },
                Target {
                    job: "branch",
                    database: "branch_sales",
                    tables: vec!["nation", "customer", "orders", "lineitem"],
                    cluster: Cluster::start("branch", 2).await?,
                },
            ],
            http: reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .build()
                .context("making an HTTP client")?,
        })
    }

    /// The eight tables, with the binlog on.
    pub async fn create_tables(&self) -> Result<()> {
        self.source
            .client
            .execute(
                None,
                &format!("CREATE DATABASE {DATABASE} PROPERTIES (\"binlog.enable\" = \"true\")"),
            )
            .await
            .context("creating the source database")?;
        for table in TABLES {
            self.sql(table.ddl).await?;
        }
        Ok(())
    }

    /// Runs a statement at the source.
    pub async fn sql(&self, sql: &str) -> Result<()> {
        self.source
            .client
            .execute(Some(DATABASE), sql)
            .await
            .with_context(|| format!("running at the source: {sql}"))
    }

    /// Loads rows by stream load, as an application would.
    pub async fn load(&self, batch: &Batch) -> Result<()> {
        let url = format!(
            "http://127.0.0.1:{}/api/{DATABASE}/{}/_stream_load",
            self.source.sim.http_port(),
            batch.table.name
        );
        let what = || format!("loading into {}", batch.table.name);
        // The FE only says which BE takes the load, as it does for a client that waits for "100 Continue": it gets no body.
        // The account is repeated there; HTTP clients drop it on a redirect.
        let redirect = self.put(&url, batch, "").await.with_context(what)?;
        let to = redirect
            .headers()
            .get(LOCATION)
            .and_then(|to| to.to_str().ok())
            .with_context(|| format!("{}: no redirect but {}", what(), redirect.status()))?
            .to_owned();
        let response = self.put(&to, batch, &batch.csv).await.with_context(what)?;
        let answer: Value = response
            .json()
            .await
            .with_context(|| format!("{}: reading the answer", what()))?;
        if answer["Status"] != json!("Success") {
            bail!("load into {} failed: {answer}", batch.table.name);
        }
        Ok(())
    }

    async fn put(&self, url: &str, batch: &Batch, body: &str) -> reqwest::Result<Response> {
        self.http
            .put(url)
            .basic_auth(USER, Some(PASSWORD))
            .header("column_separator", "|")
            .header("columns", batch.table.columns)
            .header("expect", "100-continue")
            .timeout(LOAD_TIMEOUT)
            .body(body.to_owned())
            .send()
            .await
    }

    /// How to reach everything, for `--keep`.
    pub fn describe(&self, api: &str) -> String {
        let mut out = format!("\nrunning until Ctrl-C; user {USER}, password {PASSWORD}\n");
        let mut line = |name: &str, sim: &SimCluster| {
            out.push_str(&format!(
                "  {name:<8} mysql -h127.0.0.1 -P{} -u{USER} -p{PASSWORD}   (thrift {}, http {})\n",
                sim.query_port(),
                sim.thrift_port(),
                sim.http_port()
            ));
        };
        line("source", &self.source.sim);
        for target in &self.targets {
            line(target.job, &target.cluster.sim);
        }
        out.push_str("jobs; `ccr job --help` lists what else can be done with them\n");
        for target in &self.targets {
            out.push_str(&format!(
                "  {:<8} cargo run -q -p ccr -- job --api http://{api} status {}\n",
                target.job, target.job
            ));
        }
        out
    }

    /// Stops them.
    pub async fn stop(self) {
        self.source.sim.shutdown().await;
        for target in self.targets {
            target.cluster.sim.shutdown().await;
        }
    }
}

impl Target {
    /// The job follows the table.
    pub fn takes(&self, table: &str) -> bool {
        self.tables.is_empty() || self.tables.contains(&table)
    }

    /// Runs a statement at the destination.
    pub async fn sql(&self, sql: &str) -> Result<()> {
        self.cluster
            .client
            .execute(Some(self.database), sql)
            .await
            .with_context(|| format!("running at {}: {sql}", self.job))
    }
}

impl Cluster {
    /// Starts one on free ports.
    pub async fn start(name: &str, backends: usize) -> Result<Self> {
        let sim = SimCluster::start(SimConfig {
            name: name.to_owned(),
            backends,
            password: PASSWORD.to_owned(),
            ..SimConfig::default()
        })
        .await
        .with_context(|| format!("starting the simulated cluster {name}"))?;
        let client = DorisCluster::new(ClusterAddress {
            cluster_id: None,
            frontends: vec![FrontendAddress {
                host: "127.0.0.1".to_owned(),
                query_port: sim.query_port(),
                thrift_port: sim.thrift_port(),
            }],
            user: USER.to_owned(),
            password: Secret::new(PASSWORD.to_owned()),
            host_mapping: BTreeMap::new(),
        });
        Ok(Self { sim, client })
    }

    /// `src` or `dest` of `POST /create_ccr`.
    pub fn endpoint(&self, database: &str) -> Value {
        json!({
            "host": "127.0.0.1",
            "port": self.sim.query_port().to_string(),
            "thrift_port": self.sim.thrift_port().to_string(),
            "user": USER,
            "password": PASSWORD,
            "database": database,
            "table": "",
        })
    }

    /// Names of the tables of a database.
    pub async fn tables(&self, database: &str) -> Result<Vec<String>> {
        let rows = self
            .client
            .query(Some(database), "SHOW TABLES")
            .await
            .with_context(|| format!("listing tables of {database}"))?;
        let mut names: Vec<String> = rows
            .into_iter()
            .filter_map(|row| row.into_values().flatten().next())
            .collect();
        names.sort();
        Ok(names)
    }
}
