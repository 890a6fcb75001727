//! The log in memory under the contract of all logs.
#![allow(clippy::unwrap_used, missing_docs, dead_code, reason = "tests")]

#[path = "../../../log/tests/contract/harness.rs"]
mod harness;
#[path = "../../../log/tests/contract/suite.rs"]
mod suite;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use ccr_log::{EventLog, ReaderEvent, SharedLog, TopicKind};
use ccr_ops::SystemClock;
use ccr_schemas::TopicName;
use ccr_test_kit::log::{LogPolicy, MemoryLog};

use harness::{Harness, append, assigned, group, hour, next, position, spec, within};

struct OnMemory {
    log: Arc<MemoryLog>,
    topics: AtomicUsize,
}

impl OnMemory {
    fn new(policy: LogPolicy) -> Self {
        Self {
            log: MemoryLog::new(SystemClock::shared(), policy),
            topics: AtomicUsize::new(0),
        }
    }
}

#[async_trait]
impl Harness for OnMemory {
    fn log(&self) -> SharedLog {
        self.log.clone()
    }

    async fn topic(&self, kind: TopicKind) -> TopicName {
        let number = self.topics.fetch_add(1, Ordering::SeqCst);
        let name = TopicName(format!("ccr.test.{number}"));
        self.log.ensure_topic(&spec(&name, kind)).await.unwrap();
        name
    }

    async fn expire(&self, topic: &TopicName) {
        self.log.expire(topic, i64::MAX);
    }
}

macro_rules! contract {
    ($($promise:ident),* $(,)?) => {
        mod contract_of_memory {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $promise() {
                    let harness = crate::OnMemory::new(crate::LogPolicy::default());
                    crate::suite::$promise(&harness).await;
                }
            )*
        }
    };
}

contract!(
    appends_in_order_with_growing_offsets,
    what_was_acknowledged_is_seen_by_another_handle,
    concurrent_appends_keep_each_callers_order,
    ranges_keep_their_bounds,
    compacted_reads_give_the_last_of_each_key,
    a_member_receives_nothing_until_it_seeks,
    an_empty_topic_is_caught_up,
    the_next_member_continues_from_the_commit,
    an_abruptly_dropped_member_is_replaced,
    groups_do_not_see_each_other,
    expired_offsets_are_an_error,
    unknown_topics_are_an_error,
    topics_are_verified,
    large_records_pass_and_larger_ones_are_named,
    long_metadata_is_refused,
    waiting_can_be_given_up_and_taken_up,
    a_slow_reader_holds_delivery_back_and_loses_nothing,
    every_seek_starts_exactly_at_its_offset,
);

#[tokio::test]
async fn an_owner_that_is_asked_gives_way_and_its_commits_are_refused_then() {
    let harness = OnMemory::new(LogPolicy::default());
    let (log, topic) = (harness.log(), harness.topic(hour()).await);
    append(&log, &topic, &["a"]).await;
    let mut first = within(log.join(&group(&topic), &topic)).await.unwrap();
    assigned(&mut first).await;
    let mut second = within(log.join(&group(&topic), &topic)).await.unwrap();
    harness.log.rebalance();
    within(first.commit(position(1, "while it is asked")))
        .await
        .unwrap();
    assert_eq!(next(&mut first).await, ReaderEvent::Revoked);
    assert!(within(first.commit(position(2, "too late"))).await.is_err());
    let committed = assigned(&mut second).await;
    assert_eq!(committed, Some(position(1, "while it is asked")));
}

#[tokio::test]
async fn an_evicted_owner_notices_it_late_and_can_commit_nothing() {
    let harness = OnMemory::new(LogPolicy::default());
    let (log, topic) = (harness.log(), harness.topic(hour()).await);
    append(&log, &topic, &["a", "b"]).await;
    let mut first = within(log.join(&group(&topic), &topic)).await.unwrap();
    assigned(&mut first).await;
    within(first.seek(ccr_log::Offset(0))).await.unwrap();
    let mut second = within(log.join(&group(&topic), &topic)).await.unwrap();
    harness.log.evict(Duration::from_millis(150));
    assert_eq!(assigned(&mut second).await, None);
    assert!(
        matches!(next(&mut first).await, ReaderEvent::Record(_)),
        "it still reads"
    );
    assert!(
        within(first.commit(position(1, "as if it were the owner")))
            .await
            .is_err()
    );
    assert!(matches!(next(&mut first).await, ReaderEvent::Record(_)));
    assert!(matches!(
        next(&mut first).await,
        ReaderEvent::CaughtUp { .. }
    ));
    assert_eq!(next(&mut first).await, ReaderEvent::Revoked);
}

#[tokio::test]
async fn the_last_record_is_found_although_the_offset_before_the_end_is_a_hole() {
    let harness = OnMemory::new(LogPolicy {
        hole_every: 1,
        ..LogPolicy::default()
    });
    let (log, topic) = (harness.log(), harness.topic(hour()).await);
    let last = async || {
        let record = ccr_log::last_record(&*log, &topic).await.unwrap();
        record.map(|record| record.value)
    };
    assert_eq!(last().await, None);
    append(&log, &topic, &["a", "b"]).await;
    let (_, end) = log.watermarks(&topic).await.unwrap();
    let before_end = ccr_log::Offset(end.0 - 1);
    assert_eq!(log.read_range(&topic, before_end, 1).await.unwrap(), []);
    let records = log.read_range(&topic, ccr_log::Offset(0), 9).await.unwrap();
    assert_eq!(last().await, records.last().map(|r| r.value.clone()));
}

#[tokio::test]
async fn a_member_that_vanished_keeps_its_topic_for_the_session_timeout() {
    let harness = OnMemory::new(LogPolicy {
        session_timeout: Duration::from_millis(300),
        ..LogPolicy::default()
    });
    let (log, topic) = (harness.log(), harness.topic(hour()).await);
    let mut first = within(log.join(&group(&topic), &topic)).await.unwrap();
    assigned(&mut first).await;
    let mut second = within(log.join(&group(&topic), &topic)).await.unwrap();
    drop(first);
    let early = tokio::time::timeout(Duration::from_millis(100), second.next()).await;
    assert!(early.is_err(), "not yet: {early:?}");
    assigned(&mut second).await;
}

#[tokio::test]
async fn an_evicted_owner_gets_the_topic_back_only_after_it_noticed_its_loss() {
    let harness = OnMemory::new(LogPolicy::default());
    let (log, topic) = (harness.log(), harness.topic(hour()).await);
    append(&log, &topic, &["a", "b"]).await;
    let mut first = within(log.join(&group(&topic), &topic)).await.unwrap();
    assigned(&mut first).await;
    let mut second = within(log.join(&group(&topic), &topic)).await.unwrap();
    harness.log.evict(Duration::from_millis(150));
    assigned(&mut second).await;
    within(second.commit(position(2, "newer"))).await.unwrap();
    within(second.close()).await;
    assert!(within(first.commit(position(1, "older"))).await.is_err());
    assert_eq!(next(&mut first).await, ReaderEvent::Revoked);
    assert_eq!(assigned(&mut first).await, Some(position(2, "newer")));
}
