//! What lies between producer and applier: an ordered, durable log of records per topic, read by groups.
//!
//! `producer -> EventLog::append => topic => EventLog::join -> GroupReader -> ReaderEvent -> applier`
//!
//! Read in this order: [`event_log`] (the trait and its types), [`embedded`] (one SQLite file, one process), [`kafka`] (Apache
//! Kafka through rdkafka), [`error`], [`metrics`], [`registry`] (the schema's id, for tools that read the topics).
//! What every log promises is written as tests in `tests/contract/suite.rs`.

pub mod embedded;
pub mod error;
pub mod event_log;
pub mod kafka;
mod last;
pub mod metrics;
mod newest;
pub mod registry;

pub use embedded::Embedded;
pub use error::Error;
pub use event_log::{
    Committed, EventLog, GroupReader, LogProblem, MAX_METADATA_BYTES, MAX_RECORD_BYTES, NewRecord,
    Offset, ReaderEvent, Record, SharedLog, TopicKind, TopicSpec,
};
pub use kafka::{Kafka, KafkaConfig};
pub use last::last_record;
pub use registry::{Missing, SchemaId, SchemaRegistry};
