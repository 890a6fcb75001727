//! A real Apache Kafka under the suite.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use ccr_log::{Error, Kafka, KafkaConfig, Offset, ReaderEvent, SharedLog, TopicKind};
use ccr_schemas::TopicName;
use ccr_test_kafka::{Broker, KafkaServer, broker_for_test};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::{Offset as At, TopicPartitionList};

use crate::harness::{Harness, append, assigned, drain, hour, position, record, spec, within};

/// Set, or on CI, real Kafka is not optional.
const REQUIRED: [&str; 2] = ["CCR_REQUIRE_KAFKA", "CI"];

pub struct OnKafka {
    config: KafkaConfig,
    log: SharedLog,
}

/// The broker of this test process; it ends with the process.
fn broker() -> Option<&'static str> {
    static BROKER: OnceLock<Option<Broker>> = OnceLock::new();
    let broker = BROKER.get_or_init(|| {
        let offered = broker_for_test().expect("the broker that was asked for");
        if offered.is_none() && REQUIRED.iter().any(|name| std::env::var_os(name).is_some()) {
            return Some(Broker::Own(
                KafkaServer::start().expect("real Kafka is required here"),
            ));
        }
        offered
    });
    broker.as_ref().map(Broker::bootstrap)
}

/// A log of its own on the shared broker; `None`, loudly, when there is no broker.
pub async fn start() -> Option<OnKafka> {
    let bootstrap = tokio::task::spawn_blocking(broker).await.expect("broker");
    let Some(bootstrap) = bootstrap else {
        eprintln!(
            "\n*** NOT RUN on real Kafka: name a broker by CCR_TEST_KAFKA=host:port, or set CCR_TEST_KAFKA_START=1 ***\n"
        );
        return None;
    };
    let config = KafkaConfig::new(bootstrap);
    let log = within(Kafka::connect(config.clone()))
        .await
        .expect("connect");
    Some(OnKafka { config, log })
}

/// A name nobody else uses, also on a broker shared by several runs.
fn fresh() -> TopicName {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let now = ccr_ops::SystemClock::shared().now_ms();
    TopicName(format!(
        "contract.{now}.{}.{}",
        std::process::id(),
        COUNT.fetch_add(1, Ordering::SeqCst)
    ))
}

impl OnKafka {
    fn admin(&self) -> AdminClient<DefaultClientContext> {
        ClientConfig::new()
            .set("bootstrap.servers", &self.config.bootstrap)
            .create()
            .expect("admin")
    }
}

#[async_trait]
impl Harness for OnKafka {
    fn log(&self) -> SharedLog {
        self.log.clone()
    }

    async fn topic(&self, kind: TopicKind) -> TopicName {
        let name = fresh();
        within(self.log.ensure_topic(&spec(&name, kind)))
            .await
            .expect("topic");
        name
    }

    async fn expire(&self, topic: &TopicName) {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&topic.0, 0, At::End)
            .expect("list");
        within(self.admin().delete_records(&list, &AdminOptions::new()))
            .await
            .expect("delete");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_with_two_partitions_is_refused() {
    let Some(on) = start().await else { return };
    let name = fresh();
    let topic = NewTopic::new(&name.0, 2, TopicReplication::Fixed(1));
    within(on.admin().create_topics([&topic], &AdminOptions::new()))
        .await
        .expect("create");
    let refused = within(on.log().ensure_topic(&spec(&name, hour()))).await;
    assert!(
        matches!(&refused, Err(Error::TopicMismatch { difference, .. }) if difference.contains("2 partitions")),
        "{refused:?}"
    );
}

/// Another process: nothing is shared but the broker.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_of_two_processes_hand_over_without_gap() {
    let Some(on) = start().await else { return };
    let other = within(Kafka::connect(on.config.clone()))
        .await
        .expect("connect");
    let topic = on.topic(hour()).await;
    append(&on.log(), &topic, &["a", "b"]).await;
    let mut first = within(on.log().join(&topic.0, &topic)).await.expect("join");
    assigned(&mut first).await;
    within(first.seek(Offset(0))).await.expect("seek");
    drain(&mut first).await;
    let mut second = within(other.join(&topic.0, &topic)).await.expect("join");
    // The owner works and commits while the other joins, and is not disturbed.
    for i in 0..20 {
        append(&on.log(), &topic, &["more"]).await;
        within(first.commit(position(i, "held")))
            .await
            .expect("commit");
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    assert_eq!(
        drain(&mut first).await.0.len() + drain_rest(&mut first).await,
        20
    );
    let started = tokio::time::Instant::now();
    within(first.close()).await;
    assert_eq!(assigned(&mut second).await, Some(position(19, "held")));
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "{:?}",
        started.elapsed()
    );
    within(second.close()).await;
}

/// Counts what is still delivered; the end may have been reported between two appends.
async fn drain_rest(reader: &mut Box<dyn ccr_log::GroupReader>) -> usize {
    let mut count = 0;
    while let Ok(Ok(event)) = tokio::time::timeout(Duration::from_millis(500), reader.next()).await
    {
        match event {
            ReaderEvent::Record(_) => count += 1,
            ReaderEvent::CaughtUp { .. } => {}
            other @ (ReaderEvent::Assigned { .. } | ReaderEvent::Revoked) => panic!("{other:?}"),
        }
    }
    count
}

/// Starts a broker that may be killed, when real Kafka is to be had at all and is not somebody else's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_broker_comes_back_with_everything_acknowledged() {
    if start().await.is_none() {
        return;
    }
    let mut server = tokio::task::spawn_blocking(KafkaServer::start)
        .await
        .expect("thread")
        .expect("broker");
    let log = within(Kafka::connect(KafkaConfig::new(server.bootstrap())))
        .await
        .expect("connect");
    let topic = fresh();
    within(log.ensure_topic(&spec(&topic, hour())))
        .await
        .expect("topic");
    append(&log, &topic, &["a", "b"]).await;
    let mut reader = within(log.join("g", &topic)).await.expect("join");
    assigned(&mut reader).await;
    within(reader.seek(Offset(0))).await.expect("seek");
    drain(&mut reader).await;
    within(reader.commit(position(2, "kept")))
        .await
        .expect("commit");
    server.crash();
    let pending = {
        let (log, topic) = (log.clone(), topic.clone());
        tokio::spawn(async move { log.append(&topic, vec![record("k", "c")]).await })
    };
    let server = tokio::task::spawn_blocking(move || {
        server.start_again().expect("again");
        server
    })
    .await
    .expect("thread");
    tokio::time::timeout(Duration::from_secs(40), pending)
        .await
        .expect("bounded")
        .expect("task")
        .expect("written after the return");
    let read = tokio::time::timeout(Duration::from_secs(40), async {
        loop {
            match reader.next().await {
                Ok(ReaderEvent::Record(record)) => return crate::harness::text(&record),
                // The coordinator may have lost the member: then the group hands the topic out again.
                Ok(ReaderEvent::Assigned { committed }) => {
                    assert_eq!(committed, Some(position(2, "kept")));
                    reader.seek(Offset(2)).await.expect("seek");
                }
                Ok(ReaderEvent::Revoked | ReaderEvent::CaughtUp { .. })
                | Err(Error::Unavailable { .. }) => {}
                Err(other) => panic!("{other:?}"),
            }
        }
    })
    .await
    .expect("in time");
    assert_eq!(read, "c");
    drop(reader);
    drop(server);
}
/// Says to the child which broker, topic and group.
const CHILD: &str = "CCR_LOG_TEST_KAFKA_CHILD";

/// A member killed in mid-work is replaced when its session has run out, and its successor finds its position.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_member_is_replaced_within_the_session_timeout() {
    use tokio::io::{AsyncBufReadExt, BufReader};
    if let Ok(given) = std::env::var(CHILD) {
        // This process is the one to be killed.
        let (bootstrap, topic) = given.split_once(' ').expect("address and topic");
        let topic = TopicName(topic.to_owned());
        let log = within(Kafka::connect(KafkaConfig::new(bootstrap)))
            .await
            .expect("connect");
        let mut reader = within(log.join(&topic.0, &topic)).await.expect("join");
        assigned(&mut reader).await;
        within(reader.commit(position(1, "of the dead")))
            .await
            .expect("commit");
        eprintln!("\nowner");
        return std::future::pending().await;
    }
    let Some(on) = start().await else { return };
    let topic = on.topic(hour()).await;
    append(&on.log(), &topic, &["a", "b"]).await;
    let mut child = tokio::process::Command::new(std::env::current_exe().expect("self"))
        .args([
            "on_kafka::a_killed_member_is_replaced_within_the_session_timeout",
            "--exact",
            "--nocapture",
        ])
        .env(CHILD, format!("{} {topic}", on.config.bootstrap))
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("child");
    let mut lines = BufReader::new(child.stderr.take().expect("pipe")).lines();
    within(async {
        while let Some(line) = lines.next_line().await.expect("line") {
            if line == "owner" {
                return;
            }
        }
        panic!("the child ended early");
    })
    .await;
    let mut second = within(on.log().join(&topic.0, &topic)).await.expect("join");
    let early = tokio::time::timeout(Duration::from_secs(1), second.next()).await;
    assert!(early.is_err(), "{early:?}");
    child.kill().await.expect("kill");
    let committed = tokio::time::timeout(Duration::from_secs(15), assigned(&mut second))
        .await
        .expect("within the session timeout and a rebalance");
    assert_eq!(committed, Some(position(1, "of the dead")));
    within(second.seek(Offset(1))).await.expect("seek");
    assert_eq!(drain(&mut second).await.0, ["b"]);
    within(second.close()).await;
}
