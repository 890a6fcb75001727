//! What lies between producer and applier: an ordered, durable log of records per topic, read by groups.
//!
//! `producer -> EventLog::append => topic => EventLog::join -> GroupReader -> ReaderEvent -> applier`
//!
//! Read in this order: [`event_log`] (the trait and its types), [`kafka`] (Apache Kafka through rdkafka), [`embedded`] (one
//! SQLite file, one process), [`error`].

pub mod embedded;
pub mod error;
pub mod event_log;
pub mod kafka;
pub mod metrics;

pub use embedded::Embedded;
pub use error::Error;
pub use event_log::{
    Committed, EventLog, GroupReader, MAX_METADATA_BYTES, MAX_RECORD_BYTES, NewRecord, Offset,
    ReaderEvent, Record, SharedLog, TopicKind, TopicSpec,
};
pub use kafka::{Kafka, KafkaConfig, Security, TlsFiles};
