//! What no statement repeats: the table comes by a snapshot of its own, and the others do not wait for it.

use std::time::Duration;

use anyhow::{Context, Result};
use ccr_doris::SqlSession;
use ccr_lab::compare::digest;
use ccr_tests::world::DATABASE;
use ccr_tests::{Api, Workload, World, assert_equal, embedded_stack};
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(60);

/// Changes that go by a snapshot, each followed by rows that need it.
const CHANGES: [&[&str]; 8] = [
    // A job that writes everything again.
    &[
        "ALTER TABLE log_a MODIFY COLUMN v STRING",
        "INSERT INTO log_a (id, v) VALUES (900001, 'after the heavy change')",
    ],
    &[
        "INSERT OVERWRITE TABLE log_b SELECT id, v FROM log_a WHERE id < 40",
        "INSERT INTO log_b (id, v) VALUES (900002, 'after the overwrite')",
    ],
    &[
        "ALTER TABLE users ADD TEMPORARY PARTITION tp VALUES [(\"2026-01-01\"), (\"2026-02-01\"))",
        "INSERT INTO users TEMPORARY PARTITION (tp) (id, day, v) VALUES (7001, '2026-01-09', 'replaced')",
        "ALTER TABLE users REPLACE PARTITION (p1) WITH TEMPORARY PARTITION (tp)",
        "INSERT INTO users (id, day, v) VALUES (7002, '2026-01-10', 'after the replacement')",
    ],
    &[
        "ALTER TABLE totals ADD ROLLUP by_k (k, n)",
        "INSERT INTO totals VALUES (3, 100, 1)",
    ],
    &[
        "ALTER TABLE log_a ADD INDEX words (v) USING INVERTED",
        "INSERT INTO log_a (id, v) VALUES (900003, 'after the index')",
    ],
    // The index' id is part of its files.
    &[
        "CREATE TABLE notes (id BIGINT, v STRING, INDEX words (v) USING INVERTED) DUPLICATE KEY(id) \
         DISTRIBUTED BY HASH(id) BUCKETS 2 PROPERTIES (\"replication_num\" = \"1\")",
        "INSERT INTO notes (id, v) VALUES (1, 'one'), (2, 'two')",
    ],
    &[
        "ALTER TABLE users DROP PARTITION p2",
        "RECOVER PARTITION p2 FROM users",
        "INSERT INTO users (id, day, v) VALUES (7003, '2026-02-10', 'after the recovery')",
    ],
    &[
        "DROP TABLE totals",
        "RECOVER TABLE totals",
        "INSERT INTO totals VALUES (4, 100, 1)",
    ],
];

#[tokio::test(flavor = "multi_thread")]
async fn changes_without_a_statement_arrive_by_a_snapshot_of_their_table() {
    run().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_renamed_before_its_snapshot_arrives_under_its_new_name() {
    renamed_meanwhile().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_are_exchanged_before_their_snapshots_arrive_exchanged() {
    exchanged_meanwhile().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_under_another_name_keeps_it() {
    renamed().await.unwrap();
}

/// Waits for everything, with no table left behind.
async fn wait_following(api: &Api, world: &World, job: &str) -> Result<()> {
    let end = world.source_end().await?;
    api.wait_applied(job, end, PATIENCE).await?;
    let status = api.status(job).await?;
    assert_eq!(status["tables_not_following"], json!([]), "{status:#}");
    Ok(())
}

async fn run() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let world = World::start(1).await?;
    let mut workload = Workload::start(&world, 51, true).await?;
    for _ in 0..30 {
        workload.step(&world).await?;
    }
    let (stack, api) = embedded_stack(folder.path()).await?;
    api.create(&world.database_job("all", 0)).await?;
    for _ in 0..10 {
        workload.step(&world).await?;
    }
    let target = &world.targets[0];
    for change in CHANGES {
        for statement in change {
            // A heavy change refuses others while it runs.
            retried(&world, statement).await?;
            let is_away = statement.starts_with("DROP TABLE");
            for _ in 0..if is_away { 0 } else { 3 } {
                workload.step(&world).await?;
            }
        }
        wait_following(&api, &world, "all")
            .await
            .with_context(|| format!("after {change:?}"))?;
        let rows = assert_equal((&world.source, DATABASE), (target, DATABASE), |_| true)
            .await
            .with_context(|| format!("after {change:?}"))?;
        assert!(rows > 40, "{rows}");
    }
    // The shapes, too: columns, rollups, indexes.
    for question in [
        "DESC log_a ALL",
        "DESC totals ALL",
        "SHOW PARTITIONS FROM users",
        "SHOW INDEX FROM log_a",
    ] {
        let here = shape(&world.source.client, question).await?;
        let there = shape(&target.client, question).await?;
        assert_eq!(here, there, "{question}");
        assert!(!here.is_empty(), "{question}");
    }
    let left = target.tables(DATABASE).await?;
    let aside: Vec<_> = left.iter().filter(|t| t.starts_with("__ccr")).collect();
    assert!(aside.is_empty(), "{aside:?}");
    stack.stop().await;
    Ok(())
}

/// What names and types an answer shows; ids and times differ.
async fn shape(
    client: &impl SqlSession,
    question: &str,
) -> Result<Vec<Vec<(String, Option<String>)>>> {
    const TOLD: [&str; 6] = [
        "Field",
        "Type",
        "IndexName",
        "PartitionName",
        "Range",
        "Key_name",
    ];
    let rows = client.query(Some(DATABASE), question).await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            row.into_iter()
                .filter(|(column, _)| TOLD.contains(&column.as_str()))
                .collect()
        })
        .collect())
}

async fn renamed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let world = World::start(1).await?;
    let mut workload = Workload::start(&world, 52, false).await?;
    for _ in 0..30 {
        workload.step(&world).await?;
    }
    let (stack, api) = embedded_stack(folder.path()).await?;
    api.create(&world.table_job("one", 0, "log_a", "journal"))
        .await?;
    for round in 0..3 {
        world
            .sql("INSERT OVERWRITE TABLE log_a SELECT id, v FROM log_a WHERE id % 3 <> 0")
            .await?;
        for _ in 0..10 {
            workload.step(&world).await?;
        }
        wait_following(&api, &world, "one").await?;
        let target = &world.targets[0];
        assert_eq!(target.tables(DATABASE).await?, ["journal"], "round {round}");
        let here = digest(&world.source.client, DATABASE, "log_a").await?;
        let there = digest(&target.client, DATABASE, "journal").await?;
        assert_eq!(here, there, "round {round}");
        assert!(here.rows > 5);
    }
    stack.stop().await;
    Ok(())
}

/// While the job is paused the table changes shape and name, and another takes its name.
async fn renamed_meanwhile() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let world = World::start(1).await?;
    let mut workload = Workload::start(&world, 53, false).await?;
    for _ in 0..20 {
        workload.step(&world).await?;
    }
    let (stack, api) = embedded_stack(folder.path()).await?;
    api.create(&world.database_job("all", 0)).await?;
    wait_following(&api, &world, "all").await?;
    api.post("pause", &json!({"name": "all"})).await?;
    api.wait_until("all", PATIENCE, |status| status["phase"] == json!("paused"))
        .await?;
    for statement in [
        "ALTER TABLE log_a MODIFY COLUMN v STRING",
        "ALTER TABLE log_a RENAME log_old",
        "CREATE TABLE log_a LIKE log_b",
        "INSERT INTO log_a VALUES (1, 'of the new one')",
        "INSERT INTO log_old VALUES (2, 'of the old one')",
        "ALTER TABLE log_old RENAME log_older",
    ] {
        retried(&world, statement).await?;
    }
    api.post("resume", &json!({"name": "all"})).await?;
    wait_following(&api, &world, "all").await?;
    let target = &world.targets[0];
    assert_equal((&world.source, DATABASE), (target, DATABASE), |_| true).await?;
    let kept = digest(&target.client, DATABASE, "log_older").await?;
    assert!(kept.rows > 5, "{}", kept.rows);
    stack.stop().await;
    Ok(())
}

/// While the job is paused tables are prepared and take the places of others, with and without leaving their own to them.
async fn exchanged_meanwhile() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let world = World::start(1).await?;
    let mut workload = Workload::start(&world, 54, false).await?;
    for _ in 0..20 {
        workload.step(&world).await?;
    }
    let (stack, api) = embedded_stack(folder.path()).await?;
    api.create(&world.database_job("all", 0)).await?;
    wait_following(&api, &world, "all").await?;
    api.post("pause", &json!({"name": "all"})).await?;
    api.wait_until("all", PATIENCE, |status| status["phase"] == json!("paused"))
        .await?;
    for statement in [
        // Prepared by an overwrite, changed, put into place, changed again, and its old name is used again.
        "CREATE TABLE stage LIKE log_a",
        "INSERT OVERWRITE TABLE stage SELECT id, v FROM log_a WHERE id % 2 = 0",
        "ALTER TABLE stage MODIFY COLUMN v STRING",
        "INSERT INTO stage VALUES (1, 'before the exchange')",
        "ALTER TABLE log_a REPLACE WITH TABLE stage PROPERTIES (\"swap\" = \"false\")",
        "INSERT INTO log_a VALUES (2, 'after the exchange')",
        "INSERT OVERWRITE TABLE log_a SELECT id, v FROM log_a WHERE id <> 3",
        "CREATE TABLE stage LIKE log_b",
        "INSERT INTO stage VALUES (3, 'the name again')",
        // Both change, then they change places, twice with a rename between.
        "INSERT OVERWRITE TABLE users SELECT * FROM users WHERE id % 2 = 1",
        "ALTER TABLE totals ADD ROLLUP by_k (k, n)",
        "ALTER TABLE totals REPLACE WITH TABLE users PROPERTIES (\"swap\" = \"true\")",
        "INSERT INTO totals (id, day, v) VALUES (9001, '2026-01-09', 'users by another name')",
        "ALTER TABLE users RENAME sums",
        "INSERT INTO sums VALUES (7, 1, 1)",
        "ALTER TABLE sums REPLACE WITH TABLE log_b PROPERTIES (\"swap\" = \"true\")",
        "INSERT INTO log_b VALUES (8, 1, 1)",
    ] {
        retried(&world, statement).await?;
    }
    api.post("resume", &json!({"name": "all"})).await?;
    wait_following(&api, &world, "all").await?;
    let target = &world.targets[0];
    assert_equal((&world.source, DATABASE), (target, DATABASE), |_| true).await?;
    world
        .sql("INSERT INTO log_a VALUES (4, 'and it goes on')")
        .await?;
    wait_following(&api, &world, "all").await?;
    assert_equal((&world.source, DATABASE), (target, DATABASE), |_| true).await?;
    for question in ["DESC log_a ALL", "DESC log_b ALL", "DESC totals ALL"] {
        let here = shape(&world.source.client, question).await?;
        assert_eq!(here, shape(&target.client, question).await?, "{question}");
    }
    stack.stop().await;
    Ok(())
}

async fn retried(world: &World, statement: &str) -> Result<()> {
    let mut last = Ok(());
    for _ in 0..100 {
        last = world
            .source
            .client
            .execute(Some(DATABASE), statement)
            .await
            .with_context(|| format!("at the source: {statement}"));
        if last.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    last
}
