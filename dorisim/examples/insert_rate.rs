//! How fast a simulated cluster takes single-row INSERTs, and how fast it makes and drops many tablets.
//!
//! `cargo run --release -p dorisim --example insert_rate -- [transactions] [partitions]`
#![allow(
    clippy::disallowed_methods,
    reason = "a measurement reads the clock; an example has no invariants to keep"
)]

use std::time::Instant;

use anyhow::Result;
use dorisim::{SimCluster, SimConfig};

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let transactions: usize = arguments.next().map_or(Ok(500), |n| n.parse())?;
    let partitions: usize = arguments.next().map_or(Ok(100), |n| n.parse())?;
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
    let started = Instant::now();
    sim.sql(&format!(
        "CREATE TABLE d.p (k INT, v STRING) DUPLICATE KEY(k)
         PARTITION BY RANGE(k) (FROM (0) TO ({partitions}) INTERVAL 1)
         DISTRIBUTED BY HASH(k) BUCKETS 10 PROPERTIES (\"replication_num\" = \"1\")"
    ))
    .await?;
    println!(
        "{partitions} partitions x 10 tablets made in {:?}",
        started.elapsed()
    );
    let started = Instant::now();
    sim.sql("DROP TABLE d.p FORCE").await?;
    println!("... and dropped in {:?}", started.elapsed());
    sim.shutdown().await;
    Ok(())
}
