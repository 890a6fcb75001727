//! Jobs, what is wanted of them, what became of them, and the HTTP API over both.
//!
//! `HTTP -> registry (jobs topic) -> producer and applier services -> status (status topic) -> HTTP`
//!
//! Read in this order: [`job`] (what a job is), [`job_request`] (what a person asks for), [`registry`] (jobs in the log), [`installation`] (what outlasts them), [`loops`] (jobs that may not be together), [`request`] (what an applier asks of a
//! producer), [`status`] (what producers and appliers report), [`problem`] (what does not work, in statuses and answers),
//! [`diagnosis`] (the problems of a job, from all that is reported), [`api`] (the HTTP API),
//! [`process`] (what every process has).

pub mod api;
pub mod diagnosis;
pub mod error;
pub mod installation;
pub mod job;
pub mod job_request;
mod latest;
pub mod loops;
pub mod probe;
pub mod problem;
pub mod process;
pub mod registry;
pub mod request;
pub mod status;
pub mod table_resync;
mod view;

pub use api::Api;
pub use error::Error;
pub use installation::Installation;
pub use job::{
    ClusterSpec, DestSpec, JobOptions, JobSpec, Policy, Resync, SourceSpec, TableFilter, Wanted,
};
pub use job_request::JobRequest;
pub use problem::{Problem, ProblemKind, ProblemPart};
pub use registry::JobRegistry;
pub use request::ProducerRequest;
pub use status::{
    JobState, JobStatus, SnapshotStatus, StatusBoard, StreamState, StreamStatus, TableLane,
};
pub use table_resync::{ResyncsDone, TableResync, TableResyncs};
