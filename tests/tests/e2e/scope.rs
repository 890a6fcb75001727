//! Which table an event belongs to: names that come to a job, leave it, or pass from one table to another.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ccr_cli::stack::Stack;
use ccr_doris::SqlSession;
use ccr_lab::compare::digest;
use ccr_tests::world::DATABASE;
use ccr_tests::{Api, Workload, World, assert_equal, embedded_stack};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::restore;

const PATIENCE: Duration = Duration::from_secs(90);

/// A job that follows, its source and its destination.
struct Scene {
    world: World,
    stack: Stack,
    api: Api,
    _folder: TempDir,
}

impl Scene {
    /// Runs the statements at the source, starts the job that `body` makes, and waits until it follows.
    async fn start(seed: u64, prepare: &[&str], body: impl Fn(&World) -> Value) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let world = World::start(1).await?;
        let mut workload = Workload::start(&world, seed, false).await?;
        for _ in 0..20 {
            workload.step(&world).await?;
        }
        for statement in prepare {
            world.sql(statement).await?;
        }
        let (stack, api) = embedded_stack(folder.path()).await?;
        api.create(&body(&world)).await?;
        let scene = Self {
            world,
            stack,
            api,
            _folder: folder,
        };
        scene.follow().await?;
        Ok(scene)
    }

    /// Waits until everything is applied and every table follows.
    async fn follow(&self) -> Result<()> {
        let end = self.world.source_end().await?;
        self.api.wait_following("job", end, PATIENCE).await
    }

    /// Runs statements at the source; with `paused` the job comes to them together.
    async fn run(&self, statements: &[&str], paused: bool) -> Result<()> {
        let name = json!({"name": "job"});
        if paused {
            self.api.post("pause", &name).await?;
            self.api
                .wait_until("job", PATIENCE, |status| status["phase"] == json!("paused"))
                .await?;
        }
        for statement in statements {
            self.retried(statement).await?;
        }
        if paused {
            self.api.post("resume", &name).await?;
        }
        Ok(())
    }

    /// A heavy change refuses others while it runs.
    async fn retried(&self, statement: &str) -> Result<()> {
        let mut last = Ok(());
        for _ in 0..100 {
            last = self.world.sql(statement).await;
            if last.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        last
    }

    /// Compares every row of the tables that the job takes.
    async fn compare(&self, takes: impl Fn(&str) -> bool) -> Result<u64> {
        let target = (&self.world.targets[0], DATABASE);
        assert_equal((&self.world.source, DATABASE), target, takes).await
    }
}

fn excluding(world: &World, tables: &[&str]) -> Value {
    let mut body = world.database_job("job", 0);
    body["tables"] = json!({ "exclude": tables });
    body
}

const STAGE: &str = "CREATE TABLE stage LIKE log_a";

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_takes_a_name_of_the_job_comes_by_a_snapshot() {
    comes_in().await.unwrap();
}

async fn comes_in() -> Result<()> {
    let prepare = [STAGE, "INSERT INTO stage VALUES (1, 'written outside')"];
    for paused in [false, true] {
        let scene = Scene::start(71, &prepare, |world| excluding(world, &["stage"])).await?;
        let statements = [
            "INSERT INTO stage VALUES (2, 'still outside')",
            "ALTER TABLE stage RENAME arrived",
            "INSERT INTO arrived VALUES (3, 'inside')",
            // Prepared outside, then put into the place of a table of the job; with and without leaving its own to it.
            STAGE,
            "INSERT INTO stage VALUES (4, 'prepared')",
            "ALTER TABLE log_a REPLACE WITH TABLE stage PROPERTIES (\"swap\" = \"false\")",
            "INSERT INTO log_a VALUES (5, 'in its place')",
            "CREATE TABLE stage LIKE log_b",
            "INSERT INTO stage VALUES (6, 'prepared')",
            "ALTER TABLE log_b REPLACE WITH TABLE stage PROPERTIES (\"swap\" = \"true\")",
            "INSERT INTO stage VALUES (7, 'of no interest')",
            "INSERT INTO log_b VALUES (8, 'in its place')",
            "INSERT INTO log_b VALUES (9, 'and on')",
        ];
        scene.run(&statements, paused).await?;
        scene.follow().await?;
        let rows = scene.compare(|table| table != "stage").await?;
        ensure!(rows > 5, "{rows} rows");
        scene.stack.stop().await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_one_table_follows_its_name_through_an_exchange() {
    exchange_of_one_table().await.unwrap();
}

async fn exchange_of_one_table() -> Result<()> {
    let prepare = [
        "CREATE TABLE other LIKE log_a",
        "INSERT INTO other VALUES (1, 'of the other')",
    ];
    for swap in ["true", "false"] {
        let table_job = |world: &World| world.table_job("job", 0, "log_a", "journal");
        let scene = Scene::start(72, &prepare, table_job).await?;
        let exchange = format!(
            "ALTER TABLE log_a REPLACE WITH TABLE other PROPERTIES (\"swap\" = \"{swap}\")"
        );
        let statements = [
            "INSERT INTO log_a VALUES (5, 'of the old one')",
            &exchange,
            "INSERT INTO log_a VALUES (6, 'of the new one')",
            "INSERT INTO log_a VALUES (7, 'of the new one')",
        ];
        scene.run(&statements, false).await?;
        scene.follow().await?;
        let here = digest(&scene.world.source.client, DATABASE, "log_a").await?;
        let there = digest(&scene.world.targets[0].client, DATABASE, "journal").await?;
        assert_eq!(here, there, "swap {swap}");
        assert_eq!(here.rows, 3, "swap {swap}");
        scene.stack.stop().await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_leaves_the_job_halts_and_follows_again_when_it_comes_back() {
    leaves_and_returns().await.unwrap();
}

async fn leaves_and_returns() -> Result<()> {
    for back in ["log_a", "returned"] {
        let scene = Scene::start(73, &[], |world| excluding(world, &["outside"])).await?;
        let statements = [
            "ALTER TABLE log_a RENAME outside",
            "INSERT INTO outside VALUES (1, 'not for the job')",
            "INSERT INTO log_b VALUES (2, 'for the job')",
        ];
        scene.run(&statements, false).await?;
        let end = scene.world.source_end().await?;
        scene.api.wait_applied("job", end, PATIENCE).await?;
        let status = scene.api.status("job").await?;
        let halted = status["tables_not_following"].to_string();
        for word in ["log_a", "outside is not among the job's tables", "ccr job"] {
            ensure!(halted.contains(word), "{word} is missing in {halted}");
        }
        let statements = [
            format!("ALTER TABLE outside RENAME {back}"),
            format!("INSERT INTO {back} VALUES (3, 'for the job again')"),
        ];
        scene
            .run(&statements.each_ref().map(String::as_str), false)
            .await?;
        scene.follow().await.context(back)?;
        let here = digest(&scene.world.source.client, DATABASE, back).await?;
        let there = digest(&scene.world.targets[0].client, DATABASE, back).await?;
        assert_eq!(here, there, "{back}");
        scene.stack.stop().await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_halted_table_follows_again_when_it_is_renamed_or_replaced() {
    healed().await.unwrap();
}

async fn healed() -> Result<()> {
    for statements in [
        &[
            "ALTER TABLE log_a RENAME log_c",
            "INSERT INTO log_c VALUES (3, 'on')",
        ][..],
        &[
            "ALTER TABLE log_a REPLACE WITH TABLE log_b PROPERTIES (\"swap\" = \"true\")",
            "INSERT INTO log_a VALUES (3, 'on')",
        ],
        &[
            "ALTER TABLE log_b REPLACE WITH TABLE log_a PROPERTIES (\"swap\" = \"true\")",
            "INSERT INTO log_a VALUES (3, 'on')",
        ],
        &[
            "ALTER TABLE log_a REPLACE WITH TABLE log_b PROPERTIES (\"swap\" = \"false\")",
            "INSERT INTO log_a VALUES (3, 'on')",
        ],
        &["DROP TABLE log_a"],
    ] {
        let scene = Scene::start(78, &[], |world| world.database_job("job", 0)).await?;
        scene
            .world
            .source
            .sim
            .frontend()
            .write_record(DATABASE, Some("log_a"), 77, json!({"new": "in Doris 9"}))
            .context("the record was not written")?;
        scene
            .world
            .sql("INSERT INTO log_a VALUES (1, 'missed')")
            .await?;
        scene
            .api
            .wait_until("job", PATIENCE, |status| {
                status["tables_not_following"].to_string().contains("log_a")
            })
            .await?;
        scene.run(statements, false).await?;
        scene
            .follow()
            .await
            .with_context(|| statements[0].to_owned())?;
        scene
            .compare(|_| true)
            .await
            .with_context(|| statements[0].to_owned())?;
        scene.stack.stop().await;
    }
    Ok(())
}

const INDEXED: &str = "(id BIGINT NOT NULL, v VARCHAR(64), INDEX words (v) USING INVERTED) DUPLICATE KEY(id) \
    DISTRIBUTED BY HASH(id) BUCKETS 2 PROPERTIES (\"replication_num\" = \"1\")";

/// Tables that a snapshot is to bring, and that are renamed, exchanged, dropped before it can be taken.
#[tokio::test(flavor = "multi_thread")]
async fn tables_that_are_renamed_and_replaced_before_their_snapshot_end_right() {
    replaced_before_they_came().await.unwrap();
}

async fn replaced_before_they_came() -> Result<()> {
    let create = format!("CREATE TABLE fresh {INDEXED}");
    let replace = |swap: bool| {
        format!("ALTER TABLE log_a REPLACE WITH TABLE fresh PROPERTIES (\"swap\" = \"{swap}\")")
    };
    let cases: Vec<(&str, Vec<String>)> = vec![
        (
            "the usual preparation of a table, twice",
            vec![
                create.clone(),
                "INSERT INTO fresh VALUES (1, 'first')".to_owned(),
                replace(false),
                create.clone(),
                "INSERT INTO fresh VALUES (2, 'second')".to_owned(),
                replace(false),
                "INSERT INTO log_a VALUES (3, 'on')".to_owned(),
            ],
        ),
        (
            "exchanged, then dropped",
            vec![
                create.clone(),
                "INSERT INTO fresh VALUES (1, 'first')".to_owned(),
                replace(true),
                "INSERT INTO log_a VALUES (2, 'of the new one')".to_owned(),
                "INSERT INTO fresh VALUES (3, 'of the old one')".to_owned(),
                "DROP TABLE log_a".to_owned(),
            ],
        ),
        (
            "renamed, then dropped, and the names again",
            vec![
                create.clone(),
                "ALTER TABLE fresh RENAME fresher".to_owned(),
                "INSERT INTO fresher VALUES (1, 'gone soon')".to_owned(),
                create.clone(),
                "DROP TABLE fresher".to_owned(),
                "ALTER TABLE fresh RENAME fresher".to_owned(),
                "INSERT INTO fresher VALUES (2, 'kept')".to_owned(),
            ],
        ),
        (
            "recovered, renamed and replaced",
            vec![
                "DROP TABLE log_a".to_owned(),
                "RECOVER TABLE log_a".to_owned(),
                "ALTER TABLE log_a RENAME was_a".to_owned(),
                "CREATE TABLE log_a LIKE log_b".to_owned(),
                "INSERT INTO log_a VALUES (1, 'new')".to_owned(),
                "ALTER TABLE log_a REPLACE WITH TABLE was_a PROPERTIES (\"swap\" = \"true\")"
                    .to_owned(),
                "DROP TABLE was_a".to_owned(),
                "INSERT INTO log_a VALUES (2, 'old')".to_owned(),
            ],
        ),
    ];
    for (what, statements) in cases {
        let scene = Scene::start(74, &[], |world| world.database_job("job", 0)).await?;
        let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
        scene.run(&statements, true).await?;
        scene.follow().await.context(what)?;
        scene.compare(|_| true).await.context(what)?;
        scene
            .world
            .sql("INSERT INTO log_b VALUES (99, 'on')")
            .await?;
        scene.follow().await.context(what)?;
        scene.compare(|_| true).await.context(what)?;
        scene.stack.stop().await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn ddl_on_a_table_that_is_missing_brings_it_by_a_snapshot() {
    missing().await.unwrap();
}

async fn missing() -> Result<()> {
    for change in [
        "ALTER TABLE log_a ADD COLUMN c INT NULL",
        "ALTER TABLE log_a RENAME other",
        "ALTER TABLE log_b REPLACE WITH TABLE log_a PROPERTIES (\"swap\" = \"true\")",
        "ALTER TABLE log_a REPLACE WITH TABLE log_b PROPERTIES (\"swap\" = \"true\")",
        "ALTER TABLE log_a REPLACE WITH TABLE log_b PROPERTIES (\"swap\" = \"false\")",
        "TRUNCATE TABLE log_a",
        "INSERT INTO log_a VALUES (7, 'a load')",
    ] {
        let scene = Scene::start(75, &[], |world| world.database_job("job", 0)).await?;
        let target = &scene.world.targets[0].client;
        target
            .execute(Some(DATABASE), "DROP TABLE log_a FORCE")
            .await?;
        scene.run(&[change], false).await?;
        scene.follow().await.context(change)?;
        scene.compare(|_| true).await.context(change)?;
        scene.stack.stop().await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_taken_is_replaced_only_where_that_loses_nothing_or_is_allowed() {
    taken().await.unwrap();
}

async fn taken() -> Result<()> {
    for allowed in [false, true] {
        let scene = Scene::start(76, &[], |world| {
            let mut body = world.database_job("job", 0);
            body["allow_table_exists"] = json!(allowed);
            body
        })
        .await?;
        let target = &scene.world.targets[0].client;
        for statement in [
            "CREATE VIEW shown AS SELECT 1 AS one",
            "CREATE TABLE taken LIKE log_a",
            "INSERT INTO taken VALUES (1, 'of somebody else')",
        ] {
            target.execute(Some(DATABASE), statement).await?;
        }
        let statements = [
            "CREATE VIEW shown AS SELECT id, v FROM log_b",
            "CREATE TABLE taken LIKE log_b",
            "INSERT INTO taken VALUES (2, 'of the source')",
        ];
        scene.run(&statements, false).await?;
        if allowed {
            scene.follow().await?;
            scene.compare(|_| true).await?;
        } else {
            let end = scene.world.source_end().await?;
            scene.api.wait_applied("job", end, PATIENCE).await?;
            let halted = scene.api.status("job").await?["tables_not_following"].to_string();
            for word in ["taken", "exists already", "ccr job resync"] {
                ensure!(halted.contains(word), "{word} is missing in {halted}");
            }
            ensure!(!halted.contains("shown"), "{halted}");
            let kept = digest(target, DATABASE, "taken").await?;
            assert_eq!(kept.rows, 1);
        }
        let shown = "SELECT id, v FROM shown ORDER BY id, v";
        let source = &scene.world.source.client;
        let here = source.query(Some(DATABASE), shown).await?;
        ensure!(!here.is_empty(), "the view shows nothing");
        assert_eq!(here, target.query(Some(DATABASE), shown).await?);
        scene.stack.stop().await;
    }
    Ok(())
}

/// A RESTORE at the source gives a table another id without a record.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_no_record_introduced_comes_by_a_snapshot() {
    without_a_record().await.unwrap();
}

async fn without_a_record() -> Result<()> {
    for first in [
        "INSERT INTO log_a VALUES (3, 'of the new one')",
        "ALTER TABLE log_a ADD COLUMN c INT NULL",
        "TRUNCATE TABLE log_a",
        "ALTER TABLE log_a RENAME log_c",
        "ALTER TABLE log_b REPLACE WITH TABLE log_a PROPERTIES (\"swap\" = \"true\")",
        "ALTER TABLE log_b REPLACE WITH TABLE log_a PROPERTIES (\"swap\" = \"false\")",
        "ALTER TABLE log_a REPLACE WITH TABLE log_b PROPERTIES (\"swap\" = \"true\")",
    ] {
        let scene = Scene::start(77, &[], |world| world.database_job("job", 0)).await?;
        let taken = restore::back_up(&scene.world.source, "log_a").await?;
        let lost = ["INSERT INTO log_a VALUES (1, 'before the restore')"];
        scene.run(&lost, false).await?;
        scene.follow().await.context(first)?;
        restore::restore(&scene.world.source, "log_a", taken).await?;
        scene.run(&[first], false).await?;
        scene.follow().await.context(first)?;
        scene.compare(|_| true).await.context(first)?;
        let on = "INSERT INTO users VALUES (9, '2026-01-09', 'on')";
        scene.world.sql(on).await?;
        scene.follow().await.context(first)?;
        scene.compare(|_| true).await.context(first)?;
        scene.stack.stop().await;
    }
    Ok(())
}
