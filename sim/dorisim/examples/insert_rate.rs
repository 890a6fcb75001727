//! How fast a simulated cluster takes single-row INSERTs with three replicas: commit, publish over Thrift, visible.
//!
//! `cargo run --release -p dorisim --example insert_rate -- [transactions]`; 500 when left out.
#![allow(clippy::disallowed_methods, reason = "a measurement reads the clock")]

use std::time::Instant;

use anyhow::Result;
use dorisim::{SimCluster, SimConfig};

#[tokio::main]
async fn main() -> Result<()> {
    let transactions: usize = std::env::args().nth(1).map_or(Ok(500), |n| n.parse())?;
    let started = Instant::now();
    let sim = SimCluster::start(SimConfig::default()).await?;
    println!("started in {:?}", started.elapsed());
    sim.sql(
        "CREATE DATABASE d PROPERTIES (\"binlog.enable\" = \"true\");
         CREATE TABLE d.t (id BIGINT, v STRING) DUPLICATE KEY(id) DISTRIBUTED BY HASH(id) BUCKETS 1
         PROPERTIES (\"replication_num\" = \"3\")",
    )
    .await?;
    let started = Instant::now();
    for id in 0..transactions {
        sim.sql(&format!("INSERT INTO d.t VALUES ({id}, 'v')"))
            .await?;
    }
    let took = started.elapsed();
    println!(
        "{transactions} INSERTs with 3 replicas in {took:?}: {:.0} per second",
        transactions as f64 / took.as_secs_f64()
    );
    sim.shutdown().await;
    Ok(())
}
