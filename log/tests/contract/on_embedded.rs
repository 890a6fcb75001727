//! The embedded log under the suite, and what only it promises.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use ccr_log::{Embedded, Error, Offset, SharedLog, TopicKind};
use ccr_ops::{Clock, SystemClock};
use ccr_schemas::TopicName;

use crate::harness::{
    Harness, append, assigned, drain, hour, position, record, spec, text, within,
};

/// Time that only tests move, apart from its own passing.
pub struct ShiftedClock {
    real: Arc<dyn Clock>,
    shift_ms: AtomicI64,
}

#[async_trait]
impl Clock for ShiftedClock {
    fn now_ms(&self) -> i64 {
        self.real.now_ms() + self.shift_ms.load(Ordering::SeqCst)
    }

    fn monotonic(&self) -> Duration {
        let shift = u64::try_from(self.shift_ms.load(Ordering::SeqCst)).expect("forward");
        self.real.monotonic() + Duration::from_millis(shift)
    }

    async fn sleep(&self, duration: Duration) {
        self.real.sleep(duration).await;
    }
}

pub struct OnEmbedded {
    log: SharedLog,
    clock: Arc<ShiftedClock>,
    topics: AtomicUsize,
    _directory: tempfile::TempDir,
}

/// A log in a file of its own.
pub async fn start() -> Option<OnEmbedded> {
    let clock = Arc::new(ShiftedClock {
        real: SystemClock::shared(),
        shift_ms: AtomicI64::new(0),
    });
    let directory = tempfile::tempdir().expect("directory");
    let log = Embedded::open(directory.path().join("log.db"), clock.clone()).expect("open");
    Some(OnEmbedded {
        log,
        clock,
        topics: AtomicUsize::new(0),
        _directory: directory,
    })
}

#[async_trait]
impl Harness for OnEmbedded {
    fn log(&self) -> SharedLog {
        self.log.clone()
    }

    async fn topic(&self, kind: TopicKind) -> TopicName {
        let name = TopicName(format!("t{}", self.topics.fetch_add(1, Ordering::SeqCst)));
        within(self.log.ensure_topic(&spec(&name, kind)))
            .await
            .expect("topic");
        name
    }

    async fn expire(&self, topic: &TopicName) {
        let (_, end) = self.log.watermarks(topic).await.expect("watermarks");
        self.clock
            .shift_ms
            .fetch_add(2 * 3600 * 1000, Ordering::SeqCst);
        within(async {
            while self.log.watermarks(topic).await.expect("watermarks").0 < end {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    }
}

fn reopen(path: &Path) -> SharedLog {
    Embedded::open(path, SystemClock::shared()).expect("open")
}

#[tokio::test]
async fn records_topics_and_positions_survive_reopening() {
    let directory = tempfile::tempdir().expect("directory");
    let (path, topic) = (directory.path().join("log.db"), TopicName("t".to_owned()));
    {
        let log = reopen(&path);
        log.ensure_topic(&spec(&topic, hour()))
            .await
            .expect("topic");
        append(&log, &topic, &["a", "b"]).await;
        let mut reader = log.join("g", &topic).await.expect("join");
        assigned(&mut reader).await;
        reader.commit(position(1, "kept")).await.expect("commit");
    }
    let log = reopen(&path);
    assert_eq!(
        log.watermarks(&topic).await.expect("watermarks"),
        (Offset(0), Offset(2))
    );
    assert_eq!(append(&log, &topic, &["c"]).await, Offset(2));
    let mut reader = log.join("g", &topic).await.expect("join");
    assert_eq!(assigned(&mut reader).await, Some(position(1, "kept")));
    reader.seek(Offset(1)).await.expect("seek");
    assert_eq!(drain(&mut reader).await.0, ["b", "c"]);
}

#[tokio::test]
async fn a_second_opener_is_refused_by_name() {
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path().join("log.db");
    let log = reopen(&path);
    let refused = Embedded::open(&path, SystemClock::shared())
        .err()
        .expect("refused")
        .to_string();
    assert!(refused.contains(&path.display().to_string()), "{refused}");
    drop(log);
    reopen(&path);
}

#[tokio::test]
async fn a_file_that_is_no_log_is_refused() {
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path().join("log.db");
    std::fs::write(&path, vec![7_u8; 8192]).expect("write");
    let answer = Embedded::open(&path, SystemClock::shared()).err();
    assert!(matches!(answer, Some(Error::Corrupt(_))), "{answer:?}");
}

#[tokio::test]
async fn waiting_readers_wake_when_a_record_comes() {
    let log = Embedded::in_memory().expect("open");
    let topic = TopicName("t".to_owned());
    log.ensure_topic(&spec(&topic, hour()))
        .await
        .expect("topic");
    let mut reader = log.join("g", &topic).await.expect("join");
    assigned(&mut reader).await;
    reader.seek(Offset(0)).await.expect("seek");
    assert_eq!(drain(&mut reader).await.1, Offset(0));
    let waiting = tokio::spawn(async move { drain(&mut reader).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    append(&log, &topic, &["now"]).await;
    let (values, _) = tokio::time::timeout(Duration::from_secs(1), waiting)
        .await
        .expect("woken by the append, not by a timer")
        .expect("reader");
    assert_eq!(values, ["now"]);
}

const CHILD: &str = "CCR_LOG_TEST_CHILD";

/// The process that is killed: appends until it is killed and prints what was acknowledged.
async fn append_until_killed(path: &Path) {
    use std::io::Write;
    let log = reopen(path);
    let topic = TopicName("t".to_owned());
    log.ensure_topic(&spec(&topic, hour()))
        .await
        .expect("topic");
    let mut reader = log.join("g", &topic).await.expect("join");
    assigned(&mut reader).await;
    for i in log.watermarks(&topic).await.expect("watermarks").1.0.. {
        let last = log
            .append(&topic, vec![record("k", &i.to_string())])
            .await
            .expect("append");
        reader
            .commit(position(last.0, &i.to_string()))
            .await
            .expect("commit");
        writeln!(std::io::stderr(), "acknowledged {}", last.0).expect("pipe");
    }
}

#[test]
fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("runtime");
    if let Ok(path) = std::env::var(CHILD) {
        // This process is the one to be killed.
        return runtime.block_on(append_until_killed(Path::new(&path)));
    }
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path().join("log.db");
    let (mut acknowledged, mut seen) = (-1, 0);
    for round in 1..=5 {
        let mut child = Command::new(std::env::current_exe().expect("self"))
            .args([
                "on_embedded::nothing_acknowledged_is_lost_when_the_process_is_killed",
                "--exact",
                "--nocapture",
            ])
            .env(CHILD, &path)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("child");
        let lines = BufReader::new(child.stderr.take().expect("pipe")).lines();
        for line in lines.map(|l| l.expect("line")) {
            if let Some(offset) = line.strip_prefix("acknowledged ") {
                acknowledged = offset.parse().expect("offset");
                seen += 1;
            }
            if seen >= round * 15 {
                break;
            }
        }
        child.kill().expect("kill");
        child.wait().expect("wait");
    }
    assert_eq!(seen, 75, "the children worked");
    runtime.block_on(async {
        let (log, topic) = (reopen(&path), TopicName("t".to_owned()));
        let all = log
            .read_range(&topic, Offset(0), 10_000)
            .await
            .expect("read");
        assert!(all.last().expect("records").offset.0 >= acknowledged);
        for (i, record) in all.iter().enumerate() {
            assert_eq!(text(record), i.to_string(), "no hole, no repeat");
        }
        let committed = log
            .committed("g", &topic)
            .await
            .expect("read")
            .expect("committed");
        assert!(committed.offset.0 >= acknowledged);
        assert_eq!(committed.metadata, committed.offset.0.to_string());
    });
}
