//! One broker process.

use std::fs::File;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::{KafkaError, install, probe, wait};

/// How long a broker may take until it answers.
const START_BOUND: Duration = Duration::from_secs(60);
/// How long an orderly stop may take before the process is killed.
const STOP_BOUND: Duration = Duration::from_secs(20);

/// Runs Java and watches standard input: `term` stops the broker in order, `kill` at once; the end of input, which comes
/// even when the process that started it is killed, also removes its data.
const KEEPER: &str = r#"
dir=$1
shift
exec 3<&0
java "$@" </dev/null &
broker=$!
(
  keep=
  while read -r word <&3; do
    keep=1
    case $word in
      term) kill -TERM "$broker" ;;
      kill) kill -KILL "$broker" ;;
    esac
  done
  kill -KILL "$broker"
  [ -n "$keep" ] || rm -rf "$dir"
) 2>/dev/null &
wait "$broker"
code=$?
exit "$code"
"#;

/// A running broker. Dropping it kills the process and removes its data.
#[derive(Debug)]
pub struct KafkaServer {
    dir: PathBuf,
    libs: PathBuf,
    address: SocketAddr,
    bootstrap: String,
    keeper: Option<Child>,
}

impl KafkaServer {
    /// Starts a broker on free ports with empty storage and waits until it answers, at most a minute.
    ///
    /// # Errors
    /// No Java, no jars, or the broker did not come up; the end of its log is in the error.
    pub fn start() -> Result<Self, KafkaError> {
        // A free port can be taken by somebody else before the broker binds it.
        let mut last = Self::start_on(free_port()?, free_port()?);
        for _ in 0..2 {
            if last.is_ok() {
                break;
            }
            last = Self::start_on(free_port()?, free_port()?);
        }
        last
    }

    /// Like [`KafkaServer::start`], on given ports.
    ///
    /// # Errors
    /// As [`KafkaServer::start`].
    pub fn start_on(port: u16, controller_port: u16) -> Result<Self, KafkaError> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        install::available().map_err(KafkaError)?;
        let libs = install::install()?;
        let dir = std::env::temp_dir().join(format!(
            "ccr-kafka-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        ));
        let mut server = Self {
            dir,
            libs,
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            bootstrap: format!("127.0.0.1:{port}"),
            keeper: None,
        };
        server.format(controller_port)?;
        server.launch()?;
        Ok(server)
    }

    /// `host:port` for clients.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Stops in order and starts again with the same data and ports.
    ///
    /// # Errors
    /// The broker did not come up again.
    pub fn restart(&mut self) -> Result<(), KafkaError> {
        self.stop();
        self.start_again()
    }

    /// Stops in order (killed when that takes longer than 20 s). Data stay for [`KafkaServer::start_again`].
    pub fn stop(&mut self) {
        self.tell("term");
        if let Some(keeper) = &mut self.keeper {
            let _ = wait::until(STOP_BOUND, || keeper.try_wait().ok().flatten());
        }
        self.crash();
    }

    /// Kills the process at once. Data stay for [`KafkaServer::start_again`].
    pub fn crash(&mut self) {
        self.tell("kill");
        if let Some(mut keeper) = self.keeper.take() {
            let _ = keeper.wait();
        }
    }

    fn tell(&mut self, word: &str) {
        if let Some(input) = self
            .keeper
            .as_mut()
            .and_then(|keeper| keeper.stdin.as_mut())
        {
            // A keeper that is gone needs to be told nothing.
            let _ = writeln!(input, "{word}");
        }
    }

    /// Starts after [`KafkaServer::stop`] or [`KafkaServer::crash`].
    ///
    /// # Errors
    /// The broker did not come up.
    pub fn start_again(&mut self) -> Result<(), KafkaError> {
        if self.keeper.is_some() {
            return Ok(());
        }
        self.launch()
    }

    /// What the broker had to complain about, the last lines.
    pub fn log_tail(&self) -> String {
        let text = std::fs::read_to_string(self.dir.join("server.log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines.split_at(lines.len().saturating_sub(20)).1.join("\n")
    }

    fn config(&self) -> PathBuf {
        self.dir.join("server.properties")
    }

    fn format(&self, controller_port: u16) -> Result<(), KafkaError> {
        let fail = |error: std::io::Error| {
            KafkaError(format!("preparing {} failed: {error}", self.dir.display()))
        };
        std::fs::create_dir_all(&self.dir).map_err(fail)?;
        let text = properties(self.address.port(), controller_port, &self.dir);
        std::fs::write(self.config(), text).map_err(fail)?;
        let out = Command::new("java")
            .args(jvm_options(&self.libs))
            .args(["kafka.tools.StorageTool", "format"])
            .args(["--cluster-id", "Y2NyLXRlc3QtY2x1c3Rlcg"])
            .arg("--config")
            .arg(self.config())
            .stdin(Stdio::null())
            .output()
            .map_err(fail)?;
        if !out.status.success() {
            return Err(KafkaError(format!(
                "formatting Kafka's storage failed ({}): {}{}",
                out.status,
                String::from_utf8_lossy(&out.stdout),
                String::from_utf8_lossy(&out.stderr)
            )));
        }
        Ok(())
    }

    fn launch(&mut self) -> Result<(), KafkaError> {
        let fail = |error: std::io::Error| KafkaError(format!("starting Kafka failed: {error}"));
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.dir.join("server.log"))
            .map_err(fail)?;
        let keeper = Command::new("sh")
            .args(["-c", KEEPER, "kafka-keeper"])
            .arg(&self.dir)
            .args(jvm_options(&self.libs))
            .arg("kafka.Kafka")
            .arg(self.config())
            .stdin(Stdio::piped())
            .stdout(log.try_clone().map_err(fail)?)
            .stderr(log)
            .spawn()
            .map_err(fail)?;
        let keeper = self.keeper.insert(keeper);
        let address = self.address;
        let up = wait::until(START_BOUND, || match keeper.try_wait() {
            Ok(Some(status)) => Some(Err(status.to_string())),
            Ok(None) | Err(_) => probe::answers(address).then_some(Ok(())),
        });
        let reason = match up {
            Some(Ok(())) => return Ok(()),
            Some(Err(status)) => format!("ended with {status}"),
            None => format!("did not answer within {} s", START_BOUND.as_secs()),
        };
        self.crash();
        Err(KafkaError(format!(
            "Kafka on {} {reason}; the end of its log:\n{}",
            self.bootstrap,
            self.log_tail()
        )))
    }
}

impl Drop for KafkaServer {
    fn drop(&mut self) {
        self.crash();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn free_port() -> Result<u16, KafkaError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|error| KafkaError(format!("no free port on loopback: {error}")))
}

/// Small and quick to start: tests need neither throughput nor much memory.
fn jvm_options(libs: &Path) -> Vec<String> {
    vec![
        "-Xms128m".to_owned(),
        "-Xmx512m".to_owned(),
        "-XX:+UseSerialGC".to_owned(),
        "-XX:TieredStopAtLevel=1".to_owned(),
        "-Xshare:auto".to_owned(),
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn".to_owned(),
        "-Dorg.slf4j.simpleLogger.showDateTime=true".to_owned(),
        "-cp".to_owned(),
        format!("{}/*", libs.display()),
    ]
}

fn properties(port: u16, controller_port: u16, dir: &Path) -> String {
    format!(
        "process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={dir}/data
auto.create.topics.enable=false
num.partitions=1
default.replication.factor=1
min.insync.replicas=1
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
num.network.threads=2
num.io.threads=4
background.threads=2
log.cleaner.dedupe.buffer.size=8388608
log.segment.bytes=67108864
log.index.size.max.bytes=1048576
",
        dir = dir.display()
    )
}
