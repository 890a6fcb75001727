//! Resident memory of `ccr standalone` with one database and three targets, idle and after a load.

use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use ccr_ops::{Clock, SystemClock};
use serde_json::json;

use super::Measured;
use super::pair::{DATABASE, insert, make_table, post, source_end};
use crate::quickstart::Cluster;

const TRANSACTIONS: u64 = 1_000;
const PATIENCE: Duration = Duration::from_secs(120);

pub(super) async fn run(_time: Duration) -> Result<Vec<Measured>> {
    let folder = tempfile::tempdir()?;
    let source = Cluster::start("source", 1).await?;
    make_table(&source).await?;
    let mut targets = Vec::new();
    for i in 0..3 {
        targets.push(Cluster::start(&format!("target{i}"), 1).await?);
    }
    let address = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let program = std::env::current_exe()?.with_file_name("ccr");
    if !program.exists() {
        bail!(
            "{} does not exist: build it as this program was built, with `cargo build -p ccr`",
            program.display()
        );
    }
    let mut child = Command::new(program)
        .args(["standalone", "--listen", &address.to_string(), "--data-dir"])
        .arg(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .context("starting a standalone process")?;
    let measured = measure(&source, &targets, &format!("http://{address}"), child.id()).await;
    let _ = child.kill();
    let _ = child.wait();
    measured
}

async fn measure(
    source: &Cluster,
    targets: &[Cluster],
    api: &str,
    pid: u32,
) -> Result<Vec<Measured>> {
    let clock = SystemClock::shared();
    let deadline = clock.monotonic() + PATIENCE;
    while post(api, "list_jobs", &json!({})).await.is_err() {
        if clock.monotonic() > deadline {
            bail!("the standalone process does not answer at {api}");
        }
        clock.sleep(Duration::from_millis(20)).await;
    }
    let mut measured = Vec::new();
    for (i, target) in targets.iter().enumerate() {
        let answer = post(
            api,
            "create_ccr",
            &json!({"name": format!("t{i}"), "src": source.endpoint(DATABASE), "dest": target.endpoint(DATABASE)}),
        )
        .await?;
        if answer["success"] != json!(true) {
            bail!("job refused: {}", answer["error_msg"]);
        }
        applied(api, &format!("t{i}"), source, clock.as_ref(), deadline).await?;
        measured.push(Measured::new(
            "memory",
            format!("resident with {} target(s), idle", i + 1),
            resident_mib(pid)?,
            "MiB",
        ));
    }
    for id in 1..=TRANSACTIONS {
        insert(source, id).await?;
    }
    for i in 0..targets.len() {
        applied(api, &format!("t{i}"), source, clock.as_ref(), deadline).await?;
    }
    measured.push(Measured::new(
        "memory",
        format!("resident with 3 targets, after {TRANSACTIONS} transactions"),
        resident_mib(pid)?,
        "MiB",
    ));
    Ok(measured)
}

async fn applied(
    api: &str,
    job: &str,
    source: &Cluster,
    clock: &dyn Clock,
    deadline: Duration,
) -> Result<()> {
    let end = source_end(source).await?;
    loop {
        let status = post(api, "job_status", &json!({ "name": job })).await?;
        if status["status"]["commit_seq"].as_i64() >= Some(end.0) {
            return Ok(());
        }
        if clock.monotonic() > deadline {
            bail!("job {job} did not catch up: {status}");
        }
        clock.sleep(Duration::from_millis(50)).await;
    }
}

fn resident_mib(pid: u32) -> Result<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status"))
        .context("reading the process's memory (Linux only)")?;
    let kib: f64 = text
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse().ok())
        .context("no VmRSS in /proc")?;
    Ok(kib / 1024.0)
}
