//! An event log in memory, with consumer groups whose members come, go, are revoked and are evicted.
//!
//! [`MemoryLog`] never fails. [`ProcessLog`] is how a process sees it: with failures, and with the death of the process at any
//! of its calls.

mod group;
mod process;
mod reader;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use ccr_log::{
    Committed, Error, EventLog, GroupReader, MAX_RECORD_BYTES, NewRecord, Offset, Record,
    TopicKind, TopicSpec,
};
use ccr_ops::Clock;
use ccr_schemas::TopicName;

use group::{Group, MemberId};
pub use process::{LogWeather, ProcessLog};
use reader::MemoryReader;

/// How the log behaves where logs differ.
#[derive(Clone, Copy, Debug)]
pub struct LogPolicy {
    /// How long a member that vanished keeps its topic. Zero: not at all.
    pub session_timeout: Duration,
    /// How long an owner may take to notice that its topic was revoked, before it is evicted.
    pub rebalance_timeout: Duration,
    /// Offsets have holes: an extra one is left out after so many records; 0 for none.
    pub hole_every: i64,
}

impl Default for LogPolicy {
    fn default() -> Self {
        Self {
            session_timeout: Duration::ZERO,
            rebalance_timeout: Duration::from_secs(3),
            hole_every: 0,
        }
    }
}

/// The log.
pub struct MemoryLog {
    inner: Arc<Inner>,
}

struct Inner {
    state: Mutex<State>,
    clock: Arc<dyn Clock>,
    policy: LogPolicy,
}

#[derive(Default)]
struct State {
    topics: BTreeMap<TopicName, Topic>,
    groups: BTreeMap<(String, TopicName), Group>,
    next_member: MemberId,
}

struct Topic {
    kind: TopicKind,
    first: i64,
    end: i64,
    records: BTreeMap<i64, Record>,
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn topic(&self, name: &TopicName) -> Result<&Topic, Error> {
        self.topics
            .get(name)
            .ok_or_else(|| Error::UnknownTopic(name.clone()))
    }
}

impl Topic {
    /// A position outside of what is kept is an error, never a silent jump.
    fn check(&self, name: &TopicName, wanted: i64) -> Result<(), Error> {
        if wanted < self.first {
            return Err(Error::OffsetGone {
                topic: name.clone(),
                wanted: Offset(wanted),
                oldest: Offset(self.first),
            });
        }
        if wanted > self.end {
            return Err(Error::Corrupt(format!(
                "topic {name} ends at offset {}, before the wanted {wanted}",
                self.end
            )));
        }
        Ok(())
    }

    fn from(&self, offset: i64) -> Option<&Record> {
        self.records
            .range(offset..)
            .next()
            .map(|(_, record)| record)
    }
}

impl MemoryLog {
    /// An empty log.
    pub fn new(clock: Arc<dyn Clock>, policy: LogPolicy) -> Arc<Self> {
        Arc::new(Self {
            inner: Arc::new(Inner {
                state: Mutex::default(),
                clock,
                policy,
            }),
        })
    }

    /// Gives the topics of all groups to other members, as a group does when a member joins it. The owners are asked first.
    pub fn rebalance(&self) {
        let now = self.inner.clock.monotonic();
        let mut state = self.inner.lock();
        for group in state.groups.values_mut() {
            group.revoke(now + self.inner.policy.rebalance_timeout);
        }
    }

    /// Takes the topics of all groups from their owners, who notice it only after a while.
    pub fn evict(&self, unnoticed: Duration) {
        let now = self.inner.clock.monotonic();
        let mut state = self.inner.lock();
        for group in state.groups.values_mut() {
            group.evict(now + unnoticed);
        }
    }

    /// Deletes records below an offset, as retention does.
    pub fn expire(&self, topic: &TopicName, below: i64) {
        let mut state = self.inner.lock();
        if let Some(topic) = state.topics.get_mut(topic) {
            let below = below.min(topic.end);
            topic.records = topic.records.split_off(&below);
            topic.first = topic.first.max(below);
        }
    }

    /// Next offset of a topic, 0 when there is none.
    pub fn end(&self, topic: &TopicName) -> i64 {
        self.inner
            .lock()
            .topics
            .get(topic)
            .map_or(0, |topic| topic.end)
    }

    /// A group's durable position.
    pub fn position(&self, group: &str, topic: &TopicName) -> Option<Committed> {
        let state = self.inner.lock();
        let group = state.groups.get(&(group.to_owned(), topic.clone()))?;
        group.committed.clone()
    }
}

#[async_trait]
impl EventLog for MemoryLog {
    async fn ensure_topic(&self, spec: &TopicSpec) -> Result<(), Error> {
        let mut state = self.inner.lock();
        let topic = state
            .topics
            .entry(spec.name.clone())
            .or_insert_with(|| Topic {
                kind: spec.kind,
                first: 0,
                end: 0,
                records: BTreeMap::new(),
            });
        if topic.kind != spec.kind {
            return Err(Error::TopicMismatch {
                topic: spec.name.clone(),
                difference: format!("it is {:?}, wanted {:?}", topic.kind, spec.kind),
            });
        }
        Ok(())
    }

    async fn append(&self, topic: &TopicName, records: Vec<NewRecord>) -> Result<Offset, Error> {
        let now = self.inner.clock.now_ms();
        let mut state = self.inner.lock();
        let hole_every = self.inner.policy.hole_every;
        let found = state
            .topics
            .get_mut(topic)
            .ok_or_else(|| Error::UnknownTopic(topic.clone()))?;
        for record in &records {
            let bytes = record.key.len() + record.value.as_ref().map_or(0, |value| value.len());
            if bytes > MAX_RECORD_BYTES {
                return Err(Error::RecordTooLarge {
                    topic: topic.clone(),
                    key: record.key.clone(),
                    bytes,
                    limit: MAX_RECORD_BYTES,
                });
            }
        }
        let mut last = found.end - 1;
        for NewRecord {
            key,
            value,
            headers,
        } in records
        {
            last = found.end;
            let record = Record {
                offset: Offset(last),
                appended_at_ms: now,
                key,
                value,
                headers,
            };
            found.records.insert(last, record);
            let hole = hole_every > 0 && last % hole_every == hole_every - 1;
            found.end += if hole { 2 } else { 1 };
        }
        for ((_, read), group) in &state.groups {
            if read == topic {
                group.wake();
            }
        }
        Ok(Offset(last))
    }

    async fn watermarks(&self, topic: &TopicName) -> Result<(Offset, Offset), Error> {
        let state = self.inner.lock();
        let topic = state.topic(topic)?;
        Ok((Offset(topic.first), Offset(topic.end)))
    }

    async fn read_range(
        &self,
        topic: &TopicName,
        from: Offset,
        most: usize,
    ) -> Result<Vec<Record>, Error> {
        let state = self.inner.lock();
        let found = state.topic(topic)?;
        found.check(topic, from.0)?;
        let records = found.records.range(from.0..).take(most);
        Ok(records.map(|(_, record)| record.clone()).collect())
    }

    async fn read_compacted(&self, topic: &TopicName) -> Result<BTreeMap<String, Record>, Error> {
        let state = self.inner.lock();
        let mut newest = BTreeMap::new();
        for record in state.topic(topic)?.records.values() {
            newest.insert(record.key.clone(), record.clone());
        }
        newest.retain(|_, record| record.value.is_some());
        Ok(newest)
    }

    async fn join(&self, group: &str, topic: &TopicName) -> Result<Box<dyn GroupReader>, Error> {
        let reader = MemoryReader::join(self.inner.clone(), group, topic)?;
        Ok(Box::new(reader))
    }

    async fn committed(&self, group: &str, topic: &TopicName) -> Result<Option<Committed>, Error> {
        self.inner.lock().topic(topic)?;
        Ok(self.position(group, topic))
    }

    fn describe(&self) -> String {
        "memory".to_owned()
    }
}
