//! A table of many partitions: how long it takes to create it, to list it by getMeta and to drop it, and how much memory that needs.
//!
//! `cargo run -p dorisim --release --example scale [partitions] [buckets]`; 10 000 and 10 when left out.

use std::time::Instant;

use anyhow::{Context, Result, bail};
use dorisim::{SimCluster, SimConfig};
use dorisim_wire::{
    FrontendServiceSyncClient, TFrontendServiceSyncClient, TGetMetaDB, TGetMetaRequest,
};
use thrift::protocol::{TBinaryInputProtocol, TBinaryOutputProtocol};
use thrift::transport::{TBufferedReadTransport, TBufferedWriteTransport, TIoChannel, TTcpChannel};

fn main() -> Result<()> {
    let mut given = std::env::args().skip(1).map(|n| n.parse::<usize>());
    let partitions = given.next().transpose()?.unwrap_or(10_000);
    let buckets = given.next().transpose()?.unwrap_or(10);
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(measure(partitions, buckets))
}

async fn measure(partitions: usize, buckets: usize) -> Result<()> {
    let sim = SimCluster::start(SimConfig {
        name: "scale".to_owned(),
        backends: 3,
        ..SimConfig::default()
    })
    .await?;
    let now = || sim.clock().monotonic();
    let told = |what: &str, since: Instant| {
        let seconds = now().duration_since(since).as_secs_f64();
        println!("{what:<24} {seconds:>8.2} s   peak {} MiB", peak_mib());
    };
    println!("{partitions} partitions of {buckets} tablets");
    sim.sql("CREATE DATABASE d PROPERTIES (\"binlog.enable\" = \"true\")")
        .await?;
    let start = now();
    sim.sql(&format!(
        "CREATE TABLE d.t (k INT NOT NULL, v INT) DUPLICATE KEY(k) PARTITION BY RANGE(k) \
         (FROM (0) TO ({partitions}) INTERVAL 1) DISTRIBUTED BY HASH(k) BUCKETS {buckets}"
    ))
    .await?;
    told("CREATE TABLE", start);
    let start = now();
    sim.sql(&format!(
        "ALTER TABLE d.t ADD PARTITION last VALUES [({partitions}), ({}))",
        partitions + 1
    ))
    .await?;
    told("ADD PARTITION", start);
    let start = now();
    sim.sql(&format!("INSERT INTO d.t VALUES (1, 1), ({partitions}, 2)"))
        .await?;
    told("INSERT", start);
    let start = now();
    let port = sim.thrift_port();
    let listed = tokio::task::spawn_blocking(move || list(port)).await??;
    told("getMeta", start);
    if listed != (partitions + 1, (partitions + 1) * buckets) {
        bail!("getMeta listed {listed:?} (partitions, tablets)");
    }
    let start = now();
    sim.sql("DROP TABLE d.t FORCE").await?;
    told("DROP TABLE", start);
    sim.shutdown().await;
    Ok(())
}

/// Partitions and tablets that getMeta answers.
fn list(port: u16) -> Result<(usize, usize)> {
    let stream = std::net::TcpStream::connect(("127.0.0.1", port))?;
    let (read, write) = TTcpChannel::with_stream(stream).split()?;
    let mut client = FrontendServiceSyncClient::new(
        TBinaryInputProtocol::new(TBufferedReadTransport::new(read), true),
        TBinaryOutputProtocol::new(TBufferedWriteTransport::new(write), true),
    );
    let text = |text: &str| Some(text.to_owned());
    let db = TGetMetaDB::new(None, text("d"), None, None);
    let request = TGetMetaRequest::new(None, text("root"), text(""), None, None, db);
    let answer = client.get_meta(request)?;
    let tables = answer.db_meta.and_then(|db| db.tables);
    let partitions = tables
        .and_then(|mut tables| tables.pop()?.partitions)
        .context("getMeta answered no partitions")?;
    let tablets = partitions
        .iter()
        .flat_map(|p| p.indexes.iter().flatten())
        .map(|i| i.tablets.as_ref().map_or(0, Vec::len))
        .sum();
    Ok((partitions.len(), tablets))
}

/// The most memory this process ever held, in MiB; 0 where the system does not tell.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.and_then(|l| l.trim().trim_end_matches("kB").trim().parse::<u64>().ok())
        .map_or(0, |kib| kib / 1024)
}
