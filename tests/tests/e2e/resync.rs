//! A table stands at what nothing can repeat; a resync on top of the existing tables makes everything equal again.

use std::time::Duration;

use anyhow::{Context, Result};
use ccr_doris::SqlSession;
use ccr_lab::compare::digest;
use ccr_tests::world::DATABASE;
use ccr_tests::{Api, Workload, World, assert_equal, embedded_stack};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_database_follows_again_after_a_resync() {
    database().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_under_another_name_follows_again_after_a_resync() {
    renamed_table().await.unwrap();
}

/// Whoever creates a job over an earlier copy learns which of its tables are of no use any more.
#[tokio::test(flavor = "multi_thread")]
async fn tables_that_the_source_does_not_have_are_named() {
    leftovers().await.unwrap();
}

async fn leftovers() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let world = World::start(1).await?;
    Workload::start(&world, 35, false).await?;
    let target = &world.targets[0].client;
    target
        .execute(None, &format!("CREATE DATABASE {DATABASE}"))
        .await?;
    let old = "CREATE TABLE of_last_year (id INT) DUPLICATE KEY(id) DISTRIBUTED BY HASH(id) BUCKETS 1 PROPERTIES \
               (\"replication_num\" = \"1\")";
    target.execute(Some(DATABASE), old).await?;
    let (stack, api) = embedded_stack(folder.path()).await?;
    let mut job = world.database_job("all", 0);
    job["allow_table_exists"] = json!(true);
    api.create(&job).await?;
    api.wait_until("all", PATIENCE, |status| {
        status["tables_not_at_source"] == json!(["of_last_year"])
    })
    .await?;
    stack.stop().await;
    Ok(())
}

async fn resync(api: &Api, job: &str) -> Result<()> {
    let answer = api.post("resync", &json!({ "name": job })).await?;
    assert_eq!(answer["success"], json!(true), "{answer}");
    Ok(())
}

async fn resync_table(api: &Api, job: &str, table: &str) -> Result<()> {
    let wanted = json!({ "name": job, "table": table });
    let answer = api.post("resync", &wanted).await?;
    assert_eq!(answer["success"], json!(true), "{answer}");
    Ok(())
}

/// Waits for the new life, not for what the one before it left in the status.
async fn wait_following(api: &Api, world: &World, job: &str) -> Result<()> {
    let end = world.source_end().await?.0;
    api.wait_until(job, PATIENCE, |status| {
        status["commit_seq"].as_i64().is_some_and(|at| at >= end)
            && status["tables_not_following"] == json!([])
            && status["resyncing"] == json!([])
    })
    .await
    .context("waiting for the new life of the job")
}

/// A record of a type that no release of today knows.
fn unknown_record(world: &World, table: &str) -> Result<()> {
    let frontend = world.source.sim.frontend();
    frontend
        .write_record(DATABASE, Some(table), 99, json!({"tableId": 1}))
        .context("the table is not there")?;
    Ok(())
}

async fn standing(api: &Api, job: &str, table: &str) -> Result<Value> {
    api.wait_until(job, PATIENCE, |status| {
        status["tables_not_following"]
            .as_array()
            .is_some_and(|tables| tables.iter().any(|t| t["table"] == json!(table)))
    })
    .await?;
    let status = api.status(job).await?;
    Ok(status["tables_not_following"].clone())
}

async fn database() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let world = World::start(1).await?;
    let mut workload = Workload::start(&world, 33, true).await?;
    for _ in 0..20 {
        workload.step(&world).await?;
    }
    world
        .sql("CREATE VIEW months AS SELECT id, v FROM users")
        .await?;
    let (stack, api) = embedded_stack(folder.path()).await?;
    api.create(&world.database_job("all", 0)).await?;
    for _ in 0..20 {
        workload.step(&world).await?;
    }
    let end = world.source_end().await?;
    api.wait_applied("all", end, PATIENCE).await?;

    // What a newer source would send: nothing repeats it, and no snapshot is known to bring it.
    unknown_record(&world, "users")?;
    let tables = standing(&api, "all", "users").await?;
    assert_eq!(tables.as_array().map(Vec::len), Some(1), "{tables}");
    assert!(
        tables[0]["at"].as_i64().is_some_and(|at| at > end.0),
        "{tables}"
    );
    let reason = tables[0]["reason"].as_str().unwrap_or_default();
    assert!(
        reason.contains("unsupported") && reason.contains("`ccr job resync all users`"),
        "{reason}"
    );

    // The others go on.
    let users = |id: u32| {
        format!("INSERT INTO users (id, day, v) VALUES ({id}, '2026-02-09', 'while it stands')")
    };
    world.sql(&users(7002)).await?;
    world
        .sql("INSERT INTO log_a (id, v) VALUES (900001, 'goes on')")
        .await?;
    let end = world.source_end().await?;
    api.wait_applied("all", end, PATIENCE).await?;
    let target = &world.targets[0];
    let both = async |table: &'static str| -> Result<_> {
        let here = digest(&world.source.client, DATABASE, table).await?;
        Ok((here, digest(&target.client, DATABASE, table).await?))
    };
    let (here, there) = both("log_a").await?;
    assert_eq!(here, there);
    let (here, there) = both("users").await?;
    assert_ne!(here, there, "the table stands");

    // To skip what the job is past changes nothing, and says so.
    let at = tables[0]["at"].clone();
    let answer = api
        .post("skip", &json!({"name": "all", "commit_seq": at}))
        .await?;
    let text = answer["error_msg"].as_str().unwrap_or_default();
    assert!(text.contains("ccr job resync all TABLE"), "{answer}");

    // Meanwhile the halted table changes shape, and the rest of the database does not wait either.
    world
        .sql("ALTER TABLE users ADD COLUMN later INT NULL DEFAULT \"3\"")
        .await?;
    let incarnation = stack.registry.get("all")?.incarnation;
    resync_table(&api, "all", "users").await?;
    for _ in 0..30 {
        workload.step(&world).await?;
    }
    world.sql(&users(7003)).await?;
    wait_following(&api, &world, "all").await?;
    let rows = assert_equal((&world.source, DATABASE), (target, DATABASE), |_| true).await?;
    assert!(rows > 40, "{rows}");
    // The job is the same: only that table was brought.
    assert_eq!(stack.registry.get("all")?.incarnation, incarnation);

    // A table that follows, with rows that somebody else has written at the destination.
    let foreign = "INSERT INTO log_a (id, v) VALUES (900002, 'of nobody')";
    target.client.execute(Some(DATABASE), foreign).await?;
    let (here, there) = both("log_a").await?;
    assert_ne!(here, there);
    resync_table(&api, "all", "log_a").await?;
    resync_table(&api, "all", "log_a").await?;
    for _ in 0..10 {
        workload.step(&world).await?;
    }
    wait_following(&api, &world, "all").await?;
    assert_equal((&world.source, DATABASE), (target, DATABASE), |_| true).await?;

    // A table that is dropped at the source is dropped at the destination and off the list, though it was halted.
    unknown_record(&world, "log_b")?;
    standing(&api, "all", "log_b").await?;
    world.sql("DROP TABLE log_b FORCE").await?;
    wait_following(&api, &world, "all").await?;
    assert!(!target.tables(DATABASE).await?.contains(&"log_b".to_owned()));
    world.sql(&users(7004)).await?;
    wait_following(&api, &world, "all").await?;
    assert_equal((&world.source, DATABASE), (target, DATABASE), |_| true).await?;
    stack.stop().await;
    Ok(())
}

async fn renamed_table() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let world = World::start(1).await?;
    let mut workload = Workload::start(&world, 34, false).await?;
    for _ in 0..20 {
        workload.step(&world).await?;
    }
    let (stack, api) = embedded_stack(folder.path()).await?;
    api.create(&world.table_job("one", 0, "log_a", "journal"))
        .await?;
    for _ in 0..10 {
        workload.step(&world).await?;
    }
    let end = world.source_end().await?;
    api.wait_applied("one", end, PATIENCE).await?;
    // Not the job's: it stays as it is.
    let target = &world.targets[0];
    let foreign = "CREATE TABLE foreign_one (id INT) DUPLICATE KEY(id) DISTRIBUTED BY HASH(id) BUCKETS 1 PROPERTIES \
                   (\"replication_num\" = \"1\")";
    for sql in [foreign, "INSERT INTO foreign_one VALUES (1), (2)"] {
        target.client.execute(Some(DATABASE), sql).await?;
    }

    for round in 0..2 {
        unknown_record(&world, "log_a")?;
        let tables = standing(&api, "one", "log_a").await?;
        let reason = tables[0]["reason"].as_str().unwrap_or_default();
        assert!(reason.contains("`ccr job resync one log_a`"), "{reason}");
        resync(&api, "one").await?;
        for _ in 0..10 {
            workload.step(&world).await?;
        }
        world
            .sql(&format!(
                "INSERT INTO log_a (id, v) VALUES (90000{round}, 'after')"
            ))
            .await?;
        wait_following(&api, &world, "one").await?;
        assert_eq!(target.tables(DATABASE).await?, ["foreign_one", "journal"]);
        let here = digest(&world.source.client, DATABASE, "log_a").await?;
        let there = digest(&target.client, DATABASE, "journal").await?;
        assert_eq!(here, there);
        assert!(here.rows > 0);
        let kept = digest(&target.client, DATABASE, "foreign_one").await?;
        assert_eq!(kept.rows, 2);
    }
    stack.stop().await;
    Ok(())
}
