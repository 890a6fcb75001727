//! Plan fragments of a frontend, run on the tablets of this backend.
//!
//! Reading order: [`fragment`] (what comes), [`executor`] (who runs it), [`query`] (what the parts of one share), `run` (one fragment), [`operator`]
//! (plan nodes), [`expr`], [`types`], [`table_sink`] (loads), [`rows`] (answers).
//!
//! All instances of a fragment on one backend run as one, node by node, with whole results in memory: small data and clear errors, not speed.
//! Cells are canonical texts as everywhere in the simulation. Backends of one cluster are all of this kind: what they send each other is a protocol
//! of ours ([`peer`]).

mod aggregate;
mod batch;
mod bucket;
mod cast;
pub mod error;
pub mod executor;
pub mod expr;
pub mod file_scan;
pub mod fragment;
mod function;
mod number;
pub mod operator;
pub mod peer;
pub mod query;
mod report;
mod routing;
pub mod rows;
mod run;
mod scan;
mod sort;
pub mod table_sink;
mod tablet_write;
pub mod types;
mod wants;

pub use error::ExecError;
pub use executor::Executor;
pub use report::Loaded;
pub use run::BodyLoad;
