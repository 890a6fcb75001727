//! Kills, frozen processes, lost answers, backends and jobs that come and go, under every kind of statement: nothing lost, nothing
//! twice, and what cannot go on says why.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use ccr_lab::Cluster;
use ccr_ops::{Sealer, SystemClock};
use ccr_tests::chaos::faults::{Blow, Fault};
use ccr_tests::chaos::model::OUTSIDE;
use ccr_tests::chaos::ops::Kind;
use ccr_tests::chaos::workload::setting;
use ccr_tests::chaos::{Faults, Job, Scope, Verdict, Workload};
use ccr_tests::world::DATABASE;
use ccr_tests::{Api, Binary, Process, World, embedded_stack};
use dorisim::faults::{Effect, Rule};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::kafka::broker;

/// First sync of the jobs.
const PATIENCE: Duration = Duration::from_secs(120);

/// Processes of the product that can be killed and started again.
struct Fleet {
    folder: PathBuf,
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
        Ok(Self {
            folder: folder.to_owned(),
            members,
        })
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

/// Operations after which a table is halted today, and can be repaired by a re-sync of the whole job only.
const NOT_YET: [Kind; 5] = [
    Kind::Refill,
    Kind::Exchange,
    Kind::DropRollup,
    Kind::Recover,
    Kind::Rename,
];

/// `CHAOS_WITHOUT=Refill,Temporary` says which kinds of operations are left out, instead of [`NOT_YET`].
fn without() -> Result<Vec<Kind>> {
    let Ok(names) = std::env::var("CHAOS_WITHOUT") else {
        return Ok(NOT_YET.to_vec());
    };
    let names = names.split(',').filter(|name| !name.is_empty());
    names
        .map(|name| {
            let mut kinds = Kind::all();
            kinds
                .find(|kind| format!("{kind:?}") == name)
                .with_context(|| format!("CHAOS_WITHOUT: there is no {name}"))
        })
        .collect()
}

/// A database, a database without some tables, and one table under another name.
fn jobs(world: &World) -> Vec<Job> {
    let mut filtered = world.database_job("some", 1);
    let outside = OUTSIDE.into_iter().chain(["totals"]);
    let outside: BTreeSet<String> = outside.map(str::to_owned).collect();
    filtered["tables"] = json!({ "exclude": outside });
    filtered["dest"]["database"] = json!("some");
    let mut one = world.table_job("one", 1, "log_b", "journal");
    one["dest"]["database"] = json!("one");
    vec![
        Job {
            name: "all",
            body: world.database_job("all", 0),
            target: 0,
            database: DATABASE,
            scope: Scope::Database,
        },
        Job {
            name: "some",
            body: filtered,
            target: 1,
            database: "some",
            scope: Scope::Except(outside),
        },
        Job {
            name: "one",
            body: one,
            target: 1,
            database: "one",
            scope: Scope::Table("log_b", "journal"),
        },
    ]
}

/// A run: its seed, how long it goes on, and its jobs.
struct Run {
    seed: u64,
    time: Duration,
    jobs: Vec<Job>,
    /// Members of the fleet that may be killed.
    victims: Vec<usize>,
}

impl Run {
    /// `CHAOS_SEED=n CHAOS_SECONDS=n` repeat a run, or make it longer.
    fn new(world: &World, seed: u64, victims: &[usize]) -> Result<Self> {
        Ok(Self {
            seed: setting("CHAOS_SEED", seed)?,
            time: Duration::from_secs(setting("CHAOS_SECONDS", 20)?),
            jobs: jobs(world),
            victims: victims.to_vec(),
        })
    }

    async fn run(&self, world: &World, fleet: &mut Fleet, api: &Api) -> Result<()> {
        let mut workload = Workload::start(world, self.seed, &without()?).await?;
        let result = self.phases(world, fleet, api, &mut workload).await;
        result.with_context(|| {
            let statements = fleet.folder.join("statements.sql");
            let written = std::fs::write(&statements, workload.history().all());
            format!(
                "CHAOS_SEED={} CHAOS_SECONDS={} repeats the statements; all {} of them and the logs are in {} ({written:?})",
                self.seed,
                self.time.as_secs(),
                workload.history().len(),
                fleet.folder.display()
            )
        })
    }

    async fn phases(
        &self,
        world: &World,
        fleet: &mut Fleet,
        api: &Api,
        workload: &mut Workload,
    ) -> Result<()> {
        for _ in 0..20 {
            workload.step(world).await?;
        }
        for job in &self.jobs {
            posted(api, "create_ccr", &job.body).await?;
        }
        let stop = CancellationToken::new();
        let writing = async {
            let mut steps = 0_u32;
            while !stop.is_cancelled() {
                workload.step(world).await?;
                steps += 1;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Ok::<_, anyhow::Error>(steps)
        };
        let harming = async {
            let harmed = self.harm(world, fleet, api).await;
            stop.cancel();
            harmed
        };
        let (written, harmed) = tokio::join!(writing, harming);
        let (blows, faults) = harmed?;
        let steps = written?;
        workload.finish(world).await?;
        let verdict = Verdict::of(world, api, &self.jobs, workload.history()).await?;
        eprintln!(
            "seed {}: {blows} kills and stops, {faults} other faults, {steps} operations, {} rows equal, {} tables halted",
            self.seed,
            verdict.rows,
            verdict.halted.len()
        );
        tell(&verdict, workload);
        verdict.judge()
    }

    /// Blows and faults until the time is over; answers their numbers. Afterwards nothing of them is left.
    async fn harm(&self, world: &World, fleet: &mut Fleet, api: &Api) -> Result<(u32, u32)> {
        let clock = SystemClock::shared();
        let until = clock.monotonic() + self.time;
        let blows = async {
            let (mut faults, mut number) = (Faults::new(self.seed), 0);
            while clock.monotonic() < until {
                let (pause, blow) = faults.blow();
                clock.sleep(pause).await;
                let victim = self.victims[faults.which(self.victims.len())];
                match blow {
                    Blow::Kill => fleet.kill_and_restart(victim)?,
                    Blow::Freeze(time) => {
                        fleet.members[victim].process.freeze(true)?;
                        clock.sleep(time).await;
                        fleet.members[victim].process.freeze(false)?;
                    }
                }
                number += 1;
            }
            Ok::<u32, anyhow::Error>(number)
        };
        let around = async {
            let (mut faults, mut number) = (Faults::new(self.seed.wrapping_add(1)), 0);
            while clock.monotonic() < until {
                let (pause, fault) = faults.fault();
                clock.sleep(pause).await;
                self.disturb(world, api, &mut faults, &fault)
                    .await
                    .with_context(|| format!("{fault:?}"))?;
                number += 1;
            }
            Ok::<u32, anyhow::Error>(number)
        };
        let (blows, around) = tokio::join!(blows, around);
        for cluster in std::iter::once(&world.source).chain(&world.targets) {
            cluster.sim.faults().clear();
        }
        Ok((blows?, around?))
    }

    async fn disturb(
        &self,
        world: &World,
        api: &Api,
        faults: &mut Faults,
        fault: &Fault,
    ) -> Result<()> {
        let job = &self.jobs[faults.which(self.jobs.len())];
        let name = json!({ "name": job.name });
        let target = &world.targets[faults.which(world.targets.len())];
        let hit = |call: &str, effect: Effect| {
            let rule = Rule::always(call, effect).times(2);
            target.sim.faults().add(rule);
        };
        match fault {
            Fault::SourceBackend(time) => away(&world.source, faults, *time).await,
            Fault::DestinationBackend(time) => away(target, faults, *time).await,
            Fault::LostAnswers(call) => hit(call, Effect::ResetAfter),
            Fault::Refusals(call) => {
                let message = "refused by the test".to_owned();
                hit(
                    call,
                    Effect::Fail {
                        code: None,
                        message,
                    },
                );
            }
            Fault::Pause(time) => {
                posted(api, "pause", &name).await?;
                tokio::time::sleep(*time).await;
                posted(api, "resume", &name).await?;
            }
            Fault::Recreate => {
                posted(api, "delete", &name).await?;
                let mut body = job.body.clone();
                body["allow_table_exists"] = json!(true);
                posted(api, "create_ccr", &body).await?;
            }
        }
        Ok(())
    }
}

/// One backend of a cluster is away for a while.
async fn away(cluster: &Cluster, faults: &mut Faults, time: Duration) {
    let backends = cluster.sim.backend_addresses();
    let backend = backends[faults.which(backends.len())].id;
    cluster.sim.faults().backend_down(backend);
    tokio::time::sleep(time).await;
    cluster.sim.faults().backend_up(backend);
}

/// Prints what was halted.
fn tell(verdict: &Verdict, workload: &Workload) {
    for halted in &verdict.halted {
        eprintln!("  {}: {}", halted.table, halted.reason);
        let table = halted.table.rsplit('.').next().unwrap_or_default();
        for statement in workload.history().of(table, 6) {
            eprintln!("    {statement}");
        }
    }
}

/// Sends a request until it succeeds: the process may have been killed a moment ago, or a cluster be away.
async fn posted(api: &Api, operator: &str, body: &Value) -> Result<()> {
    let clock = SystemClock::shared();
    let deadline = clock.monotonic() + Duration::from_secs(30);
    loop {
        let answer = api.post(operator, body).await;
        match answer {
            Ok(answer) if answer["success"] == json!(true) => return Ok(()),
            answer if clock.monotonic() > deadline => {
                anyhow::bail!("{operator} {}: {answer:?}", body["name"])
            }
            Ok(_) | Err(_) => clock.sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Keeps the folder of a run that failed.
fn judge(result: Result<()>, fleet: &Fleet, folder: tempfile::TempDir) {
    if let Err(error) = result {
        let kept = folder.keep();
        panic!("{error:?}\n{}\n(kept: {})", fleet.logs(), kept.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_when_the_embedded_process_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(2).await.unwrap();
    let address = free_address();
    let args = vec![
        "standalone".to_owned(),
        "--listen".to_owned(),
        address.to_string(),
        "--data-dir".to_owned(),
        folder.path().join("data").display().to_string(),
    ];
    let mut fleet = Fleet::start(vec![(Binary::Ccr, args)], folder.path()).unwrap();
    let run = Run::new(&world, 11, &[0]).unwrap();
    let result = run.run(&world, &mut fleet, &Api::at(address)).await;
    judge(result, &fleet, folder);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_when_producer_and_applier_on_kafka_are_killed() {
    let Some(broker) = broker("chaos on kafka") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(2).await.unwrap();
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
    let run = Run::new(&world, 12, &[1, 2]).unwrap();
    let result = run.run(&world, &mut fleet, &Api::at(address)).await;
    judge(result, &fleet, folder);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_source_takes_every_statement_of_the_workload() {
    let world = World::start(0).await.unwrap();
    let seed = setting("CHAOS_SEED", 1).unwrap();
    let mut workload = Workload::start(&world, seed, &[]).await.unwrap();
    for _ in 0..setting("CHAOS_STEPS", 300).unwrap() {
        workload.step(&world).await.unwrap();
    }
    workload.finish(&world).await.unwrap();
}

/// The jobs are paused while statements run, so that whatever they come to may have been changed, renamed or dropped since.
#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_are_behind_catch_up() {
    let seed = setting("CHAOS_SEED", 1).unwrap();
    for seed in seed..seed + setting("CHAOS_SEEDS", 1).unwrap() {
        let folder = tempfile::tempdir().unwrap();
        let world = World::start(2).await.unwrap();
        let mut workload = Workload::start(&world, seed, &without().unwrap())
            .await
            .unwrap();
        let caught_up = behind(folder.path(), &world, &mut workload).await;
        if let Err(error) = caught_up {
            let kept = folder.keep().join("statements.sql");
            std::fs::write(&kept, workload.history().all()).unwrap();
            panic!(
                "CHAOS_SEED={seed}: {error:?}\n(statements: {})",
                kept.display()
            );
        }
    }
}

async fn behind(folder: &Path, world: &World, workload: &mut Workload) -> Result<()> {
    let (stack, api) = embedded_stack(folder).await?;
    let jobs = jobs(world);
    for _ in 0..40 {
        workload.step(world).await?;
    }
    workload.tidy(world).await?;
    for job in &jobs {
        posted(&api, "create_ccr", &job.body).await?;
    }
    for job in &jobs {
        let end = world.source_end().await?;
        api.wait_following(job.name, end, PATIENCE).await?;
        posted(&api, "pause", &json!({ "name": job.name })).await?;
    }
    for _ in 0..setting("CHAOS_STEPS", 150)? {
        workload.step(world).await?;
    }
    workload.finish(world).await?;
    for job in &jobs {
        posted(&api, "resume", &json!({ "name": job.name })).await?;
    }
    let verdict = Verdict::of(world, &api, &jobs, workload.history()).await?;
    tell(&verdict, workload);
    stack.stop().await;
    verdict.judge()
}
