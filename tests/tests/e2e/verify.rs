//! `ccr verify`, as a user runs it: beside a running job, and after somebody has changed the copy.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use ccr_doris::SqlSession;
use ccr_tests::world::DATABASE;
use ccr_tests::{Binary, Workload, World, embedded_stack};
use serde_json::{Value, json};
use tokio::process::Command;

#[tokio::test(flavor = "multi_thread")]
async fn copies_are_equal_while_written_and_a_foreign_change_is_found() {
    run().await.unwrap();
}

async fn run() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let world = World::start(1).await?;
    let mut workload = Workload::start(&world, 5, false).await?;
    world
        .sql(
            "CREATE TABLE types (k INT NOT NULL, d DECIMAL(10, 2) NULL, s STRING NULL, a ARRAY<INT> NULL, j JSON NULL, f DOUBLE NULL) \
             DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 2 PROPERTIES (\"replication_num\" = \"1\")",
        )
        .await?;
    world
        .sql("INSERT INTO types VALUES (1, 1.5, 'x', [1, 2], '{\"a\": 1}', 0.1), (2, NULL, '', NULL, NULL, NULL)")
        .await?;
    world
        .sql(
            "CREATE TABLE sketches (k INT NOT NULL, b BITMAP BITMAP_UNION NOT NULL, h HLL HLL_UNION NOT NULL) AGGREGATE KEY(k) \
             DISTRIBUTED BY HASH(k) BUCKETS 1 PROPERTIES (\"replication_num\" = \"1\")",
        )
        .await?;
    world
        .sql("INSERT INTO sketches VALUES (1, TO_BITMAP(7), HLL_HASH('a')), (1, TO_BITMAP(9), HLL_HASH('b'))")
        .await?;
    world
        .sql("CREATE VIEW latest AS SELECT k, s FROM types")
        .await?;
    for _ in 0..20 {
        workload.step(&world).await?;
    }
    let (stack, api) = embedded_stack(folder.path()).await?;
    let job = world.database_job("checked", 0);
    api.create(&job).await?;
    let end = world.source_end().await?;
    api.wait_applied("checked", end, Duration::from_secs(60))
        .await?;

    // Written to all the time: a copy that follows is equal.
    let verifying = verify(folder.path(), &job, &[]);
    tokio::pin!(verifying);
    let (code, findings) = loop {
        tokio::select! {
            done = &mut verifying => break done?,
            stepped = workload.step(&world) => stepped?,
        }
        tokio::time::sleep(Duration::from_millis(150)).await;
    };
    assert_eq!(code, Some(0), "{findings:#}");
    let names: Vec<_> = findings
        .as_array()
        .context("a list of findings")?
        .iter()
        .filter_map(|finding| finding["object"].as_str())
        .collect();
    assert_eq!(
        names,
        [
            "latest", "log_a", "log_b", "sketches", "totals", "types", "users"
        ]
    );

    // Somebody changes values, a partition, a column, and the list of tables.
    let target = &world.targets[0].client;
    for sql in [
        "INSERT INTO types VALUES (2, NULL, NULL, NULL, NULL, NULL)",
        "DELETE FROM types PARTITION types WHERE s = ''",
        "INSERT INTO users VALUES (777, '2026-02-07', 'not from the source')",
        "DROP VIEW latest",
        "CREATE TABLE foreign_one (k INT) DISTRIBUTED BY HASH(k) BUCKETS 1 PROPERTIES (\"replication_num\" = \"1\")",
    ] {
        target
            .execute(Some(DATABASE), sql)
            .await
            .with_context(|| sql.to_owned())?;
    }
    let (code, findings) = verify(folder.path(), &job, &[]).await?;
    assert_eq!(code, Some(3), "{findings:#}");
    let told = |object: &str| {
        let finding = findings
            .as_array()?
            .iter()
            .find(|f| f["object"] == object)?;
        Some((finding["result"].as_str()?, finding["detail"].as_str()?))
    };
    assert_eq!(told("log_a"), Some(("equal", "")));
    assert_eq!(
        told("types"),
        Some(("different", "values")),
        "NULL is not ''"
    );
    assert_eq!(told("users"), Some(("different", "number of rows")));
    assert_eq!(
        told("latest"),
        Some(("different", "missing at the destination"))
    );
    assert_eq!(
        told("foreign_one"),
        Some(("different", "only at the destination"))
    );
    let users = findings
        .as_array()
        .and_then(|all| all.iter().find(|f| f["object"] == "users"))
        .context("users")?;
    let partitions = users["partitions"].as_array().context("partitions")?;
    assert_eq!(partitions.len(), 1, "{partitions:?}");
    assert!(
        partitions[0]
            .as_str()
            .is_some_and(|p| p.starts_with("p2: ")),
        "{partitions:?}"
    );

    let (code, _) = verify(folder.path(), &job, &["--table", "log_a"]).await?;
    assert_eq!(code, Some(0), "one table alone");
    let mut wrong = job.clone();
    wrong["dest"]["database"] = json!("no_such_database");
    let (code, _) = verify(folder.path(), &wrong, &[]).await?;
    assert_eq!(code, Some(1), "what can not be listed is an error");
    stack.stop().await;
    Ok(())
}

/// Runs `ccr verify`: its exit code and the findings, null when it wrote none.
async fn verify(folder: &Path, job: &Value, more: &[&str]) -> Result<(Option<i32>, Value)> {
    let (file, json) = (folder.join("job.json"), folder.join("findings.json"));
    tokio::fs::write(&file, serde_json::to_vec(job)?).await?;
    if json.exists() {
        tokio::fs::remove_file(&json).await?;
    }
    let output = Command::new(Binary::Ccr.path()?)
        .arg("verify")
        .arg(&file)
        .args(["--pause", "1", "--patience", "60", "--json"])
        .arg(&json)
        .args(more)
        .kill_on_drop(true)
        .output()
        .await?;
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(!text.contains("DIFFERENT") || output.status.code() == Some(3));
    let findings = match tokio::fs::read(&json).await {
        Ok(bytes) => serde_json::from_slice(&bytes)?,
        Err(_) => Value::Null,
    };
    Ok((output.status.code(), findings))
}
