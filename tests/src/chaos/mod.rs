//! A random workload for a source database: loads, every kind of DDL that meets them, and what ETL tools do with tables.
//!
//! `seed -> Planner -> statements -> source`, and at the end `Verdict`: everything equal, or halted with a reason that a
//! person can act on.
//!
//! Read in this order: [`model`] (what the source holds), [`ops`] (which statements come next), [`workload`] (runs them),
//! [`faults`] (what happens to the clusters and jobs meanwhile), [`verdict`] (what must hold at the end). The same seed gives the
//! same statements in the same order; the moments of faults between them are the machine's.

pub mod faults;
pub mod history;
pub mod model;
pub mod ops;
pub mod verdict;
pub mod workload;

pub use faults::Faults;
pub use history::History;
pub use verdict::{Job, Scope, Verdict};
pub use workload::Workload;
