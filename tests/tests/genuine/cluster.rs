//! A frontend of a Doris release in a folder of its own, and backends of dorisim beside it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use ccr_doris::cluster::FrontendAddress;
use ccr_doris::{ClusterAddress, DorisCluster, SqlSession};
use ccr_ops::{Secret, SystemClock};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Set by `cargo xtask genuine`.
const ENV_FE_HOME: &str = "CCR_GENUINE_FE_HOME";
/// A frontend starts in ten seconds; on a busy machine in more.
const START: Duration = Duration::from_secs(180);
const LOOK: Duration = Duration::from_millis(500);
/// What a Doris frontend reaches into, as its start script opens it.
const OPENED: [&str; 14] = [
    "java.lang",
    "java.lang.invoke",
    "java.lang.reflect",
    "java.io",
    "java.net",
    "java.nio",
    "java.util",
    "java.util.concurrent",
    "java.util.concurrent.atomic",
    "sun.nio.ch",
    "sun.nio.cs",
    "sun.security.action",
    "sun.util.calendar",
    "jdk.internal.ref",
];

/// A cluster. Its processes end with it.
pub struct Genuine {
    /// A client.
    pub client: DorisCluster,
    query_port: u16,
    thrift_port: u16,
    _processes: Vec<Running>,
    folder: TempDir,
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Genuine {
    /// Starts one with so many backends on free ports; ready when a table can be created.
    pub async fn start(backends: usize) -> Result<Self> {
        let home = std::env::var_os(ENV_FE_HOME)
            .map(PathBuf::from)
            .with_context(|| format!("{ENV_FE_HOME} is not set; run `cargo xtask genuine`"))?;
        let folder = tempfile::tempdir()?;
        let ports = free_ports(5)?;
        let mut processes = vec![start_frontend(&home, folder.path(), &ports)?];
        let (query_port, thrift_port) = (ports[0], ports[1]);
        let client = DorisCluster::new(ClusterAddress {
            cluster_id: None,
            frontends: vec![FrontendAddress {
                host: "127.0.0.1".to_owned(),
                query_port,
                thrift_port,
            }],
            user: "root".to_owned(),
            password: Secret::new(String::new()),
            host_mapping: BTreeMap::new(),
        });
        retried(&client, "SHOW FRONTENDS").await?;
        for number in 0..backends {
            let (process, heartbeat) = start_backend(folder.path(), number)?;
            processes.push(process);
            let add = format!("ALTER SYSTEM ADD BACKEND \"127.0.0.1:{heartbeat}\"");
            client.execute(None, &add).await?;
        }
        // A backend takes tables when its first reports have been worked on.
        retried(&client, "CREATE DATABASE IF NOT EXISTS ready").await?;
        let table = format!(
            "CREATE TABLE IF NOT EXISTS ready.t (a INT) DISTRIBUTED BY HASH(a) BUCKETS 1 \
             PROPERTIES (\"replication_num\" = \"{}\")",
            backends.min(2)
        );
        retried(&client, &table).await?;
        client.execute(None, "DROP DATABASE ready FORCE").await?;
        Ok(Self {
            client,
            query_port,
            thrift_port,
            _processes: processes,
            folder,
        })
    }

    /// `src` or `dest` of `POST /create_ccr`.
    pub fn endpoint(&self, database: &str) -> Value {
        json!({
            "host": "127.0.0.1", "port": self.query_port.to_string(), "thrift_port": self.thrift_port.to_string(),
            "user": "root", "password": "", "database": database, "table": "",
        })
    }

    /// Runs a statement, once more when another change is under way.
    pub async fn sql(&self, database: &str, sql: &str) -> Result<()> {
        let clock = SystemClock::shared();
        let mut last = Ok(());
        for _ in 0..60 {
            last = self.client.execute(Some(database), sql).await;
            match &last {
                Err(error) if error.to_string().contains("state") => clock.sleep(LOOK).await,
                _ => break,
            }
        }
        last.with_context(|| format!("at the genuine frontend: {sql}"))
    }

    /// Lines of the frontend's log that tell of a thread that died of its round.
    pub fn thread_failures(&self) -> Result<Vec<String>> {
        let log = fs::read_to_string(self.folder.path().join("fe/log/fe.log"))?;
        Ok(log
            .lines()
            .filter(|line| line.contains("daemon thread got exception"))
            .map(str::to_owned)
            .collect())
    }
}

async fn retried(client: &DorisCluster, sql: &str) -> Result<()> {
    let clock = SystemClock::shared();
    let deadline = clock.monotonic() + START;
    loop {
        let Err(error) = client.execute(None, sql).await else {
            return Ok(());
        };
        if clock.monotonic() > deadline {
            return Err(error).with_context(|| format!("{sql}: not within {START:?}"));
        }
        clock.sleep(LOOK).await;
    }
}

fn free_ports(number: usize) -> Result<Vec<u16>> {
    let listeners = (0..number).map(|_| TcpListener::bind("127.0.0.1:0"));
    let listeners = listeners.collect::<std::io::Result<Vec<_>>>()?;
    let ports = listeners.iter().map(|l| Ok(l.local_addr()?.port()));
    ports.collect()
}

fn start_frontend(release: &Path, folder: &Path, ports: &[u16]) -> Result<Running> {
    let home = folder.join("fe");
    for made in ["conf", "log", "doris-meta", "plugins", "temp_dir"] {
        fs::create_dir_all(home.join(made))?;
    }
    for linked in ["lib", "bin", "webroot"] {
        symlink(release.join(linked), home.join(linked))?;
    }
    let ldap = release.join("conf/ldap.conf");
    if ldap.exists() {
        fs::copy(ldap, home.join("conf/ldap.conf"))?;
    }
    let [query, thrift, http, edit_log, arrow] = ports else {
        bail!("five ports are needed");
    };
    let shown = home.display();
    fs::write(
        home.join("conf/fe.conf"),
        format!(
            "LOG_DIR = {shown}/log\nmeta_dir = {shown}/doris-meta\nquery_port = {query}\nrpc_port = {thrift}\n\
             http_port = {http}\nedit_log_port = {edit_log}\narrow_flight_sql_port = {arrow}\n\
             priority_networks = 127.0.0.0/8\nsys_log_level = INFO\nenable_feature_binlog = true\n\
             allow_replica_on_same_host = true\nmin_replication_num_per_tablet = 1\ndefault_replication_num = 1\n\
             disable_storage_medium_check = true\ndisable_balance = true\nheartbeat_interval_second = 1\n\
             backup_handler_update_interval_millis = 500\ndefault_schema_change_scheduler_interval_millisecond = 200\n"
        ),
    )?;
    let mut jars = vec![home.join("conf"), home.join("lib/doris-fe.jar")];
    for entry in fs::read_dir(home.join("lib"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "jar") && !path.ends_with("doris-fe.jar") {
            jars.push(path);
        }
    }
    let java = std::env::var_os("JAVA_HOME").map_or_else(
        || PathBuf::from("java"),
        |home| Path::new(&home).join("bin/java"),
    );
    let log = File::create(home.join("log/fe.out"))?;
    let child = Command::new(&java)
        .args([
            "-Xmx1600m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-Dfile.encoding=UTF-8",
        ])
        .args([
            "-Djavax.security.auth.useSubjectCredsOnly=false",
            "-Darrow.enable_null_check_for_get=false",
        ])
        .args(OPENED.map(|package| format!("--add-opens=java.base/{package}=ALL-UNNAMED")))
        .arg("--add-opens=java.security.jgss/sun.security.krb5=ALL-UNNAMED")
        .arg("--add-opens=java.management/sun.management=ALL-UNNAMED")
        .arg("--add-opens=java.xml/com.sun.org.apache.xerces.internal.jaxp=ALL-UNNAMED")
        .arg("org.apache.doris.DorisFE")
        .env("CLASSPATH", std::env::join_paths(jars)?)
        .env("DORIS_HOME", &home)
        .env("LOG_DIR", home.join("log"))
        .env("PID_DIR", &home)
        .current_dir(&home)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .with_context(|| format!("starting {} (Java 17)", java.display()))?;
    Ok(Running(child))
}

/// The process and its heartbeat port.
fn start_backend(folder: &Path, number: usize) -> Result<(Running, u64)> {
    let test = std::env::current_exe()?;
    let target = test.parent().and_then(Path::parent);
    let program = target
        .context("the test lies in no target folder")?
        .join("dorisim");
    let log = File::create(folder.join(format!("be{number}.log")))?;
    let mut child = Command::new(&program)
        .args([
            "be",
            "--no-register",
            "--print-json",
            "--be-port",
            "0",
            "--http-port",
            "0",
        ])
        .args(["--heartbeat-port", "0", "--brpc-port", "0", "--data-dir"])
        .arg(folder.join(format!("be{number}")))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .with_context(|| format!("starting {}", program.display()))?;
    let out = child.stdout.take().context("no output of the backend")?;
    let process = Running(child);
    let mut line = String::new();
    BufReader::new(out).read_line(&mut line)?;
    let ports: Value = serde_json::from_str(&line).context("the backend told no ports")?;
    let heartbeat = ports["heartbeat_port"].as_u64();
    Ok((process, heartbeat.context("no heartbeat_port")?))
}
