//! A job of one table, under another name, in another database.

use std::time::Duration;

use anyhow::Result;
use ccr_lab::compare::digest;
use ccr_tests::world::DATABASE;
use ccr_tests::{Workload, World, embedded_stack};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn one_table_arrives_under_its_other_name_and_nothing_else_does() {
    run().await.unwrap();
}

async fn run() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let world = World::start(1).await?;
    let mut workload = Workload::start(&world, 21, true).await?;
    for _ in 0..20 {
        workload.step(&world).await?;
    }
    let (stack, api) = embedded_stack(folder.path()).await?;
    let mut body = world.table_job("one", 0, "log_a", "journal");
    body["dest"]["database"] = json!("elsewhere");
    api.create(&body).await?;
    for _ in 0..60 {
        workload.step(&world).await?;
    }
    world
        .sql("ALTER TABLE log_a ADD COLUMN extra INT NULL DEFAULT \"9\"")
        .await?;
    world
        .sql("INSERT INTO log_a VALUES (900001, 'with the column', 1)")
        .await?;
    world.sql("DELETE FROM log_a WHERE id < 20").await?;

    // Paused, a job keeps its position; resumed, it goes on from there.
    let done = api.post("pause", &json!({"name": "one"})).await?;
    assert_eq!(done["success"], json!(true));
    api.wait_until("one", Duration::from_secs(30), |status| {
        status["state"] == json!("paused") && status["phase"] == json!("paused")
    })
    .await?;
    world
        .sql("INSERT INTO log_a VALUES (900002, 'while paused', 2)")
        .await?;
    let done = api.post("resume", &json!({"name": "one"})).await?;
    assert_eq!(done["success"], json!(true));

    let end = world.source_end().await?;
    api.wait_applied("one", end, Duration::from_secs(60))
        .await?;
    let lag = api.post("get_lag", &json!({"name": "one"})).await?;
    assert_eq!(lag["success"], json!(true), "{lag}");
    assert_eq!(lag["lag"], json!(0), "{lag}");
    assert_eq!(world.targets[0].tables("elsewhere").await?, ["journal"]);
    let here = digest(&world.source.client, DATABASE, "log_a").await?;
    let there = digest(&world.targets[0].client, "elsewhere", "journal").await?;
    assert_eq!(here, there);
    assert!(here.rows > 10);
    stack.stop().await;
    Ok(())
}
