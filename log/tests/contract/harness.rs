//! What a log under test must offer to the suite.

use std::time::Duration;

use async_trait::async_trait;
use ccr_log::{
    Committed, GroupReader, NewRecord, Offset, ReaderEvent, Record, SharedLog, TopicKind, TopicSpec,
};
use ccr_schemas::TopicName;

/// Bound of everything the suite waits for.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// One kind of log.
#[async_trait]
pub trait Harness: Send + Sync {
    /// A handle as another process would have it (the embedded log gives the same one: it has one process).
    fn log(&self) -> SharedLog;

    /// Makes a topic of a fresh name.
    async fn topic(&self, kind: TopicKind) -> TopicName;

    /// Lets retention delete every record below the end of the topic (a few records newer than that may go too).
    async fn expire(&self, topic: &TopicName);

    /// False where topics can only be made by means of the test: the mock cluster has no admin API.
    fn has_admin(&self) -> bool {
        true
    }
}

/// Kept for an hour.
pub fn hour() -> TopicKind {
    TopicKind::Retained(Some(Duration::from_secs(3600)))
}

/// A specification.
pub fn spec(name: &TopicName, kind: TopicKind) -> TopicSpec {
    TopicSpec {
        name: name.clone(),
        kind,
    }
}

/// A group of the topic's own: members of one group disturb each other, whatever they read.
pub fn group(topic: &TopicName) -> String {
    format!("g.{topic}")
}

/// A record with a header.
pub fn record(key: &str, value: &str) -> NewRecord {
    NewRecord {
        key: key.to_owned(),
        value: Some(value.as_bytes().to_vec().into()),
        headers: vec![("kind".to_owned(), "test".to_owned())],
    }
}

/// A deletion.
pub fn tombstone(key: &str) -> NewRecord {
    NewRecord {
        key: key.to_owned(),
        value: None,
        headers: Vec::new(),
    }
}

/// Text of a record's value.
pub fn text(record: &Record) -> String {
    String::from_utf8(record.value.clone().expect("a value").to_vec()).expect("text")
}

/// Appends `values` one record each, in one batch.
pub async fn append(log: &SharedLog, topic: &TopicName, values: &[&str]) -> Offset {
    let records = values.iter().map(|v| record("k", v)).collect();
    within(log.append(topic, records)).await.expect("append")
}

/// Runs with the suite's bound.
pub async fn within<F: Future>(work: F) -> F::Output {
    tokio::time::timeout(PATIENCE, work)
        .await
        .expect("done in time")
}

/// The next event.
pub async fn next(reader: &mut Box<dyn GroupReader>) -> ReaderEvent {
    within(reader.next()).await.expect("an event")
}

/// Waits for the assignment.
pub async fn assigned(reader: &mut Box<dyn GroupReader>) -> Option<Committed> {
    loop {
        match next(reader).await {
            ReaderEvent::Assigned { committed } => return committed,
            ReaderEvent::Revoked => {}
            other @ (ReaderEvent::Record(_) | ReaderEvent::CaughtUp { .. }) => {
                panic!("before the assignment: {other:?}")
            }
        }
    }
}

/// Takes records until the end of the topic is reported; returns their values and that end.
pub async fn drain(reader: &mut Box<dyn GroupReader>) -> (Vec<String>, Offset) {
    let mut values = Vec::new();
    loop {
        match next(reader).await {
            ReaderEvent::Record(record) => values.push(text(&record)),
            ReaderEvent::CaughtUp { end } => return (values, end),
            other @ (ReaderEvent::Assigned { .. } | ReaderEvent::Revoked) => {
                panic!("while reading: {other:?}")
            }
        }
    }
}

/// A position with metadata.
pub fn position(offset: i64, metadata: &str) -> Committed {
    Committed {
        offset: Offset(offset),
        metadata: metadata.to_owned(),
    }
}
