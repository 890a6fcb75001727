//! Source Doris to event log.
//!
//! `jobs -> service -> stream { getBinlog -> tail (settled) -> enrich (event with names and places) -> publish } -> events topic`
//!
//! Read in this order: [`plan`] (what a stream does next, and what becomes of a record), `tail` (performs it against the
//! source), `enrich` (records to encoded events, with `places` and `survey` for what is asked of the source), `publish` (events
//! into the log), `stream` (who owns it, how it begins again from `locate` and `checkpoint`), [`snapshot`] (snapshots on
//! request), `report` and `missing_stream` (what the status tells). [`service`] runs one stream per database that a job needs.

pub mod bench;
mod checkpoint;
pub mod config;
mod context;
mod enrich;
pub mod error;
mod locate;
pub mod metrics;
mod missing_stream;
mod places;
pub mod plan;
mod publish;
mod report;
mod schema_registry;
pub mod service;
pub mod snapshot;
pub mod source;
mod stream;
mod survey;
mod tail;

pub use config::ProducerConfig;
pub use context::StreamKey;
pub use error::Error;
pub use service::{Deps, ProducerService};
pub use source::{Connect, Source, connect_doris};
