//! A compacted topic as a map that is kept fresh: the common ground of [`crate::registry`] and [`crate::status`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ccr_log::{NewRecord, Offset, Record, SharedLog, TopicKind, TopicSpec};
use ccr_ops::Clock;
use ccr_schemas::TopicName;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::error::Error;

/// How long the follower waits for something new before it asks again.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// Records read at once.
const PAGE: usize = 500;

/// The last value of each key, shared by watchers.
pub(crate) struct CompactedView<T> {
    log: SharedLog,
    topic: TopicName,
    next: Mutex<Offset>,
    latest: watch::Sender<Arc<BTreeMap<String, T>>>,
}

impl<T> std::fmt::Debug for CompactedView<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CompactedView")
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}

impl<T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static> CompactedView<T> {
    /// Creates the topic when missing and reads what is in it.
    pub(crate) async fn open(log: SharedLog, topic: TopicName) -> Result<Self, Error> {
        log.ensure_topic(&TopicSpec {
            name: topic.clone(),
            kind: TopicKind::Compacted,
        })
        .await?;
        // Noted before reading: what is appended meanwhile is read twice, which changes nothing.
        let (_, end) = log.watermarks(&topic).await?;
        let mut values = BTreeMap::new();
        for (key, record) in log.read_compacted(&topic).await? {
            apply(&topic, &mut values, &Record { key, ..record });
        }
        Ok(Self {
            log,
            topic,
            next: Mutex::new(end),
            latest: watch::channel(Arc::new(values)).0,
        })
    }

    /// The values as last read; changes are announced.
    pub(crate) fn watch(&self) -> watch::Receiver<Arc<BTreeMap<String, T>>> {
        self.latest.subscribe()
    }

    /// The values as last read.
    pub(crate) fn current(&self) -> Arc<BTreeMap<String, T>> {
        self.latest.borrow().clone()
    }

    /// Writes a value durably and shows it at once to this process.
    pub(crate) async fn put(&self, key: &str, value: &T) -> Result<(), Error> {
        let bytes = serde_json::to_vec(value).map_err(|source| Error::Decode {
            topic: self.topic.to_string(),
            key: key.to_owned(),
            source,
        })?;
        self.append(key, Some(bytes)).await?;
        self.change(|map| {
            map.insert(key.to_owned(), value.clone());
        });
        Ok(())
    }

    /// Forgets a key.
    pub(crate) async fn remove(&self, key: &str) -> Result<(), Error> {
        self.append(key, None).await?;
        self.change(|map| {
            map.remove(key);
        });
        Ok(())
    }

    async fn append(&self, key: &str, value: Option<Vec<u8>>) -> Result<(), Error> {
        let record = NewRecord {
            key: key.to_owned(),
            value: value.map(Into::into),
            headers: Vec::new(),
        };
        self.log.append(&self.topic, vec![record]).await?;
        Ok(())
    }

    fn change(&self, edit: impl FnOnce(&mut BTreeMap<String, T>)) {
        self.latest
            .send_modify(|shared| edit(Arc::make_mut(shared)));
    }

    /// Reads what other processes wrote, once. True when there was something.
    pub(crate) async fn refresh(&self) -> Result<bool, Error> {
        let mut next = self.next.lock().await;
        let records = match self.log.read_range(&self.topic, *next, PAGE).await {
            Ok(records) => records,
            // Compaction took the records between: whatever was there has a newer value further on.
            Err(ccr_log::Error::OffsetGone { oldest, .. }) => {
                *next = oldest;
                return Ok(true);
            }
            Err(error) => return Err(error.into()),
        };
        let Some(last) = records.last() else {
            return Ok(false);
        };
        *next = Offset(last.offset.0 + 1);
        self.change(|map| {
            for record in &records {
                apply(&self.topic, map, record);
            }
        });
        Ok(true)
    }

    /// Keeps the view fresh until told to stop. The log being away is reported once per outage and waited out.
    pub(crate) async fn run(&self, clock: &dyn Clock, token: CancellationToken) {
        let mut away = false;
        loop {
            let pause = match self.refresh().await {
                Ok(more) => {
                    away = false;
                    if more { Duration::ZERO } else { POLL_INTERVAL }
                }
                Err(error) => {
                    if !away {
                        warn!(error = %error, topic = %self.topic, "topic can not be followed, trying on");
                    }
                    away = true;
                    POLL_INTERVAL * 5
                }
            };
            tokio::select! {
                biased;
                () = token.cancelled() => return,
                () = clock.sleep(pause) => {}
            }
        }
    }
}

/// A record that can not be read leaves the last good value of its key in place: one bad record must not take others along.
fn apply<T: DeserializeOwned>(topic: &TopicName, map: &mut BTreeMap<String, T>, record: &Record) {
    match &record.value {
        None => {
            map.remove(&record.key);
        }
        Some(value) => match serde_json::from_slice(value) {
            Ok(value) => {
                map.insert(record.key.clone(), value);
            }
            Err(error) => {
                error!(error = %error, topic = %topic, key = record.key, offset = record.offset.0,
                       "record can not be read, the value before it stays in force");
            }
        },
    }
}
