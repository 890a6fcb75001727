//! A source is put back to an older state and goes on from there: its jobs halt with the reason, nothing of the new history
//! is taken for the old one, and `resync` makes everything equal again, also when the process is killed meanwhile.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ccr_doris::cluster::FrontendAddress;
use ccr_doris::{ClusterAddress, DorisCluster, SqlSession};
use ccr_lab::Cluster;
use ccr_lab::compare::digest;
use ccr_ops::{Secret, SystemClock};
use ccr_tests::world::DATABASE;
use ccr_tests::{Api, Binary, Process, World, assert_equal};
use dorisim::{SimCluster, SimConfig};
use serde_json::{Value, json};

use crate::chaos::free_address;

const PATIENCE: Duration = Duration::from_secs(120);
const PASSWORD: &str = "quickstart";

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_was_put_back_halts_its_jobs_and_a_resync_repairs_them() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("ccr.log");
    let result = put_back(folder.path(), &log).await;
    result
        .with_context(|| ccr_tests::process::tail(&log))
        .unwrap();
}

/// Where a source keeps everything, and the ports that it has whenever it runs.
struct Home {
    data: PathBuf,
    ports: [u16; 3],
}

impl Home {
    async fn start(&self) -> Result<Cluster> {
        let [query_port, thrift_port, http_port] = self.ports;
        let clock = SystemClock::shared();
        let deadline = clock.monotonic() + Duration::from_secs(20);
        let sim = loop {
            let config = SimConfig {
                name: "source".to_owned(),
                password: PASSWORD.to_owned(),
                data_dir: Some(self.data.clone()),
                query_port,
                thrift_port,
                http_port,
                ..SimConfig::default()
            };
            match SimCluster::start(config).await {
                Ok(sim) => break sim,
                // The ports of the one before are not free yet.
                Err(error) => ensure!(clock.monotonic() < deadline, "{error:#}"),
            }
            clock.sleep(Duration::from_millis(50)).await;
        };
        let client = DorisCluster::new(ClusterAddress {
            cluster_id: None,
            frontends: vec![FrontendAddress {
                host: "127.0.0.1".to_owned(),
                query_port: sim.query_port(),
                thrift_port: sim.thrift_port(),
            }],
            user: "root".to_owned(),
            password: Secret::new(PASSWORD.to_owned()),
            host_mapping: BTreeMap::new(),
        });
        Ok(Cluster { sim, client })
    }
}

/// Everything of it is closed when this returns.
async fn end(source: Cluster) {
    source.sim.shutdown().await;
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// `ccr standalone` on a folder.
fn ccr(folder: &Path, address: &str, log: &Path) -> Result<Process> {
    let data = folder.join("data").display().to_string();
    let args = ["standalone", "--listen", address, "--data-dir", &data];
    Process::start(Binary::Ccr, &args.map(str::to_owned), log)
}

async fn insert(world: &World, from: u32, count: u32) -> Result<()> {
    for k in from..from + count {
        world
            .sql(&format!("INSERT INTO t VALUES ({k}, 'row {k}')"))
            .await?;
    }
    Ok(())
}

fn is_halted(status: &Value) -> bool {
    status["state"] == json!("halted")
        && status["last_error"]
            .as_str()
            .is_some_and(|text| text.contains("history") && text.contains("ccr job resync j"))
}

async fn put_back(folder: &Path, log: &Path) -> Result<()> {
    let mut world = World::start(1).await?;
    let home = Home {
        data: folder.join("source"),
        ports: [(); 3].map(|()| free_address().port()),
    };
    world.source = home.start().await?;
    let create = format!("CREATE DATABASE {DATABASE} PROPERTIES (\"binlog.enable\" = \"true\")");
    world.source.client.execute(None, &create).await?;
    world
        .sql(
            "CREATE TABLE t (k INT, v VARCHAR(20)) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 2 \
             PROPERTIES (\"replication_num\" = \"1\")",
        )
        .await?;
    insert(&world, 0, 5).await?;
    let address = free_address();
    let mut process = ccr(folder, &address.to_string(), log)?;
    let api = Api::at(address);
    let clock = SystemClock::shared();
    let deadline = clock.monotonic() + PATIENCE;
    while api.post("list_jobs", &json!({})).await.is_err() {
        ensure!(clock.monotonic() < deadline, "the API does not answer");
        clock.sleep(Duration::from_millis(50)).await;
    }
    api.create(&world.database_job("j", 0)).await?;
    insert(&world, 5, 5).await?;
    api.wait_following("j", world.source_end().await?, PATIENCE)
        .await?;

    // A backup of the source, then more than it will have afterwards.
    end(world.source).await;
    let backup = folder.join("backup");
    copy(&home.data, &backup)?;
    world.source = home.start().await?;
    insert(&world, 10, 10).await?;
    let published = world.source_end().await?;
    api.wait_following("j", published, PATIENCE).await?;

    // The backup is put back, and the source goes on below what was published.
    end(world.source).await;
    std::fs::remove_dir_all(&home.data)?;
    copy(&backup, &home.data)?;
    world.source = home.start().await?;
    insert(&world, 100, 3).await?;
    ensure!(
        world.source_end().await? < published,
        "nothing was put back"
    );
    api.wait_until("j", PATIENCE, is_halted).await?;
    let target = &world.targets[0];
    let there = digest(&target.client, DATABASE, "t").await?;
    ensure!(there.rows == 20, "{} rows", there.rows);

    // Neither a kill nor more loads make it go on by itself.
    process.kill9()?;
    insert(&world, 103, 20).await?;
    process = ccr(folder, &address.to_string(), log)?;
    api.wait_until("j", PATIENCE, is_halted).await?;
    ensure!(digest(&target.client, DATABASE, "t").await?.rows == 20);

    // One command repairs it, wherever a kill meets it.
    let answer = api.post("resync", &json!({ "name": "j" })).await?;
    ensure!(answer["success"] == json!(true), "{answer}");
    insert(&world, 200, 5).await?;
    process.kill9()?;
    process = ccr(folder, &address.to_string(), log)?;
    api.wait_following("j", world.source_end().await?, PATIENCE)
        .await?;
    assert_equal((&world.source, DATABASE), (target, DATABASE), |_| true).await?;

    // And the stream goes on, past the positions that were published before.
    ensure!(world.source_end().await? > published);
    process.kill9()?;
    process = ccr(folder, &address.to_string(), log)?;
    insert(&world, 400, 5).await?;
    api.wait_following("j", world.source_end().await?, PATIENCE)
        .await?;
    let rows = assert_equal((&world.source, DATABASE), (target, DATABASE), |_| true).await?;
    ensure!(rows == 43, "{rows} rows");
    process.kill9()
}
