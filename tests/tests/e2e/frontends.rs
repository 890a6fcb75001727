//! Any FE of a cluster may be gone when a process starts, also the one that the job names.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use ccr_cli::stack::{LogChoice, Stack, StackConfig};
use ccr_doris::cluster::FrontendAddress;
use ccr_doris::{ClusterAddress, DorisCluster, SqlSession};
use ccr_lab::Cluster;
use ccr_ops::{Sealer, Secret};
use ccr_tests::world::DATABASE;
use ccr_tests::{Api, World, assert_equal};
use dorisim::{SimCluster, SimConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

/// Of the lab's clusters.
const USER: &str = "root";
const PASSWORD: &str = "quickstart";
const LONG: Duration = Duration::from_secs(120);

/// An address of a server that can be closed while the server goes on. Dropped, it is closed.
struct Gate {
    port: u16,
    serving: JoinHandle<()>,
}

impl Gate {
    async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = listener.local_addr().unwrap().port();
        let serving = tokio::spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((mut near, _)) = listener.accept().await {
                open.spawn(async move {
                    let mut far = TcpStream::connect(("127.0.0.1", port)).await?;
                    tokio::io::copy_bidirectional(&mut near, &mut far).await
                });
            }
        });
        Self {
            port: here,
            serving,
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// A cluster of two FEs.
async fn two_frontends(name: &str) -> Cluster {
    let sim = SimCluster::start(SimConfig {
        name: name.to_owned(),
        password: PASSWORD.to_owned(),
        frontends: 2,
        backends: 2,
        ..SimConfig::default()
    })
    .await
    .unwrap();
    let all = sim.frontends().iter().map(|ports| FrontendAddress {
        host: "127.0.0.1".to_owned(),
        query_port: ports.query,
        thrift_port: ports.thrift,
    });
    let client = DorisCluster::new(ClusterAddress {
        frontends: all.collect(),
        cluster_id: None,
        user: USER.to_owned(),
        password: Secret::new(PASSWORD.to_owned()),
        host_mapping: BTreeMap::new(),
    });
    Cluster { sim, client }
}

async fn stack(folder: &Path, sealer: &Sealer) -> (Stack, Api) {
    let log = LogChoice::Embedded(folder.join("log.sqlite"));
    let config = StackConfig::new(log, sealer.clone());
    let stack = Stack::start(config, &CancellationToken::new())
        .await
        .unwrap();
    let api = Api::at(stack.api_address.unwrap());
    (stack, api)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_goes_on_when_the_frontend_it_names_is_gone_at_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let sealer = Sealer::from_base64(Sealer::generate_key().expose()).unwrap();
    let mut world = World::start(0).await.unwrap();
    world.source = two_frontends("source").await;
    world.targets.push(two_frontends("target").await);
    let create = format!("CREATE DATABASE {DATABASE} PROPERTIES (\"binlog.enable\" = \"true\")");
    world.source.client.execute(None, &create).await.unwrap();
    world
        .sql(
            "CREATE TABLE t (k INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1 PROPERTIES (\"replication_num\" = \"1\")",
        )
        .await
        .unwrap();
    world.sql("INSERT INTO t VALUES (1)").await.unwrap();

    // The job knows the first FE of each side, by an address that can be closed.
    let mut gates = Vec::new();
    let mut job = world.database_job("j", 0);
    for (side, cluster) in [("src", &world.source), ("dest", &world.targets[0])] {
        for (member, port) in [
            ("port", cluster.sim.query_port()),
            ("thrift_port", cluster.sim.thrift_port()),
        ] {
            let gate = Gate::to(port).await;
            job[side][member] = gate.port.to_string().into();
            gates.push(gate);
        }
    }
    let (first, api) = stack(folder.path(), &sealer).await;
    api.create(&job).await.unwrap();
    let end = world.source_end().await.unwrap();
    api.wait_following("j", end, LONG).await.unwrap();
    first.stop().await;

    drop(gates);
    world.source.sim.switch_master(1);
    world.targets[0].sim.switch_master(1);
    world.sql("INSERT INTO t VALUES (2)").await.unwrap();
    let end = world.source_end().await.unwrap();
    let (second, api) = stack(folder.path(), &sealer).await;
    api.wait_following("j", end, LONG).await.unwrap();
    let lag = api
        .post("get_lag", &serde_json::json!({"name": "j"}))
        .await
        .unwrap();
    assert_eq!(lag["lag"], serde_json::json!(0), "{lag}");
    let (here, there) = (&world.source, &world.targets[0]);
    let rows = assert_equal((here, DATABASE), (there, DATABASE), |_| true)
        .await
        .unwrap();
    assert_eq!(rows, 2);
    second.stop().await;
}
