//! Names as of the event, whatever a start finds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use ccr_control::ProblemPart;
use ccr_log::{
    Committed, Error, EventLog, GroupReader, NewRecord, Offset, Record, SharedLog, TopicSpec,
};
use ccr_schemas::{Event, TopicName};

use crate::harness::{Harness, config};

/// Name of the table in each load that was published.
async fn names(h: &Harness) -> Vec<(i64, String)> {
    h.envelopes()
        .await
        .iter()
        .filter_map(|(_, e)| match &e.event {
            Event::RowsetsCommitted(r) => Some((e.commit_seq.0, r.tables[0].table.name.clone())),
            _ => None,
        })
        .collect()
}

fn expected(names: [(i64, &str); 3]) -> Vec<(i64, String)> {
    names
        .map(|(seq, name)| (seq, name.to_owned()))
        .into_iter()
        .collect()
}

/// A producer has published 1. While nobody looks: written under the old name, renamed, written under the new one.
async fn renamed_while_nobody_looks() -> Harness {
    let h = Harness::new().await;
    let running = h.start();
    h.begun().await;
    h.source.write(1);
    h.published(1).await;
    running.stop().await;
    h.source.write(2);
    h.source.rename(3, "u");
    h.source.write(4);
    h
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_those_of_the_moment_also_after_a_restart() {
    let h = renamed_while_nobody_looks().await;
    let running = h.start();
    h.published(4).await;
    running.stop().await;
    assert_eq!(names(&h).await, expected([(1, "t"), (2, "t"), (4, "u")]));
}

async fn write_checkpoint(h: &Harness, value: &str) {
    let record = NewRecord {
        key: "catalog".to_owned(),
        value: Some(value.to_owned().into()),
        headers: Vec::new(),
    };
    let topic = TopicName::catalog("ccr", "c1", "db");
    h.log.append(&topic, vec![record]).await.unwrap();
}

/// The source has the names of now; those of the queued events follow from the records that changed them.
#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_that_cannot_be_read_makes_no_name_a_guess() {
    let h = renamed_while_nobody_looks().await;
    write_checkpoint(&h, "{\"position\": 1, \"db_id\"").await;
    let running = h.start();
    h.published(4).await;
    running.stop().await;
    assert_eq!(names(&h).await, expected([(1, "t"), (2, "t"), (4, "u")]));
}

/// A log whose compacted topics cannot be read for a while.
struct Failing {
    log: SharedLog,
    left: AtomicU32,
}

#[async_trait]
impl EventLog for Failing {
    async fn ensure_topic(&self, spec: &TopicSpec) -> Result<(), Error> {
        self.log.ensure_topic(spec).await
    }

    async fn append(&self, topic: &TopicName, records: Vec<NewRecord>) -> Result<Offset, Error> {
        self.log.append(topic, records).await
    }

    async fn watermarks(&self, topic: &TopicName) -> Result<(Offset, Offset), Error> {
        self.log.watermarks(topic).await
    }

    async fn read_range(
        &self,
        topic: &TopicName,
        from: Offset,
        most: usize,
    ) -> Result<Vec<Record>, Error> {
        self.log.read_range(topic, from, most).await
    }

    async fn read_compacted(&self, topic: &TopicName) -> Result<BTreeMap<String, Record>, Error> {
        let failed = self
            .left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        if failed.is_ok() {
            return Err(Error::Timeout {
                action: "read the topic".to_owned(),
                seconds: 1,
            });
        }
        self.log.read_compacted(topic).await
    }

    async fn join(&self, group: &str, topic: &TopicName) -> Result<Box<dyn GroupReader>, Error> {
        self.log.join(group, topic).await
    }

    async fn committed(&self, group: &str, topic: &TopicName) -> Result<Option<Committed>, Error> {
        self.log.committed(group, topic).await
    }

    async fn lost(&self) -> Error {
        self.log.lost().await
    }

    fn describe(&self) -> String {
        self.log.describe()
    }
}

/// A log that fails holds a checkpoint all the same: it is read when the log works again.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_fails_is_not_a_log_without_a_checkpoint() {
    let h = renamed_while_nobody_looks().await;
    let calls = h.source.calls("get_meta");
    // A name that only the checkpoint has.
    write_checkpoint(
        &h,
        "{\"position\": 1, \"db_id\": 1, \"catalog\": {\"objects\": {\"1000\": {\"name\": \"old\", \"kind\": \"OLAP\"}}}}",
    )
    .await;
    let log = Arc::new(Failing {
        log: h.log.clone(),
        left: AtomicU32::new(u32::MAX),
    });
    let running = h.start_on(log.clone(), config("test"));
    h.until("the log is named", || async {
        h.stream_status()
            .and_then(|status| status.problem)
            .is_some_and(|problem| problem.part == ProblemPart::Log)
    })
    .await;
    log.left.store(0, Ordering::SeqCst);
    h.published(4).await;
    running.stop().await;
    assert!(h.source.calls("get_meta") > calls);
    assert_eq!(names(&h).await, expected([(1, "t"), (2, "old"), (4, "u")]));
}
