//! A data folder is put back to an older copy: what DDL that is run again removes is not taken for applied because the
//! destination still knows the labels, and one command makes everything equal again.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ccr_ops::SystemClock;
use ccr_tests::world::DATABASE;
use ccr_tests::{Api, Binary, Process, World, assert_equal};
use serde_json::{Value, json};

use crate::chaos::free_address;

const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn a_data_folder_that_was_put_back_halts_its_tables_and_a_resync_repairs_them() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("ccr.log");
    let result = put_back(folder.path(), &log).await;
    result
        .with_context(|| ccr_tests::process::tail(&log))
        .unwrap();
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// `ccr standalone` on a folder, when it answers.
async fn ccr(folder: &Path, log: &Path) -> Result<(Process, Api)> {
    let address = free_address();
    let data = folder.join("data").display().to_string();
    let args = [
        "standalone",
        "--listen",
        &address.to_string(),
        "--data-dir",
        &data,
    ];
    let process = Process::start(Binary::Ccr, &args.map(str::to_owned), log)?;
    let api = Api::at(address);
    let clock = SystemClock::shared();
    let deadline = clock.monotonic() + PATIENCE;
    while api.post("list_jobs", &json!({})).await.is_err() {
        ensure!(clock.monotonic() < deadline, "the API does not answer");
        clock.sleep(Duration::from_millis(50)).await;
    }
    Ok((process, api))
}

async fn sql(world: &World, statements: &[&str]) -> Result<()> {
    for statement in statements {
        world.sql(statement).await?;
    }
    Ok(())
}

fn create(table: &str) -> String {
    format!(
        "CREATE TABLE {table} (k INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 2 \
         PROPERTIES (\"replication_num\" = \"1\")"
    )
}

/// Both tables are named with a reason that names the repair.
fn both_halted(status: &Value) -> bool {
    let tables = status["tables_not_following"].as_array();
    let names = |name: &str| {
        tables.into_iter().flatten().any(|table| {
            let text = table.to_string();
            text.contains(&format!("ccr job resync j {name}"))
                && text.contains("went back to an older state")
        })
    };
    names("t") && names("u")
}

async fn put_back(folder: &Path, log: &Path) -> Result<()> {
    let world = World::start(1).await?;
    let (t, u, other) = (create("t"), create("u"), create("other"));
    sql(
        &world,
        &[
            &t,
            &u,
            &other,
            "INSERT INTO t VALUES (1)",
            "INSERT INTO u VALUES (1)",
            "INSERT INTO other VALUES (1)",
        ],
    )
    .await?;
    let (mut process, mut api) = ccr(folder, log).await?;
    api.create(&world.database_job("j", 0)).await?;
    sql(&world, &["INSERT INTO u VALUES (2)"]).await?;
    api.wait_following("j", world.source_end().await?, PATIENCE)
        .await?;

    // A backup of the data folder, then DDL and loads that it does not know.
    process.kill9()?;
    let (data, backup) = (folder.join("data"), folder.join("backup"));
    copy(&data, &backup)?;
    (process, api) = ccr(folder, log).await?;
    sql(
        &world,
        &[
            "DROP TABLE t FORCE",
            &t,
            "INSERT INTO t VALUES (2), (3)",
            "TRUNCATE TABLE u",
            "INSERT INTO u VALUES (5)",
            "INSERT INTO other VALUES (2)",
        ],
    )
    .await?;
    api.wait_following("j", world.source_end().await?, PATIENCE)
        .await?;

    // The backup is put back: no row is lost silently, and what lost nothing goes on.
    process.kill9()?;
    std::fs::remove_dir_all(&data)?;
    copy(&backup, &data)?;
    (process, api) = ccr(folder, log).await?;
    api.wait_until("j", PATIENCE, both_halted).await?;
    process.kill9()?;
    (process, api) = ccr(folder, log).await?;
    api.wait_until("j", PATIENCE, both_halted).await?;

    // One command repairs it, wherever a kill meets it.
    let answer = api
        .post("resync", &json!({ "name": "j", "tables": ["t", "u"] }))
        .await?;
    ensure!(answer["success"] == json!(true), "{answer}");
    process.kill9()?;
    (process, api) = ccr(folder, log).await?;
    sql(
        &world,
        &[
            "INSERT INTO t VALUES (4)",
            "INSERT INTO u VALUES (6)",
            "INSERT INTO other VALUES (3)",
        ],
    )
    .await?;
    api.wait_until("j", PATIENCE, |status| {
        status["tables_not_following"] == json!([]) && status["resyncing"] == json!([])
    })
    .await?;
    api.wait_following("j", world.source_end().await?, PATIENCE)
        .await?;
    let target = &world.targets[0];
    let rows = assert_equal((&world.source, DATABASE), (target, DATABASE), |_| true).await?;
    ensure!(rows == 8, "{rows} rows");
    process.kill9()
}
