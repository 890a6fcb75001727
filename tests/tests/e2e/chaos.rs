//! SIGKILL at random points under load: nothing lost, nothing twice.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use ccr_ops::{Sealer, SystemClock};
use ccr_tests::world::DATABASE;
use ccr_tests::{Api, Binary, Process, Workload, World, assert_equal};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio_util::sync::CancellationToken;

use crate::kafka::broker;

/// Kills per test.
const KILLS: u32 = 50;
const PATIENCE: Duration = Duration::from_secs(120);

/// Processes of the product that can be killed and started again.
struct Fleet {
    members: Vec<Member>,
}

struct Member {
    binary: Binary,
    args: Vec<String>,
    log: std::path::PathBuf,
    process: Process,
}

impl Fleet {
    fn start(specs: Vec<(Binary, Vec<String>)>, folder: &Path) -> Result<Self> {
        let mut members = Vec::new();
        for (i, (binary, args)) in specs.into_iter().enumerate() {
            let log = folder.join(format!("process{i}.log"));
            let process = Process::start(binary, &args, &log)?;
            members.push(Member {
                binary,
                args,
                log,
                process,
            });
        }
        Ok(Self { members })
    }

    fn kill_and_restart(&mut self, at: usize) -> Result<()> {
        let member = &mut self.members[at];
        member.process.kill9()?;
        member.process = Process::start(member.binary, &member.args, &member.log)?;
        Ok(())
    }

    fn logs(&self) -> String {
        self.members
            .iter()
            .map(|member| {
                format!(
                    "--- {} ---\n{}\n",
                    member.log.display(),
                    member.process.tail()
                )
            })
            .collect()
    }
}

pub fn free_address() -> std::net::SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

/// Writes without a pause worth mentioning until told to stop.
async fn write_until(
    world: &World,
    workload: &mut Workload,
    stop: &CancellationToken,
) -> Result<u64> {
    let mut steps = 0;
    while !stop.is_cancelled() {
        workload.step(world).await?;
        steps += 1;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(steps)
}

async fn kill_under_load(
    fleet: &mut Fleet,
    victims: &[usize],
    seed: u64,
    stop: &CancellationToken,
) -> Result<()> {
    let mut rng = StdRng::seed_from_u64(seed);
    for _ in 0..KILLS {
        tokio::time::sleep(Duration::from_millis(rng.random_range(80..900))).await;
        let victim = victims[rng.random_range(0..victims.len())];
        fleet.kill_and_restart(victim)?;
    }
    stop.cancel();
    Ok(())
}

async fn chaos(
    world: &World,
    fleet: &mut Fleet,
    victims: &[usize],
    api: &Api,
    seed: u64,
) -> Result<()> {
    let mut workload = Workload::start(world, seed, true).await?;
    for _ in 0..20 {
        workload.step(world).await?;
    }
    let clock = SystemClock::shared();
    let deadline = clock.monotonic() + Duration::from_secs(30);
    while api.post("list_jobs", &serde_json::json!({})).await.is_err() {
        anyhow::ensure!(clock.monotonic() < deadline, "the API does not answer");
        clock.sleep(Duration::from_millis(50)).await;
    }
    api.create(&world.database_job("chaos", 0)).await?;
    let stop = CancellationToken::new();
    let (written, killed) = tokio::join!(write_until(world, &mut workload, &stop), async {
        let result = kill_under_load(fleet, victims, seed, &stop).await;
        stop.cancel();
        result
    });
    killed?;
    let steps = written?;
    let end = world.source_end().await?;
    api.wait_applied("chaos", end, PATIENCE).await?;
    let rows = assert_equal(
        (&world.source, DATABASE),
        (&world.targets[0], DATABASE),
        |_| true,
    )
    .await?;
    eprintln!("{KILLS} kills, {steps} operations, {rows} rows, all equal");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_when_the_embedded_process_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(1).await.unwrap();
    let address = free_address();
    let args = vec![
        "standalone".to_owned(),
        "--listen".to_owned(),
        address.to_string(),
        "--data-dir".to_owned(),
        folder.path().join("data").display().to_string(),
    ];
    let mut fleet = Fleet::start(vec![(Binary::Ccr, args)], folder.path()).unwrap();
    let result = chaos(&world, &mut fleet, &[0], &Api::at(address), 11)
        .await
        .with_context(|| fleet.logs());
    result.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_when_producer_and_applier_on_kafka_are_killed() {
    let Some(broker) = broker("chaos on kafka") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(1).await.unwrap();
    let address = free_address();
    let key = folder.path().join("log.key");
    std::fs::write(&key, Sealer::generate_key().expose()).unwrap();
    let common = |extra: &[&str]| -> Vec<String> {
        let mut args: Vec<String> = extra.iter().map(|&arg| arg.to_owned()).collect();
        for arg in [
            "--kafka",
            broker.bootstrap(),
            // Members that were killed are forgotten sooner than by default, so that 50 kills fit into a test.
            "--kafka-option",
            "session.timeout.ms=2000",
            "--topic-prefix",
            &format!("chaos{}", std::process::id()),
            "--log-key-file",
            &key.display().to_string(),
        ] {
            args.push(arg.to_owned());
        }
        args
    };
    let api_args = common(&[
        "standalone",
        "--roles",
        "api",
        "--listen",
        &address.to_string(),
        "--data-dir",
        &folder.path().join("data").display().to_string(),
    ]);
    let mut fleet = Fleet::start(
        vec![
            (Binary::Ccr, api_args),
            (Binary::Producer, common(&[])),
            (Binary::Applier, common(&[])),
        ],
        folder.path(),
    )
    .unwrap();
    let result = chaos(&world, &mut fleet, &[1, 2], &Api::at(address), 12)
        .await
        .with_context(|| fleet.logs());
    result.unwrap();
}
