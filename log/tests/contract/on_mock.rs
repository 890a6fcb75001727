//! librdkafka's mock cluster under the suite: no admin API, 5 MiB per partition. And what real brokers cannot be made to do
//! on demand.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use ccr_log::{Error, Kafka, KafkaConfig, NewRecord, Offset, ReaderEvent, SharedLog, TopicKind};
use ccr_schemas::TopicName;
use rdkafka::mocking::MockCluster;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use crate::harness::{Harness, append, assigned, drain, hour, next, position, within};

/// Something to do with the cluster, on the thread that owns it.
type Order =
    Box<dyn FnOnce(&MockCluster<'static, rdkafka::producer::DefaultProducerContext>) + Send>;

pub struct OnMock {
    config: KafkaConfig,
    log: SharedLog,
    orders: SyncSender<Order>,
    topics: AtomicUsize,
}

/// A cluster of its own.
pub async fn start() -> Option<OnMock> {
    let (orders, obeyed) = sync_channel::<Order>(1);
    let (tell, address) = tokio::sync::oneshot::channel();
    thread::spawn(move || {
        let cluster = MockCluster::new(1).expect("cluster");
        tell.send(cluster.bootstrap_servers()).expect("waited for");
        while let Ok(order) = obeyed.recv() {
            order(&cluster);
        }
    });
    let mut config = KafkaConfig::new(address.await.expect("cluster"));
    // Members hear of a rebalance by their next heartbeat.
    config.session_timeout = Duration::from_secs(3);
    let log = within(Kafka::connect(config.clone()))
        .await
        .expect("connect");
    Some(OnMock {
        config,
        log,
        orders,
        topics: AtomicUsize::new(0),
    })
}

impl OnMock {
    async fn order<T: Send + 'static>(
        &self,
        work: impl FnOnce(&MockCluster<'static, rdkafka::producer::DefaultProducerContext>) -> T
        + Send
        + 'static,
    ) -> T {
        let (answer, answered) = tokio::sync::oneshot::channel();
        let order: Order = Box::new(move |cluster| drop(answer.send(work(cluster))));
        self.orders.send(order).expect("the cluster's thread");
        answered.await.expect("the cluster's thread")
    }

    async fn fail_next(&self, call: RDKafkaApiKey, error: RDKafkaRespErr) {
        self.order(move |cluster| cluster.request_errors(call, &[error]))
            .await;
    }
}

#[async_trait]
impl Harness for OnMock {
    fn log(&self) -> SharedLog {
        self.log.clone()
    }

    async fn topic(&self, _: TopicKind) -> TopicName {
        let name = format!("t{}", self.topics.fetch_add(1, Ordering::SeqCst));
        let topic = TopicName(name.clone());
        self.order(move |cluster| cluster.create_topic(&name, 1, 1))
            .await
            .expect("topic");
        topic
    }

    /// The mock drops the oldest beyond 5 MiB.
    async fn expire(&self, topic: &TopicName) {
        let mut state = 1_u64;
        for _ in 0..6 {
            let noise: Vec<u8> = (0..1_000_000)
                .map(|_| {
                    state = state
                        .wrapping_mul(6364136223846793005)
                        .wrapping_add(1442695040888963407);
                    (state >> 56) as u8
                })
                .collect();
            let record = NewRecord {
                key: "noise".to_owned(),
                value: Some(noise.into()),
                headers: Vec::new(),
            };
            within(self.log.append(topic, vec![record]))
                .await
                .expect("append");
        }
    }

    fn has_admin(&self) -> bool {
        false
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_of_a_member_that_the_group_forgot_is_fenced() {
    let on = start().await.expect("mock");
    let (log, topic) = (on.log(), on.topic(hour()).await);
    for (group, error) in [
        ("a", RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID),
        ("b", RDKafkaRespErr::RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION),
        ("c", RDKafkaRespErr::RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID),
    ] {
        let mut reader = within(log.join(group, &topic)).await.expect("join");
        assigned(&mut reader).await;
        on.fail_next(RDKafkaApiKey::OffsetCommit, error).await;
        let refused = within(reader.commit(position(0, "m"))).await;
        assert!(matches!(refused, Err(Error::Fenced { .. })), "{refused:?}");
        assert_eq!(next(&mut reader).await, ReaderEvent::Revoked);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_during_a_rebalance_is_repeated() {
    let on = start().await.expect("mock");
    let (log, topic) = (on.log(), on.topic(hour()).await);
    let mut reader = within(log.join("g", &topic)).await.expect("join");
    assigned(&mut reader).await;
    let busy = RDKafkaRespErr::RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS;
    on.fail_next(RDKafkaApiKey::OffsetCommit, busy).await;
    within(reader.commit(position(0, "m")))
        .await
        .expect("still the owner");
    assert_eq!(
        within(log.committed("g", &topic)).await.expect("read"),
        Some(position(0, "m"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_append_leaves_a_log_that_goes_on() {
    let on = start().await.expect("mock");
    let (log, topic) = (on.log(), on.topic(hour()).await);
    append(&log, &topic, &["a"]).await;
    let refusal = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    on.fail_next(RDKafkaApiKey::Produce, refusal).await;
    let refused = within(log.append(&topic, vec![crate::harness::record("k", "b")])).await;
    assert!(matches!(refused, Err(Error::Refused { .. })), "{refused:?}");
    append(&log, &topic, &["b", "c"]).await;
    let mut reader = within(log.join("g", &topic)).await.expect("join");
    assigned(&mut reader).await;
    within(reader.seek(Offset(0))).await.expect("seek");
    assert_eq!(drain(&mut reader).await.0, ["a", "b", "c"]);
}

/// A broker that accepts and never answers, and none at all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn absent_brokers_are_reported_in_bounded_time() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("listener");
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("listener");
    let nobody = free.local_addr().expect("address");
    drop(free);
    let refused = async |address: std::net::SocketAddr| {
        let config = KafkaConfig::new(address.to_string());
        let refused = within(Kafka::connect(config)).await.err().expect("refused");
        assert!(
            matches!(&refused, Error::Unavailable { action, .. } if action.contains(&address.to_string())),
            "{refused:?}"
        );
    };
    tokio::join!(
        refused(silent.local_addr().expect("address")),
        refused(nobody)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_goes_away_is_an_error_and_its_return_is_not_missed() {
    let on = start().await.expect("mock");
    let topic = on.topic(hour()).await;
    let log = within(Kafka::connect(on.config.clone()))
        .await
        .expect("connect");
    append(&log, &topic, &["a"]).await;
    let mut reader = within(log.join("g", &topic)).await.expect("join");
    assigned(&mut reader).await;
    within(reader.seek(Offset(0))).await.expect("seek");
    drain(&mut reader).await;
    on.order(|cluster| cluster.broker_down(1))
        .await
        .expect("down");
    within(async {
        loop {
            match reader.next().await {
                Err(Error::Unavailable { .. }) => return,
                // The session may have run out before all connections were given up.
                Ok(ReaderEvent::Revoked) => {}
                other => panic!("{other:?}"),
            }
        }
    })
    .await;
    on.order(|cluster| cluster.broker_up(1)).await.expect("up");
    append(&log, &topic, &["b"]).await;
    let read = within(async {
        loop {
            match reader.next().await {
                Ok(ReaderEvent::Record(record)) => return record,
                Ok(ReaderEvent::Assigned { .. }) => {
                    reader.seek(Offset(1)).await.expect("seek");
                }
                Ok(ReaderEvent::Revoked | ReaderEvent::CaughtUp { .. })
                | Err(Error::Unavailable { .. }) => {}
                Err(other) => panic!("{other:?}"),
            }
        }
    })
    .await;
    assert_eq!(crate::harness::text(&read), "b");
}
