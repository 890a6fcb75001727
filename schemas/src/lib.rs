//! The contract between producer and applier: what an event is, how it is encoded, where it is written. No I/O, no clock.
//!
//! `doris::binlog -> producer::plan -> Envelope { Event } -> codec -> topic => codec -> Envelope -> applier::plan`
//!
//! Read in this order: [`event`] (what happened at the source), [`envelope`] (position, chain and origin of an event),
//! [`id`] (newtypes), [`shape`] (parts of a table), [`topic`] (every topic name and record key), [`codec`] (Avro bytes), [`invariant`] (what must hold),
//! [`sample`] (one envelope of every kind, for tests and benchmarks).

pub mod codec;
pub mod envelope;
pub mod event;
pub mod id;
pub mod invariant;
mod own_property;
pub mod sample;
pub mod shape;
pub mod topic;

pub use codec::{Codec, CodecError, Framing, RecordAt};
pub use envelope::{Envelope, Replay};
pub use event::{Event, EventKind};
pub use id::{
    BackendId, CommitSeq, DbId, Incarnation, IndexId, PartitionId, TableId, TabletId, Timeline,
    TimestampMs, TxnId,
};
pub use own_property::is_own_property;
pub use topic::TopicName;
