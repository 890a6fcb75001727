//! One broker process: its folder, its life. What it is configured to be is somebody else's business.

use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::{KafkaError, wait, wire};

/// How long a broker may take until it answers.
const START_BOUND: Duration = Duration::from_secs(120);
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

/// A broker of which a configuration exists. Dropping it kills the process; the folder stays.
#[derive(Debug)]
pub(crate) struct Node {
    /// Removed when the process that started this one is killed.
    root: PathBuf,
    dir: PathBuf,
    libs: PathBuf,
    /// Most megabytes of its heap.
    heap: u32,
    /// Where it answers without protection.
    address: SocketAddr,
    keeper: Option<Child>,
}

impl Node {
    /// Writes the configuration into `dir` and formats the storage. `more` goes to the formatting program. `root` is what is to
    /// be removed when this process is killed.
    pub(crate) fn format(
        (root, dir): (PathBuf, PathBuf),
        libs: PathBuf,
        heap: u32,
        (address, properties): (SocketAddr, &str),
        more: &[String],
    ) -> Result<Self, KafkaError> {
        let node = Self {
            root,
            dir,
            libs,
            heap,
            address,
            keeper: None,
        };
        let fail = |error: std::io::Error| {
            KafkaError(format!("preparing {} failed: {error}", node.dir.display()))
        };
        std::fs::create_dir_all(&node.dir).map_err(fail)?;
        std::fs::write(node.config(), properties).map_err(fail)?;
        let out = Command::new("java")
            .args(node.jvm_options())
            .args(["kafka.tools.StorageTool", "format"])
            .args(["--cluster-id", "Y2NyLXRlc3QtY2x1c3Rlcg"])
            .arg("--config")
            .arg(node.config())
            .args(more)
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
        Ok(node)
    }

    /// Where it answers without protection.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Starts the process, unless it runs.
    pub(crate) fn launch(&mut self) -> Result<(), KafkaError> {
        if self.keeper.is_some() {
            return Ok(());
        }
        let fail = |error: std::io::Error| KafkaError(format!("starting Kafka failed: {error}"));
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.dir.join("server.log"))
            .map_err(fail)?;
        let keeper = Command::new("sh")
            .args(["-c", KEEPER, "kafka-keeper"])
            .arg(&self.root)
            .args(self.jvm_options())
            .arg("kafka.Kafka")
            .arg(self.config())
            .stdin(Stdio::piped())
            .stdout(log.try_clone().map_err(fail)?)
            .stderr(log)
            .spawn()
            .map_err(fail)?;
        self.keeper = Some(keeper);
        Ok(())
    }

    /// Waits until it answers and knows of `brokers` brokers; killed when that takes longer than two minutes.
    pub(crate) fn up(&mut self, brokers: usize) -> Result<(), KafkaError> {
        let (address, mut keeper) = (self.address, self.keeper.as_mut());
        let up = wait::until(START_BOUND, || {
            let ended = keeper.as_mut().map(|keeper| keeper.try_wait());
            match ended {
                None => Some(Err("was not started".to_owned())),
                Some(Ok(Some(status))) => Some(Err(format!("ended with {status}"))),
                Some(Ok(None) | Err(_)) => wire::metadata(address, false)
                    .is_ok_and(|cluster| cluster.brokers.len() >= brokers)
                    .then_some(Ok(())),
            }
        });
        let reason = match up {
            Some(Ok(())) => return Ok(()),
            Some(Err(reason)) => reason,
            None => format!("did not answer within {} s", START_BOUND.as_secs()),
        };
        self.crash();
        Err(KafkaError(format!(
            "Kafka on {address} {reason}; the end of its log:\n{}",
            self.log_tail()
        )))
    }

    /// Stops in order (killed when that takes longer than 20 s). Data stay.
    pub(crate) fn stop(&mut self) {
        self.tell("term");
        if let Some(keeper) = &mut self.keeper {
            let _ = wait::until(STOP_BOUND, || keeper.try_wait().ok().flatten());
        }
        self.crash();
    }

    /// Kills the process at once. Data stay.
    pub(crate) fn crash(&mut self) {
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

    /// What the broker had to complain about, the last lines.
    pub(crate) fn log_tail(&self) -> String {
        let text = std::fs::read_to_string(self.dir.join("server.log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines.split_at(lines.len().saturating_sub(20)).1.join("\n")
    }

    fn config(&self) -> PathBuf {
        self.dir.join("server.properties")
    }

    /// Small and quick to start: tests need neither throughput nor much memory.
    fn jvm_options(&self) -> Vec<String> {
        vec![
            "-Xms64m".to_owned(),
            format!("-Xmx{}m", self.heap),
            "-XX:+UseSerialGC".to_owned(),
            "-XX:TieredStopAtLevel=1".to_owned(),
            "-Xshare:auto".to_owned(),
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn".to_owned(),
            "-Dorg.slf4j.simpleLogger.showDateTime=true".to_owned(),
            "-cp".to_owned(),
            format!("{}/*", self.libs.display()),
        ]
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.crash();
    }
}

/// A folder for the data of brokers of this process.
pub(crate) fn fresh_dir() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    std::env::temp_dir().join(format!(
        "ccr-kafka-{}-{}",
        std::process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed)
    ))
}

/// A broker that was not heard of for so long is replaced as leader. Short enough for tests that kill one, long enough for a
/// machine that does other work too.
const SESSION_MS: u32 = 5000;

/// What every broker of tests has: few threads, small files, quick rebalances.
pub(crate) fn common_properties(dir: &Path) -> String {
    format!(
        "process.roles=broker,controller
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={dir}/data
auto.create.topics.enable=false
num.partitions=1
default.replication.factor=1
min.insync.replicas=1
offsets.topic.num.partitions=4
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
broker.session.timeout.ms={SESSION_MS}
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
