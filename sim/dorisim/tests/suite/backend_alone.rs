//! `dorisim be` as a process of its own, at the frontend of a cluster that has no backends.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use dorisim::{SimCluster, SimConfig};
use serde_json::Value;

/// The process; it ends with its value.
struct Alone {
    child: Child,
    ports: Value,
}

impl Drop for Alone {
    fn drop(&mut self) {
        // Fails when it ended by itself.
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }
}

fn command(fe: u16, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dorisim"));
    command
        .args(["be", "--fe", &format!("127.0.0.1:{fe}"), "--print-json"])
        .args(["--brpc-port", "0"])
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Starts it and waits for its first heartbeat.
async fn start(fe: u16, store: &Path, ports: [u64; 3]) -> Alone {
    let store = store.display().to_string();
    let [be, http, heartbeat] = ports.map(|port| port.to_string());
    let arguments = [
        "--data-dir",
        &store,
        "--be-port",
        &be,
        "--http-port",
        &http,
        "--heartbeat-port",
        &heartbeat,
        "--wait-seconds",
        "30",
    ];
    let mut child = command(fe, &arguments).spawn().unwrap();
    let output = child.stdout.take().unwrap();
    let line = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).map(|_| line)
    });
    let line = line.await.unwrap().unwrap();
    let mut alone = Alone {
        child,
        ports: Value::Null,
    };
    match serde_json::from_str(&line) {
        Ok(ports) => alone.ports = ports,
        Err(_) => {
            let mut text = String::new();
            let mut errors = alone.child.stderr.take().unwrap();
            errors.read_to_string(&mut text).unwrap();
            panic!("it ended: {text}");
        }
    }
    alone
}

async fn without_backends(password: &str) -> SimCluster {
    SimCluster::start(SimConfig {
        name: "no-backends".to_owned(),
        backends: 0,
        password: password.to_owned(),
        ..SimConfig::default()
    })
    .await
    .unwrap()
}

async fn until(cluster: &SimCluster, statement: &str, wanted: &str) {
    let mut last = String::new();
    for _ in 0..300 {
        last = match cluster.sql(statement).await {
            Ok(rows) => format!("{rows:?}"),
            Err(error) => format!("{error:#}"),
        };
        if last.contains(wanted) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{statement}: no {wanted} in {last}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_alone_registers_itself_and_goes_on_after_its_end() {
    let cluster = without_backends("").await;
    let dir = tempfile::tempdir().unwrap();
    let alone = start(cluster.query_port(), dir.path(), [0; 3]).await;
    let frontend = cluster.frontend();
    let cluster_id = i64::from(frontend.config().cluster_id);
    assert_eq!(alone.ports["cluster_id"].as_i64(), Some(cluster_id));
    assert!(alone.ports["id"].as_i64().unwrap() > 0);
    cluster.sql("CREATE DATABASE d").await.unwrap();
    // Refused until the first report of disks came.
    let create = "CREATE TABLE IF NOT EXISTS d.t (id BIGINT, v STRING) DUPLICATE KEY(id) \
                  DISTRIBUTED BY HASH(id) BUCKETS 2 PROPERTIES (\"replication_num\" = \"1\")";
    until(&cluster, create, "[]").await;
    let refused = cluster
        .sql("INSERT INTO d.t VALUES (1, 'a'), (2, 'b')")
        .await
        .unwrap_err();
    assert!(
        format!("{refused:#}").contains("runs in another process"),
        "{refused:#}"
    );
    let ports =
        ["be_port", "http_port", "heartbeat_port"].map(|port| alone.ports[port].as_u64().unwrap());
    drop(alone);
    let again = start(cluster.query_port(), dir.path(), ports).await;
    assert_eq!(again.ports["cluster_id"].as_i64(), Some(cluster_id));
    until(&cluster, "SHOW BACKENDS", "true").await;
    let again = "CREATE TABLE d.u LIKE d.t";
    until(&cluster, again, "[]").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_the_frontend_refuses_ends_with_the_reason() {
    let cluster = without_backends("secret").await;
    let query_port = cluster.query_port();
    let refused = move |arguments: &'static [&'static str]| {
        let ports = [
            "--be-port",
            "0",
            "--http-port",
            "0",
            "--heartbeat-port",
            "0",
        ];
        let output = command(query_port, arguments).args(ports).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let texts = tokio::task::spawn_blocking(move || {
        [
            refused(&["--password", "wrong"]),
            refused(&["--password", "secret", "--host", "localhost.invalid"]),
        ]
    });
    let [wrong_password, no_host] = texts.await.unwrap();
    assert!(wrong_password.contains("Access denied"), "{wrong_password}");
    assert!(!wrong_password.contains("wrong\""), "{wrong_password}");
    assert!(no_host.contains("localhost.invalid"), "{no_host}");
}
