//! DDL takes away what the source took away, and nothing else.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ccr_cli::stack::Stack;
use ccr_doris::SqlSession;
use ccr_lab::compare::digest;
use ccr_schemas::CommitSeq;
use ccr_tests::world::DATABASE;
use ccr_tests::{Workload, World, assert_equal, embedded_stack};
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

/// The source deletes the data of a dropped rollup at once, also of transactions that were not fetched yet.
#[tokio::test(flavor = "multi_thread")]
async fn a_load_whose_rollup_is_dropped_before_it_is_applied_arrives_without_it() {
    dropped_rollups().await.unwrap();
}

async fn dropped_rollups() -> Result<()> {
    let cases: [&[&str]; 4] = [
        &["ALTER TABLE totals DROP ROLLUP by_k"],
        &[
            "ALTER TABLE totals RENAME ROLLUP by_k by_key",
            "INSERT INTO totals VALUES (6, 60, 6)",
            "ALTER TABLE totals DROP ROLLUP by_key",
        ],
        &["DROP MATERIALIZED VIEW by_k ON totals"],
        &[
            "ALTER TABLE totals DROP ROLLUP by_k",
            "ALTER TABLE totals ADD ROLLUP by_k (k, n)",
            "INSERT INTO totals VALUES (6, 60, 6)",
            // Refused until the rollup is built.
            "ALTER TABLE totals RENAME ROLLUP by_k by_key",
        ],
    ];
    for (case, drops) in cases.into_iter().enumerate() {
        let folder = tempfile::tempdir()?;
        let world = World::start(1).await?;
        Workload::start(&world, 64, false).await?;
        world
            .sql("ALTER TABLE totals ADD ROLLUP by_k (k, n)")
            .await?;
        retried(&world, "INSERT INTO totals VALUES (1, 10, 1)").await?;
        let (stack, api) = embedded_stack(folder.path()).await?;
        api.create(&world.database_job("all", 0)).await?;
        api.wait_following("all", world.source_end().await?, PATIENCE)
            .await?;
        api.post("pause", &json!({"name": "all"})).await?;
        api.wait_until("all", PATIENCE, |status| status["phase"] == json!("paused"))
            .await?;
        for statement in [
            "INSERT INTO totals VALUES (2, 20, 2), (3, 30, 3)",
            "INSERT INTO totals VALUES (4, 40, 4)",
        ] {
            world.sql(statement).await?;
        }
        // The log has the places of the rollup's data, and the source drops it.
        let end = world.source_end().await?;
        published(&stack, end).await?;
        for statement in drops {
            retried(&world, statement).await?;
        }
        world.sql("INSERT INTO totals VALUES (5, 50, 5)").await?;
        api.post("resume", &json!({"name": "all"})).await?;
        api.wait_following("all", world.source_end().await?, PATIENCE)
            .await
            .with_context(|| format!("case {case}"))?;
        let target = (&world.targets[0], DATABASE);
        assert_equal((&world.source, DATABASE), target, |_| true)
            .await
            .with_context(|| format!("case {case}"))?;
        let rollups = "DESC totals ALL";
        let here = world.source.client.query(Some(DATABASE), rollups).await?;
        let there = target.0.client.query(Some(DATABASE), rollups).await?;
        assert_eq!(here.len(), there.len(), "case {case}");
        stack.stop().await;
    }
    Ok(())
}

/// Waits until the log has everything up to a position.
async fn published(stack: &Stack, end: CommitSeq) -> Result<()> {
    let source = stack.registry.get("all")?.source;
    let wait = async {
        loop {
            let stream = stack.status.stream(&source.cluster_name, DATABASE);
            if stream.is_some_and(|stream| stream.published >= end) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait)
        .await
        .with_context(|| format!("position {end} is not in the log"))
}

/// A job that changes a table refuses others while it runs.
async fn retried(world: &World, statement: &str) -> Result<()> {
    let mut last = Ok(());
    for _ in 0..100 {
        last = world.sql(statement).await;
        if last.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    last
}
