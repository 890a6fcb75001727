//! Another target costs the source's FE nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use ccr_ops::SystemClock;
use ccr_tests::world::DATABASE;
use ccr_tests::{Workload, World, assert_equal, embedded_stack};

const OPERATIONS: usize = 80;

/// Idle polls of one stream are at least this far apart (`poll_interval` of the producer).
const POLL_INTERVAL_MS: u128 = 20;

/// Calls to the source's FE that carry data or prepare it. Polls are a matter of time, not of targets: their number is
/// bounded by what one stream can make.
async fn source_calls(targets: usize) -> Result<BTreeMap<String, u64>> {
    let folder = tempfile::tempdir()?;
    let world = World::start(targets).await?;
    let mut workload = Workload::start(&world, 3, false).await?;
    for _ in 0..10 {
        workload.step(&world).await?;
    }
    let (stack, api) = embedded_stack(folder.path()).await?;
    // The first job starts the stream and takes the snapshot; the others come while it runs and share both.
    for target in 0..targets {
        api.create(&world.database_job(&format!("t{target}"), target))
            .await?;
        if target == 0 {
            api.wait_until("t0", Duration::from_secs(60), |status| {
                matches!(status["phase"].as_str(), Some("applying" | "catching_up"))
            })
            .await?;
        }
    }
    for target in 0..targets {
        api.wait_until(&format!("t{target}"), Duration::from_secs(60), |status| {
            matches!(status["phase"].as_str(), Some("applying" | "catching_up"))
        })
        .await?;
    }
    let clock = SystemClock::shared();
    let (before, polls_before) = (data_calls(&world), polls(&world));
    let started = clock.monotonic();
    for _ in 0..OPERATIONS {
        workload.step(&world).await?;
    }
    let end = world.source_end().await?;
    for target in 0..targets {
        api.wait_applied(&format!("t{target}"), end, Duration::from_secs(60))
            .await?;
        assert_equal(
            (&world.source, DATABASE),
            (&world.targets[target], DATABASE),
            |_| true,
        )
        .await?;
    }
    let made = u128::from(polls(&world) - polls_before);
    let time = clock.monotonic().saturating_sub(started).as_millis();
    // Besides the idle ones a poll may follow each record at once, when it is seen and when it has settled.
    let of_one_stream = time / POLL_INTERVAL_MS + 2 * OPERATIONS as u128 + 10;
    anyhow::ensure!(
        made <= of_one_stream,
        "{made} polls with {targets} targets in {time} ms; one stream makes at most {of_one_stream}"
    );
    let mut calls = data_calls(&world);
    for (name, count) in &mut calls {
        *count -= before.get(name).copied().unwrap_or(0);
    }
    let backups = world
        .source
        .sim
        .counters()
        .get("sql.backup")
        .copied()
        .unwrap_or(0);
    calls.insert("backups in all".to_owned(), backups);
    stack.stop().await;
    Ok(calls)
}

fn polls(world: &World) -> u64 {
    world
        .source
        .sim
        .counters()
        .get("getBinlog")
        .copied()
        .unwrap_or(0)
}

fn data_calls(world: &World) -> BTreeMap<String, u64> {
    let wanted = ["getMeta", "getBackendMeta", "getSnapshot", "getMasterToken"];
    world
        .source
        .sim
        .counters()
        .into_iter()
        .filter(|(name, _)| wanted.iter().any(|call| name.ends_with(call)))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_three_and_five_targets_cost_the_source_the_same_calls() {
    let one = source_calls(1).await.unwrap();
    let three = source_calls(3).await.unwrap();
    let five = source_calls(5).await.unwrap();
    assert!(
        one.get("getMeta").is_some_and(|calls| *calls > 0),
        "{one:?}"
    );
    eprintln!("calls to the source's FE with 1, 3, 5 targets: {one:?} {three:?} {five:?}");
    assert_eq!(one, three);
    assert_eq!(one, five);
}
