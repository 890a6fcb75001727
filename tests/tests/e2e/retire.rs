//! What a job takes from its destination while it is there, it gives back when it is deleted.

use std::time::Duration;

use anyhow::{Context, Result};
use ccr_doris::SqlSession;
use ccr_ops::SystemClock;
use ccr_tests::world::DATABASE;
use ccr_tests::{World, embedded_stack};
use dorisim::faults::{Effect, Rule};
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(60);
const DAYS: &str = "CREATE TABLE days (id BIGINT, day DATE NOT NULL, v VARCHAR(20)) DUPLICATE KEY(id) PARTITION BY RANGE(day) () DISTRIBUTED BY \
                    HASH(id) BUCKETS 1 PROPERTIES (\"replication_num\" = \"1\", \"dynamic_partition.enable\" = \"true\", \
                    \"dynamic_partition.time_unit\" = \"DAY\", \"dynamic_partition.start\" = \"-3\", \"dynamic_partition.end\" = \"3\", \
                    \"dynamic_partition.prefix\" = \"p\", \"dynamic_partition.buckets\" = \"1\")";
const NOTES: &str = "CREATE TABLE notes (id BIGINT, v VARCHAR(20)) DUPLICATE KEY(id) DISTRIBUTED BY HASH(id) BUCKETS 1 \
                     PROPERTIES (\"replication_num\" = \"1\")";

/// Waits until a question about the destination is answered with yes.
async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    let clock = SystemClock::shared();
    let until = clock.monotonic() + PATIENCE;
    while !holds().await? {
        anyhow::ensure!(clock.monotonic() < until, "not after {PATIENCE:?}: {what}");
        clock.sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

async fn text_of(world: &World, table: &str) -> Result<String> {
    let client = &world.targets[0].client;
    let rows = client
        .query(Some(DATABASE), &format!("SHOW CREATE TABLE {table}"))
        .await?;
    rows.first()
        .and_then(|row| row.get("Create Table").cloned().flatten())
        .context("no text")
}

#[tokio::test(flavor = "multi_thread")]
async fn dynamic_partitioning_is_kept_and_works_again_when_the_job_is_deleted() {
    dynamic_partitions().await.unwrap();
}

async fn dynamic_partitions() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let world = World::start(1).await?;
    world.sql(DAYS).await?;
    let (stack, api) = embedded_stack(folder.path()).await?;
    api.create(&world.database_job("all", 0)).await?;
    api.wait_applied("all", world.source_end().await?, PATIENCE)
        .await?;
    let enabled = "\"dynamic_partition.enable\" = \"true\"";
    let text = text_of(&world, "days").await?;
    assert!(text.contains(enabled), "after the first sync: {text}");
    assert!(
        text.contains("\"is_being_synced\" = \"true\""),
        "the destination makes no partitions of its own: {text}"
    );
    // Brought by a snapshot of its own.
    world.sql("ALTER TABLE days MODIFY COLUMN v STRING").await?;
    eventually("the changed table", async || {
        let text = text_of(&world, "days").await?;
        Ok(text.contains("`v` text"))
    })
    .await?;
    let text = text_of(&world, "days").await?;
    assert!(text.contains(enabled), "after a snapshot: {text}");

    let answer = api.post("delete", &json!({"name": "all"})).await?;
    assert_eq!(answer["success"], json!(true), "{answer}");
    eventually("the end of the sync", async || {
        let text = text_of(&world, "days").await?;
        Ok(text.contains("\"is_being_synced\" = \"false\"") && text.contains(enabled))
    })
    .await?;
    stack.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_deleted_while_a_table_is_brought_leaves_no_staging_table() {
    deleted_meanwhile().await.unwrap();
}

async fn deleted_meanwhile() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let world = World::start(1).await?;
    world.sql(NOTES).await?;
    world.sql("INSERT INTO notes VALUES (1, 'one')").await?;
    let (stack, api) = embedded_stack(folder.path()).await?;
    api.create(&world.database_job("all", 0)).await?;
    api.wait_applied("all", world.source_end().await?, PATIENCE)
        .await?;
    let target = &world.targets[0];
    let staged = async || -> Result<Vec<String>> {
        let mut tables = target.tables(DATABASE).await?;
        tables.retain(|table| table.starts_with("__ccr_"));
        Ok(tables)
    };

    let hold = Rule::always("tablet_download", Effect::Hold);
    let hold = world.source.sim.faults().add(hold);
    world
        .sql("ALTER TABLE notes MODIFY COLUMN v STRING")
        .await?;
    eventually("a staging table", async || Ok(!staged().await?.is_empty())).await?;
    let answer = api.post("delete", &json!({"name": "all"})).await?;
    assert_eq!(answer["success"], json!(true), "{answer}");
    eventually("no staging table", async || Ok(staged().await?.is_empty())).await?;
    world.source.sim.faults().remove(hold);
    stack.stop().await;
    assert_eq!(target.tables(DATABASE).await?, ["notes"]);
    Ok(())
}
