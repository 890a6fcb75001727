//! Replicas that a backend lost, or that missed loads, come back from the others by themselves.

use std::time::Duration;

use dorisim::be::BackendApi;
use dorisim::be::agent::AgentConfig;
use dorisim::faults::{Effect, Rule};
use dorisim::fe::FrontendConfig;
use dorisim::fe::backends::AgentSettings;
use dorisim::{SimCluster, SimConfig};

/// Three backends whose tablet reports come often, and a table with a replica on each.
async fn cluster(name: &str) -> (SimCluster, i64) {
    let sim = SimCluster::start(SimConfig {
        name: name.to_owned(),
        backends: 3,
        agent: AgentConfig {
            tablet_report: Duration::from_millis(100),
            ..AgentConfig::default()
        },
        frontend: FrontendConfig {
            agent: AgentSettings {
                heartbeat_interval: Duration::from_millis(50),
                young_tablet: Duration::ZERO,
                ..AgentSettings::default()
            },
            ..FrontendConfig::default()
        },
        ..SimConfig::default()
    })
    .await
    .unwrap();
    for statement in [
        "CREATE DATABASE d",
        "CREATE TABLE d.t (k INT, v STRING) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1 PROPERTIES ('replication_num' = '3', 'binlog.enable' = 'true')",
        "INSERT INTO d.t VALUES (1, 'a'), (2, NULL)",
    ] {
        sim.sql(statement).await.unwrap();
    }
    let tablet = sim.backends()[0].tablet_ids()[0];
    (sim, tablet)
}

async fn until_rows(sim: &SimCluster, backend: usize, tablet: i64, rows: i64) {
    for _ in 0..400 {
        let stat = sim.backends()[backend].tablet_stat(tablet);
        if stat.is_ok_and(|stat| stat.rows == rows) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("backend {backend} does not get its {rows} rows");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_tablet_comes_back_and_takes_loads_again() {
    let (sim, tablet) = cluster("lost").await;
    sim.backends()[1].drop_tablets(&[tablet]).await.unwrap();
    until_rows(&sim, 1, tablet, 2).await;
    sim.sql("INSERT INTO d.t VALUES (3, 'c')").await.unwrap();
    for backend in 0..3 {
        until_rows(&sim, backend, tablet, 3).await;
    }
    // Only the replica that was cloned is left to read from.
    for backend in [0, 2] {
        let id = sim.backends()[backend].id();
        sim.faults()
            .add(Rule::always("*", Effect::Down).on_backend(id));
    }
    let rows = sim.sql("SELECT * FROM d.t ORDER BY k").await.unwrap();
    assert_eq!(rows.len(), 3);
    assert!(sim.counters()["task.clone"] > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_that_missed_loads_gets_their_versions() {
    let (sim, tablet) = cluster("missed").await;
    let id = sim.backends()[2].id();
    let down = sim
        .faults()
        .add(Rule::always("*", Effect::Down).on_backend(id));
    tokio::time::sleep(Duration::from_millis(200)).await;
    for row in ["(3, 'c')", "(4, 'd')"] {
        sim.sql(&format!("INSERT INTO d.t VALUES {row}"))
            .await
            .unwrap();
    }
    assert_eq!(sim.backends()[2].tablet_stat(tablet).unwrap().rows, 2);
    sim.faults().remove(down);
    until_rows(&sim, 2, tablet, 4).await;
    let stat = sim.backends()[2].tablet_stat(tablet).unwrap();
    assert_eq!((stat.version, stat.binlogs), (4, 3));
}
