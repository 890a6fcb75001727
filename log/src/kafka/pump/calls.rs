//! What the owner asks of the thread: seek and commit, each within a bound and only for the assignment the owner knows of.

use std::time::Duration;

use rdkafka::Offset as At;
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use super::super::failure::{is_fenced, of_topic};
use super::super::fetch::at;
use super::super::group::restart;
use super::{Phase, Pump};
use crate::error::Error;
use crate::event_log::{Committed, Offset};

/// Bound of a seek, of a commit while the group rebalances, and between two attempts of either.
const SEEK: Duration = Duration::from_secs(5);
const REBALANCE: Duration = Duration::from_secs(15);
const AGAIN: Duration = Duration::from_millis(20);

impl Pump {
    pub(super) fn fenced(&self) -> Error {
        Error::Fenced {
            group: self.group.clone(),
            topic: self.topic.clone(),
        }
    }

    fn owns(&self, ownership: u64) -> bool {
        ownership == self.ownership
            && match self.phase {
                Phase::Waiting | Phase::Arriving { .. } => false,
                Phase::Holding | Phase::Delivering { .. } => true,
            }
    }

    pub(super) fn seek(&mut self, ownership: u64, offset: Offset) -> Result<(), Error> {
        let until = self.clock.monotonic() + SEEK;
        loop {
            // Before the answer of the broker is waited for: what comes meanwhile is of the old position.
            if !self.owns(ownership) {
                return Err(self.fenced());
            }
            self.phase = Phase::Holding;
            match self.start(offset.0) {
                Ok(()) => {
                    self.phase = Phase::Delivering {
                        position: offset.0,
                        paused: false,
                        at_end: false,
                    };
                    self.complained = false;
                    self.watchdog.alive(self.clock.monotonic());
                    return Ok(());
                }
                Err(error) if self.clock.monotonic() >= until => {
                    return Err(of_topic("seek", &self.topic, error));
                }
                // The partition is still being started.
                Err(_) => {
                    self.poll(AGAIN);
                }
            }
        }
    }

    pub(super) fn start(&mut self, offset: i64) -> Result<(), KafkaError> {
        if self.stopped {
            restart(&self.consumer, &at(&self.topic, At::Offset(offset))?)?;
            self.stopped = false;
        }
        self.consumer
            .seek(&self.topic.0, 0, At::Offset(offset), SEEK)?;
        self.consumer.resume(&at(&self.topic, At::Invalid)?)
    }

    /// The owner keeps its topic while others join (cooperative), so a rebalance under way, or one that overtook this commit,
    /// means: once more, with the generation of then. A member that has lost the topic hears of it by a revocation, which
    /// ends this ownership before the group's next generation begins; so a repeated commit cannot hit a later owner.
    pub(super) fn commit(&mut self, ownership: u64, position: &Committed) -> Result<(), Error> {
        const ACTION: &str = "commit a position";
        let list = at(&self.topic, At::Offset(position.offset.0))
            .map_err(|error| self.failure(ACTION, error))?;
        match list.find_partition(&self.topic.0, 0) {
            Some(mut element) => element.set_metadata(&position.metadata),
            None => return Err(self.failure(ACTION, KafkaError::NoMessageReceived)),
        }
        let until = self.clock.monotonic() + REBALANCE;
        loop {
            if !self.owns(ownership) {
                return Err(self.fenced());
            }
            match self.consumer.commit(&list, CommitMode::Sync) {
                Ok(()) => return Ok(()),
                Err(error) if is_fenced(&error) => {
                    tracing::warn!(%error, group = %self.group, topic = %self.topic, "commit refused");
                    return Err(self.fenced());
                }
                Err(KafkaError::ConsumerCommit(Code::OffsetMetadataTooLarge)) => {
                    return Err(Error::MetadataTooLarge(position.metadata.len()));
                }
                Err(KafkaError::ConsumerCommit(
                    Code::RebalanceInProgress | Code::IllegalGeneration,
                )) if self.clock.monotonic() < until => {
                    self.poll(AGAIN);
                }
                Err(KafkaError::ConsumerCommit(Code::IllegalGeneration)) => {
                    return Err(self.fenced());
                }
                Err(error) => return Err(self.failure(ACTION, error)),
            }
        }
    }
}
