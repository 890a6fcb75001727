//! All jobs of a process: one supervisor per job, which starts, restarts and stops its runner as the registry wants.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ccr_control::process::Process;
use ccr_control::{JobRegistry, JobSpec, JobState, StatusBoard, Wanted};
use ccr_log::SharedLog;
use ccr_ops::{Clock, Sealer};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::ApplierConfig;
use crate::destination::Connect;
use crate::error::Error;
use crate::progress::Progress;
use crate::retire::Retirement;
use crate::runtime::{JobRunner, RunnerDeps};

type Jobs = Arc<BTreeMap<String, JobSpec>>;

/// What the service needs from its process.
#[derive(Clone)]
pub struct Deps {
    /// The log.
    pub log: SharedLog,
    /// Wanted jobs.
    pub registry: Arc<JobRegistry>,
    /// Where statuses go.
    pub status: Arc<StatusBoard>,
    /// Opens passwords and tokens.
    pub sealer: Sealer,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Makes clients of destinations.
    pub connect: Connect,
}

impl Deps {
    /// Of a process, with clients of real clusters.
    pub fn of(process: &Process) -> Self {
        Self {
            log: process.log.clone(),
            registry: process.registry.clone(),
            status: process.status.clone(),
            sealer: process.sealer.clone(),
            clock: process.clock.clone(),
            connect: {
                let installation = process.installation.clone();
                Connect::new(move |address| Ok(Arc::new(installation.client(address.clone()))))
            },
        }
    }
}

/// Runs every wanted job of the registry.
pub struct ApplierService {
    deps: Deps,
    config: ApplierConfig,
}

impl ApplierService {
    /// Of a process.
    pub fn new(deps: Deps, config: ApplierConfig) -> Self {
        Self { deps, config }
    }

    /// Runs until cancelled; then drains within the deadline.
    ///
    /// # Errors
    /// None today: what goes wrong with a job stays with the job. The signature leaves room for a log that can not be used.
    pub async fn run(self, stop: CancellationToken) -> Result<(), Error> {
        let mut jobs = self.deps.registry.watch();
        let mut supervisors: JoinSet<String> = JoinSet::new();
        let mut running: BTreeSet<String> = BTreeSet::new();
        loop {
            let wanted: Jobs = jobs.borrow_and_update().clone();
            for name in wanted.keys() {
                if self.config.runs(name) && !running.contains(name) && !stop.is_cancelled() {
                    running.insert(name.clone());
                    let supervisor = Supervisor {
                        name: name.clone(),
                        deps: self.deps.clone(),
                        config: self.config.clone(),
                        jobs: self.deps.registry.watch(),
                        stop: stop.child_token(),
                    };
                    supervisors.spawn(supervisor.run());
                }
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(ended) = supervisors.join_next() => match ended {
                    Ok(name) => {
                        running.remove(&name);
                    }
                    Err(error) => {
                        tracing::error!(%error, "supervisor of a job ended by a programming error");
                        return Err(Error::Config(format!("a job's supervisor failed: {error}")));
                    }
                },
                changed = jobs.changed() => if changed.is_err() {
                    break;
                },
            }
        }
        while supervisors.join_next().await.is_some() {}
        Ok(())
    }
}

/// How long to wait for a producer that has not created the topics of a new database yet.
const WAIT_FOR_PRODUCER: Duration = Duration::from_millis(250);
/// Longest delay after failures.
const MAX_DELAY: Duration = Duration::from_secs(15);

/// How a run of a job ended.
enum Ended {
    /// As it was told, or because the definition changed.
    Told,
    /// There is no topic to read yet.
    BeforeProducer,
    /// With an error, which was logged.
    Failed,
}

struct Supervisor {
    name: String,
    deps: Deps,
    config: ApplierConfig,
    jobs: watch::Receiver<Jobs>,
    stop: CancellationToken,
}

impl Supervisor {
    /// Ends when the job is gone or the process stops; answers the job's name.
    async fn run(mut self) -> String {
        let mut failures = 0_u32;
        let mut before: Option<JobSpec> = None;
        loop {
            let spec = self.jobs.borrow_and_update().get(&self.name).cloned();
            if self.stop.is_cancelled() {
                return self.name;
            }
            let is_another = |old: &JobSpec| {
                spec.as_ref()
                    .is_none_or(|new| new.created_at_ms != old.created_at_ms)
            };
            if let Some(old) = before.take_if(|old| is_another(old)) {
                self.retire(&old).await;
            }
            let Some(spec) = spec else { return self.name };
            before = Some(spec.clone());
            match spec.wanted {
                Wanted::Paused => {
                    self.report_paused(&spec).await;
                    self.changed().await;
                }
                Wanted::Running => {
                    let started = self.deps.clock.monotonic();
                    let ended = self.run_once(&spec).await;
                    if self.deps.clock.monotonic().saturating_sub(started) > Duration::from_secs(60)
                    {
                        failures = 0;
                    }
                    let delay = match ended {
                        Ended::Told => continue,
                        Ended::BeforeProducer => WAIT_FOR_PRODUCER,
                        Ended::Failed => {
                            failures += 1;
                            (Duration::from_millis(250) * (1 << failures.min(6))).min(MAX_DELAY)
                        }
                    };
                    tokio::select! {
                        biased;
                        () = self.stop.cancelled() => {}
                        () = self.deps.clock.sleep(delay) => {}
                    }
                }
            }
        }
    }

    /// Leaves the destination of a job that was deleted in order.
    async fn retire(&self, spec: &JobSpec) {
        let others = self.jobs.borrow().values().cloned().collect();
        let retirement = Retirement {
            spec,
            others,
            connect: &self.deps.connect,
            sealer: &self.deps.sealer,
            clock: &self.deps.clock,
        };
        retirement.run(&self.stop).await;
    }

    /// Runs the job until it ends or its definition changes.
    async fn run_once(&mut self, spec: &JobSpec) -> Ended {
        let token = self.stop.child_token();
        let runner = JobRunner::new(
            RunnerDeps {
                log: self.deps.log.clone(),
                status: self.deps.status.clone(),
                sealer: self.deps.sealer.clone(),
                clock: self.deps.clock.clone(),
                connect: self.deps.connect.clone(),
            },
            self.config.clone(),
            spec.clone(),
        );
        let mut running = Box::pin(runner.run(token.clone()));
        let result = loop {
            tokio::select! {
                biased;
                result = &mut running => break result,
                changed = self.jobs.changed(), if !token.is_cancelled() => {
                    let same = self.jobs.borrow_and_update().get(&self.name) == Some(spec);
                    if changed.is_err() || !same {
                        token.cancel();
                    }
                }
            }
        };
        match result {
            Ok(()) => Ended::Told,
            Err(Error::Log(ccr_log::Error::UnknownTopic(topic))) => {
                tracing::info!(job = %self.name, %topic, "waiting for a producer to create the topic");
                Ended::BeforeProducer
            }
            Err(error) => {
                tracing::error!(job = %self.name, error = %error.full_text(), "run of the job failed, trying again");
                Ended::Failed
            }
        }
    }

    async fn report_paused(&self, spec: &JobSpec) {
        let now = self.deps.clock.now_ms();
        let known = self.deps.status.job(&spec.name);
        let mut status = known.unwrap_or_else(|| {
            Progress::new(spec, &self.config.owner, now)
                .status()
                .clone()
        });
        status.state = JobState::Paused;
        status.action = "paused".to_owned();
        status.at_ms = now;
        if let Err(error) = self.deps.status.report_job(status).await {
            tracing::warn!(job = %spec.name, error = %crate::error::full_text(&error), "status not reported");
        }
    }

    async fn changed(&mut self) {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => {}
            _ = self.jobs.changed() => {}
        }
    }
}
