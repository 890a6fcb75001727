//! `resync` of single tables: a halted one and a following one come by snapshots of their own, and the job goes on meanwhile.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ccr_doris::SqlSession;
use ccr_lab::compare::digest;
use ccr_ops::SystemClock;
use ccr_tests::world::DATABASE;
use ccr_tests::{Api, Binary, Process, Workload, World, assert_equal, embedded_stack};
use serde_json::{Value, json};

use crate::chaos::free_address;

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_halted_table_and_a_following_one_are_re_synced_alone() {
    alone().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_re_sync_of_a_table_survives_kills_and_is_done_once() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("ccr.log");
    let result = killed(folder.path(), &log).await;
    result
        .with_context(|| ccr_tests::process::tail(&log))
        .unwrap();
}

/// A record of a type that no release of today knows halts the table.
async fn halt(world: &World, api: &Api, table: &str) -> Result<String> {
    let frontend = world.source.sim.frontend();
    frontend
        .write_record(DATABASE, Some(table), 99, json!({"tableId": 1}))
        .context("the table is not there")?;
    let is_halted = |status: &Value| status["tables_not_following"][0]["table"] == json!(table);
    api.wait_until("j", PATIENCE, is_halted).await?;
    let status = api.status("j").await?;
    let reason = status["tables_not_following"][0]["reason"].as_str();
    Ok(reason.unwrap_or_default().to_owned())
}

async fn resync(api: &Api, tables: &[&str]) -> Result<()> {
    let answer = api
        .post("resync", &json!({"name": "j", "tables": tables}))
        .await?;
    ensure!(answer["success"] == json!(true), "{answer}");
    Ok(())
}

async fn wait_up(api: &Api) -> Result<()> {
    let clock = SystemClock::shared();
    let deadline = clock.monotonic() + PATIENCE;
    while api.post("list_jobs", &json!({})).await.is_err() {
        ensure!(clock.monotonic() < deadline, "the API does not answer");
        clock.sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

async fn wait_synced(api: &Api, world: &World) -> Result<()> {
    let done = |status: &Value| {
        status["resyncing"] == json!([]) && status["tables_not_following"] == json!([])
    };
    api.wait_until("j", PATIENCE, done).await?;
    let end = world.source_end().await?;
    api.wait_following("j", end, PATIENCE).await
}

/// Somebody writes to the copy.
async fn foreign_row(world: &World, table: &str) -> Result<()> {
    let sql = format!("INSERT INTO {table} (id, v) VALUES (900002, 'of nobody')");
    world.targets[0]
        .client
        .execute(Some(DATABASE), &sql)
        .await?;
    Ok(())
}

async fn rows(world: &World, table: &str) -> Result<(u64, u64)> {
    let here = digest(&world.source.client, DATABASE, table).await?;
    let there = digest(&world.targets[0].client, DATABASE, table).await?;
    Ok((here.rows, there.rows))
}

async fn alone() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let world = World::start(1).await?;
    let mut workload = Workload::start(&world, 61, false).await?;
    for _ in 0..20 {
        workload.step(&world).await?;
    }
    let (stack, api) = embedded_stack(folder.path()).await?;
    api.create(&world.database_job("j", 0)).await?;
    api.wait_following("j", world.source_end().await?, PATIENCE)
        .await?;
    let before = api.status("j").await?;

    let reason = halt(&world, &api, "log_a").await?;
    ensure!(reason.contains("`ccr job resync j log_a`"), "{reason}");
    world
        .sql("INSERT INTO log_a (id, v) VALUES (900001, 'while it is halted')")
        .await?;
    let end = world.source_end().await?;
    api.wait_applied("j", end, PATIENCE).await?;
    foreign_row(&world, "log_b").await?;
    let (here, there) = rows(&world, "log_b").await?;
    ensure!(there == here + 1, "{here} {there}");

    let answer = api
        .post("resync", &json!({"name": "j", "table": "log_x"}))
        .await?;
    let text = answer["error_msg"].as_str().unwrap_or_default();
    ensure!(text.contains("log_a") && text.contains("log_b"), "{answer}");
    resync(&api, &["log_a", "log_b"]).await?;
    for _ in 0..20 {
        workload.step(&world).await?;
    }
    wait_synced(&api, &world).await?;
    assert_equal(
        (&world.source, DATABASE),
        (&world.targets[0], DATABASE),
        |_| true,
    )
    .await?;
    // The same job went on.
    let after = api.status("j").await?;
    ensure!(after["incarnation"] == before["incarnation"], "{after:#}");
    let left = world.targets[0].tables(DATABASE).await?;
    ensure!(
        left.iter().all(|table| !table.starts_with("__ccr")),
        "{left:?}"
    );
    stack.stop().await;
    Ok(())
}

fn ccr(folder: &Path, address: &str, log: &Path) -> Result<Process> {
    let data = folder.join("data").display().to_string();
    let args = ["standalone", "--listen", address, "--data-dir", &data];
    Process::start(Binary::Ccr, &args.map(str::to_owned), log)
}

async fn killed(folder: &Path, log: &Path) -> Result<()> {
    let world = World::start(1).await?;
    let mut workload = Workload::start(&world, 62, false).await?;
    for _ in 0..10 {
        workload.step(&world).await?;
    }
    let address = free_address();
    let mut process = ccr(folder, &address.to_string(), log)?;
    let api = Api::at(address);
    wait_up(&api).await?;
    api.create(&world.database_job("j", 0)).await?;
    api.wait_following("j", world.source_end().await?, PATIENCE)
        .await?;
    halt(&world, &api, "log_a").await?;
    resync(&api, &["log_a", "log_b"]).await?;
    // Wherever the kill meets it.
    for pause in [50, 300, 700, 1500] {
        workload.step(&world).await?;
        tokio::time::sleep(Duration::from_millis(pause)).await;
        process.kill9()?;
        workload.step(&world).await?;
        process = ccr(folder, &address.to_string(), log)?;
        wait_up(&api).await?;
    }
    wait_synced(&api, &world).await?;
    assert_equal(
        (&world.source, DATABASE),
        (&world.targets[0], DATABASE),
        |_| true,
    )
    .await?;

    // Done is done, also after a restart: what somebody changes at the destination since stays.
    foreign_row(&world, "log_b").await?;
    process.kill9()?;
    process = ccr(folder, &address.to_string(), log)?;
    wait_up(&api).await?;
    api.wait_following("j", world.source_end().await?, PATIENCE)
        .await?;
    let (here, there) = rows(&world, "log_b").await?;
    ensure!(there == here + 1, "{here} {there}");

    // The next load finds a version that the job did not make.
    world
        .sql("INSERT INTO log_b (id, v) VALUES (900003, 'after the restart')")
        .await?;
    api.wait_until("j", PATIENCE, |status| {
        let halted = status["tables_not_following"].to_string();
        halted.contains("something else than this job writes") && halted.contains("resync j log_b")
    })
    .await?;
    resync(&api, &["log_b"]).await?;
    wait_synced(&api, &world).await?;
    assert_equal(
        (&world.source, DATABASE),
        (&world.targets[0], DATABASE),
        |_| true,
    )
    .await?;
    process.kill9()
}
