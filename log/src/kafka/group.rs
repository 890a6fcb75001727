//! What librdkafka calls during a rebalance. It runs on the polling thread, inside of `poll`, so it does the least and
//! leaves notes for afterwards.

use std::sync::{Mutex, PoisonError};

use ccr_schemas::TopicName;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, Offset as At, TopicPartitionList};

use super::failure::log_line;

/// What happened.
#[derive(Debug)]
pub(super) enum Note {
    /// The topic's partition was given to us, and is paused.
    Assigned,
    /// It was taken away, or lost.
    Revoked,
    /// librdkafka refused our answer.
    Failed(KafkaError),
}

/// The context of a member's consumer.
pub(super) struct Membership {
    topic: TopicName,
    notes: Mutex<Vec<Note>>,
}

impl Membership {
    pub(super) fn new(topic: &TopicName) -> Self {
        Self {
            topic: topic.clone(),
            notes: Mutex::new(Vec::new()),
        }
    }

    /// The notes since the last call.
    pub(super) fn take(&self) -> Vec<Note> {
        std::mem::take(&mut *self.notes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn leave(&self, note: Note) {
        self.notes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(note);
    }
}

fn cooperative(consumer: &BaseConsumer<Membership>) -> bool {
    match consumer.rebalance_protocol() {
        RebalanceProtocol::Cooperative => true,
        RebalanceProtocol::Eager | RebalanceProtocol::None => false,
    }
}

fn give(
    consumer: &BaseConsumer<Membership>,
    list: &mut TopicPartitionList,
) -> Result<(), KafkaError> {
    // Any offset will do, for the partition is paused until the owner seeks. But it must be a number: for "the end" librdkafka asks the
    // broker, and an answer that comes after the seek would move the reader over everything in between.
    list.set_all_offsets(At::Offset(0))?;
    if cooperative(consumer) {
        consumer.incremental_assign(list)?;
    } else {
        consumer.assign(list)?;
    }
    if list.count() > 0 {
        consumer.pause(list)?;
    }
    Ok(())
}

/// Restarts a partition that librdkafka stopped after an error. The group still counts it as ours.
pub(super) fn restart(
    consumer: &BaseConsumer<Membership>,
    list: &TopicPartitionList,
) -> Result<(), KafkaError> {
    if cooperative(consumer) {
        consumer.incremental_unassign(list)?;
        consumer.incremental_assign(list)
    } else {
        consumer.assign(list)
    }
}

fn take_away(
    consumer: &BaseConsumer<Membership>,
    list: &TopicPartitionList,
) -> Result<(), KafkaError> {
    if cooperative(consumer) {
        consumer.incremental_unassign(list)
    } else {
        consumer.unassign()
    }
}

impl ClientContext for Membership {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log_line(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "librdkafka");
    }
}

impl ConsumerContext for Membership {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        event: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        // A cooperative rebalance that changes nothing comes with an empty list.
        let ours = list.find_partition(&self.topic.0, 0).is_some();
        let assigned = event == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        let done = if assigned {
            give(consumer, list)
        } else {
            take_away(consumer, list)
        };
        tracing::debug!(topic = %self.topic, assigned, ours, ?done, "rebalance");
        if ours {
            self.leave(if assigned {
                Note::Assigned
            } else {
                Note::Revoked
            });
        }
        if let Err(error) = done {
            self.leave(Note::Failed(error));
        }
    }
}
