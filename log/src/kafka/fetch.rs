//! Reading without a group: a few consumers that are assigned by hand, used one caller at a time, kept for the next.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use ccr_ops::Clock;
use ccr_schemas::TopicName;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::producer::Producer;
use rdkafka::{Offset as At, TopicPartitionList};

use super::config::KafkaConfig;
use super::failure::{Quiet, of_call, of_member, of_topic};
use super::writer::Client;
use crate::error::{Error, beyond_the_end};
use crate::event_log::{Committed, Offset, Record};

/// Bound of a question to a broker.
pub(super) const ASK: Duration = Duration::from_secs(10);
/// Bound of one range.
const RANGE: Duration = Duration::from_secs(25);
/// Most bytes of one range.
const RANGE_BYTES: usize = 32 * 1024 * 1024;
/// How long to believe in more records after the end was reported before the known high watermark.
const EARLY_END: Duration = Duration::from_millis(300);
/// Idle consumers kept.
const KEPT: usize = 4;

/// Where a topic begins and ends. Blocks up to [`ASK`].
pub(super) fn watermarks(client: &Client, topic: &TopicName) -> Result<(i64, i64), Error> {
    client
        .client()
        .fetch_watermarks(&topic.0, 0, ASK)
        .map_err(|error| of_topic("ask where it begins and ends", topic, error))
}

/// A position outside of what is kept is an error, never a silent jump.
pub(super) fn check_position(
    topic: &TopicName,
    wanted: i64,
    (low, high): (i64, i64),
) -> Result<(), Error> {
    if wanted < low {
        return Err(Error::OffsetGone {
            topic: topic.clone(),
            wanted: Offset(wanted),
            oldest: Offset(low),
        });
    }
    if wanted > high {
        return Err(beyond_the_end(topic, Offset(wanted), Offset(high)));
    }
    Ok(())
}

/// Our record of a message.
pub(super) fn record(message: &BorrowedMessage<'_>) -> Record {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Record {
        offset: Offset(message.offset()),
        appended_at_ms: message.timestamp().to_millis().unwrap_or(0),
        key: message.key().map(text).unwrap_or_default(),
        value: message.payload().map(Bytes::copy_from_slice),
        headers: message.headers().map_or_else(Vec::new, |headers| {
            headers
                .iter()
                .map(|h| (h.key.to_owned(), h.value.map(text).unwrap_or_default()))
                .collect()
        }),
    }
}

/// What a record counts for in every bound.
pub(super) fn size(record: &Record) -> usize {
    let headers: usize = record.headers.iter().map(|(k, v)| k.len() + v.len()).sum();
    record.key.len() + record.value.as_ref().map_or(0, Bytes::len) + headers
}

/// One partition of a topic, at a place.
pub(super) fn at(topic: &TopicName, place: At) -> Result<TopicPartitionList, KafkaError> {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&topic.0, 0, place)?;
    Ok(list)
}

/// A group's durable position out of a broker's answer.
pub(super) fn committed_in(
    list: &TopicPartitionList,
    topic: &TopicName,
) -> Result<Option<Committed>, KafkaError> {
    let Some(element) = list.find_partition(&topic.0, 0) else {
        return Ok(None);
    };
    element.error()?;
    Ok(match element.offset() {
        At::Offset(offset) => Some(Committed {
            offset: Offset(offset),
            metadata: element.metadata().to_owned(),
        }),
        At::Beginning | At::End | At::Stored | At::Invalid | At::OffsetTail(_) => None,
    })
}

/// A group's durable position, from outside. Blocks up to [`ASK`].
pub(super) fn committed(
    config: &KafkaConfig,
    group: &str,
    topic: &TopicName,
) -> Result<Option<Committed>, Error> {
    let failed = |error| of_member("read a group's position", group, topic, error);
    let consumer: BaseConsumer<Quiet> = config
        .outsider(group)
        .create_with_context(Quiet::default())
        .map_err(failed)?;
    let list = at(topic, At::Invalid).map_err(failed)?;
    let list = consumer.committed_offsets(list, ASK).map_err(failed)?;
    committed_in(&list, topic).map_err(failed)
}

/// The pool.
pub(super) struct Fetcher {
    config: KafkaConfig,
    clock: Arc<dyn Clock>,
    idle: Mutex<Vec<BaseConsumer<Quiet>>>,
}

impl Fetcher {
    pub(super) fn new(config: KafkaConfig, clock: Arc<dyn Clock>) -> Self {
        Self {
            config,
            clock,
            idle: Mutex::new(Vec::new()),
        }
    }

    fn failure(&self, topic: &TopicName, error: KafkaError) -> Error {
        of_member("read a range", &self.config.reader_group, topic, error)
    }

    /// Up to `most` records of `[from, high)`. Blocks up to [`RANGE`].
    pub(super) fn read(
        &self,
        topic: &TopicName,
        from: i64,
        high: i64,
        most: usize,
    ) -> Result<Vec<Record>, Error> {
        if from >= high || most == 0 {
            return Ok(Vec::new());
        }
        let kept = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        let consumer = match kept {
            Some(consumer) => consumer,
            None => self
                .config
                .outsider(&self.config.reader_group)
                .create_with_context(Quiet::default())
                .map_err(|error| of_call("make a Kafka consumer", error))?,
        };
        let failed = |error| self.failure(topic, error);
        let list = at(topic, At::Offset(from)).map_err(failed)?;
        consumer.assign(&list).map_err(failed)?;
        let answer = self.take(&consumer, topic, from, high, most);
        consumer.unassign().map_err(failed)?;
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if answer.is_ok() && idle.len() < KEPT {
            idle.push(consumer);
        }
        answer
    }

    fn take(
        &self,
        consumer: &BaseConsumer<Quiet>,
        topic: &TopicName,
        from: i64,
        high: i64,
        most: usize,
    ) -> Result<Vec<Record>, Error> {
        let until = self.clock.monotonic() + RANGE;
        let (mut out, mut bytes, mut next) = (Vec::new(), 0, from);
        let mut ended = None;
        while next < high && out.len() < most && bytes < RANGE_BYTES {
            let now = self.clock.monotonic();
            if ended.is_some_and(|at| now >= at + EARLY_END) {
                break;
            }
            if now >= until {
                return Err(Error::Timeout {
                    action: format!("read a range of topic {topic}"),
                    seconds: RANGE.as_secs(),
                });
            }
            match consumer.poll(Duration::from_millis(100)) {
                // Also the answer when librdkafka had something else to do.
                None => {}
                Some(Ok(message)) if message.topic() == topic.0 && message.offset() >= next => {
                    next = message.offset() + 1;
                    let record = record(&message);
                    bytes += size(&record);
                    out.push(record);
                }
                Some(Ok(_)) => {}
                // Holes up to the high watermark, or the end of the consumer's previous range.
                Some(Err(KafkaError::PartitionEOF(_))) => {
                    ended.get_or_insert(now);
                }
                Some(Err(KafkaError::MessageConsumption(
                    Code::AutoOffsetReset | Code::OffsetOutOfRange,
                ))) => {
                    let marks = consumer
                        .fetch_watermarks(&topic.0, 0, ASK)
                        .map_err(|error| of_topic("ask where it begins", topic, error))?;
                    check_position(topic, next, marks)?;
                }
                Some(Err(error)) => match self.failure(topic, error) {
                    // A broker is away; another may come before the bound.
                    error @ Error::Unavailable { .. } => {
                        tracing::debug!(%error, %topic, "reading goes on");
                    }
                    error => return Err(error),
                },
            }
        }
        Ok(out)
    }
}
