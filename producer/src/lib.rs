//! Source Doris to event log.

pub mod config;
pub mod error;
pub mod metrics;
pub mod plan;
pub mod source;

pub use config::ProducerConfig;
pub use error::Error;
pub use source::{Connect, Source};
