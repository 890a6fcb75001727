//! Two appliers of one job: when the active one dies, the other takes over.

use std::time::Duration;

use anyhow::{Context, Result};
use ccr_cli::stack::{LogChoice, Stack, StackConfig};
use ccr_log::kafka::KafkaConfig;
use ccr_ops::{Sealer, SystemClock};
use ccr_tests::world::DATABASE;
use ccr_tests::{Api, Binary, Process, Workload, World, assert_equal};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::kafka::broker;

const LIMIT: Duration = Duration::from_secs(15);

async fn owner(api: &Api) -> Result<String> {
    let status = api.status("pair").await?;
    Ok(status["owner"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_applier_takes_over_within_15_seconds() {
    let Some(broker) = broker("take-over") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(1).await.unwrap();
    let key = Sealer::generate_key();
    let key_file = folder.path().join("log.key");
    std::fs::write(&key_file, key.expose()).unwrap();
    let prefix = format!("pair{}", std::process::id());
    let token = CancellationToken::new();
    let stack = Stack::start(
        StackConfig {
            prefix: prefix.clone(),
            applier: false,
            ..StackConfig::new(
                LogChoice::Kafka(Box::new(KafkaConfig::new(broker.bootstrap().to_owned()))),
                Sealer::from_base64(key.expose()).unwrap(),
            )
        },
        &token,
    )
    .await
    .unwrap();
    let api = Api::at(stack.api_address.unwrap());
    let args: Vec<String> = [
        "--kafka",
        broker.bootstrap(),
        "--topic-prefix",
        &prefix,
        "--log-key-file",
        &key_file.display().to_string(),
    ]
    .map(str::to_owned)
    .into();
    let logs = [folder.path().join("a.log"), folder.path().join("b.log")];
    let mut appliers = logs
        .each_ref()
        .map(|log| Process::start(Binary::Applier, &args, log).unwrap());
    let result = take_over(&world, &api, &mut appliers)
        .await
        .with_context(|| {
            format!(
                "--- a ---\n{}\n--- b ---\n{}",
                appliers[0].tail(),
                appliers[1].tail()
            )
        });
    token.cancel();
    stack.stop().await;
    result.unwrap();
}

async fn take_over(world: &World, api: &Api, appliers: &mut [Process; 2]) -> Result<()> {
    let mut workload = Workload::start(world, 5, true).await?;
    api.create(&world.database_job("pair", 0)).await?;
    for _ in 0..60 {
        workload.step(world).await?;
    }
    let patience = Duration::from_secs(60);
    api.wait_applied("pair", world.source_end().await?, patience)
        .await?;

    let active = owner(api).await?;
    let at = appliers
        .iter()
        .position(|applier| active.ends_with(&format!(":{}", applier.id())))
        .with_context(|| format!("owner {active:?} is none of the two appliers"))?;
    // Under load, so that transactions are in flight when it dies.
    for _ in 0..30 {
        workload.step(world).await?;
    }
    appliers[at].kill9()?;
    let clock = SystemClock::shared();
    let killed_at = clock.monotonic();
    for _ in 0..30 {
        workload.step(world).await?;
    }
    let end = world.source_end().await?;
    api.wait_until("pair", patience, |status: &Value| {
        status["owner"]
            .as_str()
            .is_some_and(|owner| owner != active)
            && status["commit_seq"]
                .as_i64()
                .is_some_and(|seq| seq >= end.0)
    })
    .await?;
    let took = clock.monotonic() - killed_at;
    assert_equal(
        (&world.source, DATABASE),
        (&world.targets[0], DATABASE),
        |_| true,
    )
    .await?;
    eprintln!("taken over, and everything applied, {took:?} after the kill");
    anyhow::ensure!(took <= LIMIT, "take-over took {took:?}");
    Ok(())
}
