//! Processes of the product, started again when they die.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ccr_applier::{ApplierConfig, ApplierService, Connect, Destination};
use ccr_control::{JobRegistry, StatusBoard};
use ccr_log::SharedLog;
use ccr_ops::{Clock, Sealer};
use ccr_producer::{ProducerConfig, ProducerService, Source};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::jobs::{LOG_KEY, PREFIX};
use super::scenario::Scenario;
use crate::client::Client;
use crate::log::{LogWeather, MemoryLog, ProcessLog};
use crate::process::{Crash, Process, When};
use crate::rng::Rng;
use crate::time::SimClock;
use crate::world::World;

/// What a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Source to log.
    Producer,
    /// Log to destinations.
    Applier,
}

impl Role {
    /// Calls at which a death matters.
    fn calls(self) -> &'static [&'static str] {
        match self {
            Self::Producer => &[
                "execute",
                "get_snapshot",
                "get_meta",
                "log.append events",
                "log.append snapshots",
                "log.append internal",
                "log.commit",
            ],
            Self::Applier => &[
                "begin_txn",
                "commit_txn",
                "rollback_txn",
                "ingest",
                "execute",
                "execute",
                "restore_snapshot",
                "query",
                "get_meta",
                "log.commit",
                "log.commit",
                "log.append control",
            ],
        }
    }

    /// For counting and names.
    pub fn name(self) -> &'static str {
        match self {
            Self::Producer => "producer",
            Self::Applier => "applier",
        }
    }
}

/// What all processes of a run share.
pub struct Shared {
    /// The world.
    pub world: Arc<World>,
    /// The log.
    pub log: Arc<MemoryLog>,
    /// How the log behaves to processes.
    pub log_weather: Arc<Mutex<LogWeather>>,
    /// Draws failures of the log.
    pub log_rng: Arc<Mutex<Rng>>,
    /// Draws crashes.
    pub crash_rng: Mutex<Rng>,
    /// Processes die.
    pub crashes: Mutex<bool>,
    /// Those that run now.
    pub running: Mutex<Vec<Arc<Process>>>,
    /// Told to stop with a word.
    pub graceful: Mutex<Vec<CancellationToken>>,
}

impl Shared {
    /// Of a scenario.
    pub fn new(scenario: &Scenario, world: Arc<World>, log: Arc<MemoryLog>) -> Arc<Self> {
        Arc::new(Self {
            world,
            log,
            log_weather: Arc::new(Mutex::new(scenario.log_weather)),
            log_rng: Arc::new(Mutex::new(Rng::new(scenario.seed, "log"))),
            crash_rng: Mutex::new(Rng::new(scenario.seed, "crash")),
            crashes: Mutex::new(scenario.crashes()),
            running: Mutex::default(),
            graceful: Mutex::default(),
        })
    }

    fn draw<T>(&self, draw: impl FnOnce(&mut Rng) -> T) -> T {
        draw(
            &mut self
                .crash_rng
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    /// The call at which the next life of a process ends.
    fn crash(&self, role: Role) -> Option<Crash> {
        if !*self.crashes.lock().unwrap_or_else(PoisonError::into_inner) {
            return None;
        }
        self.draw(|rng| {
            let when = if rng.coin() {
                When::Before
            } else {
                When::After
            };
            let (call, at) = match rng.below(8) {
                0 => return None,
                1 => ("", 10 + rng.below(60)),
                2 => ("", 50 + rng.below(3000)),
                _ => (*rng.pick(role.calls())?, 1 + rng.below(12)),
            };
            Some(Crash { call, at, when })
        })
    }

    /// No process dies any more.
    pub fn spare(&self) {
        *self.crashes.lock().unwrap_or_else(PoisonError::into_inner) = false;
        for process in self
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
        {
            process.spare();
        }
    }

    /// The log works from now on.
    pub fn calm_log(&self) {
        *self
            .log_weather
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = LogWeather::default();
    }

    /// Kills one of the running processes.
    pub fn kill_one(&self, pick: usize) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(process) = running.get(pick % running.len().max(1)) {
            process.kill();
        }
    }

    /// Kills all of them, as the end of a machine does.
    pub fn kill_all(&self) {
        for process in self
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
        {
            process.kill();
        }
    }

    /// Tells one of the running processes to stop.
    pub fn stop_one(&self, pick: usize) {
        let tokens = self.graceful.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(token) = tokens.get(pick % tokens.len().max(1)) {
            token.cancel();
        }
    }
}

/// Keeps a process of a role running until the run is over.
pub async fn keep_running(shared: Arc<Shared>, role: Role, number: usize) {
    let name = format!("{}{number}", role.name());
    loop {
        let crash = shared.crash(role);
        shared
            .world
            .note(&name, format_args!("starts, crash at {crash:?}"));
        let process = Process::new(shared.world.clone(), role.name(), &name, crash);
        let token = CancellationToken::new();
        enter(&shared.running, process.clone());
        enter(&shared.graceful, token.clone());
        let life = tokio::spawn(life(shared.clone(), role, process.clone(), token.clone()));
        let aborts = life.abort_handle();
        tokio::select! {
            biased;
            () = process.died() => {
                aborts.abort();
            }
            ended = life => {
                // Whatever it left behind is gone with it.
                process.kill();
                if let Err(error) = ended
                    && error.is_panic()
                {
                    shared.world.violation(format!("{name} panicked: {error}"));
                }
            }
        }
        shared
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|known| known.is_alive());
        shared
            .graceful
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|known| !known.is_cancelled());
        token.cancel();
        let pause = shared.draw(|rng| if rng.coin() { 10 } else { rng.within(50, 2500) });
        shared.world.sleep_ms(pause).await;
    }
}

fn enter<T>(list: &Mutex<Vec<T>>, item: T) {
    list.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(item);
}

/// One life of a process. An error ends it, as it ends the program.
async fn life(shared: Arc<Shared>, role: Role, process: Arc<Process>, token: CancellationToken) {
    let log = ProcessLog::shared(
        shared.log.clone(),
        process.clone(),
        shared.log_weather.clone(),
        shared.log_rng.clone(),
    );
    let skew = shared.draw(|rng| rng.within(-1500, 1500));
    let clock: Arc<dyn Clock> = Arc::new(SimClock::new(shared.world.timers.clone(), skew));
    if let Err(error) = serve(role, &process, log, clock, token).await {
        shared
            .world
            .note(&process.name, format_args!("ends: {error:#}"));
    }
}

async fn serve(
    role: Role,
    process: &Arc<Process>,
    log: SharedLog,
    clock: Arc<dyn Clock>,
    token: CancellationToken,
) -> anyhow::Result<()> {
    let registry = JobRegistry::open(log.clone(), PREFIX).await?;
    let status = StatusBoard::with_clock(log.clone(), PREFIX, clock.clone()).await?;
    let sealer = Sealer::from_base64(LOG_KEY)?;
    let mut tasks: JoinSet<anyhow::Result<()>> = JoinSet::new();
    let (followed, time, stop) = (registry.clone(), clock.clone(), token.clone());
    tasks.spawn(async move {
        followed.run(&*time, stop).await;
        Ok(())
    });
    let (followed, time, stop) = (status.clone(), clock.clone(), token.clone());
    tasks.spawn(async move {
        followed.run(&*time, stop).await;
        Ok(())
    });
    let caller = process.clone();
    match role {
        Role::Producer => {
            let deps = ccr_producer::Deps {
                log,
                registry,
                status,
                sealer,
                clock,
                connect: Arc::new(move |address| {
                    let host = address.frontends.first().map_or("", |fe| fe.host.as_str());
                    Arc::new(Client::new(caller.clone(), host)) as Arc<dyn Source>
                }),
            };
            let service = ProducerService::new(deps, producer_config(&process.name));
            tasks.spawn(async move { Ok(service.run(token).await?) });
        }
        Role::Applier => {
            let deps = ccr_applier::Deps {
                log,
                registry,
                status,
                sealer,
                clock,
                connect: Connect::new(move |address| {
                    let host = address.frontends.first().map_or("", |fe| fe.host.as_str());
                    Ok(Arc::new(Client::new(caller.clone(), host)) as Arc<dyn Destination>)
                }),
            };
            let service = ApplierService::new(deps, applier_config(&process.name));
            tasks.spawn(async move { Ok(service.run(token).await?) });
        }
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}

/// Settings of a producer: shorter waits than by default, so that a run is short.
fn producer_config(owner: &str) -> ProducerConfig {
    ProducerConfig {
        prefix: PREFIX.to_owned(),
        poll_interval: Duration::from_millis(50),
        backup_poll: Duration::from_millis(100),
        coalesce: Duration::from_millis(50),
        backup_timeout: Duration::from_secs(60),
        halt_retry: Duration::from_secs(2),
        ..ProducerConfig::new(owner)
    }
}

/// Settings of an applier: shorter waits than by default.
fn applier_config(owner: &str) -> ApplierConfig {
    ApplierConfig {
        prefix: PREFIX.to_owned(),
        owner: owner.to_owned(),
        drain_deadline: Duration::from_secs(3),
        visible_timeout: Duration::from_secs(10),
        poll_interval: Duration::from_millis(100),
        snapshot_timeout: Duration::from_secs(30),
        ..ApplierConfig::default()
    }
}
