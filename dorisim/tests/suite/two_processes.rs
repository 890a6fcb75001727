//! A cluster whose only backend is another process: DDL, loads, queries, a snapshot for another cluster, and the end of the backend by
//! SIGKILL in between.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use dorisim::{SimCluster, SimConfig};
use serde_json::Value;

use crate::common::frontend_client;
use dorisim_wire::{
    TFrontendServiceSyncClient, TGetSnapshotRequest, TRestoreSnapshotRequest, TSnapshotType,
    TStatusCode,
};

/// The process; it is killed with its value.
struct Backend {
    child: Child,
    ports: Value,
}

impl Drop for Backend {
    fn drop(&mut self) {
        // Fails when it ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Backend {
    /// Starts it on these ports and waits for its first heartbeat.
    async fn start(fe: u16, store: &Path, ports: [u64; 3]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dorisim"));
        command
            .args(["be", "--fe", &format!("127.0.0.1:{fe}"), "--print-json"])
            .args(["--brpc-port", "0"])
            .arg("--data-dir")
            .arg(store)
            .env("RUST_LOG", "warn")
            .stdout(Stdio::piped());
        let names = ["--be-port", "--http-port", "--heartbeat-port"];
        for (name, port) in names.into_iter().zip(ports) {
            command.args([name, &port.to_string()]);
        }
        let mut child = command.spawn().unwrap();
        let output = child.stdout.take().unwrap();
        let line = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            BufReader::new(output).read_line(&mut line).map(|_| line)
        });
        let line = line.await.unwrap().unwrap();
        let ports = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{line:?}: {e}"));
        Self { child, ports }
    }

    fn ports(&self) -> [u64; 3] {
        ["be_port", "http_port", "heartbeat_port"].map(|name| self.ports[name].as_u64().unwrap())
    }
}

async fn cluster(name: &str, backends: usize) -> SimCluster {
    SimCluster::start(SimConfig {
        name: name.to_owned(),
        backends,
        ..SimConfig::default()
    })
    .await
    .unwrap()
}

/// The first cell of an answer.
async fn cell(sim: &SimCluster, query: &str) -> Result<Option<String>, String> {
    let rows = sim.sql(query).await.map_err(|error| format!("{error:#}"))?;
    Ok(rows
        .into_iter()
        .next()
        .and_then(|row| row.into_iter().next())
        .flatten())
}

/// Asks until the first cell is `wanted`.
async fn until(sim: &SimCluster, query: &str, wanted: &str) {
    let mut last = Ok(None);
    for _ in 0..400 {
        last = cell(sim, query).await;
        if last
            .as_ref()
            .is_ok_and(|cell| cell.as_deref() == Some(wanted))
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("{query}: {last:?} instead of {wanted}");
}

/// A table of two buckets; tablets can be placed as soon as the first report of disks came.
async fn create(sim: &SimCluster) {
    sim.sql("CREATE DATABASE d PROPERTIES (\"binlog.enable\" = \"true\")")
        .await
        .unwrap();
    let create = "CREATE TABLE IF NOT EXISTS d.t (id BIGINT, v STRING) UNIQUE KEY(id) DISTRIBUTED BY HASH(id) BUCKETS 2 \
                  PROPERTIES (\"replication_num\" = \"1\")";
    let mut last = None;
    for _ in 0..400 {
        match sim.sql(create).await {
            Ok(_) => return,
            Err(error) => last = Some(error),
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("{last:?}");
}

/// Loads two lines, following the redirect as curl does; the answer of the backend.
async fn stream_load(sim: &SimCluster, label: &str) -> Value {
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let send = |url: String| {
        client
            .put(url)
            .header("Authorization", "Basic cm9vdDo=")
            .header("Expect", "100-continue")
            .header("label", label)
            .header("column_separator", ",")
            .body("10,ten\n11,eleven\n")
            .send()
    };
    let url = format!("http://127.0.0.1:{}/api/d/t/_stream_load", sim.http_port());
    let redirected = send(url).await.unwrap();
    assert_eq!(redirected.status(), 307);
    let location = redirected.headers()["location"].to_str().unwrap();
    let plain = location.replace("root:@", "");
    let answer = send(plain).await.unwrap();
    serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_in_another_process_serves_loads_and_queries_over_its_death() {
    let sim = cluster("two-processes", 0).await;
    let dir = tempfile::tempdir().unwrap();
    let backend = Backend::start(sim.query_port(), dir.path(), [0; 3]).await;
    create(&sim).await;
    sim.sql("INSERT INTO d.t VALUES (1, 'a'), (2, 'b'); UPDATE d.t SET v = 'bb' WHERE id = 2")
        .await
        .unwrap();
    let values = "SELECT group_concat(v ORDER BY id) FROM d.t";
    until(&sim, values, "a, bb").await;
    let loaded = stream_load(&sim, "first").await;
    assert_eq!(
        (&loaded["Status"], &loaded["NumberLoadedRows"]),
        (&Value::from("Success"), &Value::from(2)),
        "{loaded}"
    );
    let repeated = stream_load(&sim, "first").await;
    assert_eq!(repeated["Status"], "Label Already Exists", "{repeated}");
    until(&sim, "SELECT count(*) FROM d.t", "4").await;
    // A light and a heavy schema change, both over its sockets.
    sim.sql("ALTER TABLE d.t ADD COLUMN n INT DEFAULT \"7\"")
        .await
        .unwrap();
    until(&sim, "SELECT sum(n) FROM d.t", "28").await;

    let ports = backend.ports();
    let client = reqwest::Client::new();
    let url = format!("http://127.0.0.1:{}/sim/data/rowsets", ports[1]);
    let stranger = client.post(url).body("{}").send().await.unwrap();
    assert_eq!(stranger.status(), 401, "rows are for the cluster alone");

    drop(backend);
    until(&sim, "SELECT Alive FROM backends()", "false").await;
    assert!(sim.sql("INSERT INTO d.t VALUES (3, 'c', 1)").await.is_err());
    let again = Backend::start(sim.query_port(), dir.path(), ports).await;
    until(&sim, "SELECT Alive FROM backends()", "true").await;
    assert_eq!(again.ports(), ports);
    until(&sim, "SELECT count(*) FROM d.t", "4").await;
    sim.sql("INSERT INTO d.t VALUES (3, 'c', 1)").await.unwrap();
    until(&sim, "SELECT count(*) FROM d.t", "5").await;
    sim.sql("DROP TABLE d.t FORCE").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_of_another_process_is_restored_elsewhere() {
    let sim = cluster("two-processes-source", 0).await;
    let dir = tempfile::tempdir().unwrap();
    let _backend = Backend::start(sim.query_port(), dir.path(), [0; 3]).await;
    create(&sim).await;
    sim.sql("INSERT INTO d.t VALUES (1, 'a'), (2, 'b')")
        .await
        .unwrap();
    sim.sql("BACKUP SNAPSHOT d.s TO `__keep_on_local__` ON (t)")
        .await
        .unwrap();
    let text = |text: &str| Some(text.to_owned());
    let mut snapshot = None;
    for _ in 0..400 {
        let request = TGetSnapshotRequest {
            user: text("root"),
            passwd: text(""),
            db: text("d"),
            label_name: text("s"),
            snapshot_name: text("s"),
            snapshot_type: Some(TSnapshotType::LOCAL),
            ..dorisim_wire::unset()
        };
        let answer = frontend_client(sim.thrift_port())
            .get_snapshot(request)
            .unwrap();
        if answer.status.as_ref().unwrap().status_code == TStatusCode::OK {
            snapshot = Some(answer);
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    let snapshot = snapshot.expect("the backup did not finish");
    let meta = frontend_client(sim.thrift_port());
    let extra = extra_info(meta, &snapshot.job_info.unwrap());

    let target = cluster("two-processes-target", 1).await;
    target
        .sql("CREATE DATABASE d PROPERTIES (\"binlog.enable\" = \"true\")")
        .await
        .unwrap();
    let request = TRestoreSnapshotRequest {
        user: text("root"),
        passwd: text(""),
        db: text("d"),
        label_name: text("r"),
        repo_name: text("__keep_on_local__"),
        properties: Some([("reserve_replica".to_owned(), "true".to_owned())].into()),
        meta: snapshot.meta,
        job_info: Some(extra),
        ..dorisim_wire::unset()
    };
    let answer = frontend_client(target.thrift_port())
        .restore_snapshot(request)
        .unwrap();
    let status = answer.status.unwrap();
    assert_eq!(status.status_code, TStatusCode::OK, "{status:?}");
    let mut shown = Vec::new();
    for _ in 0..400 {
        shown = target.sql("SHOW RESTORE FROM d").await.unwrap();
        let state = |wanted: &str| shown.iter().flatten().flatten().any(|cell| cell == wanted);
        if state("FINISHED") || state("CANCELLED") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    let rows = cell(&target, "SELECT count(*) FROM d.t").await;
    assert_eq!(rows, Ok(Some("2".to_owned())), "{shown:?}");
    until(
        &target,
        "SELECT group_concat(v ORDER BY id) FROM d.t",
        "a, b",
    )
    .await;
}

/// The job info with token and addresses of the source's backends, as a replicator adds them.
fn extra_info(mut client: crate::common::FrontendClient, job_info: &[u8]) -> Vec<u8> {
    let text = |text: &str| Some(text.to_owned());
    let token = client
        .get_master_token(dorisim_wire::TGetMasterTokenRequest {
            user: text("root"),
            password: text(""),
            ..dorisim_wire::unset()
        })
        .unwrap()
        .token
        .unwrap();
    let backends = client
        .get_backend_meta(dorisim_wire::TGetBackendMetaRequest {
            user: text("root"),
            passwd: text(""),
            ..dorisim_wire::unset()
        })
        .unwrap()
        .backends
        .unwrap();
    let addresses: serde_json::Map<String, Value> = backends
        .iter()
        .map(|be| {
            let address = serde_json::json!({"ip": be.host, "port": be.http_port});
            (be.id.unwrap().to_string(), address)
        })
        .collect();
    let mut info: Value = serde_json::from_slice(job_info).unwrap();
    info["extra_info"] = serde_json::json!({"be_network_map": addresses, "token": token});
    serde_json::to_vec(&info).unwrap()
}
