//! What is away for a while costs time, and nothing else; what can never work says so soon.

use std::time::Duration;

use anyhow::Result;
use ccr_doris::SqlSession;
use ccr_lab::Cluster;
use ccr_ops::SystemClock;
use ccr_tests::world::DATABASE;
use ccr_tests::{World, assert_equal, embedded_stack};
use dorisim::faults::{Effect, Rule};
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(90);
/// With as many replicas as the destination has backends.
const NOTES: &str = "CREATE TABLE notes (id BIGINT, v VARCHAR(20)) DUPLICATE KEY(id) DISTRIBUTED BY HASH(id) BUCKETS 2 \
                     PROPERTIES (\"replication_num\" = \"3\")";

async fn world_of_three() -> Result<World> {
    let mut world = World::start(0).await?;
    world.targets.push(Cluster::start("target", 3).await?);
    world.sql(NOTES).await?;
    world.sql("INSERT INTO notes VALUES (1, 'one')").await?;
    Ok(world)
}

/// A backend that answers nobody, until the rule is removed.
fn down(target: &Cluster) -> dorisim::faults::RuleId {
    let backend = target.sim.backends()[0].id();
    let rule = Rule::always("*", Effect::Down).on_backend(backend);
    target.sim.faults().add(rule)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_brought_when_a_backend_that_was_down_is_back() {
    table().await.unwrap();
}

async fn table() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let world = world_of_three().await?;
    let target = &world.targets[0];
    let (stack, api) = embedded_stack(folder.path()).await?;
    api.create(&world.database_job("all", 0)).await?;
    api.wait_applied("all", world.source_end().await?, PATIENCE)
        .await?;
    let rule = down(target);
    world
        .sql("ALTER TABLE notes MODIFY COLUMN v STRING")
        .await?;
    // Told, and not given up, though it was tried more than a few times.
    api.wait_until("all", PATIENCE, |status| {
        let text = status["last_error"].as_str().unwrap_or_default();
        text.contains("enough backend")
    })
    .await?;
    let restores = || {
        let counters = target.sim.counters();
        counters.get("restoreSnapshot").copied().unwrap_or_default()
    };
    let before = restores();
    let clock = SystemClock::shared();
    let until = clock.monotonic() + PATIENCE;
    while restores() < before + 5 {
        let status = api.status("all").await?;
        assert!(clock.monotonic() < until, "no more attempts: {status:#}");
        clock.sleep(Duration::from_millis(50)).await;
    }
    let status = api.status("all").await?;
    assert_eq!(status["tables_not_following"], json!([]), "{status:#}");
    target.sim.faults().remove(rule);
    world.sql("INSERT INTO notes VALUES (2, 'two')").await?;
    api.wait_applied("all", world.source_end().await?, PATIENCE)
        .await?;
    let status = api.status("all").await?;
    assert_eq!(status["tables_not_following"], json!([]), "{status:#}");
    assert_equal((&world.source, DATABASE), (target, DATABASE), |_| true).await?;
    stack.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_sync_waits_for_a_backend_and_shows_why_and_how_far_it_is() {
    first_sync().await.unwrap();
}

async fn first_sync() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let world = world_of_three().await?;
    let target = &world.targets[0];
    let (stack, api) = embedded_stack(folder.path()).await?;
    let hold = Rule::always("tablet_download", Effect::Hold);
    let hold = world.source.sim.faults().add(hold);
    let rule = down(target);
    api.create(&world.database_job("all", 0)).await?;
    api.wait_until("all", PATIENCE, |status| {
        let text = status["last_error"].as_str().unwrap_or_default();
        status["phase"] == json!("restoring") && text.contains("enough backend")
    })
    .await?;
    target.sim.faults().remove(rule);
    api.wait_until("all", PATIENCE, |status| {
        let percent = status["progress"][0].as_u64().unwrap_or_default();
        status["action"].as_str() == Some("restoring: DOWNLOADING")
            && (1..100).contains(&percent)
            && status["last_error"].is_null()
    })
    .await?;
    world.source.sim.faults().remove(hold);
    api.wait_applied("all", world.source_end().await?, PATIENCE)
        .await?;
    assert_equal((&world.source, DATABASE), (target, DATABASE), |_| true).await?;
    stack.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_the_destination_can_never_read_halts_at_once_and_resume_tries_again() {
    never().await.unwrap();
}

async fn never() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let world = world_of_three().await?;
    let target = &world.targets[0];
    let (stack, api) = embedded_stack(folder.path()).await?;
    let text = "deserialize meta and job info failed";
    let refusal = Effect::Fail {
        code: Some(6),
        message: text.to_owned(),
    };
    let rule = Rule::always("restoreSnapshot", refusal);
    let rule = target.sim.faults().add(rule);
    api.create(&world.database_job("all", 0)).await?;
    api.wait_until("all", PATIENCE, |status| {
        let reason = status["last_error"].as_str().unwrap_or_default();
        status["state"] == json!("halted")
            && reason.contains(text)
            && reason.contains("`ccr job resume all`")
    })
    .await?;
    let asked = target.sim.counters().get("restoreSnapshot").copied();
    assert!(asked.is_some_and(|asked| asked <= 2), "{asked:?}");
    target.sim.faults().remove(rule);
    api.post("resume", &json!({"name": "all"})).await?;
    api.wait_applied("all", world.source_end().await?, PATIENCE)
        .await?;
    assert_equal((&world.source, DATABASE), (target, DATABASE), |_| true).await?;
    let rows = target
        .client
        .query(Some(DATABASE), "SELECT id FROM notes")
        .await?;
    assert_eq!(rows.len(), 1);
    stack.stop().await;
    Ok(())
}
