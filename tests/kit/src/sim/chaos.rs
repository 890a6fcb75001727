//! What goes wrong beside the single calls: nodes that go down, masters that change, groups that rebalance, processes that end.

use std::sync::Arc;
use std::time::Duration;

use super::jobs::SOURCE;
use super::processes::Shared;
use super::scenario::{Scenario, Trouble};
use crate::rng::Rng;
use crate::world::State;

/// Lets things go wrong until it is dropped.
pub async fn go_wrong(shared: Arc<Shared>, scenario: Scenario) {
    let mut rng = Rng::new(scenario.seed, "chaos");
    let world = shared.world.clone();
    loop {
        world.sleep_ms(rng.within(100, 4000)).await;
        let bad_network = matches!(scenario.trouble, Trouble::Network | Trouble::All);
        let draw = rng.below(10);
        match draw {
            0 if bad_network => {
                let cluster = any_cluster(&shared, &mut rng);
                let span = rng.within(100, 3000);
                world.note(
                    "chaos",
                    format_args!("nobody reaches {cluster} for {span} ms"),
                );
                world.reach("chaos: a cluster is cut off");
                world.with(|state, now| state.net.cut_until.insert(cluster, now + span));
            }
            1 if bad_network => backend_down(&shared, &mut rng).await,
            2 if bad_network => {
                let cluster = any_cluster(&shared, &mut rng);
                let span = rng.within(50, 2000);
                world.note(
                    "chaos",
                    format_args!("master of {cluster} changes, {span} ms without one"),
                );
                world.reach("chaos: a master changes");
                world.with(|state, now| {
                    if let Some(cluster) = state.clusters.get_mut(&cluster) {
                        cluster.no_master_until = now + span;
                        cluster.lose_running_txns();
                    }
                });
            }
            3 if scenario.crashes() => {
                world.note("chaos", format_args!("groups rebalance"));
                world.reach("chaos: groups rebalance");
                shared.log.rebalance();
            }
            4 if scenario.crashes() => {
                let span = rng.below(2500);
                world.note(
                    "chaos",
                    format_args!("owners are evicted, unnoticed for {span} ms"),
                );
                world.reach("chaos: owners are evicted");
                shared.log.evict(Duration::from_millis(span));
            }
            5 if scenario.crashes() => {
                let pick = usize::try_from(rng.below(100)).unwrap_or(0);
                let with_a_word = rng.coin();
                world.reach(if with_a_word {
                    "chaos: a process is stopped"
                } else {
                    "chaos: a process is killed"
                });
                shared.end_one(pick, with_a_word);
            }
            6 if scenario.trouble == Trouble::All => {
                let cluster = any_dest(&shared, &mut rng);
                world.note(
                    "chaos",
                    format_args!("{cluster} forgets finished transactions"),
                );
                world.reach("chaos: labels are forgotten");
                world.with(|state, _| {
                    if let Some(cluster) = state.clusters.get_mut(&cluster) {
                        cluster.forget_labels();
                    }
                });
            }
            _ => {}
        }
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
    world.note(
        "chaos",
        format_args!("backend {backend} of {cluster} is down for {span} ms"),
    );
    world.reach("chaos: a backend is down");
    world.with(|state, _| set_alive(state, &cluster, backend, false));
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
pub fn heal(state: &mut State) {
    state.net.calm();
    for cluster in state.clusters.values_mut() {
        cluster.no_master_until = 0;
        for node in cluster.backends.values_mut() {
            node.alive = true;
        }
        cluster.repair_replicas();
    }
}
