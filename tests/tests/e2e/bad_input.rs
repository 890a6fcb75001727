//! Bytes and servers that misbehave: an error that names the object, nothing crashes, nothing is lost.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ccr_cli::stack::Stack;
use ccr_lab::compare::digest;
use ccr_log::NewRecord;
use ccr_schemas::TopicName;
use ccr_tests::world::DATABASE;
use ccr_tests::{Api, Workload, World, assert_equal, embedded_stack};
use dorisim::faults::{Effect, Rule};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(60);

/// A database job that follows, with some rows in every table.
async fn following(folder: &std::path::Path) -> Result<(World, Workload, Stack, Api)> {
    let world = World::start(1).await?;
    let mut workload = Workload::start(&world, 8, false).await?;
    let (stack, api) = embedded_stack(folder).await?;
    api.create(&world.database_job("job", 0)).await?;
    for _ in 0..20 {
        workload.step(&world).await?;
    }
    api.wait_applied("job", world.source_end().await?, PATIENCE)
        .await?;
    Ok((world, workload, stack, api))
}

fn error_of(status: &Value) -> &str {
    status["last_error"].as_str().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_no_event_halts_the_job_by_topic_and_offset() {
    broken_record().await.unwrap();
}

async fn broken_record() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (world, mut workload, stack, api) = following(folder.path()).await?;
    let source = stack.registry.get("job")?.source;
    let topic = TopicName::events("ccr", &source.cluster_name, DATABASE);
    let broken = NewRecord {
        key: "db".to_owned(),
        value: Some(vec![0xC3, 0x01, 9, 9, 9, 9, 9, 9, 9, 9, 0xFF, 0xFF].into()),
        headers: Vec::new(),
    };
    let offset = stack.log.0.append(&topic, vec![broken]).await?.0;
    let before = api.status("job").await?["commit_seq"].as_i64();
    for _ in 0..5 {
        workload.step(&world).await?;
    }
    api.wait_until("job", PATIENCE, |status| {
        let error = error_of(status);
        error.contains(&topic.0) && error.contains(&offset.to_string())
    })
    .await?;
    // Nothing behind the broken record was applied, and the process goes on serving.
    let status = api.status("job").await?;
    ensure!(status["commit_seq"].as_i64() == before, "{status:#}");
    ensure!(api.post("list_jobs", &json!({})).await?["jobs"] == json!(["job"]));
    stack.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_type_that_nobody_knows_stops_its_table_and_no_other() {
    unknown_type().await.unwrap();
}

async fn unknown_type() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (world, mut workload, stack, api) = following(folder.path()).await?;
    let seq = world
        .source
        .sim
        .frontend()
        .write_record(DATABASE, Some("log_b"), 77, json!({"new": "in Doris 9"}))
        .context("the record was not written")?;
    for _ in 0..20 {
        workload.step(&world).await?;
    }
    // Records that can not be read at all: the same, for the table that they name.
    world
        .source
        .sim
        .frontend()
        .write_record(DATABASE, Some("totals"), 13, json!("not an object"))
        .context("the record was not written")?;
    for _ in 0..20 {
        workload.step(&world).await?;
    }
    api.wait_until("job", PATIENCE, |status| {
        status["tables_not_following"].as_array().map(Vec::len) == Some(2)
    })
    .await?;
    let status = api.status("job").await?;
    let text = status["tables_not_following"].to_string();
    for word in ["log_b", "totals", "77", "ccr job"] {
        ensure!(text.contains(word), "{word} is missing in {text}");
    }
    ensure!(
        text.contains(&seq.to_string()),
        "position {seq} is missing in {text}"
    );
    // The others follow to the end.
    api.wait_applied("job", world.source_end().await?, PATIENCE)
        .await?;
    for table in ["log_a", "users"] {
        let here = digest(&world.source.client, DATABASE, table).await?;
        let there = digest(&world.targets[0].client, DATABASE, table).await?;
        ensure!(here == there, "{table}: {here:?} is not {there:?}");
    }
    stack.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_die_hang_up_or_answer_nonsense_cost_time_and_nothing_else() {
    bad_servers().await.unwrap();
}

async fn bad_servers() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (world, mut workload, stack, api) = following(folder.path()).await?;
    let source = world.source.sim.faults();
    let target = world.targets[0].sim.faults();
    // Each call is hit several times; "after" ones took effect although the caller is told nothing.
    for (call, effect) in [
        ("getBinlog", Effect::ResetBefore),
        ("getBinlog", Effect::Garbage),
        ("getMeta", Effect::ResetAfter),
    ] {
        source.add(Rule::always(call, effect).times(4));
    }
    for (call, effect) in [
        ("beginTxn", Effect::ResetAfter),
        ("beginTxn", Effect::ResetBefore),
        ("commitTxn", Effect::ResetAfter),
        ("commitTxn", Effect::ResetBefore),
        ("commitTxn", Effect::Garbage),
        ("ingest_binlog", Effect::Garbage),
        ("ingest_binlog", Effect::ResetAfter),
        ("getMeta", Effect::Garbage),
    ] {
        target.add(Rule::always(call, effect).times(3).after(2));
    }
    for call in ["get_segment_file", "get_rowset_meta"] {
        source.add(Rule::always(call, Effect::Truncate { bytes: 3 }).times(3));
        source.add(Rule::always(call, Effect::ResetAfter).times(3).after(3));
    }
    for _ in 0..60 {
        workload.step(&world).await?;
    }
    // A source that is away for a while is named.
    let away = source.add(Rule::always("getBinlog", Effect::ResetBefore));
    let job = stack.registry.get("job")?.source;
    let named = async {
        loop {
            let stream = stack.status.stream(&job.cluster_name, DATABASE);
            if stream
                .and_then(|stream| stream.last_error)
                .is_some_and(|error| error.contains("getBinlog") && error.contains("127.0.0.1:"))
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, named)
        .await
        .context("the dead source was not named in the stream's status")?;
    source.remove(away);
    api.wait_applied("job", world.source_end().await?, PATIENCE * 2)
        .await?;
    assert_equal(
        (&world.source, DATABASE),
        (&world.targets[0], DATABASE),
        |_| true,
    )
    .await?;
    stack.stop().await;
    Ok(())
}
