//! DDL takes away what the source took away, and nothing else.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ccr_doris::SqlSession;
use ccr_lab::compare::digest;
use ccr_tests::world::DATABASE;
use ccr_tests::{Workload, World, embedded_stack};
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_truncate_of_one_partition_leaves_the_others_also_from_old_releases() {
    old_truncate().await.unwrap();
}

/// Releases before mid-2024 name the partitions in the statement alone.
async fn old_truncate() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let world = World::start(1).await?;
    Workload::start(&world, 61, false).await?;
    for (id, day) in [(1, "2026-01-05"), (2, "2026-02-05"), (3, "2026-02-06")] {
        world
            .sql(&format!("INSERT INTO users VALUES ({id}, '{day}', 'v')"))
            .await?;
    }
    let (stack, api) = embedded_stack(folder.path()).await?;
    api.create(&world.database_job("all", 0)).await?;
    api.wait_following("all", world.source_end().await?, PATIENCE)
        .await?;
    let table = world.table_id("users").await?;
    world
        .source
        .sim
        .frontend()
        .write_record(
            DATABASE,
            Some("users"),
            13,
            json!({"tblId": table, "table": "users", "isEntireTable": false, "rawSql": "PARTITIONS (p1)"}),
        )
        .context("the record was not written")?;
    api.wait_following("all", world.source_end().await?, PATIENCE)
        .await?;
    let target = &world.targets[0];
    let rows = target
        .client
        .query(Some(DATABASE), "SELECT id FROM users ORDER BY id")
        .await?;
    let ids: Vec<_> = rows.iter().map(|row| row["id"].clone()).collect();
    assert_eq!(ids, [Some("2".to_owned()), Some("3".to_owned())]);
    stack.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_source_can_recover_the_destination_can_recover_too() {
    recoverable().await.unwrap();
}

async fn recoverable() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let world = World::start(1).await?;
    let mut workload = Workload::start(&world, 62, false).await?;
    for _ in 0..20 {
        workload.step(&world).await?;
    }
    let (stack, api) = embedded_stack(folder.path()).await?;
    api.create(&world.database_job("all", 0)).await?;
    api.wait_following("all", world.source_end().await?, PATIENCE)
        .await?;
    let before = digest(&world.source.client, DATABASE, "log_a").await?;
    world.sql("DROP TABLE log_a").await?;
    world.sql("ALTER TABLE users DROP PARTITION p1").await?;
    api.wait_following("all", world.source_end().await?, PATIENCE)
        .await?;
    let target = &world.targets[0];
    ensure!(!target.tables(DATABASE).await?.contains(&"log_a".to_owned()));
    for statement in ["RECOVER TABLE log_a", "RECOVER PARTITION p1 FROM users"] {
        target
            .client
            .execute(Some(DATABASE), statement)
            .await
            .with_context(|| format!("at the destination: {statement}"))?;
    }
    assert_eq!(digest(&target.client, DATABASE, "log_a").await?, before);
    stack.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_view_arrives_with_its_columns_and_comments() {
    views().await.unwrap();
}

async fn views() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let world = World::start(1).await?;
    Workload::start(&world, 63, false).await?;
    world
        .sql("CREATE VIEW v AS SELECT id, v FROM log_a")
        .await?;
    let (stack, api) = embedded_stack(folder.path()).await?;
    api.create(&world.database_job("all", 0)).await?;
    api.wait_following("all", world.source_end().await?, PATIENCE)
        .await?;
    for statement in [
        "CREATE OR REPLACE VIEW v (x COMMENT 'it is c', y) COMMENT 'd' AS SELECT id, v FROM log_b",
        "ALTER VIEW v (x COMMENT 'e', z) AS SELECT id, v FROM log_a",
        "ALTER VIEW v MODIFY COMMENT 'f'",
    ] {
        world.sql(statement).await?;
        api.wait_following("all", world.source_end().await?, PATIENCE)
            .await?;
        let question = "SHOW CREATE VIEW v";
        let here = world.source.client.query(Some(DATABASE), question).await?;
        let there = world.targets[0]
            .client
            .query(Some(DATABASE), question)
            .await?;
        assert_eq!(here, there, "after {statement}");
    }
    stack.stop().await;
    Ok(())
}
