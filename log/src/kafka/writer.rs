//! The idempotent producer, and its replacement when it cannot go on.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use ccr_ops::Clock;
use ccr_schemas::TopicName;
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::future_producer::DeliveryFuture;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer, PurgeConfig};

use super::failure::{Quiet, Trouble, of_call, of_topic};
use crate::error::Error;
use crate::event_log::{MAX_RECORD_BYTES, NewRecord, Offset};

/// Bound of one append.
const APPEND: Duration = Duration::from_secs(30);
/// Pause when the queue is full.
const QUEUE_FULL_PAUSE: Duration = Duration::from_millis(5);

pub(super) type Client = FutureProducer<Quiet>;

/// One client at a time, numbered.
#[derive(Clone)]
struct Current {
    number: u64,
    client: Client,
}

/// Appends to any topic.
pub(super) struct Writer {
    config: ClientConfig,
    clock: Arc<dyn Clock>,
    trouble: Trouble,
    current: RwLock<Current>,
}

impl Writer {
    pub(super) fn new(config: ClientConfig, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let trouble = Trouble::default();
        let client = make(&config, &trouble)?;
        Ok(Self {
            config,
            clock,
            trouble,
            current: RwLock::new(Current { number: 0, client }),
        })
    }

    /// Why brokers cannot be reached, while they cannot.
    pub(super) fn trouble(&self) -> &Trouble {
        &self.trouble
    }

    /// The client of now, also for questions on metadata.
    pub(super) fn client(&self) -> Client {
        self.current().client
    }

    fn current(&self) -> Current {
        self.current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Sends all, waits for all. When one fails, everything that this client has not sent yet is given up with it, so that no
    /// later record gets into the log before a repeated earlier one.
    pub(super) async fn append(
        &self,
        topic: &TopicName,
        records: &[NewRecord],
    ) -> Result<Offset, Error> {
        let current = self.current();
        self.trouble.forget();
        let answer =
            match tokio::time::timeout(APPEND, self.deliver(&current.client, topic, records)).await
            {
                Ok(answer) => answer,
                Err(_) => Err(self.timeout(topic)),
            };
        if answer.is_err() {
            self.retire(current);
        }
        answer
    }

    fn timeout(&self, topic: &TopicName) -> Error {
        let (action, seconds) = (format!("append to topic {topic}"), APPEND.as_secs());
        match self.trouble.last() {
            Some((_, reason)) => Error::Unavailable {
                action: format!("{action} ({seconds} s)"),
                source: reason.into(),
            },
            None => Error::Timeout { action, seconds },
        }
    }

    async fn deliver(
        &self,
        client: &Client,
        topic: &TopicName,
        records: &[NewRecord],
    ) -> Result<Offset, Error> {
        let mut deliveries = Vec::with_capacity(records.len());
        for record in records {
            deliveries.push((record, self.enqueue(client, topic, record).await?));
        }
        let mut last = Offset(-1);
        for (record, delivery) in deliveries {
            match delivery.await {
                Ok(Ok(delivered)) => last = Offset(delivered.offset),
                Ok(Err((error, _))) => return Err(refused(topic, record, error)),
                Err(_) => return Err(refused(topic, record, KafkaError::Canceled)),
            }
        }
        Ok(last)
    }

    async fn enqueue(
        &self,
        client: &Client,
        topic: &TopicName,
        record: &NewRecord,
    ) -> Result<DeliveryFuture, Error> {
        let headers = record
            .headers
            .iter()
            .fold(OwnedHeaders::new(), |headers, (key, value)| {
                headers.insert(Header {
                    key,
                    value: Some(value.as_bytes()),
                })
            });
        let mut message = FutureRecord::<str, [u8]>::to(&topic.0)
            .partition(0)
            .key(&record.key)
            .timestamp(self.clock.now_ms())
            .headers(headers);
        if let Some(value) = &record.value {
            message = message.payload(value);
        }
        // Ends by the caller's deadline at the latest.
        loop {
            match client.send_result(message) {
                Ok(delivery) => return Ok(delivery),
                Err((KafkaError::MessageProduction(Code::QueueFull), back)) => {
                    message = back;
                    self.clock.sleep(QUEUE_FULL_PAUSE).await;
                }
                Err((error, _)) => return Err(refused(topic, record, error)),
            }
        }
    }

    fn retire(&self, failed: Current) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if current.number != failed.number {
            return;
        }
        match make(&self.config, &self.trouble) {
            Ok(client) => {
                let number = current.number + 1;
                let old = std::mem::replace(&mut *current, Current { number, client });
                drop(current);
                // Closing waits for the client's thread.
                tokio::task::spawn_blocking(move || {
                    old.client.purge(PurgeConfig::default().queue().inflight());
                    drop(failed);
                    drop(old);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot create a new Kafka producer; the next append retries with the failed one");
            }
        }
    }
}

fn make(config: &ClientConfig, trouble: &Trouble) -> Result<Client, Error> {
    config
        .create_with_context(Quiet::noting(trouble))
        .map_err(|error| of_call("make a Kafka producer", error))
}

fn refused(topic: &TopicName, record: &NewRecord, error: KafkaError) -> Error {
    match error.rdkafka_error_code() {
        Some(Code::MessageSizeTooLarge | Code::InvalidMessageSize) => Error::RecordTooLarge {
            topic: topic.clone(),
            key: record.key.clone(),
            bytes: size(record),
            limit: MAX_RECORD_BYTES,
        },
        _ => of_topic("append", topic, error),
    }
}

/// What a record counts for.
pub(super) fn size(record: &NewRecord) -> usize {
    let headers: usize = record.headers.iter().map(|(k, v)| k.len() + v.len()).sum();
    record.key.len() + record.value.as_ref().map_or(0, bytes::Bytes::len) + headers
}
