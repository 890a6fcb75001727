//! What goes wrong beside the single calls: nodes that go down, masters that change, groups that rebalance, processes that end,
//! jobs that a person stops for a while.

use std::sync::Arc;
use std::time::Duration;

use ccr_control::{JobRegistry, Wanted};

use super::jobs::{DATABASE, SOURCE};
use super::processes::Shared;
use super::scenario::{Scenario, Trouble};
use crate::rng::Rng;
use crate::world::{Fact, State};

/// One kind of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Blow {
    CutOff,
    BackendDown,
    MasterChanges,
    Rebalance,
    Evict,
    EndProcess,
    EndAll,
    PauseJob,
    ResyncJob,
    ForgetLabels,
    LoseHistory,
}

impl Blow {
    /// What may happen in a scenario; what is listed twice happens twice as often.
    fn possible(scenario: &Scenario) -> Vec<Self> {
        let mut possible = vec![Self::PauseJob, Self::PauseJob];
        if matches!(scenario.trouble, Trouble::Network | Trouble::All) {
            possible.extend([Self::CutOff, Self::BackendDown, Self::MasterChanges]);
        }
        if scenario.crashes() {
            possible.extend([
                Self::Rebalance,
                Self::Rebalance,
                Self::Evict,
                Self::EndProcess,
                Self::EndProcess,
                Self::EndAll,
            ]);
        }
        if scenario.trouble == Trouble::All {
            possible.push(Self::ResyncJob);
            if !scenario.avoided.labels_forgotten {
                possible.push(Self::ForgetLabels);
            }
            if scenario.loses_history {
                possible.push(Self::LoseHistory);
            }
        }
        possible
    }
}

/// Lets things go wrong until it is dropped.
pub async fn go_wrong(shared: Arc<Shared>, scenario: Scenario, registry: Arc<JobRegistry>) {
    let mut rng = Rng::new(scenario.seed, "chaos");
    let possible = Blow::possible(&scenario);
    let world = shared.world.clone();
    loop {
        world.sleep_ms(rng.within(50, scenario.calm_ms)).await;
        let Some(blow) = rng.pick(&possible).copied() else {
            return;
        };
        strike(blow, &shared, &scenario, &registry, &mut rng).await;
    }
}

async fn strike(
    blow: Blow,
    shared: &Arc<Shared>,
    scenario: &Scenario,
    registry: &Arc<JobRegistry>,
    rng: &mut Rng,
) {
    let world = &shared.world;
    match blow {
        Blow::CutOff => {
            let cluster = any_cluster(shared, rng);
            let span = rng.within(100, 3000);
            world.blow(
                "a cluster is cut off",
                format_args!("{cluster} for {span} ms"),
            );
            world.with(|state, now| state.net.cut_until.insert(cluster, now + span));
        }
        Blow::BackendDown => backend_down(shared, rng).await,
        Blow::MasterChanges => {
            let cluster = any_cluster(shared, rng);
            let span = rng.within(20, 2000);
            world.blow(
                "a master changes",
                format_args!("{cluster} has none for {span} ms"),
            );
            world.with(|state, now| {
                if let Some(cluster) = state.clusters.get_mut(&cluster) {
                    cluster.no_master_until = now + span;
                    cluster.lose_running_txns();
                }
            });
        }
        Blow::Rebalance => {
            world.blow("groups rebalance", format_args!(""));
            shared.log.rebalance();
        }
        Blow::Evict => {
            let span = rng.below(2500);
            world.blow(
                "owners are evicted",
                format_args!("unnoticed for {span} ms"),
            );
            shared.log.evict(Duration::from_millis(span));
        }
        Blow::EndProcess => {
            let pick = usize::try_from(rng.below(100)).unwrap_or(0);
            if rng.coin() {
                world.blow("a process is stopped", format_args!(""));
                shared.stop_one(pick);
            } else {
                world.blow("a process is killed", format_args!(""));
                shared.kill_one(pick);
            }
        }
        Blow::EndAll => {
            world.blow("all processes are killed", format_args!(""));
            shared.kill_all();
        }
        Blow::PauseJob => {
            let Some(job) = rng.pick(&scenario.jobs) else {
                return;
            };
            let span = rng.within(200, 4000);
            world.blow(
                "a job is paused",
                format_args!("{} for {span} ms", job.name),
            );
            set_wanted(shared, registry, &job.name, Wanted::Paused).await;
            world.sleep_ms(span).await;
            set_wanted(shared, registry, &job.name, Wanted::Running).await;
        }
        Blow::ResyncJob => {
            let Some(job) = rng.pick(&scenario.jobs) else {
                return;
            };
            world.blow("a job is started again", format_args!("{}", job.name));
            let now = world.timers.now_ms();
            if let Err(error) = registry.resync(&job.name, now).await {
                world.violation(format!("resync of {}: {error}", job.name));
            }
        }
        Blow::ForgetLabels => {
            let cluster = any_dest(shared, rng);
            world.blow("labels are forgotten", format_args!("{cluster}"));
            world.with(|state, _| {
                state.facts.insert(Fact::LabelsForgotten);
                if let Some(cluster) = state.clusters.get_mut(&cluster) {
                    cluster.forget_labels();
                }
            });
        }
        Blow::LoseHistory => {
            world.blow("the source loses history", format_args!(""));
            world.with(|state, _| {
                state.facts.insert(Fact::HistoryLost);
                if let Some(cluster) = state.clusters.get_mut(SOURCE) {
                    let newest = cluster.databases.get(DATABASE).map(|d| d.stream.newest());
                    cluster.collect_binlog(DATABASE, newest.unwrap_or(-1));
                }
            });
        }
    }
}

async fn set_wanted(shared: &Shared, registry: &JobRegistry, job: &str, wanted: Wanted) {
    if let Err(error) = registry.set_wanted(job, wanted).await {
        shared
            .world
            .violation(format!("{wanted:?} of {job}: {error}"));
    }
}

fn any_cluster(shared: &Shared, rng: &mut Rng) -> String {
    let names = shared
        .world
        .with(|state, _| state.clusters.keys().cloned().collect::<Vec<_>>());
    rng.pick(&names).cloned().unwrap_or_default()
}

fn any_dest(shared: &Shared, rng: &mut Rng) -> String {
    let names = shared.world.with(|state, _| {
        let names = state.clusters.keys().filter(|name| *name != SOURCE);
        names.cloned().collect::<Vec<_>>()
    });
    rng.pick(&names).cloned().unwrap_or_default()
}

async fn backend_down(shared: &Shared, rng: &mut Rng) {
    let world = &shared.world;
    let cluster = any_cluster(shared, rng);
    let backends = world.with(|state, _| {
        let found = state.clusters.get(&cluster);
        found.map_or_else(Vec::new, |c| c.backends.keys().copied().collect())
    });
    let Some(backend) = rng.pick(&backends).copied() else {
        return;
    };
    let span = rng.within(100, 3000);
    world.blow(
        "a backend is down",
        format_args!("{backend} of {cluster} for {span} ms"),
    );
    world.with(|state, _| {
        state.facts.insert(Fact::BackendDown);
        set_alive(state, &cluster, backend, false);
    });
    world.sleep_ms(span).await;
    world.with(|state, _| set_alive(state, &cluster, backend, true));
}

fn set_alive(state: &mut State, cluster: &str, backend: i64, alive: bool) {
    if let Some(cluster) = state.clusters.get_mut(cluster) {
        if let Some(node) = cluster.backends.get_mut(&backend) {
            node.alive = alive;
        }
        if alive {
            cluster.repair_replicas();
        }
    }
}

/// Everything works from now on.
pub async fn heal(shared: &Shared, scenario: &Scenario, registry: &JobRegistry) {
    shared.spare();
    shared.calm_log();
    shared.world.with(|state, _| {
        state.net.calm();
        for cluster in state.clusters.values_mut() {
            cluster.no_master_until = 0;
            for node in cluster.backends.values_mut() {
                node.alive = true;
            }
            cluster.repair_replicas();
        }
    });
    for job in &scenario.jobs {
        set_wanted(shared, registry, &job.name, Wanted::Running).await;
    }
}
