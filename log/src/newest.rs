//! The newest record of each key, out of a topic read from its begin to its end.

use std::collections::BTreeMap;
use std::time::Duration;

use ccr_schemas::TopicName;

use crate::error::Error;
use crate::event_log::Record;

/// Bound of reading a compacted topic from its begin to its end. Ours hold one record per job or table; minutes mean that
/// the topic is not compacted, or that reading has stalled.
pub(crate) const WHOLE: Duration = Duration::from_secs(120);

/// Reads a whole topic, within a bound.
pub(crate) async fn whole<T>(
    topic: &TopicName,
    bound: Duration,
    read: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    match tokio::time::timeout(bound, read).await {
        Ok(answer) => answer,
        Err(_) => Err(Error::Timeout {
            action: format!(
                "read the whole of topic {topic} (its cleanup.policy should be compact; does the log cleaner run?)"
            ),
            seconds: bound.as_secs(),
        }),
    }
}

/// Collects the newest record of each key.
#[derive(Debug, Default)]
pub(crate) struct Newest {
    last: BTreeMap<String, Record>,
}

impl Newest {
    /// Takes the next records of the topic; returns the offset after them, `None` when there are none.
    pub(crate) fn take(&mut self, records: Vec<Record>) -> Option<i64> {
        let next = records.last()?.offset.0 + 1;
        for record in records {
            self.last.insert(record.key.clone(), record);
        }
        Some(next)
    }

    /// Returns the newest record of each key. Keys whose newest record is a tombstone are left out.
    pub(crate) fn into_records(mut self) -> BTreeMap<String, Record> {
        self.last.retain(|_, record| record.value.is_some());
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_topic_without_an_end_in_sight_is_given_up_by_name() {
        let topic = TopicName("ccr.jobs".to_owned());
        let endless = std::future::pending::<Result<(), Error>>();
        let given_up = whole(&topic, Duration::from_millis(5), endless).await;
        assert!(
            matches!(&given_up, Err(Error::Timeout { action, .. }) if action.contains("ccr.jobs")),
            "{given_up:?}"
        );
        let read = whole(&topic, WHOLE, async { Ok(1) }).await;
        assert_eq!(read.expect("read"), 1);
    }
}
