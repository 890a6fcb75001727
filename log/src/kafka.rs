//! Apache Kafka through rdkafka.
//!
//! `append -> writer -> broker -> pump (own thread) -> reader -> applier`
//!
//! Read in this order: `config` (the properties of librdkafka) with `properties` (a file of it), `reach` (first contact), `writer` (append), `pump` (the polling thread of a group
//! member) with `group` (rebalance callback), `reader` (its handle) and `watchdog`, `fetch` (reading without a group),
//! `admin` (topics), `failure` (error codes).

mod admin;
mod config;
mod failure;
mod fetch;
mod group;
mod properties;
mod pump;
mod reach;
mod reader;
mod watchdog;
mod writer;

use std::collections::{BTreeMap, HashSet};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use async_trait::async_trait;
use ccr_ops::{Clock, SystemClock};
use ccr_schemas::TopicName;
use tokio::sync::{mpsc, oneshot};

pub use self::config::{KafkaConfig, is_secret};
pub use self::properties::read_properties;

use self::admin::{Presence, Topics, blocking, presence};
use self::fetch::{Fetcher, check_position, watermarks};
use self::pump::{Pump, ROOM};
use self::reader::{KafkaReader, Shared};
use self::writer::{Writer, size};
use crate::error::Error;
use crate::event_log::{
    Committed, EventLog, GroupReader, MAX_RECORD_BYTES, NewRecord, Offset, Record, SharedLog,
    TopicSpec,
};
use crate::metrics;
use crate::newest::{self, Newest};

/// Commands under way to a reader's thread. Its handle sends one at a time.
const COMMANDS: usize = 16;
/// Records asked for at a time when a whole topic is read.
const CHUNK: usize = 10_000;

/// Looks at an end that comes before the known one, each 300 ms or longer, before it is believed.
const EARLY_ENDS: u32 = 10;

/// The log on an Apache Kafka cluster.
pub struct Kafka {
    config: KafkaConfig,
    clock: Arc<dyn Clock>,
    writer: Writer,
    fetcher: Arc<Fetcher>,
    /// Topics that were there when they were last asked for.
    known: Mutex<HashSet<TopicName>>,
}

impl Kafka {
    /// Connects, and makes sure that somebody is there.
    ///
    /// # Errors
    /// [`Error::Config`] for settings that cannot work; [`Error::Refused`] when the brokers do not let us in, or are not
    /// whom they should be; [`Error::Unavailable`] naming the address when no broker answers within ten seconds.
    pub async fn connect(config: KafkaConfig) -> Result<SharedLog, Error> {
        config.validate()?;
        let clock = SystemClock::shared();
        let writer = Writer::new(config.writer(), Arc::clone(&clock))?;
        let brokers = reach::reach(&config, &writer.client(), writer.trouble(), &clock).await?;
        let (_, librdkafka) = rdkafka::util::get_rdkafka_version();
        tracing::info!(bootstrap = %config.bootstrap, brokers, %librdkafka, "connected to Kafka");
        Ok(Arc::new(Self {
            fetcher: Arc::new(Fetcher::new(config.clone(), Arc::clone(&clock))),
            config,
            clock,
            writer,
            known: Mutex::new(HashSet::new()),
        }))
    }

    fn remember(&self, topic: &TopicName) {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(topic.clone());
    }

    /// [`Error::UnknownTopic`] unless the topic is there. Asked once per topic.
    async fn must_exist(&self, topic: &TopicName) -> Result<(), Error> {
        let known = self
            .known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(topic);
        if known {
            return Ok(());
        }
        let (client, name) = (self.writer.client(), topic.clone());
        match blocking("look up a topic", move || presence(&client, &name)).await? {
            Presence::There { .. } => {
                self.remember(topic);
                Ok(())
            }
            Presence::Absent => Err(Error::UnknownTopic(topic.clone())),
        }
    }

    async fn marks(&self, topic: &TopicName) -> Result<(i64, i64), Error> {
        self.must_exist(topic).await?;
        let (client, name) = (self.writer.client(), topic.clone());
        blocking("ask where a topic ends", move || watermarks(&client, &name)).await
    }

    async fn newest(&self, topic: &TopicName) -> Result<BTreeMap<String, Record>, Error> {
        let (mut from, high) = self.marks(topic).await?;
        let mut newest = Newest::default();
        let mut early = 0;
        while from < high {
            let records = self.range(topic, from, high, CHUNK).await?;
            match newest.take(records) {
                Some(next) => from = next,
                // A leader of just now may not know yet how far its predecessor had come. What was there before must not
                // be missed; only a hole up to the end (of foreign transactions) stays empty.
                None => early += 1,
            }
            if early > EARLY_ENDS {
                tracing::warn!(%topic, from, high, "no records between this offset and the end of the topic");
                break;
            }
        }
        Ok(newest.into_records())
    }

    async fn range(
        &self,
        topic: &TopicName,
        from: i64,
        high: i64,
        most: usize,
    ) -> Result<Vec<Record>, Error> {
        let (fetcher, name) = (Arc::clone(&self.fetcher), topic.clone());
        blocking("read a range", move || {
            fetcher.read(&name, from, high, most)
        })
        .await
    }
}

#[async_trait]
impl EventLog for Kafka {
    async fn ensure_topic(&self, spec: &TopicSpec) -> Result<(), Error> {
        let topics = Topics {
            config: &self.config,
            client: self.writer.client(),
            clock: &*self.clock,
        };
        topics.ensure(spec).await?;
        self.remember(&spec.name);
        Ok(())
    }

    async fn append(&self, topic: &TopicName, records: Vec<NewRecord>) -> Result<Offset, Error> {
        self.must_exist(topic).await?;
        if records.is_empty() {
            let (_, high) = self.marks(topic).await?;
            return Ok(Offset(high - 1));
        }
        let mut total = 0;
        for record in &records {
            let bytes = size(record);
            total += bytes;
            if bytes > MAX_RECORD_BYTES {
                return Err(Error::RecordTooLarge {
                    topic: topic.clone(),
                    key: record.key.clone(),
                    bytes,
                    limit: MAX_RECORD_BYTES,
                });
            }
        }
        let started = self.clock.monotonic();
        let last = self.writer.append(topic, &records).await?;
        let took = self.clock.monotonic().saturating_sub(started);
        ::metrics::histogram!(metrics::APPEND_SECONDS, "log" => metrics::KAFKA).record(took);
        ::metrics::counter!(metrics::APPENDED_RECORDS, "log" => metrics::KAFKA)
            .increment(records.len() as u64);
        ::metrics::counter!(metrics::APPENDED_BYTES, "log" => metrics::KAFKA)
            .increment(total as u64);
        Ok(last)
    }

    async fn watermarks(&self, topic: &TopicName) -> Result<(Offset, Offset), Error> {
        let (low, high) = self.marks(topic).await?;
        Ok((Offset(low), Offset(high)))
    }

    async fn read_range(
        &self,
        topic: &TopicName,
        from: Offset,
        most: usize,
    ) -> Result<Vec<Record>, Error> {
        let marks = self.marks(topic).await?;
        check_position(topic, from.0, marks)?;
        self.range(topic, from.0, marks.1, most).await
    }

    async fn read_compacted(&self, topic: &TopicName) -> Result<BTreeMap<String, Record>, Error> {
        newest::whole(topic, newest::WHOLE, self.newest(topic)).await
    }

    async fn join(&self, group: &str, topic: &TopicName) -> Result<Box<dyn GroupReader>, Error> {
        self.must_exist(topic).await?;
        let (commands, obeyed) = sync_channel(COMMANDS);
        let (tell, notices) = mpsc::channel(ROOM);
        let (end, ended) = oneshot::channel();
        let shared = Arc::new(Shared::default());
        let pump = Pump::new(
            self.config.clone(),
            Arc::clone(&self.clock),
            (group, topic),
            (commands.clone(), tell, Arc::clone(&shared)),
        )?;
        thread::Builder::new()
            .name("ccr-log-reader".to_owned())
            .spawn(move || {
                pump.run(&obeyed);
                if end.send(()).is_err() {
                    tracing::trace!("nobody waited for the reader to end");
                }
            })
            .map_err(|source| Error::Unavailable {
                action: format!("start a reader of topic {topic}"),
                source: Box::new(source),
            })?;
        Ok(Box::new(KafkaReader {
            group: group.to_owned(),
            topic: topic.clone(),
            commands,
            notices,
            shared,
            ended: Some(ended),
            ownership: 0,
            epoch: 0,
        }))
    }

    async fn committed(&self, group: &str, topic: &TopicName) -> Result<Option<Committed>, Error> {
        self.must_exist(topic).await?;
        let (config, group, name) = (self.config.clone(), group.to_owned(), topic.clone());
        blocking("read a group's position", move || {
            fetch::committed(&config, &group, &name)
        })
        .await
    }

    fn describe(&self) -> String {
        format!("kafka {}", self.config.bootstrap)
    }
}
