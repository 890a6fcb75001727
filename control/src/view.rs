//! A compacted topic as a map that is kept fresh: the common ground of [`crate::registry`] and [`crate::status`].

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError};
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
use crate::latest::Latest;
use crate::problem::Problem;

/// How long the follower waits for something new before it asks again.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// Records read at once.
const PAGE: usize = 500;
/// How long a value that is worth nothing later waits for the log.
const VOLATILE_WAIT: Duration = Duration::from_secs(5);

/// The last value of each key, shared by watchers.
pub(crate) struct CompactedView<T> {
    log: SharedLog,
    topic: TopicName,
    clock: Arc<dyn Clock>,
    next: Mutex<Offset>,
    latest: Latest<BTreeMap<String, T>>,
    signs: StdMutex<Signs>,
}

/// What this process saw of the topic.
#[derive(Default)]
struct Signs {
    /// When each key last got a value, by the monotonic clock; for those found at the start, the start.
    changed: BTreeMap<String, Duration>,
    reading: Option<Problem>,
    writing: Option<Problem>,
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
    pub(crate) async fn open(
        log: SharedLog,
        topic: TopicName,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
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
        let now = clock.monotonic();
        let changed = values.keys().map(|key| (key.clone(), now)).collect();
        Ok(Self {
            log,
            topic,
            clock,
            next: Mutex::new(end),
            latest: Latest::new(values),
            signs: StdMutex::new(Signs {
                changed,
                ..Signs::default()
            }),
        })
    }

    fn signs(&self) -> MutexGuard<'_, Signs> {
        self.signs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns for how long the key got no value, as far as this process can tell; `None` when it has none.
    pub(crate) fn silent_for(&self, key: &str) -> Option<Duration> {
        let changed = *self.signs().changed.get(key)?;
        Some(self.clock.monotonic().saturating_sub(changed))
    }

    /// Returns what is wrong with the log: as the log itself knows it, else as reading and writing this topic showed it.
    pub(crate) fn log_problems(&self) -> Vec<Problem> {
        let known = self.log.problems();
        if known.is_empty() {
            let signs = self.signs();
            return signs
                .reading
                .iter()
                .chain(&signs.writing)
                .cloned()
                .collect();
        }
        known
            .iter()
            .map(|problem| Problem::of_log(&problem.error, problem.since_ms))
            .collect()
    }

    /// The values as last read; changes are announced.
    pub(crate) fn watch(&self) -> watch::Receiver<Arc<BTreeMap<String, T>>> {
        self.latest.watch()
    }

    /// The values as last read.
    pub(crate) fn current(&self) -> Arc<BTreeMap<String, T>> {
        self.latest.get()
    }

    /// Writes a value durably and shows it at once to this process.
    pub(crate) async fn put(&self, key: &str, value: &T) -> Result<(), Error> {
        let bytes = self.encode(key, value)?;
        self.append(key, Some(bytes)).await?;
        self.show(key, value);
        Ok(())
    }

    /// Shows a value at once to this process, then writes it. A log that does not take it within some seconds is an error, and
    /// this process still shows the value.
    pub(crate) async fn put_volatile(&self, key: &str, value: &T) -> Result<(), Error> {
        self.show(key, value);
        let bytes = self.encode(key, value)?;
        tokio::select! {
            biased;
            result = self.append(key, Some(bytes)) => result,
            () = self.clock.sleep(VOLATILE_WAIT) => {
                let error = ccr_log::Error::Timeout {
                    action: format!("append to topic {}", self.topic),
                    seconds: VOLATILE_WAIT.as_secs(),
                };
                self.note_write(&Err(&error));
                Err(error.into())
            }
        }
    }

    /// Forgets a key.
    pub(crate) async fn remove(&self, key: &str) -> Result<(), Error> {
        self.append(key, None).await?;
        self.change(|map| {
            map.remove(key);
        });
        Ok(())
    }

    fn show(&self, key: &str, value: &T) {
        self.change(|map| {
            map.insert(key.to_owned(), value.clone());
        });
        let now = self.clock.monotonic();
        self.signs().changed.insert(key.to_owned(), now);
    }

    async fn append(&self, key: &str, value: Option<Vec<u8>>) -> Result<(), Error> {
        let record = NewRecord {
            key: key.to_owned(),
            value: value.map(Into::into),
            headers: Vec::new(),
        };
        let written = self.log.append(&self.topic, vec![record]).await;
        self.note_write(&written.as_ref().map(|_| ()));
        written?;
        Ok(())
    }

    fn encode(&self, key: &str, value: &T) -> Result<Vec<u8>, Error> {
        serde_json::to_vec(value).map_err(|source| Error::Decode {
            topic: self.topic.to_string(),
            key: key.to_owned(),
            source,
        })
    }

    fn note_write(&self, result: &Result<(), &ccr_log::Error>) {
        let now_ms = self.clock.now_ms();
        note(&mut self.signs().writing, result, now_ms);
    }

    fn change(&self, edit: impl FnOnce(&mut BTreeMap<String, T>)) {
        self.latest.change(edit);
    }

    /// Reads what other processes wrote, once. True when there was something.
    pub(crate) async fn refresh(&self) -> Result<bool, Error> {
        let mut next = self.next.lock().await;
        let read = self.log.read_range(&self.topic, *next, PAGE).await;
        let is_fine = match &read {
            // Compaction, see below.
            Ok(_) | Err(ccr_log::Error::OffsetGone { .. }) => Ok(()),
            Err(error) => Err(error),
        };
        note(&mut self.signs().reading, &is_fine, self.clock.now_ms());
        let records = match read {
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
        let now = self.clock.monotonic();
        let mut signs = self.signs();
        for record in &records {
            signs.changed.insert(record.key.clone(), now);
        }
        drop(signs);
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
                        warn!(error = %error, topic = %self.topic, "cannot read the topic, retrying");
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

/// Keeps the start of a problem that goes on.
fn note(slot: &mut Option<Problem>, result: &Result<(), &ccr_log::Error>, now_ms: i64) {
    *slot = match result {
        Ok(()) => None,
        Err(error) => Some(Problem::of_log(error, now_ms).continuing(slot.as_ref())),
    };
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
                       "cannot read the record; the value before it stays in effect");
            }
        },
    }
}
