//! Event log to destination Doris: reads the events of a source database and repeats each exactly once on a destination.
//!
//! `EventLog -> runtime (Input) -> plan::step -> Action -> perform / ingest -> Doris`, and outcomes back as `Input`
//!
//! The way of an UPSERT: [`runtime`] takes the record, `plan::admit` puts it into its tables' lanes, `plan::load` maps it and
//! has it begun, ingested and, when its turn has come, committed; the position follows in `plan::window`.
//!
//! Read in this order: [`service`] (jobs of a process), [`runtime`] (the loop of one job), [`bootstrap`] (first start), [`plan`]
//! (every decision), [`perform`] (calls), [`renew`] (one table by a snapshot),
//! [`plan::checkpoint`] (all that is durable).

pub mod bootstrap;
pub mod config;
pub mod destination;
pub mod error;
pub mod ingest;
pub mod inspect;
pub mod leftovers;
mod look_ahead;
pub mod memory;
pub mod metrics;
pub mod names;
pub mod null;
pub mod perform;
pub mod plan;
pub mod progress;
mod recover;
pub mod renew;
pub mod replace;
mod request;
mod restore_job;
mod retire;
pub mod runtime;
pub mod service;
pub mod session;
mod settle;
pub mod snapshot;

pub use config::ApplierConfig;
pub use destination::{Connect, Destination};
pub use error::Error;
pub use runtime::{JobRunner, RunnerDeps};
pub use service::{ApplierService, Deps};
